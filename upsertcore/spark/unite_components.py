"""
Unites components that turn out to be connected when they are replayed.

Rules:
    A contact can hold a form that no single patch contains, such as a composite key
    of two patches; if another component has that form, the two are united.
    Components only grow, so the process terminates.
"""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - as Spark's own manual has it

from upsertcore.spark.components import connected_components
from upsertcore.spark.to_arrow import LINK_ROW

__all__ = ["affected_components", "computed_links", "relabel", "united_components"]


def computed_links(out: DataFrame) -> DataFrame:
    """
    Return ``component`` and ``link`` of the links that a replay computed.

    Args:
        out: The columns of ``replayed_schema``.
    """
    return out.where(F.col("kind") == LINK_ROW).select("component", "link")


def united_components(
    grouped: DataFrame, computed: DataFrame, driver_limit: int
) -> DataFrame:
    """
    Return the components that a computed link connects.

    Args:
        grouped: ``component`` and ``links`` of all rows.
        computed: The result of :func:`computed_links`, of all rounds.
        driver_limit: As in ``connected_components``.

    Returns:
        ``node``, a former component, and ``component``, which it is part of.
    """
    row_links = grouped.select("component", F.explode("links").alias("link"))
    wanted = computed.select("link").distinct()
    matching = row_links.join(wanted, "link", "left_semi").select("component", "link")
    links = F.collect_set("link").alias("links")
    linked = matching.union(computed).groupBy("component").agg(links)
    table = linked.withColumnRenamed("component", "node").persist()
    try:
        return connected_components(table, table.count(), driver_limit)
    finally:
        table.unpersist()


def relabel(frame: DataFrame, moves: DataFrame) -> DataFrame:
    """
    Replace former components by those that they are part of.

    Args:
        frame: A frame with ``component``.
        moves: The result of :func:`united_components`.
    """
    new = moves.select(
        F.col("node").alias("component"), F.col("component").alias("new")
    )
    component = F.coalesce("new", "component").alias("component")
    others = [name for name in frame.columns if name != "component"]
    return frame.join(new, "component", "left").select(component, *others)


def affected_components(moves: DataFrame) -> DataFrame:
    """Return ``component`` of the united components, which must be replayed."""
    return moves.select("component").distinct()

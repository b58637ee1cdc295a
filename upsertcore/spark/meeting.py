"""
Meeting: components that turn out to belong together once they were replayed.

Rules:
    A contact can come to hold a form that no patch carried whole; where another
    component has it too, the two are one.
    Components only grow, so there is an end.
"""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - as Spark's own manual has it

from upsertcore.spark.connected import connected
from upsertcore.spark.writing import MADE

__all__ = ["made_in", "meeting", "moved", "touched"]


def made_in(out: DataFrame) -> DataFrame:
    """
    Take ``component`` and ``link`` of the links that were made in a replay.

    Args:
        out: The columns of ``replayed_schema``.
    """
    return out.where(F.col("kind") == MADE).select("component", "link")


def meeting(grouped: DataFrame, made: DataFrame, driver_limit: int) -> DataFrame:
    """
    Find the components that meet by a link that was made in one of them.

    Args:
        grouped: ``component`` and ``links`` of all rows.
        made: As :func:`made_in` gives it, of all rounds.
        driver_limit: As in ``connected``.

    Returns:
        ``node``, a component that is none any more, and ``component``, whose it is.
    """
    carried = grouped.select("component", F.explode("links").alias("link"))
    sought = made.select("link").distinct()
    both = carried.join(sought, "link", "left_semi").select("component", "link")
    links = F.collect_set("link").alias("links")
    every = both.union(made).groupBy("component").agg(links)
    table = every.withColumnRenamed("component", "node").persist()
    try:
        return connected(table, table.count(), driver_limit)
    finally:
        table.unpersist()


def moved(frame: DataFrame, moves: DataFrame) -> DataFrame:
    """
    Give rows the component that theirs has become a part of.

    Args:
        frame: With ``component``.
        moves: As :func:`meeting` gives them.
    """
    new = moves.select(
        F.col("node").alias("component"), F.col("component").alias("new")
    )
    component = F.coalesce("new", "component").alias("component")
    rest = [name for name in frame.columns if name != "component"]
    return frame.join(new, "component", "left").select(component, *rest)


def touched(moves: DataFrame) -> DataFrame:
    """Give ``component`` of all that is to be replayed anew, by their new names."""
    return moves.select("component").distinct()

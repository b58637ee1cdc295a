"""
Skew: how components are spread over partitions, and what is done with large ones.

Rules:
    A component is never cut: its patches can only be decided one after the other.
    A large one is named; it has a partition of its own, or the job is refused.
"""

from __future__ import annotations

from logging import getLogger
from typing import Any, final

import pyarrow as pa
from attrs import frozen
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 - as Spark's own manual has it

from upsertcore.replay import Linking
from upsertcore.spark.errors import LargeComponent, Shared

__all__ = ["Skew", "large_components"]

_log = getLogger("upsertcore.spark")

_TOLD = 3
"""How many of the forms that a large component shares are told."""


@final
@frozen
class Skew:
    """
    How the rows of a job are spread.

    Args:
        linking: Tells what a link stands for.
        partitions: How many there are for what is not large.
        large: More rows than this are a large component.
        refuse: Whether the job is refused where there is one.
    """

    linking: Linking
    partitions: int
    large: int
    refuse: bool

    def __call__(self, rows: DataFrame, grouped: DataFrame) -> DataFrame:
        """
        Bring the rows of each component together, in their order.

        Args:
            rows: With ``component`` and ``sequence``.
            grouped: ``component`` and ``links`` of the same rows.

        Raises:
            LargeComponent: If there is one, and they are to be refused.
        """
        found = large_components(grouped, self.large, self.linking)
        for each in found:
            if self.refuse:
                raise each
            _log.warning("%s, more than large=%d: replayed alone", each, self.large)
        slot = F.pmod(F.hash("component"), F.lit(self.partitions))
        placed = rows
        if found:
            numbers = [each.component for each in found]
            table = pa.table(
                {
                    "component": pa.array(numbers, pa.int64()),
                    "own": pa.array(range(len(found)), pa.int32()),
                }
            )
            own = rows.sparkSession.createDataFrame(table)
            placed = rows.join(F.broadcast(own), "component", "left")
            slot = F.coalesce(F.col("own") + F.lit(self.partitions), slot)
        spread = placed.repartitionById(self.partitions + len(found), slot)
        ordered = spread.sortWithinPartitions("component", "sequence")
        return ordered.select(*rows.columns)


def large_components(
    grouped: DataFrame, large: int, linking: Linking
) -> list[LargeComponent]:
    """
    Name the components that have more rows than *large*, the largest first.

    Args:
        grouped: ``component`` and ``links`` of the rows.
        large: How many rows are not yet large.
        linking: Tells what a link stands for.
    """
    sizes = grouped.groupBy("component").count().where(F.col("count") > large)
    order = F.desc("count"), "component"
    found = {each.component: each["count"] for each in sizes.orderBy(*order).collect()}
    if not found:
        return []
    shared: dict[int, list[Shared]] = {component: [] for component in found}
    for each in _shared(grouped, [*found]):
        told = linking.told(each.link)
        shared[each.component].append((*told, each["count"]))
    return [
        LargeComponent(component, size, tuple(shared[component]))
        for component, size in found.items()
    ]


def _shared(grouped: DataFrame, components: list[int]) -> list[Any]:
    """Give the links that most rows of these components have."""
    table = pa.table({"component": pa.array(components, pa.int64())})
    wanted = F.broadcast(grouped.sparkSession.createDataFrame(table))
    links = grouped.join(wanted, "component").select(
        "component", F.explode("links").alias("link")
    )
    counts = links.groupBy("component", "link").count()
    order = Window.partitionBy("component").orderBy(F.desc("count"), "link")
    ranked = counts.withColumn("rank", F.row_number().over(order))
    told = ranked.where(F.col("rank") <= _TOLD).orderBy("component", "rank").collect()
    return list(told)

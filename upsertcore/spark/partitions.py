"""
Partitions: how the components of a log are spread over them, large ones included.

Rules:
    A component is never split, because its patches must be decided in order.
    A large component is logged and gets a partition of its own, or the job is refused.
"""

from __future__ import annotations

from logging import getLogger
from typing import Any, final

import pyarrow as pa
from attrs import frozen
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 - as Spark's own manual has it

from upsertcore.replay import Linking
from upsertcore.spark.errors import LargeComponent, SharedForm

__all__ = ["Partitioning", "large_components"]

_log = getLogger("upsertcore.spark")

_MAX_SHARED = 3
"""The number of shared forms that are reported for a large component."""


@final
@frozen
class Partitioning:
    """
    Partitions the rows of a job.

    Args:
        linking: The linking, which decodes links.
        partitions: The number of partitions for components that are not large.
        large: A component with more rows than this is large.
        refuse: Whether a large component refuses the job.
    """

    linking: Linking
    partitions: int
    large: int
    refuse: bool

    def __call__(self, rows: DataFrame, grouped: DataFrame) -> DataFrame:
        """
        Partition rows by component and sort them by sequence.

        Args:
            rows: A frame with ``component`` and ``sequence``.
            grouped: ``component`` and ``links`` of the same rows.

        Raises:
            LargeComponent: If there is one and ``refuse`` is true.
        """
        large_ones = large_components(grouped, self.large, self.linking)
        for component in large_ones:
            if self.refuse:
                raise component
            _log.warning(
                "%s, more than large=%d: replayed in its own partition",
                component,
                self.large,
            )
        slot = F.pmod(F.hash("component"), F.lit(self.partitions))
        placed = rows
        if large_ones:
            numbers = [component.component for component in large_ones]
            table = pa.table(
                {
                    "component": pa.array(numbers, pa.int64()),
                    "slot": pa.array(range(len(large_ones)), pa.int32()),
                }
            )
            slots = rows.sparkSession.createDataFrame(table)
            placed = rows.join(F.broadcast(slots), "component", "left")
            slot = F.coalesce(F.col("slot") + F.lit(self.partitions), slot)
        spread = placed.repartitionById(self.partitions + len(large_ones), slot)
        ordered = spread.sortWithinPartitions("component", "sequence")
        return ordered.select(*rows.columns)


def large_components(
    grouped: DataFrame, large: int, linking: Linking
) -> list[LargeComponent]:
    """
    Return the components with more rows than *large*, the largest first.

    Args:
        grouped: ``component`` and ``links`` of the rows.
        large: The maximum number of rows of other components.
        linking: The linking, which decodes links.
    """
    sizes = grouped.groupBy("component").count().where(F.col("count") > large)
    order = F.desc("count"), "component"
    counts = {row.component: row["count"] for row in sizes.orderBy(*order).collect()}
    if not counts:
        return []
    shared: dict[int, list[SharedForm]] = {component: [] for component in counts}
    for row in _shared_links(grouped, [*counts]):
        form = linking.parse(row.link)
        shared[row.component].append((*form, row["count"]))
    return [
        LargeComponent(component, size, tuple(shared[component]))
        for component, size in counts.items()
    ]


def _shared_links(grouped: DataFrame, components: list[int]) -> list[Any]:
    """Return the most frequent links of the components."""
    table = pa.table({"component": pa.array(components, pa.int64())})
    selected = F.broadcast(grouped.sparkSession.createDataFrame(table))
    links = grouped.join(selected, "component").select(
        "component", F.explode("links").alias("link")
    )
    counts = links.groupBy("component", "link").count()
    order = Window.partitionBy("component").orderBy(F.desc("count"), "link")
    ranked = counts.withColumn("rank", F.row_number().over(order))
    rows = (
        ranked.where(F.col("rank") <= _MAX_SHARED)
        .orderBy("component", "rank")
        .collect()
    )
    return list(rows)

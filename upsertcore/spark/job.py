"""
The Spark job: from contacts and a log of patches to contacts and outcomes.

Rules:
    Each component is replayed by one task, in order; a task replays many components
    in one pass over its partition.
    Results depend on the input only, so a retried task returns the same.
    Decisions of the job are logged to ``upsertcore.spark``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from logging import getLogger
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, final

import pyarrow as pa
from attrs import frozen
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - as Spark's own manual has it

from upsertcore.policy.policy import Policy
from upsertcore.replay import Linking, replay, replay_with_links
from upsertcore.spark import from_arrow, to_arrow
from upsertcore.spark.components import connected_components
from upsertcore.spark.frames import (
    check_sequences,
    input_rows,
    split_results,
    with_component,
)
from upsertcore.spark.partitions import Partitioning
from upsertcore.spark.schemas import arrow_schema, links_schema, replayed_schema
from upsertcore.spark.unite_components import (
    affected_components,
    computed_links,
    relabel,
    united_components,
)

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

__all__ = [
    "OnLarge",
    "Upserted",
    "link_worker",
    "replay_partition",
    "replay_worker",
    "upsert",
]

OnLarge = Literal["alone", "refuse"]
Worker: TypeAlias = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]

_log = getLogger("upsertcore.spark")


@final
@frozen
class Upserted:
    """
    The result of :func:`upsert`; ``contacts, outcomes = upsert(...)`` unpacks it.

    Args:
        contacts: All contacts, in ``contacts_schema``.
        outcomes: One row per patch, in ``outcomes_schema``.
    """

    contacts: DataFrame
    outcomes: DataFrame
    _persisted: tuple[DataFrame, ...] = ()

    def __iter__(self) -> Iterator[DataFrame]:
        return iter((self.contacts, self.outcomes))

    def release(self) -> None:
        """Unpersist the cached results, from which both frames are read."""
        for frame in self._persisted:
            frame.unpersist()


def upsert(
    contacts: DataFrame | None,
    patches: DataFrame,
    policy: Policy,
    *,
    ids: Callable[[int], str] = str,
    large: int = 100_000,
    on_large: OnLarge = "alone",
    driver_limit: int = 5_000_000,
    partitions: int | None = None,
) -> Upserted:
    """
    Upsert a log of patches, with the results of a single book.

    Args:
        contacts: Existing contacts, such as those of an earlier job, or None.
        patches: The log, in ``patches_schema``. It is read twice, and ``nulls`` a third
            time: persist it first if it is expensive or not deterministic.
        policy: The policy; it is sent to the workers.
        ids: Returns the id of a contact from the sequence of the patch that creates it.
        large: A component with more rows than this is large.
        on_large: ``"alone"`` replays a large component in a partition of its own, so
            that it does not delay others; ``"refuse"`` refuses the job.
        driver_limit: The maximum number of rows whose components are computed on the
            driver.
        partitions: The number of tasks; ``spark.sql.shuffle.partitions`` if None.

    Returns:
        Contacts and outcomes, in no particular order.

    Raises:
        InvalidColumn: If a column is not as declared, the policy does not have a field
            or a name in ``nulls``, or a sequence is not unique or not greater than the
            place of every contact.
        LargeComponent: If there is one and ``on_large`` is ``"refuse"``.
        ValueError: If an option is invalid.

    Laws:
        Contacts, and outcomes except ``component``, equal those of one ``ContactBook``
        that upserts the patches in order of their sequence.
    """
    rows, fields = input_rows(contacts, patches, policy)
    if partitions is None:
        conf: Any = patches.sparkSession.conf
        partitions = int(conf.get("spark.sql.shuffle.partitions"))
    _check_options(large=large, partitions=partitions, on_large=on_large)
    linking = Linking(policy)
    spread = Partitioning(linking, partitions, large, on_large == "refuse")
    links = rows.mapInArrow(link_worker(policy), links_schema()).persist()
    try:
        count = check_sequences(links)
        labels = connected_components(links, count, driver_limit)
        job = _Job(spread, replay_worker(policy, ids, fields, linking), fields)
        placed = with_component(rows, labels, "sequence")
        grouped = with_component(links, labels, "node")
        persisted = [job(placed, grouped)]
        out = persisted[0]
        if linking.computes_forms:
            out = _unite_components(job, placed, grouped, persisted, driver_limit)
    finally:
        links.unpersist()
    return Upserted(*split_results(out), tuple(persisted))


def _check_options(*, large: int, partitions: int, on_large: str) -> None:
    for name, number in (("large", large), ("partitions", partitions)):
        if number < 1:
            raise ValueError(f"{name}: must be 1 or more, not {number}")
    if on_large not in ("alone", "refuse"):
        raise ValueError(f"on_large: must be 'alone' or 'refuse', not {on_large!r}")


@final
@frozen
class _Job:
    """Replays rows, partitioned by component, with one worker per partition."""

    spread: Partitioning
    worker: Worker
    fields: StructType

    def __call__(self, placed: DataFrame, grouped: DataFrame) -> DataFrame:
        ordered = self.spread(placed, grouped)
        return ordered.mapInArrow(self.worker, replayed_schema(self.fields)).persist()


def _unite_components(
    job: _Job,
    placed: DataFrame,
    grouped: DataFrame,
    persisted: list[DataFrame],
    driver_limit: int,
) -> DataFrame:
    """Unite and replay components until no computed link connects two of them."""
    out = persisted[0]
    computed = computed_links(out)
    while True:
        moves = united_components(grouped, computed, driver_limit)
        count = moves.count()
        if not count:
            _log.info("replay: finished in round %d", len(persisted))
            return out
        message = "replay: round %d, %d components united by forms that no single "
        message += "patch contains; only these are replayed again"
        _log.info(message, len(persisted) + 1, count)
        affected = affected_components(moves)
        placed, grouped = relabel(placed, moves), relabel(grouped, moves)
        replayed = job(
            placed.join(affected, "component", "left_semi"),
            grouped.join(affected, "component", "left_semi"),
        )
        persisted.append(replayed)
        replaced = moves.select(F.col("node").alias("component")).union(affected)
        unaffected = out.join(replaced, "component", "left_anti")
        out = unaffected.unionByName(replayed)
        computed = relabel(computed, moves).union(computed_links(replayed))


def link_worker(policy: Policy) -> Worker:
    """Return the function with which a worker computes the links of rows."""
    schema = arrow_schema(links_schema())

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return from_arrow.read_links(batches, policy, schema)

    return work


def replay_worker(
    policy: Policy, ids: Callable[[int], str], fields: StructType, links: Linking
) -> Worker:
    """Return the function with which a worker replays a partition."""
    schema, watch = arrow_schema(replayed_schema(fields)), links.computes_forms

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return replay_partition(batches, policy, schema, ids=ids, watch=watch)

    return work


def replay_partition(
    batches: Iterable[pa.RecordBatch],
    policy: Policy,
    schema: pa.Schema,
    *,
    ids: Callable[[int], str],
    watch: bool,
) -> Iterator[Any]:
    """
    Replay one partition, in a worker.

    Args:
        batches: The columns of ``rows_schema``, sorted by component and sequence; a
            component may span several batches.
        policy: The policy.
        schema: The Arrow schema of ``replayed_schema``.
        ids: As in :func:`upsert`.
        watch: Whether to return links that no single patch contains.
    """
    rows = from_arrow.read_rows(batches)
    replay_rows = replay_with_links if watch else replay
    return to_arrow.write_batches(replay_rows(rows, policy, ids=ids), schema)

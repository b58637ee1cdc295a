"""
The job: contacts and a log in, contacts and outcomes out.

Rules:
    Each component is replayed by one task, in order; a task takes many of them, in
    one pass over its partition, and never a call for each.
    What is answered follows from what came in alone, so a task that is done again
    answers the same.
    Which way was chosen, and why, is said to the logger ``upsertcore.spark``.
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
from upsertcore.replay import Linking, replay, watched
from upsertcore.spark import reading, writing
from upsertcore.spark.connected import connected
from upsertcore.spark.frames import answers, check_numbers, labelled, sources
from upsertcore.spark.meeting import made_in, meeting, moved, touched
from upsertcore.spark.schemas import arrow_schema, links_schema, replayed_schema
from upsertcore.spark.skew import Skew

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

__all__ = ["OnLarge", "Upserted", "linking", "replayed", "replaying", "upsert"]

OnLarge = Literal["alone", "refuse"]
Worker: TypeAlias = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]

_log = getLogger("upsertcore.spark")


@final
@frozen
class Upserted:
    """
    What an upsert answers; ``contacts, outcomes = upsert(...)`` takes it apart.

    Args:
        contacts: All contacts, as ``contacts_schema`` has them.
        outcomes: One row for each patch, as ``outcomes_schema`` has them.
    """

    contacts: DataFrame
    outcomes: DataFrame
    _kept: tuple[DataFrame, ...] = ()

    def __iter__(self) -> Iterator[DataFrame]:
        return iter((self.contacts, self.outcomes))

    def release(self) -> None:
        """Let go of what Spark keeps so that the two need not be replayed twice."""
        for each in self._kept:
            each.unpersist()


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
    Upsert a log of patches, to the contacts that one book would have come to.

    Args:
        contacts: What is known, as an earlier job answered it; None for nobody.
        patches: The log, as ``patches_schema`` has it. It is read twice, and its
            ``nulls`` once more, so what is dear to read, or is not the same each time,
            is to be persisted before.
        policy: The table; it travels to the workers.
        ids: Makes the id of a contact of the sequence of the patch that creates it.
        large: A component of more rows than this is large.
        on_large: A large component is replayed in a partition of its own, so that
            it holds up nobody (``"alone"``), or the job is refused (``"refuse"``).
        driver_limit: Up to how many rows are joined to components on the driver.
        partitions: How many tasks replay; ``spark.sql.shuffle.partitions`` if None.

    Returns:
        Contacts and outcomes, in no order.

    Raises:
        InvalidColumn: If a column is not as it is declared, a field, or a name in
            ``nulls``, is none of the policy's, a sequence stands twice, or one is not
            greater than the place of every contact.
        LargeComponent: If there is one, and ``on_large`` is ``"refuse"``.
        ValueError: If an option is none.

    Laws:
        Contacts, and outcomes but for ``component``, are those of one ``ContactBook``
        that takes the patches by their sequence.
    """
    rows, fields = sources(contacts, patches, policy)
    if partitions is None:
        conf: Any = patches.sparkSession.conf
        partitions = int(conf.get("spark.sql.shuffle.partitions"))
    _check_options(large=large, partitions=partitions, on_large=on_large)
    known = Linking(policy)
    spread = Skew(known, partitions, large, on_large == "refuse")
    links = rows.mapInArrow(linking(policy), links_schema()).persist()
    try:
        count = check_numbers(links)
        labels = connected(links, count, driver_limit)
        job = _Job(spread, replaying(policy, ids, fields, known), fields)
        placed = labelled(rows, labels, "sequence")
        grouped = labelled(links, labels, "node")
        kept = [job(placed, grouped)]
        out = kept[0]
        if known.makes:
            out = _joined(job, placed, grouped, kept, driver_limit)
    finally:
        links.unpersist()
    return Upserted(*answers(out), tuple(kept))


def _check_options(*, large: int, partitions: int, on_large: str) -> None:
    for name, number in (("large", large), ("partitions", partitions)):
        if number < 1:
            raise ValueError(f"{name}: must be 1 or more, not {number}")
    if on_large not in ("alone", "refuse"):
        raise ValueError(f"on_large: must be 'alone' or 'refuse', not {on_large!r}")


@final
@frozen
class _Job:
    """What replays rows: spread over partitions, each by one worker."""

    spread: Skew
    worker: Worker
    fields: StructType

    def __call__(self, placed: DataFrame, grouped: DataFrame) -> DataFrame:
        ordered = self.spread(placed, grouped)
        return ordered.mapInArrow(self.worker, replayed_schema(self.fields)).persist()


def _joined(
    job: _Job,
    placed: DataFrame,
    grouped: DataFrame,
    kept: list[DataFrame],
    driver_limit: int,
) -> DataFrame:
    """Replay anew what meets by links that were made, until nothing does."""
    out = kept[0]
    made = made_in(out)
    while True:
        moves = meeting(grouped, made, driver_limit)
        gone = moves.count()
        if not gone:
            _log.info("replay: done, in round %d", len(kept))
            return out
        told = "replay: round %d, %d components became part of others by forms that no "
        told += "patch carried whole; those alone are replayed anew"
        _log.info(told, len(kept) + 1, gone)
        anew = touched(moves)
        placed, grouped = moved(placed, moves), moved(grouped, moves)
        again = job(
            placed.join(anew, "component", "left_semi"),
            grouped.join(anew, "component", "left_semi"),
        )
        kept.append(again)
        old = moves.select(F.col("node").alias("component")).union(anew)
        stays = out.join(old, "component", "left_anti")
        out = stays.unionByName(again)
        made = moved(made, moves).union(made_in(again))


def linking(policy: Policy) -> Worker:
    """Make what a worker does to find what links rows."""
    schema = arrow_schema(links_schema())

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return reading.links(batches, policy, schema)

    return work


def replaying(
    policy: Policy, ids: Callable[[int], str], fields: StructType, links: Linking
) -> Worker:
    """Make what a worker does to replay a partition."""
    schema, watch = arrow_schema(replayed_schema(fields)), links.makes

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return replayed(batches, policy, schema, ids=ids, watch=watch)

    return work


def replayed(
    batches: Iterable[pa.RecordBatch],
    policy: Policy,
    schema: pa.Schema,
    *,
    ids: Callable[[int], str],
    watch: bool,
) -> Iterator[Any]:
    """
    Replay one partition, as a worker does.

    Args:
        batches: The columns of ``rows_schema``, sorted by component and sequence; a
            component may go on from one batch to the next.
        policy: The table.
        schema: The Arrow schema of ``replayed_schema``.
        ids: As in :func:`upsert`.
        watch: Whether links that no patch carried are told.
    """
    rows = reading.rows(batches)
    do = watched if watch else replay
    return writing.batches(do(rows, policy, ids=ids), schema)

"""
One log, done by one engine, from Parquet to Parquet; in a process of its own.

Rules:
    It is told on the command line what to do, in JSON, and answers in one line of it.
    Every engine reads the same file and writes the same tables: contacts and outcomes.
    What is timed begins with the file and ends with the tables; that an interpreter,
    and a Spark, has to start is told apart.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from zlib import crc32

import attrs
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession
from pyspark.sql.types import StringType, StructField, StructType

from benchmarks.engines.ours import policy_for
from benchmarks.workloads import MAIN, Case, patches
from upsertcore import ContactBook
from upsertcore.errors import Refused
from upsertcore.replay import (
    Event,
    LogRow,
    Replayed,
    SentPatch,
    StoredContact,
    components,
    replay,
)
from upsertcore.spark import patches_table, upsert
from upsertcore.spark.from_arrow import read_rows
from upsertcore.spark.schemas import arrow_schema, replayed_schema, rows_schema
from upsertcore.spark.to_arrow import OUTCOME_ROW, write_batches

__all__ = ["ENGINES", "digest", "made", "main"]

_DAWN = datetime(2024, 1, 2, tzinfo=UTC)
_CHUNK = 50_000


def case(size: int) -> Case:
    """Make the workload: half new, half updates, up to 8 fields."""
    return attrs.evolve(MAIN, size=size)


def _fields(size: int) -> StructType:
    return StructType([StructField(name, StringType()) for name in case(size).names])


def made(size: int, file: Path) -> None:
    """Write a log of patches as one Parquet file, some at a time."""
    fields = _fields(size)
    log = (
        SentPatch(number, patch, _DAWN + timedelta(milliseconds=number))
        for number, patch in enumerate(patches(case(size)))
    )
    writer = None
    while some := [*islice(log, _CHUNK)]:
        table = patches_table(some, fields)
        writer = writer or pq.ParquetWriter(file, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def _read(size: int, file: Path) -> Iterator[LogRow]:
    """Read the log again, as the workers of Spark do."""
    schema = arrow_schema(rows_schema(_fields(size)))
    names = {"values": "patch"}

    def laid(batch: pa.RecordBatch) -> pa.RecordBatch:
        have = {*batch.schema.names}
        columns = [
            batch.column(names.get(each.name, each.name))
            if names.get(each.name, each.name) in have
            else pa.nulls(batch.num_rows, each.type)
            for each in schema
        ]
        return pa.RecordBatch.from_arrays(columns, names=schema.names)

    with pq.ParquetFile(file) as source:
        yield from read_rows(map(laid, source.iter_batches(_CHUNK)))


def _written(size: int, events: Iterable[Event], out: Path) -> None:
    """Write contacts and outcomes, each to a table of its own."""
    schema = arrow_schema(replayed_schema(_fields(size)))
    with ExitStack() as stack:
        kinds = {}
        for name in ("contact", "outcome"):
            plain = schema.field(name).type
            parts = pa.schema([("sequence", pa.int64()), *plain])
            (out / f"{name}s").mkdir(parents=True)
            place = out / f"{name}s" / "part.parquet"
            kinds[name] = stack.enter_context(pq.ParquetWriter(place, parts)), parts
        for batch in write_batches(events, schema):
            first = batch.column("kind")[0].as_py()
            name = "outcome" if first == OUTCOME_ROW else "contact"
            writer, parts = kinds[name]
            columns = [batch.column("sequence"), *batch.column(name).flatten()]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=parts))


def _book(size: int, file: Path, out: Path) -> float:
    """One book, patch by patch."""
    now: list[Any] = [None]
    book = ContactBook(
        policy_for(case(size)),
        ids=lambda: str(now[0].sequence),
        clock=lambda: now[0].at,
    )
    # As the README of the library advises where outcomes are kept by the thousands.
    gc.freeze()

    def events() -> Iterator[Event]:
        for now[0] in _read(size, file):
            row = now[0]
            try:
                yield Replayed(0, row.sequence, book.upsert(row.patch, scope=row.scope))
            except Refused as refusal:
                yield Replayed(0, row.sequence, refusal)
        for contact in book:
            yield StoredContact(0, int(contact.id), contact)

    _written(size, events(), out)
    return 0.0


def _replay(size: int, file: Path, out: Path) -> float:
    """Components, and then one after the other."""
    policy = policy_for(case(size))
    found = components(_read(size, file), policy)
    _written(size, replay(found.rows, policy), out)
    return 0.0


def _spark(size: int, file: Path, out: Path, cores: int, memory: str) -> float:
    """The same on Spark; answers how long that took to start."""
    # Its workers are to be the Python that has our packages.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    begun = time.perf_counter()
    session = (
        SparkSession.builder.master(f"local[{cores}]")
        .config("spark.driver.memory", memory)
        .config("spark.driver.maxResultSize", "0")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.local.dir", str(out / "scratch"))
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", max(8, size // 250_000))
        .config("spark.ui.enabled", "false")
        .config("spark.log.level", "ERROR")
        .getOrCreate()
    )
    started = time.perf_counter() - begun
    log = session.read.parquet(str(file))
    answered = upsert(None, log, policy_for(case(size)))
    answered.contacts.write.parquet(str(out / "contacts"))
    answered.outcomes.write.parquet(str(out / "outcomes"))
    session.stop()
    return started


ENGINES: dict[str, Callable[[int, Path, Path, str], float]] = {
    "one book": lambda size, file, out, _memory: _book(size, file, out),
    "replay, one process": lambda size, file, out, _memory: _replay(size, file, out),
    "Spark, local[1]": lambda size, file, out, m: _spark(size, file, out, 1, m),
    "Spark, local[2]": lambda size, file, out, m: _spark(size, file, out, 2, m),
}
"""Name to what does a log; it answers how many seconds it waited for something else."""


def digest(out: Path) -> dict[str, Any]:
    """
    Sum up the contacts that an engine wrote, whatever their order.

    Returns:
        How many there are, and the sum of a checksum of each: its id, version, time
        and fields.
    """
    count = total = 0
    for part in sorted((out / "contacts").glob("*.parquet")):
        with pq.ParquetFile(part) as source:
            for batch in source.iter_batches(_CHUNK):
                names = ("id", "version", "updated_at", "fields")
                columns = [batch.column(name) for name in names]
                times = columns[2].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
                parts = [columns[0], columns[1], times, *columns[3].flatten()]
                values = [each.to_pylist() for each in parts]
                for row in zip(*values, strict=True):
                    total += crc32(repr(row).encode())
                count += batch.num_rows
    return {"contacts": count, "sum": total % 2**64}


def main(told: str) -> None:
    """Do what is told, and say what came of it."""
    asked = json.loads(told)
    size, file = asked["size"], Path(asked["file"])
    if asked["engine"] == "log":
        made(size, file)
        return
    out = Path(asked["out"])
    if asked["engine"] == "digest":
        print(json.dumps(digest(out)))
        return
    begun = time.perf_counter()
    waited = ENGINES[asked["engine"]](size, file, out, asked["memory"])
    print(
        json.dumps({"seconds": time.perf_counter() - begun - waited, "start": waited})
    )


if __name__ == "__main__":
    main(sys.argv[1])

"""
Replays one log with one engine, from Parquet to Parquet.

Rules:
    The task is JSON on the command line; the result is one line of JSON.
    Every engine reads the same file and writes the same tables: contacts and outcomes.
    The time is that from the file to the tables; the start of Spark is reported
    separately, the start of the interpreter is not included.
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

__all__ = ["ENGINES", "digest", "main", "write_log"]

_START = datetime(2024, 1, 2, tzinfo=UTC)
_CHUNK = 50_000


def case(size: int) -> Case:
    """Return the workload: half new, half updates, up to 8 fields."""
    return attrs.evolve(MAIN, size=size)


def _fields(size: int) -> StructType:
    return StructType([StructField(name, StringType()) for name in case(size).names])


def write_log(size: int, file: Path) -> None:
    """Write a log of patches as one Parquet file, in chunks."""
    fields = _fields(size)
    log = (
        SentPatch(number, patch, _START + timedelta(milliseconds=number))
        for number, patch in enumerate(patches(case(size)))
    )
    writer = None
    while chunk := [*islice(log, _CHUNK)]:
        table = patches_table(chunk, fields)
        writer = writer or pq.ParquetWriter(file, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def _read(size: int, file: Path) -> Iterator[LogRow]:
    """Read the log as the workers of Spark do."""
    schema = arrow_schema(rows_schema(_fields(size)))
    names = {"values": "patch"}

    def select(batch: pa.RecordBatch) -> pa.RecordBatch:
        available = {*batch.schema.names}
        columns = [
            batch.column(names.get(column.name, column.name))
            if names.get(column.name, column.name) in available
            else pa.nulls(batch.num_rows, column.type)
            for column in schema
        ]
        return pa.RecordBatch.from_arrays(columns, names=schema.names)

    with pq.ParquetFile(file) as source:
        yield from read_rows(map(select, source.iter_batches(_CHUNK)))


def _write_results(size: int, events: Iterable[Event], out: Path) -> None:
    """Write contacts and outcomes, each to its own table."""
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
    """Upsert into one book, patch by patch."""
    now: list[Any] = [None]
    book = ContactBook(
        policy_for(case(size)),
        ids=lambda: str(now[0].sequence),
        clock=lambda: now[0].at,
    )
    # As the manual advises if thousands of outcomes are kept.
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

    _write_results(size, events(), out)
    return 0.0


def _replay(size: int, file: Path, out: Path) -> float:
    """Replay component by component."""
    policy = policy_for(case(size))
    log = components(_read(size, file), policy)
    _write_results(size, replay(log.rows, policy), out)
    return 0.0


def _spark(size: int, file: Path, out: Path, cores: int, memory: str) -> float:
    """Replay on Spark; return the seconds of its start."""
    # The workers use this Python, which has the packages.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    start = time.perf_counter()
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
    started = time.perf_counter() - start
    log = session.read.parquet(str(file))
    upserted = upsert(None, log, policy_for(case(size)))
    upserted.contacts.write.parquet(str(out / "contacts"))
    upserted.outcomes.write.parquet(str(out / "outcomes"))
    session.stop()
    return started


ENGINES: dict[str, Callable[[int, Path, Path, str], float]] = {
    "one book": lambda size, file, out, _memory: _book(size, file, out),
    "replay, one process": lambda size, file, out, _memory: _replay(size, file, out),
    "Spark, local[1]": lambda size, file, out, m: _spark(size, file, out, 1, m),
    "Spark, local[2]": lambda size, file, out, m: _spark(size, file, out, 2, m),
}
"""Functions by engine; each returns the seconds that are not part of the replay."""


def digest(out: Path) -> dict[str, Any]:
    """
    Return a digest of the contacts that an engine wrote, independent of their order.

    Returns:
        The number of contacts, and the sum of their checksums over id, version, time
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
                values = [values_.to_pylist() for values_ in parts]
                for row in zip(*values, strict=True):
                    total += crc32(repr(row).encode())
                count += batch.num_rows
    return {"contacts": count, "sum": total % 2**64}


def main(text: str) -> None:
    """Run a task and print its result."""
    task = json.loads(text)
    size, file = task["size"], Path(task["file"])
    if task["engine"] == "log":
        write_log(size, file)
        return
    out = Path(task["out"])
    if task["engine"] == "digest":
        print(json.dumps(digest(out)))
        return
    start = time.perf_counter()
    waited = ENGINES[task["engine"]](size, file, out, task["memory"])
    print(
        json.dumps({"seconds": time.perf_counter() - start - waited, "start": waited})
    )


if __name__ == "__main__":
    main(sys.argv[1])

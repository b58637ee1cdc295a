"""
From Arrow to the rows of a replay, batch by batch.

Rules:
    A null in a struct is an omitted field, at any depth; a null in a map or in an
    array is a null. What is to be null as a whole field stands in ``nulls``.
    Columns are taken whole and rows made of them; no cell is asked for by itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import pyarrow as pa

from upsertcore.model.contact import Contact
from upsertcore.policy.policy import Policy
from upsertcore.replay import KnownContact, Linking, LogRow, SentPatch
from upsertcore.spark.errors import InvalidColumn

__all__ = ["Read", "links", "rows", "times", "told", "values"]

Read: TypeAlias = Callable[[Any], Any]
"""Makes of what Arrow gives for a value the value itself."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NEEDED = ("id", "version", "created_at", "updated_at")


def rows(batches: Iterable[pa.RecordBatch]) -> Iterator[LogRow]:
    """
    Give the rows of batches that have the columns of ``rows_schema``.

    Args:
        batches: Sorted as the rows are to be; ``component`` may be missing.

    Raises:
        InvalidColumn: If a null stands where there must be none, or a field is both
            sent and named in ``nulls``.

    Cost:
        Linear in the cells; memory for one batch.
    """
    for batch in batches:
        yield from _rows(batch)


def links(
    batches: Iterable[pa.RecordBatch], policy: Policy, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """
    Give what links each row, in the columns of ``links_schema``.

    Args:
        batches: As in :func:`rows`.
        policy: Whose keys link.
        schema: That of the answer.
    """
    linking = Linking(policy)
    for batch in batches:
        listed = [*_rows(batch)]
        columns = [
            [row.sequence for row in listed],
            [type(row) is KnownContact for row in listed],
            [[*linking(row)] for row in listed],
        ]
        yield pa.RecordBatch.from_arrays(
            [pa.array(*each) for each in zip(columns, schema.types, strict=True)],
            schema=schema,
        )


def _rows(batch: pa.RecordBatch) -> Iterator[LogRow]:
    count = batch.num_rows
    sequences = _needed(batch, "sequence", batch.column("sequence").to_pylist())
    names = batch.schema.names
    components = (
        batch.column("component").to_pylist()
        if "component" in names
        else [None] * count
    )
    scopes = [scope or "" for scope in batch.column("scope").to_pylist()]
    fields = _mappings(batch.column("values"))
    stored = batch.column("stored").to_pylist()
    nulls = batch.column("nulls").to_pylist()
    moments = times(batch.column("at"))
    for place, history in enumerate(stored):
        sequence, component = sequences[place], components[place]
        if history is not None:
            contact = _contact(sequence, history, scopes[place], fields[place])
            yield KnownContact(sequence, contact, component)
            continue
        patch, at = fields[place], moments[place]
        for name in nulls[place] or ():
            if name in patch:
                reason = f"{name} is sent and null at once (sequence {sequence})"
                raise InvalidColumn("nulls", reason)
            patch[name] = None
        if at is None:
            raise InvalidColumn("at", f"must not be null (sequence {sequence})")
        yield SentPatch(sequence, patch, at, scopes[place], component)


def _needed(batch: pa.RecordBatch, name: str, sequences: list[Any]) -> list[Any]:
    if batch.column(name).null_count:
        last = max((each for each in sequences if each is not None), default="none")
        raise InvalidColumn(name, f"must not be null (greatest beside it: {last})")
    return sequences


def _contact(place: int, history: str, scope: str, fields: dict[str, Any]) -> Contact:
    row = json.loads(history)
    for name in _NEEDED:
        if row.get(name) is None:
            raise InvalidColumn(name, f"must not be null (place {place})")
    clocks = row.get("clocks") or {}
    gone = row.get("deleted_at")
    try:
        return Contact(
            row["id"],
            scope,
            fields,
            row["version"],
            _time(row["created_at"]),
            _time(row["updated_at"]),
            row.get("aliases") or {},
            {name: json.loads(clock) for name, clock in clocks.items()},
            row.get("merged_ids") or (),
            None if gone is None else _time(gone),
        )
    except ValueError as error:
        raise InvalidColumn("contacts", f"{error} (place {place})") from error


def _time(micros: int) -> datetime:
    return _EPOCH + timedelta(0, 0, micros)


def times(column: pa.Array) -> list[datetime | None]:
    """
    Give aware times; by hand, for Arrow asks for the zone of each one anew.

    >>> times(pa.array([0, None], pa.timestamp("us", tz="UTC")))
    [datetime.datetime(1970, 1, 1, 0, 0, tzinfo=datetime.timezone.utc), None]
    """
    micros = column.cast(pa.int64()).to_pylist()
    return [None if n is None else _EPOCH + timedelta(0, 0, n) for n in micros]


def _mappings(column: pa.StructArray) -> list[dict[str, Any]]:
    """Give a mapping for each struct, without what is null in it."""
    names = [each.name for each in column.type]
    parts = [values(part) for part in column.flatten()]
    return [
        {n: v for n, v in zip(names, row, strict=True) if v is not None}
        for row in zip(*parts, strict=True)
    ]


def values(column: pa.Array) -> list[Any]:
    """
    Give the values of a column as a contact has them.

    Cost:
        Linear; Arrow's own making of mappings would take twenty times as long.

    >>> values(pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())))
    [{'a': 1}, None]
    """
    listed: list[Any] = column.to_pylist()
    read = told(column.type)
    if read is None:
        return listed
    return [None if value is None else read(value) for value in listed]


def told(kind: pa.DataType) -> Read | None:
    """
    Make what gives a value as a contact has it of what Arrow gives for it.

    Args:
        kind: Of the values.

    Returns:
        None where the two are the same.

    >>> read = told(pa.list_(pa.struct([("a", pa.int64()), ("b", pa.int64())])))
    >>> read([{"a": 1, "b": None}, None])
    [{'a': 1}, None]
    >>> told(pa.list_(pa.int64())) is None
    True
    """
    if pa.types.is_struct(kind):
        reads = {each.name: told(each.type) or _same for each in kind}
        return lambda value: {
            n: reads[n](item) for n, item in value.items() if item is not None
        }
    if pa.types.is_map(kind):
        item = told(kind.item_type)
        if item is None:
            return dict
        return lambda value: {n: None if v is None else item(v) for n, v in value}
    if pa.types.is_nested(kind):
        read = told(kind.value_type)
        if read is not None:
            return lambda value: [None if v is None else read(v) for v in value]
    return None


def _same(value: Any) -> Any:
    return value

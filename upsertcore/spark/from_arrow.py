"""
Converts Arrow batches to the rows of a replay.

Rules:
    A null in a struct is an omitted field, at any depth; a null in a map or in an
    array is a null. Fields that are null are listed in ``nulls``.
    Whole columns are converted at once, never single cells.
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

__all__ = ["Converter", "converter", "read_links", "read_rows", "times", "values"]

Converter: TypeAlias = Callable[[Any], Any]
"""Converts a value that Arrow returns to that of a contact."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_REQUIRED = ("id", "version", "created_at", "updated_at")


def read_rows(batches: Iterable[pa.RecordBatch]) -> Iterator[LogRow]:
    """
    Yield the rows of batches with the columns of ``rows_schema``.

    Args:
        batches: Batches in the order of the rows; ``component`` is optional.

    Raises:
        InvalidColumn: If a required value is null, or a field is both sent and listed
            in ``nulls``.

    Cost:
        Linear in the cells; memory for one batch.
    """
    for batch in batches:
        yield from _rows(batch)


def read_links(
    batches: Iterable[pa.RecordBatch], policy: Policy, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """
    Yield the links of each row, in the columns of ``links_schema``.

    Args:
        batches: As in :func:`read_rows`.
        policy: The policy whose keys link rows.
        schema: The schema of the result.
    """
    linking = Linking(policy)
    for batch in batches:
        rows = [*_rows(batch)]
        columns = [
            [row.sequence for row in rows],
            [type(row) is KnownContact for row in rows],
            [[*linking(row)] for row in rows],
        ]
        yield pa.RecordBatch.from_arrays(
            [pa.array(*pair) for pair in zip(columns, schema.types, strict=True)],
            schema=schema,
        )


def _rows(batch: pa.RecordBatch) -> Iterator[LogRow]:
    count = batch.num_rows
    sequences = _check_not_null(batch, "sequence", batch.column("sequence").to_pylist())
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
                reason = f"{name} has a value in patch as well (sequence {sequence})"
                raise InvalidColumn("nulls", reason)
            patch[name] = None
        if at is None:
            raise InvalidColumn("at", f"must not be null (sequence {sequence})")
        yield SentPatch(sequence, patch, at, scopes[place], component)


def _check_not_null(
    batch: pa.RecordBatch, name: str, sequences: list[Any]
) -> list[Any]:
    if batch.column(name).null_count:
        values_ = (value for value in sequences if value is not None)
        last = max(values_, default="none")
        raise InvalidColumn(name, f"must not be null (greatest other value: {last})")
    return sequences


def _contact(place: int, history: str, scope: str, fields: dict[str, Any]) -> Contact:
    row = json.loads(history)
    for name in _REQUIRED:
        if row.get(name) is None:
            raise InvalidColumn(name, f"must not be null (place {place})")
    clocks = row.get("clocks") or {}
    deleted_at = row.get("deleted_at")
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
            None if deleted_at is None else _time(deleted_at),
        )
    except ValueError as error:
        raise InvalidColumn("contacts", f"{error} (place {place})") from error


def _time(micros: int) -> datetime:
    return _EPOCH + timedelta(0, 0, micros)


def times(column: pa.Array) -> list[datetime | None]:
    """
    Return aware times; faster than Arrow, which looks up the zone of each value.

    >>> times(pa.array([0, None], pa.timestamp("us", tz="UTC")))
    [datetime.datetime(1970, 1, 1, 0, 0, tzinfo=datetime.timezone.utc), None]
    """
    micros = column.cast(pa.int64()).to_pylist()
    return [None if n is None else _EPOCH + timedelta(0, 0, n) for n in micros]


def _mappings(column: pa.StructArray) -> list[dict[str, Any]]:
    """Return a mapping for each struct, without its nulls."""
    names = [part.name for part in column.type]
    parts = [values(part) for part in column.flatten()]
    return [
        {n: v for n, v in zip(names, row, strict=True) if v is not None}
        for row in zip(*parts, strict=True)
    ]


def values(column: pa.Array) -> list[Any]:
    """
    Return the values of a column as those of a contact.

    Cost:
        Linear; twenty times as fast as the mappings of Arrow.

    >>> values(pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())))
    [{'a': 1}, None]
    """
    items: list[Any] = column.to_pylist()
    convert = converter(column.type)
    if convert is None:
        return items
    return [None if value is None else convert(value) for value in items]


def converter(kind: pa.DataType) -> Converter | None:
    """
    Return the function that converts a value of Arrow to that of a contact.

    Args:
        kind: The Arrow type.

    Returns:
        A function, or None if values need no conversion.

    >>> convert = converter(pa.list_(pa.struct([("a", pa.int64()), ("b", pa.int64())])))
    >>> convert([{"a": 1, "b": None}, None])
    [{'a': 1}, None]
    >>> converter(pa.list_(pa.int64())) is None
    True
    """
    if pa.types.is_struct(kind):
        converters = {part.name: converter(part.type) or _identity for part in kind}
        return lambda value: {
            n: converters[n](item) for n, item in value.items() if item is not None
        }
    if pa.types.is_map(kind):
        convert_item = converter(kind.item_type)
        if convert_item is None:
            return dict
        return lambda value: {
            n: None if v is None else convert_item(v) for n, v in value
        }
    if pa.types.is_nested(kind):
        convert = converter(kind.value_type)
        if convert is not None:
            return lambda value: [None if v is None else convert(v) for v in value]
    return None


def _identity(value: Any) -> Any:
    return value

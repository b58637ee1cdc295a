"""
From what a replay gives to Arrow, batch by batch.

Rules:
    A value is written as it is or not at all: what its declared type would change
    (a whole number in a column of doubles, say) fails, with its name.
    Columns are made whole, of one Arrow call each.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from upsertcore.engine.outcome import Outcome
from upsertcore.model.layout import ID
from upsertcore.model.record import KEY, ROW
from upsertcore.replay import ComputedForms, Event, Replayed, SentPatch, StoredContact
from upsertcore.spark.errors import UnfitValue
from upsertcore.spark.schemas import arrow_schema, check_fields, patches_schema
from upsertcore.values import FrozenMap, freeze, thaw

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

__all__ = ["ANSWERED", "MADE", "STORED", "batches", "column", "patches_table"]

STORED, ANSWERED, MADE = range(3)
"""Of a row of ``replayed_schema``: which of its parts is there."""

_ROWS = 10_000
"""How many rows a batch has; as many as Spark puts into one that it sends."""


def batches(
    events: Iterable[Event | ComputedForms], schema: pa.Schema, *, size: int = _ROWS
) -> Iterator[pa.RecordBatch]:
    """
    Write what a replay gives.

    Args:
        events: In any order.
        schema: The Arrow schema of ``replayed_schema``.
        size: How many rows a batch has.

    Raises:
        UnfitValue: If a contact holds what its declared type cannot.
    """
    held: dict[type, list[Any]] = {kind: [] for kind in _KINDS}
    for event in events:
        waiting = held[type(event)]
        waiting.append(event)
        if len(waiting) == size:
            yield _batch(waiting, schema)
            waiting.clear()
    for waiting in held.values():
        if waiting:
            yield _batch(waiting, schema)


def _batch(events: list[Any], schema: pa.Schema) -> pa.RecordBatch:
    """Write events of one kind; what the others would have is null."""
    count = len(events)
    number, name, write = _KINDS[type(events[0])]
    parts = {
        "kind": [number] * count,
        "component": [each.component for each in events],
        "sequence": [getattr(each, "sequence", None) for each in events],
    }
    columns = []
    for each in schema:
        if each.name == name:
            columns.append(write(events, each.type))
        elif each.name in parts:
            columns.append(pa.array(parts[each.name], each.type))
        else:
            columns.append(pa.nulls(count, each.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _links(events: list[ComputedForms], kind: pa.DataType) -> pa.Array:
    return pa.array([each.link for each in events], kind)


def _contacts(events: list[StoredContact], kind: pa.StructType) -> pa.StructArray:
    contacts = [each.contact for each in events]
    places = [each.sequence for each in events]
    plain = {
        "scope": [each.scope for each in contacts],
        "id": [each.id for each in contacts],
        "version": [each.version for each in contacts],
        "created_at": [each.created_at for each in contacts],
        "updated_at": [each.updated_at for each in contacts],
        "aliases": [[*each.aliases.items()] for each in contacts],
        "clocks": [
            [(name, json.dumps(clock)) for name, clock in each.clocks.items()]
            for each in contacts
        ],
        "merged_ids": [each.merged_ids for each in contacts],
        "deleted_at": [each.deleted_at for each in contacts],
    }
    fields = [each.fields.proxy for each in contacts]
    return pa.StructArray.from_arrays(
        [
            pa.array(plain[each.name], each.type)
            if each.name in plain
            else _fields(fields, each.type, places)
            for each in kind
        ],
        fields=[*kind],
    )


def _outcomes(events: list[Replayed], kind: pa.StructType) -> pa.StructArray:
    columns = zip(*[_told(each.answer) for each in events], strict=True)
    return pa.StructArray.from_arrays(
        [
            pa.array(values, part.type)
            for values, part in zip(columns, kind, strict=True)
        ],
        fields=[*kind],
    )


def _told(answer: Any) -> tuple[Any, ...]:
    """Tell an outcome, or a refusal, as its columns are declared."""
    if type(answer) is not Outcome:
        error = {"type": type(answer).__name__, "message": str(answer)}
        return "refused", None, None, (), (), (), (), error
    late = getattr(answer, "_told", None)
    if late is not None:
        # Parts that nobody asked for: nothing is withheld, ignored, hit or absorbed,
        # and the row says who it is. Making them costs as much as the upsert.
        row, matched_by = late[ROW], late[KEY]
        return answer.result, row[ID], matched_by, (), (), (), (), None
    withheld = [
        {
            "field": each.field,
            "value": _json(each.value),
            "holder": each.holder,
            "key": each.key,
        }
        for each in answer.withheld
    ]
    return (
        answer.result,
        answer.contact.id,
        answer.matched_by,
        withheld,
        (*answer.ignored.items(),),
        answer.also_matched,
        [each.id for each in answer.merged],
        None,
    )


def _json(value: Any) -> str:
    return json.dumps(thaw(value), ensure_ascii=False)


_KINDS: dict[type, tuple[int, str, Callable[..., pa.Array]]] = {
    StoredContact: (STORED, "contact", _contacts),
    Replayed: (ANSWERED, "outcome", _outcomes),
    ComputedForms: (MADE, "link", _links),
}


def patches_table(log: Iterable[SentPatch], fields: StructType) -> pa.Table:
    """
    Write a log of patches as an Arrow table, to be made a frame of.

    Args:
        log: What was sent.
        fields: As in ``patches_schema``.

    Returns:
        A table for ``spark.createDataFrame(table, patches_schema(fields))``.

    Raises:
        UnfitValue: If a value is of another type than its field is declared to be,
            or its field is not declared.

    >>> from datetime import datetime, timezone
    >>> from pyspark.sql.types import StringType, StructField, StructType
    >>> at = datetime(2024, 1, 2, tzinfo=timezone.utc)
    >>> fields = StructType([StructField("email", StringType())])
    >>> table = patches_table([SentPatch(1, {"email": "a@x.org"}, at)], fields)
    >>> table.column("patch").to_pylist()
    [{'email': 'a@x.org'}]
    """
    listed = [*log]
    check_fields("patch", fields)
    schema = arrow_schema(patches_schema(fields))
    frozen = [
        {name: freeze(value) for name, value in each.patch.items()} for each in listed
    ]
    sent = [{n: v for n, v in each.items() if v is not None} for each in frozen]
    sequences = [each.sequence for each in listed]
    columns = {
        "sequence": sequences,
        "at": [each.at for each in listed],
        "scope": [each.scope for each in listed],
        "nulls": [[n for n, v in each.items() if v is None] for each in frozen],
    }
    return pa.Table.from_arrays(
        [
            _fields(sent, each.type, sequences)
            if each.name == "patch"
            else pa.array(columns[each.name], each.type)
            for each in schema
        ],
        schema=schema,
    )


def _fields(
    found: Sequence[Mapping[str, Any]], kind: pa.StructType, sequences: Sequence[int]
) -> pa.StructArray:
    """Write the fields of contacts; where one does not fit, say which."""
    parts = []
    for each in kind:
        values = [fields.get(each.name) for fields in found]
        try:
            parts.append(column(values, each.type))
        except (ValueError, TypeError, OverflowError):
            place = [_fits(value, each.type) for value in values].index(False)
            value, sequence = thaw(values[place]), sequences[place]
            raise UnfitValue(each.name, value, sequence, str(each.type)) from None
    if _there(parts) != sum(map(len, found)):
        declared = {each.name for each in kind}
        name, value, sequence = next(
            (name, thaw(value), sequence)
            for fields, sequence in zip(found, sequences, strict=True)
            for name, value in fields.items()
            if name not in declared
        )
        raise UnfitValue(name, value, sequence, "")
    return pa.StructArray.from_arrays(parts, fields=[*kind])


def _there(parts: list[pa.Array]) -> int:
    return sum(len(each) - each.null_count for each in parts)


def _fits(value: Any, kind: pa.DataType) -> bool:
    try:
        column([value], kind)
    except (ValueError, TypeError, OverflowError):
        return False
    return True


_NULL = type(None)
_LEAVES: dict[pa.DataType, frozenset[type]] = {
    pa.string(): frozenset({str, _NULL}),
    pa.bool_(): frozenset({bool, _NULL}),
    pa.int8(): frozenset({int, _NULL}),
    pa.int16(): frozenset({int, _NULL}),
    pa.int32(): frozenset({int, _NULL}),
    pa.int64(): frozenset({int, _NULL}),
    pa.float64(): frozenset({float, _NULL}),
}
_LISTS: frozenset[type] = frozenset({tuple, _NULL})
_MAPS: frozenset[type] = frozenset({FrozenMap, _NULL})


def column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """
    Write frozen values as they are, types told apart.

    Args:
        values: None where there is none.
        kind: The declared type.

    Raises:
        TypeError: If one is of another type.
        ValueError: If a mapping does not fit a struct, or a number is too large.
        OverflowError: If a number is too large.

    Cost:
        Linear; a leaf costs a look at its type and Arrow's own conversion.

    >>> column(("a", None), pa.string()).to_pylist()
    ['a', None]
    >>> column((1,), pa.float64())
    Traceback (most recent call last):
    ...
    TypeError: not all of them are double
    """
    allowed = _LEAVES.get(kind)
    if allowed is not None:
        _see_that(allowed, values, kind)
        return pa.array(values, kind)
    absent = [value is None for value in values]
    mask = pa.array(absent) if True in absent else None
    if pa.types.is_struct(kind):
        _see_that(_MAPS, values, kind)
        return _structs(values, kind, mask)
    _see_that(_LISTS if pa.types.is_list(kind) else _MAPS, values, kind)
    there = [value for value in values if value is not None]
    sizes = [0 if value is None else len(value) for value in values]
    offsets = pa.array(accumulate(sizes, initial=0), pa.int32())
    if pa.types.is_list(kind):
        items = column([*chain.from_iterable(there)], kind.value_type)
        return pa.ListArray.from_arrays(offsets, items, type=kind, mask=mask)
    names = column([*chain.from_iterable(there)], kind.key_type)
    items = [item for value in there for item in value.values()]
    written = column(items, kind.item_type)
    return pa.MapArray.from_arrays(offsets, names, written, type=kind, mask=mask)


def _structs(
    values: Sequence[Any], kind: pa.StructType, mask: pa.Array | None
) -> pa.StructArray:
    parts = [
        column([None if v is None else v.get(each.name) for v in values], each.type)
        for each in kind
    ]
    if _there(parts) != sum(len(value) for value in values if value is not None):
        raise ValueError("a name that is not declared, or a null, is in one of them")
    return pa.StructArray.from_arrays(parts, fields=[*kind], mask=mask)


def _see_that(
    allowed: frozenset[type], values: Sequence[Any], kind: pa.DataType
) -> None:
    if not allowed.issuperset(map(type, values)):
        raise TypeError(f"not all of them are {kind}")

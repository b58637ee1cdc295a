"""
Converts the results of a replay to Arrow batches.

Rules:
    A value that its declared type would change, such as an integer in a column of
    doubles, is refused with the name of its field.
    Each column is built by one Arrow call.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from upsertcore.engine.outcome import Outcome
from upsertcore.model.packed_row import ID
from upsertcore.model.write_record import CONFLICTS, IGNORED, KEY, ROW
from upsertcore.replay import ComputedForms, Event, Replayed, SentPatch, StoredContact
from upsertcore.spark.errors import UnfitValue
from upsertcore.spark.schemas import arrow_schema, check_fields, patches_schema
from upsertcore.values import FrozenMap, freeze, thaw

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

__all__ = [
    "CONTACT_ROW",
    "LINK_ROW",
    "OUTCOME_ROW",
    "patches_table",
    "to_array",
    "write_batches",
]

CONTACT_ROW, OUTCOME_ROW, LINK_ROW = range(3)
"""The kinds of rows of ``replayed_schema``."""

_BATCH_SIZE = 10_000
"""The number of rows of a batch; the same as that of Spark."""


def write_batches(
    events: Iterable[Event | ComputedForms],
    schema: pa.Schema,
    *,
    size: int = _BATCH_SIZE,
) -> Iterator[pa.RecordBatch]:
    """
    Yield the events of a replay as batches.

    Args:
        events: The events, in any order.
        schema: The Arrow schema of ``replayed_schema``.
        size: The number of rows of a batch.

    Raises:
        UnfitValue: If a declared type cannot represent a value.
    """
    pending: dict[type, list[Any]] = {kind: [] for kind in _KINDS}
    for event in events:
        events_ = pending[type(event)]
        events_.append(event)
        if len(events_) == size:
            yield _batch(events_, schema)
            events_.clear()
    for events_ in pending.values():
        if events_:
            yield _batch(events_, schema)


def _batch(events: list[Any], schema: pa.Schema) -> pa.RecordBatch:
    """Return events of one kind as a batch; other columns are null."""
    count = len(events)
    number, name, write = _KINDS[type(events[0])]
    parts = {
        "kind": [number] * count,
        "component": [event.component for event in events],
        "sequence": [getattr(event, "sequence", None) for event in events],
    }
    columns = []
    for event in schema:
        if event.name == name:
            columns.append(write(events, event.type))
        elif event.name in parts:
            columns.append(pa.array(parts[event.name], event.type))
        else:
            columns.append(pa.nulls(count, event.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _links(events: list[ComputedForms], kind: pa.DataType) -> pa.Array:
    return pa.array([event.link for event in events], kind)


def _contacts(events: list[StoredContact], kind: pa.StructType) -> pa.StructArray:
    contacts = [contact.contact for contact in events]
    places = [contact.sequence for contact in events]
    plain = {
        "scope": [contact.scope for contact in contacts],
        "id": [contact.id for contact in contacts],
        "version": [contact.version for contact in contacts],
        "created_at": [contact.created_at for contact in contacts],
        "updated_at": [contact.updated_at for contact in contacts],
        "aliases": [[*contact.aliases.items()] for contact in contacts],
        "clocks": [
            [(name, json.dumps(clock)) for name, clock in contact.clocks.items()]
            for contact in contacts
        ],
        "merged_ids": [contact.merged_ids for contact in contacts],
        "deleted_at": [contact.deleted_at for contact in contacts],
    }
    fields = [contact.fields.proxy for contact in contacts]
    return pa.StructArray.from_arrays(
        [
            pa.array(plain[contact.name], contact.type)
            if contact.name in plain
            else _fields(fields, contact.type, places)
            for contact in kind
        ],
        fields=[*kind],
    )


def _outcomes(events: list[Replayed], kind: pa.StructType) -> pa.StructArray:
    columns = zip(*[_outcome_values(event.answer) for event in events], strict=True)
    return pa.StructArray.from_arrays(
        [
            pa.array(values, part.type)
            for values, part in zip(columns, kind, strict=True)
        ],
        fields=[*kind],
    )


def _outcome_values(answer: Any) -> tuple[Any, ...]:
    """Return an outcome or a refusal as values of the declared columns."""
    if type(answer) is not Outcome:
        error = {"type": type(answer).__name__, "message": str(answer)}
        return "refused", None, None, (), (), (), (), error
    lazy = getattr(answer, "_record", None)
    if lazy is not None and lazy[CONFLICTS] is None:
        # A lazy outcome whose other parts are empty: reading them would create them,
        # which costs as much as the upsert.
        row, matched_by, ignored = lazy[ROW], lazy[KEY], (lazy[IGNORED] or {}).items()
        return answer.result, row[ID], matched_by, (), (*ignored,), (), (), None
    withheld = [
        {
            "field": entry.field,
            "value": _json(entry.value),
            "holder": entry.holder,
            "key": entry.key,
        }
        for entry in answer.withheld
    ]
    return (
        answer.result,
        answer.contact.id,
        answer.matched_by,
        withheld,
        (*answer.ignored.items(),),
        answer.also_matched,
        [entry.id for entry in answer.merged],
        None,
    )


def _json(value: Any) -> str:
    return json.dumps(thaw(value), ensure_ascii=False)


_KINDS: dict[type, tuple[int, str, Callable[..., pa.Array]]] = {
    StoredContact: (CONTACT_ROW, "contact", _contacts),
    Replayed: (OUTCOME_ROW, "outcome", _outcomes),
    ComputedForms: (LINK_ROW, "link", _links),
}


def patches_table(log: Iterable[SentPatch], fields: StructType) -> pa.Table:
    """
    Return a log of patches as an Arrow table, from which to create a frame.

    Args:
        log: The patches.
        fields: As in ``patches_schema``.

    Returns:
        A table for ``spark.createDataFrame(table, patches_schema(fields))``.

    Raises:
        UnfitValue: If a value has another type than its field declares, or its field
            is not declared.

    >>> from datetime import datetime, timezone
    >>> from pyspark.sql.types import StringType, StructField, StructType
    >>> at = datetime(2024, 1, 2, tzinfo=timezone.utc)
    >>> fields = StructType([StructField("email", StringType())])
    >>> table = patches_table([SentPatch(1, {"email": "a@x.org"}, at)], fields)
    >>> table.column("patch").to_pylist()
    [{'email': 'a@x.org'}]
    """
    entries = [*log]
    check_fields("patch", fields)
    schema = arrow_schema(patches_schema(fields))
    frozen = [
        {name: freeze(value) for name, value in entry.patch.items()}
        for entry in entries
    ]
    values = [{n: v for n, v in entry.items() if v is not None} for entry in frozen]
    sequences = [entry.sequence for entry in entries]
    columns = {
        "sequence": sequences,
        "at": [entry.at for entry in entries],
        "scope": [entry.scope for entry in entries],
        "nulls": [[n for n, v in entry.items() if v is None] for entry in frozen],
    }
    return pa.Table.from_arrays(
        [
            _fields(values, entry.type, sequences)
            if entry.name == "patch"
            else pa.array(columns[entry.name], entry.type)
            for entry in schema
        ],
        schema=schema,
    )


def _fields(
    mappings: Sequence[Mapping[str, Any]], kind: pa.StructType, sequences: Sequence[int]
) -> pa.StructArray:
    """Return the fields of contacts as a struct; report a value that does not fit."""
    parts = []
    for part in kind:
        values = [fields.get(part.name) for fields in mappings]
        try:
            parts.append(to_array(values, part.type))
        except (ValueError, TypeError, OverflowError):
            place = [_fits(value, part.type) for value in values].index(False)
            value, sequence = thaw(values[place]), sequences[place]
            raise UnfitValue(part.name, value, sequence, str(part.type)) from None
    if _non_null_count(parts) != sum(map(len, mappings)):
        declared = {part.name for part in kind}
        name, value, sequence = next(
            (name, thaw(value), sequence)
            for fields, sequence in zip(mappings, sequences, strict=True)
            for name, value in fields.items()
            if name not in declared
        )
        raise UnfitValue(name, value, sequence, "")
    return pa.StructArray.from_arrays(parts, fields=[*kind])


def _non_null_count(parts: list[pa.Array]) -> int:
    return sum(len(part) - part.null_count for part in parts)


def _fits(value: Any, kind: pa.DataType) -> bool:
    try:
        to_array([value], kind)
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


def to_array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """
    Return frozen values as an Arrow array, without converting between types.

    Args:
        values: The values, None for null.
        kind: The declared type.

    Raises:
        TypeError: If a value has another type.
        ValueError: If a mapping does not fit a struct, or a number is too large.
        OverflowError: If a number is too large.

    Cost:
        Linear; a leaf costs a type check and the conversion by Arrow.

    >>> to_array(("a", None), pa.string()).to_pylist()
    ['a', None]
    >>> to_array((1,), pa.float64())
    Traceback (most recent call last):
    ...
    TypeError: all values must be double
    """
    allowed = _LEAVES.get(kind)
    if allowed is not None:
        _check_types(allowed, values, kind)
        return pa.array(values, kind)
    is_null = [value is None for value in values]
    mask = pa.array(is_null) if True in is_null else None
    if pa.types.is_struct(kind):
        _check_types(_MAPS, values, kind)
        return _structs(values, kind, mask)
    _check_types(_LISTS if pa.types.is_list(kind) else _MAPS, values, kind)
    present = [value for value in values if value is not None]
    sizes = [0 if value is None else len(value) for value in values]
    offsets = pa.array(accumulate(sizes, initial=0), pa.int32())
    if pa.types.is_list(kind):
        items = to_array([*chain.from_iterable(present)], kind.value_type)
        return pa.ListArray.from_arrays(offsets, items, type=kind, mask=mask)
    names = to_array([*chain.from_iterable(present)], kind.key_type)
    items = [item for value in present for item in value.values()]
    values_array = to_array(items, kind.item_type)
    return pa.MapArray.from_arrays(offsets, names, values_array, type=kind, mask=mask)


def _structs(
    values: Sequence[Any], kind: pa.StructType, mask: pa.Array | None
) -> pa.StructArray:
    parts = [
        to_array([None if v is None else v.get(part.name) for v in values], part.type)
        for part in kind
    ]
    if _non_null_count(parts) != sum(
        len(value) for value in values if value is not None
    ):
        raise ValueError("a mapping has an undeclared name or a null")
    return pa.StructArray.from_arrays(parts, fields=[*kind], mask=mask)


def _check_types(
    allowed: frozenset[type], values: Sequence[Any], kind: pa.DataType
) -> None:
    if not allowed.issuperset(map(type, values)):
        raise TypeError(f"all values must be {kind}")

"""The contacts and outcomes that one book makes of a log, as rows of the frames."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pyarrow as pa

from upsertcore import Contact, ContactBook, Outcome, Policy
from upsertcore.errors import Refused
from upsertcore.replay import SentPatch, components
from upsertcore.spark import from_arrow
from upsertcore.values import thaw

Rows = dict[int, dict[str, Any]]


def sequential(
    log: Sequence[SentPatch], policy: Policy, *, ids: Callable[[int], str] = str
) -> tuple[Rows, Rows]:
    """Return contacts by place and outcomes by sequence, as one book makes them."""
    current = [log[0]]
    book = ContactBook(
        policy, ids=lambda: ids(current[0].sequence), clock=lambda: current[0].at
    )
    component = {row.sequence: row.component for row in components(log, policy).rows}
    places: dict[str, int] = {}
    outcomes: Rows = {}
    for sent in log:
        current[0] = sent
        result: Outcome | Refused
        try:
            result = outcome = book.upsert(sent.patch, scope=sent.scope)
        except Refused as refusal:
            result = refusal
        else:
            if outcome.created:
                places[outcome.contact.id] = sent.sequence
        row = _outcome(result)
        outcomes[sent.sequence] = {"component": component[sent.sequence], **row}
    return {places[contact.id]: contact_row(contact) for contact in book}, outcomes


def contact_row(contact: Contact) -> dict[str, Any]:
    """Return a contact as a row of ``contacts_schema``, without its place."""
    return {
        "id": contact.id,
        "scope": contact.scope,
        "version": contact.version,
        "created_at": contact.created_at,
        "updated_at": contact.updated_at,
        "fields": thaw(contact.fields),
        "aliases": thaw(contact.aliases),
        "clocks": {name: json.dumps(clock) for name, clock in contact.clocks.items()},
        "merged_ids": [*contact.merged_ids],
        "deleted_at": contact.deleted_at,
    }


def _outcome(result: Outcome | Refused) -> dict[str, Any]:
    row: dict[str, Any] = {
        "result": "refused",
        "id": None,
        "matched_by": None,
        **{name: [] for name in ("withheld", "also_matched", "merged")},
        "ignored": {},
        "error": None,
    }
    if isinstance(result, Refused):
        error = {"type": type(result).__name__, "message": str(result)}
        return row | {"error": error}
    withheld = [
        {
            "field": item.field,
            "value": json.dumps(thaw(item.value), ensure_ascii=False),
            "holder": item.holder,
            "key": item.key,
        }
        for item in result.withheld
    ]
    return row | {
        "result": result.result,
        "id": result.contact.id,
        "matched_by": result.matched_by,
        "withheld": withheld,
        "ignored": thaw(result.ignored),
        "also_matched": [*result.also_matched],
        "merged": [item.id for item in result.merged],
    }


def collected_rows(frame: Any) -> Rows:
    """Collect a frame of contacts or outcomes, by its first column."""
    return rows_of(frame.toArrow().to_batches())


def rows_of(batches: Iterable[pa.RecordBatch]) -> Rows:
    """Return the rows of batches by their first column, which is unique."""
    rows: Rows = {}
    for batch in batches:
        first, *rest = [_values(column) for column in batch.columns]
        names = batch.schema.names[1:]
        for number, row in zip(first, zip(*rest, strict=True), strict=True):
            assert number not in rows
            rows[number] = dict(zip(names, row, strict=True))
    return rows


def _values(column: pa.Array) -> list[Any]:
    if pa.types.is_timestamp(column.type):
        return from_arrow.times(column)
    return from_arrow.values(column)

"""What one book makes of a log, in the words of the answered frames."""

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
    """Give contacts by place and outcomes by sequence, as one book makes them."""
    now = [log[0]]
    book = ContactBook(
        policy, ids=lambda: ids(now[0].sequence), clock=lambda: now[0].at
    )
    component = {row.sequence: row.component for row in components(log, policy).rows}
    places: dict[str, int] = {}
    outcomes: Rows = {}
    for sent in log:
        now[0] = sent
        answer: Outcome | Refused
        try:
            answer = outcome = book.upsert(sent.patch, scope=sent.scope)
        except Refused as refusal:
            answer = refusal
        else:
            if outcome.created:
                places[outcome.contact.id] = sent.sequence
        told = _outcome(answer)
        outcomes[sent.sequence] = {"component": component[sent.sequence], **told}
    return {places[each.id]: contact_row(each) for each in book}, outcomes


def contact_row(contact: Contact) -> dict[str, Any]:
    """Tell a contact as ``contacts_schema`` has it, but for its place."""
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


def _outcome(answer: Outcome | Refused) -> dict[str, Any]:
    row: dict[str, Any] = {
        "result": "refused",
        "id": None,
        "matched_by": None,
        **{name: [] for name in ("withheld", "also_matched", "merged")},
        "ignored": {},
        "error": None,
    }
    if isinstance(answer, Refused):
        error = {"type": type(answer).__name__, "message": str(answer)}
        return row | {"error": error}
    withheld = [
        {
            "field": each.field,
            "value": json.dumps(thaw(each.value), ensure_ascii=False),
            "holder": each.holder,
            "key": each.key,
        }
        for each in answer.withheld
    ]
    return row | {
        "result": answer.result,
        "id": answer.contact.id,
        "matched_by": answer.matched_by,
        "withheld": withheld,
        "ignored": thaw(answer.ignored),
        "also_matched": [*answer.also_matched],
        "merged": [each.id for each in answer.merged],
    }


def listed(frame: Any) -> Rows:
    """Collect a frame of contacts or outcomes, by its first column."""
    return rows_of(frame.toArrow().to_batches())


def rows_of(batches: Iterable[pa.RecordBatch]) -> Rows:
    """Give the rows of batches by their first column, which no two share."""
    found: Rows = {}
    for batch in batches:
        first, *rest = [_values(column) for column in batch.columns]
        names = batch.schema.names[1:]
        for number, row in zip(first, zip(*rest, strict=True), strict=True):
            assert number not in found
            found[number] = dict(zip(names, row, strict=True))
    return found


def _values(column: pa.Array) -> list[Any]:
    if pa.types.is_timestamp(column.type):
        return from_arrow.times(column)
    return from_arrow.values(column)

"""
What is stored as text: contacts, outcomes and calls, written and read back.

Rules:
    What is read back equals what was written: numbers of any size, -0.0, the order of
    the fields, every Unicode text.
    A form that is long, or that a database cannot hold, is stored as its digest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from upsertcore.engine.outcome import Outcome, Withheld
from upsertcore.model.contact import Contact, read_row
from upsertcore.model.packed_row import (
    FORMS,
    NAMES,
    Names,
    Row,
    contact_from_row,
    pack,
)
from upsertcore.values import FrozenMap, freeze, thaw

if TYPE_CHECKING:
    from upsertcore.policy.policy import Policy
    from upsertcore.store.idempotency import CallKey

__all__ = [
    "call_text",
    "form_text",
    "outcome_from_text",
    "outcome_text",
    "row_from_texts",
    "row_texts",
]

_encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":")
).encode

_MAX_FORM = 500
_DIGEST = "#sha256:"


def form_text(form: str) -> str:
    """
    Return what is stored of a form.

    A long form is stored as its digest, since an index of PostgreSQL takes no more than
    some 2,600 bytes; so is one with U+0000, which PostgreSQL does not store.

    >>> form_text("ada@x.org"), len(form_text("a" * 600)) < 100
    ('ada@x.org', True)
    """
    if len(form) <= _MAX_FORM and "\0" not in form and not form.startswith(_DIGEST):
        return form
    return _DIGEST + sha256(form.encode()).hexdigest()


def row_texts(row: Row, keys: tuple[str, ...]) -> tuple[str, str]:
    """
    Return the texts of a row: the contact, and its forms per key.

    Args:
        row: The row of a contact.
        keys: The names of the keys, in the order of its forms.
    """
    parts = row[FORMS : len(row) - len(row[NAMES])]
    forms = {key: part for key, part in zip(keys, parts, strict=True) if part}
    return _encode(contact_from_row(row).to_dict()), _encode(forms)


def row_from_texts(
    place: int, body: str, forms: str, keys: tuple[str, ...], names: Names
) -> Row:
    """
    Return the row of a contact that was stored.

    Args:
        place: Its place in the order of creation.
        body: As :func:`row_texts` returns it.
        forms: As ``body``.
        keys: The names of the keys.
        names: The names of rows.
    """
    parts = read_row(json.loads(body))
    held = json.loads(forms)
    packed = [tuple(p) if type(p) is list else p for p in map(held.get, keys)]
    fields, own = parts[2], names.of(parts[2])
    return pack(parts, own, place, packed, map(fields.get, own))


def outcome_text(outcome: Outcome) -> str:
    """Return the text of an outcome; its policy is not stored."""
    row = outcome.to_dict()
    del row["changes"], row["replayed"]
    return _encode(row)


def outcome_from_text(text: str, policy: Policy) -> Outcome:
    """
    Return the outcome of a text.

    Args:
        text: As :func:`outcome_text` returns it.
        policy: Whose rules it names when it explains itself.
    """
    row = json.loads(text)
    contact = Contact.from_dict(row["contact"])
    before = row["before"]
    if before is not None:
        before = Contact.from_dict(before)
        # An unchanged contact is one object in the first outcome, too.
        before = contact if before == contact else before
    withheld = [
        Withheld(one["field"], freeze(one["value"]), one["holder"], one["key"])
        for one in row["withheld"]
    ]
    return Outcome(
        row["result"],
        contact,
        before,
        row["matched_by"],
        tuple(withheld),
        FrozenMap.trusted(row["ignored"]),
        tuple(row["also_matched"]),
        tuple([Contact.from_dict(one) for one in row["merged"]]),
        policy,
    )


def call_text(call: CallKey) -> str:
    """
    Return what identifies a call, as every process writes it.

    Args:
        call: As ``upsertcore.store.idempotency.call_key`` returns it.
    """
    identity: Any = call[2]
    digest, overrides, arguments = identity
    rules = None if overrides is None else sorted(map(repr, overrides))
    return _encode([digest.hex(), rules, [_argument_text(part) for part in arguments]])


def _argument_text(part: Any) -> Any:
    """Return a plain value of an argument of a call; a strategy by what it declares."""
    if hasattr(part, "resolve"):
        guard = getattr(part.guard, "__qualname__", None)
        return [part.name, [*part.keys], guard, getattr(part, "on_contradiction", None)]
    if isinstance(part, Mapping):
        return thaw(part)
    return part if part is None or isinstance(part, (str, int)) else repr(part)

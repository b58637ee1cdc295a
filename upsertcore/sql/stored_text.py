"""
What is stored as text: contacts, outcomes and calls, written and read back.

Rules:
    What is read back equals what was written: numbers of any size, -0.0, the order of
    the fields, every Unicode text.
    A form that is long, or that a database cannot hold, is stored as its digest.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from upsertcore.engine.outcome import Outcome, Withheld
from upsertcore.matching.protocol import Strategy
from upsertcore.model.contact import Contact, read_row
from upsertcore.values import FrozenMap, freeze

if TYPE_CHECKING:
    from upsertcore.model.contact import Parts
    from upsertcore.model.view import Forms
    from upsertcore.policy.policy import Policy
    from upsertcore.store.idempotency import CallKey
    from upsertcore.store.placed import Placed

__all__ = [
    "call_text",
    "contact_from_texts",
    "contact_texts",
    "form_text",
    "outcome_from_text",
    "outcome_text",
]

_encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":")
).encode

_MAX_FORM = 500  # bytes
_DIGEST = "#sha256:"


def form_text(form: str) -> str:
    """
    Return what is stored of a form.

    A long form is stored as its digest, since an index of PostgreSQL takes no more than
    some 2,600 bytes; so is one with U+0000, which PostgreSQL does not store.

    >>> form_text("ada@x.org"), len(form_text("a" * 600)) < 100
    ('ada@x.org', True)
    """
    encoded = form.encode()
    if len(encoded) <= _MAX_FORM and "\0" not in form and form[:8] != _DIGEST:
        return form
    return _DIGEST + sha256(encoded).hexdigest()


def contact_texts(placed: Placed, keys: tuple[str, ...]) -> dict[str, str]:
    """
    Return the texts of a contact: of itself, and of its forms per key.

    Args:
        placed: The contact, with its forms.
        keys: The names of the keys, in the order of its forms.
    """
    forms = {key: held for key, held in zip(keys, placed.forms, strict=True) if held}
    return {"body": _encode(placed.contact.to_dict()), "forms": _encode(forms)}


def contact_from_texts(
    body: str, forms: str, keys: tuple[str, ...]
) -> tuple[Parts, Forms]:
    """
    Return the parts of a contact that was stored, and its forms.

    Args:
        body: As :func:`contact_texts` returns it.
        forms: As ``body``.
        keys: The names of the keys.
    """
    held = json.loads(forms)
    return read_row(json.loads(body)), tuple([tuple(held.get(key, ())) for key in keys])


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
    if isinstance(part, Strategy):
        guard = getattr(part.guard, "__qualname__", None)
        return [part.name, [*part.keys], guard, part.on_contradiction]
    return part if part is None or isinstance(part, (str, int)) else repr(part)

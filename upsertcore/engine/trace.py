"""
The trace: why each key of a strategy was taken or not, in words.

Rules:
    It retells what was asked and answered, and asks nothing again.
    It is made when somebody wants to see it, and never on the way to a decision.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, final

from attrs import frozen

from upsertcore.normalize import phone
from upsertcore.values import empty

if TYPE_CHECKING:
    from upsertcore.engine.patch import Request
    from upsertcore.model.contact import Contact
    from upsertcore.policy.keys import Key

__all__ = ["Step", "absence_reason", "trace"]


@final
@frozen
class Step:
    """
    What a plan says of one key of the strategy.

    Args:
        key: The name of the key.
        forms: The normal forms that the patch carries.
        holders: Ids of the contacts that hold one of them, in the order found.
        note: Why it was taken or not, in words.

    >>> Step("email", ("a@x.org",), (), "no match").note
    'no match'
    """

    key: str
    forms: tuple[str, ...]
    holders: tuple[str, ...]
    note: str


def trace(
    asked: Request,
    before: Contact | None,
    matched_by: str | None,
    merged: tuple[Contact, ...] = (),
) -> tuple[Step, ...]:
    """
    Tell the story of a match.

    Args:
        asked: What was asked, and answered.
        before: The contact that was found, None for nobody.
        matched_by: The name of the key that decided.
        merged: The contacts that are merged into it.

    Returns:
        One step per key of the strategy, in its order.

    >>> from upsertcore import ContactBook, Policy, field, first_match, normalize
    >>> fields = {name: field(key=normalize.text) for name in ("name", "nick")}
    >>> book = ContactBook(Policy(first_match("name", "nick"), fields))
    >>> [step.note for step in book.plan({"nick": "ada"}).trace]
    ['omitted: no key', 'no match']
    """
    kin = {contact.id for contact in merged}
    found = None if before is None else before.id
    steps, decided = [], False
    for name in asked.strategy.keys:
        steps.append(_step(asked, name, found, matched_by, kin, decided=decided))
        decided = decided or name == matched_by
    return tuple(steps)


def _step(
    asked: Request,
    name: str,
    found: str | None,
    matched_by: str | None,
    kin: set[str],
    *,
    decided: bool,
) -> Step:
    """Tell of one key; *decided* is true where a key before it has decided."""
    hits, reason = asked.dropped_keys.get(name, (asked.hits.get(name), None))
    if hits is None:
        return Step(name, (), (), "not consulted: another key decides alone")
    forms = tuple(form for form, _ids in hits)
    ids = tuple(dict.fromkeys(id for _form, ids in hits for id in ids))
    if reason is not None:
        note = _LEFT_OUT[reason]
    elif not forms:
        reason, _value = absence_reason(asked, name)
        note = _NOTES.get(reason, f"{reason}: no key")
    elif not ids:
        note = "no match"
    elif name == matched_by:
        note = "decides"
    elif found in ids:
        note = "agrees"
    elif not kin.isdisjoint(ids):
        note = "matches another contact, which is merged"
    elif asked.strategy.merges:
        note = "matches another contact, which is not merged"
    elif decided:
        note = "matches another contact, but an earlier key has decided"
    else:
        note = "contradicted by a higher key"
    return Step(name, forms, ids, note)


_NOTES = {
    "no usable form": "no usable form: not a key",
    "national number": "no usable form: not a key; phone_in reads national numbers",
    "blocked": "blocked: not a key",
}
_LEFT_OUT = {
    "guard": "left out: contradicted by a higher key",
    "limit": "left out: the contact would hold too many keys",
}


def absence_reason(asked: Request, name: str) -> tuple[str, Any]:
    """
    Say why a patch does not carry a key.

    Args:
        asked: The patch, cleaned.
        name: The name of the key.

    Returns:
        The reason, and the sent value that it is about; None where there is none.

    >>> from upsertcore import Policy, field, first_match, normalize
    >>> from upsertcore.store.index import ContactIndex
    >>> from upsertcore.engine.patch import Request
    >>> policy = Policy(first_match("phone"), {"phone": field(key=normalize.phone)})
    >>> patch = {"phone": "555-0105"}, {}
    >>> from upsertcore.policy.policy import compiled
    >>> asked = Request(
    ...     compiled(policy).by_name, patch, ContactIndex(), "", policy.match
    ... )
    >>> absence_reason(asked, "phone")
    ('national number', '555-0105')
    """
    sent, key = asked.sent, asked.key(name)
    parts = [sent[field] for field in key.fields if field in sent]
    why = [asked.ignored.get(field) for field in key.fields if field not in sent]
    left_out = next((each for each in why if each in _LEFT_OUT_FOR), None)
    if not parts:
        return left_out or "omitted", None
    wanting = all if key.any_of else any
    if wanting(part is None for part in parts):
        return "null", None
    if wanting(empty(part) for part in parts):
        return "blank", None
    if key.composite and len(parts) < len(key.fields):
        return left_out or "partly omitted", None
    lacking = key.unusable_values(sent)
    if not lacking:
        return "blank", None
    field, value, reason = lacking[0]
    national = reason == "no usable form" and _is_national(key, field, value)
    return "national number" if national else reason, value


def _is_national(key: Key, field: str, value: Any) -> bool:
    """Tell whether a value is a telephone number that lacks its country."""
    if key.normalize[key.fields.index(field)] is not phone:
        return False
    if type(value) is int and 0 <= value < _TOO_LONG:
        value = str(value)
    if type(value) is not str or _DIALLED(value) is None:
        return False
    return len("".join(_DIGITS(value))) >= _SHORTEST


_LEFT_OUT_FOR = ("null", "blank", "blocked")
_SHORTEST = 5
_TOO_LONG = 10**15
_DIGITS = re.compile("[0-9]+").findall
_DIALLED = re.compile(r"\s*(?!00)[0-9(][0-9\s().\-/]*").fullmatch

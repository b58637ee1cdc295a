"""
The trace: why each key of a strategy matched or did not, in words.

Rules:
    It is derived from the look-ups of the decision, without any further ones.
    It is computed on demand, never on the way to a decision.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, final

from attrs import frozen

from upsertcore.matching.visitor import VISITOR
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
    What a plan reports of one key of the strategy.

    Args:
        key: The name of the key.
        forms: The normal forms that the patch carries.
        holders: Ids of the contacts that hold one of them, in the order of look-ups.
        note: Why it matched or did not, in words.

    >>> Step("email", ("a@x.org",), (), "no match").note
    'no match'
    """

    key: str
    forms: tuple[str, ...]
    holders: tuple[str, ...]
    note: str

    def to_dict(self) -> dict[str, Any]:
        """
        Return a dict of plain values, ready for JSON.

        >>> Step("email", ("a@x.org",), (), "no match").to_dict()["forms"]
        ['a@x.org']
        """
        return {
            "key": self.key,
            "forms": [*self.forms],
            "holders": [*self.holders],
            "note": self.note,
        }


def trace(
    request: Request,
    before: Contact | None,
    matched_by: str | None,
    merged: tuple[Contact, ...] = (),
) -> tuple[Step, ...]:
    """
    Explain a match.

    Args:
        request: The patch, and the look-ups of the decision.
        before: The matched contact, None for a new one.
        matched_by: The name of the key that matched it.
        merged: The contacts that are merged into it.

    Returns:
        One step per key of the strategy, in its order.

    >>> from upsertcore import ContactBook, Policy, field, first_match, normalize
    >>> fields = {name: field(key=normalize.text) for name in ("name", "nick")}
    >>> book = ContactBook(Policy(first_match("name", "nick"), fields))
    >>> [step.note for step in book.plan({"nick": "ada"}).trace]
    ['omitted: no key', 'no match']
    """
    merged_ids = {contact.id for contact in merged}
    id = None if before is None else before.id
    steps, decided = [], False
    for name in request.strategy.keys:
        steps.append(_step(request, name, id, matched_by, merged_ids, decided=decided))
        decided = decided or name == matched_by
    return tuple(steps)


def _step(
    request: Request,
    name: str,
    id: str | None,
    matched_by: str | None,
    merged_ids: set[str],
    *,
    decided: bool,
) -> Step:
    """Explain one key; *decided* is true where an earlier key has decided."""
    hits, reason = request.dropped_keys.get(name, (request.hits.get(name), None))
    shown = {"": "id", VISITOR: "visitor"}.get(name, name)
    if hits is None:
        return Step(shown, (), (), "not consulted: another key decides alone")
    is_id = name in (request.id_name, VISITOR)
    forms = tuple(form for form, _ids in hits)
    ids = tuple(dict.fromkeys(id for _form, ids in hits for id in ids))
    if reason is not None:
        note = _DROPPED_NOTES[reason]
    elif not forms:
        reason, _value = absence_reason(request, name)
        note = _NO_KEY_NOTES.get(reason, f"{reason}: no key")
    elif not ids:
        note = "no contact has it" if is_id else "no match"
    elif name == matched_by or (is_id and matched_by is None and id in ids):
        note = "decides"
    elif id in ids:
        note = "agrees"
    elif not merged_ids.isdisjoint(ids):
        note = "matches another contact, which is merged"
    else:
        note = _why_apart(request, name, decided=decided)
    return Step(shown, forms, ids, note)


def _why_apart(request: Request, name: str, *, decided: bool) -> str:
    """Return why a contact that a key matches has no part in the decision."""
    if name == VISITOR and request.ignored.get("visitor") == "limit":
        return "stays apart: the contact would hold too many keys"
    if name == VISITOR:
        return "another contact: it holds another value of a key of the patch"
    if request.strategy.merges:
        return "matches another contact, which is not merged"
    if decided:
        return "matches another contact, but an earlier key has decided"
    return "contradicted by a higher key"


_NO_KEY_NOTES = {
    "no usable form": "no usable form: not a key",
    "national number": "no usable form: not a key; phone_in reads national numbers",
    "blocked": "blocked: not a key",
}
_DROPPED_NOTES = {
    "guard": "left out: contradicted by a higher key",
    "limit": "left out: the contact would hold too many keys",
}


def absence_reason(request: Request, name: str) -> tuple[str, Any]:
    """
    Return why a patch does not carry a key.

    Args:
        request: The cleaned patch.
        name: The name of the key.

    Returns:
        The reason, and the value that was sent; None where there is none.

    >>> from upsertcore import Policy, field, first_match, normalize
    >>> from upsertcore.store.contact_index import ContactIndex
    >>> from upsertcore.engine.patch import Request
    >>> policy = Policy(first_match("phone"), {"phone": field(key=normalize.phone)})
    >>> patch = {"phone": "555-0105"}, {}
    >>> from upsertcore.policy.policy import compiled
    >>> request = Request(
    ...     compiled(policy).by_name, patch, ContactIndex(), "", policy.match
    ... )
    >>> absence_reason(request, "phone")
    ('national number', '555-0105')
    """
    if name == request.id_name:
        return request.ignored.get(name, "omitted"), None
    sent, key = request.sent, request.key(name)
    parts = [sent[field] for field in key.fields if field in sent]
    absent = [field for field in key.fields if field not in sent]
    reasons = [request.ignored.get(field) for field in absent]
    ignored_as = next((reason for reason in reasons if reason in _IGNORED_AS), None)
    if not parts:
        return ignored_as or "omitted", None
    lacks_key_if = all if key.any_of else any
    if lacks_key_if(part is None for part in parts):
        return "null", None
    if lacks_key_if(empty(part) for part in parts):
        return "blank", None
    if key.composite and len(parts) < len(key.fields):
        return ignored_as or "partly omitted", None
    unusable = key.unusable_values(sent)
    if not unusable:
        return "blank", None
    field, value, reason = unusable[0]
    national = reason == "no usable form" and _is_national(key, field, value)
    return "national number" if national else reason, value


def _is_national(key: Key, field: str, value: Any) -> bool:
    """Return whether a value is a telephone number without a country code."""
    if key.normalize[key.fields.index(field)] is not phone:
        return False
    if type(value) is int and 0 <= value < _TOO_LARGE:
        value = str(value)
    if type(value) is not str or _match_number(value) is None:
        return False
    return len("".join(_find_digits(value))) >= _MIN_DIGITS


_IGNORED_AS = ("null", "blank", "blocked")
_MIN_DIGITS = 5
_TOO_LARGE = 10**15
_find_digits = re.compile("[0-9]+").findall
_match_number = re.compile(r"\s*(?!00)[0-9(][0-9\s().\-/]*").fullmatch

"""
The trace: why each key of a strategy was taken or not, in words.

Rules:
    It retells what was asked and answered, and asks nothing again.
    It is made when somebody wants to see it, and never on the way to a decision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from attrs import frozen

from upsertcore.values import empty

if TYPE_CHECKING:
    from upsertcore.contact import Contact
    from upsertcore.patch import Asked, Fields

__all__ = ["Step", "trace"]


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

    >>> Step("email", ("a@x.org",), (), "finds nobody").note
    'finds nobody'
    """

    key: str
    forms: tuple[str, ...]
    holders: tuple[str, ...]
    note: str


def trace(
    asked: Asked, before: Contact | None, matched_by: str | None
) -> tuple[Step, ...]:
    """
    Tell the story of a match.

    Args:
        asked: What was asked, and answered.
        before: The contact that was found, None for nobody.
        matched_by: The name of the key that decided.

    Returns:
        One step per key of the strategy, in its order.

    >>> from upsertcore import ContactBook, Policy, field, first_match, normalize
    >>> fields = {name: field(key=normalize.text) for name in ("email", "nick")}
    >>> book = ContactBook(Policy(first_match("email", "nick"), fields))
    >>> [step.note for step in book.plan({"nick": "ada"}).trace]
    ['omitted: no key', 'finds nobody']
    """
    return tuple(_step(asked, n, before, matched_by) for n in asked.strategy.keys)


def _step(
    asked: Asked, name: str, before: Contact | None, matched_by: str | None
) -> Step:
    hits = asked.seen.get(name)
    if hits is None:
        return Step(name, (), (), "not consulted: another key decides alone")
    forms = tuple(form for form, _ids in hits)
    ids = tuple(dict.fromkeys(id for _form, ids in hits for id in ids))
    if not forms:
        note = _absence(name, asked.sent)
    elif not ids:
        note = "finds nobody"
    elif name == matched_by:
        note = "decides"
    elif before is not None and before.id in ids:
        note = "agrees"
    else:
        note = "finds somebody else, and an earlier key has decided"
    return Step(name, forms, ids, note)


def _absence(name: str, sent: Fields) -> str:
    if name not in sent:
        return "omitted: no key"
    if sent[name] is None:
        return "null: no key"
    return "blank: no key" if empty(sent[name]) else "has no normal form: no key"

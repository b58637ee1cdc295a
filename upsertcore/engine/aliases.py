"""
Aliases: the former forms of a contact by which it is still found.

Rules:
    A released form matches no contact, unless its key keeps aliases.
    For a key with a limit, a value that null clears leaves no alias behind.
    What is an alias stays one, whatever the key keeps from then on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from upsertcore.policy.policy import compiled
from upsertcore.values import NOTHING, FrozenMap

if TYPE_CHECKING:
    from collections.abc import Iterable

    from upsertcore.engine.merge_patch import Draft
    from upsertcore.engine.target import Target
    from upsertcore.model.view import Forms
    from upsertcore.policy.keys import Key
    from upsertcore.policy.policy import Policy

__all__ = ["former_forms", "with_aliases"]


def with_aliases(
    policy: Policy,
    current: list[tuple[str, ...] | None],
    target: Target,
    draft: Draft,
) -> tuple[Forms, FrozenMap[tuple[str, ...]]]:
    """
    Return all forms that a contact would hold, and which of them are aliases.

    Args:
        policy: The policy.
        current: The forms of its fields, per key of the policy; None where none of
            the key's fields moved.
        target: The contacts that it is made of.
        draft: Its new fields.

    Returns:
        Its forms per key, aliases last, and key name to aliases.
    """
    known = NOTHING if target.before is None else target.before.aliases
    if not known and not target.merged and not compiled(policy).keeps_aliases:
        forms = zip(current, target.forms, strict=True)
        return tuple([held if new is None else new for new, held in forms]), NOTHING
    forms_by_key: list[tuple[str, ...]] = []
    aliases: dict[str, tuple[str, ...]] = {}
    for place, key in enumerate(policy.all_keys):
        new = current[place]
        if new is None:
            former = known.get(key.name, ())
            forms_by_key.append(target.forms[place])
        else:
            retained = _retained_forms(key, place, target, known)
            former = former_forms(retained, new, _released_forms(key, draft))
            forms_by_key.append(new + former)
        if former:
            aliases[key.name] = former
    return tuple(forms_by_key), FrozenMap.trusted(aliases)


def former_forms(
    retained: Iterable[str], new: Iterable[str], released: Iterable[str] = ()
) -> tuple[str, ...]:
    """
    Return the forms of a key that remain as aliases.

    Args:
        retained: The forms that the contact keeps whatever its fields are.
        new: The forms of its fields.
        released: Forms that leave no alias.

    >>> former_forms(["a@x", "b@x", "c@x"], ["b@x"], ["c@x"])
    ('a@x',)
    """
    excluded = {*new, *released}
    return tuple([form for form in retained if form not in excluded])


def _released_forms(key: Key, draft: Draft) -> tuple[str, ...]:
    """Return the forms that null clears, for a key with a limit."""
    if key.max_forms is None:
        return ()
    cleared = draft.cleared_values(key.fields)
    if cleared and key.composite:
        return key.forms(draft.base)
    return key.forms(cleared)


def _retained_forms(
    key: Key, place: int, target: Target, known: FrozenMap[tuple[str, ...]]
) -> dict[str, None]:
    """Return the forms that a contact keeps whatever its fields are."""
    retained = [target.forms[place] if key.keep_aliases else known.get(key.name, ())]
    for contact, held in target.merged:
        retained.append(
            held[place] if key.keep_aliases else contact.aliases.get(key.name, ())
        )
    return dict.fromkeys(form for forms in retained for form in forms)

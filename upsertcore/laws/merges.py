"""
The laws of a merge: one step or several, absent values, and clocks.

Rules:
    Each law is a function of a merge; it returns whether it applies to the merge.
    These laws are about fields outside the keys; keys are checked by the laws of calls.
"""

from __future__ import annotations

from datetime import UTC
from itertools import chain
from typing import Any

from attrs import evolve

from upsertcore.errors import Refused
from upsertcore.laws.broken import require
from upsertcore.laws.trial import Merge, State, describe
from upsertcore.model.contact import Contact
from upsertcore.model.view import Forms
from upsertcore.policy.policy import compiled
from upsertcore.values import FrozenMap, empty, same

__all__ = ["absent_gives_way", "clock_travels", "merge_in_steps"]


def merge_in_steps(merge: Merge) -> bool:
    """Merging contacts at once equals merging them one by one, if all succeed."""
    others = merge.before[1:]
    if len(others) < 2:
        return False
    once, steps = merge.outcome, merge.merge_steps(*[(each,) for each in others])
    if isinstance(once, Refused) or isinstance(steps, Refused):
        # An earlier step may be refused for a key of a contact that is merged later.
        return False
    one, other = once.contact, steps.contact
    for name in {*one.fields, *other.fields, *one.clocks, *other.clocks}:
        pairs = [(each.get(name), each.clocks.get(name)) for each in (one, other)]
        words = f"{name}: {pairs[0]} in one step, {pairs[1]} in {len(others)}"
        require("merge_in_steps", same(*pairs), words)
    parts = [(each.aliases, {*each.merged_ids}) for each in (one, other)]
    require("merge_in_steps", parts[0] == parts[1], f"{parts[0]}, not {parts[1]}")
    return True


def absent_gives_way(merge: Merge) -> bool:
    """In a merge, a blank or default value counts as absent, on either side."""
    law = "absent_gives_way"
    if len(merge.state) != 2:
        return False
    bare: State = tuple([_without_absent(merge, *each) for each in merge.state])
    if all(one[0] is other[0] for one, other in zip(bare, merge.state, strict=True)):
        return False
    due = merge.merge_steps(merge.before[1:], state=bare)
    if isinstance(due, Refused) or isinstance(merge.outcome, Refused):
        is_same_result = type(due) is type(merge.outcome)
        require(
            law,
            is_same_result,
            f"{describe(merge.outcome)}; without what is absent, {describe(due)}",
        )
        return True
    (survivor, other), made = merge.before, merge.outcome.contact
    for name in {*made.fields, *due.contact.fields, *survivor.fields} - _keyed(merge):
        value, rest = made.get(name), due.contact.get(name)
        words = f"{name}: {value!r}; without what is absent, {rest!r}"
        require(law, same(_left(merge, name, value), _left(merge, name, rest)), words)
        if name in survivor and name in other and _is_absent(merge, other, name):
            words = f"{name}: {survivor[name]!r} gives way to {other[name]!r}"
            require(law, same(value, survivor[name]), words)
    return True


def _is_absent(merge: Merge, contact: Contact, name: str) -> bool:
    return (
        _whole(contact[name], dict(compiled(merge.policy).defaults).get(name)) is None
    )


def _left(merge: Merge, name: str, value: Any) -> Any:
    """Return a value of a field without the parts that count as absent."""
    default = dict(compiled(merge.policy).defaults).get(name)
    inside = [isinstance(each.get(name), FrozenMap) for each in merge.before]
    if merge.policy.merge_rule(name).name in _INSIDE and all(inside):
        return _present(value, default)
    return _whole(value, default)


def _keyed(merge: Merge) -> set[str]:
    """Return the key fields and the clock fields."""
    rules = [line.rule for line in merge.policy.fields.values()]
    return {
        *compiled(merge.policy).key_fields,
        *[rule.by for rule in rules if rule.by is not None],
    }


def _without_absent(
    merge: Merge, contact: Contact, forms: Forms
) -> tuple[Contact, Forms]:
    """Return a contact without values that count as absent; itself if it has none."""
    keyed = _keyed(merge)
    left = {
        name: value if name in keyed else _left(merge, name, value)
        for name, value in contact.fields.items()
    }
    fields = {name: value for name, value in left.items() if value is not None}
    if same(FrozenMap.trusted(fields), contact.fields):
        return contact, forms
    gone = {*contact.fields}.difference(fields)
    clocks = {n: clock for n, clock in contact.clocks.items() if n not in gone}
    return evolve(contact, fields=fields, clocks=clocks), forms


_INSIDE = ("deep", "deep_keep")
"""Rules that merge inside mappings."""


def _whole(value: Any, default: Any) -> Any:
    return None if empty(value) or same(value, default) else value


def _present(value: Any, default: Any) -> Any:
    """Return a value without the parts that count as absent; None if all do."""
    if _whole(value, default) is None or not isinstance(value, FrozenMap):
        return _whole(value, default)
    usual = default if isinstance(default, FrozenMap) else {}
    found = {name: _present(each, usual.get(name)) for name, each in value.items()}
    left = {name: each for name, each in found.items() if each is not None}
    return FrozenMap.trusted(left) if left else None


def clock_travels(merge: Merge) -> bool:
    """After a merge, a value has the clock of the contact that supplied it."""
    if len(merge.state) != 2 or isinstance(merge.outcome, Refused):
        return False
    (survivor, other), made = merge.before, merge.outcome.contact
    spoke = False
    for name in dict.fromkeys(chain(survivor.fields, other.fields)):
        dated = merge.policy.uses_update_time(name)
        if merge.policy.base_rule(name).by is None and not dated:
            continue
        sides = [
            each for each in (survivor, other) if same(each.get(name), made.get(name))
        ]
        if len(sides) == 1 and not empty(made.get(name)):
            due = _time(sides[0], name) if dated else sides[0].clocks.get(name)
            own = _time(made, name) if dated else made.clocks.get(name)
            words = f"{name}: {made[name]!r} of {sides[0].id} has {own!r}, not {due!r}"
            require("clock_travels", same(own, due), words)
            spoke = True
    return spoke


def _time(contact: Contact, name: str) -> str:
    """Return the update time of the contact that supplied a field."""
    kept = contact.clocks.get(name)
    if isinstance(kept, str):
        return kept
    return contact.updated_at.astimezone(UTC).isoformat(timespec="microseconds")

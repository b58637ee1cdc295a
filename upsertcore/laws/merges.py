"""
The laws of a merge: one step or several, absent and sticky values, and clocks.

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
from upsertcore.laws.errors import require
from upsertcore.laws.trial import Merge, State, describe
from upsertcore.model.contact import Contact
from upsertcore.model.view import Forms
from upsertcore.policy.policy import compiled
from upsertcore.values import FrozenMap, empty, same

__all__ = ["absent_gives_way", "clock_travels", "merge_in_steps", "sticky_wins"]


def merge_in_steps(merge: Merge) -> bool:
    """Merging contacts at once equals merging them one by one, if all succeed."""
    others = merge.before[1:]
    if len(others) < 2:
        return False
    once, steps = merge.outcome, merge.merge_steps(*[(contact,) for contact in others])
    if isinstance(once, Refused) or isinstance(steps, Refused):
        # An earlier step may be refused for a key of a contact that is merged later.
        return False
    one, other = once.contact, steps.contact
    for name in {*one.fields, *other.fields, *one.clocks, *other.clocks}:
        pairs = [
            (contact.get(name), contact.clocks.get(name)) for contact in (one, other)
        ]
        words = f"{name}: {pairs[0]} in one step, {pairs[1]} in {len(others)}"
        require("merge_in_steps", same(*pairs), words)
    parts = [(contact.aliases, {*contact.merged_ids}) for contact in (one, other)]
    require("merge_in_steps", parts[0] == parts[1], f"{parts[0]}, not {parts[1]}")
    return True


def absent_gives_way(merge: Merge) -> bool:
    """In a merge, a blank or default value counts as absent, on either side."""
    law = "absent_gives_way"
    if len(merge.state) != 2:
        return False
    stripped: State = tuple([_without_absent(merge, *pair) for pair in merge.state])
    if all(
        bare[0] is other[0] for bare, other in zip(stripped, merge.state, strict=True)
    ):
        return False
    expected = merge.merge_steps(merge.before[1:], state=stripped)
    if isinstance(expected, Refused) or isinstance(merge.outcome, Refused):
        is_same_result = type(expected) is type(merge.outcome)
        require(
            law,
            is_same_result,
            f"{describe(merge.outcome)}; without what is absent, {describe(expected)}",
        )
        return True
    (survivor, other), merged = merge.before, merge.outcome.contact
    for name in {
        *merged.fields,
        *expected.contact.fields,
        *survivor.fields,
    } - _excluded_fields(merge):
        value, rest = merged.get(name), expected.contact.get(name)
        words = f"{name}: {value!r}; without what is absent, {rest!r}"
        require(
            law,
            same(
                _present_part(merge, name, value),
                _present_part(merge, name, rest),
            ),
            words,
        )
        if name in survivor and name in other and _is_absent(merge, other, name):
            words = f"{name}: {survivor[name]!r} gives way to {other[name]!r}"
            require(law, same(value, survivor[name]), words)
    return True


def _is_absent(merge: Merge, contact: Contact, name: str) -> bool:
    return (
        _unless_absent(contact[name], dict(compiled(merge.policy).defaults).get(name))
        is None
    )


def _present_part(merge: Merge, name: str, value: Any) -> Any:
    """Return a value of a field without the parts that count as absent."""
    default = dict(compiled(merge.policy).defaults).get(name)
    mappings = [isinstance(contact.get(name), FrozenMap) for contact in merge.before]
    if merge.policy.merge_rule(name).name in _INSIDE and all(mappings):
        return _present(value, default)
    return _unless_absent(value, default)


def _excluded_fields(merge: Merge) -> set[str]:
    """Return the key fields, the clock fields, and those that each merge sets."""
    policy = merge.policy
    rules = [line.rule for line in policy.fields.values()]
    return {
        *compiled(policy).key_fields,
        *[rule.by for rule in rules if rule.by is not None],
        *[n for n in policy.fields if policy.merge_rule(n).name.startswith(_SETS)],
    }


def _without_absent(
    merge: Merge, contact: Contact, forms: Forms
) -> tuple[Contact, Forms]:
    """Return a contact without values that count as absent; itself if it has none."""
    excluded = _excluded_fields(merge)
    values = {
        name: value if name in excluded else _present_part(merge, name, value)
        for name, value in contact.fields.items()
    }
    fields = {name: value for name, value in values.items() if value is not None}
    if same(FrozenMap.trusted(fields), contact.fields):
        return contact, forms
    removed = {*contact.fields}.difference(fields)
    clocks = {n: clock for n, clock in contact.clocks.items() if n not in removed}
    return evolve(contact, fields=fields, clocks=clocks), forms


_INSIDE = ("deep", "deep_keep")
"""Rules that merge inside mappings."""

_SETS = "constant("
"""How the names of rules begin that set a value, whatever the contacts have."""


def _unless_absent(value: Any, default: Any) -> Any:
    return None if empty(value) or same(value, default) else value


def _present(value: Any, default: Any) -> Any:
    """Return a value without the parts that count as absent; None if all do."""
    if _unless_absent(value, default) is None or not isinstance(value, FrozenMap):
        return _unless_absent(value, default)
    defaults = default if isinstance(default, FrozenMap) else {}
    parts = {name: _present(part, defaults.get(name)) for name, part in value.items()}
    present = {name: part for name, part in parts.items() if part is not None}
    return FrozenMap.trusted(present) if present else None


def sticky_wins(merge: Merge) -> bool:
    """In a merge, a value that its rule keeps is stored, whichever contact had it."""
    if isinstance(merge.outcome, Refused):
        return False
    applies = False
    for contact in merge.before:
        for name, value in contact.fields.items():
            rule = merge.policy.merge_rule(name)
            if rule.sticky and same(value, rule.value):
                after = merge.outcome.contact.get(name)
                words = f"{name}: {value!r} of {contact.id} becomes {after!r}"
                require("sticky_wins", same(value, after), words)
                applies = True
    return applies


def clock_travels(merge: Merge) -> bool:
    """After a merge, a value has the clock of the contact that supplied it."""
    if len(merge.state) != 2 or isinstance(merge.outcome, Refused):
        return False
    (survivor, other), merged = merge.before, merge.outcome.contact
    applies = False
    for name in dict.fromkeys(chain(survivor.fields, other.fields)):
        dated = merge.policy.uses_update_time(name)
        if merge.policy.base_rule(name).by is None and not dated:
            continue
        sides = [
            side for side in (survivor, other) if same(side.get(name), merged.get(name))
        ]
        if len(sides) == 1 and not empty(merged.get(name)):
            due = _time(sides[0], name) if dated else sides[0].clocks.get(name)
            clock = _time(merged, name) if dated else merged.clocks.get(name)
            words = (
                f"{name}: {merged[name]!r} of {sides[0].id} has {clock!r}, not {due!r}"
            )
            require("clock_travels", same(clock, due), words)
            applies = True
    return applies


def _time(contact: Contact, name: str) -> str:
    """Return the update time of the contact that supplied a field."""
    kept = contact.clocks.get(name)
    if isinstance(kept, str):
        return kept
    return contact.updated_at.astimezone(UTC).isoformat(timespec="microseconds")

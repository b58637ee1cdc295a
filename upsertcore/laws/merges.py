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

from upsertcore.engine.outcome import Outcome
from upsertcore.laws.errors import require
from upsertcore.laws.trial import Merge, State, Trial, describe
from upsertcore.model.contact import Contact
from upsertcore.model.view import Forms
from upsertcore.policy.policy import Policy, compiled
from upsertcore.rules.rule import Rule
from upsertcore.values import FrozenMap, empty, same

__all__ = [
    "absent_gives_way",
    "clock_travels",
    "constant_is_set",
    "merge_in_steps",
    "patch_after_merge",
    "refused_stays_apart",
    "sticky_wins",
]


def merge_in_steps(merge: Merge) -> bool:
    """Merging contacts at once equals merging them one by one, if all succeed."""
    others = merge.before[1:]
    if len(others) < 2:
        return False
    once, steps = merge.outcome, merge.merge_steps(*[(contact,) for contact in others])
    if not (isinstance(once, Outcome) and isinstance(steps, Outcome)):
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
    if not (isinstance(expected, Outcome) and isinstance(merge.outcome, Outcome)):
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

_SETS, _REFUSES = "constant(", "refuse_if("
"""How the names of rules begin that set a value, or refuse one."""


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


def patch_after_merge(merge: Merge) -> bool:
    """A merge with a patch equals the merge, then the patch by id, if all succeed."""
    law, once, steps = "patch_after_merge", merge.with_patch, merge.then_patch
    if merge.patch is None or not isinstance(merge.outcome, Outcome):
        return False
    if not (isinstance(once, Outcome) and isinstance(steps, Outcome)):
        # A patch may take away the value for which a merge alone is refused.
        words = f"{describe(once)} in one step, {describe(steps)} in two"
        require(law, type(once) is type(steps), words)
        return True
    one, other = once.contact, steps.contact
    moved = merge.outcome.contact.updated_at != merge.before[0].updated_at
    for name in {*one.fields, *other.fields, *one.clocks, *other.clocks}:
        pairs = [_dated(merge, contact, name, moved=moved) for contact in (one, other)]
        words = f"{name}: {pairs[0]} in one step, {pairs[1]} in two"
        require(law, same(*pairs), words)
    parts = [
        (_aliases(o.contact), {*o.contact.merged_ids}, o.withheld, dict(o.ignored))
        for o in (once, steps)
    ]
    require(law, parts[0] == parts[1], f"{parts[0]}, not {parts[1]}")
    step = one.version - merge.before[0].version
    require(law, step == 1, f"version {merge.before[0].version} -> {one.version}")
    return True


def _aliases(contact: Contact) -> dict[str, set[str]]:
    return {name: {*forms} for name, forms in contact.aliases.items()}


def _dated(
    merge: Merge, contact: Contact, name: str, *, moved: bool
) -> tuple[Any, Any]:
    """Return a value and its clock; times of this merge are alike."""
    clock = contact.clocks.get(name)
    if merge.policy.uses_update_time(name):
        times = {_time(before, name) for before in merge.before} if moved else ()
        # A merge that moves no field leaves no clock, so the update would be its time.
        clock = _time(contact, name) if _time(contact, name) in times else None
    return contact.get(name), clock


def constant_is_set(tried: Trial | Merge) -> bool:
    """After a merge, a field that its on_merge rule sets has the value of the rule."""
    outcome, sent = _merged(tried), set[str]()
    if outcome is None:
        return False
    policy = tried.policy
    if isinstance(tried, Trial):
        sent |= {*(policy.fields if tried.clears else tried.patch)}
    # A primary value that no field holds is appended, whatever the rules.
    sent |= {key.fields[-1] for key in policy.all_keys if key.append_new}
    rules = [pair for pair in _rules(policy, _SETS) if pair[0] not in sent]
    for name, rule in rules:
        value = outcome.contact.get(name)
        words = f"{name}: {value!r} after a merge, not {rule.value!r}"
        require("constant_is_set", same(value, rule.value), words)
    return bool(rules)


def refused_stays_apart(tried: Trial | Merge) -> bool:
    """A contact with a value that its rule refuses is merged into no other one."""
    outcome, rules = _merged(tried), _rules(tried.policy, _REFUSES)
    for name, rule in rules:
        for contact in () if outcome is None else outcome.merged:
            words = f"{name}: {contact.id} has {rule.value!r}, and is merged"
            kept = not same(contact.get(name), rule.value)
            require("refused_stays_apart", kept, words)
    return bool(rules) and outcome is not None


def _merged(tried: Trial | Merge) -> Outcome | None:
    """Return the outcome of a call or a merge in which contacts were merged."""
    outcome = tried.first if isinstance(tried, Trial) else tried.outcome
    return outcome if isinstance(outcome, Outcome) and outcome.merged else None


def _rules(policy: Policy, begins: str) -> list[tuple[str, Rule]]:
    """List the fields with an ``on_merge`` rule of a kind, with the rule."""
    rules = [(name, policy.merge_rule(name)) for name in policy.fields]
    return [(name, rule) for name, rule in rules if rule.name.startswith(begins)]


def sticky_wins(merge: Merge) -> bool:
    """In a merge, a value that its rule keeps is stored, whichever contact had it."""
    if not isinstance(merge.outcome, Outcome):
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
    if len(merge.state) != 2 or not isinstance(merge.outcome, Outcome):
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

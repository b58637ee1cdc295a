"""
The laws of values that are not stored: each is named, with reason and holder.

Rules:
    Each law is a function of a trial; it returns whether it applies to the trial.
    A law compares sent with stored values; it does not repeat the decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from upsertcore.engine.outcome import Outcome, Withheld
from upsertcore.engine.plan import Plan
from upsertcore.errors import Refused
from upsertcore.laws.calls import appended_fields, ids_of_holders
from upsertcore.laws.errors import LawBroken, require
from upsertcore.laws.trial import Trial, describe
from upsertcore.matching.strategies import ALL_AGREE, FIRST_MATCH
from upsertcore.policy.fields import as_list
from upsertcore.policy.policy import compiled
from upsertcore.rules.rule import Rule
from upsertcore.values import empty, freeze, same

if TYPE_CHECKING:
    from upsertcore.policy.keys import Key
    from upsertcore.policy.policy import Policy

__all__ = ["left_out_together", "nothing_silent", "sticky_stays"]

_LEFT_OUT = ("blocked", "composite", "limit")
"""Reasons for leaving out a part of a key."""


def nothing_silent(trial: Trial) -> bool:
    """Each sent field is stored by its rule, or withheld, or ignored with a reason."""
    first, policy = trial.first, trial.policy
    if not isinstance(first, Outcome):
        return False
    sent = _sent(trial, first)
    named = {*first.ignored, *[value.field for value in first.withheld]}
    named |= appended_fields(trial, first)
    for name in trial.patch:
        if name not in named:
            require("nothing_silent", name in sent, f"{name} is not named")
            if not _is_stored(trial, name, sent, first):
                words = f"{name}: {sent[name]!r} is neither stored nor named"
                raise LawBroken("nothing_silent", words)
    for name, why in first.ignored.items():
        if why == "on_found" and not _lacks_clock(policy, name, sent):
            words = f"{name}: {why} is named, but nothing would have moved"
            is_moved = not _is_stored(trial, name, sent, first)
            require("nothing_silent", is_moved, words)
    _check_unusable_values(trial, first)
    for withheld in first.withheld:
        words = f"{withheld.field} is withheld for {withheld.holder}"
        require("nothing_silent", _is_held(trial, sent, first, withheld), words)
    if _names_all_hits(trial):
        missing = ids_of_holders(trial, trial.keys_sent) - {
            first.contact.id,
            *first.also_matched,
            *[contact.id for contact in first.merged],
        }
        require(
            "nothing_silent",
            not missing,
            f"{describe(first)}, and {missing} are not named",
        )
    return bool(trial.patch)


def _names_all_hits(trial: Trial) -> bool:
    """Return whether each contact that a key matches is reported."""
    policy, match, call = trial.policy, trial.policy.match, trial.call
    if call.verb != "upsert" or trial.by_id is not None:
        return call.verb == "upsert"
    # An unknown id that creates its contact consults no key.
    known = call.named is None or trial.holder(call.named) is not None
    consults = known or policy.on_unknown_id == "next"
    by_keys = match.resolve in (FIRST_MATCH, ALL_AGREE) or match.guard is not None
    return by_keys and consults


def _lacks_clock(policy: Policy, name: str, sent: Mapping[str, Any]) -> bool:
    """Return whether the rule of a field would refuse a patch without its clock."""
    by = policy.field_options(name).rule.by
    clock = None if by is None else sent.get(by)
    return by is not None and (type(clock) not in (str, int, float) or empty(clock))


def _sent(trial: Trial, first: Outcome) -> Mapping[str, Any]:
    """Return the cleaned values; check that clean has made None of no value."""
    law, policy, sent = "nothing_silent", trial.policy, trial.sent
    if isinstance(sent, Refused):
        raise LawBroken(law, f"{describe(first)}, not {describe(sent)}")
    for name, value in sent.items():
        options = policy.field_options(name)
        clean = options.clean if value is None else None
        raw = None if clean is None else as_list(options, freeze(trial.patch[name]))
        if clean is not None and not empty(raw):
            words = f"{name}: {raw!r} is made None by clean, not refused"
            require(law, clean(raw) is not None, words)
    return sent


def _is_stored(
    trial: Trial, name: str, sent: Mapping[str, Any], outcome: Outcome
) -> bool:
    """Return whether the sent value of a field is stored as its rule says."""
    rule, stored = trial.policy.field_options(name).rule, outcome.contact.get(name)
    rests = trial.policy.on_found != "ignore" or outcome.before is None
    rests = rests or rule.by is not None or not rule.on_update
    try:
        # Under on_found="ignore" it is stored only if the rule would change nothing.
        rests = rests or same(rule.combine(stored, sent[name]), stored)
        return rests and _shows(rule, name, sent, outcome)
    except ValueError:
        # A value that a rule refuses is not stored.
        return False


def _shows(rule: Rule, name: str, sent: Mapping[str, Any], outcome: Outcome) -> bool:
    value, stored = sent[name], outcome.contact.get(name)
    was = None if outcome.before is None else outcome.before.get(name)
    if rule.contains is not None:
        return rule.contains(stored, value)
    if rule.by is not None:
        # The same value is stored, of a later clock: nothing is left out.
        own = outcome.contact.clocks.get(name), stored
        again = rule.combine(own, (sent.get(rule.by), value))
        return same(stored, value) and same(again, own)
    if rule.drops and not same(stored, value):
        return not same(stored, was)
    if "idempotent" in rule.laws:
        return same(rule.combine(stored, value), stored)
    if outcome.merged:
        return True
    return same(rule.combine(was, value), stored)


def _check_unusable_values(trial: Trial, first: Outcome) -> None:
    """Check that a stored value that makes no key is reported as such."""
    for key in trial.policy.all_keys:
        for name in key.fields if not key.composite else ():
            value = first.contact.get(name) if name in trial.patch else None
            for item in value if type(value) is tuple else (value,):
                if not empty(item) and key.form(item) is None:
                    _check_reported(trial, first, name, item)


def _check_reported(trial: Trial, first: Outcome, name: str, item: Any) -> None:
    # Both the plan of this call and its outcome must report it.
    decisions: list[Outcome | Plan] = [first]
    if trial.call.verb == "upsert":
        decisions.append(trial.call.plan(trial.new_book(), trial.patch, trial.scope))
    for decision in decisions:
        lines = decision.explain().split("\n")
        named = any(f" {name}: " in line and "not a key" in line for line in lines)
        words = f"{name}: {item!r} is stored and makes no key, and is not reported"
        require("nothing_silent", named, words)


def _is_held(
    trial: Trial, sent: Mapping[str, Any], first: Outcome, withheld: Withheld
) -> bool:
    """Return whether a field is withheld for a contact that holds its key."""
    if _is_key_held(trial, sent, first, withheld):
        return True
    # Or it is part of a key with a field that is withheld for the same holder.
    group = _group_of(trial.policy, withheld.field)
    return any(
        (other.key, other.holder) == (withheld.key, withheld.holder)
        and not group.isdisjoint(_written_fields(trial.policy, other.field))
        and _is_key_held(trial, sent, first, other)
        for other in first.withheld
        if other is not withheld
    )


def _is_key_held(
    trial: Trial, sent: Mapping[str, Any], first: Outcome, withheld: Withheld
) -> bool:
    policy, named = trial.policy, (trial.scope, withheld.holder)
    holders = [c for c in trial.before if (c.scope, c.id) == named]
    key = compiled(policy).by_name.get(withheld.key)
    if key is None or not holders or holders[0] is first.before:
        return False
    held = {*trial.forms_of(holders[0])[[*compiled(policy).by_name].index(key.name)]}
    forms = _forms(
        policy, key, {**sent, withheld.field: withheld.value}, first, withheld.field
    )
    return not held.isdisjoint(held if forms is None else forms)


def _forms(
    policy: Policy, key: Key, sent: Mapping[str, Any], first: Outcome, name: str
) -> tuple[str, ...] | None:
    """Return the forms of the sent value; None if the rules make something else."""
    fields = [field for field in key.fields if field in _written_fields(policy, name)]
    if not fields:
        return ()
    if not key.composite:
        is_cleaned = any(
            policy.field_options(field).clean is not None for field in fields
        )
        is_appended = fields != [name]
        return (
            None if is_appended and is_cleaned else key.forms({fields[0]: sent[name]})
        )
    rules = {policy.field_options(part).rule.name for part in key.fields}
    if rules != {"replace"} or first.merged or fields != [name]:
        return None
    before = {} if first.before is None else first.before.fields
    return key.forms({**before, **sent})


def _written_fields(policy: Policy, name: str) -> set[str]:
    """Return a field, and the lists to which its value may be appended."""
    keys = [key for key in policy.all_keys if key.append_new and key.fields[0] == name]
    return {name, *[key.fields[-1] for key in keys]}


def _group_of(policy: Policy, name: str) -> set[str]:
    """Return the fields that share a composite key with one, or with its lists."""
    fields = _written_fields(policy, name)
    return fields.union(*[group for group in _groups(policy) if group & fields])


def sticky_stays(trial: Trial) -> bool:
    """A value that its rule keeps stays, whatever a patch sends."""
    first, applies = trial.first, False
    if not isinstance(first, Outcome) or first.before is None:
        return False
    for name, value in first.before.fields.items():
        rule = trial.policy.field_options(name).rule
        merges = not first.merged or trial.policy.merge_rule(name) == rule
        if merges and rule.sticky and same(value, rule.value):
            after = first.contact.get(name)
            words = f"{name}: {value!r} becomes {after!r}"
            require("sticky_stays", same(value, after), words)
            applies = True
    return applies


def left_out_together(trial: Trial) -> bool:
    """Parts of a composite key are stored together, or left out together."""
    first, groups = trial.first, _groups(trial.policy)
    if not isinstance(first, Outcome) or first.merged or not groups:
        return False
    # Blocked items of a list may be left out alone.
    sent = _sent(trial, first)
    named = [name for name, why in first.ignored.items() if why in _LEFT_OUT]
    named = [n for n in named if first.ignored[n] != "blocked" or n not in sent]
    absent = {*named, *[value.field for value in first.withheld]}
    before = {} if first.before is None else first.before.fields
    applies = False
    for group in groups:
        left_out = sorted(absent & group)
        moved = [
            name
            for name in sorted(group - absent)
            if name in trial.patch
            and not same(before.get(name), first.contact.get(name))
        ]
        words = f"{left_out} is left out, and {moved} is stored"
        require("left_out_together", not (left_out and moved), words)
        applies = applies or bool(left_out)
    return applies


def _groups(policy: Policy) -> list[set[str]]:
    """Return the groups of fields that are connected by composite keys."""
    groups: list[set[str]] = []
    for key in policy.all_keys:
        if key.composite:
            connected = [group for group in groups if group.intersection(key.fields)]
            groups = [group for group in groups if group not in connected]
            groups.append({*key.fields}.union(*connected))
    return groups

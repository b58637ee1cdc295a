"""
Naive twins of fields where contacts are merged.

Rules:
    None of the library's rules is called, except those of a host.
    A draft is a dict of ``fields``, ``clocks`` and ``times``, changed in place.
"""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from tests.oracle.keys import Row, forms
from tests.oracle.patch import rule_of
from tests.oracle.values import (
    MERGE_RULES,
    RULES,
    absent,
    as_list,
    empty,
    keep,
    listed,
    same,
)
from upsertcore import Policy, errors
from upsertcore.values import thaw


def updated_at(row: Row, name: str) -> str:
    """Return when the contact that supplied a field was updated."""
    kept = row.get("clocks", {}).get(name)
    if isinstance(kept, str):
        return kept
    time = datetime.fromisoformat(row["updated_at"]).astimezone(UTC)
    return time.isoformat(timespec="microseconds")


def merge_rule(policy: Policy, name: str) -> Any:
    """Return the rule of a field between two contacts; nothing for ``keep``."""
    line: Any = policy.fields.get(name) or policy.extra_fields
    rule = line.on_merge
    if rule is None:
        own = line.rule.by is not None or line.rule.name.startswith("sticky")
        rule = line.rule if own else policy.on_merge
    return None if rule.name == "keep" else rule


def about_merges(policy: Policy, name: str) -> str:
    """Return which rule a field has that each merge asks; blank for none."""
    rule = merge_rule(policy, name)
    factory = "" if rule is None else rule.name.partition("(")[0]
    return factory if factory in ("refuse_if", "constant") else ""


def check_allowed(rule: Any, name: str, value: Any, other: Row) -> Any:
    """Refuse a merge for a value; otherwise the rule is as ``keep``."""
    if same(value, thaw(rule.value)):
        raise errors.InvalidField(name, value, "", holder=other["id"])
    return None


def absorb(policy: Policy, row: Row, draft: Row, other: Row) -> None:
    """Merge another contact into a draft of a row: the fields, then the primaries."""
    sides = [dict(draft["fields"]), other["fields"]]
    absorb_fields(policy, row, draft, other)
    for key in [key for key in policy.all_keys if key.append_new]:
        join_primary(policy, key, row, draft, sides)


def absorb_fields(policy: Policy, row: Row, draft: Row, other: Row) -> None:
    """Merge the fields of another contact into a draft of a row."""
    # A contact has its fields in the order of the policy, then undeclared ones.
    declared = [name for name in policy.fields if name in other["fields"]]
    clocks = other.get("clocks", {})
    asked = [name for name in policy.fields if about_merges(policy, name)]
    for name in dict.fromkeys([*declared, *other["fields"], *clocks, *asked]):
        line, value = policy.fields.get(name), other["fields"].get(name)
        default = listed(line, line.default) if line else None
        try:
            absorb_field(policy, row, draft, other, name, default)
        except errors.InvalidField:
            # What counts as absent refuses nothing, except where each merge is asked.
            present = value is None or not absent(value, default)
            if present or about_merges(policy, name):
                raise


def absorb_field(
    policy: Policy, row: Row, draft: Row, other: Row, name: str, default: Any
) -> None:
    """Merge one field of another contact into a draft of a row."""
    own_rule = rule_of(policy, name, {})
    clocked = own_rule is not None and own_rule.by is not None
    rule = merge_rule(policy, name)
    value = other["fields"].get(name)
    current = draft["fields"].get(name)
    is_new = current is None and draft["clocks"].get(name) is None
    counts_as_absent = value is None or (absent(value, default) and not is_new)
    if about_merges(policy, name) == "refuse_if":
        rule = check_allowed(rule, name, value, other)
    known = None if absent(current, default) else current
    if rule is not None and rule.name == "last_updated":
        if not counts_as_absent:
            take_newer(row, draft, other, name, known, clocked=clocked)
    elif rule is not None and rule.by is not None:
        if not counts_as_absent or value is None:
            take_clocked(draft, other, name, known)
    elif about_merges(policy, name) == "constant" or (
        not counts_as_absent
        and (rule is None or rule.name not in ("ignore", "on_create"))
    ):
        new = merge_values(rule, name, (current, known, default), other)
        other_clock = other.get("clocks", {}).get(name)
        own_clock = draft["clocks"].get(name)
        if clocked and value is not None and same(new, value):
            own_clock = (
                max(own_clock, other_clock, key=clock_order)
                if same(new, current)
                else other_clock
            )
        elif clocked and not same(new, current):
            own_clock = max(own_clock, other_clock, key=clock_order)
        store(draft, name, new, own_clock)


def join_primary(
    policy: Policy, key: Any, row: Row, draft: Row, sides: list[Row]
) -> None:
    """Append the values of a primary that the contacts had and the draft lacks."""
    first, last, fields = key.fields[0], key.fields[-1], draft["fields"]
    line = policy.fields[first]
    for side in sides:
        value = side.get(first)
        if absent(value, listed(line, line.default)):
            continue
        for item in value if isinstance(value, list) else [value]:
            form = forms(policy, key, {first: item})
            if form and not {*form} <= {*forms(policy, key, fields)}:
                try:
                    fields[last] = [*as_list(fields.get(last)), item]
                except ValueError as error:
                    bad = fields[last]
                    raise errors.InvalidField(
                        last, bad, "", holder=row["id"]
                    ) from error


def take_newer(
    row: Row, draft: Row, other: Row, name: str, known: Any, *, clocked: bool
) -> None:
    """Take the value of the contact updated last, or by its own clock if it has one."""
    value = other["fields"][name]
    own_clock = draft["clocks"].get(name)
    other_clock = other.get("clocks", {}).get(name)
    if not clocked:
        own_clock = draft["times"].get(name) or updated_at(row, name)
        other_clock = updated_at(other, name)
    clock, new = other_clock, value
    if known is not None:
        clock, new = later_pair(name, other, (own_clock, known), (other_clock, value))
    if clocked:
        store(draft, name, new, clock)
        return
    draft["fields"][name] = new
    if clock != own_clock:
        draft["times"][name] = draft["clocks"][name] = clock


def take_clocked(draft: Row, other: Row, name: str, known: Any) -> None:
    """Take the newer by a clock; a cleared value has a clock, a blank one none."""
    value, clock = other["fields"].get(name), other.get("clocks", {}).get(name)
    current: Any = draft["clocks"].get(name), draft["fields"].get(name)
    if current[1] is not None and known is None:
        current = None, None
    if (clock, value) != (None, None):
        new_clock, new = later_pair(name, other, current, (clock, value))
        store(draft, name, new, new_clock)


def clock_order(clock: Any) -> Any:
    """Order clocks of every kind: none, then numbers, then text."""
    return (
        (0,)
        if clock is None
        else (1 + isinstance(clock, str), clock, type(clock) is float)
    )


def later_pair(name: str, other: Row, mine: Any, theirs: Any) -> Any:
    try:
        return RULES["latest(by='at')"](mine, theirs)
    except ValueError as error:
        raise errors.InvalidField(name, theirs[1], "", holder=other["id"]) from error


def merge_values(rule: Any, name: str, ours: Any, other: Row) -> Any:
    """Let a rule merge the values of two contacts; an absent value is None."""
    mine, known, default = ours
    value = other["fields"].get(name)
    try:
        if rule is not None and rule.name.startswith("constant("):
            return thaw(rule.value)
        if rule is None:
            return keep(known, value)
        if rule.name in MERGE_RULES and mine is not None:
            return MERGE_RULES[rule.name](*deepcopy((mine, value, default)))
        twin = RULES.get(rule.name, rule.combine)
        new = thaw(twin(*deepcopy((known, value))))
        if (
            new is None
            and mine is not None
            and known is None
            and thaw(twin(*deepcopy((mine, value)))) is not None
        ):
            return mine
    except ValueError as error:
        raise errors.InvalidField(name, value, "", holder=other["id"]) from error
    return new


def store(draft: Row, name: str, value: Any, clock: Any) -> None:
    """Store a value and its clock, None being absence."""
    for part, item in (("fields", value), ("clocks", clock)):
        if item is None:
            draft[part].pop(name, None)
        else:
            draft[part][name] = item


def keeps_update_time(policy: Policy, name: str) -> bool:
    """Return whether merges go by the update of a field, and so keep its time."""
    rule, own = merge_rule(policy, name), rule_of(policy, name, {})
    return rule is not None and rule.name == "last_updated" and own.by is None


def keep_update_times(
    policy: Policy, row: Row, base: Row, draft: Row, *, merged: bool
) -> None:
    """Keep when the contacts were updated that supplied the fields that go by it."""
    parts = ("fields", "clocks")
    moves = "deleted_at" in row or any(
        not same(draft[part], row.get(part, {})) for part in parts
    )
    for name in {**policy.fields, **draft["fields"], **draft["clocks"]}:
        value = draft["fields"].get(name)
        if not keeps_update_time(policy, name):
            continue
        if not same(value, base["fields"].get(name)):
            draft["clocks"].pop(name, None)
        elif moves and merged and not empty(value):
            draft["clocks"][name] = draft["times"].get(name) or updated_at(row, name)

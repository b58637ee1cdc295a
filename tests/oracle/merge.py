"""
Naive twins of what becomes of fields where contacts are merged.

Rules:
    None of the library's rules is called, except those of a host.
    A draft is a dict of ``fields``, ``clocks`` and ``times``, changed where it is.
"""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from tests.oracle.keys import Row
from tests.oracle.patch import rule_of
from tests.oracle.values import MERGED, RULES, absent, empty, keep, same
from upsertcore import Policy, errors
from upsertcore.values import thaw


def time_of(row: Row, name: str) -> str:
    """Say when the contact that supplied a field was updated."""
    kept = row.get("clocks", {}).get(name)
    if isinstance(kept, str):
        return kept
    time = datetime.fromisoformat(row["updated_at"]).astimezone(UTC)
    return time.isoformat(timespec="microseconds")


def merge_rule(policy: Policy, name: str) -> Any:
    """Give the rule of a field between two contacts; nothing for ``keep``."""
    line: Any = policy.fields.get(name) or policy.extra_fields
    rule = line.on_merge
    if rule is None:
        rule = policy.on_merge if line.rule.by is None else line.rule
    return None if rule.name == "keep" else rule


def absorb(policy: Policy, row: Row, draft: Row, other: Row) -> None:
    """Merge another contact into a draft of a row."""
    for name in dict.fromkeys([*other["fields"], *other.get("clocks", {})]):
        own_rule, line = rule_of(policy, name, {}), policy.fields.get(name)
        clocked = own_rule is not None and own_rule.by is not None
        rule = merge_rule(policy, name)
        value = other["fields"].get(name)
        default = line.default if line else None
        mine = draft["fields"].get(name)
        lacks = mine is None and draft["clocks"].get(name) is None
        gone = value is None or (absent(value, default) and not lacks)
        known = None if absent(mine, default) else mine
        if rule is not None and rule.name == "last_updated":
            if not gone:
                take_newer(row, draft, other, name, known, clocked=clocked)
        elif rule is not None and rule.by is not None:
            if not gone or value is None:
                take_clocked(draft, other, name, known)
        elif not gone and (rule is None or rule.name not in ("ignore", "on_create")):
            new = joined_values(rule, name, (mine, known, default), other)
            theirs = other.get("clocks", {}).get(name)
            ours = draft["clocks"].get(name)
            if clocked and same(new, value):
                ours = max(ours, theirs, key=order_of) if same(new, mine) else theirs
            elif clocked and not same(new, mine):
                ours = max(ours, theirs, key=order_of)
            store(draft, name, new, ours)


def take_newer(
    row: Row, draft: Row, other: Row, name: str, known: Any, *, clocked: bool
) -> None:
    """Take a value from whoever was updated last, or by its own clock if it has one."""
    value = other["fields"][name]
    ours = draft["clocks"].get(name)
    theirs = other.get("clocks", {}).get(name)
    if not clocked:
        ours = draft["times"].get(name) or time_of(row, name)
        theirs = time_of(other, name)
    at, new = theirs, value
    if known is not None:
        at, new = chosen(name, other, (ours, known), (theirs, value))
    if clocked:
        store(draft, name, new, at)
        return
    draft["fields"][name] = new
    if at != ours:
        draft["times"][name] = draft["clocks"][name] = at


def take_clocked(draft: Row, other: Row, name: str, known: Any) -> None:
    """Take the newer by a clock; what null cleared has one, what is blank none."""
    value, clock = other["fields"].get(name), other.get("clocks", {}).get(name)
    mine: Any = draft["clocks"].get(name), draft["fields"].get(name)
    if mine[1] is not None and known is None:
        mine = None, None
    if (clock, value) != (None, None):
        at, new = chosen(name, other, mine, (clock, value))
        store(draft, name, new, at)


def order_of(clock: Any) -> Any:
    """Order clocks of every kind: none, then numbers, then text."""
    return (
        (0,)
        if clock is None
        else (1 + isinstance(clock, str), clock, type(clock) is float)
    )


def chosen(name: str, other: Row, mine: Any, theirs: Any) -> Any:
    try:
        return RULES["latest(by='at')"](mine, theirs)
    except ValueError as error:
        raise errors.InvalidField(name, theirs[1], "", holder=other["id"]) from error


def joined_values(rule: Any, name: str, ours: Any, other: Row) -> Any:
    """Let a rule make a value of two contacts'; what is absent is not there."""
    mine, known, default = ours
    value = other["fields"][name]
    try:
        if rule is None:
            return keep(known, value)
        if rule.name in MERGED and mine is not None:
            return MERGED[rule.name](*deepcopy((mine, value, default)))
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
    """Store a value and its clock, None being absence of either."""
    for part, each in (("fields", value), ("clocks", clock)):
        if each is None:
            draft[part].pop(name, None)
        else:
            draft[part][name] = each


def dated(policy: Policy, name: str) -> bool:
    """Tell whether merges go by when a field was updated, and so keep that time."""
    rule, own = merge_rule(policy, name), rule_of(policy, name, {})
    return rule is not None and rule.name == "last_updated" and own.by is None


def date(policy: Policy, row: Row, base: Row, draft: Row, *, merged: bool) -> None:
    """Keep when those were updated who supplied the fields that go by that."""
    parts = ("fields", "clocks")
    moves = "deleted_at" in row or any(
        not same(draft[part], row.get(part, {})) for part in parts
    )
    for name in {**policy.fields, **draft["fields"], **draft["clocks"]}:
        value = draft["fields"].get(name)
        if not dated(policy, name):
            continue
        if not same(value, base["fields"].get(name)):
            draft["clocks"].pop(name, None)
        elif moves and merged and not empty(value):
            draft["clocks"][name] = draft["times"].get(name) or time_of(row, name)

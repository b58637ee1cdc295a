"""
Naive twins of what becomes of fields: reading, merging, filling.

Rules:
    A policy's table is read; none of the library's rules and keys is called.
    A draft is a dict of ``fields`` and ``clocks``, changed where it stands.
"""

from __future__ import annotations

from collections.abc import Container
from copy import deepcopy
from typing import Any

from tests.oracle.keys import Row, blocked, composite, elsewhere, joined, stopped
from tests.oracle.values import DROPS, RULES, empty, number, same, shown
from tests.oracle.values import blank as is_blank
from upsertcore import Policy, errors
from upsertcore.values import freeze, thaw


def read(
    policy: Policy, patch: Row, null: str | None = None, blank: str | None = None
) -> tuple[Row, Row]:
    """Read a patch: what is sent, and what counts as omitted."""
    sent, ignored = {}, {}
    for name, raw in patch.items():
        line, value = policy.fields.get(name), raw
        if line is None and policy.extra_fields is None:
            raise errors.UnknownField(name, tuple(policy.fields))
        if line and line.clean and not empty(raw):
            try:
                value = thaw(line.clean(freeze(raw)))
            except ValueError as error:
                raise errors.InvalidField(name, raw, str(error)) from error
            if value is None:
                raise errors.InvalidField(name, raw, "")
        kind = "null" if value is None else "blank" if is_blank(value) else "rest"
        told = {"null": null, "blank": blank}.get(kind)
        how = told or getattr(line, kind, "store")
        if how == "reject":
            raise errors.InvalidField(name, raw, "")
        if how == "ignore":
            ignored[name] = kind
        else:
            sent[name] = None if how == "clear" else value
            screen(policy, name, raw, sent, ignored)
    screen_composites(policy, sent)
    return sent, ignored


def screen(policy: Policy, name: str, raw: Any, sent: Row, ignored: Row) -> None:
    """Leave blocked items out of a sent field, or refuse them."""
    value = sent[name]
    items = value if isinstance(value, list) else [value]
    left = [item for item in items if not stopped(policy, name, item)]
    if policy.on_blocked == "store" or len(left) == len(items):
        return
    if policy.on_blocked == "refuse":
        raise errors.InvalidField(name, raw, "")
    ignored[name] = "blocked"
    if left:
        sent[name] = left
    else:
        del sent[name]


def screen_composites(policy: Policy, sent: Row) -> None:
    """Refuse what makes a blocked form of several fields."""
    for key in filter(composite, policy.all_keys):
        bad = any(blocked(key, form) for form in joined(key, sent))
        if bad and policy.on_blocked == "refuse":
            parts = {name: sent[name] for name in key.fields}
            raise errors.InvalidField(key.name, parts, "")


def rule_of(policy: Policy, name: str, rules: Row) -> Any:
    """Give the rule of a field: that of the call, of its line, or of the others."""
    line = policy.fields.get(name)
    every: Any = line or policy.extra_fields
    return rules.get(name) or (every and every.rule)


def put(draft: Row, name: str, value: Any, clock: Any = None) -> None:
    """Store a value, None being absence; and the clock of its writing, if any."""
    if value is None:
        draft["fields"].pop(name, None)
    else:
        draft["fields"][name] = value
    if clock is not None:
        draft["clocks"][name] = clock


def combined(rule: Any, draft: Row, name: str, value: Any, clock: Any) -> Any:
    """Merge one value into a draft; give what the field holds now."""
    stored = draft["fields"].get(name)
    try:
        if rule.by is None:
            twin = RULES.get(rule.name, rule.combine)
            at, new = None, thaw(twin(*deepcopy((stored, value))))
        else:
            then = draft["clocks"].get(name)
            at, new = RULES["latest(by='at')"]((then, stored), (clock, value))
    except ValueError as error:
        raise errors.InvalidField(name, value, str(error)) from error
    put(draft, name, new, at)
    return new


def merge(
    policy: Policy,
    draft: Row,
    sent: Row,
    ignored: Row,
    rules: Row,
    *,
    creating: bool,
    out: Container[str] = (),
) -> None:
    """Merge what is sent and not left *out*; note in *ignored* what is not taken."""
    for name in in_order(policy, sent, creating=creating):
        if name not in out:
            take(policy, draft, name, sent, ignored, rules, creating=creating)


def in_order(policy: Policy, sent: Row, *, creating: bool) -> list[str]:
    """List what is sent, primaries last."""
    primary = [k.fields[0] for k in policy.all_keys if k.any_of and not creating]
    return sorted(sent, key=lambda name: name in primary)


def take(
    policy: Policy,
    draft: Row,
    name: str,
    sent: Row,
    ignored: Row,
    rules: Row,
    *,
    creating: bool,
) -> None:
    """Merge one field of what is sent into a draft."""
    primary = {k.fields[0]: k for k in policy.all_keys if k.any_of and not creating}
    rule, value = rule_of(policy, name, rules), sent[name]
    stored, clock = draft["fields"].get(name), None
    key = primary.get(name)
    if key and elsewhere(policy, key, draft["fields"], value):
        ignored[name] = "additional"
        return
    if rule.by is not None:
        clock = sent.get(rule.by)
        if empty(clock) or not (number(clock) or isinstance(clock, str)):
            raise errors.InvalidField(rule.by, clock, "")
    takes = rule.name != "ignore" and (creating or rule.name != "on_create")
    new = combined(rule, draft, name, value, clock) if takes else stored
    drops = rule.name in DROPS or rule.name not in RULES
    partly = rule.name == "deep_keep"
    kept = partly or same(new, stored)
    if drops and kept and not shown(rule.name, new, value):
        ignored[name] = rule.name


def leave(policy: Policy, draft: Row, sent: Row, ignored: Row, rules: Row) -> None:
    """Take nothing of what is sent; name what would move, be left out, or refused."""
    would = deepcopy(draft)
    for name in in_order(policy, sent, creating=False):
        reasons: Row = {}
        try:
            take(policy, would, name, sent, reasons, rules, creating=False)
        except errors.InvalidField:
            reasons[name] = "refused"
        parts = ("fields", "clocks")
        moved = any(not same(would[p].get(name), draft[p].get(name)) for p in parts)
        if moved or name in reasons:
            ignored.setdefault(name, "on_found")


def fill(policy: Policy, fields: Row, sent: Row, ignored: Row, rules: Row) -> None:
    """Give a new contact its defaults; refuse it where a needed field is missing."""
    for name, line in policy.fields.items():
        rule, default = rule_of(policy, name, rules), line.default
        if default is not None and (name not in sent or rule.name == "ignore"):
            fields[name] = default
            if name in sent and not same(sent[name], default):
                ignored[name] = "ignore"
    for name, line in policy.fields.items():
        if line.required and empty(fields.get(name)):
            raise errors.MissingField(name)

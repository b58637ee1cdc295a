"""
Naive twins of fields: reading, merging, filling.

Rules:
    A policy's table is read; none of the library's rules and keys is called.
    A draft is a dict of ``fields`` and ``clocks``, changed in place.
"""

from __future__ import annotations

from collections.abc import Container
from copy import deepcopy
from typing import Any

from tests.oracle.keys import (
    Row,
    composite,
    composite_forms,
    forms,
    is_additional,
    is_blocked,
    makes_blocked_form,
)
from tests.oracle.values import (
    DROPS,
    RULES,
    as_list,
    empty,
    is_number,
    listed,
    same,
    shows,
)
from tests.oracle.values import blank as is_blank
from upsertcore import Policy, errors
from upsertcore.values import freeze, thaw


def read(
    policy: Policy, patch: Row, null: str | None = None, blank: str | None = None
) -> tuple[Row, Row]:
    """Read a patch: the sent fields, and those that count as omitted."""
    sent: Row = {}
    ignored: Row = {}
    for name, raw in patch.items():
        line, value = policy.fields.get(name), raw
        if name == policy.id_field:
            read_own_id(name, raw, ignored)
            continue
        if line is None and policy.extra_fields is None:
            raise errors.UnknownField(name, tuple(policy.fields))
        options: Any = line or policy.extra_fields
        value = listed(options, value)
        if options.clean and not empty(value):
            try:
                value = listed(options, thaw(options.clean(freeze(value))))
            except ValueError as error:
                raise errors.InvalidField(name, raw, str(error)) from error
            if value is None:
                raise errors.InvalidField(name, raw, "")
        kind = "null" if value is None else "blank" if is_blank(value) else "rest"
        option = {"null": null, "blank": blank}.get(kind)
        treatment = option or getattr(options, kind, "store")
        if treatment == "reject":
            raise errors.InvalidField(name, raw, "")
        if treatment == "ignore":
            ignored[name] = kind
        else:
            sent[name] = None if treatment == "clear" else value
            drop_blocked(policy, name, raw, sent, ignored)
    refuse_blocked_composites(policy, sent)
    return sent, ignored


def read_own_id(name: str, raw: Any, ignored: Row) -> None:
    """Ignore an absent id of a patch, and refuse one that is no text."""
    if empty(raw):
        ignored[name] = "null" if raw is None else "blank"
    elif not isinstance(raw, str):
        raise errors.InvalidField(name, raw, "")


def own_ids(policy: Policy, patch: Row, argument: Any) -> Row:
    """
    Return the id that a patch is looked up by, that of its call, and its name.

    The one of the call decides before the keys, so that of the patch is no key then.
    """
    raw = patch.get(policy.id_field) if policy.id_field else None
    own = None if empty(raw) else raw
    name = policy.id_field or "id"
    if argument is not None and (not isinstance(argument, str) or empty(argument)):
        raise errors.InvalidField(name, argument, "")
    if None not in (own, argument) and own != argument:
        raise errors.InvalidField(name, own, "")
    id = own if argument is None else argument
    own = own if argument is None else None
    return {"own": own, "argument": argument, "id": id, "id_name": name}


def drop_blocked(policy: Policy, name: str, raw: Any, sent: Row, ignored: Row) -> None:
    """Drop blocked items of a sent field, or refuse them."""
    value = sent[name]
    items = value if isinstance(value, list) else [value]
    allowed = [item for item in items if not makes_blocked_form(policy, name, item)]
    if policy.on_blocked == "store" or len(allowed) == len(items):
        return
    if policy.on_blocked == "refuse":
        raise errors.InvalidField(name, raw, "")
    ignored[name] = "blocked"
    if allowed:
        sent[name] = allowed
    else:
        del sent[name]


def refuse_blocked_composites(policy: Policy, sent: Row) -> None:
    """Refuse a patch that makes a blocked form of several fields."""
    for key in filter(composite, policy.all_keys):
        bad = any(is_blocked(key, form) for form in composite_forms(key, sent))
        if bad and policy.on_blocked == "refuse":
            parts = {name: sent[name] for name in key.fields}
            raise errors.InvalidField(key.name, parts, "")


def rule_of(policy: Policy, name: str, rules: Row) -> Any:
    """Return the rule of a field: that of the call, of its line, or of the others."""
    line = policy.fields.get(name)
    line_or_extra: Any = line or policy.extra_fields
    return rules.get(name) or (line_or_extra and line_or_extra.rule)


def put_value(draft: Row, name: str, value: Any, clock: Any = None) -> None:
    """Store a value, None being absence, and its clock, if any."""
    if value is None:
        draft["fields"].pop(name, None)
    else:
        draft["fields"][name] = value
    if clock is not None:
        draft["clocks"][name] = clock


def combine(rule: Any, draft: Row, name: str, value: Any, clock: Any) -> Any:
    """Merge one value into a draft; return the new value of the field."""
    stored = draft["fields"].get(name)
    try:
        if rule.by is None:
            twin = RULES.get(rule.name, rule.combine)
            new_clock, new = None, thaw(twin(*deepcopy((stored, value))))
        else:
            old_clock = draft["clocks"].get(name)
            new_clock, new = RULES["latest(by='at')"](
                (old_clock, stored), (clock, value)
            )
    except ValueError as error:
        raise errors.InvalidField(name, value, str(error)) from error
    put_value(draft, name, new, new_clock)
    return new


def merge(
    policy: Policy,
    draft: Row,
    sent: Row,
    ignored: Row,
    rules: Row,
    *,
    creating: bool,
    updating: bool = False,
    clears: bool = False,
    out: Container[str] = (),
) -> None:
    """Merge the sent fields that are not *out*; note in *ignored* those not taken."""
    appending = [key for key in policy.all_keys if key.append_new]
    for name in merge_order(policy, sent, creating=creating):
        if name not in out:
            before = draft["fields"].get(name)
            how = {"creating": creating, "updating": updating}
            merge_field(policy, draft, name, sent, ignored, rules, **how)
            for key in appending if updating and not clears else ():
                if key.fields[0] == name:
                    replace_primary(policy, key, draft, before, sent)


def replace_primary(
    policy: Policy, key: Any, draft: Row, before: Any, sent: Row
) -> None:
    """Append what a new primary has replaced, unless the additional ones are sent."""
    first, last, fields = key.fields[0], key.fields[-1], draft["fields"]
    if last in sent or empty(fields.get(first)):
        return
    for item in before if isinstance(before, list) else [before]:
        form = forms(policy, key, {first: item})
        if form and not {*form} <= {*forms(policy, key, fields)}:
            put_value(draft, last, [*as_list(fields.get(last)), item])


def merge_order(policy: Policy, sent: Row, *, creating: bool) -> list[str]:
    """List the sent fields, primaries last."""
    primary = [k.fields[0] for k in policy.all_keys if k.any_of and not creating]
    return sorted(sent, key=lambda name: name in primary)


def merge_field(
    policy: Policy,
    draft: Row,
    name: str,
    sent: Row,
    ignored: Row,
    rules: Row,
    *,
    creating: bool,
    updating: bool = False,
) -> None:
    """Merge one sent field into a draft."""
    primary = {k.fields[0]: k for k in policy.all_keys if k.any_of and not creating}
    rule, value = rule_of(policy, name, rules), sent[name]
    stored, clock = draft["fields"].get(name), None
    key = primary.get(name)
    if key and not updating and is_additional(policy, key, draft, value):
        ignored[name] = "additional"
        return
    if rule.by is not None:
        clock = sent.get(rule.by)
        if empty(clock) or not (is_number(clock) or isinstance(clock, str)):
            raise errors.InvalidField(rule.by, clock, "")
    takes = rule.name != "ignore" and (creating or rule.name != "on_create")
    new = combine(rule, draft, name, value, clock) if takes else stored
    drops = rule.name in DROPS or rule.name not in RULES
    partly = rule.name == "deep_keep"
    kept = partly or same(new, stored)
    if drops and kept and not shows(rule.name, new, value):
        ignored[name] = rule.name


def clear_omitted(
    policy: Policy, draft: Row, sent: Row, ignored: Row, rules: Row, by: str | None
) -> None:
    """Clear what a patch omits, where a null would; *by* is the key that matched."""
    used = [rule_of(policy, name, rules) for name in [*policy.fields, *rules, ""]]
    clocks = {rule.by for rule in used if rule}
    matched = {name for key in policy.all_keys if key.name == by for name in key.fields}
    kept, missing = {*sent, *ignored, *clocks, *matched}, []
    for name in [name for name in draft["fields"] if name not in kept]:
        rule, line = rule_of(policy, name, rules), policy.fields.get(name)
        default = listed(line, line.default) if line else None
        clock = sent.get(rule.by)
        no_clock = empty(clock) or not (is_number(clock) or isinstance(clock, str))
        stays = rule.name in ("ignore", "on_create") or (rule.by and no_clock)
        if stays or same(draft["fields"][name], default):
            continue
        try:
            combine(rule, draft, name, None, clock)
        except errors.InvalidField:
            continue
        if name not in draft["fields"]:
            put_value(draft, name, default)
            missing += [name] if line and line.required and default is None else []
    for name in [name for name in policy.fields if name in missing]:
        raise errors.MissingField(name, is_cleared=True)


def note_unchanged(
    policy: Policy, draft: Row, sent: Row, ignored: Row, rules: Row
) -> None:
    """Take no sent field; note those that would change, be ignored, or refused."""
    trial = deepcopy(draft)
    for name in merge_order(policy, sent, creating=False):
        reasons: Row = {}
        try:
            merge_field(policy, trial, name, sent, reasons, rules, creating=False)
        except errors.InvalidField:
            reasons[name] = "refused"
        parts = ("fields", "clocks")
        changed = any(not same(trial[p].get(name), draft[p].get(name)) for p in parts)
        if changed or name in reasons:
            ignored.setdefault(name, "on_found")


def fill_defaults(
    policy: Policy, fields: Row, sent: Row, ignored: Row, rules: Row
) -> None:
    """Give a new contact its defaults; refuse it without a required field."""
    for name, line in policy.fields.items():
        rule, default = rule_of(policy, name, rules), listed(line, line.default)
        if default is not None and (name not in sent or rule.name == "ignore"):
            fields[name] = default
            if name in sent and not same(sent[name], default):
                ignored[name] = "ignore"
    for name, line in policy.fields.items():
        if line.required and empty(fields.get(name)):
            raise errors.MissingField(name)

"""
The rules of a patch, applied to a row.

Rules:
    A rule other than ``replace`` is applied by the function of the general path.
    What a rule refuses is left to that path.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from upsertcore.engine.merge_patch import apply_rule
from upsertcore.errors import InvalidField
from upsertcore.model.contact import NO_HISTORY
from upsertcore.model.packed_row import CLOCKS, HISTORY, NAMES
from upsertcore.rules.rule import replace
from upsertcore.store.key_lookup import OMITTED
from upsertcore.store.policy_constants import (
    COLUMNS,
    DEFAULTS,
    EXTRA_RULE,
    FIRST,
    INDEX,
    RULES,
)
from upsertcore.values import FrozenMap, same

if TYPE_CHECKING:
    from upsertcore.rules.rule import Rule
    from upsertcore.store.policy_constants import FastCall, Values

__all__ = ["combined", "extra_fields", "ruled", "with_clocks"]


def with_clocks(history: Any, clocks: dict[str, Any]) -> tuple[Any, ...]:
    """Return the history of a contact with other clocks."""
    aliases, _clocks, *rest = history or NO_HISTORY
    return aliases, FrozenMap.trusted(clocks), *rest


def ruled(
    call: FastCall, after: Values, before: Any
) -> tuple[tuple[str, ...], Values | None, Mapping[str, str], dict[str, Any] | None]:
    """
    Apply the rules other than ``replace``, and the undeclared fields of a patch.

    Args:
        call: The call.
        after: The new values, if every sent value replaced the stored one.
        before: The row of the contact; None if it is created.

    Returns:
        The names and values of the new row, what is ignored, and the clocks if one of
        them moves; None in place of the values if the general path is needed: a rule
        refuses a value, or changes that of a key.
    """
    sent, _scope, _forms, _state, _plain, ignored, extra, _conflicts = call
    history = before[HISTORY] if before is not None else None
    clocks = {} if history is None else {**history[CLOCKS]}
    results, has_moved = [*after], False
    left_out: dict[str, str] = {}
    for name in sent:
        if name not in RULES:
            continue
        column, rule, is_key = RULES[name]
        stored = clocks.get(name), None if before is None else before[FIRST + column]
        new, clock, is_left_out = combined(rule, name, stored, sent, before)
        if new is OMITTED or (is_key and not same(new, sent[name])):
            return COLUMNS, None, ignored, None
        if before is None and not rule.on_create and DEFAULTS[column] is not None:
            return COLUMNS, None, ignored, None
        if is_left_out:
            left_out[name] = rule.name
        if not same(clock, stored[0]):
            clocks[name], has_moved = clock, True
        results[column] = new
    names = COLUMNS
    if extra or (before is not None and before[NAMES] is not names):
        fields = extra_fields(call, before, left_out)
        if fields is None:
            return names, None, ignored, None
        names = INDEX.names.of(fields)
        results += fields.values()
    if left_out:
        in_order = {name: left_out[name] for name in sent if name in left_out}
        ignored = {**ignored, **in_order}
    return names, (*results,), ignored, clocks if has_moved else None


def extra_fields(
    call: FastCall, before: Any, left_out: dict[str, str]
) -> dict[str, Any] | None:
    """
    Apply the undeclared fields of a patch.

    Args:
        call: The call.
        before: The row of the contact; None if it is created.
        left_out: Field to reason, for what is ignored; changed in place.

    Returns:
        All undeclared fields of the contact; None as for :func:`ruled`.
    """
    width = len(COLUMNS)
    fields: dict[str, Any] = {}
    if before is not None:
        held = before[FIRST + width :]
        fields = dict(zip(before[NAMES][width:], held, strict=True))
    for name, value in call[6].items():
        new = value
        if EXTRA_RULE is not replace:
            if EXTRA_RULE.by is not None:
                return None
            stored = None, fields.get(name)
            new, _, is_left_out = combined(EXTRA_RULE, name, stored, call[0], before)
            if new is OMITTED:
                return None
            if is_left_out:
                left_out[name] = EXTRA_RULE.name
        if new is None:
            fields.pop(name, None)
        else:
            fields[name] = new
    return fields


def combined(
    rule: Rule, name: str, stored: tuple[Any, Any], sent: Mapping[str, Any], row: Any
) -> tuple[Any, Any, bool]:
    """
    Apply the rule of one field.

    Args:
        rule: The rule.
        name: The name of the field.
        stored: The stored clock and value.
        sent: The patch.
        row: The row of the contact; None if it is created.

    Returns:
        The new value, its clock, and whether the sent value is left out; ``OMITTED``
        in place of the value if the rule refuses it.
    """
    (clock, new), value = stored, sent[name]
    if rule.on_create if row is None else rule.on_update:
        try:
            new, clock = apply_rule(rule, name, stored, value, sent)
        except InvalidField as refusal:
            if refusal.is_from_caller:
                raise
            return OMITTED, clock, False
    return new, clock, rule.leaves_out(stored[1], new, value)

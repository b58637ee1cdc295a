"""
Per-call overrides: what one call does in place of the policy.

Rules:
    The policy itself does not change; the call uses a copy of it.
    Keys and the other ``on_...`` options cannot be overridden here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypedDict

import attrs

from upsertcore.errors import InvalidPolicy
from upsertcore.policy.fields import (
    Blank,
    Field,
    Null,
    check_choice,
    check_clock,
    check_field_name,
    check_patch_rule,
    check_rule,
)
from upsertcore.values import describe, list_names, show_value

if TYPE_CHECKING:
    from upsertcore.policy.policy import Omitted, OnFound, OnNotFound, Policy
    from upsertcore.rules.rule import Rule

__all__ = ["CallOptions", "settings_of", "with_overrides"]


class CallOptions(TypedDict, total=False):
    """
    What one call does in place of the policy; None, or left out, for the policy's own.

    >>> CallOptions(null="ignore")
    {'null': 'ignore'}
    """

    rules: Mapping[str, Rule] | None
    """Field name to the rule that replaces its own."""
    null: Null | None
    """What null does, in every field."""
    blank: Blank | None
    """What blank does, in every field."""
    on_found: OnFound | None
    """What happens if the patch matches a contact."""
    on_not_found: OnNotFound | None
    """What happens if it matches none."""
    omitted: Omitted | None
    """What becomes of the fields that the patch omits: they stay, or are cleared."""


_OPTIONS = (*CallOptions.__annotations__,)


def settings_of(options: CallOptions) -> tuple[Any, ...]:
    """
    Return the values of all options of a call, in the order of their names.

    Raises:
        TypeError: If there is no such option.

    >>> settings_of({"null": "ignore"})
    (None, 'ignore', None, None, None, None)
    """
    for name in options:
        if name not in _OPTIONS:
            what = f"is no argument; use one of {list_names(_OPTIONS)}"
            raise TypeError(f"{show_value(name)}: {what}")
    return (*map(options.get, _OPTIONS),)


def with_overrides(
    policy: Policy,
    rules: Mapping[str, Rule] | None = None,
    null: Null | None = None,
    blank: Blank | None = None,
    on_found: OnFound | None = None,
    on_not_found: OnNotFound | None = None,
    omitted: Omitted | None = None,
) -> Policy:
    """
    Return the policy with the overrides of one call.

    Args:
        policy: The policy.
        rules: Field name to the rule that replaces its own.
        null: The ``null`` option of every field.
        blank: The ``blank`` option of every field.
        on_found: In place of the policy's.
        on_not_found: In place of the policy's.
        omitted: What becomes of the fields that the patch omits; None: they stay.

    Returns:
        The policy itself where there are no overrides.

    Raises:
        InvalidPolicy: If an override is invalid.
        UnknownField: If the policy has no such field.

    Cost:
        Linear in the fields of the policy, where there are overrides.

    >>> from upsertcore import Policy, field, first_match, normalize
    >>> from upsertcore.rules import keep
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> with_overrides(policy, {"email": keep}).fields["email"].rule
    keep
    """
    given: dict[str, str | None] = {"on_found": on_found, "on_not_found": on_not_found}
    given["omitted"] = omitted
    changed = {name: value for name, value in given.items() if value is not None}
    if rules is None and null is None and blank is None and not changed:
        return policy
    fields = dict(policy.fields)
    overrides = {} if rules is None else rules
    if not isinstance(overrides, Mapping):
        what = f"must be a mapping of fields to rules, not {describe(rules)}"
        raise InvalidPolicy(f"rules: {what}; write {{'tags': union}}")
    for name, rule in overrides.items():
        check_rule(f"{name}: rule", rule)
        check_patch_rule(name, rule)
        check_clock(name, rule, policy.fields, policy.extra_fields)
        options = policy.field_options(name)
        if name not in policy.fields:
            check_field_name("rules", name, policy.fields, policy.extra_fields)
        if rule.by is not None and policy.uses_update_time(name):
            but = f"but its on_merge rule, {policy.merge_rule(name)}, sets one too"
            raise InvalidPolicy(f"{name}: rule {rule} has a clock, {but}")
        fields[name] = attrs.evolve(options, rule=rule)
    if null is not None:
        check_choice("null", null, Null)
    if blank is not None:
        check_choice("blank", blank, Blank)

    def override(options: Field) -> Field:
        return attrs.evolve(
            options,
            null=options.null if null is None else null,
            blank=options.blank if blank is None else blank,
        )

    extra = None if policy.extra_fields is None else override(policy.extra_fields)
    overridden = {name: override(options) for name, options in fields.items()}
    return policy.with_fields(overridden, extra, **changed)

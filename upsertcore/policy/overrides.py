"""
Per-call overrides: rules, null and blank in place of the policy's.

Rules:
    The policy itself does not change; the call uses a copy of it.
    Keys and the ``on_...`` options cannot be overridden here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

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
from upsertcore.values import describe

if TYPE_CHECKING:
    from upsertcore.policy.policy import Policy
    from upsertcore.rules.rule import Rule

__all__ = ["with_overrides"]


def with_overrides(
    policy: Policy,
    rules: Mapping[str, Rule] | None = None,
    null: Null | None = None,
    blank: Blank | None = None,
) -> Policy:
    """
    Return the policy with the overrides of one call.

    Args:
        policy: The policy.
        rules: Field name to the rule that replaces its own.
        null: The ``null`` option of every field.
        blank: The ``blank`` option of every field.

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
    if rules is None and null is None and blank is None:
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
    return policy.with_fields(overridden, extra)

"""
One call's own wishes: rules, null and blank in place of the policy's.

Rules:
    The policy itself stays as it is; a call works with a copy of it.
    Keys, and what to do in the hard cases, are the policy's for every call.
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
from upsertcore.values import described

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
    Give the policy that one call goes by.

    Args:
        policy: The table.
        rules: Field name to the rule in place of its own.
        null: What null does in every field.
        blank: What blank does in every field.

    Returns:
        The policy itself where nothing is wished.

    Raises:
        InvalidPolicy: If a wish is none.
        UnknownField: If the policy has no such field.

    Cost:
        Linear in the fields of the policy, where anything is wished.

    >>> from upsertcore import Policy, field, first_match, normalize
    >>> from upsertcore.rules import keep
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> with_overrides(policy, {"email": keep}).fields["email"].rule
    keep
    """
    if rules is None and null is None and blank is None:
        return policy
    lines = dict(policy.fields)
    own = {} if rules is None else rules
    if not isinstance(own, Mapping):
        what = f"must be a mapping of fields to rules, not {described(rules)}"
        raise InvalidPolicy(f"rules: {what}; write {{'tags': union}}")
    for name, rule in own.items():
        check_rule(f"{name}: rule", rule)
        check_patch_rule(name, rule)
        check_clock(name, rule, policy.fields, policy.extra_fields)
        line = policy.field_options(name)
        if name not in policy.fields:
            check_field_name("rules", name, policy.fields, policy.extra_fields)
        if rule.by is not None and policy.uses_update_time(name):
            but = f"but its on_merge rule, {policy.merge_rule(name)}, sets one too"
            raise InvalidPolicy(f"{name}: rule {rule} has a clock, {but}")
        lines[name] = attrs.evolve(line, rule=rule)
    if null is not None:
        check_choice("null", null, Null)
    if blank is not None:
        check_choice("blank", blank, Blank)

    def wished(line: Field) -> Field:
        return attrs.evolve(
            line,
            null=line.null if null is None else null,
            blank=line.blank if blank is None else blank,
        )

    other = None if policy.extra_fields is None else wished(policy.extra_fields)
    return policy.with_fields({n: wished(line) for n, line in lines.items()}, other)

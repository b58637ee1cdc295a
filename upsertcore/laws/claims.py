"""
The claims: which laws a policy claims to keep.

Rules:
    A claim follows from the policy alone: from what its rules declare, and from the
    options of its keys. A claim is not tried here; a card tries it.
    A law that a policy does not claim may still hold, and a card shows that too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from upsertcore.policy.fields import Field
from upsertcore.policy.policy import Policy, compiled, consulted
from upsertcore.rules.rule import Law, Rule

__all__ = ["claims"]


def claims(policy: Policy, law: str, *, carries: bool = False) -> bool:
    """
    Return whether a policy claims a law.

    Args:
        policy: The policy.
        law: The name of a law of a call or of a log.
        carries: True if only patches with a key of the strategy are meant: patches
            without one are idempotent only if the policy refuses them.

    Returns:
        For ``idempotent``: if every rule declares it, and a patch can match; but not
        for a ``merge_all`` with a guard that stores keys in use.
        For ``finds_again``: if the rules of the key fields do.
        For ``empty_changes_nothing``: if a patch without a key is refused.
        For ``left_out_together``: if there are composite keys.
        For ``clock_travels``: if a rule uses a clock.
        For ``sticky_stays`` and ``sticky_wins``: if a rule keeps a value.
        For ``constant_is_set`` and ``refused_stays_apart``: if an ``on_merge`` rule
        sets or refuses a value.
        For ``one_is_a_list``: if a field has many values.
        For ``unique`` and ``round_trip``: unless a key in use is allowed.
        For ``log_again`` and ``any_order``: if every rule declares the property, the
        strategy has one key, which is never released, and nothing else is required;
        for ``any_order`` also if no other key is unique.
        For ``create_makes_one``: if all keys of the strategy are unique, and a key in
        use is refused.
        For any other law: always.

    >>> from upsertcore import field, first_match, normalize
    >>> from upsertcore.rules import add
    >>> fields = {"id": field(key=normalize.exact), "visits": field(rule=add)}
    >>> claims(Policy(first_match("id"), fields), "idempotent")
    False
    """
    refuses = policy.on_no_key == "refuse"
    finds = bool(policy.match.keys) and (refuses or carries)
    if law == "idempotent":
        guarded = policy.match.merges and policy.match.guard is not None
        stores = guarded and policy.on_key_in_use == "allow"
        return finds and not stores and _declare("idempotent", _rules(policy))
    if law == "finds_again":
        keyed = {name for key in policy.all_keys for name in key.fields}
        rules = [policy.field_options(name).rule for name in keyed]
        return finds and _declare("idempotent", rules)
    if law == "empty_changes_nothing":
        return finds and refuses
    if law in _SUBJECTS:
        return _SUBJECTS[law](policy)
    if law in ("unique", "round_trip"):
        return policy.on_key_in_use != "allow"
    if law == "log_again":
        return _declare("absorbing", _rules(policy)) and _holds_on(policy)
    if law == "any_order":
        others = [key for key in policy.all_keys if key.name not in policy.match.keys]
        apart = not any(key.unique for key in others)
        return _declare("commutative", _rules(policy)) and _holds_on(policy) and apart
    keys = consulted(policy)
    unique = bool(keys) and all(key.unique for key in keys)
    return law != "create_makes_one" or (unique and policy.on_key_in_use == "refuse")


def _has_clock(policy: Policy) -> bool:
    dated = any(map(policy.uses_update_time, policy.fields))
    return dated or any(rule.by is not None for rule in _rules(policy))


def _keeps(rules: Iterable[Rule]) -> bool:
    return any(rule.sticky for rule in rules)


def _has_merge_rule(policy: Policy, begins: str) -> bool:
    rules = map(policy.merge_rule, policy.fields)
    return any(rule.name.startswith(begins) for rule in rules)


_SUBJECTS: dict[str, Callable[[Policy], bool]] = {
    "left_out_together": lambda policy: any(key.composite for key in policy.all_keys),
    "clock_travels": _has_clock,
    "sticky_stays": lambda policy: _keeps(_rules(policy)),
    "sticky_wins": lambda policy: _keeps(map(policy.merge_rule, policy.fields)),
    "constant_is_set": lambda policy: _has_merge_rule(policy, "constant("),
    "refused_stays_apart": lambda policy: _has_merge_rule(policy, "refuse_if("),
    "one_is_a_list": lambda policy: any(line.many for line in _lines(policy)),
}
"""Laws about something that only some policies have, and whether one has it."""


def _declare(law: Law, rules: Iterable[Rule]) -> bool:
    return all(law in rule.laws for rule in rules)


def _rules(policy: Policy) -> Iterator[Rule]:
    return (line.rule for line in _lines(policy))


def _lines(policy: Policy) -> Iterator[Field]:
    yield from policy.fields.values()
    if policy.extra_fields is not None:
        yield policy.extra_fields


def _holds_on(policy: Policy) -> bool:
    """Return whether a contact that a key matched once stays its match for ever."""
    keys = consulted(policy)
    # With several keys, or a key over several fields, a patch may carry a form that its
    # rules leave out. Sent alone it then creates a contact; sent again it matches two.
    if len(keys) != 1 or keys[0].any_of:
        return False
    takes = (
        policy.on_not_found == "create"
        and policy.on_found == "update"
        and policy.on_deleted == "forget"
    )
    # A patch that is refused for a missing required field may succeed when sent again.
    always = {*compiled(policy).required} <= {*keys[0].fields}
    kept = all(key.keep_aliases and key.max_forms is None for key in policy.all_keys)
    return takes and always and kept and policy.on_no_key == "refuse"

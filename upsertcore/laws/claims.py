"""
The claims: which laws a policy says of itself that it keeps.

Rules:
    A claim follows from the table alone: rules by what they declare, keys by how they
    are held. Nothing is tried here; a card tries it.
    What a policy does not claim may hold all the same, and a card shows that too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from upsertcore.policy.policy import Policy, compiled
from upsertcore.rules.rule import Law, Rule

__all__ = ["claims"]


def claims(policy: Policy, law: str, *, carries: bool = False) -> bool:
    """
    Tell whether a policy claims a law.

    Args:
        policy: The table.
        law: The name of a law of a call or of a log.
        carries: True to ask of patches that carry a key of the strategy alone: those
            without one are idempotent only where the policy refuses them.

    Returns:
        For ``idempotent``: if every rule declares it, and a patch can find somebody;
        for ``finds_again``: if those of the keys' fields do. For
        ``empty_changes_nothing``: if a patch without a key is refused. For
        ``left_out_together``: if there are keys of several fields, for
        ``clock_travels``: if a rule goes by a clock. For ``unique``
        and ``round_trip``: unless clashes are allowed. For ``log_again`` and
        ``any_order``: if every rule declares what that takes, one key alone finds and
        is never let go, and nothing else is needed; for ``any_order`` besides if no
        other key is unique. For ``create_makes_one``: if all keys that find are
        unique, and a clash is refused. For any other: always.

    >>> from upsertcore import field, first_match, normalize
    >>> from upsertcore.rules import add
    >>> fields = {"id": field(key=normalize.exact), "visits": field(rule=add)}
    >>> claims(Policy(first_match("id"), fields), "idempotent")
    False
    """
    refuses = policy.on_no_key == "refuse"
    finds = bool(policy.match.keys) and (refuses or carries)
    if law == "idempotent":
        return finds and _declare("idempotent", _rules(policy))
    if law == "finds_again":
        keyed = {name for key in policy.all_keys for name in key.fields}
        rules = [policy.field_options(name).rule for name in keyed]
        return finds and _declare("idempotent", rules)
    if law == "empty_changes_nothing":
        return finds and refuses
    if law == "left_out_together":
        return any(key.composite for key in policy.all_keys)
    if law == "clock_travels":
        dated = any(map(policy.uses_update_time, policy.fields))
        return dated or any(rule.by is not None for rule in _rules(policy))
    if law in ("unique", "round_trip"):
        return policy.on_key_in_use != "allow"
    if law == "log_again":
        return _declare("absorbing", _rules(policy)) and _holds_on(policy)
    if law == "any_order":
        others = [key for key in policy.all_keys if key.name not in policy.match.keys]
        apart = not any(key.unique for key in others)
        return _declare("commutative", _rules(policy)) and _holds_on(policy) and apart
    consulted = [compiled(policy).by_name[name] for name in policy.match.keys]
    unique = bool(consulted) and all(key.unique for key in consulted)
    return law != "create_makes_one" or (unique and policy.on_key_in_use == "refuse")


def _declare(law: Law, rules: Iterable[Rule]) -> bool:
    return all(law in rule.laws for rule in rules)


def _rules(policy: Policy) -> Iterator[Rule]:
    yield from (line.rule for line in policy.fields.values())
    if policy.extra_fields is not None:
        yield policy.extra_fields.rule


def _holds_on(policy: Policy) -> bool:
    """Tell whether whoever was found once by a key is found by it for ever."""
    consulted = [compiled(policy).by_name[name] for name in policy.match.keys]
    # Of several keys, or of one in several fields, a patch may carry a form that its
    # rules leave out; sent alone it then creates, and sent again it finds two.
    if len(consulted) != 1 or consulted[0].any_of:
        return False
    takes = (
        policy.on_not_found == "create"
        and policy.on_found == "update"
        and policy.on_deleted == "forget"
    )
    # What is refused until a needed field has come is taken when it is sent again.
    always = {*compiled(policy).required} <= {*consulted[0].fields}
    kept = all(key.keep_aliases and key.max_forms is None for key in policy.all_keys)
    return takes and always and kept and policy.on_no_key == "refuse"

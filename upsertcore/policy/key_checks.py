"""
Checks of a policy's keys against its fields, its match strategy and its options.

Rules:
    A combination of key, rule and option under which sending a patch twice could
    differ from sending it once is refused here.
    A key that may be left out of a patch takes its fields along, so no other key may
    use them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from upsertcore.errors import InvalidPolicy
from upsertcore.policy.function_checks import check_not_factory
from upsertcore.policy.keys import Key
from upsertcore.rules import keep, replace, union
from upsertcore.values import describe, show_value, unknown_name

if TYPE_CHECKING:
    from upsertcore.matching.protocol import Strategy
    from upsertcore.policy.fields import Field

__all__ = ["check_keys", "check_match", "check_rules", "make_keys"]


def make_keys(
    fields: Mapping[str, Field],
    named: Mapping[Any, Any],
) -> tuple[Key, ...]:
    """
    Collect the keys of a policy: those of single fields, then those of several.

    Args:
        fields: Field name to its options.
        named: Key name to key, for keys of several fields.

    Returns:
        All keys, in the order of the table.

    Raises:
        InvalidPolicy: If a name or a key is invalid.

    >>> from upsertcore import field, normalize
    >>> fields = {"email": field(key=normalize.email), "name": field()}
    >>> [key.name for key in make_keys(fields, {})]
    ['email']
    """
    keys = [
        Key(
            name,
            (name,),
            (options.key,),
            options.unique,
            options.keep_aliases,
            options.max_forms,
            blocked=options.blocked,
        )
        for name, options in fields.items()
        if options.key is not None
    ]
    names = dict.fromkeys(key.name for key in keys)
    for name, key in named.items():
        if not isinstance(name, str) or not name:
            what = f"names must be str, got {describe(name)}"
            raise InvalidPolicy(f"keys: {what}; name each key")
        if not isinstance(key, Key):
            check_not_factory(f"keys: {name}", key)
            what = f"must be key(...), not {describe(key)}"
            raise InvalidPolicy(f"keys: {name}: {what}; write key(..., normalize=...)")
        if name in names:
            raise InvalidPolicy(f"keys: {name}: duplicate key name; use another name")
        keys.append(attrs.evolve(key, name=name))
        names[name] = None
    return tuple(keys)


def check_keys(
    keys: tuple[Key, ...], fields: Mapping[str, Field], *, on_blocked: str
) -> None:
    """
    Check that the keys fit the fields.

    Args:
        keys: All keys of the policy.
        fields: Field name to its options.
        on_blocked: The policy's option.

    Raises:
        InvalidPolicy: If a key conflicts with the options of one of its fields.

    >>> check_keys((), {}, on_blocked="store")
    """
    primaries: set[str] = set()
    for key in keys:
        _check_options(key)
        for name in key.fields:
            if name not in fields:
                raise InvalidPolicy(
                    f"{key.name}: {unknown_name('field', name, fields)}"
                )
            if key.unique and fields[name].default is not None:
                reason = "a default would give every contact the same unique key"
                raise InvalidPolicy(f"{name}: {reason}; leave default out")
        if key.any_of:
            if key.fields[0] in primaries:
                what = "is the primary of two keys"
                raise InvalidPolicy(f"{key.fields[0]}: {what}; use another primary")
            primaries.add(key.fields[0])
        is_blocked_whole = key.composite and key.blocked and not key.blocked_parts
        if is_blocked_whole and on_blocked == "ignore":
            reason = "blocks combinations of values, so no single field can be left out"
            advice = "use on_blocked='refuse', or blocked={'field': ...}"
            raise InvalidPolicy(f"{key.name}: {reason}; {advice}")


def _check_options(key: Key) -> None:
    for option in ("unique", "keep_aliases", "any_of", "append_new"):
        if type(getattr(key, option)) is not bool:
            what = f"must be True or False, not {describe(getattr(key, option))}"
            raise InvalidPolicy(f"{key.name}: {option} {what}")
    if key.max_forms is not None and (
        type(key.max_forms) is not int or key.max_forms < 1
    ):
        what = f"must be a whole number from 1, not {describe(key.max_forms)}"
        reason = f"max_forms {what}; leave it out for no limit"
        raise InvalidPolicy(f"{key.name}: {reason}")


def check_rules(
    keys: tuple[Key, ...], fields: Mapping[str, Field], *, on_key_in_use: str
) -> None:
    """
    Check that these rules store the same parts of a key however often it is sent.

    Args:
        keys: All keys of the policy.
        fields: Field name to its options, including the overrides of one call.
        on_key_in_use: The policy's option.

    Raises:
        InvalidPolicy: If a key conflicts with the rule of one of its fields.

    >>> check_rules((), {}, on_key_in_use="refuse")
    """
    # Reversed, so that each field maps to the first composite key that contains it.
    composite = [key for key in reversed(keys) if key.composite]
    composite_of = {name: key.name for key in composite for name in key.fields}
    for key in keys:
        last = key.fields[-1]
        if key.append_new and fields[last].rule not in (replace, keep, union):
            reason = (
                f"must have the rule replace, keep or union, not {fields[last].rule}"
            )
            raise InvalidPolicy(
                f"{last}: {reason}; key {key.name} appends values to it"
            )
        if key.append_new and not fields[key.fields[0]].rule.on_create:
            reason = f"is not stored at creation, but later values would join {last}"
            raise InvalidPolicy(f"{key.fields[0]}: {reason}; use another rule")
        if key.unique and on_key_in_use == "withhold":
            _check_withheld(key, composite_of, fields)


def _check_withheld(
    key: Key, composite_of: Mapping[str, str], fields: Mapping[str, Field]
) -> None:
    """Check that a withheld part of a composite key can still be stored later."""
    for name in key.fields:
        rule = fields[name].rule
        part_of = key.name if key.composite else composite_of.get(name)
        stored_later = rule.on_update or (not rule.on_create and not key.composite)
        if part_of is not None and not stored_later:
            reason = f"its rule {rule} would never store a withheld value"
            what = f"is part of key {part_of}: with on_key_in_use='withhold', {reason}"
            raise InvalidPolicy(f"{name}: {what}; change the rule, or on_key_in_use")


def check_match(
    match: Strategy,
    by_name: Mapping[str, Key],
    fields: Mapping[str, Field],
    *,
    on_limit: str,
) -> None:
    """
    Check that a match strategy can work with these keys.

    Args:
        match: The strategy.
        by_name: Key name to key.
        fields: Field name to its options.
        on_limit: The policy's option.

    Raises:
        InvalidPolicy: If it names an unknown key, or one that is never stored, or may
            drop a key that shares its fields with another.

    >>> from upsertcore import never
    >>> check_match(never(), {}, {}, on_limit="refuse")
    """
    for name in match.keys:
        if name not in by_name:
            raise InvalidPolicy(f"{match.name}: {_no_key(name, by_name, fields)}")
        for field_name in by_name[name].fields:
            rule = fields[field_name].rule
            if not rule.stores:
                reason = f"identifies contacts, but its rule {rule} never stores it"
                raise InvalidPolicy(f"{field_name}: {reason}; use another rule")
    if on_limit == "drop":
        _check_drop_limit(match, by_name)
    if match.on_contradiction == "drop":
        _check_droppable(match.keys[1:], by_name)


def _check_drop_limit(match: Strategy, by_name: Mapping[str, Key]) -> None:
    """Check that keys can be dropped from a patch until it is within its limits."""
    if not match.merges:
        what = "'drop' needs the strategy merge_all"
        raise InvalidPolicy(f"on_limit: {what}; use it, or on_limit='refuse'")
    if match.guard is not None:
        what = "'drop' needs a strategy without a guard"
        raise InvalidPolicy(f"on_limit: {what}; leave the guard out, or 'refuse'")
    # Without aliases a merge would release forms, and the same patch would be below
    # the limit the next time.
    for name, key in by_name.items():
        if key.max_forms is not None and not key.keep_aliases:
            what = "its max_forms needs keep_aliases=True, for on_limit='drop'"
            raise InvalidPolicy(f"{name}: {what}; set it, or on_limit='refuse'")
    _check_droppable(match.keys, by_name)


def _no_key(name: str, by_name: Mapping[str, Key], fields: Mapping[str, Field]) -> str:
    if name in fields:
        return f"field {show_value(name)} has no key; add key=... to it"
    return unknown_name("key", name, by_name)


def _check_droppable(names: tuple[str, ...], by_name: Mapping[str, Key]) -> None:
    """Check that none of these keys shares a field with another key."""
    uses = Counter(name for key in by_name.values() for name in key.fields)
    for name in names:
        key = by_name[name]
        if key.composite or any(uses[field_name] > 1 for field_name in key.fields):
            reason = "cannot be dropped alone: other keys share its fields"
            raise InvalidPolicy(f"{name}: {reason}; leave 'drop' out")

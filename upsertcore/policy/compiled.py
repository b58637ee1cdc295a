"""
The tables that a policy derives from its fields and keys, once for all calls.

Rules:
    They are frozen and built with the policy; the overrides of a call replace the
    tables that depend on the fields, and keep those that depend on the keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, final

from attrs import evolve, frozen

from upsertcore.policy.fields import Field, default_value
from upsertcore.policy.keys import Key
from upsertcore.policy.union_find import groups
from upsertcore.rules import replace
from upsertcore.rules.rule import Rule

__all__ = ["Compiled", "compile_table", "identifying_together"]


@final
@frozen(eq=False)
class Compiled:
    """
    The derived tables of a policy.

    Args:
        keys: All keys; those of one field first.
        by_name: Key name to key.
        no_forms: An empty tuple of forms for each key.
        key_fields: The fields of all keys.
        primaries: Primary field to its key, for keys with ``any_of``.
        keeps_aliases: True where a key keeps aliases.
        limits: True where a key has ``max_forms``.
        blocking: Field to the keys that block values of it.
        groups: Field to the fields that identify together with it.
        declared: The names of all fields.
        required: The required fields.
        defaults: Field and default, cleaned.
        fields: Field to its options.
        rules: Field to its rule.
        extra_rule: The rule of undeclared fields.
        uncleaned: Fields without ``clean``, ``many`` and blocked values.
        replacing: Fields that a new contact stores as they are sent.

    >>> compile_table({}, (), None, blocks=False).keys
    ()
    """

    keys: tuple[Key, ...]
    by_name: Mapping[str, Key]
    no_forms: tuple[tuple[str, ...], ...]
    key_fields: frozenset[str]
    primaries: Mapping[str, Key]
    keeps_aliases: bool
    limits: bool
    blocking: Mapping[str, tuple[Key, ...]]
    groups: Mapping[str, tuple[str, ...]]
    declared: tuple[str, ...]
    required: tuple[str, ...]
    defaults: tuple[tuple[str, Any], ...]
    fields: Mapping[str, Field]
    rules: Mapping[str, Rule]
    extra_rule: Rule
    uncleaned: frozenset[str]
    replacing: frozenset[str]

    def replaces(self, names: Iterable[str]) -> bool:
        """Return whether a new contact stores these fields as they are sent."""
        if self.replacing.issuperset(names):
            return True
        declared = self.fields.keys() & names
        return _replaces(self.extra_rule) and self.replacing.issuperset(declared)

    def with_fields(self, fields: Mapping[str, Field]) -> Compiled:
        """Return a copy with other options of the same fields, and the same keys."""
        return evolve(self, **_of_fields(fields, self.blocking))


def compile_table(
    fields: Mapping[str, Field],
    keys: tuple[Key, ...],
    extra_fields: Field | None,
    *,
    blocks: bool,
) -> Compiled:
    """
    Derive the tables that each call uses.

    Args:
        fields: Field name to its options.
        keys: All keys of the policy.
        extra_fields: The options of undeclared fields; None where they are refused.
        blocks: True where blocked values are not stored.

    Raises:
        InvalidPolicy: If the ``clean`` of a field refuses its default.

    Cost:
        Near-linear in the fields and keys.
    """
    blocking = _blocking(keys) if blocks else {}
    items = fields.items()
    return Compiled(
        keys=keys,
        by_name=MappingProxyType({key.name: key for key in keys}),
        no_forms=((),) * len(keys),
        key_fields=frozenset(name for key in keys for name in key.fields),
        primaries={key.fields[0]: key for key in keys if key.any_of},
        keeps_aliases=any(key.keep_aliases for key in keys),
        limits=any(key.max_forms is not None for key in keys),
        blocking=blocking,
        groups=identifying_together(keys),
        declared=tuple(fields),
        required=tuple([name for name, options in items if options.required]),
        defaults=tuple(
            [
                (name, default_value(name, options))
                for name, options in items
                if options.default is not None
            ]
        ),
        extra_rule=replace if extra_fields is None else extra_fields.rule,
        **_of_fields(fields, blocking),
    )


def _of_fields(
    fields: Mapping[str, Field], blocking: Mapping[str, Any]
) -> dict[str, Any]:
    uncleaned = {n for n, o in fields.items() if o.clean is None and not o.many}
    return {
        "fields": dict(fields),
        "rules": {name: options.rule for name, options in fields.items()},
        "uncleaned": frozenset(uncleaned.difference(blocking)),
        "replacing": frozenset(
            name for name, options in fields.items() if _replaces(options.rule)
        ),
    }


def _replaces(rule: Rule) -> bool:
    return rule.combine is replace.combine and rule.on_create


def _blocking(keys: tuple[Key, ...]) -> dict[str, tuple[Key, ...]]:
    """Return, per field, the keys that block values of that field alone."""
    keys_of: dict[str, list[Key]] = {}
    for key in keys:
        names = key.blocked_parts if key.composite else key.fields
        for name in names if key.blocked else ():
            keys_of.setdefault(name, []).append(key)
    return {name: (*blocking,) for name, blocking in keys_of.items()}


def identifying_together(keys: tuple[Key, ...]) -> dict[str, tuple[str, ...]]:
    """
    Return, per field of a composite key, the fields that identify together with it.

    Args:
        keys: All keys of the policy.

    Returns:
        Field to its group: the field itself, the fields of its composite keys, the
        fields of theirs, and so on.

    >>> from upsertcore import key, normalize
    >>> parts = ("first", "born"), ("last", "born"), ("city",)
    >>> identifying_together(
    ...     tuple([key(*names, normalize=normalize.text) for names in parts])
    ... )["first"]
    ('first', 'born', 'last')
    """
    composites = [key.fields for key in keys if key.composite]
    names = [*dict.fromkeys(name for fields in composites for name in fields)]
    numbers = {name: number for number, name in enumerate(names)}
    grouped = groups([numbers[name] for name in fields] for fields in composites)
    field_groups = [tuple([names[number] for number in group]) for group in grouped]
    return {name: group for group in field_groups for name in group}

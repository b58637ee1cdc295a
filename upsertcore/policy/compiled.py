"""
What a policy derives from its table once, so that no call derives it again.

Rules:
    It is a frozen value, made with the policy; one call's overrides replace the parts
    that depend on the fields, and keep those that depend on the keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, final

from attrs import evolve, frozen

from upsertcore.policy.fields import Field, default_value
from upsertcore.policy.groups import groups
from upsertcore.policy.keys import Key
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
        no_forms: For each key no form.
        key_fields: The fields of all keys.
        primaries: Primary field to its key, for keys with ``any_of``.
        keeps_aliases: True where a key keeps aliases.
        limits: True where a key has ``max_forms``.
        blocking: Field to the keys that may leave a value of it out.
        groups: Field to the fields that identify together with it.
        required: The required fields.
        defaults: Field and default, cleaned.
        fields: Field to its options.
        rules: Field to its rule.
        extra_rule: The rule of undeclared fields.
        uncleaned: Fields whose values are stored as they are sent.
        replacing: Fields of which a new contact has what is sent.

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
    required: tuple[str, ...]
    defaults: tuple[tuple[str, Any], ...]
    fields: Mapping[str, Field]
    rules: Mapping[str, Rule]
    extra_rule: Rule
    uncleaned: frozenset[str]
    replacing: frozenset[str]

    def replaces(self, names: Iterable[str]) -> bool:
        """Return whether a contact that is created has these fields as sent."""
        if self.replacing.issuperset(names):
            return True
        declared = self.fields.keys() & names
        return _replaces(self.extra_rule) and self.replacing.issuperset(declared)

    def with_fields(self, fields: Mapping[str, Field]) -> Compiled:
        """Return a copy for other options of the same fields; its keys are these."""
        return evolve(self, **_of_fields(fields, self.blocking))


def compile_table(
    fields: Mapping[str, Field],
    keys: tuple[Key, ...],
    extra_fields: Field | None,
    *,
    blocks: bool,
) -> Compiled:
    """
    Derive what each call needs of a table.

    Args:
        fields: Field name to its options.
        keys: Of the policy.
        extra_fields: The options of undeclared fields; None where they are refused.
        blocks: True where blocked values are not stored.

    Raises:
        InvalidPolicy: If the ``clean`` of a field refuses its default.

    Cost:
        Near-linear in the fields and keys.
    """
    blocking = _blocking(keys) if blocks else {}
    lines = fields.items()
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
        required=tuple([name for name, line in lines if line.required]),
        defaults=tuple(
            [
                (n, default_value(n, line))
                for n, line in lines
                if line.default is not None
            ]
        ),
        extra_rule=replace if extra_fields is None else extra_fields.rule,
        **_of_fields(fields, blocking),
    )


def _of_fields(
    fields: Mapping[str, Field], blocking: Mapping[str, Any]
) -> dict[str, Any]:
    uncleaned = {name for name, line in fields.items() if line.clean is None}
    return {
        "fields": dict(fields),
        "rules": {name: line.rule for name, line in fields.items()},
        "uncleaned": frozenset(uncleaned.difference(blocking)),
        "replacing": frozenset(
            name for name, line in fields.items() if _replaces(line.rule)
        ),
    }


def _replaces(rule: Rule) -> bool:
    return rule.combine is replace.combine and rule.on_create


def _blocking(keys: tuple[Key, ...]) -> dict[str, tuple[Key, ...]]:
    """Return, per field, the keys of it alone that block values."""
    found: dict[str, list[Key]] = {}
    for key in keys:
        for name in key.fields if key.blocked and not key.composite else ():
            found.setdefault(name, []).append(key)
    return {name: (*blocking,) for name, blocking in found.items()}


def identifying_together(keys: tuple[Key, ...]) -> dict[str, tuple[str, ...]]:
    """
    Return, per field of a composite key, the fields that identify together with it.

    Args:
        keys: Of the policy.

    Returns:
        The field itself among them, and each field that is in a composite key with one
        of them.

    >>> from upsertcore import key, normalize
    >>> parts = ("first", "born"), ("last", "born"), ("city",)
    >>> identifying_together(
    ...     tuple([key(*each, normalize=normalize.text) for each in parts])
    ... )["first"]
    ('first', 'born', 'last')
    """
    several = [key.fields for key in keys if key.composite]
    names = [*dict.fromkeys(name for each in several for name in each)]
    places = {name: place for place, name in enumerate(names)}
    found = groups([places[name] for name in each] for each in several)
    families = [tuple([names[n] for n in group]) for group in found]
    return {name: family for family in families for name in family}

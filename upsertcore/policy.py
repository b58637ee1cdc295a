"""
The policy: one system's table, checked when it is made.

Rules:
    A policy is a frozen value; two books may share one.
    A table that cannot work is refused here, not at the first patch.
    No policy knows a system by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, final, get_args

import attrs
from attrs import frozen

from upsertcore import merge as rules
from upsertcore.errors import InvalidPolicy, UnknownField
from upsertcore.match import Key, OnMany, Strategy
from upsertcore.merge import Rule
from upsertcore.normalize import Normalizer
from upsertcore.values import freeze

__all__ = ["Blank", "Field", "Null", "OnClash", "Policy", "field"]

Null = Literal["clear", "ignore", "reject"]
Blank = Literal["store", "ignore", "clear", "reject"]
OnClash = Literal["refuse", "withhold", "allow"]
OnAbsentKey = Literal["refuse", "create"]


@final
@frozen(eq=False)
class Field:
    """
    One line of a policy's table; made by :func:`field`.

    >>> field(required=True).required
    True
    """

    key: Normalizer | None
    unique: bool
    required: bool
    clean: Callable[[Any], Any] | None
    merge: Rule
    null: Null
    blank: Blank
    default: Any


def field(
    *,
    key: Normalizer | None = None,
    unique: bool = False,
    required: bool = False,
    clean: Callable[[Any], Any] | None = None,
    merge: Rule = rules.replace,
    null: Null = "clear",
    blank: Blank = "store",
    default: Any = None,
) -> Field:
    """
    Say how a policy treats one field.

    Args:
        key: The normaliser that makes a match key of it.
        unique: No two contacts of a scope hold the same key.
        required: Needed, and not blank, to create a contact.
        clean: Makes the value that is stored of the value that was sent; raises
            ``ValueError`` for a bad one, in words that follow the field's name.
            It does not see null or blank.
        merge: How stored and sent make new.
        null: What null does: clear the field, count as omitted, or refuse.
        blank: What ``""``, ``[]`` and ``{}`` do: reach the rule as they are, count
            as omitted, clear the field, or refuse. Asked again after ``clean``.
        default: Stored when a contact is created by a patch that omits the field.

    Returns:
        A line for ``Policy(fields=...)``, which checks it.

    >>> field(unique=False).merge
    replace
    """
    return Field(key, unique, required, clean, merge, null, blank, default)


def _read_only(fields: Mapping[str, Field]) -> Mapping[str, Field]:
    if not isinstance(fields, Mapping):
        raise InvalidPolicy(f"fields: must be a mapping, not {fields!r}")
    return MappingProxyType(dict(fields))


@final
@frozen(eq=False)
class Policy:
    """
    What a book does with a patch: whom it matches, and what becomes of each field.

    Args:
        match: The match strategy.
        fields: Field name to :func:`field`.
        others: The merge rule for undeclared fields; None refuses them.
        on_many: One key, several holders: ``"refuse"``, or take the ``"oldest"`` or
            ``"newest"`` by creation, which no upsert can alter.
        on_clash: A unique key that another contact holds: ``"refuse"`` the call,
            ``"withhold"`` that field and store the rest, or ``"allow"`` it, which
            ends uniqueness: the holder is then among ``Outcome.others``.
        on_absent_key: A patch that carries none of the strategy's keys:
            ``"refuse"``, or ``"create"``, which sending twice does twice.
        create: False where a patch that finds nobody is refused.
        update: False where a patch that would change somebody is refused.

    Raises:
        InvalidPolicy: If the table cannot work.

    >>> from upsertcore import first_match, normalize
    >>> Policy(first_match("email"), {"phone": field()})
    Traceback (most recent call last):
    ...
    upsertcore.errors.InvalidPolicy: first_match: email is no key; no field has one
    """

    match: Strategy
    fields: Mapping[str, Field] = attrs.field(converter=_read_only)
    others: Rule | None = attrs.field(default=None, kw_only=True)
    on_many: OnMany = attrs.field(default="refuse", kw_only=True)
    on_clash: OnClash = attrs.field(default="refuse", kw_only=True)
    on_absent_key: OnAbsentKey = attrs.field(default="refuse", kw_only=True)
    create: bool = attrs.field(default=True, kw_only=True)
    update: bool = attrs.field(default=True, kw_only=True)
    keys: tuple[Key, ...] = attrs.field(init=False, repr=False)
    by_name: Mapping[str, Key] = attrs.field(init=False, repr=False)
    no_forms: tuple[tuple[str, ...], ...] = attrs.field(init=False, repr=False)
    other: Field | None = attrs.field(init=False, repr=False)
    needed: tuple[str, ...] = attrs.field(init=False, repr=False)
    defaults: tuple[tuple[str, Any], ...] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        _check_table(self)
        lines = self.fields.items()
        keys = tuple(Key(n, v.key, v.unique) for n, v in lines if v.key is not None)
        _check_match(self, keys)
        derived = {
            "keys": keys,
            "by_name": MappingProxyType({key.name: key for key in keys}),
            "no_forms": ((),) * len(keys),
            "other": None if self.others is None else field(merge=self.others),
            "needed": tuple(name for name, line in lines if line.required),
            "defaults": tuple(
                (name, _default(name, line))
                for name, line in lines
                if line.default is not None
            ),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    def line(self, name: Any) -> Field:
        """
        Give the line for a field, declared or not.

        Raises:
            UnknownField: If there is neither a line nor a rule for it.

        >>> from upsertcore import first_match, ignore, normalize
        >>> fields = {"email": field(key=normalize.email)}
        >>> Policy(first_match("email"), fields, others=ignore).line("city").merge
        ignore
        """
        line = self.fields.get(name)
        if line is not None:
            return line
        if self.other is None or not isinstance(name, str):
            raise UnknownField(name, tuple(self.fields))
        return self.other


def _check_table(policy: Policy) -> None:
    if not isinstance(policy.match, Strategy):
        raise InvalidPolicy(f"match: must be a match strategy, not {policy.match!r}")
    names: Any = tuple(policy.fields)
    for name in names:
        line: Any = policy.fields[name]
        if not isinstance(name, str) or not name:
            raise InvalidPolicy(f"fields: a name is text, not {name!r}")
        if not isinstance(line, Field):
            raise InvalidPolicy(f"{name}: must be a field(...), not {line!r}")
        _check_field(name, line)
    if policy.others is not None and not isinstance(policy.others, Rule):
        raise InvalidPolicy(f"others: must be a merge rule, not {policy.others!r}")
    _one_of("on_many", policy.on_many, OnMany)
    _one_of("on_clash", policy.on_clash, OnClash)
    _one_of("on_absent_key", policy.on_absent_key, OnAbsentKey)
    if not policy.create and not policy.update:
        raise InvalidPolicy("create, update: one of them must be allowed")


def _check_field(name: str, line: Field) -> None:
    for part, function in (("key", line.key), ("clean", line.clean)):
        if function is not None and not callable(function):
            raise InvalidPolicy(f"{name}: {part} is a function, not {function!r}")
    if not isinstance(line.merge, Rule):
        raise InvalidPolicy(f"{name}: merge is a merge rule, not {line.merge!r}")
    _one_of(f"{name}: null", line.null, Null)
    _one_of(f"{name}: blank", line.blank, Blank)
    if line.unique and line.key is None:
        raise InvalidPolicy(f"{name}: a unique field needs a key, a normaliser")
    if line.unique and line.default is not None:
        raise InvalidPolicy(f"{name}: a unique field has no default, it would clash")
    if line.required and not line.merge.stores:
        reason = f"required, but its rule {line.merge} never stores it"
        raise InvalidPolicy(f"{name}: {reason}")


def _check_match(policy: Policy, keys: tuple[Key, ...]) -> None:
    names = [key.name for key in keys]
    for name in policy.match.keys:
        if name not in names:
            have = f"the keys are {', '.join(names)}" if names else "no field has one"
            raise InvalidPolicy(f"{policy.match.name}: {name} is no key; {have}")
        rule = policy.fields[name].merge
        if not rule.stores:
            reason = f"identifies contacts, but its rule {rule} never stores it"
            raise InvalidPolicy(f"{name}: {reason}")


def _one_of(name: str, value: object, choices: Any) -> None:
    if value not in get_args(choices):
        names = ", ".join(map(repr, get_args(choices)))
        raise InvalidPolicy(f"{name}: must be one of {names}, not {value!r}")


def _default(name: str, line: Field) -> Any:
    try:
        value = freeze(line.default)
        return value if line.clean is None else freeze(line.clean(value))
    except ValueError as error:
        raise InvalidPolicy(f"{name}: default {error}, not {line.default!r}") from error

"""
The policy: match strategy, field options and options of one application.

Rules:
    A policy is a frozen value; two books may share one.
    A policy that cannot work is refused when it is created, not at the first patch.
    Nothing here depends on a particular external system.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Literal, TypeVar, final

import attrs
from attrs import frozen

from upsertcore.errors import InvalidPolicy, UnknownField
from upsertcore.matching.ambiguity import OnAmbiguous
from upsertcore.matching.own_id import without_own_id
from upsertcore.matching.protocol import Strategy
from upsertcore.policy.compiled import Compiled, compile_table
from upsertcore.policy.fields import (
    Field,
    check_choice,
    check_clock,
    check_field,
    check_rule,
)
from upsertcore.policy.function_checks import check_not_factory
from upsertcore.policy.key_checks import check_keys, check_match, check_rules, make_keys
from upsertcore.policy.keys import Key
from upsertcore.rules import keep
from upsertcore.rules.rule import Rule
from upsertcore.values import describe

__all__ = ["OnKeyInUse", "Policy", "compiled", "consulted"]

OnKeyInUse = Literal["refuse", "withhold", "allow"]
OnNoKey = Literal["refuse", "create"]
OnFound = Literal["update", "ignore", "refuse"]
OnNotFound = Literal["create", "refuse"]
OnBlocked = Literal["store", "ignore", "refuse"]
OnDeleted = Literal["forget", "restore", "refuse"]
OnLimit = Literal["refuse", "drop"]
Omitted = Literal["keep", "clear"]
OnUnknownId = Literal["create", "next", "refuse"]


T = TypeVar("T")


def _read_only_fields(fields: Mapping[str, Field]) -> Mapping[str, Field]:
    return _read_only("fields", fields)


def _read_only_keys(keys: Mapping[str, Key]) -> Mapping[str, Key]:
    return _read_only("keys", keys)


def _read_only(name: str, table: Mapping[str, T]) -> Mapping[str, T]:
    if not isinstance(table, Mapping):
        what = f"must be a mapping of names, not {describe(table)}"
        raise InvalidPolicy(f"{name}: {what}; write {{'email': ...}}")
    return MappingProxyType(dict(table))


def _in_order(table: Mapping[str, T]) -> tuple[tuple[str, T], ...]:
    return tuple(table.items())


@final
@frozen
class Policy:
    """
    How patches match contacts, and how each field changes; equal by its options.

    Args:
        match: The match strategy.
        fields: Field name to :func:`field`.
        keys: Key name to :func:`key`, for keys of several fields.
        extra_fields: The :func:`field` of each undeclared field; None refuses them.
        id_field: The name under which a patch may carry the contact's own id, and by
            which the strategy may consult it; no field has this name. None: a patch
            carries no id.
        on_unknown_id: If an id is consulted that no contact of the scope has:
            ``"create"`` a contact with it; consult the ``"next"`` keys, and create a
            contact with it if none matches; or ``"refuse"`` the call.
        on_merge: The rule between two contacts that are merged, for each field that
            has no ``on_merge`` of its own and whose rule has no clock and no sticky
            value. A blank value, and one that equals the field's default, count as
            absent on either side.
        on_ambiguous: If one key has several holders: ``"refuse"``, or take the
            ``"oldest"`` or ``"newest"`` by creation, which no upsert can change.
        on_key_in_use: If another contact holds a unique key: ``"refuse"`` the call;
            ``"withhold"`` the field, and the fields that identify together with it
            in composite keys, and store the rest; or ``"allow"`` duplicates: the
            holder is then in ``Outcome.also_matched``.
        on_no_key: If a patch carries none of the strategy's keys: ``"refuse"``, or
            ``"create"``; sending it twice then creates two contacts.
        on_found: If a patch matches a contact: ``"update"`` it; ``"ignore"`` the
            patch, and report the fields that it would have changed; or ``"refuse"``
            a patch that would change the contact.
        on_not_found: If a patch matches no contact: ``"create"`` one, or ``"refuse"``.
        on_blocked: A blocked value is stored but is not a key (``"store"``), is left
            out (``"ignore"``) with the fields that identify together with it, or
            refuses the call (``"refuse"``).
        on_limit: If a contact would hold more forms than a key's ``max_forms``:
            ``"refuse"``, or ``"drop"`` keys from the patch, the last one first, until
            it fits. ``"drop"`` needs ``merge_all``, and ``keep_aliases`` for each key
            with a limit.
        on_deleted: A deleted contact is removed (``"forget"``), or it keeps its keys,
            and a patch that matches it restores it (``"restore"``) or is refused
            (``"refuse"``).

    Raises:
        InvalidPolicy: If the options are invalid or conflict.

    >>> from upsertcore import field, first_match
    >>> Policy(first_match("email"), {"phone": field()})
    Traceback (most recent call last):
    ...
    upsertcore.errors.InvalidPolicy: first_match: unknown key 'email'; this policy ...
    """

    match: Strategy
    fields: Mapping[str, Field] = attrs.field(converter=_read_only_fields, eq=_in_order)
    _named: Mapping[str, Key] = attrs.field(
        factory=dict,
        alias="keys",
        kw_only=True,
        converter=_read_only_keys,
        eq=_in_order,
    )
    extra_fields: Field | None = attrs.field(default=None, kw_only=True)
    id_field: str | None = attrs.field(default=None, kw_only=True)
    on_merge: Rule = attrs.field(default=keep, kw_only=True)
    on_ambiguous: OnAmbiguous = attrs.field(default="refuse", kw_only=True)
    on_key_in_use: OnKeyInUse = attrs.field(default="refuse", kw_only=True)
    on_no_key: OnNoKey = attrs.field(default="refuse", kw_only=True)
    on_found: OnFound = attrs.field(default="update", kw_only=True)
    on_not_found: OnNotFound = attrs.field(default="create", kw_only=True)
    on_blocked: OnBlocked = attrs.field(default="store", kw_only=True)
    on_limit: OnLimit = attrs.field(default="refuse", kw_only=True)
    on_deleted: OnDeleted = attrs.field(default="forget", kw_only=True)
    on_unknown_id: OnUnknownId = attrs.field(default="create", kw_only=True)
    _compiled: Compiled = attrs.field(init=False, repr=False, eq=False)
    omitted: Omitted = attrs.field(init=False, repr=False, default="keep")
    """What becomes of the fields that a call omits; only a call's options set it."""
    _base: Policy | None = attrs.field(init=False, repr=False, default=None)
    _update_time_fields: tuple[str, ...] = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        _check_table(self)
        fields = self.fields
        keys = make_keys(fields, self._named)
        check_keys(keys, fields, on_blocked=self.on_blocked)
        check_rules(keys, fields, on_key_in_use=self.on_key_in_use)
        blocks = self.on_blocked != "store"
        tables = compile_table(fields, keys, self.extra_fields, blocks=blocks)
        _check_id_field(self.id_field, fields, tables.by_name)
        by_key = without_own_id(self.id_field, self.match)
        check_match(by_key, tables.by_name, fields, on_limit=self.on_limit)
        object.__setattr__(self, "_compiled", tables)
        timed = tuple([name for name in fields if self.uses_update_time(name)])
        object.__setattr__(self, "_update_time_fields", timed)

    @classmethod
    def from_toml(cls, text: str, *, allow_imports: bool = False) -> Policy:
        """
        Read a policy from TOML.

        Args:
            text: The policy; the README of ``policy/`` lists its words.
            allow_imports: True to import what the text names as ``module:attribute``,
                which runs these modules.

        Raises:
            InvalidPolicy: If the text is not a policy, or the policy is invalid; the
                message has the line where it is known.
            ModuleNotFoundError: If a normaliser needs an extra that is not installed.

        Laws:
            ``Policy.from_toml(policy.to_toml(), allow_imports=True) == policy``.

        >>> policy = Policy.from_toml('''
        ... match = { first_match = ["email"] }
        ...
        ... [fields.email]
        ... key = "email"
        ... unique = true
        ... ''')
        >>> policy.match, policy.fields["email"].unique
        (first_match('email'), True)
        """
        # Most programs read no text, so its modules are loaded at the first use.
        from upsertcore.policy.toml_text import read_policy  # noqa: PLC0415

        return read_policy(cls, text, allow_imports=allow_imports)

    def to_toml(self) -> str:
        """
        Write the policy as TOML, which :meth:`from_toml` reads.

        Returns:
            The options that differ from their defaults. A function of the application
            is written as ``module:attribute``.

        Raises:
            InvalidPolicy: If a function is not at the top level of a module, or a rule
                or strategy is not made by a function of the library.

        >>> from upsertcore import field, first_match, normalize
        >>> fields = {"phone": field(key=normalize.prefix(3))}
        >>> print(Policy(first_match("phone"), fields).to_toml(), end="")
        match = { first_match = ["phone"] }
        <BLANKLINE>
        [fields.phone]
        key = { prefix = 3 }
        """
        from upsertcore.policy.toml_text import policy_text  # noqa: PLC0415

        return policy_text(self)

    @property
    def all_keys(self) -> tuple[Key, ...]:
        """All keys: those of one field first, then those of several."""
        return self._compiled.keys

    @property
    def base(self) -> Policy:
        """The policy without the overrides of a call; itself where there are none."""
        return self._base or self

    def field_options(self, name: Any) -> Field:
        """
        Return the options of a field, declared or not.

        Raises:
            UnknownField: If it is not declared, and ``extra_fields`` is None.

        >>> from upsertcore import field, first_match, normalize
        >>> from upsertcore.rules import ignore
        >>> fields = {"email": field(key=normalize.email)}
        >>> Policy(
        ...     first_match("email"), fields, extra_fields=field(rule=ignore)
        ... ).field_options("city").rule
        ignore
        """
        options = self.fields.get(name)
        if options is not None:
            return options
        if self.extra_fields is None or not isinstance(name, str):
            raise UnknownField(name, self._compiled.declared)
        return self.extra_fields

    def merge_rule(self, name: str) -> Rule:
        """
        Return the rule of a field between two contacts that are merged.

        Args:
            name: The name of a field. The overrides of a call do not apply.

        >>> from upsertcore import field, first_match, normalize
        >>> from upsertcore.rules import latest
        >>> fields = {
        ...     "id": field(key=normalize.exact),
        ...     "city": field(rule=latest(by="at")),
        ... }
        >>> policy = Policy(first_match("id"), {**fields, "at": field()})
        >>> policy.merge_rule("id"), policy.merge_rule("city")
        (keep, latest(by='at'))
        """
        options = self.base.field_options(name)
        if options.on_merge is not None:
            return options.on_merge
        rule = options.rule
        return rule if rule.sticky or rule.by is not None else self.on_merge

    def uses_update_time(self, name: str) -> bool:
        """Return whether a merge compares the update times of a field's contacts."""
        rule, own = self.merge_rule(name), self.base_rule(name)
        return rule.merges_only and rule.by is not None and own.by is None

    def update_time_fields(self, *parts: Mapping[str, Any]) -> Iterable[str]:
        """Return those fields: the declared ones, and undeclared ones of *parts*."""
        if self.extra_fields is None or not self.uses_update_time(""):
            return self._update_time_fields
        extra = [name for part in parts for name in part if name not in self.fields]
        return dict.fromkeys((*self._update_time_fields, *extra))

    def base_rule(self, name: str) -> Rule:
        """Return the rule of a field, without the overrides of a call."""
        return self.base.field_options(name).rule

    def with_fields(
        self, fields: Mapping[str, Field], extra_fields: Field | None, **options: Any
    ) -> Policy:
        """
        Return a copy with other field options, and the same keys and defaults.

        Args:
            fields: The options of all declared fields.
            extra_fields: The options of undeclared fields.
            options: ``on_found``, ``on_not_found`` and ``omitted``, where they differ.

        Raises:
            InvalidPolicy: If a key conflicts with the rules of its fields, or an option
                is invalid.
        """
        check_rules(self.all_keys, fields, on_key_in_use=self.on_key_in_use)
        overridden = MappingProxyType(dict(fields))
        policy = object.__new__(Policy)
        attributes = {
            **{each.name: getattr(self, each.name) for each in attrs.fields(Policy)},
            "fields": overridden,
            "extra_fields": extra_fields,
            "_compiled": self._compiled.with_fields(overridden),
            "_base": self,
            **options,
        }
        for name, value in attributes.items():
            object.__setattr__(policy, name, value)
        _check_choices(policy)
        return policy

    def __copy__(self) -> Policy:
        return self

    def __deepcopy__(self, memo: object) -> Policy:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        if self._base is not None:
            copy = partial(
                self._base.with_fields,
                on_found=self.on_found,
                on_not_found=self.on_not_found,
                omitted=self.omitted,
            )
            return copy, (dict(self.fields), self.extra_fields)
        options = {
            str(each.alias): getattr(self, each.name)
            for each in attrs.fields(Policy)
            if each.init
        }
        options |= {"fields": dict(self.fields), "keys": dict(self._named)}
        return partial(Policy, **options), ()


def compiled(policy: Policy) -> Compiled:
    """Return the derived tables of a policy, for other modules of the library."""
    return policy._compiled  # noqa: SLF001 - private to applications, not to the library


def consulted(policy: Policy) -> list[Key]:
    """Return the keys that the strategy of a policy consults, without ``id_field``."""
    by_name = compiled(policy).by_name
    return [by_name[name] for name in policy.match.keys if name != policy.id_field]


def _check_id_field(name: Any, *tables: Mapping[str, Any]) -> None:
    if name is None:
        return
    if not isinstance(name, str) or not name.strip():
        what = f"must be a name, not {describe(name)}"
        raise InvalidPolicy(f"id_field: {what}; write id_field='id', for example")
    if any(name in table for table in tables):
        what = f"{name!r} must not be a field or a key"
        raise InvalidPolicy(f"id_field: {what}; choose another name for one of them")


def _check_table(policy: Policy) -> None:
    if not isinstance(policy.match, Strategy):
        check_not_factory("match", policy.match)
        what = f"must be a match strategy, not {describe(policy.match)}"
        raise InvalidPolicy(f"match: {what}; use first_match('email'), for example")
    check_rule("on_merge", policy.on_merge)
    _check_one_field("on_merge", policy.on_merge)
    names: Any = tuple(policy.fields)
    for name in names:
        options: Any = policy.fields[name]
        if not isinstance(name, str) or not name:
            what = f"names must be str, got {describe(name)}"
            raise InvalidPolicy(f"fields: {what}; name each field")
        if not isinstance(options, Field):
            check_not_factory(name, options)
            advice = f"write field({'key=...' if callable(options) else ''})"
            what = f"must be field(...), not {describe(options)}"
            raise InvalidPolicy(f"{name}: {what}; {advice}")
        check_field(name, options)
        for rule in (options.rule, options.on_merge or policy.on_merge):
            check_clock(name, rule, policy.fields, policy.extra_fields)
    if policy.extra_fields is not None:
        _check_extra_fields(policy.extra_fields)
    _check_choices(policy)


_OF_DECLARED = (
    *("key", "unique", "keep_aliases", "max_forms"),
    *("blocked", "required", "default"),
)


def _check_extra_fields(options: Any) -> None:
    if not isinstance(options, Field):
        check_not_factory("extra_fields", options)
        what = f"must be field(...) or None, not {describe(options)}"
        raise InvalidPolicy(
            f"extra_fields: {what}; write field(rule=replace), for example"
        )
    for option in _OF_DECLARED:
        value = getattr(options, option)
        if value is not None and value is not False and value != ():
            what = f"{option} is for a declared field"
            raise InvalidPolicy(f"extra_fields: {what}; declare the field in fields")
    check_field("extra_fields", options)
    if options.on_merge is not None:
        _check_one_field("extra_fields: on_merge", options.on_merge)


def _check_choices(policy: Policy) -> None:
    for name, choices in _CHOICES.items():
        check_choice(name, getattr(policy, name), choices)
    if policy.on_not_found == "refuse" and policy.on_found != "update":
        what = f"must be 'update' where on_not_found='refuse', not {policy.on_found!r}"
        raise InvalidPolicy(f"on_found: {what}; otherwise no patch changes anything")


def _check_one_field(name: str, rule: Rule) -> None:
    """Refuse a rule about each merge as the rule of many fields."""
    if rule.asks_absent:
        what = f"the rule {rule} is about one field"
        raise InvalidPolicy(f"{name}: {what}; write field(on_merge={rule})")


_CHOICES: dict[str, Any] = {
    "on_ambiguous": OnAmbiguous,
    "on_key_in_use": OnKeyInUse,
    "on_no_key": OnNoKey,
    "on_found": OnFound,
    "on_not_found": OnNotFound,
    "on_blocked": OnBlocked,
    "on_limit": OnLimit,
    "on_deleted": OnDeleted,
    "omitted": Omitted,
    "on_unknown_id": OnUnknownId,
}

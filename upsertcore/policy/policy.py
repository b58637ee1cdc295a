"""
The policy: one system's table, checked when it is made.

Rules:
    A policy is a frozen value; two books may share one.
    A table that cannot work is refused here, not at the first patch.
    No policy knows a system by name.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal, TypeVar, final

import attrs
from attrs import frozen

from upsertcore.errors import InvalidPolicy, UnknownField
from upsertcore.matching.strategy import OnAmbiguous, Strategy
from upsertcore.policy.checks import (
    check_keys,
    check_match,
    check_rules,
    make_keys,
)
from upsertcore.policy.compiled import Compiled, compile_table
from upsertcore.policy.fields import (
    Field,
    check_choice,
    check_clock,
    check_field,
    check_rule,
)
from upsertcore.policy.functions import check_not_factory
from upsertcore.policy.keys import Key
from upsertcore.rules import keep
from upsertcore.rules.rule import Rule
from upsertcore.values import described

__all__ = ["OnKeyInUse", "Policy", "compiled"]

OnKeyInUse = Literal["refuse", "withhold", "allow"]
OnNoKey = Literal["refuse", "create"]
OnFound = Literal["update", "ignore", "refuse"]
OnNotFound = Literal["create", "refuse"]
OnBlocked = Literal["store", "ignore", "refuse"]
OnDeleted = Literal["forget", "restore", "refuse"]
OnLimit = Literal["refuse", "drop"]


T = TypeVar("T")


def _lines(fields: Mapping[str, Field]) -> Mapping[str, Field]:
    return _read_only("fields", fields)


def _several(keys: Mapping[str, Key]) -> Mapping[str, Key]:
    return _read_only("keys", keys)


def _read_only(name: str, table: Mapping[str, T]) -> Mapping[str, T]:
    if not isinstance(table, Mapping):
        what = f"must be a mapping of names, not {described(table)}"
        raise InvalidPolicy(f"{name}: {what}; write {{'email': ...}}")
    return MappingProxyType(dict(table))


@final
@frozen(eq=False)
class Policy:
    """
    What a book does with a patch: whom it matches, and what becomes of each field.

    Args:
        match: The match strategy.
        fields: Field name to :func:`field`.
        keys: Key name to :func:`key`, for keys of several fields.
        extra_fields: The :func:`field` of each undeclared field; None refuses them.
        on_merge: The rule between two contacts that are merged, of each field that
            has no ``on_merge`` of its own and no clock. A blank value, and one that
            equals the field's default, count as absent on either side.
        on_ambiguous: One key, several holders: ``"refuse"``, or take the ``"oldest"``
            or ``"newest"`` by creation, which no upsert can alter.
        on_key_in_use: A unique key that another contact holds: ``"refuse"`` the call,
            ``"withhold"`` that field, and the fields that identify together with it
            in composite keys, and store the rest, or ``"allow"`` it, which ends
            uniqueness: the holder is then among ``Outcome.also_matched``.
        on_no_key: A patch that carries none of the strategy's keys:
            ``"refuse"``, or ``"create"``, which sending twice does twice.
        on_found: A patch that matches a contact: ``"update"`` it, ``"ignore"`` the
            patch, and name what a rule would have moved, left out or refused, or
            ``"refuse"`` it where it would change the contact.
        on_not_found: A patch that matches no contact: ``"create"`` one, or
            ``"refuse"`` it.
        on_blocked: A blocked value is stored and no key (``"store"``), or left out
            (``"ignore"``, with the fields that identify together with it), or the
            call is refused (``"refuse"``).
        on_limit: A contact that would hold more forms than a key's ``max_forms``:
            ``"refuse"``, or ``"drop"`` the lowest key from the patch, and decide on
            the rest; for ``merge_all``, and for limited keys that remember.
        on_deleted: What is deleted is gone (``"forget"``), or it keeps its keys and a
            patch that finds it brings it back (``"restore"``) or is refused
            (``"refuse"``).

    Raises:
        InvalidPolicy: If the table cannot work.

    >>> from upsertcore import field, first_match
    >>> Policy(first_match("email"), {"phone": field()})
    Traceback (most recent call last):
    ...
    upsertcore.errors.InvalidPolicy: first_match: unknown key 'email'; this policy ...
    """

    match: Strategy
    fields: Mapping[str, Field] = attrs.field(converter=_lines)
    _named: Mapping[str, Key] = attrs.field(
        factory=dict, alias="keys", kw_only=True, converter=_several
    )
    extra_fields: Field | None = attrs.field(default=None, kw_only=True)
    on_merge: Rule = attrs.field(default=keep, kw_only=True)
    on_ambiguous: OnAmbiguous = attrs.field(default="refuse", kw_only=True)
    on_key_in_use: OnKeyInUse = attrs.field(default="refuse", kw_only=True)
    on_no_key: OnNoKey = attrs.field(default="refuse", kw_only=True)
    on_found: OnFound = attrs.field(default="update", kw_only=True)
    on_not_found: OnNotFound = attrs.field(default="create", kw_only=True)
    on_blocked: OnBlocked = attrs.field(default="store", kw_only=True)
    on_limit: OnLimit = attrs.field(default="refuse", kw_only=True)
    on_deleted: OnDeleted = attrs.field(default="forget", kw_only=True)
    _compiled: Compiled = attrs.field(init=False, repr=False)
    _base: Policy | None = attrs.field(init=False, repr=False, default=None)
    _dated: tuple[str, ...] = attrs.field(init=False, repr=False)
    _declared: tuple[str, ...] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        _check_table(self)
        fields = self.fields
        keys = make_keys(fields, self._named)
        check_keys(keys, fields, on_blocked=self.on_blocked)
        check_rules(keys, fields, on_key_in_use=self.on_key_in_use)
        blocks = self.on_blocked != "store"
        made = compile_table(fields, keys, self.extra_fields, blocks=blocks)
        check_match(self.match, made.by_name, fields, on_limit=self.on_limit)
        object.__setattr__(self, "_compiled", made)
        dated = tuple([name for name in fields if self.uses_update_time(name)])
        object.__setattr__(self, "_dated", dated)
        object.__setattr__(self, "_declared", tuple(fields))

    @property
    def all_keys(self) -> tuple[Key, ...]:
        """All keys: those of one field first, then those of several."""
        return self._compiled.keys

    @property
    def base(self) -> Policy:
        """The policy without the overrides of one call; mostly the policy itself."""
        return self._base or self

    def field_options(self, name: Any) -> Field:
        """
        Give the line for a field, declared or not.

        Raises:
            UnknownField: If there is neither a line nor a rule for it.

        >>> from upsertcore import field, first_match, normalize
        >>> from upsertcore.rules import ignore
        >>> fields = {"email": field(key=normalize.email)}
        >>> Policy(
        ...     first_match("email"), fields, extra_fields=field(rule=ignore)
        ... ).field_options("city").rule
        ignore
        """
        line = self.fields.get(name)
        if line is not None:
            return line
        if self.extra_fields is None or not isinstance(name, str):
            raise UnknownField(name, self._declared)
        return self.extra_fields

    def merge_rule(self, name: str) -> Rule:
        """
        Return the rule of a field between two contacts that are merged.

        Args:
            name: Of a field; the rules of one call change nothing here.

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
        line = self.base.field_options(name)
        if line.on_merge is not None:
            return line.on_merge
        return self.on_merge if line.rule.by is None else line.rule

    def uses_update_time(self, name: str) -> bool:
        """Return whether a field goes by when its contact was updated, in a merge."""
        return self.merge_rule(name).merges_only and self.base_rule(name).by is None

    def update_time_fields(self, *parts: Mapping[str, Any]) -> Iterable[str]:
        """Return the fields that go by that: the declared ones, and others in parts."""
        if self.extra_fields is None or not self.uses_update_time(""):
            return self._dated
        extra = [name for part in parts for name in part if name not in self.fields]
        return dict.fromkeys((*self._dated, *extra))

    def base_rule(self, name: str) -> Rule:
        """Return the rule that the table has for a field, whatever one call goes by."""
        return self.base.field_options(name).rule

    def with_fields(
        self, fields: Mapping[str, Field], extra_fields: Field | None
    ) -> Policy:
        """
        Give a copy with other lines, for one call; its keys and defaults are these.

        Args:
            fields: All lines.
            extra_fields: The line of undeclared fields.

        Raises:
            InvalidPolicy: If the keys cannot work with the rules of these lines.
        """
        check_rules(self.all_keys, fields, on_key_in_use=self.on_key_in_use)
        own = MappingProxyType(dict(fields))
        mine = copy.copy(self)
        changed = {
            "fields": own,
            "extra_fields": extra_fields,
            "_compiled": self._compiled.with_fields(own),
            "_base": self,
        }
        for name, value in changed.items():
            object.__setattr__(mine, name, value)
        return mine


def compiled(policy: Policy) -> Compiled:
    """Return the derived tables of a policy, for the modules that decide by it."""
    return policy._compiled  # noqa: SLF001 - private to applications, not to the library


def _check_table(policy: Policy) -> None:
    if not isinstance(policy.match, Strategy):
        check_not_factory("match", policy.match)
        what = f"must be a match strategy, not {described(policy.match)}"
        raise InvalidPolicy(f"match: {what}; use first_match('email'), for example")
    names: Any = tuple(policy.fields)
    for name in names:
        line: Any = policy.fields[name]
        if not isinstance(name, str) or not name:
            what = f"names must be str, got {described(name)}"
            raise InvalidPolicy(f"fields: {what}; name each field")
        if not isinstance(line, Field):
            check_not_factory(name, line)
            advice = f"write field({'key=...' if callable(line) else ''})"
            what = f"must be field(...), not {described(line)}"
            raise InvalidPolicy(f"{name}: {what}; {advice}")
        check_field(name, line)
        check_clock(name, line.rule, policy.fields, policy.extra_fields)
    check_rule("on_merge", policy.on_merge)
    if policy.extra_fields is not None:
        _check_extra_fields(policy.extra_fields)
    _check_choices(policy)


def _check_extra_fields(line: Any) -> None:
    if not isinstance(line, Field):
        check_not_factory("extra_fields", line)
        what = f"must be field(...) or None, not {described(line)}"
        raise InvalidPolicy(
            f"extra_fields: {what}; write field(rule=replace), for example"
        )
    check_field("extra_fields", line)
    for part in ("key", "required", "default"):
        if getattr(line, part) is not None and getattr(line, part) is not False:
            what = f"{part} is for a declared field"
            raise InvalidPolicy(f"extra_fields: {what}; declare the field in fields")


def _check_choices(policy: Policy) -> None:
    for name, choices in _CHOICES.items():
        check_choice(name, getattr(policy, name), choices)
    if policy.on_not_found == "refuse" and policy.on_found != "update":
        what = f"must be 'update' where on_not_found='refuse', not {policy.on_found!r}"
        raise InvalidPolicy(f"on_found: {what}; otherwise no patch changes anything")


_CHOICES: dict[str, Any] = {
    "on_ambiguous": OnAmbiguous,
    "on_key_in_use": OnKeyInUse,
    "on_no_key": OnNoKey,
    "on_found": OnFound,
    "on_not_found": OnNotFound,
    "on_blocked": OnBlocked,
    "on_limit": OnLimit,
    "on_deleted": OnDeleted,
}

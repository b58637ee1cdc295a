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
from typing import Any, Literal, TypeAlias, TypeVar, final

import attrs
from attrs import frozen

from upsertcore.errors import InvalidPolicy, UnknownField
from upsertcore.functions import check_called
from upsertcore.keyring import (
    check_keys,
    check_match,
    check_rules,
    make_keys,
    screens,
    together,
)
from upsertcore.keys import Key, Pattern
from upsertcore.line import (
    Field,
    check_clock,
    check_line,
    check_named,
    check_patch_rule,
    check_rule,
    default,
    field,
    one_of,
)
from upsertcore.merge import keep
from upsertcore.rule import Rule, replace
from upsertcore.showing import described
from upsertcore.strategy import OnAmbiguous, Strategy

__all__ = ["OnKeyInUse", "Policy"]

OnKeyInUse = Literal["refuse", "withhold", "allow"]
OnNoKey = Literal["refuse", "create"]
Update: TypeAlias = bool | Literal["ignore"]
OnBlocked = Literal["store", "ignore", "refuse"]
OnDeleted = Literal["forget", "restore", "refuse"]
OnLimit = Literal["refuse", "drop"]


T = TypeVar("T")


def _lines(fields: Mapping[str, Field]) -> Mapping[str, Field]:
    return _read_only("fields", fields)


def _several(keys: Mapping[str, Key]) -> Mapping[str, Key]:
    return _read_only("keys", keys)


def _patterns(blocked: Mapping[str, Iterable[Pattern]]) -> Mapping[str, Any]:
    listed: Any = blocked
    if isinstance(blocked, Mapping):
        listed = {n: p if isinstance(p, str) else _tuple(p) for n, p in blocked.items()}
    return _read_only("blocked", listed)


def _tuple(values: Any) -> Any:
    """Keep what can be read once, so that it can be read again."""
    return tuple(values) if isinstance(values, Iterable) else values


def _rules(absorb: Mapping[str, Rule]) -> Mapping[str, Rule]:
    return _read_only("absorb", absorb)


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
        others: The merge rule for undeclared fields; None refuses them.
        on_ambiguous: One key, several holders: ``"refuse"``, or take the ``"oldest"``
            or ``"newest"`` by creation, which no upsert can alter.
        on_key_in_use: A unique key that another contact holds: ``"refuse"`` the call,
            ``"withhold"`` that field, and the fields that identify together with it
            in composite keys, and store the rest, or ``"allow"`` it, which ends
            uniqueness: the holder is then among ``Outcome.others``.
        on_no_key: A patch that carries none of the strategy's keys:
            ``"refuse"``, or ``"create"``, which sending twice does twice.
        create: False where a patch that finds nobody is refused.
        update: False where a patch that would change somebody is refused,
            ``"ignore"`` where it leaves that contact as it is, and names what a rule
            would have moved, left out or refused.
        blocked: Key name to what identifies nobody: text, in which ``*`` stands for
            anything, or compiled patterns, such as ``normalize.PLACEHOLDERS``; case and
            white space around do not count.
        on_blocked: What is blocked is stored and no key (``"store"``), or left out
            (``"ignore"``, with the fields that identify together with it), or the
            call is refused (``"refuse"``).
        on_limit: A contact that would hold more forms than a key's limit:
            ``"refuse"``, or ``"drop"`` the lowest key from the patch, and decide on
            the rest; for ``merge_all``, and for limited keys that remember.
        on_deleted: What is deleted is gone (``"forget"``), or it keeps its keys and a
            patch that finds it brings it back (``"restore"``) or is refused
            (``"refuse"``).
        absorb: Field name to the rule between two contacts that are merged, the
            survivor's value standing for the stored one; ``keep`` for the rest, but
            a field with a clock goes by it. Blank, and what equals the field's
            default, count as absent on either side.

    Raises:
        InvalidPolicy: If the table cannot work.

    >>> from upsertcore import first_match, normalize
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
    others: Rule | None = attrs.field(default=None, kw_only=True)
    on_ambiguous: OnAmbiguous = attrs.field(default="refuse", kw_only=True)
    on_key_in_use: OnKeyInUse = attrs.field(default="refuse", kw_only=True)
    on_no_key: OnNoKey = attrs.field(default="refuse", kw_only=True)
    create: bool = attrs.field(default=True, kw_only=True)
    update: Update = attrs.field(default=True, kw_only=True)
    blocked: Mapping[str, Any] = attrs.field(
        factory=dict, kw_only=True, converter=_patterns
    )
    on_blocked: OnBlocked = attrs.field(default="store", kw_only=True)
    on_limit: OnLimit = attrs.field(default="refuse", kw_only=True)
    on_deleted: OnDeleted = attrs.field(default="forget", kw_only=True)
    absorb: Mapping[str, Rule] = attrs.field(
        factory=dict, kw_only=True, converter=_rules
    )
    keys: tuple[Key, ...] = attrs.field(init=False, repr=False)
    by_name: Mapping[str, Key] = attrs.field(init=False, repr=False)
    lines: Mapping[str, Field] = attrs.field(init=False, repr=False)
    rules: Mapping[str, Rule] = attrs.field(init=False, repr=False)
    usual: Rule = attrs.field(init=False, repr=False)
    plain: frozenset[str] = attrs.field(init=False, repr=False)
    laid: frozenset[str] = attrs.field(init=False, repr=False)
    keyed: frozenset[str] = attrs.field(init=False, repr=False)
    no_forms: tuple[tuple[str, ...], ...] = attrs.field(init=False, repr=False)
    other: Field | None = attrs.field(init=False, repr=False)
    needed: tuple[str, ...] = attrs.field(init=False, repr=False)
    defaults: tuple[tuple[str, Any], ...] = attrs.field(init=False, repr=False)
    dated: tuple[str, ...] = attrs.field(init=False, repr=False)
    primaries: Mapping[str, Key] = attrs.field(init=False, repr=False)
    remembers: bool = attrs.field(init=False, repr=False)
    limits: bool = attrs.field(init=False, repr=False)
    screens: Mapping[str, tuple[Key, ...]] = attrs.field(init=False, repr=False)
    together: Mapping[str, tuple[str, ...]] = attrs.field(init=False, repr=False)
    base: Policy | None = attrs.field(init=False, repr=False, default=None)

    def __attrs_post_init__(self) -> None:
        _check_table(self)
        fields = self.fields
        keys = make_keys(fields, self._named, self.blocked)
        by_name = MappingProxyType({key.name: key for key in keys})
        check_keys(keys, fields, on_blocked=self.on_blocked)
        check_rules(keys, fields, on_key_in_use=self.on_key_in_use)
        check_match(self.match, by_name, fields, on_limit=self.on_limit)
        lines = fields.items()
        screened = {} if self.on_blocked == "store" else screens(keys)
        derived = {
            "keys": keys,
            "by_name": by_name,
            "keyed": frozenset(name for key in keys for name in key.fields),
            **_tables(fields, screened),
            "usual": replace if self.others is None else self.others,
            "no_forms": ((),) * len(keys),
            "other": None if self.others is None else field(merge=self.others),
            "needed": tuple(name for name, line in lines if line.required),
            "defaults": tuple(
                (name, default(name, line))
                for name, line in lines
                if line.default is not None
            ),
            "primaries": {key.fields[0]: key for key in keys if key.each},
            "remembers": any(key.keep_aliases for key in keys),
            "limits": any(key.limit is not None for key in keys),
            "screens": screened,
            "together": together(keys),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)
        dated = [name for name, rule in self.absorb.items() if rule.merges_only]
        plain = tuple([name for name in dated if self.own_rule(name).by is None])
        object.__setattr__(self, "dated", plain)

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

    def absorbing(self, name: str) -> Rule:
        """
        Give the rule by which a field of two contacts is joined.

        Args:
            name: Of a field; how the patch of one call is merged changes nothing here.

        >>> from upsertcore import first_match, latest, normalize
        >>> fields = {
        ...     "id": field(key=normalize.exact),
        ...     "city": field(merge=latest(by="at")),
        ... }
        >>> policy = Policy(first_match("id"), {**fields, "at": field()})
        >>> policy.absorbing("id"), policy.absorbing("city")
        (keep, latest(by='at'))
        """
        own = self.own_rule(name)
        return self.absorb.get(name, keep if own.by is None else own)

    def own_rule(self, name: str) -> Rule:
        """Return the rule that the table has for a field, whatever one call goes by."""
        return (self.base or self).line(name).merge

    def lays(self, names: Iterable[str]) -> bool:
        """
        Tell whether a contact that is created has these fields as they are sent.

        >>> from upsertcore import first_match, keep, normalize
        >>> fields = {"email": field(key=normalize.email), "city": field(merge=keep)}
        >>> policy = Policy(first_match("email"), fields)
        >>> policy.lays(("email",)), policy.lays(("email", "city"))
        (True, False)
        """
        if self.laid.issuperset(names):
            return True
        return _lays(self.usual) and self.laid.issuperset(self.lines.keys() & names)

    def with_lines(self, fields: Mapping[str, Field], other: Field | None) -> Policy:
        """
        Give a copy with other lines, for one call; its keys and defaults are these.

        Args:
            fields: All lines.
            other: The line for undeclared fields.

        Raises:
            InvalidPolicy: If the keys cannot work with the rules of these lines.
        """
        check_rules(self.keys, fields, on_key_in_use=self.on_key_in_use)
        mine = copy.copy(self)
        own = MappingProxyType(dict(fields))
        changed = {
            "fields": own,
            "other": other,
            **_tables(own, self.screens),
            "base": self,
        }
        for name, value in changed.items():
            object.__setattr__(mine, name, value)
        return mine


def _tables(fields: Mapping[str, Field], screened: Iterable[str]) -> dict[str, Any]:
    """Make what is asked for each field of a patch, so that it is asked at once."""
    plain = {name for name, line in fields.items() if line.clean is None}
    return {
        "lines": dict(fields),
        "rules": {name: line.merge for name, line in fields.items()},
        "plain": frozenset(plain.difference(screened)),
        "laid": frozenset(name for name, line in fields.items() if _lays(line.merge)),
    }


def _lays(rule: Rule) -> bool:
    return rule.combine is replace.combine and rule.on_create


def _check_table(policy: Policy) -> None:
    if not isinstance(policy.match, Strategy):
        check_called("match", policy.match)
        what = f"must be a match strategy, not {described(policy.match)}"
        raise InvalidPolicy(f"match: {what}; use first_match('email'), say")
    names: Any = tuple(policy.fields)
    for name in names:
        line: Any = policy.fields[name]
        if not isinstance(name, str) or not name:
            what = f"names must be str, got {described(name)}"
            raise InvalidPolicy(f"fields: {what}; name each field")
        if not isinstance(line, Field):
            check_called(name, line)
            advice = f"write field({'key=...' if callable(line) else ''})"
            what = f"must be field(...), not {described(line)}"
            raise InvalidPolicy(f"{name}: {what}; {advice}")
        check_line(name, line)
        check_clock(name, line.merge, policy.fields, policy.others)
    if policy.others is not None:
        check_rule("others", policy.others)
        check_patch_rule("others", policy.others)
    for name, rule in policy.absorb.items():
        check_rule(f"absorb: {name}", rule)
        check_named("absorb", name, policy.fields, policy.others)
    _check_choices(policy)


def _check_choices(policy: Policy) -> None:
    for name, choices in _CHOICES.items():
        one_of(name, getattr(policy, name), choices)
    for name in ("create", "update"):
        choice = getattr(policy, name)
        if type(choice) is not bool and (name, choice) != ("update", "ignore"):
            either = "True, False or 'ignore'" if name == "update" else "True or False"
            what = f"must be {either}, not {described(choice)}"
            raise InvalidPolicy(f"{name}: {what}")
    if not policy.create and policy.update is not True:
        what = "cannot both be disabled"
        raise InvalidPolicy(f"create, update: {what}; allow one of them")


_CHOICES: dict[str, Any] = {
    "on_ambiguous": OnAmbiguous,
    "on_key_in_use": OnKeyInUse,
    "on_no_key": OnNoKey,
    "on_blocked": OnBlocked,
    "on_limit": OnLimit,
    "on_deleted": OnDeleted,
}

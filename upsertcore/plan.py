"""
The decision: what a patch would do, as a value; match, merge, claim, decide.

Rules:
    Pure: a function of the policy, the patch and what the index answers.
    Nothing here makes an id, reads a clock or writes; only a book applies a plan.
    Each part reads what the one before it answered, and nothing flows back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, final

import attrs
from attrs import frozen

from upsertcore.errors import (
    CreateRefused,
    InvalidField,
    KeyInUse,
    MissingField,
    NoMatchKey,
    UpdateRefused,
)
from upsertcore.match import PICKS, Match, Strategy
from upsertcore.outcome import Change, Result, Verdict, Withheld, changes
from upsertcore.patch import Asked, Fields, Forms, View, check_scope, read
from upsertcore.values import NOTHING, FrozenMap, empty, same

if TYPE_CHECKING:
    from upsertcore.contact import Contact
    from upsertcore.match import Key
    from upsertcore.policy import Policy

__all__ = ["Expects", "Plan", "Step", "plan"]


@final
@frozen
class Expects:
    """
    What must still hold when a plan is applied.

    Args:
        versions: Contact id to version, of the contact that would change.
        keys: (key, normal form, ids of its holders) for each look-up of the
            decision; no ids: the form must still be free.

    >>> Expects(FrozenMap(), (("email", "a@x.org", ()),)).keys
    (('email', 'a@x.org', ()),)
    """

    versions: FrozenMap[int]
    keys: tuple[tuple[str, str, tuple[str, ...]], ...]


@final
@frozen
class Step:
    """
    What a plan says of one key of the strategy.

    Args:
        key: The name of the key.
        forms: The normal forms that the patch carries.
        holders: Ids of the contacts that hold one of them, in the order found.
        note: Why it was taken or not, in words.

    >>> Step("email", ("a@x.org",), (), "finds nobody").note
    'finds nobody'
    """

    key: str
    forms: tuple[str, ...]
    holders: tuple[str, ...]
    note: str


@final
@frozen
class Plan(Verdict):
    """
    What a patch would do; ``book.apply`` does it.

    Args:
        result: ``"created"``, ``"updated"`` or ``"unchanged"``.
        scope: The tenant.
        before: The contact that was found, None for nobody.
        after: Its fields afterwards.
        matched_by: The name of the key that found it.
        withheld: Values that another contact's key keeps out.
        ignored: Field name to reason, for values that the policy does not store.
        others: Ids of further contacts that the patch's keys hit.
        forms: The normal forms that the contact would hold, per key of the policy.

    >>> from upsertcore import ContactBook, Policy, field, first_match, normalize
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> plan = ContactBook(policy).plan({"email": "Ada@x.org"})
    >>> plan.result, plan.expects.keys, plan.trace[0].note
    ('created', (('email', 'ada@x.org', ()),), 'finds nobody')
    """

    result: Result
    scope: str
    before: Contact | None
    after: FrozenMap[Any]
    matched_by: str | None
    withheld: tuple[Withheld, ...]
    ignored: FrozenMap[str]
    others: tuple[str, ...]
    forms: Forms
    policy: Policy = attrs.field(repr=False)
    _asked: Asked = attrs.field(repr=False, eq=False)

    @property
    def changes(self) -> tuple[Change, ...]:
        """The fields that would move, computed anew each time."""
        return changes(
            NOTHING if self.before is None else self.before.fields, self.after
        )

    @property
    def expects(self) -> Expects:
        """What must still hold when it is applied, computed anew each time."""
        before = self.before
        versions = {} if before is None else {before.id: before.version}
        looked_up = [*self._asked.seen.items(), *self._asked.claimed.items()]
        keys = {(key, form): ids for key, hits in looked_up for form, ids in hits}
        expected = tuple((key, form, ids) for (key, form), ids in keys.items())
        return Expects(FrozenMap.trusted(versions), expected)

    @property
    def trace(self) -> tuple[Step, ...]:
        """Why each key of the strategy was taken or not, computed anew each time."""
        return tuple(self._step(name) for name in self._asked.strategy.keys)

    def _step(self, name: str) -> Step:
        sent, hits = self._asked.sent, self._asked.seen.get(name)
        if hits is None:
            return Step(name, (), (), "not consulted: another key decides alone")
        forms = tuple(form for form, _ids in hits)
        ids = tuple(dict.fromkeys(id for _form, ids in hits for id in ids))
        if not forms:
            return Step(name, forms, ids, _absence(name, sent))
        if not ids:
            note = "finds nobody"
        elif name == self.matched_by:
            note = "decides"
        elif self.before is not None and self.before.id in ids:
            note = "agrees"
        else:
            note = "finds somebody else, and an earlier key has decided"
        return Step(name, forms, ids, note)


def _absence(name: str, sent: Fields) -> str:
    if name not in sent:
        return "omitted: no key"
    if sent[name] is None:
        return "null: no key"
    return "blank: no key" if empty(sent[name]) else "has no normal form: no key"


def plan(
    policy: Policy,
    patch: Mapping[str, Any],
    index: View,
    *,
    scope: str = "",
    match: Strategy | None = None,
) -> Plan:
    """
    Decide what a patch would do.

    Args:
        policy: The table.
        patch: What was sent: an absent field is omitted, None is null.
        index: Where to look. Not changed.
        scope: The tenant to look in.
        match: A strategy in place of the policy's; ``never()`` creates.

    Returns:
        The decision; its ``after`` is the stored mapping itself where nothing moves.

    Raises:
        Refused: One of its family, where the policy refuses the patch.

    Cost:
        Linear in the patch and in what its keys hit; independent of the index's
        size. Each normaliser runs at most once per key and value.

    Laws:
        Applying the plan of a patch and planning it again gives ``unchanged``.

    >>> from upsertcore import ContactIndex, Policy, field, first_match, normalize
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> plan(policy, {"email": "Ada@x.org"}, ContactIndex(["email"])).forms
    (('ada@x.org',),)
    """
    check_scope(scope)
    sent, ignored = read(policy, patch)
    asked = Asked(policy.by_name, sent, index, scope, match or policy.match)
    found = _match(policy, asked)
    before, stored, held = None, NOTHING, policy.no_forms
    if found.id is not None:
        before, held = index.get(found.id), index.forms(found.id)
        stored = before.fields
    elif not policy.create:
        raise CreateRefused
    after, moved = _merge(policy, before, sent, ignored)
    if before is None:
        _complete(policy, sent, after, moved)
    forms, withheld, others = _claim(policy, asked, held, stored, after, moved)
    result = _decide(policy, before, moved)
    return Plan(
        result,
        scope,
        before,
        stored if result == "unchanged" else FrozenMap.trusted(after),
        found.key,
        tuple(withheld),
        FrozenMap.trusted(ignored) if ignored else NOTHING,
        tuple(dict.fromkeys([*found.others, *others])) if others else found.others,
        forms,
        policy,
        asked,
    )


def _match(policy: Policy, asked: Asked) -> Match:
    strategy = asked.strategy
    try:
        return strategy.decide(strategy.keys, asked, PICKS[policy.on_many])
    except NoMatchKey:
        if policy.on_absent_key == "refuse":
            raise
        return Match()


def _merge(
    policy: Policy, before: Contact | None, sent: Fields, ignored: dict[str, str]
) -> tuple[dict[str, Any], set[str]]:
    """Give the fields afterwards, and the names of those that move."""
    after = {} if before is None else dict(before.fields)
    moved = set()
    for name, value in sent.items():
        rule = policy.line(name).merge
        stored = new = after.get(name)
        if rule.on_create if before is None else rule.on_update:
            try:
                new = rule.combine(stored, value)
            except ValueError as error:
                raise InvalidField(name, value, str(error)) from error
        if not same(new, stored):
            moved.add(name)
            _put(after, name, new)
        elif rule.drops and not same(value, stored):
            ignored[name] = rule.name
    return after, moved


def _put(fields: dict[str, Any], name: str, value: Any) -> None:
    """Set a field, or clear it: no contact holds a null."""
    if value is None:
        fields.pop(name, None)
    else:
        fields[name] = value


def _complete(
    policy: Policy, sent: Fields, after: dict[str, Any], moved: set[str]
) -> None:
    """Give a new contact its defaults, and see that nothing needed is missing."""
    for name, value in policy.defaults:
        if name not in sent:
            after[name] = value
            moved.add(name)
    for name in policy.needed:
        if empty(after.get(name)):
            raise MissingField(name)


def _claim(
    policy: Policy,
    asked: Asked,
    held: Forms,
    stored: Fields,
    after: dict[str, Any],
    moved: set[str],
) -> tuple[Forms, list[Withheld], list[str]]:
    """Give the forms afterwards; unique keys that others hold go as the policy says."""
    forms = list(held)
    withheld: list[Withheld] = []
    others: list[str] = []
    for place, key in enumerate(policy.keys):
        if key.name not in moved:
            continue
        if not key.unique:
            forms[place] = asked.forms(key, after)
            continue
        hits = asked.claims(key, after)
        # Whoever holds a form that the contact lacks is somebody else.
        clash = [ids for form, ids in hits if ids and form not in held[place]]
        if clash and policy.on_clash != "allow":
            holder = clash[0][0]
            withheld.append(_withhold(policy, key, stored, after, holder))
            moved.discard(key.name)
        else:
            forms[place] = tuple([form for form, _ids in hits])
            others += [id for ids in clash for id in ids]
    return tuple(forms), withheld, others


def _withhold(
    policy: Policy, key: Key, stored: Fields, after: dict[str, Any], holder: str
) -> Withheld:
    """Put a field back as it was, or refuse where it is needed or asked for."""
    value = after[key.name]
    _put(after, key.name, stored.get(key.name))
    needed = key.name in policy.needed and key.name not in after
    if policy.on_clash == "refuse" or needed:
        raise KeyInUse(key.name, value, holder)
    return Withheld(key.name, value, holder)


def _decide(policy: Policy, before: Contact | None, moved: set[str]) -> Result:
    if before is None:
        return "created"
    if not moved:
        return "unchanged"
    if not policy.update:
        raise UpdateRefused(before.id)
    return "updated"

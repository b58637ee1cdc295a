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
    StaleVersion,
    UpdateRefused,
)
from upsertcore.match import PICKS, Match, Strategy
from upsertcore.outcome import Change, Result, Verdict, Withheld, changes
from upsertcore.patch import Asked, Fields, Forms, View, check_scope, read
from upsertcore.trace import Step, trace
from upsertcore.values import NOTHING, FrozenMap, empty, same

if TYPE_CHECKING:
    from upsertcore.contact import Contact
    from upsertcore.match import Key
    from upsertcore.policy import Policy

__all__ = ["Expects", "Plan", "decide", "plan"]


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
        return trace(self._asked, self.before, self.matched_by)

    def stale(self, index: View) -> str | None:
        """
        Say what has changed of what the plan rests on; None where all still holds.

        Args:
            index: Where it would be applied.

        Cost:
            One look-up for each one of the decision.
        """
        return self._asked.stale(index)


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
    strategy = policy.match if match is None else match
    patched = read(policy, patch)
    return decide(policy, Asked(policy.by_name, patched, index, scope, strategy))


def decide(policy: Policy, asked: Asked, if_version: int | None = None) -> Plan:
    """
    Decide on a patch that was read: match, merge, claim, decide.

    Args:
        policy: The table.
        asked: The patch, cleaned, and the index to ask; not yet asked anything.
        if_version: The version that the contact must have.

    Raises:
        Refused: As :func:`plan`; ``StaleVersion`` before what comes of the merge.
    """
    found = _match(policy, asked)
    before, stored, held = None, NOTHING, policy.no_forms
    if found.id is not None:
        before, held = asked.get(found.id)
        stored = before.fields
    _see_its_version(before, if_version)
    if before is None and not policy.create:
        raise CreateRefused
    after, moved, ignored = _merge(policy, asked, stored, created=before is None)
    if before is None:
        _complete(policy, asked.sent, after, moved)
    forms, withheld, others = _claim(policy, asked, held, before, after, moved)
    _see_that_it_is_found(policy, asked, forms, moved)
    result = _result(policy, before, moved)
    return Plan(
        result,
        asked.scope,
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


def _see_its_version(before: Contact | None, version: int | None) -> None:
    if version is None:
        return
    if before is None:
        raise StaleVersion(None, version, None)
    if before.version != version:
        raise StaleVersion(before.id, version, before.version)


def _merge(
    policy: Policy, asked: Asked, fields: Fields, *, created: bool
) -> tuple[dict[str, Any], set[str], dict[str, str]]:
    """Give the fields afterwards, the names of those that move, and what is ignored."""
    after, moved, ignored = dict(fields), set(), dict(asked.ignored)
    for name, value in asked.sent.items():
        rule = policy.line(name).merge
        stored = new = after.get(name)
        if rule.on_create if created else rule.on_update:
            try:
                new = rule.combine(stored, value)
            except ValueError as error:
                raise InvalidField(name, value, str(error)) from error
        if not same(new, stored):
            moved.add(name)
            _put(after, name, new)
        elif rule.drops and not same(value, stored):
            ignored[name] = rule.name
    return after, moved, ignored


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
        if name not in sent or not policy.fields[name].merge.on_create:
            after[name] = value
            moved.add(name)
    for name in policy.needed:
        if empty(after.get(name)):
            raise MissingField(name)


def _claim(
    policy: Policy,
    asked: Asked,
    held: Forms,
    before: Contact | None,
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
            withheld.append(_withhold(policy, key, before, after, holder))
            moved.discard(key.name)
        else:
            forms[place] = tuple([form for form, _ids in hits])
            others += [id for ids in clash for id in ids]
    return tuple(forms), withheld, others


def _withhold(
    policy: Policy,
    key: Key,
    before: Contact | None,
    after: dict[str, Any],
    holder: str,
) -> Withheld:
    """Put a field back as it was, or refuse where that is asked for."""
    value = after[key.name]
    needed = before is None and key.name in policy.needed
    if policy.on_clash == "refuse" or needed:
        raise KeyInUse(key.name, value, holder)
    _put(after, key.name, None if before is None else before.get(key.name))
    return Withheld(key.name, value, holder)


def _see_that_it_is_found(
    policy: Policy, asked: Asked, forms: Forms, moved: set[str]
) -> None:
    """Refuse a merge after which the patch would not find the contact again."""
    carried = [name for name, hits in asked.seen.items() if hits]
    if not carried or (asked.found is not None and moved.isdisjoint(asked.seen)):
        return
    for key, held in zip(policy.keys, forms, strict=True):
        if key.name in carried and any(f in held for f, _ids in asked.seen[key.name]):
            return
    name = carried[0]
    rule = policy.line(name).merge
    reason = f"must still be a key of the contact once the rule {rule} has merged it"
    raise InvalidField(name, asked.sent[name], reason)


def _result(policy: Policy, before: Contact | None, moved: set[str]) -> Result:
    if before is None:
        return "created"
    if not moved:
        return "unchanged"
    if not policy.update:
        raise UpdateRefused(before.id)
    return "updated"

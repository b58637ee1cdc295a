"""
The decision: what a patch would do, as a value; match, merge, claim, decide.

Rules:
    Pure: a function of the policy, the patch and what the index answers.
    Nothing here makes an id, reads a clock or writes; only a book applies a plan.
    Each part reads what the one before it answered, and nothing flows back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from upsertcore.engine.merge import Draft
from upsertcore.engine.patch import Request, check_scope, read_patch
from upsertcore.engine.plan import Plan
from upsertcore.engine.rematch import check_rematch
from upsertcore.engine.trace import absence_reason
from upsertcore.engine.uniqueness import KeyHoldings, Target, assign_keys
from upsertcore.errors import (
    ContactDeleted,
    CreateRefused,
    InvalidField,
    NoMatchKey,
    StaleVersion,
    UpdateRefused,
)
from upsertcore.matching.strategy import PICKS, Match, Strategy
from upsertcore.policy.policy import compiled
from upsertcore.values import NOTHING, FrozenMap, thaw

if TYPE_CHECKING:
    from upsertcore.engine.outcome import Result
    from upsertcore.model.contact import Contact
    from upsertcore.model.view import View
    from upsertcore.policy.policy import Policy

__all__ = ["decide", "decide_merge", "decide_request"]


def decide(
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
        size. A normaliser runs once per value of a key, again where values are blocked
        or go to additional fields.

    Laws:
        Applying the plan of a patch and planning it again gives ``unchanged``.

    >>> from upsertcore import Policy, field, first_match, normalize
    >>> from upsertcore.store.index import ContactIndex
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> decide(policy, {"email": "Ada@x.org"}, ContactIndex(["email"])).forms
    (('ada@x.org',),)
    """
    scope = check_scope(scope)
    strategy = policy.match if match is None else match
    patched = read_patch(policy, patch)
    return decide_request(
        policy, Request(compiled(policy).by_name, patched, index, scope, strategy)
    )


def decide_request(
    policy: Policy, asked: Request, if_version: int | None = None
) -> Plan:
    """
    Decide on a patch that was read: match, merge, claim, decide.

    Args:
        policy: The table.
        asked: The patch, cleaned, and the index to ask.
        if_version: The version that the contact must have.

    Raises:
        Refused: As :func:`decide`; ``StaleVersion`` before what comes of the merge.
    """
    found, asked = _match(policy, asked)
    family = _family(policy, asked, found)
    if if_version is not None:
        _see_its_version(family.before, if_version)
    if policy.on_deleted == "refuse":
        _see_that_they_may_come_back(family)
    if family.before is None and policy.on_not_found == "refuse":
        raise CreateRefused
    if family.before is not None and policy.on_found == "ignore":
        return _left_alone(policy, asked, found, family.before)
    draft = _merge(policy, asked, family)
    claimed = assign_keys(policy, asked, draft, family)
    _see_its_limits(policy, claimed, family)
    if family.before is None or _touches(policy, asked, draft.moved):
        check_rematch(policy, asked, found, claimed, draft.ignored)
    return _plan(policy, asked, found, family, draft, claimed)


def decide_merge(
    policy: Policy, asked: Request, survivor: str, others: tuple[str, ...]
) -> Plan:
    """
    Decide what merging contacts would do, without a patch.

    Args:
        policy: The table; its ``absorb`` says what becomes of each field.
        asked: An empty patch, and the index to ask.
        survivor: The id of the contact that stays, of the scope that is asked.
        others: Ids of those that become part of it, none of them the survivor's.

    Raises:
        UnknownContact: If there is no such contact.
        InvalidField: If a rule of ``absorb`` refuses.
        KeyInUse: If a value that is absorbed makes a unique key of somebody else.
        UpdateRefused: If the policy changes nobody.
    """
    found = Match(survivor, merged=others)
    family = _family(policy, asked, found)
    if policy.on_deleted == "refuse":
        _see_that_they_may_come_back(family)
    if family.before is not None and not others:
        return _left_alone(policy, asked, found, family.before)
    draft = _merge(policy, asked, family)
    claimed = assign_keys(policy, asked, draft, family)
    _see_its_limits(policy, claimed, family)
    return _plan(policy, asked, found, family, draft, claimed)


def _match(policy: Policy, asked: Request) -> tuple[Match, Request]:
    """Find the contact; give the patch without the keys that are left out of it."""
    strategy = asked.strategy
    try:
        found = strategy.resolve(strategy.keys, asked, PICKS[policy.on_ambiguous])
    except NoMatchKey as error:
        if error.is_of_caller:
            raise
        if policy.on_no_key == "refuse":
            tried = [name for name in error.tried if name in compiled(policy).by_name]
            reasons = tuple([(name, *absence_reason(asked, name)) for name in tried])
            reasons = tuple([(name, why, thaw(value)) for name, why, value in reasons])
            raise NoMatchKey(error.tried, reasons) from None
        return Match(), asked
    if found.dropped:
        asked = asked.without(found.dropped, "guard")
    if policy.on_limit == "drop" and _are_too_many(policy, asked, found):
        return _within_limits(policy, asked, found)
    return found, asked


def _within_limits(
    policy: Policy, asked: Request, found: Match
) -> tuple[Match, Request]:
    """
    Leave out the lowest keys, as many as it takes, and one stays.

    More keys find more, as long as all is merged into the same contact, so how many
    stay is sought by halves: first of the keys that find it, then of those above them.
    """
    strategy, pick = asked.strategy, PICKS[policy.on_ambiguous]
    carried = [name for name in strategy.keys if asked.hits[name]]

    def left(many: int) -> tuple[Match, Request]:
        shorter = asked.without(carried[many:], "limit")
        return strategy.resolve(strategy.keys, shorter, pick), shorter

    def fits(many: int) -> bool:
        match, shorter = left(many)
        return not _are_too_many(policy, shorter, match)

    least, most = 1, len(carried) - 1
    if found.key is not None:
        first = carried.index(found.key) + 1
        if first <= most and fits(first):
            least = first
        else:
            most = first - 1
    while least < most:
        middle = (least + most + 1) // 2
        if fits(middle):
            least = middle
        else:
            most = middle - 1
    return left(least) if len(carried) > 1 else (found, asked)


def _are_too_many(policy: Policy, asked: Request, found: Match) -> bool:
    """Tell whether those who are found hold too much together, with what is sent."""
    for key in policy.all_keys:
        if key.max_forms is None:
            continue
        own = set() if found.id is None else {*asked.held_forms(found.id, key.name)}
        theirs = [asked.held_forms(id, key.name) for id in found.merged]
        every = own.union(asked.forms(key, asked.sent), *theirs)
        if len(every) > key.max_forms and not every <= own:
            return True
    return False


def _family(policy: Policy, asked: Request, found: Match) -> Target:
    if found.id is None:
        return Target(None, compiled(policy).no_forms)
    before, held = asked.get(found.id)
    if not found.merged:
        return Target(before, held)
    return Target(before, held, tuple([asked.get(id) for id in found.merged]))


def _see_its_version(before: Contact | None, version: int) -> None:
    if before is None:
        raise StaleVersion(None, version, None)
    if before.version != version:
        raise StaleVersion(before.id, version, before.version)


def _see_that_they_may_come_back(family: Target) -> None:
    if family.before is None:
        return
    for contact in (family.before, *[each for each, _forms in family.merged]):
        if contact.deleted_at is not None:
            raise ContactDeleted(contact.id)


def _left_alone(policy: Policy, asked: Request, found: Match, before: Contact) -> Plan:
    """Decide that a known contact stays as it is; what its rule would do is named."""
    ignored = dict(asked.ignored)
    for name in Draft(policy, before, {}).affected_fields(asked.sent):
        ignored.setdefault(name, "on_found")
    return Plan(
        result="unchanged",
        scope=asked.scope,
        before=before,
        after=before.fields,
        matched_by=found.key,
        withheld=(),
        ignored=FrozenMap.trusted(ignored),
        also_matched=found.also_matched + found.merged,
        forms=asked.get(before.id)[1],
        aliases=before.aliases,
        clocks=before.clocks,
        merged=(),
        policy=policy,
        asked=asked,
    )


def _merge(policy: Policy, asked: Request, family: Target) -> Draft:
    """Give the fields afterwards: what is absorbed, then what is sent."""
    before = family.before
    draft = Draft(policy, before, asked.ignored)
    if family.merged:
        draft.merge_contacts([contact for contact, _forms in family.merged])
    draft.apply_patch(asked.sent, known=before is not None)
    if before is None:
        draft.apply_defaults(asked.sent)
    return draft


def _see_its_limits(policy: Policy, claimed: KeyHoldings, family: Target) -> None:
    over = claimed.over_limit(policy, family.forms)
    if over is not None:
        key, forms = over
        noun = "one key" if key.max_forms == 1 else f"at most {key.max_forms} keys"
        reason = f"must have {noun} per contact; send fewer, or raise max_forms"
        # A number, for the contact's own forms are not the sender's to see.
        raise InvalidField(key.name, len(forms), reason)


def _touches(policy: Policy, asked: Request, moved: set[str]) -> bool:
    """Tell whether a field of a key that was consulted has moved."""
    if moved:
        for name in asked.hits:
            if not moved.isdisjoint(compiled(policy).by_name[name].fields):
                return True
    return False


def _plan(
    policy: Policy,
    asked: Request,
    found: Match,
    family: Target,
    draft: Draft,
    claimed: KeyHoldings,
) -> Plan:
    result = _result(policy, family, draft.moved)
    if family.merged or draft.clocks:
        draft.set_update_clocks()
    ignored, clocks = draft.ignored, draft.clocks
    others = found.also_matched + claimed.others
    # By position, as ``Plan`` names them: that is cheaper by a quarter.
    return Plan(
        result,
        asked.scope,
        family.before,
        draft.stored if result == "unchanged" else FrozenMap.trusted(draft.after),
        found.key,
        claimed.withheld,
        FrozenMap.trusted(ignored) if ignored else NOTHING,
        tuple(dict.fromkeys(others)) if claimed.others else others,
        claimed.forms,
        claimed.aliases,
        FrozenMap.trusted(clocks) if clocks else NOTHING,
        tuple([each[0] for each in family.merged]) if family.merged else (),
        policy,
        asked,
    )


def _result(policy: Policy, family: Target, moved: set[str]) -> Result:
    before = family.before
    if before is None:
        return "created"
    if not family.merged and not moved and before.deleted_at is None:
        return "unchanged"
    if policy.on_found == "refuse":
        raise UpdateRefused(before.id)
    return "merged" if family.merged else "updated"

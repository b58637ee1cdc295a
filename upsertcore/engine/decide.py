"""
The decision: match a contact, compute its fields, check its keys, return a plan.

Rules:
    Pure: the result depends on the policy, the patch and the index alone.
    Nothing here creates an id, reads a clock or writes; only a book applies a plan.
    Each step uses the results of the steps before it, and changes none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from upsertcore.engine.draft import Draft
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
from upsertcore.matching.ambiguity import PICKS
from upsertcore.matching.protocol import Match, Strategy
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
        policy: The policy.
        patch: What was sent: an absent field is omitted, None is null.
        index: A view of the stored contacts. It is not changed.
        scope: The tenant.
        match: A strategy in place of the policy's; ``never()`` always creates.

    Returns:
        The plan; its ``after`` is the stored mapping itself where nothing changes.

    Raises:
        Refused: A subclass of it, where the policy refuses the patch.

    Cost:
        Linear in the patch and in the contacts that its keys match, whatever the size
        of the index. A normaliser runs once per value of a key, and again where values
        are blocked or belong to additional fields.

    Laws:
        After the plan of a patch is applied, planning the patch again returns
        ``unchanged``.

    >>> from upsertcore import Policy, field, first_match, normalize
    >>> from upsertcore.store.index import ContactIndex
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> decide(policy, {"email": "Ada@x.org"}, ContactIndex(["email"])).forms
    (('ada@x.org',),)
    """
    scope = check_scope(scope)
    strategy = policy.match if match is None else match
    fields = read_patch(policy, patch)
    return decide_request(
        policy, Request(compiled(policy).by_name, fields, index, scope, strategy)
    )


def decide_request(
    policy: Policy, request: Request, if_version: int | None = None
) -> Plan:
    """
    Decide on a patch that was read already.

    Args:
        policy: The policy.
        request: The cleaned patch, and the view to look contacts up in.
        if_version: The version that the contact must have.

    Raises:
        Refused: As :func:`decide`; ``StaleVersion`` is checked before any rule runs.
    """
    match, request = _match(policy, request)
    target = _target(policy, request, match)
    if if_version is not None:
        _check_version(target.before, if_version)
    if policy.on_deleted == "refuse":
        _check_not_deleted(target)
    if target.before is None and policy.on_not_found == "refuse":
        raise CreateRefused
    if target.before is not None and policy.on_found == "ignore":
        return _unchanged_plan(policy, request, match, target.before)
    draft = _merge(policy, request, target)
    holdings = assign_keys(policy, request, draft, target)
    _check_limits(policy, holdings, target)
    if target.before is None or _moves_consulted_key(policy, request, draft.moved):
        check_rematch(policy, request, match, holdings, draft.ignored)
    return _plan(policy, request, match, target, draft, holdings)


def decide_merge(
    policy: Policy, request: Request, survivor: str, others: tuple[str, ...]
) -> Plan:
    """
    Decide what merging contacts would do, without a patch.

    Args:
        policy: The policy; the ``on_merge`` rules combine the fields.
        request: An empty patch, and the view to look contacts up in.
        survivor: The id of the contact that stays.
        others: Ids of the contacts that are merged into it, without the survivor's.

    Raises:
        UnknownContact: If an id has no contact.
        InvalidField: If an ``on_merge`` rule refuses a value.
        KeyInUse: If a merged value is a unique key of a contact that stays outside.
        UpdateRefused: If the policy has ``on_found="refuse"``.
    """
    match = Match(survivor, merged=others)
    target = _target(policy, request, match)
    if policy.on_deleted == "refuse":
        _check_not_deleted(target)
    if target.before is not None and not others:
        return _unchanged_plan(policy, request, match, target.before)
    draft = _merge(policy, request, target)
    holdings = assign_keys(policy, request, draft, target)
    _check_limits(policy, holdings, target)
    return _plan(policy, request, match, target, draft, holdings)


def _match(policy: Policy, request: Request) -> tuple[Match, Request]:
    """Match the contact; return the request without the keys that are dropped."""
    strategy = request.strategy
    try:
        match = strategy.resolve(strategy.keys, request, PICKS[policy.on_ambiguous])
    except NoMatchKey as error:
        if error.is_from_caller:
            raise
        if policy.on_no_key == "refuse":
            tried = [name for name in error.tried if name in compiled(policy).by_name]
            reasons = tuple([(name, *absence_reason(request, name)) for name in tried])
            reasons = tuple([(name, why, thaw(value)) for name, why, value in reasons])
            raise NoMatchKey(error.tried, reasons) from None
        return Match(), request
    if match.dropped:
        request = request.without(match.dropped, "guard")
    if policy.on_limit == "drop" and _exceeds_limit(policy, request, match):
        return _within_limits(policy, request, match)
    return match, request


def _within_limits(
    policy: Policy, request: Request, match: Match
) -> tuple[Match, Request]:
    """
    Drop the lowest keys, as few as possible; one key stays.

    More keys match more contacts, as long as all are merged into the same one, so the
    number of keys is found by bisection: first among the keys from the one that
    matched, then among those above it.
    """
    strategy, pick = request.strategy, PICKS[policy.on_ambiguous]
    carried = [name for name in strategy.keys if request.hits[name]]

    def with_keys(count: int) -> tuple[Match, Request]:
        shorter = request.without(carried[count:], "limit")
        return strategy.resolve(strategy.keys, shorter, pick), shorter

    def fits(count: int) -> bool:
        shorter_match, shorter = with_keys(count)
        return not _exceeds_limit(policy, shorter, shorter_match)

    least, most = 1, len(carried) - 1
    if match.key is not None:
        first = carried.index(match.key) + 1
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
    return with_keys(least) if len(carried) > 1 else (match, request)


def _exceeds_limit(policy: Policy, request: Request, match: Match) -> bool:
    """Return whether matched contacts and patch together hold too many forms."""
    for key in policy.all_keys:
        if key.max_forms is None:
            continue
        own = set() if match.id is None else {*request.held_forms(match.id, key.name)}
        merged = [request.held_forms(id, key.name) for id in match.merged]
        forms = own.union(request.forms(key, request.sent), *merged)
        if len(forms) > key.max_forms and not forms <= own:
            return True
    return False


def _target(policy: Policy, request: Request, match: Match) -> Target:
    if match.id is None:
        return Target(None, compiled(policy).no_forms)
    before, forms = request.get(match.id)
    if not match.merged:
        return Target(before, forms)
    return Target(before, forms, tuple([request.get(id) for id in match.merged]))


def _check_version(before: Contact | None, version: int) -> None:
    if before is None:
        raise StaleVersion(None, version, None)
    if before.version != version:
        raise StaleVersion(before.id, version, before.version)


def _check_not_deleted(target: Target) -> None:
    if target.before is None:
        return
    for contact in (target.before, *[contact for contact, _forms in target.merged]):
        if contact.deleted_at is not None:
            raise ContactDeleted(contact.id)


def _unchanged_plan(
    policy: Policy, request: Request, match: Match, before: Contact
) -> Plan:
    """Plan no change; report the fields of the patch that the rules would change."""
    ignored = dict(request.ignored)
    for name in Draft(policy, before, {}).affected_fields(request.sent):
        ignored.setdefault(name, "on_found")
    return Plan(
        result="unchanged",
        scope=request.scope,
        before=before,
        after=before.fields,
        matched_by=match.key,
        withheld=(),
        ignored=FrozenMap.trusted(ignored),
        also_matched=match.also_matched + match.merged,
        forms=request.get(before.id)[1],
        aliases=before.aliases,
        clocks=before.clocks,
        merged=(),
        policy=policy,
        request=request,
    )


def _merge(policy: Policy, request: Request, target: Target) -> Draft:
    """Compute the fields: merge other contacts first, then apply the patch."""
    before = target.before
    draft = Draft(policy, before, request.ignored)
    if target.merged:
        draft.merge_contacts([contact for contact, _forms in target.merged])
    draft.apply_patch(request.sent, known=before is not None)
    if before is None:
        draft.apply_defaults(request.sent)
    return draft


def _check_limits(policy: Policy, holdings: KeyHoldings, target: Target) -> None:
    excess = holdings.over_limit(policy, target.forms)
    if excess is not None:
        key, forms = excess
        noun = "one key" if key.max_forms == 1 else f"at most {key.max_forms} keys"
        reason = f"must have {noun} per contact; send fewer, or raise max_forms"
        # Only the number is shown: the stored forms are not the sender's to see.
        raise InvalidField(key.name, len(forms), reason)


def _moves_consulted_key(policy: Policy, request: Request, moved: set[str]) -> bool:
    """Return whether a field of a consulted key has moved."""
    if moved:
        for name in request.hits:
            if not moved.isdisjoint(compiled(policy).by_name[name].fields):
                return True
    return False


def _plan(
    policy: Policy,
    request: Request,
    match: Match,
    target: Target,
    draft: Draft,
    holdings: KeyHoldings,
) -> Plan:
    result = _result(policy, target, draft.moved)
    if target.merged or draft.clocks:
        draft.set_update_clocks()
    ignored, clocks = draft.ignored, draft.clocks
    also_matched = match.also_matched + holdings.others
    # Positional arguments are a quarter cheaper than keywords.
    return Plan(
        result,
        request.scope,
        target.before,
        draft.stored if result == "unchanged" else FrozenMap.trusted(draft.after),
        match.key,
        holdings.withheld,
        FrozenMap.trusted(ignored) if ignored else NOTHING,
        tuple(dict.fromkeys(also_matched)) if holdings.others else also_matched,
        holdings.forms,
        holdings.aliases,
        FrozenMap.trusted(clocks) if clocks else NOTHING,
        tuple([merged[0] for merged in target.merged]) if target.merged else (),
        policy,
        request,
    )


def _result(policy: Policy, target: Target, moved: set[str]) -> Result:
    before = target.before
    if before is None:
        return "created"
    if not target.merged and not moved and before.deleted_at is None:
        return "unchanged"
    if policy.on_found == "refuse":
        raise UpdateRefused(before.id)
    return "merged" if target.merged else "updated"

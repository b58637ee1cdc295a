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

from upsertcore.engine.consulted import consulted_keys
from upsertcore.engine.max_forms import (
    check_max_forms,
    exceeds_max_forms,
    within_max_forms,
)
from upsertcore.engine.merge_patch import Draft
from upsertcore.engine.outcome import result_of
from upsertcore.engine.patch import Request, check_scope, read_with_id, request_maker
from upsertcore.engine.plan import Plan
from upsertcore.engine.rematch import check_rematch
from upsertcore.engine.target import Target, check_not_deleted, target_of
from upsertcore.engine.trace import absence_reason
from upsertcore.engine.uniqueness import assign_keys
from upsertcore.errors import (
    CreateRefused,
    KeyInUse,
    NoMatchKey,
    StaleVersion,
    UnknownId,
    UpdateRefused,
)
from upsertcore.matching.ambiguity import PICKS
from upsertcore.matching.protocol import Match, Strategy
from upsertcore.matching.visitor import without_visitor
from upsertcore.policy.policy import compiled
from upsertcore.values import NOTHING, FrozenMap, thaw

if TYPE_CHECKING:
    from upsertcore.engine.outcome import Result
    from upsertcore.engine.uniqueness import KeyHoldings
    from upsertcore.model.contact import Contact
    from upsertcore.model.view import View
    from upsertcore.policy.policy import Policy

__all__ = ["decide", "decide_merge", "decide_request", "decide_update"]


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
    >>> from upsertcore.store.contact_index import ContactIndex
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> decide(policy, {"email": "Ada@x.org"}, ContactIndex(["email"])).forms
    (('ada@x.org',),)
    """
    scope = check_scope(scope)
    strategy = policy.match if match is None else match
    fields, own_id = read_with_id(policy, patch)
    make_request = request_maker(policy, fields, scope, strategy, own_id=own_id)
    return decide_request(policy, make_request(index))


def decide_update(
    policy: Policy, request: Request, id: str, if_version: int | None = None
) -> Plan:
    """
    Decide on a patch of the contact with an id; its keys match nothing.

    Args:
        policy: The policy.
        request: As for :func:`decide_request`.
        id: The id.
        if_version: As there.

    Raises:
        UnknownContact: If no contact has the id.
        Refused: As :func:`decide`.
    """
    request.get(id)
    return decide_request(policy, request, if_version, replaces_primaries=True)


def decide_request(
    policy: Policy,
    request: Request,
    if_version: int | None = None,
    *,
    replaces_primaries: bool = False,
) -> Plan:
    """
    Decide on a patch that was read already.

    Args:
        policy: The policy.
        request: The cleaned patch, and the view to look contacts up in.
        if_version: The version that the contact must have.
        replaces_primaries: As in ``Draft.apply_patch``.

    Raises:
        Refused: As :func:`decide`; ``StaleVersion`` is checked before any rule runs.
    """
    match, request = _match(policy, request)
    target = target_of(policy, request, match)
    if if_version is not None:
        _check_version(target.before, if_version)
    if policy.on_deleted == "refuse":
        check_not_deleted(target)
    if target.before is None and policy.on_not_found == "refuse":
        raise CreateRefused
    if request.id is not None:
        merged = () if policy.on_found == "ignore" else target.merged
        ids = [one.ids for one, _forms in merged]
        _check_own_id(request, request.id, target.before, ids)
    if request.visitor is not None:
        _check_visitor(policy, request, request.visitor, target)
    if target.before is not None and policy.on_found == "ignore":
        return _unchanged_plan(policy, request, match, target.before)
    return _changed_plan(policy, request, match, target, replaces_primaries)


def decide_merge(
    policy: Policy,
    request: Request,
    survivor: str,
    others: tuple[str, ...],
    if_version: int | None = None,
) -> Plan:
    """
    Decide what merging contacts would do, and then a patch of the survivor.

    Args:
        policy: The policy; the ``on_merge`` rules combine the fields of the contacts,
            and the rules apply to the patch, as to one that matches the survivor.
        request: The patch, which may be empty and matches no contact, and the view.
        survivor: The id of the contact that stays.
        others: Ids of the contacts that are merged into it, without the survivor's.
        if_version: The version that the survivor must have.

    Raises:
        UnknownContact: If an id has no contact.
        StaleVersion: If the survivor has another version.
        InvalidField: If an ``on_merge`` rule refuses a value, or a rule the patch.
        KeyInUse: If a merged value is a unique key of a contact that stays outside, or
            one of the patch is, and the policy refuses.
        UpdateRefused: If the policy has ``on_found="refuse"``.
    """
    match = Match(survivor, merged=others)
    target = target_of(policy, request, match)
    if if_version is not None:
        _check_version(target.before, if_version)
    if policy.on_deleted == "refuse":
        check_not_deleted(target)
    if target.before is not None and not (others or request.sent):
        return _unchanged_plan(policy, request, match, target.before)
    return _changed_plan(policy, request, match, target)


def _match(policy: Policy, request: Request) -> tuple[Match, Request]:
    """Match the contact; return the request without the keys that are dropped."""
    strategy = request.strategy
    try:
        match = strategy.resolve(
            consulted_keys(policy, request), request, PICKS[policy.on_ambiguous]
        )
    except NoMatchKey as error:
        if error.is_from_caller:
            raise
        if policy.on_no_key == "refuse":
            known = {*compiled(policy).by_name, policy.id_field}
            tried = [name for name in error.tried if name in known]
            reasons = tuple([(name, *absence_reason(request, name)) for name in tried])
            reasons = tuple([(name, why, thaw(value)) for name, why, value in reasons])
            raise NoMatchKey(error.tried, reasons) from None
        return Match(), request
    if match.dropped:
        request = request.without(match.dropped, "guard")
    if policy.on_limit == "drop" and exceeds_max_forms(policy, request, match):
        return within_max_forms(policy, request, match)
    return match, request


def _check_own_id(
    request: Request, id: str, before: Contact | None, merged: list[tuple[str, ...]]
) -> None:
    """Ignore an id that is not of the contact; refuse it where nothing is matched."""
    own = None if before is None else any(id in ids for ids in (before.ids, *merged))
    if own or (own is None and not request.knows(id)):
        return
    name = request.id_name or "id"
    if before is None and not without_visitor(request.strategy).keys:
        raise KeyInUse(name, id, request.get(id)[0].id)
    request.ignored = {**request.ignored, name: "id"}
    if before is None:
        request.id = None


def _check_visitor(policy: Policy, request: Request, id: str, target: Target) -> None:
    """Ignore a visitor that is unknown, or stays as it is; refuse an unknown one."""
    contacts = [target.before, *[contact for contact, _forms in target.merged]]
    if any(contact is not None and id in contact.ids for contact in contacts):
        return
    resolve: Any = request.strategy.resolve
    reason = "visitor"
    if not request.knows(id):
        if policy.on_unknown_id == "refuse":
            raise UnknownId("visitor", id)
        reason = "id"
    elif policy.on_limit == "drop" and not resolve.is_another(id, request):
        reason = "limit"
    request.ignored = {**request.ignored, "visitor": reason}


def _key_name(match: Match) -> str | None:
    """Return the key that matched; None for an id that was passed as an argument."""
    return (match.key or "").strip() or None


def _check_version(before: Contact | None, version: int) -> None:
    if before is None:
        raise StaleVersion(None, version, None)
    if before.version != version:
        raise StaleVersion(before.id, version, before.version)


def _check_not_updated(result: Result, before: Contact) -> None:
    if result != "unchanged":
        raise UpdateRefused(before.id)


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
        matched_by=_key_name(match),
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


def _changed_plan(
    policy: Policy,
    request: Request,
    match: Match,
    target: Target,
    replaces_primaries: bool = False,  # noqa: FBT001, FBT002 - as decide_request has it
) -> Plan:
    """Plan the fields and keys of the contact; it may turn out to be unchanged."""
    draft = _merge(policy, request, target)
    how: Any = {"matched_by": match.key, "replaces_primaries": replaces_primaries}
    draft.apply_patch(request.sent, known=target.before is not None, **how)
    if target.before is None:
        draft.apply_defaults(request.sent)
    holdings = assign_keys(policy, request, draft, target)
    check_max_forms(policy, holdings.forms, target.forms)
    if target.before is None or _moves_consulted_key(policy, request, draft.moved):
        check_rematch(policy, request, match, holdings, draft.ignored)
    return _plan(policy, request, match, target, draft, holdings)


def _merge(policy: Policy, request: Request, target: Target) -> Draft:
    """Return a draft of the fields, into which other contacts are merged."""
    draft = Draft(policy, target.before, request.ignored)
    if target.merged:
        draft.merge_contacts([contact for contact, _forms in target.merged])
    return draft


def _moves_consulted_key(policy: Policy, request: Request, moved: set[str]) -> bool:
    """Return whether a field of a consulted key has moved."""
    if moved:
        by_name = compiled(policy).by_name
        for name in request.hits.keys() & by_name:
            if not moved.isdisjoint(by_name[name].fields):
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
    result = result_of(target, draft.moved)
    if policy.on_found == "refuse" and target.before is not None:
        _check_not_updated(result, target.before)
    if target.merged or draft.clocks:
        draft.set_update_clocks()
    ignored, clocks = draft.ignored, draft.clocks
    also_matched = match.also_matched + holdings.others
    # Positional arguments are a quarter cheaper than keywords.
    return Plan(
        result,
        request.scope,
        target.before,
        draft.stored if result == "unchanged" else _ordered(policy, draft.after),
        _key_name(match),
        holdings.withheld,
        FrozenMap.trusted(ignored) if ignored else NOTHING,
        tuple(dict.fromkeys(also_matched)) if holdings.others else also_matched,
        holdings.forms,
        holdings.aliases,
        FrozenMap.trusted(clocks) if clocks else NOTHING,
        tuple([merged[0] for merged in target.merged]) if target.merged else (),
        policy,
        request,
        request.id if target.before is None else None,
    )


def _ordered(policy: Policy, fields: dict[str, Any]) -> FrozenMap[Any]:
    """Return fields in the order of the policy; undeclared ones follow."""
    ordered = {
        name: fields[name] for name in compiled(policy).declared if name in fields
    }
    if len(ordered) < len(fields):
        ordered.update(fields)
    return FrozenMap.trusted(ordered)

"""
Uniqueness: the keys that a draft would hold, and how conflicts are resolved.

Rules:
    Only forms that the contact does not hold yet are looked up.
    Leaving out a field may change another key, so all keys are computed again.
    Only sent values are withheld: a conflict of a merged value refuses the merge.
    Fields that identify together are left out together, so that no contact becomes a
    mixture of two.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, final

from attrs import define

from upsertcore.engine.aliases import with_aliases
from upsertcore.engine.outcome import Withheld
from upsertcore.errors import InvalidField, KeyInUse, MissingField
from upsertcore.policy.policy import compiled
from upsertcore.values import NOTHING, FrozenMap

if TYPE_CHECKING:
    from upsertcore.engine.merge_patch import Draft
    from upsertcore.engine.patch import Fields, Request
    from upsertcore.engine.target import Target
    from upsertcore.model.view import Forms
    from upsertcore.policy.keys import Key
    from upsertcore.policy.policy import Policy

__all__ = [
    "KeyHoldings",
    "assign_keys",
    "blocked_part_error",
    "key_in_use_error",
]

AppendedLists: TypeAlias = "dict[str, list[str]]"
"""Primary field to the lists that its value was appended to."""

KeyConflict: TypeAlias = "tuple[Key, dict[str, tuple[str, ...]]]"
"""A unique key, and those of its forms that other contacts hold, with their ids."""


@final
@define
class KeyHoldings:
    """
    The keys that a contact would hold.

    Args:
        forms: Its normal forms, per key of the policy, aliases last.
        aliases: Key name to those of them that its fields do not have any more.
        withheld: Values not stored because another contact holds their key.
        others: Ids of other contacts that hold one of its unique keys.
    """

    forms: Forms
    aliases: FrozenMap[tuple[str, ...]]
    withheld: tuple[Withheld, ...] = ()
    others: tuple[str, ...] = ()


def assign_keys(
    policy: Policy, request: Request, draft: Draft, target: Target
) -> KeyHoldings:
    """
    Compute the keys of a draft; withhold or refuse those that are in use.

    Args:
        policy: The policy.
        request: The patch, and the view to look holders up in.
        draft: The new fields; withheld fields are removed from it.
        target: The contacts that it is made of.

    Raises:
        KeyInUse: If another contact holds a unique key, and the policy refuses, or
            a new contact needs the withheld field.
        InvalidField: If a new contact needs a field that is left out with a blocked
            value.

    Cost:
        One look-up for each new form of a unique key. Where a key is in use, the patch
        is applied and all keys are computed again, at most once for each field.
    """
    left_out = _leave_out_with_blocked(policy, request, draft)
    before = target.before
    plain = before is not None and not before.aliases and not target.merged
    if plain and draft.moved.isdisjoint(compiled(policy).key_fields):
        return KeyHoldings(target.forms, NOTHING)
    withheld: list[Withheld] = []
    while True:
        current = _current_forms(policy, request, draft, target)
        conflicts = _conflicts(policy, request, current, target)
        if not conflicts or policy.on_key_in_use == "allow":
            forms, aliases = with_aliases(policy, current, target, draft)
            others = [
                id
                for _, conflict in conflicts
                for ids in conflict.values()
                for id in ids
            ]
            return KeyHoldings(forms, aliases, tuple(withheld), tuple(others))
        more = _withheld_fields(policy, request, draft, conflicts)
        withheld += more
        left_out |= {entry.field: "" for entry in more}
        try:
            draft.leave_out(left_out)
        except MissingField as missing:
            raise key_in_use_error(
                policy, request.sent, more, missing.field
            ) from missing


def _current_forms(
    policy: Policy, request: Request, draft: Draft, target: Target
) -> list[tuple[str, ...] | None]:
    """Return the forms of the fields, per key; None where none of its fields moved."""
    moved, compute_all = draft.moved, bool(target.merged)
    return [
        request.forms(key, draft.after)
        if compute_all or not moved.isdisjoint(key.fields)
        else None
        for key in policy.all_keys
    ]


def _new_forms(forms: Any, target: Target, place: int) -> Sequence[str]:
    """Return the forms that neither the contact nor a merged one holds."""
    own = {*target.forms[place]}
    if target.merged:
        own.update(*[held[place] for _, held in target.merged])
    return [form for form in forms if form not in own] if own else forms


def _conflicts(
    policy: Policy,
    request: Request,
    current: list[tuple[str, ...] | None],
    target: Target,
) -> list[KeyConflict]:
    """Return the keys in use by others; only the first if the policy refuses."""
    conflicts = []
    for place, (key, forms) in enumerate(zip(policy.all_keys, current, strict=True)):
        if forms is None or not (key.unique or key.name in target.apart):
            continue
        new = _new_forms(forms, target, place)
        conflict = {form: request.holders(key.name, form) for form in new}
        conflict = {form: ids for form, ids in conflict.items() if ids}
        if conflict:
            conflicts.append((key, conflict))
            if policy.on_key_in_use == "refuse":
                break
    return conflicts


def _withheld_fields(
    policy: Policy, request: Request, draft: Draft, conflicts: list[KeyConflict]
) -> list[Withheld]:
    """Return what to withhold; refuse a conflict that no sent field causes."""
    direct: dict[str, Withheld] = {}
    lists = _appended_lists(draft)
    causes: list[tuple[Key, dict[str, str]]] = []
    for key, conflict in conflicts:
        holder_by_field = _conflicting_fields(request, draft, key, conflict)
        if not holder_by_field or policy.on_key_in_use == "refuse":
            if not key.composite:
                for name, holder in holder_by_field.items():
                    raise KeyInUse(name, request.sent.get(name), holder)
            # Stored values of any contact are not the sender's to see.
            holder = next(iter(conflict.values()))[0]
            if key.composite:
                raise KeyInUse(*key.error_subject(request.sent), holder)
            raise KeyInUse(key.error_subject(draft.after)[0], None, holder)
        causes.append((key, holder_by_field))
        for name, holder in holder_by_field.items():
            value = _sent_value(request, draft, lists, name)
            direct.setdefault(name, Withheld(name, value, holder, key.name))
    withheld: dict[str, Withheld] = {}
    expanded: set[str] = set()
    for key, holder_by_field in causes:
        withheld |= {n: direct[n] for n in holder_by_field if n not in withheld}
        for name, holder in holder_by_field.items():
            start = [] if name in expanded else [name]
            names = _identifying_with(policy, draft, lists, start)
            expanded.update(names)
            for other in names:
                value = _sent_value(request, draft, lists, other)
                entry = Withheld(other, value, holder, key.name)
                withheld.setdefault(other, direct.get(other, entry))
    return [*withheld.values()]


def _conflicting_fields(
    request: Request, draft: Draft, key: Key, conflict: dict[str, tuple[str, ...]]
) -> dict[str, str]:
    """Return the sent fields that cause a conflict, with the holder for each."""
    holder_by_field: dict[str, str] = {}
    for place, name in enumerate(key.fields):
        values = {n: request.sent[n] for n in draft.appended_primaries(name)}
        if draft.is_moved(name):
            values[name] = draft.own_value(name)
        for sent_name, value in values.items():
            forms = conflict if key.composite else key.field_forms(value, place)
            ids = [conflict[form][0] for form in forms if form in conflict]
            if ids:
                holder_by_field.setdefault(sent_name, ids[0])
    if not holder_by_field:
        # The clean of the list has changed the forms of what was appended to it.
        appended = [n for name in key.fields for n in draft.appended_primaries(name)]
        return dict.fromkeys(appended, next(iter(conflict.values()))[0])
    ordered = (*key.fields, *holder_by_field)
    return {n: holder_by_field[n] for n in ordered if n in holder_by_field}


def _appended_lists(draft: Draft) -> AppendedLists:
    """Return, for each appended primary, the lists that its value was appended to."""
    lists: AppendedLists = {}
    for name, (_, primaries) in draft.appended.items():
        for primary in primaries:
            lists.setdefault(primary, []).append(name)
    return lists


def _sent_value(request: Request, draft: Draft, lists: AppendedLists, name: str) -> Any:
    """Return the value that a field would have by what was sent for it."""
    return request.sent[name] if name in lists else draft.own_value(name)


def _identifying_with(
    policy: Policy, draft: Draft, lists: AppendedLists, names: Iterable[str]
) -> list[str]:
    """
    List the moving fields that identify together with fields that are left out.

    A primary whose value was appended to a list moves that list.
    """
    queue = [*dict.fromkeys(names)]
    queued = {*queue}
    visited: set[tuple[str, ...]] = set()
    for name in queue:
        for field in (name, *lists.get(name, ())):
            group = compiled(policy).groups.get(field, ())
            # The first field stands for the group: a field is in one group only.
            is_visited = group[:1] in visited
            visited.add(group[:1])
            for other in () if is_visited else group:
                moving = [other] if draft.is_moved(other) else []
                for reached in (*moving, *draft.appended_primaries(other)):
                    if reached not in queued:
                        queued.add(reached)
                        queue.append(reached)
    return queue


def key_in_use_error(
    policy: Policy, fields: Fields, withheld: Iterable[Withheld], name: str
) -> KeyInUse:
    """
    Return the refusal of a patch that cannot do without a withheld field.

    Args:
        policy: The policy.
        fields: The fields of the patch.
        withheld: All withheld values.
        name: The name of the field that is needed.

    >>> from upsertcore import Policy, field, first_match, normalize
    >>> lines = {"email": field(key=normalize.email, unique=True), "name": field()}
    >>> withheld = [
    ...     Withheld("email", "a@x", "c-1"),
    ...     Withheld("name", "A", "c-1", "email"),
    ... ]
    >>> patch = {"email": "a@x", "name": "A"}
    >>> key_in_use_error(Policy(first_match("email"), lines), patch, withheld, "name")
    KeyInUse('email', 'a@x', 'c-1')
    """
    needed = next(entry for entry in withheld if entry.field == name)
    key = compiled(policy).by_name[needed.key]
    if key.composite:
        return KeyInUse(*key.error_subject(fields), needed.holder)
    first = next(
        entry
        for entry in withheld
        if (entry.key, entry.holder) == (needed.key, needed.holder)
        and entry.field in key.fields
    )
    return KeyInUse(first.field, fields.get(first.field), first.holder)


def _leave_out_with_blocked(
    policy: Policy, request: Request, draft: Draft
) -> dict[str, str]:
    """Leave out the fields that identify together with a blocked one."""
    if not (request.ignored and compiled(policy).groups):
        return {}
    blocked = [
        name
        for name, reason in request.ignored.items()
        if reason == "blocked" and name not in request.sent
    ]
    lists = _appended_lists(draft)
    names = _identifying_with(policy, draft, lists, blocked)[len(blocked) :]
    left_out = dict.fromkeys(names, "composite")
    if left_out:
        values = {name: _sent_value(request, draft, lists, name) for name in names}
        try:
            draft.leave_out(left_out)
        except MissingField as missing:
            raise blocked_part_error(missing.field, values[missing.field]) from missing
    return left_out


def blocked_part_error(name: str, value: Any) -> InvalidField:
    """
    Return the refusal of a patch that needs a field left out with a blocked value.

    >>> str(blocked_part_error("name", "Al"))
    "name: 'Al' is needed, but left out with a blocked value; replace the blocked value"
    """
    reason = "is needed, but left out with a blocked value; replace the blocked value"
    return InvalidField(name, value, reason)

"""
The claims: which keys a draft would hold, and what becomes of those it may not.

Rules:
    A form that the contact holds already is its own; only new ones are looked up.
    What is left out may take another key with it, so all are looked at anew.
    A form that is let go finds nobody, unless its key remembers: then it is an alias.
    Of a key with a limit, what null clears is no alias: it would count for ever.
    Only what was sent is withheld: a clash of what is absorbed refuses the merge.
    Fields that identify together are left out together, so that no contact comes to
    be a mixture of two.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, final

from attrs import define

from upsertcore.engine.outcome import Withheld
from upsertcore.errors import InvalidField, KeyInUse, MissingField
from upsertcore.policy.policy import compiled
from upsertcore.values import NOTHING, FrozenMap

if TYPE_CHECKING:
    from upsertcore.engine.merge import Draft
    from upsertcore.engine.patch import Fields, Request
    from upsertcore.model.contact import Contact
    from upsertcore.model.view import Forms
    from upsertcore.policy.keys import Key
    from upsertcore.policy.policy import Policy

__all__ = [
    "KeyHoldings",
    "Target",
    "assign_keys",
    "blocked_part_error",
    "key_in_use_error",
]

Lists: TypeAlias = "dict[str, list[str]]"
KeyConflict: TypeAlias = "tuple[Key, dict[str, tuple[str, ...]]]"
"""A unique key, and its forms that others hold, with the ids of those."""


@final
@define
class Target:
    """
    The contacts that a draft is made of.

    Args:
        before: The contact that is known, None for a new one.
        forms: The forms that it holds, per key of the policy.
        merged: The contacts that are merged into it, each with its forms.
    """

    before: Contact | None
    forms: Forms
    merged: tuple[tuple[Contact, Forms], ...] = ()


@final
@define
class KeyHoldings:
    """
    The keys that a contact would hold.

    Args:
        forms: Its normal forms, per key of the policy, aliases last.
        aliases: Key name to those that are no longer made of its fields.
        withheld: Values that another contact's key keeps out.
        others: Ids of contacts that hold one of its unique keys too.
    """

    forms: Forms
    aliases: FrozenMap[tuple[str, ...]]
    withheld: tuple[Withheld, ...] = ()
    others: tuple[str, ...] = ()

    def over_limit(
        self, policy: Policy, held: Forms
    ) -> tuple[Key, tuple[str, ...]] | None:
        """Give the first key of which there are new forms and too many."""
        if not compiled(policy).limits:
            return None
        for key, forms, own in zip(policy.all_keys, self.forms, held, strict=True):
            many = key.max_forms is not None and len(forms) > key.max_forms
            if many and not {*forms}.issubset(own):
                return key, forms
        return None


def assign_keys(
    policy: Policy, asked: Request, draft: Draft, family: Target
) -> KeyHoldings:
    """
    Give a draft its keys; what others hold is left out, or refused.

    Args:
        policy: The table.
        asked: Looks up who holds a form.
        draft: The merged fields; what is withheld is left out of it.
        family: The contacts that it is made of.

    Raises:
        KeyInUse: If another contact holds a unique key, and the policy refuses, or
            the contact cannot be created without what is left out.
        InvalidField: If it cannot be created without what is left out beside a
            blocked value.

    Cost:
        One look-up for each new form of a unique key. Where a key is in use, the patch
        is merged and all keys are made anew, at most once for each field.
    """
    left_out = _leave_out_beside_blocked(policy, asked, draft)
    before = family.before
    alone = before is not None and not before.aliases and not family.merged
    if alone and draft.moved.isdisjoint(compiled(policy).key_fields):
        return KeyHoldings(family.forms, NOTHING)
    withheld: list[Withheld] = []
    while True:
        current = _current(policy, asked, draft, family)
        clashes = _clashes(policy, asked, current, family)
        if not clashes or policy.on_key_in_use == "allow":
            forms, aliases = _with_aliases(policy, current, family, draft)
            others = [
                id for _, clash in clashes for ids in clash.values() for id in ids
            ]
            return KeyHoldings(forms, aliases, tuple(withheld), tuple(others))
        more = _to_withhold(policy, asked, draft, clashes)
        withheld += more
        left_out |= {each.field: "" for each in more}
        try:
            draft.leave_out(left_out)
        except MissingField as missing:
            raise key_in_use_error(policy, asked.sent, more, missing.field) from missing


def _current(
    policy: Policy, asked: Request, draft: Draft, family: Target
) -> list[tuple[str, ...] | None]:
    """Give the forms that the fields make, per key; None where no field of it moved."""
    moved, every = draft.moved, bool(family.merged)
    return [
        asked.forms(key, draft.after)
        if every or not moved.isdisjoint(key.fields)
        else None
        for key in policy.all_keys
    ]


def _new(forms: Any, family: Target, place: int) -> Sequence[str]:
    """Give the forms that neither the contact nor one that it absorbs holds."""
    own = {*family.forms[place]}
    if family.merged:
        own.update(*[each[place] for _, each in family.merged])
    return [form for form in forms if form not in own] if own else forms


def _clashes(
    policy: Policy,
    asked: Request,
    current: list[tuple[str, ...] | None],
    family: Target,
) -> list[KeyConflict]:
    """Give the unique keys that others hold; of a policy that refuses, the first."""
    clashes = []
    for place, (key, forms) in enumerate(zip(policy.all_keys, current, strict=True)):
        if not key.unique or forms is None:
            continue
        new = _new(forms, family, place)
        clash = {form: asked.holders(key.name, form) for form in new}
        clash = {form: ids for form, ids in clash.items() if ids}
        if clash:
            clashes.append((key, clash))
            if policy.on_key_in_use == "refuse":
                break
    return clashes


def _to_withhold(
    policy: Policy, asked: Request, draft: Draft, clashes: list[KeyConflict]
) -> list[Withheld]:
    """List what is left out for these clashes; refuse where the patch brought none."""
    direct: dict[str, Withheld] = {}
    lists = _lists(draft)
    apart: list[tuple[Key, dict[str, str]]] = []
    for key, clash in clashes:
        brought = _brought(asked, draft, key, clash)
        if not brought or policy.on_key_in_use == "refuse":
            if not key.composite:
                for name, holder in brought.items():
                    raise KeyInUse(name, asked.sent.get(name), holder)
            # Stored values are not the sender's to see, of whatever contact.
            holder = next(iter(clash.values()))[0]
            if key.composite:
                raise KeyInUse(*key.error_subject(asked.sent), holder)
            raise KeyInUse(key.error_subject(draft.after)[0], None, holder)
        apart.append((key, brought))
        for name, holder in brought.items():
            each = Withheld(name, _sent(asked, draft, lists, name), holder, key.name)
            direct.setdefault(name, each)
    found: dict[str, Withheld] = {}
    reached: set[str] = set()
    for key, brought in apart:
        found |= {name: direct[name] for name in brought if name not in found}
        for name, holder in brought.items():
            # What was reached before leads to nothing that was not.
            names = [] if name in reached else _along(policy, draft, lists, [name])
            reached.update(names)
            for other in names:
                value = _sent(asked, draft, lists, other)
                each = Withheld(other, value, holder, key.name)
                found.setdefault(other, direct.get(other, each))
    return [*found.values()]


def _brought(
    asked: Request, draft: Draft, key: Key, clash: dict[str, tuple[str, ...]]
) -> dict[str, str]:
    """Give the fields by which the patch brought these forms, each with its holder."""
    found: dict[str, str] = {}
    for place, name in enumerate(key.fields):
        values = {each: asked.sent[each] for each in draft.appended_primaries(name)}
        if draft.is_moved(name):
            values[name] = draft.own_value(name)
        for each, value in values.items():
            forms = clash if key.composite else key.field_forms(value, place)
            ids = [clash[form][0] for form in forms if form in clash]
            if ids:
                found.setdefault(each, ids[0])
    if not found:
        # What joined a list was cleaned as the list is, and has other forms now.
        joins = [each for name in key.fields for each in draft.appended_primaries(name)]
        return dict.fromkeys(joins, next(iter(clash.values()))[0])
    return {name: found[name] for name in (*key.fields, *found) if name in found}


def _lists(draft: Draft) -> Lists:
    """Return, for each primary whose value joined lists, these lists."""
    found: Lists = {}
    for name, (_, primaries) in draft.appended.items():
        for each in primaries:
            found.setdefault(each, []).append(name)
    return found


def _sent(asked: Request, draft: Draft, lists: Lists, name: str) -> Any:
    """Give the value that a field would have by what was sent for it."""
    return asked.sent[name] if name in lists else draft.own_value(name)


def _along(
    policy: Policy, draft: Draft, lists: Lists, names: Iterable[str]
) -> list[str]:
    """
    List what identifies together with fields that are left out, and would move.

    A primary that joins a list moves that list.
    """
    found = dict.fromkeys(names)
    queue = [*found]
    families: set[tuple[str, ...]] = set()
    for name in queue:
        for field in (name, *lists.get(name, ())):
            family = compiled(policy).groups.get(field, ())
            # All of one family have the same one.
            known = family[:1] in families
            families.add(family[:1])
            for other in () if known else family:
                moving = [other] if draft.is_moved(other) else []
                for each in (*moving, *draft.appended_primaries(other)):
                    if each not in found:
                        found[each] = None
                        queue.append(each)
    return queue


def key_in_use_error(
    policy: Policy, fields: Fields, withheld: Iterable[Withheld], name: str
) -> KeyInUse:
    """
    Give the refusal of a patch that a withheld field is needed for.

    Args:
        policy: The table.
        fields: Field name to frozen value, of the patch.
        withheld: What is withheld, the field among it.
        name: The name of the field.

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
    left_out = next(each for each in withheld if each.field == name)
    key = compiled(policy).by_name[left_out.key]
    if key.composite:
        return KeyInUse(*key.error_subject(fields), left_out.holder)
    first = next(
        each
        for each in withheld
        if (each.key, each.holder) == (left_out.key, left_out.holder)
        and each.field in key.fields
    )
    return KeyInUse(first.field, fields.get(first.field), first.holder)


def _leave_out_beside_blocked(
    policy: Policy, asked: Request, draft: Draft
) -> dict[str, str]:
    """Leave out what identifies together with a field that is left out already."""
    if not (asked.ignored and compiled(policy).groups):
        return {}
    gone = [
        name
        for name, why in asked.ignored.items()
        if why == "blocked" and name not in asked.sent
    ]
    lists = _lists(draft)
    names = _along(policy, draft, lists, gone)[len(gone) :]
    left_out = dict.fromkeys(names, "composite")
    if left_out:
        values = {name: _sent(asked, draft, lists, name) for name in names}
        try:
            draft.leave_out(left_out)
        except MissingField as missing:
            raise blocked_part_error(missing.field, values[missing.field]) from missing
    return left_out


def blocked_part_error(name: str, value: Any) -> InvalidField:
    """
    Refuse a patch whose contact would lack what identifies with a blocked value.

    >>> str(blocked_part_error("name", "Al"))
    "name: 'Al' is needed, but left out with a blocked value; replace the blocked value"
    """
    reason = "is needed, but left out with a blocked value; replace the blocked value"
    return InvalidField(name, value, reason)


def _with_aliases(
    policy: Policy,
    current: list[tuple[str, ...] | None],
    family: Target,
    draft: Draft,
) -> tuple[Forms, FrozenMap[tuple[str, ...]]]:
    known = NOTHING if family.before is None else family.before.aliases
    if not known and not family.merged and not compiled(policy).keeps_aliases:
        forms = zip(current, family.forms, strict=True)
        return tuple([held if made is None else made for made, held in forms]), NOTHING
    every: list[tuple[str, ...]] = []
    aliases: dict[str, tuple[str, ...]] = {}
    for place, key in enumerate(policy.all_keys):
        made = current[place]
        if made is None:
            former = known.get(key.name, ())
            every.append(family.forms[place])
        else:
            left = _left(key, place, family, known)
            gone = {*made, *_let_go(key, draft)}
            former = tuple([form for form in left if form not in gone])
            every.append(made + former)
        if former:
            aliases[key.name] = former
    return tuple(every), FrozenMap.trusted(aliases)


def _let_go(key: Key, draft: Draft) -> tuple[str, ...]:
    """Give the forms that null clears and that count for a limit no more."""
    if key.max_forms is None:
        return ()
    cleared = draft.cleared_values(key.fields)
    if cleared and key.composite:
        return key.forms(draft.base)
    return key.forms(cleared)


def _left(
    key: Key, place: int, family: Target, known: FrozenMap[tuple[str, ...]]
) -> dict[str, None]:
    """Give the forms that stay with a contact whatever its fields are, each once."""
    left = [family.forms[place] if key.keep_aliases else known.get(key.name, ())]
    for contact, held in family.merged:
        left.append(
            held[place] if key.keep_aliases else contact.aliases.get(key.name, ())
        )
    return dict.fromkeys(form for forms in left for form in forms)

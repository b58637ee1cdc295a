"""
The claims: which keys a draft would hold, and what becomes of those it may not.

Rules:
    A form that the contact holds already is its own; only new ones are looked up.
    What is put back may take another key with it, so all are looked at anew.
    A form that is let go finds nobody, unless its key remembers: then it is an alias.
    Only what was sent is withheld: a clash of what is absorbed refuses the merge.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, final

from attrs import define

from upsertcore.errors import KeyInUse
from upsertcore.outcome import Withheld
from upsertcore.values import NOTHING, FrozenMap

if TYPE_CHECKING:
    from upsertcore.contact import Contact
    from upsertcore.draft import Draft
    from upsertcore.keys import Key
    from upsertcore.patch import Asked
    from upsertcore.policy import Policy
    from upsertcore.view import Forms

__all__ = ["Claim", "Family", "claim"]


@final
@define
class Family:
    """
    The contacts that a draft is made of.

    Args:
        before: The contact that is known, None for a new one.
        held: The forms that it holds, per key of the policy.
        absorbed: The contacts that are merged into it, each with its forms.
    """

    before: Contact | None
    held: Forms
    absorbed: tuple[tuple[Contact, Forms], ...] = ()


@final
@define
class Claim:
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

    def over(self, policy: Policy, held: Forms) -> tuple[Key, tuple[str, ...]] | None:
        """Give the first key of which there are new forms and too many."""
        if not policy.limits:
            return None
        for key, forms, own in zip(policy.keys, self.forms, held, strict=True):
            many = key.limit is not None and len(forms) > key.limit
            if many and not {*forms}.issubset(own):
                return key, forms
        return None


def claim(policy: Policy, asked: Asked, draft: Draft, family: Family) -> Claim:
    """
    Give a draft its keys; what others hold is put back, or refused.

    Args:
        policy: The table.
        asked: Looks up who holds a form.
        draft: The merged fields; what is withheld is put back in it.
        family: The contacts that it is made of.

    Raises:
        KeyInUse: If another contact holds a unique key, and the policy refuses.

    Cost:
        One look-up for each new form of a unique key; all keys anew for each field
        that is withheld.
    """
    before = family.before
    alone = before is not None and not before.aliases and not family.absorbed
    if alone and draft.moved.isdisjoint(policy.keyed):
        return Claim(family.held, NOTHING)
    withheld: list[Withheld] = []
    while True:
        current = _current(policy, asked, draft, family)
        others: list[str] = []
        for place, key in enumerate(policy.keys):
            if not key.unique or current[place] is None:
                continue
            clash = _clash(asked, key, _new(current[place], family, place))
            if clash and policy.on_clash != "allow":
                withheld += _withhold(policy, draft, before, key, clash)
                break
            for ids in clash.values():
                others += ids
        else:
            forms, aliases = _with_aliases(policy, current, family)
            return Claim(forms, aliases, tuple(withheld), tuple(others))


def _current(
    policy: Policy, asked: Asked, draft: Draft, family: Family
) -> list[tuple[str, ...] | None]:
    """Give the forms that the fields make, per key; None where no field of it moved."""
    moved, every = draft.moved, bool(family.absorbed)
    return [
        asked.forms(key, draft.after)
        if every or not moved.isdisjoint(key.fields)
        else None
        for key in policy.keys
    ]


def _new(forms: Any, family: Family, place: int) -> Sequence[str]:
    """Give the forms that neither the contact nor one that it absorbs holds."""
    own = {*family.held[place]}
    if family.absorbed:
        own.update(*[each[place] for _, each in family.absorbed])
    return [form for form in forms if form not in own] if own else forms


def _clash(asked: Asked, key: Key, forms: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Give the forms that somebody else holds, with who that is."""
    clash = {}
    for form in forms:
        ids = asked.holders(key.name, form)
        if ids:
            clash[form] = ids
    return clash


def _withhold(
    policy: Policy,
    draft: Draft,
    before: Contact | None,
    key: Key,
    clash: dict[str, tuple[str, ...]],
) -> list[Withheld]:
    """Put the fields that clash back as they were, or refuse where that is asked."""
    holder = next(iter(clash.values()))[0]
    fields = [name for name in key.fields if draft.patched(name)]
    if key.each:
        after = draft.after
        fields = [n for n in fields if not _apart(key.forms({n: after.get(n)}), clash)]
    needed = before is None and any(name in policy.needed for name in fields)
    if policy.on_clash == "refuse" or needed or not fields:
        told = {n: draft.after.get(n) for n in fields} if key.each else draft.after
        raise KeyInUse(*key.told(told), holder)
    return [Withheld(name, draft.put_back(name), holder) for name in fields]


def _apart(forms: tuple[str, ...], clash: dict[str, tuple[str, ...]]) -> bool:
    return clash.keys().isdisjoint(forms)


def _with_aliases(
    policy: Policy, current: list[tuple[str, ...] | None], family: Family
) -> tuple[Forms, FrozenMap[tuple[str, ...]]]:
    known = NOTHING if family.before is None else family.before.aliases
    if not known and not family.absorbed and not policy.remembers:
        forms = zip(current, family.held, strict=True)
        return tuple([held if made is None else made for made, held in forms]), NOTHING
    every: list[tuple[str, ...]] = []
    aliases: dict[str, tuple[str, ...]] = {}
    for place, key in enumerate(policy.keys):
        made = current[place]
        if made is None:
            former = known.get(key.name, ())
            every.append(family.held[place])
        else:
            left = _left(key, place, family, known)
            current_forms = {*made}
            former = tuple([form for form in left if form not in current_forms])
            every.append(made + former)
        if former:
            aliases[key.name] = former
    return tuple(every), FrozenMap.trusted(aliases)


def _left(
    key: Key, place: int, family: Family, known: FrozenMap[tuple[str, ...]]
) -> dict[str, None]:
    """Give the forms that stay with a contact whatever its fields are, each once."""
    left = [family.held[place] if key.remember else known.get(key.name, ())]
    for contact, held in family.absorbed:
        left.append(held[place] if key.remember else contact.aliases.get(key.name, ()))
    return dict.fromkeys(form for forms in left for form in forms)

"""
The holders: who holds a normal form, by key and scope; the lower half of an index.

Rules:
    A contact is its id here, which the caller can place by its creation.
    One holder stands alone, several stand in a list, by creation; nobody leaves no
    entry, and a scope in which nobody holds a key is none.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from upsertcore.view import Forms

__all__ = ["Holders", "Place", "listed", "listed_of", "move"]

Holders: TypeAlias = dict[str, dict[str, dict[str, str | list[str]]]]
"""Key -> scope -> form -> the id of its one holder, or a list of them, by creation."""

Place: TypeAlias = Callable[[str], int]
"""Tells the place of a contact by creation."""


def move(
    holders: Holders, id: str, scope: str, old: Forms, new: Forms, place: Place
) -> None:
    """
    Let a contact hold other forms than before.

    Args:
        holders: Changed in place.
        id: The contact's.
        scope: The contact's.
        old: What it held, per key.
        new: What it holds now.
        place: Asked for this contact, and for those that hold a form already.

    Cost:
        A look-up or two for each form that it gains or loses; a form with n holders
        costs a move of n ids besides.

    >>> holders = {"email": {}}
    >>> move(holders, "c-1", "", ((),), (("a@x.org",),), {"c-1": 1, "c-0": 0}.get)
    >>> move(holders, "c-0", "", ((),), (("a@x.org",),), {"c-1": 1, "c-0": 0}.get)
    >>> holders
    {'email': {'': {'a@x.org': ['c-0', 'c-1']}}}
    """
    for key, before, after in zip(holders, old, new, strict=True):
        if before == after:
            continue
        entries = holders[key].setdefault(scope, {})
        held, holding = {*before}, {*after}
        for form in before:
            if form not in holding:
                _drop(entries, form, id, place)
        for form in after:
            if form not in held:
                _add(entries, form, id, place)
        if not entries:
            del holders[key][scope]


def listed(holders: Holders) -> dict[tuple[str, str, str], list[str]]:
    """
    List the holders of each key, scope and form.

    >>> listed({"email": {"": {"a@x.org": "c-1"}}})
    {('email', '', 'a@x.org'): ['c-1']}
    """
    return {
        (key, scope, form): [found] if isinstance(found, str) else found
        for key, scopes in holders.items()
        for scope, entries in scopes.items()
        for form, found in entries.items()
    }


def listed_of(
    keys: Iterable[str], contacts: Iterable[tuple[str, str, Forms]]
) -> dict[tuple[str, str, str], list[str]]:
    """
    List the holders that contacts make, as :func:`listed` lists those that there are.

    Args:
        keys: In the order of the forms.
        contacts: The id, scope and forms of each, by creation.

    >>> listed_of(["email"], [("c-1", "", (("a@x.org",),))])
    {('email', '', 'a@x.org'): ['c-1']}
    """
    made: dict[tuple[str, str, str], list[str]] = {}
    for id, scope, forms in contacts:
        for key, each in zip(keys, forms, strict=True):
            for form in each:
                made.setdefault((key, scope, form), []).append(id)
    return made


def _add(entries: dict[str, str | list[str]], form: str, id: str, place: Place) -> None:
    found = entries.get(form)
    if found is None:
        entries[form] = id
    elif isinstance(found, str):
        entries[form] = sorted([found, id], key=place)
    else:
        insort(found, id, key=place)


def _drop(
    entries: dict[str, str | list[str]], form: str, id: str, place: Place
) -> None:
    found = entries[form]
    if isinstance(found, str):
        del entries[form]
        return
    del found[bisect_left(found, place(id), key=place)]
    if len(found) == 1:
        entries[form] = found[0]

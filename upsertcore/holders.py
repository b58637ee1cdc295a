"""
The holders: who holds a normal form, by key and scope; the lower half of an index.

Rules:
    A contact is a number here: the place of its creation.
    One holder stands alone, several stand in a sorted list; nobody leaves no entry,
    and a scope in which nobody holds a key is none.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from upsertcore.view import Forms

__all__ = ["Holders", "listed", "move"]

Holders: TypeAlias = dict[str, dict[str, dict[str, int | list[int]]]]
"""Key -> scope -> form -> the number of its one holder, or all of them, sorted."""


def move(holders: Holders, number: int, scope: str, old: Forms, new: Forms) -> None:
    """
    Let a contact hold other forms than before.

    Args:
        holders: Changed in place.
        number: The contact's.
        scope: The contact's.
        old: What it held, per key.
        new: What it holds now.

    Cost:
        A look-up or two for each form that it gains or loses; a form with n holders
        costs a move of n numbers besides.

    >>> holders = {"email": {}}
    >>> move(holders, 1, "", ((),), (("a@x.org",),))
    >>> move(holders, 0, "", ((),), (("a@x.org",),))
    >>> holders
    {'email': {'': {'a@x.org': [0, 1]}}}
    """
    for key, before, after in zip(holders, old, new, strict=True):
        if before == after:
            continue
        entries = holders[key].setdefault(scope, {})
        held, holding = {*before}, {*after}
        for form in before:
            if form not in holding:
                _drop(entries, form, number)
        for form in after:
            if form not in held:
                _add(entries, form, number)
        if not entries:
            del holders[key][scope]


def listed(holders: Holders) -> dict[tuple[str, str, str], list[int]]:
    """
    List the holders of each key, scope and form.

    >>> listed({"email": {"": {"a@x.org": 1}}})
    {('email', '', 'a@x.org'): [1]}
    """
    return {
        (key, scope, form): [found] if isinstance(found, int) else found
        for key, scopes in holders.items()
        for scope, entries in scopes.items()
        for form, found in entries.items()
    }


def _add(entries: dict[str, int | list[int]], form: str, number: int) -> None:
    found = entries.get(form)
    if found is None:
        entries[form] = number
    elif isinstance(found, int):
        entries[form] = sorted([found, number])
    else:
        insort(found, number)


def _drop(entries: dict[str, int | list[int]], form: str, number: int) -> None:
    found = entries[form]
    if isinstance(found, int):
        del entries[form]
        return
    del found[bisect_left(found, number)]
    if len(found) == 1:
        entries[form] = found[0]

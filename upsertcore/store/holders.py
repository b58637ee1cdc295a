"""
The holders: which contacts hold a normal form, by key and scope.

Rules:
    A holder is named by its id; its row says its place by creation.
    One holder is an id, several are a list by creation; a form without a holder has no
    entry, and a key without a form in a scope has no entry for the scope.
    Each step is idempotent, so that a write that was interrupted can be repeated.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from upsertcore.model.layout import FORMS, ID, PLACE, Row, unpacked

if TYPE_CHECKING:
    from upsertcore.model.view import Forms

__all__ = ["Entries", "Holders", "add", "listed", "listed_of", "move"]

Entries: TypeAlias = dict[str, str | list[str]]
"""Form -> the id of its one holder, or a list of them, by creation."""

Holders: TypeAlias = dict[str, dict[str, Entries]]
"""Key -> scope -> form -> holders."""

RowsById: TypeAlias = Mapping[str, Row]


def move(
    holders: Holders, scope: str, was: Row | None, row: Row | None, rows: RowsById
) -> None:
    """
    Make the keys of a contact resolve to it by the forms that it holds now.

    Moving twice is moving once, so a move that was interrupted is repeated.

    Args:
        holders: Changed in place.
        scope: The contact's.
        was: The contact's row until now, None for a new one.
        row: The contact's row from now on, None where it is removed.
        rows: Each holder's row by id, this contact's among them.

    Cost:
        A look-up or two for each form that it gains or loses; a form with n holders
        costs a move of n ids besides.
    """
    one: Row = row or was  # type: ignore[assignment]
    id, place = one[ID], one[PLACE]
    for n, scopes in enumerate(holders.values(), FORMS):
        before = None if was is None else was[n]
        after = None if row is None else row[n]
        if before == after:
            continue
        entries = scopes.get(scope)
        if entries is None:
            entries = scopes[scope] = {}
        for form in _only(before, after):
            _drop(entries, form, id, place, rows)
        for form in _only(after, before):
            add(entries, form, id, place, rows)
        if not entries:
            scopes.pop(scope, None)


def _only(some: Any, others: Any) -> Sequence[str]:
    """Return the forms of one part of a row that another part has not."""
    if type(some) is tuple or type(others) is tuple:
        known = {*unpacked(others)}
        return [form for form in unpacked(some) if form not in known]
    return unpacked(some)


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


def add(entries: Entries, form: str, id: str, place: int, rows: RowsById) -> None:
    """
    Add a holder of a form, unless it is one.

    Args:
        entries: Of one key and scope; changed in place.
        form: The form.
        id: The contact's.
        place: The contact's, by creation.
        rows: Each holder's row by id.

    >>> rows = {id: (*[None] * PLACE, n) for n, id in enumerate(["c-0", "c-1"])}
    >>> entries = {}
    >>> for id in ("c-1", "c-0", "c-0"):
    ...     add(entries, "a@x.org", id, rows[id][PLACE], rows)
    >>> entries
    {'a@x.org': ['c-0', 'c-1']}
    """
    found = entries.get(form)
    if found is None:
        entries[form] = id
    elif isinstance(found, str):
        if found != id:
            here = rows[found][PLACE] < place
            entries[form] = [found, id] if here else [id, found]
    else:
        at = _at(found, place, rows)
        if at == len(found) or found[at] != id:
            found.insert(at, id)


def _drop(entries: Entries, form: str, id: str, place: int, rows: RowsById) -> None:
    found = entries.get(form)
    if isinstance(found, list):
        at = _at(found, place, rows)
        if at < len(found) and found[at] == id:
            del found[at]
        if len(found) == 1:
            entries[form] = found[0]
    elif found == id:
        del entries[form]


def _at(found: list[str], place: int, rows: RowsById) -> int:
    """Return where a contact of this place is, or would be, among holders."""
    return bisect_left(found, place, key=lambda other: rows[other][PLACE])

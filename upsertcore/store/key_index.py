"""
The key index: which contacts hold a normal form, by key and scope.

Rules:
    A holder is an id; the place in its row gives its order of creation.
    One holder is an id, several are a list by creation; a form without a holder has no
    entry, and a key without a form in a scope has no entry for the scope.
    Each step is idempotent, so an interrupted write can be repeated.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from upsertcore.model.packed_row import FORMS, ID, PLACE, Row, unpack_forms

if TYPE_CHECKING:
    from upsertcore.model.view import Forms

__all__ = ["Entries", "Holders", "add", "expected_lists", "holder_lists", "move"]

Entries: TypeAlias = dict[str, str | list[str]]
"""Form -> the id of its one holder, or a list of them, by creation."""

Holders: TypeAlias = dict[str, dict[str, Entries]]
"""Key -> scope -> form -> holders."""

RowsById: TypeAlias = Mapping[str, Row]


def move(
    holders: Holders, scope: str, was: Row | None, row: Row | None, rows: RowsById
) -> None:
    """
    Move a contact from the forms that it held to those that it holds.

    It is idempotent, so an interrupted move can be repeated.

    Args:
        holders: Changed in place.
        scope: The contact's scope.
        was: The contact's row before, None for a new contact.
        row: The contact's row after, None for a removed contact.
        rows: Each holder's row by id, this contact's included.

    Cost:
        A look-up or two for each form that it gains or loses, and moving n ids for a
        form with n holders.
    """
    either: Row = row or was  # type: ignore[assignment]
    id, place = either[ID], either[PLACE]
    for n, scopes in enumerate(holders.values(), FORMS):
        before = None if was is None else was[n]
        after = None if row is None else row[n]
        if before == after:
            continue
        entries = scopes.get(scope)
        if entries is None:
            entries = scopes[scope] = {}
        for form in _difference(before, after):
            _drop(entries, form, id, place, rows)
        for form in _difference(after, before):
            add(entries, form, id, place, rows)
        if not entries:
            scopes.pop(scope, None)


def _difference(part: Any, other: Any) -> Sequence[str]:
    """Return the forms of one part of a row that another part lacks."""
    if type(part) is tuple or type(other) is tuple:
        excluded = {*unpack_forms(other)}
        return [form for form in unpack_forms(part) if form not in excluded]
    return unpack_forms(part)


def holder_lists(holders: Holders) -> dict[tuple[str, str, str], list[str]]:
    """
    List the holders of each key, scope and form.

    >>> holder_lists({"email": {"": {"a@x.org": "c-1"}}})
    {('email', '', 'a@x.org'): ['c-1']}
    """
    return {
        (key, scope, form): [entry] if isinstance(entry, str) else entry
        for key, scopes in holders.items()
        for scope, entries in scopes.items()
        for form, entry in entries.items()
    }


def expected_lists(
    keys: Iterable[str], contacts: Iterable[tuple[str, str, Forms]]
) -> dict[tuple[str, str, str], list[str]]:
    """
    List the holders that contacts should have, in the form of :func:`holder_lists`.

    Args:
        keys: In the order of the forms.
        contacts: Id, scope and forms of each contact, by creation.

    >>> expected_lists(["email"], [("c-1", "", (("a@x.org",),))])
    {('email', '', 'a@x.org'): ['c-1']}
    """
    lists: dict[tuple[str, str, str], list[str]] = {}
    for id, scope, forms_by_key in contacts:
        for key, forms in zip(keys, forms_by_key, strict=True):
            for form in forms:
                lists.setdefault((key, scope, form), []).append(id)
    return lists


def add(entries: Entries, form: str, id: str, place: int, rows: RowsById) -> None:
    """
    Add a holder of a form, unless it is there.

    Args:
        entries: Of one key and scope; changed in place.
        form: The form.
        id: The contact's id.
        place: The contact's place by creation.
        rows: Each holder's row by id.

    >>> rows = {id: (*[None] * PLACE, n) for n, id in enumerate(["c-0", "c-1"])}
    >>> entries = {}
    >>> for id in ("c-1", "c-0", "c-0"):
    ...     add(entries, "a@x.org", id, rows[id][PLACE], rows)
    >>> entries
    {'a@x.org': ['c-0', 'c-1']}
    """
    entry = entries.get(form)
    if entry is None:
        entries[form] = id
    elif isinstance(entry, str):
        if entry != id:
            is_later = rows[entry][PLACE] < place
            entries[form] = [entry, id] if is_later else [id, entry]
    else:
        position = _position(entry, place, rows)
        if position == len(entry) or entry[position] != id:
            entry.insert(position, id)


def _drop(entries: Entries, form: str, id: str, place: int, rows: RowsById) -> None:
    entry = entries.get(form)
    if isinstance(entry, list):
        position = _position(entry, place, rows)
        if position < len(entry) and entry[position] == id:
            del entry[position]
        if len(entry) == 1:
            entries[form] = entry[0]
    elif entry == id:
        del entries[form]


def _position(holders: list[str], place: int, rows: RowsById) -> int:
    """Return the index of a contact with this place among holders, or its insertion."""
    return bisect_left(holders, place, key=lambda holder: rows[holder][PLACE])

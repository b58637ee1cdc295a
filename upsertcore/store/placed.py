"""
Contacts with their places and forms: what a store elsewhere writes of a stage.

Rules:
    Rows stay within the store in memory; another store reads and writes these.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import repeat
from typing import TYPE_CHECKING, TypeAlias, TypeVar, final

from attrs import frozen

from upsertcore.model.packed_row import (
    PLACE,
    contact_from_row,
    forms_from_row,
    pack,
    pack_forms,
)

if TYPE_CHECKING:
    from upsertcore.model.contact import Contact, Parts
    from upsertcore.model.packed_row import Row
    from upsertcore.model.view import Address, Forms
    from upsertcore.store.contact_index import ContactIndex, IndexStage

__all__ = [
    "Placed",
    "StagedChanges",
    "add_placed",
    "changed_contacts",
    "gained_forms",
    "snapshot",
    "staged_changes",
]

T = TypeVar("T")
Snapshot: TypeAlias = (
    "tuple[dict[str, dict[str, Row]], dict[Address, str], dict[Address, int]]"
)
"""The rows of each scope by id, redirects, and former places."""


@final
@frozen
class Placed:
    """
    A contact, its position in the order of creation, and the forms that it holds.

    Args:
        place: The position.
        contact: The contact.
        forms: Its normal forms, per key.
    """

    place: int
    contact: Contact
    forms: Forms


@final
@frozen
class StagedChanges:
    """
    What a write changes.

    Args:
        contacts: Each contact before and after it; None where there is none.
        redirects: Scope and id of a merged contact, and the id that it resolves to;
            None where it resolves to none any more.
        former_places: The same, and the place to which an undo restores the contact.
    """

    contacts: tuple[tuple[Placed | None, Placed | None], ...] = ()
    redirects: Mapping[Address, str | None] = {}
    former_places: Mapping[Address, int | None] = {}


def staged_changes(stage: IndexStage) -> StagedChanges:
    """
    Return what a stage changes.

    >>> from upsertcore.store.contact_index import ContactIndex, IndexStage
    >>> staged_changes(IndexStage(ContactIndex(["email"]))).contacts
    ()
    """
    redo, known = stage.redo(), stage.index.redirects
    contacts = tuple([(_placed(was), _placed(row)) for was, row in redo.rows])
    redirects = {at: to for at, to in redo.redirects if known.get(at) != to}
    return StagedChanges(contacts, redirects, dict(redo.former_places))


def gained_forms(
    keys: Iterable[str], was: Placed | None, now: Placed
) -> Iterator[tuple[str, str]]:
    """
    Yield key and form of what a contact holds, and an earlier state of it does not.

    Args:
        keys: The names of the keys, in the order of the forms.
        was: The contact before; None for a new one.
        now: The contact.
    """
    former: Iterable[tuple[str, ...]] = was.forms if was else repeat(())
    for key, held, before in zip(keys, now.forms, former):  # noqa: B905 - repeat(())
        for form in held if held != before else ():
            if form not in before:
                yield key, form


def add_placed(index: ContactIndex, place: int, parts: Parts, forms: Forms) -> None:
    """
    Add a contact to an index that does not have it.

    Args:
        index: Changed in place.
        place: The position of the contact; earlier ones may be added later.
        parts: Its parts.
        forms: Its normal forms, per key of the index.

    >>> from upsertcore.model.contact import read_row
    >>> from upsertcore.store.contact_index import ContactIndex
    >>> now = "2024-01-02T00:00:00+00:00"
    >>> row = {"id": "c-1", "scope": "", "version": 1, "created_at": now}
    >>> index = ContactIndex(["email"])
    >>> parts = read_row({**row, "updated_at": now, "fields": {"email": "A@x"}})
    >>> add_placed(index, 7, parts, (("a@x",),))
    >>> index.holders("email", "a@x"), index.find_place("c-1")
    (('c-1',), 7)
    """
    fields = parts[2]
    names = index.names.of(fields)
    values = map(fields.get, names)
    index.store_row(None, pack(parts, names, place, map(pack_forms, forms), values))


def _placed(row: Row | None) -> Placed | None:
    if row is None:
        return None
    return Placed(row[PLACE], contact_from_row(row), forms_from_row(row))


def snapshot(index: ContactIndex) -> Snapshot:
    """
    Return what an index holds now, for :func:`changed_contacts`.

    Cost:
        Linear in the contacts; none is copied.
    """
    rows = {scope: dict(by_id) for scope, by_id in index.rows.items()}
    return rows, dict(index.redirects), dict(index.former_places)


_NOTHING: Snapshot = {}, {}, {}


def changed_contacts(index: ContactIndex, before: Snapshot = _NOTHING) -> StagedChanges:
    """
    Return what has changed in an index.

    Args:
        index: The index.
        before: What it held before; nothing by default.

    >>> from upsertcore.store.contact_index import ContactIndex
    >>> index = ContactIndex(["email"])
    >>> changed_contacts(index, snapshot(index)).contacts
    ()
    """
    former, redirects, places = before
    pairs: list[tuple[Placed | None, Placed | None]] = []
    for scope in dict.fromkeys([*former, *index.rows]):
        was, now = former.get(scope, {}), index.rows.get(scope, {})
        pairs += [
            (_placed(was.get(id)), _placed(now.get(id)))
            for id in dict.fromkeys([*was, *now])
            if was.get(id) is not now.get(id)
        ]
    return StagedChanges(
        tuple(pairs),
        _differences(redirects, index.redirects),
        _differences(places, index.former_places),
    )


def _differences(
    before: Mapping[Address, T], after: Mapping[Address, T]
) -> dict[Address, T | None]:
    return {
        at: after.get(at)
        for at in dict.fromkeys([*before, *after])
        if before.get(at) != after.get(at)
    }

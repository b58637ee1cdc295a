"""
The index: id to contact, and key to holders; the one place that changes.

Rules:
    It knows contacts and normal forms, and no policy: what a form means, and whether
    it is unique, was decided before.
    Each write is staged first and stored last, so a failing one changes nothing; what
    is stored can be stored again, so an interrupted write can be completed.
    Contacts stand in the order of their creation, which no update alters.
    It keeps rows; a contact is made of one where somebody asks for it.
    The id of a contact that was absorbed leads to the one that absorbed it. A reader
    without the lock looks for it last where it stood: it may have come back meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import TYPE_CHECKING, TypeVar, final

from upsertcore.errors import UnknownContact
from upsertcore.holders import Entries, Holders, listed, listed_of, move
from upsertcore.row import (
    FORMS,
    ID,
    PLACE,
    SCOPE,
    Names,
    Row,
    Rows,
    contact_in,
    forms_in,
    ids_in,
)
from upsertcore.staged import Staged

if TYPE_CHECKING:
    from upsertcore.contact import Contact
    from upsertcore.redo import Redo
    from upsertcore.view import Forms

__all__ = ["ContactIndex"]

T = TypeVar("T")


@final
class ContactIndex:
    """
    An in-memory index of contacts by id and by key.

    Args:
        keys: The names of the keys, in the order in which forms are given.

    The fast path reads ``rows`` and ``leads`` (absorbed id to survivor) directly.

    Cost:
        Reading is one or two dict look-ups; writing a few per form. A form with n
        holders costs O(n) to read, and a move of n ids to write.

    >>> from datetime import datetime, timezone
    >>> from upsertcore import Contact
    >>> now = datetime(2024, 1, 2, tzinfo=timezone.utc)
    >>> index = ContactIndex(["email"])
    >>> index.put(Contact("c-1", "", {"email": "A@x.org"}, 1, now, now), [["a@x.org"]])
    >>> index.holders("email", "a@x.org"), index.get("c-1")["email"]
    (('c-1',), 'A@x.org')
    """

    __slots__ = (
        *("_holders", "_in_order", "keys", "leads", "names", "next", "rows", "seats"),
    )

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self.keys = tuple(keys)
        self.next = 0
        # A contact and its forms stand in one row, so no reader sees them apart.
        self.rows: dict[str, Row] = Rows()
        # Id of a contact that was absorbed -> the id of the one that it leads to.
        self.leads: dict[str, str] = {}
        # Absorbed id -> its place while it was a contact, for it may come back.
        self.seats: dict[str, int] = {}
        self._in_order = True
        self._holders: Holders = {key: {} for key in self.keys}
        self.names = Names()

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Contact]:
        rows = list(self.rows.values())
        if not self._in_order:
            rows.sort(key=itemgetter(PLACE))
        return map(contact_in, rows)

    def __contains__(self, id: object) -> bool:
        return id in self.rows or id in self.leads or id in self.rows

    def get(self, id: str) -> Contact:
        """
        Give the contact with this id, or the one that absorbed it.

        Raises:
            UnknownContact: If there is none.

        >>> ContactIndex().get("c-1")
        Traceback (most recent call last):
        ...
        upsertcore.errors.UnknownContact: id: no contact has 'c-1'; use find(key, value)
        """
        return contact_in(self._row(id))

    def found(self, id: str) -> tuple[Contact, Forms]:
        """Give what :meth:`get` gives, and the forms that it holds at that moment."""
        row = self._row(id)
        return contact_in(row), forms_in(row)

    def holders(self, key: str, form: str, scope: str = "") -> tuple[str, ...]:
        """
        Give the ids of the contacts of a scope that hold a form, by creation.

        Args:
            key: The name of a key of this index.
            form: A normal form.
            scope: The tenant.

        Returns:
            Ids, those created first standing first; empty where nobody holds it.

        Raises:
            KeyError: If the index has no such key.

        >>> ContactIndex(["email"]).holders("email", "a@x.org")
        ()
        """
        scopes = self._holders[key]
        found = scopes[scope].get(form) if scope in scopes else None
        if found is None:
            return ()
        return (found,) if isinstance(found, str) else tuple(found)

    def put(
        self,
        contact: Contact,
        forms: Iterable[Iterable[str]],
        place: int | None = None,
    ) -> None:
        """
        Store a contact; see :meth:`Staged.put`.

        Raises:
            ValueError: As there.
        """
        staged = Staged(self)
        staged.put(contact, forms, place)
        self.store(staged.redo())

    def remove(self, id: str) -> Contact:
        """
        Remove a contact and return it; see :meth:`Staged.remove`.

        Raises:
            UnknownContact: As there.
        """
        staged = Staged(self)
        contact = staged.remove(id)
        self.store(staged.redo())
        return contact

    def split(
        self, contact: Contact, forms: Forms, back: Iterable[tuple[Contact, Forms]]
    ) -> None:
        """
        Return contacts that one has absorbed; see :meth:`Staged.split`.

        Raises:
            ValueError: As there.
        """
        staged = Staged(self)
        staged.split(contact, forms, back)
        self.store(staged.redo())

    def store(self, redo: Redo) -> None:
        """
        Store a record; storing it again changes nothing.

        Cost:
            Linear in its rows, and in the forms that they gain or lose.
        """
        # Rows before ids, ids before removal: a reader finds a contact throughout.
        rows = self.rows
        for _was, row in redo.rows:
            if row is not None:
                rows[row[ID]] = row
        self.next = max(self.next, redo.next)
        self._in_order &= not redo.unordered
        _update(self.leads, redo.leads)
        _update(self.seats, redo.seats)
        removed = [was for was, row in redo.rows if row is None and was is not None]
        for was in removed:
            move(self._holders, was[SCOPE], was, None, rows)
        for before, row in redo.rows:
            if row is not None:
                move(self._holders, row[SCOPE], before, row, rows)
        for was in removed:
            rows.pop(was[ID], None)

    def store_row(self, was: Row | None, row: Row) -> None:
        """
        Store one row whose id stays; storing it again changes nothing.

        Args:
            was: The row that it replaces, None for a new contact.
            row: The row.
        """
        id, scope = row[ID], row[SCOPE]
        self.rows[id] = row
        if was is None and row[PLACE] >= self.next:
            self.next = row[PLACE] + 1
        number = FORMS
        for scopes in self._holders.values():
            before = None if was is None else was[number]
            after = row[number]
            number += 1
            if before == after:
                continue
            # The common one: a form that no contact holds, of a key without one.
            entries = scopes.get(scope) if before is None else None
            if (
                entries is None
                or type(after) is not str
                or entries.setdefault(after, id) != id
            ):
                move(self._holders, scope, was, row, self.rows)
                break

    def seat(self, id: str) -> int:
        """Return the place of a contact by creation."""
        return self.rows[id][PLACE]  # type: ignore[no-any-return]

    def clear(self) -> None:
        """Remove all contacts; the keys stay."""
        for each in (self.rows, self.leads, self.seats):
            each.clear()
        for scopes in self._holders.values():
            scopes.clear()
        self.next, self._in_order = 0, True

    def scopes(self, key: str) -> dict[str, Entries]:
        """Return the holders of a key, by scope and form; live, as ``rows`` is."""
        return self._holders[key]

    def place(self, id: str) -> int | None:
        """Give the place of a contact by creation, None where it is not here."""
        return self._row(id)[PLACE] if id in self else None

    def shared(self, key: str, scope: str | None = None) -> Iterator[list[str]]:
        """
        Give the ids of the holders of each form that has several.

        Args:
            key: The name of a key of this index.
            scope: The tenant, None for all.

        Cost:
            Linear in the forms of the key.
        """
        scopes = self._holders[key]
        for each in scopes if scope is None else scopes.keys() & {scope}:
            for found in scopes[each].values():
                if not isinstance(found, str):
                    yield found

    def check(self) -> None:
        """
        See that the index is whole.

        Raises:
            AssertionError: If an entry is missing, left over or out of order.

        Cost:
            Linear in contacts and forms.
        """
        rows = sorted(self.rows.values(), key=itemgetter(PLACE))
        held = [(row[ID], row[SCOPE], forms_in(row)) for row in rows]
        expected, actual = listed_of(self.keys, held), listed(self._holders)
        ids = sorted((id, row[ID]) for row in rows for id in ids_in(row))
        leads = sorted([*((id, id) for id in self.rows), *self.leads.items()])
        if actual != expected or ids != leads:
            raise AssertionError(f"expected {expected}, found {actual}, ids {ids}")

    def _row(self, id: str) -> Row:
        try:
            row = self.rows.get(id)
            while row is None and (lead := self.leads.get(id)) is not None:
                id, row = lead, self.rows.get(lead)
            return self.rows[id] if row is None else row
        except (KeyError, TypeError):
            raise UnknownContact(id) from None


def _update(part: dict[str, T], changes: Iterable[tuple[str, T | None]]) -> None:
    """Set values by id; None removes one."""
    for id, value in changes:
        if value is None:
            part.pop(id, None)
        else:
            part[id] = value

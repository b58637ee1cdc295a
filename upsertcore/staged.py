"""
A staged write: what an index will hold, computed before anything is stored.

Rules:
    It reads an index and changes nothing; a write that cannot be raises here.
    Several steps make one record, and each step sees those before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar, final

from upsertcore.errors import UnknownContact
from upsertcore.redo import Redo
from upsertcore.row import ID, PLACE, SCOPE, Row, contact_in, forms_in, ids_in, row_of

if TYPE_CHECKING:
    from upsertcore.contact import Contact
    from upsertcore.index import ContactIndex
    from upsertcore.view import Forms

__all__ = ["Staged"]

T = TypeVar("T")


@final
class Staged:
    """
    The next state of an index, as far as it differs.

    Args:
        index: Read, and not changed.

    >>> from upsertcore.index import ContactIndex
    >>> Staged(ContactIndex(["email"])).redo().rows
    ()
    """

    __slots__ = ("_index", "_leads", "_rows", "_seats", "next", "unordered")

    def __init__(self, index: ContactIndex) -> None:
        self._index = index
        self._rows: dict[str, Row | None] = {}
        self._leads: dict[str, str | None] = {}
        self._seats: dict[str, int | None] = {}
        self.next = index.next
        self.unordered = False

    def row(self, id: str) -> Row:
        """
        Return the row of the contact that an id resolves to.

        Raises:
            UnknownContact: If there is none.
        """
        try:
            row = self._now(id)
        except TypeError:
            row = None
        if row is None:
            raise UnknownContact(id)
        return row

    def get(self, id: str) -> Contact:
        """Return the contact that an id resolves to."""
        return contact_in(self.row(id))

    def found(self, id: str) -> tuple[Contact, Forms]:
        """Return the contact that an id resolves to, and the forms that it holds."""
        row = self.row(id)
        return contact_in(row), forms_in(row)

    def holders(self, key: str, form: str, scope: str) -> tuple[str, ...]:
        """Return the ids of the contacts that hold a form before this write."""
        return self._index.holders(key, form, scope)

    def put(
        self, contact: Contact, forms: Iterable[Iterable[str]], place: int | None = None
    ) -> None:
        """
        Store a contact, in place of the one with its id if there is one.

        Args:
            contact: The contact; its scope must be that of the one it replaces. The
                contacts that it has absorbed leave the index.
            forms: The normal forms that it holds, per key of the index.
            place: The place of a new contact; the next one if None.

        Raises:
            ValueError: If there are not as many lists of forms as keys, the contact
                or one that it absorbs would change its scope, or an id of its leads
                to another contact.
        """
        new = self._checked(forms)
        if contact.id in contact.merged_ids:
            raise ValueError(
                f"merged_ids: must not contain {contact.id}, the contact's own id"
            )
        ids = self._new_ids(contact)
        taken = self._taken_over(ids, contact.scope)
        lead = self._lead(contact.id) or contact.id
        if lead in taken:
            place = taken[lead][PLACE]
        elif place is None:
            place = self.next
        else:
            self.unordered |= place < self.next
        self.next = max(self.next, place + 1)
        self.unordered |= lead != contact.id
        for id, row in taken.items():
            if id != lead:
                self._seats[id] = row[PLACE]
            if id != contact.id:
                self._rows[id] = None
            if id != contact.id or len(ids) == len(contact.ids):
                for former in ids_in(row):
                    self._leads[former] = None
        for id in ids[1:]:
            self._leads[id] = contact.id
        self._leads[contact.id] = None
        self._rows[contact.id] = self._row_of(contact, place, new)

    def remove(self, id: str) -> Contact:
        """
        Remove a contact, with its keys and the ids that resolve to it; return it.

        Raises:
            UnknownContact: If there is no such contact; an id that merely resolves to
                one removes nothing.
        """
        row = self.row(id)
        if row[ID] != id:
            raise UnknownContact(id)
        contact = contact_in(row)
        for each in contact.merged_ids:
            self._leads[each] = self._seats[each] = None
        self._rows[id] = None
        return contact

    def split(
        self, contact: Contact, forms: Forms, back: Iterable[tuple[Contact, Forms]]
    ) -> None:
        """
        Return contacts that one has absorbed, each to its earlier place.

        Args:
            contact: The one, as it was before.
            forms: The normal forms that it held.
            back: The others, as they were, each with its forms.

        Raises:
            ValueError: If one of them was not merged here, occurs twice, or there
                are not as many lists of forms as keys.
        """
        place = self.row(contact.id)[PLACE]
        returning = [(self._seat(other.id), other, held) for other, held in back]
        seats: set[int] = set()
        for seat, other, held in ((place, contact, forms), *returning):
            self._checked(held)
            merged = other is contact or self._lead(other.id) == contact.id
            if seat is None or seat in seats or not merged:
                raise ValueError(f"back: contact {other.id} was not merged here")
            seats.add(seat)
        self._rows[contact.id] = self._row_of(contact, place, forms)
        for seat, other, held in returning:
            self._rows[other.id] = self._row_of(other, seat, held)  # type: ignore[arg-type]
            for id in other.merged_ids:
                self._leads[id] = other.id
            self._leads[other.id] = self._seats[other.id] = None
        self.unordered = True

    def redo(self, **parts: Any) -> Redo:
        """
        Make the record of all steps.

        Args:
            parts: What a :class:`Redo` holds besides.
        """
        rows = self._index.rows
        pairs = tuple([(rows.get(id), row) for id, row in self._rows.items()])
        return Redo(
            tuple([pair for pair in pairs if pair[0] is not pair[1]]),
            tuple(self._leads.items()),
            tuple(self._seats.items()),
            self.next,
            self.unordered,
            **parts,
        )

    def _now(self, id: str) -> Row | None:
        """Return the row of an id, or of the contact that absorbed it."""
        row = _either(self._rows, self._index.rows, id)
        while row is None and (lead := self._lead(id)) is not None:
            id, row = lead, _either(self._rows, self._index.rows, lead)
        return row

    def _lead(self, id: str) -> str | None:
        return _either(self._leads, self._index.leads, id)

    def _seat(self, id: str) -> int | None:
        return _either(self._seats, self._index.seats, id)

    def _row_of(self, contact: Contact, place: int, forms: Forms) -> Row:
        names = self._index.names.share(contact.fields)
        return row_of(contact, names, place, forms)

    def _checked(self, forms: Iterable[Iterable[str]]) -> Forms:
        made = tuple([tuple(each) for each in forms])
        many = len(self._index.keys)
        if len(made) != many:
            raise ValueError(f"forms: must be {many} lists, not {len(made)}")
        return made

    def _new_ids(self, contact: Contact) -> tuple[str, ...]:
        """Return its own id, and those that do not resolve to it already."""
        row, ids = self._now(contact.id), contact.ids
        if row is not None and row[ID] == contact.id:
            known = ids_in(row)
            # Who absorbs contacts one by one has nearly all of their ids already.
            if ids[: len(known)] == known:
                return (contact.id, *ids[len(known) :])
        return ids

    def _taken_over(self, ids: tuple[str, ...], scope: str) -> dict[str, Row]:
        """Return the rows of the contacts whose ids a contact takes, each once."""
        rows = [row for row in map(self._now, ids) if row is not None]
        taken = {row[ID]: row for row in rows}
        known = {*ids} if len(taken) > 1 else ids
        for id, row in taken.items():
            if id not in known:
                raise ValueError(f"id: {ids[0]} must not lead away from {id}")
            if row[SCOPE] != scope:
                raise ValueError(f"scope: contact {id} must stay in its scope")
        return taken


def _either(mine: dict[str, T | None], below: dict[str, T], id: str) -> T | None:
    return mine[id] if id in mine else below.get(id)

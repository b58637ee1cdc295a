"""
The index: id to contact, and key to holders; the one place that changes.

Rules:
    It knows contacts and normal forms, and no policy: what a form means, and whether
    it is unique, was decided before.
    Each write computes first and stores last, so a failing one changes nothing.
    Contacts stand in the order of their creation, which no update alters.
    It keeps rows; a contact is made of one where somebody asks for it.
    The id of a contact that was absorbed leads to the one that absorbed it. A reader
    without the lock looks for it last where it stood: it may have come back meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter
from typing import TYPE_CHECKING, final

from upsertcore.errors import UnknownContact
from upsertcore.holders import Holders, listed, listed_of, move
from upsertcore.row import (
    ID,
    PLACE,
    SCOPE,
    Names,
    Row,
    Rows,
    contact_in,
    forms_in,
    ids_in,
    row_of,
)

if TYPE_CHECKING:
    from upsertcore.contact import Contact
    from upsertcore.view import Forms

__all__ = ["ContactIndex"]


@final
class ContactIndex:
    """
    An in-memory index of contacts by id and by key.

    Args:
        keys: The names of the keys, in the order in which forms are given.

    The hot path writes beside it, under the lock of its book: a new contact's id is in
    none of ``rows``, ``leads`` (the absorbed) and ``gone`` (the removed).

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
        *("_holders", "_in_order", "_none", "_seats", "gone", "keys", "leads", "names"),
        *("next", "rows"),
    )

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self.keys = tuple(keys)
        self.next = 0
        # A contact and its forms stand in one row, so no reader sees them apart.
        self.rows: dict[str, Row] = Rows()
        # Id of a contact that was absorbed -> the id of the one that it leads to.
        self.leads: dict[str, str] = {}
        # Absorbed id -> its place while it was a contact, for it may come back.
        self._seats: dict[str, int] = {}
        self.gone: set[str] = set()
        self._in_order = True
        self._holders: Holders = {key: {} for key in self.keys}
        self.names = Names()
        self._none: Forms = ((),) * len(self.keys)

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
        upsertcore.errors.UnknownContact: no contact has the id 'c-1'
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

    def put(self, contact: Contact, forms: Iterable[Iterable[str]]) -> None:
        """
        Store a contact, in place of the one with its id if there is one.

        Args:
            contact: The contact; its scope must be that of the one it replaces. The
                contacts that it has absorbed leave the index.
            forms: The normal forms that it holds, per key of the index.

        Raises:
            ValueError: If there are not as many lists of forms as keys, the contact
                or one that it absorbs would change its scope, or an id of its leads
                to another contact.
        """
        new = tuple([tuple(each) for each in forms])
        self._see_its_forms(new)
        if contact.id in contact.absorbed:
            raise ValueError(f"absorbed: contact {contact.id} must not absorb itself")
        ids = contact.ids
        taken = {id: self.rows[id] for id in self._taken_over(ids, contact.scope)}
        lead = self.leads.get(contact.id, contact.id)
        place = taken[lead][PLACE] if lead in taken else self.next
        row = self._row_of(contact, place, new)
        self.next = max(self.next, place + 1)
        self._in_order &= lead == contact.id
        self._seats.update((id, r[PLACE]) for id, r in taken.items() if id != lead)
        self._lay(row, ids, taken)

    def _lay(self, row: Row, ids: tuple[str, ...], taken: Mapping[str, Row]) -> None:
        """Let all these ids lead to a row, and the rows that it takes over be gone."""
        own, scope, old = row[ID], row[SCOPE], self._none
        # Row before ids, ids before what is gone: a reader finds a contact throughout.
        self.rows[own] = row
        for id in ids[1:]:
            self.leads[id] = own
        freed = {id for each in taken.values() for id in ids_in(each)}
        for id in (own, *freed.difference(ids)):
            self.leads.pop(id, None)
        for id, absorbed in taken.items():
            if id == own:
                old = forms_in(absorbed)
                continue
            move(self._holders, id, scope, forms_in(absorbed), self._none, self.seat)
            del self.rows[id]
        self._move(own, scope, old, forms_in(row))

    def _row_of(self, contact: Contact, place: int, forms: Forms) -> Row:
        return row_of(contact, self.names.share(contact.fields), place, forms)

    def _move(self, id: str, scope: str, old: Forms, new: Forms) -> None:
        if new != old:
            move(self._holders, id, scope, old, new, self.seat)

    def seat(self, id: str) -> int:
        """Give the place of a contact by creation."""
        return self.rows[id][PLACE]  # type: ignore[no-any-return]

    def _see_its_forms(self, forms: Forms) -> None:
        if len(forms) != len(self.keys):
            raise ValueError(f"forms: must be {len(self.keys)} lists, not {len(forms)}")

    def _taken_over(self, ids: tuple[str, ...], scope: str) -> Iterable[str]:
        """Give the ids of those whose ids a contact takes, each once."""
        found = dict.fromkeys(self.leads.get(id, id) for id in ids if id in self)
        known = {*ids} if len(found) > 1 else ids
        for id in found:
            if id not in known:
                raise ValueError(f"id: {ids[0]} must not lead away from {id}")
            if self.rows[id][SCOPE] != scope:
                raise ValueError(f"scope: contact {id} must stay in its scope")
        return found

    def remove(self, id: str) -> Contact:
        """
        Take a contact out, with its keys and the ids that lead to it; answer it.

        Raises:
            UnknownContact: If there is no such contact; an id that merely leads to
                one takes nothing out.
        """
        row = self._row(id)
        if row[ID] != id:
            raise UnknownContact(id)
        contact = contact_in(row)
        self._move(id, contact.scope, forms_in(row), self._none)
        for each in contact.absorbed:
            del self.leads[each]
            self._seats.pop(each, None)
        self.gone.update(contact.ids)
        del self.rows[id]
        return contact

    def split(
        self,
        contact: Contact,
        forms: Forms,
        back: Iterable[tuple[Contact, Forms]],
    ) -> None:
        """
        Give back contacts that one has absorbed, each in its old place.

        Args:
            contact: The one, as it was before.
            forms: The normal forms that it held.
            back: The others, as they were, each with its forms.

        Raises:
            ValueError: If one of them was not absorbed here, stands there twice, or
                there are not as many lists of forms as keys.
        """
        stood = self.rows[contact.id]
        returning = [(self._seats.get(other.id), other, held) for other, held in back]
        seats: set[int] = set()
        for seat, other, held in ((stood[PLACE], contact, forms), *returning):
            self._see_its_forms(held)
            absorbed = other is contact or self.leads.get(other.id) == contact.id
            if seat is None or seat in seats or not absorbed:
                raise ValueError(f"back: contact {other.id} was not absorbed here")
            seats.add(seat)
        self.rows[contact.id] = self._row_of(contact, stood[PLACE], forms)
        self._move(contact.id, contact.scope, forms_in(stood), forms)
        for seat, other, held in returning:
            place: int = seat  # type: ignore[assignment]
            self.rows[other.id] = self._row_of(other, place, held)
            for id in other.absorbed:
                self.leads[id] = other.id
            del self.leads[other.id], self._seats[other.id]
            self._move(other.id, other.scope, self._none, held)
        self._in_order = False

    def clear(self) -> None:
        """Forget all contacts, and the ids that were spent; the keys stay."""
        for each in (self.rows, self.leads, self._seats, self.gone):
            each.clear()
        for scopes in self._holders.values():
            scopes.clear()
        self.next, self._in_order = 0, True

    def scopes(self, key: str) -> dict[str, dict[str, str | list[str]]]:
        """Give the holders of a key, by scope and form; live, as ``rows`` is."""
        return self._holders[key]

    def hold(self, row: Row) -> None:
        """Let the keys of a new row, of any forms, lead to it."""
        self._move(row[ID], row[SCOPE], self._none, forms_in(row))

    def lay(self, row: Row) -> None:
        """Store a row in place of the one with its id."""
        id = row[ID]
        old, self.rows[id] = self.rows[id], row
        self._move(id, row[SCOPE], forms_in(old), forms_in(row))

    def place(self, id: str) -> int | None:
        """Give the place of a contact by creation, None where it is not here."""
        return self._row(id)[PLACE] if id in self else None

    def is_spent(self, id: str) -> bool:
        """Tell whether an id is in use, or was until its contact was taken out."""
        return id in self or id in self.gone

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

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
from typing import TYPE_CHECKING, Any, TypeVar, final

from upsertcore.errors import UnknownContact
from upsertcore.model.layout import (
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
    row_of,
)
from upsertcore.store.holders import Entries, Holders, listed, listed_of, move
from upsertcore.store.redo import Redo

if TYPE_CHECKING:
    from upsertcore.model.contact import Contact
    from upsertcore.model.view import Forms

__all__ = [
    "ContactIndex",
    "Staged",
]

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
        entries = self._holders[key].get(scope)
        found = None if entries is None else entries.get(form)
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


@final
class Staged:
    """
    The next state of an index, as far as it differs.

    Args:
        index: Read, and not changed.

    >>> from upsertcore.store.index import ContactIndex
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
        # By creation, so that each stands last of those who hold what it holds.
        for seat, other, held in sorted(returning, key=_by_seat):
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


def _by_seat(returning: tuple[Any, ...]) -> int:
    return returning[0]  # type: ignore[no-any-return]


def _either(mine: dict[str, T | None], below: dict[str, T], id: str) -> T | None:
    return mine[id] if id in mine else below.get(id)

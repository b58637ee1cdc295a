"""
The contact index: id to contact, with its key index; the mutable state of a store.

Rules:
    It knows contacts and normal forms, and no policy: what a form means, and whether
    it is unique, is decided before.
    Each write is staged first and stored last, so a failing write changes nothing.
    Storing is idempotent, so an interrupted write can be completed.
    Contacts are in the order of their creation, which no update alters.
    It holds rows; a contact is made of a row on demand.
    An id is unique within its scope. That of a merged contact resolves to the survivor.
    A reader without the lock looks among the rows once more at the end: an undo may
    have restored the contact.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar, final

from upsertcore.errors import UnknownContact
from upsertcore.model.packed_row import (
    FORMS,
    ID,
    NO_ROWS,
    PLACE,
    SCOPE,
    Names,
    Row,
    Rows,
    contact_from_row,
    forms_from_row,
    ids_from_row,
    row_of,
)
from upsertcore.policy.policy import compiled
from upsertcore.store.key_index import (
    Entries,
    Holders,
    expected_lists,
    holder_lists,
    move,
)
from upsertcore.store.redo import Redo

if TYPE_CHECKING:
    from upsertcore.model.contact import Contact
    from upsertcore.model.view import Address, Forms
    from upsertcore.policy.policy import Policy

__all__ = [
    "ContactIndex",
    "IndexStage",
    "index_for",
]

T = TypeVar("T")


@final
class ContactIndex:
    """
    An in-memory index of contacts by id and by key.

    Args:
        keys: The names of the keys, in the order in which forms are passed.
        declared: The names of the declared fields: contacts have their fields in this
            order, and then those that are not declared.

    The fast path reads ``rows`` (by scope and id) and ``redirects`` (scope and merged
    id to the survivor) directly.

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
        *(
            "_holders",
            "_is_ordered",
            "keys",
            "redirects",
            "names",
            "next",
            "rows",
            "former_places",
        ),
    )

    def __init__(self, keys: Iterable[str] = (), declared: Iterable[str] = ()) -> None:
        self.keys = tuple(keys)
        self.next = 0
        # A contact and its forms are in one row, so no reader sees them apart. A scope
        # keeps its dict, so that a reader without the lock finds one for each holder.
        self.rows: dict[str, dict[str, Row]] = {}
        # Scope and id of a merged contact -> the id that it resolves to.
        self.redirects: dict[Address, str] = {}
        # Scope and id of a merged contact -> the place to which an undo restores it.
        self.former_places: dict[Address, int] = {}
        self._is_ordered = True
        self._holders: Holders = {key: {} for key in self.keys}
        self.names = Names(declared)

    def __len__(self) -> int:
        return sum(map(len, self.rows.values()))

    def __iter__(self) -> Iterator[Contact]:
        return map(contact_from_row, self._rows_by_creation())

    def empty(self) -> ContactIndex:
        """Return an empty index with the same keys and names."""
        return ContactIndex(self.keys, self.names.declared)

    def has_id(self, id: str, scope: str = "") -> bool:
        """Return whether an id resolves to a contact of a scope."""
        rows = self.rows.get(scope, NO_ROWS)
        return id in rows or (scope, id) in self.redirects or id in rows

    def get(self, id: str, scope: str = "") -> Contact:
        """
        Return the contact that an id of a scope resolves to.

        Raises:
            UnknownContact: If there is none.

        >>> ContactIndex().get("c-1")
        Traceback (most recent call last):
        ...
        upsertcore.errors.UnknownContact: id: no contact has 'c-1'; use find(key, value)
        """
        return contact_from_row(self._row(id, scope))

    def get_with_forms(self, id: str, scope: str = "") -> tuple[Contact, Forms]:
        """Return the contact that an id resolves to, and the forms that it holds."""
        row = self._row(id, scope)
        return contact_from_row(row), forms_from_row(row)

    def holders(self, key: str, form: str, scope: str = "") -> tuple[str, ...]:
        """
        Return the ids of the contacts of a scope that hold a form, by creation.

        Args:
            key: The name of a key of this index.
            form: A normal form.
            scope: The tenant.

        Returns:
            Ids, the oldest contact first; empty if no contact holds the form.

        Raises:
            KeyError: If the index has no such key.

        >>> ContactIndex(["email"]).holders("email", "a@x.org")
        ()
        """
        entries = self._holders[key].get(scope)
        entry = None if entries is None else entries.get(form)
        if entry is None:
            return ()
        return (entry,) if isinstance(entry, str) else tuple(entry)

    def put(
        self,
        contact: Contact,
        forms: Iterable[Iterable[str]],
        place: int | None = None,
    ) -> None:
        """
        Store a contact; see :meth:`IndexStage.put`.

        Raises:
            ValueError: As there.
        """
        staged = IndexStage(self)
        staged.put(contact, forms, place)
        self.store(staged.redo())

    def remove(self, id: str, scope: str = "") -> Contact:
        """
        Remove a contact and return it; see :meth:`IndexStage.remove`.

        Raises:
            UnknownContact: As there.
        """
        staged = IndexStage(self)
        contact = staged.remove(id, scope)
        self.store(staged.redo())
        return contact

    def split(
        self, contact: Contact, forms: Forms, back: Iterable[tuple[Contact, Forms]]
    ) -> None:
        """
        Restore contacts that were merged into one; see :meth:`IndexStage.split`.

        Raises:
            ValueError: As there.
        """
        staged = IndexStage(self)
        staged.split(contact, forms, back)
        self.store(staged.redo())

    def store(self, redo: Redo) -> None:
        """
        Store a redo record; storing it again changes nothing.

        Cost:
            Linear in its rows, and in the forms that they gain or lose.
        """
        # Rows before redirects before removals: a reader always finds a contact.
        for _was, row in redo.rows:
            if row is not None:
                self._rows_of(row[SCOPE])[row[ID]] = row
        self.next = max(self.next, redo.next)
        self._is_ordered &= not redo.unordered
        _update(self.redirects, redo.redirects)
        _update(self.former_places, redo.former_places)
        removed = [was for was, row in redo.rows if row is None and was is not None]
        for was in removed:
            move(self._holders, was[SCOPE], was, None, self._rows_of(was[SCOPE]))
        for before, row in redo.rows:
            if row is not None:
                move(self._holders, row[SCOPE], before, row, self._rows_of(row[SCOPE]))
        for was in removed:
            self._rows_of(was[SCOPE]).pop(was[ID], None)

    def store_row(self, was: Row | None, row: Row) -> None:
        """
        Store one row of a new or known id; storing it again changes nothing.

        Args:
            was: The row that it replaces, None for a new contact.
            row: The row.
        """
        id, scope = row[ID], row[SCOPE]
        try:
            rows = self.rows[scope]
        except KeyError:
            rows = self._rows_of(scope)
        rows[id] = row
        if was is None and row[PLACE] >= self.next:
            self.next = row[PLACE] + 1
        number = FORMS
        for scopes in self._holders.values():
            before = None if was is None else was[number]
            after = row[number]
            number += 1
            if before == after:
                continue
            # The common case: the contact gains a form that no contact holds.
            entries = scopes.get(scope) if before is None else None
            if (
                entries is None
                or type(after) is not str
                or entries.setdefault(after, id) != id
            ):
                move(self._holders, scope, was, row, rows)
                break

    def contacts(self, addresses: Iterable[Address]) -> list[Contact]:
        """
        Return the contacts that have these ids as their own, by creation.

        Args:
            addresses: Scope and id of each, once.

        Raises:
            KeyError: If no contact has one of them.
        """
        rows = [self.rows[scope][id] for scope, id in addresses]
        return [*map(contact_from_row, sorted(rows, key=itemgetter(PLACE)))]

    def created_after(self, id: str, scope: str = "") -> Iterator[Contact]:
        """
        Return the contacts that were created after the one that an id resolves to.

        Args:
            id: The id of a contact.
            scope: Its tenant; the others may be of any.

        Raises:
            UnknownContact: If there is none.

        Cost:
            As iterating over these contacts, once the rows are listed.
        """
        place, rows = self._row(id, scope)[PLACE], self._rows_by_creation()
        first = bisect_right(rows, place, key=itemgetter(PLACE))
        return map(contact_from_row, islice(rows, first, None))

    def with_forms(self) -> Iterator[tuple[Contact, Forms]]:
        """Return all contacts by creation, with the forms that they hold."""
        rows = self._rows_by_creation()
        return ((contact_from_row(row), forms_from_row(row)) for row in rows)

    def _rows_by_creation(self) -> list[Row]:
        rows = [*chain.from_iterable([one.values() for one in [*self.rows.values()]])]
        if not self._is_ordered or len(self.rows) > 1:
            rows.sort(key=itemgetter(PLACE))
        return rows

    def clear(self) -> None:
        """Remove all contacts; the keys stay."""
        for part in (self.rows, self.redirects, self.former_places):
            part.clear()
        for scopes in self._holders.values():
            scopes.clear()
        self.next, self._is_ordered = 0, True

    def scopes(self, key: str) -> dict[str, Entries]:
        """Return the holders of a key, by scope and form; the live mapping."""
        return self._holders[key]

    def find_place(self, id: str, scope: str = "") -> int | None:
        """Return the place of the contact that an id resolves to, if any."""
        return self._row(id, scope)[PLACE] if self.has_id(id, scope) else None

    def shared_forms(
        self, key: str, scope: str | None = None
    ) -> Iterator[tuple[str, list[str]]]:
        """
        Return scope, and ids of the holders, of each form that has several.

        Args:
            key: The name of a key of this index.
            scope: The tenant, None for all.

        Cost:
            Linear in the forms of the key.
        """
        scopes = self._holders[key]
        for name in scopes if scope is None else scopes.keys() & {scope}:
            for entry in scopes[name].values():
                if not isinstance(entry, str):
                    yield name, entry

    def check(self) -> None:
        """
        Check that the index is consistent.

        Raises:
            AssertionError: If an entry is missing, superfluous or out of order.

        Cost:
            Linear in contacts and forms.
        """
        rows = sorted(self._rows_by_creation(), key=itemgetter(PLACE))
        held = [(row[ID], row[SCOPE], forms_from_row(row)) for row in rows]
        expected, actual = expected_lists(self.keys, held), holder_lists(self._holders)
        ids = sorted(
            ((row[SCOPE], id), row[ID]) for row in rows for id in ids_from_row(row)
        )
        own = [((scope, id), id) for scope, by_id in self.rows.items() for id in by_id]
        redirects = sorted([*own, *self.redirects.items()])
        if actual != expected or ids != redirects:
            raise AssertionError(f"expected {expected}, found {actual}, ids {ids}")

    def _rows_of(self, scope: str) -> dict[str, Row]:
        """Return the rows of a scope by id; the live mapping."""
        rows = self.rows.get(scope)
        if rows is None:
            rows = self.rows[scope] = Rows()
        return rows

    def _row(self, id: str, scope: str) -> Row:
        rows = self.rows.get(scope, NO_ROWS)
        try:
            row = rows.get(id)
            while row is None and (to := self.redirects.get((scope, id))) is not None:
                id, row = to, rows.get(to)
            return rows[id] if row is None else row
        except (KeyError, TypeError):
            raise UnknownContact(id) from None


def index_for(policy: Policy) -> ContactIndex:
    """
    Return an empty index for the contacts of a policy.

    >>> from upsertcore import Policy, field, first_match, normalize
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> index_for(policy).keys
    ('email',)
    """
    tables = compiled(policy)
    return ContactIndex(tables.by_name, tables.declared)


def _update(
    part: dict[Address, T], changes: Iterable[tuple[Address, T | None]]
) -> None:
    """Set values by scope and id; None removes one."""
    for address, value in changes:
        if value is None:
            part.pop(address, None)
        else:
            part[address] = value


@final
class IndexStage:
    """
    A write in preparation: the changes of an index, before they are stored.

    Args:
        index: Read, and not changed.

    >>> from upsertcore.store.contact_index import ContactIndex
    >>> IndexStage(ContactIndex(["email"])).redo().rows
    ()
    """

    __slots__ = ("_former_places", "_redirects", "_rows", "index", "next", "unordered")

    def __init__(self, index: ContactIndex) -> None:
        self.index = index
        self._rows: dict[Address, Row | None] = {}
        self._redirects: dict[Address, str | None] = {}
        self._former_places: dict[Address, int | None] = {}
        self.next = index.next
        self.unordered = False

    def row(self, id: str, scope: str = "") -> Row:
        """
        Return the row of the contact that an id of a scope resolves to.

        Raises:
            UnknownContact: If there is none.
        """
        try:
            row = self._resolve(id, scope)
        except TypeError:
            row = None
        if row is None:
            raise UnknownContact(id)
        return row

    def get(self, id: str, scope: str = "") -> Contact:
        """Return the contact that an id of a scope resolves to."""
        return contact_from_row(self.row(id, scope))

    def get_with_forms(self, id: str, scope: str = "") -> tuple[Contact, Forms]:
        """Return the contact that an id resolves to, and the forms that it holds."""
        row = self.row(id, scope)
        return contact_from_row(row), forms_from_row(row)

    def holders(self, key: str, form: str, scope: str) -> tuple[str, ...]:
        """Return the ids of the contacts that hold a form before this write."""
        return self.index.holders(key, form, scope)

    def put(
        self, contact: Contact, forms: Iterable[Iterable[str]], place: int | None = None
    ) -> None:
        """
        Store a contact; it replaces the contact with its id, if there is one.

        Args:
            contact: The contact. The contacts that it has merged leave the index.
            forms: The normal forms that it holds, per key of the index.
            place: The place of a new contact; the next one if None.

        Raises:
            ValueError: If there are not as many lists of forms as keys, or one of its
                ids belongs to a contact that it has not merged.
        """
        new = self._checked_forms(forms)
        if contact.id in contact.merged_ids:
            raise ValueError(
                f"merged_ids: must not contain {contact.id}, the contact's own id"
            )
        ids, scope = self._new_ids(contact), contact.scope
        replaced = self._replaced_rows(ids, scope)
        target = self._redirect(contact.id, scope) or contact.id
        if target in replaced:
            place = replaced[target][PLACE]
        elif place is None:
            place = self.next
        else:
            self.unordered |= place < self.next
        self.next = max(self.next, place + 1)
        self.unordered |= target != contact.id
        for id, row in replaced.items():
            if id != target:
                self._former_places[scope, id] = row[PLACE]
            if id != contact.id:
                self._rows[scope, id] = None
            if id != contact.id or len(ids) == len(contact.ids):
                for former in ids_from_row(row):
                    self._redirects[scope, former] = None
        for id in ids[1:]:
            self._redirects[scope, id] = contact.id
        self._redirects[scope, contact.id] = None
        self._rows[scope, contact.id] = self._row_of(contact, place, new)

    def remove(self, id: str, scope: str = "") -> Contact:
        """
        Remove a contact, with its keys and the ids that resolve to it; return it.

        Raises:
            UnknownContact: If no contact has this id as its own.
        """
        row = self.row(id, scope)
        if row[ID] != id:
            raise UnknownContact(id)
        contact = contact_from_row(row)
        for merged in contact.merged_ids:
            self._redirects[scope, merged] = self._former_places[scope, merged] = None
        self._rows[scope, id] = None
        return contact

    def split(
        self, contact: Contact, forms: Forms, back: Iterable[tuple[Contact, Forms]]
    ) -> None:
        """
        Restore contacts that were merged into one, each at its earlier place.

        Args:
            contact: The survivor, as it was before the merge.
            forms: The normal forms that it held.
            back: The other contacts, as they were, each with its forms.

        Raises:
            ValueError: If one of them was not merged here, occurs twice, or there
                are not as many lists of forms as keys.
        """
        scope = contact.scope
        own_place = self.row(contact.id, scope)[PLACE]
        returning = [
            (self._former_place(one.id, scope), one, held) for one, held in back
        ]
        places: set[int] = set()
        for place, other, held in ((own_place, contact, forms), *returning):
            self._checked_forms(held)
            leads_to = self._redirect(other.id, scope)
            is_merged = other is contact or leads_to == contact.id
            if place is None or place in places or not is_merged:
                raise ValueError(f"back: contact {other.id} was not merged here")
            places.add(place)
        self._rows[scope, contact.id] = self._row_of(contact, own_place, forms)
        # By creation, so that each is appended to the holders of its forms.
        for place, other, held in sorted(returning, key=_by_place):
            own = scope, other.id
            self._rows[own] = self._row_of(other, place, held)  # type: ignore[arg-type]
            for id in other.merged_ids:
                self._redirects[scope, id] = other.id
            self._redirects[own] = self._former_places[own] = None
        self.unordered = True

    def redo(self, **parts: Any) -> Redo:
        """
        Make the redo record of all changes.

        Args:
            parts: Further parts of a :class:`Redo`.
        """
        stored = self.index.rows
        pairs = tuple(
            [
                (stored.get(scope, NO_ROWS).get(id), row)
                for (scope, id), row in self._rows.items()
            ]
        )
        return Redo(
            tuple([pair for pair in pairs if pair[0] is not pair[1]]),
            tuple(self._redirects.items()),
            tuple(self._former_places.items()),
            self.next,
            self.unordered,
            **parts,
        )

    def _resolve(self, id: str, scope: str) -> Row | None:
        """Return the row of the contact that an id of a scope resolves to."""
        row = self._own_row(id, scope)
        while row is None and (target := self._redirect(id, scope)) is not None:
            row = self._own_row(id := target, scope)
        return row

    def _own_row(self, id: str, scope: str) -> Row | None:
        if (scope, id) in self._rows:
            return self._rows[scope, id]
        return self.index.rows.get(scope, NO_ROWS).get(id)

    def _redirect(self, id: str, scope: str) -> str | None:
        return _either(self._redirects, self.index.redirects, (scope, id))

    def _former_place(self, id: str, scope: str) -> int | None:
        return _either(self._former_places, self.index.former_places, (scope, id))

    def _row_of(self, contact: Contact, place: int, forms: Forms) -> Row:
        names = self.index.names.of(contact.fields)
        return row_of(contact, names, place, forms)

    def _checked_forms(self, forms: Iterable[Iterable[str]]) -> Forms:
        normal = tuple([tuple(forms_of_key) for forms_of_key in forms])
        count = len(self.index.keys)
        if len(normal) != count:
            raise ValueError(f"forms: must be {count} lists, not {len(normal)}")
        return normal

    def _new_ids(self, contact: Contact) -> tuple[str, ...]:
        """Return the contact's own id, and its ids that do not resolve to it yet."""
        row, ids = self._resolve(contact.id, contact.scope), contact.ids
        if row is not None and row[ID] == contact.id:
            known = ids_from_row(row)
            # After many merges, one by one, nearly all of its ids are known.
            if ids[: len(known)] == known:
                return (contact.id, *ids[len(known) :])
        return ids

    def _replaced_rows(self, ids: tuple[str, ...], scope: str) -> dict[str, Row]:
        """Return the rows of the contacts that a contact replaces, by id."""
        rows = [self._resolve(id, scope) for id in ids]
        replaced = {row[ID]: row for row in rows if row is not None}
        known = {*ids} if len(replaced) > 1 else ids
        for id in replaced:
            if id not in known:
                raise ValueError(f"id: {ids[0]} already resolves to contact {id}")
        return replaced


def _by_place(returning: tuple[Any, ...]) -> int:
    return returning[0]  # type: ignore[no-any-return]


def _either(
    staged: dict[Address, T | None], stored: dict[Address, T], at: Address
) -> T | None:
    return staged[at] if at in staged else stored.get(at)

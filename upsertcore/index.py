"""
The index: id to contact, and key to holders; the one place that changes.

Rules:
    It knows contacts and normal forms, and no policy: what a form means, and whether
    it is unique, was decided before.
    Each write computes first and stores last, so a failing one changes nothing.
    Contacts stand in the order of their creation, which no update alters.
    The id of a contact that was absorbed leads to the one that absorbed it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, final

from upsertcore.contact import Contact
from upsertcore.errors import UnknownContact
from upsertcore.holders import Holders, listed, move

if TYPE_CHECKING:
    from upsertcore.view import Forms

__all__ = ["ContactIndex"]


@final
class ContactIndex:
    """
    An in-memory index of contacts by id and by key.

    Args:
        keys: The names of the keys, in the order in which forms are given.

    Cost:
        Reading is one or two dict look-ups; writing a few per form. A form with n
        holders costs O(n) to read, and a move of n numbers to write.

    >>> from datetime import datetime, timezone
    >>> now = datetime(2024, 1, 2, tzinfo=timezone.utc)
    >>> index = ContactIndex(["email"])
    >>> index.put(Contact("c-1", "", {"email": "A@x.org"}, 1, now, now), [["a@x.org"]])
    >>> index.holders("email", "a@x.org"), index.get("c-1")["email"]
    (('c-1',), 'A@x.org')
    """

    __slots__ = (
        "_gone",
        "_holders",
        "_in_order",
        "_next",
        "_numbers",
        "_rows",
        "_seats",
        "keys",
    )

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self.keys = tuple(keys)
        self._next = 0
        # Of every id that leads to a contact, those that it absorbed among them.
        self._numbers: dict[str, int] = {}
        # Absorbed id -> its number while it was a contact, for it may come back.
        self._seats: dict[str, int] = {}
        self._gone: set[str] = set()
        self._in_order = True
        # A contact and its forms stand in one entry, so no reader sees them apart.
        self._rows: dict[int, tuple[Contact, Forms]] = {}
        self._holders: Holders = {key: {} for key in self.keys}

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Contact]:
        rows = tuple(self._rows.items())
        if not self._in_order:
            rows = tuple(sorted(rows))
        return iter([contact for _number, (contact, _forms) in rows])

    def __contains__(self, id: object) -> bool:
        return id in self._numbers

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
        return self._row(id)[0]

    def forms(self, id: str) -> Forms:
        """
        Give the normal forms that a contact holds, per key.

        Raises:
            UnknownContact: If there is no such contact.
        """
        return self._row(id)[1]

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
        numbers = (found,) if isinstance(found, int) else tuple(found)
        # Read beside a removal, a number may have lost its row a moment ago.
        rows = [self._rows.get(number) for number in numbers]
        return tuple([row[0].id for row in rows if row is not None])

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
        none: Forms = ((),) * len(new)
        ids = contact.ids
        own = self._numbers.get(contact.id)
        number = self._next if own is None else own
        taken = {n: self._rows[n] for n in self._taken_over(ids, contact.scope)}
        freed = {id for each, _forms in taken.values() for id in each.ids}
        self._next = max(self._next, number + 1)
        # Row before ids, ids before what is gone: a reader finds a contact throughout.
        self._rows[number] = contact, new
        for id in ids:
            self._numbers[id] = number
        for id in freed.difference(ids):
            del self._numbers[id]
        old = taken.pop(number)[1] if number in taken else none
        for other, (absorbed, forms_of_it) in taken.items():
            self._seats[absorbed.id] = other
            del self._rows[other]
            move(self._holders, other, contact.scope, forms_of_it, none)
        if new != old:
            move(self._holders, number, contact.scope, old, new)

    def _see_its_forms(self, forms: Forms) -> None:
        if len(forms) != len(self.keys):
            raise ValueError(f"forms: must be {len(self.keys)} lists, not {len(forms)}")

    def _taken_over(self, ids: tuple[str, ...], scope: str) -> Iterable[int]:
        """Give the numbers of those whose ids a contact takes, each once."""
        numbers = dict.fromkeys(self._numbers[id] for id in ids if id in self._numbers)
        known = {*ids} if len(numbers) > 1 else ids
        for number in numbers:
            stored, _forms = self._rows[number]
            if stored.id not in known:
                raise ValueError(f"id: {ids[0]} must not lead away from {stored.id}")
            if stored.scope != scope:
                raise ValueError(f"scope: contact {stored.id} must stay in its scope")
        return numbers

    def remove(self, id: str) -> Contact:
        """
        Take a contact out, with its keys and the ids that lead to it.

        Returns:
            The contact that was stored.

        Raises:
            UnknownContact: If there is no such contact; an id that merely leads to
                one takes nothing out.
        """
        contact, old = self._row(id)
        if contact.id != id:
            raise UnknownContact(id)
        number = self._numbers[id]
        move(self._holders, number, contact.scope, old, ((),) * len(old))
        for each in contact.ids:
            del self._numbers[each]
            self._seats.pop(each, None)
            self._gone.add(each)
        del self._rows[number]
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
        number = self._numbers[contact.id]
        returning = [(self._seats.get(other.id), other, held) for other, held in back]
        seats: set[int] = set()
        for seat, other, held in ((number, contact, forms), *returning):
            self._see_its_forms(held)
            absorbed = other is contact or self._numbers.get(other.id) == number
            if seat is None or seat in seats or not absorbed:
                raise ValueError(f"back: contact {other.id} was not absorbed here")
            seats.add(seat)
        _stored, old = self._rows[number]
        self._rows[number] = contact, forms
        move(self._holders, number, contact.scope, old, forms)
        for seat, other, held in returning:
            place: int = seat  # type: ignore[assignment]
            self._rows[place] = other, held
            for id in other.ids:
                self._numbers[id] = place
            del self._seats[other.id]
            move(self._holders, place, other.scope, ((),) * len(held), held)
        self._in_order = False

    @property
    def rows(self) -> Mapping[int, tuple[Contact, Forms]]:
        """The contacts by number, each with its forms; live, and only to be read."""
        return self._rows

    def scopes(self, key: str) -> Mapping[str, Mapping[str, int | list[int]]]:
        """Give the holders of a key, by scope and form; live, and only to be read."""
        return self._holders[key]

    def add(self, contact: Contact, forms: Forms) -> None:
        """
        Store a new contact whose forms nobody holds, and that absorbed nobody.

        Raises:
            ValueError: If its id is in use, or was.
        """
        id, scope, number = contact.id, contact.scope, self._next
        if id in self._numbers or id in self._gone:
            raise ValueError(f"ids: must answer a fresh id, not {id!r}")
        self._next = number + 1
        self._rows[number] = contact, forms
        self._numbers[id] = number
        for scopes, held in zip(self._holders.values(), forms, strict=True):
            for form in held:
                entries = scopes.get(scope)
                if entries is None:
                    scopes[scope] = {form: number}
                else:
                    entries[form] = number

    def lay(self, number: int, contact: Contact, forms: Forms) -> None:
        """Store a contact in place of the one with its number and its ids."""
        _before, old = self._rows[number]
        self._rows[number] = contact, forms
        if forms != old:
            move(self._holders, number, contact.scope, old, forms)

    def place(self, id: str) -> int | None:
        """Give the place of a contact by creation, None where it is not here."""
        return self._numbers.get(id)

    def is_spent(self, id: str) -> bool:
        """Tell whether an id is in use, or was until its contact was taken out."""
        return id in self._numbers or id in self._gone

    def shared(self, key: str, scope: str | None = None) -> Iterator[list[int]]:
        """
        Give the numbers of the holders of each form that has several.

        Args:
            key: The name of a key of this index.
            scope: The tenant, None for all.

        Raises:
            KeyError: If the index has no such key.

        Cost:
            Linear in the forms of the key.
        """
        scopes = self._holders[key]
        for each in scopes if scope is None else scopes.keys() & {scope}:
            for found in scopes[each].values():
                if not isinstance(found, int):
                    yield found

    def numbered(self, number: int) -> Contact:
        """Give the contact with a number that :meth:`shared` gave."""
        return self._rows[number][0]

    def check(self) -> None:
        """
        See that the index is whole.

        Raises:
            AssertionError: If an entry is missing, left over or out of order.

        Cost:
            Linear in contacts and forms.
        """
        expected: dict[tuple[str, str, str], list[int]] = {}
        for number, (contact, forms) in sorted(self._rows.items()):
            for key, each in zip(self.keys, forms, strict=True):
                for form in each:
                    place = key, contact.scope, form
                    expected.setdefault(place, []).append(number)
        actual = listed(self._holders)
        ids = [
            (id, number)
            for number, (contact, _) in self._rows.items()
            for id in contact.ids
        ]
        leads = dict(ids)
        if actual != expected or leads != self._numbers or len(leads) != len(ids):
            raise AssertionError(f"expected {expected}, found {actual}, ids {ids}")

    def _row(self, id: str) -> tuple[Contact, Forms]:
        try:
            return self._rows[self._numbers[id]]
        except (KeyError, TypeError):
            raise UnknownContact(id) from None

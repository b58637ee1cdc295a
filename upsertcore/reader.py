"""
Reading a book: what it holds, who is found, and who stands there twice.

Rules:
    Nothing here changes the book, and no function of a host runs under its lock.
    Contacts stand by creation, and so do groups of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from upsertcore.arguments import check_number, check_policy, check_several
from upsertcore.comparing import Comparison, comparing, side
from upsertcore.errors import InvalidField, UnknownContact
from upsertcore.grouping import groups
from upsertcore.loading import rows_of
from upsertcore.patch import checked_scope, frozen
from upsertcore.showing import listed

if TYPE_CHECKING:
    from upsertcore.contact import Contact
    from upsertcore.index import ContactIndex
    from upsertcore.journal import Entry
    from upsertcore.keys import Key
    from upsertcore.policy import Policy
    from upsertcore.writer import Writer

__all__ = ["Reader"]


class Reader:
    """
    The verbs of a book that change nothing.

    >>> Reader.__slots__
    ('_index', '_policy', '_writer')
    """

    __slots__ = ("_index", "_policy", "_writer")

    _policy: Policy
    _index: ContactIndex
    _writer: Writer

    @property
    def policy(self) -> Policy:
        """The table; for another one load the rows of :meth:`dump` under it."""
        return self._policy

    @policy.setter
    def policy(self, _other: object) -> None:
        advice = "make another book: ContactBook.load(other, book.dump())"
        raise AttributeError(f"policy: is read-only; {advice}")

    def __len__(self) -> int:
        return self._writer.read(lambda: len(self._index))

    def __iter__(self) -> Iterator[Contact]:
        return self._writer.read(lambda: iter(self._index))

    def __contains__(self, id: object) -> bool:
        scope, id = id if type(id) is tuple and len(id) == 2 else ("", id)
        try:
            return self.get(id, scope=scope) is not None  # type: ignore[arg-type]
        except (UnknownContact, InvalidField):
            return False

    def get(self, id: str, *, scope: str = "") -> Contact:
        """
        Return the contact with this id, or the one that it was merged into.

        A contact that was deleted and kept is returned too: ``deleted_at`` says so.

        Args:
            id: The contact's.
            scope: The tenant; a contact of another one is unknown.

        Raises:
            UnknownContact: If there is none; ``id in book``, or ``(scope, id) in
                book``, asks first.

        Cost:
            A look-up or two.
        """
        scope = checked_scope(scope)
        contact = self._writer.read(lambda: self._index.get(id))
        if contact.scope != scope:
            raise UnknownContact(id)
        return contact

    def find(self, key: str, value: Any, *, scope: str = "") -> tuple[Contact, ...]:
        """
        Give the contacts that hold a key.

        Args:
            key: The name of a key of the policy.
            value: As it would be stored; it is normalised here, and not cleaned. A
                list stands for any of its items. Of a composite key, a mapping of its
                fields to such values.
            scope: The tenant.

        Returns:
            Those created first standing first; empty where nobody holds it, or the
            value has no normal form.

        Raises:
            InvalidField: If the policy has no such key, or no field holds such a
                value.

        Cost:
            Linear in the value and in the contacts that are returned.

        >>> from upsertcore import ContactBook, Policy, field, first_match, normalize
        >>> fields = {"email": field(key=normalize.email)}
        >>> book = ContactBook(Policy(first_match("email"), fields))
        >>> outcome = book.upsert({"email": "ada@x.org"})
        >>> book.find("email", "ADA@X.org") == (outcome.contact,)
        True
        """
        scope = checked_scope(scope)
        known = self._key(key)
        forms = known.sought(frozen("value", value))
        index = self._index

        def ask() -> tuple[Contact, ...]:
            ids = [id for form in forms for id in index.holders(key, form, scope)]
            if len(forms) > 1:
                ids = sorted({*ids}, key=index.seat)
            return tuple([index.get(id) for id in ids])

        return self._writer.read(ask)

    def duplicates(
        self, *keys: str, scope: str | None = None
    ) -> tuple[tuple[Contact, ...], ...]:
        """
        Group the contacts that share a key.

        Args:
            keys: Names of keys of the policy; all of them where none is named.
            scope: The tenant, None for all; no group ever crosses scopes.

        Returns:
            Groups of two or more, each by creation, and they by their first contact.
            They are transitive: whoever shares a key with one of a group is in it.

        Raises:
            InvalidField: If the policy has no such key.

        Cost:
            Near-linear in the forms of these keys.

        >>> from upsertcore import ContactBook, Policy, field, first_match, normalize
        >>> lines = {name: field(key=normalize.exact) for name in ("email", "phone")}
        >>> book = ContactBook(
        ...     Policy(first_match(*lines), lines), ids="abc".__iter__().__next__
        ... )
        >>> for patch in ({"email": "a"}, {"email": "a", "phone": "1"}, {"phone": "1"}):
        ...     _ = book.create(patch)
        >>> [[contact.id for contact in group] for group in book.duplicates()]
        [['a', 'b', 'c']]
        """
        if scope is not None:
            scope = checked_scope(scope)
        names = [self._key(name).name for name in keys or self.policy.by_name]

        def ask() -> tuple[tuple[Contact, ...], ...]:
            index = self._index
            known: dict[int, Contact] = {}

            def living(held: list[str]) -> list[int]:
                both = [(index.seat(id), index.get(id)) for id in held]
                here = {n: each for n, each in both if each.deleted_at is None}
                known.update(here)
                return [*here]

            shared = (held for name in names for held in index.shared(name, scope))
            found = groups(filter(None, map(living, shared)))
            return tuple(tuple([known[n] for n in group]) for group in found)

        return self._writer.read(ask)

    def changes_since(self, number: int = 0) -> tuple[Entry, ...]:
        """
        Give what has changed after a number, in order.

        Args:
            number: The number of the last change that the caller knows; 0 for all.

        Returns:
            Entries: each a number and an outcome. ``ContactBook.from_changes`` does
            them again; a book retains as many as its ``retain_changes`` says.

        Raises:
            ChangesNotRetained: If some of them are not kept any more.

        Cost:
            Linear in what is returned.

        Laws:
            Replaying all of them gives the same ``dump()``.

        >>> from upsertcore import ContactBook, Policy, field, first_match, normalize
        >>> lines = {"email": field(key=normalize.email), "age": field()}
        >>> book = ContactBook(Policy(first_match("email"), lines), retain_changes=None)
        >>> for age in (1, 1, 2):
        ...     _ = book.upsert({"email": "ada@x.org", "age": age})
        >>> [(entry.number, entry.outcome.result) for entry in book.changes_since()]
        [(1, 'created'), (2, 'updated')]
        >>> twin = ContactBook.from_changes(book.policy, book.changes_since())
        >>> twin.dump() == book.dump(), book.changes_since(2)
        (True, ())
        """
        check_number(number)
        return self._writer.changes_since(number)

    def compare(
        self, other: Policy, patches: Iterable[Mapping[str, Any]], *, scope: str = ""
    ) -> Comparison:
        """
        Tell where another policy would answer otherwise; nothing here changes.

        Args:
            other: Takes the contacts of this book as they are.
            patches: Sent to two copies of the book, one under each policy, both with
                the system's clock.
            scope: The tenant.

        Raises:
            Refused: If the other policy cannot take a contact of this book.

        Cost:
            Linear in the book and the patches; holds two copies of the book.

        >>> from upsertcore import ContactBook, Policy, field, first_match
        >>> from upsertcore import first_present, normalize
        >>> lines = {name: field(key=normalize.exact) for name in ("id", "email")}
        >>> book = ContactBook(Policy(first_match("id", "email"), lines))
        >>> patches = [{"email": "a@x"}, {"id": 1, "email": "a@x"}]
        >>> print(
        ...     book.compare(
        ...         Policy(first_present("id", "email"), lines), patches
        ...     ).explain()
        ... )
        2 patches, 1 difference
        row 1: contact: 'row 0' / 'row 1'
        """
        check_policy("other", other)
        check_several("patches", patches, "put one patch into a list")
        scope = checked_scope(scope)
        rows, load = self.dump(), type(self).load  # type: ignore[attr-defined]
        mine, theirs = [side(load, p, rows, scope) for p in (self.policy, other)]
        return comparing(patches, mine, theirs)

    def dump(self) -> list[dict[str, Any]]:
        """
        Return all contacts as plain rows, ready for JSON, by creation.

        Returns:
            Rows of ``Contact.to_dict``, each with ``place``: its number by creation,
            from 0. ``ContactBook.load`` takes them in any order.

        Cost:
            Linear in the book.

        Laws:
            ``ContactBook.load(policy, book.dump()).dump() == book.dump()``.
        """
        return [*rows_of(self)]

    def _key(self, name: Any) -> Key:
        known = self.policy.by_name.get(name) if type(name) is str else None
        if known is None:
            names = listed(self.policy.by_name)
            reason = f"must be one of {names}" if names else "is unknown"
            raise InvalidField("key", name, f"{reason}; name a key of the policy")
        return known

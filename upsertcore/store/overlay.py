"""
The overlay: an index with the unwritten changes of a batch.

Rules:
    It is read like an index; the underlying index is never written.
    What is read from the index is cached and not read again, so that all decisions of
    the batch have the same basis, and it can be checked whether that has changed.
    New contacts come after all others, in the order in which they were put.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from upsertcore.model.stale import stale_reason
from upsertcore.store.contact_index import ContactIndex

if TYPE_CHECKING:
    from upsertcore.model.contact import Contact
    from upsertcore.model.view import Forms

__all__ = ["Overlay"]


@final
class Overlay:
    """
    A batch's view of an index, its own writes included.

    Args:
        index: The underlying index.

    >>> from upsertcore.store.contact_index import ContactIndex
    >>> Overlay(ContactIndex(["email"])).holders("email", "ada@x.org", "")
    ()
    """

    __slots__ = (
        "_contacts",
        "_index",
        "_lookups",
        "_places",
        "_writes",
        "puts",
    )

    def __init__(self, index: ContactIndex) -> None:
        self._index = index
        self._writes = ContactIndex(index.keys, index.names.declared)
        self._contacts: dict[str, tuple[Contact, Forms]] = {}
        self._lookups: dict[tuple[str, str, str], tuple[str, ...]] = {}
        self.puts: list[tuple[Contact, Forms]] = []
        self._places: dict[str, int | None] = {}

    def get(self, id: str) -> Contact:
        """Return the contact that an id resolves to."""
        return self.get_with_forms(id)[0]

    def get_with_forms(self, id: str) -> tuple[Contact, Forms]:
        """Return the contact that an id resolves to, and the forms that it holds."""
        if id in self._writes:
            return self._writes.get_with_forms(id)
        stored = self._contacts.get(id)
        if stored is None:
            stored = self._contacts[id] = self._index.get_with_forms(id)
        target = stored[0].id
        return self._writes.get_with_forms(target) if target in self._writes else stored

    def holders(self, key: str, form: str, scope: str) -> tuple[str, ...]:
        """Return the ids of the contacts that hold a form, by creation."""
        lookup = key, form, scope
        stored = self._lookups.get(lookup)
        if stored is None:
            stored = self._lookups[lookup] = self._index.holders(key, form, scope)
        own = self._writes.holders(key, form, scope)
        if not own and not any(id in self._writes for id in stored):
            return stored
        unchanged = [id for id in stored if id not in self._writes]
        return tuple(sorted([*unchanged, *own], key=self._place))

    def has_id(self, id: str) -> bool:
        """Return whether an id is in use, in the batch or in the index."""
        return id in self._writes or id in self._index

    def put(self, contact: Contact, forms: Forms) -> None:
        """Add a contact; it replaces the contacts that it has merged."""
        self._writes.put(contact, forms)
        self.puts.append((contact, forms))

    def stale_reason(self, index: ContactIndex) -> str | None:
        """Return what has changed since it was read; None if nothing has."""
        for id, place in self._places.items():
            # A merged contact may have been restored since, which changes its place.
            if index.find_place(id) != place:
                return f"contact {id} has changed its place in the order of creation"
        contacts = [(id, contact) for id, (contact, _forms) in self._contacts.items()]
        return stale_reason(index, contacts, self._lookups.items())

    def _place(self, id: str) -> tuple[bool, int]:
        if id not in self._places:
            self._places[id] = self._index.find_place(id)
        stored = self._places[id]
        own = self._writes.find_place(id) or 0
        return stored is None, own if stored is None else stored

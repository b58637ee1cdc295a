"""
The overlay: an index with the unwritten changes of a batch.

Rules:
    It is read like an index; the underlying index is never written.
    What is read from the index is cached and not read again, so that all decisions of
    the batch have the same basis, and it can be checked whether that has changed.
    New contacts come after all others, in the order in which they were put.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol, final

from upsertcore.model.stale import stale_reason
from upsertcore.model.view import View
from upsertcore.store.contact_index import ContactIndex

if TYPE_CHECKING:
    from upsertcore.model.contact import Contact
    from upsertcore.model.view import Address, Forms

__all__ = ["Overlay"]


class Underlying(View, Protocol):
    """What an overlay reads: an index, or a part of one that is loaded on demand."""

    def empty(self) -> ContactIndex:
        """Return an empty index for such contacts."""
        ...

    def has_id(self, id: str, scope: str) -> bool:
        """Return whether an id resolves to a contact of a scope."""
        ...

    def find_place(self, id: str, scope: str) -> int | None:
        """Return the place of the contact that an id resolves to, if any."""
        ...


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

    def __init__(self, index: Underlying) -> None:
        self._index = index
        self._writes = index.empty()
        self._contacts: dict[Address, tuple[Contact, Forms]] = {}
        self._lookups: dict[tuple[str, str, str], tuple[str, ...]] = {}
        self.puts: list[tuple[Contact, Forms]] = []
        self._places: dict[Address, int | None] = {}

    def get(self, id: str, scope: str = "") -> Contact:
        """Return the contact that an id of a scope resolves to."""
        return self.get_with_forms(id, scope)[0]

    def get_with_forms(self, id: str, scope: str = "") -> tuple[Contact, Forms]:
        """Return the contact that an id resolves to, and the forms that it holds."""
        # A contact is written with all ids that resolve to it.
        if self._writes.has_id(id, scope):
            return self._writes.get_with_forms(id, scope)
        address = scope, id
        stored = self._contacts.get(address)
        if stored is None:
            stored = self._contacts[address] = self._index.get_with_forms(id, scope)
        return stored

    def holders(self, key: str, form: str, scope: str) -> tuple[str, ...]:
        """Return the ids of the contacts that hold a form, by creation."""
        lookup = key, form, scope
        stored = self._lookups.get(lookup)
        if stored is None:
            stored = self._lookups[lookup] = self._index.holders(key, form, scope)
        own = self._writes.holders(key, form, scope)
        unchanged = [id for id in stored if not self._writes.has_id(id, scope)]
        if not own and len(unchanged) == len(stored):
            return stored
        return tuple(sorted([*unchanged, *own], key=partial(self._place, scope)))

    def has_id(self, id: str, scope: str = "") -> bool:
        """Return whether an id is in use in a scope, in the batch or in the index."""
        return self._writes.has_id(id, scope) or self._index.has_id(id, scope)

    def put(self, contact: Contact, forms: Forms) -> None:
        """Add a contact; it replaces the contacts that it has merged."""
        self._writes.put(contact, forms)
        self.puts.append((contact, forms))

    def stale_reason(self, index: Underlying) -> str | None:
        """Return what has changed since it was read; None if nothing has."""
        for (scope, id), place in self._places.items():
            # A merged contact may have been restored since, which changes its place.
            if index.find_place(id, scope) != place:
                return f"contact {id} has changed its place in the order of creation"
        contacts = [
            (id, contact) for (_scope, id), (contact, _) in self._contacts.items()
        ]
        return stale_reason(index, contacts, self._lookups.items())

    def _place(self, scope: str, id: str) -> tuple[bool, int]:
        address = scope, id
        if address not in self._places:
            self._places[address] = self._index.find_place(id, scope)
        stored = self._places[address]
        own = self._writes.find_place(id, scope) or 0
        return stored is None, own if stored is None else stored

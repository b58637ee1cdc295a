"""
The overlay: an index as it would be, with contacts laid over it that are not in it yet.

Rules:
    It is read as an index is, and what stands below is never written.
    Whatever was read from below is kept, and not read again: all of it is of one
    decision, and it can be said whether it still holds.
    New contacts stand after all others, in the order in which they were put.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from upsertcore.model.view import changed
from upsertcore.store.index import ContactIndex

if TYPE_CHECKING:
    from upsertcore.model.contact import Contact
    from upsertcore.model.view import Forms

__all__ = ["Overlay"]


@final
class Overlay:
    """
    What a batch sees of an index, its own writes included.

    Args:
        index: What stands below.

    >>> from upsertcore.store.index import ContactIndex
    >>> Overlay(ContactIndex(["email"])).holders("email", "ada@x.org", "")
    ()
    """

    __slots__ = ("_found", "_index", "_looked", "_mine", "_places", "fresh", "puts")

    def __init__(self, index: ContactIndex) -> None:
        self._index = index
        self._mine = ContactIndex(index.keys)
        self._found: dict[str, tuple[Contact, Forms]] = {}
        self._looked: dict[tuple[str, str, str], tuple[str, ...]] = {}
        self.puts: list[tuple[Contact, Forms]] = []
        self.fresh: dict[str, None] = {}
        self._places: dict[str, int | None] = {}

    def get(self, id: str) -> Contact:
        """Give the contact with this id, or the one that absorbed it."""
        return self.found(id)[0]

    def found(self, id: str) -> tuple[Contact, Forms]:
        """Give it, and the normal forms that it holds, per key of the policy."""
        if id in self._mine:
            return self._mine.found(id)
        below = self._found.get(id)
        if below is None:
            below = self._found[id] = self._index.found(id)
        now = below[0].id
        return self._mine.found(now) if now in self._mine else below

    def holders(self, key: str, form: str, scope: str) -> tuple[str, ...]:
        """Give the ids of the contacts that hold a form, by creation."""
        place = key, form, scope
        below = self._looked.get(place)
        if below is None:
            below = self._looked[place] = self._index.holders(key, form, scope)
        mine = self._mine.holders(key, form, scope)
        if not mine and not any(id in self._mine for id in below):
            return below
        left = [id for id in below if id not in self._mine]
        return tuple(sorted([*left, *mine], key=self._place))

    def is_spent(self, id: str) -> bool:
        """Return whether an id is in use here or below."""
        return id in self._mine or id in self._index

    def put(self, contact: Contact, forms: Forms) -> None:
        """Lay a contact over what stands below; those that it absorbed are gone."""
        if contact.version == 1:
            self.fresh[contact.id] = None
        self._mine.put(contact, forms)
        self.puts.append((contact, forms))

    def stale(self, index: ContactIndex) -> str | None:
        """Say what has changed below of what was read; None where all still holds."""
        for id, place in self._places.items():
            # It may have been absorbed when it was placed, and be back again by now.
            if index.place(id) != place:
                return f"contact {id} stands elsewhere now"
        contacts = [(id, contact) for id, (contact, _forms) in self._found.items()]
        return changed(index, contacts, self._looked.items())

    def _place(self, id: str) -> tuple[bool, int]:
        if id not in self._places:
            self._places[id] = self._index.place(id)
        below = self._places[id]
        return below is None, self._mine.place(id) or 0 if below is None else below

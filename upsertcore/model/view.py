"""
The view: what a decision reads from a store.

Rules:
    A view only reads; indexes and overlays implement it, and so may applications.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from upsertcore.model.contact import Contact

__all__ = ["Forms", "View"]

Forms: TypeAlias = tuple[tuple[str, ...], ...]
"""The normal forms that a contact holds, per key of its policy, aliases last."""


class View(Protocol):
    """What a decision reads from a store."""

    def get(self, id: str) -> Contact:
        """Return the contact that an id resolves to."""
        ...

    def get_with_forms(self, id: str) -> tuple[Contact, Forms]:
        """Return the contact of an id, and the forms that it holds, per key."""
        ...

    def holders(self, key: str, form: str, scope: str) -> tuple[str, ...]:
        """Return the ids of the contacts that hold a form, by creation."""
        ...

"""
The view: what a decision reads from a store, and what the verbs of a book read besides.

Rules:
    A view only reads; indexes and overlays implement it, and so may applications.
    It has contacts and forms, and does not show how they are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from upsertcore.model.contact import Contact

__all__ = ["Address", "BookView", "Forms", "View"]

Address: TypeAlias = tuple[str, str]
"""A scope and an id in it, which name a contact."""

Forms: TypeAlias = tuple[tuple[str, ...], ...]
"""The normal forms that a contact holds, per key of its policy, aliases last."""


class View(Protocol):
    """What a decision reads from a store."""

    def get(self, id: str, scope: str) -> Contact:
        """Return the contact that an id of a scope resolves to."""
        ...

    def get_with_forms(self, id: str, scope: str) -> tuple[Contact, Forms]:
        """Return the contact of an id, and the forms that it holds, per key."""
        ...

    def holders(self, key: str, form: str, scope: str) -> tuple[str, ...]:
        """Return the ids of the contacts that hold a form, by creation."""
        ...


class BookView(View, Protocol):
    """All contacts of a store, for the verbs that read several."""

    def contacts(self, addresses: Iterable[Address]) -> list[Contact]:
        """Return the contacts that have these ids as their own, by creation."""
        ...

    def shared_forms(
        self, key: str, scope: str | None = None
    ) -> Iterable[tuple[str, Sequence[str]]]:
        """Return scope, and ids of the holders, of each form that has several."""
        ...

    def created_after(self, id: str, scope: str) -> Iterator[Contact]:
        """Return the contacts that were created after the one with this own id."""
        ...

    def with_forms(self) -> Iterator[tuple[Contact, Forms]]:
        """Return all contacts by creation, with the forms that they hold."""
        ...

    def check(self) -> None:
        """
        Check that ids and forms are found as the contacts hold them.

        Raises:
            AssertionError: If an entry is missing, superfluous or out of order.
        """
        ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Contact]:
        """Return all contacts by creation, as they are now, for use after the read."""
        ...

"""
The view: what a decision asks of an index, and whether the answers still hold.

Rules:
    It reads, and nothing else; what answers it is an index or what is laid over one.
    A contact that was written anew with equal parts still holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol, TypeAlias

from upsertcore.errors import UnknownContact

if TYPE_CHECKING:
    from upsertcore.model.contact import Contact

__all__ = ["Forms", "View", "changed", "departed"]

Forms: TypeAlias = tuple[tuple[str, ...], ...]
"""The normal forms that a contact holds, per key of its policy, aliases last."""

Observed: TypeAlias = Iterable[tuple[str, "Contact"]]
"""An id that was asked for, and the contact that it led to."""

Lookups: TypeAlias = Iterable[tuple[tuple[str, str, str], tuple[str, ...]]]
"""A key, a form and a scope that were looked up, and the ids of the holders."""


class View(Protocol):
    """What a decision asks of an index; it reads and nothing else."""

    def get(self, id: str) -> Contact:
        """Give the contact with this id."""
        ...

    def found(self, id: str) -> tuple[Contact, Forms]:
        """Give it, and the normal forms that it holds, per key of the policy."""
        ...

    def holders(self, key: str, form: str, scope: str) -> tuple[str, ...]:
        """Give the ids of the contacts that hold a form, by creation."""
        ...


def changed(view: View, contacts: Observed, looked: Lookups) -> str | None:
    """
    Say what has changed of what a view answered once; None where all still holds.

    Args:
        view: What answers now.
        contacts: Each id that was asked for, and the contact that was given.
        looked: Each form that was looked up, and the ids that were given.

    Cost:
        One look-up for each of them, up to the first that has changed.

    >>> from upsertcore.store.index import ContactIndex
    >>> place = "email", "a@x.org", ""
    >>> changed(ContactIndex(["email"]), (), [(place, ("c-1",))])
    'the contacts that hold its email have changed'
    """
    for id, was in contacts:
        reason = departed(view, id, was)
        if reason is not None:
            return reason
    for (key, form, scope), ids in looked:
        if view.holders(key, form, scope) != ids:
            return f"the contacts that hold its {key} have changed"
    return None


def departed(view: View, id: str, was: Contact) -> str | None:
    """
    Say what has become of a contact; None where it is as it was.

    Args:
        view: What answers now.
        id: The id that led to it.
        was: The contact as it was.

    >>> from datetime import datetime, timezone
    >>> from upsertcore import Contact
    >>> from upsertcore.store.index import ContactIndex
    >>> now = datetime(2024, 1, 2, tzinfo=timezone.utc)
    >>> departed(ContactIndex(), "c-1", Contact("c-1", "", {}, 1, now, now))
    'contact c-1 is gone'
    """
    try:
        now = view.get(id)
    except UnknownContact:
        return f"contact {id} is gone"
    if now is was or now == was:
        return None
    if now.id != was.id:
        return f"contact {was.id} was merged into {now.id}"
    if now.version == was.version:
        return f"contact {was.id} has changed since it was read"
    return f"contact {was.id} is at version {now.version}, not {was.version}"

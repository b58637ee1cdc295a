"""
Deleting: a contact taken out of an index, or marked and kept.

Rules:
    What is marked keeps its keys and its id; marked again it stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from attrs import evolve

from upsertcore.errors import UnknownContact
from upsertcore.outcome import Outcome

if TYPE_CHECKING:
    from upsertcore.index import ContactIndex

__all__ = ["deleting"]


def deleting(id: str, now: datetime | None) -> Callable[[ContactIndex], Outcome]:
    """
    Make what deletes a contact.

    Args:
        id: The contact's own.
        now: When it is marked as deleted; None to take it out.

    Returns:
        A function that changes an index, or raises ``UnknownContact``.

    >>> from upsertcore import ContactIndex
    >>> deleting("c-1", None)(ContactIndex())
    Traceback (most recent call last):
    ...
    upsertcore.errors.UnknownContact: no contact has the id 'c-1'
    """

    def delete(index: ContactIndex) -> Outcome:
        if now is None:
            contact = index.remove(id)
            return Outcome("deleted", contact, contact)
        before, forms = index.found(id)
        if before.id != id:
            raise UnknownContact(id)
        if before.deleted_at is not None:
            return Outcome("unchanged", before, before)
        marks: Any = {"updated_at": now, "deleted_at": now}
        contact = evolve(before, version=before.version + 1, **marks)
        index.put(contact, forms)
        return Outcome("deleted", contact, before)

    return delete

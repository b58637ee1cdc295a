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
    from upsertcore.staged import Staged

__all__ = ["deleting"]


def deleting(id: str, scope: str, now: datetime | None) -> Callable[[Staged], Outcome]:
    """
    Make the step that deletes a contact.

    Args:
        id: The contact's own.
        scope: The tenant.
        now: When it is marked as deleted; None to remove it.

    Returns:
        A function that stages the change, or raises ``UnknownContact``.

    >>> from upsertcore.index import ContactIndex
    >>> from upsertcore.staged import Staged
    >>> deleting("c-1", "", None)(Staged(ContactIndex()))
    Traceback (most recent call last):
    ...
    upsertcore.errors.UnknownContact: id: no contact has 'c-1'; use find(key, value)
    """

    def delete(staged: Staged) -> Outcome:
        before, forms = staged.found(id)
        if before.id != id or before.scope != scope:
            raise UnknownContact(id)
        if now is None:
            staged.remove(id)
            return Outcome("deleted", before, before)
        if before.deleted_at is not None:
            return Outcome("unchanged", before, before)
        marks: Any = {"updated_at": now, "deleted_at": now}
        contact = evolve(before, version=before.version + 1, **marks)
        staged.put(contact, forms)
        return Outcome("deleted", contact, before)

    return delete

"""
Delete: a contact is removed, or marked as deleted and kept with its keys.

Rules:
    The policy says which: under ``on_deleted="forget"`` it is removed.
    What is marked already stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from attrs import evolve

from upsertcore.engine.outcome import Outcome
from upsertcore.errors import UnknownContact

if TYPE_CHECKING:
    from upsertcore.policy.policy import Policy
    from upsertcore.store.transaction import Stage

__all__ = ["make_delete", "time_of_deletion"]


def time_of_deletion(policy: Policy, time: Callable[[], datetime]) -> datetime | None:
    """
    Return the time to mark a contact as deleted; None if it is removed.

    Args:
        policy: Under ``on_deleted="forget"`` it is removed.
        time: Called if it is kept.

    >>> from upsertcore import Policy, never
    >>> time_of_deletion(Policy(never(), {}), datetime.now) is None
    True
    """
    return None if policy.on_deleted == "forget" else time()


def make_delete(
    id: str, scope: str, now: datetime | None
) -> Callable[[Stage], Outcome]:
    """
    Return a function that deletes a contact.

    Args:
        id: The contact's own id.
        scope: The tenant.
        now: The time to mark it as deleted; None to remove it.

    Returns:
        A function that stages the change, or raises ``UnknownContact``.

    >>> from upsertcore.store.contact_index import ContactIndex
    >>> from upsertcore.store.contact_index import IndexStage
    >>> make_delete("c-1", "", None)(IndexStage(ContactIndex()))
    Traceback (most recent call last):
    ...
    upsertcore.errors.UnknownContact: id: no contact has 'c-1'; use find(key, value)
    """

    def delete(stage: Stage) -> Outcome:
        before, forms = stage.get_with_forms(id)
        if before.id != id or before.scope != scope:
            raise UnknownContact(id)
        if now is None:
            stage.remove(id)
            return Outcome("deleted", before, before)
        if before.deleted_at is not None:
            return Outcome("unchanged", before, before)
        marks: Any = {"updated_at": now, "deleted_at": now}
        contact = evolve(before, version=before.version + 1, **marks)
        stage.put(contact, forms)
        return Outcome("deleted", contact, before)

    return delete

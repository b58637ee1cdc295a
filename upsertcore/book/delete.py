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

__all__ = ["make_delete"]


def make_delete(
    policy: Policy, id: str, scope: str, time: Callable[[], datetime]
) -> Callable[[Stage], Outcome]:
    """
    Return a function that deletes a contact.

    Args:
        policy: Under ``on_deleted="forget"`` the contact is removed.
        id: The contact's own id.
        scope: The tenant.
        time: Returns the time of the deletion; called if the contact is kept.

    Returns:
        A function that stages the change, or raises ``UnknownContact``.

    >>> from upsertcore.store.contact_index import ContactIndex
    >>> from upsertcore.store.contact_index import IndexStage
    >>> from upsertcore import Policy, never
    >>> delete = make_delete(Policy(never(), {}), "c-1", "", datetime.now)
    >>> delete(IndexStage(ContactIndex()))
    Traceback (most recent call last):
    ...
    upsertcore.errors.UnknownContact: id: no contact has 'c-1'; use find(key, value)
    """
    now = None if policy.on_deleted == "forget" else time()

    def delete(stage: Stage) -> Outcome:
        before, forms = stage.get_with_forms(id, scope)
        if before.id != id:
            raise UnknownContact(id)
        if now is None:
            stage.remove(id, scope)
            return Outcome("deleted", before, before)
        if before.deleted_at is not None:
            return Outcome("unchanged", before, before)
        marks: Any = {"updated_at": now, "deleted_at": now}
        contact = evolve(before, version=before.version + 1, **marks)
        stage.put(contact, forms)
        return Outcome("deleted", contact, before)

    return delete

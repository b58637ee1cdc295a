"""
Undo and delete: the writes that put contacts back, or take them out.

Rules:
    Undo puts back what one outcome changed, if nothing has changed since.
    A deleted contact is forgotten, or stays with its keys, as the policy says.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from attrs import evolve

from upsertcore.engine.outcome import Outcome, changes
from upsertcore.errors import StaleOutcome, UnknownContact
from upsertcore.model.view import departed
from upsertcore.policy.forms import held_forms

if TYPE_CHECKING:
    from upsertcore.model.contact import Contact
    from upsertcore.model.view import Forms
    from upsertcore.policy.policy import Policy
    from upsertcore.store.transaction import Stage

__all__ = [
    "deleting",
    "undoing",
]


def undoing(policy: Policy, outcome: Outcome) -> Callable[[Stage], Outcome]:
    """
    Make what takes an outcome back.

    Args:
        policy: Whose keys are made again.
        outcome: Created, updated, merged, or marked as deleted.

    Returns:
        A function that stages an index, or raises ``StaleOutcome``.

    Raises:
        StaleOutcome: If the outcome is of no call that can be taken back.

    >>> from upsertcore import Policy, never
    >>> from upsertcore.store.index import ContactIndex
    >>> from upsertcore.store.index import Staged
    >>> from datetime import datetime, timezone
    >>> from upsertcore import Contact
    >>> now = datetime(2024, 1, 2, tzinfo=timezone.utc)
    >>> created = Outcome("created", Contact("c-1", "", {}, 1, now, now))
    >>> undoing(Policy(never(), {}), created)(Staged(ContactIndex()))
    Traceback (most recent call last):
    ...
    upsertcore.errors.StaleOutcome: outcome: contact c-1 is gone; it can no longer ...
    """
    contact, before = outcome.contact, outcome.before
    kept = outcome.result == "deleted" and before not in (None, contact)
    if outcome.result not in ("created", "updated", "merged") and not kept:
        past = "put back already" if outcome.result == "undone" else "removed"
        raise StaleOutcome(f"contact {contact.id} was {past}")
    forms = None if before is None else held_forms(policy, before)
    back = [(each, held_forms(policy, each)) for each in outcome.merged]

    def undo(staged: Stage) -> Outcome:
        _see_that_it_stands(staged, contact)
        if before is None or forms is None:
            staged.remove(contact.id)
            return Outcome("undone", contact, contact)
        kin = {*contact.ids}
        for each, held in ((before, forms), *back):
            _see_that_it_is_free(staged, policy, each, held, kin)
        if back:
            _split(staged, before, forms, back)
        else:
            staged.put(before, forms)
        return Outcome("undone", before, contact, merged=outcome.merged)

    return undo


def _see_that_it_stands(staged: Stage, contact: Contact) -> None:
    reason = departed(staged, contact.id, contact)
    if reason is None:
        return
    with suppress(UnknownContact):
        now = staged.get(contact.id)
        names = [change.field for change in changes(contact.fields, now.fields)]
        if names and now.id == contact.id:
            reason += f" ({', '.join(names)})"
    raise StaleOutcome(reason)


def _see_that_it_is_free(
    staged: Stage, policy: Policy, contact: Contact, forms: Forms, kin: set[str]
) -> None:
    if policy.on_key_in_use == "allow":
        return
    for key, each in zip(policy.all_keys, forms, strict=True):
        for form in each if key.unique else ():
            for holder in staged.holders(key.name, form, contact.scope):
                if holder not in kin:
                    reason = f"contact {holder} holds its former {key.name}"
                    raise StaleOutcome(reason)


def _split(
    staged: Stage,
    before: Contact,
    forms: Forms,
    back: list[tuple[Contact, Forms]],
) -> None:
    try:
        staged.split(before, forms, back)
    except ValueError as error:
        reason = f"contact {before.id} was merged before it was loaded here"
        raise StaleOutcome(reason) from error


def deleting(id: str, scope: str, now: datetime | None) -> Callable[[Stage], Outcome]:
    """
    Make the step that deletes a contact.

    Args:
        id: The contact's own.
        scope: The tenant.
        now: When it is marked as deleted; None to remove it.

    Returns:
        A function that stages the change, or raises ``UnknownContact``.

    >>> from upsertcore.store.index import ContactIndex
    >>> from upsertcore.store.index import Staged
    >>> deleting("c-1", "", None)(Staged(ContactIndex()))
    Traceback (most recent call last):
    ...
    upsertcore.errors.UnknownContact: id: no contact has 'c-1'; use find(key, value)
    """

    def delete(staged: Stage) -> Outcome:
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

"""
Undo: one outcome is reverted, if nothing that it changed has changed since.

Rules:
    What is put back has the versions and times that it had.
    A key that another contact holds by now refuses the undo.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from upsertcore.engine.outcome import Outcome, changes
from upsertcore.errors import StaleOutcome, UnknownContact
from upsertcore.model.stale import contact_stale_reason
from upsertcore.policy.held_forms import held_forms

if TYPE_CHECKING:
    from upsertcore.model.contact import Contact
    from upsertcore.model.view import Forms
    from upsertcore.policy.policy import Policy
    from upsertcore.store.transaction import Stage

__all__ = ["make_undo"]


def make_undo(policy: Policy, outcome: Outcome) -> Callable[[Stage], Outcome]:
    """
    Return a function that undoes an outcome.

    Args:
        policy: The policy by which keys are computed.
        outcome: Created, updated, merged, or marked as deleted.

    Returns:
        A function that stages the change, or raises ``StaleOutcome``.

    Raises:
        StaleOutcome: If the outcome is of a call that cannot be undone.

    >>> from upsertcore import Policy, never
    >>> from upsertcore.store.contact_index import ContactIndex
    >>> from upsertcore.store.contact_index import IndexStage
    >>> from datetime import datetime, timezone
    >>> from upsertcore import Contact
    >>> now = datetime(2024, 1, 2, tzinfo=timezone.utc)
    >>> created = Outcome("created", Contact("c-1", "", {}, 1, now, now))
    >>> make_undo(Policy(never(), {}), created)(IndexStage(ContactIndex()))
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
    back = [(other, held_forms(policy, other)) for other in outcome.merged]

    def undo(stage: Stage) -> Outcome:
        _check_unchanged(stage, contact)
        if before is None or forms is None:
            stage.remove(contact.id, contact.scope)
            return Outcome("undone", contact, contact)
        own_ids = {*contact.ids}
        for restored, held in ((before, forms), *back):
            _check_keys_are_free(stage, policy, restored, held, own_ids)
        if back:
            _split(stage, before, forms, back)
        else:
            stage.put(before, forms)
        return Outcome("undone", before, contact, merged=outcome.merged)

    return undo


def _check_unchanged(stage: Stage, contact: Contact) -> None:
    reason = contact_stale_reason(stage, contact.id, contact)
    if reason is None:
        return
    with suppress(UnknownContact):
        now = stage.get(contact.id, contact.scope)
        names = [change.field for change in changes(contact.fields, now.fields)]
        if names and now.id == contact.id:
            reason += f" ({', '.join(names)})"
    raise StaleOutcome(reason)


def _check_keys_are_free(
    stage: Stage, policy: Policy, contact: Contact, forms: Forms, own_ids: set[str]
) -> None:
    if policy.on_key_in_use == "allow":
        return
    for key, key_forms in zip(policy.all_keys, forms, strict=True):
        for form in key_forms if key.unique else ():
            for holder in stage.holders(key.name, form, contact.scope):
                if holder not in own_ids:
                    reason = f"contact {holder} holds its former {key.name}"
                    raise StaleOutcome(reason)


def _split(
    stage: Stage,
    before: Contact,
    forms: Forms,
    back: list[tuple[Contact, Forms]],
) -> None:
    try:
        stage.split(before, forms, back)
    except ValueError as error:
        reason = f"contact {before.id} was merged before it was loaded here"
        raise StaleOutcome(reason) from error

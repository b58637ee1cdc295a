"""
Undoing: what stood before a call, put back exactly, if nothing newer is in its way.

Rules:
    What is newer is never touched; it is named, and the call is refused.
    Forms are made before anything is looked at, for making them is the host's.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from upsertcore.errors import StaleOutcome, UnknownContact
from upsertcore.keyring import held_forms
from upsertcore.outcome import Outcome, changes
from upsertcore.view import departed

if TYPE_CHECKING:
    from upsertcore.contact import Contact
    from upsertcore.policy import Policy
    from upsertcore.staged import Staged
    from upsertcore.view import Forms

__all__ = ["undoing"]


def undoing(policy: Policy, outcome: Outcome) -> Callable[[Staged], Outcome]:
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
    >>> from upsertcore.index import ContactIndex
    >>> from upsertcore.staged import Staged
    >>> from datetime import datetime, timezone
    >>> from upsertcore import Contact
    >>> now = datetime(2024, 1, 2, tzinfo=timezone.utc)
    >>> created = Outcome("created", Contact("c-1", "", {}, 1, now, now))
    >>> undoing(Policy(never(), {}), created)(Staged(ContactIndex()))
    Traceback (most recent call last):
    ...
    upsertcore.refusals.StaleOutcome: outcome: contact c-1 is gone; it can no longer ...
    """
    contact, before = outcome.contact, outcome.before
    kept = outcome.result == "deleted" and before not in (None, contact)
    if outcome.result not in ("created", "updated", "merged") and not kept:
        past = "put back already" if outcome.result == "undone" else "removed"
        raise StaleOutcome(f"contact {contact.id} was {past}")
    forms = None if before is None else held_forms(policy, before)
    back = [(each, held_forms(policy, each)) for each in outcome.merged]

    def undo(staged: Staged) -> Outcome:
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


def _see_that_it_stands(staged: Staged, contact: Contact) -> None:
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
    staged: Staged, policy: Policy, contact: Contact, forms: Forms, kin: set[str]
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
    staged: Staged,
    before: Contact,
    forms: Forms,
    back: list[tuple[Contact, Forms]],
) -> None:
    try:
        staged.split(before, forms, back)
    except ValueError as error:
        reason = f"contact {before.id} was merged before it was loaded here"
        raise StaleOutcome(reason) from error

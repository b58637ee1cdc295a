"""
The replay of changes into an index, call by call.

Rules:
    Replayed into an empty book, all changes give the same contacts, byte for byte.
    A change that was purged is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from upsertcore.errors import UnknownContact
from upsertcore.policy.held_forms import held_forms
from upsertcore.store.journal import Entry

if TYPE_CHECKING:
    from upsertcore.engine.outcome import Outcome
    from upsertcore.policy.policy import Policy
    from upsertcore.store.transaction import Stage

__all__ = ["apply_changes"]


def apply_changes(stage: Stage, policy: Policy, entries: Iterable[Entry]) -> None:
    """
    Replay changes into an index, or into a write in preparation.

    Args:
        stage: The contacts as they were before the first of them.
        policy: The policy under which they were made.
        entries: In their order, without a gap.

    Raises:
        ValueError: If entries are missing or out of order, or do not fit the contacts.

    >>> from upsertcore import Policy, never
    >>> from upsertcore.store.contact_index import ContactIndex
    >>> apply_changes(ContactIndex(), Policy(never(), {}), [])
    """
    last = None
    for entry in entries:
        if not isinstance(entry, Entry):
            kind = type(entry).__name__
            advice = "pass what changes_since() returned; load takes rows"
            raise TypeError(f"entries: must be entries, not {kind}; {advice}")
        if last is not None and entry.number != last + 1:
            what = f"{entry.number} must not follow {last}"
            raise ValueError(f"entries: {what}; pass them in order, without a gap")
        last = entry.number
        if entry.outcome is not None:
            change = _change(policy, entry.outcome)
            try:
                change(stage)
            except UnknownContact as error:
                what = f"{entry.number} must not name an unknown contact"
                advice = "pass all entries from the first one on"
                raise ValueError(f"entries: {what}; {advice}") from error


def _change(policy: Policy, outcome: Outcome) -> Callable[[Stage], object]:
    """Return a replay of a change; the forms are computed before, by the policy."""
    contact = outcome.contact
    if outcome.result in ("deleted", "undone") and contact == outcome.before:
        return lambda stage: stage.remove(contact.id, contact.scope)
    forms = held_forms(policy, contact)
    if outcome.result == "undone" and outcome.merged:
        back = [(other, held_forms(policy, other)) for other in outcome.merged]
        return lambda stage: stage.split(contact, forms, back)
    return lambda stage: stage.put(contact, forms)

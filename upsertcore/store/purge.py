"""
Purge: what is erased of a person, in contacts, retained changes and remembered calls.

Rules:
    An entry about the person keeps its number and nothing else; a call is forgotten.
    Of an outcome about another contact only what names the person is erased.
    A deleted contact is erased by any id that it had.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from typing import TYPE_CHECKING

from attrs import evolve

from upsertcore.errors import UnknownContact
from upsertcore.store.contact_index import IndexStage
from upsertcore.store.journal import Entry

if TYPE_CHECKING:
    from upsertcore.engine.outcome import Outcome
    from upsertcore.store.contact_index import ContactIndex
    from upsertcore.store.idempotency import CallLog, LoggedCalls
    from upsertcore.store.journal import Journal
    from upsertcore.store.redo import Redo

__all__ = ["purge_redo", "without_contacts"]


def purge_redo(
    index: ContactIndex, journal: Journal, call_log: CallLog, id: str, scope: str
) -> tuple[Redo, int]:
    """
    Return the record that erases a person, and how many changes and calls it erases.

    Args:
        index: The contacts.
        journal: The retained changes.
        call_log: The remembered calls.
        id: An id of the person.
        scope: The tenant.

    Raises:
        UnknownContact: If nothing in them contains this id.

    Cost:
        Linear in the changes and calls that are retained.
    """
    stage = IndexStage(index)
    ids = _remove(stage, journal, id, scope)
    entries, changes = _entries_without(journal, ids, scope)
    calls, call_count = _calls_without(call_log, ids, scope)
    redo = stage.redo(entries=entries, calls=calls)
    if not (redo.rows or changes or call_count):
        raise UnknownContact(id)
    return redo, changes + call_count


def _remove(stage: IndexStage, journal: Journal, id: str, scope: str) -> set[str]:
    """Remove a contact, if there is one; return all ids of the person."""
    try:
        contact = stage.get(id)
    except UnknownContact:
        return _ids_of_deleted(journal, id, scope)
    if contact.scope != scope:
        raise UnknownContact(id)
    stage.remove(contact.id)
    return {*contact.ids}


def _ids_of_deleted(journal: Journal, id: str, scope: str) -> set[str]:
    """Return all ids of a deleted contact of a scope, given one of them."""
    for entry in reversed(journal.entries):
        outcome = entry.outcome
        if outcome is not None and outcome.result == "deleted":
            contact = outcome.contact
            if contact.scope == scope and id in contact.ids:
                return {*contact.ids}
    return {id}


def _entries_without(
    journal: Journal, ids: set[str], scope: str
) -> tuple[deque[Entry], int]:
    """
    Return the entries without ids of a scope, and how many entries contained them.

    Cost:
        Linear in the entries that the journal retains.
    """
    remaining: deque[Entry] = deque(maxlen=journal.entries.maxlen)
    purged = 0
    for entry in journal.entries:
        outcome = entry.outcome
        if outcome is not None and outcome.contact.scope == scope:
            outcome = without_contacts(outcome, ids)
        if outcome is not entry.outcome:
            entry, purged = Entry(entry.number, outcome), purged + 1  # noqa: PLW2901
        remaining.append(entry)
    return remaining, purged


def _calls_without(
    call_log: CallLog, ids: set[str], scope: str
) -> tuple[LoggedCalls, int]:
    """
    Return the calls without ids of a scope, and how many calls contained them.

    Cost:
        Linear in the calls that are remembered.
    """
    remaining: LoggedCalls = defaultdict(OrderedDict)
    purged = 0
    for name, calls in call_log.calls.items():
        for key, (identity, outcome) in calls.items():
            kept = without_contacts(outcome, ids) if name == scope else outcome
            purged += kept is not outcome
            if kept is not None:
                remaining[name][key] = identity, kept
    return remaining, purged


def without_contacts(outcome: Outcome, ids: set[str]) -> Outcome | None:
    """
    Remove erased contacts from an outcome.

    Args:
        outcome: The outcome of a call.
        ids: The ids of the erased contacts, merged ids included.

    Returns:
        None where the outcome holds one of them, or a contact that one was merged
        into. Else the outcome without their ids and without the values that were
        withheld because of them; the same object where it mentions none of them.

    >>> from upsertcore import ContactBook, Policy, never
    >>> outcome = ContactBook(Policy(never(), {}), ids=lambda: "c-1").create({})
    >>> (
    ...     without_contacts(outcome, {"c-1"}) is None,
    ...     without_contacts(outcome, {"c-2"}) is outcome,
    ... )
    (True, True)
    """
    contacts = outcome.contact, outcome.before, *outcome.merged
    if any(c is not None and not ids.isdisjoint(c.ids) for c in contacts):
        return None
    also_matched = tuple([id for id in outcome.also_matched if id not in ids])
    withheld = tuple([entry for entry in outcome.withheld if entry.holder not in ids])
    if also_matched == outcome.also_matched and withheld == outcome.withheld:
        return outcome
    return evolve(outcome, also_matched=also_matched, withheld=withheld)

"""
Purge: what is erased of a person, in contacts, retained changes and remembered calls.

Rules:
    An entry about the person keeps its number and nothing else; a call is forgotten.
    Of an outcome about another contact only what names the person is erased.
    A deleted contact is erased by any id that it had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from attrs import evolve

from upsertcore.errors import UnknownContact

if TYPE_CHECKING:
    from upsertcore.engine.outcome import Outcome
    from upsertcore.store.transaction import History, Stage

__all__ = ["make_purge", "without_contacts"]


def make_purge(id: str, scope: str) -> Callable[[Stage, History], int]:
    """
    Return a function that erases a person.

    Args:
        id: An id of the person.
        scope: The tenant.

    Returns:
        A function that stages the removal and replaces the outcomes. It returns how
        many changes and calls contained the person, or raises ``UnknownContact`` if
        nothing contains this id.

    >>> from upsertcore.store.contact_index import ContactIndex, IndexStage
    >>> from upsertcore.store.idempotency import CallLog
    >>> from upsertcore.store.journal import Journal
    >>> from upsertcore.store.history import HistoryStage
    >>> history = HistoryStage(Journal(None), CallLog(0))
    >>> make_purge("c-1", "")(IndexStage(ContactIndex()), history)
    Traceback (most recent call last):
    ...
    upsertcore.errors.UnknownContact: id: no contact has 'c-1'; use find(key, value)
    """

    def purge(stage: Stage, history: History) -> int:
        removed = _remove(stage, id, scope)
        ids = removed or _ids_of_deleted(history.changes(), id, scope)
        erased = history.replace(scope, partial(without_contacts, ids=ids))
        if not (removed or erased):
            raise UnknownContact(id)
        return erased

    return purge


def _remove(stage: Stage, id: str, scope: str) -> set[str]:
    """Remove a contact, if there is one; return its ids."""
    try:
        contact = stage.get(id, scope)
    except UnknownContact:
        return set()
    stage.remove(contact.id, scope)
    return {*contact.ids}


def _ids_of_deleted(changes: Iterable[Outcome], id: str, scope: str) -> set[str]:
    """Return all ids of a deleted contact of a scope, given one of them."""
    for outcome in changes:
        contact = outcome.contact
        if outcome.result == "deleted" and contact.scope == scope and id in contact.ids:
            return {*contact.ids}
    return {id}


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

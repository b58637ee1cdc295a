"""
The journal: what changed in a book, call by call, so that it can be done again.

Rules:
    It is append-only, and its numbers go up by one from 1 without a gap.
    Done again in an empty book, its entries give the same contacts, byte for byte.
    A purge leaves the number of an entry about a person and nothing else of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, final

from attrs import frozen

from upsertcore.engine.outcome import without_contacts
from upsertcore.errors import ChangesNotRetained, UnknownContact
from upsertcore.policy.forms import held_forms
from upsertcore.values import described

if TYPE_CHECKING:
    from upsertcore.engine.outcome import Outcome
    from upsertcore.policy.policy import Policy
    from upsertcore.store.index import ContactIndex

__all__ = ["Entry", "Journal", "redo"]


@final
@frozen
class Entry:
    """
    One change of a book.

    Args:
        number: Its place in the feed, from 1.
        outcome: What happened; None where it was purged.

    >>> Entry(1, None).number
    1
    """

    number: int
    outcome: Outcome | None


@final
class Journal:
    """
    The last changes of a book.

    Args:
        keep: How many are kept; None for all of them.

    >>> Journal(None).since(0, 0)
    ()
    """

    __slots__ = ("entries", "keeps")

    def __init__(self, keep: int | None) -> None:
        if keep is not None and (type(keep) is not int or keep < 0):
            what = f"must be a whole number from 0, or None, not {described(keep)}"
            raise ValueError(f"retain_changes: {what}; pass None to keep all changes")
        self.entries: deque[Entry] = deque(maxlen=keep)
        self.keeps = keep != 0

    def note(self, number: int, outcome: Outcome) -> None:
        """Append a change, unless it was appended before."""
        entries = self.entries
        if self.keeps and (not entries or entries[-1].number < number):
            entries.append(Entry(number, outcome))

    def since(self, number: int, last: int) -> tuple[Entry, ...]:
        """
        Return the changes after a number.

        Args:
            number: That of the last change that is known.
            last: That of the last change that there was.

        Raises:
            ChangesNotRetained: If some of them are not kept any more.

        Cost:
            Linear in what is returned.
        """
        wanted = last - max(number, 0)
        if wanted > len(self.entries):
            first = last + 1 - len(self.entries)
            raise ChangesNotRetained(number, first, self.keeps)
        if wanted <= 0:
            return ()
        newest_first = reversed(self.entries)
        return tuple([next(newest_first) for _ in range(wanted)])[::-1]

    def deleted(self, id: str, scope: str) -> set[str]:
        """Return the ids of a deleted contact of a scope, known by any of them."""
        for entry in reversed(self.entries):
            outcome = entry.outcome
            if outcome is not None and outcome.result == "deleted":
                contact = outcome.contact
                if contact.scope == scope and id in contact.ids:
                    return {*contact.ids}
        return {id}

    def purged(self, ids: set[str], scope: str) -> tuple[deque[Entry], int]:
        """
        Return the entries without what they tell of ids of a scope, and how many did.

        Cost:
            Linear in what the journal keeps.
        """
        left: deque[Entry] = deque(maxlen=self.entries.maxlen)
        purged = 0
        for entry in self.entries:
            outcome = entry.outcome
            if outcome is not None and outcome.contact.scope == scope:
                outcome = without_contacts(outcome, ids)
            if outcome is not entry.outcome:
                entry, purged = Entry(entry.number, outcome), purged + 1  # noqa: PLW2901
            left.append(entry)
        return left, purged


def redo(index: ContactIndex, policy: Policy, entries: Iterable[Entry]) -> None:
    """
    Do changes again.

    Args:
        index: As it was before the first of them.
        policy: The one that they were made under.
        entries: In their order, without a gap.

    Raises:
        ValueError: If they do not follow one another, or do not fit the index.

    >>> from upsertcore import Policy, never
    >>> from upsertcore.store.index import ContactIndex
    >>> redo(ContactIndex(), Policy(never(), {}), [])
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
                change(index)
            except UnknownContact as error:
                reason = "must find what those before it left"
                raise ValueError(f"entries: {entry.number} {reason}") from error


def _change(policy: Policy, outcome: Outcome) -> Callable[[ContactIndex], object]:
    """Make what does a change again; forms are made before, by the host's functions."""
    contact = outcome.contact
    if outcome.result in ("deleted", "undone") and contact == outcome.before:
        return lambda index: index.remove(contact.id)
    forms = held_forms(policy, contact)
    if outcome.result == "undone" and outcome.merged:
        back = [(each, held_forms(policy, each)) for each in outcome.merged]
        return lambda index: index.split(contact, forms, back)
    return lambda index: index.put(contact, forms)

"""
The journal: what changed in a book, call by call, for replay.

Rules:
    It is append-only; its numbers count from 1 without a gap.
    Replayed into an empty book, its entries give the same contacts, byte for byte.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, final

from attrs import frozen

from upsertcore.errors import ChangesNotRetained, UnknownContact
from upsertcore.policy.held_forms import held_forms
from upsertcore.values import describe

if TYPE_CHECKING:
    from upsertcore.engine.outcome import Outcome
    from upsertcore.policy.policy import Policy
    from upsertcore.store.index import ContactIndex

__all__ = ["Entry", "Journal", "apply_changes"]


@final
@frozen
class Entry:
    """
    One change of a book.

    Args:
        number: Its number in the feed, from 1.
        outcome: What happened; None if it was purged.

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
        limit: How many are retained; None for all of them.

    >>> Journal(None).since(0, 0)
    ()
    """

    __slots__ = ("entries", "is_on")

    def __init__(self, limit: int | None) -> None:
        if limit is not None and (type(limit) is not int or limit < 0):
            what = f"must be a whole number from 0, or None, not {describe(limit)}"
            raise ValueError(f"retain_changes: {what}; pass None to retain all changes")
        self.entries: deque[Entry] = deque(maxlen=limit)
        self.is_on = limit != 0

    def append(self, number: int, outcome: Outcome) -> None:
        """Append a change, unless it is there."""
        entries = self.entries
        if self.is_on and (not entries or entries[-1].number < number):
            entries.append(Entry(number, outcome))

    def since(self, number: int, last: int) -> tuple[Entry, ...]:
        """
        Return the changes after a number.

        Args:
            number: The number of the last change that the caller knows.
            last: The number of the last change of the book.

        Raises:
            ChangesNotRetained: If some of them are no longer retained.

        Cost:
            Linear in what is returned.
        """
        count = last - max(number, 0)
        if count > len(self.entries):
            first = last + 1 - len(self.entries)
            raise ChangesNotRetained(number, first, self.is_on)
        if count <= 0:
            return ()
        newest_first = reversed(self.entries)
        return tuple([next(newest_first) for _ in range(count)])[::-1]


def apply_changes(
    index: ContactIndex, policy: Policy, entries: Iterable[Entry]
) -> None:
    """
    Replay changes into an index.

    Args:
        index: The index as it was before the first of them.
        policy: The policy under which they were made.
        entries: In their order, without a gap.

    Raises:
        ValueError: If entries are missing or out of order, or do not fit the index.

    >>> from upsertcore import Policy, never
    >>> from upsertcore.store.index import ContactIndex
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
                change(index)
            except UnknownContact as error:
                what = f"{entry.number} must not name an unknown contact"
                advice = "pass all entries from the first one on"
                raise ValueError(f"entries: {what}; {advice}") from error


def _change(policy: Policy, outcome: Outcome) -> Callable[[ContactIndex], object]:
    """Return a replay of a change; the forms are computed before, by the policy."""
    contact = outcome.contact
    if outcome.result in ("deleted", "undone") and contact == outcome.before:
        return lambda index: index.remove(contact.id)
    forms = held_forms(policy, contact)
    if outcome.result == "undone" and outcome.merged:
        back = [(other, held_forms(policy, other)) for other in outcome.merged]
        return lambda index: index.split(contact, forms, back)
    return lambda index: index.put(contact, forms)

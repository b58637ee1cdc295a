"""
The journal: what changed in a book, call by call.

Rules:
    It is append-only; its numbers count from 1 without a gap.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, final

from attrs import frozen

from upsertcore.errors import ChangesNotRetained
from upsertcore.values import describe

if TYPE_CHECKING:
    from upsertcore.engine.outcome import Outcome

__all__ = ["Entry", "Journal"]


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

    def to_dict(self) -> dict[str, Any]:
        """
        Return a dict of plain values, ready for JSON.

        >>> Entry(1, None).to_dict()
        {'number': 1, 'outcome': None}
        """
        outcome = None if self.outcome is None else self.outcome.to_dict()
        return {"number": self.number, "outcome": outcome}


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

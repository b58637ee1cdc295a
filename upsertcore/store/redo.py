"""
The redo record: all that one write stores, published by a single assignment.

Rules:
    Storing a record is idempotent: what was interrupted is stored again, whole.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any, final

from attrs import define

if TYPE_CHECKING:
    from collections.abc import Mapping

    from upsertcore.model.layout import Row

__all__ = ["Redo"]


@final
@define(eq=False)
class Redo:
    """
    The parts of a write that is not the common one.

    Args:
        rows: Each row as it was and as it will be; None where there is none.
        leads: Id of an absorbed contact to the id that it resolves to, None to forget.
        seats: Id of an absorbed contact to its place, None to forget.
        next: The place of the next new contact.
        unordered: True where a contact returns to an earlier place.
        outcomes: What the journal notes, in order.
        call: Scope, idempotency key and what to remember of the call.
        entries: The journal's new entries, where a purge replaces them.
        calls: The remembered calls, where a purge replaces them.

    >>> Redo().rows
    ()
    """

    rows: tuple[tuple[Row | None, Row | None], ...] = ()
    leads: tuple[tuple[str, str | None], ...] = ()
    seats: tuple[tuple[str, int | None], ...] = ()
    next: int = 0
    unordered: bool = False
    outcomes: tuple[Any, ...] = ()
    call: tuple[str, str, Any] | None = None
    entries: deque[Any] | None = None
    calls: Mapping[str, OrderedDict[str, Any]] | None = None

    def release(self) -> None:
        """Drop what is stored by now, so that nothing is retained of a purge."""
        self.rows = self.outcomes = ()
        self.call = self.entries = self.calls = None

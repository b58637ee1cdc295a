"""
The redo record: all that one write stores, published by a single assignment.

Rules:
    Storing a record is idempotent: after an interruption it is stored again as a whole.
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
    The parts of any write but the common one of a single row.

    Args:
        rows: Each row before and after the write; None if there is none.
        redirects: Id of a merged contact to the id it resolves to, None to forget it.
        former_places: Id of a merged contact to its place, None to forget it.
        next: The place of the next new contact.
        unordered: True if a contact returns to an earlier place.
        outcomes: The journal's new entries, in order.
        call: Scope, idempotency key and the call to log.
        entries: All entries of the journal, if a purge replaces them.
        calls: The logged calls, if a purge replaces them.

    >>> Redo().rows
    ()
    """

    rows: tuple[tuple[Row | None, Row | None], ...] = ()
    redirects: tuple[tuple[str, str | None], ...] = ()
    former_places: tuple[tuple[str, int | None], ...] = ()
    next: int = 0
    unordered: bool = False
    outcomes: tuple[Any, ...] = ()
    call: tuple[str, str, Any] | None = None
    entries: deque[Any] | None = None
    calls: Mapping[str, OrderedDict[str, Any]] | None = None

    def release(self) -> None:
        """Drop what is stored, so that nothing is retained of a purged contact."""
        self.rows = self.outcomes = ()
        self.call = self.entries = self.calls = None

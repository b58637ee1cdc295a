"""
Redo: the record of a write, and its completion after an interruption.

Rules:
    A write counts once its record is published. If an exception interrupts it then, the
    next reader or writer completes it.
    Storing a record is idempotent: after an interruption it is stored again as a whole.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, final

from attrs import define

from upsertcore.model.write_record import ROW, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from threading import RLock

    from upsertcore.model.packed_row import Row
    from upsertcore.model.view import Address
    from upsertcore.store.idempotency import CallLog
    from upsertcore.store.journal import Journal

__all__ = ["NOT_ACQUIRED", "Publisher", "Redo", "complete", "locked"]

T = TypeVar("T")

NOT_ACQUIRED = ("cannot release un-acquired lock",)
"""What Python reports for a lock that this thread does not hold."""


class Publisher(Protocol):
    """
    A store that publishes records.

    ``published`` is the last record, ``completed`` the last one that is stored as a
    whole; both change under ``lock`` only.
    """

    lock: RLock
    published: Record
    completed: Record

    def publish(self, state: Record, record: Record | None) -> bool:
        """Publish a record and store it; or store the published one again."""
        ...


class Rows(Protocol):
    """An index, which stores the rows of a record."""

    def store(self, redo: Redo) -> None:
        """Store rows and redirects; storing them again changes nothing."""
        ...

    def store_row(self, was: Row | None, row: Row) -> None:
        """Store one row; storing it again changes nothing."""
        ...


@final
@define(eq=False)
class Redo:
    """
    The parts of any write but the common one of a single row.

    Args:
        rows: Each row before and after the write; None if there is none.
        redirects: Scope and id of a merged contact, and the id it resolves to; None to
            forget it.
        former_places: The same, and its place; None to forget it.
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
    redirects: tuple[tuple[Address, str | None], ...] = ()
    former_places: tuple[tuple[Address, int | None], ...] = ()
    next: int = 0
    unordered: bool = False
    outcomes: tuple[Any, ...] = ()
    call: tuple[str, str, Any] | None = None
    entries: deque[Any] | None = None
    calls: Mapping[str, OrderedDict[str, Any]] | None = None

    def store(
        self, index: Rows, journal: Journal, call_log: CallLog, number: int
    ) -> None:
        """
        Store all parts; storing them again changes nothing.

        Args:
            index: The contacts.
            journal: The retained changes.
            call_log: The remembered calls.
            number: The number of the last change of this write.
        """
        index.store(self)
        first = number - len(self.outcomes) + 1
        for entry_number, outcome in enumerate(self.outcomes, first):
            journal.append(entry_number, outcome)
        if self.call is not None:
            call_log.add(*self.call)
        if self.entries is not None and self.calls is not None:
            journal.entries, call_log.calls = self.entries, self.calls

    def release(self) -> None:
        """Drop what is stored, so that nothing is retained of a purged contact."""
        self.rows = self.outcomes = ()
        self.call = self.entries = self.calls = None


@final
class CallRedo:
    """
    The parts of the common write of a call that is logged.

    Args:
        rows: The row before and after it; empty if nothing changes.
        outcomes: The outcome, for the journal; empty if nothing changes.
        calls: The call to log, as in :class:`Redo`.
    """

    __slots__ = ("calls", "outcomes", "rows")

    def __init__(
        self,
        rows: tuple[tuple[Row | None, Row], ...],
        outcomes: tuple[Any, ...],
        calls: tuple[tuple[str, str, Any], ...],
    ) -> None:
        self.rows, self.outcomes, self.calls = rows, outcomes, calls

    def store(
        self, index: Rows, journal: Journal, call_log: CallLog, number: int
    ) -> None:
        """Store all parts, as :meth:`Redo.store`."""
        for before, row in self.rows:
            index.store_row(before, row)
        for outcome in self.outcomes:
            journal.append(number, outcome)
        for call in self.calls:
            call_log.add(*call)

    def release(self) -> None:
        """Drop what is stored, as :meth:`Redo.release`."""
        self.rows = self.outcomes = self.calls = ()


_WRITES = tuple, Redo, CallRedo
"""What a write publishes: the row of the common write, or a redo record. A queued call
publishes neither, and has nothing to complete."""


def complete(store: Publisher) -> Record:
    """
    Complete the published write, if it was interrupted; return the completed record.

    Args:
        store: The store; the caller holds its lock.
    """
    record = store.published
    if record is not store.completed and type(record[ROW]) in _WRITES:
        store.publish(record, record)
    return store.completed


def locked(lock: RLock, call: Callable[[], T]) -> T:
    """
    Call a function under a lock.

    It equals a with statement, which needs memory to release the lock.

    Args:
        lock: The lock of a store.
        call: The function.

    >>> from threading import RLock
    >>> locked(RLock(), lambda: 1)
    1
    """
    try:
        lock.acquire()
        return call()
    finally:
        try:
            lock.release()
        except RuntimeError as error:
            # The lock was not acquired: let the interrupting exception propagate.
            if error.args != NOT_ACQUIRED:
                raise

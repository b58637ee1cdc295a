"""
The queue: a call that was overtaken a few times makes other writers wait for it.

Rules:
    The wait is limited: a function of that call may itself wait for another writer.
    A queued call holds no lock while it decides; a write of its own thread goes first.
    A call that leaves the queue, refused or interrupted, leaves nothing to wait for.
"""

from __future__ import annotations

import threading
from functools import partial
from threading import get_ident
from typing import Protocol, final

from upsertcore.model.write_record import ROW, THREAD, Record
from upsertcore.store.redo import Publisher, complete, locked

__all__ = ["QueuedCall", "dequeue", "enqueue", "ready_state", "state_for", "swap"]

_MAX_CONFLICTS = 3
"""How many conflicts with other writes a call has before it queues."""

_QUEUE_SECONDS = 1.0
"""How long other writers wait for a call that queues."""

_MAX_DOUBLINGS = 6
"""How many times the wait doubles for one call, so that a slow call succeeds."""


class Waiting(Publisher, Protocol):
    """A store whose writers wait for a queued call."""

    def check_reentry(self) -> None:
        """Refuse a call that interrupts one of this thread under the lock."""
        ...


@final
class QueuedCall:
    """
    What a queued call publishes in place of a row; other writers wait for it.

    It uses a plain lock, not ``threading.Event``: an event has a lock of its own that
    stays locked after a signal during a wait, in a finaliser, and in a forked child.

    Args:
        seconds: How long others wait.
    """

    __slots__ = ("_lock", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._lock, self._seconds = threading.Lock(), seconds
        self._lock.acquire()

    def wait(self) -> None:
        """Wait until the call has left the queue, or the time is over."""
        if self._lock.acquire(timeout=self._seconds):
            self._lock.release()

    def leave(self) -> None:
        """Let the other writers continue; called once."""
        self._lock.release()


def ready_state(store: Waiting) -> Record:
    """
    Return the current state, after waiting for a queued call.

    Args:
        store: The store.

    Raises:
        RuntimeError: If this thread holds the lock.
    """
    store.check_reentry()
    record = store.published
    while record is not store.completed:
        queue = record[ROW]
        if type(queue) is QueuedCall and record[THREAD] != get_ident():
            queue.wait()
        locked(store.lock, partial(complete, store))
        swap(store, record, store.completed)
        record = store.published
    return record


def state_for(store: Waiting, attempt: int) -> Record:
    """
    Return the current state; queue for it after a few attempts.

    Args:
        store: The store.
        attempt: The number of the attempt, from 0.
    """
    return ready_state(store) if attempt < _MAX_CONFLICTS else enqueue(store, attempt)


def enqueue(store: Waiting, attempt: int = _MAX_CONFLICTS) -> Record:
    """
    Make other writers wait; return the record that they wait for.

    Args:
        store: The store.
        attempt: The number of the attempt; the later it is, the longer they wait.

    Returns:
        The current state instead, if another call was faster.
    """
    state = ready_state(store)
    wait = _QUEUE_SECONDS * 2 ** min(attempt - _MAX_CONFLICTS, _MAX_DOUBLINGS)
    record = (QueuedCall(wait), *state[1:THREAD], get_ident())
    return record if swap(store, state, record) else state


def swap(store: Waiting, state: Record, record: Record) -> bool:
    """Publish a record if the state is still the given one; return whether it was."""

    def swap_if_current() -> bool:
        is_current = store.published is state
        if is_current:
            store.published = record
        return is_current

    return locked(store.lock, swap_if_current)


def dequeue(store: Waiting, state: Record) -> None:
    """
    Let other writers continue, if they wait for this call.

    Args:
        store: The store.
        state: What :func:`state_for` has returned.
    """
    if type(state[ROW]) is QueuedCall:
        swap(store, state, store.completed)
        state[ROW].leave()

"""
The store in memory: decide without the lock, write under it, and never half.

Rules:
    A caller's function (normaliser, rule, ids, clock) never runs while the lock is
    held, so it may be slow, raise or call back, and no call blocks for ever.
    A decision is used only if nothing that it read has changed; else it is repeated.
    A write is prepared as a record and published by one assignment. From then on it
    counts; what an exception leaves of it, ``redo`` completes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import count
from threading import get_ident
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar, final
from weakref import WeakSet

from upsertcore.engine.outcome import Outcome, outcome_from_record
from upsertcore.errors import Refused, UnknownContact
from upsertcore.model.write_record import (
    BEGINNING,
    NUMBER,
    PREVIOUS_ROW,
    ROW,
    THREAD,
    Record,
)
from upsertcore.store.contact_index import IndexStage
from upsertcore.store.history import HistoryStage
from upsertcore.store.idempotency import CallKey, CallLog, LoggedCall, replay_of
from upsertcore.store.ids import IdInUse
from upsertcore.store.journal import Entry, Journal
from upsertcore.store.overlay import Overlay
from upsertcore.store.queue import dequeue, ready_state, state_for
from upsertcore.store.redo import NOT_ACQUIRED, CallRedo, Redo, complete, locked
from upsertcore.store.stamp import Stamp
from upsertcore.store.transaction import (
    Decide,
    History,
    MakeRequest,
    Remainder,
    Stage,
    WriteStep,
)

if TYPE_CHECKING:
    from upsertcore.engine.patch import Request
    from upsertcore.engine.plan import Plan
    from upsertcore.model.contact import Contact
    from upsertcore.model.view import BookView, Forms
    from upsertcore.policy.policy import Policy
    from upsertcore.store.contact_index import ContactIndex

__all__ = ["MemoryStore"]

A = TypeVar("A")
T = TypeVar("T")

Retained: TypeAlias = "tuple[int, list[Entry], dict[str, list[tuple[str, LoggedCall]]]]"
"""The number of the last change, the last changes, and the last calls of each scope."""


class Basis(Protocol):
    """What a decision has read."""

    def stale_reason(self, index: ContactIndex) -> str | None:
        """Return what has changed since; None if nothing has."""
        ...


V = TypeVar("V", bound=Basis)

_MAX_OWN_CONFLICTS = 100
"""How many conflicts a call may have with writes of its own functions."""

_DOUBTFUL = (Refused, UnknownContact, ValueError)
"""Errors that a half-completed write may cause for a concurrent reader: a refusal, a
missing id, a contact that cannot be constructed."""

_stores: WeakSet[MemoryStore] = WeakSet()


@final
class MemoryStore:
    """
    A store in memory: consistent reads and atomic writes of one index.

    Args:
        index: No other store may write to it.
        ids: Returns a fresh id at each call.
        clock: Returns an aware time.
        policy: The policy that outcomes of the fast path carry.
        retain_calls: How many calls with an idempotency key are remembered, per scope.
        retain_changes: How many changes are kept; None for all.

    ``completed`` is the record of the last completed write and identifies the state of
    the index: while ``published`` is the same record, nothing has changed and no write
    is in progress.

    >>> from upsertcore.store.contact_index import ContactIndex
    >>> from upsertcore.store.clock import utc_now
    >>> from upsertcore.store.ids import fresh_ids
    >>> MemoryStore(ContactIndex(), fresh_ids(), utc_now).read(len)
    0
    """

    __slots__ = (
        *("__weakref__", "_call_log", "_index", "_is_reading", "_is_owner", "_policy"),
        *("clock", "completed", "ids", "journal", "lock", "published"),
    )

    def __init__(
        self,
        index: ContactIndex,
        ids: Callable[[], str],
        clock: Callable[[], datetime],
        policy: Any = None,
        retain_calls: int = 0,
        retain_changes: int | None = 0,
    ) -> None:
        self._index, self.ids, self.clock, self._policy = index, ids, clock, policy
        self._call_log = CallLog(retain_calls)
        self.journal = Journal(retain_changes)
        self.published: Record = BEGINNING
        self.completed: Record = BEGINNING
        # Whether the thread that holds the lock is reading the index.
        self._is_reading = False
        self.lock = threading.RLock()
        self._is_owner: Callable[[], bool] = self.lock._is_owned  # type: ignore[attr-defined]  # noqa: SLF001
        _stores.add(self)

    def read(self, query: Callable[[BookView], T]) -> T:
        """
        Read the index under the lock.

        Args:
            query: Reads, and calls no function of a caller.
        """
        self.check_reentry()

        def read() -> T:
            complete(self)
            return self._guarded(query, self._index)

        return locked(self.lock, read)

    def stream(self, query: Callable[[BookView], Iterator[T]]) -> Iterator[T]:
        """Read under the lock; the items are made of rows, which never change."""
        return self.read(query)

    def _guarded(self, query: Callable[[A], T], argument: A) -> T:
        """Read the index under the lock, and keep finalisers from writing meanwhile."""
        self._is_reading = True
        try:
            return query(argument)
        finally:
            self._is_reading = False

    def changes_since(self, number: int) -> tuple[Entry, ...]:
        """Return the changes after a number."""
        return self.read(
            lambda _view: self.journal.since(number, self.completed[NUMBER])
        )

    def retained(self) -> tuple[Iterator[Contact], Retained]:
        """Return the contacts, by creation, and what is retained, at one moment."""

        def query(view: BookView) -> tuple[Iterator[Contact], Retained]:
            calls = {
                scope: [*log.items()] for scope, log in self._call_log.calls.items()
            }
            rest = self.completed[NUMBER], [*self.journal.entries], calls
            return iter(view), rest

        return self.read(query)

    def restore(self, retained: Retained) -> None:
        """Take over what another store has retained; before the first write."""
        number, entries, calls = retained
        self.journal.entries.extend(entries)
        for scope, log in calls.items():
            self._call_log.calls[scope].update(log)
        self.completed = (*BEGINNING[:NUMBER], number, *BEGINNING[NUMBER + 1 :])
        self.published = self.completed

    @property
    def limits(self) -> dict[str, int | None]:
        """How many calls and changes are retained, as arguments of a book."""
        changes = self.journal.entries.maxlen
        return {"retain_calls": self._call_log.limit, "retain_changes": changes}

    def plan(self, make_request: MakeRequest, decide: Decide) -> Plan:
        """
        Decide without the lock, and repeat until nothing that was read has changed.

        Args:
            make_request: Returns a fresh request on the index; called once per attempt.
            decide: Returns the plan.

        Raises:
            Refused: What the decision raises, if nothing that it read has changed.
            RuntimeError: If functions of the call wrote to the book during a hundred
                attempts.
        """
        return self._attempt(make_request, decide, lambda plan, _state: (plan, None))

    def write(
        self,
        make_request: MakeRequest,
        decide: Decide,
        call: CallKey | None = None,
        remainder: Remainder | None = None,
    ) -> Outcome:
        """
        Decide, and write the decision.

        Args:
            make_request: As :meth:`plan`.
            decide: As :meth:`plan`.
            call: Identifies the call; if the same call is logged, its outcome is
                returned and nothing is written.
            remainder: The id and time that the fast path has drawn for this call.

        Raises:
            Refused: As :meth:`plan`; ``IdempotencyKeyReused`` if the key of *call*
                was used for another call.
            IdInUse: If ``ids`` returns an id that is in use.
        """
        if call is not None:
            # Comparing calls may run a caller's function, so not under the lock.
            logged = self.read(lambda _view: self._call_log.lookup(*call[:2]))
            replay = replay_of(call, logged)
            if replay is not None:
                return replay
        drawn = () if remainder is None else (remainder.id, remainder.now)
        stamp = Stamp(self.ids, self.clock, *drawn)

        def stamped_plan(request: Request) -> Plan:
            plan = decide(request)
            stamp.prepare(plan)
            return plan

        def prepare(plan: Plan, state: Record) -> tuple[Outcome, Record | None]:
            if call is not None:
                replay = replay_of(call, self._call_log.lookup(*call[:2]))
                if replay is not None:
                    return replay, None
            return self._prepare(plan, stamp, state, call)

        return self._attempt(make_request, stamped_plan, prepare)

    def write_all(self, run: Callable[[WriteStep], list[Outcome]]) -> list[Outcome]:
        """
        Write several decisions, or none of them.

        Args:
            run: Makes the decisions, one after the other, by calling the function
                that it is given.

        Raises:
            Refused: The first refusal; then nothing is written.
        """
        stamps: list[Stamp] = []

        def decide_all(overlay: Overlay) -> tuple[list[Outcome], Overlay]:
            steps = count()

            def step(make_request: MakeRequest, decide: Decide) -> Outcome:
                number = next(steps)
                if number == len(stamps):
                    stamps.append(Stamp(self.ids, self.clock))
                plan, stamp = decide(make_request(overlay)), stamps[number]
                stamp.prepare(plan)
                outcome = stamp.outcome(plan)
                contact = outcome.contact
                if outcome.created and overlay.has_id(contact.id, contact.scope):
                    raise IdInUse(contact.id)
                if not outcome.unchanged:
                    overlay.put(contact, plan.forms)
                return outcome

            return run(step), overlay

        def prepare(
            decided: tuple[list[Outcome], Overlay], state: Record
        ) -> tuple[list[Outcome], Record | None]:
            outcomes, overlay = decided
            return outcomes, self._record_of(outcomes, overlay.puts, state)

        return self._attempt(Overlay, decide_all, prepare)

    def apply(self, plan: Plan) -> Outcome:
        """
        Write what a plan says.

        Raises:
            StalePlan: If something that the plan has read has changed.
            IdInUse: If ``ids`` returns an id that is in use.
        """
        stamp = Stamp(self.ids, self.clock)

        def prepare(state: Record) -> tuple[Outcome, Record | None]:
            plan.check_not_stale(self._index)
            return self._prepare(plan, stamp, state, None)

        self.read(plan.check_not_stale)
        stamp.prepare(plan)
        return self._change(prepare)

    def change(self, edit: Callable[[Stage], Outcome]) -> Outcome:
        """
        Change the index under the lock, and add the change to the journal.

        Args:
            edit: Stages the change and calls no function of a caller; or raises.
        """

        def prepare(state: Record) -> tuple[Outcome, Record | None]:
            stage = IndexStage(self._index)
            outcome = edit(stage)
            if outcome.unchanged:
                return outcome, None
            return outcome, _record(stage.redo(outcomes=(outcome,)), state)

        return self._change(prepare)

    def time(self) -> datetime:
        """Return the time by the book's clock."""
        return Stamp(self.ids, self.clock).time()

    def purge(self, edit: Callable[[Stage, History], int]) -> int:
        """
        Change the index, the journal and the call log, without a new entry.

        Args:
            edit: As for :meth:`change`.
        """

        def prepare(state: Record) -> tuple[int, Record | None]:
            stage = IndexStage(self._index)
            history = HistoryStage(self.journal, self._call_log)
            erased = edit(stage, history)
            redo = stage.redo(entries=history.entries, calls=history.calls)
            return erased, _record(redo, state)

        return self._change(prepare)

    def _attempt(
        self,
        read: Callable[[ContactIndex], V],
        decide: Callable[[V], T],
        prepare: Callable[[T, Record], tuple[A, Record | None]],
    ) -> A:
        attempts = own_conflicts = 0
        while own_conflicts < _MAX_OWN_CONFLICTS:
            state = state_for(self, attempts)
            try:
                result = self._attempt_once(state, read, decide, prepare)
            finally:
                if attempts:
                    dequeue(self, state)
            if result is not None:
                return result[0]
            attempts += 1
            own_conflicts += self.published[THREAD] == get_ident()
        raise RuntimeError(
            "the book changed during each of many attempts at one call: a function of "
            "the policy, ids or clock writes to the book; let it write elsewhere"
        )

    def _attempt_once(
        self,
        state: Record,
        read: Callable[[ContactIndex], V],
        decide: Callable[[V], T],
        prepare: Callable[[T, Record], tuple[A, Record | None]],
    ) -> tuple[A] | None:
        """Make one attempt; None if the decision is stale."""
        basis = read(self._index)
        try:
            decision = decide(basis)
        except _DOUBTFUL as error:
            # It may have read a write in progress: raise only if nothing has changed.
            is_unknown = isinstance(error, UnknownContact)
            if self.published is state or not (is_unknown or self._is_stale(basis)):
                raise
            return None
        retries = 0
        while True:
            try:
                result, record = prepare(decision, state)
            except _DOUBTFUL:
                if self.published is state:
                    raise
            else:
                if self.publish(state, record):
                    return (result,)
            finally:
                if retries:
                    dequeue(self, state)
            # The decision holds while nothing that it read changes: only prepare again.
            retries += 1
            state = state_for(self, retries)
            if self._is_stale(basis):
                dequeue(self, state)
                return None

    def _is_stale(self, basis: Basis) -> bool:
        return self.read(lambda _view: basis.stale_reason(self._index)) is not None

    def _change(self, prepare: Callable[[Record], tuple[T, Record | None]]) -> T:
        """Prepare a record under the lock, and publish it."""

        def change() -> tuple[T] | None:
            state = complete(self)
            result, record = self._guarded(prepare, state)
            return (result,) if self.publish(state, record) else None

        changed = None
        while changed is None:
            # A queued call needs the lock to leave the queue, so wait without it.
            ready_state(self)
            changed = locked(self.lock, change)
        return changed[0]

    def publish(self, state: Record, record: Record | None) -> bool:
        """
        Publish a record and complete it, if the state is still the given one.

        Publishing the published record again completes it.

        Args:
            state: The last completed write when the record was made.
            record: None if there is nothing to write.

        Returns:
            Whether the state was still the given one.
        """
        if record is None:
            return self.published is state
        lock = self.lock
        # Equal to locked(), at half its cost.
        try:
            lock.acquire()
            if self.published is not state or self._is_reading:
                return False
            # Nothing can run between the check above and this assignment.
            self.published = record
            row = record[ROW]
            if type(row) is tuple:
                self._index.store_row(record[PREVIOUS_ROW], row)
                if self.journal.is_on:
                    self._append(record)
            else:
                row.store(self._index, self.journal, self._call_log, record[NUMBER])
                # Before the assignment to completed: after it no call would repeat it.
                row.release()
            self.completed = record
        finally:
            try:
                lock.release()
            except RuntimeError as error:
                # The lock was not acquired: let the interrupting exception propagate.
                if error.args != NOT_ACQUIRED:
                    raise
        return True

    def _append(self, record: Record) -> None:
        """Append a write of one row to the journal, unless it is there."""
        outcome = outcome_from_record(record, self._policy)
        self.journal.append(record[NUMBER], outcome)

    def is_new(self, scope: str, key: Any) -> bool:
        """Return, without the lock, whether a key is valid and no call is logged."""
        if type(key) is not str or not key or key.isspace():
            return False
        return self._call_log.lookup(scope, key) is None

    def publish_call(
        self, state: Record, record: Record, call: CallKey, policy: Policy
    ) -> Outcome | None:
        """
        Publish a write of one row, or of none, together with its call.

        Args:
            state: As for :meth:`publish`.
            record: The record of the write; one that repeats a row writes none.
            call: Identifies the call, which was not logged in that state.
            policy: The policy of the call.

        Returns:
            The outcome; None if the state was no longer the given one.
        """
        outcome = outcome_from_record(record, policy)
        scope, key, identity = call
        entry = scope, key, (identity, outcome)
        before, row = record[PREVIOUS_ROW], record[ROW]
        redo = CallRedo((), (), (entry,))
        if row is not before:
            redo = CallRedo(((before, row),), (outcome,), (entry,))
        return outcome if self.publish(state, _record(redo, state)) else None

    def check_reentry(self) -> None:
        """Refuse a call that interrupts one of this thread under the lock."""
        if self._is_owner():
            raise RuntimeError(
                "the book is in the middle of a call by this thread: a signal handler "
                "or a finaliser must not call it; let it set a flag instead"
            )

    def _prepare(
        self, plan: Plan, stamp: Stamp, state: Record, call: CallKey | None
    ) -> tuple[Outcome, Record | None]:
        outcome = stamp.outcome(plan)
        puts = [] if outcome.unchanged else [(outcome.contact, plan.forms)]
        logged = None if call is None else (call[0], call[1], (call[2], outcome))
        return outcome, self._record_of([outcome], puts, state, logged)

    def _record_of(
        self,
        outcomes: list[Outcome],
        puts: list[tuple[Contact, Forms]],
        state: Record,
        call: Any = None,
    ) -> Record | None:
        """Return the record of decisions, and of a call to log; None for no write."""
        changes = tuple([done for done in outcomes if not done.unchanged])
        if not changes and call is None:
            return None
        stage = IndexStage(self._index)
        for outcome in changes:
            contact = outcome.contact
            if outcome.created and self._index.has_id(contact.id, contact.scope):
                raise IdInUse(contact.id)
        for contact, forms in puts:
            stage.put(contact, forms)
        return _record(stage.redo(outcomes=changes, call=call), state)


def _record(redo: Redo | CallRedo, state: Record) -> Record:
    return redo, None, None, state[NUMBER] + len(redo.outcomes), get_ident(), None, None


def _after_fork() -> None:
    """Release the locks in a forked child, whichever thread held them."""
    for store in _stores:
        store.lock._at_fork_reinit()  # type: ignore[attr-defined]  # noqa: SLF001
        store._is_reading = False  # noqa: SLF001


if hasattr(os, "register_at_fork"):  # pragma: no branch - not on Windows
    os.register_at_fork(after_in_child=_after_fork)

"""
The writer: decide without the lock, write under it, and never half.

Rules:
    A caller's function (normaliser, rule, ids, clock) never runs while the lock is
    held, so it may be slow, raise or call back, and no call waits for ever.
    A decision counts only if what it rests on still holds; else it is made again. A
    call that was overtaken a few times queues: others wait for it, for a while.
    A write is prepared as a record and published by one assignment. From then on it
    counts; if an exception interrupts it, the next reader or writer completes it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import datetime
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, final
from weakref import WeakSet

from upsertcore.engine.outcome import Outcome, outcome_from_record
from upsertcore.errors import Refused, StalePlan, UnknownContact
from upsertcore.model.record import BEGINNING, NUMBER, ROW, THREAD, WAS, Record
from upsertcore.store.calls import Calls, Once, answered
from upsertcore.store.ids import Draw, SpentId
from upsertcore.store.index import Staged
from upsertcore.store.journal import Entry, Journal
from upsertcore.store.overlay import Overlay
from upsertcore.store.redo import Redo
from upsertcore.store.transaction import (
    Ask,
    AskView,
    Decide,
    Remainder,
    Stage,
    WriteStep,
)

if TYPE_CHECKING:
    from upsertcore.engine.outcome import Result
    from upsertcore.engine.patch import Request
    from upsertcore.engine.plan import Plan
    from upsertcore.model.contact import Contact
    from upsertcore.model.view import Forms
    from upsertcore.store.index import ContactIndex

__all__ = ["Writer"]

A = TypeVar("A")
T = TypeVar("T")


class Basis(Protocol):
    """What a decision rests on."""

    def stale(self, index: ContactIndex) -> str | None:
        """Say what has changed; None where all still holds."""
        ...


V = TypeVar("V", bound=Basis)

_PATIENCE = 3
"""How often a call may be overtaken before it queues."""

_WAIT = 1.0
"""How many seconds other writers wait for a call that queues: its functions might wait
for one of them."""

_DOUBLINGS = 6
"""How often that doubles for one call, so that a long one gets in at last."""

_OVERTAKEN_BY_ITSELF = 100

_VERDICTS = (Refused, UnknownContact, ValueError)
"""What may be due to what was half written when it was read: a refusal, an id that was
not there, a contact that cannot be made."""

_NOT_TAKEN = ("cannot release un-acquired lock",)
"""What Python says of a lock that this thread has not."""

_writers: WeakSet[Writer] = WeakSet()


@final
class Writer:
    """
    What changes an index, and what reads it as a whole.

    Args:
        index: Written by no other writer.
        ids: Returns a fresh id at each call.
        clock: Returns an aware time.
        policy: Named by the outcomes of the fast path.
        retain_calls: How many calls with an idempotency key are remembered, per scope.
        retain_changes: How many changes are kept; None for all.

    The last write that is stored, ``done``, names the state of the index: as long as
    ``published`` is the same record, nothing has changed and nothing is half stored.

    >>> from upsertcore.store.index import ContactIndex
    >>> from upsertcore.store.ids import fresh_ids, utc_now
    >>> Writer(ContactIndex(), fresh_ids(), utc_now).read(lambda: 1)
    1
    """

    __slots__ = (
        *("__weakref__", "_calls", "_index", "_looks", "_owned", "_policy"),
        *("clock", "done", "ids", "journal", "lock", "published"),
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
        self._calls = Calls(retain_calls)
        self.journal = Journal(retain_changes)
        self.published: Record = BEGINNING
        self.done: Record = BEGINNING
        # Whether the thread that has the lock looks at the index.
        self._looks = False
        self.lock = threading.RLock()
        self._owned: Callable[[], bool] = self.lock._is_owned  # type: ignore[attr-defined]  # noqa: SLF001
        _writers.add(self)

    def read(self, ask: Callable[[], T]) -> T:
        """
        Read the index under the lock.

        Args:
            ask: Reads, and calls no function of a caller.
        """
        self._see_no_reentry()
        with self.lock:
            self._completed()
            return self._alone(ask)

    def _alone(self, look: Callable[[], T]) -> T:
        """Look at the index under the lock; a finaliser in between writes nothing."""
        self._looks = True
        try:
            return look()
        finally:
            self._looks = False

    def changes_since(self, number: int) -> tuple[Entry, ...]:
        """Return what was written after a number."""
        return self.read(lambda: self.journal.since(number, self.done[NUMBER]))

    def settle(self, ask: Ask, decide: Decide) -> Plan:
        """
        Decide without the lock until what was decided on still holds.

        Args:
            ask: Makes what a decision asks with; once per attempt.
            decide: Makes the plan.

        Raises:
            Refused: What the decision raises, once what it rests on holds.
            RuntimeError: If a hundred decisions in a row were overtaken by writes
                that they made themselves.
        """
        return self._attempt(ask, decide, lambda plan, _state: (plan, None))

    def write(
        self,
        ask: Ask,
        decide: Decide,
        once: Once | None = None,
        remainder: Remainder | None = None,
    ) -> Outcome:
        """
        Do what a decision says.

        Args:
            ask: As :meth:`settle`.
            decide: As :meth:`settle`.
            once: What identifies this call; if it was made already, its outcome is
                returned again and nothing is done.
            remainder: What was drawn for this call already.

        Raises:
            Refused: As :meth:`settle`; ``IdempotencyKeyReused`` if *once* is another
                call's.
            SpentId: If ``ids`` returns an id that is in use.
        """
        if once is not None:
            # What identifies it may be compared by a caller's function: not in there.
            noted = self.read(lambda: self._calls.noted(once))
            known = answered(once, noted)
            if known is not None:
                return known
        draw = Draw(self.ids, self.clock)
        if remainder is not None:
            draw = Draw(self.ids, self.clock, remainder.id, remainder.now)

        def ready(asked: Request) -> Plan:
            plan = decide(asked)
            draw.ready(plan)
            return plan

        def prepare(plan: Plan, state: Record) -> tuple[Outcome, Record | None]:
            if once is not None:
                known = answered(once, self._calls.noted(once))
                if known is not None:
                    return known, None
            return self._prepared(plan, draw, state, once)

        return self._attempt(ask, ready, prepare)

    def write_all(self, run: Callable[[WriteStep], list[Outcome]]) -> list[Outcome]:
        """
        Do what several decisions say, or nothing of it.

        Args:
            run: Makes the decisions with the function that it is given, which takes
                how to ask and how to decide, as :meth:`write`.

        Raises:
            Refused: The first refusal; then nothing is written.
        """
        draws: list[Draw] = []

        def through(overlay: Overlay) -> tuple[list[Outcome], Overlay]:
            steps = count()

            def step(ask: AskView, decide: Decide) -> Outcome:
                place = next(steps)
                if place == len(draws):
                    draws.append(Draw(self.ids, self.clock))
                plan, draw = decide(ask(overlay)), draws[place]
                draw.ready(plan)
                contact, outcome = _planned(plan, draw)
                if plan.before is None and overlay.is_spent(contact.id):
                    raise SpentId(contact.id)
                if contact is not plan.before:
                    overlay.put(contact, plan.forms)
                return outcome

            return run(step), overlay

        def prepare(
            done: tuple[list[Outcome], Overlay], state: Record
        ) -> tuple[list[Outcome], Record | None]:
            outcomes, overlay = done
            moved = tuple([each for each in outcomes if not each.unchanged])
            if not moved:
                return outcomes, None
            staged = self._staged(overlay.fresh, overlay.puts)
            return outcomes, _record(staged.redo(outcomes=moved), state)

        return self._attempt(lambda: Overlay(self._index), through, prepare)

    def apply(self, plan: Plan) -> Outcome:
        """
        Do what a plan says.

        Raises:
            StalePlan: If what it rests on has changed.
            SpentId: If ``ids`` returns an id that is in use.
        """
        draw = Draw(self.ids, self.clock)

        def fresh() -> None:
            reason = plan.stale(self._index)
            if reason is not None:
                raise StalePlan(reason)

        def do(state: Record) -> tuple[Outcome, Record | None]:
            fresh()
            return self._prepared(plan, draw, state, None)

        self.read(fresh)
        draw.ready(plan)
        return self._change(do)

    def change(self, do: Callable[[Stage], Outcome]) -> Outcome:
        """
        Change the index under the lock, and note what was done.

        Args:
            do: Stages the change and calls no function of a caller; or raises.
        """

        def staged(state: Record) -> tuple[Outcome, Record | None]:
            work = Staged(self._index)
            outcome = do(work)
            if outcome.unchanged:
                return outcome, None
            return outcome, _record(work.redo(outcomes=(outcome,)), state)

        return self._change(staged)

    def time(self) -> datetime:
        """Return the time by the book's clock."""
        return Draw(self.ids, self.clock).time()

    def purge(self, id: str, scope: str) -> int:
        """
        Remove a person from the index, the journal and the memory of calls.

        Raises:
            UnknownContact: If nothing tells of this id.
        """

        def do(state: Record) -> tuple[int, Record | None]:
            staged = Staged(self._index)
            ids = self._purged_ids(staged, id, scope)
            entries, changes = self.journal.purged(ids, scope)
            calls, remembered = self._calls.purged(ids, scope)
            parts = {"entries": entries, "calls": calls}
            redo = staged.redo(**parts)
            if not (redo.rows or changes or remembered):
                raise UnknownContact(id)
            return changes + remembered, (redo, None, None, state[NUMBER], _thread())

        return self._change(do)

    def _purged_ids(self, staged: Staged, id: str, scope: str) -> set[str]:
        if type(id) is not str:
            raise UnknownContact(id)
        try:
            contact = staged.found(id)[0]
        except UnknownContact:
            return self.journal.deleted(id, scope)
        if contact.scope != scope:
            raise UnknownContact(id)
        staged.remove(contact.id)
        return {*contact.ids}

    def _attempt(
        self,
        ask: Callable[[], V],
        decide: Callable[[V], T],
        prepare: Callable[[T, Record], tuple[A, Record | None]],
    ) -> A:
        attempts = own = 0
        while own < _OVERTAKEN_BY_ITSELF:
            state = self._at_attempt(attempts)
            try:
                answer = self._once(state, ask, decide, prepare)
            finally:
                if attempts:
                    self._leave(state)
            if answer is not None:
                return answer[0]
            attempts += 1
            own += self.published[THREAD] == _thread()
        raise RuntimeError(
            "the book changed during each of many attempts at one call: a function of "
            "the policy, ids or clock writes to the book; let it write elsewhere"
        )

    def _once(
        self,
        state: Record,
        ask: Callable[[], V],
        decide: Callable[[V], T],
        prepare: Callable[[T, Record], tuple[A, Record | None]],
    ) -> tuple[A] | None:
        """Make one attempt; None where it does not count."""
        asked = ask()
        try:
            decided = decide(asked)
        except _VERDICTS as error:
            # What it saw may have been half written; only a settled no counts.
            unseen = isinstance(error, UnknownContact)
            if self.published is state or not (unseen or self._moved(asked)):
                raise
            return None
        again = 0
        while True:
            try:
                answer, record = prepare(decided, state)
            except _VERDICTS:
                if self.published is state:
                    raise
            else:
                if self.publish(state, record):
                    return (answer,)
            finally:
                if again:
                    self._leave(state)
            # The decision holds until what it rests on moves; only this is done again.
            again += 1
            state = self._at_attempt(again)
            if self._moved(asked):
                self._leave(state)
                return None

    def _moved(self, asked: Basis) -> bool:
        return self.read(lambda: asked.stale(self._index)) is not None

    def _change(self, do: Callable[[Record], tuple[T, Record | None]]) -> T:
        """Prepare under the lock, and store."""
        while True:
            # A call that has queued needs the lock to leave, so it is waited for first.
            self._begun()
            with self.lock:
                state = self._completed()
                answer, record = self._alone(partial(do, state))
                if self.publish(state, record):
                    return answer

    def publish(self, state: Record, record: Record | None) -> bool:
        """
        Publish a record and store it, unless the state is another one by now.

        Publishing again what is published completes it.

        Args:
            state: The last write that was stored when the record was made.
            record: None where nothing is to be stored.

        Returns:
            Whether the state was still that one.
        """
        if record is None:
            return self.published is state
        lock = self.lock
        # As a with statement, at half its cost, which every call pays.
        try:
            lock.acquire()
            if self.published is not state or self._looks:
                return False
            # Nothing can come between that look and the store that publishes.
            self.published = record
            row = record[ROW]
            if type(row) is Redo:
                self._store(row, record[NUMBER])
                # Last, for nobody completes what is done.
                row.release()
                self.done = record
            else:
                self._index.store_row(record[WAS], row)
                if self.journal.keeps:
                    self._note(record)
                self.done = record
        finally:
            try:
                lock.release()
            except RuntimeError as error:
                # It was not taken: what interrupted that goes on.
                if error.args != _NOT_TAKEN:
                    raise
        return True

    def _store(self, redo: Redo, number: int) -> None:
        """Store what is not the common write; doing it again changes nothing."""
        self._index.store(redo)
        first = number - len(redo.outcomes) + 1
        for place, outcome in enumerate(redo.outcomes, first):
            self.journal.note(place, outcome)
        if redo.call is not None:
            self._calls.note(*redo.call)
        if redo.entries is not None and redo.calls is not None:
            self.journal.entries, self._calls.known = redo.entries, redo.calls

    def _note(self, record: Record) -> None:
        """Note a common write in the journal, unless it was noted before."""
        result: Result = "created" if record[WAS] is None else "updated"
        outcome = outcome_from_record(result, record, self._policy)
        self.journal.note(record[NUMBER], outcome)

    def _completed(self) -> Record:
        """Complete what was published; to be called under the lock."""
        record = self.published
        if record is not self.done and type(record[ROW]) is not _Queue:
            self.publish(record, record)
        return self.done

    def _begun(self) -> Record:
        """Return the state to work on; wait for a call that queues, for a while."""
        self._see_no_reentry()
        record = self.published
        while record is not self.done:
            queue = record[ROW]
            if type(queue) is _Queue and record[THREAD] != _thread():
                queue.wait()
            with self.lock:
                self._completed()
                if self.published is record:
                    self.published = self.done
            record = self.published
        return record

    def _at_attempt(self, attempt: int) -> Record:
        """Return the state to work on; queue for it after a few attempts."""
        return self._begun() if attempt < _PATIENCE else self._queued(attempt)

    def _queued(self, attempt: int = _PATIENCE) -> Record:
        """Make other writers wait; return the state to work on."""
        state = self._begun()
        wait = _WAIT * 2 ** min(attempt - _PATIENCE, _DOUBLINGS)
        record = (_Queue(wait), *state[1:THREAD], _thread())
        return record if self._swap(state, record) else state

    def _swap(self, state: Record, record: Record) -> bool:
        with self.lock:
            if self.published is state:
                self.published = record
                return True
        return False

    def _leave(self, state: Record) -> None:
        if type(state[ROW]) is _Queue:
            self._swap(state, self.done)
            state[ROW].leave()

    def _see_no_reentry(self) -> None:
        if self._owned():
            raise RuntimeError(
                "the book is in the middle of a call by this thread: a signal handler "
                "or a finaliser must not call it; let it set a flag instead"
            )

    def _staged(self, fresh: Any, puts: list[tuple[Contact, Forms]]) -> Staged:
        staged = Staged(self._index)
        for id in fresh:
            if id in self._index:
                raise SpentId(id)
        for contact, forms in puts:
            staged.put(contact, forms)
        return staged

    def _prepared(
        self, plan: Plan, draw: Draw, state: Record, once: Once | None
    ) -> tuple[Outcome, Record | None]:
        contact, outcome = _planned(plan, draw)
        fresh = [contact.id] if plan.before is None else []
        puts = [] if contact is plan.before else [(contact, plan.forms)]
        call = None if once is None else (once[0], once[1], (once[2], outcome))
        if not puts and call is None:
            return outcome, None
        moved = () if outcome.unchanged else (outcome,)
        redo = self._staged(fresh, puts).redo(outcomes=moved, call=call)
        return outcome, _record(redo, state)


@final
class _Queue:
    """
    What a call that queues publishes in place of a row; others wait for it.

    A lock and no event: one of Python's own locks stands in that, which a signal in a
    wait leaves taken, a finaliser finds taken, and a child of a fork keeps taken.

    Args:
        seconds: How long others wait.
    """

    __slots__ = ("_here", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._here, self._seconds = threading.Lock(), seconds
        self._here.acquire()

    def wait(self) -> None:
        """Wait until that call has left, or long enough."""
        if self._here.acquire(timeout=self._seconds):
            self._here.release()

    def leave(self) -> None:
        """Let the others go on; once."""
        self._here.release()


def _record(redo: Redo, state: Record) -> Record:
    return redo, None, None, state[NUMBER] + len(redo.outcomes), _thread()


def _planned(plan: Plan, draw: Draw) -> tuple[Contact, Outcome]:
    """Make the contact that a plan describes, and say what happened."""
    contact = draw.contact(plan)
    outcome = Outcome(
        plan.result,
        contact,
        plan.before,
        plan.matched_by,
        plan.withheld,
        plan.ignored,
        plan.also_matched,
        plan.merged,
        plan.policy,
    )
    return contact, outcome


_thread = threading.get_ident


def _after_fork() -> None:
    """Let a child of this process write, whichever thread held a lock."""
    for writer in _writers:
        writer.lock._at_fork_reinit()  # type: ignore[attr-defined]  # noqa: SLF001
        writer._looks = False  # noqa: SLF001


if hasattr(os, "register_at_fork"):  # pragma: no branch - not on Windows
    os.register_at_fork(after_in_child=_after_fork)

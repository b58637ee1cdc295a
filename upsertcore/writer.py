"""
The writer: decide without the lock, write under it.

Rules:
    What a host hands in (normaliser, rule, ids, clock) never runs while the lock is
    held, so it may be slow, raise or call back, and nothing waits for ever.
    A decision counts only if what it rests on still holds; else it is made anew.
    Whatever is refused, or raises, leaves the index as it was.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from itertools import count
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar, final

from upsertcore.calls import Calls, Once
from upsertcore.deleting import deleting
from upsertcore.draw import Draw
from upsertcore.errors import StalePlan, UnknownContact
from upsertcore.journal import Entry, Journal
from upsertcore.outcome import Outcome
from upsertcore.overlay import Overlay

if TYPE_CHECKING:
    from upsertcore.index import ContactIndex
    from upsertcore.patch import Asked
    from upsertcore.planned import Plan
    from upsertcore.quick import Left
    from upsertcore.view import View

__all__ = ["Writer"]

T = TypeVar("T")

Ask: TypeAlias = "Callable[[], Asked]"
Decide: TypeAlias = "Callable[[Asked], Plan]"
AskView: TypeAlias = "Callable[[View], Asked]"
Step: TypeAlias = "Callable[[AskView, Decide], Outcome]"


class Seen(Protocol):
    """What a decision rests on."""

    def stale(self, index: ContactIndex) -> str | None:
        """Say what has changed; None where all still holds."""
        ...


V = TypeVar("V", bound=Seen)

_OVERTAKEN = 10_000
_OVERTAKEN_BY_ITSELF = 100


@final
class Writer:
    """
    What stands between a book and its index.

    Args:
        index: Written by nobody else.
        ids: Answers a fresh id at each call.
        clock: Answers an aware time.
        keep_calls: How many calls with an idempotency key are remembered.
        keep_changes: How many changes are kept; None for all.

    The hot path writes beside it: it takes ``lock``, sees by ``writes`` whether anybody
    has written since it looked, and does what :meth:`wrote` does.

    >>> from upsertcore import ContactIndex
    >>> from upsertcore.draw import fresh_ids, utc_now
    >>> Writer(ContactIndex(), fresh_ids(), utc_now).read(lambda: 1)
    1
    """

    __slots__ = (
        "_calls",
        "_index",
        "clock",
        "ids",
        "journal",
        "last",
        "lock",
        "writes",
    )

    def __init__(
        self,
        index: ContactIndex,
        ids: Callable[[], str],
        clock: Callable[[], datetime],
        keep_calls: int = 0,
        keep_changes: int | None = 0,
    ) -> None:
        self._index, self.ids, self.clock = index, ids, clock
        self._calls = Calls(keep_calls)
        self.journal = Journal(keep_changes)
        self.lock = threading.Lock()
        self.writes = 0
        self.last = 0

    def read(self, ask: Callable[[], T]) -> T:
        """
        Ask the index under the lock.

        Args:
            ask: Reads, and calls nothing of a host's.
        """
        with self.lock:
            return ask()

    def changes_since(self, number: int) -> tuple[Entry, ...]:
        """Give what was written after a number."""
        with self.lock:
            return self.journal.since(number)

    def settle(self, ask: Ask, decide: Decide) -> Plan:
        """
        Decide without the lock until what was decided on still holds.

        Args:
            ask: Makes what a decision asks with; once per attempt.
            decide: Makes the plan.

        Raises:
            Refused: What the decision raises, once what it rests on holds.
            RuntimeError: If a hundred decisions in a row were overtaken by writes
                that they made themselves, or ten thousand by others.
        """
        return self._attempt(ask, decide, lambda _plan: None)

    def write(
        self,
        ask: Ask,
        decide: Decide,
        once: Once | None = None,
        left: Left | None = None,
    ) -> Outcome:
        """
        Do what a decision says.

        Args:
            ask: As :meth:`settle`.
            decide: As :meth:`settle`.
            once: What tells this call from others; if it was made already, its
                outcome is given again and nothing is done.
            left: What was drawn for this call already.

        Raises:
            Refused: As :meth:`settle`; ``CallReused`` if *once* is another call's.
            ValueError: If ``ids`` answers an id that is in use.
        """
        if once is not None:
            known = self.read(lambda: self._calls.recall(once))
            if known is not None:
                return known
        draw, made = Draw(self.ids, self.clock), 0
        if left is not None:
            draw = Draw(self.ids, self.clock, left.id, left.now)
            made = int(left.now is not None)
        done: list[Outcome] = []

        def ready(asked: Asked) -> Plan:
            plan = decide(asked)
            draw.ready(plan)
            return plan

        def put(plan: Plan) -> None:
            known = self._calls.recall(once)
            done.append(self._put(plan, draw) if known is None else known)
            self._calls.note(once, done[0])

        self._attempt(ask, ready, put, made)
        return done[0]

    def write_all(self, run: Callable[[Step], list[Outcome]]) -> list[Outcome]:
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
                return _put(overlay, plan, draw)

            return run(step), overlay

        def commit(done: tuple[list[Outcome], Overlay]) -> None:
            for id in done[1].fresh:
                if self._index.is_spent(id):
                    raise ValueError(f"ids: must answer a fresh id, not {id!r}")
            for contact, forms in done[1].puts:
                self._index.put(contact, forms)
            for outcome in done[0]:
                if not outcome.unchanged:
                    self.wrote(outcome)

        return self._attempt(lambda: Overlay(self._index), through, commit)[0]

    def apply(self, plan: Plan) -> Outcome:
        """
        Do what a plan says.

        Raises:
            StalePlan: If what it rests on has changed.
            ValueError: If ``ids`` answers an id that is in use.
        """
        draw = Draw(self.ids, self.clock)
        self.read(lambda: self._fresh(plan))
        draw.ready(plan)
        with self.lock:
            self._fresh(plan)
            return self._put(plan, draw)

    def _attempt(
        self,
        ask: Callable[[], V],
        decide: Callable[[V], T],
        put: Callable[[T], None],
        made: int = 0,
    ) -> T:
        own = 0
        for _ in range(made, _OVERTAKEN):
            writes, asked = self.writes, ask()
            try:
                plan = decide(asked)
            except Exception as error:
                # What it saw may have been half written; only a settled no counts.
                unseen = isinstance(error, UnknownContact)
                with self.lock:
                    if self._holds(writes, None if unseen else asked):
                        raise
            else:
                with self.lock:
                    if self._holds(writes, asked):
                        put(plan)
                        return plan
            own += self.last == threading.get_ident()
            if own == _OVERTAKEN_BY_ITSELF:
                break
        raise RuntimeError(
            "the book changed under each of many attempts at one call; "
            "does a function of its host write to it?"
        )

    def _holds(self, writes: int, asked: Seen | None) -> bool:
        if writes == self.writes:
            return True
        return asked is not None and asked.stale(self._index) is None

    def _fresh(self, plan: Plan) -> None:
        reason = plan.stale(self._index)
        if reason is not None:
            raise StalePlan(reason)

    def _put(self, plan: Plan, draw: Draw) -> Outcome:
        outcome = _put(self._index, plan, draw)
        if not outcome.unchanged:
            self.wrote(outcome)
        return outcome

    def wrote(self, outcome: Outcome) -> None:
        """Note what was done to the index; to be called under the lock."""
        self.journal.note(outcome)
        self.writes += 1
        self.last = threading.get_ident()

    def change(self, do: Callable[[ContactIndex], Outcome]) -> Outcome:
        """
        Change the index under the lock, and note what was done.

        Args:
            do: Changes it, and calls nothing of a host's; or raises, and has not.
        """
        with self.lock:
            outcome = do(self._index)
            if not outcome.unchanged:
                self.wrote(outcome)
            return outcome

    def delete(self, id: str, *, keep: bool) -> Outcome:
        """
        Take a contact out of the index, or mark it as deleted.

        Args:
            id: The contact's own.
            keep: Mark it; what is marked already stays as it is.

        Raises:
            UnknownContact: If there is none.
        """
        now = Draw(self.ids, self.clock).time() if keep else None
        return self.change(deleting(id, now))

    def purge(self, id: str) -> int:
        """
        Take a person out of the index, the journal and the memory of calls.

        Raises:
            UnknownContact: If nothing tells of this id.
        """
        with self.lock:
            if type(id) is not str:
                raise UnknownContact(id)
            contact = self._index.get(id) if id in self._index else None
            ids = self.journal.deleted(id) if contact is None else {*contact.ids}
            purged = self.journal.purge(ids) + self._calls.purge(ids)
            if contact is not None:
                self._index.remove(contact.id)
                self.writes += 1
            elif not purged:
                raise UnknownContact(id)
            return purged


def _put(index: ContactIndex | Overlay, plan: Plan, draw: Draw) -> Outcome:
    """Write a contact as a plan describes it, and say what happened."""
    contact = draw.contact(plan)
    if plan.before is None and index.is_spent(contact.id):
        raise ValueError(f"ids: must answer a fresh id, not {contact.id!r}")
    if contact is not plan.before:
        index.put(contact, plan.forms)
    return Outcome(
        plan.result,
        contact,
        plan.before,
        plan.matched_by,
        plan.withheld,
        plan.ignored,
        plan.others,
        plan.absorbed,
        plan.policy,
    )

"""
The writer: decide without the lock, write under it.

Rules:
    What a host hands in (normaliser, rule, ids, clock) never runs while the lock is
    held, so it may be slow, raise or call back, and nothing waits for ever.
    A decision counts only if what it rests on still holds; else it is made anew.
    Whatever is refused, or raises, leaves the index as it was.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timezone
from itertools import count
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, final

from upsertcore.contact import Contact
from upsertcore.errors import StalePlan
from upsertcore.outcome import Outcome
from upsertcore.values import freeze

if TYPE_CHECKING:
    from upsertcore.index import ContactIndex
    from upsertcore.patch import Asked
    from upsertcore.plan import Plan

__all__ = ["Writer", "fresh_ids", "utc_now"]

T = TypeVar("T")

Ask: TypeAlias = "Callable[[], Asked]"
Decide: TypeAlias = "Callable[[Asked], Plan]"

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

    >>> from upsertcore import ContactIndex
    >>> Writer(ContactIndex(), fresh_ids(), utc_now).read(lambda: 1)
    1
    """

    __slots__ = ("_clock", "_ids", "_index", "_last", "_lock", "_writes")

    def __init__(
        self,
        index: ContactIndex,
        ids: Callable[[], str],
        clock: Callable[[], datetime],
    ) -> None:
        self._index, self._ids, self._clock = index, ids, clock
        self._lock = threading.Lock()
        self._writes = 0
        self._last = 0

    def read(self, ask: Callable[[], T]) -> T:
        """
        Ask the index under the lock.

        Args:
            ask: Reads, and calls nothing of a host's.
        """
        with self._lock:
            return ask()

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

    def write(self, ask: Ask, decide: Decide) -> Outcome:
        """
        Do what a decision says.

        Args:
            ask: As :meth:`settle`.
            decide: As :meth:`settle`.

        Raises:
            Refused: As :meth:`settle`.
            ValueError: If ``ids`` answers an id that is in use.
        """
        draw = _Draw(self._ids, self._clock)
        done: list[Outcome] = []

        def ready(asked: Asked) -> Plan:
            plan = decide(asked)
            draw.ready(plan)
            return plan

        self._attempt(ask, ready, lambda plan: done.append(self._put(plan, draw)))
        return done[0]

    def apply(self, plan: Plan) -> Outcome:
        """
        Do what a plan says.

        Raises:
            StalePlan: If what it rests on has changed.
            ValueError: If ``ids`` answers an id that is in use.
        """
        draw = _Draw(self._ids, self._clock)
        self.read(lambda: self._fresh(plan))
        draw.ready(plan)
        with self._lock:
            self._fresh(plan)
            return self._put(plan, draw)

    def _attempt(self, ask: Ask, decide: Decide, put: Callable[[Plan], None]) -> Plan:
        own = 0
        for _ in range(_OVERTAKEN):
            writes, asked = self._writes, ask()
            try:
                plan = decide(asked)
            except Exception:
                # What it saw may have been half written; only a settled no counts.
                with self._lock:
                    if self._holds(writes, asked):
                        raise
            else:
                with self._lock:
                    if self._holds(writes, asked):
                        put(plan)
                        return plan
            own += self._last == threading.get_ident()
            if own == _OVERTAKEN_BY_ITSELF:
                break
        raise RuntimeError(
            "the book changed under each of many attempts at one call; "
            "does a function of its host write to it?"
        )

    def _holds(self, writes: int, asked: Asked) -> bool:
        return writes == self._writes or asked.stale(self._index) is None

    def _fresh(self, plan: Plan) -> None:
        reason = plan.stale(self._index)
        if reason is not None:
            raise StalePlan(reason)

    def _put(self, plan: Plan, draw: _Draw) -> Outcome:
        contact = draw.contact(plan)
        if plan.before is None and contact.id in self._index:
            raise ValueError(f"ids: must answer a fresh id, not {contact.id!r}")
        if contact is not plan.before:
            self._index.put(contact, plan.forms)
            self._wrote()
        return _outcome(plan, contact)

    def _wrote(self) -> None:
        self._writes += 1
        self._last = threading.get_ident()

    def remove(self, id: str) -> Contact:
        """
        Take a contact out of the index.

        Raises:
            UnknownContact: If there is none.
        """
        with self._lock:
            contact = self._index.remove(id)
            self._wrote()
            return contact


def fresh_ids() -> Callable[[], str]:
    """
    Make opaque ids that repeat in no other book or process.

    Returns:
        A random prefix, drawn once, and a counter.

    >>> ids = fresh_ids()
    >>> ids().split("-")[1], ids().split("-")[1]
    ('1', '2')
    """
    prefix, numbers = secrets.token_hex(8), count(1)
    return lambda: f"{prefix}-{next(numbers)}"


def utc_now() -> datetime:
    """
    Read the system's clock.

    >>> utc_now().utcoffset()
    datetime.timedelta(0)
    """
    return datetime.now(UTC)


class _Draw:
    """The id and the time of one call: asked for when needed, and only once."""

    __slots__ = ("_clock", "_id", "_ids", "_now")

    def __init__(self, ids: Callable[[], str], clock: Callable[[], datetime]) -> None:
        self._ids, self._clock = ids, clock
        self._id: str | None = None
        self._now: datetime | None = None

    def ready(self, plan: Plan) -> None:
        """Ask for what a plan needs and has not yet."""
        if plan.before is None and self._id is None:
            self._id = _checked_id(self._ids())
        if not plan.unchanged and self._now is None:
            self._now = _checked_time(self._clock())

    def contact(self, plan: Plan) -> Contact:
        """Make the contact that a plan describes; the stored one if nothing moves."""
        before, after, now = plan.before, plan.after, self._now
        history: Any = plan.aliases, plan.clocks
        if before is None:
            return Contact(self._id, plan.scope, after, 1, now, now, *history)  # type: ignore[arg-type]
        if plan.unchanged:
            return before
        version, created = before.version + 1, before.created_at
        ids = [id for other in plan.absorbed for id in (other.id, *other.absorbed)]
        absorbed = before.absorbed + tuple(ids)
        history += (absorbed,)
        return Contact(before.id, before.scope, after, version, created, now, *history)  # type: ignore[arg-type]


def _checked_id(id: Any) -> str:
    if not isinstance(id, str) or not id:
        raise TypeError(f"ids: must answer text, not {id!r}")
    return freeze(id)  # type: ignore[no-any-return]


def _checked_time(now: Any) -> datetime:
    if not isinstance(now, datetime) or now.utcoffset() is None:
        raise TypeError(f"clock: must answer an aware time, not {now!r}")
    if now.tzinfo is UTC:
        return now
    try:
        now.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"clock: must answer a time of UTC, not {now!r}") from error
    # As a row of it reads back: the offset of that moment, without the zone's rules.
    return now.replace(tzinfo=timezone(now.utcoffset()), fold=0)  # type: ignore[arg-type]


def _outcome(plan: Plan, contact: Contact) -> Outcome:
    return Outcome(
        plan.result,
        contact,
        plan.before,
        plan.matched_by,
        plan.withheld,
        plan.ignored,
        plan.others,
        plan.absorbed,
    )

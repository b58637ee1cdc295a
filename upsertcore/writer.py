"""
The writer: decide without the lock, write under it.

Rules:
    What a host hands in (normaliser, rule, ids, clock) never runs while the lock is
    held, so it may be slow, raise or call back, and nothing waits for ever.
    An answer counts only if no write came between; otherwise it is asked for anew.
    Whatever is refused, or raises, leaves the index as it was.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar, final

from upsertcore.contact import Contact
from upsertcore.errors import StaleVersion
from upsertcore.outcome import Outcome

if TYPE_CHECKING:
    from upsertcore.index import ContactIndex
    from upsertcore.patch import Forms
    from upsertcore.plan import Plan

__all__ = ["Writer", "fresh_ids", "utc_now"]

T = TypeVar("T")

_ATTEMPTS = 100


@final
class Writer:
    """
    What stands between a book and its index.

    Args:
        index: Written by nobody else.
        ids: Answers a fresh id at each call.
        clock: Answers an aware time.

    >>> from upsertcore import ContactIndex
    >>> Writer(ContactIndex(), str, datetime.now).settled(lambda: 1)
    1
    """

    __slots__ = ("_clock", "_ids", "_index", "_lock", "_writes")

    def __init__(
        self,
        index: ContactIndex,
        ids: Callable[[], str],
        clock: Callable[[], datetime],
    ) -> None:
        self._index, self._ids, self._clock = index, ids, clock
        self._lock = threading.Lock()
        self._writes = 0

    def settled(
        self, ask: Callable[[], T], write: Callable[[T], None] | None = None
    ) -> T:
        """
        Ask without the lock until no write came between; then write under it.

        Args:
            ask: Reads the index; asked again where a write came between.
            write: Writes what was answered, and may not fail.

        Returns:
            The answer that counted.

        Raises:
            RuntimeError: If a hundred answers in a row came too late, which other
                threads cannot do: the function itself writes to the book.
        """
        for _ in range(_ATTEMPTS):
            writes = self._writes
            try:
                answer = ask()
            except Exception:
                # What it saw may have been half written; only a settled no counts.
                with self._lock:
                    if writes == self._writes:
                        raise
                continue
            with self._lock:
                if writes == self._writes:
                    if write is not None:
                        write(answer)
                    return answer
        raise RuntimeError(
            f"the book changed {_ATTEMPTS} times during one call; "
            "does a function of its host write to it?"
        )

    def write(
        self, decide: Callable[[], Plan], if_version: int | None = None
    ) -> Outcome:
        """
        Do what a decision says.

        Args:
            decide: Makes the plan; made again where a write came between.
            if_version: The version that the contact must have.

        Raises:
            StaleVersion: If it has another one.
            ValueError: If ``ids`` answers an id that is in use.
        """
        draw = _Draw(self._ids, self._clock)

        def ask() -> tuple[Outcome, Forms]:
            plan = decide()
            _at_version(plan, if_version)
            contact = draw.contact(plan)
            if plan.before is None and contact.id in self._index:
                raise ValueError(f"ids: must answer a fresh id, not {contact.id!r}")
            return _outcome(plan, contact), plan.forms

        def write(answer: tuple[Outcome, Forms]) -> None:
            outcome, forms = answer
            if outcome.contact is not outcome.before:
                self._index.put(outcome.contact, forms)
                self._writes += 1

        return self.settled(ask, write)[0]

    def remove(self, id: str) -> Contact:
        """
        Take a contact out of the index.

        Raises:
            UnknownContact: If there is none.
        """
        with self._lock:
            contact = self._index.remove(id)
            self._writes += 1
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

    def contact(self, plan: Plan) -> Contact:
        """Make the contact that a plan describes; the stored one if nothing moves."""
        before, after = plan.before, plan.after
        if before is None:
            id, now = self.id(), self.now()
            return Contact(id, plan.scope, after, 1, now, now)
        if plan.unchanged:
            return before
        version, created = before.version + 1, before.created_at
        return Contact(before.id, before.scope, after, version, created, self.now())

    def id(self) -> str:
        if self._id is None:
            drawn: Any = self._ids()
            if not isinstance(drawn, str) or not drawn:
                raise TypeError(f"ids: must answer text, not {drawn!r}")
            self._id = drawn
        return self._id

    def now(self) -> datetime:
        if self._now is None:
            drawn: Any = self._clock()
            if not isinstance(drawn, datetime) or drawn.utcoffset() is None:
                raise TypeError(f"clock: must answer an aware time, not {drawn!r}")
            self._now = drawn
        return self._now


def _outcome(plan: Plan, contact: Contact) -> Outcome:
    return Outcome(
        plan.result,
        contact,
        plan.before,
        plan.matched_by,
        plan.withheld,
        plan.ignored,
        plan.others,
    )


def _at_version(plan: Plan, version: int | None) -> None:
    before = plan.before
    if version is None or (before is not None and before.version == version):
        return
    if before is None:
        raise StaleVersion(None, version, None)
    raise StaleVersion(before.id, version, before.version)

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
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar, final

from upsertcore.contact import Contact
from upsertcore.errors import StaleVersion, UnknownContact
from upsertcore.outcome import Outcome

if TYPE_CHECKING:
    from upsertcore.index import ContactIndex
    from upsertcore.patch import View
    from upsertcore.plan import Plan

__all__ = ["Writer", "fresh_ids", "stale", "utc_now"]

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
    >>> Writer(ContactIndex(), fresh_ids(), utc_now).read(lambda: 1)
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

    def read(self, ask: Callable[[], T]) -> T:
        """
        Ask the index under the lock.

        Args:
            ask: Reads, and calls nothing of a host's.
        """
        with self._lock:
            return ask()

    def settle(self, decide: Callable[[], Plan]) -> Plan:
        """
        Decide without the lock until what was decided on still holds.

        Args:
            decide: Makes the plan; made again where what it rests on has changed.

        Raises:
            Refused: What the decision raises, once no write came between.
            RuntimeError: If a hundred decisions in a row were overtaken.
        """
        return self._attempt(decide, lambda _plan: None)

    def write(
        self, decide: Callable[[], Plan], if_version: int | None = None
    ) -> Outcome:
        """
        Do what a decision says.

        Args:
            decide: Makes the plan; made again where what it rests on has changed.
            if_version: The version that the contact must have.

        Raises:
            Refused: As :meth:`settle`.
            StaleVersion: If the contact has another version.
            ValueError: If ``ids`` answers an id that is in use.
        """
        draw = _Draw(self._ids, self._clock)
        done: list[Outcome] = []

        def put(plan: Plan) -> None:
            contact = draw.contact(plan)
            if plan.before is None and contact.id in self._index:
                raise ValueError(f"ids: must answer a fresh id, not {contact.id!r}")
            if contact is not plan.before:
                self._index.put(contact, plan.forms)
                self._writes += 1
            done.append(_outcome(plan, contact))

        def ready() -> Plan:
            plan = decide()
            _at_version(plan, if_version)
            draw.ready(plan)
            return plan

        self._attempt(ready, put)
        return done[0]

    def _attempt(self, decide: Callable[[], Plan], put: Callable[[Plan], None]) -> Plan:
        for left in range(_ATTEMPTS)[::-1]:
            writes = self._writes
            try:
                plan = decide()
            except Exception:
                # What it saw may have been half written; only a settled no counts.
                with self._lock:
                    if writes == self._writes or not left:
                        raise
                continue
            with self._lock:
                if writes == self._writes or stale(plan, self._index) is None:
                    put(plan)
                    return plan
        raise RuntimeError(
            f"the book changed {_ATTEMPTS} times under one call; "
            "does a function of its host write to it?"
        )

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

    def ready(self, plan: Plan) -> None:
        """Ask for what a plan needs and has not yet."""
        if plan.before is None and self._id is None:
            self._id = _checked_id(self._ids())
        if not plan.unchanged and self._now is None:
            self._now = _checked_time(self._clock())

    def contact(self, plan: Plan) -> Contact:
        """Make the contact that a plan describes; the stored one if nothing moves."""
        before, after, now = plan.before, plan.after, self._now
        if before is None:
            return Contact(self._id, plan.scope, after, 1, now, now)  # type: ignore[arg-type]
        if plan.unchanged:
            return before
        version, created = before.version + 1, before.created_at
        return Contact(before.id, before.scope, after, version, created, now)  # type: ignore[arg-type]


def _checked_id(id: Any) -> str:
    if not isinstance(id, str) or not id:
        raise TypeError(f"ids: must answer text, not {id!r}")
    return id


def _checked_time(now: Any) -> datetime:
    if not isinstance(now, datetime) or now.utcoffset() is None:
        raise TypeError(f"clock: must answer an aware time, not {now!r}")
    return now


def stale(plan: Plan, index: View) -> str | None:
    """
    Say what has changed of what a plan rests on; None where all still holds.

    Cost:
        One look-up for each one of the plan.

    >>> from upsertcore import ContactBook, ContactIndex, Policy, field, first_match
    >>> index = ContactIndex(["email"])
    >>> book = ContactBook(
    ...     Policy(first_match("email"), {"email": field(key=str.lower)}), index=index
    ... )
    >>> plan = book.plan({"email": "ada@x.org"})
    >>> _ = book.upsert({"email": "ada@x.org"})
    >>> stale(plan, index)
    'email: other contacts hold ada@x.org now'
    """
    expects = plan.expects
    for id, version in expects.versions.items():
        try:
            actual = index.get(id).version
        except UnknownContact:
            return f"contact {id} is gone"
        if actual != version:
            return f"contact {id} is at version {actual}, not {version}"
    for key, form, ids in expects.keys:
        if index.holders(key, form, plan.scope) != ids:
            return f"{key}: other contacts hold {form} now"
    return None


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

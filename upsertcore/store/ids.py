"""
Drawing: the id and the time of a call, from what a host hands in.

Rules:
    Each is asked for where it is needed, once per call, and never under a lock.
    What is answered is looked at: a fresh id is text, a time is aware.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timezone
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, TypedDict, final

from upsertcore.model.contact import Contact
from upsertcore.values import freeze, same, shown

if TYPE_CHECKING:
    from upsertcore.engine.plan import Plan
    from upsertcore.store.index import ContactIndex

__all__ = [
    "Draw",
    "Making",
    "SpentId",
    "checked_id",
    "checked_time",
    "fresh_ids",
    "utc_now",
]


def fresh_ids() -> Callable[[], str]:
    """
    Make opaque ids that repeat in no other book or process.

    Returns:
        A random prefix and a counter; after a fork the child has a prefix of its own.

    >>> ids = fresh_ids()
    >>> ids().split("-")[1], ids().split("-")[1]
    ('1', '2')
    """
    prefix, numbers, process = os.urandom(8).hex(), count(1), _process

    def fresh() -> str:
        nonlocal prefix, process
        if process is not _process:
            prefix, process = os.urandom(8).hex(), _process
        return f"{prefix}-{next(numbers)}"

    return fresh


_process = object()


def _after_fork() -> None:
    global _process  # noqa: PLW0603 - it stands for the process, of which there is one
    _process = object()


if hasattr(os, "register_at_fork"):  # pragma: no branch - not on Windows
    os.register_at_fork(after_in_child=_after_fork)


class SpentId(ValueError):
    """
    An id that ``ids`` returned although a contact has it.

    Args:
        id: The id.

    >>> str(SpentId("c-1"))
    "ids: must return a fresh id, not 'c-1', which a contact has; return another ..."
    """

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.id = id

    def __str__(self) -> str:
        what = f"must return a fresh id, not {shown(self.id)}, which a contact has"
        return f"ids: {what}; return another one at each call"


utc_now: Callable[[], datetime] = partial(datetime.now, UTC)
"""Reads the system's clock."""


class Making(TypedDict, total=False):
    """What a book is made with, but for its policy."""

    ids: Callable[[], str] | None
    clock: Callable[[], datetime] | None
    index: ContactIndex | None
    retain_calls: int
    retain_changes: int | None


@final
class Draw:
    """
    The id and the time of one call: asked for when needed, and only once.

    Args:
        ids: Answers a fresh id.
        clock: Answers an aware time.
        id: What was asked for already, None where nothing was.
        now: The same of the time.
    """

    __slots__ = ("_clock", "_id", "_ids", "_now")

    def __init__(
        self,
        ids: Callable[[], str],
        clock: Callable[[], datetime],
        id: str | None = None,
        now: datetime | None = None,
    ) -> None:
        self._ids, self._clock = ids, clock
        self._id, self._now = id, now

    def ready(self, plan: Plan) -> None:
        """Ask for what a plan needs and has not yet."""
        if plan.before is None and self._id is None:
            self._id = checked_id(self._ids())
        if plan.result != "unchanged":
            self.time()

    def time(self) -> datetime:
        """Give the time of the call."""
        if self._now is None:
            self._now = checked_time(self._clock())
        return self._now

    def contact(self, plan: Plan) -> Contact:
        """Make the contact that a plan describes; the stored one if nothing moves."""
        before, after, now = plan.before, plan.after, self._now
        history: Any = plan.aliases, plan.clocks
        if before is None:
            return Contact(self._id, plan.scope, after, 1, now, now, *history)  # type: ignore[arg-type]
        if plan.unchanged:
            return before
        version, created = before.version + 1, before.created_at
        fields, clocks = same(after, before.fields), same(plan.clocks, before.clocks)
        if fields and clocks and before.deleted_at is None:
            # It has absorbed others, and nothing of its own has moved.
            now = before.updated_at
        gone = [id for other in plan.merged for id in other.ids]
        history += (before.merged_ids + tuple(gone),)
        return Contact(before.id, before.scope, after, version, created, now, *history)  # type: ignore[arg-type]


def checked_id(id: Any) -> str:
    """
    See that what ``ids`` answered is an id.

    Raises:
        TypeError: If it is no text, or blank.

    >>> checked_id("c-1")
    'c-1'
    """
    if not isinstance(id, str) or not id.strip():
        advice = "return text, such as str(uuid4())"
        raise TypeError(f"ids: must return a non-empty str, got {shown(id)}; {advice}")
    return freeze(id)  # type: ignore[no-any-return]


def checked_time(now: Any) -> datetime:
    """
    Check that a clock returned a time; return it as a plain one with a fixed offset.

    Raises:
        TypeError: If it is no aware time.
        ValueError: If UTC has no such time.

    >>> checked_time(datetime(2024, 1, 2, tzinfo=UTC)).year
    2024
    """
    if not isinstance(now, datetime) or now.utcoffset() is None:
        advice = "return datetime.now(timezone.utc), say"
        raise TypeError(f"clock: must return an aware time, got {shown(now)}; {advice}")
    time = now
    if type(now) is not datetime:
        # Another class may compare and print in its own way, as that of pandas does.
        time = datetime.combine(now.date(), now.timetz())
    if time.tzinfo is UTC:
        return time
    try:
        time.astimezone(UTC)
    except OverflowError as error:
        what = f"must return a time of UTC's calendar, got {shown(now)}"
        raise ValueError(f"clock: {what}; return a later or earlier one") from error
    # As a row of it reads back: the offset of that moment, without the zone's rules.
    return time.replace(tzinfo=timezone(time.utcoffset()), fold=0)  # type: ignore[arg-type]

"""
The id and the time of a call, from the functions ``ids`` and ``clock``.

Rules:
    Each function is called only if needed, once per call, and never under a lock.
    Its result is checked: an id is text, a time is aware.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timezone
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, TypedDict, final

from upsertcore.model.contact import Contact
from upsertcore.values import freeze, same, show_value

if TYPE_CHECKING:
    from upsertcore.engine.plan import Plan
    from upsertcore.store.index import ContactIndex

__all__ = [
    "BookOptions",
    "IdInUse",
    "Stamp",
    "checked_id",
    "checked_time",
    "fresh_ids",
    "utc_now",
]


def fresh_ids() -> Callable[[], str]:
    """
    Return a function that makes opaque ids, unique across books and processes.

    Returns:
        Ids of a random prefix and a counter; a forked child uses a new prefix.

    >>> ids = fresh_ids()
    >>> ids().split("-")[1], ids().split("-")[1]
    ('1', '2')
    """
    prefix, numbers, process = os.urandom(8).hex(), count(1), _process

    def next_id() -> str:
        nonlocal prefix, process
        if process is not _process:
            prefix, process = os.urandom(8).hex(), _process
        return f"{prefix}-{next(numbers)}"

    return next_id


_process = object()


def _after_fork() -> None:
    global _process  # noqa: PLW0603 - one object per process
    _process = object()


if hasattr(os, "register_at_fork"):  # pragma: no branch - not on Windows
    os.register_at_fork(after_in_child=_after_fork)


class IdInUse(ValueError):
    """
    An id that ``ids`` returned although a contact already has it.

    Args:
        id: The id.

    >>> str(IdInUse("c-1"))
    "ids: must return a new id, but a contact already has 'c-1'; return a different ..."
    """

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.id = id

    def __str__(self) -> str:
        what = f"must return a new id, but a contact already has {show_value(self.id)}"
        return f"ids: {what}; return a different id at each call"


utc_now: Callable[[], datetime] = partial(datetime.now, UTC)
"""Reads the system clock."""


class BookOptions(TypedDict, total=False):
    """The arguments of a book, without its policy."""

    ids: Callable[[], str] | None
    clock: Callable[[], datetime] | None
    index: ContactIndex | None
    retain_calls: int
    retain_changes: int | None


@final
class Stamp:
    """
    The id and the time of one call, each drawn when needed and only once.

    Args:
        ids: Returns a fresh id.
        clock: Returns an aware time.
        id: The id, if it is drawn already.
        now: The time, if it is drawn already.
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

    def prepare(self, plan: Plan) -> None:
        """Draw what a plan needs."""
        if plan.before is None and self._id is None:
            self._id = checked_id(self._ids())
        if plan.result != "unchanged":
            self.time()

    def time(self) -> datetime:
        """Return the time of the call."""
        if self._now is None:
            self._now = checked_time(self._clock())
        return self._now

    def contact(self, plan: Plan) -> Contact:
        """Make the contact that a plan describes; the stored one if nothing changes."""
        before, after, now = plan.before, plan.after, self._now
        history: Any = plan.aliases, plan.clocks
        if before is None:
            return Contact(self._id, plan.scope, after, 1, now, now, *history)  # type: ignore[arg-type]
        if plan.unchanged:
            return before
        version, created = before.version + 1, before.created_at
        fields, clocks = same(after, before.fields), same(plan.clocks, before.clocks)
        if fields and clocks and before.deleted_at is None:
            # It has merged others, and none of its own fields has changed.
            now = before.updated_at
        merged_ids = [id for other in plan.merged for id in other.ids]
        history += (before.merged_ids + tuple(merged_ids),)
        return Contact(before.id, before.scope, after, version, created, now, *history)  # type: ignore[arg-type]


def checked_id(id: Any) -> str:
    """
    Check that ``ids`` returned an id.

    Raises:
        TypeError: If it is not text, or blank.

    >>> checked_id("c-1")
    'c-1'
    """
    if not isinstance(id, str) or not id.strip():
        advice = "return text, such as str(uuid4())"
        raise TypeError(
            f"ids: must return a non-empty str, got {show_value(id)}; {advice}"
        )
    return freeze(id)  # type: ignore[no-any-return]


def checked_time(now: Any) -> datetime:
    """
    Check that a clock returned a time; return it as a ``datetime`` with a fixed offset.

    Raises:
        TypeError: If it is not an aware time.
        ValueError: If it is out of range in UTC.

    >>> checked_time(datetime(2024, 1, 2, tzinfo=UTC)).year
    2024
    """
    if not isinstance(now, datetime) or now.utcoffset() is None:
        advice = "return datetime.now(timezone.utc), say"
        raise TypeError(
            f"clock: must return an aware time, got {show_value(now)}; {advice}"
        )
    time = now
    if type(now) is not datetime:
        # A subclass may compare and print differently, as that of pandas does.
        time = datetime.combine(now.date(), now.timetz())
    if time.tzinfo is UTC:
        return time
    try:
        time.astimezone(UTC)
    except OverflowError as error:
        what = f"must return a time that UTC can represent, got {show_value(now)}"
        advice = "return a time within the years 1 to 9999"
        raise ValueError(f"clock: {what}; {advice}") from error
    # A dump keeps the offset of that moment and not the zone, so neither does this.
    return time.replace(tzinfo=timezone(time.utcoffset()), fold=0)  # type: ignore[arg-type]

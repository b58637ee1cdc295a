"""
The clock: the time of the system, and the check of what ``clock`` returns.

Rules:
    A time is aware, and UTC can represent it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timezone
from functools import partial
from typing import Any

from upsertcore.values import show_value

__all__ = ["checked_time", "utc_now"]

utc_now: Callable[[], datetime] = partial(datetime.now, UTC)
"""Reads the system clock."""


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

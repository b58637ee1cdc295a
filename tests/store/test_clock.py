"""The clock: aware times, plain and with the offset that they had."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from upsertcore import ContactBook, Policy, field, first_match, merge_all, normalize
from upsertcore.store.clock import utc_now

NOW = datetime(2024, 1, 2, tzinfo=UTC)
LINES: dict[str, Any] = {
    "email": field(key=normalize.email),
    "phone": field(key=normalize.phone),
    "name": field(),
}
POLICY = Policy(merge_all("email", "phone"), LINES)


def test_the_clock_of_the_system() -> None:
    """It is aware, and of UTC."""
    assert utc_now().tzinfo is UTC
    assert utc_now() <= utc_now()


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (7, "an aware time, got 7"),
        (None, "an aware time"),
        (datetime(2024, 1, 2), "an aware time"),  # noqa: DTZ001
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=1))), "a time that UTC"),
    ],
    ids=["number", "none", "naive", "before the calendar"],
)
def test_a_time_is_aware(now: Any, words: str) -> None:
    """And of the calendar of UTC; else nothing is written."""
    made = ContactBook(POLICY, ids=lambda: "c-1", clock=lambda: now)
    with pytest.raises((TypeError, ValueError), match=f"clock: must return {words}"):
        made.create({"email": "a@x"})

    assert len(made) == 0
    assert "c-1" not in made


class NanoTime(datetime):
    """As pandas has one: finer than a microsecond, and it says so."""

    def isoformat(self, sep: str = "T", timespec: str = "auto") -> str:
        """Add nanoseconds."""
        return super().isoformat(sep, timespec).replace("+", "000000001+")


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=2))])
def test_a_time_of_another_class_becomes_a_plain_one(zone: timezone) -> None:
    """So a row of it is that of the time, and reads back as it was."""
    now = NanoTime(2024, 1, 2, 3, 4, 5, 6, tzinfo=zone)
    made = ContactBook(Policy(first_match("email"), LINES), clock=lambda: now)
    made.upsert({"email": "ada@x.org"})
    made.create({"email": "eve@x.org"})

    assert [type(each.created_at) for each in made] == [datetime] * 2
    assert [each.created_at == now for each in made] == [True] * 2
    assert ContactBook.load(made.policy, made.dump()).dump() == made.dump()


def test_a_time_keeps_its_offset() -> None:
    """It is written as it was said, and reads back equal."""
    east = datetime(2024, 1, 2, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    made = ContactBook(Policy(first_match("email"), LINES), clock=lambda: east)
    ada = made.create({"email": "a@x"}).contact

    assert ada.to_dict()["created_at"] == "2024-01-02T00:00:00+05:30"
    assert ContactBook.load(made.policy, made.dump()).get(ada.id) == ada

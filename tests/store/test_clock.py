"""The clock: aware times, stored with their offset."""

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


def test_utc_now_is_aware_and_of_utc() -> None:
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
def test_naive_or_unrepresentable_time_is_an_error(now: Any, words: str) -> None:
    """Nothing is written."""
    book = ContactBook(POLICY, ids=lambda: "c-1", clock=lambda: now)
    with pytest.raises((TypeError, ValueError), match=f"clock: must return {words}"):
        book.create({"email": "a@x"})

    assert len(book) == 0
    assert "c-1" not in book


class NanoTime(datetime):
    """A time with nanoseconds, such as that of pandas."""

    def isoformat(self, sep: str = "T", timespec: str = "auto") -> str:
        """Format the time with nanoseconds."""
        return super().isoformat(sep, timespec).replace("+", "000000001+")


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=2))])
def test_time_of_a_subclass_is_stored_as_datetime(zone: timezone) -> None:
    """So its row can be loaded."""
    now = NanoTime(2024, 1, 2, 3, 4, 5, 6, tzinfo=zone)
    book = ContactBook(Policy(first_match("email"), LINES), clock=lambda: now)
    book.upsert({"email": "ada@x.org"})
    book.create({"email": "eve@x.org"})

    assert [type(contact.created_at) for contact in book] == [datetime] * 2
    assert [contact.created_at == now for contact in book] == [True] * 2
    assert ContactBook.load(book.policy, book.dump()).dump() == book.dump()


def test_time_keeps_its_offset() -> None:
    """In the dump, and after loading."""
    local_time = datetime(2024, 1, 2, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    book = ContactBook(Policy(first_match("email"), LINES), clock=lambda: local_time)
    ada = book.create({"email": "a@x"}).contact

    assert ada.to_dict()["created_at"] == "2024-01-02T00:00:00+05:30"
    assert ContactBook.load(book.policy, book.dump()).get(ada.id) == ada

"""Drawing: the id and the time of one call, asked for when needed, and looked at."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from upsertcore import ContactBook, Policy, field, first_match, merge_all, normalize
from upsertcore.store.clock import utc_now
from upsertcore.store.ids import fresh_ids
from upsertcore.store.stamp import Stamp

NOW = datetime(2024, 1, 2, tzinfo=UTC)
LINES: dict[str, Any] = {
    "email": field(key=normalize.email),
    "phone": field(key=normalize.phone),
    "name": field(),
}
POLICY = Policy(merge_all("email", "phone"), LINES)


def test_ids_repeat_in_no_other_book() -> None:
    """A prefix of its own, and a number."""
    one, two = fresh_ids(), fresh_ids()
    ids = [one(), one(), two(), two()]

    assert len(set(ids)) == 4
    assert [id.split("-")[1] for id in ids] == ["1", "2", "1", "2"]
    assert ids[0].split("-")[0] == ids[1].split("-")[0]


def test_the_clock_of_the_system() -> None:
    """It is aware, and of UTC."""
    assert utc_now().tzinfo is UTC
    assert utc_now() <= utc_now()


class Counting:
    """A book whose ids and times are counted as they are asked for."""

    def __init__(self, policy: Policy = POLICY) -> None:
        self.calls: Counter[str] = Counter()
        self.book = ContactBook(policy, ids=self.id, clock=self.now)

    def id(self) -> str:
        """Give c-1, c-2, ..."""
        self.calls["id"] += 1
        return f"c-{self.calls['id']}"

    def now(self) -> datetime:
        """Give an hour more each time."""
        self.calls["now"] += 1
        return NOW + timedelta(hours=self.calls["now"])

    def asked(self) -> tuple[int, int]:
        """Give how often each was asked since the last time."""
        found = self.calls["id"], self.calls["now"]
        self.calls = Counter(id=self.calls["id"], now=self.calls["now"])
        return found


def test_each_is_asked_for_where_it_is_needed() -> None:
    """An id to create, a time to write, and nothing where nothing moves."""
    counting = Counting()
    made, asked = counting.book, counting.asked
    made.upsert({"email": "a@x"})
    assert asked() == (1, 1)
    made.upsert({"email": "a@x", "name": "A"})
    assert asked() == (1, 2)
    made.upsert({"email": "a@x", "name": "A"})
    made.plan({"email": "b@x"})
    assert asked() == (1, 2)
    outcome = made.create({"phone": "+15550001"})
    assert asked() == (2, 3)
    merged = made.merge("c-1", "c-2")
    assert asked() == (2, 4)
    for each in (merged, outcome):
        made.undo(each)
    made.delete("c-1")
    made.duplicates()
    assert asked() == (2, 4)


def test_a_created_contact_has_one_time() -> None:
    """Created and updated at once; later only the update moves."""
    made = Counting().book
    ada = made.upsert({"email": "a@x"}).contact
    assert ada.created_at == ada.updated_at == NOW + timedelta(hours=1)
    ada = made.upsert({"email": "a@x", "name": "A"}).contact

    assert (ada.created_at, ada.updated_at) == tuple(
        NOW + timedelta(hours=hours) for hours in (1, 2)
    )


def test_a_stamp_asks_once() -> None:
    """However often a call is decided anew."""
    counting = Counting()
    stamp = Stamp(counting.id, counting.now)
    plan = counting.book.plan({"email": "a@x"})
    for _ in range(3):
        stamp.prepare(plan)
    one, two = stamp.contact(plan), stamp.contact(plan)

    assert counting.asked() == (1, 1)
    assert one == two
    assert (one.id, one.version, one.merged_ids) == ("c-1", 1, ())


def test_a_stamp_that_needs_more_at_a_later_attempt() -> None:
    """Nobody was to be created at first, and then somebody is."""
    counting = Counting()
    made = counting.book
    stamp = Stamp(counting.id, counting.now)
    made.create({"email": "a@x"})
    known = made.plan({"email": "a@x", "name": "A"})
    same = made.plan({"email": "a@x"})
    new = made.plan({"email": "b@x"})
    stamp.prepare(same)
    assert counting.asked() == (1, 1)
    assert stamp.contact(same) is made.get("c-1")
    stamp.prepare(known)
    assert counting.asked() == (1, 2)
    stamp.prepare(new)

    assert counting.asked() == (2, 2)
    assert stamp.contact(new).created_at == stamp.contact(known).updated_at


def test_what_was_absorbed_keeps_its_own() -> None:
    """The ids of those that are absorbed, each followed by those that it had."""
    made = Counting().book
    for number in range(1, 6):
        made.create({"email": f"{number}@x"})
    made.merge("c-2", "c-3")
    made.merge("c-1", "c-4")

    assert made.merge("c-1", "c-2", "c-5").contact.merged_ids == (
        "c-4",
        "c-2",
        "c-3",
        "c-5",
    )


@pytest.mark.parametrize(
    ("id", "error"),
    [(7, TypeError), ("", TypeError), (None, TypeError), ("\ud800", ValueError)],
)
def test_an_id_is_text(id: Any, error: type[Exception]) -> None:
    """Whatever else is answered is refused, and nobody is created."""
    made = ContactBook(POLICY, ids=lambda: id)
    with pytest.raises(error):
        made.create({"email": "a@x"})

    assert len(made) == 0


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

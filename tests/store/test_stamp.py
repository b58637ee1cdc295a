"""The stamp: the id and the time of one call, drawn when needed and only once."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from upsertcore import ContactBook, Policy, field, merge_all, normalize
from upsertcore.store.stamp import Stamp

NOW = datetime(2024, 1, 2, tzinfo=UTC)
LINES: dict[str, Any] = {
    "email": field(key=normalize.email),
    "phone": field(key=normalize.phone),
    "name": field(),
}
POLICY = Policy(merge_all("email", "phone"), LINES)


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

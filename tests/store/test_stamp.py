"""The stamp: id and time of one call, drawn when needed and only once."""

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


class CountingBook:
    """A book whose drawn ids and times are counted."""

    def __init__(self, policy: Policy = POLICY) -> None:
        self.calls: Counter[str] = Counter()
        self.book = ContactBook(policy, ids=self.id, clock=self.now)

    def id(self) -> str:
        """Return c-1, c-2, ..."""
        self.calls["id"] += 1
        return f"c-{self.calls['id']}"

    def now(self) -> datetime:
        """Return a time one hour later than the one before."""
        self.calls["now"] += 1
        return NOW + timedelta(hours=self.calls["now"])

    def draws(self) -> tuple[int, int]:
        """Return how many ids and times were drawn."""
        counts = self.calls["id"], self.calls["now"]
        self.calls = Counter(id=self.calls["id"], now=self.calls["now"])
        return counts


def test_id_and_time_are_drawn_when_needed_only() -> None:
    """An id to create, a time to write, and neither for unchanged."""
    counting = CountingBook()
    book, draws = counting.book, counting.draws
    book.upsert({"email": "a@x"})
    assert draws() == (1, 1)
    book.upsert({"email": "a@x", "name": "A"})
    assert draws() == (1, 2)
    book.upsert({"email": "a@x", "name": "A"})
    book.plan({"email": "b@x"})
    assert draws() == (1, 2)
    outcome = book.create({"phone": "+15550001"})
    assert draws() == (2, 3)
    merged = book.merge("c-1", "c-2")
    assert draws() == (2, 4)
    for undoable in (merged, outcome):
        book.undo(undoable)
    book.delete("c-1")
    book.duplicates()
    assert draws() == (2, 4)


def test_created_contact_has_equal_times() -> None:
    """An update changes ``updated_at`` only."""
    book = CountingBook().book
    ada = book.upsert({"email": "a@x"}).contact
    assert ada.created_at == ada.updated_at == NOW + timedelta(hours=1)
    ada = book.upsert({"email": "a@x", "name": "A"}).contact

    assert (ada.created_at, ada.updated_at) == tuple(
        NOW + timedelta(hours=hours) for hours in (1, 2)
    )


def test_stamp_draws_once_over_several_attempts() -> None:
    counting = CountingBook()
    stamp = Stamp(counting.id, counting.now)
    plan = counting.book.plan({"email": "a@x"})
    for _ in range(3):
        stamp.prepare(plan)
    first, second = stamp.contact(plan), stamp.contact(plan)

    assert counting.draws() == (1, 1)
    assert first == second
    assert (first.id, first.version, first.merged_ids) == ("c-1", 1, ())


def test_stamp_draws_at_a_later_attempt_what_it_lacks() -> None:
    """The first attempt creates no contact, a later one does."""
    counting = CountingBook()
    book = counting.book
    stamp = Stamp(counting.id, counting.now)
    book.create({"email": "a@x"})
    known = book.plan({"email": "a@x", "name": "A"})
    same = book.plan({"email": "a@x"})
    new = book.plan({"email": "b@x"})
    stamp.prepare(same)
    assert counting.draws() == (1, 1)
    assert stamp.contact(same) is book.get("c-1")
    stamp.prepare(known)
    assert counting.draws() == (1, 2)
    stamp.prepare(new)

    assert counting.draws() == (2, 2)
    assert stamp.contact(new).created_at == stamp.contact(known).updated_at


def test_merged_ids_are_followed_by_their_own_merged_ids() -> None:
    book = CountingBook().book
    for number in range(1, 6):
        book.create({"email": f"{number}@x"})
    book.merge("c-2", "c-3")
    book.merge("c-1", "c-4")

    assert book.merge("c-1", "c-2", "c-5").contact.merged_ids == (
        "c-4",
        "c-2",
        "c-3",
        "c-5",
    )

"""The reader of a book's changes: each is taken in once, whatever happens to it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.recipes.event_stream import Feed, Missed, Search
from tests.recipes.readers import lived, read, search_in
from tests.recipes.workers import PROCESSES
from upsertcore import ContactBook, Policy, errors, field, merge_all, normalize
from upsertcore.testing import new_book, patches

pytestmark = pytest.mark.full

LINES: dict[str, Any] = {
    "email": field(key=normalize.email, keep_aliases=True),
    "phone": field(key=normalize.phone),
    "name": field(),
}
KEYS = merge_all("email", "phone")
FORGET, RESTORE = Policy(KEYS, LINES), Policy(KEYS, LINES, on_deleted="restore")


def found(search: Search) -> dict[str, str]:
    """Give the words that are found, by the id of the contact."""
    return dict(search.connection.execute("SELECT id, words FROM found").fetchall())


def words(book: ContactBook) -> dict[str, str]:
    """Give the words that should be found."""
    return {
        each.id: " ".join(map(str, each.fields.values())).lower()
        for each in book
        if each.deleted_at is None
    }


def told(search: Search) -> list[tuple[str, int, str]]:
    """Give the outbox."""
    sql = "SELECT feed, number, told FROM outbox ORDER BY feed, number"
    return search.connection.execute(sql).fetchall()


def child(path: Path, keep: int | None, kill_at: int = 0) -> int:
    """Follow from a process of its own; give how it ended."""
    process = PROCESSES.Process(target=read, args=(path, keep, kill_at))
    process.start()
    process.join()
    return process.exitcode or 0


@pytest.mark.parametrize("keep", [None, 1], ids=["all", "one"])
def test_killed_between_any_two_statements(tmp_path: Path, keep: int | None) -> None:
    """What is made is whole each time, and once it has caught up it is all there."""
    (*_, book), ends = lived(keep), list[int]()
    (*_, whole) = lived(None)
    every = [
        ("first", entry.number, f"{outcome.result} {outcome.contact.id}")
        for entry in whole.changes_since()
        if (outcome := entry.outcome) is not None
    ]
    path = tmp_path / "found.db"
    while 0 not in ends:
        path.unlink(missing_ok=True)
        ends.append(child(path, keep, kill_at=len(ends) + 1))
        assert 0 == child(path, keep)
        with search_in(path) as search:
            assert words(book) == found(search)
            assert ("first", len(every)) == search.position()
            assert told(search) == every or (keep and {*told(search)} <= {*every})

    assert {-signal.SIGKILL} == {*ends[:-1]}
    assert 30 < len(ends)


class TestDelivery:
    """At least once, in any pieces: what is known is not taken in again."""

    def test_again(self) -> None:
        """Overlapping pieces, and the whole once more."""
        (*_, book) = lived(None)
        every = book.changes_since()
        with search_in(":memory:") as search:
            search.start_anew(Feed("first", new_book(book.policy)))
            for piece in (every[:3], every[1:5], every[:2], every[4:], every):
                search.take("first", piece)

            assert words(book) == found(search)
            assert [*range(1, len(every) + 1)] == [
                number for _, number, _ in told(search)
            ]

    @pytest.mark.parametrize("name", ["first", "second"])
    def test_a_gap(self, name: str) -> None:
        """Nothing of it is taken in, nor of another feed."""
        (*_, book) = lived(None)
        every = book.changes_since()
        wrong = every[:2] + every[3:] if name == "first" else every
        with search_in(":memory:") as search:
            search.start_anew(Feed("first", new_book(book.policy)))
            with pytest.raises(Missed):
                search.take(name, wrong)

            assert ({}, ("first", 0)) == (found(search), search.position())


@pytest.mark.parametrize("policy", [FORGET, RESTORE], ids=["forget", "restore"])
def test_whatever_becomes_of_a_contact(policy: Policy) -> None:
    """It is followed step by step: absorbed, back again, deleted, purged."""
    book = new_book(policy)
    feed = Feed("first", book)
    with search_in(":memory:") as search:

        def see() -> None:
            search.catch_up(feed)
            assert words(book) == found(search)

        ada = book.upsert({"email": "ada@x.org", "name": "Ada"})
        bob = book.upsert({"phone": "+15550001111", "name": "Bob"})
        see()
        both = book.upsert({"email": "ada@x.org", "phone": "+15550001111"})
        see()
        assert [ada.contact.id] == [*found(search)]
        book.undo(both)
        see()
        assert "bob" in found(search)[bob.contact.id]
        book.undo(book.create({"name": "Eve"}))
        book.delete(ada.contact.id)
        see()
        assert [bob.contact.id] == [*found(search)]
        book.purge(bob.contact.id)
        feed.name = "second"
        see()
        assert {} == found(search)


class Story:
    """A service and its reader, told step by step."""

    def __init__(self, search: Search, policy: Policy, keep: int | None) -> None:
        self.search, self.names = search, count(1)
        self.feed = Feed("0", new_book(policy, retain_changes=keep))
        self.done: list[Any] = []

    def upsert(self, patch: Any, _place: int) -> None:
        self.done.append(self.feed.book.upsert(patch))

    def create(self, patch: Any, _place: int) -> None:
        self.done.append(self.feed.book.create(patch))

    def merge(self, _patch: Any, place: int) -> None:
        ids = [each.id for each in self.feed.book]
        self.done.append(self.feed.book.merge(*ids[place:], *ids[:place]))

    def delete(self, _patch: Any, place: int) -> None:
        self.feed.book.delete(self.done[place].contact.id)

    def undo(self, _patch: Any, place: int) -> None:
        self.feed.book.undo(self.done[place])

    def purge(self, _patch: Any, place: int) -> None:
        self.feed.book.purge(self.done[place].contact.id)
        self.feed.name = str(next(self.names))

    def restart(self, _patch: Any, _place: int) -> None:
        policy, rows, ids = self.feed.book.policy, self.feed.book.dump(), count(1)
        name = str(next(self.names))
        book = ContactBook.load(policy, rows, ids=lambda: f"{name}-{next(ids)}")
        self.feed = Feed(name, book)

    def catch_up(self, _patch: Any, _place: int) -> None:
        self.search.catch_up(self.feed)


STEPS: list[Callable[[Story, Any, int], None]] = [
    *[Story.upsert] * 4,
    *[Story.create, Story.merge, Story.delete, Story.undo],
    *[Story.purge, Story.restart, *[Story.catch_up] * 3],
]


@given(
    policy=st.sampled_from((FORGET, RESTORE)),
    keep=st.sampled_from((None, 0, 1, 3)),
    steps=st.lists(
        st.tuples(
            st.sampled_from(STEPS), patches(FORGET), st.sampled_from((-1, -2, 0, 1))
        ),
        max_size=20,
    ),
)
def test_any_story(policy: Policy, keep: int | None, steps: Any) -> None:
    """Whenever it has caught up it finds what is there, whatever came before."""
    with search_in(":memory:") as search:
        story = Story(search, policy, keep)
        for step, patch, place in [*steps, (Story.catch_up, {}, 0)]:
            try:
                step(story, patch, place)
            except (errors.UpsertError, IndexError, TypeError):
                continue
            if step is Story.catch_up:
                assert words(story.feed.book) == found(search)

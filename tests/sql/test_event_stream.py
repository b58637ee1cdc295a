"""The reader of the changes of a book takes in each change once."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sql.event_stream import Feed, Missed, Search
from tests.sql.places import Place
from tests.sql.readers import book_over_time, follow, search_in
from tests.sql.workers import LOG, POLICIES, PROCESSES
from upsertcore import ContactBook, Policy, errors, field, merge_all, normalize
from upsertcore.book.book import Book
from upsertcore.testing import new_book, patches

pytestmark = pytest.mark.full

LINES: dict[str, Any] = {
    "email": field(key=normalize.email, keep_aliases=True),
    "phone": field(key=normalize.phone),
    "name": field(),
}
KEYS = merge_all("email", "phone")
FORGET, RESTORE = Policy(KEYS, LINES), Policy(KEYS, LINES, on_deleted="restore")


def words_found(search: Search) -> dict[str, str]:
    """Return the words of the index, by the id of the contact."""
    return dict(search.connection.execute("SELECT id, words FROM found").fetchall())


def words_expected(book: Book) -> dict[str, str]:
    """Return the words that the index should have."""
    return {
        contact.id: " ".join(map(str, contact.fields.values())).lower()
        for contact in book
        if contact.deleted_at is None
    }


def outbox(search: Search) -> list[tuple[str, int, str]]:
    """Return the lines of the outbox."""
    sql = "SELECT feed, number, told FROM outbox ORDER BY feed, number"
    return search.connection.execute(sql).fetchall()


def run_reader(path: Path, keep: int | None, kill_at: int = 0) -> int:
    """Follow the book in another process; return its exit code."""
    process = PROCESSES.Process(target=follow, args=(path, keep, kill_at))
    process.start()
    process.join()
    return process.exitcode or 0


@pytest.mark.parametrize("keep", [None, 1], ids=["all", "one"])
def test_reader_killed_before_any_statement_catches_up(
    tmp_path: Path, keep: int | None
) -> None:
    """The index is whole after each kill."""
    (*_, book), ends = book_over_time(keep), list[int]()
    (*_, complete) = book_over_time(None)
    lines = [
        ("first", entry.number, f"{outcome.result} {outcome.contact.id}")
        for entry in complete.changes_since()
        if (outcome := entry.outcome) is not None
    ]
    path = tmp_path / "found.db"
    while 0 not in ends:
        path.unlink(missing_ok=True)
        ends.append(run_reader(path, keep, kill_at=len(ends) + 1))
        assert 0 == run_reader(path, keep)
        with search_in(path) as search:
            assert words_expected(book) == words_found(search)
            assert ("first", len(lines)) == search.position()
            assert outbox(search) == lines or (keep and {*outbox(search)} <= {*lines})

    assert {-signal.SIGKILL} == {*ends[:-1]}
    assert 30 < len(ends)


class TestDelivery:
    """Delivery is at least once, in any pieces."""

    def test_change_that_is_delivered_again_is_skipped(self) -> None:
        """The pieces overlap."""
        (*_, book) = book_over_time(None)
        entries = book.changes_since()
        with search_in(":memory:") as search:
            search.start_anew(Feed("first", new_book(book.policy)))
            for piece in (entries[:3], entries[1:5], entries[:2], entries[4:], entries):
                search.take("first", piece)

            assert words_expected(book) == words_found(search)
            assert [*range(1, len(entries) + 1)] == [
                number for _, number, _ in outbox(search)
            ]

    @pytest.mark.parametrize("name", ["first", "second"])
    def test_delivery_with_a_gap_or_another_feed_is_refused(self, name: str) -> None:
        """Nothing of it is taken in."""
        (*_, book) = book_over_time(None)
        entries = book.changes_since()
        wrong = entries[:2] + entries[3:] if name == "first" else entries
        with search_in(":memory:") as search:
            search.start_anew(Feed("first", new_book(book.policy)))
            with pytest.raises(Missed):
                search.take(name, wrong)

            assert ({}, ("first", 0)) == (words_found(search), search.position())


@pytest.mark.parametrize("policy", [FORGET, RESTORE], ids=["forget", "restore"])
def test_index_follows_every_kind_of_change(policy: Policy) -> None:
    """A contact is absorbed, restored, deleted and purged."""
    book = new_book(policy)
    feed = Feed("first", book)
    with search_in(":memory:") as search:

        def check_index() -> None:
            search.catch_up(feed)
            assert words_expected(book) == words_found(search)

        ada = book.upsert({"email": "ada@x.org", "name": "Ada"})
        bob = book.upsert({"phone": "+15550001111", "name": "Bob"})
        check_index()
        both = book.upsert({"email": "ada@x.org", "phone": "+15550001111"})
        check_index()
        assert [ada.contact.id] == [*words_found(search)]
        book.undo(both)
        check_index()
        assert "bob" in words_found(search)[bob.contact.id]
        book.undo(book.create({"name": "Eve"}))
        book.delete(ada.contact.id)
        check_index()
        assert [bob.contact.id] == [*words_found(search)]
        book.purge(bob.contact.id)
        feed.name = "second"
        check_index()
        assert {} == words_found(search)


class ServiceAndReader:
    """A service and its reader, step by step."""

    def __init__(self, search: Search, policy: Policy, keep: int | None) -> None:
        self.search, self.names = search, count(1)
        self.feed = Feed("0", new_book(policy, retain_changes=keep))
        self.outcomes: list[Any] = []

    def upsert(self, patch: Any, _place: int) -> None:
        self.outcomes.append(self.feed.book.upsert(patch))

    def create(self, patch: Any, _place: int) -> None:
        self.outcomes.append(self.feed.book.create(patch))

    def merge(self, _patch: Any, place: int) -> None:
        ids = [contact.id for contact in self.feed.book]
        self.outcomes.append(self.feed.book.merge(*ids[place:], *ids[:place]))

    def delete(self, _patch: Any, place: int) -> None:
        self.feed.book.delete(self.outcomes[place].contact.id)

    def undo(self, _patch: Any, place: int) -> None:
        self.feed.book.undo(self.outcomes[place])

    def purge(self, _patch: Any, place: int) -> None:
        self.feed.book.purge(self.outcomes[place].contact.id)
        self.feed.name = str(next(self.names))

    def restart(self, _patch: Any, _place: int) -> None:
        policy, rows, ids = self.feed.book.policy, self.feed.book.dump(), count(1)
        name = str(next(self.names))
        book = ContactBook.load(policy, rows, ids=lambda: f"{name}-{next(ids)}")
        self.feed = Feed(name, book)

    def catch_up(self, _patch: Any, _place: int) -> None:
        self.search.catch_up(self.feed)


STEPS: list[Callable[[ServiceAndReader, Any, int], None]] = [
    *[ServiceAndReader.upsert] * 4,
    *[
        ServiceAndReader.create,
        ServiceAndReader.merge,
        ServiceAndReader.delete,
        ServiceAndReader.undo,
    ],
    *[
        ServiceAndReader.purge,
        ServiceAndReader.restart,
        *[ServiceAndReader.catch_up] * 3,
    ],
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
def test_index_equals_the_book_whenever_the_reader_has_caught_up(
    policy: Policy, keep: int | None, steps: Any
) -> None:
    with search_in(":memory:") as search:
        service = ServiceAndReader(search, policy, keep)
        for step, patch, place in [*steps, (ServiceAndReader.catch_up, {}, 0)]:
            try:
                step(service, patch, place)
            except (errors.UpsertError, IndexError, TypeError):
                continue
            if step is ServiceAndReader.catch_up:
                assert words_expected(service.feed.book) == words_found(search)


def test_index_follows_a_book_in_a_database(place: Place) -> None:
    """Several processes write; the reader sees the changes of all of them."""
    policy = POLICIES["merged"]
    book = place.new_book(policy, retain_changes=None)
    feed = Feed("first", book)
    with search_in(":memory:") as search:
        for n, patch in enumerate(LOG):
            writer = place.book(policy, retain_changes=None)
            with suppress(errors.NoMatchKey):
                writer.upsert(patch)
            if n % 3 == 1:
                search.catch_up(feed)
        search.catch_up(feed)
        expected = {
            contact.id: " ".join(map(str, contact.fields.values())).lower()
            for contact in book
        }
        assert words_found(search) == expected
        assert search.position() == ("first", book.changes_since()[-1].number)

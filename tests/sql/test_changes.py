"""The changes of a book in a database: none is skipped, and none that was erased."""

from __future__ import annotations

from contextlib import closing
from itertools import count
from threading import Event, Thread
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.pool import QueuePool

from tests.sql.checking import check_tables
from tests.sql.interleaving import meanwhile, when_waiting
from tests.sql.places import Place
from upsertcore import ContactBook, Policy, errors, field, first_match, normalize
from upsertcore.sql import SqlBook

POLICY = Policy(
    first_match("email", "phone"),
    {
        "email": field(key=normalize.email, unique=True),
        "phone": field(key=normalize.exact),
        "name": field(),
    },
    on_key_in_use="withhold",
)


def numbers(book: SqlBook, after: int = 0) -> list[int]:
    return [entry.number for entry in book.changes_since(after)]


@pytest.mark.full
class TestLate:
    """A change that commits late is not skipped: later ones wait for it."""

    def test_writer_that_pauses_before_its_commit_delays_the_others(
        self, postgres: Place
    ) -> None:
        book = postgres.new_book(POLICY, retain_changes=None)
        slow = postgres.book(POLICY, retain_changes=None)
        has_drawn, may_commit = Event(), Event()

        def pause(*_arguments: Any) -> None:
            has_drawn.set()
            may_commit.wait()

        event.listen(slow._store.engine, "commit", pause)
        first = Thread(target=slow.upsert, args=({"email": "slow@x.org"},))
        first.start()
        has_drawn.wait()
        assert book.changes_since() == ()

        engine = postgres.engine(poolclass=QueuePool, pool_size=1)
        with engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            pid = driver.info.backend_pid
        quick = SqlBook(engine, POLICY, tables=postgres.tables, retain_changes=None)
        second = Thread(target=quick.upsert, args=({"email": "quick@x.org"},))
        seen: list[Any] = []
        waiting = when_waiting(
            postgres.engine(), pid, lambda: seen.append(book.changes_since())
        )
        second.start()
        waiting.join()
        may_commit.set()
        first.join()
        second.join()
        engine.dispose()

        assert seen == [()]
        outcomes = [entry.outcome for entry in book.changes_since()]
        emails = [outcome and outcome.contact["email"] for outcome in outcomes]
        assert emails == ["slow@x.org", "quick@x.org"]
        assert numbers(book) == [1, 2]

    def test_transaction_of_the_caller_delays_the_others(self, postgres: Place) -> None:
        """One that is rolled back leaves no gap."""
        book = postgres.new_book(POLICY, retain_changes=None)
        engine = postgres.engine(poolclass=QueuePool, pool_size=1)
        with engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            pid = driver.info.backend_pid
        quick = SqlBook(engine, POLICY, tables=postgres.tables, retain_changes=None)
        with closing(postgres.engine().connect()) as connection:
            book.within(connection).upsert({"email": "slow@x.org"})
            waiting = when_waiting(postgres.engine(), pid, connection.rollback)
            quick.upsert({"email": "quick@x.org"})
            waiting.join()
        engine.dispose()

        assert numbers(book) == [1]
        check_tables(book)

    def test_books_without_changes_do_not_wait(self, postgres: Place) -> None:
        book, other = postgres.new_book(POLICY), postgres.book(POLICY)
        with closing(postgres.engine().connect()) as connection:
            book.within(connection).upsert({"email": "slow@x.org"})
            assert other.upsert({"email": "quick@x.org"}).created
            connection.rollback()

    def test_changes_trimmed_while_they_are_read_are_not_retained(
        self, postgres: Place
    ) -> None:
        """And not skipped silently."""
        book = postgres.new_book(POLICY, retain_changes=2)
        book.upsert({"email": "1@x.org"})
        book.upsert({"email": "2@x.org"})
        engine, name = postgres.engine(), postgres.tables.changes.name

        def trim() -> None:
            book.upsert({"email": "3@x.org"})

        with engine.connect() as connection:
            within = book.within(connection)
            with (
                meanwhile(engine, f"SELECT {name}.number", trim),
                pytest.raises(errors.ChangesNotRetained) as caught,
            ):
                within.changes_since()
        assert caught.value.first == 2


class TestRetention:
    """As many changes are retained as the book says."""

    def test_oldest_changes_are_trimmed(self, place: Place) -> None:
        book = place.new_book(POLICY, retain_changes=3)
        for n in range(5):
            book.upsert({"email": f"{n}@x.org"})

        assert numbers(book, 2) == [3, 4, 5]
        assert (numbers(book, 5), numbers(book, 9)) == ([], [])
        with pytest.raises(errors.ChangesNotRetained) as caught:
            book.changes_since(1)
        assert (caught.value.number, caught.value.first) == (1, 3)
        check_tables(book)

    def test_book_that_retains_fewer_shows_fewer(self, place: Place) -> None:
        book = place.new_book(POLICY, retain_changes=None)
        for n in range(5):
            book.upsert({"email": f"{n}@x.org"})
        fewer = place.book(POLICY, retain_changes=2)

        assert numbers(fewer, 3) == [4, 5]
        with pytest.raises(errors.ChangesNotRetained):
            fewer.changes_since(2)
        assert numbers(book) == [1, 2, 3, 4, 5]

    def test_book_without_changes_says_so(self, place: Place) -> None:
        book = place.new_book(POLICY)
        assert book.changes_since() == ()
        book.upsert({"email": "1@x.org"})
        with pytest.raises(errors.ChangesNotRetained, match="retains no changes"):
            book.changes_since()

    def test_calls_are_trimmed_by_scope(self, place: Place) -> None:
        ids = map("c-{}".format, count(1)).__next__
        book = place.new_book(POLICY, retain_calls=1, ids=ids)
        for scope, key in (("", "k-1"), ("a", "k-1"), ("", "k-2")):
            book.create({"name": "Ada"}, scope=scope, idempotency_key=key)

        assert book.create({"name": "Ada"}, idempotency_key="k-2").replayed
        assert book.create({"name": "Ada"}, scope="a", idempotency_key="k-1").replayed
        assert not book.create({"name": "Ada"}, idempotency_key="k-1").replayed
        check_tables(book)

    def test_book_that_remembers_no_calls_replays_none(self, place: Place) -> None:
        book = place.new_book(POLICY, retain_calls=0)
        first, second = [
            book.create({"name": "Ada"}, idempotency_key="k-1") for _ in range(2)
        ]
        assert not second.replayed
        assert first.contact.id != second.contact.id

    def test_replayed_changes_are_the_book(self, place: Place) -> None:
        book = place.new_book(POLICY, retain_changes=None)
        ada = book.upsert({"email": "ada@x.org", "phone": "1"}).contact.id
        bob = book.upsert({"email": "bob@x.org"}).contact.id
        merged = book.merge(ada, bob)
        book.undo(merged)
        book.delete(bob)
        book.upsert_many([{"email": f"{n}@x.org"} for n in range(250)])
        twin = ContactBook.from_changes(POLICY, book.changes_since())
        assert twin.dump() == book.dump()


class TestPurge:
    """What is erased is erased in changes and calls, too."""

    def test_values_of_a_purged_contact_are_nowhere_in_the_tables(
        self, place: Place
    ) -> None:
        book = place.new_book(POLICY, retain_changes=None)
        ada_king = "Ada-Byron-King"
        ada = book.upsert(
            {"email": f"{ada_king}@x.org", "phone": "1", "name": ada_king},
            idempotency_key="k-1",
        ).contact.id
        bob = book.upsert({"email": "bob@x.org"}).contact.id
        other = book.create({"phone": "2", "name": ada_king}, idempotency_key="k-2")
        patch = {"email": f"{ada_king}@x.org", "name": f"{ada_king} 2"}
        withheld = book.update(other.contact.id, patch)
        assert [each.holder for each in withheld.withheld] == [ada]
        book.merge(bob, other.contact.id)
        erased = book.purge(ada) + book.purge(bob)

        assert erased > 4
        assert not any(ada_king in text or ada in text for text in all_texts(book))
        assert [entry.outcome for entry in book.changes_since()] == [None] * 5
        assert not book.create({"name": "x"}, idempotency_key="k-1").replayed
        check_tables(book)

    def test_contact_that_was_deleted_before_is_purged(self, place: Place) -> None:
        book = place.new_book(POLICY, retain_changes=None)
        ada = book.upsert({"email": "ada@x.org"}).contact.id
        book.delete(ada)
        assert book.purge(ada) == 2
        assert not any("ada@x.org" in text for text in all_texts(book))
        with pytest.raises(errors.UnknownContact):
            book.purge(ada)

    def test_other_tenant_keeps_its_changes(self, place: Place) -> None:
        book = place.new_book(POLICY, retain_changes=None)
        ada = book.create({"name": "Ada"}, id="x", scope="a").contact.id
        book.create({"name": "Bob"}, id="x", scope="b")
        book.purge(ada, scope="a")
        first, second = [entry.outcome for entry in book.changes_since()]
        assert first is None
        assert second is not None
        assert second.contact["name"] == "Bob"


def all_texts(book: SqlBook) -> list[str]:
    """Return all texts in all tables."""
    store = book._store
    with store.engine.connect() as connection:
        return [
            str(value)
            for table in store.tables.metadata.tables.values()
            for row in connection.execute(select(table)).all()
            for value in row
        ]

"""Killed processes, lost connections, and databases that cannot be written."""

from __future__ import annotations

import random
import signal
import sqlite3
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import QueuePool

from tests.sql.checking import check_tables
from tests.sql.places import empty
from tests.sql.workers import (
    LOG,
    POLICIES,
    halves_of,
    kill_before,
    people,
    run_and_kill,
    run_child,
    send,
)
from upsertcore import errors
from upsertcore.sql import SqlBook

if TYPE_CHECKING:
    from tests.sql.places import Place

POLICY = POLICIES["merged"]
ADA = {"email": "ada@x.org", "at": 1}
BOB = {"email": "bob@x.org", "at": 1}


def checked_rows(place: Place) -> tuple[list[dict[str, Any]], str]:
    """Check the tables; return the contacts and the changes."""
    book = place.book(POLICY, retain_changes=None)
    check_tables(book)
    return book.dump(), repr(book.changes_since())


@pytest.mark.full
class TestKills:
    """A killed and repeated log leaves the book of one that was not killed."""

    def test_kill_before_any_statement_leaves_a_whole_book(self, place: Place) -> None:
        """The log is sent again, with the same idempotency keys."""
        engine = place.new_book(POLICY)._store.engine
        send(place, "merged", LOG)
        expected, ends = checked_rows(place), list[int]()
        assert {"aliases", "merged_ids"} <= expected[0][0].keys()
        while 0 not in ends:
            empty(engine, place.tables)
            ends.append(run_child(send, place, "merged", LOG, kill_at=len(ends) + 1))
            checked_rows(place)
            send(place, "merged", LOG)
            assert expected == checked_rows(place)

        assert {*ends[:-1]} == {-signal.SIGKILL}
        assert len(ends) > 50

    @pytest.mark.parametrize("verb", ["merge", "undo", "purge", "upsert_many"])
    def test_kill_before_any_statement_of_a_verb_does_all_or_nothing(
        self, place: Place, verb: str
    ) -> None:
        states, ends = list[Any](), list[int]()
        while 0 not in ends:
            place.new_book(POLICY)
            send(place, "merged", LOG[:3])
            before = checked_rows(place)
            ends.append(run_child(call, place, verb, kill_at=len(ends) + 1))
            states.append(checked_rows(place))
            assert ends[-1] == 0 or states[-1] == before

        assert states[-1] != states[0]
        assert len(ends) > 4

    def test_kill_at_a_random_moment_leaves_a_whole_book(self, place: Place) -> None:
        (log,) = halves_of(1, people=20, patches=60)
        engine = place.new_book(POLICY)._store.engine
        send(place, "merged", log)
        expected, chance = people(checked_rows(place)[0]), random.Random(1)
        for _ in range(3):
            empty(engine, place.tables)
            exit_code = run_and_kill(chance.randrange(50), place, "merged", log)
            checked_rows(place)
            send(place, "merged", log)
            found = people(checked_rows(place)[0])
            assert (exit_code, found) == (-signal.SIGKILL, expected)


def call(place: Place, verb: str, *, kill_at: int) -> None:
    """Call a verb about the first contacts of the log."""
    book = place.book(POLICY, retain_changes=None)
    ids = [contact.id for contact in book]
    newest = book.changes_since()[-1].outcome
    kill_before(book._store.engine, kill_at)
    if verb == "merge":
        book.merge(*ids)
    elif verb == "undo":
        assert newest is not None
        book.undo(newest)
    elif verb == "purge":
        book.purge(ids[0])
    else:
        book.upsert_many(
            [{"email": f"{n}@y.org", "at": 1} for n in range(3)] + [*LOG[4:]]
        )


class TestIdempotency:
    """A call whose answer was lost is done once."""

    def test_repeated_call_is_replayed_by_another_process(self, place: Place) -> None:
        book = place.new_book(POLICY)
        done = book.create(ADA, idempotency_key="k-1")
        repeated = place.book(POLICY).create(ADA, idempotency_key="k-1")

        assert (repeated.replayed, repeated.contact) == (True, done.contact)
        with pytest.raises(errors.IdempotencyKeyReused):
            place.book(POLICY).create({**ADA, "at": 2}, idempotency_key="k-1")
        assert len(book) == 1

    @pytest.mark.full
    def test_connection_lost_at_the_commit(self, postgres: Place) -> None:
        """Whether it was done before or not, the repeated call does it once."""
        book = postgres.new_book(POLICY)
        for has_committed in (True, False):
            for contact in book:
                book.purge(contact.id)
            engine = book._store.engine

            def lose(connection: Any, *, commits: bool = has_committed) -> None:
                driver = connection.connection.driver_connection
                if commits:
                    driver.commit()
                terminate(postgres, driver.info.backend_pid)
                connection.exec_driver_sql("SELECT 1")

            event.listen(engine, "commit", lose)
            key = f"k-{has_committed}"
            with pytest.raises(OperationalError):
                book.upsert(ADA, idempotency_key=key)
            event.remove(engine, "commit", lose)

            assert len(book) == has_committed
            assert book.upsert(ADA, idempotency_key=key).replayed == has_committed
            assert len(book) == 1
        check_tables(book)


def terminate(place: Place, pid: int) -> None:
    """End a connection of PostgreSQL from outside, and wait for its end."""
    gone = text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid")
    engine = place.engine(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        while connection.execute(gone, {"pid": pid}).scalar():
            pass


@pytest.mark.full
def test_lost_connection_is_an_error_and_the_next_call_succeeds(
    postgres: Place,
) -> None:
    engine = postgres.engine(poolclass=QueuePool, pool_size=1)
    book = postgres.new_book(POLICY)
    pooled = SqlBook(engine, POLICY, tables=postgres.tables)
    pooled.upsert(ADA)
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        pid = driver.info.backend_pid
    terminate(postgres, pid)
    with pytest.raises(OperationalError, match="terminating connection"):
        pooled.upsert(ADA | {"at": 2})

    assert pooled.upsert(ADA | {"at": 2}).result == "updated"
    check_tables(book)
    engine.dispose()


@pytest.mark.full
def test_connection_lost_within_a_transaction_of_the_caller(postgres: Place) -> None:
    book = postgres.new_book(POLICY)
    with postgres.engine().connect() as connection:
        within = book.within(connection)
        within.upsert(ADA)
        driver: Any = connection.connection.driver_connection
        terminate(postgres, driver.info.backend_pid)
        with pytest.raises(DBAPIError):
            within.upsert(ADA | {"at": 2})
        connection.rollback()
    assert len(book) == 0
    check_tables(book)


class TestSqlite:
    """A file that is locked, read-only, or full."""

    def test_locked_database_is_overtaken(self, sqlite: Place, tmp_path: Path) -> None:
        book = sqlite.new_book(POLICY)
        book.upsert(ADA)
        impatient = sqlite.engine(connect_args={"timeout": 0})
        other = SqlBook(impatient, POLICY, tables=sqlite.tables)
        with closing(sqlite3.connect(tmp_path / "book.db")) as connection:
            connection.execute("BEGIN IMMEDIATE")
            for call in (
                lambda: other.upsert(BOB),
                lambda: other.upsert_many([BOB]),
                lambda: other.purge(other.find("email", "ada@x.org")[0].id),
            ):
                with pytest.raises(errors.Overtaken, match="database is locked"):
                    call()
            assert [contact["email"] for contact in other] == ["ada@x.org"]
        check_tables(book)

    def test_locked_database_is_asked_three_times(
        self, sqlite: Place, tmp_path: Path
    ) -> None:
        """Each time as long as the driver's timeout, while someone waits."""
        sqlite.new_book(POLICY)
        engine, asked = sqlite.engine(connect_args={"timeout": 0}), count()

        def count_begin(*arguments: Any) -> None:
            if arguments[2] == "BEGIN IMMEDIATE":
                next(asked)

        event.listen(engine, "before_cursor_execute", count_begin)
        with closing(sqlite3.connect(tmp_path / "book.db")) as connection:
            connection.execute("BEGIN IMMEDIATE")
            with pytest.raises(errors.Overtaken, match="database is locked"):
                SqlBook(engine, POLICY, tables=sqlite.tables).upsert(ADA)
        assert next(asked) == 3

    def test_read_only_database_is_an_error_and_is_read(
        self, sqlite: Place, tmp_path: Path
    ) -> None:
        sqlite.new_book(POLICY).upsert(ADA)
        url = f"sqlite:///file:{tmp_path}/book.db?mode=ro&uri=true"
        reader = SqlBook(
            type(sqlite)(url, sqlite.prefix).engine(), POLICY, tables=sqlite.tables
        )
        with pytest.raises(OperationalError, match="readonly database"):
            reader.upsert(BOB)
        with pytest.raises(OperationalError, match="readonly database"):
            reader.delete(reader.find("email", "ada@x.org")[0].id)
        assert [contact["email"] for contact in reader] == ["ada@x.org"]

    @pytest.mark.parametrize("is_batch", [False, True], ids=["single", "batch"])
    def test_full_database_is_an_error_and_is_whole(
        self, sqlite: Place, *, is_batch: bool
    ) -> None:
        """What was done before is kept; after more space was made it goes on."""
        book = sqlite.new_book(POLICY, retain_changes=None)
        engine, limit = sqlite.engine(), [60]

        def limit_pages(connection: Any, _record: Any) -> None:
            connection.execute(f"PRAGMA max_page_count = {limit[0]}")

        event.listen(engine, "connect", limit_pages)
        how: Any = {"tables": sqlite.tables, "retain_changes": None}
        full = SqlBook(engine, POLICY, **how)
        patches = [
            {"email": f"{n}@x.org", "at": 1, "tags": ["x" * 900]} for n in range(500)
        ]

        def fill() -> None:
            if is_batch:
                full.upsert_many(patches)
            for patch in patches:
                full.upsert(patch)

        with pytest.raises(OperationalError, match="disk is full"):
            fill()
        check_tables(book)
        held = len(book)
        assert (held == 0) == is_batch
        assert len(book.changes_since()) == held
        limit[0] = 100_000
        assert full.upsert({"email": "last@x.org", "at": 1}).created
        check_tables(book)

"""The book in PostgreSQL: equality with memory, races and kills."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests import strategies as drawn
from tests.recipes.checking import check_equals_memory, check_tables, in_memory, people
from tests.recipes.postgres_book import Postgres, create_tables, open_book
from tests.recipes.workers import (
    LOG,
    POLICIES,
    Log,
    halves_of,
    logs_of,
    race,
    run_and_kill,
    run_child,
    send,
)
from upsertcore import Policy
from upsertcore.book.loading import rows_of

pytestmark = pytest.mark.full

NOW = datetime(2024, 1, 2, tzinfo=UTC)
UNIQUE = POLICIES["unique"]


@pytest.fixture
def conninfo() -> Iterator[str]:
    """Make a schema with empty tables, and drop it afterwards."""
    name = f"upsertcore_{uuid4().hex}"
    schema_conninfo = make_conninfo(options=f"-csearch_path={name}")
    with psycopg.connect(schema_conninfo, autocommit=True) as connection:
        schema = sql.Identifier(name)
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
        create_tables(connection)
        yield schema_conninfo
        connection.execute("SET client_min_messages TO warning")
        connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(schema))


def empty_tables(conninfo: str) -> None:
    """Delete all rows of the tables."""
    with psycopg.connect(conninfo) as connection:
        connection.execute("DELETE FROM contacts; DELETE FROM ids; DELETE FROM keys")


def checked_rows(conninfo: str, policy: str = "merged") -> list[dict[str, Any]]:
    """Check the tables and return the rows of the book."""
    with open_book(conninfo, POLICIES[policy]) as book:
        check_tables(book)
        return [*book.dump()]


@pytest.mark.usefixtures("conninfo")
class TestEquality:
    """The book answers and stores as one in memory does."""

    @settings(
        max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(
        policy=drawn.policies(),
        calls=st.lists(st.tuples(drawn.patches(), drawn.scopes()), max_size=6),
    )
    def test_book_under_a_drawn_policy_equals_memory(
        self, conninfo: str, policy: Policy, calls: Any
    ) -> None:
        empty_tables(conninfo)
        with open_book(conninfo, policy) as book:
            check_equals_memory(book, calls)

    def test_key_that_the_database_refuses_writes_nothing(self, conninfo: str) -> None:
        """A key with U+0000, or one that is too long. In a field both are stored."""
        odd = {"at": 1, "email": "a@x.org", "from 1": ["\0", 1e16, 10**30, "a" * 9_000]}
        with open_book(conninfo, POLICIES["merged"]) as book:
            with pytest.raises(psycopg.DataError, match="NUL"):
                book.upsert({**odd, "device": "d-\0"})
            long = random.Random(1).randbytes(4_000).hex()
            with pytest.raises(psycopg.OperationalError, match="index row"):
                book.upsert({**odd, "device": long})
            assert [] == [*book.dump()]
            stored = book.upsert(odd).contact

        (row,) = checked_rows(conninfo)
        assert [row] == [*rows_of([stored])]
        assert "1e+16" in repr(row)


class TestRaces:
    """Several clients at once leave the contacts of one after the other."""

    @pytest.mark.parametrize(
        ("policy", "logs"),
        [
            ("unique", logs_of(2, people=3)),
            ("unique", logs_of(4, people=50, patches=100)),
            ("not unique", logs_of(4, people=50, patches=100)),
        ],
        ids=["two", "four", "without an index"],
    )
    def test_racing_clients_keep_each_person_once(
        self, conninfo: str, policy: str, logs: list[Log]
    ) -> None:
        """No patch is lost; versions count the patches."""
        race(partial(open_book, conninfo), policy, logs)

        rows, twin = checked_rows(conninfo, policy), in_memory(policy, logs)
        assert people(twin.dump()) == people(rows)
        assert sum(map(len, logs)) == sum(row["version"] for row in rows)

    def test_racing_merges_keep_each_person_once(self, conninfo: str) -> None:
        """Contacts are merged while others write to them."""
        logs = halves_of(3, people=10, patches=60)
        race(partial(open_book, conninfo), "merged", logs)

        rows, twin = checked_rows(conninfo), in_memory("merged", logs)
        assert people(twin.dump()) == people(rows)

    @pytest.mark.parametrize("isolation", ["SERIALIZABLE", "READ COMMITTED"])
    @pytest.mark.parametrize("known", [True, False], ids=["known", "new"])
    def test_overtaken_upsert_decides_again(
        self, conninfo: str, isolation: str, *, known: bool
    ) -> None:
        """Without isolation it is the version, or the unique index, that fails."""
        with open_book(conninfo, UNIQUE) as other, open_book(conninfo, UNIQUE) as book:
            if known:
                other.upsert({"email": "ada@x.org"})
            moves = iter([{"email": "ada@x.org", "from 2": 1}])

            def clock() -> datetime:
                for patch in moves:
                    other.upsert(patch)
                return NOW

            assert isinstance(book.database, Postgres)
            book.database = evolve(book.database, isolation=isolation)
            book.clock = clock
            outcome = book.upsert({"email": "Ada@x.org", "from 1": 7})

        assert ("updated", 2 + known) == (outcome.result, outcome.contact.version)
        assert [*rows_of([outcome.contact])] == checked_rows(conninfo, "unique")


class TestKills:
    """A killed and repeated log leaves the contacts of one that was not killed."""

    def test_kill_before_any_statement_leaves_a_whole_book(self, conninfo: str) -> None:
        """The log is sent again after each kill."""
        opened = partial(open_book, conninfo)
        send(opened, "merged", LOG)
        expected, ends = checked_rows(conninfo), list[int]()
        while 0 not in ends:
            empty_tables(conninfo)
            ends.append(run_child(opened, "merged", LOG, kill_at=len(ends) + 1))
            checked_rows(conninfo)
            assert 0 == run_child(opened, "merged", LOG)
            assert expected == checked_rows(conninfo)

        assert {-signal.SIGKILL} == {*ends[:-1]}
        assert 50 < len(ends)

    def test_kill_at_a_random_moment_leaves_a_whole_book(self, conninfo: str) -> None:
        opened, (log, *_) = (
            partial(open_book, conninfo),
            halves_of(1, people=20, patches=90),
        )
        send(opened, "merged", log)
        expected = people(checked_rows(conninfo))
        chance = random.Random(1)
        for _ in range(3):
            empty_tables(conninfo)
            exit_code = run_and_kill(chance.randrange(80), opened, "merged", log)
            checked_rows(conninfo)
            send(opened, "merged", log)
            assert (-signal.SIGKILL, expected) == (
                exit_code,
                people(checked_rows(conninfo)),
            )

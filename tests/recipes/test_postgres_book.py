"""The book in PostgreSQL: equal to the one in memory, raced for, and killed."""

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
from tests.recipes.checking import check, in_memory, people, see_that_it_is_the_same
from tests.recipes.postgres_book import Postgres, create_tables, open_book
from tests.recipes.workers import (
    LOG,
    POLICIES,
    Log,
    child,
    halves_of,
    killed_after,
    logs_of,
    race,
    send,
)
from upsertcore import Policy
from upsertcore.book.loading import rows_of

pytestmark = pytest.mark.full

NOW = datetime(2024, 1, 2, tzinfo=UTC)
UNIQUE = POLICIES["unique"]


@pytest.fixture
def place() -> Iterator[str]:
    """Make a schema of its own with empty tables, and drop it afterwards."""
    name = f"upsertcore_{uuid4().hex}"
    where = make_conninfo(options=f"-csearch_path={name}")
    with psycopg.connect(where, autocommit=True) as connection:
        schema = sql.Identifier(name)
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
        create_tables(connection)
        yield where
        connection.execute("SET client_min_messages TO warning")
        connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(schema))


def emptied(place: str) -> None:
    """Take everything out of the tables."""
    with psycopg.connect(place) as connection:
        connection.execute("DELETE FROM contacts; DELETE FROM ids; DELETE FROM keys")


def seen(place: str, policy: str = "merged") -> list[dict[str, Any]]:
    """Look at the tables anew: they are whole, and this is in them."""
    with open_book(place, POLICIES[policy]) as book:
        check(book)
        return [*book.dump()]


@pytest.mark.usefixtures("place")
class TestEquality:
    """It answers as a book in memory, call by call, and stores the same."""

    @settings(
        max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(
        policy=drawn.policies(),
        calls=st.lists(st.tuples(drawn.patches(), drawn.scopes()), max_size=6),
    )
    def test_any_policy(self, place: str, policy: Policy, calls: Any) -> None:
        """Drawn from the whole vocabulary."""
        emptied(place)
        with open_book(place, policy) as book:
            see_that_it_is_the_same(book, calls)

    def test_what_the_database_refuses(self, place: str) -> None:
        """A key with U+0000, or too long; nothing is left. In a field both are fine."""
        odd = {"at": 1, "email": "a@x.org", "from 1": ["\0", 1e16, 10**30, "a" * 9_000]}
        with open_book(place, POLICIES["merged"]) as book:
            with pytest.raises(psycopg.DataError, match="NUL"):
                book.upsert({**odd, "device": "d-\0"})
            long = random.Random(1).randbytes(4_000).hex()
            with pytest.raises(psycopg.OperationalError, match="index row"):
                book.upsert({**odd, "device": long})
            assert [] == [*book.dump()]
            stored = book.upsert(odd).contact

        (row,) = seen(place)
        assert [row] == [*rows_of([stored])]
        assert "1e+16" in repr(row)


class TestRaces:
    """Several clients at once leave what one after the other would leave."""

    @pytest.mark.parametrize(
        ("policy", "logs"),
        [
            ("unique", logs_of(2, people=3)),
            ("unique", logs_of(4, people=50, patches=100)),
            ("not unique", logs_of(4, people=50, patches=100)),
        ],
        ids=["two", "four", "without an index"],
    )
    def test_about_the_same_people(
        self, place: str, policy: str, logs: list[Log]
    ) -> None:
        """Nobody stands there twice, no patch is lost, and versions count them."""
        race(partial(open_book, place), policy, logs)

        rows, twin = seen(place, policy), in_memory(policy, logs)
        assert people(twin.dump()) == people(rows)
        assert sum(map(len, logs)) == sum(row["version"] for row in rows)

    def test_halves_that_are_joined(self, place: str) -> None:
        """Contacts are merged while others write to them; each person is one."""
        logs = halves_of(3, people=10, patches=60)
        race(partial(open_book, place), "merged", logs)

        rows, twin = seen(place), in_memory("merged", logs)
        assert people(twin.dump()) == people(rows)

    @pytest.mark.parametrize("isolation", ["SERIALIZABLE", "READ COMMITTED"])
    @pytest.mark.parametrize("known", [True, False], ids=["known", "new"])
    def test_who_is_overtaken_decides_anew(
        self, place: str, isolation: str, *, known: bool
    ) -> None:
        """Without isolation too: by the version, or by the unique index."""
        with open_book(place, UNIQUE) as other, open_book(place, UNIQUE) as book:
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
        assert [*rows_of([outcome.contact])] == seen(place, "unique")


class TestKills:
    """Killed at any moment, and sent again: as if nobody had been killed."""

    def test_between_any_two_statements(self, place: str) -> None:
        """Before the first, before the second, until the log runs through."""
        opened = partial(open_book, place)
        send(opened, "merged", LOG)
        expected, ends = seen(place), list[int]()
        while 0 not in ends:
            emptied(place)
            ends.append(child(opened, "merged", LOG, kill_at=len(ends) + 1))
            seen(place)
            assert 0 == child(opened, "merged", LOG)
            assert expected == seen(place)

        assert {-signal.SIGKILL} == {*ends[:-1]}
        assert 50 < len(ends)

    def test_from_outside(self, place: str) -> None:
        """At no moment in particular."""
        opened, (log, *_) = (
            partial(open_book, place),
            halves_of(1, people=20, patches=90),
        )
        send(opened, "merged", log)
        expected = people(seen(place))
        chance = random.Random(1)
        for _ in range(3):
            emptied(place)
            ended = killed_after(chance.randrange(80), opened, "merged", log)
            seen(place)
            send(opened, "merged", log)
            assert (-signal.SIGKILL, expected) == (ended, people(seen(place)))

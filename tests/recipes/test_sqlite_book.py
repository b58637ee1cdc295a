"""The book in SQLite: equal to the one in memory, raced for, and killed."""

from __future__ import annotations

import random
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies as drawn
from tests.recipes.checking import (
    answer,
    check,
    in_memory,
    people,
    see_that_it_is_the_same,
)
from tests.recipes.sql_book import SqlBook
from tests.recipes.sql_tables import Lookups, Overtaken, write
from tests.recipes.sqlite_book import Sqlite, connected, create_tables, open_book
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
from upsertcore import (
    Outcome,
    Policy,
    errors,
    field,
    first_match,
    key,
    merge_all,
    normalize,
    profiles,
)
from upsertcore.book.loading import rows_of
from upsertcore.engine.decide import decide
from upsertcore.store.stamp import Stamp
from upsertcore.testing import patches

pytestmark = pytest.mark.full

NOW = datetime(2024, 1, 2, tzinfo=UTC)
UNIQUE = POLICIES["unique"]
NAMED = {
    **POLICIES,
    "SalesforceIQ": profiles.SalesforceIQ().policy,
    "LeadConnector": profiles.LeadConnector().policy,
    "SegMetrics": profiles.SegMetrics().policy,
    "Anduin": profiles.Anduin().policy,
    "composite": Policy(
        first_match("email", "person"),
        {
            "email": field(key=normalize.email, unique=True, keep_aliases=True),
            "first": field(),
            "born": field(),
        },
        keys={"person": key("first", "born", normalize=normalize.exact, unique=True)},
        on_key_in_use="withhold",
    ),
    "limited": Policy(
        merge_all("email", "phone"),
        {
            "email": field(
                key=normalize.email, unique=True, keep_aliases=True, max_forms=2
            ),
            "phone": field(key=normalize.phone, keep_aliases=True),
        },
    ),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Make a file with empty tables."""
    path = tmp_path / "book.db"
    with closing(connected(path)) as connection:
        create_tables(connection)
    return path


@contextmanager
def book_of(policy: Policy) -> Iterator[SqlBook]:
    """Open a book of its own, which is gone afterwards."""
    with closing(connected(":memory:")) as connection:
        create_tables(connection)
        yield SqlBook(policy, Sqlite(connection))


@contextmanager
def traced(file: Path, said: list[str], policy: Policy) -> Iterator[SqlBook]:
    """Open a book, and note every statement that SQLite does for it."""
    with closing(connected(file)) as connection:
        connection.set_trace_callback(said.append)
        yield SqlBook(policy, Sqlite(connection))


def emptied(file: Path) -> None:
    """Take everything out of the tables."""
    with closing(connected(file)) as connection:
        connection.executescript(
            "DELETE FROM contacts; DELETE FROM ids; DELETE FROM keys;"
            "DELETE FROM sqlite_sequence"
        )


def seen(file: Path, policy: str = "merged") -> list[dict[str, Any]]:
    """Look at a file anew: it is whole, and this is in it."""
    with open_book(file, POLICIES[policy]) as book:
        check(book)
        return [*book.dump()]


def result(answer: Any) -> str:
    """Say in a word what became of a patch."""
    return answer.result if isinstance(answer, Outcome) else "refused"


class TestEquality:
    """It answers as a book in memory, call by call, and stores the same."""

    @pytest.mark.parametrize("name", NAMED)
    @given(data=st.data())
    def test_a_policy(self, name: str, data: st.DataObject) -> None:
        """Of each kind: outcomes, refusals, order, aliases and absorbed ids."""
        policy = NAMED[name]
        calls = st.tuples(patches(policy), st.sampled_from(("", "", "east")))
        with book_of(policy) as book:
            see_that_it_is_the_same(book, data.draw(st.lists(calls, max_size=8)))

    @given(
        policy=drawn.policies(),
        calls=st.lists(st.tuples(drawn.patches(), drawn.scopes()), max_size=6),
    )
    def test_any_policy(self, policy: Policy, calls: Any) -> None:
        """Drawn from the whole vocabulary."""
        with book_of(policy) as book:
            see_that_it_is_the_same(book, calls)


class TestCosts:
    """Statements are counted, BEGIN and COMMIT among them; no size is in the sum."""

    @pytest.mark.parametrize("others", [0, 50])
    def test_of_one_key(self, file: Path, others: int) -> None:
        """A look-up for each form that is sent, one for whom it hits, and writes."""
        said: list[str] = []
        costs = []
        with traced(file, said, UNIQUE) as book:
            for number in range(others):
                book.upsert({"email": f"{number}@x.org"})
            for city in (1, 1, 2):
                said.clear()
                outcome = book.upsert({"email": "ada@x.org", "from 1": city})
                costs.append((outcome.result, len(said)))

        assert [("created", 6), ("unchanged", 4), ("updated", 5)] == costs


class TestRaces:
    """Several processes at once leave what one after the other would leave."""

    @pytest.mark.parametrize(
        ("policy", "logs"),
        [
            ("unique", logs_of(2, people=3)),
            ("unique", logs_of(4, people=3)),
            ("unique", logs_of(4, people=50)),
            ("not unique", logs_of(4, people=50)),
        ],
        ids=["two", "four", "creating", "without an index"],
    )
    def test_about_the_same_people(
        self, file: Path, policy: str, logs: list[Log]
    ) -> None:
        """Nobody stands there twice, no patch is lost, and versions count them."""
        race(partial(open_book, file), policy, logs)

        rows, twin = seen(file, policy), in_memory(policy, logs)
        assert people(twin.dump()) == people(rows)
        assert sum(map(len, logs)) == sum(row["version"] for row in rows)

    def test_halves_that_are_joined(self, file: Path) -> None:
        """Contacts are merged while others write to them; each person is one."""
        logs = halves_of(3, people=10, patches=60)
        race(partial(open_book, file), "merged", logs)

        rows, twin = seen(file), in_memory("merged", logs)
        assert people(twin.dump()) == people(rows)

    @pytest.mark.parametrize("known", [True, False], ids=["known", "new"])
    def test_who_is_overtaken_decides_anew(self, file: Path, *, known: bool) -> None:
        """The other writes after this one has looked; what it wrote is found."""
        said: list[str] = []
        with open_book(file, UNIQUE) as other, traced(file, said, UNIQUE) as book:
            if known:
                other.upsert({"email": "ada@x.org"})
            moves = iter([{"email": "ada@x.org", "from 2": 1}])

            def clock() -> datetime:
                for patch in moves:
                    other.upsert(patch)
                return NOW

            book.clock = clock
            outcome = book.upsert({"email": "Ada@x.org", "from 1": 7})

        assert ("updated", 2 + known) == (outcome.result, outcome.contact.version)
        assert [*rows_of([outcome.contact])] == seen(file, "unique")
        begins = [each for each in said if each.startswith("BEGIN")]
        assert ["BEGIN DEFERRED", "BEGIN IMMEDIATE"] == begins

    def test_what_changes_nothing_waits_for_nobody(self, file: Path) -> None:
        """Another holds the lock of the writers all the time."""
        with (
            closing(connected(file)) as other,
            closing(connected(file, timeout=0)) as connection,
        ):
            book = SqlBook(UNIQUE, Sqlite(connection))
            book.upsert({"email": "ada@x.org"})
            other.execute("BEGIN IMMEDIATE")

            assert book.upsert({"email": "ada@x.org"}).unchanged
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                book.upsert({"email": "bob@x.org"})


class TestTheLastWord:
    """Whoever writes by other means does not make the book write twice."""

    def test_the_version(self, file: Path) -> None:
        """A plan that is written late writes nothing."""
        with open_book(file, UNIQUE) as book:
            book.upsert({"email": "ada@x.org"})
            look = Lookups(UNIQUE, book.database)
            late = decide(UNIQUE, {"email": "ada@x.org", "from 1": 1}, look)
            book.upsert({"email": "ada@x.org", "from 1": 2})
            stamp = Stamp(book.ids, book.clock)
            stamp.prepare(late)
            with pytest.raises(Overtaken):
                write(book.database, late, stamp.contact(late))

        assert [2] == [row["fields"]["from 1"] for row in seen(file, "unique")]

    def test_the_unique_index(self, file: Path) -> None:
        """Whoever holds a form, nobody else is given it."""
        with open_book(file, UNIQUE) as book:
            sql = "INSERT INTO keys VALUES ('', 'email', 'ada@x.org', 'c-0', 1)"
            book.database.execute(sql)
            with pytest.raises(sqlite3.IntegrityError, match=r"keys\.scope"):
                book.upsert({"email": "Ada@x.org"})

            assert [] == [*book.dump()]

    def test_an_id_that_was_given(self, file: Path) -> None:
        """It never comes to mean another, and attempts come to an end."""
        with open_book(file, UNIQUE, ids=lambda: "c-1") as book:
            book.upsert({"email": "ada@x.org"})
            with pytest.raises(sqlite3.IntegrityError, match=r"contacts\.id"):
                book.upsert({"email": "bob@x.org"})

        assert ["c-1"] == [row["id"] for row in seen(file, "unique")]

    def test_a_fault_of_the_host(self, file: Path) -> None:
        """It is passed on, at once, and nothing is written."""

        def clock() -> datetime:
            raise OSError

        with open_book(file, UNIQUE, clock=clock) as book, pytest.raises(OSError):
            book.upsert({"email": "ada@x.org"})
        assert [] == seen(file, "unique")

    def test_an_id_that_leads_on(self, file: Path) -> None:
        """To the contact that absorbed its own; an id of nobody leads nowhere."""
        with open_book(file, POLICIES["merged"]) as book:
            ada, guest = [book.upsert(each).contact.id for each in LOG[:2]]
            book.upsert(LOG[4])

            assert ada == book.get(guest).id
            with pytest.raises(errors.UnknownContact):
                book.get("c-9")


class TestKills:
    """Killed at any moment, and sent again: as if nobody had been killed."""

    def test_what_is_sent(self) -> None:
        """All that can become of a patch is in the log; sent again it is as before."""
        with book_of(POLICIES["merged"]) as book:
            first = [answer(book, patch, "") for patch in LOG]
            rows = [*book.dump()]
            again = [answer(book, patch, "") for patch in LOG]

            assert rows == [*book.dump()]
        results = ["created", "created", "created", "refused", "merged", "updated"]
        assert [*results, "updated", "merged"] == [result(each) for each in first]
        assert {"unchanged", "refused"} == {result(each) for each in again}
        assert {"aliases", "merged_ids"} <= rows[0].keys()

    def test_between_any_two_statements(self, file: Path) -> None:
        """Before the first, before the second, until the log runs through."""
        opened, said = partial(open_book, file), list[str]()
        send(partial(traced, file, said), "merged", LOG)
        expected, ends = seen(file), list[int]()
        while 0 not in ends:
            emptied(file)
            ends.append(child(opened, "merged", LOG, kill_at=len(ends) + 1))
            seen(file)
            assert 0 == child(opened, "merged", LOG)
            assert expected == seen(file)

        assert [-signal.SIGKILL] * len(said) + [0] == ends

    def test_from_outside(self, file: Path) -> None:
        """At no moment in particular."""
        opened, (log, *_) = (
            partial(open_book, file),
            halves_of(1, people=20, patches=90),
        )
        send(opened, "merged", log)
        expected = people(seen(file))
        chance = random.Random(1)
        for _ in range(3):
            emptied(file)
            ended = killed_after(chance.randrange(80), opened, "merged", log)
            seen(file)
            send(opened, "merged", log)
            assert (-signal.SIGKILL, expected) == (ended, people(seen(file)))

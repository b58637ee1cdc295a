"""The book in SQLite: equality with memory, costs, races and kills."""

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
    answer_to,
    check_equals_memory,
    check_tables,
    in_memory,
    people,
)
from tests.recipes.sql_book import SqlBook
from tests.recipes.sql_tables import Lookups, Overtaken, write
from tests.recipes.sqlite_book import Sqlite, connect, create_tables, open_book
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
    with closing(connect(path)) as connection:
        create_tables(connection)
    return path


@contextmanager
def book_of(policy: Policy) -> Iterator[SqlBook]:
    """Open a book in memory, which is gone afterwards."""
    with closing(connect(":memory:")) as connection:
        create_tables(connection)
        yield SqlBook(policy, Sqlite(connection))


@contextmanager
def open_traced(file: Path, statements: list[str], policy: Policy) -> Iterator[SqlBook]:
    """Open a book, and note every statement of SQLite."""
    with closing(connect(file)) as connection:
        connection.set_trace_callback(statements.append)
        yield SqlBook(policy, Sqlite(connection))


def empty_tables(file: Path) -> None:
    """Delete all rows of the tables."""
    with closing(connect(file)) as connection:
        connection.executescript(
            "DELETE FROM contacts; DELETE FROM ids; DELETE FROM keys;"
            "DELETE FROM sqlite_sequence"
        )


def checked_rows(file: Path, policy: str = "merged") -> list[dict[str, Any]]:
    """Check a file and return the rows of its book."""
    with open_book(file, POLICIES[policy]) as book:
        check_tables(book)
        return [*book.dump()]


def result_of(answer_to: Any) -> str:
    """Return the result of a patch in one word."""
    return answer_to.result if isinstance(answer_to, Outcome) else "refused"


class TestEquality:
    """The book answers and stores as one in memory does."""

    @pytest.mark.parametrize("name", NAMED)
    @given(data=st.data())
    def test_book_under_a_named_policy_equals_memory(
        self, name: str, data: st.DataObject
    ) -> None:
        """Outcomes, refusals, order, aliases and absorbed ids."""
        policy = NAMED[name]
        calls = st.tuples(patches(policy), st.sampled_from(("", "", "east")))
        with book_of(policy) as book:
            check_equals_memory(book, data.draw(st.lists(calls, max_size=8)))

    @given(
        policy=drawn.policies(),
        calls=st.lists(st.tuples(drawn.patches(), drawn.scopes()), max_size=6),
    )
    def test_book_under_a_drawn_policy_equals_memory(
        self, policy: Policy, calls: Any
    ) -> None:
        with book_of(policy) as book:
            check_equals_memory(book, calls)


class TestCosts:
    """Statements are counted, BEGIN and COMMIT included."""

    @pytest.mark.parametrize("others", [0, 50])
    def test_statements_of_an_upsert_do_not_grow_with_the_book(
        self, file: Path, others: int
    ) -> None:
        """One look-up for each form, one for the contact found, and the writes."""
        statements: list[str] = []
        costs = []
        with open_traced(file, statements, UNIQUE) as book:
            for number in range(others):
                book.upsert({"email": f"{number}@x.org"})
            for city in (1, 1, 2):
                statements.clear()
                outcome = book.upsert({"email": "ada@x.org", "from 1": city})
                costs.append((outcome.result, len(statements)))

        assert [("created", 6), ("unchanged", 4), ("updated", 5)] == costs


class TestRaces:
    """Several processes at once leave the contacts of one after the other."""

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
    def test_racing_processes_keep_each_person_once(
        self, file: Path, policy: str, logs: list[Log]
    ) -> None:
        """No patch is lost; versions count the patches."""
        race(partial(open_book, file), policy, logs)

        rows, twin = checked_rows(file, policy), in_memory(policy, logs)
        assert people(twin.dump()) == people(rows)
        assert sum(map(len, logs)) == sum(row["version"] for row in rows)

    def test_racing_merges_keep_each_person_once(self, file: Path) -> None:
        """Contacts are merged while others write to them."""
        logs = halves_of(3, people=10, patches=60)
        race(partial(open_book, file), "merged", logs)

        rows, twin = checked_rows(file), in_memory("merged", logs)
        assert people(twin.dump()) == people(rows)

    @pytest.mark.parametrize("known", [True, False], ids=["known", "new"])
    def test_overtaken_upsert_decides_again(self, file: Path, *, known: bool) -> None:
        """The other process writes after this one has looked up the key."""
        statements: list[str] = []
        with (
            open_book(file, UNIQUE) as other,
            open_traced(file, statements, UNIQUE) as book,
        ):
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
        assert [*rows_of([outcome.contact])] == checked_rows(file, "unique")
        begins = [
            statement for statement in statements if statement.startswith("BEGIN")
        ]
        assert ["BEGIN DEFERRED", "BEGIN IMMEDIATE"] == begins

    def test_unchanged_upsert_takes_no_write_lock(self, file: Path) -> None:
        """Another connection holds the write lock."""
        with (
            closing(connect(file)) as other,
            closing(connect(file, timeout=0)) as connection,
        ):
            book = SqlBook(UNIQUE, Sqlite(connection))
            book.upsert({"email": "ada@x.org"})
            other.execute("BEGIN IMMEDIATE")

            assert book.upsert({"email": "ada@x.org"}).unchanged
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                book.upsert({"email": "bob@x.org"})


class TestConstraints:
    """Other writers do not make the book write twice."""

    def test_late_plan_is_refused_by_the_version(self, file: Path) -> None:
        with open_book(file, UNIQUE) as book:
            book.upsert({"email": "ada@x.org"})
            look = Lookups(UNIQUE, book.database)
            late = decide(UNIQUE, {"email": "ada@x.org", "from 1": 1}, look)
            book.upsert({"email": "ada@x.org", "from 1": 2})
            stamp = Stamp(book.ids, book.clock)
            stamp.prepare(late)
            with pytest.raises(Overtaken):
                write(book.database, late, stamp.contact(late))

        assert [2] == [row["fields"]["from 1"] for row in checked_rows(file, "unique")]

    def test_held_form_is_refused_by_the_unique_index(self, file: Path) -> None:
        with open_book(file, UNIQUE) as book:
            sql = "INSERT INTO keys VALUES ('', 'email', 'ada@x.org', 'c-0', 1)"
            book.database.execute(sql)
            with pytest.raises(sqlite3.IntegrityError, match=r"keys\.scope"):
                book.upsert({"email": "Ada@x.org"})

            assert [] == [*book.dump()]

    def test_repeated_id_is_refused_after_all_attempts(self, file: Path) -> None:
        with open_book(file, UNIQUE, ids=lambda: "c-1") as book:
            book.upsert({"email": "ada@x.org"})
            with pytest.raises(sqlite3.IntegrityError, match=r"contacts\.id"):
                book.upsert({"email": "bob@x.org"})

        assert ["c-1"] == [row["id"] for row in checked_rows(file, "unique")]

    def test_error_of_a_host_function_writes_nothing(self, file: Path) -> None:
        def clock() -> datetime:
            raise OSError

        with open_book(file, UNIQUE, clock=clock) as book, pytest.raises(OSError):
            book.upsert({"email": "ada@x.org"})
        assert [] == checked_rows(file, "unique")

    def test_absorbed_id_gives_the_survivor(self, file: Path) -> None:
        """An unknown id gives none."""
        with open_book(file, POLICIES["merged"]) as book:
            ada, guest = [book.upsert(patch).contact.id for patch in LOG[:2]]
            book.upsert(LOG[4])

            assert ada == book.get(guest).id
            with pytest.raises(errors.UnknownContact):
                book.get("c-9")


class TestKills:
    """A killed and repeated log leaves the contacts of one that was not killed."""

    def test_log_has_every_result_and_can_be_repeated(self) -> None:
        with book_of(POLICIES["merged"]) as book:
            first = [answer_to(book, patch, "") for patch in LOG]
            rows = [*book.dump()]
            repeated = [answer_to(book, patch, "") for patch in LOG]

            assert rows == [*book.dump()]
        results = ["created", "created", "created", "refused", "merged", "updated"]
        assert [*results, "updated", "merged"] == [result_of(item) for item in first]
        assert {"unchanged", "refused"} == {result_of(item) for item in repeated}
        assert {"aliases", "merged_ids"} <= rows[0].keys()

    def test_kill_before_any_statement_leaves_a_whole_book(self, file: Path) -> None:
        """The log is sent again after each kill."""
        opened, statements = partial(open_book, file), list[str]()
        send(partial(open_traced, file, statements), "merged", LOG)
        expected, ends = checked_rows(file), list[int]()
        while 0 not in ends:
            empty_tables(file)
            ends.append(run_child(opened, "merged", LOG, kill_at=len(ends) + 1))
            checked_rows(file)
            assert 0 == run_child(opened, "merged", LOG)
            assert expected == checked_rows(file)

        assert [-signal.SIGKILL] * len(statements) + [0] == ends

    def test_kill_at_a_random_moment_leaves_a_whole_book(self, file: Path) -> None:
        opened, (log, *_) = (
            partial(open_book, file),
            halves_of(1, people=20, patches=90),
        )
        send(opened, "merged", log)
        expected = people(checked_rows(file))
        chance = random.Random(1)
        for _ in range(3):
            empty_tables(file)
            exit_code = run_and_kill(chance.randrange(80), opened, "merged", log)
            checked_rows(file)
            send(opened, "merged", log)
            assert (-signal.SIGKILL, expected) == (
                exit_code,
                people(checked_rows(file)),
            )

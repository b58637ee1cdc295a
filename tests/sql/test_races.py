"""Several processes and threads at once leave the contacts of one after the other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Barrier
from typing import Any

import pytest

from tests.sql.checking import check_tables
from tests.sql.places import Place
from tests.sql.workers import (
    POLICIES,
    Log,
    churn,
    halves_of,
    in_memory,
    logs_of,
    people,
    race,
    send,
)
from upsertcore import ContactBook
from upsertcore.sql import SqlBook


def checked(place: Place, policy: str) -> SqlBook:
    """Check the tables and the changes of a place, and return its book."""
    book = place.book(POLICIES[policy], retain_changes=None)
    check_tables(book)
    twin = ContactBook.from_changes(book.policy, book.changes_since())
    rows = [{**row, "place": 0} for row in twin.dump()]
    by_id = {row["id"]: {**row, "place": 0} for row in book.dump()}
    assert by_id == {row["id"]: row for row in rows}
    return book


def test_racing_threads_keep_each_person_once(place: Place) -> None:
    """No patch is lost: versions count them."""
    book = place.new_book(POLICIES["not unique"], retain_changes=None)
    logs, start = logs_of(4, people=3, patches=9), Barrier(4)

    def run(log: Log) -> None:
        start.wait()
        for patch in log:
            book.upsert(patch)

    with ThreadPoolExecutor(4) as pool:
        [*pool.map(run, logs)]

    rows = checked(place, "not unique").dump()
    assert people(rows) == people(in_memory("not unique", logs).dump())
    assert sum(row["version"] for row in rows) == 36


@pytest.mark.full
@pytest.mark.parametrize("size", [1, 25], ids=["single", "batches"])
@pytest.mark.parametrize("policy", ["unique", "not unique"])
@pytest.mark.parametrize(
    ("processes", "persons"), [(2, 3), (4, 60), (8, 3)], ids=["two", "four", "eight"]
)
def test_racing_processes_keep_each_person_once(
    place: Place, policy: str, processes: int, persons: int, size: int
) -> None:
    """No patch is lost: versions count them."""
    logs = logs_of(processes, persons, patches=240 // processes)
    place.new_book(POLICIES[policy])
    race(
        send_in(size),
        [(place, policy, log, f"p{n}") for n, log in enumerate(logs)],
    )

    rows = checked(place, policy).dump()
    assert people(rows) == people(in_memory(policy, logs).dump())
    assert sum(row["version"] for row in rows) == sum(map(len, logs))


def send_in(size: int) -> Any:
    """Return the function that sends a log in batches of a size."""
    return send if size == 1 else send_batches


def send_batches(*arguments: Any, **options: Any) -> None:
    """Send a log in batches."""
    send(*arguments, size=25, **options)


@pytest.mark.full
@pytest.mark.parametrize("size", [1, 25], ids=["single", "batches"])
def test_racing_merges_keep_each_person_once(place: Place, size: int) -> None:
    """Contacts are merged by patches while others write to them."""
    logs = halves_of(4, people=10, patches=40)
    place.new_book(POLICIES["merged"])
    race(
        send_in(size),
        [(place, "merged", log, f"p{n}") for n, log in enumerate(logs)],
    )

    rows = checked(place, "merged").dump()
    assert people(rows) == people(in_memory("merged", logs).dump())


@pytest.mark.full
@pytest.mark.parametrize("persons", [4, 40])
def test_merges_and_undos_among_upserts_leave_a_whole_book(
    place: Place, persons: int
) -> None:
    """Every tag of the senders is there, on one contact."""
    numbers = count()
    how: Any = {"ids": lambda: f"s-{next(numbers)}", "retain_changes": None}
    book = place.new_book(POLICIES["merged"], **how)
    for n in range(persons):
        book.upsert({"email": f"p{n}@x.org", "device": f"d-{n}", "at": 9, "tags": []})
    ids = [contact.id for contact in book]
    logs = [
        [
            {"device": f"d-{n % persons}", "tags": [f"{name}-{n}"], "at": 1}
            for n in range(60)
        ]
        for name in range(2)
    ]
    race(
        either,
        [
            *[(send, place, "merged", log, f"p{n}") for n, log in enumerate(logs)],
            *[(churn, place, ids, f"q{n}", 30) for n in range(2)],
        ],
    )

    rows = checked(place, "merged").dump()
    tags = {tag for row in rows for tag in row["fields"]["tags"]}
    assert {f"{name}-{n}" for name in range(2) for n in range(60)} <= tags


def either(function: Any, *arguments: Any, **options: Any) -> None:
    """Call a function."""
    function(*arguments, **options)

"""
Processes that send a log to a book, and that are killed.

Rules:
    Each is forked from a clean process, and opens its own book.
    Ids and times come from the line of the log, so the same log is the same book.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from time import perf_counter
from typing import Any, TypeAlias

from sqlalchemy import Engine, event
from sqlalchemy.pool import QueuePool

from tests.field_options import merging
from tests.sql.places import Place
from upsertcore import ContactBook, Policy, errors, first_match, merge_all, normalize
from upsertcore import field as line
from upsertcore.rules import keep, largest, latest, union
from upsertcore.sql import SqlBook

Log: TypeAlias = Sequence[dict[str, Any]]

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["pytest", "tests.sql.workers", "tests.sql.readers"])

_FREE: dict[str, Any] = {
    "tags": line(rule=union),
    **{f"from {name}": line() for name in range(8)},
}
_MERGED = merging(
    {
        "email": line(
            key=normalize.email, unique=True, keep_aliases=True, rule=latest(by="at")
        ),
        "device": line(key=normalize.exact, keep_aliases=True, rule=keep),
        "at": line(rule=largest),
        **_FREE,
    },
    {"tags": union, "at": largest},
)
POLICIES = {
    "unique": Policy(
        first_match("email"),
        {"email": line(key=normalize.email, unique=True, rule=keep), **_FREE},
    ),
    # No index keeps them unique: the locks do.
    "not unique": Policy(
        first_match("email"),
        {"email": line(key=normalize.email, rule=keep), **_FREE},
    ),
    "merged": Policy(merge_all("email", "device"), _MERGED),
}

LOG: Log = (
    {"email": "ada@x.org", "at": 1, "tags": ["a"]},
    {"device": "d-1", "tags": ["b"]},
    {"email": "bob@x.org", "at": 3, "device": "d-2"},
    {"tags": ["of nobody"]},
    {"email": "ADA@x.org", "at": 5, "device": "d-1"},
    {"email": "bob@y.org", "at": 6, "device": "d-2"},
    {"email": "bob@x.org", "at": 3, "tags": ["c"]},
    {"email": "bob@y.org", "at": 8, "device": "d-1"},
)
"""Sent again from any line on, it changes nothing; it has merges and aliases."""

START = datetime(2024, 1, 2, tzinfo=UTC)


def kill_before(engine: Engine, number: int) -> None:
    """Kill this process before a statement or a commit."""
    numbers = count(1)

    def before(*_arguments: Any) -> None:
        if next(numbers) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "commit", before)


def open_book(place: Place, policy: str, kill_at: int = 0, **options: Any) -> SqlBook:
    """Open a book; perhaps one that will be killed."""
    engine = place.engine(poolclass=QueuePool)
    if kill_at:
        kill_before(engine, kill_at)
    return SqlBook(engine, POLICIES[policy], tables=place.tables, **options)


def send(
    place: Place,
    policy: str,
    log: Log,
    name: str = "c",
    *,
    kill_at: int = 0,
    start: Barrier | None = None,
    longest: Any = None,
    progress: Connection | None = None,
    size: int = 1,
) -> None:
    """Send a log patch by patch, or in batches, also after refusals."""
    at = [0]
    how: Any = {
        "ids": map(f"{name}-{{}}".format, count()).__next__,
        "clock": lambda: START + timedelta(minutes=at[0]),
        "retain_changes": None,
    }
    if size == 1:
        how["ids"] = lambda: f"{name}-{at[0]}"
    book = open_book(place, policy, kill_at, **how)
    if start is not None:
        start.wait()
    for number in range(0, len(log), size):
        at[0] = number
        with timed(longest):
            if size > 1:
                patches = log[number : number + size]
                book.upsert_many(patches, on_refused="collect")
                continue
            with suppress(errors.NoMatchKey):
                book.upsert(log[number], idempotency_key=f"{name}-{number}")
        if progress is not None:
            progress.send(number)
    book._store.engine.dispose()
    if progress is not None:
        signal.pause()  # Until it is killed, which may be late.


def run_child(function: Callable[..., Any], *arguments: Any, **options: Any) -> int:
    """Call a function in another process; return its exit code."""
    process = PROCESSES.Process(target=function, args=arguments, kwargs=options)
    process.start()
    process.join()
    return process.exitcode or 0


def run_and_kill(number: int, *arguments: Any) -> int:
    """Send a log, and kill the process from outside some time after a line of it."""
    received, progress = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(
        target=send, args=arguments, kwargs={"progress": progress}
    )
    process.start()
    while received.recv() < number:
        pass
    process.kill()
    process.join()
    return process.exitcode or 0


LONGEST: dict[str, float] = {}
"""How long a call of racing processes took at most, in seconds, by database."""


@contextmanager
def timed(longest: Any) -> Iterator[None]:
    """Raise a shared value to how long the block takes."""
    started = perf_counter()
    yield
    if longest is not None:
        with longest.get_lock():
            longest.value = max(longest.value, perf_counter() - started)


def race(function: Callable[..., Any], calls: Iterable[tuple[Any, ...]]) -> None:
    """Call a function at once, each time in another process; the start is added."""
    all_calls = [*calls]
    start, longest = PROCESSES.Barrier(len(all_calls)), PROCESSES.Value("d", 0.0)
    options = {"start": start, "longest": longest}
    processes = [
        PROCESSES.Process(target=function, args=call, kwargs=options)
        for call in all_calls
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * len(all_calls)
    place = next(part for part in all_calls[0] if isinstance(part, Place))
    name = "PostgreSQL" if place.is_postgresql else "SQLite"
    LONGEST[name] = max(LONGEST.get(name, 0), longest.value)


def churn(
    place: Place,
    ids: Sequence[str],
    name: str,
    turns: int,
    *,
    start: Barrier,
    longest: Any,
) -> None:
    """Merge contacts of others and undo that, and update and move their keys."""
    book = open_book(place, "merged", retain_changes=None)
    start.wait()
    for turn in range(turns):
        one, other = ids[turn % len(ids)], ids[(turn * 3 + 1) % len(ids)]
        for call in churning(book, one, other, f"{name}-{turn}"):
            with timed(longest), suppress(errors.Refused, errors.UnknownContact):
                call()


def churning(
    book: SqlBook, one: str, other: str, tag: str
) -> Iterator[Callable[[], Any]]:
    """Yield calls about two contacts."""
    done: list[Any] = []

    def undo() -> None:
        for outcome in done[-1:]:
            book.undo(outcome)

    yield lambda: done.append(book.merge(one, other, on_itself="ignore"))
    yield lambda: book.update(other, {"tags": [tag]})
    yield undo
    yield lambda: done.append(book.update(one, {"email": f"{tag}@x.org"}))
    yield undo


def logs_of(processes: int, people: int, patches: int = 100) -> list[Log]:
    """Make logs about the same persons, in which each patch has an effect."""
    return [
        [
            {
                "email": f"{'P' if name % 2 else 'p'}{n % people}@x.org",
                f"from {name}": n,
                "tags": [f"{name}-{n}"],
            }
            for n in range(patches)
        ]
        for name in range(processes)
    ]


def halves_of(processes: int, people: int, patches: int = 100) -> list[Log]:
    """Make logs of persons with one key each, until a patch has both."""
    keys = ("email", "device"), ("device",), ("email",)
    return [
        [
            {key: f"{n % people}@{key}" for key in keys[(n // people + name) % 3]}
            | {f"from {name}": n, "tags": [f"{name}-{n}"], "at": 1}
            for n in range(patches)
        ]
        for name in range(processes)
    ]


def people(rows: Any) -> list[Any]:
    """List the fields of contacts, in an order that is not that of creation."""
    plain = [{**row["fields"], "tags": sorted(row["fields"]["tags"])} for row in rows]
    lowered = [{**fields, "email": fields["email"].lower()} for fields in plain]
    return sorted(lowered, key=lambda fields: fields["email"])


def in_memory(policy: str, logs: Sequence[Log]) -> ContactBook:
    """Make a book in memory by the logs, one after the other."""
    numbers = count(1)
    book = ContactBook(POLICIES[policy], ids=lambda: f"m-{next(numbers)}")
    for log in logs:
        book.upsert_many(log)
    return book

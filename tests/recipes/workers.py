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
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any, TypeAlias

from attrs import define, field

from tests.field_options import merging
from tests.recipes.sql_book import SqlBook
from tests.recipes.sql_tables import Database, Rows
from upsertcore import Policy, errors, first_match, merge_all, normalize
from upsertcore import field as line
from upsertcore.rules import keep, largest, latest, union

Log: TypeAlias = Sequence[dict[str, Any]]
Open: TypeAlias = Callable[[Policy], AbstractContextManager[SqlBook]]
Ids: TypeAlias = Callable[[], str]
Clock: TypeAlias = Callable[[], datetime]

BOOKS = "sqlite_book", "postgres_book"
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["pytest", *[f"tests.recipes.{name}" for name in ("readers", *BOOKS)]]
)

_FREE: dict[str, Any] = {
    "tags": line(rule=union),
    **{f"from {name}": line() for name in range(4)},
}
POLICIES = {
    "unique": Policy(
        first_match("email"),
        {"email": line(key=normalize.email, unique=True, rule=keep), **_FREE},
    ),
    # No index keeps them unique: the transaction does.
    "not unique": Policy(
        first_match("email"),
        {"email": line(key=normalize.email, rule=keep), **_FREE},
    ),
    "merged": Policy(
        merge_all("email", "device"),
        merging(
            {
                "email": line(
                    key=normalize.email,
                    unique=True,
                    keep_aliases=True,
                    rule=latest(by="at"),
                ),
                "device": line(key=normalize.exact, keep_aliases=True, rule=keep),
                "at": line(rule=largest),
                **_FREE,
            },
            {"tags": union, "at": largest},
        ),
    ),
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


@define
class KilledDatabase:
    """A database that kills the process before its n-th statement."""

    inner: Database
    left: int = field()

    def begin(self, *, queued: bool) -> None:
        self._count()
        self.inner.begin(queued=queued)

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Rows:
        self._count()
        return self.inner.execute(sql, values)

    def rollback(self) -> None:
        self.inner.rollback()

    def lost(self, error: Exception) -> bool:
        return self.inner.lost(error)

    def _count(self) -> None:
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)


def send(
    opened: Open,
    policy: str,
    log: Log,
    name: str = "c",
    *,
    kill_at: int = 0,
    start: Barrier | None = None,
    progress: Connection | None = None,
) -> None:
    """Send a log patch by patch, also after refusals."""
    with opened(POLICIES[policy]) as book:
        if kill_at:
            book.database = KilledDatabase(book.database, kill_at)
        if start is not None:
            start.wait()
        for place, patch in enumerate(log):
            book.ids, book.clock = ids_and_clock(place, name)
            try:
                book.upsert(patch)
            except errors.NoMatchKey:
                pass
            if progress is not None:
                progress.send(place)
        if progress is not None:
            signal.pause()  # Until it is killed, which may be late.


def ids_and_clock(place: int, name: str = "c") -> tuple[Ids, Clock]:
    """Make the ids and the clock of one line of a log."""
    now = datetime(2024, 1, 2, tzinfo=UTC) + timedelta(minutes=place)
    return lambda: f"{name}-{place}", lambda: now


def run_child(*arguments: Any, **options: Any) -> int:
    """Send a log from another process; return its exit code."""
    process = PROCESSES.Process(target=send, args=arguments, kwargs=options)
    process.start()
    process.join()
    return process.exitcode or 0


def run_and_kill(place: int, *arguments: Any) -> int:
    """Send a log, and kill the process from outside some time after a line of it."""
    received, progress = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(
        target=send, args=arguments, kwargs={"progress": progress}
    )
    process.start()
    while received.recv() < place:
        pass
    process.kill()
    process.join()
    return process.exitcode or 0


def race(opened: Open, policy: str, logs: Iterable[Log]) -> None:
    """Send logs at once, each from another process."""
    all_logs = list(logs)
    start = PROCESSES.Barrier(len(all_logs))
    processes = [
        PROCESSES.Process(
            target=send, args=(opened, policy, log, f"p{n}"), kwargs={"start": start}
        )
        for n, log in enumerate(all_logs)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [0] * len(all_logs) == [process.exitcode for process in processes]


def logs_of(processes: int, people: int, patches: int = 200) -> list[Log]:
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


def halves_of(processes: int, people: int, patches: int = 200) -> list[Log]:
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

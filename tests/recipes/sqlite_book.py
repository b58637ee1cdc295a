"""
A book in SQLite: several processes, one file, no contact twice.

Rules:
    A transaction sees the file as it was when it began, and may write only if nobody
    has written since: SQLite refuses it otherwise, so what was decided still holds.
    The first attempt takes no lock to look, so a patch that changes nothing stops
    nobody. The next one takes the lock of the writers first (BEGIN IMMEDIATE), waits
    for it as long as the connection's timeout, and cannot be overtaken.
    WAL lets others read while one writes. A commit is on the disk (synchronous is
    FULL) before the outcome is answered.

Source:
    sqlite.org/isolation.html; sqlite.org/rescode.html, SQLITE_BUSY_SNAPSHOT.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen

from tests.recipes.sql_book import SqlBook
from tests.recipes.sql_tables import SCHEMA, Rows
from upsertcore import Policy

__all__ = ["Sqlite", "connected", "create_tables", "open_book"]


def create_tables(connection: sqlite3.Connection) -> None:
    """Make the tables, once, as a migration does."""
    connection.execute("PRAGMA journal_mode = WAL")
    schema = SCHEMA.format(seq="INTEGER PRIMARY KEY AUTOINCREMENT")
    connection.executescript(f"BEGIN; {schema} COMMIT;")


@contextmanager
def open_book(path: Path | str, policy: Policy, **how: Any) -> Iterator[SqlBook]:
    """Open the book of a file; one for each thread."""
    with closing(connected(path)) as connection:
        yield SqlBook(policy, Sqlite(connection), **how)


def connected(path: Path | str, timeout: float = 30) -> sqlite3.Connection:
    """Connect; transactions begin where BEGIN stands, and nowhere else."""
    connection = sqlite3.connect(path, timeout=timeout, isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    return connection


@frozen
class Sqlite:
    """What a book asks of SQLite."""

    connection: sqlite3.Connection

    def begin(self, *, queued: bool) -> None:
        """Begin a transaction, with the lock of the writers or without."""
        self.connection.execute("BEGIN IMMEDIATE" if queued else "BEGIN DEFERRED")

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Rows:
        """Do one statement."""
        return self.connection.execute(sql, values)

    def rollback(self) -> None:
        """Undo the transaction, if there still is one."""
        self.connection.rollback()

    def lost(self, error: Exception) -> bool:
        """Tell whether another writer was first."""
        if isinstance(error, sqlite3.IntegrityError):
            return True
        code = error.sqlite_errorcode if isinstance(error, sqlite3.Error) else 0
        return code & 0xFF == sqlite3.SQLITE_BUSY

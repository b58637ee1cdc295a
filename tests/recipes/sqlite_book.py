"""
A book in SQLite: several processes, one file, no contact twice.

Rules:
    A transaction sees the file as it was when it began. SQLite refuses its writes if
    another one has written since, so the decision still holds when it is written.
    The first attempt takes no write lock, so a patch that changes nothing blocks no
    writer. The next one takes the write lock first (BEGIN IMMEDIATE), waits for it as
    long as the connection's timeout, and cannot be overtaken.
    WAL lets others read while one writes. A commit is on the disk (synchronous is
    FULL) before the outcome is returned.

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

__all__ = ["Sqlite", "connect", "create_tables", "open_book"]


def create_tables(connection: sqlite3.Connection) -> None:
    """Make the tables, once, as a migration does."""
    connection.execute("PRAGMA journal_mode = WAL")
    schema = SCHEMA.format(seq="INTEGER PRIMARY KEY AUTOINCREMENT")
    connection.executescript(f"BEGIN; {schema} COMMIT;")


@contextmanager
def open_book(path: Path | str, policy: Policy, **options: Any) -> Iterator[SqlBook]:
    """Open the book of a file; one for each thread."""
    with closing(connect(path)) as connection:
        yield SqlBook(policy, Sqlite(connection), **options)


def connect(path: Path | str, timeout: float = 30) -> sqlite3.Connection:
    """Connect; a transaction begins only with a BEGIN."""
    connection = sqlite3.connect(path, timeout=timeout, isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    return connection


@frozen
class Sqlite:
    """The database of a book in SQLite."""

    connection: sqlite3.Connection

    def begin(self, *, queued: bool) -> None:
        """Begin a transaction, with the lock of the writers or without."""
        self.connection.execute("BEGIN IMMEDIATE" if queued else "BEGIN DEFERRED")

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Rows:
        """Execute one statement."""
        return self.connection.execute(sql, values)

    def rollback(self) -> None:
        """Undo the transaction, if there still is one."""
        self.connection.rollback()

    def lost(self, error: Exception) -> bool:
        """Return whether another writer was first."""
        if isinstance(error, sqlite3.IntegrityError):
            return True
        code = error.sqlite_errorcode if isinstance(error, sqlite3.Error) else 0
        return code & 0xFF == sqlite3.SQLITE_BUSY

"""
A book in PostgreSQL: any number of clients, no contact twice.

Rules:
    Transactions are SERIALIZABLE. Under READ COMMITTED the version and the unique
    index would still keep a contact from being written twice and a unique form from
    being held twice; but two clients that find no holder of a form that is not unique
    would both create, and a decision may rest on contacts that it only reads.
    The first attempt takes no lock. The next one first locks the table against other
    writers, before its snapshot is taken, so it cannot be overtaken.
    body is TEXT: JSONB would give 1e16 back as a whole number, and refuses U+0000.
    A form with U+0000, or of more than some 2,600 bytes, is an error of the database.

Source:
    postgresql.org/docs/15/transaction-iso.html; .../sql-lock.html.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from attrs import frozen
from psycopg import errors

from tests.recipes.sql_book import SqlBook
from tests.recipes.sql_tables import SCHEMA, Rows
from upsertcore import Policy

__all__ = ["Postgres", "create_tables", "open_book"]


def create_tables(connection: psycopg.Connection) -> None:
    """Make the tables, once, as a migration does."""
    # "C" compares bytes, as Python does; no locale changes which texts are equal.
    schema = SCHEMA.replace("TEXT", 'TEXT COLLATE "C"')
    seq = "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
    with connection.transaction():
        connection.execute(schema.format(seq=seq).encode())


@contextmanager
def open_book(conninfo: str, policy: Policy, **options: Any) -> Iterator[SqlBook]:
    """Open the book of a database; one for each thread."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        yield SqlBook(policy, Postgres(connection), **options)


@frozen
class Postgres:
    """The database of a book in PostgreSQL; the connection is in autocommit mode."""

    connection: psycopg.Connection
    isolation: str = "SERIALIZABLE"

    def begin(self, *, queued: bool) -> None:
        """Begin a transaction, with other writers locked out or without."""
        self.execute(f"BEGIN ISOLATION LEVEL {self.isolation}")
        if queued:
            self.execute("LOCK TABLE contacts IN SHARE ROW EXCLUSIVE MODE")

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Rows:
        """Execute one statement."""
        return self.connection.execute(sql.replace("?", "%s").encode(), values)

    def rollback(self) -> None:
        """Undo the transaction, if there still is one."""
        if not self.connection.broken:
            self.connection.rollback()

    def lost(self, error: Exception) -> bool:
        """Return whether another writer was first."""
        return isinstance(error, _LOST)


_LOST = (errors.SerializationFailure, errors.DeadlockDetected, errors.UniqueViolation)

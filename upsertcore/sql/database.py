"""
The databases: how a transaction begins, what it locks, and when it was overtaken.

Rules:
    In SQLite a write has the lock of the writers from its beginning.
    In PostgreSQL a write is READ COMMITTED. It locks the name of each form and id that
    it looks up, before it looks: an advisory lock, held until the transaction ends. So
    what it has not found, no other transaction adds meanwhile.

Source:
    sqlite.org/lang_transaction.html; postgresql.org/docs/current/transaction-iso.html
    and explicit-locking.html.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, final

from attrs import frozen
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError, OperationalError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

__all__ = ["Database", "LockName", "PostgreSQL", "SQLite", "database_of"]

LockName: TypeAlias = tuple[str, str, str]
"""A scope, a key, and a form of it; without a key: an id."""

Mode: TypeAlias = Literal["read", "write"]


class Database(Protocol):
    """What differs between the databases."""

    can_store_nul: bool
    locks_rows: bool
    attempts: int
    revision: str
    insert: Any

    def engine(self, engine: Engine, mode: Mode) -> Engine:
        """Return an engine with the isolation level of a mode."""
        ...

    def set_up(self, engine: Engine) -> None:
        """Set what is set once for a database."""
        ...

    def begin(self, connection: Connection, mode: Mode) -> None:
        """Begin a transaction."""
        ...

    def check_within(self, connection: Connection) -> None:
        """Check that a transaction of the caller is one that a book may write in."""
        ...

    def lock(
        self, connection: Connection, book: str, names: Iterable[LockName]
    ) -> None:
        """Lock names until the transaction ends."""
        ...

    def is_overtaken(self, error: Exception) -> bool:
        """Return whether another transaction was first, so that a retry may succeed."""
        ...


@final
@frozen
class SQLite:
    """SQLite 3.35 or later."""

    can_store_nul = True
    locks_rows = False
    # Each waits as long as the driver's timeout, and what waits is a request.
    attempts = 3
    revision = "version"
    insert = staticmethod(sqlite.insert)

    def engine(self, engine: Engine, mode: Mode) -> Engine:  # noqa: ARG002
        """Return the engine; SQLite has one isolation level."""
        return engine

    def set_up(self, engine: Engine) -> None:
        """
        Switch to WAL, so that others read while one writes.

        SQLite does not wait for the lock of another process that does the same.
        """
        attempts = iter(range(_MAX_ATTEMPTS))
        while True:
            try:
                with engine.connect() as connection:
                    _begin_nothing(connection)
                    connection.exec_driver_sql("PRAGMA journal_mode=WAL")
                    return
            except OperationalError as error:
                if next(attempts, None) is None or not self.is_overtaken(error):
                    raise

    def begin(self, connection: Connection, mode: Mode) -> None:
        """Begin a transaction, a writing one with the lock of the writers."""
        _begin_nothing(connection)
        how = "IMMEDIATE" if mode == "write" else "DEFERRED"
        connection.exec_driver_sql(f"BEGIN {how}")

    def check_within(self, connection: Connection) -> None:
        """Refuse a connection that has not begun: a savepoint would be committed."""
        driver: Any = connection.connection.driver_connection
        if not driver.in_transaction:
            raise ValueError(
                "connection: must have begun a transaction of the database; first "
                'call connection.exec_driver_sql("BEGIN IMMEDIATE")'
            )

    def lock(
        self,
        connection: Connection,
        book: str,
        names: Iterable[LockName],
    ) -> None:
        """Do nothing: there is one writer."""

    def is_overtaken(self, error: Exception) -> bool:
        """Return whether another connection has the lock, or has written since."""
        if isinstance(error, IntegrityError):
            return True
        code = getattr(getattr(error, "orig", None), "sqlite_errorcode", 0)
        return code & 0xFF in _BUSY_OR_LOCKED


_BUSY_OR_LOCKED = 5, 6


def _begin_nothing(connection: Connection) -> None:
    """Begin a transaction of SQLAlchemy, and none of the database."""
    connection.begin()
    driver: Any = connection.connection.driver_connection
    if driver.in_transaction:
        # The application's engine begins transactions by itself, as SQLAlchemy's
        # documentation shows, or Python's sqlite3 does with autocommit=False.
        connection.exec_driver_sql("ROLLBACK")


_MAX_ATTEMPTS = 100


@final
@frozen
class PostgreSQL:
    """PostgreSQL 13 or later, by psycopg 3."""

    can_store_nul = False
    locks_rows = True
    attempts = 20
    # An undo puts a version back, so a version may be given twice.
    revision = "xmin::text"
    insert = staticmethod(postgresql.insert)

    def engine(self, engine: Engine, mode: Mode) -> Engine:
        """Return the engine with one snapshot for a reader, one a statement else."""
        level = "REPEATABLE READ" if mode == "read" else "READ COMMITTED"
        return engine.execution_options(isolation_level=level)

    def set_up(self, engine: Engine) -> None:
        """Do nothing."""

    def begin(self, connection: Connection, mode: Mode) -> None:  # noqa: ARG002
        """Begin a transaction; the driver does, with the first statement."""
        connection.begin()

    def check_within(self, connection: Connection) -> None:
        """Refuse a snapshot that may be older than what a lock has waited for."""
        level = connection.get_isolation_level()
        if getattr(connection.connection.driver_connection, "autocommit", False):
            level = "AUTOCOMMIT"
        if level != "READ COMMITTED":
            raise ValueError(
                f"connection: must be READ COMMITTED, not {level}; set isolation_level "
                "(a snapshot would not show what others have committed since)"
            )

    def lock(
        self, connection: Connection, book: str, names: Iterable[LockName]
    ) -> None:
        """Take the advisory locks of some names, in one order."""
        numbers = sorted({_number(book, name) for name in names})
        connection.exec_driver_sql(_LOCK, {"numbers": numbers})

    def is_overtaken(self, error: Exception) -> bool:
        """Return whether there was a deadlock, or another has written the same."""
        return getattr(getattr(error, "orig", None), "sqlstate", None) in _LOST


_LOST = "40001", "40P01", "23505"
"""Serialization failure, deadlock, unique violation."""

_LOCK = (
    "SELECT pg_advisory_xact_lock(number) FROM unnest(%(numbers)s::bigint[]) AS number"
)


def _number(book: str, name: LockName) -> int:
    """Return the number of a lock, which no other book has but by chance."""
    parts = [part.encode() for part in (book, *name)]
    # No text in UTF-8 contains the byte FF.
    digest = blake2b(b"\xff".join(parts), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def database_of(engine: Engine | Connection) -> Database:
    """
    Return the database of an engine.

    Raises:
        ValueError: If it is neither SQLite nor PostgreSQL by psycopg 3.

    >>> from sqlalchemy import create_engine
    >>> database_of(create_engine("sqlite://"))
    SQLite()
    """
    name = engine.dialect.name, engine.dialect.driver
    if name[0] == "sqlite":
        return SQLite()
    if name == ("postgresql", "psycopg"):
        return PostgreSQL()
    raise ValueError(
        f"engine: must be SQLite, or PostgreSQL by psycopg, not {'+'.join(name)}; make "
        'it with create_engine("sqlite:///contacts.db") or '
        'create_engine("postgresql+psycopg://...")'
    )

"""
The book in a database: the verbs of a book over tables of SQLite or PostgreSQL.

Rules:
    Nothing is kept in memory from one call to the next, so any number of processes
    may use one database.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypedDict, Unpack, final

from sqlalchemy import select

from upsertcore.book.arguments import (
    check_count,
    check_function,
    check_policy,
    check_several,
)
from upsertcore.book.book import Book
from upsertcore.book.contact_book import ContactBook
from upsertcore.sql.batches import upsert_in_chunks
from upsertcore.sql.database import database_of
from upsertcore.sql.schema import make_tables
from upsertcore.sql.store import SqlStore
from upsertcore.store.clock import utc_now
from upsertcore.store.ids import fresh_ids

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from upsertcore.book.compare_policies import Comparison
    from upsertcore.matching.protocol import Strategy
    from upsertcore.policy.policy import Policy
    from upsertcore.sql.schema import Tables
    from upsertcore.sql.transaction import Transaction
    from upsertcore.store.journal import Entry

__all__ = ["SqlBook"]

_KEYS = "keys"


class SqlOptions(TypedDict, total=False):
    """The arguments of a book in a database, without engine and policy."""

    ids: Callable[[], str] | None
    clock: Callable[[], datetime] | None
    tables: Tables | None
    retain_calls: int
    retain_changes: int | None


class _Verbs(NamedTuple):
    """The calls that a store makes in its own way."""

    upsert: Callable[..., None]
    upsert_many: Callable[..., Any]


@final
class SqlBook(Book):
    """
    Contacts under one policy, in a database.

    Args:
        engine: An engine of SQLAlchemy, for SQLite or for PostgreSQL by psycopg; or a
            connection, as for :meth:`within`.
        policy: The policy.
        ids: As in :class:`~upsertcore.ContactBook`.
        clock: As there.
        tables: The tables; those of ``make_tables()`` if None.
        retain_calls: As there.
        retain_changes: As there. With changes, commits of PostgreSQL wait for one
            another.

    Raises:
        ValueError: If the engine is of another database or driver.

    A book keeps nothing in memory, and several threads and processes may use one.

    >>> from sqlalchemy import create_engine
    >>> from upsertcore import Policy, field, first_match, normalize
    >>> policy = Policy(
    ...     first_match("email"), {"email": field(key=normalize.email, unique=True)}
    ... )
    >>> book = SqlBook(create_engine("sqlite://"), policy)
    >>> book.create_tables()
    >>> book.upsert({"email": "ada@x.org"}).result
    'created'
    >>> book.upsert({"email": "ADA@x.org"}).result, len(book)
    ('updated', 1)
    """

    __slots__ = ("_options",)
    _store: SqlStore

    def __init__(
        self,
        engine: Engine | Connection,
        policy: Policy,
        *,
        ids: Callable[[], str] | None = None,
        clock: Callable[[], datetime] | None = None,
        tables: Tables | None = None,
        retain_calls: int = 1_000,
        retain_changes: int | None = 0,
    ) -> None:
        check_policy("policy", policy, "pass the engine first, then the policy")
        check_function("ids", ids, "pass one that returns a fresh id, as uuid4().hex")
        check_function("clock", clock, "pass one that returns an aware time")
        check_count("retain_calls", retain_calls, "pass 0 to remember no calls")
        if retain_changes is not None:
            check_count("retain_changes", retain_changes, "pass None for all changes")
        tables = make_tables() if tables is None else tables
        self._options: SqlOptions = {
            "ids": ids,
            "clock": clock,
            "tables": tables,
            "retain_calls": retain_calls,
            "retain_changes": retain_changes,
        }
        store = SqlStore(
            engine,
            database_of(engine),
            tables,
            policy,
            fresh_ids() if ids is None else ids,
            utc_now if clock is None else clock,
            (retain_calls, retain_changes),
            checks_ids=ids is not None,
        )
        super().__init__(policy, store, partial(_verbs, store))

    def create_tables(self) -> None:
        """
        Create the tables that are missing, and switch SQLite to WAL.

        Raises:
            ValueError: If the tables have been made for other keys: contacts would not
                be found by keys that they were not stored with.
        """
        store, tables = self._store, self._store.tables
        own = json.dumps([_key_text(key) for key in self.policy.all_keys])
        if store.is_own:
            store.database.set_up(store.engine)

        def create(transaction: Transaction) -> str | None:
            # Several processes may start at once.
            transaction.view.lock([("", "", "tables")])
            connection, state = transaction.view.connection, tables.state
            tables.metadata.create_all(connection)
            is_keys = state.c.name == _KEYS
            sql = select(state.c.text).where(is_keys)
            stored: str | None = connection.execute(sql).scalar()
            if stored is None:
                values = {"name": _KEYS, "number": 1, "text": own}
                connection.execute(state.insert().values(values))
            return stored

        if store.transact(create) not in (None, own):
            advice = "load its rows into other tables: SqlBook.load"
            raise ValueError(f"policy: has other keys than the tables; {advice}")

    def within(self, connection: Connection) -> SqlBook:
        """
        Return this book with all its verbs in a transaction of the caller.

        Args:
            connection: In a transaction, which the caller commits or rolls back. In
                SQLite it must have begun: ``connection.exec_driver_sql("BEGIN
                IMMEDIATE")``. In PostgreSQL it must be READ COMMITTED.

        Raises:
            ValueError: If it is not.

        A verb is a savepoint. One that is overtaken raises ``Overtaken``, and the
        caller has to begin the transaction again.
        """
        return SqlBook(connection, self.policy, **self._options)

    def compare(
        self, other: Policy, patches: Iterable[Mapping[str, Any]], *, scope: str = ""
    ) -> Comparison:
        """
        Return where results under another policy would differ; nothing changes.

        Args:
            other: As in ``ContactBook.compare``.
            patches: As there.
            scope: As there.

        Cost:
            As there: it holds two copies of the book in memory.
        """
        twin = ContactBook.load(self.policy, self.dump())
        return twin.compare(other, patches, scope=scope)

    @classmethod
    def load(
        cls,
        engine: Engine,
        policy: Policy,
        rows: Iterable[Mapping[str, Any]],
        **options: Unpack[SqlOptions],
    ) -> Self:
        """
        Make a book of the rows of a dump, in tables without contacts.

        Args:
            engine: As in the constructor.
            policy: The policy; it may differ from that of the dump.
            rows: In any order; each row is checked.
            options: As in the constructor.

        Raises:
            InvalidRows: As ``ContactBook.load``.
            ValueError: If there are contacts in the tables.

        Cost:
            Near-linear in the rows and their forms; all are in memory meanwhile.
        """
        check_several("rows", rows, "pass rows as book.dump() returns them")
        return cls._filled(engine, policy, ContactBook.load(policy, rows), options)

    @classmethod
    def from_changes(
        cls,
        engine: Engine,
        policy: Policy,
        entries: Iterable[Entry],
        **options: Unpack[SqlOptions],
    ) -> Self:
        """
        Make a book by replaying the entries of ``changes_since``.

        Args:
            engine: As in the constructor.
            policy: The policy under which the changes were made.
            entries: All entries from the first one on, in order.
            options: As in the constructor.

        Raises:
            ValueError: If an entry is missing or out of order, or there are contacts in
                the tables.

        Cost:
            As :meth:`load`.
        """
        return cls._filled(
            engine, policy, ContactBook.from_changes(policy, entries), options
        )

    @classmethod
    def _filled(
        cls, engine: Engine, policy: Policy, source: ContactBook, options: SqlOptions
    ) -> Self:
        book = cls(engine, policy, **options)
        book.create_tables()
        book._store.fill(source._index)  # noqa: SLF001 - of this library
        return book


def _verbs(store: SqlStore, policy: Policy, match: Strategy) -> _Verbs:
    """Return batches of a policy; a single call has no way of its own."""
    return _Verbs(_no_shortcut, partial(upsert_in_chunks, store, policy, match))


def _no_shortcut(*_call: object) -> None:
    """Leave a call to the plan."""


def _key_text(key: Any) -> list[Any]:
    return [key.name, [*key.fields], key.any_of]

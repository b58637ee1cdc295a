"""Where the book of a test is kept: a file of SQLite, or tables of PostgreSQL."""

from __future__ import annotations

from typing import Any

from attrs import frozen
from sqlalchemy import Column, Engine, MetaData, Table, Text, create_engine
from sqlalchemy.pool import NullPool

from upsertcore import Policy
from upsertcore.sql import SqlBook, Tables, make_tables

__all__ = ["Place", "empty"]


@frozen
class Place:
    """A place that several processes may open."""

    url: str
    prefix: str = "test_"

    @property
    def is_postgresql(self) -> bool:
        """Whether it is in PostgreSQL."""
        return self.url.startswith("postgresql")

    @property
    def tables(self) -> Tables:
        """The tables."""
        return make_tables(prefix=self.prefix)

    def engine(self, **options: Any) -> Engine:
        """Return an engine that keeps no connection open."""
        # A deadlock is noticed soon, and a writer of SQLite waits for its turn.
        how = {"options": "-c deadlock_timeout=20ms"}
        if not self.is_postgresql:
            how = {"timeout": 60}  # type: ignore[dict-item]
        options = {"connect_args": how, "poolclass": NullPool, **options}
        return create_engine(self.url, **options)

    def book(self, policy: Policy, **options: Any) -> SqlBook:
        """Return a book on an engine of its own."""
        return SqlBook(self.engine(), policy, tables=self.tables, **options)

    def new_book(self, policy: Policy, **options: Any) -> SqlBook:
        """Return a book with new tables."""
        self.drop()
        book = self.book(policy, **options)
        book.create_tables()
        return book

    def orders(self, metadata: MetaData) -> Table:
        """Return a table of the caller, beside those of the book."""
        return Table(f"{self.prefix}orders", metadata, Column("contact", Text))

    def drop(self) -> None:
        """Drop the tables."""
        metadata = self.tables.metadata
        self.orders(metadata)
        metadata.drop_all(self.engine())


def empty(engine: Engine, tables: Tables) -> None:
    """Delete all rows but the keys of the policy."""
    state = tables.state
    with engine.begin() as connection:
        for table in tables.metadata.sorted_tables:
            if table is not state:
                connection.execute(table.delete())
        connection.execute(state.delete().where(state.c.name != "keys"))

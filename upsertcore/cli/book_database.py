"""
The book in a database: ``--book contacts.db``, or the URL of a database.

Rules:
    A run writes a thousand rows in a transaction, the last ones at its end together
    with the outcomes. A run that fails leaves whole transactions, and says how many
    rows they have; a second run of the same file completes them.
    The database has the profile, its options, and its policy as text, as the first
    line of a book file has them.
    A password of a URL is never shown.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import define
from sqlalchemy import (
    Engine,
    create_engine,
    delete,
    insert,
    inspect,
    make_url,
    select,
)
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from upsertcore.cli.book_file import BadBook, origin_of
from upsertcore.errors import Overtaken
from upsertcore.sql import SqlBook, make_tables
from upsertcore.sql.database import database_of

if TYPE_CHECKING:
    from upsertcore.profiles import Profile

__all__ = ["DatabaseBook"]

_ADVICE = "must be a file of SQLite, or a URL such as postgresql://host/name"
_HEAD = "profile"
_ROWS = 1_000
"""How many rows one transaction has."""


@define
class DatabaseBook:
    """
    The book of a run, in a database.

    Args:
        name: What the user has named, without a password.
        engine: The engine.
        head: The profile, its options, policy and origin; empty for a new book.
    """

    name: str
    engine: Engine
    head: dict[str, Any]
    _connection: Any = None
    _rows: int = 0
    _written: int = 0

    @classmethod
    def open(cls, book: str) -> DatabaseBook:
        """
        Open the book of a database, and read whose it is.

        Args:
            book: A file of SQLite, or a URL.

        Raises:
            ValueError: If it is no URL of SQLite or PostgreSQL.
            ModuleNotFoundError: If a package is missing.
            BadBook: If the database cannot be read.
        """
        try:
            url = make_url(book if "://" in book else f"sqlite:///{book}")
        except ArgumentError as error:
            raise ValueError(_ADVICE) from error
        if url.get_backend_name() not in ("sqlite", "postgresql"):
            raise ValueError(_ADVICE)
        if url.drivername == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        engine, name = create_engine(url), url.render_as_string()
        database_of(engine)
        state = make_tables().state
        opened = cls(name if "://" in book else book, engine, {})
        if engine.dialect.name == "sqlite" and not Path(str(url.database)).is_file():
            # To connect would make it.
            return opened
        with opened.errors(), engine.connect() as connection:
            if inspect(connection).has_table(state.name):
                is_head = state.c.name == _HEAD
                text = connection.execute(select(state.c.text).where(is_head)).scalar()
                opened.head = {} if text is None else json.loads(text)
        return opened

    @contextmanager
    def errors(self) -> Iterator[None]:
        """
        Report an error of the database in one line.

        Raises:
            BadBook: In its place.
        """
        try:
            yield
        except (SQLAlchemyError, Overtaken) as error:
            reason = getattr(error, "orig", None) or getattr(error, "reason", error)
            raise BadBook(str(reason).strip().split("\n")[0]) from error

    def __str__(self) -> str:
        return self.name

    def begin(
        self,
        profile: Profile,
        name: str,
        options: Mapping[str, str],
        policy: str | None,
    ) -> tuple[Any, ...]:
        """
        Let a profile use this book, and begin to write.

        Args:
            profile: The profile.
            name: Its name.
            options: Its options, which the next run uses as defaults.
            policy: Its policy as text; None if a function of it has no name.

        Returns:
            Where contacts are not as the policy would store them now, if they were
            stored under another policy or other versions of the normalisers.
        """
        origin = origin_of(policy)
        with self.errors():
            book = self.use(profile)
            book.create_tables()
            is_current = policy is not None and all(
                self.head.get(part) == origin[part] for part in origin
            )
            conflicts = () if is_current or not self.head else book.check()
            head: dict[str, Any] = {"profile": name, "options": dict(options)}
            head |= {} if policy is None else {"policy": policy}
            self._begin(profile)
            self._write_head(json.dumps(head | origin))
        return conflicts

    def use(self, profile: Profile) -> SqlBook:
        """Let a profile read the contacts of this book; return the book."""
        owner: Any = profile
        owner.book = book = SqlBook(self.engine, profile.policy)
        return book

    def _write_head(self, text: str) -> None:
        """Write the head with the first rows, so that a run leaves both or none."""
        state, connection = make_tables().state, self._connection
        connection.execute(delete(state).where(state.c.name == _HEAD))
        values = {"name": _HEAD, "number": 1, "text": text}
        connection.execute(insert(state).values(values))

    def _begin(self, profile: Profile) -> None:
        """Begin a transaction; the book of the profile is part of it."""
        if self._connection is None:
            self._connection = self.engine.connect()
        database_of(self.engine).begin(self._connection, "write")
        owner: Any = profile
        owner.book = SqlBook(self._connection, profile.policy)

    def after_row(self, profile: Profile, on_written: Callable[[str], object]) -> None:
        """
        Count a row, and commit the transaction if it is large.

        Args:
            profile: The profile.
            on_written: Called with what is written in words.
        """
        self._rows += 1
        if self._rows - self._written >= _ROWS:
            self.commit()
            on_written(f"{self.name} (the first {self._written:,} rows)")
            with self.errors():
                self._begin(profile)

    def commit(self) -> None:
        """Commit the transaction."""
        with self.errors():
            self._connection.commit()
        self._written = self._rows

    def close(self) -> None:
        """Roll back what is not committed, and close the connections."""
        if self._connection is not None:
            self._connection.close()
        self.engine.dispose()

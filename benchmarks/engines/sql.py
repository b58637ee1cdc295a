"""
SQLite in memory: row by row, with ON CONFLICT, and through a staging table.

Rules:
    One column per field and per normal form; a list is stored as JSON.
    The functions of the floor compute normal forms in Python.
    Everything is in one transaction, and nothing is on disk.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

from benchmarks.engines.base import TOLD, Engine, Told
from benchmarks.floor import email_form, phone_form
from benchmarks.people import LIST
from benchmarks.workloads import Case, Patch

__all__ = [
    "SqliteBoth",
    "SqliteConflict",
    "SqliteRows",
    "SqliteStaging",
    "columns",
    "fields_from",
    "row_of",
]


def columns(names: Iterable[str]) -> str:
    """
    Quote names for SQL.

    >>> columns(["email", "firstName"])
    '"email", "firstName"'
    """
    return ", ".join(f'"{name}"' for name in names)


def row_of(patch: Patch, names: Sequence[str]) -> list[Any]:
    """
    Return the values of these columns, None for omitted ones.

    >>> row_of({"email": "a@x", "tags": ["b"]}, ["email", "phone", "tags"])
    ['a@x', None, '["b"]']
    """
    values = list(map(patch.get, names))
    if LIST in patch:
        values[names.index(LIST)] = json.dumps(patch[LIST], ensure_ascii=False)
    return values


def fields_from(names: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    """
    Return the fields of a row, the reverse of :func:`row_of`.

    >>> fields_from(["email", "phone", "tags"], ["a@x", None, '["b"]'])
    {'email': 'a@x', 'tags': ['b']}
    """
    pairs = zip(names, row, strict=True)
    fields = {name: value for name, value in pairs if value is not None}
    if LIST in fields:
        fields[LIST] = json.loads(fields[LIST])
    return fields


class _Sqlite(Engine):
    unique: ClassVar[tuple[str, ...]] = ("email_form", "phone_form")
    connection: sqlite3.Connection
    names: tuple[str, ...]

    def setup(self, case: Case) -> None:
        """Create an empty table."""
        super().setup(case)
        self.names = case.names
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        forms = ", ".join(f"{form} TEXT UNIQUE" for form in self.unique)
        self.connection.execute(
            f"CREATE TABLE contact (id INTEGER PRIMARY KEY, {forms},"
            f" {columns(self.names)})"
        )

    def contacts(self) -> Iterator[dict[str, Any]]:
        """Return the fields that are not null."""
        rows = self.connection.execute(
            f"SELECT {columns(self.names)} FROM contact"  # noqa: S608 - our own names
        )
        return (fields_from(self.names, row) for row in rows)

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


class SqliteRows(_Sqlite):
    """
    Select by email, otherwise by phone, then insert or update, patch by patch.

    The text of each statement is fixed, so that the connection prepares it once.
    """

    name = "sqlite3, row by row"
    how = "`:memory:`, SELECT, then INSERT or UPDATE, fixed statements"
    tells = TOLD

    def setup(self, case: Case) -> None:
        """Create an empty table, and the texts of the statements."""
        super().setup(case)
        sets = ", ".join(f'"{name}" = coalesce(?, "{name}")' for name in self.names)
        self.update = f"UPDATE contact SET {sets} WHERE id = ?"  # noqa: S608 - our own names
        self.insert = _insert(self.unique, self.names)
        self.phone = self.names.index("phone")

    def run(self, patches: Iterable[Patch]) -> None:
        """Upsert in one transaction."""
        self.connection.execute("BEGIN")
        for patch in patches:
            self._upsert(patch)
        self.connection.execute("COMMIT")

    def _upsert(self, patch: Patch) -> Told:
        execute = self.connection.execute
        mailbox, number = email_form(patch["email"]), phone_form(patch["phone"])
        values = row_of(patch, self.names)
        found = execute(_BY_EMAIL, (mailbox,)).fetchone()
        withheld = False
        if found is not None:
            if found[1] != number:
                withheld = execute(_BY_PHONE, (number,)).fetchone() is not None
                if withheld:
                    values[self.phone] = None
                else:
                    execute(_SET_PHONE, (number, found[0]))
        else:
            found = execute(_BY_PHONE, (number,)).fetchone()
            if found is None:
                execute(self.insert, (mailbox, number, *values))
                return "created", False
            execute(_SET_EMAIL, (mailbox, found[0]))
        execute(self.update, (*values, found[0]))
        return "updated", withheld


_BY_EMAIL = "SELECT id, phone_form FROM contact WHERE email_form = ?"
_BY_PHONE = "SELECT id FROM contact WHERE phone_form = ?"
_SET_EMAIL = "UPDATE contact SET email_form = ? WHERE id = ?"
_SET_PHONE = "UPDATE contact SET phone_form = ? WHERE id = ?"


class SqliteBoth(_Sqlite):
    """INSERT with an ON CONFLICT clause for each key, as one ``executemany``."""

    name = "sqlite3, two ON CONFLICT"
    how = "`:memory:`, one executemany"

    def run(self, patches: Iterable[Patch]) -> None:
        """Upsert in one transaction."""
        sql = f"{_insert(self.unique, self.names)} {_on_conflict(self.names)}"
        self.connection.execute("BEGIN")
        self.connection.executemany(sql, self._rows(patches))
        self.connection.execute("COMMIT")

    def _rows(self, patches: Iterable[Patch]) -> Iterator[list[Any]]:
        for patch in patches:
            mailbox, number = email_form(patch["email"]), phone_form(patch["phone"])
            yield [mailbox, number, *row_of(patch, self.names)]


class SqliteStaging(SqliteBoth):
    """
    The batch into a temporary table, and one INSERT ... SELECT.

    SQLite inserts the selected rows one after the other, so a patch finds what the
    patches before it wrote.
    """

    name = "sqlite3, staging table"
    how = "`:memory:`, whole batch, a temporary table, then one INSERT ... SELECT"
    whole_batch = True

    def setup(self, case: Case) -> None:
        """Create an empty table, and one for a batch."""
        super().setup(case)
        self.columns = columns([*self.unique, *self.names])
        self.connection.execute(f"CREATE TEMPORARY TABLE sent ({self.columns})")

    def run(self, patches: Iterable[Patch]) -> None:
        """Write the batch, then upsert it, in one transaction."""
        execute = self.connection.execute
        execute("BEGIN")
        self.connection.executemany(
            _insert(self.unique, self.names, "sent"), self._rows(patches)
        )
        execute(
            f"INSERT INTO contact ({self.columns}) SELECT {self.columns} FROM sent"  # noqa: S608 - our own names
            f" WHERE true ORDER BY rowid {_on_conflict(self.names)}"
        )
        execute("DELETE FROM sent")
        execute("COMMIT")


def _insert(forms: Iterable[str], names: Iterable[str], table: str = "contact") -> str:
    into = [*forms, *names]
    marks = ", ".join("?" * len(into))
    return f"INSERT INTO {table} ({columns(into)}) VALUES ({marks})"  # noqa: S608 - our own names


def _sets(names: Iterable[str]) -> str:
    return ", ".join(
        f'"{name}" = coalesce(excluded."{name}", "{name}")' for name in names
    )


def _on_conflict(names: Sequence[str]) -> str:
    """Return a clause for each key; the first one that applies is used."""
    sets = _sets(name for name in names if name != "phone")
    withheld = (
        "phone_form IS NOT excluded.phone_form AND EXISTS"
        " (SELECT 1 FROM contact AS other WHERE other.phone_form = excluded.phone_form)"
    )
    phone = ", ".join(
        f"{name} = iif({withheld}, {name}, excluded.{name})"
        for name in ("phone", "phone_form")
    )
    moved = "email_form = excluded.email_form, phone = excluded.phone"
    return (
        f"ON CONFLICT (email_form) DO UPDATE SET {sets}, {phone}"  # noqa: S608 - our own names
        f" ON CONFLICT (phone_form) DO UPDATE SET {sets}, {moved}"
    )


class SqliteConflict(_Sqlite):
    """INSERT ... ON CONFLICT by email only, as one ``executemany``."""

    name = "sqlite3, ON CONFLICT"
    how = "`:memory:`, one executemany"
    both_keys = False
    unique = ("email_form",)

    def run(self, patches: Iterable[Patch]) -> None:
        """Upsert in one transaction."""
        names = self.names
        sql = (
            f"{_insert(self.unique, names)}"
            f" ON CONFLICT (email_form) DO UPDATE SET {_sets(names)}"
        )
        rows = (
            [email_form(patch["email"]), *row_of(patch, names)] for patch in patches
        )
        self.connection.execute("BEGIN")
        self.connection.executemany(sql, rows)
        self.connection.execute("COMMIT")

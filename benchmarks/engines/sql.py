"""
SQLite in memory, in two ways: row by row, and with ON CONFLICT.

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

from benchmarks.engines.base import Engine
from benchmarks.floor import email_form, phone_form
from benchmarks.people import LIST
from benchmarks.workloads import Case, Patch

__all__ = ["SqliteConflict", "SqliteRows", "columns", "fields_from", "row_of"]


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
    """Select by email, otherwise by phone, then insert or update, patch by patch."""

    name = "sqlite3, row by row"
    how = "`:memory:`, both keys, SELECT then INSERT or UPDATE"

    def run(self, patches: Iterable[Patch]) -> None:
        """Upsert in one transaction."""
        self.connection.execute("BEGIN")
        for patch in patches:
            self._upsert(patch)
        self.connection.execute("COMMIT")

    def _upsert(self, patch: Patch) -> None:
        execute = self.connection.execute
        mailbox, number = email_form(patch["email"]), phone_form(patch["phone"])
        by_email = execute(_BY_EMAIL, (mailbox,)).fetchone()
        by_phone = execute(_BY_PHONE, (number,)).fetchone()
        id = (by_email or by_phone or (None,))[0]
        names = [name for name in self.names if name in patch]
        forms = [("email_form", mailbox), ("phone_form", number)]
        if by_phone is not None and by_phone[0] != id:
            names.remove("phone")
            forms.pop()
        column_names = [*(form for form, _value in forms), *names]
        values = [*(value for _form, value in forms), *row_of(patch, names)]
        if id is None:
            marks = ", ".join("?" * len(column_names))
            sql = f"INSERT INTO contact ({columns(column_names)}) VALUES ({marks})"  # noqa: S608 - our own names
            execute(sql, values)
        else:
            sets = ", ".join(f'"{name}" = ?' for name in column_names)
            execute(f"UPDATE contact SET {sets} WHERE id = ?", [*values, id])  # noqa: S608 - our own names


_BY_EMAIL = "SELECT id FROM contact WHERE email_form = ?"
_BY_PHONE = "SELECT id FROM contact WHERE phone_form = ?"


class SqliteConflict(_Sqlite):
    """INSERT ... ON CONFLICT by email only, as one ``executemany``."""

    name = "sqlite3, ON CONFLICT"
    how = "`:memory:`, email only, one executemany"
    both_keys = False
    unique = ("email_form",)

    def run(self, patches: Iterable[Patch]) -> None:
        """Upsert in one transaction."""
        names = self.names
        sets = ", ".join(
            f'"{name}" = coalesce(excluded."{name}", "{name}")' for name in names
        )
        marks = ", ".join("?" * (len(names) + 1))
        sql = (
            f"INSERT INTO contact (email_form, {columns(names)}) VALUES ({marks})"  # noqa: S608 - our own names
            f" ON CONFLICT (email_form) DO UPDATE SET {sets}"
        )
        rows = (
            [email_form(patch["email"]), *row_of(patch, names)] for patch in patches
        )
        self.connection.execute("BEGIN")
        self.connection.executemany(sql, rows)
        self.connection.execute("COMMIT")

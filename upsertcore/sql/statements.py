"""
The statements of a book, each compiled once for its database.

Rules:
    They are built of the tables, never of text: names are quoted by SQLAlchemy, and
    values are parameters.
    A list of values has a length that is a power of two; its last value is repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

from sqlalchemy import (
    and_,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection, CursorResult, Dialect

    from upsertcore.sql.schema import Tables

__all__ = ["CHANGES", "Statement", "Statements"]

CHANGES = "changes"
"""The name of the row of ``state`` that has the number of the last change."""

_FORM_COLUMNS = "scope", "key", "form", "slot", "contact"
_FEW = 8
_MAX_SHAPES = 500
"""How many look-ups of different shapes are kept compiled."""


@final
class Statement:
    """
    A compiled statement.

    Args:
        sql: A statement whose values all are named parameters.
        dialect: The dialect of the database.
        columns: For an insertion: the columns that it sets.
    """

    __slots__ = ("_names", "_text")

    def __init__(
        self, sql: Any, dialect: Dialect, columns: Sequence[str] | None = None
    ) -> None:
        compiled = sql.compile(dialect=dialect, column_keys=columns)
        self._text = str(compiled)
        self._names: Sequence[str] | None = getattr(compiled, "positiontup", None)

    def __call__(self, connection: Connection, **values: Any) -> CursorResult[Any]:
        """Execute it."""
        return connection.exec_driver_sql(self._text, self._parameters(values))

    def many(
        self, connection: Connection, values: Iterable[Mapping[str, Any]]
    ) -> CursorResult[Any]:
        """Execute it for each of several sets of values."""
        parameters = [self._parameters(each) for each in values]
        if len(parameters) == 1:
            return connection.exec_driver_sql(self._text, parameters[0])
        return connection.exec_driver_sql(self._text, parameters)

    def _parameters(self, values: Mapping[str, Any]) -> Any:
        if self._names is None:
            return values
        return tuple([values[name] for name in self._names])


@final
class Statements:
    """
    The statements over some tables.

    Args:
        tables: The tables.
        dialect: The dialect of the database.
        upsert: The insertion of that dialect that may update.
        revision: An expression that each write of a contact's row changes.
    """

    def __init__(
        self,
        tables: Tables,
        dialect: Dialect,
        upsert: Callable[..., Any],
        revision: str,
    ) -> None:
        self.tables, self.revision = tables, literal_column(revision)
        self._dialect, self._upsert = dialect, upsert
        self._shapes: dict[Any, Statement] = {}

    def holders(
        self,
        connection: Connection,
        scope: str,
        forms: Mapping[str, Sequence[str]],
        *,
        locked: bool,
    ) -> CursorResult[Any]:
        """Read the contacts of a scope that hold some forms, by key."""
        padded = {key: _padded(texts) for key, texts in forms.items() if texts}
        shape = locked, *[len(texts) for texts in padded.values()]
        statement = self._shapes.get(shape)
        if statement is None:
            statement = self._keep(shape, self._holders_sql(shape[1:], locked=locked))
        values: dict[str, Any] = {"scope": scope}
        for n, (key, texts) in enumerate(padded.items()):
            values[f"key_{n}"] = key
            values.update({f"form_{n}_{m}": text for m, text in enumerate(texts)})
        return statement(connection, **values)

    def by_id(
        self, connection: Connection, scope: str, ids: Sequence[str], *, locked: bool
    ) -> CursorResult[Any]:
        """Read the contacts of a scope that have some ids as their own."""
        padded = _padded(ids)
        shape = "id", len(padded), locked
        statement = self._shapes.get(shape)
        if statement is None:
            contacts = self.tables.contacts
            names = [bindparam(f"id_{n}") for n in range(len(padded))]
            is_one = contacts.c.scope == bindparam("scope"), contacts.c.id.in_(names)
            sql = self._contacts(locked=locked).where(*is_one)
            statement = self._keep(shape, sql)
        values = {f"id_{n}": id for n, id in enumerate(padded)}
        return statement(connection, scope=scope, **values)

    def _keep(self, shape: Any, sql: Any) -> Statement:
        if len(self._shapes) >= _MAX_SHAPES:
            self._shapes.clear()
        statement = self._shapes[shape] = Statement(sql, self._dialect)
        return statement

    def _holders_sql(self, counts: Sequence[int], *, locked: bool) -> Any:
        contacts, forms = self.tables.contacts, self.tables.forms
        # The scope in each part: with it beside them, SQLite reads all of a scope.
        held = [
            and_(
                forms.c.scope == bindparam("scope"),
                forms.c.key == bindparam(f"key_{n}"),
                forms.c.form.in_([bindparam(f"form_{n}_{m}") for m in range(count)]),
            )
            for n, count in enumerate(counts)
        ]
        places = select(forms.c.contact).where(or_(*held))
        return self._contacts(locked=locked).where(contacts.c.place.in_(places))

    def _contacts(self, *, locked: bool) -> Any:
        contacts = self.tables.contacts
        columns = contacts.c.place, self.revision, contacts.c.body, contacts.c.forms
        sql = select(*columns)
        return sql.order_by(contacts.c.place).with_for_update() if locked else sql

    @cached_property
    def insert_contact(self) -> Statement:
        """Insert a new contact; returns its place."""
        contacts = self.tables.contacts
        columns = "scope", "id", "version", "body", "forms"
        sql = insert(contacts).returning(contacts.c.place)
        return Statement(sql, self._dialect, columns)

    @cached_property
    def insert_placed(self) -> Statement:
        """Insert a contact at a place."""
        columns = "place", "scope", "id", "version", "body", "forms"
        return Statement(insert(self.tables.contacts), self._dialect, columns)

    @cached_property
    def update_contact(self) -> Statement:
        """Update a contact, if it is as it was read."""
        sql = update(self.tables.contacts).where(*self._is_contact())
        names = "version", "body", "forms"
        values = sql.values({name: bindparam(name) for name in names})
        return Statement(values, self._dialect)

    @cached_property
    def delete_contact(self) -> Statement:
        """Delete a contact, if it is as it was read."""
        sql = delete(self.tables.contacts).where(*self._is_contact())
        return Statement(sql, self._dialect)

    def _is_contact(self) -> tuple[Any, ...]:
        contacts = self.tables.contacts
        is_place = contacts.c.place == bindparam("of_place")
        return is_place, self.revision == bindparam("of_revision")

    def insert_forms(
        self, connection: Connection, rows: Sequence[Mapping[str, Any]]
    ) -> None:
        """Insert forms of contacts; a few of them by one statement."""
        table, columns = self.tables.forms, _FORM_COLUMNS
        if len(rows) > _FEW:
            self._insert_form.many(connection, rows)
            return
        shape = "forms", len(rows)
        statement = self._shapes.get(shape)
        if statement is None:
            values = [
                {name: bindparam(f"{name}_{n}") for name in columns}
                for n in range(len(rows))
            ]
            statement = self._keep(shape, insert(table).values(values))
        named = {f"{c}_{n}": row[c] for n, row in enumerate(rows) for c in columns}
        statement(connection, **named)

    @cached_property
    def _insert_form(self) -> Statement:
        return Statement(insert(self.tables.forms), self._dialect, _FORM_COLUMNS)

    @cached_property
    def delete_form(self) -> Statement:
        """Delete a form of a contact."""
        forms = self.tables.forms
        names = "scope", "key", "form", "contact"
        sql = delete(forms).where(*[forms.c[n] == bindparam(n) for n in names])
        return Statement(sql, self._dialect)

    @cached_property
    def put_redirect(self) -> Statement:
        """Set what an id resolves to, and keep the place of its contact."""
        redirects = self.tables.redirects
        insertion = self._upsert(redirects)
        sent = insertion.excluded
        place = func.coalesce(sent.place, redirects.c.place)
        sql = insertion.on_conflict_do_update(
            index_elements=["scope", "id"],
            set_={"survivor": sent.survivor, "place": place},
        )
        return Statement(sql, self._dialect, ("scope", "id", "survivor", "place"))

    @cached_property
    def delete_redirect(self) -> Statement:
        """Forget what an id resolves to."""
        redirects = self.tables.redirects
        is_id = [redirects.c[n] == bindparam(n) for n in ("scope", "id")]
        return Statement(delete(redirects).where(*is_id), self._dialect)

    @cached_property
    def count_changes(self) -> Statement:
        """Add to the number of the last change; returns it."""
        state = self.tables.state
        insertion = self._upsert(state)
        number = state.c.number + insertion.excluded.number
        sql = insertion.on_conflict_do_update(
            index_elements=["name"], set_={"number": number}
        ).returning(state.c.number)
        return Statement(sql, self._dialect, ("name", "number"))

    @cached_property
    def insert_change(self) -> Statement:
        """Insert a change."""
        columns = "number", "scope", "outcome"
        return Statement(insert(self.tables.changes), self._dialect, columns)

    @cached_property
    def trim_changes(self) -> Statement:
        """Delete the changes up to a number."""
        changes = self.tables.changes
        sql = delete(changes).where(changes.c.number <= bindparam("last"))
        return Statement(sql, self._dialect)

    @cached_property
    def find_call(self) -> Statement:
        """Read what is logged under an idempotency key."""
        calls = self.tables.calls
        is_call = [calls.c[n] == bindparam(n) for n in ("scope", "key")]
        sql = select(calls.c.call, calls.c.outcome).where(*is_call)
        return Statement(sql, self._dialect)

    @cached_property
    def insert_call(self) -> Statement:
        """Log a call."""
        columns = "scope", "key", "call", "outcome"
        return Statement(insert(self.tables.calls), self._dialect, columns)

    @cached_property
    def trim_calls(self) -> Statement:
        """Delete the calls of a scope but for the newest."""
        calls, scope = self.tables.calls, bindparam("scope")
        newest = (
            select(calls.c.number)
            .where(calls.c.scope == scope)
            .order_by(calls.c.number.desc())
            .limit(literal_column("1"))
            .offset(bindparam("retained"))
        )
        is_old = calls.c.number <= newest.scalar_subquery()
        return Statement(
            delete(calls).where(calls.c.scope == scope, is_old), self._dialect
        )


def _padded(values: Sequence[str]) -> list[str]:
    """Return values, the last one repeated until their count is a power of two."""
    count = 1 << (len(values) - 1).bit_length()
    return [*values, *[values[-1]] * (count - len(values))]

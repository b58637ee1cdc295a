"""
One transaction: what it reads, and how what was decided is written.

Rules:
    A contact is written only at the version that was read; else another transaction
    was first, and this one has to begin again.
    Changes get their numbers last, under the lock of one row, so that the numbers are
    in the order of the commits and have no gap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from typing import TYPE_CHECKING, Any, final

from sqlalchemy import bindparam, delete, func, insert, select, tuple_, update

from upsertcore.errors import InvalidField
from upsertcore.model.packed_row import (
    FORMS,
    ID,
    PLACE,
    SCOPE,
    VERSION,
    Row,
    unpack_forms,
)
from upsertcore.sql.stored_text import (
    call_text,
    form_text,
    outcome_from_text,
    outcome_text,
    row_texts,
)
from upsertcore.sql.view import UNPLACED, SqlView
from upsertcore.store.contact_index import IndexStage
from upsertcore.store.ids import IdInUse
from upsertcore.store.redo import Redo
from upsertcore.values import thaw

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from upsertcore.engine.outcome import Outcome
    from upsertcore.model.contact import Contact
    from upsertcore.model.view import Address, Forms
    from upsertcore.policy.policy import Policy
    from upsertcore.sql.database import Database
    from upsertcore.sql.schema import Tables
    from upsertcore.store.contact_index import ContactIndex
    from upsertcore.store.idempotency import CallKey

__all__ = ["CHANGES", "Lost", "SqlHistory", "SqlStage", "Transaction"]

CHANGES = "changes"
"""The name of the row that has the number of the last change."""

_CHUNK = 1_000
"""How many contacts a load writes by one statement."""

_MAX_NAME = 1_000
"""The most bytes of a scope or an id; an index of PostgreSQL takes some 2,600 a row."""


class Lost(Exception):
    """Another transaction has changed what this one has read."""


@final
class SqlStage:
    """
    One write in preparation, over the contacts that a view has read.

    Args:
        view: The view.
    """

    def __init__(self, view: SqlView) -> None:
        self._view, self._stage = view, IndexStage(view.index)

    def get(self, id: str, scope: str) -> Contact:
        """Return the contact that an id of a scope resolves to."""
        return self.get_with_forms(id, scope)[0]

    def get_with_forms(self, id: str, scope: str) -> tuple[Contact, Forms]:
        """Return the contact that an id resolves to, and the forms that it holds."""
        self._view.load(scope, [id])
        return self._stage.get_with_forms(id, scope)

    def holders(self, key: str, form: str, scope: str) -> tuple[str, ...]:
        """Return the ids of the contacts that hold a form before this write."""
        return self._view.holders(key, form, scope)

    def put(self, contact: Contact, forms: Iterable[Iterable[str]]) -> None:
        """Store a contact; it replaces the contacts that it has merged."""
        if contact.merged_ids:
            self._view.load(contact.scope, contact.ids)
        self._stage.put(contact, forms)

    def remove(self, id: str, scope: str) -> Contact:
        """Remove a contact, with its keys and the ids that resolve to it."""
        contact = self.get(id, scope)
        self._view.load_redirects(scope, contact.merged_ids)
        return self._stage.remove(id, scope)

    def split(
        self, contact: Contact, forms: Forms, back: Iterable[tuple[Contact, Forms]]
    ) -> None:
        """Restore contacts that were merged into one, each at its earlier place."""
        survivor = self.get(contact.id, contact.scope)
        self._view.load_redirects(contact.scope, survivor.merged_ids)
        self._stage.split(contact, forms, back)

    def redo(self) -> Redo:
        """Return all changes."""
        return self._stage.redo()


@final
class Transaction:
    """
    A transaction of a book, in progress.

    Args:
        connection: In a transaction of the database.
        database: Which one it is.
        tables: The tables of the book.
        policy: The policy of the book.
        limits: How many calls of a scope, and how many changes, are retained.
        locks: Whether what is looked up is locked first.
        locks_rows: Whether contacts that are read are locked as well.
    """

    def __init__(
        self,
        connection: Connection,
        database: Database,
        tables: Tables,
        policy: Policy,
        limits: tuple[int, int | None],
        *,
        locks: bool = False,
        locks_rows: bool = False,
    ) -> None:
        how: Any = {"locks": locks, "locks_rows": locks_rows}
        self.view = SqlView(connection, database, tables, policy, **how)
        self._connection, self._database, self._tables = connection, database, tables
        self._policy, self._limits = policy, limits
        self._checks_versions = database.locks_rows and not locks_rows
        self._is_single = [
            key.unique and policy.on_key_in_use != "allow" for key in policy.all_keys
        ]

    def logged_call(self, scope: str, key: str) -> tuple[str, Outcome] | None:
        """Return the text of a call that is logged under a key, and its outcome."""
        self.view.lock([(scope, " ", key)])
        calls = self._tables.calls
        sql = select(calls.c.call, calls.c.outcome).where(
            calls.c.scope == scope, calls.c.key == key
        )
        row = self._connection.execute(sql).first()
        return None if row is None else (row[0], self._outcome(row[1]))

    def check_new(self, contact: Contact, *, checks_id: bool) -> None:
        """
        Check that the database can hold a contact, and that a new id is free.

        Raises:
            InvalidField: If the database cannot hold a value.
            IdInUse: If the id is in use.
        """
        for name, text in (("scope", contact.scope), ("id", contact.id)):
            if len(text.encode()) > _MAX_NAME:
                reason = f"must have at most {_MAX_NAME} bytes in UTF-8"
                raise InvalidField(name, text, f"{reason}; send a shorter one")
        if not self._database.can_store_nul:
            named = {"scope": contact.scope, "id": contact.id, **contact.fields}
            for name, value in named.items():
                if _has_nul(name) or _has_nul(value):
                    reason = "must not contain U+0000, which PostgreSQL cannot store"
                    raise InvalidField(name, value, f"{reason}; remove it")
        if checks_id and self.view.has_id(contact.id, contact.scope):
            raise IdInUse(contact.id)

    def write(
        self,
        outcomes: Iterable[Outcome],
        puts: Iterable[tuple[Contact, Forms]],
        call: CallKey | None = None,
    ) -> None:
        """
        Write decisions.

        Args:
            outcomes: What they do, in order.
            puts: The contacts that they store, with their forms.
            call: The call to log with the first outcome.
        """
        stage, done = SqlStage(self.view), [*outcomes]
        for contact, forms in puts:
            stage.put(contact, forms)
        self.write_stage(stage)
        if call is not None and self._limits[0]:
            self._log(call, done[0])
        self.append([outcome for outcome in done if not outcome.unchanged])

    def write_stage(self, stage: SqlStage) -> None:
        """Write what was staged."""
        redo = stage.redo()
        if redo.rows or redo.redirects:
            self.write_redo(redo)

    def write_redo(self, redo: Redo) -> None:
        """Write rows and redirects: first what leaves, so that keys are free."""
        self._check_versions(redo)
        gone = [was for was, row in redo.rows if was is not None and row is None]
        updated = [(was, row) for was, row in redo.rows if was and row]
        new = [row for was, row in redo.rows if was is None and row is not None]
        self._delete_forms([*[(was, None) for was in gone], *updated])
        self._delete_contacts(gone)
        self._update_contacts([row for _was, row in updated], dict(_versions(updated)))
        places = self._insert_contacts(new, redo)
        fresh = [(None, row, places.get((row[SCOPE], row[ID]))) for row in new]
        known = [(was, row, None) for was, row in updated]
        self._insert_forms([*known, *fresh])
        self._write_redirects(redo, places)

    def fill(self, index: ContactIndex) -> None:
        """Write all contacts of an index, at their places; there are none yet."""
        table = self._tables.contacts
        rows = [row for by_id in index.rows.values() for row in by_id.values()]
        rows.sort(key=itemgetter(PLACE))
        for start in range(0, len(rows), _CHUNK):
            pairs = tuple([(None, row) for row in rows[start : start + _CHUNK]])
            self.write_redo(Redo(pairs))
        redirects = tuple(index.redirects.items())
        self.write_redo(Redo((), redirects, tuple(index.former_places.items())))
        if rows and self._database.locks_rows:
            last = func.setval(
                func.pg_get_serial_sequence(table.fullname, "place"), index.next
            )
            self._connection.execute(select(last))

    def _check_versions(self, redo: Redo) -> None:
        """Check that what was read and stays is as it was read."""
        if not self._checks_versions or not redo.rows:
            return
        written = {(was[SCOPE], was[ID]) for was, _row in redo.rows if was is not None}
        read = [
            (row[PLACE], row[VERSION])
            for scope, rows in self.view.index.rows.items()
            for id, row in rows.items()
            if (scope, id) not in written
        ]
        if read:
            contacts = self._tables.contacts
            is_read = tuple_(contacts.c.place, contacts.c.version).in_(read)
            sql = select(contacts.c.place).where(is_read).with_for_update(read=True)
            if len(self._connection.execute(sql).all()) < len(read):
                raise Lost

    def _delete_contacts(self, rows: list[Row]) -> None:
        contacts = self._tables.contacts
        if rows:
            sql = delete(contacts).where(
                contacts.c.place == bindparam("of_place"),
                contacts.c.version == bindparam("of_version"),
            )
            self._execute_all(
                sql, [{"of_place": r[PLACE], "of_version": r[VERSION]} for r in rows]
            )

    def _update_contacts(self, rows: list[Row], versions: dict[int, int]) -> None:
        contacts, keys = self._tables.contacts, self.view.keys
        if not rows:
            return
        sql = (
            update(contacts)
            .where(
                contacts.c.place == bindparam("of_place"),
                contacts.c.version == bindparam("of_version"),
            )
            .values({n: bindparam(f"new_{n}") for n in ("version", "body", "forms")})
        )
        values = []
        for row in rows:
            body, forms = row_texts(row, keys)
            of = {"of_place": row[PLACE], "of_version": versions[row[PLACE]]}
            new = {"new_version": row[VERSION], "new_body": body, "new_forms": forms}
            values.append(of | new)
        self._execute_all(sql, values)

    def _execute_all(self, sql: Any, values: list[dict[str, Any]]) -> None:
        """Execute a statement that has to write one row each time."""
        if self._connection.execute(sql, values).rowcount != len(values):
            raise Lost

    def _insert_contacts(self, rows: list[Row], redo: Redo) -> dict[Address, int]:
        """Insert new rows; return the place that each has been given."""
        contacts, keys = self._tables.contacts, self.view.keys
        placed, unplaced = [], []
        for row in rows:
            body, forms = row_texts(row, keys)
            parts = {"scope": row[SCOPE], "id": row[ID], "version": row[VERSION]}
            values = {**parts, "body": body, "forms": forms}
            if row[PLACE] < UNPLACED:
                placed.append({"place": row[PLACE], **values})
            else:
                unplaced.append((row[PLACE], values))
        # A contact that was created and merged in one batch gets a place, and no row.
        stubs = [at for at, n in redo.former_places if n is not None and n >= UNPLACED]
        for (scope, id), place in redo.former_places:
            if (scope, id) in stubs and place is not None:
                stub = {"version": 0, "body": "{}", "forms": "{}"}
                unplaced.append((place, {"scope": scope, "id": id, **stub}))
        if placed:
            self._connection.execute(insert(contacts), placed)
        if not unplaced:
            return {}
        unplaced.sort(key=_first)
        sql: Any = insert(contacts).returning(
            contacts.c.place, sort_by_parameter_order=len(unplaced) > 1
        )
        values_of = [values for _place, values in unplaced]
        given = self._connection.execute(sql, values_of).scalars().all()
        if stubs:
            addresses = tuple_(contacts.c.scope, contacts.c.id)
            self._connection.execute(delete(contacts).where(addresses.in_(stubs)))
        pairs = zip(values_of, given, strict=True)
        return {(each["scope"], each["id"]): place for each, place in pairs}

    def _delete_forms(self, rows: list[tuple[Row, Row | None]]) -> None:
        forms = self._tables.forms
        gone = [
            {"of_scope": was[SCOPE], "of_key": key, "of_form": form, "at": was[PLACE]}
            for was, row in rows
            for key, form, _is_single in self._forms_gained(row, was)
        ]
        if gone:
            sql = delete(forms).where(
                forms.c.scope == bindparam("of_scope"),
                forms.c.key == bindparam("of_key"),
                forms.c.form == bindparam("of_form"),
                forms.c.contact == bindparam("at"),
            )
            self._connection.execute(sql, gone)

    def _insert_forms(self, rows: Iterable[tuple[Row | None, Row, int | None]]) -> None:
        new = [
            {
                "scope": row[SCOPE],
                "key": key,
                "form": form,
                "slot": 0 if is_single else given or row[PLACE],
                "contact": given or row[PLACE],
            }
            for was, row, given in rows
            for key, form, is_single in self._forms_gained(was, row)
        ]
        if new:
            self._connection.execute(insert(self._tables.forms), new)

    def _forms_gained(
        self, was: Row | None, row: Row | None
    ) -> Iterator[tuple[str, str, bool]]:
        """Yield key and text of the forms that a row has, and an earlier one lacks."""
        if row is None:
            return
        flags = enumerate(zip(self.view.keys, self._is_single, strict=True), FORMS)
        for number, (key, is_single) in flags:
            before = None if was is None else was[number]
            if before != row[number]:
                held = {*unpack_forms(before)}
                for form in unpack_forms(row[number]):
                    if form not in held:
                        yield key, form_text(form), is_single

    def _write_redirects(self, redo: Redo, places: dict[Address, int]) -> None:
        redirects, known = self._tables.redirects, self.view.index.redirects
        former = dict(redo.former_places)
        gone = [at for at, to in redo.redirects if to is None and at in known]
        if gone:
            sql = delete(redirects).where(
                redirects.c.scope == bindparam("of_scope"),
                redirects.c.id == bindparam("of_id"),
            )
            values = [{"of_scope": scope, "of_id": id} for scope, id in gone]
            self._connection.execute(sql, values)
        new = [
            {
                "scope": at[0],
                "id": at[1],
                "survivor": to,
                "place": places.get(at, former.get(at)),
            }
            for at, to in redo.redirects
            if to is not None and known.get(at) != to
        ]
        if new:
            insertion = self._database.insert(redirects)
            sent = insertion.excluded
            kept = func.coalesce(sent.place, redirects.c.place)
            sql = insertion.on_conflict_do_update(
                index_elements=["scope", "id"],
                set_={"survivor": sent.survivor, "place": kept},
            )
            self._connection.execute(sql, new)

    def append(self, outcomes: list[Outcome]) -> None:
        """Append changes to the journal, and trim it; the last step of a write."""
        limit = self._limits[1]
        if limit == 0 or not outcomes:
            return
        last = self._count_changes(len(outcomes))
        changes, first = self._tables.changes, last - len(outcomes) + 1
        rows = [
            {"number": n, "scope": o.contact.scope, "outcome": outcome_text(o)}
            for n, o in enumerate(outcomes, first)
        ]
        self._connection.execute(insert(changes), rows)
        if limit is not None:
            old = changes.c.number <= last - limit
            self._connection.execute(delete(changes).where(old))

    def _count_changes(self, count: int) -> int:
        """Return the number of the last change, when some are added."""
        state = self._tables.state
        insertion = self._database.insert(state).values(name=CHANGES, number=count)
        number = state.c.number + insertion.excluded.number
        sql = insertion.on_conflict_do_update(
            index_elements=["name"], set_={"number": number}
        ).returning(state.c.number)
        return self._connection.execute(sql).scalar_one()  # type: ignore[no-any-return]

    def _log(self, call: CallKey, outcome: Outcome) -> None:
        calls, (scope, key, _identity) = self._tables.calls, call
        texts = {"call": call_text(call), "outcome": outcome_text(outcome)}
        values = {"scope": scope, "key": key, **texts}
        self._connection.execute(insert(calls).values(values))
        own = select(calls.c.number).where(calls.c.scope == scope)
        last = own.order_by(calls.c.number.desc()).offset(self._limits[0]).limit(1)
        old = calls.c.scope == scope, calls.c.number <= last.scalar_subquery()
        self._connection.execute(delete(calls).where(*old))

    def _outcome(self, text: str) -> Outcome:
        return outcome_from_text(text, self._policy)


@final
class SqlHistory:
    """
    The changes and calls that are retained, for a purge.

    Args:
        connection: In a transaction.
        tables: The tables of the book.
        policy: The policy of the book.
    """

    def __init__(self, connection: Connection, tables: Tables, policy: Policy) -> None:
        self._connection, self._tables, self._policy = connection, tables, policy

    def changes(self) -> Iterator[Outcome]:
        """Return the outcomes of the changes, the newest first."""
        changes = self._tables.changes
        sql = select(changes.c.outcome).where(changes.c.outcome.is_not(None))
        texts = self._connection.execute(sql.order_by(changes.c.number.desc())).all()
        return (outcome_from_text(text, self._policy) for (text,) in texts)

    def replace(self, scope: str, new: Callable[[Outcome], Outcome | None]) -> int:
        """Replace each outcome of a scope; return how many are replaced."""
        return sum(
            self._replace(table, scope, new)
            for table in (self._tables.changes, self._tables.calls)
        )

    def _replace(
        self, table: Any, scope: str, new: Callable[[Outcome], Outcome | None]
    ) -> int:
        replaced = 0
        sql = select(table.c.number, table.c.outcome).where(
            table.c.scope == scope, table.c.outcome.is_not(None)
        )
        for number, text in self._connection.execute(sql).all():
            was = outcome_from_text(text, self._policy)
            outcome = new(was)
            if outcome is was:
                continue
            replaced += 1
            is_row = table.c.number == number
            if outcome is None and table is self._tables.calls:
                self._connection.execute(delete(table).where(is_row))
                continue
            value = None if outcome is None else outcome_text(outcome)
            self._connection.execute(update(table).where(is_row).values(outcome=value))
        return replaced


def _versions(rows: Iterable[tuple[Row, Row]]) -> Iterator[tuple[int, int]]:
    return ((was[PLACE], was[VERSION]) for was, _row in rows)


def _first(pair: tuple[int, Any]) -> int:
    return pair[0]


def _has_nul(value: Any) -> bool:
    """Return whether a value has text with U+0000 in it."""
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, (bool, int, float)) or value is None:
        return False
    items = thaw(value)
    if isinstance(items, dict):
        return any(_has_nul(name) or _has_nul(item) for name, item in items.items())
    return any(map(_has_nul, items))

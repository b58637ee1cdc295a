"""
One transaction: what it reads, and how what was decided is written.

Rules:
    A contact is written only at the version that was read; else another transaction
    was first, and this one has to begin again.
    Changes get their numbers last, under the lock of one row, so that the numbers are
    in the order of the commits and have no gap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, final

from sqlalchemy import delete, func, insert, select, tuple_, update

from upsertcore.errors import InvalidField
from upsertcore.sql.statements import CHANGES
from upsertcore.sql.stored_text import (
    call_text,
    contact_texts,
    form_text,
    outcome_from_text,
    outcome_text,
)
from upsertcore.sql.view import UNPLACED, SqlView
from upsertcore.store.contact_index import IndexStage
from upsertcore.store.placed import (
    Placed,
    StagedChanges,
    changed_contacts,
    gained_forms,
    staged_changes,
)
from upsertcore.values import thaw

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from upsertcore.engine.outcome import Outcome
    from upsertcore.model.contact import Contact
    from upsertcore.model.view import Address, Forms
    from upsertcore.policy.policy import Policy
    from upsertcore.sql.database import Database
    from upsertcore.sql.statements import Statement, Statements
    from upsertcore.store.contact_index import ContactIndex
    from upsertcore.store.idempotency import CallKey

__all__ = ["Lost", "SqlHistory", "SqlStage", "Transaction"]

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
        # One who has not found such a contact must find its redirect.
        returning = [*back]
        self._view.lock([(contact.scope, "", one.id) for one, _ in returning])
        survivor = self.get(contact.id, contact.scope)
        self._view.load_redirects(contact.scope, survivor.merged_ids)
        self._stage.split(contact, forms, returning)

    def changes(self) -> StagedChanges:
        """Return all changes."""
        return staged_changes(self._stage)


@final
class Transaction:
    """
    A transaction of a book, in progress.

    Args:
        connection: In a transaction of the database.
        database: Which one it is.
        statements: Those over the tables of the book.
        policy: The policy of the book.
        limits: How many calls of a scope, and how many changes, are retained.
        locks: Whether what is looked up is locked first.
        locks_rows: Whether contacts that are read are locked as well.
    """

    def __init__(
        self,
        connection: Connection,
        database: Database,
        statements: Statements,
        policy: Policy,
        limits: tuple[int, int | None],
        *,
        locks: bool = False,
        locks_rows: bool = False,
    ) -> None:
        how: Any = {"locks": locks, "locks_rows": locks_rows}
        make = partial(SqlView, connection, database, statements, policy, **how)
        self._make_view: Callable[[], SqlView] = make
        self.view = make()
        self._connection, self._database = connection, database
        self._statements, self._tables = statements, statements.tables
        self._policy, self._limits = policy, limits
        self._checks_revisions = database.locks_rows and not locks_rows
        self._single: set[str] = set()
        if policy.on_key_in_use != "allow":
            self._single = {key.name for key in policy.all_keys if key.unique}

    def logged_call(self, scope: str, key: str) -> tuple[str, Outcome] | None:
        """Return the text of a call that is logged under a key, and its outcome."""
        self._check_nul({"scope": scope})
        self.view.lock([(scope, " ", key)])
        at = {"scope": scope, "key": form_text(key)}
        call = self._statements.find_call(self._connection, **at)
        row = call.first()
        return None if row is None else (row[0], self._outcome(row[1]))

    def renew_view(self) -> SqlView:
        """Return a view that has read nothing; it is the view from then on."""
        self.view = self._make_view()
        return self.view

    def find_ids(self, scope: str, ids: Iterable[str]) -> list[str]:
        """Return those of some ids that resolve to a contact of a scope."""
        view = self._make_view()
        view.load(scope, ids)
        return [id for id in ids if view.has_id(id, scope)]

    def check_storable(self, contact: Contact) -> None:
        """
        Check that the database can hold a contact.

        Raises:
            InvalidField: If it cannot hold a value.
        """
        for name, text in (("scope", contact.scope), ("id", contact.id)):
            if len(text.encode()) > _MAX_NAME:
                reason = f"must have at most {_MAX_NAME} bytes in UTF-8"
                raise InvalidField(name, text, f"{reason}; send a shorter one")
        named = {"scope": contact.scope, "id": contact.id, **contact.fields}
        self._check_nul(named)

    def _check_nul(self, named: Mapping[str, Any]) -> None:
        if self._database.can_store_nul:
            return
        for name, value in named.items():
            if _has_nul(name) or _has_nul(value):
                reason = "must not contain U+0000, which PostgreSQL cannot store"
                raise InvalidField(name, value, f"{reason}; remove it")

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
        logs = call is not None and self._limits[0] > 0
        self.write_changes(stage.changes(), checks_all=logs)
        if call is not None and logs:
            self._log(call, done[0])
        self.append([outcome for outcome in done if not outcome.unchanged])

    def write_stage(self, stage: SqlStage) -> None:
        """Write what was staged."""
        self.write_changes(stage.changes())

    def fill(self, index: ContactIndex) -> None:
        """Write all contacts of an index, at their places; there are none yet."""
        changes = changed_contacts(index)
        pairs, table = changes.contacts, self._tables.contacts
        for start in range(0, len(pairs), _CHUNK):
            self.write_changes(StagedChanges(pairs[start : start + _CHUNK]))
        self._write_redirects(changes, {})
        if pairs and self._database.locks_rows:
            parts = [part for part in (table.schema, table.name) if part]
            name = ".".join(['"' + part.replace('"', '""') + '"' for part in parts])
            sequence = func.pg_get_serial_sequence(name, "place")
            self._connection.execute(select(func.setval(sequence, index.next)))

    def write_changes(
        self, changes: StagedChanges, *, checks_all: bool = False
    ) -> None:
        """
        Write contacts and redirects: first what leaves, so that keys are free.

        Args:
            changes: What to write.
            checks_all: Whether what was read is checked even if nothing is written.
        """
        self._lock_forms(changes.contacts)
        if changes.contacts or checks_all:
            self.check_revisions(changes.contacts)
        pairs = changes.contacts
        updated = [(was, now) for was, now in pairs if was and now]
        self._delete_forms(pairs)
        self._delete_contacts([was for was, now in pairs if was and not now])
        self._update_contacts(updated)
        new = [now for was, now in pairs if now and not was]
        places = self._insert_contacts(new, changes)
        self._insert_forms([(None, one, places.get(_address(one))) for one in new])
        self._insert_forms([(was, now, None) for was, now in updated])
        self._write_redirects(changes, places)

    def _lock_forms(self, pairs: Iterable[tuple[Placed | None, Placed | None]]) -> None:
        """Wait for who has looked up a form that a contact gains, and not found it."""
        if self._database.locks_rows:
            gained = [
                (now.contact.scope, key, form)
                for was, now in pairs
                if now is not None
                for key, form in gained_forms(self.view.keys, was, now)
            ]
            self.view.lock(gained)

    def check_revisions(
        self, pairs: Iterable[tuple[Placed | None, Placed | None]] = ()
    ) -> None:
        """
        Check that what was read is as it was read.

        Args:
            pairs: What is written, and is checked then.

        Raises:
            Lost: If it is not, so what was decided may be wrong.
        """
        if not self._checks_revisions:
            return
        written = {_address(was) for was, _now in pairs if was is not None}
        read = [
            at for address, at in self.view.revisions.items() if address not in written
        ]
        if read:
            contacts = self._tables.contacts
            is_read = tuple_(contacts.c.place, self._statements.revision).in_(read)
            sql = select(contacts.c.place).where(is_read).with_for_update(read=True)
            if len(self._connection.execute(sql).all()) < len(read):
                raise Lost

    def _delete_contacts(self, gone: list[Placed]) -> None:
        self._write_each(
            self._statements.delete_contact, [self._of(one) for one in gone]
        )

    def _update_contacts(self, pairs: list[tuple[Placed, Placed]]) -> None:
        keys = self.view.keys
        values = [
            {
                **self._of(was),
                "version": now.contact.version,
                **contact_texts(now, keys),
            }
            for was, now in pairs
        ]
        self._write_each(self._statements.update_contact, values)

    def _of(self, placed: Placed) -> dict[str, Any]:
        """Return what identifies a contact as it was read."""
        place, revision = self.view.revisions[_address(placed)]
        return {"of_place": place, "of_revision": revision}

    def _write_each(self, statement: Statement, rows: Iterable[dict[str, Any]]) -> None:
        """Execute a statement that has to write one row each time."""
        values = [*rows]
        if values and statement.many(self._connection, values).rowcount != len(values):
            raise Lost

    def _insert_contacts(
        self, new: list[Placed], changes: StagedChanges
    ) -> dict[Address, int]:
        """Insert contacts; return the place that each new one has been given."""
        contacts, keys = self._tables.contacts, self.view.keys
        placed: list[dict[str, Any]] = []
        unplaced: list[tuple[int, dict[str, Any]]] = []
        for one in new:
            scope, id = _address(one)
            values = {"scope": scope, "id": id, "version": one.contact.version}
            values |= contact_texts(one, keys)
            if one.place < UNPLACED:
                placed.append({"place": one.place, **values})
            else:
                unplaced.append((one.place, values))
        # A contact that was created and merged in one batch gets a place, and no row.
        former = changes.former_places.items()
        stubs = {at: n for at, n in former if n is not None and n >= UNPLACED}
        for (scope, id), place in stubs.items():
            stub = {"version": 0, "body": "{}", "forms": "{}"}
            unplaced.append((place, {"scope": scope, "id": id, **stub}))
        if placed:
            self._statements.insert_placed.many(self._connection, placed)
        if not unplaced:
            return {}
        values_of = [values for _place, values in sorted(unplaced, key=itemgetter(0))]
        made: Iterable[Any]
        if len(values_of) == 1:
            [values] = values_of
            inserted = self._statements.insert_contact(self._connection, **values)
            made = [(inserted.scalar_one(), values["scope"], values["id"])]
        else:
            # SQLite inserts in the order of the values; PostgreSQL need not.
            sql: Any = insert(contacts).returning(
                contacts.c.place,
                contacts.c.scope,
                contacts.c.id,
                sort_by_parameter_order=self._database.locks_rows,
            )
            made = self._connection.execute(sql, values_of)
        given = [tuple(row) for row in made]
        if stubs:
            addresses = tuple_(contacts.c.scope, contacts.c.id)
            self._connection.execute(delete(contacts).where(addresses.in_([*stubs])))
        return {(scope, id): place for place, scope, id in given}

    def _delete_forms(
        self, pairs: Iterable[tuple[Placed | None, Placed | None]]
    ) -> None:
        gone = [
            {
                "scope": was.contact.scope,
                "key": key,
                "form": form_text(form),
                "contact": was.place,
            }
            for was, now in pairs
            if was is not None
            for key, form in gained_forms(self.view.keys, now, was)
        ]
        if gone:
            self._statements.delete_form.many(self._connection, gone)

    def _insert_forms(
        self, rows: Iterable[tuple[Placed | None, Placed, int | None]]
    ) -> None:
        new = [
            {
                "scope": now.contact.scope,
                "key": key,
                "form": form_text(form),
                "slot": 0 if key in self._single else place,
                "contact": place,
            }
            for was, now, given in rows
            for place in (now.place if given is None else given,)
            for key, form in gained_forms(self.view.keys, was, now)
        ]
        if new:
            self._statements.insert_forms(self._connection, new)

    def _write_redirects(
        self, changes: StagedChanges, places: dict[Address, int]
    ) -> None:
        former = changes.former_places
        gone = [
            {"scope": at[0], "id": at[1]}
            for at, to in changes.redirects.items()
            if to is None
        ]
        if gone:
            self._statements.delete_redirect.many(self._connection, gone)
        new = [
            {
                "scope": at[0],
                "id": at[1],
                "survivor": to,
                "place": places.get(at, former.get(at)),
            }
            for at, to in changes.redirects.items()
            if to is not None
        ]
        if new:
            self._statements.put_redirect.many(self._connection, new)

    def append(self, outcomes: list[Outcome]) -> None:
        """Append changes to the journal, and trim it; the last step of a write."""
        limit, sql, connection = self._limits[1], self._statements, self._connection
        if limit == 0 or not outcomes:
            return
        count = len(outcomes)
        last = sql.count_changes(connection, name=CHANGES, number=count).scalar_one()
        rows = [
            {"number": n, "scope": o.contact.scope, "outcome": outcome_text(o)}
            for n, o in enumerate(outcomes, last - count + 1)
        ]
        sql.insert_change.many(connection, rows)
        if limit is not None:
            sql.trim_changes(connection, last=last - limit)

    def _log(self, call: CallKey, outcome: Outcome) -> None:
        sql, (scope, key, _identity) = self._statements, call
        texts = {"call": call_text(call), "outcome": outcome_text(outcome)}
        at = {"scope": scope, "key": form_text(key)}
        sql.insert_call(self._connection, **at, **texts)
        sql.trim_calls(self._connection, scope=scope, retained=self._limits[0])

    def _outcome(self, text: str) -> Outcome:
        return outcome_from_text(text, self._policy)


@final
class SqlHistory:
    """
    The changes and calls that are retained, for a purge.

    Args:
        transaction: The transaction.
        stage: What the purge removes; it is written before anything is replaced, so
            that no other transaction adds to the history of what is removed.
        policy: The policy of the book.
    """

    def __init__(
        self, transaction: Transaction, stage: SqlStage, policy: Policy
    ) -> None:
        self._transaction, self._stage, self._policy = transaction, stage, policy
        view = transaction.view
        self._connection, self._tables = view.connection, view.tables

    def changes(self) -> Iterator[Outcome]:
        """Return the outcomes of the changes, the newest first."""
        changes = self._tables.changes
        sql = select(changes.c.outcome).where(changes.c.outcome.is_not(None))
        texts = self._connection.execute(sql.order_by(changes.c.number.desc())).all()
        return (outcome_from_text(text, self._policy) for (text,) in texts)

    def replace(self, scope: str, new: Callable[[Outcome], Outcome | None]) -> int:
        """Replace each outcome of a scope; return how many are replaced."""
        if self._transaction.view.is_unstorable(scope):
            return 0
        self._transaction.write_stage(self._stage)
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


def _address(placed: Placed) -> Address:
    return placed.contact.scope, placed.contact.id


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

"""
Contacts in tables: looked up for a decision, and written by its plan.

Rules:
    What SQLite and PostgreSQL have in common is here and in ``sql_book``.
    A decision loads only the contacts that it needs. It is exact, since the database
    answers every look-up that an index in memory would answer.
    The version and the unique index decide last, whatever else writes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol

from attrs import frozen

from upsertcore import Contact, Plan, Policy
from upsertcore.errors import UnknownContact
from upsertcore.policy.held_forms import held_forms

# seq is the order of creation, which decides ties. ids keeps every id that was ever
# given, for it leads to its contact or to the one that absorbed it. alone is 1 where
# no other contact may hold the form. body is the text of Contact.to_dict().
SCHEMA = """
CREATE TABLE contacts (
    seq {seq}, id TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, body TEXT NOT NULL
);
CREATE TABLE ids (id TEXT PRIMARY KEY, leads_to TEXT NOT NULL);
CREATE TABLE keys (
    scope TEXT NOT NULL, key TEXT NOT NULL, form TEXT NOT NULL,
    contact TEXT NOT NULL, alone INTEGER NOT NULL,
    PRIMARY KEY (scope, key, form, contact)
);
CREATE UNIQUE INDEX keys_alone ON keys (scope, key, form) WHERE alone = 1;
CREATE INDEX keys_contact ON keys (contact);
CREATE INDEX ids_leads_to ON ids (leads_to);
"""


class Overtaken(Exception):
    """A contact does not have the version that was decided on."""


class Rows(Protocol):
    """The result of a statement."""

    @property
    def rowcount(self) -> int: ...
    def fetchall(self) -> list[Any]: ...


class Database(Protocol):
    """The database of a book; a ``?`` in a statement stands for a value."""

    def begin(self, *, queued: bool) -> None: ...
    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Rows: ...
    def rollback(self) -> None: ...
    def lost(self, error: Exception) -> bool: ...


@frozen
class Lookups:
    """Answers ``upsertcore.decide`` from the tables, within one transaction."""

    policy: Policy
    database: Database

    def get(self, id: str, scope: str) -> Contact:
        """Return the contact with this id, or the one that absorbed it."""
        rows = self.database.execute(
            "SELECT body FROM ids JOIN contacts ON contacts.id = ids.leads_to"
            " WHERE ids.id = ?",
            (id,),
        ).fetchall()
        contact = Contact.from_dict(json.loads(rows[0][0])) if rows else None
        if contact is None or contact.scope != scope:
            raise UnknownContact(id)
        return contact

    def get_with_forms(
        self, id: str, scope: str
    ) -> tuple[Contact, tuple[tuple[str, ...], ...]]:
        """Return it, and the normal forms that it holds, per key of the policy."""
        contact = self.get(id, scope)
        return contact, held_forms(self.policy, contact)

    def holders(self, key: str, form: str, scope: str) -> tuple[str, ...]:
        """Return the ids of the contacts that hold a form, by creation."""
        rows = self.database.execute(
            "SELECT id FROM keys JOIN contacts ON contacts.id = keys.contact"
            " WHERE scope = ? AND key = ? AND form = ? ORDER BY seq",
            (scope, key, form),
        ).fetchall()
        return tuple(id for (id,) in rows)


def write(database: Database, plan: Plan, contact: Contact) -> None:
    """Store a contact as a plan describes it; delete those that it absorbs."""
    id, put = contact.id, (contact.version, json.dumps(contact.to_dict()))
    if plan.before is None:
        sql = "INSERT INTO contacts (version, body, id) VALUES (?, ?, ?)"
        database.execute(sql, (*put, id))
        database.execute("INSERT INTO ids (id, leads_to) VALUES (?, ?)", (id, id))
    else:
        sql = "UPDATE contacts SET version = ?, body = ? WHERE id = ? AND version = ?"
        _one(database.execute(sql, (*put, id, plan.before.version)))
    for other in plan.merged:
        sql = "DELETE FROM contacts WHERE id = ? AND version = ?"
        _one(database.execute(sql, (other.id, other.version)))
        sql = "UPDATE ids SET leads_to = ? WHERE leads_to = ?"
        database.execute(sql, (id, other.id))
        database.execute("DELETE FROM keys WHERE contact = ?", (other.id,))
    held = {} if plan.before is None else held_keys(plan.policy, plan.before)
    holds = held_keys(plan.policy, contact)
    for key, form in [pair for pair in held if pair not in holds]:
        sql = "DELETE FROM keys WHERE contact = ? AND key = ? AND form = ?"
        database.execute(sql, (id, key, form))
    for key, form in [pair for pair in holds if pair not in held]:
        sql = "INSERT INTO keys (scope, key, form, contact, alone)"
        row = (contact.scope, key, form, id, holds[key, form])
        database.execute(sql + " VALUES (?, ?, ?, ?, ?)", row)


def held_keys(policy: Policy, contact: Contact) -> dict[tuple[str, str], int]:
    """Map each (key, form) of a contact to 1 where it must be the only holder."""
    unique = policy.on_key_in_use != "allow"
    forms = zip(policy.all_keys, held_forms(policy, contact), strict=True)
    return {
        (key.name, form): int(key.unique and unique)
        for key, key_forms in forms
        for form in key_forms
    }


def _one(rows: Rows) -> None:
    if rows.rowcount != 1:
        raise Overtaken

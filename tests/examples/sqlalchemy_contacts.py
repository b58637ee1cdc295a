"""Contacts with SQLAlchemy: a table, and an upsert in one transaction."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    false,
    or_,
)
from sqlalchemy.exc import IntegrityError

from upsertcore import ContactBook, Outcome, Policy, field, first_match, normalize

POLICY = Policy(
    match=first_match("email", "phone", guard="if_set"),
    fields={
        "email": field(key=normalize.email, unique=True),
        "phone": field(key=normalize.phone),
        "name": field(),
    },
)
metadata = MetaData()
people = Table(
    "people",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("scope", String(64), nullable=False),
    Column("email", String(254)),
    Column("phone", String(16), index=True),
    Column("version", Integer, nullable=False),
    Column("body", JSON, nullable=False),
    UniqueConstraint("scope", "email"),
)


class Overtaken(Exception):
    """Another process has changed the contact since it was read."""


def forms(values: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the form of each key that a patch or a contact has."""
    keys = {"email": normalize.email, "phone": normalize.phone}
    return {name: form(values.get(name)) for name, form in keys.items()}


def upsert(engine: Engine, patch: Mapping[str, Any], scope: str) -> Outcome:
    """Upsert into the table; a call that lost a race is decided again."""
    for _ in range(4):
        with suppress(IntegrityError, Overtaken), engine.begin() as connection:
            return attempt(connection, patch, scope)
    with engine.begin() as connection:
        return attempt(connection, patch, scope)


def attempt(connection: Connection, patch: Mapping[str, Any], scope: str) -> Outcome:
    """Load the contacts that the patch can match, decide, and store."""
    sent = [people.c[name] == form for name, form in forms(patch).items() if form]
    query = people.select().where(people.c.scope == scope, or_(false(), *sent))
    rows = connection.execute(query)
    book = ContactBook.load(POLICY, [row.body for row in rows])
    outcome = book.upsert(patch, scope=scope)
    if not outcome.unchanged:
        contact, before = outcome.contact, outcome.before
        columns = {
            "version": contact.version,
            "body": contact.to_dict(),
            **forms(contact.fields),
        }
        if before is None:
            new = people.insert().values(id=contact.id, scope=scope, **columns)
            connection.execute(new)
        else:
            same = people.c.id == contact.id, people.c.version == before.version
            changed = people.update().where(*same).values(**columns)
            if connection.execute(changed).rowcount == 0:
                raise Overtaken
    return outcome

"""Contacts with SQLAlchemy: a table, and an upsert in one transaction."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Engine,
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
    Column("body", JSON, nullable=False),
    UniqueConstraint("scope", "email"),
)


def forms(values: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the form of each key that a patch or a contact has."""
    keys = {"email": normalize.email, "phone": normalize.phone}
    return {name: form(values.get(name)) for name, form in keys.items()}


def upsert(engine: Engine, patch: Mapping[str, Any], scope: str) -> Outcome:
    """Upsert into the table; a call that lost a race is decided again."""
    for _ in range(3):
        try:
            with engine.begin() as connection:
                return attempt(connection, patch, scope)
        except IntegrityError:
            continue
    with engine.begin() as connection:
        return attempt(connection, patch, scope)


def attempt(connection: Connection, patch: Mapping[str, Any], scope: str) -> Outcome:
    """Load the contacts that the patch can match, decide, and store."""
    sent = [people.c[name] == form for name, form in forms(patch).items() if form]
    query = people.select().where(people.c.scope == scope, or_(false(), *sent))
    rows = connection.execute(query.with_for_update())
    book = ContactBook.load(POLICY, [row.body for row in rows])
    outcome = book.upsert(patch, scope=scope)
    if not outcome.unchanged:
        contact = outcome.contact
        columns = {"scope": scope, "body": contact.to_dict(), **forms(contact.fields)}
        if outcome.before is None:
            connection.execute(people.insert().values(id=contact.id, **columns))
        else:
            this = people.c.id == contact.id
            connection.execute(people.update().where(this).values(**columns))
    return outcome

"""
The tables of a book: contacts, their forms, and what is retained of calls.

Rules:
    Names are the caller's: a prefix, and a schema of the database.
    Text is compared byte by byte, whatever the locale of the database.
    A contact is kept as JSON text: JSON types of a database do not keep every value.
"""

from __future__ import annotations

from typing import Any, final

from attrs import frozen
from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Computed,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles

__all__ = ["Tables", "make_tables"]

_NUMBER = BigInteger().with_variant(Integer(), "sqlite")
_JSON = JSON().with_variant(JSONB(), "postgresql")
_TEXT = Text().with_variant(Text(collation="C"), "postgresql")


@final
@frozen
class Tables:
    """
    The tables of one book.

    Args:
        metadata: What they are part of.
        contacts: A row per contact: its place in the order of creation, and the text
            of ``Contact.to_dict()``.
        forms: The normal forms that contacts hold. ``slot`` is 0 where no other contact
            may hold the form, else the contact's place.
        redirects: The ids of merged contacts, with the id of the survivor and the place
            to which an undo restores the contact.
        changes: The retained changes; no outcome where one was purged.
        calls: The remembered calls with an idempotency key.
        state: What there is one of: the number of the last change, and the keys.
    """

    metadata: MetaData
    contacts: Table
    forms: Table
    redirects: Table
    changes: Table
    calls: Table
    state: Table


def make_tables(
    metadata: MetaData | None = None,
    *,
    prefix: str = "upsertcore_",
    schema: str | None = None,
) -> Tables:
    """
    Describe the tables of a book, for migrations and for queries of the caller.

    Args:
        metadata: What to add them to; a new one if None.
        prefix: What the names of the tables begin with.
        schema: The schema of the database; None for the default one.

    >>> sorted(make_tables(prefix="crm_").metadata.tables)[:2]
    ['crm_calls', 'crm_changes']
    """
    metadata = MetaData() if metadata is None else metadata
    options: Any = {"schema": schema, "sqlite_autoincrement": True}
    return Tables(
        metadata,
        *[
            Table(prefix + make.__name__.strip("_"), metadata, *make(prefix), **options)
            for make in (_contacts, _forms, _redirects, _changes, _calls, _state)
        ],
    )


def _contacts(prefix: str) -> tuple[Any, ...]:
    return (
        Column("place", _NUMBER, Identity(), primary_key=True),
        Column("scope", _TEXT, nullable=False),
        Column("id", _TEXT, nullable=False),
        Column("version", _NUMBER, nullable=False),
        Column("body", _TEXT, nullable=False),
        Column("forms", _TEXT, nullable=False),
        Column("fields", _JSON, _FieldsOfBody("")),
        Index(f"ix_{prefix}contacts_id", "scope", "id", unique=True),
    )


def _forms(_prefix: str) -> tuple[Any, ...]:
    return (
        Column("scope", _TEXT, primary_key=True),
        Column("key", _TEXT, primary_key=True),
        Column("form", _TEXT, primary_key=True),
        Column("slot", _NUMBER, primary_key=True, autoincrement=False),
        Column("contact", _NUMBER, nullable=False),
    )


def _redirects(_prefix: str) -> tuple[Any, ...]:
    return (
        Column("scope", _TEXT, primary_key=True),
        Column("id", _TEXT, primary_key=True),
        Column("survivor", _TEXT, nullable=False),
        Column("place", _NUMBER),
    )


def _changes(_prefix: str) -> tuple[Any, ...]:
    return (
        Column("number", _NUMBER, primary_key=True, autoincrement=False),
        Column("scope", _TEXT, nullable=False),
        Column("outcome", _TEXT),
    )


def _calls(prefix: str) -> tuple[Any, ...]:
    return (
        Column("number", _NUMBER, Identity(), primary_key=True),
        Column("scope", _TEXT, nullable=False),
        Column("key", _TEXT, nullable=False),
        Column("call", _TEXT, nullable=False),
        Column("outcome", _TEXT, nullable=False),
        Index(f"ix_{prefix}calls_key", "scope", "key", unique=True),
        Index(f"ix_{prefix}calls_number", "scope", "number"),
    )


def _state(_prefix: str) -> tuple[Any, ...]:
    return (
        Column("name", _TEXT, primary_key=True),
        Column("number", _NUMBER, nullable=False),
        Column("text", _TEXT),
    )


class _FieldsOfBody(Computed):  # type: ignore[misc]
    """The fields of a contact, for queries of the caller; the book never reads them."""


@compiles(_FieldsOfBody, "sqlite")  # type: ignore[untyped-decorator]
def _in_sqlite(_column: Any, _compiler: Any, **_options: Any) -> str:
    return "GENERATED ALWAYS AS (json_extract(body, '$.fields')) VIRTUAL"


@compiles(_FieldsOfBody, "postgresql")  # type: ignore[untyped-decorator]
def _in_postgresql(_column: Any, _compiler: Any, **_options: Any) -> str:
    return "GENERATED ALWAYS AS ((body::jsonb) -> 'fields') STORED"

"""The tables in migrations of the application."""

from __future__ import annotations

from functools import partial
from uuid import uuid4

import pytest
from sqlalchemy import Engine, MetaData

from upsertcore import Policy, field, first_match, normalize
from upsertcore.sql import SqlBook, make_tables

pytest.importorskip("alembic")
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations

pytestmark = pytest.mark.full


def is_own(prefix: str, name: str | None, kind: str, _parents: object) -> bool:
    """Return whether a name is not that of another table."""
    return kind != "table" or str(name).startswith(prefix)


def test_migration_of_alembic_makes_the_tables(engine: Engine) -> None:
    """And autogenerate finds nothing to add afterwards."""
    prefix, metadata = f"t{uuid4().hex[:8]}_", MetaData()
    tables = make_tables(metadata, prefix=prefix)
    with engine.begin() as connection:
        op = Operations(MigrationContext.configure(connection))
        make_tables(prefix=prefix).metadata.create_all(op.get_bind())
    with engine.connect() as connection:
        own = {"include_name": partial(is_own, prefix)}
        differences = compare_metadata(
            MigrationContext.configure(connection, opts=own), metadata
        )
    policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    book = SqlBook(engine, policy, tables=tables)
    book.create_tables()

    assert differences == []
    assert book.upsert({"email": "ada@x.org"}).created
    metadata.drop_all(engine)

"""How many statements a verb takes, whatever the size of the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, event

from upsertcore import Policy, field, first_match, normalize
from upsertcore.sql import SqlBook, make_tables

POLICY = Policy(
    first_match("email", "phone"),
    {
        "email": field(key=normalize.email, unique=True),
        "phone": field(key=normalize.phone),
        "name": field(),
    },
)
ADA = {"email": "ada@x.org", "phone": "+15550001111", "name": "Ada"}


@contextmanager
def counted(engine: Engine) -> Iterator[list[str]]:
    """Collect the statements that are executed, without BEGIN and COMMIT."""
    statements: list[str] = []

    def collect(_connection: Any, _cursor: Any, sql: str, *_: Any) -> None:
        if not sql.startswith(("BEGIN", "ROLLBACK", "SAVEPOINT", "RELEASE")):
            statements.append(sql.split(maxsplit=1)[0])

    event.listen(engine, "before_cursor_execute", collect)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", collect)


@pytest.fixture
def book(engine: Engine) -> Iterator[SqlBook]:
    tables = make_tables(prefix=f"t{uuid4().hex[:8]}_")
    made = SqlBook(engine, POLICY, tables=tables)
    made.create_tables()
    made.upsert_many([{"email": f"p{n}@x.org", "name": "x"} for n in range(300)])
    yield made
    tables.metadata.drop_all(engine)


Verb = Callable[[SqlBook], object]
VERBS: dict[str, tuple[Verb, list[str]]] = {
    # One look-up for all keys; the contact; its forms.
    "create": (lambda b: b.upsert(ADA), ["SELECT", "INSERT", "INSERT"]),
    "update": (
        lambda b: b.upsert({"email": "p1@x.org", "name": "y"}),
        ["SELECT", "UPDATE"],
    ),
    "update of a key": (
        lambda b: b.upsert({"email": "p1@x.org", "phone": "+15550001111"}),
        ["SELECT", "UPDATE", "INSERT"],
    ),
    "unchanged": (lambda b: b.upsert({"email": "p1@x.org", "name": "x"}), ["SELECT"]),
    "keyed": (
        lambda b: b.upsert({"email": "p1@x.org"}, idempotency_key="k"),
        ["SELECT", "SELECT", "INSERT", "DELETE"],
    ),
    "find": (lambda b: b.find("email", "p1@x.org"), ["SELECT"]),
    "plan": (lambda b: b.plan(ADA), ["SELECT"]),
    "length": (len, ["SELECT"]),
    "duplicates": (lambda b: b.duplicates("phone"), ["SELECT"]),
    "batch": (
        lambda b: b.upsert_many([{"email": f"p{n}@x.org"} for n in range(200)]),
        # A second transaction finds that there are no more patches.
        ["SELECT"],
    ),
    "batch that creates": (
        lambda b: b.upsert_many([{"email": f"q{n}@x.org"} for n in range(150)]),
        ["SELECT", "INSERT", "INSERT"],
    ),
}


@pytest.mark.parametrize("name", VERBS)
def test_verb_takes_few_statements(engine: Engine, book: SqlBook, name: str) -> None:
    verb, expected = VERBS[name]
    with counted(engine) as statements:
        verb(book)
    if engine.dialect.name == "postgresql":
        # The locks of what is looked up.
        writes = name not in ("find", "plan", "length", "duplicates")
        locks = {"keyed": 2}.get(name, 1) if writes else 0
        # What a logged call has read is checked once more.
        checks = int(name == "keyed")
        expected = ["SELECT"] * (locks + checks) + expected

    assert sorted(statements) == sorted(expected)


def test_get_takes_one_look_up_and_two_for_a_merged_id(
    engine: Engine, book: SqlBook
) -> None:
    first, second, *_ = book
    with counted(engine) as statements:
        book.get(first.id)
    assert len(statements) == 1

    book.merge(first.id, second.id)
    with counted(engine) as statements:
        assert book.get(second.id).id == first.id
    assert len(statements) == 3

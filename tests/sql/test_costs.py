"""
What a verb costs inside the database, which the number of its statements does not show.

In SQLite the steps of its virtual machine are counted, in PostgreSQL the rows that are
read, in a book of few contacts and in one of eight times as many.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from uuid import uuid4

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.pool import StaticPool

from tests.sql.conftest import WITHOUT
from upsertcore import Policy, field, first_match, normalize
from upsertcore.sql import SqlBook, Tables, make_tables

POLICY = Policy(
    first_match("email", "phone"),
    {
        "email": field(key=normalize.email, unique=True),
        "phone": field(key=normalize.phone),
        "name": field(),
    },
)
FEW, MANY = 200, 1_600
Verb = Callable[[SqlBook], object]
VERBS: dict[str, Verb] = {
    "create": lambda book: book.upsert({"email": "new@x.org", "phone": "+12015550100"}),
    "update": lambda book: book.upsert({"email": "p7@x.org", "name": "y"}),
    "update by the second key": lambda book: book.upsert(
        {"email": "other@x.org", "phone": "+12015551007"}
    ),
    "unchanged": lambda book: book.upsert({"email": "p9@x.org"}),
    "with an idempotency key": lambda book: book.upsert(
        {"email": "p7@x.org"}, idempotency_key="k"
    ),
    "by id": lambda book: book.update("c-7", {"name": "z"}),
    "get": lambda book: book.get("c-7"),
    "find": lambda book: book.find("phone", "+1 201 555 1007"),
    "plan": lambda book: book.plan({"email": "p7@x.org", "phone": "+12015551009"}),
    "batch": lambda book: book.upsert_many(
        [{"email": f"p{n}@x.org", "phone": f"+1201555{1000 + n}"} for n in range(8)]
    ),
    "delete": lambda book: book.delete("c-7"),
    "merge": lambda book: book.merge("c-7", "c-8"),
    "get what was merged": lambda book: (book.merge("c-7", "c-8"), book.get("c-8")),
}


def filled(engine: Engine, size: int, tables: Tables) -> SqlBook:
    """Return a book of so many contacts with two keys each."""
    numbers = count()
    made = SqlBook(
        engine,
        POLICY,
        tables=tables,
        ids=lambda: f"c-{next(numbers)}",
        retain_changes=5,
    )
    made.create_tables()
    made.upsert_many(
        [{"email": f"p{n}@x.org", "phone": f"+1201555{1000 + n}"} for n in range(size)]
    )
    return made


def steps(size: int, verb: Verb) -> int:
    """Return how many steps the virtual machine of SQLite takes."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    book = filled(engine, size, make_tables())
    taken = count(1)

    def step() -> int:
        next(taken)
        return 0

    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        driver.set_progress_handler(step, 1)
        verb(book)
        driver.set_progress_handler(None, 1)
    engine.dispose()
    return next(taken)


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_steps_in_sqlite_do_not_grow_with_the_book(verb: Verb) -> None:
    """But by the depth of an index."""
    few, many = steps(FEW, verb), steps(MANY, verb)

    assert 0 < many < 1.2 * few


_READ = """
    SELECT coalesce(sum(seq_tup_read + idx_tup_fetch), 0) FROM pg_stat_xact_user_tables
"""


def rows_read(engine: Engine, size: int, verb: Verb) -> int:
    """Return how many rows PostgreSQL reads, once it has statistics."""
    tables = make_tables(prefix=f"t{uuid4().hex[:8]}_")
    try:
        book = filled(engine, size, tables)
        with engine.begin() as connection:
            connection.execute(text("ANALYZE"))
            before = _read(connection)
            verb(book.within(connection))
            return _read(connection) - before
    finally:
        tables.metadata.drop_all(engine)


def _read(connection: Connection) -> int:
    return int(connection.execute(text(_READ)).scalar_one())


@pytest.mark.full
@WITHOUT
@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_rows_read_in_postgresql_do_not_grow_with_the_book(verb: Verb) -> None:
    """Small tables may be read as a whole, which takes less than an index."""
    engine = create_engine("postgresql+psycopg://")
    few, many = (rows_read(engine, size, verb) for size in (FEW, MANY))
    engine.dispose()

    assert 0 < many <= few

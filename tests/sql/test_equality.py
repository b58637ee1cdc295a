"""The book in a database has the results and the state of a book in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings

from tests.book.test_other_store import (
    HISTORIES,
    Call,
    MakeBook,
    check_each_verb,
    check_equal,
    check_history,
)
from tests.strategies import Case
from upsertcore import Policy, field, merge_all, normalize
from upsertcore.sql import SqlBook, make_tables

if TYPE_CHECKING:
    from sqlalchemy import Engine


@pytest.fixture(scope="session")
def make(engine: Engine) -> Iterator[MakeBook]:
    """Return a function that makes a book over emptied tables."""
    # Of its own, so that several runs may use one server.
    tables = make_tables(prefix=f"t{uuid4().hex[:8]}_")

    def make_book(
        policy: Policy, ids: Callable[[], str], clock: Callable[[], datetime]
    ) -> SqlBook:
        tables.metadata.drop_all(engine)
        how: Any = {"ids": ids, "clock": clock, "retain_changes": None}
        book = SqlBook(engine, policy, tables=tables, **how)
        book.create_tables()
        return book

    yield make_book
    tables.metadata.drop_all(engine)


def test_batch_that_merges_what_it_has_created_keeps_the_ids(make: MakeBook) -> None:
    policy = Policy(
        merge_all("email", "phone"),
        {"email": field(key=normalize.email), "phone": field(key=normalize.phone)},
    )
    rows = [
        {"phone": "+15550001111"},
        {"email": "ada@x.org"},
        {"email": "ada@x.org", "phone": "+15550001111"},
    ]
    merging = [
        lambda book: book.upsert({"phone": "+15550009999"}),
        lambda book: [*book.upsert_many(rows)],
        lambda book: (book.get("c-2").id, book.get("c-3").id),
        lambda book: book.undo(book.changes_since()[-1].outcome),
        lambda book: [*book],
        lambda book: [*book.upsert_many(rows)],
    ]

    results = check_equal(policy, merging, make)
    assert "merged" in results[1]


def test_each_verb_has_the_same_result(make: MakeBook) -> None:
    check_each_verb(make)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(*HISTORIES)
def test_drawn_histories_have_the_same_results(
    make: MakeBook, case: Case, calls: list[Call]
) -> None:
    check_history(case, calls, make)

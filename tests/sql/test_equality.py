"""The book in a database has the results and the state of a book in memory."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings

from tests.book.test_other_store import (
    HISTORIES,
    Call,
    MakeBook,
    check_each_verb,
    check_history,
)
from tests.strategies import Case
from upsertcore import Policy
from upsertcore.sql import SqlBook

if TYPE_CHECKING:
    from sqlalchemy import Engine


@pytest.fixture(scope="session")
def make(engine: Engine) -> MakeBook:
    """Return a function that makes a book over emptied tables."""

    def make_book(
        policy: Policy, ids: Callable[[], str], clock: Callable[[], datetime]
    ) -> SqlBook:
        how = {"ids": ids, "clock": clock, "retain_changes": None}
        book = SqlBook(engine, policy, **how)  # type: ignore[arg-type]
        book._store.tables.metadata.drop_all(engine)
        book.create_tables()
        return book

    return make_book


def test_each_verb_has_the_same_result(make: MakeBook) -> None:
    check_each_verb(make)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(*HISTORIES)
def test_drawn_histories_have_the_same_results(
    make: MakeBook, case: Case, calls: list[Call]
) -> None:
    check_history(case, calls, make)

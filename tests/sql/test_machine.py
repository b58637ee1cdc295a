"""The machine for policies of applications, over a book in a database."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from upsertcore import Policy, field, first_match, merge_all, normalize
from upsertcore.book.book import Book
from upsertcore.rules import union
from upsertcore.sql import SqlBook
from upsertcore.testing import BookMachine
from upsertcore.testing.strategies import new_book

pytestmark = pytest.mark.full
FIELDS = {
    "email": field(key=normalize.email, unique=True, keep_aliases=True),
    "phone": field(key=normalize.phone),
    "tags": field(rule=union),
}


class SqlMachine(BookMachine):
    """Every verb in any order, over tables of SQLite."""

    policy = Policy(first_match("email", "phone"), FIELDS, on_key_in_use="withhold")

    def make(self) -> Book:
        memory = new_book(self.policy)
        self.engine = create_engine("sqlite://", poolclass=StaticPool)
        sources: Any = memory._store
        draws = {"ids": sources.ids, "clock": sources.clock}
        book = SqlBook(self.engine, self.policy, retain_changes=None, **draws)
        book.create_tables()
        return book

    def teardown(self) -> None:
        self.engine.dispose()


class MergingSqlMachine(SqlMachine):
    """The same where keys merge contacts, and deleted contacts are kept."""

    policy = Policy(merge_all("email", "phone"), FIELDS, on_deleted="restore")


TestSqlMachine, TestMergingSqlMachine = SqlMachine.TestCase, MergingSqlMachine.TestCase
TestSqlMachine.settings = TestMergingSqlMachine.settings = settings(
    max_examples=max(10, settings().max_examples // 10), stateful_step_count=15
)

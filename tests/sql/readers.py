"""
A reader of the changes of a book in another process, which is killed.

Rules:
    The service lives on: a new reader finds every change of its book.
"""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

from tests.sql.event_stream import SCHEMA, Feed, Search
from tests.sql.workers import LOG, POLICIES
from upsertcore import ContactBook, errors
from upsertcore.testing import new_book


@contextmanager
def search_in(path: Path | str) -> Iterator[Search]:
    """Open the database of a reader."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(f"BEGIN; {SCHEMA} COMMIT;")
        yield Search(connection)


def book_over_time(keep: int | None) -> Iterator[ContactBook]:
    """Make a book by every kind of change, and yield it at times."""
    book = new_book(POLICIES["merged"], retain_changes=keep)
    for patch in LOG:
        try:
            outcome = book.upsert(patch)
        except errors.NoMatchKey:
            yield book
            continue
        if outcome.merged:
            book.undo(outcome)
            book.upsert(patch)
    book.delete(book.upsert({"device": "d-9"}).contact.id)
    yield book


def follow(path: Path, keep: int | None, kill_at: int) -> None:
    """Follow a book over its whole life; be killed right before a statement."""
    numbers = count(1)

    def statement(_sql: str) -> None:
        if next(numbers) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    with search_in(path) as search:
        search.connection.set_trace_callback(statement)
        for book in book_over_time(keep):
            search.catch_up(Feed("first", book))

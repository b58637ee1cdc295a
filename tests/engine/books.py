"""Books for the tests of keys."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any

from upsertcore import ContactBook, Policy, field, normalize

__all__ = ["ADA", "ID", "PARTS", "make_book"]

NOW = datetime(2024, 1, 2, tzinfo=UTC)
ID = field(key=normalize.exact, unique=True)
ADA: dict[str, Any] = {"id": 1, "first": "Ada", "last": "King", "main": "a@x"}
PARTS: dict[str, Any] = {
    name: field() for name in ("first", "last", "main", "more", "city")
}


def make_book(policy: Policy, *patches: dict[str, Any]) -> ContactBook:
    """Make a book with a contact per patch; the ids are 1, 2, ..."""
    numbers = count(1)
    book = ContactBook(policy, ids=lambda: f"{next(numbers)}", clock=lambda: NOW)
    for patch in patches:
        book.create(patch)
    return book

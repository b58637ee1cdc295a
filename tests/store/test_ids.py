"""Ids: those that a book draws itself, and those of its caller."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from upsertcore import ContactBook, Policy, field, merge_all, normalize
from upsertcore.store.ids import fresh_ids

NOW = datetime(2024, 1, 2, tzinfo=UTC)
LINES: dict[str, Any] = {
    "email": field(key=normalize.email),
    "phone": field(key=normalize.phone),
    "name": field(),
}
POLICY = Policy(merge_all("email", "phone"), LINES)


def test_fresh_ids_of_two_books_differ() -> None:
    """An id is a prefix of the book and a number."""
    first_ids, second_ids = fresh_ids(), fresh_ids()
    ids = [first_ids(), first_ids(), second_ids(), second_ids()]

    assert len(set(ids)) == 4
    assert [id.split("-")[1] for id in ids] == ["1", "2", "1", "2"]
    assert ids[0].split("-")[0] == ids[1].split("-")[0]


@pytest.mark.parametrize(
    ("id", "error"),
    [(7, TypeError), ("", TypeError), (None, TypeError), ("\ud800", ValueError)],
)
def test_id_that_is_no_text_is_an_error(id: Any, error: type[Exception]) -> None:
    """No contact is created."""
    book = ContactBook(POLICY, ids=lambda: id)
    with pytest.raises(error):
        book.create({"email": "a@x"})

    assert len(book) == 0

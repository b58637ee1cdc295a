"""Ids: those that a book makes itself, and those that it is given."""

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


def test_ids_repeat_in_no_other_book() -> None:
    """A prefix of its own, and a number."""
    one, two = fresh_ids(), fresh_ids()
    ids = [one(), one(), two(), two()]

    assert len(set(ids)) == 4
    assert [id.split("-")[1] for id in ids] == ["1", "2", "1", "2"]
    assert ids[0].split("-")[0] == ids[1].split("-")[0]


@pytest.mark.parametrize(
    ("id", "error"),
    [(7, TypeError), ("", TypeError), (None, TypeError), ("\ud800", ValueError)],
)
def test_an_id_is_text(id: Any, error: type[Exception]) -> None:
    """Whatever else is answered is refused, and nobody is created."""
    made = ContactBook(POLICY, ids=lambda: id)
    with pytest.raises(error):
        made.create({"email": "a@x"})

    assert len(made) == 0

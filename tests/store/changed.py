"""Books that keep their changes, and what is read of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from upsertcore import Contact, ContactBook, Policy, field, merge_all, normalize

__all__ = ["HARD", "LINES", "NOW", "POLICY", "SOFT", "book", "leading", "results"]

NOW = datetime(2024, 1, 2, tzinfo=UTC)
LINES: dict[str, Any] = {
    "email": field(key=normalize.email, keep_aliases=True),
    "phone": field(key=normalize.phone),
    "name": field(),
}
POLICY = Policy(merge_all("email", "phone"), LINES)
SOFT = Policy(merge_all("email", "phone"), LINES, on_deleted="restore")
HARD = Policy(merge_all("email", "phone"), LINES, on_deleted="refuse")


def book(policy: Policy = POLICY, keep: int | None = None) -> ContactBook:
    """Make a book of c-1, c-2, c-3 that keeps its changes."""
    ids, hours = count(1), count()
    made = ContactBook(
        policy,
        ids=lambda: f"c-{next(ids)}",
        clock=lambda: NOW + timedelta(hours=next(hours)),
        retain_changes=keep,
    )
    for number in (1, 2, 3):
        made.upsert({"email": f"{number}@x", "phone": f"+1555000{number}"})
    return made


def leading(made: ContactBook) -> dict[str, Contact]:
    """Give the contact that each id leads to."""
    index = made._index
    return {id: index.get(id) for id in (*index.rows, *index.redirects)}


def results(made: ContactBook, number: int = 0) -> list[str]:
    """Give the results of the changes after a number."""
    return [
        "purged" if each.outcome is None else each.outcome.result
        for each in made.changes_since(number)
    ]

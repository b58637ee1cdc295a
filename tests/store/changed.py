"""Books that retain their changes, and readers of these changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from upsertcore import Contact, ContactBook, Policy, field, merge_all, normalize

__all__ = [
    "HARD",
    "LINES",
    "NOW",
    "POLICY",
    "SOFT",
    "contacts_by_id",
    "make_book",
    "results",
]

NOW = datetime(2024, 1, 2, tzinfo=UTC)
LINES: dict[str, Any] = {
    "email": field(key=normalize.email, keep_aliases=True),
    "phone": field(key=normalize.phone),
    "name": field(),
}
POLICY = Policy(merge_all("email", "phone"), LINES)
SOFT = Policy(merge_all("email", "phone"), LINES, on_deleted="restore")
HARD = Policy(merge_all("email", "phone"), LINES, on_deleted="refuse")


def make_book(
    policy: Policy = POLICY, retain_changes: int | None = None
) -> ContactBook:
    """Make a book of c-1, c-2 and c-3 that retains its changes."""
    ids, hours = count(1), count()
    book = ContactBook(
        policy,
        ids=lambda: f"c-{next(ids)}",
        clock=lambda: NOW + timedelta(hours=next(hours)),
        retain_changes=retain_changes,
    )
    for number in (1, 2, 3):
        book.upsert({"email": f"{number}@x", "phone": f"+1555000{number}"})
    return book


def contacts_by_id(book: ContactBook) -> dict[tuple[str, str], Contact]:
    """Return the contact of each scope and id, merged ids included."""
    index = book._index
    own = [(scope, id) for scope, rows in index.rows.items() for id in rows]
    return {at: index.get(at[1], at[0]) for at in (*own, *index.redirects)}


def results(book: ContactBook, number: int = 0) -> list[str]:
    """Return the results of the changes after a number."""
    return [
        "purged" if entry.outcome is None else entry.outcome.result
        for entry in book.changes_since(number)
    ]

"""The verbs that write, each on a small book."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from upsertcore import ContactBook, Policy, field, first_match, merge_all, normalize
from upsertcore.rules import union
from upsertcore.store.key_index import holder_lists

__all__ = ["VERBS", "Verb", "book_after", "state"]

Call = Callable[[ContactBook], object]
Verb = tuple[dict[str, Any], list[Call], Call]
"""The choices of a policy, the calls before, and the call that is interrupted."""

ADA = {"id": "1", "email": "ada@x.org", "name": "Ada"}
EVE = {"id": "2", "email": "eve@x.org", "name": "Eve"}
BOB = {"id": "3", "email": ["bob@x.org", "rob@x.org"]}
START = datetime(2024, 1, 2, tzinfo=UTC)


def upsert_of(patch: dict[str, Any], **options: Any) -> Call:
    """Return the call that sends a patch."""
    return lambda book: book.upsert(patch, **options)


def undo(book: ContactBook) -> object:
    """Undo the last change."""
    outcome = book.changes_since()[-1].outcome
    assert outcome is not None
    return book.undo(outcome)


def merge(book: ContactBook) -> object:
    """Merge the second contact into the first."""
    return book.merge("c-1", "c-2")


TWO: list[Call] = [upsert_of(ADA), upsert_of(EVE)]
THREE: list[Call] = [*TWO, upsert_of(BOB)]
VERBS: dict[str, Verb] = {
    "create": ({}, TWO, upsert_of(BOB)),
    "create, fast": ({}, TWO, upsert_of({"id": "3", "email": "bob@x.org"})),
    "create, general": ({}, TWO, lambda book: book.create(BOB)),
    "update of a key": ({}, TWO, upsert_of({"id": "1", "email": "a@x.org"})),
    "update of a field": ({}, TWO, upsert_of({"id": "1", "name": "Ada King"})),
    "update, aliases": (
        {"keep_aliases": True},
        TWO,
        upsert_of({"id": "1", "email": "a@x.org"}),
    ),
    "list keys": ({}, THREE, upsert_of({"id": "3", "email": ["bob@x.org", "b@x.org"]})),
    "shared key": (
        {"unique": False},
        THREE,
        upsert_of({"id": "1", "email": "eve@x.org"}),
    ),
    "merge": ({}, THREE, merge),
    "merge by a patch": (
        {"match": merge_all("id", "email")},
        THREE,
        upsert_of({"id": "1", "email": "eve@x.org"}),
    ),
    "undo of an update": ({}, [*TWO, upsert_of({"id": "1", "email": "a@x.org"})], undo),
    "undo of a creation": ({}, TWO, undo),
    "undo of a merge": ({}, [*THREE, merge], undo),
    "delete": ({}, TWO, lambda book: book.delete("c-1")),
    "delete and keep": (
        {"on_deleted": "restore"},
        TWO,
        lambda book: book.delete("c-1"),
    ),
    "purge": (
        {},
        [upsert_of(ADA, idempotency_key="k-1"), upsert_of(EVE, idempotency_key="k-2")],
        lambda book: book.purge("c-1"),
    ),
    "atomic batch": (
        {},
        TWO,
        lambda book: book.upsert_many(
            [{"id": "1", "email": "a@x.org"}, {"id": "2", "email": "ada@x.org"}],
            atomic=True,
        ),
    ),
    "idempotent call": ({}, TWO, upsert_of(BOB, idempotency_key="k-1")),
    "idempotent call, general": (
        {},
        TWO,
        upsert_of({"id": "1", "name": "Al"}, idempotency_key="k-1", if_version=1),
    ),
    "idempotent call, unchanged": ({}, TWO, upsert_of(ADA, idempotency_key="k-1")),
    "apply": ({}, TWO, lambda book: book.apply(book.plan(BOB))),
}


def book_after(choices: dict[str, Any], before: list[Call]) -> ContactBook:
    """Make a book by calls, with ids and a clock of its own."""
    choices = {"match": first_match("id", "email"), "unique": True, **choices}
    email = field(
        key=normalize.email,
        unique=choices.pop("unique"),
        keep_aliases=choices.pop("keep_aliases", False),
    )
    lines = {"id": field(key=normalize.exact, unique=True), "email": email}
    lines |= {"name": field(), "tags": field(rule=union)}
    ids, hours = count(1), count()
    book = ContactBook(
        Policy(choices.pop("match"), lines, **choices),
        ids=lambda: f"c-{next(ids)}",
        clock=lambda: START + timedelta(hours=next(hours)),
        retain_changes=None,
    )
    for call in before:
        call(book)
    return book


def state(book: ContactBook) -> str:
    """Return the whole state of a book: rows, ids, keys, changes, numbers and calls."""
    rows = book.dump()
    book._index.check()
    index, store = book._index, book._store
    parts = [
        rows,
        len(book),
        sorted(index.redirects.items()),
        sorted(index.former_places.items()),
    ]
    parts += [index.next, sorted(holder_lists(index._holders).items())]
    parts += [
        book.changes_since(),
        store.completed[3],
        sorted(store._call_log.calls.items()),
    ]
    return repr(parts)

"""
What must hold of a book in a database, whoever has written and whoever was killed.

Rules:
    It reads the tables by itself, and asks the book nothing but its contacts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import count
from typing import Any

from tests.recipes.sql_book import SqlBook
from tests.recipes.workers import POLICIES, Log, making
from upsertcore import Contact, ContactBook, Policy, errors
from upsertcore.policy.held_forms import held_forms


def check(book: SqlBook) -> None:
    """See that no contact is lost, doubled or half written."""
    every = [Contact.from_dict(row) for row in book.dump()]
    read = book.database.execute
    versions = read("SELECT id, version FROM contacts ORDER BY seq").fetchall()
    assert [(each.id, each.version) for each in every] == versions
    held = [
        (each.scope, key.name, form, each.id)
        for each in every
        for key, forms in zip(
            book.policy.all_keys, held_forms(book.policy, each), strict=True
        )
        for form in forms
    ]
    rows = read("SELECT scope, key, form, contact FROM keys").fetchall()
    assert sorted(held) == sorted(rows)
    leads = [(id, each.id) for each in every for id in each.ids]
    assert sorted(leads) == sorted(read("SELECT id, leads_to FROM ids").fetchall())
    _see_that_each_is_alone(book.policy, held)


def _see_that_each_is_alone(policy: Policy, held: list[Any]) -> None:
    alone = [key.name for key in policy.all_keys if key.unique]
    forms = Counter(row[:3] for row in held if row[1] in alone)
    assert policy.on_key_in_use == "allow" or not forms or max(forms.values()) == 1


def people(rows: Any) -> list[Any]:
    """Give the fields of contacts, in an order that does not tell who was first."""
    plain = [{**row["fields"], "tags": sorted(row["fields"]["tags"])} for row in rows]
    every = [{**each, "email": each["email"].lower()} for each in plain]
    return sorted(every, key=lambda each: each["email"])


def in_memory(policy: str, logs: list[Log]) -> ContactBook:
    """Make a book in memory that has seen the logs one after the other."""
    numbers = count(1)
    book = ContactBook(POLICIES[policy], ids=lambda: f"m-{next(numbers)}")
    for log in logs:
        book.upsert_many(log)
    return book


def see_that_it_is_the_same(
    book: SqlBook, calls: Sequence[tuple[dict[str, Any], str]]
) -> None:
    """Send patches, each with its scope, to this book and to one in memory."""
    twin = ContactBook(book.policy)
    for place, (patch, scope) in enumerate(calls):
        book.ids, book.clock = ids, clock = making(place)
        twin = ContactBook.load(book.policy, twin.dump(), ids=ids, clock=clock)
        assert answer(twin, patch, scope) == answer(book, patch, scope)
    assert [*twin.dump()] == [*book.dump()]
    check(book)


def answer(book: Any, patch: dict[str, Any], scope: str) -> Any:
    """Upsert, a refusal being an answer."""
    try:
        return book.upsert(patch, scope=scope)
    except errors.Refused as refusal:
        return type(refusal), refusal.args

"""
Checks of a book in a database, after any writers and kills.

Rules:
    They read the tables directly, and use only the contacts of the book.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import count
from typing import Any

from tests.recipes.sql_book import SqlBook
from tests.recipes.workers import POLICIES, Log, ids_and_clock
from upsertcore import Contact, ContactBook, Policy, errors
from upsertcore.policy.held_forms import held_forms


def check_tables(book: SqlBook) -> None:
    """Check that no contact is lost, doubled or half written."""
    contacts = [Contact.from_dict(row) for row in book.dump()]
    execute = book.database.execute
    versions = execute("SELECT id, version FROM contacts ORDER BY seq").fetchall()
    assert [(contact.id, contact.version) for contact in contacts] == versions
    held = [
        (contact.scope, key.name, form, contact.id)
        for contact in contacts
        for key, forms in zip(
            book.policy.all_keys, held_forms(book.policy, contact), strict=True
        )
        for form in forms
    ]
    rows = execute("SELECT scope, key, form, contact FROM keys").fetchall()
    assert sorted(held) == sorted(rows)
    leads = [(id, contact.id) for contact in contacts for id in contact.ids]
    assert sorted(leads) == sorted(execute("SELECT id, leads_to FROM ids").fetchall())
    _check_unique_forms(book.policy, held)


def _check_unique_forms(policy: Policy, held: list[Any]) -> None:
    unique = [key.name for key in policy.all_keys if key.unique]
    forms = Counter(row[:3] for row in held if row[1] in unique)
    assert policy.on_key_in_use == "allow" or not forms or max(forms.values()) == 1


def people(rows: Any) -> list[Any]:
    """List the fields of contacts, in an order that is not that of creation."""
    plain = [{**row["fields"], "tags": sorted(row["fields"]["tags"])} for row in rows]
    lowered = [{**fields, "email": fields["email"].lower()} for fields in plain]
    return sorted(lowered, key=lambda fields: fields["email"])


def in_memory(policy: str, logs: list[Log]) -> ContactBook:
    """Make a book in memory by the logs, one after the other."""
    numbers = count(1)
    book = ContactBook(POLICIES[policy], ids=lambda: f"m-{next(numbers)}")
    for log in logs:
        book.upsert_many(log)
    return book


def check_equals_memory(
    book: SqlBook, calls: Sequence[tuple[dict[str, Any], str]]
) -> None:
    """Send patches with their scopes to a book in a database and to one in memory."""
    twin = ContactBook(book.policy)
    for place, (patch, scope) in enumerate(calls):
        book.ids, book.clock = ids, clock = ids_and_clock(place)
        twin = ContactBook.load(book.policy, twin.dump(), ids=ids, clock=clock)
        assert answer_to(twin, patch, scope) == answer_to(book, patch, scope)
    assert [*twin.dump()] == [*book.dump()]
    check_tables(book)


def answer_to(book: Any, patch: dict[str, Any], scope: str) -> Any:
    """Upsert; return a refusal as an answer."""
    try:
        return book.upsert(patch, scope=scope)
    except errors.Refused as refusal:
        return type(refusal), refusal.args

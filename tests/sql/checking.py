"""
Checks of a book in a database, after any writers and kills.

Rules:
    They read the tables directly, and use only the contacts of the book.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from sqlalchemy import Connection, Table, select

from upsertcore import Contact, Policy
from upsertcore.policy.held_forms import held_forms
from upsertcore.sql import SqlBook
from upsertcore.sql.stored_text import form_text

__all__ = ["check_tables"]


def check_tables(book: SqlBook) -> None:
    """Check that no contact, form or id is lost, doubled, half written or left over."""
    tables, policy = book._store.tables, book.policy
    with book._store.engine.connect() as connection:
        rows = rows_of(connection, tables.contacts)
        stored = [Contact.from_dict(json.loads(row.body)) for row in rows]
        assert [(row.scope, row.id, row.version) for row in rows] == [
            (contact.scope, contact.id, contact.version) for contact in stored
        ]
        assert all({*row.fields} == {*one.fields} for row, one in zip(rows, stored))  # noqa: B905
        for row, contact in zip(rows, stored, strict=True):
            held = zip(policy.all_keys, held_forms(policy, contact), strict=True)
            texts = {key.name: [*forms] for key, forms in held if forms}
            assert json.loads(row.forms) == texts
        places = {(row.scope, row.id): row.place for row in rows}
        expected = expected_forms(policy, stored, places)
        assert sorted(map(tuple, rows_of(connection, tables.forms))) == expected
        _check_redirects(stored, rows_of(connection, tables.redirects), places)
        changes = rows_of(connection, tables.changes)
        numbers = [row.number for row in changes]
        state = {row.name: row.number for row in rows_of(connection, tables.state)}
        last = state.get("changes", 0)
        assert numbers == [*range(last + 1 - len(numbers), last + 1)]
        calls = [(row.scope, row.key) for row in rows_of(connection, tables.calls)]
        assert len({*calls}) == len(calls)


def rows_of(connection: Connection, table: Table) -> list[Any]:
    """Return all rows of a table, in the order of its key."""
    sql = select(table).order_by(*table.primary_key.columns)
    return [*connection.execute(sql).all()]


def expected_forms(
    policy: Policy, contacts: list[Contact], places: dict[Any, int]
) -> list[Any]:
    """Return the rows of forms that contacts should have."""
    rows: list[Any] = []
    for contact in contacts:
        place = places[contact.scope, contact.id]
        for key, forms in zip(
            policy.all_keys, held_forms(policy, contact), strict=True
        ):
            is_single = key.unique and policy.on_key_in_use != "allow"
            slot = 0 if is_single else place
            rows += [
                (contact.scope, key.name, form_text(form), slot, place)
                for form in forms
            ]
    doubled = [
        row for row, count in Counter(row[:4] for row in rows).items() if count > 1
    ]
    assert doubled == []
    return sorted(rows)


def _check_redirects(
    contacts: list[Contact], redirects: list[Any], places: dict[Any, int]
) -> None:
    survivors = {
        (contact.scope, id): contact.id
        for contact in contacts
        for id in contact.merged_ids
    }
    assert survivors == {(row.scope, row.id): row.survivor for row in redirects}
    former = [row.place for row in redirects if row.place is not None]
    assert len({*former}) == len(former)
    assert {*former}.isdisjoint(places.values())
    assert survivors.keys().isdisjoint(places)

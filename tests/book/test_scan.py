"""Scans: contacts by the values that they hold, page by page."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from upsertcore import (
    Contact,
    ContactBook,
    Policy,
    errors,
    field,
    first_match,
    merge_all,
    normalize,
)

LINES = {
    "email": field(key=normalize.email),
    "city": field(),
    "tags": field(),
    "age": field(),
}


def make_book(*patches: dict[str, Any], **options: Any) -> ContactBook:
    """Make a book of contacts c-1, c-2, ..."""
    policy = Policy(first_match("email"), LINES, on_no_key="create", **options)
    ids = count(1)
    book = ContactBook(policy, ids=lambda: f"c-{next(ids)}")
    for patch in patches:
        book.create(patch)
    return book


def ids_of(contacts: tuple[Contact, ...]) -> list[str]:
    return [contact.id for contact in contacts]


PEOPLE: list[dict[str, Any]] = [
    {"email": "ada@x", "city": "Oslo", "tags": ["a", "b"], "age": 1},
    {"email": "bob@x", "city": "Rome", "tags": [], "age": 1.0},
    {"email": "cy@x", "city": "Oslo", "tags": ["b", "a"], "age": True},
    {"email": "ADA@x", "city": "oslo"},
]


@pytest.mark.parametrize(
    ("fields", "ids"),
    [
        (None, ["c-1", "c-2", "c-3", "c-4"]),
        ({}, ["c-1", "c-2", "c-3", "c-4"]),
        ({"city": "Oslo"}, ["c-1", "c-3"]),
        ({"city": "Oslo", "age": 1}, ["c-1"]),
        ({"tags": ["b", "a"]}, ["c-3"]),
        ({"tags": ("a", "b")}, ["c-1"]),
        ({"tags": []}, ["c-2"]),
        ({"tags": None}, ["c-4"]),
        ({"age": 1.0}, ["c-2"]),
        ({"age": True}, ["c-3"]),
        ({"email": "ADA@x"}, ["c-4"]),
        ({"city": ""}, []),
    ],
)
def test_scan_returns_the_contacts_with_equal_values(fields: Any, ids: Any) -> None:
    """As they are stored: a key is not normalised."""
    assert ids == ids_of(make_book(*PEOPLE).scan(fields))


def test_scan_returns_the_stored_contacts_and_changes_nothing() -> None:
    book = make_book(*PEOPLE)
    before = book.dump()

    assert book.scan() == tuple(book)
    assert book.scan({"city": "Rome"}) == (book.get("c-2"),)
    assert before == book.dump()


def test_pages_are_the_whole_scan() -> None:
    """A page that is shorter than the limit is the last one."""
    book = make_book(*PEOPLE)

    assert ids_of(book.scan(limit=3)) == ["c-1", "c-2", "c-3"]
    assert ids_of(book.scan(limit=3, after="c-3")) == ["c-4"]
    assert book.scan(after="c-4") == book.scan(limit=0) == ()
    assert ids_of(book.scan({"city": "Oslo"}, after="c-2", limit=1)) == ["c-3"]


def test_contact_created_between_two_pages_is_on_a_later_one() -> None:
    """What was updated in between stays in its place."""
    book = make_book(*PEOPLE)
    first = book.scan(limit=2)
    book.upsert({"email": "cy@x", "city": "Bergen"})
    book.create({"city": "Oslo"})

    assert ids_of(book.scan(after=first[-1].id)) == ["c-3", "c-4", "c-5"]


def test_scan_does_not_cross_scopes() -> None:
    book = make_book(*PEOPLE)
    book.create({"city": "Oslo"}, scope="s")
    book.create({"city": "Oslo"})
    book.create({"city": "Oslo"}, scope="s")

    assert ids_of(book.scan({"city": "Oslo"}, scope="s")) == ["c-5", "c-7"]
    assert ids_of(book.scan(scope="s", after="c-5")) == ["c-7"]
    assert ids_of(book.scan(after="c-4")) == ["c-6"]
    assert book.scan(scope="t") == ()


def test_deleted_contact_that_is_kept_is_included() -> None:
    book = make_book(*PEOPLE, on_deleted="restore")
    book.delete("c-3")
    found = book.scan({"city": "Oslo"})

    assert [(one.id, one.deleted_at is not None) for one in found] == [
        ("c-1", False),
        ("c-3", True),
    ]
    assert ids_of(book.scan(after="c-3")) == ["c-4"]


def test_order_is_that_of_creation_after_merge_and_undo() -> None:
    """The survivor keeps its place, and a restored contact its own."""
    book = make_book(*PEOPLE)
    outcome = book.merge("c-3", "c-1")
    assert ids_of(book.scan()) == ["c-2", "c-3", "c-4"]
    assert ids_of(book.scan(after="c-2")) == ["c-3", "c-4"]

    book.undo(outcome)
    assert ids_of(book.scan()) == ["c-1", "c-2", "c-3", "c-4"]
    assert ids_of(book.scan(after="c-1", limit=1)) == ["c-2"]


def test_page_after_a_contact_that_is_gone_is_refused() -> None:
    """A merged contact has another place than its survivor, so pages might overlap."""
    book = make_book(*PEOPLE)
    book.create({"city": "Oslo"}, scope="s")
    book.merge("c-4", "c-2")
    book.delete("c-1")
    not_text: Any = 7
    for after in ("c-1", "c-2", "c-5", "c-9", not_text):
        with pytest.raises(errors.UnknownContact):
            book.scan(after=after)


def test_undeclared_field_can_be_scanned_where_the_policy_takes_it() -> None:
    book = make_book({"team": "red"}, extra_fields=field())

    assert ids_of(book.scan({"team": "red"})) == ["c-1"]
    assert book.scan({"team": "blue"}) == ()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        ({"fields": "Oslo"}, errors.InvalidField, "fields: must be a mapping of field"),
        ({"fields": {"town": "x"}}, errors.UnknownField, "town: unknown field"),
        ({"fields": {"city": b"x"}}, errors.InvalidField, "city: "),
        ({"scope": 7}, errors.InvalidField, "scope: must be text"),
        ({"limit": -1}, ValueError, "limit: must be a whole number from 0, not -1"),
        ({"limit": True}, ValueError, "limit: must be a whole number from 0"),
        ({"limit": "2"}, ValueError, "limit: must be a whole number from 0"),
    ],
)
def test_invalid_argument_is_refused(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        make_book().scan(**call)


def test_page_of_a_book_whose_rows_came_in_another_order_is_by_creation() -> None:
    book = make_book(*PEOPLE)
    policy = Policy(merge_all("email"), LINES)
    loaded = ContactBook.load(policy, book.dump()[::-1])

    assert ids_of(loaded.scan(limit=2)) == ["c-1", "c-2"]
    assert ids_of(loaded.scan(after="c-2")) == ["c-3", "c-4"]

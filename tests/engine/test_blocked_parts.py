"""A blocked part of a composite key: stored as no key, left out, or refused."""

from __future__ import annotations

from typing import Any

import pytest

from upsertcore import ContactBook, Policy, errors, field, first_match, key, normalize

UNKNOWN = "1900-01-01"
ADA = {"id": 1, "name": "Ada", "born": "1990-09-25"}


def book_with(on_blocked: Any, **options: Any) -> ContactBook:
    """Make a book that finds people by name and date of birth, or by id."""
    person = key(
        *("name", "born"),
        normalize=(normalize.text, normalize.date()),
        blocked={"born": [UNKNOWN]},
        **options,
    )
    fields = {
        "id": field(key=normalize.exact, unique=True),
        **{name: field() for name in ("name", "born", "city")},
    }
    policy = Policy(
        first_match("id", "person"),
        fields,
        keys={"person": person},
        on_blocked=on_blocked,
    )
    return ContactBook(policy)


def test_blocked_part_is_stored_and_finds_no_contact() -> None:
    book = book_with("store", unique=True)
    patches = [{**ADA, "id": number, "born": "19000101"} for number in (1, 2)]
    for outcome in map(book.upsert, patches):
        assert (outcome.created, outcome.contact["born"]) == (True, "19000101")
        assert "born: '19000101': blocked: not a key" in outcome.explain()
    with pytest.raises(errors.NoMatchKey, match="person '1900-01-01' is bl"):
        book.upsert({"name": "Ada", "born": UNKNOWN})
    assert book.find("person", {"name": "Ada", "born": UNKNOWN}) == ()


def test_blocked_part_releases_the_form_unless_it_is_kept() -> None:
    for keep_aliases, found in ((False, 0), (True, 1)):
        book = book_with("store", keep_aliases=keep_aliases)
        book.upsert(ADA)
        book.upsert({"id": 1, "born": UNKNOWN})
        born = {"name": "Ada", "born": ADA["born"]}
        assert len(book.find("person", born)) == found


def test_blocked_part_is_left_out_with_the_others() -> None:
    book = book_with("ignore")
    book.upsert(ADA)
    outcome = book.upsert({"id": 1, "name": "Bo", "born": UNKNOWN, "city": "Oslo"})

    assert dict(outcome.ignored) == {"born": "blocked", "name": "composite"}
    assert dict(outcome.contact.fields) == {**ADA, "city": "Oslo"}
    assert book.upsert({"id": 1, "name": "Ada", "born": UNKNOWN}).unchanged


def test_blocked_items_of_a_part_are_left_out_alone() -> None:
    book = book_with("ignore")
    outcome = book.upsert({**ADA, "born": [UNKNOWN, "1990-09-25"]})

    assert outcome.contact["born"] == ("1990-09-25",)
    assert dict(outcome.ignored) == {"born": "blocked"}
    assert outcome.contact["name"] == "Ada"


@pytest.mark.parametrize(
    "patch", [{**ADA, "born": UNKNOWN}, {"id": 1, "born": UNKNOWN}]
)
def test_blocked_part_refuses_the_patch(patch: Any) -> None:
    """With the other parts or without them; blocked names are another matter."""
    book = book_with("refuse")
    book.upsert(ADA)
    with pytest.raises(errors.InvalidField, match="born: '1900-01-01' is a blocked v"):
        book.upsert(patch)

    assert book.upsert({**ADA, "name": UNKNOWN}).updated

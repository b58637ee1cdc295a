"""``last_updated``: the value of the contact that was updated last."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import count, permutations
from typing import Any

import pytest

from tests.field_options import merging
from upsertcore import ContactBook, Policy, field, first_match, normalize
from upsertcore.errors import InvalidPolicy
from upsertcore.rules import last_updated, latest

NOON = datetime(2024, 1, 2, 12, tzinfo=UTC)
LINES: dict[str, Any] = {
    "id": field(key=normalize.exact),
    "name": field(),
    "at": field(),
}
POLICY = Policy(first_match("id"), merging(LINES, {"name": last_updated}))


def make_book(*people: tuple[datetime, Any]) -> ContactBook:
    """Make a book of contacts c-1, c-2, ..., each updated at its time."""
    rows = [
        {
            "id": f"c-{number}",
            "scope": "",
            "version": 1,
            "created_at": NOON.isoformat(),
            "updated_at": time.isoformat(),
            "fields": {} if name is None else {"name": name},
        }
        for number, (time, name) in enumerate(people, 1)
    ]
    return ContactBook.load(POLICY, rows)


def person_at(hour: int, name: Any = None) -> tuple[datetime, Any]:
    """Return the time of the last update, and a name."""
    return NOON + timedelta(hours=hour), name


@pytest.mark.parametrize(
    ("people", "expected"),
    [
        ([person_at(1, "a"), person_at(2, "b")], "b"),
        ([person_at(2, "a"), person_at(1, "b")], "a"),
        ([person_at(1, "a"), person_at(1, "b")], "b"),
        ([person_at(1, "b"), person_at(1, "a")], "b"),
        ([person_at(1, "a"), person_at(2)], "a"),
        ([person_at(2), person_at(1, "b")], "b"),
        ([person_at(1), person_at(2)], None),
        ([person_at(1, "a"), person_at(2, "")], "a"),
        ([person_at(1, 9), person_at(1, 10)], 9),
        ([person_at(1, ["b"]), person_at(1, {"a": 1})], {"a": 1}),
        ([person_at(1, "x"), person_at(3, "y"), person_at(2, "z")], "y"),
        ([person_at(2), person_at(1, "y"), person_at(3, "z")], "z"),
        ([person_at(3), person_at(2, "y"), person_at(1, "z")], "y"),
        ([person_at(1, "x"), person_at(3), person_at(2, "z")], "z"),
        ([person_at(1, "a"), person_at(3, "a"), person_at(2, "b")], "a"),
    ],
    ids=map(str, range(15)),
)
def test_latest_present_value_is_kept(people: Any, expected: Any) -> None:
    """Of equal times, the greater JSON text is kept."""
    book = make_book(*people)
    others = [f"c-{number}" for number in range(2, len(people) + 1)]

    merged = book.merge("c-1", *others)
    assert expected == merged.contact.to_dict()["fields"].get("name")


@pytest.mark.parametrize("order", [*permutations((0, 1, 2))], ids=str)
@pytest.mark.parametrize("hours", [(1, 2, 3), (1, 1, 1), (1, 2, 2)], ids=str)
def test_order_of_three_contacts_does_not_matter(order: Any, hours: Any) -> None:
    names = ("x", "z", "y")
    expected = max(zip(hours, names, strict=True))[1]
    people = [person_at(hours[place], names[place]) for place in order]

    assert expected == make_book(*people).merge("c-1", "c-2", "c-3").contact["name"]


def test_times_are_compared_across_offsets() -> None:
    east, west = (timezone(timedelta(hours=hours)) for hours in (9, -9))
    book = make_book((NOON.astimezone(east), "a"), (NOON.astimezone(west), "b"))
    assert book.merge("c-1", "c-2").contact["name"] == "b"

    later = (NOON + timedelta(seconds=1)).astimezone(west)
    book = make_book((later, "a"), (NOON.astimezone(east), "b"))
    assert book.merge("c-1", "c-2").contact["name"] == "a"


def test_microseconds_count() -> None:
    book = make_book((NOON + timedelta(microseconds=1), "a"), (NOON, "b"))

    assert book.merge("c-1", "c-2").contact["name"] == "a"


def test_equal_value_is_no_change() -> None:
    book = make_book(person_at(1, "a"), person_at(2, "a"))
    outcome = book.merge("c-1", "c-2")

    assert ("merged", ()) == (outcome.result, outcome.changes)


def test_explanation_names_the_rule() -> None:
    outcome = make_book(person_at(1, "a"), person_at(2, "b")).merge("c-1", "c-2")

    assert "name: 'a' -> 'b'" in outcome.explain()
    assert "last_updated)" in outcome.explain()


def test_last_updated_is_refused_as_a_field_rule() -> None:
    """A patch has no update time of its own."""
    with pytest.raises(InvalidPolicy, match="updated_at"):
        Policy(first_match("id"), {**LINES, "name": field(rule=last_updated)})


def clocked_book(newer: str | None) -> ContactBook:
    """Make a book of two contacts with clocks; that of the second is 9."""
    lines = {**LINES, "name": field(rule=latest(by="at")), "at": field()}
    policy = Policy(first_match("id"), merging(lines, {"name": last_updated}))
    numbers = count(1)
    make_book = ContactBook(policy, ids=lambda: f"c-{next(numbers)}")
    make_book.create({"id": 1, "name": "a", "at": 5})
    make_book.create({"id": 2, "name": newer, "at": 9})
    return make_book


def test_kept_value_has_its_clock() -> None:
    """An older value is ignored afterwards."""
    make_book = clocked_book("b")
    assert make_book.merge("c-1", "c-2").contact.clocks == {"name": 9}

    assert make_book.upsert({"id": 1, "name": "z", "at": 7}).contact["name"] == "b"


def test_clock_without_value_is_not_kept() -> None:
    """A cleared field counts as absent."""
    merged = clocked_book(None).merge("c-1", "c-2").contact
    assert merged["name"] == "a"
    assert merged.clocks == {"name": 5}

"""Between contacts that are merged: the value of the one that was updated last."""

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


def book(*people: tuple[datetime, Any]) -> ContactBook:
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


def at(hour: int, name: Any = None) -> tuple[datetime, Any]:
    """Say who was updated when."""
    return NOON + timedelta(hours=hour), name


@pytest.mark.parametrize(
    ("people", "expected"),
    [
        ([at(1, "a"), at(2, "b")], "b"),
        ([at(2, "a"), at(1, "b")], "a"),
        ([at(1, "a"), at(1, "b")], "b"),
        ([at(1, "b"), at(1, "a")], "b"),
        ([at(1, "a"), at(2)], "a"),
        ([at(2), at(1, "b")], "b"),
        ([at(1), at(2)], None),
        ([at(1, "a"), at(2, "")], "a"),
        ([at(1, 9), at(1, 10)], 9),
        ([at(1, ["b"]), at(1, {"a": 1})], {"a": 1}),
        ([at(1, "x"), at(3, "y"), at(2, "z")], "y"),
        ([at(2), at(1, "y"), at(3, "z")], "z"),
        ([at(3), at(2, "y"), at(1, "z")], "y"),
        ([at(1, "x"), at(3), at(2, "z")], "z"),
        ([at(1, "a"), at(3, "a"), at(2, "b")], "a"),
    ],
    ids=map(str, range(15)),
)
def test_the_latest_value_stays(people: Any, expected: Any) -> None:
    """An absent value loses; of one moment, the greater JSON text wins."""
    made = book(*people)
    others = [f"c-{number}" for number in range(2, len(people) + 1)]

    merged = made.merge("c-1", *others)
    assert expected == merged.contact.to_dict()["fields"].get("name")


@pytest.mark.parametrize("order", [*permutations((0, 1, 2))], ids=str)
@pytest.mark.parametrize("hours", [(1, 2, 3), (1, 1, 1), (1, 2, 2)], ids=str)
def test_the_order_of_three_does_not_matter(order: Any, hours: Any) -> None:
    """Whoever survives, and in whatever order the others are merged in."""
    names = ("x", "z", "y")
    expected = max(zip(hours, names, strict=True))[1]
    people = [at(hours[place], names[place]) for place in order]

    assert expected == book(*people).merge("c-1", "c-2", "c-3").contact["name"]


def test_offsets_do_not_matter() -> None:
    """The same moment is the same time wherever it was written; a later one wins."""
    east, west = (timezone(timedelta(hours=hours)) for hours in (9, -9))
    made = book((NOON.astimezone(east), "a"), (NOON.astimezone(west), "b"))
    assert made.merge("c-1", "c-2").contact["name"] == "b"

    later = (NOON + timedelta(seconds=1)).astimezone(west)
    made = book((later, "a"), (NOON.astimezone(east), "b"))
    assert made.merge("c-1", "c-2").contact["name"] == "a"


def test_a_fraction_of_a_second_counts() -> None:
    """A time with microseconds is later than the same one without."""
    made = book((NOON + timedelta(microseconds=1), "a"), (NOON, "b"))

    assert made.merge("c-1", "c-2").contact["name"] == "a"


def test_the_same_value_does_not_move() -> None:
    """It is no change, and is named by none."""
    made = book(at(1, "a"), at(2, "a"))
    outcome = made.merge("c-1", "c-2")

    assert ("merged", ()) == (outcome.result, outcome.changes)


def test_it_is_told_by_its_name() -> None:
    """What happened in words names the rule that made the value."""
    outcome = book(at(1, "a"), at(2, "b")).merge("c-1", "c-2")

    assert "name: 'a' -> 'b'" in outcome.explain()
    assert "last_updated)" in outcome.explain()


def test_it_is_for_contacts_alone() -> None:
    """A patch has no such time of its own: its clock would be a field."""
    with pytest.raises(InvalidPolicy, match="updated_at"):
        Policy(first_match("id"), {**LINES, "name": field(rule=last_updated)})


def clocked(newer: str | None) -> ContactBook:
    """Make a book of two whose names go by a clock, the second one's at 9."""
    lines = {**LINES, "name": field(rule=latest(by="at")), "at": field()}
    policy = Policy(first_match("id"), merging(lines, {"name": last_updated}))
    numbers = count(1)
    book = ContactBook(policy, ids=lambda: f"c-{next(numbers)}")
    book.create({"id": 1, "name": "a", "at": 5})
    book.create({"id": 2, "name": newer, "at": 9})
    return book


def test_a_value_brings_its_clock() -> None:
    """A field that goes by a clock is as new as the value that was taken."""
    book = clocked("b")
    assert book.merge("c-1", "c-2").contact.clocks == {"name": 9}

    assert book.upsert({"id": 1, "name": "z", "at": 7}).contact["name"] == "b"


def test_a_clock_without_a_value_brings_nothing() -> None:
    """What was cleared in the newer contact is absent, and absent loses."""
    merged = clocked(None).merge("c-1", "c-2").contact
    assert merged["name"] == "a"
    assert merged.clocks == {"name": 5}

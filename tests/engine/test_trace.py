"""The trace: a note per key, why it decided or not."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any

import attrs
import pytest

from upsertcore import (
    ContactBook,
    Policy,
    all_agree,
    field,
    first_match,
    first_present,
    key,
    merge_all,
    never,
    normalize,
)
from upsertcore.engine.trace import Step
from upsertcore.rules import union

NOW = datetime(2024, 1, 2, tzinfo=UTC)
CONTRADICTED = "contradicted by a higher key"
EARLIER = "matches another contact, but an earlier key has decided"


def make_book(match: Any, *patches: dict[str, Any], **options: Any) -> ContactBook:
    """Make a book with a contact per patch; the ids are 1, 2, ..."""
    numbers = count(1)
    blocked = options.pop("blocked", {})
    exact = field(key=normalize.exact, rule=union)
    lines: dict[str, Any] = {
        "a": attrs.evolve(exact, blocked=blocked.get("a", ())),
        "b": exact,
        "c": exact,
    }
    lines |= {name: field() for name in ("first", "last", "main", "more")}
    keys = {
        "person": key(
            *("first", "last"),
            normalize=normalize.text,
            blocked=blocked.get("person", ()),
        ),
        "mail": key(
            *("main", "more"),
            normalize=normalize.email,
            any_of=True,
            blocked=blocked.get("mail", ()),
        ),
    }
    lines |= options.pop("lines", {})
    policy = Policy(match, lines, keys=keys, **options)
    book = ContactBook(policy, ids=lambda: f"{next(numbers)}", clock=lambda: NOW)
    for patch in patches:
        book.create(patch)
    return book


def notes_of(book: ContactBook, patch: dict[str, Any]) -> list[str]:
    """Return the notes of a plan, one per key."""
    return [step.note for step in book.plan(patch).trace]


class TestGuard:
    """Notes of a key whose matches a guard rejects."""

    STORED = ({"a": [1], "b": [1]}, {"c": [3]})

    @pytest.mark.parametrize(
        ("patch", "expected"),
        [
            ({"a": [2], "b": [1]}, ["no match", CONTRADICTED, "omitted: no key"]),
            (
                {"a": [2], "b": [1], "c": [3]},
                ["no match", CONTRADICTED, "decides"],
            ),
            ({"a": [1], "c": [3]}, ["decides", "omitted: no key", EARLIER]),
            ({"a": [1], "b": [1]}, ["decides", "agrees", "omitted: no key"]),
        ],
        ids=map(str, range(4)),
    )
    def test_contradicted_key_is_noted(self, patch: Any, expected: list[str]) -> None:
        """Whether or not a lower key decides."""
        book = make_book(first_match("a", "b", "c", guard="if_set"), *self.STORED)

        assert expected == notes_of(book, patch)

    def test_dropped_key_is_noted_with_its_holders(self) -> None:
        match = first_match("a", "b", guard="if_set", on_contradiction="drop")
        plan = make_book(match, *self.STORED).plan({"a": [2], "b": [1]})

        assert plan.ignored == {"b": "guard"}
        assert plan.trace[1] == Step("b", ("1",), ("1",), f"left out: {CONTRADICTED}")


class TestMergeAll:
    """Notes of merged contacts."""

    def test_keys_of_merged_contacts_are_noted(self) -> None:
        """The first key that matches decides."""
        book = make_book(merge_all("a", "b", "c"), {"b": [1]}, {"b": [1]}, {"c": [2]})
        plan = book.plan({"a": [9], "b": [1], "c": [2]})

        assert plan.trace == (
            Step("a", ("9",), (), "no match"),
            Step("b", ("1",), ("1", "2"), "decides"),
            Step("c", ("2",), ("3",), "matches another contact, which is merged"),
        )

    def test_contact_not_merged_under_on_found_ignore_is_noted(self) -> None:
        book = make_book(merge_all("a", "b"), {"a": [1]}, {"b": [1]}, on_found="ignore")

        note = "matches another contact, which is not merged"
        assert notes_of(book, {"a": [1], "b": [1]}) == ["decides", note]

    def test_key_dropped_for_a_limit_is_noted(self) -> None:
        lines = {"a": field(key=normalize.exact, max_forms=1, keep_aliases=True)}
        book = make_book(
            merge_all("a", "b"),
            {"a": 1},
            {"a": 2, "b": [1]},
            lines=lines,
            on_limit="drop",
        )
        plan = book.plan({"a": 1, "b": [1]})

        assert plan.trace == (
            Step("a", ("1",), ("1",), "decides"),
            Step("b", ("1",), ("2",), "left out: the contact would hold too many keys"),
        )
        assert plan.ignored == {"b": "limit"}


class TestAbsence:
    """Notes of a key that a patch does not have."""

    @pytest.mark.parametrize(
        ("patch", "note"),
        [
            ({"c": [1]}, "omitted: no key"),
            ({"first": "Ada"}, "partly omitted: no key"),
            ({"first": None, "last": "King"}, "null: no key"),
            ({"first": None}, "null: no key"),
            ({"first": "Ada", "last": ""}, "blank: no key"),
            ({"first": "", "last": None}, "null: no key"),
            ({"first": "Ada", "last": " "}, "blank: no key"),
            ({"first": "Ada", "last": [" "]}, "blank: no key"),
            ({"first": "Ada", "last": [7]}, "no usable form: not a key"),
        ],
        ids=map(str, range(9)),
    )
    def test_any_missing_part_of_a_composite_is_noted(
        self, patch: Any, note: str
    ) -> None:
        book = make_book(first_match("person"), on_no_key="create")

        assert notes_of(book, patch) == [note]

    @pytest.mark.parametrize(
        ("patch", "note"),
        [
            ({"c": [1]}, "omitted: no key"),
            ({"main": "none"}, "no usable form: not a key"),
            ({"main": None, "more": ["none"]}, "no usable form: not a key"),
            ({"main": None}, "null: no key"),
            ({"main": None, "more": []}, "blank: no key"),
            ({"main": None, "more": None}, "null: no key"),
        ],
        ids=map(str, range(6)),
    )
    def test_any_of_key_is_noted_if_all_fields_are_missing(
        self, patch: Any, note: str
    ) -> None:
        book = make_book(first_match("mail"), on_no_key="create")

        assert notes_of(book, patch) == [note]

    def test_list_of_blank_items_is_noted_as_blank(self) -> None:
        book = make_book(first_match("mail"), on_no_key="create")

        assert notes_of(book, {"more": [" ", ""]}) == ["blank: no key"]

    @pytest.mark.parametrize(
        ("value", "national"),
        [
            *((value, True) for value in ("555-0105", "(020) 7946 0958", 305550106)),
            *((value, True) for value in ("0 30 5550106", " 030/5550106")),
            *(
                (value, False)
                for value in ("1234", "+1", "0044", "00 44 1", "none", True)
            ),
            *(
                (value, False)
                for value in ("555-0105x1", "-12345", "+49 0", 30555010.6)
            ),
        ],
        ids=map(str, range(15)),
    )
    def test_national_number_is_noted_with_advice(
        self,
        value: Any,
        national: bool,  # noqa: FBT001
    ) -> None:
        lines = {"tel": field(key=normalize.phone), "id": field(key=normalize.email)}
        match = first_match("tel", "id")
        book = make_book(match, lines=lines, on_no_key="create")
        note = "no usable form: not a key"
        expected = f"{note}; phone_in reads national numbers" if national else note

        assert notes_of(book, {"tel": value, "id": "555-0105"}) == [expected, note]

    @pytest.mark.parametrize(
        ("match", "patch"),
        [
            (first_match("a"), {"a": ["null"]}),
            (first_match("mail"), {"main": "noreply@x"}),
            (first_match("person"), {"first": "Test", "last": "A"}),
        ],
        ids=["field", "each", "composite"],
    )
    def test_blocked_form_is_noted(self, match: Any, patch: Any) -> None:
        blocked = {"a": ("null",), "mail": ("noreply@*",), "person": ("test|*",)}
        book = make_book(match, on_no_key="create", blocked=blocked)

        assert notes_of(book, patch) == ["blocked: not a key"]

    def test_value_left_out_as_blocked_is_noted(self) -> None:
        book = make_book(
            first_match("a", "b"), blocked={"a": ("null",)}, on_blocked="ignore"
        )

        assert notes_of(book, {"a": "null", "b": [1]})[0] == "blocked: not a key"


def test_trace_of_never_and_of_agreeing_keys() -> None:
    """A strategy without keys has no trace."""
    book = make_book(never(), {"a": [1]})
    assert book.plan({"a": [1]}).trace == ()

    book = make_book(all_agree("a", "b"), {"a": [1], "b": [2]})
    assert notes_of(book, {"a": [1], "b": [2]}) == ["decides", "agrees"]
    book = make_book(first_present("person", "a"), {"first": "Ada", "last": "King"})
    assert notes_of(book, {"first": "ADA", "last": "KING", "a": [1]}) == [
        "decides",
        "not consulted: another key decides alone",
    ]

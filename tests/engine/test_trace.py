"""The trace: why each key was taken or not, in words."""

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


def book(match: Any, *patches: dict[str, Any], **options: Any) -> ContactBook:
    """Make a book that has created these; its contacts are called 1, 2, ..."""
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
    made = ContactBook(policy, ids=lambda: f"{next(numbers)}", clock=lambda: NOW)
    for patch in patches:
        made.create(patch)
    return made


def notes(made: ContactBook, patch: dict[str, Any]) -> list[str]:
    """Give what a plan says of each key."""
    return [step.note for step in made.plan(patch).trace]


class TestGuard:
    """What is said of a key whose hits do not count."""

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
    def test_kept(self, patch: Any, expected: list[str]) -> None:
        """It is contradicted, whether or not a lower key decides."""
        made = book(first_match("a", "b", "c", guard="if_set"), *self.STORED)

        assert expected == notes(made, patch)

    def test_dropped(self) -> None:
        """It is left out of the patch, and its forms and holders are told still."""
        match = first_match("a", "b", guard="if_set", on_contradiction="drop")
        plan = book(match, *self.STORED).plan({"a": [2], "b": [1]})

        assert plan.ignored == {"b": "guard"}
        assert plan.trace[1] == Step("b", ("1",), ("1",), f"left out: {CONTRADICTED}")


class TestMergeAll:
    """What is said where contacts become one."""

    def test_who_is_merged(self) -> None:
        """The first key that finds somebody decides; others find whom it absorbs."""
        made = book(merge_all("a", "b", "c"), {"b": [1]}, {"b": [1]}, {"c": [2]})
        plan = made.plan({"a": [9], "b": [1], "c": [2]})

        assert plan.trace == (
            Step("a", ("9",), (), "no match"),
            Step("b", ("1",), ("1", "2"), "decides"),
            Step("c", ("2",), ("3",), "matches another contact, which is merged"),
        )

    def test_who_is_left_alone(self) -> None:
        """Under a policy that takes no update nobody is merged."""
        made = book(merge_all("a", "b"), {"a": [1]}, {"b": [1]}, on_found="ignore")

        nobody = "matches another contact, which is not merged"
        assert notes(made, {"a": [1], "b": [1]}) == ["decides", nobody]

    def test_a_limit(self) -> None:
        """The key that was left out is told of, with whom it found."""
        lines = {"a": field(key=normalize.exact, max_forms=1, keep_aliases=True)}
        made = book(
            merge_all("a", "b"),
            {"a": 1},
            {"a": 2, "b": [1]},
            lines=lines,
            on_limit="drop",
        )
        plan = made.plan({"a": 1, "b": [1]})

        assert plan.trace == (
            Step("a", ("1",), ("1",), "decides"),
            Step("b", ("1",), ("2",), "left out: the contact would hold too many keys"),
        )
        assert plan.ignored == {"b": "limit"}


class TestAbsence:
    """Why a patch does not carry a key."""

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
    def test_of_a_composite(self, patch: Any, note: str) -> None:
        """Any part may be wanting."""
        made = book(first_match("person"), on_no_key="create")

        assert notes(made, patch) == [note]

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
    def test_of_each_of_several_fields(self, patch: Any, note: str) -> None:
        """All that is sent has to be wanting."""
        made = book(first_match("mail"), on_no_key="create")

        assert notes(made, patch) == [note]

    def test_of_a_list_in_which_no_item_is_usable(self) -> None:
        """Blank items are none; the first that makes no form is told."""
        made = book(first_match("mail"), on_no_key="create")

        assert notes(made, {"more": [" ", ""]}) == ["blank: no key"]

    @pytest.mark.parametrize(
        ("value", "national"),
        [
            *((each, True) for each in ("555-0105", "(020) 7946 0958", 305550106)),
            *((each, True) for each in ("0 30 5550106", " 030/5550106")),
            *(
                (each, False)
                for each in ("1234", "+1", "0044", "00 44 1", "none", True)
            ),
            *((each, False) for each in ("555-0105x1", "-12345", "+49 0", 30555010.6)),
        ],
        ids=map(str, range(15)),
    )
    def test_of_a_telephone_number_without_its_country(
        self,
        value: Any,
        national: bool,  # noqa: FBT001
    ) -> None:
        """It is told what reads it."""
        lines = {"tel": field(key=normalize.phone), "id": field(key=normalize.email)}
        match = first_match("tel", "id")
        made = book(match, lines=lines, on_no_key="create")
        note = "no usable form: not a key"
        told = f"{note}; phone_in reads national numbers" if national else note

        assert notes(made, {"tel": value, "id": "555-0105"}) == [told, note]

    @pytest.mark.parametrize(
        ("match", "patch"),
        [
            (first_match("a"), {"a": ["null"]}),
            (first_match("mail"), {"main": "noreply@x"}),
            (first_match("person"), {"first": "Test", "last": "A"}),
        ],
        ids=["field", "each", "composite"],
    )
    def test_of_what_is_blocked(self, match: Any, patch: Any) -> None:
        """A form that identifies nobody is none, and is told as what it is."""
        blocked = {"a": ("null",), "mail": ("noreply@*",), "person": ("test|*",)}
        made = book(match, on_no_key="create", blocked=blocked)

        assert notes(made, patch) == ["blocked: not a key"]

    def test_of_what_was_left_out_as_blocked(self) -> None:
        """It is told as blocked, though nothing of it is merged."""
        made = book(
            first_match("a", "b"), blocked={"a": ("null",)}, on_blocked="ignore"
        )

        assert notes(made, {"a": "null", "b": [1]})[0] == "blocked: not a key"


def test_strategies_without_more_to_say() -> None:
    """A strategy without keys has no story; one that agrees says so."""
    made = book(never(), {"a": [1]})
    assert made.plan({"a": [1]}).trace == ()

    made = book(all_agree("a", "b"), {"a": [1], "b": [2]})
    assert notes(made, {"a": [1], "b": [2]}) == ["decides", "agrees"]
    made = book(first_present("person", "a"), {"first": "Ada", "last": "King"})
    assert notes(made, {"first": "ADA", "last": "KING", "a": [1]}) == [
        "decides",
        "not consulted: another key decides alone",
    ]

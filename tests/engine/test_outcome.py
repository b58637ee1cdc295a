"""Outcomes whose parts are made when they are asked for, and they are as any other."""

from __future__ import annotations

import copy
import gc
import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import attrs
import pytest

from upsertcore import (
    Contact,
    ContactBook,
    Outcome,
    Policy,
    field,
    first_match,
    normalize,
)
from upsertcore.engine.outcome import Withheld, outcome_from_record
from upsertcore.model.packed_row import Row, contact_from_row, row_of
from upsertcore.values import NOTHING

NOW = datetime(2024, 1, 2, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
LINES = {"email": field(key=normalize.email), "name": field()}
POLICY = Policy(first_match("email"), LINES)
PARTS = [each.name for each in attrs.fields(Outcome)]

BEFORE = Contact("c-1", "s", {"email": "ada@x", "name": "Ada"}, 1, NOW, NOW)
AFTER = Contact("c-1", "s", {"email": "ada@x", "name": "Augusta"}, 2, NOW, LATER)
SURVIVOR = attrs.evolve(AFTER, merged_ids=["c-2"], aliases={"email": ["old@x"]})

TOLD: dict[str, tuple[Any, ...]] = {
    "created": ("created", BEFORE, None, None),
    "updated": ("updated", AFTER, BEFORE, "email"),
    "updated, with a history": ("updated", SURVIVOR, BEFORE, "email"),
    "unchanged": ("unchanged", BEFORE, BEFORE, "email"),
}


def eager(name: str) -> Outcome:
    """Make an outcome of all its parts."""
    result, contact, before, by = TOLD[name]
    return Outcome(result, contact, before, by, (), NOTHING, (), (), POLICY)


def late(name: str) -> Outcome:
    """Make the same one of rows whose contacts nobody has."""
    result, contact, before, by = TOLD[name]
    row = in_row(contact)
    was = None if before is None else in_row(before)
    record = row, row if before is contact else was, by
    return outcome_from_record(result, record, POLICY)


def in_row(contact: Contact) -> Row:
    """Make a row of a contact that is nobody else's."""
    twin = Contact.from_dict(contact.to_dict())
    return row_of(twin, tuple(twin), 0, (("ada@x",),))


@pytest.mark.parametrize("name", TOLD)
class TestLate:
    """Whatever is asked of it first, it answers as the one of all its parts does."""

    @pytest.mark.parametrize("part", PARTS)
    def test_each_part(self, name: str, part: str) -> None:
        """Asked for by itself, and again."""
        outcome = late(name)
        first, again = getattr(outcome, part), getattr(outcome, part)

        assert getattr(eager(name), part) == first
        assert type(getattr(eager(name), part)) is type(first)
        assert first is again

    def test_in_whatever_order(self, name: str) -> None:
        """No part depends on which was asked for before."""
        for order in permutations(["contact", "before", "matched_by", "ignored"]):
            outcome = late(name)
            for part in order:
                assert getattr(eager(name), part) == getattr(outcome, part)

    @pytest.mark.parametrize(
        "ask",
        [
            repr,
            hash,
            Outcome.explain,
            *[
                lambda outcome, part=part: getattr(outcome, part)
                for part in ("changes", "created", "updated", "merged", "unchanged")
            ],
            lambda outcome: attrs.asdict(outcome, recurse=False),
            lambda outcome: attrs.astuple(outcome, recurse=False),
        ],
        ids=range(10),
    )
    def test_what_is_told_of_all_parts(
        self, name: str, ask: Callable[[Outcome], Any]
    ) -> None:
        """In words, as a number, and by what is derived."""
        assert ask(eager(name)) == ask(late(name))

    def test_equality(self, name: str) -> None:
        """From both sides, and between two of them."""
        assert eager(name) == late(name)
        assert late(name) == eager(name)
        assert late(name) == late(name)
        for other in TOLD:
            assert (name == other) == (late(name) == late(other))
            assert (name == other) == (late(name) == eager(other))

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_pickled(self, name: str, protocol: int) -> None:
        """It comes back as the other does, which forgets the policy."""
        whole = pickle.loads(pickle.dumps(eager(name), protocol))  # noqa: S301
        found = pickle.loads(pickle.dumps(late(name), protocol))  # noqa: S301

        assert whole == eager(name) == found
        assert whole._policy is found._policy is None

    @pytest.mark.parametrize("how", [copy.copy, copy.deepcopy])
    def test_copied(self, name: str, how: Callable[[Outcome], Outcome]) -> None:
        """As the other is, and the first one is as it was."""
        outcome = late(name)
        found = how(outcome)

        assert eager(name) == found == outcome
        assert how(eager(name))._policy is found._policy

    @pytest.mark.parametrize(
        "change",
        [
            {},
            {"result": "merged"},
            {"contact": AFTER},
            {"before": None},
            {"matched_by": "phone"},
            {"withheld": (Withheld("email", "ada@x", "c-9"),)},
            {"also_matched": ("c-9",), "merged": (BEFORE,)},
        ],
        ids=lambda change: " ".join(change) or "nothing",
    )
    def test_evolved(self, name: str, change: dict[str, Any]) -> None:
        """It makes another one of all its parts, with its policy."""
        outcome = late(name)
        found = attrs.evolve(outcome, **change)

        assert attrs.evolve(eager(name), **change) == found
        assert found._policy is POLICY
        assert eager(name) == outcome

    @pytest.mark.parametrize("part", ["city", "_row", "__fspath__", ""])
    def test_what_it_does_not_have(self, name: str, part: str) -> None:
        """It says so by name, before and after its parts were asked for."""
        outcome = late(name)
        for _ in range(2):
            with pytest.raises(AttributeError, match=f"an outcome has no {part}$"):
                getattr(outcome, part)
            assert not hasattr(outcome, part)
            repr(outcome)

    def test_it_is_frozen(self, name: str) -> None:
        """Whether a part was asked for or not."""
        outcome = late(name)
        for _ in range(2):
            for part in PARTS:
                with pytest.raises(attrs.exceptions.FrozenInstanceError):
                    setattr(outcome, part, None)
                with pytest.raises(attrs.exceptions.FrozenInstanceError):
                    delattr(outcome, part)
            assert eager(name) == outcome


def test_an_outcome_of_its_parts_has_no_others() -> None:
    """What it does not have is told in the same words."""
    with pytest.raises(AttributeError, match=r"an outcome has no city$"):
        _ = eager("created").city  # type: ignore[attr-defined]


def test_what_is_unchanged_is_one_contact() -> None:
    """The same object before and after, by whichever is asked for first."""
    one, other = late("unchanged"), late("unchanged")

    assert one.contact is one.before
    assert other.before is other.contact


def test_its_contacts_are_those_of_the_rows() -> None:
    """As the index gives them, as long as the outcome is there."""
    row, was = in_row(AFTER), in_row(BEFORE)
    outcome = outcome_from_record("updated", (row, was, "email"), POLICY)
    held = contact_from_row(row)

    assert held is outcome.contact
    del held
    gc.collect()
    assert contact_from_row(row) is outcome.contact
    assert contact_from_row(was) is outcome.before


def test_what_it_tells_stays() -> None:
    """Asked after the book has moved on, it tells of its own call."""
    ids = iter(["c-1", "c-2"])
    made = ContactBook(POLICY, ids=ids.__next__, clock=lambda: NOW)
    outcomes = [
        made.upsert({"email": "ada@x", "name": name}) for name in ("A", "B", "B", "C")
    ]
    made.delete("c-1")
    gc.collect()
    told = [
        (each.result, each.before and each.before["name"], each.contact["name"])
        for each in outcomes
    ]

    assert told == [
        ("created", None, "A"),
        ("updated", "A", "B"),
        ("unchanged", "B", "B"),
        ("updated", "B", "C"),
    ]
    assert [1, 2, 2, 3] == [each.contact.version for each in outcomes]
    assert outcomes[2].contact is outcomes[2].before

"""Outcomes whose parts are made on first access equal those made at once."""

from __future__ import annotations

import copy
import gc
import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from weakref import ref

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
from upsertcore.engine.outcome import (
    Change,
    Withheld,
    changes,
    outcome_from_record,
)
from upsertcore.model.packed_row import Row, contact_from_row, row_of
from upsertcore.values import NOTHING

NOW = datetime(2024, 1, 2, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
LINES = {"email": field(key=normalize.email), "name": field()}
POLICY = Policy(first_match("email"), LINES, extra_fields=field())
PARTS = [item.name for item in attrs.fields(Outcome)]

BEFORE = Contact("c-1", "s", {"email": "ada@x", "name": "Ada"}, 1, NOW, NOW)
AFTER = Contact("c-1", "s", {"email": "ada@x", "name": "Augusta"}, 2, NOW, LATER)
RENAMED = attrs.evolve(AFTER, fields={"city": "Oslo", "email": "ada@x"})
UNUSABLE = attrs.evolve(AFTER, fields={"email": ["ada@x", "ada"], "name": "Ada"})
SURVIVOR = attrs.evolve(AFTER, merged_ids=["c-2"], aliases={"email": ["old@x"]})

OUTCOMES: dict[str, tuple[Any, ...]] = {
    "created": ("created", BEFORE, None, None),
    "updated": ("updated", AFTER, BEFORE, "email"),
    "updated, with a history": ("updated", SURVIVOR, BEFORE, "email"),
    "updated, with other names": ("updated", RENAMED, BEFORE, "email"),
    "updated, without a form": ("updated", UNUSABLE, BEFORE, "email"),
    "unchanged": ("unchanged", BEFORE, BEFORE, "email"),
}


def eager_outcome(name: str) -> Outcome:
    """Make an outcome of all its parts."""
    result, contact, before, by = OUTCOMES[name]
    return Outcome(result, contact, before, by, (), NOTHING, (), (), POLICY)


def lazy_outcome(name: str) -> Outcome:
    """Make the same outcome of rows without contacts."""
    _result, contact, before, by = OUTCOMES[name]
    row = own_row(contact)
    row_before = None if before is None else own_row(before)
    record = row, row if before is contact else row_before, by, 1, 0, None, None
    return outcome_from_record(record, POLICY)


def own_row(contact: Contact) -> Row:
    """Make a row of a contact that no other object has."""
    equal = Contact.from_dict(contact.to_dict())
    return row_of(equal, tuple(equal), 0, (("ada@x",),))


@pytest.mark.parametrize("name", OUTCOMES)
class TestLazyOutcome:
    """An outcome made of rows equals one made of all its parts."""

    @pytest.mark.parametrize("part", PARTS)
    def test_part_equals_that_of_an_eager_outcome(self, name: str, part: str) -> None:
        """The second access returns the same object."""
        outcome = lazy_outcome(name)
        first, second = getattr(outcome, part), getattr(outcome, part)

        assert getattr(eager_outcome(name), part) == first
        assert type(getattr(eager_outcome(name), part)) is type(first)
        assert first is second

    def test_order_of_access_does_not_matter(self, name: str) -> None:
        for order in permutations(["contact", "before", "matched_by", "ignored"]):
            outcome = lazy_outcome(name)
            for part in order:
                assert getattr(eager_outcome(name), part) == getattr(outcome, part)

    @pytest.mark.parametrize(
        "function",
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
    def test_functions_of_all_parts_return_the_same(
        self, name: str, function: Callable[[Outcome], Any]
    ) -> None:
        assert function(eager_outcome(name)) == function(lazy_outcome(name))

    def test_lazy_and_eager_outcomes_are_equal(self, name: str) -> None:
        """From both sides, and between two of them."""
        assert eager_outcome(name) == lazy_outcome(name)
        assert lazy_outcome(name) == eager_outcome(name)
        assert lazy_outcome(name) == lazy_outcome(name)
        for other in OUTCOMES:
            assert (name == other) == (lazy_outcome(name) == lazy_outcome(other))
            assert (name == other) == (lazy_outcome(name) == eager_outcome(other))

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_pickled_outcome_has_no_policy(self, name: str, protocol: int) -> None:
        """It equals the pickled eager outcome."""
        pickled_eager = pickle.loads(pickle.dumps(eager_outcome(name), protocol))  # noqa: S301
        result = pickle.loads(pickle.dumps(lazy_outcome(name), protocol))  # noqa: S301

        assert pickled_eager == eager_outcome(name) == result
        assert pickled_eager._policy is result._policy is None

    @pytest.mark.parametrize("copy_function", [copy.copy, copy.deepcopy])
    def test_copied_outcome_keeps_the_policy(
        self, name: str, copy_function: Callable[[Outcome], Outcome]
    ) -> None:
        outcome = lazy_outcome(name)
        result = copy_function(outcome)

        assert eager_outcome(name) == result == outcome
        assert copy_function(eager_outcome(name))._policy is result._policy

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
    def test_evolved_outcome_keeps_the_policy(
        self, name: str, change: dict[str, Any]
    ) -> None:
        """The original outcome is unchanged."""
        outcome = lazy_outcome(name)
        result = attrs.evolve(outcome, **change)

        assert attrs.evolve(eager_outcome(name), **change) == result
        assert result._policy is POLICY
        assert eager_outcome(name) == outcome

    @pytest.mark.parametrize("part", ["city", "_row", "__fspath__", ""])
    def test_unknown_attribute_is_named(self, name: str, part: str) -> None:
        """Before and after the parts were made."""
        outcome = lazy_outcome(name)
        for _ in range(2):
            with pytest.raises(AttributeError, match=f"an outcome has no {part}$"):
                getattr(outcome, part)
            assert not hasattr(outcome, part)
            repr(outcome)

    def test_outcome_is_frozen(self, name: str) -> None:
        """Before and after the parts were made."""
        outcome = lazy_outcome(name)
        for _ in range(2):
            for part in PARTS:
                with pytest.raises(attrs.exceptions.FrozenInstanceError):
                    setattr(outcome, part, None)
                with pytest.raises(attrs.exceptions.FrozenInstanceError):
                    delattr(outcome, part)
            assert eager_outcome(name) == outcome


def test_unknown_attribute_of_an_eager_outcome_is_named() -> None:
    with pytest.raises(AttributeError, match=r"an outcome has no city$"):
        _ = eager_outcome("created").city  # type: ignore[attr-defined]


def test_unchanged_outcome_has_one_contact_object() -> None:
    """Whichever part is accessed first."""
    one, other = lazy_outcome("unchanged"), lazy_outcome("unchanged")

    assert one.contact is one.before
    assert other.before is other.contact


@pytest.mark.parametrize(
    ("sent", "moved"),
    [
        ({"name": None, "size": 2}, [("size", 1, 2), ("name", "Ada", None)]),
        (
            {"city": "Oslo", "name": None, "email": "ADA@x"},
            [
                ("email", "ada@x", "ADA@x"),
                ("city", None, "Oslo"),
                ("name", "Ada", None),
            ],
        ),
        ({"size": True}, [("size", 1, True)]),
        ({"size": 1.0}, [("size", 1, 1.0)]),
        ({"size": 1, "name": "Ada"}, []),
        ({"note": [1]}, [("note", None, (1,))]),
        ({"note": []}, [("note", None, ())]),
    ],
    ids=str,
)
def test_changes_are_those_of_the_contacts(
    sent: dict[str, Any], moved: list[tuple[str, Any, Any]]
) -> None:
    """Also where a field is undeclared, cleared, or of another type."""
    lines = {**LINES, "size": field(), "note": field()}
    policy = Policy(first_match("email"), lines, extra_fields=field())
    book = ContactBook(policy, ids=lambda: "c-1")
    created = book.upsert({"size": 1, "name": "Ada", "email": "ada@x"})
    outcome = book.upsert({"email": "ada@x", **sent})
    expected = [(item.field, item.before, item.after) for item in outcome.changes]

    assert repr(expected) == repr(moved)
    assert outcome.before is not None
    assert outcome.changes == changes(outcome.before.fields, outcome.contact.fields)
    assert created.changes == (
        Change("email", None, "ada@x"),
        Change("name", None, "Ada"),
        Change("size", None, 1),
    )


def test_change_is_frozen_and_equals_one_made_of_its_attributes() -> None:
    (item,) = changes({}, {"name": "Ada"})

    assert item == Change("name", None, "Ada")
    assert hash(item) == hash(Change("name", None, "Ada"))
    assert repr(item) == repr(Change("name", None, "Ada"))
    assert copy.copy(item) == pickle.loads(pickle.dumps(item)) == item  # noqa: S301
    assert ref(item)() is item
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        item.after = None  # type: ignore[misc]


def test_contacts_are_those_of_the_rows() -> None:
    """The rows return the same objects while the outcome exists."""
    row, row_before = own_row(AFTER), own_row(BEFORE)
    outcome = outcome_from_record((row, row_before, "email", 1, 0, None, None), POLICY)
    contact = contact_from_row(row)

    assert contact is outcome.contact
    del contact
    gc.collect()
    assert contact_from_row(row) is outcome.contact
    assert contact_from_row(row_before) is outcome.before


def test_outcome_does_not_change_with_the_book() -> None:
    ids = iter(["c-1", "c-2"])
    book = ContactBook(POLICY, ids=ids.__next__, clock=lambda: NOW)
    outcomes = [
        book.upsert({"email": "ada@x", "name": name}) for name in ("A", "B", "B", "C")
    ]
    book.delete("c-1")
    gc.collect()
    results = [
        (
            outcome.result,
            outcome.before and outcome.before["name"],
            outcome.contact["name"],
        )
        for outcome in outcomes
    ]

    assert results == [
        ("created", None, "A"),
        ("updated", "A", "B"),
        ("unchanged", "B", "B"),
        ("updated", "B", "C"),
    ]
    assert [1, 2, 2, 3] == [outcome.contact.version for outcome in outcomes]
    assert outcomes[2].contact is outcomes[2].before


def test_contact_of_an_unchanged_outcome_is_its_before_in_two_books() -> None:
    policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    book = ContactBook(policy, retain_changes=None)
    book.upsert({"email": "ada@x.org"})
    outcome = book.upsert({"email": "ada@x.org"})
    contact = outcome.contact

    twin = ContactBook.from_changes(policy, book.changes_since())

    assert [*twin] == [contact]
    assert outcome.before is contact

"""Plans and books pickle, as their policy does; a book is not copied."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import Host, patches, policies
from upsertcore import (
    ContactBook,
    Plan,
    Policy,
    errors,
    field,
    first_match,
    key,
    normalize,
    rules,
)

FIELDS: dict[str, Any] = {
    "email": field(key=normalize.email, unique=True, keep_aliases=True),
    "phone": field(key=normalize.phone_in("US"), unique=True),
    "name": field(),
    "tags": field(rule=rules.union, on_merge=rules.union),
}
ADA = {"email": "ada@x.org", "phone": "(202) 555-0143", "name": "Ada", "tags": ["a"]}
BOB = {"email": "bob@x.org", "phone": "(202) 555-0144", "name": "Bob", "tags": ["b"]}


class Clock:
    """A clock that moves by a second at each call."""

    def __init__(self) -> None:
        self.now = datetime(2024, 1, 2, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Return the next second."""
        self.now += timedelta(seconds=1)
        return self.now


def make_policy() -> Policy:
    """Make a policy anew, as another process does."""
    keys = {"who": key("name", "phone", normalize=(normalize.text, normalize.exact))}
    match = first_match("email", "phone", guard="if_set", on_contradiction="keep")
    return Policy(match, FIELDS, keys=keys, on_key_in_use="withhold")


def make_book(**options: Any) -> ContactBook:
    """Make a book with two contacts."""
    book = ContactBook(make_policy(), **options)
    book.upsert(ADA)
    book.upsert(BOB)
    return book


def unpickled(value: Any) -> Any:
    """Return a value after pickling."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - pickled here


class TestPlans:
    """A pickled plan is what another process may show, and apply."""

    def test_pickled_plan_is_equal_and_explains_itself(self) -> None:
        book = make_book()
        plan = book.plan({**ADA, "phone": BOB["phone"], "name": "Ada King"})
        for again in (unpickled(plan), copy.deepcopy(plan), copy.copy(plan)):
            assert again == plan
            assert again.explain() == plan.explain()
            assert again.trace == plan.trace
            assert again.expects == plan.expects

    def test_pickled_plan_does_not_contain_the_book(self) -> None:
        book = make_book()
        plan = book.plan(ADA)
        size = len(pickle.dumps(plan))
        for number in range(1_000):
            book.upsert({"email": f"{number}@x.org"})

        assert len(pickle.dumps(book.plan(ADA))) == size

    @pytest.mark.parametrize("overrides", [{}, {"rules": {"name": rules.keep}}])
    def test_pickled_plan_applies_to_a_book_of_an_equal_policy(
        self, overrides: Any
    ) -> None:
        """Once: what it rests on has changed then."""
        book = make_book()
        other = ContactBook.load(make_policy(), book.dump())
        plan = unpickled(book.plan({**ADA, "name": "Ada King"}, **overrides))
        outcome = other.apply(plan)

        assert outcome.contact["name"] == ("Ada" if overrides else "Ada King")
        assert other.upsert(BOB).unchanged
        if outcome.updated:
            with pytest.raises(errors.StalePlan, match="is at version 2, not 1"):
                other.apply(plan)

    def test_pickled_plan_of_another_policy_is_refused(self) -> None:
        plan = unpickled(make_book().plan(ADA))
        policy = attrs.evolve(make_policy(), on_key_in_use="refuse")
        with pytest.raises(ValueError, match="under this book's policy"):
            ContactBook(policy).apply(plan)

    @given(policies(), st.lists(patches(), min_size=1, max_size=4))
    def test_drawn_plan_pickles(self, policy: Policy, drawn: Any) -> None:
        book = ContactBook(policy, ids=Host().ids)
        for patch in drawn:
            try:
                plan: Plan = book.plan(patch)
            except errors.Refused:
                continue
            again = unpickled(plan)
            assert again == plan
            assert again.explain() == plan.explain()
            assert book.apply(again).contact.fields == plan.after


class TestBooks:
    """A pickled book continues where the book was."""

    def test_pickled_book_has_the_same_contacts_calls_and_changes(self) -> None:
        """Its numbers of changes continue."""
        book = make_book(ids=iter("abcdef").__next__, clock=Clock(), retain_changes=9)
        book.upsert({**ADA, "name": "Ada King"}, idempotency_key="k-1", scope="s")
        again = unpickled(book)

        assert again.policy == book.policy
        assert again.dump() == book.dump()
        assert again.changes_since() == book.changes_since()
        again.upsert({"email": "eve@x.org"})
        book.upsert({"email": "eve@x.org"})
        assert again.dump() == book.dump()
        assert again.changes_since(3) == book.changes_since(3)
        assert len(again.changes_since(3)) == 1
        repeated = {**ADA, "name": "Ada King"}
        outcome = again.upsert(repeated, idempotency_key="k-1", scope="s")
        assert outcome.replayed
        with pytest.raises(errors.IdempotencyKeyReused):
            again.upsert(BOB, idempotency_key="k-1", scope="s")

    def test_pickled_book_undoes_what_a_loaded_book_does(self) -> None:
        """An update, but no merge."""
        book = make_book(ids=iter("abcdef").__next__)
        update = book.upsert({**ADA, "name": "Ada King"})
        again = unpickled(book)
        merge = book.merge("a", "b")

        assert again.undo(update).contact["name"] == "Ada"
        assert unpickled(book).get("b").id == "a"
        with pytest.raises(
            errors.StaleOutcome, match="was merged before it was loaded"
        ):
            unpickled(book).undo(merge)

    def test_pickled_book_retains_as_much_as_the_book(self) -> None:
        book = make_book(retain_calls=1, retain_changes=2)
        again = unpickled(book)
        for number in range(3):
            again.upsert({"email": f"{number}@x.org"}, idempotency_key=f"{number}")

        assert [entry.number for entry in again.changes_since(3)] == [4, 5]
        assert again.upsert({"email": "2@x.org"}, idempotency_key="2").replayed
        assert not again.upsert({"email": "0@x.org"}, idempotency_key="0").replayed

    def test_pickled_book_makes_other_ids(self) -> None:
        """Ids of the library repeat in no book."""
        book = make_book()
        again, twin = unpickled(book), unpickled(book)
        outcomes = [each.upsert({"email": "eve@x.org"}) for each in (book, again, twin)]

        assert len({outcome.contact.id for outcome in outcomes}) == 3

    def test_book_with_a_function_without_a_name_does_not_pickle(self) -> None:
        """The error has the function."""
        with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
            pickle.dumps(ContactBook(make_policy(), ids=lambda: "c-1"))

    @pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
    def test_copy_of_a_book_is_refused(self, copied: Any) -> None:
        """The message has what to do."""
        words = (
            r"book: must not be copied; .*ContactBook\.load\(policy, book\.dump\(\)\)"
        )
        with pytest.raises(TypeError, match=words):
            copied(make_book())

"""The book: each verb, each refusal, and application functions that misbehave."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import pytest

from upsertcore import (
    Contact,
    ContactBook,
    Outcome,
    Policy,
    all_agree,
    errors,
    field,
    first_match,
    first_present,
    key,
    merge_all,
    never,
    normalize,
)
from upsertcore.rules import custom, immutable, latest, replace
from upsertcore.store import queue
from upsertcore.store.contact_index import ContactIndex
from upsertcore.values import MAX_DEPTH

NOW = datetime(2024, 1, 2, tzinfo=UTC)
FIELDS = {
    "email": field(key=normalize.email, unique=True, blank="reject"),
    "phone": field(key=normalize.phone),
    "name": field(required=True, null="reject"),
    "ref": field(rule=immutable),
}
POLICY = Policy(first_match("email", "phone"), FIELDS)
ADA = {"email": "ada@x.org", "phone": "+15550001", "name": "Ada", "ref": "r"}
BOB = {"email": "bob@x.org", "phone": "+15550002", "name": "Bob"}


def make_book(policy: Policy = POLICY, *patches: dict[str, Any]) -> ContactBook:
    """Make a book of contacts c-1, c-2, ...; its clock advances an hour per call."""
    ids, hours = count(1), count()
    book = ContactBook(
        policy,
        ids=lambda: f"c-{next(ids)}",
        clock=lambda: NOW + timedelta(hours=next(hours)),
    )
    for patch in patches or (ADA, BOB):
        book.create(patch)
    return book


class TestRefusals:
    """A refused call leaves the book unchanged, byte for byte."""

    @pytest.mark.parametrize(
        ("error", "call"),
        [
            (errors.InvalidField, lambda b: b.upsert({**ADA, "email": ""})),
            (errors.InvalidField, lambda b: b.upsert({**ADA, "name": None})),
            (errors.InvalidField, lambda b: b.upsert({**ADA, "ref": "other"})),
            (errors.InvalidField, lambda b: b.upsert([])),
            (errors.InvalidField, lambda b: b.find("name", "Ada")),
            (errors.MissingField, lambda b: b.upsert({"email": "new@x.org"})),
            (errors.UnknownField, lambda b: b.upsert({**ADA, "nmae": "Ada"})),
            (errors.NoMatchKey, lambda b: b.upsert({"name": "Ada"})),
            (errors.AmbiguousMatch, lambda b: b.upsert({"phone": "+15550003"})),
            (errors.KeyInUse, lambda b: b.upsert({**BOB, "email": "ada@x.org"})),
            (errors.KeyInUse, lambda b: b.create(ADA)),
            (errors.StaleVersion, lambda b: b.upsert(ADA, if_version=2)),
            (
                errors.StaleVersion,
                lambda b: b.upsert({"email": "n@x", "name": "N"}, if_version=1),
            ),
            (errors.UnknownContact, lambda b: b.delete("c-9")),
            (errors.UnknownContact, lambda b: b.get("c-9")),
        ],
        ids=map(str, range(15)),
    )
    def test_refused_call_writes_nothing(
        self, error: type[Exception], call: Callable[[ContactBook], Any]
    ) -> None:
        """No id is lost either, and the next call works."""
        policy = Policy(first_present("phone", "email"), FIELDS)
        book = make_book(policy, ADA, BOB)
        book._index.put(book.get("c-2"), [["bob@x.org"], ["+15550002", "+15550003"]])
        book._index.put(book.get("c-1"), [["ada@x.org"], ["+15550001", "+15550003"]])
        is_stale_version = error is errors.StaleVersion
        before = book.dump()
        with pytest.raises(error):
            call(book)

        assert book.dump() == before
        book._index.check()
        assert is_stale_version or book.upsert(ADA).unchanged

    @pytest.mark.parametrize(
        ("policy", "error", "patch"),
        [
            (
                Policy(first_match("email"), FIELDS, on_not_found="refuse"),
                errors.CreateRefused,
                {"email": "new@x.org", "name": "New"},
            ),
            (
                Policy(first_match("email"), FIELDS, on_found="refuse"),
                errors.UpdateRefused,
                {"email": "ada@x.org", "name": "Countess"},
            ),
            (
                Policy(all_agree("email", "phone"), FIELDS),
                errors.KeysDisagree,
                {"email": "ada@x.org", "phone": "+15550002"},
            ),
        ],
        ids=["create", "update", "disagree"],
    )
    def test_call_that_the_policy_excludes_is_refused(
        self, policy: Policy, error: type[Exception], patch: dict[str, Any]
    ) -> None:
        book = ContactBook.load(policy, make_book().dump())
        before = book.dump()
        with pytest.raises(error):
            book.upsert(patch)

        assert book.dump() == before


class TestUpsert:
    """Upsert: created, updated, unchanged."""

    def test_version_and_time_change_with_a_field_only(self) -> None:
        book = make_book()
        contact = book.get("c-1")
        unchanged = book.upsert({"email": "ada@x.org", "name": "Ada"})
        update = book.upsert({"email": "ada@x.org", "name": "Countess"})

        assert unchanged.contact is contact
        assert (contact.version, update.contact.version) == (1, 2)
        assert update.contact.created_at == contact.created_at == NOW
        assert update.contact.updated_at == NOW + timedelta(hours=2)
        assert update.before is contact
        assert (update.matched_by, update.updated) == ("email", True)

    def test_wrong_if_version_is_refused_before_other_faults(self) -> None:
        book = make_book()
        assert book.upsert(ADA, if_version=1).unchanged

        with pytest.raises(errors.StaleVersion):
            book.upsert({**ADA, "ref": "other"}, if_version=2)

    def test_contact_of_another_scope_neither_matches_nor_conflicts(self) -> None:
        book = make_book()

        assert book.upsert(ADA, scope="s").created
        assert book.find("email", "ada@x.org", scope="s") == (
            book.get("c-3", scope="s"),
        )
        assert book.find("email", "ada@x.org") == (book.get("c-1"),)

    def test_default_ids_of_two_books_differ(self) -> None:
        first, second = ContactBook(POLICY), ContactBook(POLICY)
        ids = {
            book.upsert(patch).contact.id
            for book in (first, second)
            for patch in (ADA, BOB)
        }

        assert len(ids) == 4
        assert (
            first.get(min(ids & {contact.id for contact in first})).created_at.tzinfo
            is UTC
        )


class TestOtherVerbs:
    """Plan and apply, upsert_many, find, delete, and iteration."""

    def test_plan_writes_nothing_and_apply_writes_it(self) -> None:
        book = make_book()
        plan = book.plan({**ADA, "name": "Countess"})
        assert book.get("c-1")["name"] == "Ada"

        outcome = book.apply(plan)
        assert outcome.contact["name"] == "Countess"
        assert book.apply(book.plan({**ADA, "name": "Countess"})).unchanged

    @pytest.mark.parametrize(
        ("write", "words"),
        [
            (lambda b: b.upsert({**ADA, "name": "X"}), "c-1 is at version 2, not 1"),
            (lambda b: b.delete("c-1"), "contact c-1 is gone"),
            (
                lambda b: b.upsert({**BOB, "phone": "+15550009"}),
                "the contacts that hold its phone",
            ),
        ],
        ids=["version", "deleted", "key"],
    )
    def test_plan_after_a_conflicting_write_is_stale(
        self, write: Callable[[ContactBook], Any], words: str
    ) -> None:
        """The message names the change; nothing is written."""
        book = make_book()
        plan = book.plan({"email": "ada@x.org", "phone": "+15550009"})
        write(book)
        before = book.dump()
        with pytest.raises(errors.StalePlan, match=words):
            book.apply(plan)

        assert book.dump() == before

    def test_plan_for_a_replaced_contact_is_stale(self) -> None:
        """The id and version are equal, the contact is another one."""
        book = ContactBook(POLICY, ids=lambda: "c-1")
        book.upsert(ADA)
        plan = book.plan({**ADA, "name": "Countess"})
        index = book._index
        other = attrs.evolve(book.get("c-1"), fields={**ADA, "name": "Somebody else"})
        index.put(other, index.get_with_forms("c-1")[1])
        with pytest.raises(errors.StalePlan, match="c-1 has changed since it was read"):
            book.apply(plan)

    def test_second_plan_to_create_a_contact_is_stale(self) -> None:
        book = make_book()
        patch = {"email": "new@x.org", "name": "New"}
        first, second = book.plan(patch), book.plan(patch)
        book.apply(first)
        with pytest.raises(errors.StalePlan, match="contacts that hold its email"):
            book.apply(second)

    def test_plan_of_another_policy_is_an_error(self) -> None:
        other = Policy(first_match("email"), FIELDS)
        with pytest.raises(ValueError, match="under this book's policy"):
            make_book().apply(make_book(other).plan(ADA))

    def test_upsert_many_returns_outcomes_in_order(self) -> None:
        """With ``on_refused="collect"`` the refusals are among them."""
        book = make_book()
        keyless = {"name": "Nobody"}
        results = book.upsert_many([ADA, keyless, BOB], on_refused="collect")
        assert [type(result).__name__ for result in results] == [
            "Outcome",
            "NoMatchKey",
            "Outcome",
        ]

        new_patch = {"email": "new@x.org", "name": "New"}
        with pytest.raises(errors.NoMatchKey):
            book.upsert_many(iter([new_patch, keyless, BOB]))
        assert book.upsert(new_patch).unchanged
        assert len(book.upsert_many([ADA, BOB])) == 2
        bad: Any = "skip"
        with pytest.raises(
            ValueError, match="on_refused: must be 'raise' or 'collect'"
        ):
            book.upsert_many([], on_refused=bad)

    def test_find_looks_up_the_normal_form(self) -> None:
        """A value without a normal form finds no contact."""
        book = make_book()

        assert book.find("email", " ADA@x.org") == (book.get("c-1"),)
        assert book.find("phone", "5550001") == ()
        assert book.find("email", None) == book.find("email", []) == ()
        with pytest.raises(errors.InvalidField, match="value: must be a finite number"):
            book.find("email", float("nan"))

    def test_deleted_contact_frees_its_keys(self) -> None:
        book = make_book()
        contact = book.delete("c-1")

        assert contact["name"] == "Ada"
        assert "c-1" not in book
        assert len(book) == 1
        assert book.upsert(ADA).contact.id == "c-3"
        book._index.check()

    def test_iteration_is_unaffected_by_writes(self) -> None:
        """Contacts are in the order of creation."""
        book = make_book()
        ids = []
        for contact in book:
            ids.append(contact.id)
            book.upsert({"email": f"{contact.id}@x.org", "name": "New"})

        assert ids == ["c-1", "c-2"]
        assert len(book) == 4


class TestLoad:
    """Loading of rows."""

    def test_loaded_dump_is_the_same_book(self) -> None:
        book = make_book()
        book.upsert({**ADA, "name": "Countess"})
        loaded_book = ContactBook.load(POLICY, book.dump())

        assert loaded_book.dump() == book.dump()
        assert loaded_book.upsert({**ADA, "name": "Countess"}).unchanged
        loaded_book._index.check()

    def test_extreme_stored_values_can_be_loaded(self) -> None:
        """The deepest and longest values that upsert accepts."""
        nested: Any = "x"
        for _ in range(MAX_DEPTH):
            nested = [nested]
        book = ContactBook(
            Policy(first_match("email"), FIELDS, extra_fields=field(rule=replace))
        )
        book.upsert({"email": "a@x", "name": "x" * 1_000_000, "f": nested}, scope="é")

        assert ContactBook.load(book.policy, book.dump()).dump() == book.dump()
        with pytest.raises(errors.InvalidField, match="scope: must be Unicode"):
            book.upsert({"email": "a@x"}, scope="\ud800")

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            ({"id": "c-1"}, errors.InvalidField),
            ({"fields": {"email": "ADA@x.org"}}, errors.KeyInUse),
            ({"fields": {"city": "Oslo"}}, errors.UnknownField),
            ({"version": 0}, errors.InvalidField),
        ],
        ids=["id", "unique", "field", "version"],
    )
    def test_invalid_row_is_refused_by_its_number(
        self, change: dict[str, Any], error: type[Exception]
    ) -> None:
        """Two rows with one unique key included."""
        ada, bob = make_book().dump()
        with pytest.raises(errors.InvalidRows) as caught:
            ContactBook.load(POLICY, [ada, {**bob, **change}])

        (refusal,) = caught.value.refusals
        assert (type(refusal), refusal.row) == (error, 1)

    def test_shared_unique_keys_are_loaded_under_allow(self) -> None:
        policy = Policy(
            first_match("email"), FIELDS, on_key_in_use="allow", on_ambiguous="oldest"
        )
        book = make_book(policy, ADA, ADA)

        assert len(ContactBook.load(policy, book.dump())) == 2

    def test_book_fills_the_index_of_its_caller(self) -> None:
        index = ContactIndex(["email", "phone"])
        ContactBook(POLICY, index=index).upsert(ADA)

        assert index.holders("email", "ada@x.org")


MERGES = Policy(merge_all("email", "phone"), FIELDS)
BOTH = {"email": "ada@x.org", "phone": "+15550002"}


class TestMergedIds:
    """The id of an absorbed contact leads to the survivor."""

    def merged_book(self) -> ContactBook:
        """Make a book in which c-1 has absorbed c-2."""
        book = make_book(MERGES, ADA, BOB)
        assert book.upsert(BOTH).merged
        return book

    def test_merged_id_finds_the_survivor(self) -> None:
        """By get, by ``in``, and by the absorbed contact's keys."""
        book = self.merged_book()
        ada = book.get("c-1")

        assert book.get("c-2") is ada
        assert ("c-1" in book, "c-2" in book, len(book)) == (True, True, 1)
        assert book.find("phone", "+15550002") == (ada,)
        assert list(book) == [ada]
        book._index.check()

    def test_merged_id_cannot_be_deleted(self) -> None:
        """Deleting the survivor removes its merged ids too."""
        book = self.merged_book()
        before = book.dump()
        with pytest.raises(errors.UnknownContact) as caught:
            book.delete("c-2")
        assert (caught.value.id, book.dump()) == ("c-2", before)

        assert book.delete("c-1").merged_ids == ("c-2",)
        assert ("c-1" in book, "c-2" in book) == (False, False)
        with pytest.raises(errors.UnknownContact):
            book.get("c-2")

    def test_merged_id_is_not_given_to_a_new_contact(self) -> None:
        book = ContactBook.load(MERGES, self.merged_book().dump(), ids=lambda: "c-2")
        with pytest.raises(ValueError, match="a contact already has 'c-2'"):
            book.upsert({"email": "new@x.org", "name": "New"})
        assert len(book) == 1

        book.delete("c-1")
        assert book.upsert({"email": "new@x.org", "name": "New"}).contact.id == "c-2"

    def test_merged_id_survives_dump_and_load(self) -> None:
        book = self.merged_book()
        loaded_book = ContactBook.load(MERGES, book.dump())

        assert loaded_book.dump() == book.dump()
        assert loaded_book.get("c-2") == book.get("c-1")
        loaded_book._index.check()

    def test_merge_is_one_update_of_the_survivor(self) -> None:
        book = self.merged_book()
        ada = book.get("c-1")

        assert (ada.version, ada.created_at) == (2, NOW)
        assert ada.updated_at == NOW + timedelta(hours=2)
        assert book.upsert(BOTH).contact is ada

    def test_outcome_of_a_merge_copies_and_pickles(self) -> None:
        book = make_book(MERGES, ADA, BOB)
        outcome = book.upsert(BOTH)
        for outcome_copy in (
            copy.deepcopy(outcome),
            pickle.loads(pickle.dumps(outcome)),  # noqa: S301
        ):
            assert outcome_copy == outcome
            assert outcome_copy.contact.merged_ids == ("c-2",)
            assert outcome_copy.merged == outcome.merged

    def test_contact_of_another_scope_is_not_merged(self) -> None:
        book = make_book(MERGES, ADA)
        book.create(BOB, scope="s")
        outcome = book.upsert(BOTH)

        assert (outcome.result, len(book)) == ("updated", 2)

    def test_refused_merge_leaves_contacts_and_keys_unchanged(self) -> None:
        book = make_book(MERGES, ADA, BOB)
        before = book.dump()
        with pytest.raises(errors.InvalidField, match="ref: must not change"):
            book.upsert({**BOTH, "ref": "other"})

        assert book.dump() == before
        book._index.check()


class TestStaleMerges:
    """Plans that merge, applied after another write."""

    @pytest.mark.parametrize(
        ("write", "words"),
        [
            (
                lambda b: b.upsert({"phone": "+15550002", "name": "X"}),
                "contact c-2 is at version 2, not 1",
            ),
            (
                lambda b: b.upsert({"email": "ada@x.org", "name": "X"}),
                "contact c-1 is at version 2, not 1",
            ),
            (lambda b: b.delete("c-2"), "contact c-2 is gone"),
            (
                lambda b: b.upsert({"email": "bob@x.org", "phone": "+15550001"}),
                "contact c-1 was merged into c-2",
            ),
            (lambda b: b.upsert(BOTH), "contact c-1 is at version 2, not 1"),
            (
                lambda b: b.create(
                    {"email": "n@x.org", "phone": "+15550002", "name": "N"}
                ),
                "the contacts that hold its phone have changed",
            ),
        ],
        ids=["absorbed", "survivor", "deleted", "merged", "applied", "key"],
    )
    def test_merging_plan_after_a_conflicting_write_is_stale(
        self, write: Callable[[ContactBook], Any], words: str
    ) -> None:
        book = make_book(MERGES, ADA, BOB)
        plan = book.plan(BOTH)
        write(book)
        before = book.dump()
        with pytest.raises(errors.StalePlan, match=words):
            book.apply(plan)

        assert book.dump() == before
        book._index.check()

    def test_plan_is_stale_where_a_free_key_became_an_alias(self) -> None:
        lines = {**FIELDS, "email": field(key=normalize.email, keep_aliases=True)}
        book = make_book(Policy(first_match("email"), lines), ADA)
        plan = book.plan({"email": "new@x.org", "name": "New"})
        book.upsert({"email": "ada@x.org", "name": "A"})
        book._index.put(book.get("c-1"), [["ada@x.org", "new@x.org"], ["+15550001"]])
        with pytest.raises(errors.StalePlan, match="that hold its email"):
            book.apply(plan)

    def test_unrelated_write_leaves_the_plan_valid(self) -> None:
        book = make_book(MERGES, ADA, BOB)
        plan = book.plan(BOTH)
        book.upsert({"email": "new@x.org", "name": "New"})

        assert book.apply(plan).merged
        with pytest.raises(errors.StalePlan):
            book.apply(plan)


class TestFindSeveral:
    """Find by a key of several fields."""

    POLICY = Policy(
        first_match("person", "email"),
        {**FIELDS, "born": field()},
        keys={"person": key("name", "born", normalize=normalize.text)},
    )

    def test_find_takes_a_mapping_of_all_its_fields(self) -> None:
        """A mapping that lacks a field finds no contact."""
        book = make_book(self.POLICY, {**ADA, "born": "1815"})
        ada = (book.get("c-1"),)

        assert book.find("person", {"name": "ADA", "born": "1815"}) == ada
        assert book.find("person", {"name": "ADA"}) == ()
        assert book.find("person", {"name": "ADA", "born": "1816"}) == ()
        assert book.find("person", {"name": "ADA", "born": "1815"}, scope="s") == ()

    @pytest.mark.parametrize(
        ("name", "value", "words"),
        [
            ("person", "Ada", "value: must be a mapping of name, born"),
            ("person", None, "value: must be a mapping of name, born"),
            ("person", {"name": "Ada", "x": 1}, "value: must be a mapping of name"),
            ("person", {"name": {1}}, "value.name: must be text"),
            ("name", "Ada", "key: must be one of email, phone, person, not 'name'"),
            ("born", "1815", "key: must be one of email, phone, person"),
        ],
        ids=map(str, range(6)),
    )
    def test_find_with_an_unfit_value_or_key_is_refused(
        self, name: str, value: Any, words: str
    ) -> None:
        """The message names the right form."""
        with pytest.raises(errors.InvalidField, match=words):
            make_book(self.POLICY, ADA).find(name, value)


class TestClocks:
    """Fields under rule ``latest``, over several calls."""

    POLICY = Policy(
        first_match("email"),
        {
            "email": field(key=normalize.email, unique=True),
            "name": field(rule=latest(by="at")),
            "at": field(rule=latest(by="at")),
        },
    )

    def test_new_clock_is_an_update(self) -> None:
        """The contact that was read before does not change."""
        book = make_book(self.POLICY, {"email": "a@x", "name": "A", "at": 1})
        before = book.get("c-1")
        outcome = book.upsert({"email": "a@x", "name": "A", "at": 2})

        assert (outcome.contact.version, outcome.updated) == (2, True)
        assert outcome.contact.updated_at == NOW + timedelta(hours=1)
        assert before.clocks == {"name": 1, "at": 1}
        assert outcome.contact.clocks == {"name": 2, "at": 2}
        assert book.upsert({"email": "a@x", "name": "B", "at": 1}).unchanged

    def test_batch_of_events_has_one_result_in_either_order(self) -> None:
        patches = [{"email": "a@x", "name": f"{at}", "at": at} for at in (3, 1, 2)]
        contents = []
        for order in (patches, patches[::-1]):
            book = ContactBook(self.POLICY)
            book.upsert_many(order)
            contents.append([(contact.fields, contact.clocks) for contact in book])

        assert contents[0] == contents[1]
        assert contents[0][0][0]["name"] == "3"

    def test_value_without_its_clock_is_refused(self) -> None:
        """The message names the clock field, and nothing is stored."""
        book = make_book(self.POLICY, {"email": "a@x", "name": "A", "at": 1})
        with pytest.raises(errors.InvalidField, match="at: must be text or a number"):
            book.upsert({"email": "a@x", "name": "B"})

        assert book.upsert({"email": "a@x"}).unchanged


class FunctionError(Exception):
    """Raised by an application's function."""


def raise_error(*_: Any) -> Any:
    raise FunctionError("boom")


class TestApplicationFunctions:
    """Application functions that raise, return invalid values, or call the book."""

    NEW: dict[str, Any] = {"email": "new@x.org", "name": "New"}  # noqa: RUF012

    @pytest.mark.parametrize(
        "policy",
        [
            Policy(first_match("email"), {**FIELDS, "email": field(key=raise_error)}),
            Policy(first_match("email"), {**FIELDS, "name": field(clean=raise_error)}),
            Policy(
                first_match("email"),
                {**FIELDS, "name": field(rule=custom(raise_error))},
            ),
        ],
        ids=["normaliser", "clean", "rule"],
    )
    def test_exception_of_a_function_is_raised_and_nothing_is_written(
        self, policy: Policy
    ) -> None:
        book = ContactBook(policy)
        with pytest.raises(FunctionError):
            book.upsert(self.NEW)

        assert len(book) == 0
        book._index.check()

    @pytest.mark.parametrize(
        ("options", "error", "words"),
        [
            ({"ids": raise_error}, FunctionError, "boom"),
            ({"clock": raise_error}, FunctionError, "boom"),
            ({"ids": lambda: 7}, TypeError, "ids: must return a non-empty str, got 7"),
            ({"ids": lambda: "\ud800"}, ValueError, "lone surrogates"),
            ({"ids": lambda: ""}, TypeError, "ids: must return a non-empty"),
            ({"clock": lambda: 7}, TypeError, "clock: must return an aware time"),
            ({"clock": lambda: datetime(2024, 1, 1)}, TypeError, "aware"),  # noqa: DTZ001
            ({"ids": lambda: "c-1"}, ValueError, "a contact already has 'c-1'"),
        ],
        ids=map(str, range(8)),
    )
    def test_invalid_result_of_ids_or_clock_is_an_error(
        self, options: Any, error: type[Exception], words: str
    ) -> None:
        book = ContactBook.load(POLICY, make_book().dump(), **options)
        before = book.dump()
        with pytest.raises(error, match=words):
            book.upsert(self.NEW)

        assert book.dump() == before

    def test_write_by_a_function_is_kept(self) -> None:
        """The call is decided on it."""
        book: ContactBook

        def clean(value: Any) -> Any:
            book.upsert({"email": "inner@x.org", "name": "Inner"})
            return value

        policy = Policy(
            first_match("email"), {**FIELDS, "phone": field(key=str, clean=clean)}
        )
        book = ContactBook(policy)
        book.upsert({"email": "outer@x.org", "name": "Outer", "phone": "1"})

        assert ["Inner", "Outer"] == [contact["name"] for contact in book]

    def test_function_that_always_writes_is_an_error(self) -> None:
        """Its call gives up after a number of attempts."""
        book: ContactBook

        def toggle(_stored: Any, sent: Any) -> Any:
            holders = book.find("email", "new@x.org")
            for contact in holders:
                book.delete(contact.id)
            if not holders:
                book.create({**self.NEW})
            return sent

        policy = Policy(
            first_match("email"), {**FIELDS, "ref": field(rule=custom(toggle))}
        )
        book = ContactBook(policy)
        with pytest.raises(RuntimeError, match="changed during each of many attempts"):
            book.upsert({**self.NEW, "ref": "x"})

        book._index.check()

    def test_error_of_an_overtaken_attempt_is_discarded(self) -> None:
        """The call is repeated on the new state."""
        book: ContactBook
        calls = count()

        def merge_or_raise(_stored: Any, sent: Any) -> Any:
            if next(calls) == 0:
                book.upsert({**self.NEW, "name": "Eve"})
                raise ValueError("must wait")
            return sent

        policy = Policy(
            first_match("email"), {**FIELDS, "ref": field(rule=custom(merge_or_raise))}
        )
        book = ContactBook(policy)
        book.upsert({**self.NEW, "name": "Ada"})
        patch = {"email": self.NEW["email"], "ref": "x"}
        outcome = book.upsert(patch, idempotency_key="k")

        assert ("x", "Eve") == (outcome.contact["ref"], outcome.contact["name"])

    @pytest.mark.parametrize(("atomic", "conflicts"), [(False, 6), (True, 3)])
    def test_overtaken_call_queues_before_other_writers(
        self,
        monkeypatch: pytest.MonkeyPatch,
        atomic: bool,  # noqa: FBT001 - pytest passes it by name
        conflicts: int,
    ) -> None:
        """After a few conflicts, of which a single call has three on the fast path."""
        monkeypatch.setattr(queue, "_QUEUE_SECONDS", 60.0)
        names = count()
        threads: list[threading.Thread] = []
        book: ContactBook

        def rename(_stored: Any, sent: Any) -> Any:
            patch = {**self.NEW, "name": f"{next(names)}"}
            thread = threading.Thread(target=lambda: book.upsert(patch))
            thread.start()
            if len(threads) < conflicts:
                thread.join()
            threads.append(thread)
            return sent

        policy = Policy(
            first_match("email"), {**FIELDS, "ref": field(rule=custom(rename))}
        )
        book = ContactBook(policy)
        patch = {**self.NEW, "ref": "x"}
        if atomic:
            outcome = book.upsert_many([patch], atomic=True)[0]
            assert isinstance(outcome, Outcome)
        else:
            outcome = book.upsert(patch)
        for thread in threads:
            thread.join()

        assert (outcome.contact["name"], next(names)) == ("New", conflicts + 1)
        assert [(f"{conflicts}", "x")] == [
            (contact["name"], contact["ref"]) for contact in book
        ]
        book._index.check()

    def test_queued_call_yields_to_the_thread_its_function_joins(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The joined thread writes first, after a time limit."""
        monkeypatch.setattr(queue, "_QUEUE_SECONDS", 0.001)
        names = count()
        book: ContactBook

        def rename(_stored: Any, sent: Any) -> Any:
            number = next(names)
            if number < 8:
                patch = {**self.NEW, "name": f"{number}"}
                thread = threading.Thread(target=lambda: book.upsert(patch))
                thread.start()
                thread.join()
            return sent

        policy = Policy(
            first_match("email"), {**FIELDS, "ref": field(rule=custom(rename))}
        )
        book = ContactBook(policy)
        outcome = book.upsert({**self.NEW, "ref": "x"})

        assert (outcome.contact["name"], next(names)) == ("New", 9)
        book._index.check()

    def test_write_of_an_unrelated_contact_repeats_no_decision(self) -> None:
        book: ContactBook
        calls = count()

        def clean(value: Any) -> Any:
            book.upsert({"email": f"{next(calls)}@x.org", "name": "Else"})
            return value

        policy = Policy(first_match("email"), {**FIELDS, "ref": field(clean=clean)})
        book = ContactBook(policy)
        book.upsert({**self.NEW, "ref": "x"})

        assert next(calls) == 1
        assert ["Else", "New"] == [contact["name"] for contact in book]

    def test_error_on_an_outdated_state_is_discarded(self) -> None:
        book: ContactBook
        calls = count()

        def merge(_stored: Any, sent: Any) -> Any:
            if next(calls) == 0:
                book.upsert({**self.NEW})
                raise ValueError("too early")
            return sent

        policy = Policy(
            first_match("email"), {**FIELDS, "ref": field(rule=custom(merge))}
        )
        book = ContactBook(policy)

        assert book.upsert({**self.NEW, "ref": "x"}).updated

    def test_function_may_wait_for_another_thread(self) -> None:
        """Application functions run without the lock, so there is no deadlock."""
        book: ContactBook

        def run_in_thread(call: Callable[[], Any]) -> None:
            thread = threading.Thread(target=call, daemon=True)
            thread.start()
            thread.join(20)
            assert not thread.is_alive()

        def clean(value: Any) -> Any:
            run_in_thread(lambda: book.upsert(BOB))
            run_in_thread(lambda: book.find("email", "bob@x.org"))
            return value

        policy = Policy(first_match("email"), {**FIELDS, "ref": field(clean=clean)})
        book = ContactBook(policy)
        run_in_thread(lambda: book.upsert(ADA))

        assert ["Bob", "Ada"] == [contact["name"] for contact in book]


def test_time_with_a_zone_reads_back_equal() -> None:
    """The offset of the moment is stored, not the zone."""
    night = datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    book = ContactBook(Policy(first_match("email"), FIELDS), clock=lambda: night)
    contact = book.upsert({"email": "a@x", "name": "A"}).contact

    assert contact.created_at.utcoffset() == timedelta(hours=2)
    assert Contact.from_dict(contact.to_dict()) == contact
    latest_time = datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))
    book = ContactBook(Policy(first_match("email"), FIELDS), clock=lambda: latest_time)
    with pytest.raises(ValueError, match="clock: must return a time that UTC"):
        book.upsert({"email": "a@x", "name": "A"})
    assert len(book) == 0


def test_find_by_an_unknown_key_is_refused() -> None:
    """The message lists the keys."""
    name: Any = ["email"]
    book = ContactBook(Policy(first_match("email"), FIELDS))
    with pytest.raises(errors.InvalidField, match="key: must be one of email"):
        book.find(name, "a@x")
    book = ContactBook(Policy(never(), {"name": field()}))
    with pytest.raises(errors.InvalidField, match="key: 'name' is unknown"):
        book.find("name", "a")


def test_second_merge_keeps_the_merged_ids_of_the_first() -> None:
    """In the order of the merges."""
    lines = {name: field(key=normalize.exact) for name in ("a", "b", "c")}
    numbers = count(1)
    book = ContactBook(Policy(merge_all(*lines), lines), ids=lambda: str(next(numbers)))
    for name in lines:
        book.create({name: 1})
    book.upsert({"a": 1, "b": 1})
    contact = book.upsert({"a": 1, "c": 1}).contact

    assert contact.merged_ids == ("2", "3")
    assert [contact, contact] == [book.get("2"), book.get("3")]
    assert book.delete("1") == contact
    assert "2" not in book


class Text(str):
    """Text of a subclass."""

    __slots__ = ()


def test_ids_and_key_names_of_a_subclass_of_str_are_taken_as_text() -> None:
    policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    ids = iter(["c-1", "c-2", "c-3"]).__next__
    book = ContactBook(policy, ids=ids)
    for number in range(3):
        book.upsert({"email": f"u{number}@x.org"})

    assert book.merge(Text("c-1"), Text("c-2")).merged[0].id == "c-2"
    assert book.find(Text("email"), "u0@x.org") == (book.get(Text("c-1")),)
    assert book.purge(Text("c-3")) == 0
    assert [contact.id for contact in book] == ["c-1"]


def test_one_id_in_two_scopes_names_two_contacts() -> None:
    """By every verb that takes an id; ``ids`` may return the same id in both."""
    fields = {"email": field(key=normalize.email, unique=True), "name": field()}
    policy = Policy(first_match("email"), fields)
    book = ContactBook(policy, ids=lambda: "c-1", retain_changes=None)
    for scope in ("north", "south"):
        book.upsert({"email": "ada@x.org", "name": scope}, scope=scope)
    with pytest.raises(ValueError, match="already has 'c-1'"):
        book.upsert({"email": "eve@x.org"}, scope="north")

    names = [book.get("c-1", scope=scope)["name"] for scope in ("north", "south")]
    assert names == ["north", "south"]
    assert [contact.scope for contact in book] == ["north", "south"]
    assert len(book) == len(book.duplicates("email")) + 2
    assert ContactBook.load(policy, book.dump()).dump() == book.dump()
    assert ContactBook.from_changes(policy, book.changes_since()).dump() == book.dump()
    book.delete("c-1", scope="north")
    assert (("north", "c-1") in book, ("south", "c-1") in book) == (False, True)
    assert book.purge("c-1", scope="south") == 1
    assert len(book) == 0

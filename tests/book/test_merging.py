"""Merge, dedupe, and their undo."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from tests.field_options import merging
from upsertcore import (
    ContactBook,
    Outcome,
    Policy,
    errors,
    field,
    first_match,
    key,
    merge_all,
    normalize,
)
from upsertcore.rules import custom, immutable, largest, latest, union

NOW = datetime(2024, 1, 2, tzinfo=UTC)
FIELDS: dict[str, Any] = {
    "email": field(key=normalize.email, unique=True),
    "phone": field(key=normalize.phone),
    "name": field(),
    "tags": field(rule=union),
}
POLICY = Policy(first_match("email", "phone"), merging(FIELDS, {"tags": union}))
ADA = {"email": "ada@x", "tags": ["a"]}
EVE = {"email": "eve@x", "phone": "+15550002", "name": "Eve", "tags": ["e"]}
BOB = {"email": "bob@x", "phone": "+15550003", "name": "Bob", "tags": ["b"]}


def make_book(
    policy: Policy = POLICY, *patches: dict[str, Any], scope: str = ""
) -> ContactBook:
    """Make a book of contacts c-1, c-2, ...; its clock advances an hour per call."""
    ids, hours = count(1), count()
    book = ContactBook(
        policy,
        ids=lambda: f"c-{next(ids)}",
        clock=lambda: NOW + timedelta(hours=next(hours)),
    )
    for patch in patches or (ADA, EVE, BOB):
        book.create(patch, scope=scope)
    return book


class TestMerge:
    """Several contacts become one, by the rules of ``absorb``."""

    def test_merge_keeps_fills_and_joins_fields(self) -> None:
        """The survivor's values stay, missing ones are filled, lists are joined."""
        book = make_book()
        ada, eve, bob = book
        outcome = book.merge("c-1", "c-2", "c-3")
        survivor = book.get("c-1")

        assert (outcome.result, outcome.contact, outcome.before) == (
            "merged",
            survivor,
            ada,
        )
        assert outcome.merged == (eve, bob)
        assert survivor.to_dict()["fields"] == {**EVE, **ADA, "tags": ["a", "e", "b"]}
        assert (survivor.version, survivor.merged_ids) == (2, ("c-2", "c-3"))
        assert (survivor.created_at, survivor.updated_at) == (
            NOW,
            NOW + timedelta(hours=3),
        )
        assert outcome.matched_by is None
        book._index.check()

    def test_first_absorbed_value_fills_a_missing_field(self) -> None:
        book = make_book()

        assert book.merge("c-1", "c-3", "c-2").contact["name"] == "Bob"
        assert book.get("c-1").merged_ids == ("c-3", "c-2")

    def test_ids_and_keys_of_absorbed_contacts_lead_to_the_survivor(self) -> None:
        """Keys that the survivor does not take are free."""
        book = make_book()
        book.merge("c-1", "c-2")
        book.merge("c-3", "c-1")

        assert [contact.id for contact in book] == ["c-3"]
        assert {book.get(id).id for id in ("c-1", "c-2", "c-3")} == {"c-3"}
        assert book.get("c-3").merged_ids == ("c-1", "c-2")
        assert book.upsert({"email": "eve@x"}).created
        book._index.check()

    def test_merge_follows_merged_ids(self) -> None:
        """As survivor and as absorbed."""
        book = make_book()
        book.merge("c-1", "c-2")
        outcome = book.merge("c-2", "c-3", "c-3")

        assert (outcome.contact.id, len(outcome.merged)) == ("c-1", 1)
        assert book.get("c-1").merged_ids == ("c-2", "c-3")

    @pytest.mark.parametrize("others", [("c-1",), ("c-3", "c-2"), ("c-2", "c-2")])
    def test_survivor_among_the_others_is_refused_or_ignored(
        self, others: tuple[str, ...]
    ) -> None:
        book = make_book()
        book.merge("c-1", "c-2")
        before = book.dump()
        with pytest.raises(
            errors.InvalidField, match="is the survivor itself"
        ) as caught:
            book.merge("c-1", *others)

        assert (caught.value.field, caught.value.value) == ("others", "c-1")
        assert book.dump() == before
        outcome = book.merge("c-2", *others, on_itself="ignore")
        assert outcome.result == ("merged" if "c-3" in others else "unchanged")

    def test_merge_with_no_other_contact_is_unchanged(self) -> None:
        book = make_book()
        ada = book.get("c-1")
        for outcome in (
            book.merge("c-1"),
            book.merge("c-1", "c-1", on_itself="ignore"),
        ):
            assert (outcome.result, outcome.merged) == ("unchanged", ())
            assert outcome.contact is ada
            assert outcome.changes == ()

    def test_merge_of_a_deleted_contact_with_itself_leaves_it_deleted(self) -> None:
        policy = Policy(first_match("email", "phone"), FIELDS, on_deleted="restore")
        book = make_book(policy)
        deleted = book.delete("c-1")
        outcome = book.merge("c-1", "c-1", on_itself="ignore")

        assert outcome.result == "unchanged"
        assert outcome.contact is deleted
        assert book.get("c-1").deleted_at is not None

    def test_unknown_on_itself_is_an_error(self) -> None:
        choice: Any = "skip"
        with pytest.raises(ValueError, match="on_itself: must be 'refuse' or"):
            make_book().merge("c-1", "c-2", on_itself=choice)

    @pytest.mark.parametrize(
        "ids", [("c-9",), ("c-9", "c-1"), ("c-1", "c-9"), ("c-1", "c-2", "")]
    )
    def test_merge_with_an_unknown_id_changes_nothing(
        self, ids: tuple[str, ...]
    ) -> None:
        book = make_book()
        before = book.dump()
        with pytest.raises(errors.UnknownContact):
            book.merge(*ids)

        assert book.dump() == before
        book._index.check()

    @pytest.mark.parametrize("id", [["c-2"], 7, None, b"c-2"])
    def test_merge_with_an_id_that_is_no_text_is_refused(self, id: Any) -> None:
        book = make_book()
        for ids in ((id, "c-1"), ("c-1", id)):
            with pytest.raises(errors.UnknownContact) as caught:
                book.merge(*ids)
            assert caught.value.id == id

        assert len(book) == 3

    def test_id_of_another_scope_is_unknown_to_every_verb(self) -> None:
        book = make_book(POLICY, ADA, scope="s")
        book.create(EVE, scope="t")
        for call in (
            lambda: book.merge("c-1", "c-2", scope="s"),
            lambda: book.merge("c-2", "c-1", scope="s"),
            lambda: book.get("c-2", scope="s"),
            lambda: book.get("c-2"),
            lambda: book.delete("c-2", scope="s"),
            lambda: book.purge("c-2", scope="s"),
        ):
            with pytest.raises(errors.UnknownContact, match="no contact has 'c-2'"):
                call()

        assert len(book) == 2
        assert (("t", "c-2") in book, ("s", "c-2") in book) == (True, False)
        assert book.get("c-2", scope="t")["email"] == EVE["email"]

    @pytest.mark.parametrize("on_key_in_use", ["refuse", "withhold", "allow"])
    def test_merge_that_makes_a_key_in_use_is_refused_or_allowed(
        self, on_key_in_use: Any
    ) -> None:
        """No value is withheld from a merge."""
        person = key("first", "last", normalize=normalize.text, unique=True)
        policy = Policy(
            first_match("person"),
            {"first": field(), "last": field()},
            keys={"person": person},
            on_key_in_use=on_key_in_use,
        )
        book = make_book(policy, {"first": "Ada"}, {"last": "King"})
        book.create({"first": "ADA", "last": "KING"})
        if on_key_in_use == "allow":
            outcome = book.merge("c-1", "c-2")
            assert (outcome.result, outcome.also_matched) == ("merged", ("c-3",))
            return
        before = book.dump()
        with pytest.raises(errors.KeyInUse) as caught:
            book.merge("c-1", "c-2")

        assert (caught.value.field, caught.value.holder) == ("person", "c-3")
        assert book.dump() == before
        book._index.check()

    def test_merge_beyond_max_forms_is_refused(self) -> None:
        email = field(key=normalize.email, rule=union, max_forms=1)
        policy = Policy(
            first_match("email"), merging({"email": email}, {"email": union})
        )
        book = make_book(policy, {"email": ["a@x"]}, {"email": ["b@x"]})
        with pytest.raises(errors.InvalidField, match="must have one key per contact"):
            book.merge("c-1", "c-2")

        assert len(book) == 2

    @pytest.mark.parametrize(
        ("absorbed_value", "result"), [("r", "merged"), ("s", None)]
    )
    def test_immutable_absorb_refuses_different_values(
        self, absorbed_value: str, result: str | None
    ) -> None:
        lines = {**FIELDS, "ref": field()}
        policy = Policy(first_match("email"), merging(lines, {"ref": immutable}))
        book = make_book(policy, {**ADA, "ref": "r"}, {**EVE, "ref": absorbed_value})
        if result is None:
            with pytest.raises(errors.InvalidField, match="ref: must not change"):
                book.merge("c-1", "c-2")
            assert len(book) == 2
        else:
            assert book.merge("c-1", "c-2").result == result

    def test_on_found_refuse_refuses_a_merge(self) -> None:
        """``"ignore"`` does not."""
        book = make_book(Policy(first_match("email"), FIELDS, on_found="refuse"))
        with pytest.raises(errors.UpdateRefused):
            book.merge("c-1", "c-2")
        assert book.merge("c-1").unchanged
        assert len(book) == 3

        book = make_book(Policy(first_match("email"), FIELDS, on_found="ignore"))
        assert book.merge("c-1", "c-2").merged

    def test_missing_field_with_a_clock_is_not_absorbed(self) -> None:
        lines = {**FIELDS, "at": field(), "city": field(rule=latest(by="at"))}
        last = custom(lambda _stored, sent: sent, name="last")
        policy = Policy(first_match("email"), merging(lines, {"city": last}))
        ada, eve = {"city": "Oslo", "at": 1}, {"city": None, "at": 2}
        book = make_book(policy, {**ADA, **ada}, {**EVE, **eve})

        assert book.get("c-2").clocks == {"city": 2}
        assert book.merge("c-1", "c-2").contact["city"] == "Oslo"

    def test_merge_keeps_the_value_of_the_later_clock(self) -> None:
        last_updated = latest(by="at")
        lines = {
            **FIELDS,
            "at": field(rule=last_updated),
            "city": field(rule=last_updated),
        }
        earlier_fields, later_fields = (
            {"at": 1, "city": "Oslo"},
            {"at": 2, "city": "Bergen"},
        )
        book = make_book(
            Policy(first_match("email"), lines),
            {**ADA, **earlier_fields},
            {**EVE, **later_fields},
        )
        survivor = book.merge("c-1", "c-2").contact

        assert (survivor["city"], dict(survivor.clocks)) == (
            "Bergen",
            {"at": 2, "city": 2},
        )

    def test_absorbed_form_becomes_an_alias(self) -> None:
        lines = {
            **FIELDS,
            "email": field(key=normalize.email, unique=True, keep_aliases=True),
        }
        book = make_book(Policy(merge_all("email"), lines))
        book.merge("c-1", "c-2")

        assert dict(book.get("c-1").aliases) == {"email": ("eve@x",)}
        assert [contact.id for contact in book.find("email", "EVE@x")] == ["c-1"]

    def test_exception_of_a_rule_leaves_the_book_unchanged(self) -> None:
        def raise_error(_stored: Any, _absorbed: Any) -> Any:
            raise ArithmeticError("boom")

        book = make_book(
            Policy(first_match("email"), merging(FIELDS, {"tags": custom(raise_error)}))
        )
        before = book.dump()
        with pytest.raises(ArithmeticError, match="boom"):
            book.merge("c-1", "c-2")

        assert book.dump() == before

    def test_merge_overtaken_by_its_rule_is_repeated(self) -> None:
        """The rule's write is kept."""
        book: ContactBook
        calls = count()

        def larger(stored_value: Any, absorbed_value: Any) -> Any:
            if next(calls) == 0:
                book.upsert({"email": "eve@x", "name": "Eva"})
            return max(stored_value, absorbed_value)

        lines = {"email": FIELDS["email"], "name": field(), "age": field(rule=largest)}
        policy = Policy(first_match("email"), merging(lines, {"age": custom(larger)}))
        book = make_book(
            policy, {"email": "ada@x", "age": 1}, {"email": "eve@x", "age": 2}
        )
        outcome = book.merge("c-1", "c-2")

        assert (outcome.contact["age"], outcome.contact["name"]) == (2, "Eva")
        assert next(calls) == 2

    def test_survivor_merged_by_a_rule_is_followed(self) -> None:
        book: ContactBook
        calls = count()

        def merge_and_join(stored_value: Any, absorbed_value: Any) -> Any:
            if next(calls) == 0:
                book.merge("c-1", "c-2")
            return (*stored_value, *absorbed_value)

        book = make_book(
            Policy(
                first_match("email"), merging(FIELDS, {"tags": custom(merge_and_join)})
            )
        )
        outcome = book.merge("c-2", "c-3")

        assert (outcome.contact.id, outcome.contact.merged_ids) == (
            "c-1",
            ("c-2", "c-3"),
        )
        assert outcome.contact["tags"] == ("a", "e", "b")
        book._index.check()


def create(book: ContactBook) -> Outcome:
    """Create a contact."""
    return book.create({"email": "new@x", "tags": ["n"]})


def update(book: ContactBook) -> Outcome:
    """Update the second contact."""
    return book.upsert({"email": "eve@x", "phone": None, "name": "Eva"})


def merge(book: ContactBook) -> Outcome:
    """Merge the first and the third contact into the second."""
    return book.merge("c-2", "c-3", "c-1")


class TestUndo:
    """Undo restores the state before a call."""

    @pytest.mark.parametrize("call", [create, update, merge])
    def test_undo_restores_the_dump(self, call: Callable[..., Outcome]) -> None:
        """Versions, times, order of creation and ids included."""
        book = make_book()
        before = book.dump()
        outcome = call(book)
        assert book.dump() != before
        undo_outcome = book.undo(outcome)

        assert book.dump() == before
        assert (undo_outcome.result, undo_outcome.before) == ("undone", outcome.contact)
        assert undo_outcome.contact == (outcome.before or outcome.contact)
        assert undo_outcome.merged == outcome.merged
        book._index.check()

    @pytest.mark.parametrize("call", [update, merge])
    def test_undo_restores_the_holders_of_keys(
        self, call: Callable[..., Outcome]
    ) -> None:
        """Oldest first."""
        book = make_book(POLICY, ADA, EVE, {**BOB, "phone": "+15550002"})
        outcome = call(book)
        book.undo(outcome)

        assert [contact.id for contact in book.find("phone", "+15550002")] == [
            "c-2",
            "c-3",
        ]
        assert [
            [contact.id for contact in book.find("email", f"{name}@x")]
            for name in ("ada", "bob")
        ] == [
            ["c-1"],
            ["c-3"],
        ]

    def test_undo_of_an_unchanged_outcome_returns_it(self) -> None:
        """Also after later changes of the contact."""
        book = make_book()
        outcome = book.upsert(ADA)
        book.delete("c-1")

        assert book.undo(outcome) is outcome

    def test_copied_or_pickled_outcome_can_be_undone(self) -> None:
        copies: list[Callable[[Outcome], Outcome]] = [
            lambda outcome: pickle.loads(pickle.dumps(outcome)),  # noqa: S301
            copy.deepcopy,
        ]
        for copy_outcome in copies:
            book = make_book()
            before = book.dump()
            book.undo(copy_outcome(merge(book)))

            assert book.dump() == before

    def test_undo_restores_aliases_and_clocks(self) -> None:
        last_updated = latest(by="at")
        lines = {
            "email": field(key=normalize.email, unique=True, keep_aliases=True),
            "id": field(key=normalize.exact),
            "at": field(rule=last_updated),
        }
        book = make_book(
            Policy(first_match("id"), lines), {"id": 1, "email": "a@x", "at": 1}
        )
        outcome = book.upsert({"id": 1, "email": "b@x", "at": 9})
        assert dict(outcome.contact.aliases) == {"email": ("a@x",)}
        restored_contact = book.undo(outcome).contact

        assert (dict(restored_contact.aliases), dict(restored_contact.clocks)) == (
            {},
            {"at": 1},
        )
        assert book.find("email", "b@x") == ()
        assert book.upsert({"id": 1, "email": "c@x", "at": 2}).contact["at"] == 2

    def test_undo_of_all_calls_in_reverse_restores_each_state(self) -> None:
        book = ContactBook(POLICY)
        dumps, outcomes = [], []
        calls: list[Callable[[], Outcome]] = [
            lambda: book.create(ADA),
            lambda: book.create(EVE),
            lambda: book.create(BOB),
            lambda: book.merge(*[contact.id for contact in book][1:]),
            lambda: book.upsert({"email": "ada@x", "name": "Ada"}),
            lambda: book.merge(*[contact.id for contact in book]),
        ]
        for call in calls:
            dumps.append(book.dump())
            outcomes.append(call())
        for dump, outcome in zip(reversed(dumps), reversed(outcomes), strict=True):
            book.undo(outcome)
            assert book.dump() == dump
            book._index.check()

    def test_undo_of_a_merging_patch_restores_the_contacts(self) -> None:
        book = make_book(Policy(merge_all("email", "phone"), FIELDS))
        before = book.dump()
        outcome = book.upsert({"email": "ada@x", "phone": "+15550002", "name": "Ada"})
        assert outcome.merged
        book.undo(outcome)

        assert book.dump() == before

    def test_undo_restores_earlier_merged_ids(self) -> None:
        book = make_book()
        book.merge("c-2", "c-3")
        outcome = book.merge("c-1", "c-2")
        book.undo(outcome)

        assert [book.get(f"c-{n}").id for n in (1, 2, 3)] == ["c-1", "c-2", "c-2"]

    def test_undo_of_a_creation_frees_its_id(self) -> None:
        book = ContactBook(POLICY, ids=lambda: "c-1")
        outcome = book.create(ADA)
        book.undo(outcome)
        assert ("c-1" in book, len(book)) == (False, 0)
        assert book.create(ADA).contact.id == "c-1"

    @pytest.mark.parametrize(
        ("call", "later_call", "words"),
        [
            (update, lambda b: b.upsert({"email": "eve@x", "name": "E"}), "(name)"),
            (update, lambda b: b.upsert({"email": "eve@x", "name": "E"}), "version 3"),
            (create, lambda b: b.delete("c-4"), "contact c-4 is gone"),
            (update, lambda b: b.merge("c-1", "c-2"), "c-2 was merged into c-1"),
            (merge, lambda b: b.upsert({"email": "eve@x", "name": "E"}), "not 2"),
            (
                merge,
                lambda b: b.create({"email": "ada@x"}),
                "contact c-4 holds its former email",
            ),
            (merge, lambda b: b.delete("c-2"), "contact c-2 is gone"),
        ],
        ids=map(str, range(7)),
    )
    def test_outcome_before_a_later_change_is_stale(
        self,
        call: Callable[..., Outcome],
        later_call: Callable[..., object],
        words: str,
    ) -> None:
        """The refusal names the later change."""
        book = make_book()
        outcome = call(book)
        later_call(book)
        before = book.dump()
        with pytest.raises(errors.StaleOutcome) as caught:
            book.undo(outcome)

        assert words in caught.value.reason
        assert book.dump() == before
        book._index.check()

    def test_field_changed_and_changed_back_is_not_named(self) -> None:
        """The outcome is stale by its version."""
        book = make_book()
        outcome = update(book)
        for name in ("E", "Eva"):
            book.upsert({"email": "eve@x", "name": name})
        with pytest.raises(errors.StaleOutcome) as caught:
            book.undo(outcome)

        assert caught.value.reason == "contact c-2 is at version 4, not 2"

    def test_undo_of_an_undone_call_or_of_an_undo_is_refused(self) -> None:
        book = make_book()
        outcome = update(book)
        undo_outcome = book.undo(outcome)
        for stale in (outcome, undo_outcome):
            with pytest.raises(errors.StaleOutcome):
                book.undo(stale)

        undone_creation = book.undo(create(book))
        with pytest.raises(errors.StaleOutcome, match="was put back already"):
            book.undo(undone_creation)

    def test_unique_key_in_use_since_makes_the_outcome_stale(self) -> None:
        """Except under ``on_key_in_use="allow"``."""
        choices: Any = "refuse", "allow"
        for on_key_in_use in choices:
            policy = Policy(first_match("phone"), FIELDS, on_key_in_use=on_key_in_use)
            book = make_book(policy, EVE)
            outcome = book.upsert({"phone": "+15550002", "email": "eva@x"})
            book.create({"email": "EVE@x"})
            if on_key_in_use == "allow":
                assert book.undo(outcome).contact["email"] == "eve@x"
                assert [contact.id for contact in book.find("email", "eve@x")] == [
                    "c-1",
                    "c-2",
                ]
            else:
                with pytest.raises(errors.StaleOutcome, match="contact c-2 holds"):
                    book.undo(outcome)
            book._index.check()

    def test_key_of_another_scope_does_not_prevent_undo(self) -> None:
        book = make_book(POLICY, EVE)
        outcome = book.upsert({"phone": "+15550002", "email": "eva@x"})
        book.create({"email": "eve@x"}, scope="s")

        assert book.undo(outcome).contact["email"] == "eve@x"

    def test_exception_of_a_normaliser_leaves_the_book_unchanged(self) -> None:
        fails: list[Any] = []

        def normaliser(value: Any) -> str:
            if fails:
                raise ArithmeticError("boom")
            return str(value)

        lines = {"id": field(key=normaliser), "name": field()}
        book = make_book(Policy(first_match("id"), lines), {"id": "1", "name": "A"})
        outcome = book.upsert({"id": "1", "name": "B"})
        before = book.dump()
        fails.append(1)
        with pytest.raises(ArithmeticError):
            book.undo(outcome)

        assert book.dump() == before


def test_merge_from_before_loading_cannot_be_undone() -> None:
    """The places of absorbed contacts are not in the dump."""
    book = make_book()
    outcome = merge(book)
    loaded_book = ContactBook.load(POLICY, book.dump())
    with pytest.raises(errors.StaleOutcome, match="was merged before it was loaded"):
        loaded_book.undo(outcome)

    assert loaded_book.dump() == book.dump()
    loaded_book._index.check()


class TestIdsOfRemovedContacts:
    """An id is free once its contact is removed, and not before."""

    @pytest.mark.parametrize("id", ["c-1", "c-2"])
    def test_ids_of_a_deleted_survivor_are_free(self, id: str) -> None:
        ids = iter(["c-1", "c-2", *[id] * 2])
        book = ContactBook(POLICY, ids=ids.__next__)
        for patch in (ADA, EVE):
            book.create(patch)
        book.merge("c-1", "c-2")
        with pytest.raises(ValueError, match=f"a contact already has '{id}'"):
            book.create({"email": "new@x"})
        book.delete("c-1")

        assert book.create({"email": "new@x"}).contact.id == id
        book._index.check()

    def test_contact_restored_by_undo_can_be_deleted(self) -> None:
        book = make_book()
        book.undo(book.merge("c-1", "c-2"))

        assert book.delete("c-2").id == "c-2"
        assert [contact.id for contact in book] == ["c-1", "c-3"]


class TestDedupe:
    """Each group of duplicates is merged into its oldest contact."""

    LINES: dict[str, Any] = {  # noqa: RUF012
        "email": field(key=normalize.email),
        "phone": field(key=normalize.phone),
        "ref": field(),
    }

    def book_with_duplicates(self, **options: Any) -> ContactBook:
        """Make a book with two groups by email; a phone adds a contact to one."""
        lines = merging(self.LINES, options.pop("merging", {}))
        policy = Policy(first_match("email"), lines, **options)
        first_phone, second_phone = "+15550001", "+15550002"
        return make_book(
            policy,
            {"email": "a@x", "ref": "1"},
            {"email": "b@x", "ref": "2"},
            {"email": "A@x", "phone": first_phone, "ref": "3"},
            {"email": "B@x", "ref": "2"},
            {"phone": first_phone},
            {"phone": second_phone},
        )

    def test_dedupe_keeps_the_oldest_of_each_group(self) -> None:
        """One outcome per group, in the order of the groups."""
        book = self.book_with_duplicates()
        outcomes = book.dedupe()

        assert [
            outcome.result for outcome in outcomes if isinstance(outcome, Outcome)
        ] == [
            "merged",
            "merged",
        ]
        assert [(contact.id, contact.merged_ids) for contact in book] == [
            ("c-1", ("c-3", "c-5")),
            ("c-2", ("c-4",)),
            ("c-6", ()),
        ]
        assert book.duplicates() == ()
        assert book.dedupe() == []
        book._index.check()

    def test_dedupe_that_keeps_the_newest_merges_the_others_into_it(self) -> None:
        """The values of the next in age come before those of older ones."""
        lines = {**self.LINES, "city": field(), "zip": field()}
        book = make_book(
            Policy(first_match("email"), lines),
            {"email": "a@x", "ref": "1", "city": "Oslo", "zip": "1"},
            {"email": "b@x"},
            {"email": "a@x", "ref": "2", "city": "Rome"},
            {"email": "a@x", "ref": "3"},
            {"email": "b@x"},
        )
        first, second = book.dedupe(keep="newest")

        assert isinstance(first, Outcome)
        assert first.contact.merged_ids == ("c-3", "c-1")
        assert first.contact.fields == {
            "email": "a@x",
            "ref": "3",
            "city": "Rome",
            "zip": "1",
        }
        assert isinstance(second, Outcome)
        assert [one.id for one in book] == ["c-4", "c-5"]
        assert [book.get(f"c-{n}").id for n in (1, 2, 3)] == ["c-4", "c-5", "c-4"]
        assert book.dedupe(keep="newest") == []

    def test_dedupe_by_named_keys_only(self) -> None:
        book = self.book_with_duplicates()
        book.dedupe("phone")

        assert [contact.merged_ids for contact in book] == [(), (), ("c-5",), (), ()]

    def test_dedupe_within_one_scope(self) -> None:
        book = self.book_with_duplicates()
        for _ in range(2):
            book.create({"email": "a@x"}, scope="s")

        assert len(book.dedupe(scope="s")) == 1
        assert len(book.dedupe(scope="t")) == 0
        assert len(book) == 7

    def test_undo_of_dedupe_restores_the_book(self) -> None:
        book = self.book_with_duplicates()
        before = book.dump()
        for outcome in reversed(book.dedupe()):
            assert isinstance(outcome, Outcome)
            book.undo(outcome)

        assert book.dump() == before

    def test_refused_group_is_raised_or_collected(self) -> None:
        """The group stays unchanged."""
        book = self.book_with_duplicates(merging={"ref": immutable})
        before = book.dump()
        with pytest.raises(errors.InvalidField, match="ref: must not change"):
            book.dedupe()
        assert book.dump() == before

        refusal, outcome = book.dedupe(on_refused="collect")
        assert isinstance(refusal, errors.InvalidField)
        assert isinstance(outcome, Outcome)
        assert (outcome.result, len(book)) == ("merged", 5)
        book._index.check()

    def test_contacts_deleted_during_dedupe_are_skipped(self) -> None:
        """A group without duplicates left is skipped too."""
        book: ContactBook
        rows = [{"email": f"{name}@x", "ref": name} for name in "aabbbcc"]

        def delete_and_keep(stored_value: Any, _absorbed: Any) -> Any:
            for id in ("c-3", "c-6", "c-7"):
                if id in book:
                    book.delete(id)
            return stored_value

        policy = Policy(
            first_match("email"), merging(self.LINES, {"ref": custom(delete_and_keep)})
        )
        book = make_book(policy, *rows)
        outcomes = book.dedupe(on_refused="collect")

        assert [(contact.id, contact.merged_ids) for contact in book] == [
            ("c-1", ("c-2",)),
            ("c-4", ("c-5",)),
        ]
        assert len(outcomes) == 2

    def test_invalid_argument_of_dedupe_is_refused(self) -> None:
        book = self.book_with_duplicates()
        choice: Any = "skip"
        with pytest.raises(ValueError, match="on_refused: must be 'raise' or"):
            book.dedupe(on_refused=choice)
        with pytest.raises(ValueError, match="keep: must be 'oldest' or 'newest'"):
            book.dedupe(keep=choice)
        with pytest.raises(
            errors.InvalidField, match="key: must be one of email, phone"
        ):
            book.dedupe("ref")
        with pytest.raises(errors.InvalidField, match="scope: must be text"):
            book.dedupe(scope=choice.encode())

        assert len(book) == 6

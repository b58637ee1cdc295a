"""Purge: a contact is removed from contacts, changes and calls."""

from __future__ import annotations

import gc
from itertools import count
from types import FunctionType, ModuleType
from typing import Any

import pytest

from tests.store.changed import LINES, POLICY, SOFT, contacts_by_id, make_book, results
from upsertcore import (
    ContactBook,
    Policy,
    errors,
    field,
    first_match,
    merge_all,
    normalize,
)
from upsertcore.errors import UnknownContact

NOT_STORED = type, ModuleType, FunctionType, Policy


def test_purge_removes_the_contact_with_those_it_absorbed() -> None:
    """By any of their ids; other contacts are unchanged."""
    for id in ("c-1", "c-2"):
        book = make_book()
        book.upsert({"email": "3@x", "name": "C"})
        book.merge("c-1", "c-2")
        assert book.purge(id) == 3

        assert results(book) == ["purged", "purged", "created", "updated", "purged"]
        assert [contact.id for contact in book] == ["c-3"]
        assert "c-1" not in book
        assert (
            ContactBook.from_changes(POLICY, book.changes_since()).dump() == book.dump()
        )
        book._index.check()


def test_purge_of_a_deleted_contact_removes_its_changes() -> None:
    """Then its id is unknown."""
    book = make_book()
    book.delete("c-2")

    assert book.purge("c-2") == 2
    assert results(book) == ["created", "purged", "created", "purged"]
    with pytest.raises(errors.UnknownContact):
        book.purge("c-2")
    with pytest.raises(errors.UnknownContact):
        book.purge("c-9")


def test_purge_frees_the_idempotency_keys_of_the_contact() -> None:
    book = make_book(retain_changes=0)
    outcome = book.create({"email": "9@x"}, idempotency_key="k")
    other = book.create({"email": "8@x"}, idempotency_key="m")
    assert book.purge(outcome.contact.id) == 1

    repeated_outcome = book.create({"email": "9@x"}, idempotency_key="k")
    assert repeated_outcome.contact.id != outcome.contact.id
    assert book.create({"email": "8@x"}, idempotency_key="m") == other


def texts(book: ContactBook) -> set[str]:
    """Return all texts that a book refers to, directly or indirectly."""
    strings, known, queue = set[str](), set[int](), list[Any]([book])
    while queue:
        for referent in gc.get_referents(queue.pop()):
            if isinstance(referent, str):
                strings.add(referent)
            elif id(referent) not in known and not isinstance(referent, NOT_STORED):
                known.add(id(referent))
                queue.append(referent)
    return strings


class TestPurge:
    """A purge removes the contact, its changes and its calls."""

    @pytest.mark.parametrize("id", ["c-1", "c-2", "c-3"])
    def test_purge_by_any_id_removes_all_merged_contacts(self, id: str) -> None:
        """Over several merges."""
        book = make_book()
        book.merge("c-2", "c-1")
        book.merge("c-3", "c-2")

        assert (5, 0) == (book.purge(id), len(book))
        assert {"purged"} == {*results(book)}
        assert {} == contacts_by_id(book)
        assert book.upsert({"email": "1@x"}).contact.id == "c-4"
        book._index.check()

    def test_purged_book_refers_to_no_value_of_the_contact(self) -> None:
        """Before any further write."""
        for method in ("purge", "delete and purge"):
            book = ContactBook(POLICY, ids=iter("ab").__next__, retain_changes=None)
            book.upsert({"email": "secret@x"}, idempotency_key="k-1")
            assert "secret@x" in texts(book)
            if method != "purge":
                book.delete("a")
            book.purge("a")

            assert "secret@x" not in texts(book)

    def test_purge_of_a_deleted_survivor_removes_absorbed_contacts(self) -> None:
        book = make_book()
        book.merge("c-1", "c-2")
        book.delete("c-1")

        assert book.purge("c-1") == 4
        expected = ["purged", "purged", "created", "purged", "purged"]
        assert expected == results(book)

    def test_purge_of_a_kept_deleted_contact_removes_it(self) -> None:
        """A patch creates a new contact."""
        book = make_book(SOFT)
        book.delete("c-1")

        assert (2, False) == (book.purge("c-1"), "c-1" in book)
        assert book.upsert({"email": "1@x"}).contact.id == "c-4"

    def test_purge_of_an_unknown_id_changes_nothing(self) -> None:
        book = make_book()
        with pytest.raises(errors.UnknownContact):
            book.purge("c-9")

        assert ["created"] * 3 == results(book)

    def test_second_purge_without_changes_is_refused(self) -> None:
        book = make_book(retain_changes=0)
        assert book.purge("c-1") == 0
        with pytest.raises(errors.UnknownContact):
            book.purge("c-1")

    def test_purge_of_a_deleted_contact_removes_its_calls(self) -> None:
        """Though no changes are retained."""
        book = make_book(retain_changes=0)
        book.create({"email": "4@x"}, idempotency_key="k-1")
        book.delete("c-4")

        assert book.purge("c-4") == 1
        assert {} == book._store._call_log.calls

    @pytest.mark.parametrize("retain_changes", [None, 0])
    def test_purge_of_a_deleted_contact_of_another_scope_is_refused(
        self, retain_changes: int | None
    ) -> None:
        """Its changes and calls stay."""
        book = make_book(retain_changes=retain_changes)
        book.create({"email": "4@x"}, scope="a", idempotency_key="k-1")
        book.delete("c-4", scope="a")
        before = results(book) if retain_changes is None else None
        with pytest.raises(errors.UnknownContact):
            book.purge("c-4", scope="b")

        assert before == (results(book) if retain_changes is None else None)
        assert {"a"} == {*book._store._call_log.calls}
        assert book.purge("c-4", scope="a") > 0

    def test_purge_of_a_survivor_removes_calls_of_absorbed_contacts(self) -> None:
        """A retry creates a new contact."""
        book = make_book()
        book.create({"email": "4@x"}, idempotency_key="k-1")
        book.merge("c-1", "c-4")

        assert book.purge("c-1") == 4
        retry_outcome = book.create({"email": "4@x"}, idempotency_key="k-1")
        assert (retry_outcome.created, retry_outcome.contact.id) == (True, "c-5")

    def test_outcome_of_a_purged_contact_cannot_be_undone(self) -> None:
        book = make_book()
        outcome = book.upsert({"email": "1@x", "name": "A"})
        book.purge("c-1")
        with pytest.raises(errors.StaleOutcome, match="contact c-1 is gone"):
            book.undo(outcome)


class TestChangesOfOtherContacts:
    """Changes of other contacts stay, without the purged contact."""

    def test_purge_removes_the_withheld_value_it_held(self) -> None:
        """The other contact's change stays."""
        mail = field(key=normalize.email, unique=True)
        lines = {"code": field(key=normalize.exact), "email": mail}
        policy = Policy(first_match("code"), lines, on_key_in_use="withhold")
        ids = iter(["c-1", "c-2"])
        book = ContactBook(policy, ids=ids.__next__, retain_changes=None)
        book.upsert({"code": 1, "email": "ada@x"})
        patch = {"code": 2, "email": "ada@x"}
        outcome = book.upsert(patch, idempotency_key="k-1")
        assert "c-1" in repr(outcome)

        assert book.purge("c-1") == 3
        repeated_outcome = book.upsert(patch, idempotency_key="k-1")
        assert ("created", "c-2", ()) == (
            repeated_outcome.result,
            repeated_outcome.contact.id,
            repeated_outcome.withheld,
        )
        for text_source in (repeated_outcome, book.changes_since()):
            assert "c-1" not in repr(text_source)
            assert "ada" not in repr(text_source)

    def test_remembered_calls_keep_no_value_of_a_patch(self) -> None:
        """What was sent for another person's key is not kept to recognise the call."""
        mail = field(key=normalize.email, unique=True)
        lines = {"code": field(key=normalize.exact), "email": mail}
        policy = Policy(first_match("code"), lines, on_key_in_use="withhold")
        book = ContactBook(policy, ids=iter(["c-1", "c-2"]).__next__)
        book.upsert({"code": 1, "email": "ada@x"})
        book.upsert({"code": 2, "email": "ADA@x"}, idempotency_key="k")
        assert "ADA@x" in texts(book)
        book.purge("c-1")

        assert not {"ADA@x", "ada@x"} & texts(book)

    def test_purge_removes_the_id_from_also_matched(self) -> None:
        """The contact was deleted, and is known by the changes only."""
        policy = Policy(first_match("email"), LINES, on_ambiguous="oldest")
        book = make_book(policy, retain_changes=1)
        book.create({"email": "1@x"})
        book.delete("c-4")
        book.delete("c-3")
        book.create({"email": "1@x"})
        book.upsert({"email": "1@x", "name": "A"})
        assert book.changes_since(7)[0].outcome.also_matched == ("c-5",)  # type: ignore[union-attr]

        assert book.purge("c-5") == 1
        assert book.changes_since(7)[0].outcome.also_matched == ()  # type: ignore[union-attr]
        assert book.purge("c-2") == 0


class TestPurgeAfterMerge:
    """A contact that was absorbed for a time is purged alone."""

    def book_and_merge(self) -> tuple[ContactBook, Any]:
        """Make a book in which c-1 has absorbed c-2; return it with the outcome."""
        lines = {"id": field(key=normalize.exact), "name": field()}
        policy, numbers = Policy(first_match("id"), lines), count(1)
        book = ContactBook(
            policy, ids=lambda: f"c-{next(numbers)}", retain_changes=None
        )
        book.create({"id": 1})
        book.create({"id": 2, "name": "Eve"})
        return book, book.merge("c-1", "c-2")

    @pytest.mark.parametrize("id", ["c-1", "c-2"])
    def test_purge_after_an_undone_merge_leaves_the_other_contact(
        self, id: str
    ) -> None:
        """The remaining changes can be replayed."""
        book, merge = self.book_and_merge()
        book.undo(book.upsert({"id": 1, "name": "Ada"}))
        book.undo(merge)
        book.purge(id)

        replayed_book = ContactBook.from_changes(book.policy, book.changes_since())
        assert book.dump() == replayed_book.dump()
        assert len(book) == 1
        assert "Eve" not in repr(book.changes_since()) or id == "c-1"

    def test_purge_by_a_merged_id_after_deletion(self) -> None:
        book, _merge = self.book_and_merge()
        book.delete("c-1")
        book.purge("c-2")

        assert "Eve" not in repr(book.changes_since())
        with pytest.raises(UnknownContact):
            book.purge("c-2")
        id: Any = []
        with pytest.raises(UnknownContact):
            book.purge(id)

    def test_purge_leaves_changes_of_other_deleted_contacts(self) -> None:
        book, _merge = self.book_and_merge()
        book.delete("c-1")
        book.create({"id": 3, "name": "Bob"})
        book.delete("c-3")
        book.purge("c-1")

        assert "Bob" in repr(book.changes_since())
        assert "Eve" not in repr(book.changes_since())

    def test_purge_removes_the_call_that_absorbed_the_contact(self) -> None:
        lines = {name: field(key=normalize.exact) for name in ("id", "name")}
        numbers = count(1)
        policy = Policy(merge_all("id", "name"), lines)
        book = ContactBook(policy, ids=lambda: f"c-{next(numbers)}")
        book.create({"id": 1})
        book.create({"name": "Eve"})
        patch = {"id": 1, "name": "Eve"}
        book.undo(book.upsert(patch, idempotency_key="k-1"))

        assert book.purge("c-2") == 1
        assert book.upsert(patch, idempotency_key="k-1").updated

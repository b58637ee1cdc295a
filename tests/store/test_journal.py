"""The journal: the changes of a book, call by call."""

from __future__ import annotations

from typing import Any

import pytest

from tests.store.changed import HARD, POLICY, SOFT, make_book, results
from upsertcore import (
    ContactBook,
    Outcome,
    Policy,
    errors,
    never,
)


def test_retain_changes_limits_the_retained_changes() -> None:
    """Changes before them are refused."""
    book = make_book(retain_changes=2)

    assert results(book, 1) == ["created", "created"]
    assert [entry.number for entry in book.changes_since(2)] == [3]
    assert book.changes_since(3) == book.changes_since(9) == ()
    with pytest.raises(errors.ChangesNotRetained) as caught:
        book.changes_since()
    assert (caught.value.number, caught.value.first) == (0, 2)

    with pytest.raises(errors.ChangesNotRetained):
        make_book(retain_changes=0).changes_since(2)
    assert make_book(retain_changes=0).changes_since(3) == ()


class TestKeptDeletion:
    """Deleted contacts that are kept."""

    def test_deleted_contact_is_kept_with_deleted_at(self) -> None:
        """Get, find and load return it, as a new version."""
        book = make_book(SOFT)
        contact = book.delete("c-1")

        assert book.get("c-1") is contact
        assert (contact.version, contact.deleted_at) == (2, contact.updated_at)
        assert book.find("email", "1@x") == (contact,)
        assert book.dump()[0]["deleted_at"] == contact.updated_at.isoformat()
        assert ContactBook.load(SOFT, book.dump()).dump() == book.dump()
        book._index.check()

    def test_second_deletion_changes_nothing(self) -> None:
        book = make_book(SOFT)
        contact = book.delete("c-1")

        assert book.delete("c-1") is contact
        assert results(book)[3:] == ["deleted"]

    @pytest.mark.parametrize("policy", [POLICY, SOFT, HARD])
    def test_delete_of_an_unknown_or_merged_id_is_refused(self, policy: Policy) -> None:
        book = make_book(policy)
        book.merge("c-1", "c-2")
        for id in ("c-2", "c-9"):
            with pytest.raises(errors.UnknownContact):
                book.delete(id)

    def test_patch_restores_the_contact(self) -> None:
        """Even if no field changes."""
        book = make_book(SOFT)
        book.delete("c-1")
        outcome = book.upsert({"email": "1@x"})

        assert (outcome.result, outcome.changes) == ("updated", ())
        assert outcome.contact.deleted_at is None
        assert book.upsert({"email": "1@x"}).unchanged

    def test_patch_for_a_deleted_contact_is_refused(self) -> None:
        """A wrong ``if_version`` is refused first."""
        book = make_book(HARD)
        book.delete("c-1")
        with pytest.raises(errors.ContactDeleted) as caught:
            book.upsert({"email": "1@x", "name": "A"})
        assert caught.value.id == "c-1"
        with pytest.raises(errors.StaleVersion):
            book.upsert({"email": "1@x"}, if_version=1)

    def test_deleted_contact_is_in_no_group(self) -> None:
        book = make_book(SOFT)
        for number in (1, 2):
            book.create({"email": f"{number}@x"})
        book.create({"email": "1@x"})
        book.delete("c-1")
        book.delete("c-2")

        assert [[contact.id for contact in group] for group in book.duplicates()] == [
            ["c-4", "c-6"]
        ]

    def test_outcome_of_a_deletion_can_be_undone(self) -> None:
        """Its outcome is that of the entry."""
        book = make_book(SOFT)
        before = book.dump()
        book.delete("c-1")
        outcome = book.changes_since(3)[0].outcome
        assert isinstance(outcome, Outcome)
        book.undo(outcome)

        assert book.dump() == before


class TestChanges:
    """Entries of the journal and their numbers."""

    def test_each_change_has_an_entry_with_its_outcome(self) -> None:
        """Numbers count from 1 in the order of the calls."""
        book = make_book()
        outcomes = [
            book.upsert({"email": "1@x", "name": "A"}),
            book.merge("c-1", "c-2"),
        ]
        outcomes.append(book.undo(outcomes[-1]))
        contact = book.delete("c-2")
        entries = book.changes_since(3)

        assert [4, 5, 6, 7] == [entry.number for entry in entries]
        assert ["updated", "merged", "undone", "deleted"] == results(book, 3)
        assert outcomes == [entry.outcome for entry in entries[:-1]]
        assert entries[-1].outcome == Outcome("deleted", contact, contact)

    def test_call_that_changes_nothing_has_no_entry(self) -> None:
        """Unchanged, refused, planned and read calls leave no gap in the numbers."""
        book = make_book()
        book.undo(book.upsert({"email": "1@x"}))
        book.merge("c-1", "c-1", on_itself="ignore")
        book.plan({"email": "new@x"})
        for patch in ({"city": "Oslo"}, {"name": "A"}):
            with pytest.raises(errors.Refused):
                book.upsert(patch)
        with pytest.raises(errors.UnknownContact):
            book.delete("c-9")
        book.apply(book.plan({"email": "new@x"}))

        assert [4] == [entry.number for entry in book.changes_since(3)]
        assert ["created"] == results(book, 3)

    def test_retried_call_has_one_entry(self) -> None:
        book = make_book()
        for _ in range(2):
            book.create({"email": "4@x"}, idempotency_key="k-1")

        assert ["created"] == results(book, 3)

    def test_each_changing_row_of_an_atomic_batch_has_an_entry(self) -> None:
        """A refused batch has none."""
        book = make_book()
        rows = [{"email": "4@x"}, {"email": "4@x"}, {"email": "4@x", "name": "A"}]
        book.upsert_many(rows, atomic=True)
        with pytest.raises(errors.UnknownField):
            book.upsert_many([{"email": "5@x"}, {"city": "Oslo"}], atomic=True)

        assert ["created", "updated"] == results(book, 3)
        assert [4, 5] == [entry.number for entry in book.changes_since(3)]

    def test_changes_not_retained_names_the_oldest_change(self) -> None:
        """The error is a LookupError and no refusal."""
        with pytest.raises(
            errors.ChangesNotRetained, match="changes after 0 are"
        ) as caught:
            make_book(retain_changes=2).changes_since()

        assert "the oldest available is 2" in str(caught.value)
        assert isinstance(caught.value, LookupError)
        assert not isinstance(caught.value, errors.Refused)

    def test_book_retains_no_changes_by_default(self) -> None:
        """It still counts them, so that missing changes are an error."""
        book = ContactBook(POLICY)
        assert () == book.changes_since()
        book.create({"email": "1@x"})

        with pytest.raises(errors.ChangesNotRetained) as caught:
            book.changes_since()
        assert (0, 2, False) == (
            caught.value.number,
            caught.value.first,
            caught.value.retains,
        )
        assert () == book.changes_since(1)

    def test_returned_entries_do_not_change(self) -> None:
        """Neither by later changes nor by a purge."""
        book = make_book()
        entries = book.changes_since()
        book.purge("c-1")

        assert all(entry.outcome is not None for entry in entries)
        assert ["purged", "created", "created"] == results(book)


@pytest.mark.parametrize("retain_changes", [-1, 1.5, "all"], ids=str)
def test_invalid_retain_changes_is_an_error(retain_changes: Any) -> None:
    with pytest.raises(
        ValueError, match="retain_changes: must be a whole number from 0"
    ):
        ContactBook(Policy(never(), {}), retain_changes=retain_changes)
    assert make_book().changes_since(-1)

"""Replay of changes: the result is the same book."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest

from tests.store.changed import HARD, POLICY, SOFT, contacts_by_id, make_book, results
from upsertcore import (
    ContactBook,
    Policy,
)
from upsertcore.store.apply_changes import apply_changes
from upsertcore.store.contact_index import ContactIndex
from upsertcore.store.journal import Entry


def book_with_all_changes(policy: Policy) -> ContactBook:
    """Make a book with a change of every kind."""
    book = make_book(policy)
    book.upsert({"email": "1@x", "name": "A"})
    book.upsert({"email": "1@x", "name": "A"})
    book.undo(book.upsert({"email": "1@x", "name": "B"}))
    book.undo(book.merge("c-2", "c-3", "c-1"))
    book.upsert({"email": "2@x", "phone": "+15550003"})
    book.upsert_many([{"email": "4@x"}, {"email": "4@x", "name": "D"}], atomic=True)
    book.undo(book.create({"email": "5@x"}))
    book.delete("c-1")
    book.create({"email": "6@x"})
    return book


@pytest.mark.parametrize("policy", [POLICY, SOFT, HARD])
def test_replay_of_all_changes_equals_the_book(policy: Policy) -> None:
    """Calls that change nothing have no entry."""
    book = book_with_all_changes(policy)
    replayed_book = ContactBook.from_changes(policy, book.changes_since())

    assert replayed_book.dump() == book.dump()
    assert [contact.id for contact in replayed_book] == [contact.id for contact in book]
    assert [entry.number for entry in book.changes_since()] == [*range(1, 16)]
    assert results(book)[3:8] == ["updated", "updated", "undone", "merged", "undone"]
    replayed_book._index.check()


def test_entries_with_a_gap_or_out_of_order_are_an_error() -> None:
    first, second, third = make_book().changes_since()
    for entries in ((first, third), (second, first), (first, first)):
        with pytest.raises(ValueError, match="must not follow"):
            apply_changes(ContactIndex(["email", "phone"]), POLICY, entries)


def test_purged_entry_changes_nothing() -> None:
    index = ContactIndex(["email", "phone"])
    apply_changes(index, POLICY, [Entry(7, None), Entry(8, None)])

    assert len(index) == 0


def merge(book: ContactBook) -> None:
    """The survivor is younger than an absorbed contact."""
    book.merge("c-2", "c-1", "c-3")


def merge_by_patch(book: ContactBook) -> None:
    """A patch matches two contacts."""
    book.upsert({"email": "1@x", "phone": "+15550003"})


def undo_of_a_merge(book: ContactBook) -> None:
    """A contact was created after the merge."""
    outcome = book.merge("c-3", "c-1")
    book.create({"email": "4@x"})
    book.undo(outcome)


def undo_of_two_merges(book: ContactBook) -> None:
    """The first survivor is absorbed by the second."""
    first = book.merge("c-2", "c-1")
    book.undo(book.merge("c-3", "c-2"))
    book.undo(first)


def undo_of_a_creation(book: ContactBook) -> None:
    book.undo(book.create({"email": "4@x"}))


def undo_of_an_update(book: ContactBook) -> None:
    """The update made an alias."""
    book.undo(book.upsert({"phone": "+15550002", "email": "4@x"}))


def update(book: ContactBook) -> None:
    """The old form of a key becomes an alias."""
    book.upsert({"phone": "+15550002", "email": "4@x"})


def delete(book: ContactBook) -> None:
    """A patch with the keys of a deleted contact follows."""
    book.delete("c-1")
    book.upsert({"email": "1@x"})


def delete_and_merge(book: ContactBook) -> None:
    """The survivor is deleted too."""
    book.delete("c-2")
    book.merge("c-3", "c-1")
    book.delete("c-3")


def undo_of_a_restore(book: ContactBook) -> None:
    """Where deleted contacts are kept, the patch restores one."""
    book.delete("c-1")
    book.undo(book.upsert({"email": "1@x", "name": "A"}))


def purge(book: ContactBook) -> None:
    """The id is that of an absorbed contact."""
    book.merge("c-2", "c-3")
    book.purge("c-3")


def purge_and_merge(book: ContactBook) -> None:
    """The other contacts are merged, and the merge is undone."""
    book.purge("c-2")
    book.undo(book.merge("c-3", "c-1"))


def dedupe(book: ContactBook) -> None:
    """Each group is one change."""
    book.create({"email": "1@x"})
    book.create({"email": "3@x"})
    book.dedupe("email")


HISTORIES = [
    merge,
    merge_by_patch,
    undo_of_a_merge,
    undo_of_two_merges,
    undo_of_a_creation,
    undo_of_an_update,
    update,
    delete,
    delete_and_merge,
    undo_of_a_restore,
    purge,
    purge_and_merge,
    dedupe,
]


class TestReplay:
    """The replayed book has the same rows and ids."""

    @pytest.mark.parametrize("policy", [POLICY, SOFT], ids=["forget", "restore"])
    @pytest.mark.parametrize("history", HISTORIES)
    def test_replay_equals_the_book_after_any_history(
        self, history: Callable[[ContactBook], None], policy: Policy
    ) -> None:
        """From entries, and from pickled entries."""
        book = make_book(policy)
        history(book)
        entries = pickle.loads(pickle.dumps(book.changes_since()))  # noqa: S301

        for source in (book.changes_since(), iter(entries)):
            replayed_book = ContactBook.from_changes(policy, source)
            assert book.dump() == replayed_book.dump()
            assert contacts_by_id(book) == contacts_by_id(replayed_book)
            replayed_book._index.check()

    def test_replayed_book_counts_its_own_changes_from_1(self) -> None:
        book = make_book()
        book.delete("c-3")
        replayed_book = ContactBook.from_changes(
            POLICY, book.changes_since(), ids=lambda: "c-3", retain_changes=None
        )
        assert () == replayed_book.changes_since()
        replayed_book.create({"email": "3@x"})

        assert ["created"] == results(replayed_book)

    @pytest.mark.parametrize(
        ("order", "message"),
        [
            ((0, 2), "entries: 3 must not follow 1"),
            ((1, 0), "entries: 1 must not follow 2"),
            ((0, 0), "entries: 1 must not follow 1"),
        ],
    )
    def test_entries_out_of_order_are_refused_by_number(
        self, order: tuple[int, ...], message: str
    ) -> None:
        entries = make_book().changes_since()
        with pytest.raises(ValueError, match=message):
            ContactBook.from_changes(POLICY, [entries[place] for place in order])


def test_entries_about_unknown_contacts_are_refused() -> None:
    """With a message, not with a KeyError."""
    book = make_book()
    book.merge("c-1", "c-2")
    book.delete("c-1")
    with pytest.raises(ValueError, match="entries: 5 must not name an unknown contact"):
        ContactBook.from_changes(POLICY, book.changes_since(4))

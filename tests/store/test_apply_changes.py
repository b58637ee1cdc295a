"""The replay of changes: done again byte for byte."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest

from tests.store.changed import HARD, POLICY, SOFT, book, leading, results
from upsertcore import (
    ContactBook,
    Policy,
)
from upsertcore.store.apply_changes import apply_changes
from upsertcore.store.contact_index import ContactIndex
from upsertcore.store.journal import Entry


def busy(policy: Policy) -> ContactBook:
    """Make a book to which everything was done that changes one."""
    made = book(policy)
    made.upsert({"email": "1@x", "name": "A"})
    made.upsert({"email": "1@x", "name": "A"})
    made.undo(made.upsert({"email": "1@x", "name": "B"}))
    made.undo(made.merge("c-2", "c-3", "c-1"))
    made.upsert({"email": "2@x", "phone": "+15550003"})
    made.upsert_many([{"email": "4@x"}, {"email": "4@x", "name": "D"}], atomic=True)
    made.undo(made.create({"email": "5@x"}))
    made.delete("c-1")
    made.create({"email": "6@x"})
    return made


@pytest.mark.parametrize("policy", [POLICY, SOFT, HARD])
def test_done_again_it_is_the_same_book(policy: Policy) -> None:
    """Whatever was done; what changed nothing is not told."""
    made = busy(policy)
    twin = ContactBook.from_changes(policy, made.changes_since())

    assert twin.dump() == made.dump()
    assert [each.id for each in twin] == [each.id for each in made]
    assert [each.number for each in made.changes_since()] == [*range(1, 16)]
    assert results(made)[3:8] == ["updated", "updated", "undone", "merged", "undone"]
    twin._index.check()


def test_entries_follow_one_another() -> None:
    """A gap, or another order, is no replay."""
    one, two, three = book().changes_since()
    for entries in ((one, three), (two, one), (one, one)):
        with pytest.raises(ValueError, match="must not follow"):
            apply_changes(ContactIndex(["email", "phone"]), POLICY, entries)


def test_a_purged_entry_is_passed_over() -> None:
    """Nothing of it is done again."""
    index = ContactIndex(["email", "phone"])
    apply_changes(index, POLICY, [Entry(7, None), Entry(8, None)])

    assert len(index) == 0


def merge(made: ContactBook) -> None:
    """The survivor is younger than one that it absorbs."""
    made.merge("c-2", "c-1", "c-3")


def merge_by_patch(made: ContactBook) -> None:
    """A patch finds two."""
    made.upsert({"email": "1@x", "phone": "+15550003"})


def undo_of_a_merge(made: ContactBook) -> None:
    """Each comes back in its old place, before what came later."""
    outcome = made.merge("c-3", "c-1")
    made.create({"email": "4@x"})
    made.undo(outcome)


def undo_of_two_merges(made: ContactBook) -> None:
    """A survivor is merged itself, and all is taken back."""
    first = made.merge("c-2", "c-1")
    made.undo(made.merge("c-3", "c-2"))
    made.undo(first)


def undo_of_a_creation(made: ContactBook) -> None:
    """Whoever was created is gone."""
    made.undo(made.create({"email": "4@x"}))


def undo_of_an_update(made: ContactBook) -> None:
    """An alias comes, stays for a while, and goes."""
    made.undo(made.upsert({"phone": "+15550002", "email": "4@x"}))


def update(made: ContactBook) -> None:
    """A key moves on, and its old form stays as an alias."""
    made.upsert({"phone": "+15550002", "email": "4@x"})


def delete(made: ContactBook) -> None:
    """One is deleted, and a patch of its keys is sent."""
    made.delete("c-1")
    made.upsert({"email": "1@x"})


def delete_and_merge(made: ContactBook) -> None:
    """One is deleted, two are joined, and the survivor is deleted."""
    made.delete("c-2")
    made.merge("c-3", "c-1")
    made.delete("c-3")


def undo_of_a_return(made: ContactBook) -> None:
    """What a patch about a deleted contact did is taken back."""
    made.delete("c-1")
    made.undo(made.upsert({"email": "1@x", "name": "A"}))


def purge(made: ContactBook) -> None:
    """One is forgotten, with whom it absorbed."""
    made.merge("c-2", "c-3")
    made.purge("c-3")


def purge_and_merge(made: ContactBook) -> None:
    """The others are merged, and put back, after one is forgotten."""
    made.purge("c-2")
    made.undo(made.merge("c-3", "c-1"))


def dedupe(made: ContactBook) -> None:
    """Groups are merged, one change each."""
    made.create({"email": "1@x"})
    made.create({"email": "3@x"})
    made.dedupe("email")


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
    undo_of_a_return,
    purge,
    purge_and_merge,
    dedupe,
]


class TestReplay:
    """All changes done again: the same rows, and the same ids lead to them."""

    @pytest.mark.parametrize("policy", [POLICY, SOFT], ids=["forget", "restore"])
    @pytest.mark.parametrize("history", HISTORIES)
    def test_a_history(
        self, history: Callable[[ContactBook], None], policy: Policy
    ) -> None:
        """In the same order, with versions, times and aliases; pickled entries too."""
        made = book(policy)
        history(made)
        entries = pickle.loads(pickle.dumps(made.changes_since()))  # noqa: S301

        for each in (made.changes_since(), iter(entries)):
            twin = ContactBook.from_changes(policy, each)
            assert made.dump() == twin.dump()
            assert leading(made) == leading(twin)
            twin._index.check()

    def test_it_goes_on(self) -> None:
        """What the new book does is its own feed, from 1."""
        made = book()
        made.delete("c-3")
        twin = ContactBook.from_changes(
            POLICY, made.changes_since(), ids=lambda: "c-3", retain_changes=None
        )
        assert () == twin.changes_since()
        twin.create({"email": "3@x"})

        assert ["created"] == results(twin)

    @pytest.mark.parametrize(
        ("order", "message"),
        [
            ((0, 2), "entries: 3 must not follow 1"),
            ((1, 0), "entries: 1 must not follow 2"),
            ((0, 0), "entries: 1 must not follow 1"),
        ],
    )
    def test_out_of_order(self, order: tuple[int, ...], message: str) -> None:
        """A gap, a step back and a repeat are refused by name."""
        entries = book().changes_since()
        with pytest.raises(ValueError, match=message):
            ContactBook.from_changes(POLICY, [entries[place] for place in order])


def test_a_tail_does_not_fit_an_empty_book() -> None:
    """Said in words, not by a KeyError."""
    made = book()
    made.merge("c-1", "c-2")
    made.delete("c-1")
    with pytest.raises(ValueError, match="entries: 5 must not name an unknown contact"):
        ContactBook.from_changes(POLICY, made.changes_since(4))

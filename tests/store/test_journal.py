"""The journal: what changed, done again byte for byte, and a person forgotten."""

from __future__ import annotations

import gc
import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from types import FunctionType, ModuleType
from typing import Any

import pytest

from upsertcore import (
    Contact,
    ContactBook,
    Outcome,
    Policy,
    errors,
    field,
    first_match,
    merge_all,
    never,
    normalize,
)
from upsertcore.errors import UnknownContact
from upsertcore.store.index import ContactIndex
from upsertcore.store.journal import Entry, apply_changes

NOW = datetime(2024, 1, 2, tzinfo=UTC)
LINES: dict[str, Any] = {
    "email": field(key=normalize.email, keep_aliases=True),
    "phone": field(key=normalize.phone),
    "name": field(),
}
POLICY = Policy(merge_all("email", "phone"), LINES)
SOFT = Policy(merge_all("email", "phone"), LINES, on_deleted="restore")
NOT_STORED = type, ModuleType, FunctionType, Policy
HARD = Policy(merge_all("email", "phone"), LINES, on_deleted="refuse")


def book(policy: Policy = POLICY, keep: int | None = None) -> ContactBook:
    """Make a book of c-1, c-2, c-3 that keeps its changes."""
    ids, hours = count(1), count()
    made = ContactBook(
        policy,
        ids=lambda: f"c-{next(ids)}",
        clock=lambda: NOW + timedelta(hours=next(hours)),
        retain_changes=keep,
    )
    for number in (1, 2, 3):
        made.upsert({"email": f"{number}@x", "phone": f"+1555000{number}"})
    return made


def leading(made: ContactBook) -> dict[str, Contact]:
    """Give the contact that each id leads to."""
    index = made._index
    return {id: index.get(id) for id in (*index.rows, *index.redirects)}


def results(made: ContactBook, number: int = 0) -> list[str]:
    """Give the results of the changes after a number."""
    return [
        "purged" if each.outcome is None else each.outcome.result
        for each in made.changes_since(number)
    ]


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


def test_what_is_kept() -> None:
    """So many as were asked for; what is forgotten cannot be asked for."""
    made = book(keep=2)

    assert results(made, 1) == ["created", "created"]
    assert [each.number for each in made.changes_since(2)] == [3]
    assert made.changes_since(3) == made.changes_since(9) == ()
    with pytest.raises(errors.ChangesNotRetained) as no:
        made.changes_since()
    assert (no.value.number, no.value.first) == (0, 2)

    with pytest.raises(errors.ChangesNotRetained):
        book(keep=0).changes_since(2)
    assert book(keep=0).changes_since(3) == ()


def test_entries_follow_one_another() -> None:
    """A gap, or another order, is no replay."""
    one, two, three = book().changes_since()
    for entries in ((one, three), (two, one), (one, one)):
        with pytest.raises(ValueError, match="must not follow"):
            apply_changes(ContactIndex(["email", "phone"]), POLICY, entries)


def test_a_person_is_forgotten() -> None:
    """With whom it absorbed, by any id of theirs; of others nothing is lost."""
    for id in ("c-1", "c-2"):
        made = book()
        made.upsert({"email": "3@x", "name": "C"})
        made.merge("c-1", "c-2")
        assert made.purge(id) == 3

        assert results(made) == ["purged", "purged", "created", "updated", "purged"]
        assert [each.id for each in made] == ["c-3"]
        assert "c-1" not in made
        assert (
            ContactBook.from_changes(POLICY, made.changes_since()).dump() == made.dump()
        )
        made._index.check()


def test_who_is_deleted_is_forgotten_too() -> None:
    """As long as the book knows anything of the id; then it is unknown."""
    made = book()
    made.delete("c-2")

    assert made.purge("c-2") == 2
    assert results(made) == ["created", "purged", "created", "purged"]
    with pytest.raises(errors.UnknownContact):
        made.purge("c-2")
    with pytest.raises(errors.UnknownContact):
        made.purge("c-9")


def test_calls_about_a_person_are_forgotten() -> None:
    """The key is free again."""
    made = book(keep=0)
    outcome = made.create({"email": "9@x"}, idempotency_key="k")
    other = made.create({"email": "8@x"}, idempotency_key="m")
    assert made.purge(outcome.contact.id) == 1

    again = made.create({"email": "9@x"}, idempotency_key="k")
    assert again.contact.id != outcome.contact.id
    assert made.create({"email": "8@x"}, idempotency_key="m") == other


def test_a_purged_entry_is_passed_over() -> None:
    """Nothing of it is done again."""
    index = ContactIndex(["email", "phone"])
    apply_changes(index, POLICY, [Entry(7, None), Entry(8, None)])

    assert len(index) == 0


class TestDeleted:
    """Contacts that stay though they are deleted."""

    def test_it_is_marked(self) -> None:
        """It can be read and found, and is a new version."""
        made = book(SOFT)
        ada = made.delete("c-1")

        assert made.get("c-1") is ada
        assert (ada.version, ada.deleted_at) == (2, ada.updated_at)
        assert made.find("email", "1@x") == (ada,)
        assert made.dump()[0]["deleted_at"] == ada.updated_at.isoformat()
        assert ContactBook.load(SOFT, made.dump()).dump() == made.dump()
        made._index.check()

    def test_a_second_time(self) -> None:
        """Nothing changes then."""
        made = book(SOFT)
        ada = made.delete("c-1")

        assert made.delete("c-1") is ada
        assert results(made)[3:] == ["deleted"]

    @pytest.mark.parametrize("policy", [POLICY, SOFT, HARD])
    def test_an_unknown_id(self, policy: Policy) -> None:
        """That of somebody who was merged is no contact's own."""
        made = book(policy)
        made.merge("c-1", "c-2")
        for id in ("c-2", "c-9"):
            with pytest.raises(errors.UnknownContact):
                made.delete(id)

    def test_a_patch_brings_it_back(self) -> None:
        """Also where no field moves."""
        made = book(SOFT)
        made.delete("c-1")
        outcome = made.upsert({"email": "1@x"})

        assert (outcome.result, outcome.changes) == ("updated", ())
        assert outcome.contact.deleted_at is None
        assert made.upsert({"email": "1@x"}).unchanged

    def test_a_patch_is_refused(self) -> None:
        """By name, after the version that was named."""
        made = book(HARD)
        made.delete("c-1")
        with pytest.raises(errors.ContactDeleted) as no:
            made.upsert({"email": "1@x", "name": "A"})
        assert no.value.id == "c-1"
        with pytest.raises(errors.StaleVersion):
            made.upsert({"email": "1@x"}, if_version=1)

    def test_no_group_has_it(self) -> None:
        """Two of three are left, or none."""
        made = book(SOFT)
        for number in (1, 2):
            made.create({"email": f"{number}@x"})
        made.create({"email": "1@x"})
        made.delete("c-1")
        made.delete("c-2")

        assert [[each.id for each in g] for g in made.duplicates()] == [["c-4", "c-6"]]

    def test_it_can_be_undone_by_its_outcome(self) -> None:
        """A deletion that keeps the contact is undone as an update is."""
        made = book(SOFT)
        before = made.dump()
        made.delete("c-1")
        outcome = made.changes_since(3)[0].outcome
        assert isinstance(outcome, Outcome)
        made.undo(outcome)

        assert made.dump() == before


class TestChanges:
    """What stands in the feed, under which number, and what does not."""

    def test_every_result(self) -> None:
        """Each with its own outcome, in the order of the calls, numbered from 1."""
        made = book()
        outcomes = [
            made.upsert({"email": "1@x", "name": "A"}),
            made.merge("c-1", "c-2"),
        ]
        outcomes.append(made.undo(outcomes[-1]))
        gone = made.delete("c-2")
        entries = made.changes_since(3)

        assert [4, 5, 6, 7] == [each.number for each in entries]
        assert ["updated", "merged", "undone", "deleted"] == results(made, 3)
        assert outcomes == [each.outcome for each in entries[:-1]]
        assert entries[-1].outcome == Outcome("deleted", gone, gone)

    def test_what_changes_nothing(self) -> None:
        """Unchanged, refused, planned, or read: the numbers go on without a gap."""
        made = book()
        made.undo(made.upsert({"email": "1@x"}))
        made.merge("c-1", "c-1", on_itself="ignore")
        made.plan({"email": "new@x"})
        for refused in ({"city": "Oslo"}, {"name": "A"}):
            with pytest.raises(errors.Refused):
                made.upsert(refused)
        with pytest.raises(errors.UnknownContact):
            made.delete("c-9")
        made.apply(made.plan({"email": "new@x"}))

        assert [4] == [each.number for each in made.changes_since(3)]
        assert ["created"] == results(made, 3)

    def test_a_call_that_is_made_again(self) -> None:
        """The memory of calls answers, and the feed does not grow."""
        made = book()
        for _ in range(2):
            made.create({"email": "4@x"}, idempotency_key="k-1")

        assert ["created"] == results(made, 3)

    def test_each_row_of_an_atomic_batch(self) -> None:
        """One entry for each that changed something; a refused batch leaves none."""
        made = book()
        rows = [{"email": "4@x"}, {"email": "4@x"}, {"email": "4@x", "name": "A"}]
        made.upsert_many(rows, atomic=True)
        with pytest.raises(errors.UnknownField):
            made.upsert_many([{"email": "5@x"}, {"city": "Oslo"}], atomic=True)

        assert ["created", "updated"] == results(made, 3)
        assert [4, 5] == [each.number for each in made.changes_since(3)]

    def test_what_is_forgotten_is_said(self) -> None:
        """From which number on they are kept; it is no refusal, but a look-up."""
        with pytest.raises(
            errors.ChangesNotRetained, match="changes after 0 are"
        ) as no:
            book(keep=2).changes_since()

        assert "the oldest available is 2" in str(no.value)
        assert isinstance(no.value, LookupError)
        assert not isinstance(no.value, errors.Refused)

    def test_a_book_keeps_none_unless_asked(self) -> None:
        """It still counts, so that nobody takes a forgotten change for none."""
        made = ContactBook(POLICY)
        assert () == made.changes_since()
        made.create({"email": "1@x"})

        with pytest.raises(errors.ChangesNotRetained) as no:
            made.changes_since()
        assert (0, 2, False) == (no.value.number, no.value.first, no.value.retains)
        assert () == made.changes_since(1)

    def test_what_was_given_stays_as_it_was(self) -> None:
        """A later change, or a purge, does not reach what the caller has."""
        made = book()
        given = made.changes_since()
        made.purge("c-1")

        assert all(each.outcome is not None for each in given)
        assert ["purged", "created", "created"] == results(made)


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


def texts(book: ContactBook) -> set[str]:
    """Collect every text that a book refers to, directly or through others."""
    found, known, queue = set[str](), set[int](), list[Any]([book])
    while queue:
        for each in gc.get_referents(queue.pop()):
            if isinstance(each, str):
                found.add(each)
            elif id(each) not in known and not isinstance(each, NOT_STORED):
                known.add(id(each))
                queue.append(each)
    return found


class TestPurge:
    """A person is forgotten: the contact, its changes and its calls."""

    @pytest.mark.parametrize("id", ["c-1", "c-2", "c-3"])
    def test_with_those_it_absorbed(self, id: str) -> None:
        """Any id that leads to it means all of them, over several merges."""
        made = book()
        made.merge("c-2", "c-1")
        made.merge("c-3", "c-2")

        assert (5, 0) == (made.purge(id), len(made))
        assert {"purged"} == {*results(made)}
        assert {} == leading(made)
        assert made.upsert({"email": "1@x"}).contact.id == "c-4"
        made._index.check()

    def test_the_book_refers_to_no_value_of_it(self) -> None:
        """Not until the next write either."""
        for end in ("purge", "delete and purge"):
            made = ContactBook(POLICY, ids=iter("ab").__next__, retain_changes=None)
            made.upsert({"email": "secret@x"}, idempotency_key="k-1")
            assert "secret@x" in texts(made)
            if end != "purge":
                made.delete("a")
            made.purge("a")

            assert "secret@x" not in texts(made)

    def test_who_was_deleted_after_a_merge(self) -> None:
        """The feed still knows whom it had absorbed."""
        made = book()
        made.merge("c-1", "c-2")
        made.delete("c-1")

        assert made.purge("c-1") == 4
        expected = ["purged", "purged", "created", "purged", "purged"]
        assert expected == results(made)

    def test_who_is_marked_as_deleted(self) -> None:
        """It is taken out for good, and a patch makes it anew."""
        made = book(SOFT)
        made.delete("c-1")

        assert (2, False) == (made.purge("c-1"), "c-1" in made)
        assert made.upsert({"email": "1@x"}).contact.id == "c-4"

    def test_an_unknown_id(self) -> None:
        """It is refused, and nothing is forgotten."""
        made = book()
        with pytest.raises(errors.UnknownContact):
            made.purge("c-9")

        assert ["created"] * 3 == results(made)

    def test_without_a_feed(self) -> None:
        """Nothing tells of whoever is gone."""
        made = book(keep=0)
        assert made.purge("c-1") == 0
        with pytest.raises(errors.UnknownContact):
            made.purge("c-1")

    def test_the_calls_of_a_deleted_one(self) -> None:
        """They are all that the book knows of it, and that is enough."""
        made = book(keep=0)
        made.create({"email": "4@x"}, idempotency_key="k-1")
        made.delete("c-4")

        assert made.purge("c-4") == 1
        assert {} == made._store._call_log.calls

    @pytest.mark.parametrize("keep", [None, 0])
    def test_a_deleted_one_of_another_scope(self, keep: int | None) -> None:
        """It is unknown there, and nothing that tells of it is lost."""
        made = book(keep=keep)
        made.create({"email": "4@x"}, scope="a", idempotency_key="k-1")
        made.delete("c-4", scope="a")
        before = results(made) if keep is None else None
        with pytest.raises(errors.UnknownContact):
            made.purge("c-4", scope="b")

        assert before == (results(made) if keep is None else None)
        assert {"a"} == {*made._store._call_log.calls}
        assert made.purge("c-4", scope="a") > 0

    def test_the_calls_of_an_absorbed_one(self) -> None:
        """They go with the survivor; a retry makes the contact anew."""
        made = book()
        made.create({"email": "4@x"}, idempotency_key="k-1")
        made.merge("c-1", "c-4")

        assert made.purge("c-1") == 4
        retried = made.create({"email": "4@x"}, idempotency_key="k-1")
        assert (retried.created, retried.contact.id) == (True, "c-5")

    def test_an_outcome_of_it(self) -> None:
        """What is forgotten does not come back by an undo."""
        made = book()
        outcome = made.upsert({"email": "1@x", "name": "A"})
        made.purge("c-1")
        with pytest.raises(errors.StaleOutcome, match="contact c-1 is gone"):
            made.undo(outcome)


class TestPurgeAndTheOthers:
    """What is told of other contacts stays, but for whom it named."""

    def test_a_withheld_value(self) -> None:
        """It was the person's; the other contact's change is there without it."""
        mail = field(key=normalize.email, unique=True)
        lines = {"code": field(key=normalize.exact), "email": mail}
        policy = Policy(first_match("code"), lines, on_key_in_use="withhold")
        ids = iter(["c-1", "c-2"])
        made = ContactBook(policy, ids=ids.__next__, retain_changes=None)
        made.upsert({"code": 1, "email": "ada@x"})
        sent = {"code": 2, "email": "ada@x"}
        given = made.upsert(sent, idempotency_key="k-1")
        assert "c-1" in repr(given)

        assert made.purge("c-1") == 3
        again = made.upsert(sent, idempotency_key="k-1")
        assert ("created", "c-2", ()) == (
            again.result,
            again.contact.id,
            again.withheld,
        )
        for told in (again, made.changes_since()):
            assert "c-1" not in repr(told)
            assert "ada" not in repr(told)

    def test_who_was_hit_too(self) -> None:
        """Known by the feed alone, after the contact was deleted."""
        policy = Policy(first_match("email"), LINES, on_ambiguous="oldest")
        made = book(policy, keep=1)
        made.create({"email": "1@x"})
        made.delete("c-4")
        made.delete("c-3")
        made.create({"email": "1@x"})
        made.upsert({"email": "1@x", "name": "A"})
        assert made.changes_since(7)[0].outcome.also_matched == ("c-5",)  # type: ignore[union-attr]

        assert made.purge("c-5") == 1
        assert made.changes_since(7)[0].outcome.also_matched == ()  # type: ignore[union-attr]
        assert made.purge("c-2") == 0


class TestPurgeAfterAMerge:
    """A person who was absorbed for a while, and is purged alone."""

    def merged(self) -> tuple[ContactBook, Any]:
        """Make a book in which c-1 has absorbed c-2 and was changed since."""
        lines = {"id": field(key=normalize.exact), "name": field()}
        policy, numbers = Policy(first_match("id"), lines), count(1)
        book = ContactBook(
            policy, ids=lambda: f"c-{next(numbers)}", retain_changes=None
        )
        book.create({"id": 1})
        book.create({"id": 2, "name": "Eve"})
        return book, book.merge("c-1", "c-2")

    @pytest.mark.parametrize("id", ["c-1", "c-2"])
    def test_after_it_was_undone(self, id: str) -> None:
        """Nothing tells of the one, and the other is replayed as it is."""
        book, merge = self.merged()
        book.undo(book.upsert({"id": 1, "name": "Ada"}))
        book.undo(merge)
        book.purge(id)

        twin = ContactBook.from_changes(book.policy, book.changes_since())
        assert book.dump() == twin.dump()
        assert len(book) == 1
        assert "Eve" not in repr(book.changes_since()) or id == "c-1"

    def test_after_both_were_deleted(self) -> None:
        """Known by an id that led to the contact."""
        book, _merge = self.merged()
        book.delete("c-1")
        book.purge("c-2")

        assert "Eve" not in repr(book.changes_since())
        with pytest.raises(UnknownContact):
            book.purge("c-2")
        wrong: Any = []
        with pytest.raises(UnknownContact):
            book.purge(wrong)

    def test_one_of_several_that_were_deleted(self) -> None:
        """The others stay in the feed."""
        book, _merge = self.merged()
        book.delete("c-1")
        book.create({"id": 3, "name": "Bob"})
        book.delete("c-3")
        book.purge("c-1")

        assert "Bob" in repr(book.changes_since())
        assert "Eve" not in repr(book.changes_since())

    def test_a_call_that_absorbed_the_person(self) -> None:
        """The memory of calls forgets it too."""
        lines = {name: field(key=normalize.exact) for name in ("id", "name")}
        numbers = count(1)
        policy = Policy(merge_all("id", "name"), lines)
        book = ContactBook(policy, ids=lambda: f"c-{next(numbers)}")
        book.create({"id": 1})
        book.create({"name": "Eve"})
        sent = {"id": 1, "name": "Eve"}
        book.undo(book.upsert(sent, idempotency_key="k-1"))

        assert book.purge("c-2") == 1
        assert book.upsert(sent, idempotency_key="k-1").updated

    def test_a_tail_does_not_fit_an_empty_book(self) -> None:
        """Said in words, not by a KeyError."""
        book, _merge = self.merged()
        book.delete("c-1")
        with pytest.raises(
            ValueError, match="entries: 4 must not name an unknown contact"
        ):
            ContactBook.from_changes(book.policy, book.changes_since(3))

    @pytest.mark.parametrize("keep", [-1, 1.5, "all"], ids=str)
    def test_how_many_are_kept(self, keep: Any) -> None:
        """A number from 0, or None for all."""
        with pytest.raises(
            ValueError, match="retain_changes: must be a whole number from 0"
        ):
            ContactBook(Policy(never(), {}), retain_changes=keep)
        assert self.merged()[0].changes_since(-1)

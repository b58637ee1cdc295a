"""Purge: a person is forgotten, in contacts, changes and calls."""

from __future__ import annotations

import gc
from itertools import count
from types import FunctionType, ModuleType
from typing import Any

import pytest

from tests.store.changed import LINES, POLICY, SOFT, book, leading, results
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

"""The journal: what changed, call by call."""

from __future__ import annotations

from typing import Any

import pytest

from tests.store.changed import HARD, POLICY, SOFT, book, results
from upsertcore import (
    ContactBook,
    Outcome,
    Policy,
    errors,
    never,
)


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


@pytest.mark.parametrize("keep", [-1, 1.5, "all"], ids=str)
def test_how_many_are_kept(keep: Any) -> None:
    """A number from 0, or None for all."""
    with pytest.raises(
        ValueError, match="retain_changes: must be a whole number from 0"
    ):
        ContactBook(Policy(never(), {}), retain_changes=keep)
    assert book().changes_since(-1)

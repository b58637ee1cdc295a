"""Undo: the state before a call is restored, or the undo is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from upsertcore import (
    ContactBook,
    Outcome,
    Policy,
    errors,
    field,
    first_match,
    merge_all,
    normalize,
)
from upsertcore.rules import latest

NOW = datetime(2024, 1, 2, tzinfo=UTC)
LINES: dict[str, Any] = {
    "email": field(key=normalize.email, unique=True, keep_aliases=True),
    "phone": field(key=normalize.phone),
    "name": field(rule=latest(by="at")),
    "at": field(),
    "city": field(),
}
POLICY = Policy(first_match("email", "phone"), LINES)
KEEPS_DELETED = Policy(first_match("email", "phone"), LINES, on_deleted="restore")


def make_book(policy: Policy = POLICY, size: int = 3) -> ContactBook:
    """Make a book of contacts c-1, c-2, ...; its clock advances an hour per call."""
    ids, hours = count(1), count()
    book = ContactBook(
        policy,
        ids=lambda: f"c-{next(ids)}",
        clock=lambda: NOW + timedelta(hours=next(hours)),
    )
    for number in range(1, size + 1):
        book.create({"email": f"p{number}@x", "phone": f"+1555000{number}"})
    return book


def upsert(book: ContactBook, number: int = 1, **fields: Any) -> Outcome:
    """Upsert one of the contacts by its email."""
    return book.upsert({"email": f"p{number}@x", **fields})


def reason_of_refusal(book: ContactBook, outcome: Outcome) -> str:
    """Check that an undo is refused and changes nothing; return the reason."""
    before = book.dump()
    with pytest.raises(errors.StaleOutcome) as caught:
        book.undo(outcome)
    assert before == book.dump()
    book._index.check()
    assert (
        str(caught.value)
        == f"outcome: {caught.value.reason}; it can no longer be undone"
    )
    return caught.value.reason


def test_undo_of_a_creation_removes_the_contact() -> None:
    """Its keys are free."""
    book = make_book(size=0)
    outcome = book.create({"email": "ada@x"})
    undo_outcome = book.undo(outcome)

    assert Outcome("undone", outcome.contact, outcome.contact) == undo_outcome
    assert ([], ()) == (book.dump(), book.find("email", "ada@x"))
    assert book.create({"email": "ada@x"}).contact.id == "c-2"


def test_undo_of_an_update_restores_the_contact() -> None:
    """Version, times, aliases and clocks included."""
    book = make_book()
    upsert(book, name="Ada", at=5)
    before = book.dump()
    outcome = book.upsert(
        {"phone": "+15550001", "email": "new@x", "name": "Eve", "at": 7}
    )
    assert {"email": ("p1@x",)} == dict(outcome.contact.aliases)
    undo_outcome = book.undo(outcome)

    assert before == book.dump()
    assert ("undone", outcome.before) == (undo_outcome.result, undo_outcome.contact)
    assert undo_outcome.before == outcome.contact
    assert {"name": 5} == dict(undo_outcome.contact.clocks)
    assert ((), 1) == (book.find("email", "new@x"), len(book.find("email", "p1@x")))


def test_undo_of_a_merge_restores_places_and_merged_ids() -> None:
    book = make_book()
    book.merge("c-2", "c-1")
    before = book.dump()
    outcome = book.merge("c-3", "c-2")
    undo_outcome = book.undo(outcome)

    assert before == book.dump()
    assert outcome.merged == undo_outcome.merged
    assert (("c-1",), "c-2") == (book.get("c-2").merged_ids, book.get("c-1").id)
    book._index.check()


@pytest.mark.parametrize("policy", [POLICY, KEEPS_DELETED], ids=["forget", "restore"])
def test_undo_in_reverse_order_restores_each_state(policy: Policy) -> None:
    book = make_book(policy, size=0)
    steps: list[Callable[[], Outcome]] = [
        lambda: upsert(book, 1, name="Ada", at=1),
        lambda: upsert(book, 2, phone="+15550002"),
        lambda: upsert(book, 1, name="Eve", at=2),
        lambda: book.merge("c-2", "c-1"),
        lambda: upsert(book, 3),
        lambda: book.upsert({"email": "new@x", "phone": "+15550002"}),
        lambda: book.merge("c-3", "c-2"),
        lambda: upsert(book, 3, city="Oslo"),
    ]
    states_and_outcomes = [(book.dump(), step()) for step in steps]
    for before, outcome in reversed(states_and_outcomes):
        book.undo(outcome)
        assert before == book.dump()
        book._index.check()

    assert [] == book.dump()


def test_undone_later_change_does_not_prevent_undo() -> None:
    book = make_book()
    first = upsert(book, city="Oslo")
    book.undo(upsert(book, city="Bergen"))
    book.undo(first)

    assert "city" not in book.get("c-1")


def test_undo_of_an_unchanged_outcome_returns_it() -> None:
    """Also after the contact is deleted."""
    book = make_book()
    outcome = upsert(book)
    book.delete("c-1")

    assert outcome is book.undo(outcome)


def test_undo_of_an_undo_or_of_a_removal_is_refused() -> None:
    book = make_book()
    undo_outcome = book.undo(upsert(book, city="Oslo"))
    contact = book.delete("c-2")

    assert reason_of_refusal(book, undo_outcome) == "contact c-1 was put back already"
    for before in (None, contact):
        removal = Outcome("deleted", contact, before)
        assert reason_of_refusal(book, removal) == "contact c-2 was removed"


def test_undo_of_a_kept_deletion_restores_the_contact() -> None:
    book = ContactBook.load(
        KEEPS_DELETED, make_book(KEEPS_DELETED).dump(), retain_changes=1
    )
    before = book.dump()
    book.delete("c-2")
    outcome = book.changes_since()[0].outcome

    assert outcome is not None
    assert book.undo(outcome).result == "undone"
    assert book.dump() == before


def delete(book: ContactBook) -> None:
    book.delete("c-1")


def merge_into_another(book: ContactBook) -> None:
    book.merge("c-2", "c-1")


def update(book: ContactBook) -> None:
    upsert(book, city="Bergen", name="Ada", at=1)


def merge_another(book: ContactBook) -> None:
    book.merge("c-1", "c-2")


@pytest.mark.parametrize(
    ("later_call", "reason"),
    [
        (delete, "contact c-1 is gone"),
        (merge_into_another, "contact c-1 was merged into c-2"),
        (update, "contact c-1 is at version 3, not 2 (name, at, city)"),
        (merge_another, "contact c-1 is at version 3, not 2"),
    ],
)
def test_later_change_makes_the_outcome_stale(
    later_call: Callable[[ContactBook], None], reason: str
) -> None:
    """The reason names it; the change stays."""
    book = make_book()
    outcome = upsert(book, city="Oslo")
    later_call(book)

    assert reason == reason_of_refusal(book, outcome)


def test_later_deletion_makes_the_outcome_stale() -> None:
    book = make_book(KEEPS_DELETED)
    outcome = upsert(book, city="Oslo")
    book.delete("c-1")

    assert reason_of_refusal(book, outcome) == "contact c-1 is at version 3, not 2"


@pytest.mark.parametrize("scope", ["", "east"])
def test_unique_key_in_use_since_makes_the_outcome_stale(scope: str) -> None:
    """In another scope it does not."""
    policy = Policy(
        first_match("phone"),
        {**LINES, "email": field(key=normalize.email, unique=True)},
    )
    book = make_book(policy)
    before = book.get("c-1")
    outcome = book.upsert({"phone": "+15550001", "email": "new@x"})
    book.create({"email": "P1@x"}, scope=scope)

    if scope:
        assert book.undo(outcome).contact == before
    else:
        assert reason_of_refusal(book, outcome) == "contact c-4 holds its former email"


def test_absorbed_key_in_use_since_makes_the_outcome_stale() -> None:
    lines = {**LINES, "email": field(key=normalize.email, unique=True)}
    book = make_book(Policy(first_match("phone"), lines))
    outcome = book.merge("c-1", "c-2")
    book.create({"email": "p2@x"})

    assert reason_of_refusal(book, outcome) == "contact c-4 holds its former email"


def test_key_that_is_not_unique_does_not_prevent_undo() -> None:
    book = make_book()
    outcome = upsert(book, phone="+15550009")
    book.create({"phone": "+15550001"})
    book.undo(outcome)

    assert ["c-1", "c-4"] == [contact.id for contact in book.find("phone", "+15550001")]


def test_key_in_use_does_not_prevent_undo_under_allow() -> None:
    lines = {**LINES, "email": field(key=normalize.email, unique=True)}
    book = make_book(Policy(first_match("phone"), lines, on_key_in_use="allow"))
    outcome = book.upsert({"phone": "+15550001", "email": "new@x"})
    book.create({"email": "p1@x"})
    book.undo(outcome)

    assert ["c-1", "c-4"] == [contact.id for contact in book.find("email", "p1@x")]


def test_undo_of_a_merging_patch_restores_the_contacts() -> None:
    book = make_book(Policy(merge_all("email", "phone"), LINES))
    before = book.dump()
    outcome = upsert(book, 1, phone="+15550002", city="Oslo")
    assert outcome.merged
    book.undo(outcome)

    assert before == book.dump()


def test_outcome_of_another_book_is_compared_by_value() -> None:
    book, other = make_book(), make_book()
    outcome = upsert(other, city="Oslo")
    assert (
        reason_of_refusal(book, outcome) == "contact c-1 is at version 1, not 2 (city)"
    )
    assert reason_of_refusal(make_book(size=0), outcome) == "contact c-1 is gone"
    upsert(book, city="Oslo")
    book.undo(outcome)

    assert book.dump() == make_book().dump()


def test_loaded_book_undoes_an_update_and_refuses_a_merge() -> None:
    """The places of absorbed contacts are not in the dump."""
    book = make_book()
    outcome, merge_outcome = upsert(book, 3, city="Oslo"), book.merge("c-2", "c-1")
    loaded_book = ContactBook.load(POLICY, book.dump())
    reason = "contact c-2 was merged before it was loaded here"
    assert reason == reason_of_refusal(loaded_book, merge_outcome)
    loaded_book.undo(outcome)

    book.undo(outcome)
    assert book.dump() == loaded_book.dump()


def test_replayed_book_undoes_a_merge() -> None:
    book = ContactBook(POLICY, retain_changes=None)
    for number in range(3):
        upsert(book, number)
    before = book.dump()
    ids = [row["id"] for row in before]
    outcome = book.merge(ids[2], ids[0])
    replayed_book = ContactBook.from_changes(POLICY, book.changes_since())
    replayed_book.undo(outcome)

    assert before == replayed_book.dump()


def test_other_contact_of_equal_version_makes_the_outcome_stale() -> None:
    policy = Policy(first_match("id"), {"id": field(key=normalize.exact)})
    first, second = (ContactBook(policy, ids=lambda: "c-1") for _ in range(2))
    outcome = first.create({"id": 1})
    second.create({"id": 2})
    with pytest.raises(errors.StaleOutcome, match="c-1 has changed since it was read"):
        second.undo(outcome)

"""Undo: what stood before a call comes back exactly, or the call is refused."""

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
MARKS = Policy(first_match("email", "phone"), LINES, on_deleted="restore")


def book(policy: Policy = POLICY, people: int = 3) -> ContactBook:
    """Make a book of contacts c-1, c-2, ...; its clock moves at each look."""
    ids, hours = count(1), count()
    made = ContactBook(
        policy,
        ids=lambda: f"c-{next(ids)}",
        clock=lambda: NOW + timedelta(hours=next(hours)),
    )
    for number in range(1, people + 1):
        made.create({"email": f"p{number}@x", "phone": f"+1555000{number}"})
    return made


def put(made: ContactBook, number: int = 1, **fields: Any) -> Outcome:
    """Send a patch about one of them."""
    return made.upsert({"email": f"p{number}@x", **fields})


def no(made: ContactBook, outcome: Outcome) -> str:
    """See that an undo is refused and changes nothing, and give its words."""
    before = made.dump()
    with pytest.raises(errors.StaleOutcome) as caught:
        made.undo(outcome)
    assert before == made.dump()
    made._index.check()
    assert (
        str(caught.value)
        == f"outcome: {caught.value.reason}; it can no longer be undone"
    )
    return caught.value.reason


def test_a_creation() -> None:
    """The contact goes, its keys are free, and the outcome shows it as it was."""
    made = book(people=0)
    outcome = made.create({"email": "ada@x"})
    undone = made.undo(outcome)

    assert Outcome("undone", outcome.contact, outcome.contact) == undone
    assert ([], ()) == (made.dump(), made.find("email", "ada@x"))
    assert made.create({"email": "ada@x"}).contact.id == "c-2"


def test_an_update() -> None:
    """Version, times, aliases and clocks are those from before."""
    made = book()
    put(made, name="Ada", at=5)
    before = made.dump()
    outcome = made.upsert(
        {"phone": "+15550001", "email": "new@x", "name": "Eve", "at": 7}
    )
    assert {"email": ("p1@x",)} == dict(outcome.contact.aliases)
    undone = made.undo(outcome)

    assert before == made.dump()
    assert ("undone", outcome.before) == (undone.result, undone.contact)
    assert undone.before == outcome.contact
    assert {"name": 5} == dict(undone.contact.clocks)
    assert ((), 1) == (made.find("email", "new@x"), len(made.find("email", "p1@x")))


def test_a_merge() -> None:
    """Every one stands in its old place, with the ids that led to it."""
    made = book()
    made.merge("c-2", "c-1")
    before = made.dump()
    outcome = made.merge("c-3", "c-2")
    undone = made.undo(outcome)

    assert before == made.dump()
    assert outcome.merged == undone.merged
    assert (("c-1",), "c-2") == (made.get("c-2").merged_ids, made.get("c-1").id)
    made._index.check()


@pytest.mark.parametrize("policy", [POLICY, MARKS], ids=["forget", "restore"])
def test_a_chain_back_to_nothing(policy: Policy) -> None:
    """Taken back from the last to the first, every step is as it was."""
    made = book(policy, people=0)
    steps: list[Callable[[], Outcome]] = [
        lambda: put(made, 1, name="Ada", at=1),
        lambda: put(made, 2, phone="+15550002"),
        lambda: put(made, 1, name="Eve", at=2),
        lambda: made.merge("c-2", "c-1"),
        lambda: put(made, 3),
        lambda: made.upsert({"email": "new@x", "phone": "+15550002"}),
        lambda: made.merge("c-3", "c-2"),
        lambda: put(made, 3, city="Oslo"),
    ]
    done = [(made.dump(), step()) for step in steps]
    for before, outcome in reversed(done):
        made.undo(outcome)
        assert before == made.dump()
        made._index.check()

    assert [] == made.dump()


def test_what_stands_again_can_be_undone_again() -> None:
    """A newer change that was taken back is not in the way."""
    made = book()
    first = put(made, city="Oslo")
    made.undo(put(made, city="Bergen"))
    made.undo(first)

    assert "city" not in made.get("c-1")


def test_nothing_to_take_back() -> None:
    """An unchanged outcome is handed back, whatever has come of the contact."""
    made = book()
    outcome = put(made)
    made.delete("c-1")

    assert outcome is made.undo(outcome)


def test_what_is_no_call_of_a_patch() -> None:
    """What was removed or undone is not taken back; it is said which."""
    made = book()
    undone = made.undo(put(made, city="Oslo"))
    contact = made.delete("c-2")

    assert no(made, undone) == "contact c-1 was put back already"
    for before in (None, contact):
        gone = Outcome("deleted", contact, before)
        assert no(made, gone) == "contact c-2 was removed"


def test_what_was_deleted_and_kept() -> None:
    """It is there as before, and its mark is gone."""
    made = ContactBook.load(MARKS, book(MARKS).dump(), retain_changes=1)
    before = made.dump()
    made.delete("c-2")
    outcome = made.changes_since()[0].outcome

    assert outcome is not None
    assert made.undo(outcome).result == "undone"
    assert made.dump() == before


def drop(made: ContactBook) -> None:
    made.delete("c-1")


def absorb(made: ContactBook) -> None:
    made.merge("c-2", "c-1")


def move(made: ContactBook) -> None:
    put(made, city="Bergen", name="Ada", at=1)


def absorb_another(made: ContactBook) -> None:
    made.merge("c-1", "c-2")


@pytest.mark.parametrize(
    ("newer", "reason"),
    [
        (drop, "contact c-1 is gone"),
        (absorb, "contact c-1 was merged into c-2"),
        (move, "contact c-1 is at version 3, not 2 (city, name, at)"),
        (absorb_another, "contact c-1 is at version 3, not 2"),
    ],
)
def test_something_newer_is_in_the_way(
    newer: Callable[[ContactBook], None], reason: str
) -> None:
    """It is named and never touched."""
    made = book()
    outcome = put(made, city="Oslo")
    newer(made)

    assert reason == no(made, outcome)


def test_a_mark_is_newer() -> None:
    """A contact that was marked as deleted meanwhile stays so."""
    made = book(MARKS)
    outcome = put(made, city="Oslo")
    made.delete("c-1")

    assert no(made, outcome) == "contact c-1 is at version 3, not 2"


@pytest.mark.parametrize("scope", ["", "east"])
def test_a_unique_key_that_was_taken_meanwhile(scope: str) -> None:
    """Whoever holds it keeps it; the same form in another scope is nobody's way."""
    policy = Policy(
        first_match("phone"),
        {**LINES, "email": field(key=normalize.email, unique=True)},
    )
    made = book(policy)
    before = made.get("c-1")
    outcome = made.upsert({"phone": "+15550001", "email": "new@x"})
    made.create({"email": "P1@x"}, scope=scope)

    if scope:
        assert made.undo(outcome).contact == before
    else:
        assert no(made, outcome) == "contact c-4 holds its former email"


def test_a_key_of_an_absorbed_one_that_was_taken_meanwhile() -> None:
    """The keys of all who would come back are looked at."""
    lines = {**LINES, "email": field(key=normalize.email, unique=True)}
    made = book(Policy(first_match("phone"), lines))
    outcome = made.merge("c-1", "c-2")
    made.create({"email": "p2@x"})

    assert no(made, outcome) == "contact c-4 holds its former email"


def test_keys_that_are_not_unique_are_not_asked() -> None:
    """They may be held by several, also after an undo."""
    made = book()
    outcome = put(made, phone="+15550009")
    made.create({"phone": "+15550001"})
    made.undo(outcome)

    assert ["c-1", "c-4"] == [each.id for each in made.find("phone", "+15550001")]


def test_where_clashes_are_allowed() -> None:
    """Nobody asks who holds a unique key then."""
    lines = {**LINES, "email": field(key=normalize.email, unique=True)}
    made = book(Policy(first_match("phone"), lines, on_key_in_use="allow"))
    outcome = made.upsert({"phone": "+15550001", "email": "new@x"})
    made.create({"email": "p1@x"})
    made.undo(outcome)

    assert ["c-1", "c-4"] == [each.id for each in made.find("email", "p1@x")]


def test_what_a_patch_merged() -> None:
    """The patch is taken back with the merge that it caused."""
    made = book(Policy(merge_all("email", "phone"), LINES))
    before = made.dump()
    outcome = put(made, 1, phone="+15550002", city="Oslo")
    assert outcome.merged
    made.undo(outcome)

    assert before == made.dump()


def test_an_outcome_of_another_book() -> None:
    """It is taken by value: an equal contact is the same one, another is not."""
    made, twin = book(), book()
    outcome = put(twin, city="Oslo")
    assert no(made, outcome) == "contact c-1 is at version 1, not 2 (city)"
    assert no(book(people=0), outcome) == "contact c-1 is gone"
    put(made, city="Oslo")
    made.undo(outcome)

    assert made.dump() == book().dump()


def test_after_loading() -> None:
    """A creation and an update can be undone; a merge needs the places of before."""
    made = book()
    outcome, merged = put(made, 3, city="Oslo"), made.merge("c-2", "c-1")
    loaded = ContactBook.load(POLICY, made.dump())
    reason = "contact c-2 was merged before it was loaded here"
    assert reason == no(loaded, merged)
    loaded.undo(outcome)

    made.undo(outcome)
    assert made.dump() == loaded.dump()


def test_after_replaying() -> None:
    """A replayed book knows the places, and undoes as the first one would."""
    made = ContactBook(POLICY, retain_changes=None)
    for number in range(3):
        put(made, number)
    before = made.dump()
    ids = [row["id"] for row in before]
    outcome = made.merge(ids[2], ids[0])
    twin = ContactBook.from_changes(POLICY, made.changes_since())
    twin.undo(outcome)

    assert before == twin.dump()


def test_another_contact_at_the_same_version() -> None:
    """Said so, for the versions tell nothing."""
    policy = Policy(first_match("id"), {"id": field(key=normalize.exact)})
    mine, theirs = (ContactBook(policy, ids=lambda: "c-1") for _ in range(2))
    outcome = mine.create({"id": 1})
    theirs.create({"id": 2})
    with pytest.raises(errors.StaleOutcome, match="c-1 has changed since it was read"):
        theirs.undo(outcome)

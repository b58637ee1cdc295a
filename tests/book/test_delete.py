"""Deletion that is kept: a contact that is marked, found, brought back or refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from upsertcore import (
    Contact,
    ContactBook,
    Policy,
    errors,
    field,
    first_match,
    merge_all,
    normalize,
)
from upsertcore.rules import add

NOW = datetime(2024, 1, 2, tzinfo=UTC)
LINES: dict[str, Any] = {
    "email": field(key=normalize.email, unique=True),
    "phone": field(key=normalize.phone),
    "name": field(),
    "seen": field(rule=add),
}
ADA = {"email": "ada@x", "phone": "+15550001", "name": "Ada"}
EVE = {"email": "eve@x", "phone": "+15550002"}
BACK = pytest.mark.parametrize("on_deleted", ["restore", "refuse"])


def hour(number: int) -> datetime:
    """Give the time of one look at the clock."""
    return NOW + timedelta(hours=number)


def book(on_deleted: Any, match: Any = None, **how: Any) -> ContactBook:
    """Make a book of two contacts, of which the first was deleted at three."""
    match = first_match("email", "phone") if match is None else match
    policy = Policy(match, LINES, on_deleted=on_deleted, **how)
    ids, hours = count(1), count(1)
    made = ContactBook(
        policy,
        ids=lambda: f"c-{next(ids)}",
        clock=lambda: hour(next(hours)),
        retain_changes=None,
    )
    made.create(ADA)
    made.create(EVE)
    made.delete("c-1")
    return made


def test_it_is_gone_unless_it_is_to_stay() -> None:
    """By default its keys are free, and a patch makes the contact anew."""
    made = book("forget")

    assert ("c-1" in made, made.find("email", "ada@x")) == (False, ())
    assert made.upsert(ADA).contact.id == "c-3"
    assert Policy(first_match("email"), LINES).on_deleted == "forget"


@pytest.mark.parametrize("choice", ["keep", "", None, True])
def test_a_choice_that_is_none(choice: Any) -> None:
    """It is refused when the policy is made, and the choices are named."""
    with pytest.raises(errors.InvalidPolicy, match=r"on_deleted: .*'?restore"):
        Policy(first_match("email"), LINES, on_deleted=choice)


@BACK
def test_it_stays_with_a_mark(on_deleted: str) -> None:
    """One version on, with its time; its fields and its place are as they were."""
    made = book(on_deleted)
    stored = made.get("c-1")

    assert (hour(3), hour(3), hour(1)) == (
        stored.deleted_at,
        stored.updated_at,
        stored.created_at,
    )
    assert (2, ADA) == (stored.version, stored.to_dict()["fields"])
    assert (2, ["c-1", "c-2"]) == (len(made), [each.id for each in made])
    assert (stored,) == made.find("email", "ADA@x") == made.find("phone", "+15550001")
    assert "c-1" in made
    made._index.check()


@BACK
def test_what_delete_answers(on_deleted: str) -> None:
    """The contact as it is now; a second deletion changes nothing."""
    made = book(on_deleted)
    deleted = made.delete("c-2")
    assert (deleted, hour(4)) == (made.get("c-2"), deleted.deleted_at)

    entries, rows = made.changes_since(), made.dump()
    assert deleted == made.delete("c-2")
    assert (entries, rows) == (made.changes_since(), made.dump())


@pytest.mark.parametrize("on_deleted", ["forget", "restore", "refuse"])
def test_an_id_of_nobody(on_deleted: str) -> None:
    """An unknown id and one that merely leads to a contact take nothing out."""
    made = book(on_deleted)
    made.create({"email": "bob@x"})
    made.merge("c-2", "c-3")
    before = made.dump()
    for id in ("c-3", "c-9", ""):
        with pytest.raises(errors.UnknownContact):
            made.delete(id)

    assert before == made.dump()


@BACK
def test_a_row_tells_it(on_deleted: str) -> None:
    """The mark is in the row of a deleted contact alone, and is read back."""
    made = book(on_deleted)
    rows = json.loads(json.dumps(made.dump()))
    loaded = ContactBook.load(made.policy, rows)

    assert [hour(3).isoformat(), None] == [row.get("deleted_at") for row in rows]
    assert "deleted_at" not in rows[1]
    assert made.dump() == loaded.dump() == rows
    assert loaded.get("c-1") == made.get("c-1")
    twin = ContactBook.from_changes(made.policy, made.changes_since())
    assert made.dump() == twin.dump()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "must be ISO 8601 text"),
        (0, "must be ISO 8601 text"),
        ("2024-01-02T00:00:00", "must have an offset from UTC"),
    ],
)
def test_a_row_of_the_wrong_form(value: Any, reason: str) -> None:
    """The mark is a time with an offset, or it is not there."""
    row = book("restore").dump()[0]
    with pytest.raises(errors.InvalidField, match=reason) as no:
        Contact.from_dict({**row, "deleted_at": value})

    assert no.value.field == "deleted_at"


@pytest.mark.parametrize(
    ("patch", "name"),
    [
        ({"email": "ada@x"}, "Ada"),
        ({"phone": "+15550001", "name": "Bob"}, "Bob"),
        (ADA, "Ada"),
    ],
)
def test_a_patch_brings_it_back(patch: dict[str, Any], name: str) -> None:
    """It is updated, also where no field moves; then it is as any other."""
    made = book("restore")
    before = made.get("c-1")
    outcome = made.upsert(patch)
    now = made.get("c-1")

    assert ("updated", before, now) == (outcome.result, outcome.before, outcome.contact)
    assert (now.deleted_at, now.version, now.updated_at) == (None, 3, hour(4))
    assert ("c-1", name, before.created_at) == (now.id, now["name"], now.created_at)
    assert made.upsert(patch).unchanged
    assert (
        made.dump()
        == ContactBook.from_changes(made.policy, made.changes_since()).dump()
    )


def test_it_can_be_deleted_and_brought_back_again() -> None:
    """Each time is one version."""
    made = book("restore")
    for _ in range(2):
        made.upsert(ADA)
        made.delete("c-1")

    assert (6, hour(7)) == (made.get("c-1").version, made.get("c-1").deleted_at)


def test_a_plan_brings_it_back() -> None:
    """The plan says so, and does it; a deletion in between makes it stale."""
    made = book("restore")
    plan = made.plan({"email": "ada@x"})
    assert plan.updated
    assert made.get("c-1").deleted_at is not None
    assert made.apply(plan).contact.deleted_at is None

    plan = made.plan({"email": "ada@x", "name": "Bob"})
    made.delete("c-1")
    with pytest.raises(errors.StalePlan, match="c-1"):
        made.apply(plan)


def test_an_undo_marks_it_again() -> None:
    """The contact is as it was, with the time of its deletion."""
    made = book("restore")
    before = made.dump()
    made.undo(made.upsert({"email": "ada@x", "name": "Bob"}))

    assert before == made.dump()
    assert (
        made.dump()
        == ContactBook.from_changes(made.policy, made.changes_since()).dump()
    )


def test_a_patch_that_finds_it_is_refused() -> None:
    """By its id; whatever the patch says, nothing changes."""
    made = book("refuse")
    before = made.dump()
    calls: list[Callable[[], Any]] = [
        lambda: made.upsert({"phone": "+15550001"}),
        lambda: made.plan({"email": "ada@x", "name": "Bob"}),
        lambda: made.upsert_many([ADA]),
        lambda: made.upsert_many([EVE, {**EVE, "name": "E"}, ADA], atomic=True),
    ]
    for call in calls:
        with pytest.raises(errors.ContactDeleted) as no:
            call()
        assert no.value.id == "c-1"
        assert "contact c-1: deleted" in str(no.value)

    assert before == made.dump()
    assert issubclass(errors.ContactDeleted, errors.Refused)


@BACK
def test_a_version_comes_first(on_deleted: str) -> None:
    """Who names another version is told that one, and nothing comes back."""
    made = book(on_deleted)
    with pytest.raises(errors.StaleVersion) as no:
        made.upsert(ADA, if_version=1)
    assert (1, 2) == (no.value.expected, no.value.actual)

    if on_deleted == "refuse":
        with pytest.raises(errors.ContactDeleted):
            made.upsert(ADA, if_version=2)
    else:
        assert made.upsert(ADA, if_version=2).contact.version == 3


def test_a_policy_that_ignores_updates() -> None:
    """It leaves the contact as it is: deleted."""
    made = book("restore", on_found="ignore")
    outcome = made.upsert({"email": "ada@x", "name": "Bob"})

    assert ("unchanged", {"name": "on_found"}) == (
        outcome.result,
        dict(outcome.ignored),
    )
    assert hour(3) == made.get("c-1").deleted_at


def test_a_policy_without_updates() -> None:
    """To bring a contact back is an update, also where no field moves."""
    made = book("restore", on_found="refuse")
    assert made.upsert(EVE).unchanged
    with pytest.raises(errors.UpdateRefused) as no:
        made.upsert(ADA)

    assert ("c-1", hour(3)) == (no.value.id, made.get("c-1").deleted_at)


@BACK
def test_its_unique_keys_are_held(on_deleted: str) -> None:
    """Nobody else can have them while it stays; the holder is named."""
    made = book(on_deleted)
    with pytest.raises(errors.KeyInUse) as no:
        made.create({"email": "ADA@x"})
    assert no.value.holder == "c-1"

    made = book(on_deleted, match=first_match("phone"), on_key_in_use="withhold")
    outcome = made.upsert({"phone": "+15550002", "email": "ada@x"})
    assert [("email", "c-1")] == [
        (each.field, each.holder) for each in outcome.withheld
    ]
    assert made.get("c-2")["email"] == "eve@x"


@BACK
def test_it_is_no_duplicate(on_deleted: str) -> None:
    """It neither stands in a group nor joins two; nobody is merged into it."""
    made = book(on_deleted, match=first_match("email"))
    made.create({"phone": "+15550001"})
    assert () == made.duplicates()

    made.create({"phone": "+15550001"})
    assert [["c-3", "c-4"]] == [[each.id for each in g] for g in made.duplicates()]
    assert len(made.dedupe("phone")) == 1
    assert ["c-1", "c-2", "c-3"] == [each.id for each in made]
    assert made.get("c-1").deleted_at == hour(3)


def test_it_stands_in_no_middle() -> None:
    """Two that share a key with it, and none with each other, are no group."""
    made = book("restore", match=first_match("email"))
    made.create({"phone": "+15550001"})
    made.create({"phone": ["+15550002"]})
    made.delete("c-2")

    assert () == made.duplicates("phone")


def test_a_merging_patch_brings_it_back() -> None:
    """Who is found besides becomes part of it, and an undo puts both as they were."""
    made = book("restore", match=merge_all("email", "phone"))
    before = made.dump()
    outcome = made.upsert({"email": "ada@x", "phone": "+15550002"})

    assert ("merged", "c-1", None) == (
        outcome.result,
        outcome.contact.id,
        outcome.contact.deleted_at,
    )
    made.undo(outcome)
    assert before == made.dump()
    assert (
        made.dump()
        == ContactBook.from_changes(made.policy, made.changes_since()).dump()
    )


def test_an_absorbed_one_keeps_its_mark_in_the_outcome() -> None:
    """An id that leads to the survivor finds one that is not deleted."""
    made = book("restore")
    outcome = made.merge("c-2", "c-1")

    assert (hour(3),) == tuple(each.deleted_at for each in outcome.merged)
    assert ("c-2", None) == (made.get("c-1").id, made.get("c-1").deleted_at)
    made.undo(outcome)
    assert hour(3) == made.get("c-1").deleted_at


@BACK
def test_a_former_id_of_it_still_leads_to_it(on_deleted: str) -> None:
    """What it absorbed is found under its old id, deleted as it is."""
    made = book(on_deleted)
    made.create({"email": "bob@x"})
    made.merge("c-2", "c-3")
    made.delete("c-2")

    assert ("c-2", hour(6)) == (made.get("c-3").id, made.get("c-3").deleted_at)


def test_scopes_are_apart() -> None:
    """A patch of another scope finds nobody who is deleted here."""
    made = book("refuse")

    assert made.upsert(ADA, scope="east").created


def test_a_retry_brings_nobody_back() -> None:
    """A call that was made already is answered, and the contact stays deleted."""
    made = book("restore")
    first = made.upsert(EVE, idempotency_key="k-1")
    made.delete("c-2")

    assert first == made.upsert(EVE, idempotency_key="k-1")
    assert made.get("c-2").deleted_at is not None


def test_a_deleted_contact_under_a_policy_that_forgets() -> None:
    """Its mark is read; the next deletion takes it out for good."""
    made = book("restore")
    loaded = ContactBook.load(Policy(first_match("email"), LINES), made.dump())
    assert loaded.get("c-1").deleted_at == hour(3)

    assert loaded.delete("c-1") == made.get("c-1")
    assert "c-1" not in loaded


def test_a_clock_that_tells_no_time() -> None:
    """The deletion raises, and the contact stays as it is."""
    policy = Policy(first_match("email"), LINES, on_deleted="restore")
    times: Any = iter([NOW, None])
    made = ContactBook(policy, ids=lambda: "c-1", clock=times.__next__)
    made.create(ADA)
    with pytest.raises(TypeError, match="clock: must return an aware time"):
        made.delete("c-1")

    assert (1, None) == (made.get("c-1").version, made.get("c-1").deleted_at)


def test_nobody_deleted_is_merged_where_none_comes_back() -> None:
    """By a patch or by name, survivor or absorbed: refused, and named."""
    lines = {name: field(key=normalize.exact) for name in ("a", "b")}
    policy = Policy(merge_all("a", "b"), lines, on_deleted="refuse")
    numbers = count(1)
    book = ContactBook(policy, ids=lambda: f"c-{next(numbers)}")
    book.create({"a": 1})
    book.create({"b": 1})
    book.delete("c-2")
    calls: tuple[Callable[[], Any], ...] = (
        lambda: book.upsert({"a": 1, "b": 1}),
        lambda: book.merge("c-1", "c-2"),
        lambda: book.merge("c-2", "c-1"),
    )
    for call in calls:
        with pytest.raises(errors.ContactDeleted) as caught:
            call()
        assert caught.value.id == "c-2"


def test_what_came_back_is_told() -> None:
    """The first line says that it was deleted."""
    lines = {"a": field(key=normalize.exact)}
    policy = Policy(first_match("a"), lines, on_deleted="restore")
    book = ContactBook(policy, ids=lambda: "c-1")
    book.create({"a": 1})
    book.delete("c-1")

    told = book.upsert({"a": 1}).explain()
    assert told == "updated c-1, which was deleted, matched by a"

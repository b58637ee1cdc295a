"""Deleted contacts that are kept: found, restored or refused."""

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
KEPT = pytest.mark.parametrize("on_deleted", ["restore", "refuse"])


def time_of_call(number: int) -> datetime:
    """Return the time of a call of the clock."""
    return NOW + timedelta(hours=number)


def make_book(on_deleted: Any, match: Any = None, **options: Any) -> ContactBook:
    """Make a book of two contacts; the first is deleted in the third hour."""
    match = first_match("email", "phone") if match is None else match
    policy = Policy(match, LINES, on_deleted=on_deleted, **options)
    ids, hours = count(1), count(1)
    book = ContactBook(
        policy,
        ids=lambda: f"c-{next(ids)}",
        clock=lambda: time_of_call(next(hours)),
        retain_changes=None,
    )
    book.create(ADA)
    book.create(EVE)
    book.delete("c-1")
    return book


def test_forget_removes_the_contact_and_frees_its_keys() -> None:
    """This is the default."""
    book = make_book("forget")

    assert ("c-1" in book, book.find("email", "ada@x")) == (False, ())
    assert book.upsert(ADA).contact.id == "c-3"
    assert Policy(first_match("email"), LINES).on_deleted == "forget"


@pytest.mark.parametrize("choice", ["keep", "", None, True])
def test_unknown_on_deleted_is_refused(choice: Any) -> None:
    """The message names the choices."""
    with pytest.raises(errors.InvalidPolicy, match=r"on_deleted: .*'?restore"):
        Policy(first_match("email"), LINES, on_deleted=choice)


@KEPT
def test_deleted_contact_is_kept_with_deleted_at(on_deleted: str) -> None:
    """Its version is one higher; fields and place are unchanged."""
    book = make_book(on_deleted)
    contact = book.get("c-1")

    assert (time_of_call(3), time_of_call(3), time_of_call(1)) == (
        contact.deleted_at,
        contact.updated_at,
        contact.created_at,
    )
    assert (2, ADA) == (contact.version, contact.to_dict()["fields"])
    assert (2, ["c-1", "c-2"]) == (len(book), [contact.id for contact in book])
    assert (contact,) == book.find("email", "ADA@x") == book.find("phone", "+15550001")
    assert "c-1" in book
    book._index.check()


@KEPT
def test_delete_returns_the_contact_and_a_second_delete_changes_nothing(
    on_deleted: str,
) -> None:
    book = make_book(on_deleted)
    contact = book.delete("c-2")
    assert (contact, time_of_call(4)) == (book.get("c-2"), contact.deleted_at)

    entries, rows = book.changes_since(), book.dump()
    assert contact == book.delete("c-2")
    assert (entries, rows) == (book.changes_since(), book.dump())


@pytest.mark.parametrize("on_deleted", ["forget", "restore", "refuse"])
def test_delete_of_an_unknown_or_merged_id_is_refused(on_deleted: str) -> None:
    book = make_book(on_deleted)
    book.create({"email": "bob@x"})
    book.merge("c-2", "c-3")
    before = book.dump()
    for id in ("c-3", "c-9", ""):
        with pytest.raises(errors.UnknownContact):
            book.delete(id)

    assert before == book.dump()


@KEPT
def test_row_of_a_deleted_contact_has_deleted_at(on_deleted: str) -> None:
    """Loading and replay read it back."""
    book = make_book(on_deleted)
    rows = json.loads(json.dumps(book.dump()))
    loaded_book = ContactBook.load(book.policy, rows)

    assert [time_of_call(3).isoformat(), None] == [
        row.get("deleted_at") for row in rows
    ]
    assert "deleted_at" not in rows[1]
    assert book.dump() == loaded_book.dump() == rows
    assert loaded_book.get("c-1") == book.get("c-1")
    replayed_book = ContactBook.from_changes(book.policy, book.changes_since())
    assert book.dump() == replayed_book.dump()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "must be ISO 8601 text"),
        (0, "must be ISO 8601 text"),
        ("2024-01-02T00:00:00", "must have an offset from UTC"),
    ],
)
def test_invalid_deleted_at_is_refused(value: Any, reason: str) -> None:
    row = make_book("restore").dump()[0]
    with pytest.raises(errors.InvalidField, match=reason) as caught:
        Contact.from_dict({**row, "deleted_at": value})

    assert caught.value.field == "deleted_at"


@pytest.mark.parametrize(
    ("patch", "name"),
    [
        ({"email": "ada@x"}, "Ada"),
        ({"phone": "+15550001", "name": "Bob"}, "Bob"),
        (ADA, "Ada"),
    ],
)
def test_patch_restores_the_contact(patch: dict[str, Any], name: str) -> None:
    """This is an update even if no field changes."""
    book = make_book("restore")
    before = book.get("c-1")
    outcome = book.upsert(patch)
    contact = book.get("c-1")

    assert ("updated", before, contact) == (
        outcome.result,
        outcome.before,
        outcome.contact,
    )
    assert (contact.deleted_at, contact.version, contact.updated_at) == (
        None,
        3,
        time_of_call(4),
    )
    assert ("c-1", name, before.created_at) == (
        contact.id,
        contact["name"],
        contact.created_at,
    )
    assert book.upsert(patch).unchanged
    assert (
        book.dump()
        == ContactBook.from_changes(book.policy, book.changes_since()).dump()
    )


def test_contact_is_deleted_and_restored_repeatedly() -> None:
    """Each time is one version."""
    book = make_book("restore")
    for _ in range(2):
        book.upsert(ADA)
        book.delete("c-1")

    assert (6, time_of_call(7)) == (book.get("c-1").version, book.get("c-1").deleted_at)


def test_plan_to_restore_is_applied_or_stale() -> None:
    """Another deletion makes it stale."""
    book = make_book("restore")
    plan = book.plan({"email": "ada@x"})
    assert plan.updated
    assert book.get("c-1").deleted_at is not None
    assert book.apply(plan).contact.deleted_at is None

    plan = book.plan({"email": "ada@x", "name": "Bob"})
    book.delete("c-1")
    with pytest.raises(errors.StalePlan, match="c-1"):
        book.apply(plan)


def test_undo_of_a_restore_deletes_the_contact_again() -> None:
    """With the time of its deletion."""
    book = make_book("restore")
    before = book.dump()
    book.undo(book.upsert({"email": "ada@x", "name": "Bob"}))

    assert before == book.dump()
    assert (
        book.dump()
        == ContactBook.from_changes(book.policy, book.changes_since()).dump()
    )


def test_patch_for_a_deleted_contact_is_refused() -> None:
    """The refusal names its id; nothing changes."""
    book = make_book("refuse")
    before = book.dump()
    calls: list[Callable[[], Any]] = [
        lambda: book.upsert({"phone": "+15550001"}),
        lambda: book.plan({"email": "ada@x", "name": "Bob"}),
        lambda: book.upsert_many([ADA]),
        lambda: book.upsert_many([EVE, {**EVE, "name": "E"}, ADA], atomic=True),
    ]
    for call in calls:
        with pytest.raises(errors.ContactDeleted) as caught:
            call()
        assert caught.value.id == "c-1"
        assert "contact c-1: deleted" in str(caught.value)

    assert before == book.dump()
    assert issubclass(errors.ContactDeleted, errors.Refused)


@KEPT
def test_wrong_if_version_is_refused_before_contact_deleted(on_deleted: str) -> None:
    book = make_book(on_deleted)
    with pytest.raises(errors.StaleVersion) as caught:
        book.upsert(ADA, if_version=1)
    assert (1, 2) == (caught.value.expected, caught.value.actual)

    if on_deleted == "refuse":
        with pytest.raises(errors.ContactDeleted):
            book.upsert(ADA, if_version=2)
    else:
        assert book.upsert(ADA, if_version=2).contact.version == 3


def test_on_found_ignore_leaves_the_contact_deleted() -> None:
    book = make_book("restore", on_found="ignore")
    outcome = book.upsert({"email": "ada@x", "name": "Bob"})

    assert ("unchanged", {"name": "on_found"}) == (
        outcome.result,
        dict(outcome.ignored),
    )
    assert time_of_call(3) == book.get("c-1").deleted_at


def test_on_found_refuse_refuses_a_restore() -> None:
    """A restore is an update even if no field changes."""
    book = make_book("restore", on_found="refuse")
    assert book.upsert(EVE).unchanged
    with pytest.raises(errors.UpdateRefused) as caught:
        book.upsert(ADA)

    assert ("c-1", time_of_call(3)) == (caught.value.id, book.get("c-1").deleted_at)


@KEPT
def test_unique_key_of_a_deleted_contact_is_in_use(on_deleted: str) -> None:
    """The refusal, or the withheld field, names the holder."""
    book = make_book(on_deleted)
    with pytest.raises(errors.KeyInUse) as caught:
        book.create({"email": "ADA@x"})
    assert caught.value.holder == "c-1"

    book = make_book(on_deleted, match=first_match("phone"), on_key_in_use="withhold")
    outcome = book.upsert({"phone": "+15550002", "email": "ada@x"})
    assert [("email", "c-1")] == [
        (field_withheld.field, field_withheld.holder)
        for field_withheld in outcome.withheld
    ]
    assert book.get("c-2")["email"] == "eve@x"


@KEPT
def test_deleted_contact_is_in_no_group(on_deleted: str) -> None:
    book = make_book(on_deleted, match=first_match("email"))
    book.create({"phone": "+15550001"})
    assert () == book.duplicates()

    book.create({"phone": "+15550001"})
    assert [["c-3", "c-4"]] == [
        [contact.id for contact in group] for group in book.duplicates()
    ]
    assert len(book.dedupe("phone")) == 1
    assert ["c-1", "c-2", "c-3"] == [contact.id for contact in book]
    assert book.get("c-1").deleted_at == time_of_call(3)


def test_deleted_contact_does_not_join_two_others() -> None:
    book = make_book("restore", match=first_match("email"))
    book.create({"phone": "+15550001"})
    book.create({"phone": ["+15550002"]})
    book.delete("c-2")

    assert () == book.duplicates("phone")


def test_merging_patch_restores_the_contact() -> None:
    """An undo restores the state before it."""
    book = make_book("restore", match=merge_all("email", "phone"))
    before = book.dump()
    outcome = book.upsert({"email": "ada@x", "phone": "+15550002"})

    assert ("merged", "c-1", None) == (
        outcome.result,
        outcome.contact.id,
        outcome.contact.deleted_at,
    )
    book.undo(outcome)
    assert before == book.dump()
    assert (
        book.dump()
        == ContactBook.from_changes(book.policy, book.changes_since()).dump()
    )


def test_absorbed_deleted_contact_keeps_deleted_at_in_the_outcome() -> None:
    """Its id leads to the survivor, which is not deleted."""
    book = make_book("restore")
    outcome = book.merge("c-2", "c-1")

    assert (time_of_call(3),) == tuple(contact.deleted_at for contact in outcome.merged)
    assert ("c-2", None) == (book.get("c-1").id, book.get("c-1").deleted_at)
    book.undo(outcome)
    assert time_of_call(3) == book.get("c-1").deleted_at


@KEPT
def test_merged_id_leads_to_a_deleted_survivor(on_deleted: str) -> None:
    book = make_book(on_deleted)
    book.create({"email": "bob@x"})
    book.merge("c-2", "c-3")
    book.delete("c-2")

    assert ("c-2", time_of_call(6)) == (book.get("c-3").id, book.get("c-3").deleted_at)


def test_deleted_contact_of_another_scope_is_not_found() -> None:
    book = make_book("refuse")

    assert book.upsert(ADA, scope="east").created


def test_retry_does_not_restore_the_contact() -> None:
    book = make_book("restore")
    first = book.upsert(EVE, idempotency_key="k-1")
    book.delete("c-2")

    assert first == book.upsert(EVE, idempotency_key="k-1")
    assert book.get("c-2").deleted_at is not None


def test_deleted_contact_loaded_under_forget_is_removed_by_delete() -> None:
    book = make_book("restore")
    loaded_book = ContactBook.load(Policy(first_match("email"), LINES), book.dump())
    assert loaded_book.get("c-1").deleted_at == time_of_call(3)

    assert loaded_book.delete("c-1") == book.get("c-1")
    assert "c-1" not in loaded_book


def test_invalid_time_leaves_the_contact_undeleted() -> None:
    policy = Policy(first_match("email"), LINES, on_deleted="restore")
    times: Any = iter([NOW, None])
    book = ContactBook(policy, ids=lambda: "c-1", clock=times.__next__)
    book.create(ADA)
    with pytest.raises(TypeError, match="clock: must return an aware time"):
        book.delete("c-1")

    assert (1, None) == (book.get("c-1").version, book.get("c-1").deleted_at)


def test_merge_with_a_deleted_contact_is_refused_under_refuse() -> None:
    """As survivor or absorbed, by a patch or by id."""
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


def test_explain_of_a_restore_says_deleted() -> None:
    lines = {"a": field(key=normalize.exact)}
    policy = Policy(first_match("a"), lines, on_deleted="restore")
    book = ContactBook(policy, ids=lambda: "c-1")
    book.create({"a": 1})
    book.delete("c-1")

    text = book.upsert({"a": 1}).explain()
    assert text == "updated c-1, which was deleted, matched by a"

"""Comparing two policies over the same patches."""

from __future__ import annotations

from typing import Any

import pytest

from tests.field_options import merging
from upsertcore import (
    ContactBook,
    Policy,
    errors,
    field,
    first_match,
    first_present,
    merge_all,
    normalize,
)
from upsertcore.book.compare_policies import Comparison, Difference
from upsertcore.rules import custom, keep

LINES: dict[str, Any] = {
    "id": field(key=normalize.exact),
    "email": field(key=normalize.email, unique=True),
    "name": field(),
}
POLICY = Policy(first_match("id", "email"), LINES)
KEEPS_NAME = Policy(first_match("id", "email"), {**LINES, "name": field(rule=keep)})
MERGES = Policy(merge_all("id", "email"), LINES)
FIRST_PRESENT = Policy(first_present("id", "email"), LINES)
ADA = {"id": 1, "email": "ada@x", "name": "Ada"}
EVE = {"id": 2, "email": "eve@x", "name": "Eve"}


def make_book(*patches: dict[str, Any]) -> ContactBook:
    """Make a book of contacts c-1, c-2, ..."""
    ids = iter(f"c-{number}" for number in range(1, 9))
    book = ContactBook(POLICY, ids=ids.__next__, retain_changes=None)
    for patch in patches or (ADA, EVE):
        book.create(patch)
    return book


def differences(
    book: ContactBook, other: Policy, *patches: dict[str, Any], scope: str = ""
) -> list[tuple[int, str, Any, Any]]:
    """Return the differences as rows, and check that the book is unchanged."""
    before, entries = book.dump(), book.changes_since()
    comparison = book.compare(other, patches, scope=scope)
    assert (before, entries) == (book.dump(), book.changes_since())
    assert comparison.rows == len(patches)
    return [
        (difference.row, difference.part, difference.current, difference.other)
        for difference in comparison.differences
    ]


def test_same_policy_has_no_differences() -> None:
    """Refusals included."""
    patches: list[dict[str, Any]] = [
        ADA,
        {**ADA, "name": "A"},
        {"id": 7},
        {"city": "Oslo"},
        {"id": 1, "email": "eve@x"},
        {},
    ]

    assert [] == differences(make_book(), POLICY, *patches)
    text = make_book().compare(POLICY, patches).explain()
    assert text == "6 patches, no differences"


def test_no_patches_have_no_differences() -> None:
    assert Comparison(0, ()) == make_book().compare(KEEPS_NAME, iter(()))


def test_other_rule_differs_in_fields_and_fields_not_stored() -> None:
    patch = {"id": 1, "name": "Bob"}
    expected = [
        (0, "not stored", {}, {"name": "keep"}),
        (0, "fields", {**ADA, "name": "Bob"}, ADA),
    ]

    assert expected == differences(make_book(), KEEPS_NAME, patch)


def test_other_strategy_creates_where_the_first_updates() -> None:
    patch = {"id": 9, "email": "bob@x", "name": "Bob"}
    book = make_book({"email": "bob@x", "name": "B"})
    rows = differences(book, FIRST_PRESENT, patch)

    conflict = "KeyInUse: email: 'bob@x' is a key of contact c-1"
    assert [(0, "refused")] == [row[:2] for row in rows]
    assert conflict[:8] == rows[0][3][:8]

    lines = {**LINES, "email": field(key=normalize.email)}
    other = Policy(first_present("id", "email"), lines)
    assert [(0, "contact", "c-1", "row 0")] == differences(book, other, patch)


def test_contact_created_on_both_sides_is_no_difference() -> None:
    """Its name is that of its row on both sides."""
    new_patch = {"id": 5, "email": "bob@x"}
    rows = differences(
        make_book(),
        KEEPS_NAME,
        EVE,
        new_patch,
        {"id": 5, "name": "B"},
        {"id": 5, "name": "C"},
    )

    assert [(3, "not stored"), (3, "fields")] == [row[:2] for row in rows]


def test_contacts_merged_on_one_side_are_named_by_id() -> None:
    """The fields that result differ too."""
    book = make_book({"id": 1}, {"email": "eve@x", "name": "Eve"})
    withhold_policy = Policy(
        first_match("id", "email"),
        merging(LINES, {"name": keep}),
        on_key_in_use="withhold",
    )
    patch = {"id": 1, "email": "eve@x"}
    rows = differences(book, MERGES, patch)
    assert [(0, "refused", None)] == [(row, p, other) for row, p, _m, other in rows]

    book = ContactBook.load(withhold_policy, book.dump(), ids=lambda: "c-9")
    merges = book.compare(MERGES, [patch]).differences
    assert [
        ("merged", (), ("c-2",)),
        ("not stored", {"email": "held by c-2"}, {}),
        ("fields", {"id": 1}, {"id": 1, "email": "eve@x", "name": "Eve"}),
    ] == [
        (difference.part, difference.current, difference.other) for difference in merges
    ]


def test_refusal_on_one_side_has_its_reason() -> None:
    """Other effects of the other side are left out."""
    strict = Policy(first_match("id", "email"), LINES, on_not_found="refuse")
    patch = {"id": 5, "name": "Bob"}
    rows = differences(make_book(), strict, patch, patch)
    assert [0, 1] == [row[0] for row in rows]
    assert {"refused"} == {row[1] for row in rows}
    assert {None} == {row[2] for row in rows}
    assert all(row[3].startswith("CreateRefused: ") for row in rows)

    loose = Policy(first_match("id"), LINES, extra_fields=field(rule=keep))
    rows = differences(make_book(), loose, {"id": 1, "city": "Oslo"})
    assert ["UnknownField"] == [row[2].partition(":")[0] for row in rows]
    assert [None] == [row[3] for row in rows]


def test_refusals_on_both_sides_differ_by_their_reasons() -> None:
    assert [] == differences(make_book(), KEEPS_NAME, {"city": "Oslo"})

    strict = Policy(first_match("id"), LINES)
    rows = differences(
        make_book(), strict, {"email": "eve@x", "id": None, "name": "x", "a": 1}
    )
    assert [] == rows
    book = make_book(ADA, {**EVE, "id": 1})
    rows = differences(book, Policy(first_match("email"), LINES), {"id": 1})
    assert ["AmbiguousMatch", "NoMatchKey"] == [
        reason.partition(":")[0] for _row, part, *reasons in rows for reason in reasons
    ]


def test_order_of_fields_is_no_difference() -> None:
    lines = dict(reversed(LINES.items()))

    assert [] == differences(
        make_book(), Policy(first_match("id", "email"), lines), ADA, EVE
    )


def test_compare_sends_patches_to_its_scope() -> None:
    """Contacts of other scopes are not found."""
    assert [] == differences(
        make_book(), KEEPS_NAME, {"id": 1, "name": "Bob"}, scope="east"
    )


def test_stream_of_patches_is_read_once() -> None:
    patches = ({"id": number} for number in range(3))

    assert make_book().compare(KEEPS_NAME, patches).rows == 3


def test_exception_of_a_rule_is_raised_from_compare() -> None:
    """The book is unchanged."""

    def fail(_stored: Any, _sent: Any) -> Any:
        raise ZeroDivisionError

    book = make_book()
    before = book.dump()
    other = Policy(first_match("id"), {**LINES, "name": field(rule=custom(fail))})
    with pytest.raises(ZeroDivisionError) as caught:
        book.compare(other, [EVE, ADA])
    note = "name: rule custom raised this for text"
    assert caught.value.__notes__ == [note, "row 0"]

    assert before == book.dump()


def test_policy_that_cannot_load_the_contacts_is_refused() -> None:
    """No patch is read."""
    patches = iter([ADA])
    id_only = Policy(first_match("id"), {"id": field(key=normalize.exact)})
    with pytest.raises(errors.InvalidRows, match="row 0: email: unknown field"):
        make_book().compare(id_only, patches)
    unique_name = {**LINES, "name": field(key=normalize.text, unique=True)}
    with pytest.raises(errors.InvalidRows, match="row 1: name: 'ADA' is held by"):
        make_book(ADA, {**EVE, "name": "ADA"}).compare(
            Policy(first_match("id"), unique_name), patches
        )

    assert ADA == next(patches)


def test_deleted_contact_is_restored_on_one_side_only() -> None:
    restore_policy = Policy(first_match("id"), LINES, on_deleted="restore")
    book = ContactBook(restore_policy, ids=lambda: "c-1")
    book.create(ADA)
    book.delete("c-1")
    rows = book.dump()
    other = Policy(first_match("id"), LINES, on_deleted="refuse")
    comparison = book.compare(other, [{"id": 1}])

    assert rows == book.dump()
    assert ["refused"] == [difference.part for difference in comparison.differences]
    assert comparison.differences[0].other.startswith("ContactDeleted: contact c-1")


def test_explain_has_a_heading_and_a_short_line_per_difference() -> None:
    book = make_book()
    comparison = book.compare(KEEPS_NAME, [EVE, {"id": 1, "name": "B" * 500}])
    head, *lines = comparison.explain().splitlines()

    assert (head, len(lines)) == (
        "2 patches, 2 differences",
        len(comparison.differences),
    )
    assert lines[0] == "row 1: not stored: {} / {'name': 'keep'}"
    assert lines[1].startswith("row 1: fields: {")
    assert "FrozenMap" not in lines[1]
    assert len(lines[1]) < 300


@pytest.mark.parametrize(
    ("difference", "expected"),
    [
        (
            Difference(0, "refused", None, "KeyInUse: x"),
            "refused: None / 'KeyInUse: x'",
        ),
        (Difference(0, "contact", "c-1", "row 0"), "contact: 'c-1' / 'row 0'"),
        (Difference(0, "merged", (), ("c-2",)), "merged: [] / ['c-2']"),
    ],
)
def test_text_of_a_difference_has_row_part_and_both_values(
    difference: Difference, expected: str
) -> None:
    assert f"row 0: {expected}" == str(difference)


def test_contact_id_like_a_row_name_is_not_confused_with_it() -> None:
    policy = Policy(first_match("id"), {"id": field(key=normalize.exact)})
    book = ContactBook(policy, ids=lambda: "row 0")
    book.create({"id": 1})

    assert book.compare(policy, [{"id": 2}]).differences == ()
    with pytest.raises(errors.InvalidField, match="scope: must be text"):
        book.compare(policy, [], scope=7)  # type: ignore[arg-type]


def test_loaded_book_keeps_changes() -> None:
    policy = Policy(first_match("id"), {"id": field(key=normalize.exact)})
    book = ContactBook.load(policy, [], retain_changes=None, ids=lambda: "c-1")
    book.create({"id": 1})

    assert len(book.changes_since()) == 1

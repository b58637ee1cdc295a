"""The same patches under two policies: where the answers part, and in what."""

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
KEEPS = Policy(first_match("id", "email"), {**LINES, "name": field(rule=keep)})
MERGES = Policy(merge_all("id", "email"), LINES)
PRESENT = Policy(first_present("id", "email"), LINES)
ADA = {"id": 1, "email": "ada@x", "name": "Ada"}
EVE = {"id": 2, "email": "eve@x", "name": "Eve"}


def book(*patches: dict[str, Any]) -> ContactBook:
    """Make a book of contacts c-1, c-2, ..."""
    ids = iter(f"c-{number}" for number in range(1, 9))
    made = ContactBook(POLICY, ids=ids.__next__, retain_changes=None)
    for patch in patches or (ADA, EVE):
        made.create(patch)
    return made


def parts(
    made: ContactBook, other: Policy, *patches: dict[str, Any], scope: str = ""
) -> list[tuple[int, str, Any, Any]]:
    """Give the differences as rows, and see that the book is as it was."""
    before, entries = made.dump(), made.changes_since()
    found = made.compare(other, patches, scope=scope)
    assert (before, entries) == (made.dump(), made.changes_since())
    assert found.rows == len(patches)
    return [
        (each.row, each.part, each.current, each.other) for each in found.differences
    ]


def test_a_policy_beside_itself() -> None:
    """There is no difference, whatever is sent, refusals among it."""
    patches: list[dict[str, Any]] = [
        ADA,
        {**ADA, "name": "A"},
        {"id": 7},
        {"city": "Oslo"},
        {"id": 1, "email": "eve@x"},
        {},
    ]

    assert [] == parts(book(), POLICY, *patches)
    told = book().compare(POLICY, patches).explain()
    assert told == "6 patches, no differences"


def test_without_patches() -> None:
    """Nothing is sent, and nothing differs."""
    assert Comparison(0, ()) == book().compare(KEEPS, iter(()))


def test_other_fields_are_stored_and_others_are_lost() -> None:
    """The stored fields of both, and why one did not take what was sent."""
    sent = {"id": 1, "name": "Bob"}
    expected = [
        (0, "not stored", {}, {"name": "keep"}),
        (0, "fields", {**ADA, "name": "Bob"}, ADA),
    ]

    assert expected == parts(book(), KEEPS, sent)


def test_another_contact_is_meant() -> None:
    """One updates whom the other does not find, and creates."""
    sent = {"id": 9, "email": "bob@x", "name": "Bob"}
    made = book({"email": "bob@x", "name": "B"})
    found = parts(made, PRESENT, sent)

    clash = "KeyInUse: email: 'bob@x' is a key of contact c-1"
    assert [(0, "refused")] == [each[:2] for each in found]
    assert clash[:8] == found[0][3][:8]

    free = {**LINES, "email": field(key=normalize.email)}
    other = Policy(first_present("id", "email"), free)
    assert [(0, "contact", "c-1", "row 0")] == parts(made, other, sent)


def test_a_new_contact_is_called_after_its_row() -> None:
    """On both sides, so that the same creation is no difference."""
    new = {"id": 5, "email": "bob@x"}
    found = parts(
        book(), KEEPS, EVE, new, {"id": 5, "name": "B"}, {"id": 5, "name": "C"}
    )

    assert [(3, "not stored"), (3, "fields")] == [each[:2] for each in found]


def test_others_are_merged() -> None:
    """By their ids, and the fields that came of it."""
    made = book({"id": 1}, {"email": "eve@x", "name": "Eve"})
    free = Policy(
        first_match("id", "email"),
        merging(LINES, {"name": keep}),
        on_key_in_use="withhold",
    )
    sent = {"id": 1, "email": "eve@x"}
    refused = parts(made, MERGES, sent)
    assert [(0, "refused", None)] == [(row, p, other) for row, p, _m, other in refused]

    made = ContactBook.load(free, made.dump(), ids=lambda: "c-9")
    found = made.compare(MERGES, [sent]).differences
    assert [
        ("merged", (), ("c-2",)),
        ("not stored", {"email": "held by c-2"}, {}),
        ("fields", {"id": 1}, {"id": 1, "email": "eve@x", "name": "Eve"}),
    ] == [(each.part, each.current, each.other) for each in found]


def test_refused_on_one_side() -> None:
    """It is told why; whatever else the other one does is no part of it."""
    strict = Policy(first_match("id", "email"), LINES, on_not_found="refuse")
    sent = {"id": 5, "name": "Bob"}
    found = parts(book(), strict, sent, sent)
    assert [0, 1] == [each[0] for each in found]
    assert {"refused"} == {each[1] for each in found}
    assert {None} == {each[2] for each in found}
    assert all(each[3].startswith("CreateRefused: ") for each in found)

    loose = Policy(first_match("id"), LINES, extra_fields=field(rule=keep))
    found = parts(book(), loose, {"id": 1, "city": "Oslo"})
    assert ["UnknownField"] == [each[2].partition(":")[0] for each in found]
    assert [None] == [each[3] for each in found]


def test_refused_on_both_sides() -> None:
    """One reason is no difference; two reasons are one."""
    assert [] == parts(book(), KEEPS, {"city": "Oslo"})

    strict = Policy(first_match("id"), LINES)
    found = parts(book(), strict, {"email": "eve@x", "id": None, "name": "x", "a": 1})
    assert [] == found
    made = book(ADA, {**EVE, "id": 1})
    found = parts(made, Policy(first_match("email"), LINES), {"id": 1})
    assert ["AmbiguousMatch", "NoMatchKey"] == [
        reason.partition(":")[0] for _row, part, *both in found for reason in both
    ]


def test_the_order_of_fields_is_no_difference() -> None:
    """Nor is the type of an equal number one where values are the same."""
    lines = dict(reversed(LINES.items()))

    assert [] == parts(book(), Policy(first_match("id", "email"), lines), ADA, EVE)


def test_a_scope() -> None:
    """Patches are sent to one tenant; who lives in another is not found."""
    assert [] == parts(book(), KEEPS, {"id": 1, "name": "Bob"}, scope="east")


def test_patches_are_read_once() -> None:
    """They may come from a stream; each goes to both sides."""
    patches = ({"id": number} for number in range(3))

    assert book().compare(KEEPS, patches).rows == 3


def test_what_a_host_raises() -> None:
    """It goes through, as from an upsert, and the book is as it was."""

    def fail(_stored: Any, _sent: Any) -> Any:
        raise ZeroDivisionError

    made = book()
    before = made.dump()
    other = Policy(first_match("id"), {**LINES, "name": field(rule=custom(fail))})
    with pytest.raises(ZeroDivisionError) as caught:
        made.compare(other, [EVE, ADA])
    note = "name: rule custom raised this for text"
    assert caught.value.__notes__ == [note, "row 0"]

    assert before == made.dump()


def test_a_policy_that_cannot_take_the_contacts() -> None:
    """It is refused before anything is sent: a field it lacks, a key held twice."""
    patches = iter([ADA])
    few = Policy(first_match("id"), {"id": field(key=normalize.exact)})
    with pytest.raises(errors.InvalidRows, match="row 0: email: unknown field"):
        book().compare(few, patches)
    single = {**LINES, "name": field(key=normalize.text, unique=True)}
    with pytest.raises(errors.InvalidRows, match="row 1: name: 'ADA' is held by"):
        book(ADA, {**EVE, "name": "ADA"}).compare(
            Policy(first_match("id"), single), patches
        )

    assert ADA == next(patches)


def test_what_is_deleted() -> None:
    """A deleted contact is brought back under one policy, and refused by the other."""
    back = Policy(first_match("id"), LINES, on_deleted="restore")
    made = ContactBook(back, ids=lambda: "c-1")
    made.create(ADA)
    made.delete("c-1")
    rows = made.dump()
    other = Policy(first_match("id"), LINES, on_deleted="refuse")
    found = made.compare(other, [{"id": 1}])

    assert rows == made.dump()
    assert ["refused"] == [each.part for each in found.differences]
    assert found.differences[0].other.startswith("ContactDeleted: contact c-1")


def test_it_is_told_in_words() -> None:
    """A heading, and a line for each difference, in plain values, short."""
    made = book()
    found = made.compare(KEEPS, [EVE, {"id": 1, "name": "B" * 500}])
    head, *lines = found.explain().splitlines()

    assert (head, len(lines)) == ("2 patches, 2 differences", len(found.differences))
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
def test_a_difference_in_words(difference: Difference, expected: str) -> None:
    """The row, the part, then mine and theirs."""
    assert f"row 0: {expected}" == str(difference)


def test_a_name_that_is_taken_is_not_taken_again() -> None:
    """A contact of the book may be called as a row is."""
    policy = Policy(first_match("id"), {"id": field(key=normalize.exact)})
    book = ContactBook(policy, ids=lambda: "row 0")
    book.create({"id": 1})

    assert book.compare(policy, [{"id": 2}]).differences == ()
    with pytest.raises(errors.InvalidField, match="scope: must be text"):
        book.compare(policy, [], scope=7)  # type: ignore[arg-type]


def test_a_loaded_book_keeps_changes_too() -> None:
    """``load`` takes what the constructor takes."""
    policy = Policy(first_match("id"), {"id": field(key=normalize.exact)})
    book = ContactBook.load(policy, [], retain_changes=None, ids=lambda: "c-1")
    book.create({"id": 1})

    assert len(book.changes_since()) == 1

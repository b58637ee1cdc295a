"""Merges under keys with ``append_new``: no primary value is lost."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from upsertcore import (
    ContactBook,
    Policy,
    errors,
    field,
    first_match,
    key,
    merge_all,
    normalize,
    rules,
)
from upsertcore.rules import append, keep, remove, replace, union
from upsertcore.values.limits import MAX_VALUES


def make_book(
    *rows: dict[str, Any],
    email: Any = None,
    more: Any = None,
    match: Any = None,
    **options: Any,
) -> ContactBook:
    """Make a book of contacts c-1, c-2, ... whose key has a primary and a list."""
    fields = {
        "id": field(key=normalize.exact, keep_aliases=True),
        "email": field() if email is None else email,
        "work": field(),
        "more": field(rule=union) if more is None else more,
    }
    names, unique = ("email", "work", "more"), {"unique": True, **options}
    emails = key(
        *names, normalize=normalize.email, any_of=True, append_new=True, **unique
    )
    match = first_match("id", "emails") if match is None else match
    ids = iter([f"c-{number}" for number in range(1, 99)])
    book = ContactBook(Policy(match, fields, keys={"emails": emails}), ids=ids.__next__)
    for number, row in enumerate(rows):
        book.create({"id": number, **row})
    return book


def emails_of(book: ContactBook, *ids: str) -> tuple[Any, Any]:
    """Merge contacts; return the primary and the additional values."""
    merged = book.merge(*ids).contact
    book._index.check()
    return merged.get("email"), merged.get("more")


ADA, EVE = {"email": "ada@x"}, {"email": "eve@x"}


@pytest.mark.parametrize(
    ("own", "other", "expected"),
    [
        (ADA, EVE, ("ada@x", ("eve@x",))),
        (ADA, {"email": "ADA@X"}, ("ada@x", None)),
        ({}, EVE, ("eve@x", None)),
        (ADA, {}, ("ada@x", None)),
        (ADA, {"email": "nobody"}, ("ada@x", None)),
        (ADA, {"email": " "}, ("ada@x", None)),
        ({**ADA, "more": ["EVE@x"]}, {**EVE}, ("ada@x", ("EVE@x",))),
        ({**ADA, "work": "EVE@x"}, {**EVE}, ("ada@x", None)),
        ({**ADA, "more": []}, EVE, ("ada@x", ("eve@x",))),
        (
            {**ADA, "more": ["a@y"]},
            {**EVE, "more": ["e@y"]},
            ("ada@x", ("a@y", "eve@x")),
        ),
        (ADA, {**EVE, "more": ["e@y"]}, ("ada@x", ("e@y", "eve@x"))),
        (ADA, {"email": ["e@x", "ADA@x", "e@X"]}, ("ada@x", ("e@x",))),
    ],
)
def test_primary_of_the_other_joins_the_additional_values(
    own: Any, other: Any, expected: Any
) -> None:
    """Once, unless a field holds its form already."""
    book = make_book(*[{**row} for row in (own, other)], unique=False)
    before = book.dump()
    outcome = book.merge("c-1", "c-2")

    assert (outcome.contact.get("email"), outcome.contact.get("more")) == expected
    assert book.undo(outcome).result == "undone"
    assert book.dump() == before
    book._index.check()


@pytest.mark.parametrize(
    ("on_merge", "expected"),
    [
        (keep, ("a@y", "eve@x")),
        (union, ("a@y", "e@y", "eve@x")),
        (append, ("a@y", "e@y", "eve@x")),
        (replace, ("e@y", "eve@x")),
        (remove, ("a@y", "eve@x")),
    ],
    ids=str,
)
def test_primary_joins_what_the_rule_of_the_list_makes(
    on_merge: Any, expected: Any
) -> None:
    more = field(rule=union, on_merge=on_merge)
    rows = {**ADA, "more": ["a@y"]}, {**EVE, "more": ["e@y"]}

    assert emails_of(make_book(*rows, more=more), "c-1", "c-2") == ("ada@x", expected)


@pytest.mark.parametrize(
    ("on_merge", "expected"),
    [
        (replace, ("eve@x", ("ada@x",))),
        (rules.constant("all@x"), ("all@x", ("ada@x", "eve@x"))),
        (rules.unset, (None, ("ada@x", "eve@x"))),
    ],
    ids=str,
)
def test_primary_that_a_merge_replaces_joins_the_additional_values(
    on_merge: Any, expected: Any
) -> None:
    book = make_book(ADA, EVE, email=field(on_merge=on_merge))

    assert emails_of(book, "c-1", "c-2") == expected
    assert [one.id for one in book.find("emails", "ada@x")] == ["c-1"]


def test_default_of_the_primary_is_not_appended() -> None:
    email = field(default="none@x")
    book = make_book(ADA, {}, email=email, unique=False)

    assert book.get("c-2")["email"] == "none@x"
    assert emails_of(book, "c-1", "c-2") == ("ada@x", None)


def test_primaries_that_are_lists_are_united() -> None:
    email = field(on_merge=union, many=True)

    assert emails_of(make_book(ADA, EVE, email=email), "c-1", "c-2") == (
        ("ada@x", "eve@x"),
        None,
    )


ROWS: list[dict[str, Any]] = [
    {**ADA, "more": ["a@y"]},
    {**EVE, "more": ["e@y"]},
    {"email": "bob@x", "more": ["EVE@x", "e@y"]},
    {"email": "cy@x"},
]


@pytest.mark.parametrize("on_merge", [keep, union, append, replace, remove], ids=str)
@pytest.mark.parametrize("clean", [None, lambda items: items], ids=["", "clean"])
@pytest.mark.parametrize("order", [*permutations((2, 3, 4))], ids=str)
def test_one_merge_equals_merges_in_pairs(
    on_merge: Any, clean: Any, order: Any
) -> None:
    more = field(rule=union, on_merge=on_merge, clean=clean)
    at_once, in_pairs = [make_book(*ROWS, more=more, unique=False) for _ in "ab"]
    for number in order:
        in_pairs.merge("c-1", f"c-{number}")

    merged = at_once.merge("c-1", *[f"c-{number}" for number in order]).contact

    assert merged.fields == in_pairs.get("c-1").fields
    at_once._index.check()


def test_form_of_a_replaced_list_is_not_held_any_more() -> None:
    """1 and true are equal to Python, and are two values here."""
    more = field(rule=union, on_merge=replace)
    rows: list[Any] = [ADA, {**EVE, "more": [1, "x@y"]}]
    rows.append({"email": "x@y", "more": [True]})
    book = make_book(*rows, more=more, unique=False)

    assert emails_of(book, "c-1", "c-2", "c-3") == ("ada@x", (True, "x@y"))


def test_merge_of_an_additional_field_without_a_list_is_refused() -> None:
    book = make_book({**ADA, "more": "a@y"}, EVE, more=field())
    before = book.dump()

    with pytest.raises(errors.InvalidField, match="more: must be a list") as caught:
        book.merge("c-1", "c-2")

    assert (caught.value.holder, book.dump()) == ("c-1", before)


def test_list_is_cleaned_when_a_primary_joins_it() -> None:
    def at_most_two(items: Any) -> Any:
        if len(items) > 2:
            raise ValueError("must have at most two items")
        return None if "none@x" in items else sorted(items)

    def fails(items: Any) -> Any:
        raise ArithmeticError(len(items))

    more = field(rule=union, clean=at_most_two)
    rows = {**ADA, "more": ["y@y"]}, EVE, {"email": "bob@x"}, {"email": "none@x"}
    book = make_book(*rows, more=more)

    for others, words in (
        (("c-2", "c-3"), "at most two"),
        (("c-4",), "clean function"),
    ):
        with pytest.raises(errors.InvalidField, match=words) as caught:
            book.merge("c-1", *others)
        assert caught.value.holder == others[-1]
    assert emails_of(book, "c-1", "c-2") == ("ada@x", ("eve@x", "y@y"))
    broken = make_book(ADA, EVE, more=field(clean=fails))
    with pytest.raises(ArithmeticError) as raised:
        broken.merge("c-1", "c-2")
    assert "more: clean" in raised.value.__notes__[0]


@pytest.mark.parametrize("on_merge", [keep, union], ids=str)
def test_list_that_becomes_too_large_is_refused(on_merge: Any) -> None:
    """The first contact has the largest list that a patch can send."""
    more = field(on_merge=on_merge)
    book = make_book(ADA, {**EVE, "more": ["0"]}, more=more)
    largest = [str(number) for number in range(MAX_VALUES)]
    book.upsert({"id": 0, "more": largest})
    before = book.get("c-1")

    with pytest.raises(errors.InvalidField, match="more: must") as caught:
        book.merge("c-1", "c-2")

    assert (caught.value.holder, book.get("c-1")) == ("c-2", before)


def test_keys_that_append_to_one_list_know_its_values() -> None:
    """Also what the other key has appended to it."""
    fields = {
        "id": field(key=normalize.exact),
        **{name: field() for name in ("work", "home")},
        "more": field(rule=union, on_merge=union),
    }
    keys = {
        name: key(
            *(name, "more"), normalize=normalize.email, any_of=True, append_new=True
        )
        for name in ("work", "home")
    }
    ids = iter(["c-1", "c-2", "c-3"]).__next__
    book = ContactBook(Policy(first_match("id"), fields, keys=keys), ids=ids)
    rows = {"work": "a@x", "home": "b@x"}, {"work": "c@x", "home": "C@x"}
    for row in (*rows, {"work": "c@X", "home": "d@x", "more": ["", "D@x"]}):
        book.create({**row, "more": row.get("more", ["m@x"])})

    merged = book.merge("c-1", "c-2", "c-3").contact

    assert merged["more"] == ("m@x", "c@x", "", "D@x")
    book._index.check()


def test_limit_counts_the_primaries_of_all_contacts() -> None:
    book = make_book(ADA, EVE, max_forms=1)

    with pytest.raises(errors.InvalidField, match="must have one key per contact"):
        book.merge("c-1", "c-2")


def test_merge_by_keys_keeps_both_primaries() -> None:
    book = make_book(ADA, match=merge_all("id", "emails"))
    book.upsert({"email": "eve@x"})

    outcome = book.upsert({"id": 0, "email": "eve@x"})

    assert outcome.ignored == {"email": "additional"}
    assert (outcome.contact["email"], outcome.contact["more"]) == ("ada@x", ("eve@x",))
    assert book.upsert({"id": 0, "email": "eve@x"}).unchanged

"""A field with many values: a single value that is sent counts as a list of one."""

from __future__ import annotations

from typing import Any

import pytest

from upsertcore import (
    ContactBook,
    Policy,
    Rule,
    errors,
    field,
    first_match,
    key,
    normalize,
    rules,
)
from upsertcore.values import MAX_DEPTH

ADA = {"id": 1}


def book_with(**options: Any) -> ContactBook:
    """Make a book whose field ``f`` has many values and these options."""
    fields = {
        "id": field(key=normalize.exact, unique=True),
        "f": field(many=True, **options),
    }
    return ContactBook(Policy(first_match("id"), fields))


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("a", ("a",)),
        (["a"], ("a",)),
        (["a", "b"], ("a", "b")),
        (("a",), ("a",)),
        (0, (0,)),
        (False, (False,)),
        ("\u00e5", ("\u00e5",)),
        ({"n": 1}, ({"n": 1},)),
        ([["a"]], (("a",),)),
        ([""], ("",)),
        ("", ()),
        (" \t", ()),
        ({}, ()),
        ([], ()),
        (None, None),
    ],
)
def test_single_value_is_stored_as_a_list_of_one(sent: Any, stored: Any) -> None:
    """A blank one is an empty list; null stays null."""
    book = book_with()

    assert stored == book.upsert({**ADA, "f": sent}).contact.get("f")
    assert book.upsert({**ADA, "f": sent}).unchanged


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(
    ("options", "sent", "expected"),
    [
        ({"null": "ignore"}, None, "null"),
        ({"blank": "ignore"}, "", "blank"),
        ({"blank": "ignore"}, [], "blank"),
        ({"null": "reject"}, None, None),
        ({"blank": "reject"}, " ", None),
    ],
)
def test_null_and_blank_are_ignored_or_refused(
    options: Any, sent: Any, expected: str | None, *, known: bool
) -> None:
    book = book_with(**options)
    if known:
        book.upsert({**ADA, "f": "a"})
    if expected is None:
        with pytest.raises(errors.InvalidField, match="f: must not be"):
            book.upsert({**ADA, "f": sent})
    else:
        assert {"f": expected} == book.upsert({**ADA, "f": sent}).ignored


def test_blank_may_clear() -> None:
    book = book_with(blank="clear")
    book.upsert({**ADA, "f": "a"})

    assert "f" not in book.upsert({**ADA, "f": ""}).contact


@pytest.mark.parametrize(
    ("rule", "sent", "after"),
    [
        (rules.replace, "b", ("b",)),
        (rules.union, "b", ("a", "b")),
        (rules.union, ["b", "a"], ("a", "b")),
        (rules.append, "a", ("a", "a")),
        (rules.remove, "a", ()),
        (rules.add_or_remove, "-a", ()),
        (rules.add_or_remove, "b", ("a", "b")),
        (rules.keep, "b", ("a",)),
        (rules.unset, "b", None),
    ],
)
def test_rule_of_the_field_or_of_the_call_combines_lists(
    rule: Rule, sent: Any, after: Any
) -> None:
    call = book_with()
    call.upsert({**ADA, "f": "a"})
    outcome = call.upsert({**ADA, "f": sent}, rules={"f": rule})
    assert after == outcome.contact.get("f")

    if rule.stores:
        line = book_with(rule=rule)
        line.upsert({**ADA, "f": "a"})
        assert after == line.upsert({**ADA, "f": sent}).contact.get("f")


def test_single_mapping_is_an_item() -> None:
    book = book_with(rule=rules.items_by("id"))
    book.upsert({**ADA, "f": {"id": 1, "v": "a"}})
    after = book.upsert({**ADA, "f": {"id": 1, "v": "b"}}).contact["f"]

    assert [dict(item) for item in after] == [{"id": 1, "v": "b"}]


def test_clean_is_called_with_the_list_and_may_return_one_value() -> None:
    seen: list[Any] = []

    def clean(items: Any) -> Any:
        seen.append(items)
        if "bad" in items:
            raise ValueError("must be good")
        return items[0].strip() if len(items) == 1 else [i.strip() for i in items]

    book = book_with(clean=clean)

    assert book.upsert({**ADA, "f": " a "}).contact["f"] == ("a",)
    assert book.upsert({**ADA, "f": [" a ", "b"]}).contact["f"] == ("a", "b")
    assert book.upsert({**ADA, "f": ""}).contact["f"] == ()
    assert seen == [(" a ",), (" a ", "b")]
    with pytest.raises(errors.InvalidField, match="f: must be good, not 'bad'"):
        book.upsert({**ADA, "f": "bad"})


def test_key_has_a_form_for_each_value() -> None:
    fields = {
        "email": field(key=normalize.email, unique=True, many=True, rule=rules.union),
        "name": field(),
    }
    book = ContactBook(Policy(first_match("email"), fields))
    book.upsert({"email": "ada@x.org"})
    book.upsert({"email": ["ADA@x.org", "ada@y.org"]})

    assert [book.find("email", f"ada@{x}.org")[0]["email"] for x in "xy"] == [
        ("ada@x.org", "ADA@x.org", "ada@y.org")
    ] * 2
    assert book.upsert({"email": "ada@y.org"}).unchanged


def test_blocked_single_value_is_left_out() -> None:
    fields = {
        "id": field(key=normalize.exact),
        "email": field(key=normalize.email, many=True, blocked=("no@*",)),
    }
    book = ContactBook(Policy(first_match("id"), fields, on_blocked="ignore"))
    outcome = book.upsert({**ADA, "email": "no@x.org"})

    assert ("email" in outcome.contact, dict(outcome.ignored)) == (
        False,
        {"email": "blocked"},
    )
    assert book.upsert({**ADA, "email": ["no@x.org", "a@x.org"]}).contact["email"] == (
        "a@x.org",
    )


@pytest.mark.parametrize("append_new", [False, True])
def test_field_with_many_is_part_of_a_key_of_several_fields(
    *, append_new: bool
) -> None:
    fields = {
        "id": field(key=normalize.exact),
        "email": field(),
        "more": field(many=True, clean=lambda items: items[0]),
    }
    keys = {
        "mail": key(
            "email",
            "more",
            normalize=normalize.email,
            any_of=True,
            append_new=append_new,
        )
    }
    book = ContactBook(Policy(first_match("mail", "id"), fields, keys=keys))
    book.upsert({**ADA, "email": "a@x.org"})
    if append_new:
        after = book.upsert({**ADA, "email": "b@x.org"}).contact
    else:
        after = book.upsert({**ADA, "more": "b@x.org"}).contact

    assert (after["email"], after["more"]) == ("a@x.org", ("b@x.org",))
    assert book.upsert({"email": "B@x.org"}).ignored == {"email": "additional"}


def test_extra_fields_may_have_many() -> None:
    policy = Policy(
        first_match("id"),
        {"id": field(key=normalize.exact)},
        extra_fields=field(many=True, rule=rules.union),
    )
    book = ContactBook(policy)
    book.upsert({**ADA, "tags": "a"})

    assert book.upsert({**ADA, "tags": "b"}).contact["tags"] == ("a", "b")


def test_merge_combines_lists() -> None:
    book = book_with(on_merge=rules.union)
    ids = [book.create({"id": n, "f": f"{n}"}).contact.id for n in (1, 2)]

    assert book.merge(*ids).contact["f"] == ("1", "2")


def test_batch_equals_its_calls() -> None:
    patches: list[Any] = [{"id": n % 3, "f": f"{n}"} for n in range(9)]
    batch, calls = (book_with(rule=rules.union) for _ in range(2))
    batch.upsert_many(patches)
    for patch in patches:
        calls.upsert(patch)

    assert [c["f"] for c in batch] == [c["f"] for c in calls]
    assert next(c["f"] for c in batch) == ("0", "3", "6")


def test_dumped_list_is_loaded_and_a_stored_single_value_stays() -> None:
    """Loading rewrites no value; what is sent next does."""
    book = book_with(rule=rules.union)
    book.upsert({**ADA, "f": "a"})
    rows = [*book.dump()]
    copy = ContactBook.load(book.policy, rows)
    assert [c["f"] for c in copy] == [("a",)]
    assert copy.upsert({**ADA, "f": "a"}).unchanged

    rows[-1]["fields"]["f"] = "a"
    copy = ContactBook.load(book.policy, rows)
    assert [c["f"] for c in copy] == ["a"]
    with pytest.raises(errors.InvalidField, match="f: needs a stored list"):
        copy.upsert({**ADA, "f": "b"})
    after = copy.upsert({**ADA, "f": "a"}, rules={"f": rules.replace}).contact
    assert after["f"] == ("a",)


def test_single_value_that_is_too_deep_for_a_list_is_refused() -> None:
    value: Any = "a"
    for _ in range(MAX_DEPTH):
        value = {"n": value}
    fields = {"id": field(key=normalize.exact), "g": field(), "f": field(many=True)}
    book = ContactBook(Policy(first_match("id"), fields))

    assert book.upsert({**ADA, "g": value}).created
    with pytest.raises(errors.InvalidField, match="f: must not nest deeper"):
        book.upsert({**ADA, "f": value})

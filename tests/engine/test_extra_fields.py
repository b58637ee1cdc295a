"""An open field set: each option of ``extra_fields`` applies to undeclared fields."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from upsertcore import ContactBook, Policy, errors, field, merge_all, normalize, rules

FIELDS = {
    "email": field(key=normalize.email),
    "id": field(key=normalize.exact),
}


def make_book(**options: Any) -> ContactBook:
    policy = Policy(merge_all("email", "id"), FIELDS, extra_fields=field(**options))
    return ContactBook(policy, ids=map("c-{}".format, count(1)).__next__)


@pytest.mark.parametrize(
    ("options", "stored", "sent", "expected"),
    [
        ({}, 1, None, (None, None)),
        ({"null": "ignore"}, 1, None, (1, "null")),
        ({}, 1, "", ("", None)),
        ({"blank": "ignore"}, 1, " ", (1, "blank")),
        ({"blank": "clear"}, 1, [], (None, None)),
        ({"rule": rules.union}, ["a"], ["b"], (("a", "b"), None)),
        ({"rule": rules.keep}, 1, 2, (1, "keep")),
        ({"rule": rules.ignore}, 1, 2, (None, "ignore")),
        ({"rule": rules.union, "many": True}, "a", "b", (("a", "b"), None)),
        ({"many": True}, "a", "", ((), None)),
        ({"clean": str.strip}, " a ", " b ", ("b", None)),
    ],
    ids=map(str, range(11)),
)
def test_option_applies_to_an_undeclared_field(
    options: Any, stored: Any, sent: Any, expected: tuple[Any, Any]
) -> None:
    """A second call changes nothing."""
    book = make_book(**options)
    book.upsert({"email": "a@x", "x": stored})
    outcome = book.upsert({"email": "a@x", "x": sent})

    assert (outcome.contact.get("x"), outcome.ignored.get("x")) == expected
    assert book.upsert({"email": "a@x", "x": sent}).unchanged


@pytest.mark.parametrize(
    ("options", "sent"), [({"null": "reject"}, None), ({"blank": "reject"}, " ")]
)
def test_rejected_value_of_an_undeclared_field_is_refused(
    options: Any, sent: Any
) -> None:
    with pytest.raises(errors.InvalidField, match=r"^x: must not be"):
        make_book(**options).upsert({"email": "a@x", "x": sent})


def test_contacts_are_merged_by_the_rule_of_undeclared_fields() -> None:
    book = make_book(on_merge=rules.union)
    book.upsert({"email": "a@x", "x": ["1"]})
    book.upsert({"id": "7", "x": ["2"], "y": ["1"]})
    outcome = book.upsert({"email": "a@x", "id": "7"})

    assert outcome.result == "merged"
    assert (outcome.contact["x"], outcome.contact["y"]) == (("1", "2"), ("1",))


def test_options_of_one_call_apply_to_undeclared_fields() -> None:
    book = make_book(null="reject", blank="reject")
    book.upsert({"email": "a@x", "x": 1, "y": 2})
    options: Any = {"null": "ignore", "blank": "clear", "rules": {"z": rules.on_create}}
    outcome = book.upsert({"email": "a@x", "x": None, "y": "", "z": 3}, **options)

    assert outcome.contact.fields == {"email": "a@x", "x": 1}
    assert outcome.ignored == {"x": "null", "z": "on_create"}


@pytest.mark.parametrize(
    "options",
    [
        {"key": normalize.email, "unique": True},
        {"unique": True},
        {"keep_aliases": True},
        {"max_forms": 2},
        {"blocked": ["a"]},
    ],
    ids=str,
)
def test_option_of_a_key_is_refused(options: Any) -> None:
    with pytest.raises(
        errors.InvalidPolicy, match=r"^extra_fields: .* is for a declared"
    ):
        make_book(**options)

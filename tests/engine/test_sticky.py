"""An opt-out that stays: patches, merges, undo, and the rules of one call."""

from __future__ import annotations

from typing import Any

import pytest

from upsertcore import (
    ContactBook,
    Policy,
    field,
    first_match,
    merge_all,
    normalize,
    rules,
)

OUT = {"id": 1, "status": "unsubscribed"}
IN = {"id": 1, "status": "subscribed"}
STICKY = rules.sticky("unsubscribed")


def book_with(**options: Any) -> ContactBook:
    """Make a book with an opt-out."""
    fields = {
        "id": field(key=normalize.exact, unique=True),
        "email": field(key=normalize.email, unique=True),
        "status": field(**{"rule": STICKY, **options}),
        "city": field(),
    }
    policy = Policy(merge_all("id", "email"), fields)
    return ContactBook(policy, ids=map("c-{}".format, range(1, 9)).__next__)


@pytest.mark.parametrize("sent", ["subscribed", None, "", "pending", ["a"]])
def test_opt_out_stays_and_what_is_sent_is_named(sent: Any) -> None:
    book = book_with()
    book.upsert(OUT)
    outcome = book.upsert({"id": 1, "status": sent, "city": "Oslo"})

    assert (outcome.contact["status"], outcome.contact["city"]) == (
        "unsubscribed",
        "Oslo",
    )
    assert outcome.ignored == {"status": "sticky('unsubscribed')"}
    assert "status: not stored: its rule is sticky('unsubscribed')" in outcome.explain()


def test_opt_out_replaces_any_value_and_is_unchanged_when_sent_again() -> None:
    book = book_with()
    book.upsert(IN)

    assert book.upsert(OUT).contact["status"] == "unsubscribed"
    outcome = book.upsert(OUT)
    assert (outcome.unchanged, dict(outcome.ignored)) == (True, {})


def test_null_and_blank_settings_apply_before_the_rule() -> None:
    book = book_with(null="ignore", blank="clear")
    book.upsert(OUT)

    assert book.upsert({**IN, "status": None}).ignored == {"status": "null"}
    assert book.upsert({**IN, "status": ""}).contact["status"] == "unsubscribed"


@pytest.mark.parametrize(
    ("rule", "after"), [(rules.replace, "subscribed"), (rules.unset, None)]
)
def test_rules_of_a_call_replace_or_clear_the_opt_out(rule: Any, after: Any) -> None:
    book = book_with()
    book.upsert(OUT)
    outcome = book.upsert(IN, rules={"status": rule})

    assert outcome.contact.get("status") == after
    assert book.undo(outcome).contact["status"] == "unsubscribed"


def test_batch_keeps_the_opt_out() -> None:
    book = book_with()
    book.upsert(OUT)
    outcomes = book.upsert_many([{**IN, "city": "Oslo"}, {"id": 2, "status": "x"}])

    assert [outcome.contact["status"] for outcome in outcomes] == ["unsubscribed", "x"]


@pytest.mark.parametrize("statuses", [("unsubscribed", "x"), ("x", "unsubscribed")])
@pytest.mark.parametrize(
    "options",
    [{}, {"on_merge": STICKY, "rule": rules.replace}],
    ids=["own", "on_merge"],
)
def test_opt_out_of_either_contact_wins_in_a_merge(
    statuses: tuple[str, str], options: Any
) -> None:
    book = book_with(**options)
    for number, status in enumerate(statuses, 1):
        book.create({"id": number, "status": status})

    assert book.merge("c-1", "c-2").contact["status"] == "unsubscribed"


@pytest.mark.parametrize(
    ("first", "second", "after"),
    [
        ("x", "y", "x"),
        ("", "y", "y"),
        (None, "y", "y"),
        ("new", "y", "y"),
        ("x", "new", "x"),
        ("x", "", "x"),
        (None, "unsubscribed", "unsubscribed"),
    ],
)
def test_without_an_opt_out_the_survivor_keeps_its_value(
    first: Any, second: Any, after: str
) -> None:
    """A blank value and the default count as absent."""
    book = book_with(default="new")
    for number, status in enumerate((first, second), 1):
        book.create({"id": number, "status": status})

    assert book.merge("c-1", "c-2").contact["status"] == after


def test_on_merge_of_the_field_replaces_the_rule_in_a_merge() -> None:
    book = book_with(on_merge=rules.keep)
    book.create({"id": 1, "status": "x"})
    book.create({"id": 2, "status": "unsubscribed"})

    assert book.merge("c-1", "c-2").contact["status"] == "x"


def test_call_that_merges_keeps_the_opt_out_unless_its_rules_say_otherwise() -> None:
    both = {"id": 1, "email": "a@x.org", "status": "subscribed"}
    for override, after in (
        (None, "unsubscribed"),
        ({"status": rules.replace}, "subscribed"),
    ):
        book = book_with()
        book.create(IN)
        book.create({"email": "a@x.org", "status": "unsubscribed"})
        outcome = book.upsert(both, rules=override)
        assert outcome.contact["status"] == after
        assert [contact.id for contact in outcome.merged] == ["c-2"]


def test_dumped_opt_out_stays_after_loading() -> None:
    book = book_with()
    book.upsert(OUT)
    copy = ContactBook.load(book.policy, book.dump())

    assert copy.upsert(IN).contact["status"] == "unsubscribed"


def test_extra_fields_may_be_sticky() -> None:
    policy = Policy(
        first_match("id"),
        {"id": field(key=normalize.exact)},
        extra_fields=field(rule=rules.sticky(value=True)),
    )
    book = ContactBook(policy)
    book.upsert({"id": 1, "opted_out": True, "n": 1})
    outcome = book.upsert({"id": 1, "opted_out": False, "n": 2})

    assert (outcome.contact["opted_out"], outcome.contact["n"]) == (True, 2)

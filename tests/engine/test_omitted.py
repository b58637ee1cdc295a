"""Omitted fields of one call: with ``omitted="clear"`` a patch replaces its contact."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from upsertcore import (
    ContactBook,
    Policy,
    all_agree,
    errors,
    field,
    first_match,
    key,
    merge_all,
    normalize,
    rules,
)
from upsertcore.laws import check
from upsertcore.values import freeze

CLEAR: dict[str, Any] = {"omitted": "clear"}
FIELDS: dict[str, Any] = {
    "id": field(key=normalize.exact, unique=True),
    "email": field(key=normalize.email),
    "name": field(),
}


def make_book(match: Any = None, keys: Any = None, **fields: Any) -> ContactBook:
    """Make a book with some more fields."""
    numbers, lines = count(1), {**FIELDS, **fields}
    policy = Policy(
        match or first_match("id", "email"),
        lines,
        keys=keys or {},
        extra_fields=field(),
    )
    return ContactBook(policy, ids=lambda: f"c-{next(numbers)}")


def replace(book: ContactBook, patch: dict[str, Any], **how: Any) -> dict[str, Any]:
    """Replace a contact; check its laws, and return its fields."""
    check(book, patch, **CLEAR, **how)
    outcome = book.upsert(patch, **CLEAR, **how)
    again = book.upsert(patch, **CLEAR, **how)
    assert (again.result, again.contact) == ("unchanged", outcome.contact)
    return dict(outcome.contact.fields)


def test_omitted_field_is_cleared_declared_or_not() -> None:
    book = make_book()
    book.upsert({"id": 1, "email": "ada@x.org", "name": "Ada", "city": "Oslo"})
    outcome = book.upsert({"id": 1, "name": "Ada"}, **CLEAR)

    assert dict(outcome.contact.fields) == {"id": 1, "name": "Ada"}
    assert {change.field for change in outcome.changes} == {"email", "city"}
    assert outcome.ignored == {}
    assert book.find("email", "ada@x.org") == ()
    assert book.upsert({"id": 1, "name": "Ada"}, **CLEAR).unchanged
    assert book.upsert({"id": 1}, omitted="keep").unchanged
    assert book.undo(outcome).contact["city"] == "Oslo"


def test_plan_and_batch_clear_as_a_call_does() -> None:
    one, other, many = make_book(), make_book(), make_book()
    for book in (one, other, many):
        book.upsert({"id": 1, "name": "Ada", "city": "Oslo"})
    fields = replace(one, {"id": 1})

    assert other.apply(other.plan({"id": 1}, **CLEAR)).contact.fields == fields
    for how in ({}, {"atomic": True}, {"on_duplicates": "refuse_all"}):
        options: Any = {**CLEAR, **how}
        many.upsert({"id": 1, "city": "Oslo"})
        outcomes = many.upsert_many([{"id": 1}, {"id": 2, "name": "Bob"}], **options)
        assert outcomes[0].contact.fields == fields


@pytest.mark.parametrize(
    ("rule", "stored", "stays"),
    [
        (rules.keep, "a", True),
        (rules.on_create, "a", True),
        (rules.immutable, "a", True),
        (rules.ignore, "a", True),
        (rules.largest, 5, True),
        (rules.smallest, 5, True),
        (rules.add, 5, True),
        (rules.deep_keep, {"a": 1}, True),
        (rules.sticky("out"), "out", True),
        (rules.sticky("out"), "in", False),
        (rules.replace, "a", False),
        (rules.union, ["a"], False),
        (rules.append, ["a"], False),
        (rules.remove, ["a"], False),
        (rules.add_or_remove, ["a"], False),
        (rules.items_by("id"), [{"id": 1}], False),
        (rules.deep, {"a": 1}, False),
        (rules.unset, "a", False),
        (rules.custom(lambda a, b: a if b is None else b, name="last"), "a", True),
        (rules.custom(lambda _, b: b, name="any"), "a", False),
    ],
    ids=str,
)
def test_field_stays_where_its_rule_does_not_take_null(
    rule: Any, stored: Any, stays: Any
) -> None:
    """And it is not named: nothing was sent for it."""
    loose, book = make_book(it=field()), make_book(it=field(rule=rule))
    loose.upsert({"id": 1, "it": stored})
    book = ContactBook.load(book.policy, loose.dump())
    check(book, {"id": 1}, **CLEAR)
    outcome = book.upsert({"id": 1}, **CLEAR)

    assert ("it" in outcome.contact) is stays
    assert outcome.unchanged is stays
    assert outcome.ignored == {}


def test_error_of_a_rule_of_the_application_is_raised() -> None:
    def refuse(stored: Any, sent: Any) -> Any:
        if sent is None:
            raise errors.InvalidField("it", stored, "must not be null")
        return sent

    def break_down(_stored: Any, sent: Any) -> Any:
        if sent is None:
            raise KeyError("it")
        return sent

    stays, breaks = [
        make_book(it=field(rule=rules.custom(f))) for f in (refuse, break_down)
    ]
    for book in (stays, breaks):
        book.upsert({"id": 1, "it": "a"})

    assert stays.upsert({"id": 1}, **CLEAR).unchanged
    with pytest.raises(KeyError):
        breaks.upsert({"id": 1}, **CLEAR)
    assert breaks.get("c-1")["it"] == "a"


def test_refusal_of_another_call_inside_a_rule_is_not_swallowed() -> None:
    def break_down(_value: Any) -> Any:
        raise errors.InvalidField("id", 1, "is of another book")

    fields = {"id": field(key=break_down)}
    inner = ContactBook(Policy(first_match("id"), fields))

    def nested(_stored: Any, sent: Any) -> Any:
        if sent is None:
            inner.upsert({"id": 1})
        return sent

    book = make_book(it=field(rule=rules.custom(nested)))
    book.upsert({"id": 1, "it": "a"})
    with pytest.raises(errors.InvalidField, match="of another book"):
        book.upsert({"id": 1}, **CLEAR)


def test_field_that_is_named_is_not_omitted() -> None:
    """Also where null, blank or a block leaves it out."""
    book = make_book()
    book.upsert({"id": 1, "email": "ada@x.org", "name": "Ada"})

    assert replace(book, {"id": 1, "email": None, "name": ""}, null="ignore") == {
        "id": 1,
        "email": "ada@x.org",
        "name": "",
    }
    options: Any = {"null": "ignore", "blank": "ignore"}
    fields = replace(book, {"id": 1, "email": None, "name": " "}, **options)
    assert fields == {"id": 1, "email": "ada@x.org", "name": ""}


def test_null_and_blank_of_a_field_do_not_count() -> None:
    book = make_book(it=field(null="reject"))
    book.upsert({"id": 1, "it": "a"})

    assert replace(book, {"id": 1}) == {"id": 1}


def test_clock_stays_and_decides() -> None:
    """A patch without the clock, or with an earlier one, clears nothing under it."""
    book = make_book(city=field(rule=rules.latest(by="at")), at=field())
    ada = {"id": 1, "at": 5, "city": "Oslo"}
    book.upsert(ada)

    assert replace(book, {"id": 1}) == ada
    assert replace(book, {"id": 1, "at": 4}) == {**ada, "at": 4}
    assert replace(book, {"id": 1, "at": True}) == {**ada, "at": True}
    assert replace(book, {"id": 1, "at": 6}) == {"id": 1, "at": 6}
    assert book.get("c-1").clocks == {"city": 6}
    assert "city" not in book.upsert(ada).contact


def test_clock_of_undeclared_fields_stays() -> None:
    policy = Policy(
        first_match("id"), FIELDS, extra_fields=field(rule=rules.latest("at"))
    )
    book = ContactBook(policy, ids=lambda: "c-1")
    ada = {"id": 1, "name": "Ada", "at": 5, "city": "Oslo"}
    book.upsert(ada)

    assert replace(book, {"id": 1}) == {"id": 1, "at": 5, "city": "Oslo"}


def test_parts_of_the_key_that_matched_stay() -> None:
    """The parts of another key do not."""
    mails = key("email", "more", normalize=normalize.email, any_of=True)
    book = make_book(first_match("mails", "id"), {"mails": mails}, more=field())
    ada = {"id": 1, "email": "ada@x.org", "more": ["ada@y.org"]}
    book.upsert(ada)

    assert replace(book, {"email": "ada@y.org", "id": 1}) == freeze(ada)
    assert replace(book, {"more": ["ada@y.org"]}) == {
        "email": "ada@x.org",
        "more": ("ada@y.org",),
    }


def test_list_is_cleared_before_a_value_joins_it() -> None:
    mails = key(
        *("email", "more"), normalize=normalize.email, any_of=True, append_new=True
    )
    book = make_book(first_match("id"), {"mails": mails}, more=field())
    book.upsert({"id": 1, "email": "ada@x.org", "more": ["ada@y.org"]})
    fields = replace(book, {"id": 1, "email": "ada@z.org"})

    assert fields == {"id": 1, "email": "ada@x.org", "more": ("ada@z.org",)}


def test_all_fields_of_merged_contacts_that_are_omitted_are_cleared() -> None:
    book = make_book(merge_all("id", "email"))
    book.upsert({"id": 1, "name": "Ada"})
    book.upsert({"email": "ada@x.org", "city": "Oslo"})
    outcome = book.upsert({"id": 1, "email": "ada@x.org"}, **CLEAR)

    assert outcome.result == "merged"
    assert dict(outcome.contact.fields) == {"id": 1, "email": "ada@x.org"}
    assert book.upsert({"id": 1, "email": "ada@x.org"}, **CLEAR).unchanged


def test_required_field_that_would_be_cleared_refuses_the_call() -> None:
    lines = {
        "name": field(required=True),
        "kind": field(required=True, rule=rules.keep),
    }
    book = make_book(**lines)
    ada: dict[str, Any] = {"id": 1, "name": "Ada", "kind": "lead", "city": "Oslo"}
    book.upsert(ada)
    before = book.dump()
    with pytest.raises(
        errors.MissingField, match="name: is required, and omitted="
    ) as e:
        book.upsert({"id": 1}, **CLEAR)

    assert e.value.is_cleared
    assert before == book.dump()
    del ada["city"]
    assert replace(book, {"id": 1, "name": "Ada"}) == ada
    assert book.upsert({"id": 1, "name": None}, **CLEAR).updated


def test_field_has_its_default_again() -> None:
    """As a patch that creates the contact leaves it, so that a repeated call agrees."""
    book = make_book(status=field(default="lead", required=True))

    assert replace(book, {"id": 1})["status"] == "lead"
    assert book.upsert({"id": 1, "status": "customer"}).updated
    assert replace(book, {"id": 1})["status"] == "lead"


def test_creation_is_as_without_it() -> None:
    one, other = make_book(), make_book()

    assert one.upsert({"id": 1}, **CLEAR).contact.fields == (
        other.upsert({"id": 1}).contact.fields
    )


@pytest.mark.parametrize("max_forms", [None, 2])
def test_alias_of_a_cleared_key_is_kept_unless_the_key_has_a_limit(
    max_forms: Any,
) -> None:
    """As where null clears it."""
    email = field(key=normalize.email, keep_aliases=True, max_forms=max_forms)
    book = make_book(all_agree("id"), email=email)
    book.upsert({"id": 1, "email": "ada@x.org"})
    replace(book, {"id": 1})

    assert len(book.find("email", "ada@x.org")) == (max_forms is None)


def test_value_that_is_withheld_is_not_omitted() -> None:
    policy = Policy(
        first_match("id"),
        {**FIELDS, "email": field(key=normalize.email, unique=True)},
        on_key_in_use="withhold",
    )
    book = ContactBook(policy, ids=iter(["c-1", "c-2"]).__next__)
    book.upsert({"id": 1, "email": "ada@x.org", "name": "Ada"})
    book.upsert({"id": 2, "email": "bob@x.org"})
    outcome = book.upsert({"id": 1, "email": "bob@x.org"}, **CLEAR)

    assert outcome.withheld
    assert dict(outcome.contact.fields) == {"id": 1, "email": "ada@x.org"}


def test_call_that_finds_and_ignores_clears_nothing() -> None:
    """One that refuses what would change refuses a contact that would be cleared."""
    book = make_book()
    book.upsert({"id": 1, "name": "Ada"})

    assert book.upsert({"id": 1}, **CLEAR, on_found="ignore").ignored == {}
    assert check(book, {"id": 1}, **CLEAR, on_found="ignore")
    with pytest.raises(errors.UpdateRefused):
        book.upsert({"id": 1}, **CLEAR, on_found="refuse")
    assert book.upsert({"id": 1, "name": "Ada"}, **CLEAR, on_found="refuse").unchanged


def test_idempotency_key_is_of_one_choice() -> None:
    book = make_book()
    book.upsert({"id": 1, "name": "Ada"})
    first = book.upsert({"id": 1}, idempotency_key="k", **CLEAR)
    with pytest.raises(errors.IdempotencyKeyReused):
        book.upsert({"id": 1}, idempotency_key="k")

    assert book.upsert({"id": 1}, idempotency_key="k", **CLEAR) == first

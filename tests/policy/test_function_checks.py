"""Functions of a policy: factories, and functions that do not take one value."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.field_options import merging
from upsertcore import (
    ContactBook,
    Policy,
    field,
    first_match,
    key,
    merge_all,
    normalize,
)
from upsertcore.errors import InvalidField, InvalidPolicy
from upsertcore.policy.function_checks import (
    check_function,
    check_normaliser,
    check_not_factory,
)
from upsertcore.rules import custom, latest


def make_normaliser() -> Callable[[Any], str]:
    """Make a normaliser, as an application may."""
    return str


@pytest.mark.parametrize(
    ("factory", "noun"),
    [
        (normalize.phone_in, "a normaliser"),
        (normalize.nicknames, "a normaliser"),
        (make_normaliser, "a normaliser"),
        (latest, "a rule"),
        (first_match, "a match strategy"),
        (merge_all, "a match strategy"),
        (field, "a field"),
        (key, "a key"),
    ],
    ids=map(str, range(8)),
)
def test_factory_is_refused_with_the_advice_to_call_it(factory: Any, noun: str) -> None:
    with pytest.raises(InvalidPolicy) as caught:
        check_not_factory("x", factory)

    name = factory.__name__
    words = f"x: {name} makes {noun} and is not one itself; call it, as in {name}(...)"
    assert str(caught.value) == words


def annotated(value: Any) -> Any:
    return value


annotated.__annotations__["return"] = latest("at").__class__


def test_factory_with_a_class_as_annotation_is_refused() -> None:
    """Without the import that keeps annotations as text."""
    with pytest.raises(InvalidPolicy, match="x: annotated makes a rule"):
        check_not_factory("x", annotated)


@pytest.mark.parametrize(
    "value", [None, 7, "latest", str, normalize.email, latest("at"), lambda v: v, len]
)
def test_value_or_plain_function_is_no_factory(value: Any) -> None:
    check_not_factory("x", value)


@pytest.mark.parametrize(
    "function",
    [
        *(str, int, str.lower, len, normalize.email, lambda v: v, lambda *v: v),
        partial(str.replace, "a", "b"),
        type("Made", (), {"__call__": lambda *_: ""})(),
    ],
    ids=map(str, range(9)),
)
def test_function_of_one_value_is_accepted(function: Any) -> None:
    """A callable without a signature is accepted, too."""
    check_normaliser("x", function)


@pytest.mark.parametrize(
    "function", [lambda: "", lambda _a, _b: "", str.replace], ids="abc"
)
def test_function_of_fewer_or_more_values_is_refused(function: Any) -> None:
    """It would raise for the first patch."""
    with pytest.raises(InvalidPolicy, match="must take one value; do so"):
        check_function("x", function, "do so")


def test_policy_and_key_check_their_functions() -> None:
    lines: dict[str, Any] = {"email": field(key=normalize.email), "name": field()}
    prefix: Any = normalize.prefix
    clean: Any = make_normaliser
    for make in (
        lambda: Policy(first_match("email"), {"email": field(key=prefix)}),
        lambda: Policy(first_match("email"), {**lines, "x": field(clean=clean)}),
        lambda: key("email", "name", normalize=(normalize.email, prefix)),
    ):
        with pytest.raises(InvalidPolicy, match="makes a normaliser and is not"):
            make()


class TestExceptionNotes:
    """An exception of a caller's function gets a note: field, function, kind."""

    LINES: dict[str, Any] = {"email": field(key=normalize.email)}  # noqa: RUF012

    def make_book(self, **line: Any) -> ContactBook:
        """Make a book whose field v has these options."""
        ids = iter(["c-1", "c-2", "c-3"])
        lines = {**self.LINES, "v": field(**line)}
        policy = Policy(first_match("email"), merging(lines, {"v": DIVIDES}))
        return ContactBook(policy, ids=ids.__next__)

    def notes(self, call: Callable[[], object]) -> list[str]:
        """Return the notes of the exception of a call."""
        with pytest.raises(ZeroDivisionError) as caught:
            call()
        return caught.value.__notes__

    def test_exception_of_a_rule_has_a_note(self) -> None:
        """In an upsert, a plan, and a merge of contacts."""
        book = self.make_book(rule=DIVIDES)
        note = ["v: rule divides raised this for a number"]
        assert self.notes(lambda: book.upsert({"email": "a@x", "v": 0})) == note
        assert self.notes(lambda: book.plan({"email": "a@x", "v": 0})) == note
        assert len(book) == 0

        book.upsert({"email": "a@x", "v": 2})
        other = self.make_book()
        other.upsert({"email": "a@x", "v": 1})
        other.upsert({"email": "b@x", "v": 0})
        assert self.notes(lambda: other.merge("c-1", "c-2")) == note
        assert len(other) == 2

    def test_exception_of_a_clean_function_has_a_note(self) -> None:
        book = self.make_book(clean=lambda value: 1 // value)
        note = ["v: clean <lambda> raised this for a number"]
        assert self.notes(lambda: book.upsert({"email": "a@x", "v": 0})) == note
        assert self.notes(lambda: book.plan({"email": "a@x", "v": 0})) == note

    def test_invalid_result_of_clean_is_refused(self) -> None:
        book = self.make_book(clean=lambda value: {value})
        for call in (book.upsert, book.plan):
            with pytest.raises(InvalidField, match="let clean return sorted"):
                call({"email": "a@x", "v": 0})

    def test_invalid_result_of_a_rule_is_refused_by_kind(self) -> None:
        """The value is not shown: a stored one may be in it."""
        nan = float("nan")
        for result, kind, advice in (
            ({1}, "set", "sorted(value)"),
            ([{1}], "set at [0]", "sorted(value)"),
            (nan, "float", "a JSON value"),
        ):
            results = iter([result, result])
            rule = custom(lambda *_, results=results: next(results))
            with pytest.raises(InvalidField) as caught:
                self.make_book(rule=rule).upsert({"email": "a@x", "v": 0})
            start = f"v: must not become {kind} through its rule"
            assert str(caught.value) == f"{start}; let <lambda> return {advice}"

    def test_exception_of_a_normaliser_has_a_note(self) -> None:
        """In patches and in a lookup; a form that is no text is refused."""

        def broken(value: Any) -> Any:
            return 1 // value if type(value) is int else 7

        policy = Policy(first_match("email"), {"email": field(key=broken)})
        book = ContactBook(policy)
        note = ["email: normaliser broken raised this for a number"]
        assert self.notes(lambda: book.upsert({"email": 0})) == note
        assert self.notes(lambda: book.plan({"email": 0})) == note
        assert self.notes(lambda: book.find("email", 0)) == note
        with pytest.raises(TypeError, match="email: normaliser broken must return str"):
            book.upsert({"email": "a@x"})
        surrogate = Policy(first_match("e"), {"e": field(key=lambda _v: "\ud800")})
        with pytest.raises(TypeError, match="e: normaliser <lambda>: what it returns"):
            ContactBook(surrogate).upsert({"e": "x"})


def divide(_stored: Any, sent: Any) -> Any:
    """Raise for 0."""
    return 1 // sent


DIVIDES = custom(divide, name="divides", laws=())

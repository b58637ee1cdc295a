"""Functions of a policy: called where they make one, and of one value."""

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


def outside() -> Callable[[Any], str]:
    """Make a normaliser, as an application does."""
    return str


@pytest.mark.parametrize(
    ("maker", "noun"),
    [
        (normalize.phone_in, "a normaliser"),
        (normalize.nicknames, "a normaliser"),
        (outside, "a normaliser"),
        (latest, "a rule"),
        (first_match, "a match strategy"),
        (merge_all, "a match strategy"),
        (field, "a field"),
        (key, "a key"),
    ],
    ids=map(str, range(8)),
)
def test_what_makes_it_is_none_itself(maker: Any, noun: str) -> None:
    """The message says what it makes, and to call it."""
    with pytest.raises(InvalidPolicy) as caught:
        check_not_factory("x", maker)

    name = maker.__name__
    words = f"x: {name} makes {noun} and is not one itself; call it, as in {name}(...)"
    assert str(caught.value) == words


def annotated(value: Any) -> Any:
    return value


annotated.__annotations__["return"] = latest("at").__class__


def test_an_annotation_may_be_the_class_itself() -> None:
    """Without the import that keeps annotations as text."""
    with pytest.raises(InvalidPolicy, match="x: annotated makes a rule"):
        check_not_factory("x", annotated)


@pytest.mark.parametrize(
    "value", [None, 7, "latest", str, normalize.email, latest("at"), lambda v: v, len]
)
def test_anything_else_is_not_taken_for_a_maker(value: Any) -> None:
    """Values, classes, and functions that say nothing of the kind."""
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
def test_a_function_of_one_value(function: Any) -> None:
    """Whatever can be called with one, or does not say what it takes."""
    check_normaliser("x", function)


@pytest.mark.parametrize(
    "function", [lambda: "", lambda _a, _b: "", str.replace], ids="abc"
)
def test_a_function_of_fewer_or_more_values(function: Any) -> None:
    """It would raise at the first patch, so the policy refuses it."""
    with pytest.raises(InvalidPolicy, match="must take one value; do so"):
        check_function("x", function, "do so")


def test_the_policy_checks_each_place() -> None:
    """Of a field, and of a key of several fields."""
    lines: dict[str, Any] = {"email": field(key=normalize.email), "name": field()}
    prefix: Any = normalize.prefix
    clean: Any = outside
    for make in (
        lambda: Policy(first_match("email"), {"email": field(key=prefix)}),
        lambda: Policy(first_match("email"), {**lines, "x": field(clean=clean)}),
        lambda: key("email", "name", normalize=(normalize.email, prefix)),
    ):
        with pytest.raises(InvalidPolicy, match="makes a normaliser and is not"):
            make()


class TestRaising:
    """What a caller's function raises has a note: field, function, kind of value."""

    LINES: dict[str, Any] = {"email": field(key=normalize.email)}  # noqa: RUF012

    def book(self, **line: Any) -> ContactBook:
        """Make a book whose field v has such a line."""
        ids = iter(["c-1", "c-2", "c-3"])
        lines = {**self.LINES, "v": field(**line)}
        policy = Policy(first_match("email"), merging(lines, {"v": DIVIDES}))
        return ContactBook(policy, ids=ids.__next__)

    def notes(self, call: Callable[[], object]) -> list[str]:
        """Return the notes of what a call raises."""
        with pytest.raises(ZeroDivisionError) as caught:
            call()
        return caught.value.__notes__

    def test_a_rule(self) -> None:
        """On every path: an upsert, a plan, and a merge of contacts."""
        made = self.book(rule=DIVIDES)
        note = ["v: rule divides raised this for a number"]
        assert self.notes(lambda: made.upsert({"email": "a@x", "v": 0})) == note
        assert self.notes(lambda: made.plan({"email": "a@x", "v": 0})) == note
        assert len(made) == 0

        made.upsert({"email": "a@x", "v": 2})
        other = self.book()
        other.upsert({"email": "a@x", "v": 1})
        other.upsert({"email": "b@x", "v": 0})
        assert self.notes(lambda: other.merge("c-1", "c-2")) == note
        assert len(other) == 2

    def test_a_clean(self) -> None:
        """On every path of a patch."""
        made = self.book(clean=lambda value: 1 // value)
        note = ["v: clean <lambda> raised this for a number"]
        assert self.notes(lambda: made.upsert({"email": "a@x", "v": 0})) == note
        assert self.notes(lambda: made.plan({"email": "a@x", "v": 0})) == note

    def test_what_a_clean_returns_is_named(self) -> None:
        """On every path of a patch, with what it returned."""
        made = self.book(clean=lambda value: {value})
        for call in (made.upsert, made.plan):
            with pytest.raises(InvalidField, match="let clean return sorted"):
                call({"email": "a@x", "v": 0})

    def test_what_a_rule_returns_is_named(self) -> None:
        """By its kind, for a stored value may be in it."""
        nan = float("nan")
        for made, kind, advice in (
            ({1}, "set", "sorted(value)"),
            ([{1}], "set at [0]", "sorted(value)"),
            (nan, "float", "a JSON value"),
        ):
            results = iter([made, made])
            rule = custom(lambda *_, results=results: next(results))
            with pytest.raises(InvalidField) as caught:
                self.book(rule=rule).upsert({"email": "a@x", "v": 0})
            what = f"v: must not become {kind} through its rule"
            assert str(caught.value) == f"{what}; let <lambda> return {advice}"

    def test_a_normaliser(self) -> None:
        """On every path of a patch, in a look-up, and where a form is no text."""

        def broken(value: Any) -> Any:
            return 1 // value if type(value) is int else 7

        policy = Policy(first_match("email"), {"email": field(key=broken)})
        made = ContactBook(policy)
        note = ["email: normaliser broken raised this for a number"]
        assert self.notes(lambda: made.upsert({"email": 0})) == note
        assert self.notes(lambda: made.plan({"email": 0})) == note
        assert self.notes(lambda: made.find("email", 0)) == note
        with pytest.raises(TypeError, match="email: normaliser broken must return str"):
            made.upsert({"email": "a@x"})
        surrogate = Policy(first_match("e"), {"e": field(key=lambda _v: "\ud800")})
        with pytest.raises(TypeError, match="e: normaliser <lambda>: what it returns"):
            ContactBook(surrogate).upsert({"e": "x"})


def divide(_stored: Any, sent: Any) -> Any:
    """Raise for 0."""
    return 1 // sent


DIVIDES = custom(divide, name="divides", laws=())

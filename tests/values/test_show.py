"""Showing a value: short, printable, whatever it is."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from upsertcore.rules import keep
from upsertcore.values import (
    FrozenMap,
    callable_name,
    closest_name,
    describe,
    kind_of,
    list_names,
    show_name,
    show_value,
    unknown_name,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("ada", "'ada'"),
        (None, "None"),
        (1.5, "1.5"),
        ((), "()"),
        ({"a": [1, {"b": 2}]}, "{'a': [1, {...}]}"),
        (FrozenMap({"a": 1}), "{'a': 1}"),
        ("\n\t\x1b", r"'\n\t\x1b'"),
        ("\ud800", r"'\ud800'"),
    ],
)
def test_it_is_what_python_shows(value: Any, text: str) -> None:
    """Nothing is printed raw, and what is nested deep is left out."""
    assert show_value(value) == text


@pytest.mark.parametrize(
    "value", ["x" * 10_000, b"x" * 10_000, [*range(9_999)], 10**4_000, {"a" * 999: 1}]
)
def test_it_is_short(value: Any) -> None:
    """However long the value is."""
    assert len(show_value(value)) <= 80
    assert "..." in show_value(value)


class Mute:
    """Something that cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_what_cannot_be_shown_is_named_by_its_class() -> None:
    """A message never hides the refusal that it is for."""
    assert show_value(10**5_000) == "<int>"
    assert "Mute" in show_value(Mute())


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("a", "text"),
        (1, "a number"),
        (1.5, "a number"),
        (True, "true or false"),
        ((1,), "a list"),
        ([1], "a list"),
        ({"a": 1}, "a mapping"),
        (None, "null"),
    ],
)
def test_the_kind_of_a_value(value: Any, words: str) -> None:
    """Named without the value."""
    assert kind_of(value) == words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (str, "the class str"),
        (len, "the function len"),
        (test_it_is_short, "the function test_it_is_short"),
        (partial(len, ()), "functools.partial(<built-in function len>, ())"),
        ("keep", "'keep'"),
        (None, "None"),
    ],
    ids=map(str, range(6)),
)
def test_an_argument_is_described(value: Any, text: str) -> None:
    """A function or a class by its name, without where it is in memory."""
    assert describe(value) == text


def test_a_function_is_called_by_its_name() -> None:
    """A rule by its own; what has none by its class."""
    assert [callable_name(each) for each in (len, keep, partial(len, ()))] == [
        "len",
        "keep",
        "partial",
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [("email", "email"), ("", "''"), (7, "7"), ("a\x1b", r"'a\x1b'"), ("x" * 61, None)],
    ids=map(str, range(5)),
)
def test_a_name_is_shown_as_it_is(name: Any, text: str | None) -> None:
    """Unless it is not short printable text."""
    assert show_name(name) == (show_value(name) if text is None else text)


def test_names_are_listed() -> None:
    """The first of them, and dots where there are more; what is not text is shown."""
    assert list_names([]) == ""
    assert list_names(["a", 1, "b"]) == "a, 1, b"
    assert list_names(iter("abcde"), 5) == "a, b, c, d, e"
    assert list_names(iter("abcdef"), 5) == "a, b, c, d, e, ..."


def test_the_closest_name() -> None:
    """Of those that are compared: short, and not too many."""
    assert closest_name("emial", ("phone", "email")) == "email"
    assert closest_name("xyz", ("phone", "email")) is None
    assert closest_name(7, ("email",)) is None
    assert closest_name("e" * 61, ("e" * 61,)) is None
    assert closest_name("emial", ["e" * 61, *["x"] * 199, "email"]) is None


def test_an_unknown_name() -> None:
    """What there is is listed; nothing is said of what there is not."""
    assert unknown_name("key", "mail", ["email"]).endswith("; this policy has: email")
    assert unknown_name("field", 7, []) == "unknown field 7; this policy has none"

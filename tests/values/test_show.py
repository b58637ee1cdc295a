"""Showing values in messages: short and printable, for any value."""

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
def test_value_is_shown_as_in_python(value: Any, text: str) -> None:
    """Control characters are escaped, and deeply nested values left out."""
    assert show_value(value) == text


@pytest.mark.parametrize(
    "value", ["x" * 10_000, b"x" * 10_000, [*range(9_999)], 10**4_000, {"a" * 999: 1}]
)
def test_long_value_is_shown_short(value: Any) -> None:
    assert len(show_value(value)) <= 80
    assert "..." in show_value(value)


class BrokenRepr:
    """An object whose ``repr`` raises."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_value_with_broken_repr_is_shown_by_its_class() -> None:
    """A message must not hide the refusal."""
    assert show_value(10**5_000) == "<int>"
    assert "BrokenRepr" in show_value(BrokenRepr())


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
def test_kind_names_the_type_and_not_the_value(value: Any, words: str) -> None:
    assert kind_of(value) == words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (str, "the class str"),
        (len, "the function len"),
        (test_long_value_is_shown_short, "the function test_long_value_is_shown_short"),
        (partial(len, ()), "functools.partial(<built-in function len>, ())"),
        ("keep", "'keep'"),
        (None, "None"),
    ],
    ids=map(str, range(6)),
)
def test_function_or_class_is_described_by_name(value: Any, text: str) -> None:
    """The address in memory is not shown."""
    assert describe(value) == text


def test_callable_name_of_function_rule_and_partial() -> None:
    """Without a name of its own it is that of the class."""
    assert [callable_name(function) for function in (len, keep, partial(len, ()))] == [
        "len",
        "keep",
        "partial",
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [("email", "email"), ("", "''"), (7, "7"), ("a\x1b", r"'a\x1b'"), ("x" * 61, None)],
    ids=map(str, range(5)),
)
def test_short_printable_name_is_shown_without_quotes(
    name: Any, text: str | None
) -> None:
    assert show_name(name) == (show_value(name) if text is None else text)


def test_list_of_names_ends_with_dots_when_cut() -> None:
    assert list_names([]) == ""
    assert list_names(["a", 1, "b"]) == "a, 1, b"
    assert list_names(iter("abcde"), 5) == "a, b, c, d, e"
    assert list_names(iter("abcdef"), 5) == "a, b, c, d, e, ..."


def test_closest_name_compares_short_names_only() -> None:
    """And not too many of them."""
    assert closest_name("emial", ("phone", "email")) == "email"
    assert closest_name("xyz", ("phone", "email")) is None
    assert closest_name(7, ("email",)) is None
    assert closest_name("e" * 61, ("e" * 61,)) is None
    assert closest_name("emial", ["e" * 61, *["x"] * 199, "email"]) is None


def test_unknown_name_lists_the_known_names() -> None:
    assert unknown_name("key", "mail", ["email"]).endswith("; this policy has: email")
    assert unknown_name("field", 7, []) == "unknown field 7; this policy has none"

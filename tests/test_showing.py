"""Showing a value: short, printable, whatever it is."""

from __future__ import annotations

from typing import Any

import pytest

from upsertcore.showing import kind_of, shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("ada", "'ada'"),
        (None, "None"),
        (1.5, "1.5"),
        ((), "()"),
        ({"a": [1, {"b": 2}]}, "{'a': [1, {...}]}"),
        ("\n\t\x1b", r"'\n\t\x1b'"),
        ("\ud800", r"'\ud800'"),
    ],
)
def test_it_is_what_python_shows(value: Any, text: str) -> None:
    """Nothing is printed raw, and what is nested deep is left out."""
    assert shown(value) == text


@pytest.mark.parametrize(
    "value", ["x" * 10_000, b"x" * 10_000, [*range(9_999)], 10**4_000, {"a" * 999: 1}]
)
def test_it_is_short(value: Any) -> None:
    """However long the value is."""
    assert len(shown(value)) <= 80
    assert "..." in shown(value)


class Mute:
    """Something that cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_what_cannot_be_shown_is_named_by_its_class() -> None:
    """A message never hides the refusal that it is for."""
    assert shown(10**5_000) == "<int>"
    assert "Mute" in shown(Mute())


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

"""Patterns of blocked forms."""

from __future__ import annotations

import pickle
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upsertcore import normalize
from upsertcore.normalize import PLACEHOLDERS
from upsertcore.normalize.blocked_patterns import _fits, compile_patterns
from upsertcore.policy.keys import Key, key


def blocks(pattern: Any, form: str) -> bool:
    """Return whether a key with this pattern blocks the value."""
    blocking_key = Key("k", ("k",), (lambda value: value,), blocked=(pattern,))
    return blocking_key.form(form) is None


@pytest.mark.parametrize(
    ("pattern", "form", "expected"),
    [
        *(("a", "a", True), ("a", "A", True), ("a", "b", False), ("a", "aa", False)),
        *(("a*", "a", True), ("a*", "abc", True), ("a*", "ba", False)),
        *(("*a", "a", True), ("*a", "cba", True), ("*a", "ab", False)),
        *(("*", "x", True), ("**", "x", True), ("*a*", "bab", True)),
        *(("*a*", "bcb", False), ("a*a", "a", False), ("a*a", "aa", True)),
        *(("ab*ba", "aba", False), ("ab*ba", "abba", True), ("ab*ba", "abxba", True)),
        *(("a*b*c", "abc", True), ("a*b*c", "acb", False), ("a*b*c", "a-b-b-c", True)),
        *(("a*b*b*a", "aba", False), ("a*b*b*a", "abba", True)),
        *(("*ab*ab*", "abab", True), ("*ab*ab*", "aab", False)),
        *(("*.test", "a.test", True), ("*.test", "atest", False)),
        *(
            ("STRA\u00dfE*", "strasse 1", True),
            ("\u039f\u03a3*", "\u03bf\u03c3\u03b1", True),
        ),
        *(("[a]", "a", False), ("[a]", "[A]", True), ("a?", "ab", False)),
        *(("a\n*", "a\nb", True), ("*", "a\nb", True)),
    ],
)
def test_star_of_a_text_pattern_matches_any_characters(
    pattern: str,
    form: str,
    expected: bool,  # noqa: FBT001
) -> None:
    """The rest matches itself, in any case."""
    assert expected is blocks(pattern, form)


@given(
    st.text("ab*", min_size=1, max_size=7),
    st.text("abAB\n", min_size=1, max_size=9).filter(str.strip),
)
def test_text_pattern_equals_a_regular_expression(pattern: str, form: str) -> None:
    """The expression is simple and slow."""
    parts = [re.escape(part) for part in pattern.split("*")]
    expression = re.compile("(?is)" + ".*".join(parts))

    matched = expression.fullmatch(form) or expression.fullmatch(form.strip())

    assert bool(matched) is blocks(pattern, form)


@pytest.mark.parametrize("around", [" {}", "{} ", "\t{}\n", "\u00a0{}\u3000", "\x1f{}"])
@pytest.mark.parametrize("pattern", ["null", "n*l", re.compile("nul+")], ids=str)
def test_white_space_around_a_form_is_ignored(pattern: Any, around: str) -> None:
    assert blocks(pattern, around.format("null"))
    assert not blocks(pattern, around.format("annul"))


def test_pattern_with_white_space_matches_the_form_as_it_is() -> None:
    assert blocks(" a", " a")
    assert not blocks(" a", "a")
    assert blocks(re.compile(r"\sa"), " a")


@pytest.mark.parametrize(
    ("first", "blocked"),
    [
        *(("null", True), (" null", True), ("null\t", True), ("a|null", False)),
        *((" null|", False), ("null\\", False), (" a ", False)),
    ],
)
def test_white_space_around_a_composite_part_is_ignored(
    first: str, *, blocked: bool
) -> None:
    """The separator is no part of them."""
    person = key("a", "b", normalize=normalize.exact)
    person = Key("k", person.fields, person.normalize, blocked=("null|*",))

    assert blocked is (not person.forms({"a": first, "b": " x "}))
    assert blocked is person.blocks({"a": first, "b": " x "})


def test_separator_in_a_stripped_part_stays_escaped() -> None:
    """A backslash or a bar within a part is kept."""
    unnamed = key("a", "b", normalize=normalize.exact)
    blocking_key = Key("k", unnamed.fields, unnamed.normalize, blocked=("a\\\\|b\\|",))

    assert blocking_key.forms({"a": " a\\ ", "b": "\nb|"}) == ()
    assert blocking_key.forms({"a": "a", "b": "b|"}) != ()


class CountingText(str):
    """Text that counts the characters that searches read."""

    __slots__ = ()
    characters = 0

    def find(self, part: Any, start: Any = 0, end: Any = None) -> int:
        position = super().find(part, start, end)
        CountingText.characters += (
            position + len(part) if position >= 0 else end
        ) - start
        return position


@pytest.mark.parametrize(
    ("pattern", "form"),
    [
        ("*@*.test", "@{}x"),
        ("*a*b*c*d", "{}d"),
        ("*a*a*a*a*b*", "{}"),
        ("x*@*@*@*.test", "x{}.test"),
    ],
)
@pytest.mark.parametrize("part", ["@", "a", "ab", ".", "@a."])
def test_each_character_is_read_once_at_most(
    pattern: str, form: str, part: str
) -> None:
    """Whatever the pattern."""
    for size in (1_000, 4_000):
        text = CountingText(form.format(part * size))
        CountingText.characters = 0
        _fits(tuple(pattern.split("*")), text)
        assert CountingText.characters <= len(text)


def test_compiled_patterns_can_be_pickled() -> None:
    copied = pickle.loads(pickle.dumps(compile_patterns("k", PLACEHOLDERS)))  # noqa: S301

    assert copied == compile_patterns("k", PLACEHOLDERS)


PLACEHOLDER = Key("k", ("k",), (normalize.exact,), blocked=PLACEHOLDERS)


@pytest.mark.parametrize(
    "value",
    [
        *("null", " null ", "NULL\n", "0 ", "0", 0, 0.0, "+000", -1, "-1 ", "<null>"),
        *(
            "(Null)",
            "NaN",
            "nil",
            "None",
            "undefined",
            "\\N",
            "<NA>",
            "[object Object]",
        ),
        *(
            "n/a",
            "N/A",
            "#N/A",
            "na",
            "N.A.",
            "n\\a",
            "#VALUE!",
            "#REF!",
            "not available",
        ),
        *("unknown", "(blank)", "TBD", "Anonymous", "no email", "no phone"),
        *(
            "-",
            "--",
            "\u2014",
            "...",
            "?",
            "???",
            "*",
            "_",
            "\u2026",
            "- - -",
            "n/a\u00a0",
        ),
        *("1111111111", "9999999999", 1111111, "222222", "+11111111111"),
        *("+19999999999", "+15555555555", "+442222222222", "1234567890", "0123456789"),
        *("+1234567890", "+11234567890", "123456789", 123456789),
        *("noreply@x.org", "No-Reply@x", "noemail@x.org", "none@none.com", "NONE@x"),
        *("unknown@x", "null@null", "donotreply@x.org", "test@test.com", "n/a@x.org"),
        *("test@example.com", "email@email.com", "no@mail.invalid", "x@invalid"),
    ],
    ids=repr,
)
def test_placeholder_is_no_key(value: Any) -> None:
    """With or without white space around it."""
    assert PLACEHOLDER.form(value) is None


@pytest.mark.parametrize(
    "value",
    [
        *("7", 7, "11", 77, "999", "1112111", "2111111", "111112", "10", "1000", "0x"),
        *("+15550001111", "+4930123456", "+447700900123", "1234567", "12345678901"),
        *("nano", "Nathan", "nada", "naa", "nullx", "annul", "nonesuch", "a-b", "-a"),
        *("noreply", "reply@x.org", "my-noreply@x.org", "nonet@x.org", "na@x.org"),
        *("test@x.org", "tester@test.com", "a@test.org", "ada@example.org", "-10"),
        *("no", "x", "test", "a@x.invalid.org", "mail@invalid.org", "N", "00 1"),
    ],
    ids=repr,
)
def test_value_similar_to_a_placeholder_is_a_key(value: Any) -> None:
    """It may be a name."""
    assert PLACEHOLDER.form(value) is not None

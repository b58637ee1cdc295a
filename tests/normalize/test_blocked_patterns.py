"""Patterns of forms that identify no contact."""

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
    """Whether a key with this pattern has no form of this value."""
    made = Key("k", ("k",), (lambda value: value,), blocked=(pattern,))
    return made.form(form) is None


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
def test_a_pattern_of_text(pattern: str, form: str, expected: bool) -> None:  # noqa: FBT001
    """A star is anything, nothing too; the rest is itself, whatever its case."""
    assert expected is blocks(pattern, form)


@given(
    st.text("ab*", min_size=1, max_size=7),
    st.text("abAB\n", min_size=1, max_size=9).filter(str.strip),
)
def test_a_star_is_what_a_regular_expression_has_for_it(
    pattern: str, form: str
) -> None:
    """The plain way to say it, which is slow."""
    parts = [re.escape(part) for part in pattern.split("*")]
    like = re.compile("(?is)" + ".*".join(parts))

    found = like.fullmatch(form) or like.fullmatch(form.strip())

    assert bool(found) is blocks(pattern, form)


@pytest.mark.parametrize("around", [" {}", "{} ", "\t{}\n", "\u00a0{}\u3000", "\x1f{}"])
@pytest.mark.parametrize("pattern", ["null", "n*l", re.compile("nul+")], ids=str)
def test_white_space_around_a_form_does_not_count(pattern: Any, around: str) -> None:
    """A blocked form is blocked with it and without."""
    assert blocks(pattern, around.format("null"))
    assert not blocks(pattern, around.format("annul"))


def test_a_pattern_with_white_space_matches_the_form_as_it_is() -> None:
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
def test_white_space_around_a_part_of_a_composite_does_not_count(
    first: str, *, blocked: bool
) -> None:
    """Each part is bare, and what joins the parts is not in them."""
    made = key("a", "b", normalize=normalize.exact)
    made = Key("k", made.fields, made.normalize, blocked=("null|*",))

    assert blocked is (not made.forms({"a": first, "b": " x "}))
    assert blocked is made.blocks({"a": first, "b": " x "})


def test_a_composite_of_bare_parts_is_compared_part_by_part() -> None:
    """A backslash and a stroke within a part stay what they are."""
    made = key("a", "b", normalize=normalize.exact)
    one = Key("k", made.fields, made.normalize, blocked=("a\\\\|b\\|",))

    assert one.forms({"a": " a\\ ", "b": "\nb|"}) == ()
    assert one.forms({"a": "a", "b": "b|"}) != ()


class Counted(str):
    """Text that counts the characters that a search looks at."""

    __slots__ = ()
    looked = 0

    def find(self, part: Any, start: Any = 0, end: Any = None) -> int:
        found = super().find(part, start, end)
        Counted.looked += (found + len(part) if found >= 0 else end) - start
        return found


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
def test_matching_is_linear(pattern: str, form: str, part: str) -> None:
    """No character is looked at twice, however the stars could be laid."""
    for size in (1_000, 4_000):
        text = Counted(form.format(part * size))
        Counted.looked = 0
        _fits(tuple(pattern.split("*")), text)
        assert Counted.looked <= len(text)


def test_patterns_can_be_pickled() -> None:
    """A policy's keys go to other processes."""
    made = pickle.loads(pickle.dumps(compile_patterns("k", PLACEHOLDERS)))  # noqa: S301

    assert made == compile_patterns("k", PLACEHOLDERS)


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
def test_a_placeholder(value: Any) -> None:
    """What stands for no value is no key, white space around it or not."""
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
def test_what_merely_looks_like_a_placeholder(value: Any) -> None:
    """What somebody may be called by is a key."""
    assert PLACEHOLDER.form(value) is not None

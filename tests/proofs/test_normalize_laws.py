"""Laws of normal forms: total, idempotent, and never another person's mailbox."""

from __future__ import annotations

import random
import sys
import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.strategies import json_values, rich_text
from upsertcore import normalize
from upsertcore.laws.normalisers import check_normaliser, idempotent_form
from upsertcore.normalize import Normalizer
from upsertcore.normalize.words import MAX_LENGTH

NORMALISERS = {
    "exact": normalize.exact,
    "text": normalize.text,
    "email": normalize.email,
    "phone": normalize.phone,
    "phone_in": normalize.phone_in("US"),
}
every = pytest.mark.parametrize("normal", NORMALISERS.values(), ids=NORMALISERS)
CODE_POINTS = range(sys.maxunicode + 1)
# Marks of several classes, some that hide, are two, or fold into a letter; letters that
# bring marks; what opens, closes or hides in an address; what numbers are written with.
MARKS = "\u0301\u0316\u0345\u0344\u0f73\uff9e\u3099"
LETTERS = (
    "aA\u00df\u0130\u0149\u0390\u1fb7\u212a\u1100\u1161\u11a8 "
    "@x.'\"\u200b\u00ad\u2019<,;:"
)
NASTY = st.one_of(
    st.lists(
        st.builds(
            "{}{}".format,
            st.sampled_from(LETTERS),
            st.builds(
                lambda marks, times: "".join(marks) * times,
                st.lists(st.sampled_from(MARKS), max_size=3),
                st.integers(0, 12),
            ),
        ),
        max_size=6,
    ).map("".join),
    st.text("+0123456789 ().-/eE,\u2010\u00a0", max_size=22),
    st.floats(allow_nan=False).map(str),
    st.integers(0, 10**16).map(lambda number: f"{number:,}"),
)
LONG = 1_000_000


def forms(normal: Normalizer, values: Iterator[str]) -> Iterator[tuple[str, str]]:
    """Give each value that has a normal form, with it."""
    for value in values:
        form = normal(value)
        if form is not None:
            yield value, form


@every
@example(value="\ud800@x.org")
@example(value="x@\u1e9e\u0345.org")
@example(value="+1\u0660\uff115550001111")
@given(value=rich_text())
def test_total_and_idempotent_on_any_text(normal: Normalizer, value: str) -> None:
    """Any text has a normal form or none, which is its own normal form."""
    check_normaliser(normal, [value])


@every
@example(value="a" + "\u0344" * 30)
@example(value="\u0130" + "\u0316" * 30)
@example(value="a'" + "\u0301" * 20 + "'" + "\u0316" * 20)
@given(value=NASTY)
def test_total_and_idempotent_on_nasty_text(normal: Normalizer, value: str) -> None:
    """Marks in a row, quotes, hidden characters and numbers that were floats."""
    check_normaliser(normal, [value, f"{value}@x.org", f"\u00e5{value}@x.org"])


@every
def test_total_and_idempotent_on_the_pool_of_a_host(normal: Normalizer) -> None:
    """Ours keep what a host is told to keep, on awkward text and on what is none."""
    check_normaliser(normal)


@every
@given(value=json_values())
def test_total_on_any_value(normal: Normalizer, value: Any) -> None:
    """What is no text may have a form; none makes a normaliser raise."""
    check_normaliser(normal, [value])


@every
@pytest.mark.parametrize(
    "part", ["a", "1", "+", " ", "@", "\u0130", "\ud800", "a@\u0345"]
)
def test_total_on_a_megabyte(normal: Normalizer, part: str) -> None:
    """A megabyte of one thing is read, or is no key."""
    check_normaliser(normal, [part * (LONG // len(part))])


@pytest.mark.full
def test_text_is_idempotent_on_every_character() -> None:
    """Exhaustively: each code point keeps the law."""
    for value in map(chr, CODE_POINTS):
        idempotent_form(normalize.text, value)


@pytest.mark.full
def test_email_is_idempotent_and_keeps_ascii_apart_on_every_character() -> None:
    """Exhaustively: none but ASCII becomes ASCII, or changes the second time."""
    email = normalize.email
    made = list(forms(email, (f"x{chr(c)}@y.org" for c in CODE_POINTS)))
    foreign = [(value, form) for value, form in made if not value.isascii()]
    kept = ("x@y.org", "@y.org")

    assert [value for value, form in foreign if form.isascii()] == []
    assert [value for value, form in foreign if ascii_of(form) not in kept] == []
    for value, _form in made:
        idempotent_form(email, value)


def ascii_of(text: str) -> str:
    return "".join(filter(str.isascii, text))


@pytest.mark.parametrize("normal", [normalize.email, normalize.text])
def test_pairs_of_changing_characters_are_idempotent(normal: Normalizer) -> None:
    """Pairs of the characters that a form changes, and of marks, keep the law."""
    random.seed(0)
    changing = [c for c in map(chr, CODE_POINTS) if f"x{c}" != normalize.text(f"x{c}")]
    marks = [chr(c) for c in range(0x300, 0x370)] + list(
        "\u0130\u212a\u037e\u1fef\u1e9e"
    )
    for _ in range(20_000):
        before, mark, after = map(random.choice, (changing, marks, changing))
        idempotent_form(normal, f"x{before}{mark}{after}@y.org")


@given(st.sampled_from(["ada@x.org", "\u00e5sa@x.org"]), st.text(" \t\n", max_size=3))
def test_white_space_around_and_case_do_not_count(address: str, space: str) -> None:
    """Two spellings of one mailbox have one form."""
    form = normalize.email(address)

    assert form == normalize.email(space + address.upper() + space)


@given(
    st.lists(st.sampled_from(["", " ", "-", "(", ") ", "."]), min_size=11, max_size=11)
)
def test_separators_within_a_phone_do_not_count(between: list[str]) -> None:
    """A phone is its digits, however they are grouped; (0) is no group."""
    grouped = "".join(s + d for s, d in zip(between, "15550001111", strict=True))
    assume("(0)" not in grouped)

    assert normalize.phone("+" + grouped) == "+15550001111"
    assert normalize.phone("00" + grouped) == "+15550001111"
    assert normalize.phone(grouped) is None


@pytest.mark.parametrize("signs", ["+", "00", "", "0", "++", "+00"])
@pytest.mark.parametrize("size", [6, 7, 15, 16])
@pytest.mark.parametrize("between", ["", " ", "-", "\u2010", "\u00a0", "x", "\x1c"])
def test_what_separates_in_ascii_separates_as_beyond(
    signs: str, size: int, between: str
) -> None:
    """A number is read alike whether any of its separators is ASCII or not."""
    number = signs + between.join("1234567890123456"[:size])
    foreign = normalize.phone(number + "\u2010")

    assert foreign == normalize.phone(number + "-")


@given(value=st.one_of(NASTY, rich_text()))
def test_text_does_not_see_how_accents_are_spelled(value: str) -> None:
    """Canonically equivalent texts have one form, or none of them has."""
    for form in ("NFC", "NFD"):
        spelled = unicodedata.normalize(form, value)
        assert normalize.text(value) == normalize.text(spelled)


@pytest.mark.full
def test_what_is_in_an_address_on_every_character() -> None:
    """Exhaustively: no white space, control, format, quotation mark, ``<>,;:@``."""
    quotes = (
        '"\u00ab\u00bb\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2039\u203a\u2e42'
        "\u300c\u300d\u300e\u300f\u301d\u301e\u301f\ufe41\ufe42\ufe43\ufe44\uff02\uff07"
        "\uff62\uff63"
    )
    for each in map(chr, CODE_POINTS):
        refused = (
            each.isspace()
            or unicodedata.category(each) in {"Cc", "Cf"}
            or each in quotes
            or each in "<>,;:@"
        )
        assert (normalize.email(f"\u00e5{each}b@x.org") is None) is refused, ascii(each)
        if each.isascii():
            assert (normalize.email(f"a{each}b@x.org") is None) is refused, ascii(each)
            in_domain = normalize.email(f"a@x{each}y")
            assert (in_domain is None) is (refused or each == "'"), ascii(each)


@given(value=st.text("+0123456789 .-/)", max_size=20))
def test_a_leading_plus_is_read_alike_with_and_without_a_region(value: str) -> None:
    """Whatever the region: nothing but brackets around a zero needs one."""
    number = f"+{value}"

    assert normalize.phone(number) == NORMALISERS["phone_in"](number)


ASCII = st.text(st.characters(max_codepoint=127), max_size=12)


@given(
    value=st.one_of(
        ASCII,
        st.builds("{}@{}".format, ASCII, ASCII),
        st.text("a'@.b\"", max_size=9),
        st.text("+0123456789", max_size=18),
        st.integers(245, 256).map(lambda size: "a" * size + "@x"),
        st.integers(MAX_LENGTH - 2, MAX_LENGTH + 2).map("a ".__mul__),
    )
)
def test_the_patterns_of_ascii_are_what_the_normalisers_make(value: str) -> None:
    """A text is of the pattern if and only if it is its own form."""
    for pattern, normal in (
        (normalize.EMAIL_FORM, normalize.email),
        (normalize.PHONE_FORM, normalize.phone),
        (normalize.EXACT_FORM, normalize.exact),
    ):
        assert bool(pattern.fullmatch(value)) is (value == normal(value))
    words = " ".join(value.lower().split())
    assert bool(normalize.TEXT_FORM.fullmatch(words)) is (
        words == normalize.text(value)
    )

"""Common parts of normalisers: text, whole numbers, limits."""

from __future__ import annotations

import math
import re
import sys
import unicodedata
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from upsertcore import normalize
from upsertcore.normalize import Normalizer, emails, names, phonetic, words
from upsertcore.normalize.identifiers import whole_number
from upsertcore.normalize.words import (
    MAX_LENGTH,
    MAX_MARKS,
    has_too_many_marks,
    single_spaced,
    text,
)

NORMALISERS: dict[str, Normalizer] = {
    "email": normalize.email,
    "text": normalize.text,
    "initials": normalize.initials,
    "sorted_tokens": normalize.sorted_tokens,
    "prefix": normalize.prefix(3),
    "nicknames": normalize.nicknames({"Robert": ["Bob"]}),
    "soundex": phonetic.soundex,
    "nysiis": phonetic.nysiis,
}
by_normaliser = pytest.mark.parametrize("normal", NORMALISERS.values(), ids=NORMALISERS)
# Marks of two classes, alternating and in blocks; marks that decompose into two; and
# characters that are no marks themselves and decompose into marks.
PILES: dict[str, Callable[[int], str]] = {
    "in turn": lambda n: "\u0301\u0316" * n,
    "in blocks": lambda n: "\u0301" * n + "\u0316" * n,
    "of two": lambda n: "\u0344\u0316" * n,
    "hidden": lambda n: "\u0f73\u0301" * n,
    "hidden, compatible": lambda n: "\uff9e\u0301" * n,
}
piles = pytest.mark.parametrize("pile", PILES.values(), ids=PILES)


class TestText:
    def test_text_longer_than_the_limit_has_no_form(self) -> None:
        """The length is that after folding, without removed white space."""
        long = "a" * MAX_LENGTH

        assert long == text(long) == text(" " * 10 * MAX_LENGTH + long.upper() + "\n")
        assert text(long + "a") is None
        assert text("\u00e9" * MAX_LENGTH) == "\u00e9" * MAX_LENGTH
        assert text("\u00e9" * (MAX_LENGTH + 1)) is None
        assert text("\u00df" * MAX_LENGTH) is None
        assert text("e\u0301" * MAX_LENGTH) == "\u00e9" * MAX_LENGTH

    def test_text_with_too_many_marks_in_a_row_has_no_form(self) -> None:
        """Marks composed with their letter count, too."""
        assert text("a" + "\u0316" * MAX_MARKS) is not None
        assert text("a" + "\u0316" * (MAX_MARKS + 1)) is None
        assert text("\u00e1" + "\u0316" * MAX_MARKS) is None
        assert text("\u00e1" + "\u0316" * (MAX_MARKS - 1)) is not None
        assert text(("a" + "\u0316" * MAX_MARKS) * 99) is not None

    @pytest.mark.parametrize(
        ("one", "other"),
        [("\u212a", "k"), ("\u00df", "ss"), ("\u017f", "s"), ("\ufb01", "fi")],
    )
    def test_text_has_one_form_for_different_mailboxes(
        self, one: str, other: str
    ) -> None:
        """For email addresses, ``email`` distinguishes them."""
        assert text(one) == text(other)
        assert normalize.email(f"{one}@x.org") != normalize.email(f"{other}@x.org")
        assert "email address" in str(text.__doc__)


class TestTooManyMarks:
    @pytest.mark.parametrize("mark", ["\u0301", "\u0f71", "\u3099"])
    def test_more_marks_in_a_row_than_the_limit_are_too_many(self, mark: str) -> None:
        assert not has_too_many_marks("a" + mark * MAX_MARKS)
        assert has_too_many_marks("a" + mark * (MAX_MARKS + 1))
        assert not has_too_many_marks(("a" + mark * MAX_MARKS) * 3)

    @pytest.mark.parametrize("mark", ["\u0344", "\u0f73", "\u0f75", "\u0f81"])
    def test_mark_that_decomposes_into_two_counts_twice(self, mark: str) -> None:
        assert not has_too_many_marks("a" + mark * (MAX_MARKS // 2))
        assert has_too_many_marks("a" + mark * (MAX_MARKS // 2 + 1))

    def test_marks_of_a_composed_letter_count(self) -> None:
        assert has_too_many_marks("\u1fb7" + "\u0316" * (MAX_MARKS - 1))
        assert not has_too_many_marks("\u1fb7" + "\u0316" * (MAX_MARKS - 2))

    def test_hidden_marks_are_all_known(self) -> None:
        """Exhaustive: characters that do not combine and decompose into marks."""
        combining = unicodedata.combining
        hidden = {
            character
            for character in map(chr, range(sys.maxunicode + 1))
            if not combining(character)
            and combining(unicodedata.normalize("NFKD", character)[0])
        }

        assert hidden == words._HIDDEN_MARKS

    def test_no_character_decomposes_into_more_than_three_marks(self) -> None:
        """Exhaustive."""
        most = 0
        for character in map(chr, range(sys.maxunicode + 1)):
            row = 0
            for part in unicodedata.normalize("NFKD", character):
                row = row + 1 if unicodedata.combining(part) else 0
                most = max(most, row)

        assert most == 3


CHARACTERS = [*map(chr, range(sys.maxunicode + 1))]
SECOND = {
    part
    for character in CHARACTERS
    for part in unicodedata.normalize("NFD", character)[1:]
}
"""All characters that may compose with the one before."""


def is_inert(value: str) -> bool:
    """Return whether each character is in NFC, whatever is beside it."""
    return not any(map(unicodedata.combining, value)) and SECOND.isdisjoint(value)


def test_text_of_inert_characters_needs_no_decomposition() -> None:
    """Exhaustive: Unicode's D145 makes the same of each, and nothing composes."""
    nfd, nfc = (
        partial(unicodedata.normalize, "NFD"),
        partial(unicodedata.normalize, "NFC"),
    )
    for character in filter(words._INERT_TEXT.fullmatch, CHARACTERS):
        folded = character.casefold()

        assert unicodedata.category(character) != "Cn"
        assert is_inert(character)
        assert is_inert(folded)
        assert folded == nfc(nfd(nfd(character).casefold()).casefold())
        assert character == nfc(character)


def test_address_of_inert_characters_is_in_lower_case() -> None:
    """Exhaustive: it is in NFC, allowed, and no character becomes an ASCII one."""
    inert = re.compile(f"[{words.INERT}]")
    # A sigma at the end of a word has a form of its own.
    lowers = ["\u03c2", *map(str.lower, filter(inert.fullmatch, CHARACTERS))]
    for lower in lowers:
        assert not lower.isascii()
        assert len(lower) == 1
        assert lower.isprintable()
        assert is_inert(lower)
        assert emails._ADDRESS.fullmatch(f"{lower}@{lower}")
        assert lower == unicodedata.normalize("NFC", lower)


def test_every_mark_may_be_one_of_ten() -> None:
    """Exhaustive, for the pattern by which most text has few marks."""
    for character in CHARACTERS:
        if unicodedata.combining(character) or character in words._HIDDEN_MARKS:
            assert words._TEN_MARKS.fullmatch(character * 10)


class TestSingleSpaced:
    def test_text_that_may_compose_to_the_limit_is_kept(self) -> None:
        """Four characters may compose into one."""
        assert single_spaced("a" * 4 * MAX_LENGTH) == "a" * 4 * MAX_LENGTH
        assert single_spaced("a" * (4 * MAX_LENGTH + 1)) is None
        assert single_spaced(" " * 10 * MAX_LENGTH) == ""

    def test_no_character_composes_from_more_than_four(self) -> None:
        """Exhaustive."""
        longest = max(
            len(unicodedata.normalize("NFD", character))
            for character in map(chr, range(sys.maxunicode + 1))
        )

        assert longest == words._EXPANSION


@pytest.mark.parametrize(
    ("value", "number"),
    [
        *((0, 0), (-1, -1), (10**40, 10**40), (1001.0, 1001), (-2.0, -2), (-0.0, 0)),
        *((2.0**53 - 1, 2**53 - 1), (2.0**53, None), (-(2.0**53), None), (0.5, None)),
        *((math.nan, None), (math.inf, None), (-math.inf, None)),
        *((True, None), (False, None), ("1", None), (None, None), ((1,), None)),
    ],
    ids=repr,
)
def test_whole_number_of_int_or_exact_float(value: Any, number: int | None) -> None:
    result = whole_number(value)

    assert (number, type(number)) == (result, type(result))


class NormalizationCost:
    """Counts the characters that are normalised by ``unicodedata``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.characters = 0
        counting = SimpleNamespace(**vars(unicodedata) | {"normalize": self.normalize})
        for module in (words, emails, names, phonetic):
            monkeypatch.setattr(module, "unicodedata", counting)

    def normalize(self, form: Any, value: str) -> str:
        self.characters += len(value)
        return unicodedata.normalize(form, value)

    def of(self, normal: Normalizer, value: str) -> tuple[int, str | None]:
        self.characters = 0
        form = normal(value)
        return self.characters, form


@by_normaliser
@piles
def test_pile_of_marks_has_no_form_and_is_not_decomposed(
    normal: Normalizer, pile: Callable[[int], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cost = NormalizationCost(monkeypatch)
    for before in ("a", "\u00e9", ""):
        for after in ("@x.org", " b", ""):
            short, long = (
                cost.of(normal, before + pile(n) + after) for n in (100, 1_000)
            )
            assert (short[1], long[1]) == (None, None)
            assert short[0] == long[0] == 0


@by_normaliser
def test_cost_of_short_piles_is_linear(
    normal: Normalizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    cost = NormalizationCost(monkeypatch)
    pile = "a" + "\u0301\u0316" * 10
    short, long = (cost.of(normal, f"{pile} " * n)[0] for n in (100, 400))

    assert long <= 4 * (short + 100)


@by_normaliser
@pytest.mark.parametrize("part", ["\u00e9", "\u00e9 ", "a\u0301", "\ufdfa", "\u0130"])
def test_too_long_text_is_not_decomposed(
    normal: Normalizer, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cost = NormalizationCost(monkeypatch)

    assert (0, None) == cost.of(normal, part * (1_000_000 // len(part)))

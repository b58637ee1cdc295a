"""What normalisers share: text in one spelling, whole numbers, limits."""

from __future__ import annotations

import math
import sys
import unicodedata
from collections.abc import Callable
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
every = pytest.mark.parametrize("normal", NORMALISERS.values(), ids=NORMALISERS)
# Marks of several classes, in turn and one class behind the other; two that decompose
# into two; two that combine nothing and decompose into what does.
PILES: dict[str, Callable[[int], str]] = {
    "in turn": lambda n: "\u0301\u0316" * n,
    "in blocks": lambda n: "\u0301" * n + "\u0316" * n,
    "of two": lambda n: "\u0344\u0316" * n,
    "hidden": lambda n: "\u0f73\u0301" * n,
    "hidden, compatible": lambda n: "\uff9e\u0301" * n,
}
piles = pytest.mark.parametrize("pile", PILES.values(), ids=PILES)


class TestText:
    def test_a_form_has_a_longest_length(self) -> None:
        """White space that is left out does not count, and folding does."""
        long = "a" * MAX_LENGTH

        assert long == text(long) == text(" " * 10 * MAX_LENGTH + long.upper() + "\n")
        assert text(long + "a") is None
        assert text("\u00e9" * MAX_LENGTH) == "\u00e9" * MAX_LENGTH
        assert text("\u00e9" * (MAX_LENGTH + 1)) is None
        assert text("\u00df" * MAX_LENGTH) is None
        assert text("e\u0301" * MAX_LENGTH) == "\u00e9" * MAX_LENGTH

    def test_a_form_has_at_most_thirty_marks_in_a_row(self) -> None:
        """However many of them are composed with their letter."""
        assert text("a" + "\u0316" * MAX_MARKS) is not None
        assert text("a" + "\u0316" * (MAX_MARKS + 1)) is None
        assert text("\u00e1" + "\u0316" * MAX_MARKS) is None
        assert text("\u00e1" + "\u0316" * (MAX_MARKS - 1)) is not None
        assert text(("a" + "\u0316" * MAX_MARKS) * 99) is not None

    @pytest.mark.parametrize(
        ("one", "other"),
        [("\u212a", "k"), ("\u00df", "ss"), ("\u017f", "s"), ("\ufb01", "fi")],
    )
    def test_it_joins_what_is_not_one_mailbox(self, one: str, other: str) -> None:
        """It is not for email addresses: ``email`` distinguishes them."""
        assert text(one) == text(other)
        assert normalize.email(f"{one}@x.org") != normalize.email(f"{other}@x.org")
        assert "email address" in str(text.__doc__)


class TestCrowded:
    @pytest.mark.parametrize("mark", ["\u0301", "\u0f71", "\u3099"])
    def test_a_run_of_marks(self, mark: str) -> None:
        assert not has_too_many_marks("a" + mark * MAX_MARKS)
        assert has_too_many_marks("a" + mark * (MAX_MARKS + 1))
        assert not has_too_many_marks(("a" + mark * MAX_MARKS) * 3)

    @pytest.mark.parametrize("mark", ["\u0344", "\u0f73", "\u0f75", "\u0f81"])
    def test_a_mark_that_is_two_counts_twice(self, mark: str) -> None:
        assert not has_too_many_marks("a" + mark * (MAX_MARKS // 2))
        assert has_too_many_marks("a" + mark * (MAX_MARKS // 2 + 1))

    def test_a_letter_with_marks_counts_them(self) -> None:
        assert has_too_many_marks("\u1fb7" + "\u0316" * (MAX_MARKS - 1))
        assert not has_too_many_marks("\u1fb7" + "\u0316" * (MAX_MARKS - 2))

    def test_every_character_that_hides_a_mark_is_known(self) -> None:
        """Exhaustively: what does not combine, and decomposes into what does."""
        combining = unicodedata.combining
        hidden = {
            each
            for each in map(chr, range(sys.maxunicode + 1))
            if not combining(each) and combining(unicodedata.normalize("NFKD", each)[0])
        }

        assert hidden == words._HIDDEN_MARKS

    def test_no_other_character_brings_many_marks(self) -> None:
        """Exhaustively: at most three, so that what is let through stays short."""
        most = 0
        for each in map(chr, range(sys.maxunicode + 1)):
            row = 0
            for part in unicodedata.normalize("NFKD", each):
                row = row + 1 if unicodedata.combining(part) else 0
                most = max(most, row)

        assert most == 3


class TestSpaced:
    def test_it_keeps_what_may_become_short_enough(self) -> None:
        """Four characters may compose into one."""
        assert single_spaced("a" * 4 * MAX_LENGTH) == "a" * 4 * MAX_LENGTH
        assert single_spaced("a" * (4 * MAX_LENGTH + 1)) is None
        assert single_spaced(" " * 10 * MAX_LENGTH) == ""

    def test_no_character_composes_of_more_than_four(self) -> None:
        """Exhaustively."""
        longest = max(
            len(unicodedata.normalize("NFD", each))
            for each in map(chr, range(sys.maxunicode + 1))
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
def test_a_whole_number(value: Any, number: int | None) -> None:
    """An int, or a float that stands for one and for no other."""
    made = whole_number(value)

    assert (number, type(number)) == (made, type(made))


class Cost:
    """Counts the characters that are put into a normal form of Unicode."""

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


@every
@piles
def test_a_pile_of_marks_has_no_form_and_is_not_put_in_order(
    normal: Normalizer, pile: Callable[[int], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand marks cost what a hundred cost: nothing is decomposed."""
    cost = Cost(monkeypatch)
    for before in ("a", "\u00e9", ""):
        for after in ("@x.org", " b", ""):
            few, many = (
                cost.of(normal, before + pile(n) + after) for n in (100, 1_000)
            )
            assert (few[1], many[1]) == (None, None)
            assert few[0] == many[0] == 0


@every
def test_many_short_piles_cost_what_they_are_long(
    normal: Normalizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four times the text is four times the characters, or no form at all."""
    cost = Cost(monkeypatch)
    pile = "a" + "\u0301\u0316" * 10
    few, many = (cost.of(normal, f"{pile} " * n)[0] for n in (100, 400))

    assert many <= 4 * (few + 100)


@every
@pytest.mark.parametrize("part", ["\u00e9", "\u00e9 ", "a\u0301", "\ufdfa", "\u0130"])
def test_a_megabyte_is_not_put_into_a_normal_form(
    normal: Normalizer, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is too long has no form before anything is decomposed."""
    cost = Cost(monkeypatch)

    assert (0, None) == cost.of(normal, part * (1_000_000 // len(part)))

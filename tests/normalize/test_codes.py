"""Normal forms of codes: digits alone, and letters and digits."""

from __future__ import annotations

from typing import Any

import pytest

from upsertcore import normalize


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("123-456 789", "123456789"),
        ("DE 123 456 789", "123456789"),
        (-50, "50"),
        (" 007 ", "007"),
        (1001, "1001"),
        (1001.0, "1001"),
        (0, "0"),
        ("-5", "5"),
        ("\u0661\u0662\u0663", "123"),
        ("\uff11-\U0001d7d8", "10"),
        ("\u00b2\u2460", None),
        ("1.2.3", "123"),
        ("12.5", "125"),
        ("1001.0", None),
        (" 12345678. ", None),
        ("n/a", None),
        ("", None),
        (" ", None),
        ("1" * 10_000, "1" * 10_000),
        ("1" * 10_001, None),
        (1001.5, None),
        (True, None),
        (None, None),
        (("1",), None),
    ],
)
def test_digits_are_those_of_a_code(value: Any, form: str | None) -> None:
    assert form == normalize.digits(value)


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("SW1A 1AA", "sw1a1aa"),
        ("sw1a-1aa", "sw1a1aa"),
        ("M\u00fc-AB 12", "m\u00fcab12"),
        ("MU\u0308\u00b7AB 12", "m\u00fcab12"),
        ("STRASSE 1", "strasse1"),
        ("stra\u00dfe-1", "strasse1"),
        ("a'\u0301", "\u00e1"),
        ("\u0915\u093f-1", "\u0915\u093f1"),
        (249, "249"),
        (249.0, "249"),
        (" 249.0", None),
        ("1.2.3", "123"),
        ("O'Neill & Co.", "oneillco"),
        ("--", None),
        (" ", None),
        ("a" * 10_001, None),
        ("e" + "\u0301" * 31, None),
        (2.5, None),
        (True, None),
        (None, None),
    ],
)
def test_compact_form_has_letters_and_digits(value: Any, form: str | None) -> None:
    """Case, white space and punctuation do not count."""
    assert form == normalize.compact(value)

"""
What normalisers share: text in one spelling, whole numbers, and the limits of both.

Rules:
    The cost of a form is linear in the length of the value. Unicode puts the marks
    that follow a letter into an order, which takes the square of their number, so
    text with too many of them in a row has no form.
"""

from __future__ import annotations

import unicodedata
from typing import Any

__all__ = [
    "MAX_LENGTH",
    "MAX_MARKS",
    "has_too_many_marks",
    "single_spaced",
    "text",
    "whole_number",
]

MAX_LENGTH = 10_000
"""How many characters a form of words may have; a longer one is no form."""

MAX_MARKS = 30
"""How many combining marks may follow each other, as in UAX 15, Stream-Safe Text."""

# No character of NFC decomposes into more than this many.
_EXPANSION = 4
# These do not combine themselves, and decompose into characters that do. The tests
# look at every code point to show that there are no others.
_HIDDEN_MARKS = frozenset("\u0f73\u0f75\u0f81\uff9e\uff9f")
# Beyond this a float does not hold every whole number.
_EXACT_FLOATS = 2**53


def text(value: Any) -> str | None:
    """
    Compare words: case, white space and the spelling of accents do not count.

    Not for mailboxes or account names: it joins different ones, for KELVIN SIGN
    becomes k, sharp s becomes ss, and long s becomes s. Use :func:`normalize.email`.

    Args:
        value: Text. A number is no word.

    Returns:
        NFC, case-folded, single spaces; accents stay. None if nothing remains, if the
        form has more than ``MAX_LENGTH`` (10 000) characters, or if the value has
        more than ``MAX_MARKS`` (30) combining marks in a row.

    Source:
        Unicode 15, chapter 3.13, D145; UAX 15, Stream-Safe Text Format.

    >>> text("  Zoe\u0308   STRAUSS ") == text("zo\u00eb strau\u00df")
    True
    """
    if not isinstance(value, str):
        return None
    if value.isascii():
        form = " ".join(value.lower().split())
        return form if 0 < len(form) <= MAX_LENGTH else None
    written = single_spaced(value)
    if written is None or has_too_many_marks(written):
        return None
    # Folding can leave marks in another order, and ordering them can enable a fold:
    # Unicode's canonical caseless match (D145) decomposes before and between.
    folded = unicodedata.normalize("NFD", written).casefold()
    folded = unicodedata.normalize("NFD", folded).casefold()
    form = unicodedata.normalize("NFC", folded)
    return form if 0 < len(form) <= MAX_LENGTH else None


def single_spaced(value: str) -> str | None:
    """
    Put single spaces between the words of a text.

    Returns:
        The text, None where it is so long that no normal form of it could be short
        enough.

    >>> single_spaced(" Ada  King "), single_spaced("a" * 50_000)
    ('Ada King', None)
    """
    written = " ".join(value.split())
    return written if len(written) <= _EXPANSION * MAX_LENGTH else None


def has_too_many_marks(value: str) -> bool:
    """
    Check whether a text has more combining marks in a row than are put in order.

    Args:
        value: Any text; it is decomposed only where that is cheap.

    >>> has_too_many_marks("Zoe\u0308"), has_too_many_marks("e" + "\u0301" * 31)
    (False, True)
    """
    if not any(map(unicodedata.combining, value)) and _HIDDEN_MARKS.isdisjoint(value):
        return False
    return _is_crowded(value) or _is_crowded(unicodedata.normalize("NFKD", value))


def _is_crowded(value: str) -> bool:
    marks = 0
    for each in value:
        if unicodedata.combining(each) or each in _HIDDEN_MARKS:
            marks += 1
            if marks > MAX_MARKS:
                return True
        else:
            marks = 0
    return False


def whole_number(value: Any) -> int | None:
    """
    Read a whole number: an int, or a float that stands for one.

    Tables that cannot hold a missing whole number (pandas, spreadsheets) turn 1001
    into 1001.0.

    Returns:
        The number; None for anything else, for true and false, and for a float of
        2**53 or beyond, which may stand for several numbers.

    >>> (
    ...     whole_number(1001.0),
    ...     whole_number(-0.0),
    ...     whole_number(0.5),
    ...     whole_number(True),
    ...     whole_number("1"),
    ... )
    (1001, 0, None, None, None)
    """
    if isinstance(value, float):
        exact = abs(value) < _EXACT_FLOATS and value.is_integer()
        return int(value) if exact else None
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return None

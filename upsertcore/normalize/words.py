"""
The normaliser of words: case, accents and white space; and the limits of a form.

Rules:
    The cost of a form is linear in the length of the value. Sorting the combining
    marks of a letter, as Unicode requires, is quadratic in their number, so text with
    too many of them in a row has no form.
"""

from __future__ import annotations

import re
import unicodedata
from operator import index
from typing import Any

from upsertcore.normalize.normalizer import Normalizer, ParameterNormalizer

__all__ = [
    "INERT",
    "MAX_LENGTH",
    "MAX_MARKS",
    "TEXT_FORM",
    "has_too_many_marks",
    "prefix",
    "single_spaced",
    "text",
]

MAX_LENGTH = 10_000
"""The most characters of a form; longer text has none."""

MAX_MARKS = 30
"""The most combining marks in a row, as in UAX 15, Stream-Safe Text Format."""

TEXT_FORM = re.compile(rf"(?s).{{1,{MAX_LENGTH}}}")
"""Matches ASCII text in lower case with single spaces: a form of :func:`text`."""

INERT = (
    r"\u00c0-\u012f\u0131-\u01ef\u01f1-\u02af\u0386\u0388-\u038a\u038c\u038e\u038f"
    r"\u0391-\u03a1\u03a3-\u03af\u03b1-\u0482\u048a-\u052f\u05d0-\u05ea\u0620-\u064a"
    r"\u1e00-\u1e95\u1ea0-\u1eff\u3041-\u3096\u30a1-\u30fa\u3400-\u9fff\uac00-\ud7a3"
)
"""
Characters, for a regular expression, that are in NFC beside any other, and so are
those that lower() or casefold() makes of them: most Latin, Greek, Cyrillic, Hebrew,
Arabic, Chinese, Japanese and Korean letters.

A test over all of them shows it, and Unicode's stability policies keep it.
"""

# With ASCII and common punctuation.
_INERT_TEXT = re.compile(rf"[\x00-\u00bf\u2010-\u2026{INERT}]*")

# No character of NFC decomposes into more than this many.
_EXPANSION = 4

# Not combining themselves, these decompose into characters that are. A test over all
# code points shows that there are no others.
_HIDDEN_MARKS = frozenset("\u0f73\u0f75\u0f81\uff9e\uff9f")

# Only the last two are letters or digits, and the first mark is U+0300. No character
# decomposes into more than three marks, so too many are at least ten characters.
_TEN_MARKS = re.compile(r"[\u0300-\U0010ffff][\W\uff9e\uff9f]{9}")


def text(value: Any) -> str | None:
    """
    Compare words; case, extra white space and the encoding of accents are ignored.

    Not for email addresses or account names: KELVIN SIGN becomes k, sharp s becomes
    ss, and long s becomes s, so different ones would match. Use
    :func:`normalize.email`.

    Args:
        value: Text. A number has no form.

    Returns:
        The text, case-folded, in NFC, with single spaces; accents stay. None if
        nothing remains, if the form has more than ``MAX_LENGTH`` (10 000) characters,
        or if the value has more than ``MAX_MARKS`` (30) combining marks in a row.

    Source:
        Unicode 15, chapter 3.13, D145; UAX 15, Stream-Safe Text Format.

    >>> text("  Zoe\u0308   STRAUSS ") == text("zo\u00eb strau\u00df")
    True
    """
    if not isinstance(value, str):
        return None
    if value.isascii() or _INERT_TEXT.fullmatch(value):
        form = " ".join(value.casefold().split())
        return form if 0 < len(form) <= MAX_LENGTH else None
    spaced = single_spaced(value)
    if spaced is None or has_too_many_marks(spaced):
        return None
    # Folding can leave marks in another order, and ordering them can enable a fold:
    # Unicode's canonical caseless match (D145) decomposes before and between.
    folded = unicodedata.normalize("NFD", spaced).casefold()
    folded = unicodedata.normalize("NFD", folded).casefold()
    form = unicodedata.normalize("NFC", folded)
    return form if 0 < len(form) <= MAX_LENGTH else None


def prefix(n: int) -> Normalizer:
    """
    Return a normaliser that compares the beginning of a text.

    False matches: texts that begin alike (Christine, Christopher). A shorter text is
    compared as a whole, so "Al" is not "Alan".

    Args:
        n: How many characters count, 1 or more.

    Returns:
        A normaliser: the first n characters of the form of :func:`text`, without a
        trailing space.

    Raises:
        TypeError: If n is not a whole number.
        ValueError: If n is less than 1.

    >>> three = prefix(3)
    >>> three("Christine"), three("  CHRIS "), three("Al"), three(" ")
    ('chr', 'chr', 'al', None)
    """
    if not hasattr(n, "__index__"):
        raise TypeError(
            f"prefix: must be a whole number, not {n!r}; pass 3, for example"
        )
    length = index(n)
    if length < 1:
        what = f"must be a whole number from 1, not {n!r}"
        raise ValueError(f"prefix: {what}; pass 3, for example")

    def prefix_of_text(value: Any) -> str | None:
        form = text(value)
        return None if form is None else form[:length].rstrip()

    return ParameterNormalizer(prefix, prefix_of_text, length)


def single_spaced(value: str) -> str | None:
    """
    Replace white space between words with single spaces, and strip the text.

    Returns:
        The text, None where it is too long to have a normal form.

    >>> single_spaced(" Ada  King "), single_spaced("a" * 50_000)
    ('Ada King', None)
    """
    spaced = " ".join(value.split())
    return spaced if len(spaced) <= _EXPANSION * MAX_LENGTH else None


def has_too_many_marks(value: str) -> bool:
    """
    Return whether a text has more than ``MAX_MARKS`` combining marks in a row.

    Args:
        value: Any text; it is decomposed only where that is cheap.

    >>> has_too_many_marks("Zoe\u0308"), has_too_many_marks("e" + "\u0301" * 31)
    (False, True)
    """
    return _TEN_MARKS.search(value) is not None and (
        _is_crowded(value) or _is_crowded(unicodedata.normalize("NFKD", value))
    )


def _is_crowded(value: str) -> bool:
    marks = 0
    for char in value:
        if unicodedata.combining(char) or char in _HIDDEN_MARKS:
            marks += 1
            if marks > MAX_MARKS:
                return True
        else:
            marks = 0
    return False

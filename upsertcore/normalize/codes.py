"""
Normalisers of codes that are written with and without separators.

Rules:
    A number that was a float has no form, because a zero may have been appended.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from upsertcore.normalize.identifiers import exact
from upsertcore.normalize.words import MAX_LENGTH, text

__all__ = ["compact", "digits"]

_FORMER_FLOAT = re.compile(r"\s*[0-9]+\.0*\s*", re.ASCII)


def digits(value: Any) -> str | None:
    """
    Compare numbers of accounts, customers or taxes by their digits alone.

    False matches: codes that differ in letters only ("A1", "B1"), and a number of
    which one half was written, such as a date.

    Args:
        value: Text or a whole number.

    Returns:
        The decimal digits in their order, those of other scripts as ASCII; leading
        zeros stay. None without a digit, with more than 10 000, or if the text was a
        float (``"1001.0"``).

    Source:
        Unicode's property Decimal (Nd).

    >>> digits("DE 123 456-789"), digits(1001), digits("\u0661\u0662"), digits("n/a")
    ('123456789', '1001', '12', None)
    """
    code = exact(value)
    if code is None or _FORMER_FLOAT.fullmatch(code):
        return None
    if code.isascii():
        form = "".join(filter(str.isdigit, code))
    else:
        form = "".join([str(unicodedata.decimal(c)) for c in code if c.isdecimal()])
    return form if 0 < len(form) <= MAX_LENGTH else None


def compact(value: Any) -> str | None:
    """
    Compare codes by their letters and digits: plates, postcodes, product keys.

    Case, white space and punctuation do not count. False matches: codes that only a
    separator tells apart ("1-11", "11-1").

    Args:
        value: Text or a whole number.

    Returns:
        The letters, accents and numbers (Unicode's categories L, M and N) of the form
        of :func:`normalize.text`. None where none remains, where that has no form, or
        if the text was a float.

    >>> compact("SW1A 1AA"), compact("sw1a-1aa"), compact(249), compact("--")
    ('sw1a1aa', 'sw1a1aa', '249', None)
    """
    code = exact(value)
    form = None if code is None or _FORMER_FLOAT.fullmatch(code) else text(code)
    if form is None:
        return None
    kept = [c for c in form if c.isalnum() or unicodedata.category(c)[0] in "LMN"]
    # Without what was between them, a letter and an accent may now compose.
    return text("".join(kept))

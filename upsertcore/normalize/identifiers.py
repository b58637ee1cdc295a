"""
The normaliser of identifiers, and whole numbers, which are sent as text or as numbers.

Rules:
    Identifiers, dates and postcodes may be numbers; 1001.0 is 1001.
"""

from __future__ import annotations

import re
from typing import Any

__all__ = ["EXACT_FORM", "as_text", "exact", "whole_number"]

EXACT_FORM = re.compile(r"(?s)\s*\S.*")
"""Matches every form that :func:`exact` returns for text."""

# Larger floats cannot represent every whole number.
_EXACT_FLOATS = 2**53


def exact(value: Any) -> str | None:
    """
    Compare identifiers as they are; a whole number as its digits.

    Args:
        value: Text or a whole number. A float with a whole value counts as the number,
            because pandas and spreadsheets write 1001 as 1001.0.

    Returns:
        The text itself, so upper and lower case differ; None for blank text, for a
        float of 2**53 or more, and for any other value.

    >>> exact(249) == exact("249") == exact(249.0), exact("A1") == exact("a1")
    (True, False)
    >>> exact(" "), exact(249.5)
    (None, None)
    """
    if isinstance(value, str):
        return value if value and not value.isspace() else None
    number = whole_number(value)
    try:
        return None if number is None else str(number)
    except ValueError:
        # Python does not convert integers with too many digits to text.
        return None


def whole_number(value: Any) -> int | None:
    """
    Return an int, or a float with a whole value, as an int.

    Tables that cannot represent a missing integer (pandas, spreadsheets) turn 1001
    into 1001.0.

    Returns:
        The number; None for any other value, for booleans, and for a float of 2**53 or
        more, which may represent several integers.

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
        is_exact = abs(value) < _EXACT_FLOATS and value.is_integer()
        return int(value) if is_exact else None
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return None


def as_text(value: Any) -> str:
    """Return text as it is, a whole number as its digits, otherwise blank text."""
    if isinstance(value, str):
        return value
    number = whole_number(value)
    return str(number) if number is not None and 0 <= number < 10**9 else ""

"""
Which of two values is larger, and which values compare.

Rules:
    Pure functions (stored, sent) -> one of the two.
    Numbers compare with numbers and text with text; true is not a number.
    A message names the kind of a stored value, and never shows the value.
"""

from __future__ import annotations

from typing import Any

from upsertcore.values import empty, kind_of

__all__ = ["KINDS", "larger", "rank", "smaller"]

KINDS = {int: "a number", float: "a number", str: "text"}
"""The types whose values compare, within one kind."""


def rank(value: Any) -> tuple[Any, bool]:
    """Return a sort key; 1 and 1.0 are two values, and 1.0 is the larger."""
    return value, type(value) is float


def _comparable(stored: Any, sent: Any) -> tuple[Any, ...]:
    """Return the values to choose from, stored first; refuse incomparable ones."""
    if empty(sent):
        return (stored,)
    if type(sent) not in KINDS:
        raise ValueError("must be a number or text")
    if empty(stored):
        return (sent,)
    if KINDS.get(type(stored)) != KINDS[type(sent)]:
        kind = kind_of(stored)
        raise ValueError(f"must be comparable with the stored value, which is {kind}")
    return stored, sent


def larger(stored: Any, sent: Any) -> Any:
    """
    Return the larger of two values; null and blank are ignored.

    >>> larger(1, 2), larger("", 1), larger("10", "9")
    (2, 1, '9')
    """
    return max(_comparable(stored, sent), key=rank)


def smaller(stored: Any, sent: Any) -> Any:
    """
    Return the smaller of two values; null and blank are ignored.

    >>> smaller(1, 2), smaller(2, ""), smaller(1, 1.0)
    (1, 2, 1)
    """
    return min(_comparable(stored, sent), key=rank)

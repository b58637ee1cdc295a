"""
The limits of one patch, and of one value.

Rules:
    Each call is near-linear in what it is given; these bound what it is given.
    A list that stands in several places counts in each of them, for it is stored and
    written out in each.
    A value that a merge rule makes has the same limits, so that it can be read back.
"""

from __future__ import annotations

from typing import final

__all__ = [
    "MAX_BITS",
    "MAX_DEPTH",
    "MAX_FIELDS",
    "MAX_TEXT",
    "MAX_VALUES",
    "Budget",
]

MAX_FIELDS = 10_000
"""How many fields one patch may name."""

MAX_DEPTH = 64
"""How deep lists and mappings may nest; real contacts stay below ten."""

MAX_VALUES = 100_000
"""How many values the lists and mappings of one patch may hold, all the way down."""

MAX_TEXT = 10_000_000
"""How many characters a text may have, and those inside lists and mappings together."""

MAX_BITS = 14_000
"""Bits of the largest whole number: Python prints no more than 4 300 digits."""


@final
class Budget:
    """
    What the lists and mappings of one patch may still hold.

    >>> budget = Budget()
    >>> budget.take(100_000, 5)
    >>> budget.take(1, 0)
    Traceback (most recent call last):
    ...
    ValueError: must hold at most 100000 values, all the way down
    """

    __slots__ = ("_text", "_values")

    def __init__(self) -> None:
        self._values, self._text = MAX_VALUES, MAX_TEXT

    def take(self, values: int, text: int) -> None:
        """
        Count what a list or a mapping holds.

        Args:
            values: How many values it has.
            text: How many characters those of them have that are text.

        Raises:
            ValueError: If that is more than is left.
        """
        self._values -= values
        self._text -= text
        if self._values < 0:
            raise ValueError(f"must hold at most {MAX_VALUES} values, all the way down")
        if self._text < 0:
            what = f"must hold at most {MAX_TEXT} characters, all the way down"
            raise ValueError(what)

"""
Limits: how large a patch and a value may be, and what counts towards that.

Rules:
    The limits hold for what is sent, and for what a rule makes of it.
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
    "Size",
]

MAX_FIELDS = 10_000
"""The most fields of one patch."""

MAX_DEPTH = 64
"""The deepest nesting of lists and mappings; real contacts stay below ten."""

MAX_VALUES = 100_000
"""The most values in the lists and mappings of one patch, nested ones included."""

MAX_TEXT = 10_000_000
"""The most characters of a text, and of all texts in lists and mappings together."""

MAX_BITS = 14_000
"""The bits of the largest whole number: Python prints at most 4 300 digits."""


@final
class Budget:
    """
    The number of values and characters that a patch may still hold.

    >>> budget = Budget()
    >>> budget.take(100_000, 5)
    >>> budget.take(1, 0)
    Traceback (most recent call last):
    ...
    ValueError: must hold at most 100000 values, nested ones included
    """

    __slots__ = ("_text", "_values")

    def __init__(self) -> None:
        self._values, self._text = MAX_VALUES, MAX_TEXT

    def take(self, values: int, text: int) -> None:
        """
        Subtract the size of a list or a mapping.

        Args:
            values: The number of its values.
            text: The number of characters of its texts.

        Raises:
            ValueError: If that exceeds the budget.
        """
        self._values -= values
        self._text -= text
        if self._values < 0:
            raise ValueError(
                f"must hold at most {MAX_VALUES} values, nested ones included"
            )
        if self._text < 0:
            what = f"must hold at most {MAX_TEXT} characters, nested ones included"
            raise ValueError(what)


@final
class Size:
    """
    The size of a value while it is built, so that a change costs only its own size.

    >>> size = Size()
    >>> size.take(MAX_VALUES, 0), size.check(), size.take(1, 0)
    (None, None, None)
    >>> size.check()
    Traceback (most recent call last):
    ...
    ValueError: must hold at most 100000 values, nested ones included
    """

    __slots__ = ("text", "values")

    def __init__(self) -> None:
        self.values = self.text = 0

    def take(self, values: int, text: int) -> None:
        """Add the size of a list or a mapping, as :meth:`Budget.take` subtracts it."""
        self.values += values
        self.text += text

    def check(self) -> None:
        """
        Check that the size is within the limits of one value.

        Raises:
            ValueError: If it is not.
        """
        Budget().take(self.values, self.text)

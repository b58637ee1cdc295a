"""
Choices between two values: by size, by clock, or by which one is blank.

Rules:
    Pure functions (stored, sent) -> one of the two; with a clock, of pairs.
    Numbers compare with numbers and text with text; true is not a number.
    A message names the kind of a stored value, and never shows the value.
"""

from __future__ import annotations

import json
from typing import Any

from upsertcore.values import empty, kind_of, thaw

__all__ = ["KINDS", "fill", "larger", "later", "newer", "smaller"]

KINDS = {int: "a number", float: "a number", str: "text"}
"""The types whose values compare, within one kind."""


def fill(stored: Any, sent: Any) -> Any:
    """
    Return the sent value if the stored one is absent or blank.

    >>> fill("a", "b"), fill("", "b"), fill("", ()), fill(None, "")
    ('a', 'b', '', '')
    """
    # A blank fills only an absent value; otherwise the last kind of blank would stay.
    fills = stored is None or (empty(stored) and not empty(sent))
    return sent if fills and sent is not None else stored


def _rank(value: Any) -> tuple[Any, bool]:
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
    return max(_comparable(stored, sent), key=_rank)


def smaller(stored: Any, sent: Any) -> Any:
    """
    Return the smaller of two values; null and blank are ignored.

    >>> smaller(1, 2), smaller(2, ""), smaller(1, 1.0)
    (1, 2, 1)
    """
    return min(_comparable(stored, sent), key=_rank)


def newer(stored: tuple[Any, Any], sent: tuple[Any, Any]) -> tuple[Any, Any]:
    """
    Return the newer of two pairs (clock, value); the clock is None where absent.

    On a tie, the value whose JSON text sorts last wins. Where neither has a clock, the
    sent value fills what is absent or blank.

    >>> newer((5, "a"), (6, "b")), newer((5, "a"), (5, "b")), newer((5, "a"), (4, "b"))
    ((6, 'b'), (5, 'b'), (5, 'a'))
    """
    (clock, value), (other, new) = stored, sent
    if other is None:
        return stored if clock is not None else (None, fill(value, new))
    if clock is None:
        return sent
    if KINDS.get(type(clock)) != KINDS[type(other)]:
        other_kind = f"the stored one, which is {kind_of(clock)}"
        raise ValueError(f"must have a clock comparable with {other_kind}")
    if _rank(clock) != _rank(other):
        return sent if _rank(other) > _rank(clock) else stored
    texts = [json.dumps(thaw(v), sort_keys=True) for v in (value, new)]
    return sent if texts[1] > texts[0] else stored


def later(one: Any, other: Any) -> Any:
    """
    Return the later of two clocks of any kind; None is before any other.

    >>> later(5, 6), later(None, 5), later(6, "5")
    (6, 5, '5')
    """
    return max(one, other, key=lambda clock: (clock is not None, _sort_key(clock)))


def _sort_key(clock: Any) -> tuple[Any, ...]:
    return (KINDS.get(type(clock), ""), *_rank(clock))

"""
Which of two values is newer, by their clocks; and which wins where these are equal.

Rules:
    Pure functions of pairs (clock, value), or of clocks; an absent clock is None.
    Clocks compare as values do: numbers with numbers, and text with text.
"""

from __future__ import annotations

import json
from typing import Any

from upsertcore.rules.absent import fill
from upsertcore.rules.comparison import KINDS, rank
from upsertcore.values import kind_of, thaw

__all__ = ["later", "newer"]


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
    if rank(clock) != rank(other):
        return sent if rank(other) > rank(clock) else stored
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
    return (KINDS.get(type(clock), ""), *rank(clock))

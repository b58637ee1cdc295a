"""
Equality: when two values are the same.

Rules:
    Values of different types differ: 1, 1.0 and True are three values.
"""

from __future__ import annotations

from typing import Any

from upsertcore.values.frozen import FrozenMap

__all__ = ["same"]


def same(a: Any, b: Any) -> bool:
    """
    Return whether two frozen values are the same JSON value.

    Args:
        a: A frozen value.
        b: A frozen value.

    Returns:
        True if they are equal in value and in type, at every level.

    >>> same(1, 1), same(1, True), same(1, 1.0)
    (True, False, False)
    """
    if a is b:
        return True
    kind = type(a)
    if kind is not type(b):
        return False
    if kind is tuple:
        return len(a) == len(b) and all(map(same, a, b))
    if kind is FrozenMap:
        left, right = a.proxy, b.proxy
        if left.keys() != right.keys():
            return False
        return all(map(same, left.values(), [right[name] for name in left]))
    return a == b  # type: ignore[no-any-return]

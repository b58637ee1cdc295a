"""
When two items of a list are the same: hashable stand-ins for values.

Rules:
    Two frozen values have equal tokens if and only if they are the same value, so 1,
    1.0 and true are three items.
    A sender cannot choose values so that many tokens collide.
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from typing import Any

from upsertcore.values import FrozenMap, thaw

__all__ = ["token"]

_COLLISION_FREE_BITS = 60
"""Integers of at most so many bits never collide with each other."""


def token(value: Any) -> Hashable:
    """
    Return a hashable stand-in for a value; values of different types differ.

    Hashes of large integers and of tuples of numbers are predictable, so a patch could
    send thousands that collide; the hash of their JSON text is randomised.

    >>> token(1) == token(True), token((1, 2.0)) == token((1, 2))
    (False, False)
    """
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return]
    if kind is tuple or kind is FrozenMap:
        return (json.dumps(thaw(value), sort_keys=True),)
    if kind is int and value.bit_length() > _COLLISION_FREE_BITS:
        return (str(value),)
    return kind, value

"""
Tokens: what stands for a value in a set or as a name of a dict.

Rules:
    Two frozen values have equal tokens if, and only if, they are the same value.
    No choice of values makes many tokens collide.
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from typing import Any

from upsertcore.values import FrozenMap, thaw

__all__ = ["token"]

_HASHED_APART = 60
"""Bits of the whole numbers that hash apart from each other, whatever they are."""


def token(value: Any) -> Hashable:
    """
    Make what stands for a value where values are compared, types told apart.

    The hash of a large number, or of a tuple of numbers, can be foreseen, and a patch
    could send thousands that collide; their JSON text cannot.

    >>> token(1) == token(True), token((1, 2.0)) == token((1, 2))
    (False, False)
    """
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return]
    if kind is tuple or kind is FrozenMap:
        return (json.dumps(thaw(value), sort_keys=True),)
    if kind is int and value.bit_length() > _HASHED_APART:
        return (str(value),)
    return kind, value

"""
Blank: which values count as empty.

Rules:
    Null is empty, too; whether it is ignored, stored or refused is for the caller.
    Zero and false are values.
"""

from __future__ import annotations

from typing import Any

from upsertcore.values.frozen import FrozenMap

__all__ = ["empty"]


def empty(value: Any) -> bool:
    """
    Return whether a frozen value is null or blank.

    Blank values are ``""``, text of white space alone, an empty list and an empty
    mapping.

    >>> [empty(v) for v in (None, "", " ", (), FrozenMap(), 0, False, ("",))]
    [True, True, True, True, True, False, False, False]
    """
    if value is None:
        return True
    kind = type(value)
    if kind is str:
        return not value or value.isspace()
    return (kind is tuple or kind is FrozenMap) and not value

"""
Gatherers: lists and mappings to which many values are added, one after the other.

Rules:
    Adding a value costs as much as that value holds; the result is built at the end.
    Neither the first value nor the added ones are changed.
    The result is never larger than one value may be. With ``once``, for a single
    addition, there is no tally, and the caller checks the size.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from upsertcore.values import FrozenMap, Size, count, freeze, same

__all__ = [
    "Gatherer",
    "add_once",
    "check_size",
    "count_items",
    "freeze_merged",
    "result_equals",
    "take",
]


class Gatherer(Protocol):
    """A value to which others are added."""

    @property
    def moved(self) -> bool:
        """Whether the last addition changed the value."""
        ...

    def add(self, sent: Any) -> None:
        """Add a value; raises ``ValueError`` for one that does not fit."""
        ...

    def result(self) -> Any:
        """Return the combined value."""
        ...

    def equals(self, value: Any) -> bool:
        """Return whether the result is this value; the cost is that of the value."""
        ...


def add_once(gatherer: Gatherer, sent: Any) -> Any:
    """Add one value to a gatherer, and refuse a result that is too large."""
    gatherer.add(sent)
    return freeze(gatherer.result())


def result_equals(gatherer: Any, value: Any) -> bool:
    """Return whether the result is this value; compare only those of the same size."""
    tally = Size()
    if isinstance(value, FrozenMap):
        count(tally, value.values())
        tally.take(0, sum(map(len, value)))
    elif type(value) is tuple:
        count(tally, value)
    else:
        return False
    size = gatherer.tally.values, gatherer.tally.text
    return (tally.values, tally.text) == size and same(gatherer.result(), value)


def count_items(tally: Size | None, items: Iterable[Any], sign: int = 1) -> None:
    """Add the size of items to a tally, if there is one."""
    if tally is not None:
        count(tally, items, sign)


def take(tally: Size | None, values: int, text: int) -> None:
    """Add a number of values and characters to a tally, if there is one."""
    if tally is not None:
        tally.take(values, text)


def check_size(tally: Size | None) -> None:
    """Refuse a result that is too large, if there is a tally."""
    if tally is not None:
        tally.check()


def freeze_merged(value: Any) -> Any:
    """
    Freeze a mapping that is being merged into; return any other value as it is.

    >>> freeze_merged({"a": {"b": 1}}), freeze_merged("a")
    (FrozenMap({'a': FrozenMap({'b': 1})}), 'a')
    """
    if type(value) is not dict:
        return value
    return FrozenMap.trusted(
        {name: freeze_merged(inner) for name, inner in value.items()}
    )

"""
Lists: ``union``, ``append``, ``remove``, and ``add_or_remove`` with its signs.

Rules:
    Pure functions (stored, sent) -> new of frozen values; None means absent.
    Each has a gatherer beside it, for the lists of many contacts that are merged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, final

from upsertcore.rules.gatherer import (
    Gatherer,
    add_once,
    check_size,
    count_items,
    result_equals,
)
from upsertcore.rules.same_item import token
from upsertcore.values import Size, empty, freeze, kind_of

__all__ = [
    "AppendItems",
    "RemoveItems",
    "UnionItems",
    "add_or_remove",
    "append",
    "gather_add_or_remove",
    "gather_append",
    "gather_remove",
    "gather_union",
    "parse_signs",
    "remove",
    "sent_list",
    "stored_list",
    "union",
]


def sent_list(value: Any) -> tuple[Any, ...]:
    """
    Check a sent list.

    Raises:
        ValueError: If it is not a list.

    >>> sent_list(("a",))
    ('a',)
    """
    if type(value) is not tuple:
        raise ValueError("must be a list")
    return value


def stored_list(value: Any) -> tuple[Any, ...]:
    """
    Check a stored list; null and blank count as an empty one.

    Raises:
        ValueError: If it is not a list.

    >>> stored_list(("a",)), stored_list(None)
    (('a',), ())
    """
    if empty(value):
        return ()
    if type(value) is not tuple:
        what = f"needs a stored list; the stored value is {kind_of(value)}"
        raise ValueError(what)
    return value


def union(stored: Any, sent: Any) -> Any:
    """
    Append the sent items that are not stored yet.

    >>> union(("a",), ("b", "a"))
    ('a', 'b')
    """
    if sent is None:
        return None
    if empty(sent):
        return () if stored is None else stored
    return add_once(UnionItems(stored, once=True), sent)


@final
class UnionItems:
    """
    A list to which the new items of others are appended.

    Args:
        stored: A list, null or blank; its duplicates are removed as well.
        once: True for a single addition.

    >>> items = UnionItems(("a",))
    >>> items.add(("b", "a"))
    >>> items.result()
    ('a', 'b')
    """

    __slots__ = ("_items", "_shrunk", "moved", "tally")

    def __init__(self, stored: Any, *, once: bool = False) -> None:
        self._items: dict[Any, Any] = {}
        self.tally, self.moved = None if once else Size(), False
        self._append(stored_list(stored))
        self._shrunk = len(self._items) < len(stored_list(stored))

    def add(self, sent: Any) -> None:
        """
        Append the items of a list that are not in it yet.

        Raises:
            ValueError: If it is not a list, or the result is too large.
        """
        count_before = len(self._items)
        self._append(sent_list(sent))
        # The first addition also removes the duplicates of the stored list.
        self.moved = self._shrunk or len(self._items) > count_before
        self._shrunk = False
        check_size(self.tally)

    def _append(self, added: tuple[Any, ...]) -> None:
        items, count_before = self._items, len(self._items)
        for item in added:
            items.setdefault(token(item), item)
        new_count = len(items) - count_before
        if new_count:
            count_items(self.tally, islice(reversed(items.values()), new_count))

    def result(self) -> tuple[Any, ...]:
        """Return the combined value."""
        return tuple(self._items.values())

    equals = result_equals


def append(stored: Any, sent: Any) -> Any:
    """
    Append the sent items, with duplicates.

    >>> append(("a",), ("b", "a"))
    ('a', 'b', 'a')
    """
    if sent is None:
        return None
    if empty(sent):
        return () if stored is None else stored
    return add_once(AppendItems(stored, once=True), sent)


@final
class AppendItems:
    """
    A list to which the items of others are appended.

    Args:
        stored: A list, null or blank.
        once: True for a single addition.

    >>> items = AppendItems(("a",))
    >>> items.add(("b", "a"))
    >>> items.result()
    ('a', 'b', 'a')
    """

    __slots__ = ("_items", "moved", "tally")

    def __init__(self, stored: Any, *, once: bool = False) -> None:
        self._items = [*stored_list(stored)]
        self.tally, self.moved = None if once else Size(), False
        count_items(self.tally, self._items)

    def add(self, sent: Any) -> None:
        """
        Append the items of a list, with duplicates.

        Raises:
            ValueError: If it is not a list, or the result is too large.
        """
        self._items += sent_list(sent)
        self.moved = bool(sent)
        count_items(self.tally, sent)
        check_size(self.tally)

    def result(self) -> tuple[Any, ...]:
        """Return the combined value."""
        return tuple(self._items)

    equals = result_equals


def remove(stored: Any, sent: Any) -> Any:
    """
    Remove the sent items from the stored ones.

    >>> remove(("a", "b", "a"), ("a", "x"))
    ('b',)
    """
    if stored is None or sent is None:
        return None
    if empty(stored) or empty(sent):
        return stored
    return add_once(RemoveItems(stored, once=True), sent_list(sent))


def add_or_remove(stored: Any, sent: Any) -> Any:
    """
    Add each sent text to the stored items, or remove it where it begins with "-".

    Args:
        stored: A list, null or blank.
        sent: A list of text; the last mention of an item counts.

    Returns:
        The remaining items in their order, then the added ones, in the order of their
        first mention; the stored value itself if it is null or blank and nothing is
        added.

    Raises:
        ValueError: If a value is not a list, or a sent item is not text, or is "-".

    Cost:
        Linear in both lists.

    >>> add_or_remove(("a", "b"), ("-a", "c", "b"))
    ('b', 'c')
    """
    if sent is None:
        return None
    if empty(sent):
        return stored
    gatherer = RemoveItems(stored, once=True)
    gatherer.sign(parse_signs(sent))
    return freeze(gatherer.result()) or (stored if empty(stored) else ())


def parse_signs(sent: Any) -> dict[str, bool]:
    """
    Return which texts to add to a list, and which to remove; the last mention counts.

    Args:
        sent: A list of text: "x" adds, "-x" removes.

    Raises:
        ValueError: If it is not a list, or an item is not text, or is "-".

    >>> parse_signs(("-a", "b"))
    {'a': False, 'b': True}
    """
    adds: dict[str, bool] = {}
    for item in sent_list(sent):
        if type(item) is not str or item == "-":
            raise ValueError('must be a list of text: "x" adds, "-x" removes')
        adds[item.removeprefix("-")] = not item.startswith("-")
    return adds


@final
class RemoveItems:
    """
    A list from which items are removed, and to which others are appended.

    Args:
        stored: A list, null or blank.
        signed: True where added values are texts with a sign, False where they are
            items to remove.
        once: True for a single addition.

    >>> items = RemoveItems(("a", "b", "a"))
    >>> items.add(("a", "x"))
    >>> items.sign({"b": True, "c": True})
    >>> items.result()
    ('b', 'c')
    """

    __slots__ = ("_items", "_number", "_places", "_signed", "moved", "tally")

    def __init__(
        self, stored: Any, *, signed: bool = False, once: bool = False
    ) -> None:
        self._signed = signed
        self._items: dict[int, Any] = {}
        self._places: dict[Any, list[int]] = {}
        self.tally, self.moved = None if once else Size(), False
        self._number = 0
        self._append(stored_list(stored))

    def add(self, sent: Any) -> None:
        """
        Remove the items of a list, or add and remove signed ones.

        Raises:
            ValueError: If it is not a list, or as :func:`parse_signs` and :meth:`sign`.
        """
        if self._signed:
            self.sign(parse_signs(sent))
        else:
            self.moved = self._remove(dict.fromkeys(map(token, sent_list(sent))))

    def sign(self, adds: Mapping[str, bool]) -> None:
        """
        Append texts that are not in the list yet, or remove them.

        Args:
            adds: Text to True for adding, False for removing.

        Raises:
            ValueError: If the result is too large.
        """
        removed = self._remove([text for text, add in adds.items() if not add])
        new = [text for text, add in adds.items() if add and text not in self._places]
        self._append(new)
        self.moved = removed or bool(new)
        check_size(self.tally)

    def _remove(self, tokens: Iterable[Any]) -> bool:
        """Remove items; return whether there was one."""
        places = [place for key in tokens for place in self._places.pop(key, ())]
        count_items(self.tally, [self._items.pop(place) for place in places], -1)
        return bool(places)

    def _append(self, items: Sequence[Any]) -> None:
        for number, item in enumerate(items, self._number):
            self._items[number] = item
            self._places.setdefault(token(item), []).append(number)
        self._number += len(items)
        count_items(self.tally, items)

    def result(self) -> tuple[Any, ...]:
        """Return the combined value."""
        return tuple(self._items.values())

    equals = result_equals


def gather_union(own: Any, _default: Any) -> Gatherer | None:
    """Return a gatherer of lists for ``union``, None where the value is no list."""
    return UnionItems(own) if type(own) is tuple else None


def gather_append(own: Any, _default: Any) -> Gatherer | None:
    """As :func:`gather_union`, for ``append``."""
    return AppendItems(own) if type(own) is tuple else None


def gather_remove(own: Any, _default: Any) -> Gatherer | None:
    """As :func:`gather_union`, for ``remove``."""
    return RemoveItems(own) if type(own) is tuple else None


def gather_add_or_remove(own: Any, _default: Any) -> Gatherer | None:
    """As :func:`gather_union`, for ``add_or_remove``."""
    return RemoveItems(own, signed=True) if type(own) is tuple else None

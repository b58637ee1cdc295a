"""
Lists and mappings: the functions of the rules that combine values.

Rules:
    Pure functions (stored, sent) -> new of frozen values.
    None means absent, as in the rules; inside a mapping it is a null that was sent.
    Items of different types differ: 1, 1.0 and true are three items.
"""

from __future__ import annotations

from typing import Any

from upsertcore.rules.gather import (
    AppendItems,
    Gatherer,
    Items,
    MergeNames,
    RemoveItems,
    UnionItems,
    parse_signs,
    sent_list,
)
from upsertcore.values import NOTHING, FrozenMap, empty, freeze, kind_of, same

__all__ = [
    "add_or_remove",
    "append",
    "contains",
    "deep",
    "deep_keep",
    "items",
    "remove",
    "union",
]


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
    return _combine(UnionItems(stored, once=True), sent)


def _combine(gatherer: Gatherer, sent: Any) -> Any:
    """Add one value to a gatherer, and refuse a result that is too large."""
    gatherer.add(sent)
    return freeze(gatherer.result())


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
    return _combine(RemoveItems(stored, once=True), sent_list(sent))


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
    return _combine(AppendItems(stored, once=True), sent)


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


def deep(stored: Any, sent: Any) -> Any:
    """
    Update the stored mapping with a sent one, name by name at every level.

    >>> from upsertcore.values import freeze
    >>> dict(deep(freeze({"a": 1, "b": 2}), freeze({"a": None, "c": 3})))
    {'b': 2, 'c': 3}
    """
    if sent is None:
        return None
    if empty(sent):
        return FrozenMap() if stored is None else stored
    _check_mappings(stored, sent)
    return _combine(MergeNames(NOTHING if empty(stored) else stored, once=True), sent)


def deep_keep(stored: Any, sent: Any) -> Any:
    """
    Fill the absent and blank values of the stored mapping, at every level.

    Args:
        stored: A mapping, null or blank.
        sent: A mapping, null or blank; null inside it is ignored, and a blank inside
            it fills only an absent value.

    Returns:
        The stored mapping, with the values that were absent or blank.

    Raises:
        ValueError: If a value is neither a mapping nor null or blank.

    >>> from upsertcore.values import freeze
    >>> dict(deep_keep(freeze({"a": 1, "b": ""}), freeze({"a": 2, "b": 3, "c": None})))
    {'a': 1, 'b': 3}
    """
    if empty(sent):
        return stored
    _check_mappings(stored, sent)
    known = {} if empty(stored) else dict(stored)
    return freeze(FrozenMap.trusted(_filled(known, sent)))


def _filled(known: dict[str, Any], sent: FrozenMap[Any]) -> dict[str, Any]:
    for name, value in sent.items():
        below: Any = known.get(name)
        if value is None or (empty(value) and below is not None):
            continue
        blank = empty(below)
        if not isinstance(value, FrozenMap):
            if blank:
                known[name] = value
        elif blank or isinstance(below, FrozenMap):
            inner = _filled({} if blank else dict(below), value)
            known[name] = FrozenMap.trusted(inner)
    return known


def _check_mappings(stored: Any, sent: Any) -> None:
    if not (empty(stored) or isinstance(stored, FrozenMap)):
        kind = kind_of(stored)
        raise ValueError(f"needs a stored mapping; the stored value is {kind}")
    if not isinstance(sent, FrozenMap):
        raise ValueError("must be a mapping")  # noqa: TRY004 - a refusal of data


def contains(new: Any, sent: Any) -> bool:
    """
    Return whether a new value contains all of a sent one.

    Args:
        new: What a rule returned.
        sent: What was sent. A null inside a mapping means that the name is absent, an
            empty mapping that the value is an empty mapping.

    >>> from upsertcore.values import freeze
    >>> contains(freeze({"a": 1, "b": 2}), freeze({"a": 1, "c": None}))
    True
    >>> contains(freeze({"a": 1, "b": 2}), freeze({"a": 2}))
    False
    """
    if isinstance(new, FrozenMap) and isinstance(sent, FrozenMap) and sent:
        return all(contains(new.get(name), value) for name, value in sent.items())
    return same(new, sent)


def items(
    stored: Any, sent: Any, names: tuple[str, ...], *, blanks: bool = True
) -> Any:
    """
    Update a stored list of mappings with a sent one, item by item.

    Args:
        stored: A list, null or blank.
        sent: A list of mappings.
        names: Names that identify an item. Two items are the same if they share the
            value of one of them; a blank value counts as omitted.
        blanks: False where a blank value of an item does not replace the stored one.

    Returns:
        The stored items in their order, updated by the sent ones, then the new ones.

    Raises:
        ValueError: If an item has none of the names, matches two items, or would
            change the name of one.

    Cost:
        Linear in both lists.

    >>> from upsertcore.values import freeze
    >>> stored = freeze([{"id": 1, "v": "a"}, {"id": 2, "v": "b"}])
    >>> [dict(i) for i in items(stored, freeze([{"id": 1, "v": "c"}]), ("id",))]
    [{'id': 1, 'v': 'c'}, {'id': 2, 'v': 'b'}]
    """
    if sent is None:
        return None
    if empty(sent):
        return () if stored is None else stored
    return _combine(Items(stored, names, blanks=blanks, once=True), sent)

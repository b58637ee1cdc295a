"""
Lists and mappings laid together: what the merge rules do inside a value.

Rules:
    Pure functions (stored, sent) -> new of frozen values; nothing here is a rule yet.
    None is "not there", as in the merge rules; null inside a mapping is what was sent.
    Items are told apart by type too: 1, 1.0 and true are three items.
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
    Add the sent items to the stored ones, each once.

    >>> union(("a",), ("b", "a"))
    ('a', 'b')
    """
    if sent is None:
        return None
    if empty(sent):
        return () if stored is None else stored
    return _laid(UnionItems(stored, once=True), sent)


def _laid(listed: Gatherer, sent: Any) -> Any:
    """Lay one value over another, and refuse what is too large to be read back."""
    listed.add(sent)
    return freeze(listed.result())


def remove(stored: Any, sent: Any) -> Any:
    """
    Take the sent items out of the stored ones.

    >>> remove(("a", "b", "a"), ("a", "x"))
    ('b',)
    """
    if stored is None or sent is None:
        return None
    if empty(stored) or empty(sent):
        return stored
    return _laid(RemoveItems(stored, once=True), sent_list(sent))


def append(stored: Any, sent: Any) -> Any:
    """
    Put the sent items after the stored ones, repeats included.

    >>> append(("a",), ("b", "a"))
    ('a', 'b', 'a')
    """
    if sent is None:
        return None
    if empty(sent):
        return () if stored is None else stored
    return _laid(AppendItems(stored, once=True), sent)


def add_or_remove(stored: Any, sent: Any) -> Any:
    """
    Let each sent text join the stored items, or leave them where "-" precedes it.

    Args:
        stored: A list, or nothing.
        sent: A list of text; the last word about an item counts.

    Returns:
        The items that stay, each in its place, then those that join, in the order in
        which they are first named; what is stored where that is null or blank and
        nothing joins.

    Raises:
        ValueError: If there is no list, or an item that is no text or "-" alone.

    Cost:
        Linear in both lists.

    >>> add_or_remove(("a", "b"), ("-a", "c", "b"))
    ('b', 'c')
    """
    if sent is None:
        return None
    if empty(sent):
        return stored
    said = parse_signs(sent)
    listed = RemoveItems(stored, once=True)
    listed.sign(said)
    return freeze(listed.result()) or (stored if empty(stored) else ())


def deep(stored: Any, sent: Any) -> Any:
    """
    Lay a sent mapping over the stored one, name by name, all the way down.

    >>> from upsertcore.values import freeze
    >>> dict(deep(freeze({"a": 1, "b": 2}), freeze({"a": None, "c": 3})))
    {'b': 2, 'c': 3}
    """
    if sent is None:
        return None
    if empty(sent):
        return FrozenMap() if stored is None else stored
    _check_mappings(stored, sent)
    return _laid(MergeNames(NOTHING if empty(stored) else stored, once=True), sent)


def deep_keep(stored: Any, sent: Any) -> Any:
    """
    Let a sent mapping fill what the stored one lacks, all the way down.

    Args:
        stored: A mapping, nothing, or blank.
        sent: A mapping; null inside it says nothing, and blank inside it fills only
            what is absent. Null or blank as a whole does nothing.

    Returns:
        The stored mapping, and what was absent or blank in it.

    Raises:
        ValueError: If something else is stored, or is sent.

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
    Tell whether all that a sent mapping says stands in the new one.

    Args:
        new: What a rule made.
        sent: What was sent. Null inside it says that the name is not there; an empty
            mapping, that there is an empty mapping.

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
    Lay a sent list of mappings over the stored one, item by item.

    Args:
        stored: A list, or nothing.
        sent: A list of mappings.
        names: Names within an item. Two items are one if they share the value of one
            of them; a blank value counts as omitted.
        blanks: False where what is blank in an item leaves what is stored of it.

    Returns:
        The stored items in their places, each with what is sent of it laid over it,
        then the new ones.

    Raises:
        ValueError: If an item is called nothing, would join two others, or would
            give one another name.

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
    return _laid(Items(stored, names, blanks=blanks, once=True), sent)

"""
Lists and mappings laid together: what the merge rules do inside a value.

Rules:
    Pure functions (stored, sent) -> new of frozen values; nothing here is a rule yet.
    None is "not there", as in the merge rules; null inside a mapping is what was sent.
    Items are told apart by type too: 1, 1.0 and true are three items.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from upsertcore.rules.tokens import token
from upsertcore.values import FrozenMap, empty, freeze, kind_of, same

__all__ = [
    "add_or_remove",
    "append",
    "deep",
    "deep_keep",
    "items",
    "remove",
    "shows",
    "union",
    "union_of",
]

T = TypeVar("T")


def _stored_list(value: Any) -> tuple[Any, ...]:
    if empty(value):
        return ()
    if type(value) is not tuple:
        what = f"needs a stored list; the stored value is {kind_of(value)}"
        raise ValueError(what)
    return value


def _sent_list(value: Any) -> tuple[Any, ...]:
    if type(value) is not tuple:
        raise ValueError("must be a list")
    return value


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
    return _fitting(_joined((_stored_list(stored), _sent_list(sent))))


def union_of(values: Iterable[Any]) -> tuple[Any, ...]:
    """
    Join the items of lists, each once, in one pass.

    Args:
        values: Lists; null or blank for one that is not there.

    Raises:
        ValueError: If one is no list, or all together are too large.

    Cost:
        Linear in the lists.

    >>> union_of([("a",), None, ("b", "a")])
    ('a', 'b')
    """
    lists = [_sent_list(value) for value in values if not empty(value)]
    return _fitting(_joined(lists))


def _joined(lists: Iterable[tuple[Any, ...]]) -> tuple[Any, ...]:
    items: dict[Any, Any] = {}
    for each in lists:
        for item in each:
            items.setdefault(token(item), item)
    return tuple(items.values())


def _fitting(value: T) -> T:
    """Refuse a value that has grown too large to be read back."""
    freeze(value)
    return value


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
    gone = {token(item) for item in _sent_list(sent)}
    return tuple([i for i in _stored_list(stored) if token(i) not in gone])


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
    return _fitting(_stored_list(stored) + _sent_list(sent))


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
    joins: dict[str, bool] = {}
    for item in _sent_list(sent):
        if type(item) is not str or item == "-":
            raise ValueError('must be a list of text: "x" joins, and "-x" leaves')
        joins[item.removeprefix("-")] = not item.startswith("-")
    stay = [i for i in _stored_list(stored) if type(i) is not str or joins.get(i, True)]
    there = {item for item in stay if type(item) is str}
    new = (*stay, *(name for name, yes in joins.items() if yes and name not in there))
    return stored if empty(stored) and not new else _fitting(new)


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
    return _fitting(_overlaid(None if empty(stored) else stored, sent))


def _overlaid(stored: Any, sent: FrozenMap[Any]) -> FrozenMap[Any]:
    merged = {} if stored is None else dict(stored)
    for name, value in sent.items():
        below = merged.get(name)
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, FrozenMap):
            known = below if isinstance(below, FrozenMap) else None
            merged[name] = _overlaid(known, value)
        else:
            merged[name] = value
    return FrozenMap.trusted(merged)


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
    return _fitting(FrozenMap.trusted(_filled(known, sent)))


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


def shows(new: Any, sent: Any) -> bool:
    """
    Tell whether all that a sent mapping says stands in the new one.

    Args:
        new: What a rule made.
        sent: What was sent. Null inside it says that the name is not there; an empty
            mapping, that there is an empty mapping.

    >>> from upsertcore.values import freeze
    >>> shows(freeze({"a": 1, "b": 2}), freeze({"a": 1, "c": None}))
    True
    >>> shows(freeze({"a": 1, "b": 2}), freeze({"a": 2}))
    False
    """
    if isinstance(new, FrozenMap) and isinstance(sent, FrozenMap) and sent:
        return all(shows(new.get(name), value) for name, value in sent.items())
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
    merged: list[Any] = [*_stored_list(stored)]
    places: dict[Any, int] = {}
    for place, item in enumerate(merged):
        _note(places, place, item, names)
    for item in _sent_list(sent):
        place = _place(places, item, names, len(merged))
        if place == len(merged):
            merged.append({})
        known = merged[place]
        if type(known) is not dict:
            # An item that many others are laid over is copied once.
            known = merged[place] = dict(known)
        if not blanks:
            item = {n: v for n, v in item.items() if n not in known or not empty(v)}  # noqa: PLW2901
        _lay_over(known, item, names)
        _note(places, place, known, names)
    made = [FrozenMap.trusted(i) if type(i) is dict else i for i in merged]
    return _fitting(tuple(made))


def _marks(item: Any, names: tuple[str, ...]) -> list[tuple[str, Any]]:
    if not isinstance(item, (dict, FrozenMap)):
        return []
    return [(n, token(item[n])) for n in names if not empty(item.get(n))]


def _note(
    places: dict[Any, int], place: int, item: Any, names: tuple[str, ...]
) -> None:
    for mark in _marks(item, names):
        places.setdefault(mark, place)


def _place(places: dict[Any, int], item: Any, names: tuple[str, ...], end: int) -> int:
    marks = _marks(item, names)
    if not marks:
        raise ValueError(f"must be a list of mappings with {' or '.join(names)}")
    found = {places[mark] for mark in marks if mark in places}
    if len(found) > 1:
        raise ValueError(f"must not join two items by {' and '.join(names)}")
    return found.pop() if found else end


def _lay_over(
    known: dict[str, Any], item: Mapping[str, Any], names: tuple[str, ...]
) -> None:
    """Lay what is sent of an item over what is known of it; blank names stay."""
    for name, value in item.items():
        if name in names:
            if empty(value):
                continue
            called = known.get(name)
            if not empty(called) and not same(called, value):
                raise ValueError(f"must not give an item another {name}")
        known[name] = value

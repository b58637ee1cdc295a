"""
Gatherers: lists and mappings to which many values are added, one after the other.

Rules:
    Adding a value costs as much as that value holds; the result is built at the end.
    Neither the first value nor the added ones are changed.
    The result is never larger than one value may be. With ``once``, for a single
    addition, the caller checks the size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Protocol, final

from upsertcore.rules.tokens import token
from upsertcore.values import NOTHING, FrozenMap, Size, count, empty, kind_of, same

__all__ = [
    "AppendItems",
    "Gatherer",
    "Items",
    "MergeNames",
    "RemoveItems",
    "UnionItems",
    "freeze_merged",
    "parse_signs",
    "sent_list",
    "stored_list",
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


def _equals(gatherer: Any, value: Any) -> bool:
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


def _count(tally: Size | None, items: Iterable[Any], sign: int = 1) -> None:
    if tally is not None:
        count(tally, items, sign)


def _take(tally: Size | None, values: int, text: int) -> None:
    if tally is not None:
        tally.take(values, text)


def _check(tally: Size | None) -> None:
    if tally is not None:
        tally.check()


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
        _count(self.tally, self._items)

    def add(self, sent: Any) -> None:
        """
        Append the items of a list, with duplicates.

        Raises:
            ValueError: If it is not a list, or the result is too large.
        """
        self._items += sent_list(sent)
        self.moved = bool(sent)
        _count(self.tally, sent)
        _check(self.tally)

    def result(self) -> tuple[Any, ...]:
        """Return the combined value."""
        return tuple(self._items)

    equals = _equals


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
        _check(self.tally)

    def _append(self, added: tuple[Any, ...]) -> None:
        items, count_before = self._items, len(self._items)
        for item in added:
            items.setdefault(token(item), item)
        new_count = len(items) - count_before
        if new_count:
            _count(self.tally, islice(reversed(items.values()), new_count))

    def result(self) -> tuple[Any, ...]:
        """Return the combined value."""
        return tuple(self._items.values())

    equals = _equals


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
        _check(self.tally)

    def _remove(self, tokens: Iterable[Any]) -> bool:
        """Remove items; return whether there was one."""
        places = [place for key in tokens for place in self._places.pop(key, ())]
        _count(self.tally, [self._items.pop(place) for place in places], -1)
        return bool(places)

    def _append(self, items: Sequence[Any]) -> None:
        for number, item in enumerate(items, self._number):
            self._items[number] = item
            self._places.setdefault(token(item), []).append(number)
        self._number += len(items)
        _count(self.tally, items)

    def result(self) -> tuple[Any, ...]:
        """Return the combined value."""
        return tuple(self._items.values())

    equals = _equals


@final
class MergeNames:
    """
    A mapping that is updated with others, name by name at every level.

    Args:
        stored: The first mapping; it is not changed.
        once: True for a single addition.

    >>> from upsertcore.values import freeze
    >>> mapping = MergeNames(freeze({"a": {"b": 1, "c": 2}, "d": 3}))
    >>> mapping.add(freeze({"a": {"b": None}, "d": 4}))
    >>> mapping.result()
    FrozenMap({'a': FrozenMap({'c': 2}), 'd': 4})
    """

    __slots__ = ("known", "moved", "tally")

    def __init__(self, stored: Mapping[str, Any], *, once: bool = False) -> None:
        self.known = dict(stored)
        self.tally, self.moved = None if once else Size(), False
        _count(self.tally, self.known.values())
        _take(self.tally, 0, sum(map(len, self.known)))

    def add(self, sent: FrozenMap[Any]) -> None:
        """
        Update it with a mapping, name by name at every level; null removes a name.

        Raises:
            ValueError: If the result is too large.
        """
        self.moved = self._update(self.known, sent)
        _check(self.tally)

    def _update(self, known: dict[str, Any], sent: FrozenMap[Any]) -> bool:
        moved = False
        for name, value in sent.items():
            below = known.get(name)
            if isinstance(value, FrozenMap):
                if type(below) is not dict:
                    # A mapping is copied before its first update.
                    if not isinstance(below, FrozenMap):
                        moved |= _set(self.tally, known, name, NOTHING)
                        below = NOTHING
                    below = known[name] = dict(below)
                moved |= self._update(below, value)
            elif value is None:
                if name in known:
                    _set(self.tally, known, name, None)
                    del known[name]
                    _take(self.tally, -1, -len(name))
                    moved = True
            else:
                moved |= _set(self.tally, known, name, value)
        return moved

    def result(self) -> FrozenMap[Any]:
        """Return the combined value."""
        return freeze_merged(self.known)  # type: ignore[no-any-return]

    equals = _equals


def _set(tally: Size | None, known: dict[str, Any], name: str, value: Any) -> bool:
    """Set a name, to null, too, and update the size; return whether that changes it."""
    moved = name not in known
    if moved:
        _take(tally, 0, len(name))
    else:
        previous = freeze_merged(known[name])
        _count(tally, [previous], -1)
        moved = not same(previous, value)
    known[name] = value
    _count(tally, [value])
    return moved


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


@final
class Items:
    """
    A list of mappings that is updated with others, item by item.

    Args:
        stored: A list, null or blank.
        names: Names that identify an item. Two items are the same if they share the
            value of one of them; a blank value counts as omitted.
        blanks: False where a blank value of an item does not replace the known one.
        once: True for a single addition.

    Raises:
        ValueError: If *stored* is not a list.

    >>> from upsertcore.values import freeze
    >>> items = Items(freeze([{"id": 1, "v": "a"}]), ("id",))
    >>> for item in ({"id": 2, "v": "b"}, {"id": 1, "v": "c"}):
    ...     items.add(freeze([item]))
    >>> [dict(item) for item in items.result()]
    [{'id': 1, 'v': 'c'}, {'id': 2, 'v': 'b'}]
    """

    __slots__ = ("_blanks", "_items", "_names", "_places", "moved", "tally")

    def __init__(
        self,
        stored: Any,
        names: tuple[str, ...],
        *,
        blanks: bool = True,
        once: bool = False,
    ) -> None:
        self._names, self._blanks = names, blanks
        self._items: list[Any] = [*stored_list(stored)]
        self._places: dict[Any, int] = {}
        self.tally, self.moved = None if once else Size(), False
        _count(self.tally, self._items)
        for place, item in enumerate(self._items):
            _index_item(self._places, place, item, names)

    def add(self, sent: Any) -> None:
        """
        Update it with a sent list.

        Raises:
            ValueError: If an item has none of the names, matches two items, or would
                change the name of one, or the result is too large.
        """
        items, places, names = self._items, self._places, self._names
        self.moved = False
        for item in sent_list(sent):
            place = _place(places, item, names, len(items))
            if place == len(items):
                items.append({})
                _take(self.tally, 1, 0)
                self.moved = True
            known = items[place]
            if type(known) is not dict:
                # An item is copied before its first update.
                known = items[place] = dict(known)
            if not self._blanks:
                item = {n: v for n, v in item.items() if n not in known or not empty(v)}  # noqa: PLW2901
            self._update(known, item)
            _index_item(places, place, item, names)
        _check(self.tally)

    def _update(self, known: dict[str, Any], item: Mapping[str, Any]) -> None:
        """Update an item; a blank value of an identifying name is ignored."""
        for name, value in item.items():
            if name in self._names:
                if empty(value):
                    continue
                stored = known.get(name)
                if not empty(stored) and not same(stored, value):
                    raise ValueError(f"must not change an item's {name}")
            self.moved |= _set(self.tally, known, name, value)

    def result(self) -> tuple[Any, ...]:
        """Return the combined value."""
        return tuple(map(freeze_merged, self._items))

    equals = _equals


def _identities(item: Any, names: tuple[str, ...]) -> list[tuple[str, Any]]:
    if not isinstance(item, (dict, FrozenMap)):
        return []
    return [(n, token(item[n])) for n in names if not empty(item.get(n))]


def _index_item(
    places: dict[Any, int], place: int, item: Any, names: tuple[str, ...]
) -> None:
    for identity in _identities(item, names):
        places.setdefault(identity, place)


def _place(places: dict[Any, int], item: Any, names: tuple[str, ...], end: int) -> int:
    identities = _identities(item, names)
    if not identities:
        raise ValueError(f"must be a list of mappings with {' or '.join(names)}")
    matches = {places[identity] for identity in identities if identity in places}
    if len(matches) > 1:
        raise ValueError(f"must not match two items by {' and '.join(names)}")
    return matches.pop() if matches else end

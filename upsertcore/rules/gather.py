"""
Laying: a list or a mapping while others are laid over it, one after the other.

Rules:
    Each that is laid over it costs what it holds itself; the whole is made at the end.
    What is laid over, and what is laid over it, stays as it is.
    It is never larger than one value may be, whatever is laid over it later; where one
    alone is laid over it (``once``), whoever takes what came of it sees to that.
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
    """What others are laid over, and what it holds by now."""

    @property
    def moved(self) -> bool:
        """Whether the last that was laid over it made it another one."""
        ...

    def add(self, sent: Any) -> None:
        """Lay one more over it; raises ``ValueError`` where it does not go."""
        ...

    def result(self) -> Any:
        """Give what came of it."""
        ...

    def equals(self, value: Any) -> bool:
        """Tell whether that is this value, which alone this costs."""
        ...


def _equals(laid: Any, value: Any) -> bool:
    """Compare what came of it with a value, if it holds as much."""
    tally = Size()
    if isinstance(value, FrozenMap):
        count(tally, value.values())
        tally.take(0, sum(map(len, value)))
    elif type(value) is tuple:
        count(tally, value)
    else:
        return False
    alike = (tally.values, tally.text) == (laid.tally.values, laid.tally.text)
    return alike and same(laid.result(), value)


def stored_list(value: Any) -> tuple[Any, ...]:
    """
    Give a stored list; blank is an empty one.

    Raises:
        ValueError: If it is none.

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
    Give a list that was sent.

    Raises:
        ValueError: If it is none.

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
    A list while others are put behind it.

    Args:
        stored: A list, or nothing.
        once: True where one alone is laid over it.

    >>> listed = AppendItems(("a",))
    >>> listed.add(("b", "a"))
    >>> listed.result()
    ('a', 'b', 'a')
    """

    __slots__ = ("_items", "moved", "tally")

    def __init__(self, stored: Any, *, once: bool = False) -> None:
        self._items = [*stored_list(stored)]
        self.tally, self.moved = None if once else Size(), False
        _count(self.tally, self._items)

    def add(self, sent: Any) -> None:
        """
        Put the items of a list behind it, repeats included.

        Raises:
            ValueError: If it is no list, or all is too large.
        """
        self._items += sent_list(sent)
        self.moved = bool(sent)
        _count(self.tally, sent)
        _check(self.tally)

    def result(self) -> tuple[Any, ...]:
        """Give what came of it."""
        return tuple(self._items)

    def equals(self, value: Any) -> bool:
        """Tell whether that is this value."""
        return _equals(self, value)


@final
class UnionItems:
    """
    A list while the items of others join it, each once.

    Args:
        stored: A list, or nothing; of it each item counts once as well.
        once: True where one alone is laid over it.

    >>> listed = UnionItems(("a",))
    >>> listed.add(("b", "a"))
    >>> listed.result()
    ('a', 'b')
    """

    __slots__ = ("_items", "_shrunk", "moved", "tally")

    def __init__(self, stored: Any, *, once: bool = False) -> None:
        self._items: dict[Any, Any] = {}
        self.tally, self.moved = None if once else Size(), False
        self._join(stored_list(stored))
        self._shrunk = len(self._items) < len(stored_list(stored))

    def add(self, sent: Any) -> None:
        """
        Let the items of a list join it that are not there.

        Raises:
            ValueError: If it is no list, or all is too large.
        """
        many = len(self._items)
        self._join(sent_list(sent))
        # What stood in it twice stands once from the first on that is laid over it.
        self.moved, self._shrunk = self._shrunk or len(self._items) > many, False
        _check(self.tally)

    def _join(self, listed: tuple[Any, ...]) -> None:
        items, many = self._items, len(self._items)
        for item in listed:
            items.setdefault(token(item), item)
        if len(items) > many:
            _count(self.tally, islice(reversed(items.values()), len(items) - many))

    def result(self) -> tuple[Any, ...]:
        """Give what came of it."""
        return tuple(self._items.values())

    def equals(self, value: Any) -> bool:
        """Tell whether that is this value."""
        return _equals(self, value)


def parse_signs(sent: Any) -> dict[str, bool]:
    """
    Read which texts shall join a list, and which leave it; the last word counts.

    Args:
        sent: A list of text: "x" joins, "-x" leaves.

    Raises:
        ValueError: If it is no list, or an item is no text or "-" alone.

    >>> parse_signs(("-a", "b"))
    {'a': False, 'b': True}
    """
    joins: dict[str, bool] = {}
    for item in sent_list(sent):
        if type(item) is not str or item == "-":
            raise ValueError('must be a list of text: "x" adds, "-x" removes')
        joins[item.removeprefix("-")] = not item.startswith("-")
    return joins


@final
class RemoveItems:
    """
    A list while items leave it, and others join it.

    Args:
        stored: A list, or nothing.
        signed: True where what is laid over it are texts with a sign, False where they
            are items that leave it.
        once: True where one alone is laid over it.

    >>> listed = RemoveItems(("a", "b", "a"))
    >>> listed.add(("a", "x"))
    >>> listed.sign({"b": True, "c": True})
    >>> listed.result()
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
        self._join(stored_list(stored))

    def add(self, sent: Any) -> None:
        """
        Take the items of a list out of it; of signed ones let some join.

        Raises:
            ValueError: If it is no list, or as :func:`parse_signs` and :meth:`sign`.
        """
        if self._signed:
            self.sign(parse_signs(sent))
        else:
            self.moved = self._leave(dict.fromkeys(map(token, sent_list(sent))))

    def sign(self, joins: Mapping[str, bool]) -> None:
        """
        Let texts join it that are not there, each behind the last item, or leave it.

        Raises:
            ValueError: If all is then too large.
        """
        left = self._leave([name for name, yes in joins.items() if not yes])
        new = [n for n, yes in joins.items() if yes and n not in self._places]
        self._join(new)
        self.moved = left or bool(new)
        _check(self.tally)

    def _leave(self, tokens: Iterable[Any]) -> bool:
        """Take items out; tell whether one was there."""
        places = [place for each in tokens for place in self._places.pop(each, ())]
        _count(self.tally, [self._items.pop(place) for place in places], -1)
        return bool(places)

    def _join(self, items: Sequence[Any]) -> None:
        for number, item in enumerate(items, self._number):
            self._items[number] = item
            self._places.setdefault(token(item), []).append(number)
        self._number += len(items)
        _count(self.tally, items)

    def result(self) -> tuple[Any, ...]:
        """Give what came of it."""
        return tuple(self._items.values())

    def equals(self, value: Any) -> bool:
        """Tell whether that is this value."""
        return _equals(self, value)


@final
class MergeNames:
    """
    A mapping while others are laid over it, so that each costs what it says.

    Args:
        stored: The mapping; what is laid over stays as it is, too.
        once: True where one alone is laid over it.

    >>> from upsertcore.values import freeze
    >>> mapped = MergeNames(freeze({"a": {"b": 1, "c": 2}, "d": 3}))
    >>> mapped.add(freeze({"a": {"b": None}, "d": 4}))
    >>> mapped.result()
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
        Lay a mapping over it, name by name, all the way down; null removes a name.

        Raises:
            ValueError: If it is then too large.
        """
        self.moved = self._lay(self.known, sent)
        _check(self.tally)

    def _lay(self, known: dict[str, Any], sent: FrozenMap[Any]) -> bool:
        moved = False
        for name, value in sent.items():
            below = known.get(name)
            if isinstance(value, FrozenMap):
                if type(below) is not dict:
                    # A mapping that others are laid over is copied once.
                    if not isinstance(below, FrozenMap):
                        moved |= _set(self.tally, known, name, NOTHING)
                        below = NOTHING
                    below = known[name] = dict(below)
                moved |= self._lay(below, value)
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
        """Give what came of it."""
        return freeze_merged(self.known)  # type: ignore[no-any-return]

    def equals(self, value: Any) -> bool:
        """Tell whether that is this value."""
        return _equals(self, value)


def _set(tally: Size | None, known: dict[str, Any], name: str, value: Any) -> bool:
    """Set a name, null too, and count what that moves; tell whether it does."""
    moved = name not in known
    if moved:
        _take(tally, 0, len(name))
    else:
        was = freeze_merged(known[name])
        _count(tally, [was], -1)
        moved = not same(was, value)
    known[name] = value
    _count(tally, [value])
    return moved


def freeze_merged(value: Any) -> Any:
    """
    Freeze a mapping that others were laid over; leave any other value.

    >>> freeze_merged({"a": {"b": 1}}), freeze_merged("a")
    (FrozenMap({'a': FrozenMap({'b': 1})}), 'a')
    """
    if type(value) is not dict:
        return value
    return FrozenMap.trusted(
        {name: freeze_merged(each) for name, each in value.items()}
    )


@final
class Items:
    """
    A list of mappings while others are laid over it, item by item.

    Args:
        stored: A list, or nothing.
        names: Names within an item. Two items are one if they share the value of one
            of them; a blank value counts as omitted.
        blanks: False where what is blank in an item leaves what is known of it.
        once: True where one alone is laid over it.

    Raises:
        ValueError: If it is no list.

    >>> from upsertcore.values import freeze
    >>> laid = Items(freeze([{"id": 1, "v": "a"}]), ("id",))
    >>> for item in ({"id": 2, "v": "b"}, {"id": 1, "v": "c"}):
    ...     laid.add(freeze([item]))
    >>> [dict(item) for item in laid.result()]
    [{'id': 1, 'v': 'c'}, {'id': 2, 'v': 'b'}]
    """

    __slots__ = ("_blanks", "_merged", "_names", "_places", "moved", "tally")

    def __init__(
        self,
        stored: Any,
        names: tuple[str, ...],
        *,
        blanks: bool = True,
        once: bool = False,
    ) -> None:
        self._names, self._blanks = names, blanks
        self._merged: list[Any] = [*stored_list(stored)]
        self._places: dict[Any, int] = {}
        self.tally, self.moved = None if once else Size(), False
        _count(self.tally, self._merged)
        for place, item in enumerate(self._merged):
            _note(self._places, place, item, names)

    def add(self, sent: Any) -> None:
        """
        Lay a sent list over it.

        Raises:
            ValueError: If an item is called nothing, would join two others, or would
                give one another name, or all is too large.
        """
        merged, places, names = self._merged, self._places, self._names
        self.moved = False
        for item in sent_list(sent):
            place = _place(places, item, names, len(merged))
            if place == len(merged):
                merged.append({})
                _take(self.tally, 1, 0)
                self.moved = True
            known = merged[place]
            if type(known) is not dict:
                # An item that many others are laid over is copied once.
                known = merged[place] = dict(known)
            if not self._blanks:
                item = {n: v for n, v in item.items() if n not in known or not empty(v)}  # noqa: PLW2901
            self._lay_over(known, item)
            _note(places, place, item, names)
        _check(self.tally)

    def _lay_over(self, known: dict[str, Any], item: Mapping[str, Any]) -> None:
        """Lay what is sent of an item over what is known of it; blank names stay."""
        for name, value in item.items():
            if name in self._names:
                if empty(value):
                    continue
                called = known.get(name)
                if not empty(called) and not same(called, value):
                    raise ValueError(f"must not change an item's {name}")
            self.moved |= _set(self.tally, known, name, value)

    def result(self) -> tuple[Any, ...]:
        """Give what came of it."""
        return tuple(map(freeze_merged, self._merged))

    def equals(self, value: Any) -> bool:
        """Tell whether that is this value."""
        return _equals(self, value)


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
        raise ValueError(f"must not match two items by {' and '.join(names)}")
    return found.pop() if found else end

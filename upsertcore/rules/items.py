"""
Items: ``items_by``, for lists of mappings that are told apart by a name inside them.

Rules:
    Two items are one if they share the value of an identifying name; a sent item that
    would join two stored ones, or rename one, is refused.
    Pure functions of frozen values; None means absent.
    There is a gatherer, for the lists of many contacts that are merged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

from attrs import frozen

from upsertcore.rules.absent import is_absent
from upsertcore.rules.gatherer import (
    Gatherer,
    add_once,
    check_size,
    count_items,
    freeze_merged,
    result_equals,
    take,
)
from upsertcore.rules.lists import sent_list, stored_list
from upsertcore.rules.mappings import set_name
from upsertcore.rules.same_item import token
from upsertcore.values import FrozenMap, Size, empty, same

__all__ = ["CombineItems", "GatherItems", "Items", "MergeItems", "items", "merge_items"]


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
    return add_once(Items(stored, names, blanks=blanks, once=True), sent)


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
        count_items(self.tally, self._items)
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
                take(self.tally, 1, 0)
                self.moved = True
            known = items[place]
            if type(known) is not dict:
                # An item is copied before its first update.
                known = items[place] = dict(known)
            if not self._blanks:
                item = {n: v for n, v in item.items() if n not in known or not empty(v)}  # noqa: PLW2901
            self._update(known, item)
            _index_item(places, place, item, names)
        check_size(self.tally)

    def _update(self, known: dict[str, Any], item: Mapping[str, Any]) -> None:
        """Update an item; a blank value of an identifying name is ignored."""
        for name, value in item.items():
            if name in self._names:
                if empty(value):
                    continue
                stored = known.get(name)
                if not empty(stored) and not same(stored, value):
                    raise ValueError(f"must not change an item's {name}")
            self.moved |= set_name(self.tally, known, name, value)

    def result(self) -> tuple[Any, ...]:
        """Return the combined value."""
        return tuple(map(freeze_merged, self._items))

    equals = result_equals


def merge_items(own: Any, other: Any, default: Any, names: tuple[str, ...]) -> Any:
    """
    Merge another contact's items into the survivor's; skip what is blank in them.

    Args:
        own: The survivor's value.
        other: The other contact's value.
        default: The default of the field, None for none.
        names: As in :func:`items`.

    >>> from upsertcore.values import freeze
    >>> own, other = freeze([{"id": 1, "v": "a"}]), freeze([{"id": 1, "v": ""}])
    >>> [dict(item) for item in merge_items(own, other, None, ("id",))]
    [{'id': 1, 'v': 'a'}]
    """
    known = None if is_absent(own, default) else own
    return items(known, other, names, blanks=False)


@frozen
class CombineItems:
    """The function of ``items_by``; rules with equal names are equal."""

    names: tuple[str, ...]

    def __call__(self, stored: Any, sent: Any) -> Any:
        """Return the new list."""
        return items(stored, sent, self.names)


@frozen
class GatherItems:
    """The gatherer of ``items_by``, for merging many contacts."""

    names: tuple[str, ...]

    def __call__(self, own: Any, _default: Any) -> Gatherer | None:
        """Return a gatherer, None where the survivor's value is no list."""
        return Items(own, self.names, blanks=False) if type(own) is tuple else None


@frozen
class MergeItems:
    """The function of ``items_by`` when contacts are merged."""

    names: tuple[str, ...]

    def __call__(self, own: Any, other: Any, default: Any) -> Any:
        """Return the merged list."""
        return merge_items(own, other, default, self.names)


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

"""
Mappings: ``deep`` and ``deep_keep``, name by name at every level.

Rules:
    Pure functions (stored, sent) -> new of frozen values; None means absent, and
    inside a mapping it is a null that was sent.
    When contacts are merged, what is absent inside a mapping is skipped, or filled.
    Each has a gatherer beside it, for the mappings of many contacts that are merged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, final

from upsertcore.rules.absent import default_of, is_absent, is_all_absent
from upsertcore.rules.gatherer import (
    Gatherer,
    add_once,
    check_size,
    count_items,
    freeze_merged,
    result_equals,
    take,
)
from upsertcore.values import NOTHING, FrozenMap, Size, empty, freeze, kind_of, same

__all__ = [
    "MergeNames",
    "contains",
    "deep",
    "deep_keep",
    "gather_deep",
    "gather_deep_keep",
    "merge_deep",
    "merge_deep_keep",
    "set_name",
]


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
    return add_once(MergeNames(NOTHING if empty(stored) else stored, once=True), sent)


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
        count_items(self.tally, self.known.values())
        take(self.tally, 0, sum(map(len, self.known)))

    def add(self, sent: FrozenMap[Any]) -> None:
        """
        Update it with a mapping, name by name at every level; null removes a name.

        Raises:
            ValueError: If the result is too large.
        """
        self.moved = self._update(self.known, sent)
        check_size(self.tally)

    def _update(self, known: dict[str, Any], sent: FrozenMap[Any]) -> bool:
        moved = False
        for name, value in sent.items():
            below = known.get(name)
            if isinstance(value, FrozenMap):
                if type(below) is not dict:
                    # A mapping is copied before its first update.
                    if not isinstance(below, FrozenMap):
                        moved |= set_name(self.tally, known, name, NOTHING)
                        below = NOTHING
                    below = known[name] = dict(below)
                moved |= self._update(below, value)
            elif value is None:
                if name in known:
                    set_name(self.tally, known, name, None)
                    del known[name]
                    take(self.tally, -1, -len(name))
                    moved = True
            else:
                moved |= set_name(self.tally, known, name, value)
        return moved

    def result(self) -> FrozenMap[Any]:
        """Return the combined value."""
        return freeze_merged(self.known)  # type: ignore[no-any-return]

    equals = result_equals


def set_name(tally: Size | None, known: dict[str, Any], name: str, value: Any) -> bool:
    """Set a name, to null, too, and update the size; return whether that changes it."""
    moved = name not in known
    if moved:
        take(tally, 0, len(name))
    else:
        previous = freeze_merged(known[name])
        count_items(tally, [previous], -1)
        moved = not same(previous, value)
    known[name] = value
    count_items(tally, [value])
    return moved


def merge_deep(own: Any, other: Any, default: Any) -> Any:
    """
    Merge another contact's mapping into the survivor's; skip what is absent in it.

    Args:
        own: The survivor's value.
        other: The other contact's value.
        default: The default of the field, None for none.

    >>> from upsertcore.values import freeze
    >>> boston = freeze({"city": "Boston", "zip": ""})
    >>> dict(merge_deep(boston, freeze({"city": "", "zip": "02101"}), None))
    {'city': 'Boston', 'zip': '02101'}
    """
    if not (isinstance(own, FrozenMap) and isinstance(other, FrozenMap)):
        return deep(None if is_absent(own, default) else own, other)
    return _merged(own, other, default, keeps=False)


def merge_deep_keep(own: Any, other: Any, default: Any) -> Any:
    """
    Fill what is absent in the survivor's mapping from another contact's.

    Args:
        own: As in :func:`merge_deep`.
        other: As in :func:`merge_deep`.
        default: As in :func:`merge_deep`.

    >>> from upsertcore.values import freeze
    >>> own, other = freeze({"lang": "en", "a": 1}), freeze({"lang": "de", "a": 2})
    >>> dict(merge_deep_keep(own, other, freeze({"lang": "en"})))
    {'lang': 'de', 'a': 1}
    """
    if not (isinstance(own, FrozenMap) and isinstance(other, FrozenMap)):
        return deep_keep(None if is_absent(own, default) else own, other)
    return _merged(own, other, default, keeps=True)


def _merged(own: Any, other: Any, default: Any, *, keeps: bool) -> Any:
    merge = _MappingMerge(own, default, keeps=keeps)
    merge.add(other)
    return merge.result()


def gather_deep(own: Any, default: Any) -> Gatherer | None:
    """
    Return a gatherer that merges the mappings of many contacts into the survivor's.

    Args:
        own: As in :func:`merge_deep`.
        default: As in :func:`merge_deep`.

    Returns:
        None where the survivor's value is not a mapping.

    >>> gather_deep("a", None) is None
    True
    """
    return _gatherer(own, default, keeps=False)


def gather_deep_keep(own: Any, default: Any) -> Gatherer | None:
    """
    Return a gatherer that fills the survivor's mapping from those of many contacts.

    Args:
        own: As in :func:`merge_deep`.
        default: As in :func:`merge_deep`.

    Returns:
        As :func:`gather_deep`.

    >>> gather_deep_keep("a", None) is None
    True
    """
    return _gatherer(own, default, keeps=True)


def _gatherer(own: Any, default: Any, *, keeps: bool) -> Gatherer | None:
    if not isinstance(own, FrozenMap):
        return None
    return _MappingMerge(own, default, keeps=keeps)


_Present: TypeAlias = dict[tuple[int, int], Any]
"""Identity of a value and of its default to the value: those known to be present."""

_MAPPINGS = FrozenMap, dict
"""A frozen mapping, or one that is being merged into."""


@final
class _MappingMerge:
    """
    The survivor's mapping while parts of others are merged into it.

    Args:
        own: The mapping.
        default: The default of its field.
        keeps: True where only absent values of the survivor are replaced.
    """

    __slots__ = ("_default", "_keeps", "_merged", "_own", "_present", "moved")

    def __init__(self, own: FrozenMap[Any], default: Any, *, keeps: bool) -> None:
        self._own, self._default, self._keeps = own, default, keeps
        self._merged: MergeNames | None = None
        self._present: _Present = {}
        self.moved = False

    def add(self, sent: Any) -> None:
        _check_mappings(self._own, sent)
        known = self._own if self._merged is None else self._merged.known
        part = self._part(known, sent, self._default)
        if part:
            if self._merged is None:
                self._merged = MergeNames(self._own)
            self._merged.add(part)
        self.moved = bool(part) and self._merged.moved  # type: ignore[union-attr]

    def _part(
        self, own: Mapping[str, Any], other: FrozenMap[Any], default: Any
    ) -> FrozenMap[Any]:
        """Return the part of another mapping that is merged into the survivor's."""
        part = {}
        for name, value in other.items():
            own_value, inner_default = own.get(name), default_of(default, name)
            if isinstance(own_value, _MAPPINGS) and isinstance(value, FrozenMap):
                inner = self._part(own_value, value, inner_default)
                if inner:
                    part[name] = inner
            elif value is not None and (
                own_value is None or self._replaces(own_value, value, inner_default)
            ):
                part[name] = value
        return FrozenMap.trusted(part)

    def _replaces(self, own: Any, value: Any, default: Any) -> bool:
        """Return whether a value replaces one that the survivor has."""
        if is_all_absent(value, default):
            return False
        return not (self._keeps and _is_present(own, default, self._present))

    def result(self) -> FrozenMap[Any]:
        return self._own if self._merged is None else self._merged.result()

    def equals(self, value: Any) -> bool:
        if self._merged is None:
            return same(self._own, value)
        return self._merged.equals(value)


def _is_present(own: Any, default: Any, present: _Present) -> bool:
    """Check a value of the survivor, once however many contacts are merged."""
    identity = id(own), id(default)
    if identity not in present and not is_all_absent(own, default):
        # The value is kept, so that no other one can get its identity.
        present[identity] = own
    return identity in present

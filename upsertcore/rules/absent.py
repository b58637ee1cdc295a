"""
What counts as absent when contacts are merged, inside mappings, too.

Rules:
    A value that is null, blank or equal to the default of its field is absent.
    If a value is absent in both contacts, the survivor's stays; a field that the
    survivor does not have at all is copied as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, final

from upsertcore.rules import nested
from upsertcore.rules.gather import Gatherer, MergeNames, freeze_merged
from upsertcore.values import FrozenMap, empty, same

__all__ = [
    "gather_deep",
    "gather_deep_keep",
    "is_absent",
    "merge_deep",
    "merge_deep_keep",
    "merge_items",
]

Present: TypeAlias = dict[tuple[int, int], Any]
"""Identity of a value and of its default to the value: those known to be present."""

_MAPPINGS = FrozenMap, dict
"""A frozen mapping, or one that is being merged into."""


def is_absent(value: Any, default: Any = None) -> bool:
    """
    Return whether a value counts as absent when contacts are merged.

    Args:
        value: A frozen value.
        default: The default of its field, or of its name inside a mapping; None for
            none.

    >>> is_absent(""), is_absent("new", "new"), is_absent("new")
    (True, True, False)
    """
    return empty(value) or (default is not None and same(value, default))


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
        return nested.deep(None if is_absent(own, default) else own, other)
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
        return nested.deep_keep(None if is_absent(own, default) else own, other)
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
        self._present: Present = {}
        self.moved = False

    def add(self, sent: Any) -> None:
        if not isinstance(sent, FrozenMap):
            raise ValueError("must be a mapping")  # noqa: TRY004 - a refusal of data
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
            own_value, inner_default = own.get(name), _default_of(default, name)
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
        if _is_all_absent(value, default):
            return False
        return not (self._keeps and _is_present(own, default, self._present))

    def result(self) -> FrozenMap[Any]:
        return self._own if self._merged is None else self._merged.result()

    def equals(self, value: Any) -> bool:
        if self._merged is None:
            return same(self._own, value)
        return self._merged.equals(value)


def merge_items(own: Any, other: Any, default: Any, names: tuple[str, ...]) -> Any:
    """
    Merge another contact's items into the survivor's; skip what is blank in them.

    Args:
        own: As in :func:`merge_deep`.
        other: As in :func:`merge_deep`.
        default: As in :func:`merge_deep`.
        names: As in :func:`upsertcore.rules.nested.items`.

    >>> from upsertcore.values import freeze
    >>> own, other = freeze([{"id": 1, "v": "a"}]), freeze([{"id": 1, "v": ""}])
    >>> [dict(item) for item in merge_items(own, other, None, ("id",))]
    [{'id': 1, 'v': 'a'}]
    """
    known = None if is_absent(own, default) else own
    return nested.items(known, other, names, blanks=False)


def _default_of(default: Any, name: str) -> Any:
    return default.get(name) if isinstance(default, FrozenMap) else None


def _is_all_absent(value: Any, default: Any) -> bool:
    """Return whether a value is absent, or a mapping of absent values."""
    value = freeze_merged(value)
    if is_absent(value, default) or not isinstance(value, FrozenMap):
        return is_absent(value, default)
    return all(_is_all_absent(v, _default_of(default, n)) for n, v in value.items())


def _is_present(own: Any, default: Any, present: Present) -> bool:
    """Check a value of the survivor, once however many contacts are merged."""
    identity = id(own), id(default)
    if identity not in present and not _is_all_absent(own, default):
        # The value is kept, so that no other one can get its identity.
        present[identity] = own
    return identity in present

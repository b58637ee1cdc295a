"""
What counts as absent where contacts are merged, inside mappings too.

Rules:
    Null, blank, and what equals the default of its field count as absent.
    What is absent in both contacts stays as the survivor has it; what the survivor
    lacks altogether it takes as it is, so that nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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

Said: TypeAlias = dict[tuple[int, int], Any]
"""By identity, and that of its default, what is known to say something."""

Part: TypeAlias = Callable[[Mapping[str, Any], FrozenMap[Any], Any, Said], Any]
"""(survivor's, other's, default, what is known to say something) -> the part of the
other's that is laid over it."""

_OPEN = FrozenMap, dict
"""A mapping, or one that others are laid over meanwhile."""


def is_absent(value: Any, default: Any = None) -> bool:
    """
    Return whether a value counts as absent where contacts are merged.

    Args:
        value: A frozen value.
        default: That of its field, or of its name inside a mapping; None for none.

    >>> is_absent(""), is_absent("new", "new"), is_absent("new")
    (True, True, False)
    """
    return empty(value) or (default is not None and same(value, default))


def merge_deep(own: Any, other: Any, default: Any) -> Any:
    """
    Lay another contact's mapping over the survivor's, but for what is absent in it.

    Args:
        own: The survivor's value.
        other: The other contact's value.
        default: That of the field, None for none.

    >>> from upsertcore.values import freeze
    >>> boston = freeze({"city": "Boston", "zip": ""})
    >>> dict(merge_deep(boston, freeze({"city": "", "zip": "02101"}), None))
    {'city': 'Boston', 'zip': '02101'}
    """
    if not (isinstance(own, FrozenMap) and isinstance(other, FrozenMap)):
        return nested.deep(None if is_absent(own, default) else own, other)
    return _merged(own, other, default, _present)


def merge_deep_keep(own: Any, other: Any, default: Any) -> Any:
    """
    Let another contact's mapping fill what is absent in the survivor's.

    Args:
        own: As :func:`merge_deep`.
        other: As :func:`merge_deep`.
        default: As :func:`merge_deep`.

    >>> from upsertcore.values import freeze
    >>> own, other = freeze({"lang": "en", "a": 1}), freeze({"lang": "de", "a": 2})
    >>> dict(merge_deep_keep(own, other, freeze({"lang": "en"})))
    {'lang': 'de', 'a': 1}
    """
    if not (isinstance(own, FrozenMap) and isinstance(other, FrozenMap)):
        return nested.deep_keep(None if is_absent(own, default) else own, other)
    return _merged(own, other, default, _filling)


def _merged(own: Any, other: Any, default: Any, part: Part) -> Any:
    mapped = _Merged(own, default, part)
    mapped.add(other)
    return mapped.result()


def gather_deep(own: Any, default: Any) -> Gatherer | None:
    """
    Begin to lay the mappings of many contacts over the survivor's.

    Args:
        own: As :func:`merge_deep`.
        default: As :func:`merge_deep`.

    Returns:
        None where the survivor's value is no mapping.

    >>> gather_deep("a", None) is None
    True
    """
    return _Merged(own, default, _present) if isinstance(own, FrozenMap) else None


def gather_deep_keep(own: Any, default: Any) -> Gatherer | None:
    """
    Begin to let the mappings of many contacts fill the survivor's.

    Args:
        own: As :func:`merge_deep`.
        default: As :func:`merge_deep`.

    Returns:
        As :func:`gather_deep`.

    >>> gather_deep_keep("a", None) is None
    True
    """
    return _Merged(own, default, _filling) if isinstance(own, FrozenMap) else None


@final
class _Merged:
    """The survivor's mapping, and what parts of others are laid over it."""

    __slots__ = ("_default", "_mapped", "_own", "_part", "_said", "moved")

    def __init__(self, own: FrozenMap[Any], default: Any, part: Part) -> None:
        self._own, self._default, self._part = own, default, part
        self._mapped: MergeNames | None = None
        self._said: Said = {}
        self.moved = False

    def add(self, sent: Any) -> None:
        if not isinstance(sent, FrozenMap):
            raise ValueError("must be a mapping")  # noqa: TRY004 - a refusal of data
        known = self._own if self._mapped is None else self._mapped.known
        part = self._part(known, sent, self._default, self._said)
        if part:
            if self._mapped is None:
                self._mapped = MergeNames(self._own)
            self._mapped.add(part)
        self.moved = bool(part) and self._mapped.moved  # type: ignore[union-attr]

    def result(self) -> FrozenMap[Any]:
        return self._own if self._mapped is None else self._mapped.result()

    def equals(self, value: Any) -> bool:
        if self._mapped is None:
            return same(self._own, value)
        return self._mapped.equals(value)


def merge_items(own: Any, other: Any, default: Any, names: tuple[str, ...]) -> Any:
    """
    Lay another contact's items over the survivor's, but for what is blank in them.

    Args:
        own: As :func:`merge_deep`.
        other: As :func:`merge_deep`.
        default: As :func:`merge_deep`.
        names: As :func:`upsertcore.rules.nested.items`.

    >>> from upsertcore.values import freeze
    >>> own, other = freeze([{"id": 1, "v": "a"}]), freeze([{"id": 1, "v": ""}])
    >>> [dict(item) for item in merge_items(own, other, None, ("id",))]
    [{'id': 1, 'v': 'a'}]
    """
    known = None if is_absent(own, default) else own
    return nested.items(known, other, names, blanks=False)


def _of(default: Any, name: str) -> Any:
    return default.get(name) if isinstance(default, FrozenMap) else None


def _says_nothing(value: Any, default: Any) -> bool:
    """Return whether a value is absent, or a mapping in which all is."""
    value = freeze_merged(value)
    if is_absent(value, default) or not isinstance(value, FrozenMap):
        return is_absent(value, default)
    return all(_says_nothing(each, _of(default, n)) for n, each in value.items())


def _says_something(mine: Any, default: Any, said: Said) -> bool:
    """Look once at what the survivor has, however many contacts come after it."""
    place = id(mine), id(default)
    if place not in said and not _says_nothing(mine, default):
        # It is kept, so that no other one comes to have its identity.
        said[place] = mine
    return place in said


def _present(
    own: Mapping[str, Any], other: FrozenMap[Any], default: Any, said: Said
) -> Any:
    """Return the part of another mapping that is to be laid over the survivor's."""
    part = {}
    for name, value in other.items():
        mine, usual = own.get(name), _of(default, name)
        if isinstance(mine, _OPEN) and isinstance(value, FrozenMap):
            inner = _present(mine, value, usual, said)
            if inner:
                part[name] = inner
        elif value is not None and (mine is None or not _says_nothing(value, usual)):
            part[name] = value
    return FrozenMap.trusted(part)


def _filling(
    own: Mapping[str, Any], other: FrozenMap[Any], default: Any, said: Said
) -> Any:
    """Return the part of another mapping that fills what the survivor's lacks."""
    part = {}
    for name, value in other.items():
        mine, usual = own.get(name), _of(default, name)
        if isinstance(mine, _OPEN) and isinstance(value, FrozenMap):
            inner = _filling(mine, value, usual, said)
            if inner:
                part[name] = inner
        elif value is not None and (
            mine is None
            or not (_says_nothing(value, usual) or _says_something(mine, usual, said))
        ):
            part[name] = value
    return FrozenMap.trusted(part)

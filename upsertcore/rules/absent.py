"""
What counts as absent where contacts are merged, inside mappings too.

Rules:
    Null, blank, and what equals the default of its field count as absent.
    What is absent in both contacts stays as the survivor has it; what the survivor
    lacks altogether it takes as it is, so that nothing is lost.
"""

from __future__ import annotations

from typing import Any

from upsertcore.rules import nested
from upsertcore.values import FrozenMap, empty, same

__all__ = ["absent", "merge_deep", "merge_deep_keep", "merge_items"]


def absent(value: Any, default: Any = None) -> bool:
    """
    Return whether a value counts as absent where contacts are merged.

    Args:
        value: A frozen value.
        default: That of its field, or of its name inside a mapping; None for none.

    >>> absent(""), absent("new", "new"), absent("new")
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
        return nested.deep(None if absent(own, default) else own, other)
    present = _present(own, other, default)
    return nested.deep(own, present) if present else own


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
        return nested.deep_keep(None if absent(own, default) else own, other)
    filling = _filling(own, other, default)
    return nested.deep(own, filling) if filling else own


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
    known = None if absent(own, default) else own
    return nested.items(known, other, names, blanks=False)


def _of(default: Any, name: str) -> Any:
    return default.get(name) if isinstance(default, FrozenMap) else None


def _says_nothing(value: Any, default: Any) -> bool:
    """Return whether a value is absent, or a mapping in which all is."""
    if absent(value, default) or not isinstance(value, FrozenMap):
        return absent(value, default)
    return all(_says_nothing(each, _of(default, n)) for n, each in value.items())


def _present(own: FrozenMap[Any], other: FrozenMap[Any], default: Any) -> Any:
    """Return the part of another mapping that is to be laid over the survivor's."""
    part = {}
    for name, value in other.items():
        mine, usual = own.get(name), _of(default, name)
        if isinstance(mine, FrozenMap) and isinstance(value, FrozenMap):
            inner = _present(mine, value, usual)
            if inner:
                part[name] = inner
        elif value is not None and (mine is None or not _says_nothing(value, usual)):
            part[name] = value
    return FrozenMap.trusted(part)


def _filling(own: FrozenMap[Any], other: FrozenMap[Any], default: Any) -> Any:
    """Return the part of another mapping that fills what the survivor's lacks."""
    part = {}
    for name, value in other.items():
        mine, usual = own.get(name), _of(default, name)
        if isinstance(mine, FrozenMap) and isinstance(value, FrozenMap):
            inner = _filling(mine, value, usual)
            if inner:
                part[name] = inner
        elif value is not None and (
            mine is None
            or (_says_nothing(mine, usual) and not _says_nothing(value, usual))
        ):
            part[name] = value
    return FrozenMap.trusted(part)

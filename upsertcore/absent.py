"""
What counts as absent where contacts are merged, inside mappings too.

Rules:
    Null, blank, and what equals the default of its field count as absent.
    What is absent in both contacts stays as the survivor has it.
"""

from __future__ import annotations

from typing import Any

from upsertcore import nested
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
        own: The survivor's value, None where it has none.
        other: The other contact's value.
        default: That of the field, None for none.

    >>> from upsertcore.values import freeze
    >>> boston = freeze({"city": "Boston", "zip": ""})
    >>> dict(merge_deep(boston, freeze({"city": "", "zip": "02101"}), None))
    {'city': 'Boston', 'zip': '02101'}
    """
    present = _present(other, default)
    return own if empty(present) else nested.deep(_known(own, default), present)


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
    present, known = _present(other, default), _known(own, default)
    if empty(present):
        return own
    if not (isinstance(present, FrozenMap) and isinstance(known, FrozenMap)):
        return nested.deep_keep(known, present)
    filling = _lacking(known, present, default)
    return own if empty(filling) else nested.deep(known, filling)


def merge_items(own: Any, other: Any, default: Any, names: tuple[str, ...]) -> Any:
    """
    Lay another contact's items over the survivor's, but for what is blank in them.

    Args:
        own: As :func:`merge_deep`.
        other: As :func:`merge_deep`.
        default: As :func:`merge_deep`.
        names: As :func:`upsertcore.nested.items`.

    >>> from upsertcore.values import freeze
    >>> own, other = freeze([{"id": 1, "v": "a"}]), freeze([{"id": 1, "v": ""}])
    >>> [dict(item) for item in merge_items(own, other, None, ("id",))]
    [{'id': 1, 'v': 'a'}]
    """
    if type(other) is tuple:
        other = tuple([_without_blanks(item) for item in other])
    return nested.items(None if absent(own, default) else own, other, names)


def _known(own: Any, default: Any) -> Any:
    """Return the survivor's value, None where it counts as absent as a whole."""
    return None if not isinstance(own, FrozenMap) and absent(own, default) else own


def _without_blanks(item: Any) -> Any:
    if not isinstance(item, FrozenMap):
        return item
    return FrozenMap.trusted({n: v for n, v in item.items() if not empty(v)})


def _of(default: Any, name: str) -> Any:
    return default.get(name) if isinstance(default, FrozenMap) else None


def _present(value: Any, default: Any) -> Any:
    """Return a mapping without what is absent in it, all the way down."""
    if not isinstance(value, FrozenMap):
        return value
    left = {}
    for name, each in value.items():
        other = _of(default, name)
        item = _present(each, other)
        if not absent(item, other):
            left[name] = item
    return FrozenMap.trusted(left)


def _lacking(known: Any, present: FrozenMap[Any], default: Any) -> FrozenMap[Any]:
    """Return the part of a mapping that fills what is absent in a known one."""
    part = {}
    for name, value in present.items():
        below, other = known.get(name), _of(default, name)
        if isinstance(below, FrozenMap) and isinstance(value, FrozenMap):
            inner = _lacking(below, value, other)
            if inner:
                part[name] = inner
        elif absent(_present(below, other), other):
            part[name] = value
    return FrozenMap.trusted(part)

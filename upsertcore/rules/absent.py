"""
What counts as absent, inside mappings, too, and what fills it.

Rules:
    When contacts are merged, a value that is null, blank or equal to the default of
    its field is absent.
    If a value is absent in both contacts, the survivor's stays; a field that the
    survivor does not have at all is copied as it is.
"""

from __future__ import annotations

from typing import Any

from upsertcore.rules.gatherer import freeze_merged
from upsertcore.values import FrozenMap, empty, same

__all__ = ["default_of", "fill", "is_absent", "is_all_absent"]


def fill(stored: Any, sent: Any) -> Any:
    """
    Return the sent value if the stored one is absent or blank.

    >>> fill("a", "b"), fill("", "b"), fill("", ()), fill(None, "")
    ('a', 'b', '', '')
    """
    # A blank fills only an absent value; otherwise the last kind of blank would stay.
    fills = stored is None or (empty(stored) and not empty(sent))
    return sent if fills and sent is not None else stored


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


def is_all_absent(value: Any, default: Any) -> bool:
    """Return whether a value is absent, or a mapping of absent values."""
    value = freeze_merged(value)
    if is_absent(value, default) or not isinstance(value, FrozenMap):
        return is_absent(value, default)
    return all(is_all_absent(v, default_of(default, n)) for n, v in value.items())


def default_of(default: Any, name: str) -> Any:
    """Return the default of a name inside a mapping, None for none."""
    return default.get(name) if isinstance(default, FrozenMap) else None

"""
Showing a value in a message.

Rules:
    What is shown is short and printable, and showing it never raises.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping

__all__ = ["kind_of", "shown"]

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60
_SHORT.maxlevel = 2


def shown(value: object) -> str:
    """
    Show a value in a message: short, printable, and whatever it is.

    Args:
        value: Anything, also what cannot be printed (a lone surrogate, an
            integer of five thousand digits, a megabyte of text).

    Returns:
        At most about 60 characters for a scalar.

    >>> shown("a" * 100)
    "'aaaaaaaaaaaaaaaaaaaaaaaaaaa...aaaaaaaaaaaaaaaaaaaaaaaaaaaa'"
    """
    try:
        return _SHORT.repr(value)
    except Exception:  # noqa: BLE001 - a message must never hide the refusal it is for
        return f"<{type(value).__name__}>"


def kind_of(value: object) -> str:
    """
    Name the kind of a value, for a message that must not show the value.

    >>> kind_of("a"), kind_of(1.5), kind_of(True), kind_of(("a",)), kind_of(None)
    ('text', 'a number', 'true or false', 'a list', 'null')
    """
    for kind, noun in _KINDS:
        if isinstance(value, kind):
            return noun
    return "null"


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (str, "text"),
    (bool, "true or false"),
    ((int, float), "a number"),
    ((list, tuple), "a list"),
    (Mapping, "a mapping"),
)

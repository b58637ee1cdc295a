"""
Showing a value in a message.

Rules:
    What is shown is short and printable, and showing it never raises.
"""

from __future__ import annotations

import reprlib

__all__ = ["shown"]

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

"""
Show: values, functions and names as a message shows them, shortened and printable.

Rules:
    A message shows a shortened value, never one that cannot be printed.
    Of a value that must stay hidden a message names the kind.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

__all__ = [
    "callable_name",
    "describe",
    "kind_of",
    "list_names",
    "show_name",
    "show_value",
]


class _ShortRepr(reprlib.Repr):
    """Shows a frozen mapping as a dict."""

    def repr_FrozenMap(self, value: Mapping[str, Any], level: int) -> str:  # noqa: N802
        return self.repr_dict(dict(value), level)


_SHORT = _ShortRepr()
_SHORT.maxstring = _SHORT.maxother = 60
_SHORT.maxlevel = 2


def show_value(value: object) -> str:
    """
    Return a short, printable representation of a value, for messages.

    Args:
        value: Any object, including one that cannot be printed (a lone surrogate, an
            integer of five thousand digits, a megabyte of text).

    Returns:
        At most about 60 characters for a scalar.

    >>> show_value("a" * 100)
    "'aaaaaaaaaaaaaaaaaaaaaaaaaaa...aaaaaaaaaaaaaaaaaaaaaaaaaaaa'"
    """
    # As below, which takes longer.
    if type(value) is str and len(value) < 60 and len(text := repr(value)) <= 60:
        return text
    try:
        return _SHORT.repr(value)
    except Exception:  # noqa: BLE001 - a message must never hide the refusal it is for
        return f"<{type(value).__name__}>"


def kind_of(value: object) -> str:
    """
    Return the kind of a value, for a message that must not show the value.

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


def describe(value: object) -> str:
    """
    Describe an argument: a function or a class by its name, other values as shown.

    >>> describe(len), describe(dict), describe("keep")
    ('the function len', 'the class dict', "'keep'")
    """
    if isinstance(value, type):
        return f"the class {value.__name__}"
    plain = not callable(value) or not hasattr(value, "__name__")
    return show_value(value) if plain else f"the function {callable_name(value)}"


def callable_name(function: object) -> str:
    """
    Return the name of a function or a rule, or else that of its class.

    >>> from functools import partial
    >>> callable_name(len), callable_name(partial(len, ()))
    ('len', 'partial')
    """
    for name in ("__name__", "name"):
        if hasattr(function, name):
            return str(getattr(function, name))
    return type(function).__name__


def show_name(name: object) -> str:
    """
    Show the name of a field: unchanged if it is short printable text.

    >>> show_name("email"), show_name("e mail"), show_name(7), show_name("")
    ('email', 'e mail', '7', "''")
    """
    plain = isinstance(name, str) and 0 < len(name) <= 60 and name.isprintable()
    return str(name) if plain else show_value(name)


def list_names(names: Iterable[object], most: int = 20) -> str:
    """
    Join names for a message, at most the first ones.

    >>> list_names(["a", "b", "c"], 2)
    'a, b, ...'
    """
    first = [show_name(name) for name in islice(names, most + 1)]
    return ", ".join([*first[:most], "..."] if len(first) > most else first)

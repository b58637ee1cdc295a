"""
Showing a value in a message.

Rules:
    What is shown is short and printable, and showing it never raises.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from itertools import islice
from typing import Any

__all__ = [
    "called",
    "closest",
    "described",
    "kind_of",
    "listed",
    "named",
    "shown",
    "unknown",
]


class _Short(reprlib.Repr):
    """Shows a frozen mapping as the mapping that was sent."""

    def repr_FrozenMap(self, value: Mapping[str, Any], level: int) -> str:  # noqa: N802
        return self.repr_dict(dict(value), level)


_SHORT = _Short()
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


def described(value: object) -> str:
    """
    Describe an argument: a function or a class by its name, another value as it is.

    >>> described(len), described(dict), described("keep")
    ('the function len', 'the class dict', "'keep'")
    """
    if isinstance(value, type):
        return f"the class {value.__name__}"
    plain = not callable(value) or not hasattr(value, "__name__")
    return shown(value) if plain else f"the function {called(value)}"


def called(function: object) -> str:
    """
    Name a function or a rule: by its own name, or that of its class.

    >>> from functools import partial
    >>> called(len), called(partial(len, ()))
    ('len', 'partial')
    """
    for name in ("__name__", "name"):
        if hasattr(function, name):
            return str(getattr(function, name))
    return type(function).__name__


def named(name: object) -> str:
    """
    Show the name of a field: as it is, unless it is not short printable text.

    >>> named("email"), named("e mail"), named(7), named("")
    ('email', 'e mail', '7', "''")
    """
    plain = isinstance(name, str) and 0 < len(name) <= 60 and name.isprintable()
    return str(name) if plain else shown(name)


def listed(names: Iterable[object], most: int = 20) -> str:
    """
    List names in a message, the first of them if there are many.

    >>> listed(["a", "b", "c"], 2)
    'a, b, ...'
    """
    first = [named(name) for name in islice(names, most + 1)]
    return ", ".join([*first[:most], "..."] if len(first) > most else first)


def unknown(kind: str, name: object, known: Iterable[str]) -> str:
    """
    Say that a policy has no such key or field, and which it has.

    >>> unknown("key", "mail", ["email"]), unknown("key", "mail", [])
    ("unknown key 'mail'; this policy has: email", "unknown key 'mail'; ... has none")
    """
    names = listed(known)
    has = f"has: {names}" if names else "has none"
    return f"unknown {kind} {shown(name)}; this policy {has}"


def closest(name: object, known: Iterable[str]) -> str | None:
    """
    Find the known name that a misspelt one most likely means; None without one.

    Cost:
        Bounded: long names, and all but the first 200 known ones, are not compared.

    >>> closest("emial", ("email", "phone")), closest("x", ("email",))
    ('email', None)
    """
    if not isinstance(name, str) or len(name) > 60:
        return None
    short = [each for each in islice(known, 200) if len(each) <= 60]
    return next(iter(get_close_matches(name, short, 1)), None)

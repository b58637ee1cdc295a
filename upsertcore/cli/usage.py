"""Incorrect usage of the command line, and arguments of the form ``NAME=VALUE``."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["InvalidUsage", "parse_pairs"]


class InvalidUsage(ValueError):
    """
    The command line is used incorrectly.

    >>> str(InvalidUsage("--map: must be COLUMN=FIELD"))
    '--map: must be COLUMN=FIELD'
    """


def parse_pairs(
    flag: str, words: Iterable[str], form: str = "NAME=VALUE"
) -> dict[str, str]:
    """
    Parse ``NAME=VALUE`` arguments.

    Raises:
        InvalidUsage: If one has no name or no ``=``, or a name is repeated.

    >>> parse_pairs("--set", ["a=b=c", "d="])
    {'a': 'b=c', 'd': ''}
    """
    pairs: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise InvalidUsage(f"{flag}: must be {form}, not {word!r}")
        if name in pairs:
            raise InvalidUsage(f"{flag}: {name!r} is given twice")
        pairs[name] = value
    return pairs

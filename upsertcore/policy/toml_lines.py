"""
The lines of a TOML text: where each of its names is set.

Rules:
    The text is valid, as ``tomllib`` has read it.
    What is in an inline table or in a list has the line of the statement around it.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

__all__ = ["line_of", "statement_lines"]

# Text in quotes of four kinds, comments, line breaks, brackets, and all else.
_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?!")'
    r"|'''.*?'''(?!')"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'"
    r"|#[^\n]*|\n|[\[\]{}=]|[^\"'#\n\[\]{}=]+",
    re.DOTALL,
)
_DEPTH = {"[": 1, "{": 1, "]": -1, "}": -1}


def statement_lines(text: str) -> dict[tuple[str, ...], int]:
    r"""
    Return the line of each table and each key.

    Args:
        text: Valid TOML.

    Returns:
        The names down to a table or a key, to the number of its line, from 1.

    Cost:
        Linear in the text.

    >>> statement_lines('a = 1\n[fields."e.mail"]\nkey = "email"')
    ... # doctest: +NORMALIZE_WHITESPACE
    {('a',): 1, ('fields',): 2, ('fields', 'e.mail'): 2,
     ('fields', 'e.mail', 'key'): 3}
    """
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    name, line, depth, is_value = "", 1, 0, False
    for match in _TOKEN.finditer(text.replace("\r\n", "\n") + "\n"):
        part = match[0]
        depth += _DEPTH.get(part, 0)
        if part == "\n" and not depth:
            if not is_value and name.strip():
                table = _path(name)
                _add(lines, table, line)
            name, is_value = "", False
        elif part == "=" and not depth and not is_value:
            _add(lines, (*table, *_path(f"{name}=0")), line)
            is_value = True
        elif not is_value and part[0] != "#":
            name += part
        line += part.count("\n")
    return lines


def _path(statement: str) -> tuple[str, ...]:
    """Return the names of a statement: a table without content, or a key."""
    value: Any = tomllib.loads(statement)
    path = []
    while isinstance(value, dict) and value:
        [(name, value)] = value.items()
        path.append(name)
    return tuple(path)


def _add(lines: dict[tuple[str, ...], int], path: tuple[str, ...], line: int) -> None:
    for length in range(1, len(path) + 1):
        lines.setdefault(path[:length], line)


def line_of(lines: dict[tuple[str, ...], int], path: tuple[str, ...]) -> int | None:
    """
    Return the line of a value, or else of the nearest statement around it.

    >>> line_of({("match",): 3}, ("match", "guard")), line_of({}, ("match",))
    (3, None)
    """
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None

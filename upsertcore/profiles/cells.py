"""
What the profiles share to read text: cells of a row, and options said in a word.

Rules:
    A cell that cannot be read as its field is written stays text, for the profile
    to refuse in the system's own words.
"""

from __future__ import annotations

import json
import re
from typing import Any

from upsertcore.values import shown

__all__ = ["as_json", "listed", "words", "yes_or_no"]


def yes_or_no(word: str) -> bool:
    """
    Read an option that is said in a word.

    Raises:
        ValueError: If it is neither ``true`` nor ``false``.

    >>> yes_or_no("true"), yes_or_no("false")
    (True, False)
    """
    if word not in {"true", "false"}:
        raise ValueError(f"must be true or false, not {shown(word)}")
    return word == "true"


_QUOTED = re.compile(r'"[^"]*"')
# A word in quotes, or one without, and the separator after it. The csv module has a
# limit on a cell's length that any other code of the process may have changed.
_WORDS = {
    separator: re.compile(
        rf'[ \r\n]*+(?:"((?:[^"]++|"")*+)"|(?!")([^{separator}]*+))(?:{separator}|\Z)'
    )
    for separator in ",;"
}
_LINES = str.maketrans("\r\n", "  ")


def words(cell: str) -> list[str]:
    """
    Read a cell that lists words: separated by semicolons, or else by commas.

    A word in double quotes may hold separators; two quotes inside it are one.

    >>> words("lead; vip"), words("lead,vip"), words(";")
    (['lead', 'vip'], ['lead', 'vip'], [])
    >>> words('"VIP","Blog, reader"')
    ['VIP', 'Blog, reader']
    """
    separator = ";" if ";" in _QUOTED.sub("", cell) else ","
    parts = _parts(cell, separator)
    return [part.strip() for part in parts if part.strip()]


def _parts(cell: str, separator: str) -> list[str]:
    if '"' not in cell:
        return cell.split(separator)
    parts, at = list[str](), 0
    while at < len(cell):
        part = _WORDS[separator].match(cell, at)
        if part is None:
            # A quote that is not closed is a character like others.
            return cell.split(separator)
        quoted, plain = part.groups()
        word = plain if quoted is None else quoted.replace('""', '"')
        parts.append(word.translate(_LINES))
        at = part.end()
    return parts


def listed(cell: str) -> list[Any]:
    """
    Read a cell that is a JSON list, or else lists words.

    >>> listed('["VIP", "x,y"]'), listed("lead;vip")
    (['VIP', 'x,y'], ['lead', 'vip'])
    """
    value = as_json(cell)
    return value if isinstance(value, list) else words(cell)


def as_json(cell: str) -> Any:
    """
    Read a cell as JSON; one that is none stays text.

    >>> as_json('{"a": 1}'), as_json("{")
    ({'a': 1}, '{')
    """
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return cell

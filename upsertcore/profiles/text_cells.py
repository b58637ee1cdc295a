"""
Parses the text cells of a row, and options given as text.

Rules:
    A cell that cannot be parsed as its field stays text, so that the profile refuses
    it with the system's own message.
"""

from __future__ import annotations

import json
import re
from typing import Any

from upsertcore.values import show_value

__all__ = ["parse_bool", "parse_json_cell", "parse_list", "split_words"]


def parse_bool(text: str) -> bool:
    """
    Parse a Boolean option.

    Raises:
        ValueError: If the text is neither ``true`` nor ``false``.

    >>> parse_bool("true"), parse_bool("false")
    (True, False)
    """
    if text not in {"true", "false"}:
        raise ValueError(f"must be true or false, not {show_value(text)}")
    return text == "true"


_QUOTED = re.compile(r'"[^"]*"')
# A quoted or unquoted word and the separator after it. The csv module is not used: its
# limit on the length of a cell is global, and other code may have changed it.
_WORDS = {
    separator: re.compile(
        rf'[ \r\n]*+(?:"((?:[^"]++|"")*+)"[ \r\n]*+|(?!")([^{separator}]*+))'
        rf"(?:{separator}|\Z)"
    )
    for separator in ",;"
}
_LINES = str.maketrans("\r\n", "  ")


def split_words(cell: str) -> list[str]:
    """
    Split a cell into words, separated by semicolons or otherwise by commas.

    A word in double quotes may contain separators; a doubled quote in it is one quote.

    >>> split_words("lead; vip"), split_words("lead,vip"), split_words(";")
    (['lead', 'vip'], ['lead', 'vip'], [])
    >>> split_words('"VIP" , "Blog, reader"')
    ['VIP', 'Blog, reader']
    """
    separator = ";" if ";" in _QUOTED.sub("", cell) else ","
    parts = _split(cell, separator)
    return [part.strip() for part in parts if part.strip()]


def _split(cell: str, separator: str) -> list[str]:
    if '"' not in cell:
        return cell.split(separator)
    parts, at = list[str](), 0
    while at < len(cell):
        part = _WORDS[separator].match(cell, at)
        if part is None:
            # An unclosed quote is an ordinary character.
            return cell.split(separator)
        quoted, plain = part.groups()
        word = plain if quoted is None else quoted.replace('""', '"')
        parts.append(word.translate(_LINES))
        at = part.end()
    return parts


def parse_list(cell: str) -> list[Any]:
    """
    Parse a cell that is a JSON list or a list of words.

    >>> parse_list('["VIP", "x,y"]'), parse_list("lead;vip")
    (['VIP', 'x,y'], ['lead', 'vip'])
    """
    value = parse_json_cell(cell)
    return value if isinstance(value, list) else split_words(cell)


def parse_json_cell(cell: str) -> Any:
    """
    Parse a cell as JSON; return other text unchanged.

    >>> parse_json_cell('{"a": 1}'), parse_json_cell("{")
    ({'a': 1}, '{')
    """
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return cell

"""
What the profiles share to read text: cells of a row, and options said in a word.

Rules:
    A cell that cannot be read as its field is written stays text, for the profile
    to refuse in the system's own words.
"""

from __future__ import annotations

import csv
import json
import re
from contextlib import suppress
from typing import Any

from upsertcore.showing import shown

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
    parts = cell.split(separator)
    if '"' in cell:
        line = csv.reader(
            [cell.translate(_LINES)],
            delimiter=separator,
            skipinitialspace=True,
            strict=True,
        )
        # A quote that is not closed, or is within a word, is a character like others.
        with suppress(csv.Error):
            parts = next(line)
    return [part.strip() for part in parts if part.strip()]


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

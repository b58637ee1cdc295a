"""
A row of an input file, and errors that end a file.

Rules:
    Nothing here depends on a profile or reads a file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from attrs import frozen

from upsertcore.values import show_value

__all__ = [
    "MARK",
    "REASON",
    "BadHeader",
    "InputRow",
    "UnreadableFile",
    "format_names",
    "problem_kind",
]

REASON, MARK = "#reason", "#book"
"""
The columns in which rejects have the reason of a row, and the mark of the run; they are
never fields.
"""

_MAX_NAMES = 12
_OMITTED = "\N{HORIZONTAL ELLIPSIS}"
_DETAIL = re.compile("[:;]")
_NUMBER = re.compile("(?<= )[0-9]+")


class UnreadableFile(ValueError):
    """
    A line, and therefore the remainder of the file, cannot be read.

    >>> str(UnreadableFile("line 3: is not closed; lines 3 to 9 were not read"))
    'line 3: is not closed; lines 3 to 9 were not read'
    """


class BadHeader(UnreadableFile):
    """
    The first line names no columns, or has a duplicate or unusable one.

    >>> str(BadHeader("duplicate column 'email'"))
    "duplicate column 'email'"
    """


@frozen
class InputRow:
    """
    One row of a file.

    Args:
        line: The line on which it starts, from 1.
        payload: Cells by field (tables), or the parsed JSON; None with an error.
        error: Why it cannot be read; blank otherwise.
        cells: True if the payload is cells, which the profile parses.
        source: The row as it is in the file: the header and the cells of a table, or
            the text of an object; None if it has no such form.

    >>> InputRow(2, {"email": "a@x.org"}, cells=True).error
    ''
    """

    line: int
    payload: Any = None
    error: str = ""
    cells: bool = False
    source: tuple[Sequence[str], Sequence[str]] | str | None = None


def format_names(names: list[str]) -> str:
    """
    Return a list of names as text, at most a dozen of them.

    >>> format_names(["email", "phone"])
    "'email', 'phone'"
    """
    text = ", ".join(map(show_value, names[:_MAX_NAMES]))
    more = len(names) - _MAX_NAMES
    return f"{text} and {more} more" if more > 0 else text


def problem_kind(error: str) -> str:
    """
    Return the error of an unreadable row without the details of that row.

    >>> problem_kind("is not valid CSV: unexpected end"), problem_kind("has 3 cells")
    ('is not valid CSV', 'has … cells')
    """
    return _NUMBER.sub(_OMITTED, _DETAIL.split(error)[0], count=1)

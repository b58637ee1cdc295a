"""
A row of an input file, the renaming of its columns, and errors that end a file.

Rules:
    Nothing here depends on a profile or reads a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import Factory, define, field, frozen

from upsertcore.values import show_value

__all__ = [
    "MARK",
    "REASON",
    "BadHeader",
    "Columns",
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
        payload: Text cells by column (CSV), or the parsed JSON; None with an error.
        error: Why it cannot be read; blank otherwise.
        cells: True if the payload is text cells.
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


def _with_rejects(rename: Mapping[str, str]) -> Mapping[str, str]:
    return {REASON: "", MARK: "", **rename}


@define
class Columns:
    """
    How columns are renamed, and which of them the input has.

    Args:
        rename: From column, or top-level name of an object, to field; a blank field
            drops the column.
        reserved: Names that no column may have.
        complete: False once objects were read: any of them may omit a name, so a
            missing one may be intended. A table names all its columns.

    >>> columns = Columns({"Mail": "email"})
    >>> columns.rename_header(["Mail", "city"]), columns.missing()
    (['email', 'city'], '')
    """

    rename: Mapping[str, str] = field(converter=_with_rejects)
    reserved: frozenset[str] = frozenset()
    complete: bool = True
    _seen_names: dict[str, None] = Factory(dict)

    def rename_header(self, columns: Iterable[str]) -> list[str]:
        """
        Return the fields of the columns of a table.

        Raises:
            BadHeader: If a column has a reserved name.
        """
        names = []
        for column in columns:
            self._seen_names[column] = None
            name = self.rename.get(column, column)
            if name in self.reserved:
                problem = (
                    f"column {show_value(column)}: {name} is a parameter, not a field"
                )
                remedy = f"pass it with --set {name}=... and drop the column"
                raise BadHeader(
                    f"{problem}; {remedy} with --map {show_value(column + '=')}"
                )
            names.append(name)
        return names

    def rename_object(self, payload: Mapping[str, Any]) -> list[tuple[str, Any]] | None:
        """Return the renamed items of an object; None if no name changes."""
        present = self.rename.keys() & payload.keys()
        if not present:
            return None
        self._seen_names.update(dict.fromkeys(present))
        items = [(self.rename.get(n, n), value) for n, value in payload.items()]
        return [(name, value) for name, value in items if name]

    def missing(self) -> str:
        """Return a message about columns to rename that are not present, or ""."""
        known = {REASON, MARK, *self._seen_names}
        absent = [name for name in self.rename if name not in known]
        if not absent:
            return ""
        message = f"--map: no column {format_names(absent)}"
        names = [name for name in self._seen_names if name]
        if not self.complete:
            return message
        return f"{message}; the columns are {format_names(names)}"


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

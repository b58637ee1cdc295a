"""
A row of a file, what its columns shall be called, and what ends a file early.

Rules:
    Nothing here knows a profile or reads a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import Factory, define, frozen

from upsertcore.values import shown

__all__ = ["BadHeader", "Columns", "InputRow", "UnreadableRow", "listed"]

_LISTED = 12


class UnreadableRow(ValueError):
    """
    A file of which a line, and therefore the rest, cannot be read.

    >>> str(UnreadableRow("line 3: does not end; lines 3 to 9 were not read"))
    'line 3: does not end; lines 3 to 9 were not read'
    """


class BadHeader(UnreadableRow):
    """
    A first line that names no columns, or one twice.

    >>> str(BadHeader("column 'email' stands there twice"))
    "column 'email' stands there twice"
    """


@frozen
class InputRow:
    """
    One row of a file.

    Args:
        line: The line on which it begins, from 1.
        payload: Text cells by column (CSV), or what the JSON says; None with an error.
        error: Why it cannot be read; blank where it can.
        cells: True where the payload is text cells.

    >>> InputRow(2, {"email": "a@x.org"}, cells=True).error
    ''
    """

    line: int
    payload: Any = None
    error: str = ""
    cells: bool = False


@define
class Columns:
    """
    What columns shall be called, and which of them there were.

    Args:
        rename: Column, or name at the top of an object, to what it shall be called;
            a blank one leaves it out.
        reserved: Names that no column may have.
        certain: False once objects were read, for a name that none of them has is
            no mistake; the columns of a table are known.

    >>> columns = Columns({"Mail": "email"})
    >>> columns.named(["Mail", "city"]), columns.missing()
    (['email', 'city'], '')
    """

    rename: Mapping[str, str]
    reserved: frozenset[str] = frozenset()
    certain: bool = True
    _met: dict[str, None] = Factory(dict)

    def named(self, columns: Iterable[str]) -> list[str]:
        """
        Return what the columns of a table shall be called.

        Raises:
            BadHeader: If one has a name that is reserved.
        """
        found = []
        for column in columns:
            self._met[column] = None
            name = self.rename.get(column, column)
            if name in self.reserved:
                what = f"column {shown(column)}: {name} is no field but a parameter"
                how = f"give it with --set {name}=..., and leave the column out"
                raise BadHeader(f"{what}; {how} with --map {shown(column + '=')}")
            found.append(name)
        return found

    def renamed(self, payload: Mapping[str, Any]) -> list[tuple[str, Any]] | None:
        """Return the parts of an object under new names; None if all names stay."""
        here = self.rename.keys() & payload.keys()
        if not here:
            return None
        self._met.update(dict.fromkeys(here))
        parts = [(self.rename.get(n, n), value) for n, value in payload.items()]
        return [(name, value) for name, value in parts if name]

    def missing(self) -> str:
        """Say which columns shall be renamed and were not there; blank if none."""
        absent = [name for name in self.rename if name not in self._met]
        if not absent:
            return ""
        told = f"--map: there is no column {listed(absent)}"
        here = [name for name in self._met if name]
        return f"{told}; the columns are {listed(here)}" if self.certain else told


def listed(names: list[str]) -> str:
    """
    Name some columns; of many the first dozen.

    >>> listed(["email", "phone"])
    "'email', 'phone'"
    """
    told = ", ".join(map(shown, names[:_LISTED]))
    rest = len(names) - _LISTED
    return f"{told} and {rest} more" if rest > 0 else told

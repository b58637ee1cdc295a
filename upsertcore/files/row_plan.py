"""
How the cells of a row become fields, worked out once for a header.

Rules:
    A field of one column takes its cell as it is; the profile parses it.
    Several columns of one field: all their values, where it takes several; otherwise
    the first that is filled.
    What is left out is counted.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from attrs import Factory, define, frozen

from upsertcore.files.column_map import Omit
from upsertcore.profiles.target import Cell, Split

__all__ = ["JoinedField", "Part", "RowPlan", "iso_date", "parts_by_field", "split_cell"]

_BLANK: tuple[Any, ...] = (None, "", [], {})


def split_cell(cell: str, separator: str) -> list[str]:
    """
    Split a cell; a value in double quotes may contain the separator.

    >>> split_cell("a ::: b", ":::"), split_cell('"VIP","Blog, reader"', ",")
    (['a', 'b'], ['VIP', 'Blog, reader'])
    """
    values = cell.split(separator)
    if '"' in cell and len(separator) == 1:
        try:
            reader = csv.reader([cell], delimiter=separator, skipinitialspace=True)
            values = next(reader, [])
        except csv.Error:
            pass
    return [value.strip() for value in values if value.strip()]


_DATE = re.compile(r"(\d{1,4})([./-])(\d{1,2})\2(\d{1,4})")


def iso_date(value: Any, order: str) -> Any:
    """
    Return a date as YYYY-MM-DD; a value that is no date of this order stays.

    >>> iso_date("25/9/1990", "DMY"), iso_date("9/25/90", "MDY")
    ('1990-09-25', '9/25/90')
    """
    match = _DATE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return value
    part = dict(zip(order, match.group(1, 3, 4), strict=True))
    if len(part["Y"]) != 4:
        return value
    try:
        return date(int(part["Y"]), int(part["M"]), int(part["D"])).isoformat()
    except ValueError:
        return value


@frozen
class Part:
    """
    One column of a field.

    Args:
        index: Its place in the row.
        column: Its name.
        separator: What separates the values in its cells, None if nothing.
        split: How the target splits a cell, None if the field takes one value.
        omit: Values that are left out.
        dates: The orders of its dates that the caller and a ready map know.
        become: What its values become, by the value in lower case.
    """

    index: int
    column: str
    separator: str | None = None
    split: Split | None = None
    omit: tuple[Omit, ...] = ()
    dates: tuple[str, str] = ("", "")
    become: Mapping[str, str] = {}

    @property
    def is_plain(self) -> bool:
        """Whether its cells are taken as they are."""
        is_split = self.separator is not None
        return not (is_split or self.omit or self.become or any(self.dates))

    def values(self, cell: Any, left_out: Counter[tuple[str, str]]) -> list[Any]:
        """
        Return the values of a cell.

        Args:
            cell: The cell, which is not blank.
            left_out: Counts what is left out, by column and reason.
        """
        values: list[Any]
        if not isinstance(cell, str):
            values = cell if isinstance(cell, list) else [cell]
        elif self.separator is not None:
            values = split_cell(cell, self.separator)
        else:
            values = [cell] if self.split is None else self.split(cell)
        if self.become:
            values = [
                self.become.get(value.casefold(), value)
                if isinstance(value, str)
                else value
                for value in values
            ]
        own, known = self.dates
        if own:
            values = [iso_date(value, own) for value in values]
        values = [value for value in values if self._is_kept(value, left_out)]
        return [iso_date(value, known) for value in values] if known else values

    def _is_kept(self, value: Any, left_out: Counter[tuple[str, str]]) -> bool:
        for rule in self.omit:
            if isinstance(value, str) and rule.values.fullmatch(value):
                left_out[self.column, rule.why] += 1
                return False
        return True


@frozen
class JoinedField:
    """
    A field with several columns, or with one whose cells are split or checked.

    Args:
        field: The field.
        parts: Its columns.
        many: Whether it takes several values.
    """

    field: str
    parts: tuple[Part, ...]
    many: bool


@define
class RowPlan:
    """
    How the cells of a row become fields.

    Args:
        names: The field of each column that is one field as it is; None otherwise.
        joined: The other fields.
        unnamed: The places of columns without a name.
        clear: Cells that clear their field.
        constants: Fields of every row that has none of its own.
        footer: Whether lines of one cell after a blank line end the table.
        left_out: The number of values that were left out, by column and reason.

    >>> parts = Part(0, "Tel"), Part(1, "Mobile")
    >>> plan = RowPlan([None, None, "city"], (JoinedField("phone", parts, False),))
    >>> plan.fields(["", "+1", "Oslo"]), plan.fields(["+2", "+1", ""])
    ({'city': 'Oslo', 'phone': '+1'}, {'phone': '+2'})
    """

    names: Sequence[str | None]
    joined: tuple[JoinedField, ...] = ()
    unnamed: tuple[int, ...] = ()
    clear: frozenset[str] = frozenset()
    constants: Mapping[str, str] = {}
    footer: bool = False
    left_out: Counter[tuple[str, str]] = Factory(Counter)
    is_plain: bool = False
    _numbers: dict[int, int] = Factory(dict)

    def __attrs_post_init__(self) -> None:
        self.is_plain = not (self.joined or self.clear or self.constants)

    def fields(self, cells: Sequence[str]) -> dict[str, Cell]:
        """
        Return the fields of a row of a table, without blank cells.

        Args:
            cells: As many cells as columns.
        """
        fields: dict[str, Cell] = {
            name: cell
            for name, cell in zip(self.names, cells, strict=True)
            if cell and name
        }
        return fields if self.is_plain else self._with_joined(fields, cells)

    def renamed(self, values: Sequence[Any]) -> dict[str, Any]:
        """
        Return the fields of an object; blank values of single fields stay.

        Args:
            values: The values of its names, in their order.
        """
        fields = {
            name: value
            for name, value in zip(self.names, values, strict=True)
            if name is not None
        }
        return fields if self.is_plain else self._with_joined(fields, values)

    def _with_joined(
        self, fields: dict[str, Any], cells: Sequence[Any]
    ) -> dict[str, Any]:
        if self.clear:
            for name, cell in fields.items():
                if isinstance(cell, str) and cell in self.clear:
                    fields[name] = None
        for joined in self.joined:
            values, is_cleared = self._values(joined, cells)
            if values:
                fields[joined.field] = values if joined.many else values[0]
            elif is_cleared:
                fields[joined.field] = None
        return {**self.constants, **fields} if self.constants else fields

    def _values(
        self, joined: JoinedField, cells: Sequence[Any]
    ) -> tuple[list[Any], bool]:
        values: list[Any] = []
        is_cleared = False
        for part in joined.parts:
            cell = cells[part.index]
            if cell in _BLANK:
                continue
            if isinstance(cell, str) and cell in self.clear:
                is_cleared = True
                continue
            new = [
                value
                for value in part.values(cell, self.left_out)
                if value not in values
            ]
            if not joined.many:
                new, others = ([], new) if values else (new[:1], new[1:])
                if others:
                    why = f"{joined.field} takes one value"
                    self.left_out[part.column, why] += len(others)
            values += new
        return values, is_cleared

    def is_index(self, cells: Sequence[str]) -> bool:
        """
        Return whether the unnamed cells of a row are blank, or number the rows.

        >>> plan = RowPlan([None, "email"], unnamed=(0,))
        >>> [plan.is_index([cell, "a@x.org"]) for cell in ("0", "", "1", "x", "1")]
        [True, True, True, False, False]
        """
        return all(
            self._is_number(place, cells[place])
            for place in self.unnamed
            if cells[place]
        )

    def _is_number(self, place: int, cell: str) -> bool:
        is_number = cell.isascii() and cell.isdecimal() and len(cell) <= _MAX_DIGITS
        last = self._numbers.get(place)
        is_next = is_number and (cell in "01" if last is None else int(cell) > last)
        if is_next:
            # Numbers count from 0 or 1, and may have gaps where rows were removed.
            self._numbers[place] = int(cell)
        return is_next

    @property
    def has_index(self) -> bool:
        """Whether an unnamed column has numbered rows."""
        return bool(self._numbers)


_MAX_DIGITS = 18


def parts_by_field(
    uses: Iterable[tuple[str, Part]],
) -> dict[str, list[Part]]:
    """
    Return the columns of each field, in their order.

    >>> [*parts_by_field([("phone", Part(0, "Tel")), ("phone", Part(2, "Fax"))])]
    ['phone']
    """
    parts: dict[str, list[Part]] = {}
    for field, part in uses:
        parts.setdefault(field, []).append(part)
    return parts

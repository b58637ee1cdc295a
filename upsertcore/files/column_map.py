"""
What is known of the columns of a file: a map file, or a ready map of an export.

Rules:
    A map is TOML. An error names the file, the key, and what would be right.
    ``#`` in the name of a column is any number.
    Nothing here reads a file of contacts.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from attrs import field, frozen

from upsertcore.files.read_options import ReadOptions
from upsertcore.profiles.target import comparable
from upsertcore.values import show_value

__all__ = ["BadMap", "ColumnMap", "Omit", "parse_map"]

_READING = ("delimiter", "encoding", "null", "path", "sheet")
_AS_IT_IS = ReadOptions()


class BadMap(ValueError):
    """
    A map cannot be used.

    >>> str(BadMap("m.toml: columns: must be a table"))
    'm.toml: columns: must be a table'
    """


@frozen
class Omit:
    """
    Values that are left out.

    Args:
        columns: The columns; none for all.
        values: A regular expression; a whole value is left out.
        why: The reason, which is reported with their number.

    >>> rule = Omit(("Birthday",), re.compile("0/0/00"), "no date")
    >>> rule.values.fullmatch("0/0/00") is not None
    True
    """

    columns: tuple[str, ...]
    values: re.Pattern[str]
    why: str


@frozen
class ColumnMap:
    """
    A map of columns to fields, and how their cells are read.

    Args:
        name: The file, or the name of the export, for messages.
        title: The product, as messages call it.
        columns: Column to fields, or standard words; none leaves it out. A "" among
            the words of a ready map: no other field has it, however it is spelled.
        drop: Columns that are left out, unless a field is spelled so.
        separators: Column to what separates the values in a cell.
        dates: Column to the order of its dates, such as ``DMY``.
        values: Column to what its values become; their case does not matter.
        omit: Values that are left out.
        clear: Cells that clear a field.
        constants: Fields set in every row.
        reading: How the file is read, such as its delimiter.
        ready: The ready map that applies besides; "" for the one that fits.
        only_mapped: Whether columns without a field are left out.
        recognise: Lists of columns; the export has all of one list.
        preamble: The first line of the text before the header.
        header: The line of the header, None for the first one.
        footer: Whether lines of one cell after a blank line end the table.
        source: Where the format is documented.

    >>> phones = ColumnMap("m.toml", columns={"Phone # - Value": ("phone",)})
    >>> phones.fields("phone 2 - value"), phones.fields("Fax")
    (('phone',), None)
    """

    name: str = ""
    title: str = ""
    columns: Mapping[str, tuple[str, ...]] = {}
    drop: tuple[str, ...] = ()
    separators: Mapping[str, str] = {}
    dates: Mapping[str, str] = {}
    values: Mapping[str, Mapping[str, str]] = {}
    omit: tuple[Omit, ...] = ()
    clear: frozenset[str] = frozenset()
    constants: Mapping[str, str] = {}
    reading: ReadOptions = _AS_IT_IS
    ready: str = ""
    only_mapped: bool = False
    recognise: tuple[tuple[str, ...], ...] = ()
    preamble: str = ""
    header: int | None = None
    footer: bool = False
    source: tuple[str, ...] = ()
    _find: Mapping[str, Callable[[str], Any]] = field(init=False, eq=False, repr=False)

    @_find.default
    def _finders(self) -> Mapping[str, Callable[[str], Any]]:
        entries = {**dict.fromkeys(self.drop), **self.columns}
        return {
            "fields": _finder(entries),
            "separator": _finder(self.separators),
            "dates": _finder(self.dates),
            "values": _finder(self.values),
            "omit": _finder({name: 1 for rule in self.omit for name in rule.columns}),
        }

    def fields(self, column: str) -> tuple[str, ...] | None:
        """Return the fields of a column, () if it is dropped, None if it is unknown."""
        found = self._find["fields"](column)
        return None if found is None else found[1] or ()

    def drops(self, column: str) -> bool:
        """Return whether a column is one that is left out unless it is a field."""
        found = self._find["fields"](column)
        return found is not None and found[1] is None

    def rank(self, column: str) -> int:
        """Return the place of a column in the map."""
        return [*self.columns].index(self.key(column) or "")

    def key(self, column: str) -> str | None:
        """Return how the map spells a column; None if it is unknown."""
        found = self._find["fields"](column)
        return None if found is None else found[0]

    def separator(self, column: str) -> str | None:
        """Return what separates the values in a cell of a column; None if nothing."""
        found = self._find["separator"](column)
        return None if found is None else found[1]

    def date_order(self, column: str) -> str:
        """Return the order of the dates of a column, "" if it is not known."""
        found = self._find["dates"](column)
        return "" if found is None else found[1]

    def values_of(self, column: str) -> Mapping[str, str]:
        """Return what the values of a column become."""
        found = self._find["values"](column)
        return {} if found is None else found[1]

    def omits(self, column: str) -> tuple[Omit, ...]:
        """Return the rules of the values of a column that are left out."""
        found = self._find["omit"](column)
        key = None if found is None else found[0]
        return tuple(
            rule for rule in self.omit if not rule.columns or key in rule.columns
        )


def _finder(entries: Mapping[str, Any]) -> Callable[[str], Any]:
    """Return what finds the entry of a column: (its key, its value), or None."""
    forms = {comparable(key): key for key in entries if "#" not in key}
    patterns = [
        (re.compile(r"\d+".join(map(comparable, key.split("#")))), key)
        for key in entries
        if "#" in key and comparable(key)
    ]

    def find(column: str) -> Any:
        if column in entries:
            return column, entries[column]
        form = comparable(column)
        numbered = (key for pattern, key in patterns if pattern.fullmatch(form))
        found = forms.get(form) if form else None
        found = next(numbered, None) if found is None else found
        return None if found is None else (found, entries[found])

    return find


def parse_map(text: str, name: str) -> ColumnMap:
    """
    Parse a map.

    Args:
        text: The TOML.
        name: The file, for messages.

    Raises:
        BadMap: If it is not valid.

    >>> parse_map('columns = {Mail = "email"}', "m.toml").fields("mail")
    ('email',)
    >>> parse_map("separator = 1", "m.toml")
    Traceback (most recent call last):
    ...
    upsertcore.files.column_map.BadMap: m.toml: separator: unknown key; use separators
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadMap(f"{name}: is not valid TOML: {error}") from error
    values: dict[str, Any] = {}
    reading: dict[str, Any] = {}
    for key, value in table.items():
        if key in _READING:
            reading[key] = value
            continue
        if key not in _PARSERS:
            raise BadMap(f"{name}: {key}: unknown key; {_advice(key)}")
        argument, parse = _PARSERS[key]
        try:
            values[argument] = parse(value)
        except ValueError as error:
            raise BadMap(f"{name}: {key}{error}") from error
    try:
        return ColumnMap(name, reading=ReadOptions(**reading), **values)
    except (TypeError, ValueError) as error:
        raise BadMap(f"{name}: {error}") from error


def _advice(key: str) -> str:
    known = [*_PARSERS, *_READING]
    near = [name for name in known if name.startswith(key) or key.startswith(name)]
    return f"use {near[0]}" if near else f"the keys are {', '.join(sorted(known))}"


def _require(condition: object, problem: str, value: object) -> None:
    if not condition:
        raise ValueError(f"{problem}, not {show_value(value)}")


def _text(value: Any) -> str:
    _require(isinstance(value, str), ": must be text", value)
    return str(value)


def _texts(value: Any) -> tuple[str, ...]:
    is_list = isinstance(value, list) and all(isinstance(v, str) for v in value)
    _require(is_list, ": must be a list of texts", value)
    return tuple(value)


def _table(value: Any) -> Iterator[tuple[str, Any]]:
    _require(isinstance(value, dict), ": must be a table", value)
    yield from value.items()


def _columns(value: Any) -> dict[str, tuple[str, ...]]:
    columns: dict[str, tuple[str, ...]] = {}
    for column, fields in _table(value):
        names = [fields] if isinstance(fields, str) else fields
        is_list = isinstance(names, list) and all(isinstance(n, str) for n in names)
        problem = f": {show_value(column)} must be a field or a list of fields"
        _require(is_list, problem, fields)
        columns[column] = tuple(names) if any(names) else ()
    return columns


def _text_table(value: Any) -> dict[str, str]:
    texts: dict[str, str] = {}
    for key, text in _table(value):
        problem = f": {show_value(key)} must be text"
        _require(isinstance(text, str) and text, problem, text)
        texts[key] = text
    return texts


def _values(value: Any) -> dict[str, dict[str, str]]:
    values: dict[str, dict[str, str]] = {}
    for column, table in _table(value):
        is_table = isinstance(table, dict)
        _require(is_table, f": {show_value(column)} must be a table of values", table)
        values[column] = {
            cell.casefold(): text for cell, text in _text_table(table).items()
        }
    return values


def _orders(value: Any) -> dict[str, str]:
    orders = _text_table(value)
    for key, order in orders.items():
        _require(
            sorted(order) == sorted("DMY"),
            f": {show_value(key)} must be an order of D, M and Y, such as DMY",
            order,
        )
    return orders


def _lists(value: Any) -> tuple[tuple[str, ...], ...]:
    _require(isinstance(value, list), ": must be a list of lists of columns", value)
    return tuple(map(_texts, value))


def _rules(value: Any) -> tuple[Omit, ...]:
    is_list = isinstance(value, list) and all(isinstance(rule, dict) for rule in value)
    _require(is_list, ": must be tables of columns, values and why", value)
    rules = []
    for rule in value:
        is_complete = {"values", "why"} <= rule.keys() <= {"columns", "values", "why"}
        _require(is_complete, ": each must have values, why, and maybe columns", rule)
        pattern, why = _text(rule["values"]), _text(rule["why"])
        try:
            values = re.compile(pattern)
        except re.error as error:
            problem = f": values: is not a regular expression: {error}"
            raise ValueError(problem) from error
        rules.append(Omit(_texts(rule.get("columns", [])), values, why))
    return tuple(rules)


def _line(value: Any) -> int:
    is_line = isinstance(value, int) and not isinstance(value, bool) and value > 0
    _require(is_line, ": must be the number of a line", value)
    return int(value)


def _flag(value: Any) -> bool:
    _require(isinstance(value, bool), ": must be true or false", value)
    return bool(value)


_PARSERS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "columns": ("columns", _columns),
    "drop": ("drop", _texts),
    "separators": ("separators", _text_table),
    "dates": ("dates", _orders),
    "values": ("values", _values),
    "omit": ("omit", _rules),
    "clear": ("clear", lambda value: frozenset(_texts(value))),
    "set": ("constants", _text_table),
    "header": ("header", _line),
    "preamble": ("preamble", _text),
    "footer": ("footer", _flag),
    "from": ("ready", _text),
    "only_mapped": ("only_mapped", _flag),
    "title": ("title", _text),
    "source": ("source", _texts),
    "recognise": ("recognise", _lists),
}

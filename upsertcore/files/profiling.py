"""
Profile a file: figures to choose a policy by.

Rules:
    One pass. The kind of a column is decided by its first rows; all rows are counted.
    Memory grows with distinct values and forms, not with rows: a long value is kept as
    its beginning and a digest.
    A placeholder is no form, as under ``blocked=normalize.PLACEHOLDERS``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from heapq import nlargest
from itertools import chain, islice, zip_longest
from typing import Any, TypeAlias

from attrs import Factory, define, field

from upsertcore.files.column_kinds import (
    KEY_KINDS,
    ColumnKind,
    Kind,
    check_kinds,
    column_kind,
)
from upsertcore.files.figures import (
    ColumnFigures,
    Conflict,
    Examples,
    FileFigures,
    KeyFigures,
    SharedForm,
)
from upsertcore.files.rows import InputRow, format_names, problem_kind
from upsertcore.normalize import PLACEHOLDERS, phone_in
from upsertcore.normalize.blocked_patterns import compile_patterns, is_blocked
from upsertcore.profiles.text_cells import split_words
from upsertcore.values import callable_name, show_value

__all__ = ["SAMPLE_ROWS", "profile_rows"]

SAMPLE_ROWS = 1_000
"""The number of rows that decide on the kinds of columns."""

_LONG, _SHOWN = 64, 40
_EXAMPLES = 5
_PLACEHOLDER, _UNUSABLE = object(), object()
_BLOCKED = compile_patterns("value", PLACEHOLDERS)

Forms: TypeAlias = "tuple[str | None, ...]"
"""The name of a row, and its form of each key."""


@define
class _Tally:
    """Values of a sort: their number, and the first distinct ones."""

    values: int = 0
    first: dict[str, None] = Factory(dict)

    def add(self, token: str) -> None:
        self.values += 1
        if len(self.first) < _EXAMPLES:
            self.first[_shown(token)] = None

    def examples(self) -> Examples:
        return Examples(self.values, (*self.first,))


@define
class _Column:
    """
    What is counted of a column.

    Args:
        name: Its name.
        kind: What it holds.
        outcomes: Each distinct value to its form, or to why it has none.
    """

    name: str
    kind: ColumnKind
    filled: int = 0
    outcomes: dict[str, Any] = Factory(dict)
    unusable: _Tally = Factory(_Tally)
    placeholders: _Tally = Factory(_Tally)

    def add(self, values: list[Any]) -> str | None:
        """Count the values of one row, and return the first form."""
        self.filled += 1
        first: str | None = None
        for value in values:
            token = _token(_written(value))
            outcome = self.outcomes.get(token)
            if outcome is None:
                outcome = self.outcomes[token] = self._outcome(value)
            if outcome is _PLACEHOLDER:
                self.placeholders.add(token)
            elif outcome is _UNUSABLE:
                self.unusable.add(token)
            elif first is None:
                first = outcome
        return first

    def _outcome(self, value: Any) -> Any:
        normalizer = self.kind.normalizer
        form = None if normalizer is None else normalizer(value)
        # In a column of numbers, 0 is a number.
        is_plain = self.kind.kind in ("number", "boolean") and form is not None
        words = [word for word in (value, form) if isinstance(word, str)]
        if not is_plain and is_blocked(_BLOCKED, *map(str.strip, words)):
            return _PLACEHOLDER
        if normalizer is None:
            return ""
        return _UNUSABLE if form is None else _token(form)


@define
class _Holders:
    """
    The rows with one form of a key.

    Args:
        line: The line of the first one.
        forms: The first form of each key among them, and the first name.
        rows: Their number.
        differ: The keys of which they have several forms, as bits.
    """

    line: int
    forms: Forms
    rows: int = 1
    differ: int = 0


@define
class _Profiler:
    """The state of a pass."""

    region: Any
    given: Mapping[str, Kind]
    rows: int = 0
    unreadable: Counter[str] = Factory(Counter)
    columns: dict[str, _Column] = Factory(dict)
    keys: dict[str, int] = Factory(dict)
    holders: list[dict[str, _Holders]] = field(factory=lambda: [{}])
    apart_rows: Counter[tuple[int, int]] = Factory(Counter)
    apart_lines: dict[tuple[int, int], tuple[int, int]] = Factory(dict)

    def decide(self, name: str, sample: Iterable[list[Any]]) -> None:
        """Begin a column, of which some rows are known."""
        values = dict.fromkeys(
            _written(value)
            for values in sample
            for value in values
            if not is_blocked(_BLOCKED, _written(value).strip())
        )
        are_lists = any(len(row) > 1 for row in sample)
        how: Any = {"region": self.region, "given": self.given.get(name)}
        kind = column_kind(name, values, **how, are_lists=are_lists)
        self.columns[name] = _Column(name, kind)
        if kind.kind in KEY_KINDS:
            self.keys[name] = len(self.holders)
            self.holders.append({})

    def add(self, line: int, cells: Mapping[str, list[Any]]) -> None:
        """Count a row."""
        self.rows += 1
        forms: list[str | None] = [None] * len(self.holders)
        names = []
        for name, values in cells.items():
            if name not in self.columns:
                # The kind is that of the header: later values do not change it.
                self.decide(name, [])
                forms.append(None)
            column = self.columns[name]
            form = column.add(_items(column.kind.kind, values))
            if form is not None and column.kind.kind == "name":
                names.append(form)
            if name in self.keys:
                forms[self.keys[name]] = form
        forms[0] = _token(" ".join(names)) if names else None
        self._hold(line, tuple(forms))

    def _hold(self, line: int, forms: Forms) -> None:
        """Count what each key joins, and what others keep apart."""
        for key, form in enumerate(forms):
            if form is None or not key:
                continue
            held = self.holders[key].get(form)
            if held is None:
                self.holders[key][form] = _Holders(line, forms)
                continue
            held.rows += 1
            pairs = [*zip_longest(held.forms, forms)]
            for other, (first, own) in enumerate(pairs):
                if first is not None and own is not None and first != own:
                    held.differ |= 1 << other
                    self.apart_rows[key, other] += 1
                    self.apart_lines.setdefault((key, other), (held.line, line))
            if None in held.forms:
                held.forms = tuple(
                    own if first is None else first for first, own in pairs
                )

    def figures(self) -> FileFigures:
        """Return the figures of the rows so far."""
        columns = [self._column(column) for column in self.columns.values()]
        kinds = dict(self.unreadable)
        return FileFigures(self.rows, kinds, tuple(columns), tuple(self._conflicts()))

    def _column(self, column: _Column) -> ColumnFigures:
        kind, key = column.kind, self.keys.get(column.name)
        normalizer = kind.normalizer
        function = "" if normalizer is None else callable_name(normalizer).lstrip("_")
        return ColumnFigures(
            column.name,
            kind.kind,
            kind.reason,
            kind.agrees,
            function,
            column.filled,
            len(column.outcomes),
            column.unusable.examples(),
            column.placeholders.examples(),
            None if key is None else self._key(self.holders[key]),
        )

    def _key(self, holders: Mapping[str, _Holders]) -> KeyFigures:
        rows = sum(held.rows for held in holders.values())
        shared = [(form, held) for form, held in holders.items() if held.rows > 1]
        most = nlargest(_EXAMPLES, shared, key=lambda pair: pair[1].rows)
        return KeyFigures(
            rows,
            len(holders),
            len(holders) + self.rows - rows,
            len(shared),
            sum(held.differ & 1 for _form, held in shared),
            tuple(
                SharedForm(_shown(form), held.rows, bool(held.differ & 1), held.line)
                for form, held in most
            ),
        )

    def _conflicts(self) -> Iterator[Conflict]:
        names = ["", *self.keys]
        for (key, other), rows in sorted(self.apart_rows.items()):
            if not other:
                continue
            forms = sum(held.differ >> other & 1 for held in self.holders[key].values())
            lines = self.apart_lines[key, other]
            yield Conflict(names[key], names[other], forms, rows, lines)


def profile_rows(
    rows: Iterable[InputRow | Mapping[str, Any]],
    *,
    region: str | None = None,
    kinds: Mapping[str, Kind] | None = None,
) -> FileFigures:
    """
    Return the figures of a file: what its columns hold, and what each does as a key.

    Columns of the kinds email, phone, id and url are tried as keys. The name of a row
    is the values of its columns of the kind name. A cell with several values, such as
    a list in JSON, has the form of the first that has one.

    Args:
        rows: Rows of a file, or mappings; a mapping in a mapping is a column for each
            name, such as ``address.city``.
        region: The region of national telephone numbers: ``"US"``, ``"DE"``.
        kinds: Column to kind, where the first rows and the header do not decide it.

    Raises:
        ValueError: If a kind or the region is unknown, or no row has such a column.
        ModuleNotFoundError: With a region, if ``phonenumbers`` is not installed.

    Cost:
        One pass; time linear in the text. Memory for a thousand rows, for each
        distinct value of a column (at most 73 characters), and for the forms of all
        keys for each distinct form of a key.

    >>> rows = [
    ...     {"Name": "Ada", "E-mail": "ada@x.org", "Phone": "+12015550143"},
    ...     {"Name": "Bob", "E-mail": "bob@x.org", "Phone": "+1 201 555 0143"},
    ...     {"Name": "Ada", "E-mail": "ADA@x.org", "Phone": "n/a"},
    ... ]
    >>> figures = profile_rows(rows)
    >>> [(column.column, column.kind) for column in figures.columns]
    [('Name', 'name'), ('E-mail', 'email'), ('Phone', 'phone')]
    >>> [column.key.contacts for column in figures.columns if column.key]
    [2, 2]
    >>> [(each.joined_by, each.apart_by, each.rows) for each in figures.conflicts]
    [('Phone', 'E-mail', 1)]
    """
    given = kinds or {}
    check_kinds(given)
    profiler = _Profiler(None if region is None else phone_in(region), given)
    readable = _readable(rows, profiler.unreadable)
    sample = [*islice(readable, SAMPLE_ROWS)]
    for name in dict.fromkeys(name for _line, cells in sample for name in cells):
        profiler.decide(name, [cells[name] for _, cells in sample if cells.get(name)])
    for line, cells in chain(sample, readable):
        profiler.add(line, {name: values for name, values in cells.items() if values})
    if absent := [name for name in given if name not in profiler.columns]:
        known = format_names([*profiler.columns])
        what = f"the file has no column {show_value(absent[0])}"
        raise ValueError(f"kinds: {what}; its columns are {known}")
    return profiler.figures()


def _readable(
    rows: Iterable[InputRow | Mapping[str, Any]], unreadable: Counter[str]
) -> Iterator[tuple[int, dict[str, list[Any]]]]:
    """Yield line and cells of each readable row, and count the others."""
    has_begun = False
    for number, row in enumerate(rows, 1):
        line, error = number, ""
        payload: Any = row
        if isinstance(row, InputRow):
            line, payload, error = row.line, row.payload, row.error
        if not error and not isinstance(payload, Mapping):
            error = "is not an object"
        if error:
            unreadable[problem_kind(error)] += 1
        else:
            cells: dict[str, list[Any]] = {}
            if not has_begun and isinstance(row, InputRow) and row.cells and row.source:
                # Columns without any value.
                cells.update({name: [] for name in row.source[0] if name})
            has_begun = True
            _flatten(payload, "", cells)
            yield line, cells


def _flatten(
    payload: Mapping[str, Any], before: str, cells: dict[str, list[Any]]
) -> None:
    """Collect the values of each column; those of nested mappings as well."""
    for name, value in payload.items():
        column = f"{before}{name}"
        if isinstance(value, Mapping):
            _flatten(value, f"{column}.", cells)
        else:
            items = value if isinstance(value, (list, tuple)) else [value]
            present = [item for item in items if not _is_missing(item)]
            cells.setdefault(column, []).extend(present)


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _items(kind: Kind, values: list[Any]) -> list[Any]:
    """Return the values of a cell; those of a list are its words."""
    if kind != "list":
        return values
    return [word for value in values for word in split_words(_written(value))]


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _token(value: str) -> str:
    """Return a value; of a long one its beginning and a digest."""
    if len(value) <= _LONG:
        return value
    digest = blake2b(value.encode("utf-8", "surrogatepass"), digest_size=16)
    return f"{value[:_SHOWN]}\0{digest.hexdigest()}"


def _shown(token: str) -> str:
    """Return a token as it is shown: shortened, without its digest."""
    beginning, _nul, _digest = token.partition("\0")
    is_short = len(token) <= _SHOWN
    return token if is_short else f"{beginning[:_SHOWN]}\N{HORIZONTAL ELLIPSIS}"

"""
Tables: rows of CSV, with a comma, a semicolon or a tab between cells.

Rules:
    A row that cannot be read is a row with an error; the rows after it are read.
    A quote that is not closed would make one row of all that follow: the file is read
    no further, and what was not read is named.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain

from upsertcore.cli.row import BadHeader, Columns, InputRow, UnreadableRow
from upsertcore.values import shown

__all__ = ["readable", "table"]

_CELL_LIMIT = 1 << 24
_OPEN = ("unexpected end", "field larger")


def table(text: Iterable[str], columns: Columns) -> Iterator[InputRow]:
    r"""
    Read the rows of a table.

    Args:
        text: Its lines, with their ends.
        columns: What the columns shall be called.

    Raises:
        BadHeader: If the first line cannot be used.
        Unreadable: If a quote is not closed.

    Cost:
        Linear in the text; memory for one row.

    >>> [row.payload for row in table(["a;b\n", "1;\n"], Columns({}))]
    [{'a': '1'}]
    """
    lines = iter(text)
    first = next(lines, "")
    delimiter = max(",;\t", key=first.count)
    csv.field_size_limit(_CELL_LIMIT)
    reader = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
    header = _header(reader, columns)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            last = reader.line_num
            # A row of several lines: its quote took in what follows, or it is cut.
            if last > line or any(word in str(error) for word in _OPEN):
                raise _unclosed(line, last + sum(1 for _ in lines), error) from error
            yield InputRow(line, error=f"is no CSV: {error}")
            continue
        cells = [cell.strip() for cell in cells]
        if any(cells):
            yield _row(line, header, cells, reader.line_num)


def _unclosed(line: int, last: int, error: csv.Error) -> UnreadableRow:
    what = "the row that begins here has a quote that is not closed"
    unread = f"lines {line} to {last} were" if last > line else f"line {line} was"
    return UnreadableRow(f"line {line}: {what} ({error}); {unread} not read")


def _header(reader: Iterator[list[str]], columns: Columns) -> list[str | None]:
    """Name the columns: None is left out, and a blank name may hold blanks alone."""
    try:
        cells = [cell.strip() for cell in next(reader, [])]
    except csv.Error as error:
        raise BadHeader(f"the first line is no CSV: {error}") from error
    names = columns.named(cells)
    if not any(names):
        raise BadHeader("the first line must name the columns")
    counts = Counter(names)
    for name in names:
        if name and counts[name] > 1:
            raise BadHeader(f"column {shown(name)} stands there twice")
        if not readable(name):
            raise BadHeader(f"column {shown(name)} is not UTF-8 text")
    left_out = [name == "" != cell for name, cell in zip(names, cells, strict=True)]
    return [None if out else name for out, name in zip(left_out, names, strict=True)]


def _row(line: int, header: list[str | None], cells: list[str], last: int) -> InputRow:
    if len(cells) != len(header):
        error = f"has {len(cells)} cells, and the first line has {len(header)}"
        if last > line:
            # A quote that opens in one row and closes in another makes them one.
            error += f"; it ends in line {last}"
        return InputRow(line, error=error)
    if not all(map(readable, cells)):
        return InputRow(line, error="is not UTF-8 text")
    found = {
        name: cell
        for name, cell in zip(header, cells, strict=True)
        if cell and name is not None
    }
    if "" in found:
        return InputRow(line, error="has a cell in a column without a name")
    return InputRow(line, found, cells=True)


def readable(text: str) -> bool:
    r"""
    Return whether text was what UTF-8 can say; what was not is a lone surrogate.

    >>> readable("é"), readable("\udcff")
    (True, False)
    """
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False

"""
CSV input, separated by commas, semicolons or tabs.

Rules:
    A malformed row becomes a row with an error; reading continues after it.
    An unclosed quote would swallow all rows that follow: reading stops there, and the
    message names the lines that were not read.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain

from attrs import define

from upsertcore.files.rows import BadHeader, Columns, InputRow, UnreadableFile
from upsertcore.values import show_value

__all__ = ["is_text", "read_csv"]

_CELL_LIMIT = 1 << 24
_UNCLOSED = ("unexpected end", "field larger")


def read_csv(text: Iterable[str], columns: Columns) -> Iterator[InputRow]:
    r"""
    Read the rows of a CSV file.

    Args:
        text: The lines, with their line endings.
        columns: How columns are renamed.

    Raises:
        BadHeader: If the first line cannot be used.
        UnreadableFile: If a quote is not closed.

    Cost:
        Linear in the text; memory for one row.

    >>> [row.payload for row in read_csv(["a;b\n", "1;\n"], Columns({}))]
    [{'a': '1'}]
    """
    lines = iter(text)
    first = next(lines, "")
    delimiter = max(",;\t", key=first.count)
    csv.field_size_limit(_CELL_LIMIT)
    latest = _LatestLine(chain([first], lines))
    reader = csv.reader(latest, delimiter=delimiter, strict=True)
    names, header = _header(reader, columns)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            last = reader.line_num
            # A row of several lines: an unclosed quote, or a truncated file.
            if last > line or any(word in str(error) for word in _UNCLOSED):
                raise _unclosed_quote(
                    line, last + sum(1 for _ in lines), error
                ) from error
            problem, raw = f"is not valid CSV: {error}", latest.text.rstrip("\r\n")
            yield InputRow(line, error=problem, source=(names, [raw]))
            continue
        cells = [cell.strip() for cell in cells]
        if any(cells):
            yield _row(line, (names, cells), header, reader.line_num)


def _unclosed_quote(line: int, last: int, error: csv.Error) -> UnreadableFile:
    problem = f"line {line}: the row that starts here has an unclosed quote"
    unread = f"lines {line} to {last} were" if last > line else f"line {line} was"
    return UnreadableFile(f"{problem} ({error}); {unread} not read")


@define
class _LatestLine:
    """Lines, with the latest one that was read."""

    lines: Iterator[str]
    text: str = ""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.text = next(self.lines)
        return self.text


def _header(
    reader: Iterator[list[str]], columns: Columns
) -> tuple[list[str], list[str | None]]:
    """
    Return the columns, and the field of each.

    None drops a column, "" allows blank cells only.
    """
    try:
        cells = [cell.strip() for cell in next(reader, [])]
    except csv.Error as error:
        raise BadHeader(f"the first line is not valid CSV: {error}") from error
    names = columns.rename_header(cells)
    if not any(names):
        raise BadHeader("the first line must name the columns")
    counts = Counter(names)
    for name in names:
        if name and counts[name] > 1:
            raise BadHeader(f"duplicate column {show_value(name)}")
        if not is_text(name):
            raise BadHeader(f"column {show_value(name)} is not UTF-8 text")
    # A blank name that the input does not have comes from --map: it drops the column.
    dropped = [name == "" != cell for name, cell in zip(names, cells, strict=True)]
    pairs = zip(dropped, names, strict=True)
    return cells, [None if drop else name for drop, name in pairs]


def _row(
    line: int,
    source: tuple[list[str], list[str]],
    header: list[str | None],
    last: int,
) -> InputRow:
    cells = source[1]
    if len(cells) != len(header):
        error = f"has {len(cells)} cells, but the header has {len(header)}"
        if last > line:
            # A quote that opens in one row and closes in another joins them.
            error += f"; it ends on line {last}"
        return InputRow(line, error=error, source=source)
    if not all(map(is_text, cells)):
        return InputRow(line, error="is not UTF-8 text", source=source)
    fields = {
        name: cell
        for name, cell in zip(header, cells, strict=True)
        if cell and name is not None
    }
    if "" in fields:
        problem = "has a value in an unnamed column"
        return InputRow(line, error=problem, source=source)
    return InputRow(line, fields, cells=True, source=source)


def is_text(text: str) -> bool:
    r"""
    Return whether text has no lone surrogates, which stand for undecodable bytes.

    >>> is_text("é"), is_text("\udcff")
    (True, False)
    """
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False

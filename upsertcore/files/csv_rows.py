"""
CSV input, with any delimiter.

Rules:
    A malformed row becomes a row with an error; reading continues after it.
    An unclosed quote would swallow all rows that follow: reading stops there, and the
    message names the lines that were not read.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from attrs import define

from upsertcore.files.columns import Columns
from upsertcore.files.delimiters import split_off_delimiter
from upsertcore.files.read_options import ReadOptions
from upsertcore.files.row_plan import RowPlan
from upsertcore.files.rows import BadHeader, InputRow, UnreadableFile
from upsertcore.files.text_input import NO_TEXT
from upsertcore.values import show_value

__all__ = ["Records", "is_text", "read_csv", "read_table"]

_CELL_LIMIT = 1 << 24
_UNCLOSED = ("unexpected end", "field larger")
_DEFAULT = ReadOptions()


def read_csv(
    text: Iterable[str], columns: Columns, how: ReadOptions = _DEFAULT
) -> Iterator[InputRow]:
    r"""
    Read the rows of a CSV file.

    Args:
        text: The lines, with their line endings.
        columns: How columns are renamed.
        how: The delimiter, and the cells that are null.

    Raises:
        BadHeader: If the first line cannot be used.
        UnreadableFile: If a quote is not closed.

    Cost:
        Linear in the text; memory for one row.

    >>> [row.payload for row in read_csv(["a;b\n", "1;\n"], Columns({}))]
    [{'a': '1'}]
    """
    csv.field_size_limit(_CELL_LIMIT)
    delimiter, lines, has_sep = split_off_delimiter(
        iter(text), how.delimiter, columns.map.header or 1
    )
    latest = _LatestLine(lines)
    reader = csv.reader(latest, delimiter=delimiter, strict=True)
    if has_sep:
        next(reader)
    return read_table(reader, columns, how.null, latest)


class Records(Protocol):
    """The records of a table, each a list of cells."""

    @property
    def line_num(self) -> int:
        """The number of lines that were read."""
        ...

    def __next__(self) -> list[str]: ...


def read_table(
    reader: Records,
    columns: Columns,
    null: Sequence[str] = (),
    latest: _LatestLine | None = None,
) -> Iterator[InputRow]:
    """
    Read the rows of a table, the header first.

    Args:
        reader: Its records; those of a CSV file may raise ``csv.Error``.
        columns: How columns are renamed.
        null: Cells that are read as blank.
        latest: The lines of a CSV file.

    Raises:
        BadHeader, UnreadableFile: As :func:`read_csv`.
    """
    names, plan = _header(reader, columns)
    after_blank = has_footer = False
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raw = _malformed(error, line, reader.line_num, latest)
            problem = f"is not valid CSV: {error}"
            yield InputRow(line, error=problem, source=(names, [raw]))
            continue
        cells = [cell.strip() for cell in cells]
        if null:
            cells = ["" if cell in null else cell for cell in cells]
        if not any(cells):
            after_blank = plan.footer
        elif after_blank and len(cells) == 1 < len(names):
            if not has_footer:
                columns.tell(_footer(line, cells[0]))
            has_footer = True
        else:
            yield _row(line, (names, cells), plan, reader.line_num)


def _malformed(error: csv.Error, line: int, last: int, latest: Any) -> str:
    """Return the text of a malformed row; raise if it is not closed."""
    # A row of several lines: an unclosed quote, or a truncated file.
    if last > line or any(word in str(error) for word in _UNCLOSED):
        unread = sum(1 for _ in latest.lines)
        raise _unclosed_quote(line, last + unread, error) from error
    text: str = latest.text
    return text.rstrip("\r\n")


def _unclosed_quote(line: int, last: int, error: csv.Error) -> UnreadableFile:
    problem = f"line {line}: the row that starts here has an unclosed quote"
    unread = f"lines {line} to {last} were" if last > line else f"line {line} was"
    return UnreadableFile(f"{problem} ({error}); {unread} not read")


def _footer(line: int, text: str) -> str:
    what = f"the table ends before line {line}, {show_value(text)}"
    return f"{what}; lines of one cell below it are no rows"


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


def _header(reader: Records, columns: Columns) -> tuple[list[str], RowPlan]:
    """Return the columns, and how the rows below them become fields."""
    number = columns.map.header
    line = "the first line" if number is None else f"line {number}"
    try:
        if number is None:
            cells = _after_preamble(reader, columns)
        else:
            cells = _at_line(reader, number)
    except csv.Error as error:
        raise BadHeader(f"{line} is not valid CSV: {error}") from error
    if not any(cells):
        raise BadHeader(f"{line} must name the columns")
    counts = Counter(cells)
    for name in cells:
        if name and counts[name] > 1:
            raise BadHeader(f"duplicate column {show_value(name)}")
        if not is_text(name):
            raise BadHeader(f"column {show_value(name)} {NO_TEXT}")
    return cells, columns.plan(cells)


def _after_preamble(reader: Records, columns: Columns) -> list[str]:
    """Return the header; text before it ends with a blank line, if it is known."""
    cells = _stripped(reader)
    known = columns.preambles
    if len(cells) == 1 and cells[0] in known:
        columns.tell(f"the text before the header was not read: {show_value(cells[0])}")
        while any(_stripped(reader)):
            pass
        cells = _stripped(reader)
    return cells


def _at_line(reader: Records, header: int) -> list[str]:
    """Return the record that begins on a line."""
    while reader.line_num < header - 1:
        if next(reader, None) is None:
            return []
    if reader.line_num >= header:
        raise BadHeader(f"header: line {header} is within a quoted cell")
    return _stripped(reader)


def _stripped(reader: Records) -> list[str]:
    return [cell.strip() for cell in next(reader, [])]


def _row(
    line: int,
    source: tuple[list[str], list[str]],
    plan: RowPlan,
    last: int,
) -> InputRow:
    cells = source[1]
    if len(cells) != len(plan.names):
        error = f"has {len(cells)} cells, but the header has {len(plan.names)}"
        if last > line:
            # A quote that opens in one row and closes in another joins them.
            error += f"; it ends on line {last}"
        return InputRow(line, error=error, source=source)
    if not is_text("".join(cells)):
        return InputRow(line, error=NO_TEXT, source=source)
    if plan.unnamed and not plan.is_index(cells):
        problem = "has a value in an unnamed column"
        return InputRow(line, error=problem, source=source)
    return InputRow(line, plan.fields(cells), cells=True, source=source)


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

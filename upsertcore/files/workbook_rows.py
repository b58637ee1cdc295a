"""
Excel workbooks (xlsx): the rows of one sheet, through openpyxl.

Rules:
    Cells become text, as in a CSV file: dates are ISO text, whole numbers have no
    decimals, booleans are true and false. A formula has the value that was saved.
    Blank rows, and blank cells at the end of a row, are not read.
    If several sheets have cells, the caller names one.
"""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from datetime import date, datetime, time
from itertools import chain, islice
from typing import Any, BinaryIO
from zipfile import BadZipFile, ZipFile

from attrs import define

from upsertcore.files.columns import Columns
from upsertcore.files.csv_rows import read_table
from upsertcore.files.read_options import ReadOptions
from upsertcore.files.rows import InputRow, UnreadableFile, format_names
from upsertcore.values import show_value

__all__ = ["check_archive", "read_workbook"]

_SAMPLE = 100
_EXACT = 1 << 53
_ARCHIVES = (
    ("xl/workbook.bin", "an Excel workbook of the kind xlsb", "save it as xlsx or CSV"),
    ("content.xml", "an OpenDocument file", "save its sheet as xlsx or CSV"),
    ("Index/Document.iwa", "a Numbers or Pages file", "export it as CSV or xlsx"),
    ("word/document.xml", "a Word document", "export the data as CSV"),
)


def check_archive(file: BinaryIO) -> None:
    """
    Check that a ZIP archive is a workbook.

    Args:
        file: The archive, which can be read at any place.

    Raises:
        UnreadableFile: If it is another archive, or damaged.
    """
    try:
        with ZipFile(file) as archive:
            names = archive.namelist()
    except BadZipFile as error:
        raise UnreadableFile(f"is a damaged ZIP archive: {error}") from error
    if "xl/workbook.xml" in names:
        return
    for member, what, remedy in _ARCHIVES:
        if member in names:
            raise UnreadableFile(f"is {what}; {remedy}")
    what = f"is a ZIP archive of {format_names(names)}" if names else "is an empty ZIP"
    raise UnreadableFile(f"{what}; unpack it first")


def read_workbook(
    file: BinaryIO, columns: Columns, how: ReadOptions
) -> Iterator[InputRow]:
    """
    Read the rows of a sheet.

    Args:
        file: The workbook, which can be read at any place.
        columns: How columns are renamed.
        how: The sheet, and the cells that are null.

    Raises:
        BadHeader: If the first row cannot be used.
        UnreadableFile: If openpyxl is not installed, the workbook is damaged, or the
            sheet is not known.

    Cost:
        Linear in the sheet; memory for one row, and for the distinct texts of the
        workbook.
    """
    try:
        import openpyxl  # noqa: PLC0415 - an extra
    except ImportError:
        what = "is an Excel workbook, which needs openpyxl"
        remedy = "install upsertcore[xlsx], or save it as CSV"
        raise UnreadableFile(f"{what}; {remedy}") from None
    with _damage_reported():
        book = openpyxl.load_workbook(file, read_only=True, data_only=True)
    with closing(book):
        sheet = _sheet(book, how.sheet)
        with closing(_texts(sheet)) as rows:
            yield from read_table(_Sheet.of(rows), columns, how.null)


@contextmanager
def _damage_reported() -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            # What openpyxl warns about is style and validation, which are not read.
            warnings.simplefilter("ignore")
            yield
    except Exception as error:  # openpyxl raises what its parsers raise
        raise UnreadableFile(f"is a damaged Excel workbook: {error}") from error


def _sheet(book: Any, name: str) -> Any:
    sheets = {sheet.title: sheet for sheet in book.worksheets}
    if name:
        if name not in sheets:
            known = format_names([*sheets])
            what = f"the workbook has no sheet {show_value(name)}"
            raise UnreadableFile(f"sheet: {what}; it has {known}")
        return sheets[name]
    filled = [title for title in sheets if _is_filled(sheets[title])]
    if len(filled) > 1:
        what = f"{len(filled)} sheets have rows: {format_names(filled)}"
        raise UnreadableFile(f"sheet: {what}; name one")
    return sheets[filled[0]] if filled else None


def _is_filled(sheet: Any) -> bool:
    return next((True for cells in _texts(sheet) if cells), False)


def _texts(sheet: Any) -> Generator[list[str], None, None]:
    """Yield the rows of a sheet as text, without the blank cells at their end."""
    if sheet is None:
        return
    values = sheet.iter_rows(values_only=True)
    while True:
        # No row is passed on while the warnings of the process are changed.
        with _damage_reported():
            rows = [[*map(_text, row)] for row in islice(values, _SAMPLE)]
        if not rows:
            return
        for cells in rows:
            while cells and not cells[-1].strip():
                cells.pop()
            yield cells


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)


@define
class _Sheet:
    """The records of a sheet, all of the width that its first rows have."""

    rows: Iterator[list[str]]
    width: int
    line_num: int = 0

    @classmethod
    def of(cls, rows: Iterator[list[str]]) -> _Sheet:
        first = [*islice(rows, _SAMPLE)]
        return cls(chain(first, rows), max(map(len, first), default=0))

    def __next__(self) -> list[str]:
        cells = next(self.rows)
        self.line_num += 1
        return cells + [""] * (self.width - len(cells))

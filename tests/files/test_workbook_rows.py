"""Excel workbooks, and archives that are none."""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from zipfile import ZipFile

import pytest

from upsertcore.files.columns import Columns
from upsertcore.files.read_options import ReadOptions
from upsertcore.files.reading import read_rows
from upsertcore.files.rows import BadHeader, UnreadableFile

openpyxl = pytest.importorskip("openpyxl")


def workbook(**sheets: Sequence[Sequence[Any]]) -> bytes:
    """Return a workbook."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, values in sheets.items():
        sheet = book.create_sheet(title)
        for row in values:
            sheet.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def archive(**members: str) -> bytes:
    """Return a ZIP archive."""
    file = io.BytesIO()
    with ZipFile(file, "w") as zip_file:
        for name, text in members.items():
            zip_file.writestr(name.replace("__", "/").replace("_", "."), text)
    return file.getvalue()


def rows(content: bytes, **how: Any) -> list[tuple[int, Any]]:
    """Read a workbook, as (line, payload or error)."""
    stream = io.BytesIO(content)
    found = read_rows(stream, "x.xlsx", Columns({}), ReadOptions(**how))
    return [(row.line, row.error or row.payload) for row in found]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (" x ", "x"),
        (12015550101, "12015550101"),
        (12015550101.0, "12015550101"),
        (1.5, "1.5"),
        (1e300, "1e+300"),
        (True, "true"),
        (False, "false"),
        (date(1990, 9, 25), "1990-09-25"),
        (datetime(2024, 3, 12, 9, 14), "2024-03-12T09:14:00"),  # noqa: DTZ001
        (time(9, 14), "09:14:00"),
        (timedelta(days=2, hours=1), "2 days, 1:00:00"),
    ],
    ids=str,
)
def test_cell_becomes_text(value: object, text: str) -> None:
    assert rows(workbook(S=[["a", "b"], ["x", value]])) == [(2, {"a": "x", "b": text})]


def test_blank_cells_rows_and_columns_are_not_read() -> None:
    content = workbook(
        S=[["a", "b", "c", None, " "], ["1"], [], [None, "2", None, ""], [" "], ["", 3]]
    )

    assert rows(content) == [(2, {"a": "1"}), (4, {"b": "2"}), (6, {"b": "3"})]


def test_merged_cells_have_the_value_of_the_first() -> None:
    book = openpyxl.Workbook()
    for row in (["a", "b"], ["x", "y"], ["z", "v"]):
        book.active.append(row)
    book.active.merge_cells("A2:B3")
    file = io.BytesIO()
    book.save(file)

    assert rows(file.getvalue()) == [(2, {"a": "x"})]


def test_value_beyond_the_header_is_an_error_of_its_row() -> None:
    content = workbook(S=[["a"], ["1", None, "2"], ["3"]])
    late = workbook(S=[["a"], *[["1"]] * 100, ["1", "2"]])

    assert rows(content) == [(2, "has a value in an unnamed column"), (3, {"a": "3"})]
    assert rows(late)[-1] == (102, "has 2 cells, but the header has 1")


def test_null_cells_are_omitted() -> None:
    content = workbook(S=[["a", "b"], ["#N/A", "x"]])

    assert rows(content, null="#N/A") == [(2, {"b": "x"})]


def test_formula_has_the_value_that_was_saved() -> None:
    """A formula that was never calculated has none."""
    content = workbook(S=[["a", "b"], ["x", "=1+1"]])

    assert rows(content) == [(2, {"a": "x"})]


def test_sheet_is_named_if_several_have_rows() -> None:
    content = workbook(One=[["a"], [1]], Blank=[], Two=[["b"], [2]])

    with pytest.raises(UnreadableFile, match="sheet: 2 sheets have rows: 'One', 'Two'"):
        rows(content)
    with pytest.raises(UnreadableFile, match="the workbook has no sheet 'Three'"):
        rows(content, sheet="Three")
    assert rows(content, sheet="Two") == [(2, {"b": "2"})]
    assert rows(workbook(One=[["a"], [1]], Blank=[[None]])) == [(2, {"a": "1"})]


def test_workbook_without_rows_has_no_header() -> None:
    with pytest.raises(BadHeader, match="must name the columns"):
        rows(workbook(One=[]))


def test_gzip_around_a_workbook_is_read() -> None:
    content = gzip.compress(workbook(S=[["a"], [1]]))

    assert rows(content) == [(2, {"a": "1"})]
    with pytest.raises(UnreadableFile, match="is truncated; no row was read"):
        rows(content[:-4])


def test_path_of_a_workbook_is_refused() -> None:
    with pytest.raises(UnreadableFile, match="path: the file has no arrays"):
        rows(workbook(S=[["a"], [1]]), path="a")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            archive(leads_csv="a\n1\n"),
            "is a ZIP archive of 'leads.csv'; unpack",
        ),
        (archive(), "is an empty ZIP; unpack it first"),
        (archive(xl__workbook_bin=""), "of the kind xlsb; save it as xlsx or CSV"),
        (archive(content_xml=""), "is an OpenDocument file; save its sheet as xlsx"),
        (archive(Index__Document_iwa=""), "is a Numbers or Pages file; export it"),
        (archive(word__document_xml=""), "is a Word document; export the data as CSV"),
        (b"PK\3\4" + bytes(99), "is a damaged ZIP archive: "),
        (archive(xl__workbook_xml="<x>"), "is a damaged Excel workbook: "),
    ],
    ids=range(8),
)
def test_other_archive_is_named_with_a_remedy(content: bytes, message: str) -> None:
    with pytest.raises(UnreadableFile) as caught:
        rows(content)

    assert message in str(caught.value)


def with_sheet(content: bytes, old: bytes, new: bytes) -> bytes:
    """Return a workbook with other text in its first sheet."""
    source = ZipFile(io.BytesIO(content))
    file = io.BytesIO()
    with ZipFile(file, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            is_sheet = name.endswith("sheet1.xml")
            target.writestr(name, data.replace(old, new) if is_sheet else data)
    return file.getvalue()


def test_whole_number_that_was_saved_as_a_float_has_no_decimals() -> None:
    content = workbook(S=[["a", "b"], [12015550101, "x"]])
    content = with_sheet(content, b"12015550101", b"12015550101.0")

    assert rows(content) == [(2, {"a": "12015550101", "b": "x"})]


def test_damaged_sheet_ends_the_file() -> None:
    content = workbook(S=[["a"], *[[n] for n in range(300)]])
    content = with_sheet(content, b"<v>250</v>", b"<v>250")

    with pytest.raises(UnreadableFile, match="is a damaged Excel workbook: "):
        rows(content)


def test_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    content = workbook(S=[["a"], [1]])
    monkeypatch.setitem(sys.modules, "openpyxl", None)

    with pytest.raises(UnreadableFile, match=r"install upsertcore\[xlsx\]"):
        rows(content)

"""Parquet files."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from upsertcore.files.columns import Columns
from upsertcore.files.read_options import ReadOptions
from upsertcore.files.reading import read_rows
from upsertcore.files.rows import BadHeader, UnreadableFile

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def parquet_file(columns: Mapping[str, Any], group: int = 2) -> bytes:
    """Return a Parquet file."""
    file = io.BytesIO()
    parquet.write_table(pa.table(columns), file, row_group_size=group)
    return file.getvalue()


def rows(content: bytes, rename: Mapping[str, str] = {}, **how: Any) -> Any:
    """Read a Parquet file, as (line, payload or error)."""
    stream = io.BytesIO(content)
    found = read_rows(stream, "x.parquet", Columns(rename), ReadOptions(**how))
    return [(row.line, row.error or row.payload) for row in found]


def test_values_keep_their_types_and_nulls_are_omitted() -> None:
    when = datetime(2024, 3, 12, 9, 14, tzinfo=UTC)
    nanoseconds = pa.array([1_710_234_840_000_000_001, None], pa.timestamp("ns", "UTC"))
    content = parquet_file(
        {
            "email": ["a@x.org", None],
            "score": [1.5, float("nan")],
            "age": [41, None],
            "vip": [True, False],
            "tags": [["a", "b"], []],
            "born": [date(1990, 9, 25), None],
            "seen": [when, None],
            "made": nanoseconds,
            "paid": [Decimal("1.50"), None],
            "address": [{"city": "Oslo", "zip": None}, None],
        }
    )

    assert rows(content, {"age": "years"}) == [
        (
            1,
            {
                "email": "a@x.org",
                "score": 1.5,
                "years": 41,
                "vip": True,
                "tags": ["a", "b"],
                "born": "1990-09-25",
                "seen": "2024-03-12T09:14:00+00:00",
                "made": "2024-03-12T09:14:00+00:00",
                "paid": "1.50",
                "address": {"city": "Oslo"},
            },
        ),
        (2, {"vip": False, "tags": []}),
    ]


def test_value_without_a_json_form_is_an_error_of_its_row() -> None:
    content = parquet_file({"a": [b"\xff", b"x"]})

    assert rows(content) == [(1, "a: is binary data, not text"), (2, {"a": "x"})]


def test_two_columns_of_one_name_are_refused() -> None:
    file = io.BytesIO()
    parquet.write_table(pa.table([[1], [2]], names=["a", "a"]), file)

    with pytest.raises(BadHeader, match="duplicate column 'a'"):
        rows(file.getvalue())


def test_damaged_file_says_what_was_read() -> None:
    content = bytearray(parquet_file({"a": [str(n) * 99 for n in range(9_000)]}, 1_000))
    content[len(content) // 2 : len(content) // 2 + 2_000] = bytes(2_000)

    with pytest.raises(UnreadableFile, match=r"is a damaged Parquet file: .*; rows up"):
        rows(bytes(content))
    with pytest.raises(UnreadableFile, match=r"damaged Parquet file: .* up to 0 were"):
        rows(b"PAR1junk")


def test_sheet_of_a_parquet_file_is_refused() -> None:
    with pytest.raises(UnreadableFile, match="sheet: the file has no sheets"):
        rows(parquet_file({"a": [1]}), sheet="S")


def test_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    content = parquet_file({"a": [1]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(UnreadableFile, match=r"install upsertcore\[parquet\]"):
        rows(content)

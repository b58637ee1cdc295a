"""
Parquet files, through pyarrow.

Rules:
    Values keep their types: see ``plain_values``. Nulls are omitted.
    Memory holds one row group. The line of a row is its number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO

from upsertcore.files.columns import Columns
from upsertcore.files.plain_values import fields
from upsertcore.files.rows import BadHeader, InputRow, UnreadableFile
from upsertcore.values import show_value

__all__ = ["read_parquet"]

_BATCH = 1_000


def read_parquet(file: BinaryIO, columns: Columns) -> Iterator[InputRow]:
    """
    Read the rows of a Parquet file.

    Args:
        file: The file, which can be read at any place.
        columns: How columns are renamed.

    Raises:
        BadHeader: If two columns have one name.
        UnreadableFile: If pyarrow is not installed, or the file is damaged.

    Cost:
        Linear in the file; memory for one row group.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        from pyarrow import parquet  # noqa: PLC0415 - an extra
    except ImportError:
        what = "is a Parquet file, which needs pyarrow"
        remedy = "install upsertcore[parquet], or write it as CSV"
        raise UnreadableFile(f"{what}; {remedy}") from None
    columns.complete = False
    line = 0
    try:
        table = parquet.ParquetFile(file)
        _check_names(table.schema_arrow.names)
        for batch in table.iter_batches(_BATCH):
            for row in _with_microseconds(pa, batch).to_pylist():
                line += 1
                yield _row(line, row, columns)
    except (pa.ArrowException, OSError) as error:
        problem = f"is a damaged Parquet file: {str(error).splitlines()[0]}"
        raise UnreadableFile(f"{problem}; rows up to {line} were read") from error


def _check_names(names: list[str]) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise BadHeader(f"duplicate column {show_value(name)}")


def _row(line: int, row: dict[str, Any], columns: Columns) -> InputRow:
    try:
        payload = fields(row.items())
    except ValueError as error:
        return InputRow(line, error=str(error))
    renamed = columns.rename_object(payload)
    return InputRow(line, payload if renamed is None else renamed)


def _with_microseconds(pa: Any, batch: Any) -> Any:
    """Return a batch without nanoseconds, which Python's own times do not have."""
    for number, kind in enumerate(batch.schema.types):
        if pa.types.is_timestamp(kind) and kind.unit == "ns":
            cast = batch.column(number).cast(pa.timestamp("us", kind.tz), safe=False)
            name = batch.schema.names[number]
            batch = batch.set_column(number, name, cast)
    return batch

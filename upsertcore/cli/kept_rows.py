"""
The rows of one file, read once and kept, for commands that go through them again.

Rules:
    Standard input can be read only once.
    A row that cannot be read is counted by the kind of its problem.
"""

from __future__ import annotations

from collections import Counter
from contextlib import closing

from attrs import frozen

from upsertcore.cli.column_options import noted
from upsertcore.cli.exit_status import check_columns
from upsertcore.cli.upsert_rows import ProgressBar, open_input
from upsertcore.files.columns import Columns
from upsertcore.files.reading import read_rows
from upsertcore.files.rows import InputRow, problem_kind

__all__ = ["KeptRows", "read_all"]


@frozen
class KeptRows:
    """
    The rows of a file.

    Args:
        rows: Those that can be read.
        unreadable: How many cannot, by the kind of the problem.
    """

    rows: list[InputRow]
    unreadable: Counter[str]


def read_all(name: str, columns: Columns, bar: ProgressBar) -> KeptRows:
    """
    Read the rows of a file; note what its columns became.

    Args:
        name: The file; - is standard input.
        columns: How columns become fields.
        bar: Where progress is shown.

    Raises:
        InvalidUsage: If a column to rename is missing.
        BadHeader: If the first line cannot be used.
        OSError: If it cannot be read.
    """
    kept = KeptRows([], Counter())
    with (
        noted(columns, bar),
        open_input(name) as (stream, position, size),
        closing(read_rows(stream, name, columns)) as rows,
    ):
        for row in bar.track(rows, name, position, size):
            if row.error:
                kept.unreadable[problem_kind(row.error)] += 1
            else:
                kept.rows.append(row)
    check_columns(columns)
    return kept

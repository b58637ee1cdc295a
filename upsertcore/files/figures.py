"""
The figures of a file: what its columns hold, and what each would do as a key.

Rules:
    Nothing is counted here; figures are values, ready for JSON.
    A value in an example is shortened.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

from attrs import asdict, frozen

from upsertcore.files.column_kinds import Kind

__all__ = ["ColumnFigures", "Conflict", "Examples", "FileFigures", "KeyFigures"]


@final
@frozen
class Examples:
    """
    How many values are of a sort, and the first of them.

    Args:
        values: The number of values in rows; a value in two rows counts twice.
        first: The first distinct ones, shortened.

    >>> Examples(3, ("n/a", "none")).values
    3
    """

    values: int = 0
    first: tuple[str, ...] = ()


@final
@frozen
class SharedForm:
    """
    A form that several rows have.

    Args:
        form: The form, shortened.
        rows: The number of rows.
        differ: Whether rows with different names have it.
        line: Where its first row starts.

    >>> SharedForm("+12015550143", rows=3, differ=True, line=2).differ
    True
    """

    form: str
    rows: int
    differ: bool
    line: int


@final
@frozen
class KeyFigures:
    """
    What a column would do as a key.

    Args:
        rows: The number of rows with a form.
        forms: The number of distinct forms.
        contacts: How many contacts it alone would leave: one for each form, and one
            for each row without a form.
        shared: The number of forms that several rows have.
        differ: The number of those that rows with different names have, such as the
            number of a switchboard or a household.
        most_shared: The forms with the most rows.

    >>> KeyFigures(rows=9, forms=7, contacts=8, shared=2, differ=1).contacts
    8
    """

    rows: int
    forms: int
    contacts: int
    shared: int
    differ: int
    most_shared: tuple[SharedForm, ...] = ()


@final
@frozen
class ColumnFigures:
    """
    The figures of a column.

    Args:
        column: Its name.
        kind: What it holds.
        reason: Why it is of this kind.
        agrees: Whether the values fit what the header says.
        normalizer: The normaliser that makes forms of its values, as text; blank for a
            kind without one.
        filled: The number of rows with a value.
        distinct: The number of distinct values.
        unusable: Values without a form.
        placeholders: Values that are written where none is known.
        key: What it would do as a key; None for a kind that identifies no contact.

    >>> ColumnFigures("Mail", "email", "header", True, "email", 3, 2).key is None
    True
    """

    column: str
    kind: Kind
    reason: str
    agrees: bool
    normalizer: str
    filled: int
    distinct: int
    unusable: Examples = Examples()
    placeholders: Examples = Examples()
    key: KeyFigures | None = None


@final
@frozen
class Conflict:
    """
    Rows that one key joins and another keeps apart.

    Args:
        joined_by: The column whose forms are equal.
        apart_by: The column whose forms differ.
        forms: The number of forms of the first column with such rows.
        rows: The number of rows whose form of the other column is not that of the
            first row with the same form of the first column.
        lines: The lines of the first such pair of rows.

    >>> Conflict("Phone", "Email", forms=1, rows=2, lines=(2, 3)).rows
    2
    """

    joined_by: str
    apart_by: str
    forms: int
    rows: int
    lines: tuple[int, int]


@final
@frozen
class FileFigures:
    """
    The figures of a file.

    Args:
        rows: The number of rows that were read.
        unreadable: The number of rows that cannot be read, by kind.
        columns: One for each column, in the order of the file.
        conflicts: Pairs of keys with rows that one joins and the other keeps apart.

    >>> FileFigures(0, {}, (), ()).to_dict()
    {'rows': 0, 'unreadable': {}, 'columns': [], 'conflicts': []}
    """

    rows: int
    unreadable: Mapping[str, int]
    columns: tuple[ColumnFigures, ...]
    conflicts: tuple[Conflict, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "rows": self.rows,
            "unreadable": dict(self.unreadable),
            "columns": [asdict(column) for column in self.columns],
            "conflicts": [asdict(conflict) for conflict in self.conflicts],
        }

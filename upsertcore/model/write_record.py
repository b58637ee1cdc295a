"""
The record of a write: all that it stores, published by a single assignment.

Rules:
    A record is complete before it is published; from then on the write counts.
    The last record identifies the state of a store: while it is the same object,
    nothing has changed.
"""

from __future__ import annotations

from typing import Any, TypeAlias

__all__ = [
    "BEGINNING",
    "CONFLICTS",
    "IGNORED",
    "KEY",
    "NUMBER",
    "PREVIOUS_ROW",
    "ROW",
    "THREAD",
    "Record",
]

Record: TypeAlias = tuple[Any, ...]
"""A published write, read by the positions below. The common write names its one row
directly; any other has a ``store.redo.Redo`` in place of the row."""

ROW, PREVIOUS_ROW, KEY, NUMBER, THREAD, IGNORED, CONFLICTS = range(7)
"""The new row or a ``Redo``, the row that it replaces, the key that matched, the
number of the last change, the thread that wrote, field name to reason for what is
ignored, and what is withheld with the ids that also match; None for nothing."""

BEGINNING: Record = (None, None, None, 0, 0, None, None)
"""The record of a new book."""

"""
The mark in the last line of outcomes and rejects: the book before and after their run.

Rules:
    Outcomes and rejects are in place before the book. Those of a run that was killed in
    between have the mark of a book that never came: the next run for the same book and
    files removes them. Files without a mark, or with another book's, stay.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

__all__ = ["make_mark", "remove_stale"]

_NONE = "none"
_MARK = re.compile(rb"upsertcore book ([0-9a-f]{64}|none) ([0-9a-f]{64}|none)")
_TAIL = 1 << 16


def make_mark(before: str | None, after: str) -> str:
    """
    Return the mark of a run.

    Args:
        before: The checksum of the book that the run has read; None if there was none.
        after: The checksum of the book that it writes.

    >>> make_mark(None, "0" * 64)[:26]
    'upsertcore book none 00000'
    """
    return f"upsertcore book {before or _NONE} {after}"


def remove_stale(files: Iterable[Path | None], checksum: str | None) -> Iterator[Path]:
    """
    Remove the files of a run whose book never came.

    Args:
        files: Outcomes and rejects that the run will write.
        checksum: The checksum of the book as it is; None if there is none.

    Returns:
        The files that were removed.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "out.jsonl")
    ...     _ = path.write_text(make_mark(None, "0" * 64))
    ...     [removed.name for removed in remove_stale([path], None)]
    ['out.jsonl']
    """
    now = checksum or _NONE
    for path in files:
        if path is None or not path.is_file():
            continue
        before, after = _mark_of(path)
        if before == now != after:
            path.unlink()
            yield path


def _mark_of(path: Path) -> tuple[str | None, str | None]:
    marks: list[tuple[bytes, bytes]] = []
    with suppress(OSError), path.open("rb") as stream:
        stream.seek(max(0, os.fstat(stream.fileno()).st_size - _TAIL))
        marks = _MARK.findall(stream.read())
    if not marks:
        return None, None
    before, after = marks[-1]
    return before.decode(), after.decode()

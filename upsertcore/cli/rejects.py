"""
The rejects of a run: refused rows in the form of the input, each with its reason.

Rules:
    Rows of a table are written as CSV with all columns of the input and one more,
    ``#reason``; rows of JSON as JSON Lines with that name. Other formats have no rows
    of their own, and are written as JSON Lines of their fields.
    These columns are never fields, so that the mended file can be sent as it is. The
    second one, ``#book``, has the mark of the run, in the last row alone.
    A file of rejects has one form: inputs with other columns are refused.
"""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from attrs import define

from upsertcore.cli.atomic_write import AtomicFile
from upsertcore.cli.usage import InvalidUsage
from upsertcore.files.json_rows import parse_json
from upsertcore.files.rows import MARK, REASON, InputRow

__all__ = ["Rejects"]


@define
class Rejects:
    """
    Writes refused rows, each when the next one comes.

    Args:
        file: The file.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, AtomicFile(Path(folder, "r.csv")) as file:
    ...     rejects = Rejects(file)
    ...     source = ["email", "note"], ["bad", "a, b"]
    ...     rejects.add("in.csv", InputRow(2, source=source), "email: is no address")
    ...     rejects.finish("")
    ...     file.sync()
    ...     file.replace()
    ...     print(Path(folder, "r.csv").read_text())
    email,note,#reason,#book
    bad,"a, b",email: is no address,
    <BLANKLINE>
    """

    file: AtomicFile
    _header: list[str] | None = None
    _waiting: list[str] | dict[str, Any] | None = None

    def add(self, name: str, row: InputRow, reason: str) -> None:
        """
        Write a refused row.

        Args:
            name: Its file, for messages.
            row: The row.
            reason: Why it was refused.

        Raises:
            InvalidUsage: If its columns are not those of the rows before it.
        """
        new: list[str] | dict[str, Any]
        if isinstance(row.source, tuple):
            names, cells = row.source
            header: list[str] | None = [*names, REASON, MARK]
            new = [*cells, *[""] * (len(names) - len(cells)), reason]
        else:
            header, new = None, _with_reason(row, row.source, reason)
        if self._waiting is None:
            self._header = header
            if header is not None:
                self._write_cells(header)
        elif header != self._header:
            what = f"{name} has other columns than the files before it"
            raise InvalidUsage(f"--rejects: {what}; run it on its own")
        self.finish("")
        self._waiting = new

    def finish(self, mark: str) -> None:
        """
        Write the last row.

        Args:
            mark: The mark of the run.
        """
        if isinstance(self._waiting, list):
            self._write_cells([*self._waiting, mark])
        elif self._waiting is not None:
            row = {**self._waiting, **({MARK: mark} if mark else {})}
            text = json.dumps(row, ensure_ascii=False)
            self.file.write(f"{text}\n".encode(errors="backslashreplace"))

    def _write_cells(self, cells: list[str]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(cells)
        try:
            # What the input could not decode is written as it was.
            data = text.getvalue().encode(errors="surrogateescape")
        except UnicodeEncodeError:
            data = text.getvalue().encode(errors="replace")
        self.file.write(data)


def _with_reason(row: InputRow, text: str | None, reason: str) -> dict[str, Any]:
    payload = row.payload if text is None else _parsed(text)
    if isinstance(payload, dict):
        return {**payload, REASON: reason}
    return {"#row": text if payload is None else payload, REASON: reason}


def _parsed(text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError:
        return None

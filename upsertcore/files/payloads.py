"""
The payloads of a file, for a program.

Rules:
    A file that cannot be opened, a setting that cannot be used and a format that is not
    read are reported at once, everything else when its row is reached.
    A file that was opened here is closed at the end, by ``close`` and by ``with``. A
    stream belongs to the caller.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, BinaryIO, Self

from attrs import define

from upsertcore.files.columns import Columns
from upsertcore.files.read_options import ReadOptions
from upsertcore.files.reading import read_rows
from upsertcore.files.rows import BadHeader, InputRow, UnreadableFile

__all__ = ["Payloads", "read"]


@define
class Payloads:
    r"""
    The payloads of a file: an iterator, and a context that closes it.

    >>> import io
    >>> with read(io.BytesIO(b"email,city\na@x.org,\n")) as payloads:
    ...     print(*payloads)
    {'email': 'a@x.org'}
    """

    _payloads: Generator[Any, None, None]
    _stack: ExitStack

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self._payloads)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, unless it is a stream of the caller."""
        self._payloads.close()
        self._stack.close()


def read(
    source: str | os.PathLike[str] | BinaryIO,
    *,
    rename: Mapping[str, str] | None = None,
    delimiter: str = "",
    encoding: str = "",
    path: str = "",
    null: Iterable[str] = (),
    sheet: str = "",
    on_error: Callable[[InputRow], object] | None = None,
) -> Payloads:
    r"""
    Read the payloads of a file, one at a time.

    Args:
        source: The path of the file, or a stream that is open for reading bytes. The
            formats are those of :func:`upsertcore.files.reading.read_rows`.
        rename: From column, or top-level name of an object, to field; a blank field
            drops the column.
        delimiter: As in :class:`ReadOptions`, like the next four.
        encoding: The encoding of a text file.
        path: The names that lead to the array of a JSON object.
        null: Cells that mean "no value".
        sheet: The sheet of a workbook.
        on_error: Called with each row that cannot be read, with its line and error;
            without it, such a row is raised.

    Returns:
        An iterator of payloads: text by column for a table, without blank cells, and
        the parsed value for the other formats.

    Raises:
        OSError: If the file cannot be opened.
        TypeError, ValueError: If a setting cannot be used, or the stream is text.
        BadHeader: If the header cannot be used, or has no column of ``rename``.
        UnreadableFile: If the file or, without ``on_error``, a row cannot be read.

    Cost:
        One pass; memory for one row.

    >>> import io
    >>> errors = []
    >>> file = io.BytesIO(b'{"email": "a@x.org"}\n{bad}\n')
    >>> [*read(file, on_error=errors.append)], [row.line for row in errors]
    ([{'email': 'a@x.org'}], [2])
    """
    how = ReadOptions(delimiter, encoding, path, null, sheet)
    columns = Columns(rename or {})
    with ExitStack() as stack:
        if isinstance(source, str | os.PathLike):
            name = os.fspath(source)
            stream: BinaryIO = stack.enter_context(open(name, "rb"))  # noqa: PTH123
        elif isinstance(source, io.TextIOBase):
            problem = "source: must be open for reading bytes, not text"
            raise TypeError(f"{problem}; open it with mode 'rb'")
        else:
            name, stream = str(getattr(source, "name", "-")), source
        rows = read_rows(stream, name, columns, how)
        files = stack.pop_all()
    return Payloads(_payloads(rows, columns, on_error, files), files)


def _payloads(
    rows: Generator[InputRow, None, None],
    columns: Columns,
    on_error: Callable[[InputRow], object] | None,
    files: ExitStack,
) -> Generator[Any, None, None]:
    with files:
        try:
            for number, row in enumerate(rows):
                if number == 0:
                    _check_rename(columns)
                if not row.error:
                    yield row.payload
                elif on_error is None:
                    raise UnreadableFile(f"line {row.line}: {row.error}")
                else:
                    on_error(row)
            _check_rename(columns)
        finally:
            rows.close()


def _check_rename(columns: Columns) -> None:
    if columns.complete and (problem := columns.missing()):
        raise BadHeader(problem.replace("--map", "rename", 1))

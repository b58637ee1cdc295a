"""
Input files as rows, read one at a time.

Rules:
    A malformed row becomes a row with an error, and reading continues. Where the start
    of the next row cannot be determined, reading stops with a message.
    Memory holds one row and one block of the file, never the file.
    Nothing here depends on a profile.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Generator, Iterator
from pathlib import PurePath
from typing import Any, BinaryIO

from upsertcore.files.columns import Columns
from upsertcore.files.csv_rows import read_csv
from upsertcore.files.json_rows import read_json_array, read_json_lines
from upsertcore.files.rows import InputRow

__all__ = ["read_rows"]

_BLOCK = 1 << 16
_BLANK = b"\xef\xbb\xbf\xff\xfe\0 \t\r\n"


def read_rows(
    stream: BinaryIO, name: str, columns: Columns
) -> Generator[InputRow, None, None]:
    r"""
    Read the rows of a file: CSV, JSON Lines or a JSON array.

    A name that ends in ``.csv`` or ``.tsv`` is CSV. Otherwise the first character
    decides: ``[`` is an array, ``{`` is JSON Lines, and anything else is CSV.

    Args:
        stream: The file, opened for reading bytes; UTF-8 or UTF-16, with or without
            a byte order mark.
        name: The name of the file.
        columns: How columns, or top-level names of an object, are renamed; it records
            those that are present.

    Raises:
        BadHeader: If the first line of a CSV cannot be used.
        UnreadableFile: If a quote or an element is not closed, so that the start of the
            next row is unknown.

    Cost:
        One pass; memory for one row.

    >>> stream = io.BufferedReader(io.BytesIO(b"Mail,city\na@x.org, Oslo\n"))
    >>> rows = read_rows(stream, "a.csv", Columns({"Mail": "email"}))
    >>> [row.payload for row in rows]
    [{'email': 'a@x.org', 'city': 'Oslo'}]
    """
    text, first = _decode(stream)
    suffix = PurePath(name).suffix.lower()
    try:
        if suffix in {".csv", ".tsv"}:
            rows = read_csv(text, columns)
        elif first == "[":
            rows = read_json_array(text, columns)
        elif first == "{" or suffix in {".jsonl", ".ndjson"}:
            rows = read_json_lines(text, columns)
        else:
            rows = read_csv(text, columns)
        yield from _truncation_as_row(rows)
    finally:
        # The stream belongs to the caller: detach, so that it is not closed.
        text.detach()


class _Prefixed(io.RawIOBase):
    """A stream with bytes already read from it put back at the front."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head, self._stream = head, stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._head[: len(buffer)] or _read_available(self._stream, len(buffer))
        self._head = self._head[len(data) :]
        buffer[: len(data)] = data
        return len(data)


def _read_available(stream: BinaryIO, size: int) -> bytes:
    """Read what is available; block only if nothing is."""
    read: Callable[[int], bytes] = getattr(stream, "read1", stream.read)
    return read(size)


def _decode(source: BinaryIO) -> tuple[io.TextIOWrapper, str]:
    """Return the text of a stream and its first character that is not white space."""
    head = _read_available(source, _BLOCK)
    # A pipe may deliver single bytes: read a byte order mark and a full character.
    while len(head) < 4 or len(head) % 2 or not head.strip(_BLANK):
        data = _read_available(source, _BLOCK)
        if not data or len(head) > _BLOCK:
            head += data
            break
        head += data
    stream = io.BufferedReader(_Prefixed(head, source))
    encoding = _encoding(head)
    # Undecodable bytes become lone surrogates, which make their row an error.
    errors = "surrogateescape" if encoding == "utf-8-sig" else "surrogatepass"
    first = head.decode(encoding, errors="ignore").lstrip()[:1]
    return io.TextIOWrapper(stream, encoding, errors, newline=""), first


def _encoding(head: bytes) -> str:
    if head[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return "utf-16"
    # Without a mark, assume that the first character is ASCII, as in most headers.
    first, second = head[0:1], head[1:2]
    if b"\0" not in (first, second) or first == second:
        return "utf-8-sig"
    return "utf-16-le" if second == b"\0" else "utf-16-be"


def _truncation_as_row(rows: Iterator[InputRow]) -> Iterator[InputRow]:
    """Yield an error row at the end if the file is truncated."""
    line = 0
    try:
        for row in rows:
            line = row.line
            yield row
    except UnicodeDecodeError as error:
        problem = f"is not {error.encoding} text: it ends in the middle of a character"
        yield InputRow(line + 1, error=problem)
    except EOFError as error:
        yield InputRow(line, error=str(error))

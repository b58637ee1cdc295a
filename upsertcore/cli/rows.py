"""
Reading: files of people become rows, one at a time, whatever they hold.

Rules:
    A row that cannot be read is a row with an error; the rows after it are read. Where
    no row after it can be told from it, the file ends there, and that is said.
    Memory holds one row and one block of the file, never the file.
    Nothing here knows a profile.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Generator, Iterator
from pathlib import PurePath
from typing import Any, BinaryIO

from upsertcore.cli.cells import table
from upsertcore.cli.objects import elements, lines
from upsertcore.cli.row import Columns, InputRow

__all__ = ["read"]

_BLOCK = 1 << 16
_BLANK = b"\xef\xbb\xbf\xff\xfe\0 \t\r\n"


def read(
    stream: BinaryIO, name: str, columns: Columns
) -> Generator[InputRow, None, None]:
    r"""
    Read the rows of a file: CSV, JSON Lines or a JSON array.

    A name that ends in ``.csv`` or ``.tsv`` is CSV; for any other, ``[`` as the first
    character is an array, ``{`` is lines, and the rest is CSV.

    Args:
        stream: Open for reading bytes; UTF-8 or UTF-16, with or without a byte
            order mark.
        name: The name of the file.
        columns: What a column, or a name at the top of an object, shall be called;
            it notes which of them there were.

    Raises:
        BadHeader: If the first line of a CSV cannot be used.
        Unreadable: If a quote or an element is not closed, so that no row after it
            can be told from it.

    Cost:
        One pass; memory for one row.

    >>> stream = io.BufferedReader(io.BytesIO(b"Mail,city\na@x.org, Oslo\n"))
    >>> rows = read(stream, "a.csv", Columns({"Mail": "email"}))
    >>> [row.payload for row in rows]
    [{'email': 'a@x.org', 'city': 'Oslo'}]
    """
    text, start = _open(stream)
    suffix = PurePath(name).suffix.lower()
    try:
        if suffix in {".csv", ".tsv"}:
            rows = table(text, columns)
        elif start == "[":
            rows = elements(text, columns)
        elif start == "{" or suffix in {".jsonl", ".ndjson"}:
            rows = lines(text, columns)
        else:
            rows = table(text, columns)
        yield from _guarded(rows)
    finally:
        # The stream is the caller's: it is not closed with what was wrapped around it.
        text.detach()


class _Rest(io.RawIOBase):
    """A stream from its beginning, of which some bytes were read already."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head, self._stream = head, stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._head[: len(buffer)] or _some(self._stream, len(buffer))
        self._head = self._head[len(data) :]
        buffer[: len(data)] = data
        return len(data)


def _some(stream: BinaryIO, size: int) -> bytes:
    """Read what is there, and wait only where nothing is."""
    read: Callable[[int], bytes] = getattr(stream, "read1", stream.read)
    return read(size)


def _open(whole: BinaryIO) -> tuple[io.TextIOWrapper, str]:
    """Give the text of a stream, and its first character that is no white space."""
    head = _some(whole, _BLOCK)
    # A pipe may give a byte at a time: enough is a mark, and a whole character.
    while len(head) < 4 or len(head) % 2 or not head.strip(_BLANK):
        more = _some(whole, _BLOCK)
        if not more or len(head) > _BLOCK:
            head += more
            break
        head += more
    stream = io.BufferedReader(_Rest(head, whole))
    encoding = _encoding(head)
    # What is no text becomes a lone surrogate, which makes its row unreadable.
    errors = "surrogateescape" if encoding == "utf-8-sig" else "surrogatepass"
    start = head.decode(encoding, errors="ignore").lstrip()[:1]
    return io.TextIOWrapper(stream, encoding, errors, newline=""), start


def _encoding(head: bytes) -> str:
    if head[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return "utf-16"
    # Without a mark: the first character is of ASCII, as those of a name mostly are.
    first, second = head[0:1], head[1:2]
    if b"\0" not in (first, second) or first == second:
        return "utf-8-sig"
    return "utf-16-le" if second == b"\0" else "utf-16-be"


def _guarded(rows: Iterator[InputRow]) -> Iterator[InputRow]:
    """End with an error row where a file ends in the middle of something."""
    line = 0
    try:
        for row in rows:
            line = row.line
            yield row
    except UnicodeDecodeError as error:
        what = f"is not {error.encoding} text: it ends within a character"
        yield InputRow(line + 1, error=what)
    except EOFError as error:
        yield InputRow(line, error=str(error))

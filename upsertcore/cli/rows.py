"""
Reading: files of people become rows, one at a time, whatever they hold.

Rules:
    A row that cannot be read is a row with an error; the rows after it are read.
    Memory holds one row and one block of the file, never the file.
    Nothing here knows a profile.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from pathlib import PurePath
from typing import Any, BinaryIO

from attrs import frozen

from upsertcore.showing import shown

__all__ = ["BadHeader", "Row", "loads", "read"]

_BLOCK = 1 << 16
_BLANK = b"\xef\xbb\xbf\xff\xfe\0 \t\r\n"
_CELL_LIMIT = 1 << 24
_MARKS = re.compile(r'\\.|["\[\]{},\n]', re.DOTALL)


class BadHeader(ValueError):
    """
    A first line that names no columns, or one twice.

    >>> str(BadHeader("column 'email' stands there twice"))
    "column 'email' stands there twice"
    """


@frozen
class Row:
    """
    One row of a file.

    Args:
        line: The line on which it begins, from 1.
        payload: Text cells by column (CSV), or what the JSON says; None with an error.
        error: Why it cannot be read; blank where it can.
        cells: True where the payload is text cells.

    >>> Row(2, {"email": "a@x.org"}, cells=True).error
    ''
    """

    line: int
    payload: Any = None
    error: str = ""
    cells: bool = False


def read(
    stream: BinaryIO, name: str, rename: Mapping[str, str]
) -> Generator[Row, None, None]:
    r"""
    Read the rows of a file: CSV, JSON Lines or a JSON array.

    A name that ends in ``.csv`` or ``.tsv`` is CSV; for any other, ``[`` as the first
    character is an array, ``{`` is lines, and the rest is CSV.

    Args:
        stream: Open for reading bytes; UTF-8 or UTF-16, with or without a byte
            order mark.
        name: The name of the file.
        rename: Column, or name at the top of an object, to what it shall be called;
            a blank one leaves it out.

    Raises:
        BadHeader: If the first line of a CSV cannot be used.

    Cost:
        One pass; memory for one row.

    >>> stream = io.BufferedReader(io.BytesIO(b"Mail,city\na@x.org, Oslo\n"))
    >>> [row.payload for row in read(stream, "a.csv", {"Mail": "email"})]
    [{'email': 'a@x.org', 'city': 'Oslo'}]
    """
    text, start = _open(stream)
    suffix = PurePath(name).suffix.lower()
    try:
        if suffix in {".csv", ".tsv"}:
            rows = _cells(text, rename)
        elif start == "[":
            rows = _objects(_elements(text), rename)
        elif start == "{" or suffix in {".jsonl", ".ndjson"}:
            rows = _objects(_lines(text), rename)
        else:
            rows = _cells(text, rename)
        yield from _guarded(rows)
    finally:
        # The stream is the caller's: it is not closed with what was wrapped around it.
        text.detach()


def loads(text: str) -> Any:
    """
    Read JSON text, or say in one line why it is none.

    Raises:
        ValueError: If it is no JSON, nests too deep, or names a thing twice.

    >>> loads('{"a": 1, "a": 2}')
    Traceback (most recent call last):
    ...
    ValueError: is no usable JSON: the name 'a' stands there twice
    """
    try:
        return json.loads(text, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError("is no usable JSON: it nests too deep") from None
    except ValueError as error:
        raise ValueError(f"is no usable JSON: {error}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _value in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {shown(twice)} stands there twice")
    return found


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
        if not more:
            break
        head += more
    stream = io.BufferedReader(_Rest(head, whole))
    if head[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        start = head.decode("utf-16", errors="ignore").lstrip()[:1]
        return io.TextIOWrapper(stream, encoding="utf-16", newline=""), start
    start = head.decode("utf-8-sig", errors="ignore").lstrip()[:1]
    # A byte that is no UTF-8 becomes a lone surrogate, which _readable finds.
    return (
        io.TextIOWrapper(
            stream, encoding="utf-8-sig", errors="surrogateescape", newline=""
        ),
        start,
    )


def _guarded(rows: Iterator[Row]) -> Iterator[Row]:
    """End with an error row where the rest of a file cannot be made out."""
    line = 0
    try:
        for row in rows:
            line = row.line
            yield row
    except UnicodeDecodeError as error:
        yield Row(line + 1, error=f"is not {error.encoding} text, nor is what follows")
    except EOFError as error:
        yield Row(line, error=str(error))


def _readable(text: str) -> bool:
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def _cells(text: Iterable[str], rename: Mapping[str, str]) -> Iterator[Row]:
    lines = iter(text)
    first = next(lines, "")
    delimiter = max(",;\t", key=first.count)
    csv.field_size_limit(_CELL_LIMIT)
    reader = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
    header = _header(reader, rename)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(line, error=f"is no CSV: {error}")
            if "field larger" in str(error):
                # Where that cell ends nobody knows: what follows may be a part of it.
                return
            continue
        cells = [cell.strip() for cell in cells]
        if any(cells):
            yield _cell_row(line, header, cells)


def _header(reader: Iterator[list[str]], rename: Mapping[str, str]) -> list[str | None]:
    """Name the columns: None is left out, and a blank name may hold blanks alone."""
    try:
        columns = [cell.strip() for cell in next(reader, [])]
    except csv.Error as error:
        raise BadHeader(f"the first line is no CSV: {error}") from error
    names = [rename.get(column, column) for column in columns]
    if not any(names):
        raise BadHeader("the first line must name the columns")
    for name in names:
        if name and names.count(name) > 1:
            raise BadHeader(f"column {shown(name)} stands there twice")
        if not _readable(name):
            raise BadHeader(f"column {shown(name)} is not UTF-8 text")
    left_out = [
        name == "" != column for name, column in zip(names, columns, strict=True)
    ]
    return [None if out else name for out, name in zip(left_out, names, strict=True)]


def _cell_row(line: int, header: list[str | None], cells: list[str]) -> Row:
    if len(cells) != len(header):
        error = f"has {len(cells)} cells, and the first line has {len(header)}"
        return Row(line, error=error)
    if not all(map(_readable, cells)):
        return Row(line, error="is not UTF-8 text")
    found = {
        name: cell
        for name, cell in zip(header, cells, strict=True)
        if cell and name is not None
    }
    if "" in found:
        return Row(line, error="has a cell in a column without a name")
    return Row(line, found, cells=True)


def _lines(text: Iterable[str]) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text, 1):
        if not line.isspace():
            yield number, line


def _objects(
    texts: Iterator[tuple[int, str]], rename: Mapping[str, str]
) -> Iterator[Row]:
    for line, text in texts:
        if not _readable(text):
            yield Row(line, error="is not UTF-8 text")
            continue
        try:
            yield Row(line, _renamed(loads(text), rename))
        except ValueError as error:
            yield Row(line, error=str(error))


def _renamed(payload: Any, rename: Mapping[str, str]) -> Any:
    if not isinstance(payload, dict) or not rename.keys() & payload.keys():
        return payload
    names = [(rename.get(name, name), value) for name, value in payload.items()]
    return _object([(name, value) for name, value in names if name])


def _elements(text: io.TextIOWrapper) -> Iterator[tuple[int, str]]:
    """
    Cut an array into the texts of its elements, whether or not each is good JSON.

    Only quotes, brackets and commas are looked at, so an element that is wrong
    inside costs itself and not the elements after it, as it would with a parser.
    """
    depth, quoted, line, begun = 0, False, 1, 1
    parts: list[str] = []
    for block in iter(partial(_block, text), ""):
        start = 0
        for found in _MARKS.finditer(block):
            mark = found[0]
            if mark == "\n":
                # No text of JSON runs over a line: a quote left open ends here.
                line, quoted = line + 1, False
            elif mark == '"':
                quoted = not quoted
            elif quoted or len(mark) > 1:
                continue
            elif depth == 1 and mark in ",]":
                parts.append(block[start : found.start()])
                yield from _element(begun, parts)
                parts, start, begun = [], found.end(), line
                depth -= mark == "]"
            elif mark in "[{":
                depth += 1
                start = found.end() if depth == 1 else start
            elif mark in "]}" and depth > 1:
                depth -= 1
        parts.append(block[start:])
    yield from _element(begun, parts)
    if depth:
        raise EOFError("the array does not end")


def _block(text: io.TextIOWrapper) -> str:
    """Read a block that does not end between a backslash and what it escapes."""
    block = text.read(_BLOCK)
    while block.endswith("\\") and (more := text.read(1)):
        block += more
    return block


def _element(line: int, parts: list[str]) -> Iterator[tuple[int, str]]:
    element = "".join(parts)
    if element.strip():
        lead = element[: len(element) - len(element.lstrip())]
        yield line + lead.count("\n"), element

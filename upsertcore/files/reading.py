"""
Input files as rows, read one at a time.

Rules:
    A malformed row becomes a row with an error, and reading continues. Where the start
    of the next row cannot be determined, reading stops with a message.
    Memory holds one row and one block of the file, never the file.
    The first bytes decide on the format; a format that is not read is refused by name.
    Nothing here depends on a profile.
"""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator
from pathlib import PurePath
from typing import BinaryIO

from attrs import evolve

from upsertcore.files.columns import Columns
from upsertcore.files.csv_rows import read_csv
from upsertcore.files.gzip_input import (
    DamagedGzip,
    decompress,
    is_gzip,
    name_inside,
)
from upsertcore.files.json_rows import read_json_array, read_json_lines
from upsertcore.files.read_options import ReadOptions
from upsertcore.files.rows import BadHeader, InputRow, UnreadableFile
from upsertcore.files.text_input import NO_TEXT, Peeked, decode, no_text, peek
from upsertcore.files.unread_formats import check_bytes, check_text

__all__ = ["read_rows"]

_DEFAULT = ReadOptions()
_LEAST = 64
"""The number of first bytes that show a format; more are read where there are more."""


def read_rows(
    stream: BinaryIO, name: str, columns: Columns, how: ReadOptions = _DEFAULT
) -> Generator[InputRow, None, None]:
    r"""
    Read the rows of a file: CSV, JSON Lines or a JSON array, compressed by gzip or not.

    A name that ends in ``.csv`` or ``.tsv`` is CSV. Otherwise the first character
    decides: ``[`` is an array, ``{`` is JSON Lines, and anything else is CSV.

    Args:
        stream: The file, opened for reading bytes; UTF-8 or UTF-16, with or without
            a byte order mark, unless ``how`` names an encoding.
        name: The name of the file.
        columns: How columns, or top-level names of an object, are renamed; it records
            those that are present.
        how: What the file does not say itself; by default what the map file of the
            columns says.

    Raises:
        BadHeader: If the first line of a CSV cannot be used.
        UnreadableFile: If the format is not read, the data are damaged, or a quote or
            an element is not closed, so that the start of the next row is unknown.

    Cost:
        One pass; memory for one row.

    >>> stream = io.BufferedReader(io.BytesIO(b"Mail,city\na@x.org, Oslo\n"))
    >>> rows = read_rows(stream, "a.csv", Columns({"Mail": "email"}))
    >>> [row.payload for row in rows]
    [{'email': 'a@x.org', 'city': 'Oslo'}]
    """
    how = columns.map.reading if how is _DEFAULT else how
    source = peek(stream, _LEAST)
    if is_gzip(source.head):
        name = name_inside(name)
        source = peek(decompress(source.stream), _LEAST)
    check_bytes(source.head)
    yield from _text_rows(source, PurePath(name).suffix.lower(), columns, how)


def _text_rows(
    source: Peeked, suffix: str, columns: Columns, how: ReadOptions
) -> Iterator[InputRow]:
    text, beginning = decode(source, how.encoding)
    line = 0
    try:
        check_text(beginning)
        for row in _parsed(text, beginning.lstrip()[:1], suffix, columns, how):
            line = row.line
            if row.error == NO_TEXT:
                yield evolve(row, error=no_text(text.encoding))
            else:
                yield row
    except BadHeader as error:
        message = str(error).replace(NO_TEXT, no_text(text.encoding))
        raise BadHeader(message) from error
    except DamagedGzip as error:
        read = f"line {line} is the last that was read" if line else "no row was read"
        raise UnreadableFile(f"{error}; {read}") from error
    except UnicodeDecodeError as error:
        problem = f"is not {error.encoding} text: {_reason(error)}"
        yield InputRow(line + 1, error=problem)
    except EOFError as error:
        yield InputRow(line, error=str(error))
    finally:
        # The stream belongs to the caller: detach, so that it is not closed.
        text.detach()


def _parsed(
    text: io.TextIOWrapper,
    first: str,
    suffix: str,
    columns: Columns,
    how: ReadOptions,
) -> Iterator[InputRow]:
    if suffix in {".csv", ".tsv"}:
        return read_csv(text, columns, how)
    if first == "[":
        return read_json_array(text, columns)
    if first == "{" or suffix in {".jsonl", ".ndjson"}:
        return read_json_lines(text, columns)
    return read_csv(text, columns, how)


def _reason(error: UnicodeDecodeError) -> str:
    if error.reason in {"truncated data", "unexpected end of data"}:
        return "it ends in the middle of a character"
    return f"{error.reason}; the lines after it were not read"

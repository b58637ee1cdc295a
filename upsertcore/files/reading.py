"""
Input files as rows, read one at a time.

Rules:
    A malformed row becomes a row with an error, and reading continues. Where the start
    of the next row cannot be determined, reading stops with a message.
    Memory holds one row and one block of the file, never the file; xlsx and Parquet,
    which are read at any place, are copied to a temporary file.
    The first bytes decide on the format; a format that is not read is refused by name.
    Nothing here depends on a profile.
"""

from __future__ import annotations

import io
import re
from collections.abc import Generator, Iterator
from pathlib import PurePath
from shutil import copyfileobj
from tempfile import TemporaryFile
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
from upsertcore.files.json_envelope import read_envelope
from upsertcore.files.json_objects import read_json_objects
from upsertcore.files.json_rows import read_json_array, read_json_lines
from upsertcore.files.parquet_rows import read_parquet
from upsertcore.files.read_options import ReadOptions
from upsertcore.files.rows import BadHeader, InputRow, UnreadableFile
from upsertcore.files.text_input import NO_TEXT, Peeked, decode, no_text, peek
from upsertcore.files.unread_formats import check_bytes, check_text
from upsertcore.files.vcard_rows import read_vcards
from upsertcore.files.workbook_rows import check_archive, read_workbook

__all__ = ["read_rows"]

_DEFAULT = ReadOptions()
_PARQUET = b"PAR1"
_BINARY = (_PARQUET, b"PK\3\4", b"PK\5\6")
_VCARD = re.compile(r"(?i)\s*BEGIN:VCARD\s")
_TABLES, _LINES = (".csv", ".tsv"), (".jsonl", ".ndjson")
_LEAST = 64
"""The number of first bytes that show a format; more are read where there are more."""


def read_rows(
    stream: BinaryIO, name: str, columns: Columns, how: ReadOptions = _DEFAULT
) -> Generator[InputRow, None, None]:
    r"""
    Read the rows of a file: CSV, JSON, vCard, xlsx or Parquet.

    Gzip, xlsx, Parquet and vCard are recognised by their first bytes. A name that ends
    in ``.csv`` or ``.tsv`` is CSV. Otherwise the first character decides: ``[`` is an
    array, ``{`` is objects, and anything else is CSV.

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
    if source.head.startswith(_BINARY):
        return _binary_rows(source, columns, how)
    check_bytes(source.head)
    return _text_rows(source, PurePath(name).suffix.lower(), columns, how)


def _binary_rows(
    source: Peeked, columns: Columns, how: ReadOptions
) -> Generator[InputRow, None, None]:
    """Read the rows of a format that must be read at any place, from a copy."""
    is_parquet = source.head.startswith(_PARQUET)
    with TemporaryFile() as file:
        try:
            copyfileobj(source.stream, file)
        except DamagedGzip as error:
            raise UnreadableFile(f"{error}; no row was read") from error
        file.seek(0)
        _refuse_settings(how, "sheet" if is_parquet else "", "path")
        if is_parquet:
            yield from read_parquet(file, columns)
            return
        check_archive(file)
        yield from read_workbook(file, columns, how)


def _refuse_settings(how: ReadOptions, *names: str) -> None:
    """Refuse settings that name what is read, where the format has no such part."""
    for name in names:
        if name and getattr(how, name):
            part = "sheets" if name == "sheet" else "arrays within objects"
            raise UnreadableFile(f"{name}: the file has no {part}; leave it out")


def _text_rows(
    source: Peeked, suffix: str, columns: Columns, how: ReadOptions
) -> Generator[InputRow, None, None]:
    text, beginning = decode(source, how.encoding)
    line = 0
    try:
        check_text(beginning)
        for row in _parsed(text, beginning, suffix, columns, how):
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
    beginning: str,
    suffix: str,
    columns: Columns,
    how: ReadOptions,
) -> Iterator[InputRow]:
    first = beginning.lstrip()[:1]
    is_json = first in ("[", "{") and suffix not in _TABLES
    _refuse_settings(how, "sheet", "" if is_json and first == "{" else "path")
    if _VCARD.match(beginning):
        return read_vcards(text, columns)
    if is_json and first == "[":
        return read_json_array(text, columns)
    if is_json and how.path:
        return read_envelope(text, columns, how.path)
    if suffix in _LINES:
        return read_json_lines(text, columns)
    if is_json:
        return read_json_objects(text, columns)
    return read_csv(text, columns, how)


def _reason(error: UnicodeDecodeError) -> str:
    if error.reason in {"truncated data", "unexpected end of data"}:
        return "it ends in the middle of a character"
    return f"{error.reason}; the lines after it were not read"

"""
Objects at the top of a file: one in each line, or over several lines.

Rules:
    If the first line has open brackets and ends with a bracket, a comma or a colon, an
    object ends at the end of a line with all its brackets closed. Otherwise each line
    is a payload.
    A file of one object that is no contact itself, with an array of contacts in it, is
    refused with the path of that array: it is never guessed.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import Any

from upsertcore.files.column_kinds import header_kind
from upsertcore.files.columns import Columns
from upsertcore.files.json_rows import (
    ELEMENT_LIMIT,
    object_rows,
    parse_json,
)
from upsertcore.files.rows import InputRow, UnreadableFile, format_names

__all__ = ["read_json_objects"]

_CONTINUED = ("{", "[", ",", ":")
_MARKS = re.compile(r'\\.|["\[\]{}]')


def read_json_objects(text: io.TextIOWrapper, columns: Columns) -> Iterator[InputRow]:
    r"""
    Read the objects of a file.

    Args:
        text: The objects.
        columns: How top-level names of an object are renamed.

    Raises:
        UnreadableFile: If an object is not closed, or if the rows are in an array
            within the only object.

    Cost:
        Linear in the text; memory for one object.

    >>> text = io.TextIOWrapper(io.BytesIO(b'{\n "a": 1\n}\n'))
    >>> [(row.line, row.payload) for row in read_json_objects(text, Columns({}))]
    [(1, {'a': 1})]
    """
    number, line = 1, text.readline(ELEMENT_LIMIT)
    while line.isspace():
        number, line = number + 1, text.readline(ELEMENT_LIMIT)
    if len(line) == ELEMENT_LIMIT:
        problem = f"line {number} is longer than {ELEMENT_LIMIT} characters"
        raise UnreadableFile(f"{problem}; name the array in it with path")
    lines = chain([(number, line)], enumerate(text, number + 1))
    is_continued = _depth(line) > 0 and line.rstrip()[-1:] in _CONTINUED
    objects = _closed(lines) if is_continued else _filled(lines)
    first = [*islice(objects, 2)]
    if len(first) == 1:
        _check_envelope(first[0][1])
    return object_rows(chain(first, objects), columns)


def _depth(line: str) -> int:
    """Return how many more brackets a line opens than it closes, outside of strings."""
    depth, is_quoted = 0, False
    for mark in _MARKS.findall(line):
        if mark == '"':
            is_quoted = not is_quoted
        elif not is_quoted and len(mark) == 1:
            depth += 1 if mark in "[{" else -1
    return depth


def _filled(lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in lines if not line.isspace())


def _closed(lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Yield lines that belong together, with the number of the first."""
    parts: list[str] = []
    start = number = depth = size = 0
    for number, line in _filled(lines):
        start = start if parts else number
        parts.append(line)
        depth, size = depth + _depth(line), size + len(line)
        if size > ELEMENT_LIMIT:
            last = max([number, *(later for later, _line in lines)])
            raise _unclosed(start, last)
        if depth <= 0:
            yield start, "".join(parts)
            parts, depth, size = [], 0, 0
    if parts:
        raise _unclosed(start, number)


def _unclosed(line: int, last: int) -> UnreadableFile:
    problem = f"line {line}: the object that starts here is not closed"
    unread = f"lines {line} to {last} were" if last > line else f"line {line} was"
    remedy = "if it is large, name the array in it with path"
    return UnreadableFile(f"{problem}; {unread} not read; {remedy}")


def _check_envelope(text: str) -> None:
    """Check that the only object of a file is a payload."""
    try:
        payload = parse_json(text)
    except ValueError:
        return  # its row says so
    if not isinstance(payload, dict) or _has(payload, _KEYS):
        return
    paths = [".".join(path) for path in _arrays(payload)]
    if paths:
        what = f"the file is one object, with rows in {format_names(paths)}"
        raise UnreadableFile(f"path: {what}; name the array with path {paths[0]}")


def _has(payload: Mapping[str, Any], kinds: frozenset[str]) -> bool:
    """Return whether an object, or one in it, has a name of some kind."""
    return any(
        header_kind(name) in kinds or (isinstance(value, dict) and _has(value, kinds))
        for name, value in payload.items()
    )


def _arrays(payload: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield the paths of arrays of contacts."""
    for name, value in payload.items():
        if isinstance(value, dict):
            yield from ([name, *path] for path in _arrays(value))
        elif isinstance(value, list) and value:
            first = value[0]
            if isinstance(first, dict) and _has(first, _CONTACT):
                yield [name]


_KEYS = frozenset({"email", "phone"})
_CONTACT = _KEYS | {"name"}

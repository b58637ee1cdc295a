"""
JSON input: JSON Lines, and the elements of a JSON array.

Rules:
    A malformed line or element becomes a row with an error; reading continues after it.
    An element that is not closed would swallow all that follow: reading stops there,
    and the message names the lines that were not read.
"""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from attrs import Factory, define

from upsertcore.files.columns import Columns
from upsertcore.files.csv_rows import is_text
from upsertcore.files.rows import BadHeader, InputRow, UnreadableFile
from upsertcore.files.text_input import NO_TEXT
from upsertcore.values import MAX_DEPTH, show_value

__all__ = [
    "ELEMENT_LIMIT",
    "ArrayScanner",
    "Blocks",
    "object_rows",
    "parse_json",
    "read_json_array",
    "read_json_lines",
    "split_array",
]

ELEMENT_LIMIT = 1 << 24
"""The number of characters that one element may have."""

_BLOCK = 1 << 16
_MARKS = re.compile(r'\\.|["\[\]{},\n]', re.DOTALL)
_PAIRS = {"]": "[", "}": "{"}


def parse_json(text: str) -> Any:
    """
    Parse JSON text.

    Raises:
        ValueError: With a message of one line, if the text is not valid JSON, is nested
            too deeply, or has an object with a duplicate name.

    Cost:
        Linear in the text.

    >>> parse_json('{"a": 1, "a": 2}')
    Traceback (most recent call last):
    ...
    ValueError: is not valid JSON: duplicate name 'a'
    """
    try:
        return json.loads(text, object_pairs_hook=_object)
    except RecursionError:
        # How deep is parsed differs by Python; deeper values are refused like this.
        raise ValueError(f"must not nest deeper than {MAX_DEPTH} levels") from None
    except ValueError as error:
        raise ValueError(f"is not valid JSON: {error}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        counts = Counter(name for name, _value in pairs)
        duplicate = next(name for name in counts if counts[name] > 1)
        raise ValueError(f"duplicate name {show_value(duplicate)}")
    return result


def read_json_lines(text: Iterable[str], columns: Columns) -> Iterator[InputRow]:
    r"""
    Read one payload per line.

    Args:
        text: The lines, with their line endings.
        columns: How top-level names of an object are renamed.

    >>> [
    ...     row.payload
    ...     for row in read_json_lines(['{"a": 1}\n', "\n"], Columns({"a": "b"}))
    ... ]
    [{'b': 1}]
    """
    lines = ((n, line) for n, line in enumerate(text, 1) if not line.isspace())
    return object_rows(lines, columns)


def read_json_array(text: io.TextIOWrapper, columns: Columns) -> Iterator[InputRow]:
    """
    Read the elements of an array; a malformed one becomes a row with an error.

    Args:
        text: The array.
        columns: How top-level names of an object are renamed.

    Raises:
        EOFError: If the array is not closed.
        UnreadableFile: If an element in it is not closed.
    """
    return object_rows(split_array(Blocks.of(text), ArrayScanner()), columns)


def object_rows(
    texts: Iterable[tuple[int, str]], columns: Columns
) -> Iterator[InputRow]:
    """
    Parse payloads.

    Args:
        texts: The line and the text of each.
        columns: How top-level names of an object are renamed.

    >>> [row.payload for row in object_rows([(1, '{"a": 1}')], Columns({"a": "b"}))]
    [{'b': 1}]
    """
    columns.complete = False
    for line, text in texts:
        if not is_text(text):
            yield InputRow(line, error=NO_TEXT, source=text)
            continue
        try:
            payload = _rename(parse_json(text), columns)
            yield InputRow(line, payload, source=text)
        except BadHeader:
            raise
        except ValueError as error:
            yield InputRow(line, error=str(error), source=text)


def _rename(payload: Any, columns: Columns) -> Any:
    renamed = columns.rename_object(payload) if isinstance(payload, dict) else None
    return payload if renamed is None else renamed


@define
class ArrayScanner:
    """
    The state of a scan of an array, with the text of the current element.

    >>> ArrayScanner().ends_element("[")
    False
    """

    line: int = 1
    start_line: int = 1
    quoted: bool = False
    mismatched: bool = False
    brackets: list[str] = Factory(list)
    parts: list[str] = Factory(list)

    def ends_element(self, mark: str) -> bool:
        """Process a mark, and return whether an element ends before it."""
        if mark == "\n":
            # A JSON string has no line breaks: an unclosed quote ends here.
            self.line, self.quoted = self.line + 1, False
        elif mark == '"':
            self.quoted = not self.quoted
        elif self.quoted or len(mark) > 1:
            return False
        elif len(self.brackets) == 1 and mark in ",]":
            if mark == "]":
                self.brackets.pop()
            return True
        elif mark in _PAIRS:
            if len(self.brackets) > 1:
                self.mismatched |= self.brackets.pop() != _PAIRS[mark]
        elif mark != ",":
            self.brackets.append(mark)
        return False

    def element(self) -> Iterator[tuple[int, str]]:
        """Yield the current element unless it is blank, and start the next one."""
        text = "".join(self.parts)
        if text.strip():
            lead = text[: len(text) - len(text.lstrip())]
            yield self.start_line + lead.count("\n"), text
        self.parts, self.start_line, self.mismatched = [], self.line, False

    def unclosed(self, remaining: Iterable[str] = ()) -> UnreadableFile:
        """Return the error of an unclosed element; ``remaining`` is the unread text."""
        [(line, text)] = self.element()
        last = self.line
        for block in remaining:
            text, last = block, last + block.count("\n")
        last -= text.endswith("\n")
        problem = f"line {line}: the element that starts here is not closed"
        unread = f"lines {line} to {last} were" if last > line else f"line {line} was"
        return UnreadableFile(f"{problem}; {unread} not read")


@define
class Blocks:
    """
    The text of a file, in blocks.

    Args:
        remaining: The blocks.

    >>> blocks = Blocks(iter(["b"]))
    >>> blocks.push("a")
    >>> [*blocks]
    ['a', 'b']
    """

    remaining: Iterator[str]
    _pushed: str = ""

    @classmethod
    def of(cls, text: io.TextIOWrapper) -> Blocks:
        """Return the blocks of a text."""
        return cls(iter(partial(_block, text), ""))

    def push(self, text: str) -> None:
        """Put back text that was read."""
        self._pushed = text

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        block, self._pushed = self._pushed, ""
        return block or next(self.remaining)


def split_array(
    blocks: Blocks, array: ArrayScanner, *, is_inside: bool = False
) -> Iterator[tuple[int, str]]:
    """
    Split an array into the texts of its elements.

    Only quotes, brackets and commas are examined, so a malformed element does not
    affect the elements after it, as it would with a parser.

    Args:
        blocks: The text.
        array: The state of the scan.
        is_inside: Whether the array is part of an object, so that it ends before the
            text does; the text after it is put back.

    Raises:
        EOFError, UnreadableFile: As :func:`read_json_array`.
    """
    size = 0
    for block in blocks:
        start = 0
        for match in _MARKS.finditer(block):
            outside = not array.brackets
            if array.ends_element(match[0]):
                array.parts.append(block[start : match.start()])
                yield from array.element()
                start, size = match.end(), 0
                if is_inside and not array.brackets:
                    blocks.push(block[start:])
                    return
            elif outside and array.brackets:
                start, array.start_line = match.end(), array.line
        array.parts.append(block[start:])
        size += len(block) - start
        if array.brackets and size > ELEMENT_LIMIT:
            raise array.unclosed(blocks)
    if array.brackets and (array.quoted or array.mismatched or len(array.brackets) > 1):
        raise array.unclosed()
    yield from array.element()
    if array.brackets:
        raise EOFError("the array is not closed")


def _block(text: io.TextIOWrapper) -> str:
    """Read a block that does not end between a backslash and the escaped character."""
    block = text.read(_BLOCK)
    while block.endswith("\\") and (character := text.read(1)):
        block += character
    return block

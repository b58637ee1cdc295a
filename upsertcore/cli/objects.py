"""
Payloads: JSON Lines, and the elements of a JSON array.

Rules:
    A line or an element that is no JSON is a row with an error; what follows is read.
    An element that does not end would make one row of all that follows: the file is
    read no further, and what was not read is named.
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

from upsertcore.cli.cells import readable
from upsertcore.cli.row import Columns, InputRow, UnreadableRow
from upsertcore.values import shown

__all__ = ["elements", "lines", "loads"]

_BLOCK = 1 << 16
_ELEMENT_LIMIT = 1 << 24
_MARKS = re.compile(r'\\.|["\[\]{},\n]', re.DOTALL)
_PAIRS = {"]": "[", "}": "{"}


def loads(text: str) -> Any:
    """
    Read JSON text, or say in one line why it is none.

    Raises:
        ValueError: If it is no JSON, nests too deep, or names a thing twice.

    Cost:
        Linear in the text.

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
        counts = Counter(name for name, _value in pairs)
        twice = next(name for name in counts if counts[name] > 1)
        raise ValueError(f"the name {shown(twice)} stands there twice")
    return found


def lines(text: Iterable[str], columns: Columns) -> Iterator[InputRow]:
    r"""
    Read one payload a line.

    Args:
        text: The lines, with their ends.
        columns: What names at the top of an object shall be called.

    >>> [row.payload for row in lines(['{"a": 1}\n', "\n"], Columns({"a": "b"}))]
    [{'b': 1}]
    """
    numbered = ((n, each) for n, each in enumerate(text, 1) if not each.isspace())
    return _rows(numbered, columns)


def elements(text: io.TextIOWrapper, columns: Columns) -> Iterator[InputRow]:
    """
    Read the elements of an array, whether or not each is good JSON.

    Args:
        text: The array.
        columns: What names at the top of an object shall be called.

    Raises:
        EOFError: If the array does not end.
        Unreadable: If an element in it does not end.
    """
    return _rows(_cut(text), columns)


def _rows(texts: Iterator[tuple[int, str]], columns: Columns) -> Iterator[InputRow]:
    columns.certain = False
    for line, text in texts:
        if not readable(text):
            yield InputRow(line, error="is not UTF-8 text")
            continue
        try:
            yield InputRow(line, _renamed(loads(text), columns))
        except ValueError as error:
            yield InputRow(line, error=str(error))


def _renamed(payload: Any, columns: Columns) -> Any:
    named = columns.renamed(payload) if isinstance(payload, dict) else None
    return payload if named is None else _object(named)


@define
class _Array:
    """How far an array was looked through, and what of an element is read."""

    line: int = 1
    begun: int = 1
    quoted: bool = False
    odd: bool = False
    depth: list[str] = Factory(list)
    parts: list[str] = Factory(list)

    def ends(self, mark: str) -> bool:
        """Take a mark, and return whether an element ends before it."""
        if mark == "\n":
            # No text of JSON runs over a line: a quote left open ends here.
            self.line, self.quoted = self.line + 1, False
        elif mark == '"':
            self.quoted = not self.quoted
        elif self.quoted or len(mark) > 1:
            return False
        elif len(self.depth) == 1 and mark in ",]":
            if mark == "]":
                self.depth.pop()
            return True
        elif mark in _PAIRS:
            if len(self.depth) > 1:
                self.odd |= self.depth.pop() != _PAIRS[mark]
        elif mark != ",":
            self.depth.append(mark)
        return False

    def element(self) -> Iterator[tuple[int, str]]:
        """Give the element that was read, unless it is blank, and begin the next."""
        text = "".join(self.parts)
        if text.strip():
            lead = text[: len(text) - len(text.lstrip())]
            yield self.begun + lead.count("\n"), text
        self.parts, self.begun, self.odd = [], self.line, False

    def unread(self, rest: Iterable[str] = ()) -> UnreadableRow:
        """Say that the element does not end, though all of the rest is looked at."""
        [(line, text)] = self.element()
        last = self.line
        for block in rest:
            text, last = block, last + block.count("\n")
        last -= text.endswith("\n")
        what = f"line {line}: the element that begins here does not end"
        unread = f"lines {line} to {last} were" if last > line else f"line {line} was"
        return UnreadableRow(f"{what}; {unread} not read")


def _cut(text: io.TextIOWrapper) -> Iterator[tuple[int, str]]:
    """
    Cut an array into the texts of its elements, whether or not each is good JSON.

    Only quotes, brackets and commas are looked at, so an element that is wrong
    inside costs itself and not the elements after it, as it would with a parser.
    """
    array, size = _Array(), 0
    blocks = iter(partial(_block, text), "")
    for block in blocks:
        start = 0
        for found in _MARKS.finditer(block):
            outside = not array.depth
            if array.ends(found[0]):
                array.parts.append(block[start : found.start()])
                yield from array.element()
                start, size = found.end(), 0
            elif outside and array.depth:
                start = found.end()
        array.parts.append(block[start:])
        size += len(block) - start
        if array.depth and size > _ELEMENT_LIMIT:
            raise array.unread(blocks)
    if array.depth and (array.quoted or array.odd or len(array.depth) > 1):
        raise array.unread()
    yield from array.element()
    if array.depth:
        raise EOFError("the array does not end")


def _block(text: io.TextIOWrapper) -> str:
    """Read a block that does not end between a backslash and what it escapes."""
    block = text.read(_BLOCK)
    while block.endswith("\\") and (more := text.read(1)):
        block += more
    return block

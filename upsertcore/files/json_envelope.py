"""
An array within an object, found by its path and read element by element.

Rules:
    The object around the array is not kept, so its size does not matter.
    A path that leads to no array is an error, which names the arrays that there are.
    Objects after each other, such as the pages of an interface, are read alike.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator

from attrs import Factory, define

from upsertcore.files.columns import Columns
from upsertcore.files.json_rows import ArrayScanner, Blocks, object_rows, split_array
from upsertcore.files.rows import InputRow, UnreadableFile, format_names
from upsertcore.values import show_value

__all__ = ["read_envelope"]

_TOKENS = re.compile(r'\\.|["\[\]{}:\n]', re.DOTALL)
_OPENING = {"]": "[", "}": "{"}


def read_envelope(
    text: io.TextIOWrapper, columns: Columns, path: str
) -> Iterator[InputRow]:
    """
    Read the elements of an array within an object.

    Args:
        text: The object.
        columns: How top-level names of an element are renamed.
        path: The names that lead to the array, separated by dots.

    Raises:
        EOFError: If the array or the object is not closed.
        UnreadableFile: If there is no such array, or an element is not closed.

    Cost:
        Linear in the text; memory for one element.

    >>> text = io.TextIOWrapper(io.BytesIO(b'{"data": {"people": [{"a": 1}]}}'))
    >>> [row.payload for row in read_envelope(text, Columns({}), "data.people")]
    [{'a': 1}]
    """
    return object_rows(_elements(Blocks.of(text), path.split(".")), columns)


def _elements(blocks: Blocks, path: list[str]) -> Iterator[tuple[int, str]]:
    walk, is_found = _Walk(path), False
    while walk.finds_array(blocks):
        is_found = True
        array = ArrayScanner(line=walk.line, start_line=walk.line, brackets=["["])
        yield from split_array(blocks, array, is_inside=True)
        walk.line = array.line
    if walk.brackets:
        raise EOFError("the object is not closed")
    if not is_found:
        problem = f"path: no array at {show_value('.'.join(path))}"
        known = format_names([*walk.arrays])
        remedy = f"arrays are at {known}" if known else "the object has no arrays"
        raise UnreadableFile(f"{problem}; {remedy}")


@define
class _Walk:
    """
    A walk over the marks of an object, up to the array at a path.

    Args:
        path: The names that lead to the array.
        line: The line.
        brackets: The brackets that are open.
        names: The latest name in each of them.
        arrays: The paths of other arrays.
    """

    path: list[str]
    line: int = 1
    brackets: list[str] = Factory(list)
    names: list[str] = Factory(list)
    arrays: dict[str, None] = Factory(dict)
    _string: str = ""
    _is_quoted: bool = False

    def finds_array(self, blocks: Blocks) -> bool:
        """Read up to the next array at the path; return whether there is one."""
        for block in blocks:
            start = 0
            for match in _TOKENS.finditer(block):
                mark = match[0]
                if mark == "\n":
                    self.line, self._is_quoted = self.line + 1, False
                elif mark == '"':
                    if self._is_quoted:
                        self._string += block[start : match.start()]
                    else:
                        self._string, start = "", match.end()
                    self._is_quoted = not self._is_quoted
                elif not self._is_quoted and self._is_array(mark):
                    blocks.push(block[match.end() :])
                    return True
            if self._is_quoted:
                self._string += block[start:]
        return False

    def _is_array(self, mark: str) -> bool:
        """Process a mark outside of strings; return whether it opens the array."""
        if mark == ":":
            if self.names:
                self.names[-1] = self._string
        elif mark in ("[", "{"):
            if mark == "[" and "[" not in self.brackets:
                names = [*map(_unescaped, self.names)]
                if names == self.path:
                    return True
                self.arrays[".".join(names)] = None
            self.brackets.append(mark)
            self.names.append("")
        else:
            if not self.brackets or self.brackets.pop() != _OPENING[mark]:
                problem = f"line {self.line}: {mark} closes nothing"
                raise UnreadableFile(f"{problem}; the lines after it were not read")
            self.names.pop()
        return False


def _unescaped(name: str) -> str:
    try:
        return str(json.loads(f'"{name}"'))
    except ValueError:
        return name

"""
Tables as Markdown, and where in a text they stand.

Rules:
    Pure: text in, text out. What is blank in a row is blank in the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["figure", "placed", "table"]


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    r"""
    Write a table; a bar in a cell is escaped, the end of a line is a blank.

    >>> print(table(["a", "b"], [["1", "x|y"]]))
    | a | b |
    |---|---|
    | 1 | x\|y |
    """
    lines = [_line(heads), f"|{'|'.join(['---'] * len(heads))}|"]
    return "\n".join([*lines, *map(_line, rows)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def figure(value: float | None, places: int = 4) -> str:
    """
    Write a figure with so many places, blank where there is none.

    >>> figure(0.98814), figure(1234.5, 0), figure(None)
    ('0.9881', '1,234', '')
    """
    return "" if value is None else f"{value:,.{places}f}"


def placed(text: str, block: str, begin: str, end: str, heading: str = "") -> str:
    """
    Put a block between its markers, or at the end, under its heading if it has one.

    >>> placed("a [ b ] c", "new", "[", "]", "## H").split()
    ['a', '[', 'new', ']', 'c']
    >>> placed("a", "new", "[", "]", "## H").split()
    ['a', '##', 'H', '[', 'new', ']']
    """
    made = f"{begin}\n\n{block}\n\n{end}"
    head, found, rest = text.partition(begin)
    if found:
        return head + made + rest.partition(end)[2]
    parts = text.strip(), heading, made
    return "\n\n".join(filter(None, parts)) + "\n"

"""
Markdown tables, and their insertion into a text.

Rules:
    Pure: text in, text out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["format_number", "insert_block", "table"]


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    r"""
    Return a table; bars in cells are escaped, and line breaks become spaces.

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


def format_number(value: float | None, places: int = 4) -> str:
    """
    Return a number with ``places`` decimals, blank for None.

    >>> format_number(0.98814), format_number(1234.5, 0), format_number(None)
    ('0.9881', '1,234', '')
    """
    return "" if value is None else f"{value:,.{places}f}"


def insert_block(text: str, block: str, begin: str, end: str, heading: str = "") -> str:
    """
    Insert a block between its markers, or at the end under an optional heading.

    >>> insert_block("a [ b ] c", "new", "[", "]", "## H").split()
    ['a', '[', 'new', ']', 'c']
    >>> insert_block("a", "new", "[", "]", "## H").split()
    ['a', '##', 'H', '[', 'new', ']']
    """
    marked = f"{begin}\n\n{block}\n\n{end}"
    head, marker, tail = text.partition(begin)
    if marker:
        return head + marked + tail.partition(end)[2]
    parts = text.strip(), heading, marked
    return "\n\n".join(filter(None, parts)) + "\n"

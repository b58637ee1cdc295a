"""
Help that fits a narrow terminal.

Rules:
    click wraps help at 50 columns or more; this goes down to the width of the terminal.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable

import click

__all__ = ["HelpContext", "HelpFormatter"]

_WIDEST = 80
_LEAST = 30
_INDENT = 2


class HelpFormatter(click.HelpFormatter):
    """
    A formatter of help as wide as the terminal, and at most 80 columns.

    >>> HelpFormatter(width=38).width
    38
    """

    def __init__(
        self,
        indent_increment: int = _INDENT,
        width: int | None = None,
        max_width: int | None = None,
    ) -> None:
        """Take the width of the terminal if none is given."""
        if width is None:
            columns = min(shutil.get_terminal_size().columns, max_width or _WIDEST)
            width = max(columns - _INDENT, _LEAST)
        super().__init__(indent_increment, width, max_width)

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        """Write names and texts; on a narrow terminal, a long name on its own line."""
        super().write_dl(rows, min(col_max, self.width // 3 + 4), col_spacing)


class HelpContext(click.Context):
    """A context whose help fits the terminal."""

    formatter_class = HelpFormatter

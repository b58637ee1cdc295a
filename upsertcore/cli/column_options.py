"""
The options of how columns become fields, which ``upsert`` and ``explain`` have.

Rules:
    A flag overrides what the map file says of the same.
    What was renamed and left out is noted on standard error, even if the run fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click
from attrs import frozen

from upsertcore.cli.exit_status import note
from upsertcore.cli.output import printable
from upsertcore.cli.upsert_rows import ProgressBar
from upsertcore.cli.usage import InvalidUsage, parse_pairs
from upsertcore.files.column_map import BadMap, ColumnMap, parse_map
from upsertcore.files.columns import Columns
from upsertcore.profiles.target import Target

__all__ = ["ColumnOptions", "column_options", "noted"]

T = TypeVar("T")

_OPTIONS = (
    click.option(
        "--map",
        "maps",
        multiple=True,
        metavar="COLUMN=FIELD",
        help='Rename a column to a field; "COLUMN=" drops the column.',
    ),
    click.option(
        "--map-file",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Read how columns become fields from this file (TOML).",
    ),
    click.option(
        "--from",
        "ready",
        metavar="NAME",
        default="",
        help="The product that exported the files, such as google; or none.",
    ),
    click.option(
        "--only-mapped", is_flag=True, help="Leave out columns that have no field."
    ),
)


@frozen
class ColumnOptions:
    """
    What the options say of columns.

    Args:
        maps: The pairs of ``--map``.
        map_file: The map file, None for none.
        ready: The ready map, "" for the one that fits.
        only_mapped: Whether columns without a field are left out.

    >>> options = ColumnOptions(("Mail=email",))
    >>> options.read_map().columns
    {}
    """

    maps: tuple[str, ...] = ()
    map_file: Path | None = None
    ready: str = ""
    only_mapped: bool = False

    def read_map(self) -> ColumnMap:
        """
        Check the pairs, and return what the map file says.

        Raises:
            InvalidUsage: If a pair is not valid, or the file is not a map.
            OSError: If it cannot be read.
        """
        self._rename()
        if self.map_file is None:
            return ColumnMap()
        try:
            text = self.map_file.read_text(encoding="utf-8")
            return parse_map(text, str(self.map_file))
        except BadMap as error:
            raise InvalidUsage(str(error)) from error
        except UnicodeDecodeError as error:
            raise InvalidUsage(f"{self.map_file}: is not UTF-8 text") from error

    def _rename(self) -> dict[str, str]:
        return parse_pairs("--map", self.maps, "COLUMN=FIELD")

    def columns(
        self, target: Target | None, reserved: Iterable[str], column_map: ColumnMap
    ) -> Columns:
        """
        Return how the columns of a run become fields.

        Args:
            target: What the rows are for.
            reserved: The parameters of a profile, which are no columns.
            column_map: What the map file says.

        Raises:
            InvalidUsage: If the pairs are not valid, or there is no such ready map.
        """
        rename = self._rename()
        try:
            return Columns(
                rename,
                frozenset(reserved),
                target,
                column_map,
                self.ready,
                self.only_mapped,
            )
        except BadMap as error:
            raise InvalidUsage(str(error)) from error


def column_options(command: Callable[..., T]) -> Callable[..., T]:
    """
    Add the options to a command, which takes them as one argument, ``of_columns``.

    >>> @click.command()
    ... @column_options
    ... def upsert(of_columns):
    ...     click.echo(of_columns.maps)
    >>> upsert(["--map", "Mail=email"], standalone_mode=False)
    ('Mail=email',)
    """

    @wraps(command)
    def with_columns(
        *arguments: Any,
        maps: tuple[str, ...],
        map_file: Path | None,
        ready: str,
        only_mapped: bool,
        **others: Any,
    ) -> T:
        of_columns = ColumnOptions(maps, map_file, ready, only_mapped)
        return command(*arguments, of_columns=of_columns, **others)

    result: Callable[..., T] = with_columns
    for option in reversed(_OPTIONS):
        result = option(result)
    return result


@contextmanager
def noted(columns: Columns, bar: ProgressBar) -> Iterator[None]:
    """Note what was renamed and left out, at the end and above the progress bar."""
    try:
        yield
    finally:
        for text in columns.notes():
            if bar.is_shown:
                bar.note(printable(f"note: {text}"))
            else:
                note(text)

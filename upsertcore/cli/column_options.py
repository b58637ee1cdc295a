"""
The options of how files are read and how their columns become fields.

Rules:
    A flag overrides what the map file says of the same.
    What was renamed and left out is noted on standard error, even if the run fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click
from attrs import asdict, evolve, frozen

from upsertcore.cli.exit_status import note
from upsertcore.cli.output import printable
from upsertcore.cli.upsert_rows import ProgressBar
from upsertcore.cli.usage import InvalidUsage, parse_pairs
from upsertcore.files.column_map import BadMap, ColumnMap, parse_map
from upsertcore.files.columns import Columns
from upsertcore.files.read_options import ReadOptions
from upsertcore.profiles.target import Target

__all__ = [
    "ColumnOptions",
    "column_options",
    "few_column_options",
    "noted",
    "read_options",
]

T = TypeVar("T")

_HEADER = "header"

_MAPS = click.option(
    "--map",
    "maps",
    multiple=True,
    metavar="COLUMN=FIELD",
    help='Rename a column to a field; "COLUMN=" drops the column.',
)
_MAP_FILE = click.option(
    "--map-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Read how columns become fields from this file (TOML).",
)
_READY = click.option(
    "--from",
    "ready",
    metavar="NAME",
    default="",
    help="The product that exported the files, such as google; or none.",
)
_ONLY_MAPPED = click.option(
    "--only-mapped", is_flag=True, help="Leave out columns that have no field."
)
_READS = click.option(
    "--read",
    "reads",
    multiple=True,
    metavar="NAME=VALUE",
    help="How files are read: encoding=cp1252, delimiter=;, header=3, ...",
)
_ALL = (_MAPS, _MAP_FILE, _READY, _ONLY_MAPPED, _READS)


@frozen
class ColumnOptions:
    """
    What the options say of columns.

    Args:
        maps: The pairs of ``--map``.
        map_file: The map file, None for none.
        ready: The ready map, "" for the one that fits.
        only_mapped: Whether columns without a field are left out.
        reads: The pairs of ``--read``.

    >>> options = ColumnOptions(("Mail=email",))
    >>> options.read_map().columns
    {}
    """

    maps: tuple[str, ...] = ()
    map_file: Path | None = None
    ready: str = ""
    only_mapped: bool = False
    reads: tuple[str, ...] = ()

    def read_map(self) -> ColumnMap:
        """
        Check the pairs, and return what the map file and ``--read`` say.

        Raises:
            InvalidUsage: If a pair is not valid, or the file is not a map.
            OSError: If it cannot be read.
        """
        self.rename()
        column_map = self._map_of_file()
        settings = _settings(self.reads)
        if _HEADER in settings:
            column_map = evolve(column_map, header=_line(settings.pop(_HEADER)))
        try:
            reading = evolve(column_map.reading, **settings)
        except ValueError as error:
            raise InvalidUsage(f"--read {error}") from error
        return evolve(column_map, reading=reading)

    def _map_of_file(self) -> ColumnMap:
        if self.map_file is None:
            return ColumnMap()
        try:
            text = self.map_file.read_text(encoding="utf-8")
            return parse_map(text, str(self.map_file))
        except BadMap as error:
            raise InvalidUsage(str(error)) from error
        except UnicodeDecodeError as error:
            raise InvalidUsage(f"{self.map_file}: is not UTF-8 text") from error

    def rename(self) -> dict[str, str]:
        """
        Return the pairs of ``--map``.

        Raises:
            InvalidUsage: If they are not valid.
        """
        return parse_pairs("--map", self.maps, "COLUMN=FIELD")

    def columns(
        self,
        target: Target | None,
        reserved: Iterable[str],
        column_map: ColumnMap,
        label: str = "",
    ) -> Columns:
        """
        Return how the columns of a run become fields.

        Args:
            target: What the rows are for.
            reserved: The parameters of a profile, which are no columns.
            column_map: What the map file says.
            label: A column that is kept as it is, whatever the options say.

        Raises:
            InvalidUsage: If the pairs are not valid, or there is no such ready map.
        """
        rename = {
            column: name for column, name in self.rename().items() if column != label
        }
        try:
            return Columns(
                rename,
                frozenset(reserved),
                target,
                column_map,
                self.ready,
                self.only_mapped,
                label,
            )
        except BadMap as error:
            raise InvalidUsage(str(error)) from error


def _settings(reads: Iterable[str]) -> dict[str, Any]:
    """Return the settings of ``--read``; there may be several words for null."""
    known = [*asdict(ReadOptions()), _HEADER]
    words = [*reads]
    nulls = [word for word in words if word.startswith("null=")]
    others = [word for word in words if word not in nulls]
    settings: dict[str, Any] = parse_pairs("--read", others)
    for name in settings:
        if name not in known:
            names = ", ".join(sorted(known))
            raise InvalidUsage(f"--read: {name!r} is not a setting; they are {names}")
    if nulls:
        settings["null"] = tuple(word.removeprefix("null=") for word in nulls)
    return settings


def _line(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise InvalidUsage(f"--read header: must be the number of a line, not {text!r}")
    return int(text)


def _added(
    options: Sequence[Callable[[Any], Any]], command: Callable[..., T]
) -> Callable[..., T]:
    @wraps(command)
    def with_columns(
        *arguments: Any,
        maps: tuple[str, ...] = (),
        map_file: Path | None = None,
        ready: str = "",
        only_mapped: bool = False,
        reads: tuple[str, ...] = (),
        **others: Any,
    ) -> T:
        of_columns = ColumnOptions(maps, map_file, ready, only_mapped, reads)
        return command(*arguments, of_columns=of_columns, **others)

    result: Callable[..., T] = with_columns
    for option in reversed(options):
        result = option(result)
    return result


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
    return _added(_ALL, command)


def few_column_options(command: Callable[..., T]) -> Callable[..., T]:
    """
    Add all but ``--from`` and ``--only-mapped``, which a map file can say as well.

    >>> @click.command()
    ... @few_column_options
    ... def evaluate(of_columns):
    ...     click.echo(of_columns.reads)
    >>> evaluate(["--read", "encoding=cp1252"], standalone_mode=False)
    ('encoding=cp1252',)
    """
    return _added((_MAPS, _MAP_FILE, _READS), command)


def read_options(command: Callable[..., T]) -> Callable[..., T]:
    """
    Add ``--read`` alone, for a command that takes columns as they are.

    >>> @click.command()
    ... @read_options
    ... def profile(of_columns):
    ...     click.echo(of_columns.read_map().header)
    >>> profile(["--read", "header=3"], standalone_mode=False)
    3
    """
    return _added((_READS,), command)


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

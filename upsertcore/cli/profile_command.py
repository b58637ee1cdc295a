"""
The command ``upsertcore profile``: what the columns of a file hold.

Rules:
    Every figure is computed by ``upsertcore.files``; a table has few columns, so that
    nothing is cut off on a narrow terminal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import click

from upsertcore.cli.column_options import ColumnOptions, read_options
from upsertcore.cli.exit_status import exit_status, output_console, report_errors
from upsertcore.cli.output import count_table, make_table
from upsertcore.cli.upsert_rows import ProgressBar, open_input
from upsertcore.cli.usage import InvalidUsage, parse_pairs
from upsertcore.files.column_kinds import KINDS
from upsertcore.files.columns import Columns
from upsertcore.files.figures import ColumnFigures, FileFigures
from upsertcore.files.profiling import SAMPLE_ROWS, profile_rows
from upsertcore.files.reading import read_rows
from upsertcore.files.rows import UnreadableFile
from upsertcore.normalize import phone_in

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["profile", "profile_tables"]

_REGION = "--region reads national numbers"


@click.command()
@click.argument("file")
@click.option(
    "--region",
    metavar="REGION",
    help="The region of national telephone numbers: US, DE.",
)
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    metavar="COLUMN=KIND",
    help=f"What a column holds: {', '.join(KINDS)}.",
)
@read_options
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.pass_context
def profile(
    context: click.Context,
    file: str,
    region: str | None,
    kinds: tuple[str, ...],
    of_columns: ColumnOptions,
    *,
    as_json: bool,
) -> None:
    """
    Show what the columns of FILE hold, and what each would do as a key.

    FILE is CSV, JSON Lines or a JSON array; - is standard input.

    Example: upsertcore profile leads.csv --region US
    """
    with report_errors(file), ProgressBar() as bar:
        given: Any = parse_pairs("--kind", kinds, "COLUMN=KIND")
        _check_region(region)
        columns = Columns({}, map=of_columns.read_map())
        with (
            open_input(file) as (stream, position, size),
            closing(read_rows(stream, file, columns)) as rows,
            _kind_errors(),
        ):
            tracked = bar.track(rows, file, position, size)
            figures = profile_rows(tracked, region=region, kinds=given)
    if as_json:
        click.echo(json.dumps(figures.to_dict(), indent=2))
    else:
        console = output_console()
        for table in profile_tables(figures):
            console.print(table)
    context.exit(exit_status(refused=bool(figures.unreadable)))


def _check_region(region: str | None) -> None:
    try:
        if region is not None:
            phone_in(region)
    except (ValueError, ModuleNotFoundError) as error:
        raise InvalidUsage(f"--region: {error}") from error


@contextmanager
def _kind_errors() -> Iterator[None]:
    """Report a kind that is unknown, or of a column that the file does not have."""
    try:
        yield
    except UnreadableFile:
        raise
    except ValueError as error:
        problem = str(error).removeprefix("kinds: ")
        raise InvalidUsage(f"--kind: {problem}") from error


def profile_tables(figures: FileFigures) -> Iterator[Table]:
    """
    Yield the tables of the figures of a file.

    Args:
        figures: The figures.

    >>> [table.title for table in profile_tables(FileFigures(0, {}, (), ()))]
    ['0 rows']
    """
    columns = figures.columns
    rows = [
        (each.column, each.kind, _share(each.filled, figures.rows), each.distinct)
        for each in columns
    ]
    heads = ("column", "kind", "filled", "distinct")
    count = "1 row" if figures.rows == 1 else f"{figures.rows:,} rows"
    yield count_table(count, heads, rows, texts=2)
    if figures.unreadable:
        kinds = figures.unreadable.items()
        yield count_table("unreadable rows", ("reason", "rows"), kinds)
    if columns:
        reasons = [(each.column, each.kind, _reason(each)) for each in columns]
        first = f", by header and the first {SAMPLE_ROWS:,} rows"
        title = f"kinds{first if figures.rows > SAMPLE_ROWS else ''}"
        yield make_table(title, ("column", "kind", "because"), reasons)
    if values := [*_values(columns)]:
        yield count_table(
            "values that are no key", ("column", "what", "rows"), values, 2
        )
    yield from _key_tables(figures)


def _key_tables(figures: FileFigures) -> Iterator[Table]:
    heads: tuple[str, ...]
    keys = [
        (each.column, each.key)
        for each in figures.columns
        if each.key is not None and each.key.rows
    ]
    if keys:
        alone = [(name, key.rows, key.forms, key.contacts) for name, key in keys]
        heads = ("key", "rows", "forms", "contacts")
        yield count_table("contacts by one key alone", heads, alone)
    if shared := [row for row in keys if row[1].shared]:
        names = [(name, key.shared, key.differ) for name, key in shared]
        heads = ("key", "forms", "with several names")
        yield count_table("forms that several rows share", heads, names)
        most = [
            (name, each.form, "several" if each.differ else "one", each.rows)
            for name, key in shared
            for each in key.most_shared
        ]
        heads = ("key", "form", "names", "rows")
        yield count_table("most shared", heads, most, texts=3)
    if figures.conflicts:
        conflicts = [
            (
                each.joined_by,
                each.apart_by,
                f"{each.lines[0]} and {each.lines[1]}",
                each.rows,
            )
            for each in figures.conflicts
        ]
        heads = ("joined by", "kept apart by", "such as lines", "rows")
        yield count_table("keys that disagree", heads, conflicts, texts=3)


def _reason(column: ColumnFigures) -> str:
    """Return the reason of a kind, and the normaliser of its forms."""
    form = f"; forms by {column.normalizer}" if column.normalizer else ""
    return f"{column.reason}{form}"


def _values(columns: Iterable[ColumnFigures]) -> Iterator[tuple[str, str, int]]:
    """Yield what has no form, and what is written where no value is known."""
    for column in columns:
        for what, found in (
            ("no form", column.unusable),
            ("placeholder", column.placeholders),
        ):
            if found.values:
                examples = ", ".join(found.first)
                if what == "no form" and column.normalizer == "phone":
                    examples += f"; {_REGION}"
                yield column.column, f"{what}: {examples}", found.values


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}".replace("%", " %") if whole else ""

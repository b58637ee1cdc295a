"""The command ``upsertcore explain``: what one payload would do, and why."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from upsertcore.cli.column_options import ColumnOptions, column_options, noted
from upsertcore.cli.exit_status import (
    check_columns,
    exit_status,
    output_console,
    report_errors,
)
from upsertcore.cli.options import (
    BOOK,
    SET,
    database_errors,
    open_noted,
)
from upsertcore.cli.output import plan_tables, printable
from upsertcore.cli.policy_names import POLICY, Source
from upsertcore.cli.upsert_rows import ProgressBar, Run, open_input
from upsertcore.cli.usage import InvalidUsage, parse_pairs
from upsertcore.files.columns import Columns
from upsertcore.files.json_rows import parse_json
from upsertcore.files.reading import read_rows
from upsertcore.files.rows import InputRow
from upsertcore.profiles import Rejected

if TYPE_CHECKING:
    from upsertcore.cli.book_database import DatabaseBook

__all__ = ["explain"]


@click.command()
@POLICY
@click.argument("payload", required=False)
@BOOK
@click.option("--row", metavar="FILE:LINE", help="Explain this row of a file instead.")
@column_options
@SET
@click.pass_context
def explain(
    context: click.Context,
    policy: Source,
    payload: str | None,
    book: Path | DatabaseBook | None,
    row: str | None,
    of_columns: ColumnOptions,
    sets: tuple[str, ...],
) -> None:
    """
    Show what upserting one PAYLOAD would do under POLICY, and why.

    PAYLOAD is JSON text, @FILE for a file with it, or - for standard input. Nothing is
    written.

    Example: upsertcore explain policy.toml '{"email": "ada@x.org"}' --book crm.jsonl
    """
    if (payload is None) == (row is None):
        raise click.UsageError("give either PAYLOAD or --row FILE:LINE")
    with report_errors(), ProgressBar() as bar:
        column_map = of_columns.read_map()
        settings = {**column_map.constants, **parse_pairs("--set", sets)}
        session = open_noted(policy, book, settings, bar)
        profile = session.profile
        columns = of_columns.columns(profile.target, profile.path, column_map)
        run = Run(profile, session.path, session.constants, columns)
        if payload is not None:
            body = run.payload(_object(payload, columns, bar))
        else:
            body = run.payload(_row(str(row), columns, bar))
    try:
        with database_errors(book):
            plan = session.profile.plan(body, **session.path)
    except Rejected as rejected:
        click.echo(printable(f"refused: {rejected}"))
        click.echo(json.dumps(rejected.body, indent=2))
        context.exit(exit_status(refused=True))
    contact = "" if plan.before is None else f" {plan.before.id}"
    key = "" if plan.matched_by is None else f", matched by {plan.matched_by}"
    click.echo(printable(f"{plan.result}{contact}{key}"))
    console = output_console()
    for table in plan_tables(plan):
        console.print(table)


def _row(place: str, columns: Columns, bar: ProgressBar) -> InputRow:
    """Return a row of a file."""
    name, _colon, number = place.rpartition(":")
    if not name or not number.isdecimal():
        raise InvalidUsage(
            f"--row: must be FILE:LINE, such as in.csv:12, not {place!r}"
        )
    line = int(number)
    with (
        noted(columns, bar),
        report_errors(name),
        open_input(name) as (stream, _position, _size),
        closing(read_rows(stream, name, columns)) as rows,
    ):
        for row in rows:
            if row.line == line and row.error:
                raise InvalidUsage(f"--row: {name}: line {line} {row.error}")
            if row.line == line:
                return row
            if row.line > line:
                break
    raise InvalidUsage(f"--row: {name}: no row begins on line {line}")


def _object(argument: str, columns: Columns, bar: ProgressBar) -> InputRow:
    """Return a payload as the row of a file of objects, with fields renamed."""
    body = _parse_payload(argument)
    if isinstance(body, dict):
        columns.complete = False
        with noted(columns, bar):
            renamed = columns.rename_object(body)
            check_columns(columns)
        body = body if renamed is None else renamed
    return InputRow(1, body)


def _parse_payload(argument: str) -> object:
    text = argument
    if argument == "-" or argument.startswith("@"):
        with open_input(argument.removeprefix("@")) as (stream, _position, _size):
            text = stream.read().decode("utf-8-sig", errors="surrogateescape")
    try:
        return parse_json(text)
    except ValueError as error:
        raise InvalidUsage(f"PAYLOAD {error}") from error

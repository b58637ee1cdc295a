"""The command ``upsertcore upsert``: the rows of files, upserted into a book."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
from attrs import evolve

from upsertcore.cli.atomic_write import AtomicFile
from upsertcore.cli.book_mark import remove_stale
from upsertcore.cli.book_session import write_files
from upsertcore.cli.column_options import ColumnOptions, column_options, noted
from upsertcore.cli.distinct_paths import check_distinct
from upsertcore.cli.exit_status import (
    WrittenFiles,
    check_columns,
    exit_status,
    note,
    output_console,
    report_errors,
)
from upsertcore.cli.options import (
    BOOK,
    FILE,
    SET,
    database_errors,
    open_noted,
)
from upsertcore.cli.outcome_file import OutcomeFile
from upsertcore.cli.policy_names import POLICY, Source
from upsertcore.cli.profile_session import Session
from upsertcore.cli.rejects import Rejects
from upsertcore.cli.upsert_rows import ProgressBar, Run, check_readable
from upsertcore.cli.usage import InvalidUsage, parse_pairs

if TYPE_CHECKING:
    from upsertcore.cli.book_database import DatabaseBook

__all__ = ["upsert"]

T = TypeVar("T")

_LIMIT = re.compile(r"(\d+)(%?)")


@click.command()
@POLICY
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@BOOK
@click.option(
    "--outcomes",
    type=FILE,
    help="Write the outcome of each row to this file (JSON Lines).",
)
@click.option(
    "--rejects",
    type=FILE,
    help="Write the refused rows, each with its reason, to this file.",
)
@click.option(
    "--max-refused",
    metavar="N or P%",
    default="0",
    help="Exit with 0 if at most so many rows are refused.",
)
@click.option(
    "--dry-run", is_flag=True, help="Report what would be done; keep the book as it is."
)
@column_options
@SET
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.pass_context
def upsert(
    context: click.Context,
    policy: Source,
    files: tuple[str, ...],
    book: Path | DatabaseBook | None,
    outcomes: Path | None,
    rejects: Path | None,
    max_refused: str,
    of_columns: ColumnOptions,
    sets: tuple[str, ...],
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """
    Upsert the rows of each FILE under POLICY.

    POLICY is a profile, a policy in a file NAME.toml, or module:attribute. A FILE is
    CSV, JSON Lines or a JSON array, in UTF-8 or UTF-16; - is standard input. A blank
    cell of a CSV is an omitted field. The book is read if it exists, and replaced at
    the end, together with outcomes and rejects; a database is written a thousand rows
    at a time. Without --book the contacts are not saved.

    Example: upsertcore upsert policy.toml export.csv --book crm.jsonl
    """
    started = time.perf_counter()
    written = context.ensure_object(WrittenFiles)
    with report_errors(), ProgressBar() as bar, ExitStack() as opened:
        is_within = _refused_limit(max_refused)
        check_distinct(files, (book, outcomes, rejects))
        check_readable(files)
        column_map = of_columns.read_map()
        settings = {**column_map.constants, **parse_pairs("--set", sets)}
        # A dry run in a database is a transaction that is rolled back; a new one is not
        # made.
        writes = not dry_run or bool(getattr(book, "head", None))
        session = open_noted(policy, book, settings, bar, writes=writes)
        for stale in remove_stale((outcomes, rejects), session.checksum):
            note(f"{stale}: removed: its run ended before the book was written")
        run = Run(
            session.profile,
            session.path,
            session.constants,
            of_columns.columns(
                session.profile.target, session.profile.path, column_map
            ),
            _opened(opened, OutcomeFile, outcomes),
            _opened(opened, Rejects, rejects),
        )
        if session.database is not None and not dry_run:
            count = partial(session.database.after_row, session.profile)
            run = evolve(run, after_row=partial(count, written.set_part))
        with noted(run.columns, bar):
            for name in files:
                with report_errors(name), database_errors(book):
                    run.process_file(name, bar)
            check_columns(run.columns)
        refused = not is_within(run.counts.refused, run.counts.rows)
        written.status = exit_status(refused=refused)
        with report_errors(book):
            write_files(session, run.files, written, bar, keep_book=dry_run)
    seconds = time.perf_counter() - started
    _print_summary(run, session, seconds, as_json=as_json, dry_run=dry_run)
    context.exit(written.status)


def _opened(
    opened: ExitStack, make: Callable[[AtomicFile], T], path: Path | None
) -> T | None:
    return None if path is None else make(opened.enter_context(AtomicFile(path)))


def _refused_limit(text: str) -> Callable[[int, int], bool]:
    """Return a test of how many rows may be refused: a number, or a share."""
    match = _LIMIT.fullmatch(text)
    if match is None or (match[2] and int(match[1]) > 100):
        problem = f"must be a number or a percentage, such as 10 or 5%, not {text!r}"
        raise InvalidUsage(f"--max-refused: {problem}")
    limit = int(match[1])
    if match[2]:
        return lambda refused, rows: refused * 100 <= limit * rows
    return lambda refused, _rows: refused <= limit


def _print_summary(
    run: Run, session: Session, seconds: float, *, as_json: bool, dry_run: bool
) -> None:
    if as_json:
        summary = {"dry_run": dry_run, **run.counts.to_dict(), "seconds": seconds}
        click.echo(json.dumps(summary, indent=2, ensure_ascii=False))
        return
    run.counts.print(output_console(), seconds)
    if dry_run:
        named = session.book or session.database
        kept = "" if named is None else f"; {named} is as it was"
        click.echo(f"dry run: nothing was saved{kept}")

"""
The commands: ``upsertcore upsert``, ``explain``, ``show``, ``laws``, ``evaluate``.

Rules:
    Exit status 0: success; 1: a row or the payload was refused, or a declared law
    does not hold; 2: incorrect usage, or a file or standard output cannot be read or
    written; 130: interrupted.
    After 130 no file has changed; after 2 neither, unless the message names the files
    that were written. Ctrl-C after they were written exits with the status of the rows.
    Results go to standard output, progress to standard error if that is a terminal.
"""

from __future__ import annotations

import io
import json
import os
import re
import stat
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from importlib import import_module
from itertools import islice
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

import click
from attrs import evolve

from upsertcore.cli.atomic_write import AtomicFile
from upsertcore.cli.book_file import BadBook, BookReader, is_database
from upsertcore.cli.evaluate_command import evaluate
from upsertcore.cli.exit_status import (
    Program,
    WrittenFiles,
    check_columns,
    exit_status,
    note,
    output_console,
    report_errors,
)
from upsertcore.cli.output import contact_line, contact_table, plan_tables, printable
from upsertcore.cli.profile_session import (
    InvalidUsage,
    Session,
    open_session,
    parse_pairs,
)
from upsertcore.cli.upsert_rows import ProgressBar, Run, open_input
from upsertcore.errors import InvalidField
from upsertcore.files.json_rows import parse_json
from upsertcore.files.rows import Columns
from upsertcore.laws import card
from upsertcore.model.contact import Contact
from upsertcore.profiles import BY_NAME, Rejected

if TYPE_CHECKING:
    from upsertcore.cli.book_database import DatabaseBook

__all__ = ["main"]

_TABLE_ROWS = 100
_SHOWN_CONFLICTS = 3
_LAW_VALUES = {"country": ("NO", "PT"), "timezone": ("Europe/Oslo", "Europe/Lisbon")}
"""Values for fields that do not accept arbitrary text."""


_PROFILE = click.argument(
    "profile", type=click.Choice(list(BY_NAME), case_sensitive=False)
)
_FILE = click.Path(dir_okay=False, path_type=Path)


class _BookType(click.ParamType["Path | DatabaseBook"]):
    """A book: a file, or a database."""

    name = "book"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path | DatabaseBook:
        """Open a database; return the path of a file."""
        if not isinstance(value, str) or not is_database(value):
            path: Path = _FILE.convert(value, param, ctx)
            return path
        try:
            # Only who names a database needs what reads one.
            module = import_module("upsertcore.cli.book_database")
            with report_errors(re.sub("//.*@", "//", value)):
                book: DatabaseBook = module.DatabaseBook.open(value)
        except (ValueError, ModuleNotFoundError) as error:
            self.fail(str(error), param, ctx)
        context: Any = ctx
        context.call_on_close(book.close)
        return book


_BOOK = click.option(
    "--book",
    type=_BookType(),
    help="A file of contacts, one per line, or a database: contacts.db, or its URL.",
)
_SET = click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option or parameter of the profile, or a field set in every row.",
)


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="upsertcore")
def main() -> None:
    """Upsert contacts: which contact matches, what changes, and why."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show a character gets its escape, not an error.
        sys.stdout.reconfigure(errors="backslashreplace")


@main.command()
@_PROFILE
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@_BOOK
@click.option(
    "--outcomes",
    type=_FILE,
    help="Write the outcome of each row to this file (JSON Lines).",
)
@click.option(
    "--map",
    "maps",
    multiple=True,
    metavar="COLUMN=FIELD",
    help='Rename a column to a field; "COLUMN=" drops the column.',
)
@_SET
@click.pass_context
def upsert(
    context: click.Context,
    profile: str,
    files: tuple[str, ...],
    book: Path | DatabaseBook | None,
    outcomes: Path | None,
    maps: tuple[str, ...],
    sets: tuple[str, ...],
) -> None:
    """
    Upsert the rows of each FILE under PROFILE.

    A FILE is CSV, JSON Lines or a JSON array, in UTF-8 or UTF-16; - is standard
    input. A blank cell of a CSV is an omitted field. Placeholders such as null are not
    keys; --set placeholders=false accepts them. The book is read if it exists, and
    replaced at the end, together with the outcomes; a database is written a thousand
    rows at a time. Without --book the contacts are not saved.
    """
    started = time.perf_counter()
    written = context.ensure_object(WrittenFiles)
    with report_errors(), ProgressBar() as bar:
        _check_distinct(files, book, outcomes)
        rename = parse_pairs("--map", maps, "COLUMN=FIELD")
        settings = parse_pairs("--set", sets)
        session = _open_session(profile, book, settings, bar, writes=True)
        with nullcontext() if outcomes is None else AtomicFile(outcomes) as lines:
            columns = Columns(rename, frozenset(session.profile.path))
            run = Run(session.profile, session.path, session.constants, columns, lines)
            if session.database is not None:
                count = partial(session.database.after_row, session.profile)
                run = evolve(run, after_row=partial(count, written.set_part))
            for name in files:
                with report_errors(name), _database_errors(book):
                    run.process_file(name, bar)
            check_columns(columns)
            written.status = exit_status(refused=bool(run.counts.refused))
            with report_errors(book):
                _write_files(session, lines, written, bar)
    run.counts.print(output_console(), time.perf_counter() - started)
    context.exit(written.status)


@main.command()
@_PROFILE
@click.argument("payload")
@_BOOK
@_SET
@click.pass_context
def explain(
    context: click.Context,
    profile: str,
    payload: str,
    book: Path | DatabaseBook | None,
    sets: tuple[str, ...],
) -> None:
    """
    Show what upserting one PAYLOAD would do, and why; nothing is written.

    PAYLOAD is JSON text, @FILE for a file with it, or - for standard input.
    """
    with report_errors(), ProgressBar() as bar:
        session = _open_session(profile, book, parse_pairs("--set", sets), bar)
        body = _parse_payload(payload)
    try:
        with _database_errors(book):
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


@main.command()
@click.argument("book", type=_BookType())
@click.option(
    "--key", metavar="NAME=VALUE", help="Show only contacts that hold this key."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, one contact per line."
)
@click.option("--policy", is_flag=True, help="Print the policy of the book as TOML.")
def show(
    book: Path | DatabaseBook, key: str | None, *, as_json: bool, policy: bool
) -> None:
    """Show the contacts of a BOOK, or its policy."""
    with report_errors(book), _database_errors(book):
        if policy:
            click.echo(_policy_text(book), nl=False)
            return
        contacts = _load_contacts(book, key)
    if as_json:
        for contact in contacts:
            click.echo(contact_line(contact))
    else:
        console, remaining = output_console(), iter(contacts)
        while page := list(islice(remaining, _TABLE_ROWS)):
            console.print(contact_table(page))


@main.command()
@_PROFILE
@_SET
@click.option(
    "--contacts",
    type=click.IntRange(0, 6),
    default=3,
    show_default=True,
    help="The most contacts in a state; the cost is exponential in it.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help="Sample at most this many calls, evenly; the card reports the omitted ones.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the card as JSON.")
@click.pass_context
def laws(
    context: click.Context,
    profile: str,
    sets: tuple[str, ...],
    contacts: int,
    limit: int | None,
    *,
    as_json: bool,
) -> None:
    """
    Check every law exhaustively in a small world, under the policy of PROFILE.

    The world has every state of a few contacts and every patch over two normal forms
    of each key, and one field of each distinct declaration. On a terminal, the
    approximate number of calls is printed first.
    """
    with report_errors(), ProgressBar() as bar:
        settings = parse_pairs("--set", sets)
        session = open_session(
            profile, None, settings, bar, complete=False, file_defaults=False
        )
        update = bar.counter("checking")

        def progress(count: int, total: int) -> None:
            if not count:
                hint = "; --limit N samples fewer" if limit is None else ""
                bar.note(f"about {total:,} calls{hint}")
            update(count, total)

        policy = session.profile.policy
        report = card(
            policy,
            contacts=contacts,
            values=_LAW_VALUES,
            limit=limit,
            progress=progress,
        )
    click.echo(json.dumps(report.to_dict(), indent=2) if as_json else str(report))
    context.exit(exit_status(refused=not report.kept))


main.command()(evaluate)


def _open_session(
    profile: str,
    book: Path | DatabaseBook | None,
    settings: Mapping[str, str],
    bar: ProgressBar,
    *,
    complete: bool = True,
    writes: bool = False,
) -> Session:
    """Open a session, and report contacts that would be stored otherwise now."""
    how: Any = {"complete": complete, "writes": writes}
    with report_errors(book):
        session = open_session(profile, book, settings, bar, **how)
    if conflicts := session.conflicts:
        count = len({(each.scope, each.id) for each in conflicts})
        contacts = "1 contact is" if count == 1 else f"{count:,} contacts are"
        what = f"{book}: {contacts} not as this policy and version would store them"
        more = ["..."] * (len(conflicts) > _SHOWN_CONFLICTS)
        note(what, *map(str, conflicts[:_SHOWN_CONFLICTS]), *more)
    return session


@contextmanager
def _database_errors(book: Path | DatabaseBook | None) -> Iterator[None]:
    """Report an error of the database that a book is in."""
    if isinstance(book, (Path, NoneType)):
        yield
    else:
        with report_errors(book), book.errors():
            yield


def _policy_text(book: Path | DatabaseBook) -> str:
    if isinstance(book, Path):
        with open_input(str(book)) as (stream, _position, _size):
            text = BookReader(stream).policy
    else:
        text = book.head.get("policy")
    if text is None:
        raise InvalidUsage("--policy: the book has none: an earlier version wrote it")
    return text


def _load_contacts(book: Path | DatabaseBook, key: str | None) -> Iterable[Contact]:
    if isinstance(book, Path):
        with open_input(str(book)) as (stream, _position, _size):
            name = BookReader(stream).profile
    elif book.head:
        name = book.head["profile"]
    else:
        raise BadBook("has no book; upsert with --book writes one")
    if name not in BY_NAME:
        raise BadBook(f"line 1: unknown profile {name!r}")
    with ProgressBar() as bar:
        contacts = _open_session(name, book, {}, bar, complete=False).profile.book
    if key is None:
        return contacts
    [(field, value)] = parse_pairs("--key", [key]).items()
    scopes = dict.fromkeys([contact.scope for contact in contacts] or [""])
    try:
        return [c for scope in scopes for c in contacts.find(field, value, scope=scope)]
    except InvalidField as error:
        raise InvalidUsage(f"--{error}") from error


def _parse_payload(argument: str) -> object:
    text = argument
    if argument == "-" or argument.startswith("@"):
        with open_input(argument.removeprefix("@")) as (stream, _position, _size):
            text = stream.read().decode("utf-8-sig", errors="surrogateescape")
    try:
        return parse_json(text)
    except ValueError as error:
        raise InvalidUsage(f"PAYLOAD {error}") from error


def _write_files(
    session: Session, lines: AtomicFile | None, written: WrittenFiles, bar: ProgressBar
) -> None:
    """Replace the book and the outcomes together, and record which were written."""
    if lines is not None:
        lines.sync()

    def on_replaced() -> None:
        named = session.book or session.database
        if named is not None:
            written.names.append(str(named))
        if lines is not None:
            lines.replace()
            written.names.append(str(lines.path))

    session.save(bar, on_replaced)
    if lines is not None:
        lines.sync_folder()


def _check_distinct(
    files: Iterable[str], book: Path | DatabaseBook | None, outcomes: Path | None
) -> None:
    """Check that no file is both input and output, or two outputs."""
    used = [_path_identity(name) for name in files]
    used += [_handle_identity(1)] if sys.stdout is sys.__stdout__ else []
    for path in (book, outcomes):
        if isinstance(path, Path):
            identity = _path_identity(str(path))
            if identity in used:
                raise InvalidUsage(
                    f"{path}: is named twice and would be overwritten; use another path"
                )
            used.append(identity)


def _path_identity(name: str) -> object:
    """Return the identity of a file, independent of its path; - is standard input."""
    if name == "-":
        return _handle_identity(0)
    try:
        status = Path(name).stat()
    except OSError:
        return os.path.realpath(name)
    return _status_identity(status)


def _handle_identity(handle: int) -> object:
    """Return the identity of an open file."""
    try:
        return _status_identity(os.fstat(handle))
    except OSError:
        return object()


def _status_identity(status: os.stat_result) -> object:
    # Only a regular file can be overwritten: terminals and pipes may be used twice.
    if not stat.S_ISREG(status.st_mode):
        return object()
    return (status.st_dev, status.st_ino)

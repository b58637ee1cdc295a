"""
The commands: ``upsertcore upsert``, ``explain``, ``show``, ``laws``, ``evaluate``.

Rules:
    Exit status 0: done; 1: done, and some row or the payload was refused, or a law
    that is claimed does not hold; 2: wrong use, or a file or standard output that
    cannot be read or written; 130: interrupted. After 130 every file is as it was.
    After 2 too, unless the message names what was written. Ctrl-C after that ends
    with the status of the rows.
    Progress goes to a terminal's standard error, the result to standard output.
"""

from __future__ import annotations

import io
import json
import os
import stat
import sys
import time
from collections.abc import Iterable
from contextlib import nullcontext
from itertools import islice
from pathlib import Path

import click

from upsertcore.cli.aside import Aside
from upsertcore.cli.bookfile import BadBook, Reader
from upsertcore.cli.desk import Desk, WrongUse, pairs, seat
from upsertcore.cli.evaluate import evaluate
from upsertcore.cli.failure import Placed, Program, all_met, failing, screen
from upsertcore.cli.objects import loads
from upsertcore.cli.report import contact_line, contact_table, plain, plan_tables
from upsertcore.cli.row import Columns
from upsertcore.cli.run import Bar, Run, opened
from upsertcore.errors import InvalidField
from upsertcore.laws import card
from upsertcore.model.contact import Contact
from upsertcore.profiles import BY_NAME, Rejected

__all__ = ["main"]

_PAGE = 100
_SENT = {"country": ("NO", "PT"), "timezone": ("Europe/Oslo", "Europe/Lisbon")}
"""What is sent in fields that do not take just any text."""


_PROFILE = click.argument(
    "profile", type=click.Choice(list(BY_NAME), case_sensitive=False)
)
_FILE = click.Path(dir_okay=False, path_type=Path)
_BOOK = click.option("--book", type=_FILE, help="A file of contacts, one a line.")
_SET = click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option or parameter of the profile, or a field that every row has.",
)


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="upsertcore")
def main() -> None:
    """Decide what upserts of contacts do: whom they match, what changes, and why."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show a character gets its number, not an error.
        sys.stdout.reconfigure(errors="backslashreplace")


@main.command()
@_PROFILE
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@_BOOK
@click.option("--outcomes", type=_FILE, help="What became of each row (JSON Lines).")
@click.option(
    "--map",
    "maps",
    multiple=True,
    metavar="COLUMN=FIELD",
    help='What a column shall be called; "COLUMN=" leaves it out.',
)
@_SET
@click.pass_context
def upsert(
    context: click.Context,
    profile: str,
    files: tuple[str, ...],
    book: Path | None,
    outcomes: Path | None,
    maps: tuple[str, ...],
    sets: tuple[str, ...],
) -> None:
    """
    Upsert the rows of each FILE as PROFILE does.

    A FILE is CSV, JSON Lines or a JSON array, in UTF-8 or UTF-16; - is standard
    input. A blank cell of a CSV is an omitted field. Placeholders such as null are no
    keys; --set placeholders=false takes them as they are. The book is read if it is
    there and replaced at the end, whole, and so are the outcomes; without --book
    nothing is kept.
    """
    started = time.perf_counter()
    placed = context.ensure_object(Placed)
    with failing(), Bar() as bar:
        _apart(files, book, outcomes)
        rename = pairs("--map", maps, "COLUMN=FIELD")
        said = pairs("--set", sets)
        with failing(book):
            desk = seat(profile, book, said, bar)
        with nullcontext() if outcomes is None else Aside(outcomes) as lines:
            columns = Columns(rename, frozenset(desk.system.path))
            run = Run(desk.system, desk.path, desk.constants, columns, lines)
            for name in files:
                with failing(name):
                    run.file(name, bar)
            all_met(columns)
            placed.status = 1 if run.tally.refused else 0
            with failing(book):
                _put(desk, lines, placed, bar)
    run.tally.print(screen(), time.perf_counter() - started)
    context.exit(placed.status)


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
    book: Path | None,
    sets: tuple[str, ...],
) -> None:
    """
    Show what one PAYLOAD would do, and why; nothing is written.

    PAYLOAD is JSON text, @FILE for a file of it, or - for standard input.
    """
    with failing(), Bar() as bar:
        with failing(book):
            desk = seat(profile, book, pairs("--set", sets), bar)
        body = _payload(payload)
    try:
        plan = desk.system.plan(body, **desk.path)
    except Rejected as rejected:
        click.echo(plain(f"refused: {rejected}"))
        click.echo(json.dumps(rejected.body, indent=2))
        context.exit(1)
    known = "" if plan.before is None else f" {plan.before.id}"
    by = "" if plan.matched_by is None else f", matched by {plan.matched_by}"
    click.echo(plain(f"{plan.result}{known}{by}"))
    console = screen()
    for each in plan_tables(plan):
        console.print(each)


@main.command()
@click.argument("book", type=_FILE)
@click.option("--key", metavar="NAME=VALUE", help="Only contacts that hold this key.")
@click.option("--json", "as_json", is_flag=True, help="One contact a line, as JSON.")
def show(book: Path, key: str | None, *, as_json: bool) -> None:
    """Show the contacts of a BOOK."""
    with failing(book):
        contacts = _found(book, key)
    if as_json:
        for contact in contacts:
            click.echo(contact_line(contact))
    else:
        console, rest = screen(), iter(contacts)
        while some := list(islice(rest, _PAGE)):
            console.print(contact_table(some))


@main.command()
@_PROFILE
@_SET
@click.option(
    "--contacts",
    type=click.IntRange(0, 6),
    default=3,
    show_default=True,
    help="Up to how many contacts a state has; the cost is exponential in it.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help="Try at most so many calls, drawn evenly; the card says what is left out.",
)
@click.option("--json", "as_json", is_flag=True, help="The card as JSON.")
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
    Try every law in the whole of a small world, under the policy of PROFILE.

    The world has every state of a few contacts and every patch over two normal forms
    of each key, and one field of each distinct line. On a terminal it says beforehand
    about how many calls that takes.
    """
    with failing(), Bar() as bar:
        words = pairs("--set", sets)
        desk = seat(profile, None, words, bar, complete=False, usual=False)
        tried = bar.counting("trying")

        def told(done: int, total: int) -> None:
            if not done:
                fewer = "; --limit N tries fewer" if limit is None else ""
                bar.note(f"about {total:,} calls{fewer}")
            tried(done, total)

        policy = desk.system.policy
        made = card(policy, contacts=contacts, values=_SENT, limit=limit, progress=told)
    click.echo(json.dumps(made.to_dict(), indent=2) if as_json else str(made))
    context.exit(0 if made.kept else 1)


main.command()(evaluate)


def _found(book: Path, key: str | None) -> Iterable[Contact]:
    with opened(str(book)) as (stream, _position, _size):
        name = Reader(stream).profile
    if name not in BY_NAME:
        raise BadBook(f"line 1: {name!r} is no profile")
    with Bar() as bar:
        found = seat(name, book, {}, bar, complete=False).system.book
    if key is None:
        return found
    [(field, value)] = pairs("--key", [key]).items()
    scopes = dict.fromkeys([contact.scope for contact in found] or [""])
    try:
        return [c for scope in scopes for c in found.find(field, value, scope=scope)]
    except InvalidField as error:
        raise WrongUse(f"--{error}") from error


def _payload(word: str) -> object:
    text = word
    if word == "-" or word.startswith("@"):
        with opened(word.removeprefix("@")) as (stream, _position, _size):
            text = stream.read().decode("utf-8-sig", errors="surrogateescape")
    try:
        return loads(text)
    except ValueError as error:
        raise WrongUse(f"PAYLOAD {error}") from error


def _put(desk: Desk, lines: Aside | None, placed: Placed, bar: Bar) -> None:
    """Replace the book and the outcomes together, and note what was replaced."""
    if lines is not None:
        lines.finish()

    def then() -> None:
        if desk.book is not None:
            placed.names.append(str(desk.book))
        if lines is not None:
            lines.place()
            placed.names.append(str(lines.path))

    desk.save(bar, then)
    if lines is not None:
        lines.settle()


def _apart(files: Iterable[str], book: Path | None, outcomes: Path | None) -> None:
    """See that no file is both read and written, or written twice."""
    read = [_place(name) for name in files]
    read += [_identity(1)] if sys.stdout is sys.__stdout__ else []
    for path in (book, outcomes):
        if path is not None:
            place = _place(str(path))
            if place in read:
                raise WrongUse(f"{path}: is named twice, and would be written over")
            read.append(place)


def _place(name: str) -> object:
    """Tell one file from another, by whatever name; - is standard input."""
    if name == "-":
        return _identity(0)
    try:
        found = Path(name).stat()
    except OSError:
        return os.path.realpath(name)
    return _told(found)


def _identity(handle: int) -> object:
    """Tell an open file from another."""
    try:
        return _told(os.fstat(handle))
    except OSError:
        return object()


def _told(found: os.stat_result) -> object:
    # A terminal or a pipe may be named as often as one likes.
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else object()

"""
Arguments and options that several commands have, and what they open.

Rules:
    A book is a file, or a database, which only its user needs the packages for.
    Contacts that would be stored otherwise now are noted when a book is opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

import click

from upsertcore.cli.book_file import BadBook, is_database
from upsertcore.cli.exit_status import CommandError, note, report_errors
from upsertcore.cli.output import printable
from upsertcore.cli.policy_names import PolicyType, Source
from upsertcore.cli.profile_session import Session, open_session
from upsertcore.cli.upsert_rows import ProgressBar

if TYPE_CHECKING:
    from upsertcore.cli.book_database import DatabaseBook

__all__ = [
    "BOOK",
    "FILE",
    "POLICY_OF_BOOK",
    "SCOPE",
    "SET",
    "BookType",
    "database_errors",
    "open_noted",
]

_SHOWN_CONFLICTS = 3

FILE = click.Path(dir_okay=False, path_type=Path)


class BookType(click.ParamType["Path | DatabaseBook"]):
    """A book: a file, or a database."""

    name = "book"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path | DatabaseBook:
        """Open a database; return the path of a file."""
        if not isinstance(value, str) or not is_database(value):
            path: Path = FILE.convert(value, param, ctx)
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


POLICY_OF_BOOK = click.option(
    "--policy",
    type=PolicyType("--policy"),
    help="The policy to open BOOK under, where it does not have its own as text.",
)
SCOPE = click.option("--scope", metavar="SCOPE", help="Only contacts of this tenant.")
BOOK = click.option(
    "--book",
    type=BookType(),
    help="A file of contacts, one per line, or a database: contacts.db, or its URL.",
)
SET = click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option or parameter of the profile, or a field set in every row.",
)


def open_noted(
    source: Source,
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
        session = open_session(source, book, settings, bar, **how)
    if conflicts := session.conflicts:
        count = len({(each.scope, each.id) for each in conflicts})
        contacts = "1 contact is" if count == 1 else f"{count:,} contacts are"
        what = f"{book}: {contacts} not as this policy and version would store them"
        more = ["..."] * (len(conflicts) > _SHOWN_CONFLICTS)
        note(what, *map(str, conflicts[:_SHOWN_CONFLICTS]), *more)
    return session


@contextmanager
def database_errors(book: Path | DatabaseBook | None) -> Iterator[None]:
    """Report an error of the database that a book is in."""
    if isinstance(book, (Path, NoneType)):
        yield
    else:
        try:
            with book.errors():
                yield
        except BadBook as error:
            # Not an error of the file that is read meanwhile.
            raise CommandError(printable(f"{book}: {error}")) from error

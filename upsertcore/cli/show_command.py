"""The command ``upsertcore show``: the contacts of a book, filtered and in pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from upsertcore.book.scan import has_values, wanted_values
from upsertcore.cli.book_session import open_book
from upsertcore.cli.exit_status import output_console, report_errors
from upsertcore.cli.options import POLICY_OF_BOOK, SCOPE, BookType, database_errors
from upsertcore.cli.output import contact_line, contact_table
from upsertcore.cli.policy_names import Source
from upsertcore.cli.upsert_rows import ProgressBar
from upsertcore.cli.usage import InvalidUsage, parse_pairs
from upsertcore.errors import InvalidField, UnknownField
from upsertcore.model.contact import Contact
from upsertcore.profiles import Profile
from upsertcore.profiles.text_cells import parse_json_cell

if TYPE_CHECKING:
    from upsertcore.cli.book_database import DatabaseBook

__all__ = ["show"]

_TABLE_ROWS = 100


@click.command()
@click.argument("book", type=BookType())
@click.option(
    "--key", metavar="NAME=VALUE", help="Show only contacts that hold this key."
)
@click.option(
    "--where",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Show only contacts with this value; FIELD= for those without one.",
)
@SCOPE
@click.option(
    "--after", metavar="ID", help="Show only contacts created after this one."
)
@click.option(
    "--limit", type=click.IntRange(0), help="Show at most this many contacts."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, one contact per line."
)
@POLICY_OF_BOOK
def show(
    book: Path | DatabaseBook,
    key: str | None,
    where: tuple[str, ...],
    scope: str | None,
    after: str | None,
    limit: int | None,
    policy: Source | None,
    *,
    as_json: bool,
) -> None:
    """
    Show the contacts of a BOOK, by creation.

    Example: upsertcore show crm.jsonl --where city=Oslo --limit 20
    """
    with report_errors(book), database_errors(book):
        with ProgressBar() as bar:
            profile = open_book(book, policy, bar).profile
        matches = _matcher(profile, parse_pairs("--where", where, "FIELD=VALUE"))
    contacts = _with_key(profile, key) if key else iter(profile.book)
    if scope is not None:
        contacts = (contact for contact in contacts if contact.scope == scope)
    if after is not None:
        contacts = _after(contacts, after)
    chosen = islice(_reported(book, filter(matches, contacts)), limit)
    if as_json:
        for contact in chosen:
            click.echo(contact_line(contact))
        return
    console = output_console()
    while page := list(islice(chosen, _TABLE_ROWS)):
        console.print(contact_table(page))


def _reported(
    book: Path | DatabaseBook, contacts: Iterable[Contact]
) -> Iterator[Contact]:
    """Report an error of the book; one of the output is not its."""
    with report_errors(book), database_errors(book):
        yield from contacts


def _with_key(profile: Profile, key: str) -> Iterator[Contact]:
    book, [(name, value)] = profile.book, parse_pairs("--key", [key]).items()
    try:
        for scope in dict.fromkeys([contact.scope for contact in book] or [""]):
            yield from book.find(name, value, scope=scope)
    except InvalidField as error:
        raise InvalidUsage(f"--{error}") from error


def _after(contacts: Iterable[Contact], id: str) -> Iterator[Contact]:
    """Skip the contacts up to and with one."""
    remaining = iter(contacts)
    if all(contact.id != id for contact in remaining):
        raise InvalidUsage(f"--after: none of the contacts has the id {id!r}")
    yield from remaining


def _matcher(profile: Profile, where: Mapping[str, str]) -> Callable[[Contact], bool]:
    """Return a test for contacts with these values, as text or as JSON."""
    choices = []
    for name, text in where.items():
        values = [None] if not text else [text, parse_json_cell(text)]
        try:
            choices.append([wanted_values(profile.policy, {name: v}) for v in values])
        except (InvalidField, UnknownField) as error:
            raise InvalidUsage(f"--where {error}") from error
    return lambda contact: all(
        any(has_values(contact, values) for values in choice) for choice in choices
    )

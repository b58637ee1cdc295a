"""
The commands that look after a book: ``duplicates``, ``dedupe``, ``merge``, ``undo``.

Rules:
    Each opens a book that exists, under the policy that it names or a given one.
    All of a command is done, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import frozen

from upsertcore.cli.atomic_write import AtomicFile
from upsertcore.cli.book_session import open_book, write_files
from upsertcore.cli.distinct_paths import check_distinct
from upsertcore.cli.exit_status import (
    WrittenFiles,
    exit_status,
    output_console,
    report_errors,
)
from upsertcore.cli.options import (
    FILE,
    POLICY_OF_BOOK,
    SCOPE,
    BookType,
    database_errors,
)
from upsertcore.cli.outcome_file import OutcomeFile
from upsertcore.cli.output import contact_table, json_line, printable
from upsertcore.cli.policy_names import Source
from upsertcore.cli.profile_session import Session
from upsertcore.cli.undo_run import read_outcomes, undo_outcomes
from upsertcore.cli.upsert_rows import ProgressBar
from upsertcore.cli.usage import InvalidUsage
from upsertcore.engine.outcome import Outcome
from upsertcore.errors import Refused, UnknownContact
from upsertcore.values import show_value

if TYPE_CHECKING:
    from upsertcore.cli.book_database import DatabaseBook

__all__ = ["dedupe", "duplicates", "merge", "undo"]

_BOOK = click.argument("book", type=BookType())
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_DRY_RUN = click.option(
    "--dry-run", is_flag=True, help="Report what would be done; keep the book as it is."
)
_OUTCOMES = click.option(
    "--outcomes",
    type=FILE,
    help="Write what is done to this file (JSON Lines); undo reads it.",
)


@click.command()
@_BOOK
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@SCOPE
@click.option("--of", metavar="ID", help="Only the group of this contact.")
@click.option(
    "--blank", is_flag=True, help="Also show the contacts without a value for a key."
)
@POLICY_OF_BOOK
@_JSON
@click.pass_context
def duplicates(
    context: click.Context,
    book: Path | DatabaseBook,
    keys: tuple[str, ...],
    scope: str | None,
    of: str | None,
    policy: Source | None,
    *,
    blank: bool,
    as_json: bool,
) -> None:
    """
    Show the contacts of a BOOK that share a KEY, in groups; all keys by default.

    Exits with 1 if there are any.

    Example: upsertcore duplicates crm.jsonl phone
    """
    with report_errors(book), database_errors(book), ProgressBar() as bar:
        profile = open_book(book, policy, bar).profile
        with _refusals("--of: "):
            groups = profile.book.duplicates(*keys, of=of, blank=blank, scope=scope)
    console = output_console()
    for number, group in enumerate(groups, 1):
        if as_json:
            click.echo(json_line([contact.to_dict() for contact in group]))
        else:
            console.print(contact_table(group, f"group {number}"))
    if not as_json:
        contacts = sum(map(len, groups))
        shown = "1 group" if len(groups) == 1 else f"{len(groups):,} groups"
        click.echo(f"{shown} of {contacts:,} contacts")
    context.exit(exit_status(refused=bool(groups)))


@click.command()
@_BOOK
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@SCOPE
@click.option(
    "--keep",
    type=click.Choice(["oldest", "newest"]),
    default="oldest",
    show_default=True,
    help="The contact of a group that stays, by creation.",
)
@_DRY_RUN
@_OUTCOMES
@POLICY_OF_BOOK
@_JSON
@click.pass_context
def dedupe(
    context: click.Context,
    book: Path | DatabaseBook,
    keys: tuple[str, ...],
    scope: str | None,
    keep: Any,
    outcomes: Path | None,
    policy: Source | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """
    Merge the contacts of a BOOK that share a KEY; all keys by default.

    A group that the policy refuses to merge is reported and stays.

    Example: upsertcore dedupe crm.jsonl email --outcomes merged.jsonl
    """

    def call(session: Session) -> Sequence[Outcome | Refused]:
        how: Any = {"scope": scope, "keep": keep, "on_refused": "collect"}
        return session.profile.book.dedupe(*keys, **how)

    change = _Change(book, policy, outcomes, dry_run, as_json)
    context.exit(change.make(context, "dedupe", call))


@click.command()
@_BOOK
@click.argument("survivor")
@click.argument("others", nargs=-1, required=True, metavar="OTHER...")
@click.option("--scope", default="", metavar="SCOPE", help="Their tenant.")
@_DRY_RUN
@_OUTCOMES
@POLICY_OF_BOOK
@_JSON
@click.pass_context
def merge(
    context: click.Context,
    book: Path | DatabaseBook,
    survivor: str,
    others: tuple[str, ...],
    scope: str,
    outcomes: Path | None,
    policy: Source | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """
    Merge the contacts OTHER of a BOOK into SURVIVOR, by their ids.

    Example: upsertcore merge crm.jsonl c-1 c-7 --outcomes merged.jsonl
    """

    def call(session: Session) -> Sequence[Outcome | Refused]:
        return [session.profile.book.merge(survivor, *others, scope=scope)]

    change = _Change(book, policy, outcomes, dry_run, as_json)
    context.exit(change.make(context, "merge", call))


@click.command()
@_BOOK
@click.argument("run", type=FILE, metavar="OUTCOMES")
@click.option(
    "--line", type=click.IntRange(1), help="Undo only this line of the outcomes."
)
@_DRY_RUN
@POLICY_OF_BOOK
@_JSON
@click.pass_context
def undo(
    context: click.Context,
    book: Path | DatabaseBook,
    run: Path,
    line: int | None,
    policy: Source | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """
    Undo in a BOOK what a run did, by the OUTCOMES that it wrote.

    The last line is undone first. If a contact has changed since, nothing is undone.

    Example: upsertcore undo crm.jsonl outcomes.jsonl
    """
    with report_errors(run):
        lines = read_outcomes(run, line)
    change = _Change(book, policy, None, dry_run, as_json)
    context.exit(change.make(context, "undo", partial(undo_outcomes, lines)))


@contextmanager
def _refusals(place: str = "") -> Iterator[None]:
    """Report a refusal of the book in one line, and an unknown id where it was."""
    try:
        yield
    except UnknownContact as error:
        problem = f"{place}no contact has the id {show_value(error.id)}"
        raise InvalidUsage(problem) from error
    except Refused as error:
        raise InvalidUsage(str(error)) from error


@frozen
class _Change:
    """A command that changes a book, and how it is reported."""

    book: Path | DatabaseBook
    policy: Source | None
    outcomes: Path | None
    dry_run: bool
    as_json: bool

    def make(
        self,
        context: click.Context,
        name: str,
        call: Callable[[Session], Sequence[Outcome | Refused]],
    ) -> int:
        """Make the change, save it, print it, and return the exit status."""
        written = context.ensure_object(WrittenFiles)
        with report_errors(self.book), ProgressBar() as bar, ExitStack() as opened:
            check_distinct([], (self.book, self.outcomes))
            with database_errors(self.book), _refusals():
                session = open_book(self.book, self.policy, bar, writes=True)
                done = call(session)
            files = []
            if self.outcomes is not None:
                lines = OutcomeFile(opened.enter_context(AtomicFile(self.outcomes)))
                files.append(lines)
                _write_outcomes(lines, name, done)
            refused = [one for one in done if isinstance(one, Refused)]
            written.status = exit_status(refused=bool(refused))
            write_files(session, files, written, bar, keep_book=self.dry_run)
        self._print(name, done)
        return written.status

    def _print(self, name: str, done: Sequence[Outcome | Refused]) -> None:
        outcomes = [one for one in done if isinstance(one, Outcome)]
        refused = [one for one in done if isinstance(one, Refused)]
        for refusal in refused:
            click.echo(printable(f"refused: {refusal}"), err=self.as_json)
        if self.as_json:
            for outcome in outcomes:
                click.echo(json_line(outcome.to_dict()))
            return
        for outcome in outcomes[:_SHOWN]:
            for line in outcome.explain().splitlines():
                click.echo(printable(line))
        if len(outcomes) > _SHOWN:
            click.echo(f"... and {len(outcomes) - _SHOWN:,} more")
        click.echo(f"{name}: {len(outcomes):,} done, {len(refused):,} refused")
        if self.dry_run:
            click.echo(f"dry run: {self.book} is as it was")


_SHOWN = 20


def _write_outcomes(
    lines: OutcomeFile, name: str, done: Sequence[Outcome | Refused]
) -> None:
    for number, one in enumerate(done, 1):
        place = {"command": name, "line": number}
        if isinstance(one, Outcome):
            lines.add(place, one)
        else:
            lines.refuse(place, str(one))

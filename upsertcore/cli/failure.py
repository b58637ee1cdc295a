"""
Failures: what ends a command is reported in one line, with a documented status.

Rules:
    The message is true of what is on disk: after a file was put in place, it says so.
    Standard output that is full or closed is a failure; one whose reader went away
    ends the command without a word. Standard error that cannot be written leaves the
    exit status alone to tell.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

import click
from attrs import Factory, define
from rich.console import Console

from upsertcore.cli.bookfile import BadBook
from upsertcore.cli.desk import WrongUse
from upsertcore.cli.report import plain
from upsertcore.cli.row import Columns, UnreadableRow

__all__ = ["Failure", "Placed", "Program", "all_met", "failing", "screen"]


@define
class Placed:
    """
    What a command has put in place, so that what is reported later is true.

    Args:
        names: The files that were replaced.
        status: The exit status of the rows.

    >>> Placed().told("interrupted"), Placed(["b.jsonl"]).told("interrupted")
    ('interrupted', 'interrupted; b.jsonl was written')
    """

    names: list[str] = Factory(list)
    status: int = 0

    def told(self, message: str) -> str:
        """Add to a message what was replaced before."""
        if not self.names:
            return message
        verb = "was" if len(self.names) == 1 else "were"
        return f"{message}; {' and '.join(self.names)} {verb} written"


class Failure(click.ClickException):
    """
    What ends a command.

    >>> Failure("in.csv: No such file or directory").exit_code
    2
    """

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the message to standard error, if that can be written."""
        try:
            super().show(file)
        except OSError:
            _silence(sys.stderr)


class _Gone(Failure):
    """A reader of standard output that went away: nothing to report."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Write nothing."""


@contextmanager
def failing(what: object = "") -> Iterator[None]:
    """
    Report wrong use, and what goes wrong with files, in one line.

    Args:
        what: The file that is worked with; an error that names its own is reported
            by that name.
    """
    try:
        yield
    except WrongUse as error:
        raise Failure(plain(str(error))) from error
    except (BadBook, UnreadableRow) as error:
        raise Failure(plain(f"{what}: {error}")) from error
    except OSError as error:
        raise Failure(plain(f"{error.filename or what}: {error.strerror}")) from error


def all_met(columns: Columns) -> None:
    """
    See that every column that shall be renamed was there.

    Args:
        columns: After all files were read.

    Raises:
        WrongUse: If one was not, and all files were tables. Where objects were read it
            is a note on standard error.
    """
    missing = columns.missing()
    if missing and columns.certain:
        raise WrongUse(missing)
    if missing:
        try:
            click.echo(f"note: {plain(missing)} in any row", err=True)
        except OSError:
            _silence(sys.stderr)


class Program(click.Group):
    """A group of commands that report what cannot be written and what is interrupted.

    >>> Program("program").name
    'program'
    """

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run a command; see click."""
        placed = extra.setdefault("obj", Placed())
        extra["standalone_mode"] = False
        if not standalone_mode:
            return super().main(*args, **extra)
        try:
            try:
                status = super().main(*args, **extra)
            except click.ClickException as failure:
                failure.show()
                status = failure.exit_code
            except (KeyboardInterrupt, click.Abort):
                # It came before the command, or when all was done.
                status = _interrupted(placed)
            sys.exit(status)
        except OSError:
            # Standard error cannot be written.
            _silence(sys.stderr)
            sys.exit(2)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Make the context; the help and the version are written here."""
        with _writing(Placed()):
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that the context names."""
        with _writing(ctx.ensure_object(Placed)):
            return super().invoke(ctx)


@contextmanager
def _writing(placed: Placed) -> Iterator[None]:
    """Report standard output that cannot be written, and Ctrl-C."""
    if sys.stdout is None:
        raise Failure("standard output: is closed")
    try:
        try:
            yield
        except click.exceptions.Exit:
            sys.stdout.flush()
            raise
        sys.stdout.flush()
    except KeyboardInterrupt:
        raise click.exceptions.Exit(_interrupted(placed)) from None
    except Failure as failure:
        if not placed.names:
            raise
        raise Failure(plain(placed.told(failure.message))) from failure
    except BrokenPipeError as error:
        _silence(sys.stdout)
        raise _Gone("standard output: nobody reads it") from error
    except OSError as error:
        _silence(sys.stdout)
        message = placed.told(f"standard output: {error.strerror}")
        raise Failure(plain(message)) from error


def _interrupted(placed: Placed) -> int:
    """Report Ctrl-C, and return the status: that of the rows if files were written."""
    what = "interrupted" if placed.names else "interrupted; no book was changed"
    Failure(plain(placed.told(what))).show()
    return placed.status if placed.names else 130


def _silence(stream: Any) -> None:
    """Let what is left in the buffer of a stream go nowhere, also at the exit."""
    with suppress(AttributeError, OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(null, stream.fileno())
        finally:
            os.close(null)


class _Screen(Console):
    """Standard output, laid out for people."""

    def on_broken_pipe(self) -> None:
        """Leave it to the program to end."""
        raise BrokenPipeError


def screen() -> Console:
    """
    Return what lays out tables on standard output.

    >>> screen().stderr
    False
    """
    return _Screen()

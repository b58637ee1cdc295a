"""
The command group: reports every error in one line, with a documented exit status.

Rules:
    A message reflects what is on disk: files that were already written are named.
    If standard output is full or closed, the command fails; if its reader is gone, the
    command ends silently. If standard error cannot be written, only the exit status
    reports the error.
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

from upsertcore.cli.book_file import BadBook
from upsertcore.cli.help_format import HelpContext
from upsertcore.cli.output import printable
from upsertcore.cli.usage import InvalidUsage
from upsertcore.files.columns import Columns
from upsertcore.files.rows import UnreadableFile

__all__ = [
    "CommandError",
    "Program",
    "WrittenFiles",
    "check_columns",
    "exit_status",
    "note",
    "output_console",
    "report_errors",
]


def exit_status(*, refused: bool) -> int:
    """
    Return the exit status of a command that ran to its end.

    Args:
        refused: Whether a row or a payload was refused, or a claimed law does not hold.

    >>> exit_status(refused=True), exit_status(refused=False)
    (1, 0)
    """
    return 1 if refused else 0


@define
class WrittenFiles:
    """
    The files that a command has written, for messages of later errors.

    Args:
        names: The files.
        part: What a run has written of a database so far.
        status: The exit status of the rows.

    >>> (
    ...     WrittenFiles().add_to("interrupted"),
    ...     WrittenFiles(["b.jsonl"]).add_to("interrupted"),
    ... )
    ('interrupted', 'interrupted; b.jsonl was written')
    """

    names: list[str] = Factory(list)
    status: int = 0
    part: str = ""

    def set_part(self, part: str) -> None:
        """Record what a run has written of a database so far."""
        self.part = part

    def add_to(self, message: str) -> str:
        """Return a message with the written files appended."""
        names = self.names or [self.part] * bool(self.part)
        if not names:
            return message
        verb = "was" if len(names) == 1 else "were"
        return f"{message}; {' and '.join(names)} {verb} written"


class CommandError(click.ClickException):
    """
    An error that ends a command.

    >>> CommandError("in.csv: No such file or directory").exit_code
    2
    """

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the message to standard error, if possible."""
        try:
            super().show(file)
        except OSError:
            _discard(sys.stderr)


class _ReaderGone(CommandError):
    """The reader of standard output is gone: nothing to report."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Write nothing."""


@contextmanager
def report_errors(source: object = "") -> Iterator[None]:
    """
    Convert usage and file errors to a :class:`CommandError` of one line.

    Args:
        source: The file in use; an error that has a file name is reported with that.
    """
    try:
        yield
    except InvalidUsage as error:
        raise CommandError(printable(str(error))) from error
    except (BadBook, UnreadableFile) as error:
        raise CommandError(printable(f"{source}: {error}")) from error
    except OSError as error:
        raise CommandError(
            printable(f"{error.filename or source}: {error.strerror}")
        ) from error


def check_columns(columns: Columns) -> None:
    """
    Check that the input has every column to be renamed.

    Args:
        columns: The columns, after all files were read.

    Raises:
        InvalidUsage: If one is missing and all files are tables. If objects were read,
            a note is written to standard error instead.
    """
    missing = columns.missing()
    if missing and columns.complete:
        raise InvalidUsage(missing)
    if missing:
        note(f"{missing} in any row")


def note(line: str, *details: str) -> None:
    """
    Write a note to standard error, if possible.

    Args:
        line: The note.
        details: Further lines, which are indented.
    """
    lines = "\n  ".join(map(printable, (line, *details)))
    try:
        click.echo(f"note: {lines}", err=True)
    except OSError:
        _discard(sys.stderr)


class Program(click.Group):
    """
    A group of commands that reports failed writes and interruptions.

    >>> Program("program").name
    'program'
    """

    context_class = HelpContext

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command, whose help fits the terminal."""
        cmd.context_class = HelpContext
        super().add_command(cmd, name)

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run a command; see click."""
        written = extra.setdefault("obj", WrittenFiles())
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
                # Interrupted before the command started, or after it ended.
                status = _report_interrupt(written)
            sys.exit(status)
        except OSError:
            # Standard error cannot be written.
            _discard(sys.stderr)
            sys.exit(2)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Create the context; this also writes the help and the version."""
        with _output_errors(WrittenFiles()):
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command of the context."""
        with _output_errors(ctx.ensure_object(WrittenFiles)):
            return super().invoke(ctx)


@contextmanager
def _output_errors(written: WrittenFiles) -> Iterator[None]:
    """Convert errors of standard output, and Ctrl-C, to one message."""
    if sys.stdout is None:
        raise CommandError("standard output: is closed")
    try:
        try:
            yield
        except click.exceptions.Exit:
            sys.stdout.flush()
            raise
        sys.stdout.flush()
    except KeyboardInterrupt:
        raise click.exceptions.Exit(_report_interrupt(written)) from None
    except CommandError as failure:
        if not (written.names or written.part):
            raise
        raise CommandError(printable(written.add_to(failure.message))) from failure
    except BrokenPipeError as error:
        _discard(sys.stdout)
        raise _ReaderGone("standard output: the reader is gone") from error
    except OSError as error:
        _discard(sys.stdout)
        message = written.add_to(f"standard output: {error.strerror}")
        raise CommandError(printable(message)) from error


def _report_interrupt(written: WrittenFiles) -> int:
    """Report Ctrl-C; return the exit status of the rows if files were written."""
    has_written = written.names or written.part
    message = "interrupted" if has_written else "interrupted; no book was changed"
    CommandError(printable(written.add_to(message))).show()
    return written.status if written.names else 130


def _discard(stream: Any) -> None:
    """Discard the buffer of a stream, so that it is not flushed at exit."""
    with suppress(AttributeError, OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(null, stream.fileno())
        finally:
            os.close(null)


class _OutputConsole(Console):
    """A console on standard output that raises if the pipe is broken."""

    def on_broken_pipe(self) -> None:
        """Let the program end."""
        raise BrokenPipeError


def output_console() -> Console:
    """
    Return a console for tables on standard output.

    >>> output_console().stderr
    False
    """
    return _OutputConsole()

"""
The session of a book that exists: under the policy that it names, or a given one.

Rules:
    A profile is known by its name; another policy is read from the text in the book,
    which imports nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from upsertcore.cli.atomic_write import AtomicFile, defer_interrupt
from upsertcore.cli.book_file import OWN, BadBook, BookReader
from upsertcore.cli.book_mark import make_mark
from upsertcore.cli.exit_status import WrittenFiles
from upsertcore.cli.options import open_noted
from upsertcore.cli.policy_names import Source
from upsertcore.cli.policy_profile import PolicySource
from upsertcore.cli.profile_session import Session
from upsertcore.cli.upsert_rows import ProgressBar, open_input
from upsertcore.cli.usage import InvalidUsage
from upsertcore.errors import InvalidPolicy
from upsertcore.policy.policy import Policy
from upsertcore.profiles import BY_NAME

if TYPE_CHECKING:
    from upsertcore.cli.book_database import DatabaseBook

__all__ = ["Head", "Marked", "open_book", "read_head", "source_of", "write_files"]

_ADVICE = "name it with --policy module:attribute or --policy NAME.toml"


class Marked(Protocol):
    """A file of a run whose last line has the mark of its book."""

    @property
    def file(self) -> AtomicFile:
        """The file."""
        ...

    def finish(self, mark: str) -> None:
        """Write the last line."""
        ...


class Head(NamedTuple):
    """
    What a book is of.

    Args:
        profile: The name of a profile, or "policy".
        policy: The policy as text; None if it has none.
        options: The options of the profile, as text.
    """

    profile: str
    policy: str | None
    options: dict[str, str]


def read_head(book: Path | DatabaseBook) -> Head:
    """
    Read what a book is of.

    Raises:
        BadBook: If it is no book, or of an unknown profile.
        OSError: If it cannot be read.
    """
    if isinstance(book, Path):
        with open_input(str(book)) as (stream, _position, _size):
            reader = BookReader(stream)
        head = Head(reader.profile, reader.policy, reader.options)
    elif book.head:
        parts: dict[str, Any] = book.head
        head = Head(parts["profile"], parts.get("policy"), parts.get("options", {}))
    else:
        raise BadBook("has no book; upsert with --book writes one")
    if head.profile != OWN and head.profile not in BY_NAME:
        raise BadBook(f"line 1: unknown profile {head.profile!r}")
    return head


def open_book(
    book: Path | DatabaseBook,
    policy: Source | None,
    bar: ProgressBar,
    *,
    writes: bool = False,
) -> Session:
    """
    Open a book that exists.

    Args:
        book: The book.
        policy: The policy to open it under; None for its own.
        bar: Where progress is shown.
        writes: Whether it is changed.

    Raises:
        InvalidUsage: If its policy cannot be read from the book alone.
        BadBook: If it is no book.
        OSError: If it cannot be read.
    """
    source = policy or source_of(read_head(book))
    return open_noted(source, book, {}, bar, complete=False, writes=writes)


def source_of(head: Head) -> Source:
    """
    Return the profile or policy that a book is of.

    Raises:
        InvalidUsage: If its policy cannot be read from the book alone.

    >>> source_of(Head("Anduin", None, {})).name
    'Anduin'
    """
    if head.profile != OWN:
        return Source(head.profile, head.profile, BY_NAME[head.profile])
    if head.policy is None:
        raise InvalidUsage(f"the book does not have its policy as text; {_ADVICE}")
    try:
        policy = Policy.from_toml(head.policy)
    except (InvalidPolicy, ModuleNotFoundError) as error:
        raise InvalidUsage(f"the policy of the book: {error}; {_ADVICE}") from error
    return Source("the policy of the book", OWN, PolicySource(policy))


def write_files(
    session: Session,
    files: Sequence[Marked],
    written: WrittenFiles,
    bar: ProgressBar,
    *,
    keep_book: bool = False,
) -> None:
    """
    Put the files of a run in place, then its book, and record which were written.

    Args:
        session: The session.
        files: The outcomes and the rejects.
        written: What is recorded.
        bar: Where progress is shown.
        keep_book: True to leave the book as it is.
    """

    def before_replaced(checksum: str | None) -> None:
        mark = "" if checksum is None else make_mark(session.checksum, checksum)
        for marked in files:
            marked.finish(mark)
            marked.file.sync()
        for marked in files:
            marked.file.replace()
            written.names.append(str(marked.file.path))

    def on_replaced() -> None:
        named = session.book or session.database
        if named is not None:
            written.names.insert(0, str(named))

    if keep_book:
        with defer_interrupt():
            before_replaced(None)
    else:
        session.save(bar, before_replaced, on_replaced)
    for marked in files:
        marked.file.sync_folder()

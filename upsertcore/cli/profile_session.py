"""
A session: a profile with its book, options and parameters.

Rules:
    A name in ``--set`` is an option or a parameter of the profile, or a field.
    Options given on the command line override those stored in the book.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from itertools import count
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

from attrs import frozen

from upsertcore.cli import book_file
from upsertcore.cli.atomic_write import defer_interrupt
from upsertcore.cli.upsert_rows import PROGRESS_INTERVAL, ProgressBar, open_input
from upsertcore.engine.conflicts import Conflict
from upsertcore.errors import InvalidRows, Refused
from upsertcore.profiles import BY_NAME, Profile

if TYPE_CHECKING:
    from upsertcore.cli.book_database import DatabaseBook

__all__ = ["InvalidUsage", "Session", "open_session", "parse_pairs"]

_FILE_DEFAULTS = {"placeholders": "true"}
"""Options that are off in a profile and on for files."""

_SIMILARITY = 0.8


class InvalidUsage(ValueError):
    """
    The command line is used incorrectly.

    >>> str(InvalidUsage("--map: must be COLUMN=FIELD"))
    '--map: must be COLUMN=FIELD'
    """


@frozen
class Session:
    """
    A profile with the contacts of its book.

    Args:
        name: The name of the profile.
        profile: The profile, with the contacts of the book.
        path: The path and query parameters.
        constants: Fields set in every row.
        options: The options, as text.
        book: The book file; None if there is none.
        identity: The :func:`file_identity` of the book when it was read.
        conflicts: Where its contacts are not as they would be stored now, if it was
            written under another policy or other versions of the normalisers.
        database: The book, where it is in a database.
    """

    name: str
    profile: Profile
    path: Mapping[str, str]
    constants: Mapping[str, str]
    options: Mapping[str, str]
    book: Path | None
    identity: tuple[int, ...] | None
    conflicts: tuple[Conflict, ...] = ()
    database: DatabaseBook | None = None

    def save(self, bar: ProgressBar, on_replaced: Callable[[], object]) -> None:
        """
        Replace the book file with the profile's current contacts; commit a database.

        Args:
            bar: Where progress is shown.
            on_replaced: Called after the replacement, before Ctrl-C can end the run.

        Raises:
            BadBook: If another program has changed the file since it was read.
            OSError: If it cannot be written.
        """
        if self.book is None:
            with defer_interrupt():
                if self.database is not None:
                    self.database.commit()
                on_replaced()
            return
        position, contacts = count(step=PROGRESS_INTERVAL), self.profile.book
        rows = bar.track(contacts, "writing", lambda: next(position), len(contacts))
        policy = self.profile.policy.to_toml()
        book_file.save_book(
            self.book, self.name, self.options, rows, self.identity, on_replaced, policy
        )


def parse_pairs(
    flag: str, words: Iterable[str], form: str = "NAME=VALUE"
) -> dict[str, str]:
    """
    Parse ``NAME=VALUE`` arguments.

    Raises:
        InvalidUsage: If one has no name or no ``=``, or a name is repeated.

    >>> parse_pairs("--set", ["a=b=c", "d="])
    {'a': 'b=c', 'd': ''}
    """
    pairs: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise InvalidUsage(f"{flag}: must be {form}, not {word!r}")
        if name in pairs:
            raise InvalidUsage(f"{flag}: {name!r} is given twice")
        pairs[name] = value
    return pairs


def open_session(
    name: str,
    book: Path | DatabaseBook | None,
    sets: Mapping[str, str],
    bar: ProgressBar,
    *,
    complete: bool = True,
    file_defaults: bool = True,
    writes: bool = False,
) -> Session:
    """
    Create a profile, with the contacts of its book if that exists.

    Args:
        name: The name of a profile.
        book: The book, which need not exist; None if contacts are not saved.
        sets: The names and values of ``--set``.
        bar: Where progress is shown.
        complete: True to require all parameters that an upsert needs.
        file_defaults: True to turn on the options that are on for files, such as
            placeholders.
        writes: Whether a book in a database is written.

    Raises:
        InvalidUsage: If ``sets`` does not fit the profile.
        BadBook: If the file is not a book, or is the book of another profile.
        OSError: If it cannot be read.
    """
    profile_class = BY_NAME[name]
    _refuse_misspellings(name, profile_class, sets)
    path = {key: value for key, value in sets.items() if key in profile_class.path}
    if complete:
        _require_parameters(name, profile_class, path)
    cli_options = {
        key: value for key, value in sets.items() if key in profile_class.options
    }
    constants = {
        n: value for n, value in sets.items() if n not in path and n not in cli_options
    }
    options = {**(_FILE_DEFAULTS if file_defaults else {}), **cli_options}
    if not isinstance(book, (Path, NoneType)):
        options |= _stored_options(book, name) | cli_options
        profile = _create_profile(profile_class, options, ())
        conflicts: tuple[Conflict, ...] = ()
        if writes:
            conflicts = book.begin(profile, name, options)
        elif book.head:
            book.use(profile)
        parts = name, profile, path, constants, options, None, None
        return Session(*parts, conflicts, book)
    identity = None if book is None else book_file.file_identity(book)
    if book is not None and identity is None and not book.absolute().parent.is_dir():
        raise InvalidUsage(
            f"--book: directory {str(book.absolute().parent)!r} does not exist"
        )
    if identity is not None and not Path(str(book)).is_file():
        raise InvalidUsage(f"--book: {str(book)!r} is not a regular file")
    if book is None or identity is None:
        profile = _create_profile(profile_class, options, ())
        return Session(name, profile, path, constants, options, book, None)
    with open_input(str(book)) as (stream, position, size):
        reader = book_file.BookReader(stream)
        if reader.profile != name:
            raise book_file.BadBook(f"is a book of {reader.profile}, not of {name}")
        options |= reader.options | cli_options
        rows = bar.track(reader, "reading", position, size)
        with _book_errors(cli_options):
            profile = _create_profile(profile_class, options, rows)
    is_current = reader.origin == book_file.origin_of(profile.policy.to_toml())
    conflicts = () if is_current else profile.book.check()
    return Session(name, profile, path, constants, options, book, identity, conflicts)


def _stored_options(book: DatabaseBook, name: str) -> dict[str, str]:
    """Return the options of a book in a database; check whose it is."""
    stored = book.head.get("profile", name)
    if stored != name:
        raise book_file.BadBook(f"is a book of {stored}, not of {name}")
    options: dict[str, str] = book.head.get("options", {})
    return options


@contextmanager
def _book_errors(cli_options: Mapping[str, str]) -> Iterator[None]:
    """Report an invalid book with the line of the problem."""
    try:
        yield
    except InvalidUsage as error:
        if cli_options:
            raise
        problem = str(error).removeprefix("--set").lstrip(" :")
        raise book_file.BadBook(f"line 1: options: {problem}") from error
    except InvalidRows as error:
        first = error.refusals[0]
        problem = f"line {(first.row or 0) + 2}: {first}"
        raise book_file.BadBook(problem) from error


def _refuse_misspellings(name: str, profile_class: Any, sets: Iterable[str]) -> None:
    """Refuse a field name that is probably a misspelt parameter or option."""
    known_names = [*profile_class.path, *profile_class.options]
    for word in sets:
        near = get_close_matches(word.lower(), known_names, 1, _SIMILARITY)
        # A name with a dot is part of a field.
        is_valid = (
            word in known_names or "." in word or word in profile_class().policy.fields
        )
        if is_valid or not near:
            continue
        message = f"--set {word}: not a parameter or option of {name}; use {near[0]}"
        if hasattr(profile_class, "column_prefix"):
            prefix = profile_class.column_prefix
            message += f", or {prefix}{word} for a field of that name"
        raise InvalidUsage(message)


def _require_parameters(name: str, profile_class: Any, path: Mapping[str, str]) -> None:
    """Check that all required parameters are given."""
    parameters = inspect.signature(profile_class.upsert).parameters
    for word in profile_class.path:
        if word not in path and parameters[word].default is inspect.Parameter.empty:
            raise InvalidUsage(f"{name} needs --set {word}=...")


def _create_profile(
    profile_class: Any, options: Mapping[str, str], rows: Iterable[Any]
) -> Profile:
    try:
        values = {
            word: _parse_option(profile_class, word, value)
            for word, value in options.items()
        }
        profile: Profile = profile_class(**values, rows=rows)
    except (book_file.BadBook, Refused, InvalidUsage):
        raise
    except (ValueError, ModuleNotFoundError) as error:
        raise InvalidUsage(f"--set: {error}") from error
    return profile


def _parse_option(profile_class: Any, word: str, value: str) -> Any:
    parse: Callable[[str], Any] | None = profile_class.options.get(word)
    if parse is None:
        raise InvalidUsage(f"--set {word}: not an option of this profile")
    try:
        return parse(value)
    except ValueError as error:
        raise InvalidUsage(f"--set {word}: {error}") from error

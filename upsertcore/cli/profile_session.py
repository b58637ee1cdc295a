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
from functools import partial
from itertools import count
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args

from attrs import evolve, frozen

from upsertcore.book.contact_book import ContactBook
from upsertcore.cli import book_file
from upsertcore.cli.atomic_write import defer_interrupt
from upsertcore.cli.policy_names import Source
from upsertcore.cli.upsert_rows import PROGRESS_INTERVAL, ProgressBar, open_input
from upsertcore.cli.usage import InvalidUsage
from upsertcore.engine.conflicts import Conflict
from upsertcore.errors import InvalidPolicy, InvalidRows, Refused, UnknownField
from upsertcore.policy.policy import OnFound, OnNotFound, Policy
from upsertcore.profiles import Profile

if TYPE_CHECKING:
    from upsertcore.cli.book_database import DatabaseBook

__all__ = ["Session", "open_session"]

_FILE_DEFAULTS = {"placeholders": "true"}
"""Options that are off in a profile and on for files."""

_CALL_OPTIONS = {"on_found": get_args(OnFound), "on_not_found": get_args(OnNotFound)}
"""What a run may do otherwise than its policy says."""

_SIMILARITY = 0.8


@frozen
class Session:
    """
    A profile with the contacts of its book.

    Args:
        profile: The profile, with the contacts of the book.
        name: The name of the profile.
        make: Makes another one, with the arguments of a profile and no contacts.
        path: The path and query parameters.
        constants: Fields set in every row.
        options: The options, as text.
        book: The book file; None if there is none.
        identity: The :func:`file_identity` of the book when it was read.
        text: The policy as TOML; None if a function of it has no name.
        conflicts: Where its contacts are not as they would be stored now, if it was
            written under another policy or other versions of the normalisers.
        database: The book, where it is in a database.
        checksum: The checksum of the book file when it was read.
    """

    profile: Profile
    name: str
    make: Callable[..., Profile]
    path: Mapping[str, str]
    constants: Mapping[str, str]
    options: Mapping[str, str]
    book: Path | None
    identity: tuple[int, ...] | None
    text: str | None = None
    conflicts: tuple[Conflict, ...] = ()
    database: DatabaseBook | None = None
    checksum: str | None = None

    def save(
        self,
        bar: ProgressBar,
        before_replaced: Callable[[str | None], object],
        on_replaced: Callable[[], object],
    ) -> None:
        """
        Replace the book file with the profile's current contacts; commit a database.

        Args:
            bar: Where progress is shown.
            before_replaced: Called before it, with the checksum of the new book file;
                what it raises leaves the book as it is.
            on_replaced: Called after the replacement, before Ctrl-C can end the run.

        Raises:
            BadBook: If another program has changed the file since it was read.
            OSError: If it cannot be written.
        """
        if self.book is None:
            with defer_interrupt():
                before_replaced(None)
                if self.database is not None:
                    self.database.commit()
                on_replaced()
            return
        position, contacts = count(step=PROGRESS_INTERVAL), self.profile.book
        rows = bar.track(contacts, "writing", lambda: next(position), len(contacts))
        head = self.book, self.name, self.options
        calls = on_replaced, self.text, before_replaced
        book_file.save_book(*head, rows, self.identity, *calls)


def open_session(
    source: Source,
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
        source: The profile or policy.
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
    make = source.make
    path, given, calls, constants = _sorted(source, sets)
    if complete:
        _require_parameters(source, path)
    defaults = _FILE_DEFAULTS if file_defaults else {}
    options = {name: defaults[name] for name in defaults if name in make.options}
    options |= given
    parts = source.profile, partial(_new_profile, make, options, calls), path, constants
    if not isinstance(book, (Path, NoneType)):
        options |= _stored_options(book, source.profile) | given
        profile = _create_profile(make, options, ())
        text = policy_text(profile.policy)
        _override(profile, calls)
        conflicts: tuple[Conflict, ...] = ()
        if writes:
            conflicts = book.begin(profile, source.profile, options, text)
        elif book.head:
            book.use(profile)
        return Session(profile, *parts, options, None, None, text, conflicts, book)
    identity = None if book is None else book_file.file_identity(book)
    _check_path(book, identity)
    reader: book_file.BookReader | None = None
    if book is None or identity is None:
        profile = _create_profile(make, options, ())
    else:
        with open_input(str(book)) as (stream, position, size):
            reader = book_file.BookReader(stream)
            book_file.check_owner(reader.profile, source.profile)
            options |= reader.options | given
            rows = bar.track(reader, "reading", position, size)
            with _book_errors(given):
                profile = _create_profile(make, options, rows)
    text = policy_text(profile.policy)
    conflicts = ()
    # Without a text of the policy it is unknown whether it is another one.
    if reader is not None and (
        text is None or reader.origin != book_file.origin_of(text)
    ):
        conflicts = profile.book.check()
    _override(profile, calls)
    checksum = None if reader is None else reader.checksum
    state: Any = (book, identity, text, conflicts, None, checksum)
    return Session(profile, *parts, options, *state)


def _sorted(source: Source, sets: Mapping[str, str]) -> tuple[dict[str, str], ...]:
    """Return the parameters, the options, those of every call, and the fields."""
    calls = _call_options(source, sets)
    path = {key: value for key, value in sets.items() if key in source.make().path}
    given = {key: value for key, value in sets.items() if key in source.make.options}
    used = {*path, *given, *calls}
    constants = {name: value for name, value in sets.items() if name not in used}
    _refuse_misspellings(source, constants)
    _refuse_unknown(source, constants)
    return path, given, calls, constants


def policy_text(policy: Policy) -> str | None:
    """
    Return a policy as TOML; None if a function of it has no name.

    >>> from upsertcore import never
    >>> print(policy_text(Policy(never(), {})))
    match = "never"
    <BLANKLINE>
    """
    try:
        return policy.to_toml()
    except InvalidPolicy:
        return None


def _check_path(book: Path | None, identity: tuple[int, ...] | None) -> None:
    if book is not None and identity is None and not book.absolute().parent.is_dir():
        raise InvalidUsage(
            f"--book: directory {str(book.absolute().parent)!r} does not exist"
        )
    if identity is not None and not Path(str(book)).is_file():
        raise InvalidUsage(f"--book: {str(book)!r} is not a regular file")


def _call_options(source: Source, sets: Mapping[str, str]) -> dict[str, str]:
    """Return what a run does with matches, unless fields have these names."""
    given = {
        name: sets[name]
        for name in _CALL_OPTIONS
        if name in sets and name not in source.make().policy.fields
    }
    for name, value in given.items():
        if value not in _CALL_OPTIONS[name]:
            known = " or ".join(_CALL_OPTIONS[name])
            raise InvalidUsage(f"--set {name}: must be {known}, not {value!r}")
    return given


def _override(profile: Profile, calls: Mapping[str, Any], **arguments: Any) -> None:
    """Apply these options to every call."""
    if calls:
        owner: Any = profile
        policy = evolve(profile.policy, **calls)
        owner.book = ContactBook.load(policy, profile.book.dump(), **arguments)


def _stored_options(book: DatabaseBook, name: str) -> dict[str, str]:
    """Return the options of a book in a database; check whose it is."""
    book_file.check_owner(book.head.get("profile", name), name)
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


def _refuse_misspellings(source: Source, sets: Iterable[str]) -> None:
    """Refuse a field name that is probably a misspelt parameter or option."""
    profile = source.make()
    known_names = [*profile.path, *profile.options, *_CALL_OPTIONS]
    for word in sets:
        near = get_close_matches(word.lower(), known_names, 1, _SIMILARITY)
        # A name with a dot is part of a field.
        if "." in word or word in profile.policy.fields or not near:
            continue
        what = f"not a parameter or option of {source.name}"
        message = f"--set {word}: {what}; use {near[0]}"
        if hasattr(profile, "column_prefix"):
            prefix = profile.column_prefix
            message += f", or {prefix}{word} for a field of that name"
        raise InvalidUsage(message)


def _refuse_unknown(source: Source, sets: Iterable[str]) -> None:
    """Refuse a field that a policy does not have; a profile has its own names."""
    if source.profile != book_file.OWN:
        return
    policy = source.make.policy
    for word in sets:
        name = word if word in policy.fields else word.partition(".")[0]
        try:
            policy.field_options(name)
        except UnknownField as error:
            raise InvalidUsage(f"--set {error}") from error


def _require_parameters(source: Source, path: Mapping[str, str]) -> None:
    """Check that all required parameters are given."""
    parameters = inspect.signature(source.make.upsert).parameters
    for word in source.make().path:
        if word not in path and parameters[word].default is inspect.Parameter.empty:
            raise InvalidUsage(f"{source.name} needs --set {word}=...")


def _new_profile(
    profile_class: Any,
    options: Mapping[str, str],
    calls: Mapping[str, str],
    **arguments: Any,
) -> Profile:
    """Create a profile with an empty book."""
    profile = _create_profile(profile_class, options, (), **arguments)
    _override(profile, calls, **arguments)
    return profile


def _create_profile(
    profile_class: Any,
    options: Mapping[str, str],
    rows: Iterable[Any],
    **arguments: Any,
) -> Profile:
    try:
        values = {
            word: _parse_option(profile_class, word, value)
            for word, value in options.items()
        }
        profile: Profile = profile_class(**values, rows=rows, **arguments)
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

"""
The desk: a profile with its book and what the command line said of it.

Rules:
    A word of ``--set`` is an option or a parameter of the profile, or a field.
    What the book's first line says of options holds unless the command line speaks.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from itertools import count
from pathlib import Path
from typing import Any

from attrs import frozen

from upsertcore.cli import bookfile
from upsertcore.cli.aside import uninterrupted
from upsertcore.cli.run import EVERY, Bar, opened
from upsertcore.errors import InvalidRows, Refused
from upsertcore.profiles import BY_NAME, Profile

__all__ = ["Desk", "WrongUse", "pairs", "seat"]

_USUAL = {"placeholders": "true"}
"""Options that a profile has off and the command line has on."""

_NEAR = 0.8


class WrongUse(ValueError):
    """
    What cannot be done as it was said.

    >>> str(WrongUse("--map: must be COLUMN=FIELD"))
    '--map: must be COLUMN=FIELD'
    """


@frozen
class Desk:
    """
    A profile that is ready to work.

    Args:
        name: The name of the profile.
        system: The profile, with the contacts of the book.
        path: The path and query parameters that were given.
        constants: The fields that every row has.
        options: The options as they were said.
        book: Where the contacts are kept, None for nowhere.
        found: The identity of that file when it was read.
    """

    name: str
    system: Profile
    path: Mapping[str, str]
    constants: Mapping[str, str]
    options: Mapping[str, str]
    book: Path | None
    found: tuple[int, ...] | None

    def save(self, bar: Bar, then: Callable[[], object]) -> None:
        """
        Replace the book by what the profile's holds now.

        Args:
            bar: Where progress is shown.
            then: Called once that is done, before Ctrl-C can end the run.

        Raises:
            BadBook: If another program replaced it meanwhile.
            OSError: If it cannot be written.
        """
        if self.book is None:
            with uninterrupted():
                then()
            return
        done, contacts = count(step=EVERY), self.system.book
        step = bar.over(contacts, "writing", lambda: next(done), len(contacts))
        bookfile.save(self.book, self.name, self.options, step, self.found, then)


def pairs(flag: str, words: Iterable[str], form: str = "NAME=VALUE") -> dict[str, str]:
    """
    Read ``NAME=VALUE`` words.

    Raises:
        WrongUse: If one has no name or no ``=``, or a name stands there twice.

    >>> pairs("--set", ["a=b=c", "d="])
    {'a': 'b=c', 'd': ''}
    """
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise WrongUse(f"{flag}: must be {form}, not {word!r}")
        if name in found:
            raise WrongUse(f"{flag}: {name!r} stands there twice")
        found[name] = value
    return found


def seat(
    name: str,
    book: Path | None,
    sets: Mapping[str, str],
    bar: Bar,
    *,
    complete: bool = True,
    usual: bool = True,
) -> Desk:
    """
    Make a profile ready, with the contacts of its book if there is one.

    Args:
        name: The name of a profile.
        book: Where contacts are kept; it need not be there yet.
        sets: What the command line said.
        bar: Where progress is shown.
        complete: True where payloads will come: all parameters must be given then.
        usual: True where the options that are on for files hold, as placeholders are.

    Raises:
        WrongUse: If the words do not fit the profile.
        BadBook: If the book is none, or another profile's.
        OSError: If it cannot be read.
    """
    make = BY_NAME[name]
    _no_slips(name, make, sets)
    path = {word: value for word, value in sets.items() if word in make.path}
    if complete:
        _complete(name, make, path)
    said = {word: value for word, value in sets.items() if word in make.options}
    rest = {w: v for w, v in sets.items() if w not in path and w not in said}
    options = {**(_USUAL if usual else {}), **said}
    found = None if book is None else bookfile.identity(book)
    if book is not None and found is None and not book.absolute().parent.is_dir():
        raise WrongUse(f"--book: there is no folder {str(book.absolute().parent)!r}")
    if found is not None and not Path(str(book)).is_file():
        raise WrongUse(f"--book: {str(book)!r} is no plain file")
    if book is None or found is None:
        system = _made(make, options, ())
        return Desk(name, system, path, rest, options, book, None)
    with opened(str(book)) as (stream, position, size):
        reader = bookfile.Reader(stream)
        if reader.profile != name:
            raise bookfile.BadBook(f"is a book of {reader.profile}, not of {name}")
        options |= reader.options | said
        rows = bar.over(reader, "reading", position, size)
        with _of_book(said):
            system = _made(make, options, rows)
    return Desk(name, system, path, rest, options, book, found)


@contextmanager
def _of_book(said: Mapping[str, str]) -> Iterator[None]:
    """Report what is wrong with a book by its line."""
    try:
        yield
    except WrongUse as error:
        if said:
            raise
        told = str(error).removeprefix("--set").lstrip(" :")
        raise bookfile.BadBook(f"line 1: options: {told}") from error
    except InvalidRows as error:
        first = error.refusals[0]
        words = f"line {(first.row or 0) + 2}: {first}"
        raise bookfile.BadBook(words) from error


def _no_slips(name: str, make: Any, sets: Iterable[str]) -> None:
    """Refuse what is nearly a parameter or an option, and would be a field."""
    words = [*make.path, *make.options]
    for word in sets:
        near = get_close_matches(word.lower(), words, 1, _NEAR)
        # What has a dot is a part of a field.
        known = word in words or "." in word or word in make().policy.fields
        if known or not near:
            continue
        told = f"--set {word}: is no parameter or option of {name}; say {near[0]}"
        if hasattr(make, "column_prefix"):
            told += f", or {make.column_prefix}{word} for a field of that name"
        raise WrongUse(told)


def _complete(name: str, make: Any, path: Mapping[str, str]) -> None:
    """See that all parameters that the profile cannot do without are given."""
    parameters = inspect.signature(make.upsert).parameters
    for word in make.path:
        if word not in path and parameters[word].default is inspect.Parameter.empty:
            raise WrongUse(f"{name} needs --set {word}=...")


def _made(make: Any, options: Mapping[str, str], rows: Iterable[Any]) -> Profile:
    try:
        said = {word: _read(make, word, value) for word, value in options.items()}
        profile: Profile = make(**said, rows=rows)
    except (bookfile.BadBook, Refused, WrongUse):
        raise
    except (ValueError, ModuleNotFoundError) as error:
        raise WrongUse(f"--set: {error}") from error
    return profile


def _read(make: Any, word: str, value: str) -> Any:
    read: Callable[[str], Any] | None = make.options.get(word)
    if read is None:
        raise WrongUse(f"--set {word}: is no option of this profile")
    try:
        return read(value)
    except ValueError as error:
        raise WrongUse(f"--set {word}: {error}") from error

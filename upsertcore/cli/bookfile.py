"""
The book file: one contact a line, read whole, replaced whole or not at all.

Rules:
    The first line names the profile and its options: no other one is run over it.
    The last line counts the contacts and has a checksum of all lines before it: a
    file that was cut or changed is refused. Books of the former format have no such
    line, and are read as they are.
    A book is written aside, synced and renamed: a killed run leaves the old one.
    A book that another run replaced meanwhile is not written over.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from attrs import define, field

from upsertcore.book.loading import rows_of
from upsertcore.cli.aside import Aside, alone, uninterrupted
from upsertcore.cli.objects import loads
from upsertcore.model.contact import Contact
from upsertcore.values import shown

__all__ = ["BadBook", "Reader", "identity", "save"]

_FORMER, _FORMAT = "upsertcore book 1", "upsertcore book 2"
_LAST = {"contacts", "sha256"}


class BadBook(ValueError):
    """
    A file that is no book, or not the book that was expected.

    >>> str(BadBook("line 3: is no usable JSON"))
    'line 3: is no usable JSON'
    """


@define
class Reader:
    """
    The contacts of an open book, as plain rows; iterate once.

    Args:
        stream: Open for reading bytes, at its beginning.

    Raises:
        BadBook: If the first line is not that of a book, a later one is no JSON, or
            the last one is missing or does not fit the lines before it.

    >>> import io
    >>> head = b'{"format": "upsertcore book 1", "profile": "Anduin", "options": {}}'
    >>> reader = Reader(io.BytesIO(head))
    >>> reader.profile, list(reader), reader.line
    ('Anduin', [], 1)
    """

    stream: BinaryIO
    profile: str = field(init=False)
    options: dict[str, str] = field(init=False)
    line: int = field(init=False, default=1)
    _head: bytes = field(init=False)
    _counted: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._head = self.stream.readline()
        head: Any = _parsed(1, self._head)
        form = head.get("format") if isinstance(head, dict) else None
        if form not in (_FORMER, _FORMAT):
            told = f"line 1: the format must be {_FORMAT!r} or {_FORMER!r}"
            raise BadBook(told if form is None else f"{told}, not {shown(form)}")
        profile: Any = head.get("profile")
        options: Any = head.get("options")
        if not isinstance(profile, str) or not _are_words(options):
            raise BadBook("line 1: must name a profile and its options")
        self.profile, self.options, self._counted = profile, options, form == _FORMAT

    def __iter__(self) -> Iterator[Any]:
        digest, last = sha256(self._head), None
        for line in self.stream:
            self.line += 1
            if last is not None:
                raise BadBook(f"line {self.line}: follows the last line of the book")
            row = _parsed(self.line, line)
            if self._counted and isinstance(row, dict) and row.keys() == _LAST:
                last = row
                continue
            digest.update(line)
            yield row
        if self._counted:
            self._check(last, digest.hexdigest())

    def _check(self, last: Any, checksum: str) -> None:
        """Compare the last line with the lines before it."""
        if last is None:
            what = f"the file ends after line {self.line}, before the last line of the"
            raise BadBook(f"{what} book: it was cut; restore it from a copy")
        if last != {"contacts": self.line - 2, "sha256": checksum}:
            what = f"line {self.line}: does not fit the lines before it"
            raise BadBook(f"{what}: they were changed; restore the file from a copy")


def _are_words(options: Any) -> bool:
    return isinstance(options, dict) and all(
        isinstance(value, str) for value in options.values()
    )


def _parsed(number: int, line: bytes) -> Any:
    try:
        return loads(line.decode())
    except UnicodeDecodeError:
        raise BadBook(f"line {number}: is not UTF-8 text") from None
    except ValueError as error:
        raise BadBook(f"line {number}: {error}") from None


def identity(path: Path) -> tuple[int, ...] | None:
    """
    Tell one state of a file from another; None where there is no file.

    >>> identity(Path("no such file")) is None
    True
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def save(
    path: Path,
    profile: str,
    options: Mapping[str, str],
    contacts: Iterable[Contact],
    expected: tuple[int, ...] | None,
    then: Callable[[], object] = lambda: None,
) -> None:
    """
    Replace a book, or leave it as it is.

    Args:
        path: Where; a symbolic link is followed.
        profile: The name of the profile.
        options: What was said of it, so that the next run need not.
        contacts: Written one by one.
        expected: The identity that the file had when it was read.
        then: Called once the book is replaced, before Ctrl-C can end the run.

    Raises:
        BadBook: If the file is another one now.
        OSError: If it cannot be written; the old one is whole then.
    """
    head = {"format": _FORMAT, "profile": profile, "options": dict(options)}
    digest, count = sha256(), -1
    with Aside(path) as aside:
        for row in chain([head], rows_of(contacts)):
            line = _line(row)
            digest.update(line)
            aside.write(line)
            count += 1
        aside.write(_line({"contacts": count, "sha256": digest.hexdigest()}))
        aside.finish()
        with alone(Path(os.path.realpath(path)).parent), uninterrupted():
            if identity(path) != expected:
                what = "was changed by another program during this run"
                raise BadBook(f"{what}; run again, and it is read anew")
            aside.place()
            then()
        aside.settle()


def _line(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode() + b"\n"

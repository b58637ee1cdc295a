"""
The book file: one contact per line, replaced completely or not at all.

Rules:
    The first line names the profile and its options; other profiles refuse the file.
    It has the policy as text, and the origin of the forms: a digest of the policy, and
    the versions of what normalises. Older books have neither.
    The last line has the number of contacts and a checksum of all lines before it: a
    truncated or modified file is refused. Books of format 1 have no such line and
    are read without the check.
    A book is written to a temporary file, synced and renamed: a killed run leaves
    the previous version.
    A book that another run has replaced in the meantime is not overwritten.
"""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path
from types import NoneType
from typing import Any, BinaryIO

from attrs import define, field

from upsertcore.book.loading import rows_of
from upsertcore.cli.atomic_write import AtomicFile, defer_interrupt, folder_lock
from upsertcore.files.json_rows import parse_json
from upsertcore.model.contact import Contact
from upsertcore.values import show_value

__all__ = [
    "OWN",
    "BadBook",
    "BookReader",
    "check_owner",
    "file_identity",
    "is_database",
    "origin_of",
    "save_book",
]

OWN = "policy"
"""What a book is of, if it is of no profile."""

_FORMAT_1, _FORMAT = "upsertcore book 1", "upsertcore book 2"
_TRAILER_FIELDS = {"contacts", "sha256"}
_NORMALISERS = ("upsertcore", "phonenumbers", "idna", "jellyfish")
"""The packages that normalise, if they are installed."""


class BadBook(ValueError):
    """
    The file is not a book, or not the expected book.

    >>> str(BadBook("line 3: is not UTF-8 text"))
    'line 3: is not UTF-8 text'
    """


@define
class BookReader:
    """
    Iterates once over the contacts of an open book, as plain rows.

    Args:
        stream: Open for reading bytes, at its beginning.

    Raises:
        BadBook: If the first line is not that of a book, a later one is not JSON, or
            the last one is missing or does not match the lines before it.

    >>> import io
    >>> head = b'{"format": "upsertcore book 1", "profile": "Anduin", "options": {}}'
    >>> reader = BookReader(io.BytesIO(head))
    >>> reader.profile, list(reader), reader.line
    ('Anduin', [], 1)
    """

    stream: BinaryIO
    profile: str = field(init=False)
    options: dict[str, str] = field(init=False)
    policy: str | None = field(init=False)
    origin: dict[str, Any] = field(init=False)
    line: int = field(init=False, default=1)
    checksum: str | None = field(init=False, default=None)
    """What the last line must have; None until all lines were read."""
    _head: bytes = field(init=False)
    _has_trailer: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._head = self.stream.readline()
        head: Any = _parse_line(1, self._head)
        book_format = head.get("format") if isinstance(head, dict) else None
        if book_format not in (_FORMAT_1, _FORMAT):
            message = f"line 1: the format must be {_FORMAT!r} or {_FORMAT_1!r}"
            if book_format is not None:
                message += f", not {show_value(book_format)}"
            raise BadBook(message)
        profile: Any = head.get("profile")
        options: Any = head.get("options")
        if not isinstance(profile, str) or not _is_text_mapping(options):
            raise BadBook("line 1: must name a profile and its options")
        self.profile, self.options, self.policy = profile, options, head.get("policy")
        if not isinstance(self.policy, (str, NoneType)):
            raise BadBook("line 1: the policy must be text")
        # It is only compared, so it may be anything.
        self.origin = {name: head[name] for name in origin_of("") if name in head}
        self._has_trailer = book_format == _FORMAT

    def __iter__(self) -> Iterator[Any]:
        digest, trailer = sha256(self._head), None
        for line in self.stream:
            self.line += 1
            if trailer is not None:
                raise BadBook(f"line {self.line}: follows the closing line of the book")
            row = _parse_line(self.line, line)
            if (
                self._has_trailer
                and isinstance(row, dict)
                and row.keys() == _TRAILER_FIELDS
            ):
                trailer = row
                continue
            digest.update(line)
            yield row
        self.checksum = digest.hexdigest()
        if self._has_trailer:
            self._check_trailer(trailer, self.checksum)

    def _check_trailer(self, trailer: Any, checksum: str) -> None:
        """Compare the closing line with the lines before it."""
        if trailer is None:
            problem = f"the file is truncated after line {self.line}"
            raise BadBook(f"{problem}: no closing line; restore it from a copy")
        if trailer != {"contacts": self.line - 2, "sha256": checksum}:
            problem = f"line {self.line}: does not match the lines before it"
            raise BadBook(f"{problem}: the file was modified; restore it from a copy")


def _is_text_mapping(options: Any) -> bool:
    return isinstance(options, dict) and all(
        isinstance(value, str) for value in options.values()
    )


def _parse_line(number: int, line: bytes) -> Any:
    try:
        return parse_json(line.decode())
    except UnicodeDecodeError:
        raise BadBook(f"line {number}: is not UTF-8 text") from None
    except ValueError as error:
        raise BadBook(f"line {number}: {error}") from None


def check_owner(owner: str, expected: str) -> None:
    """
    Check that a book is of a profile.

    Args:
        owner: What the book names; "policy" for a policy of its user's own.
        expected: The profile.

    Raises:
        BadBook: If it is of another one.

    >>> check_owner("policy", "Anduin")
    Traceback (most recent call last):
    ...
    upsertcore.cli.book_file.BadBook: is a book of a policy, not of Anduin
    """
    if owner != expected:
        names = [f"a {OWN}" if name == OWN else name for name in (owner, expected)]
        raise BadBook("is a book of {}, not of {}".format(*names))


def origin_of(policy: str | None) -> dict[str, Any]:
    """
    Return what the forms of a book depend on.

    Args:
        policy: The policy as text; None for none.

    Returns:
        For the first line of a book: a digest of the policy, and the versions of this
        package, of Unicode and of the packages that normalisers use.

    >>> sorted(origin_of('match = "never"')), [*origin_of(None)]
    (['normalisers', 'policy_sha256'], ['normalisers'])
    """
    versions = {"unicode": unicodedata.unidata_version}
    for package in _NORMALISERS:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    digest = {} if policy is None else {"policy_sha256": _digest(policy)}
    return {**digest, "normalisers": versions}


def _digest(policy: str) -> str:
    return sha256(policy.encode()).hexdigest()


_DATABASES = {".db", ".sqlite", ".sqlite3"}


def is_database(book: str) -> bool:
    """
    Return whether a book is in a database: a file of SQLite, or a URL.

    >>> [is_database(book) for book in ("a.jsonl", "a.db", "postgresql://host/name")]
    [False, True, True]
    """
    return "://" in book or Path(book).suffix.lower() in _DATABASES


def file_identity(path: Path) -> tuple[int, ...] | None:
    """
    Return a value that changes with the file; None if there is no file.

    >>> file_identity(Path("no such file")) is None
    True
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def save_book(
    path: Path,
    profile: str,
    options: Mapping[str, str],
    contacts: Iterable[Contact],
    expected: tuple[int, ...] | None,
    on_replaced: Callable[[], object] = lambda: None,
    policy: str | None = None,
    before_replaced: Callable[[str], object] = lambda _checksum: None,
) -> None:
    """
    Replace a book file, or leave it unchanged.

    Args:
        path: The file; a symbolic link is followed.
        profile: The name of the profile.
        options: Its options, which the next run uses as defaults.
        contacts: The contacts, consumed one by one.
        expected: The :func:`file_identity` of the file when it was read.
        on_replaced: Called once the book is replaced, before Ctrl-C can end the run.
        policy: The policy of the contacts as text, for readers; None for none.
        before_replaced: Called with the checksum of the new book before it is in place;
            what it raises leaves the book as it is.

    Raises:
        BadBook: If the file has changed since it was read.
        OSError: If it cannot be written; the previous version is intact then.
    """
    head: dict[str, Any] = {"format": _FORMAT, "profile": profile}
    head["options"] = dict(options)
    if policy is not None:
        head["policy"] = policy
    head |= origin_of(policy)
    digest, count = sha256(), -1
    with AtomicFile(path) as file:
        for row in chain([head], rows_of(contacts)):
            line = _line(row)
            digest.update(line)
            file.write(line)
            count += 1
        checksum = digest.hexdigest()
        file.write(_line({"contacts": count, "sha256": checksum}))
        file.sync()
        with folder_lock(Path(os.path.realpath(path)).parent), defer_interrupt():
            if file_identity(path) != expected:
                problem = "was changed by another program during this run"
                raise BadBook(f"{problem}; run the command again")
            before_replaced(checksum)
            file.replace()
            on_replaced()
        file.sync_folder()


def _line(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode() + b"\n"

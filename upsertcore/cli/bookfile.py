"""
The book file: one contact a line, read whole, replaced whole or not at all.

Rules:
    The first line names the profile and its options: no other one is run over it.
    A book is written aside, synced and renamed: a killed run leaves the old one.
    A book that another run replaced meanwhile is not written over.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from attrs import define, field

from upsertcore.cli.rows import loads
from upsertcore.contact import Contact
from upsertcore.showing import shown

__all__ = ["BadBook", "Reader", "identity", "save"]

_FORMAT = "upsertcore book 1"


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
        BadBook: If the first line is not that of a book, or a later one is no JSON.

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

    def __attrs_post_init__(self) -> None:
        head: Any = _parsed(1, self.stream.readline())
        if not isinstance(head, dict) or head.get("format") != _FORMAT:
            raise BadBook(f"line 1: must say that this is an {_FORMAT}")
        profile: Any = head.get("profile")
        options: Any = head.get("options")
        if not isinstance(profile, str) or not _are_words(options):
            raise BadBook("line 1: must name a profile and its options")
        self.profile, self.options = profile, options

    def __iter__(self) -> Iterator[Any]:
        for line in self.stream:
            self.line += 1
            yield _parsed(self.line, line)


def _are_words(options: Any) -> bool:
    return isinstance(options, dict) and all(
        isinstance(value, str) for value in options.values()
    )


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other runs from this folder's books, where the system has such locks."""
    try:
        from fcntl import LOCK_EX, flock  # noqa: PLC0415 - not on every system
    except ModuleNotFoundError:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        flock(handle, LOCK_EX)
        yield
    finally:
        os.close(handle)


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
) -> None:
    """
    Replace a book, or leave it as it is.

    Args:
        path: Where; a symbolic link is followed.
        profile: The name of the profile.
        options: What was said of it, so that the next run need not.
        contacts: Written one by one.
        expected: The identity that the file had when it was read.

    Raises:
        BadBook: If the file is another one now.
        OSError: If it cannot be written; the old one is whole then.
    """
    path = Path(os.path.realpath(path))
    head = {"format": _FORMAT, "profile": profile, "options": dict(options)}
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    aside = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            os.fchmod(handle, _mode(path))
            stream.write(_line(head))
            stream.writelines(_line(contact.to_dict()) for contact in contacts)
            stream.flush()
            os.fsync(handle)
        with _alone(path.parent):
            _unchanged(path, expected)
            aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _unchanged(path: Path, expected: tuple[int, ...] | None) -> None:
    if identity(path) != expected:
        raise BadBook(f"{shown(path.name)} was changed by somebody else meanwhile")


def _line(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _mode(path: Path) -> int:
    """Give the permissions of the old file, or those of a new one."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask


def _sync_folder(folder: Path) -> None:
    """Make the rename last, where the system can sync a folder."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

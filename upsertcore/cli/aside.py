"""
Files that are written aside and put in place whole, or not at all.

Rules:
    What is written aside has a lock until its run ends, however that ends; a later
    run of the same file removes what has none.
    Putting files in place is not interrupted: Ctrl-C comes before or after it.
    What is no plain file, such as a pipe, is written as it goes.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

__all__ = ["Aside", "alone", "uninterrupted"]

_END = ".upsertcore"
_LONGEST = 200


def _locks() -> Any:
    """Return the module of file locks; None where the system has none."""
    try:
        import fcntl  # noqa: PLC0415 - not on every system
    except ModuleNotFoundError:
        return None
    return fcntl


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """
    Keep other runs from the files of a folder, where the system has such locks.

    Args:
        folder: Where the files are; a run must not enter it twice at once.
    """
    locks = _locks()
    if locks is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # not on every file system
            locks.flock(handle, locks.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """
    Hold Ctrl-C back until the block has ended.

    Raises:
        KeyboardInterrupt: At the end, if it came meanwhile.
    """
    before = signal.getsignal(signal.SIGINT)
    mine = threading.current_thread() is threading.main_thread()
    if not mine or not callable(before):
        yield
        return
    held: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _frame: held.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if held:
            before(held[0], None)


class Aside:
    """
    A file that is written beside its place.

    Args:
        path: Its place; a symbolic link is followed.

    Raises:
        OSError: With the path as its file name, from whatever is done with it.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.txt")
    ...     with Aside(path) as aside:
    ...         aside.write(b"ada")
    ...         aside.finish()
    ...         before = path.exists()
    ...         aside.place()
    ...     before, path.read_bytes(), len(os.listdir(folder))
    (False, b'ada', 1)
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._place = Path(os.path.realpath(path))
        self._aside: Path | None = None
        with self._named():
            if _is_special(path):
                self._stream = path.open("wb")
                return
            with alone(self._place.parent):
                _sweep(self._place)
                handle, self._aside = _created(self._place)
            self._stream = os.fdopen(handle, "wb")
            os.fchmod(handle, _mode(self._place))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._stream.close()
        if self._aside is not None:
            self._aside.unlink(missing_ok=True)

    def write(self, data: bytes) -> None:
        """Write bytes."""
        with self._named():
            self._stream.write(data)

    def finish(self) -> None:
        """Bring all that was written to the disk; what is no plain file is flushed."""
        with self._named():
            self._stream.flush()
            if self._aside is not None:
                os.fsync(self._stream.fileno())

    def place(self) -> None:
        """Put the file in its place, whole."""
        if self._aside is not None:
            with self._named():
                self._aside.replace(self._place)
            self._aside = None

    def settle(self) -> None:
        """Make the placing last, where the system can sync a folder."""
        with contextlib.suppress(OSError):
            handle = os.open(self._place.parent, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.path)) from error


def _is_special(path: Path) -> bool:
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return False


def _created(place: Path) -> tuple[int, Path]:
    """Create a file beside another, and lock it for as long as it is open."""
    handle, name = tempfile.mkstemp(_END, _prefix(place), place.parent)
    _locked(handle)
    return handle, Path(name)


def _prefix(place: Path) -> str:
    """Begin the name of a file beside another; no longer than a file system takes."""
    return f".{os.fsencode(place.name)[:_LONGEST].decode(errors='ignore')}."


def _locked(handle: int) -> bool:
    """Lock an open file, unless a run has it or the system has no locks."""
    locks = _locks()
    if locks is None:
        return False
    try:
        locks.flock(handle, locks.LOCK_EX | locks.LOCK_NB)
    except OSError:
        return False
    return True


def _sweep(place: Path) -> None:
    """Remove what runs that were killed left beside a file; the folder is held."""
    if _locks() is None:
        return
    pattern = re.compile(rf"{re.escape(_prefix(place))}[a-z0-9_]{{8}}{_END}")
    left = [e for e in os.scandir(place.parent) if pattern.fullmatch(e.name)]
    for each in left:
        with contextlib.suppress(OSError):
            handle = os.open(each.path, os.O_RDWR | os.O_NOFOLLOW)
            try:
                if _locked(handle):
                    Path(each.path).unlink()
            finally:
                os.close(handle)


def _mode(path: Path) -> int:
    """Return the permissions of the old file, or those of a new one."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask

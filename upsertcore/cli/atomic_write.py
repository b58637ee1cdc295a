"""
Atomic file writes: a file is replaced completely or not at all.

Rules:
    Output goes to a temporary file, locked until the command ends; a later run for
    the same file removes unlocked leftovers.
    Ctrl-C never interrupts a replacement: it takes effect before or after it.
    What is not a regular file, such as a pipe, is written directly.
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

__all__ = ["AtomicFile", "defer_interrupt", "folder_lock"]

_SUFFIX = ".upsertcore"
_MAX_NAME_BYTES = 200


def _locks() -> Any:
    """Return the file-locking module, or None where the system has none."""
    try:
        import fcntl  # noqa: PLC0415 - not on every system
    except ModuleNotFoundError:
        return None
    return fcntl


@contextlib.contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """
    Lock a folder against other runs, where the system supports it.

    Args:
        folder: The folder; a lock is not re-entrant.
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
def defer_interrupt() -> Iterator[None]:
    """
    Defer Ctrl-C until the block has ended.

    Raises:
        KeyboardInterrupt: At the end, if Ctrl-C was pressed inside the block.
    """
    handler = signal.getsignal(signal.SIGINT)
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or not callable(handler):
        yield
        return
    pending: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _frame: pending.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if pending:
            handler(pending[0], None)


class AtomicFile:
    """
    Write a file through a temporary file in the same folder.

    Args:
        path: The file to replace; a symbolic link is followed.

    Raises:
        OSError: With ``path`` as its file name, from any of the methods.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.txt")
    ...     with AtomicFile(path) as file:
    ...         file.write(b"ada")
    ...         file.sync()
    ...         existed = path.exists()
    ...         file.replace()
    ...     existed, path.read_bytes(), len(os.listdir(folder))
    (False, b'ada', 1)
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._target = Path(os.path.realpath(path))
        self._temporary: Path | None = None
        with self._errors_name_path():
            if _is_not_regular(path):
                self._stream = path.open("wb")
                return
            with folder_lock(self._target.parent):
                _remove_leftovers(self._target)
                handle, self._temporary = _create_temporary(self._target)
            self._stream = os.fdopen(handle, "wb")
            os.fchmod(handle, _mode(self._target))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._stream.close()
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)

    def write(self, data: bytes) -> None:
        """Write bytes."""
        with self._errors_name_path():
            self._stream.write(data)

    def sync(self) -> None:
        """Sync the temporary file to disk; flush what is not a regular file."""
        with self._errors_name_path():
            self._stream.flush()
            if self._temporary is not None:
                os.fsync(self._stream.fileno())

    def replace(self) -> None:
        """Replace the target with the temporary file."""
        if self._temporary is not None:
            with self._errors_name_path():
                self._temporary.replace(self._target)
            self._temporary = None

    def sync_folder(self) -> None:
        """Sync the folder, where the system can, so that the replacement is durable."""
        with contextlib.suppress(OSError):
            handle = os.open(self._target.parent, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    @contextlib.contextmanager
    def _errors_name_path(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.path)) from error


def _is_not_regular(path: Path) -> bool:
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return False


def _create_temporary(target: Path) -> tuple[int, Path]:
    """Create a temporary file beside the target, locked while it is open."""
    handle, name = tempfile.mkstemp(_SUFFIX, _prefix(target), target.parent)
    _try_lock(handle)
    return handle, Path(name)


def _prefix(target: Path) -> str:
    """Return the prefix of temporary names, cut to what a file system accepts."""
    return f".{os.fsencode(target.name)[:_MAX_NAME_BYTES].decode(errors='ignore')}."


def _try_lock(handle: int) -> bool:
    """Lock an open file; return False if another run holds it or locks are missing."""
    locks = _locks()
    if locks is None:
        return False
    try:
        locks.flock(handle, locks.LOCK_EX | locks.LOCK_NB)
    except OSError:
        return False
    return True


def _remove_leftovers(target: Path) -> None:
    """Remove the temporary files of killed runs; the caller holds the folder lock."""
    if _locks() is None:
        return
    pattern = re.compile(rf"{re.escape(_prefix(target))}[a-z0-9_]{{8}}{_SUFFIX}")
    leftovers = [e for e in os.scandir(target.parent) if pattern.fullmatch(e.name)]
    for entry in leftovers:
        with contextlib.suppress(OSError):
            handle = os.open(entry.path, os.O_RDWR | os.O_NOFOLLOW)
            try:
                if _try_lock(handle):
                    Path(entry.path).unlink()
            finally:
                os.close(handle)


def _mode(path: Path) -> int:
    """Return the permissions of the existing file, or those of a new one."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask

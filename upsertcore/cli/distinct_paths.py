"""
Whether two paths are one file, so that no input is overwritten.

Rules:
    Only a regular file can be overwritten: terminals and pipes may be used twice.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

from upsertcore.cli.usage import InvalidUsage

__all__ = ["check_distinct"]


def check_distinct(inputs: Iterable[str], outputs: Iterable[object]) -> None:
    """
    Check that no file is both input and output, or two outputs.

    Args:
        inputs: Paths; ``-`` is standard input.
        outputs: Paths; what is no path is skipped.

    Raises:
        InvalidUsage: If one is.

    >>> check_distinct(["a.csv"], [Path("b.jsonl"), Path("b.jsonl")])
    Traceback (most recent call last):
    ...
    upsertcore.cli.usage.InvalidUsage: b.jsonl: is named twice and would be ...
    """
    used = [_path_identity(name) for name in inputs]
    used += [_handle_identity(1)] if sys.stdout is sys.__stdout__ else []
    for path in outputs:
        if isinstance(path, Path):
            identity = _path_identity(str(path))
            if identity in used:
                raise InvalidUsage(
                    f"{path}: is named twice and would be overwritten; use another path"
                )
            used.append(identity)


def _path_identity(name: str) -> object:
    """Return the identity of a file, independent of its path; - is standard input."""
    if name == "-":
        return _handle_identity(0)
    try:
        status = Path(name).stat()
    except OSError:
        return os.path.realpath(name)
    return _status_identity(status)


def _handle_identity(handle: int) -> object:
    """Return the identity of an open file."""
    try:
        return _status_identity(os.fstat(handle))
    except OSError:
        return object()


def _status_identity(status: os.stat_result) -> object:
    if not stat.S_ISREG(status.st_mode):
        return object()
    return (status.st_dev, status.st_ino)

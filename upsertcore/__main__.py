"""
Starts the command line, and says so plainly where its extra is not installed.

Rules:
    Nothing but the import is guarded: a fault inside the command line shows.
    Ctrl-C while the program starts ends it as it does later; once its exit status is
    known, nothing changes that.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

__all__ = ["main"]


def main() -> None:
    """
    Run the command line.

    Raises:
        SystemExit: With the exit status; 2 where click or rich is not installed.
    """
    try:
        _fill()
        from upsertcore.cli import main as run  # noqa: PLC0415 - the extra is optional
    except ModuleNotFoundError as error:
        missing = str(error.name).partition(".")[0]
        if missing not in {"click", "rich"}:
            raise
        _end(f"upsertcore needs {missing}: {_INSTALL}", 2)
    except KeyboardInterrupt:
        _end("Error: interrupted; no book was changed", 130)
    try:
        run(prog_name="upsertcore")
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


_INSTALL = "pip install 'upsertcore[cli]'"


def _fill() -> None:
    """Open what is closed of the three standard streams: no file takes its number."""
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(handle)


def _end(message: str, status: int) -> NoReturn:
    if sys.stderr is not None:
        sys.stderr.write(f"{message}\n")
    sys.exit(status)


if __name__ == "__main__":
    main()

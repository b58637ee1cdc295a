"""
Runs the command line, or reports that its extra is not installed.

Rules:
    Only the import is guarded: other errors of the command line propagate.
    Ctrl-C during startup ends the program like Ctrl-C later; once the exit status is
    known, Ctrl-C does not change it.
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
        SystemExit: With the exit status; 2 if click or rich is not installed.
    """
    try:
        _open_standard_streams()
        from upsertcore.cli import main as run  # noqa: PLC0415 - the extra is optional
    except ModuleNotFoundError as error:
        missing = str(error.name).partition(".")[0]
        if missing not in {"click", "rich"}:
            raise
        _exit(f"upsertcore needs {missing}: {_INSTALL}", 2)
    except KeyboardInterrupt:
        _exit("Error: interrupted; no book was changed", 130)
    try:
        run(prog_name="upsertcore")
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


_INSTALL = "pip install 'upsertcore[cli]'"


def _open_standard_streams() -> None:
    """Open closed standard streams, so that no file takes their descriptors."""
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(handle)


def _exit(message: str, status: int) -> NoReturn:
    if sys.stderr is not None:
        sys.stderr.write(f"{message}\n")
    sys.exit(status)


if __name__ == "__main__":
    main()

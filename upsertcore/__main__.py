"""
Starts the command line, and says so plainly where its extra is not installed.

Rules:
    Nothing but the import is guarded: a fault inside the command line shows.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """
    Run the command line.

    Raises:
        SystemExit: With the exit status; 2 where click or rich is not installed.
    """
    try:
        from upsertcore.cli import main as run  # noqa: PLC0415 - the extra is optional
    except ModuleNotFoundError as error:
        missing = str(error.name).partition(".")[0]
        if missing not in {"click", "rich"}:
            raise
        sys.stderr.write(f"upsertcore needs {missing}: {_INSTALL}\n")
        sys.exit(2)
    run(prog_name="upsertcore")


_INSTALL = "pip install 'upsertcore[cli]'"

if __name__ == "__main__":
    main()

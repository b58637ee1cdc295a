"""
Runs a module in a process of its own, and reads its result.

Rules:
    The hash seed is fixed, so that runs do the same work.
    The result is JSON in the last line of standard output; an error is the last line of
    standard error.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["run_module"]


def run_module(
    module: str,
    argument: str,
    *,
    python: str = sys.executable,
    folder: Path | None = None,
    paths: Iterable[str] = (),
) -> dict[str, Any]:
    """
    Run a module in its own process, and return its result.

    Args:
        module: Its name.
        argument: Its only argument.
        python: The interpreter.
        folder: The folder in which it runs; the current one by default.
        paths: Where modules are found besides.

    Raises:
        RuntimeError: If it fails, with the last line of standard error.

    >>> run_module("json.tool", "no such file")
    Traceback (most recent call last):
    ...
    RuntimeError: ...No such file or directory...
    """
    given = filter(None, [os.environ.get("PYTHONPATH")])
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": os.pathsep.join([*given, *paths]),
    }
    process = subprocess.run(  # noqa: S603 - an interpreter, and a module of ours
        [python, "-m", module, argument],
        cwd=folder,
        capture_output=True,
        check=False,
        encoding="utf-8",
        env=environment,
    )
    if process.returncode:
        raise RuntimeError((process.stderr.strip().splitlines() or ["no message"])[-1])
    result: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    return result

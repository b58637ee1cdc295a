"""
The guard: instructions of fixed cases, compared with a stored baseline.

Rules:
    Instructions are counted, not seconds: a count repeats, whatever else runs.
    A baseline is for one Python and one platform; elsewhere there is none, and the
    guard says so in one line and passes.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.counted import CALLS, CASES
from benchmarks.measure import ROOT

__all__ = ["LIMIT", "compared", "counted", "guard", "here", "installed"]

LIMIT = 3
"""By how many per cent a count may grow."""

Say = Callable[[str], object]
Count = Callable[[str, str], int]

_TOTAL = re.compile(r"Collected\s*:\s*([0-9]+)")


def here() -> str:
    """
    Name this Python and platform, as the baseline does.

    Another build runs other instructions, so its compiler is part of the name.

    >>> here().split(",")[0] == f"CPython {platform.python_version()}"
    True
    """
    python = f"{platform.python_implementation()} {platform.python_version()}"
    system = f"{platform.system()} {platform.machine()}"
    return f"{python}, {platform.python_compiler().strip()}, {system}"


def installed() -> str:
    """Find valgrind, blank where it is not."""
    return shutil.which("valgrind") or ""


def compared(
    counts: Mapping[str, int], baseline: Mapping[str, int]
) -> tuple[bool, list[str]]:
    """
    Compare counts with a baseline.

    Returns:
        Whether none has grown by more than :data:`LIMIT`, and a line for each.

    >>> compared({"create": 102}, {"create": 100})
    (True, ['create: 102 instructions, +2.0 % of the baseline'])
    >>> compared({"create": 104}, {"create": 100})
    (False, ['create: 104 instructions, +4.0 % of the baseline: too many'])
    >>> compared({"create": 104}, {})
    (True, ['create: 104 instructions, and no baseline'])
    """
    passed, lines = True, []
    for name, count in counts.items():
        before = baseline.get(name)
        if before is None:
            lines.append(f"{name}: {count:,} instructions, and no baseline")
            continue
        grown = 100 * (count - before)
        line = (
            f"{name}: {count:,} instructions, {grown / before:+.1f} % of the baseline"
        )
        if grown > LIMIT * before:
            passed, line = False, f"{line}: too many"
        lines.append(line)
    return passed, lines


def counted(valgrind: str, name: str) -> int:
    """
    Count the instructions of one call of a case.

    Raises:
        RuntimeError: If the program fails or tells no count.
    """
    whole, without = _total(valgrind, name, CALLS), _total(valgrind, name, 0)
    return (whole - without) // CALLS


def guard(
    valgrind: str,
    baseline: Path,
    *,
    store: bool = False,
    say: Say,
    count: Count = counted,
) -> int:
    """
    Check the counts against the baseline, or store them.

    Args:
        valgrind: The program, blank where there is none.
        baseline: A JSON file: the name of a Python and platform -> counts.
        store: Write this machine's counts in place of a check.
        say: Called with each line.
        count: (valgrind, case): the instructions of one call.

    Returns:
        The exit status: 1 if a count has grown too much, 0 otherwise.
    """
    known = _read(baseline)
    mine = known.get(here(), {})
    if not valgrind:
        say("instructions are not counted: valgrind is not installed")
        return 0
    if not (mine or store):
        say(f"instructions are not counted: {baseline.name} has none for {here()}")
        return 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda name: count(valgrind, name), CASES)
        counts = dict(zip(CASES, found, strict=True))
    if store:
        entry = {"attrs": version("attrs"), "instructions": counts}
        known = {**known, here(): entry}
        text = json.dumps(known, indent=2, sort_keys=True) + "\n"
        baseline.write_text(text, encoding="utf-8")
        say(f"stored for {here()}: {counts}")
        return 0
    passed, lines = compared(counts, mine["instructions"])
    for line in lines:
        say(line)
    if not passed and mine["attrs"] != version("attrs"):
        say(f"the baseline is of attrs {mine['attrs']}, here is {version('attrs')}")
    return 0 if passed else 1


def _read(baseline: Path) -> dict[str, Any]:
    if not baseline.exists():
        return {}
    known: dict[str, Any] = json.loads(baseline.read_text(encoding="utf-8"))
    return known


def _total(valgrind: str, name: str, calls: int) -> int:
    python = [sys.executable, "-m", "benchmarks.counted", name, str(calls)]
    with tempfile.TemporaryDirectory() as folder:
        out = f"--callgrind-out-file={folder}/out"
        ran = subprocess.run(  # noqa: S603 - valgrind, this interpreter, our own module
            [valgrind, "--tool=callgrind", out, *python],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
        )
    said = _TOTAL.search(ran.stderr)
    if ran.returncode or said is None:
        last = (ran.stderr.strip().splitlines() or ["nothing"])[-1]
        raise RuntimeError(f"{valgrind} on {name}: {last}")
    return int(said[1])

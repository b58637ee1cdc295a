"""
The guard: instructions of fixed cases, compared with a stored baseline.

Rules:
    Instructions are counted instead of seconds, because counts are repeatable.
    A baseline is for one Python and one platform; without one, the guard prints that
    and passes.
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

from benchmarks.guard_cases import CALLS, CASES
from benchmarks.measure import ROOT

__all__ = [
    "LIMIT",
    "compare",
    "count_instructions",
    "find_valgrind",
    "guard",
    "platform_name",
]

LIMIT = 3
"""The maximum growth of a count, in per cent."""

Say = Callable[[str], object]
Count = Callable[[str, str], int]

_TOTAL = re.compile(r"Collected\s*:\s*([0-9]+)")


def platform_name() -> str:
    """
    Return the name of this Python and platform in the baseline.

    It includes the compiler, because another build runs other instructions.

    >>> platform_name().split(",")[0] == f"CPython {platform.python_version()}"
    True
    """
    python = f"{platform.python_implementation()} {platform.python_version()}"
    system = f"{platform.system()} {platform.machine()}"
    return f"{python}, {platform.python_compiler().strip()}, {system}"


def find_valgrind() -> str:
    """Return the path of valgrind, blank if it is not installed."""
    return shutil.which("valgrind") or ""


def compare(
    counts: Mapping[str, int], baseline: Mapping[str, int]
) -> tuple[bool, list[str]]:
    """
    Compare counts with a baseline.

    Returns:
        Whether no count has grown by more than :data:`LIMIT`, and a line for each.

    >>> compare({"create": 102}, {"create": 100})
    (True, ['create: 102 instructions, +2.0 % of the baseline'])
    >>> compare({"create": 104}, {"create": 100})
    (False, ['create: 104 instructions, +4.0 % of the baseline: too many'])
    >>> compare({"create": 104}, {})
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


def count_instructions(valgrind: str, name: str) -> int:
    """
    Count the instructions of one call of a case.

    Raises:
        RuntimeError: If the program fails or prints no count.
    """
    total, preparation = _total(valgrind, name, CALLS), _total(valgrind, name, 0)
    return (total - preparation) // CALLS


def guard(
    valgrind: str,
    baseline: Path,
    *,
    store: bool = False,
    say: Say,
    count: Count = count_instructions,
) -> int:
    """
    Check the counts against the baseline, or store them.

    Args:
        valgrind: The program, blank if there is none.
        baseline: A JSON file of counts by Python and platform.
        store: True to store the counts instead of checking them.
        say: Called with each line.
        count: (valgrind, case): the instructions of one call.

    Returns:
        The exit status: 1 if a count has grown too much, 0 otherwise.
    """
    baselines = _read(baseline)
    stored = baselines.get(platform_name(), {})
    if not valgrind:
        say("instructions are not counted: valgrind is not installed")
        return 0
    if not (stored or store):
        here = platform_name()
        say(f"instructions are not counted: {baseline.name} has none for {here}")
        return 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda name: count(valgrind, name), CASES)
        counts = dict(zip(CASES, results, strict=True))
    if store:
        entry = {"attrs": version("attrs"), "instructions": counts}
        baselines = {**baselines, platform_name(): entry}
        text = json.dumps(baselines, indent=2, sort_keys=True) + "\n"
        baseline.write_text(text, encoding="utf-8")
        say(f"stored for {platform_name()}: {counts}")
        return 0
    passed, lines = compare(counts, stored["instructions"])
    for line in lines:
        say(line)
    if not passed and stored["attrs"] != version("attrs"):
        installed = version("attrs")
        say(f"the baseline has attrs {stored['attrs']}, this Python has {installed}")
    return 0 if passed else 1


def _read(baseline: Path) -> dict[str, Any]:
    if not baseline.exists():
        return {}
    baselines: dict[str, Any] = json.loads(baseline.read_text(encoding="utf-8"))
    return baselines


def _total(valgrind: str, name: str, calls: int) -> int:
    python = [sys.executable, "-m", "benchmarks.guard_cases", name, str(calls)]
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
    match = _TOTAL.search(ran.stderr)
    if ran.returncode or match is None:
        last = (ran.stderr.strip().splitlines() or ["nothing"])[-1]
        raise RuntimeError(f"{valgrind} on {name}: {last}")
    return int(match[1])

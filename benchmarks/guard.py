"""
The guard: instructions of fixed cases, compared with a stored baseline or each other.

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
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import guard_report
from benchmarks.guard_run import ALL_CASES
from benchmarks.markdown import insert_block
from benchmarks.measure import ROOT
from upsertcore import __version__

__all__ = [
    "LIMIT",
    "compare",
    "count_instructions",
    "features",
    "find_valgrind",
    "guard",
    "platform_name",
]

LIMIT = 3
"""The maximum growth of a count, in per cent."""

Say = Callable[[str], object]
Count = Callable[[str, Sequence[str]], Mapping[str, int]]

_TOTAL = re.compile(r"==([0-9]+)== Collected\s*:\s*([0-9]+)")
_UNAVAILABLE = "instructions are not counted: valgrind is not installed"


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


def count_instructions(valgrind: str, names: Sequence[str]) -> dict[str, int]:
    """
    Count the instructions of one call of each case.

    Raises:
        RuntimeError: If the program fails, or prints no count of a process.
    """
    python = [sys.executable, "-m", "benchmarks.guard_run", *names]
    with tempfile.TemporaryDirectory() as folder:
        out = f"--callgrind-out-file={folder}/out.%p"
        ran = subprocess.run(  # noqa: S603 - valgrind, this interpreter, our own module
            [valgrind, "--tool=callgrind", out, *python],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
        )
    totals = dict(_TOTAL.findall(ran.stderr))
    counts = _per_call(ran.stdout, totals)
    if ran.returncode or counts.keys() != {*names}:
        # The lines of valgrind begin with the id of a process.
        lines = [line for line in ran.stderr.splitlines() if line[:2] != "=="]
        last = (lines or ["nothing"])[-1]
        raise RuntimeError(f"{valgrind} on {', '.join(names)}: {last}")
    return counts


def _per_call(processes: str, totals: Mapping[str, str]) -> dict[str, int]:
    r"""
    Return the instructions of one call of each case.

    Args:
        processes: What :mod:`benchmarks.guard_run` prints.
        totals: The instructions of each process, by its id.

    >>> _per_call("7 create 0\n8 create 5\n9 plain 0", {"7": "100", "8": "150"})
    {'create': 10}
    """
    preparation, counts = dict[str, int](), dict[str, int]()
    for line in processes.splitlines():
        process, name, calls = line.split()
        if process not in totals:
            continue
        if int(calls) == 0:
            preparation[name] = int(totals[process])
        elif name in preparation:
            extra = int(totals[process]) - preparation[name]
            counts[name] = extra // int(calls)
    return counts


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
        count: (valgrind, cases): the instructions of one call of each case.

    Returns:
        The exit status: 1 if a count has grown too much, 0 otherwise.
    """
    baselines = _read(baseline)
    stored = baselines.get(platform_name(), {})
    if not valgrind:
        say(_UNAVAILABLE)
        return 0
    if not (stored or store):
        here = platform_name()
        say(f"instructions are not counted: {baseline.name} has none for {here}")
        return 0
    counts = _count_all(valgrind, [*ALL_CASES], count)
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


def features(
    valgrind: str, readme: Path, *, say: Say, count: Count = count_instructions
) -> int:
    """
    Count what features and workloads cost, and write the tables into a README.

    Args:
        valgrind: The program, blank if there is none.
        readme: The file; its tables are replaced, or appended if it has none.
        say: Called with the tables.
        count: As for :func:`guard`.

    Returns:
        The exit status, 0.
    """
    if not valgrind:
        say(_UNAVAILABLE)
        return 0
    counts = _count_all(valgrind, guard_report.names(), count)
    tables = guard_report.report(counts)
    say(tables)
    text = readme.read_text(encoding="utf-8") if readme.exists() else ""
    block = f"{_counted_with()}\n\n{tables}"
    text = insert_block(text, block, guard_report.BEGIN, guard_report.END)
    readme.write_text(text, encoding="utf-8")
    return 0


def _counted_with() -> str:
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    packages = f"upsertcore {__version__}, attrs {version('attrs')}"
    return f"Counted {today}; {platform_name()}; {packages}."


def _count_all(valgrind: str, names: Sequence[str], count: Count) -> dict[str, int]:
    """Count cases, as many at once as there are cores."""
    cores = os.cpu_count() or 1
    groups = [names[first::cores] for first in range(min(cores, len(names)))]
    with ThreadPoolExecutor(cores) as pool:
        results = pool.map(lambda group: count(valgrind, group), groups)
        counts = {name: n for result in results for name, n in result.items()}
    return {name: counts[name] for name in names}


def _read(baseline: Path) -> dict[str, Any]:
    if not baseline.exists():
        return {}
    baselines: dict[str, Any] = json.loads(baseline.read_text(encoding="utf-8"))
    return baselines

"""
Measuring: which runs there are, and each of them in a process of its own.

Rules:
    Engines alternate: run 1 of every engine comes before run 2 of any, so that what
    the machine does besides falls on all of them.
    Nothing is dropped in silence: an engine that is missing, cannot do a workload,
    fails, differs from the floor or would take too long is in the list of what is
    left out, with the reason.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import attrs
from attrs import define, frozen

from benchmarks.engines.base import Engine
from benchmarks.engines.catalogue import ENGINES, OURS
from benchmarks.workloads import KINDS, MAIN, SHAPES, Case

__all__ = ["ROOT", "Measured", "Request", "Task", "in_process", "measure", "tasks"]

ROOT = Path(__file__).parents[1]
"""From where ``python -m benchmarks`` is run."""

_SIDE = 10_000
"""The size at which everything but the main workload is measured, or near it."""

Run = Callable[["Task"], dict[str, Any]]


@frozen
class Request:
    """
    What to measure.

    Args:
        sizes: Of the main workload.
        engines: Names of engines.
        runs: How many of each.
        budget: Seconds that one run may take, by what the smaller size took.
    """

    sizes: tuple[int, ...] = (1_000, 10_000, 100_000)
    engines: tuple[str, ...] = tuple(ENGINES)
    runs: int = 5
    budget: float = 30.0

    @property
    def side(self) -> int:
        """Give the size for the workloads beside the main one."""
        return max([size for size in self.sizes if size <= _SIDE] or [min(self.sizes)])


@frozen
class Task:
    """One engine and one workload: what one process runs."""

    engine: str
    case: Case
    measure: str = "time"

    @property
    def told(self) -> str:
        """Write it as the worker reads it."""
        return json.dumps(attrs.asdict(self))


@define
class Measured:
    """What was found: a row per engine, workload and measure, and what is left out."""

    rows: list[dict[str, Any]]
    left_out: list[dict[str, str]]


def in_process(task: Task) -> dict[str, Any]:
    """
    Run a task in a process of its own.

    Raises:
        RuntimeError: If it fails, with the last line that it wrote.
    """
    command = [sys.executable, "-m", "benchmarks.worker", task.told]
    ran = subprocess.run(  # noqa: S603 - this interpreter, and our own module
        command, cwd=ROOT, capture_output=True, text=True, check=False, env=_PLAIN
    )
    if ran.returncode:
        raise RuntimeError((ran.stderr.strip().splitlines() or ["it died"])[-1])
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


# A fixed seed of hashing, so that runs differ by the machine alone.
_PLAIN = {**os.environ, "PYTHONHASHSEED": "0"}


def tasks(asked: Request) -> list[list[Task]]:
    """
    List the groups of tasks; those of a group alternate.

    >>> groups = tasks(Request(sizes=(100,), engines=("floor",)))
    >>> [group[0].case.label for group in groups][:3]
    ['mixed, 8 fields', 'create, 8 fields', 'update, 8 fields']
    """
    plain = [attrs.evolve(MAIN, size=size) for size in sorted(asked.sizes)]
    main = attrs.evolve(MAIN, size=asked.side)
    side = [attrs.evolve(main, shape=shape) for shape in SHAPES if shape != "mixed"]
    side += [attrs.evolve(main, fields=count) for count in (4, 30)]
    side += [attrs.evolve(main, kind=kind) for kind in KINDS[1:]]
    groups = [_group(asked.engines, case, "time") for case in [*plain, *side]]
    weighed = [case for case in plain if case.size >= asked.side]
    return groups + [_group(asked.engines, case, "memory") for case in weighed]


def _group(engines: Iterable[str], case: Case, what: str) -> list[Task]:
    named = [name for name in engines if case.kind == "plain" or name in OURS]
    return [Task(name, case, what) for name in named]


def measure(
    asked: Request, say: Callable[[str], object], run: Run = in_process
) -> Measured:
    """
    Measure all that is asked.

    Args:
        asked: Sizes, engines, how many runs.
        say: Called with one line about what is going on.
        run: Runs a task and answers what the worker does.

    >>> asked = Request(sizes=(10,), engines=("floor",), runs=1)
    >>> one = {"ns": 20_000, "kept": 9, "peak": 9, "contacts": 5, "same": True}
    >>> found = measure(asked, str, lambda task: one)
    >>> found.rows[0]["engine"], found.rows[0]["us"], found.left_out
    ('floor', [2.0], [])
    """
    found = Measured([], [])
    here = [name for name in asked.engines if _is_here(ENGINES[name], found)]
    groups = tasks(attrs.evolve(asked, engines=tuple(here)))
    for place, group in enumerate(groups, 1):
        label, size = group[0].case.label, group[0].case.size
        left = [task for task in group if _can(task, asked.budget, found)]
        rows = {task.engine: _row(task) for task in left}
        for turn in range(asked.runs):
            for task in [task for task in left if task.engine in rows]:
                say(
                    f"{place}/{len(groups)} {group[0].measure}: {label}, {size:,}: "
                    f"run {turn + 1} of {asked.runs}: {task.engine}"
                )
                if not _add(rows[task.engine], task, run, found):
                    del rows[task.engine]
        found.rows += rows.values()
    return found


def _is_here(engine: type[Engine], found: Measured) -> bool:
    reason = engine.missing()
    if reason:
        _leave(found, engine.name, "everything", reason)
    return not reason


def _can(task: Task, budget: float, found: Measured) -> bool:
    engine, what = ENGINES[task.engine], task.case.label
    reason = engine.cannot(task.case)
    if not reason and task.measure == "memory" and engine.served:
        what, reason = "memory", "it is the server's"
    if not reason:
        what = f"{what}, {task.case.size:,}"
        reason = _too_long(_expected(task, found.rows), budget)
    if reason:
        _leave(found, task.engine, what, reason)
    return not reason


def _too_long(seconds: float, budget: float) -> str:
    if seconds <= budget:
        return ""
    return f"some {seconds:,.0f} s a run by what fewer took; the limit is {budget:g} s"


def _expected(task: Task, rows: Sequence[dict[str, Any]]) -> float:
    """Say how many seconds a run will take, by the largest size that was measured."""
    seen = [
        (row["size"], min(row["us"]))
        for row in rows
        if row["engine"] == task.engine and row["label"] == MAIN.label and "us" in row
    ]
    before = [(size, us) for size, us in seen if size <= task.case.size]
    return max(before)[1] * task.case.size / 1e6 if before else 0.0


def _leave(found: Measured, engine: str, what: str, reason: str) -> None:
    note = {"engine": engine, "what": what, "reason": reason}
    if note not in found.left_out:
        found.left_out.append(note)


def _row(task: Task) -> dict[str, Any]:
    case = task.case
    named = {"engine": task.engine, "measure": task.measure, "label": case.label}
    said = {"shape": case.shape, "fields": case.fields, "kind": case.kind}
    values = ("us",) if task.measure == "time" else ("kept", "peak")
    return {**named, **said, "size": case.size, **{name: [] for name in values}}


def _add(row: dict[str, Any], task: Task, run: Run, found: Measured) -> bool:
    """Put what a run found into its row; leave the engine out where it fails."""
    what = f"{task.case.label}, {task.case.size:,}"
    try:
        one = run(task)
    except RuntimeError as error:
        _leave(found, task.engine, what, f"it fails: {error}")
        return False
    if not one["same"]:
        _leave(found, task.engine, what, "its end state is not the floor's")
        return False
    if task.measure == "time":
        row["us"].append(one["ns"] / 1_000 / task.case.size)
    else:
        for name in ("kept", "peak"):
            row[name].append(one[name] / one["contacts"])
    return True

"""
Measures engines and workloads, each run in its own process.

Rules:
    Engines alternate: run 1 of every engine comes before run 2 of any, so that other
    load on the machine affects all engines.
    An engine that is missing, does not support a workload, fails, differs from the
    floor or would take too long is listed as left out, with the reason.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import attrs
from attrs import define, frozen

from benchmarks.engines.base import Engine
from benchmarks.engines.catalogue import ENGINES, OURS
from benchmarks.workloads import KINDS, MAIN, SHAPES, Case
from upsertcore.benchmark.measuring import in_turn
from upsertcore.benchmark.processes import run_module

__all__ = [
    "ROOT",
    "Request",
    "Results",
    "Task",
    "in_process",
    "measure",
    "measure_pythons",
    "tasks",
]

ROOT = Path(__file__).parents[1]
"""The folder in which ``python -m benchmarks`` runs."""

_SIDE = 10_000
"""The maximum size of all workloads except the main one."""

Run = Callable[["Task"], dict[str, Any]]


@frozen
class Request:
    """
    What to measure.

    Args:
        sizes: Sizes of the main workload.
        engines: Names of engines.
        runs: The number of runs of each.
        budget: The maximum seconds of a run, estimated from the smaller size.
    """

    sizes: tuple[int, ...] = (1_000, 10_000, 100_000)
    engines: tuple[str, ...] = tuple(ENGINES)
    runs: int = 5
    budget: float = 30.0

    @property
    def side(self) -> int:
        """The size of all workloads except the main one."""
        return max([size for size in self.sizes if size <= _SIDE] or [min(self.sizes)])


@frozen
class Task:
    """One engine and one workload, run by one process."""

    engine: str
    case: Case
    measure: str = "time"

    def to_json(self) -> str:
        """Return the task as JSON text, for the worker."""
        return json.dumps(attrs.asdict(self))


@define
class Results:
    """The results: rows by engine, workload and measure, and what is left out."""

    rows: list[dict[str, Any]]
    left_out: list[dict[str, str]]


def in_process(task: Task, python: str = sys.executable) -> dict[str, Any]:
    """
    Run a task in its own process.

    Args:
        task: What to run.
        python: The interpreter, with the attrs of this one.

    Raises:
        RuntimeError: If it fails, with the last line of standard error.
    """
    how: Any = {"python": python, "folder": ROOT, "paths": [_PACKAGES]}
    return run_module("benchmarks.worker", task.to_json(), **how)


# Another interpreter finds attrs, which is the same for all of them.
_PACKAGES = str(Path(attrs.__file__).parents[1])


def tasks(request: Request) -> list[list[Task]]:
    """
    List the groups of tasks; those of a group alternate.

    >>> groups = tasks(Request(sizes=(100,), engines=("floor",)))
    >>> [group[0].case.label for group in groups][:3]
    ['mixed, 8 fields', 'create, 8 fields', 'update, 8 fields']
    """
    plain = [attrs.evolve(MAIN, size=size) for size in sorted(request.sizes)]
    main = attrs.evolve(MAIN, size=request.side)
    side = [attrs.evolve(main, shape=shape) for shape in SHAPES if shape != "mixed"]
    side += [attrs.evolve(main, fields=count) for count in (4, 30)]
    side += [attrs.evolve(main, kind=kind) for kind in KINDS[1:]]
    groups = [_group(request.engines, case, "time") for case in [*plain, *side]]
    memory_cases = [case for case in plain if case.size >= request.side]
    return groups + [_group(request.engines, case, "memory") for case in memory_cases]


def _group(engines: Iterable[str], case: Case, measure_: str) -> list[Task]:
    names = [name for name in engines if case.kind == "plain" or name in OURS]
    return [Task(name, case, measure_) for name in names]


def measure(
    request: Request, say: Callable[[str], object], run: Run = in_process
) -> Results:
    """
    Measure a request.

    Args:
        request: Sizes, engines and the number of runs.
        say: Called with progress, one line at a time.
        run: Runs a task and returns the result of the worker.

    >>> request = Request(sizes=(10,), engines=("floor",), runs=1)
    >>> result = {"ns": 20_000, "kept": 9, "peak": 9, "contacts": 5, "same": True}
    >>> results = measure(request, str, lambda task: result)
    >>> results.rows[0]["engine"], results.rows[0]["us"], results.left_out
    ('floor', [2.0], [])
    """
    results = Results([], [])
    available = [
        name for name in request.engines if _is_available(ENGINES[name], results)
    ]
    groups = tasks(attrs.evolve(request, engines=tuple(available)))
    for place, group in enumerate(groups, 1):
        label, size = group[0].case.label, group[0].case.size
        runnable = [
            task for task in group if _is_runnable(task, request.budget, results)
        ]
        rows = {task.engine: _row(task) for task in runnable}
        for turn, task in in_turn(runnable, request.runs):
            if task.engine not in rows:
                continue
            say(
                f"{place}/{len(groups)} {group[0].measure}: {label}, {size:,}: "
                f"run {turn + 1} of {request.runs}: {task.engine}"
            )
            if not _add(rows[task.engine], task, run, results):
                del rows[task.engine]
        results.rows += rows.values()
    return results


def measure_pythons(
    pythons: Sequence[str], size: int, runs: int, say: Callable[[str], object]
) -> list[dict[str, Any]]:
    """
    Measure the floor and the library under several interpreters; runs alternate.

    Args:
        pythons: Paths of interpreters.
        size: The size of the main workload.
        runs: The number of runs of each.
        say: Called with progress, one line at a time.

    Returns:
        A row for each interpreter, with its name and the times of each engine.
    """
    rows: dict[str, dict[str, Any]] = {}
    for turn, python in in_turn(pythons, runs):
        say(f"{python}: run {turn + 1} of {runs}")
        for engine in OURS:
            task = Task(engine, attrs.evolve(MAIN, size=size))
            result = in_process(task, python)
            row = {"python": result["python"], "size": size, "us": {}}
            times = rows.setdefault(python, row)["us"].setdefault(engine, [])
            times.append(result["ns"] / 1_000 / size)
    return list(rows.values())


def _is_available(engine: type[Engine], results: Results) -> bool:
    reason = engine.missing()
    if reason:
        _leave_out(results, engine.name, "everything", reason)
    return not reason


def _is_runnable(task: Task, budget: float, results: Results) -> bool:
    engine, label = ENGINES[task.engine], task.case.label
    reason = engine.cannot(task.case)
    if not reason and task.measure == "memory" and engine.served:
        label, reason = "memory", "it is that of the server"
    if not reason:
        label = f"{label}, {task.case.size:,}"
        reason = _too_long(_estimate(task, results.rows), budget)
    if reason:
        _leave_out(results, task.engine, label, reason)
    return not reason


def _too_long(seconds: float, budget: float) -> str:
    if seconds <= budget:
        return ""
    return f"about {seconds:,.0f} s a run, estimated; the limit is {budget:g} s"


def _estimate(task: Task, rows: Sequence[dict[str, Any]]) -> float:
    """Estimate the seconds of a run from the largest measured size."""
    times = [
        (row["size"], min(row["us"]))
        for row in rows
        if row["engine"] == task.engine and row["label"] == MAIN.label and "us" in row
    ]
    smaller = [(size, us) for size, us in times if size <= task.case.size]
    return max(smaller)[1] * task.case.size / 1e6 if smaller else 0.0


def _leave_out(results: Results, engine: str, workload: str, reason: str) -> None:
    note = {"engine": engine, "what": workload, "reason": reason}
    if note not in results.left_out:
        results.left_out.append(note)


def _row(task: Task) -> dict[str, Any]:
    case = task.case
    labels = {"engine": task.engine, "measure": task.measure, "label": case.label}
    parameters = {"shape": case.shape, "fields": case.fields, "kind": case.kind}
    values = ("us",) if task.measure == "time" else ("kept", "peak")
    return {**labels, **parameters, "size": case.size, **{name: [] for name in values}}


def _add(row: dict[str, Any], task: Task, run: Run, results: Results) -> bool:
    """Add the result of a run to its row; leave the engine out if it fails."""
    label = f"{task.case.label}, {task.case.size:,}"
    try:
        result = run(task)
    except RuntimeError as error:
        _leave_out(results, task.engine, label, f"it fails: {error}")
        return False
    if not result["same"]:
        _leave_out(results, task.engine, label, "its end state differs from the floor")
        return False
    if task.measure == "time":
        row["us"].append(result["ns"] / 1_000 / task.case.size)
    else:
        for name in ("kept", "peak"):
            row[name].append(result[name] / result["contacts"])
    return True

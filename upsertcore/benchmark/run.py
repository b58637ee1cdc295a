"""
Runs a benchmark: each measurement in its own process, policies in turn.

Rules:
    Round 1 of every policy comes before round 2 of any, so that other load on the
    machine affects all of them.
    Times are measured in every round; memory and counts once, in other processes.
"""

from __future__ import annotations

import json
import pickle
import platform
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

from upsertcore.benchmark.figures import (
    BenchmarkReport,
    FastPathUse,
    KeyUse,
    Latency,
    PolicyFigures,
)
from upsertcore.benchmark.measuring import in_turn
from upsertcore.benchmark.processes import run_module
from upsertcore.benchmark.subject import Subject, policy_subject
from upsertcore.engine.patch import check_scope
from upsertcore.evaluation import Spread
from upsertcore.policy.policy import Policy

__all__ = ["BATCH", "benchmark", "benchmark_subjects"]

Progress: TypeAlias = Callable[[int, int], None]

BATCH = 1_000
"""The number of rows of a batch."""

_ONCE = ("memory", "count")
_MISFITS = (pickle.PicklingError, AttributeError, TypeError)


def benchmark(
    policies: Policy | Mapping[str, Policy],
    rows: Iterable[Mapping[str, Any]],
    *,
    scope: str = "",
    rounds: int = 5,
    progress: Progress | None = None,
) -> BenchmarkReport:
    """
    Measure how fast policies upsert rows into an empty book, and what they need.

    Args:
        policies: A policy; or several by name, which are measured in turn.
        rows: Patches; read once.
        scope: The tenant.
        rounds: How often times are measured.
        progress: Called with the number of processes that have ended, and the total.

    Returns:
        The report; its times are comparable within it only.

    Raises:
        ValueError: If there are no rows or policies, the number of rounds is not
            positive, or a policy does not pickle.
        RuntimeError: If a process fails, with the last line of its error.

    Cost:
        For each policy one process a round and two more, each with all rows.

    >>> from upsertcore import Policy, field, first_match, normalize
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> rows = [{"email": "ada@x.org"}, {"email": "ADA@x.org"}]
    >>> [figures] = benchmark(policy, rows, rounds=1).policies
    >>> figures.contacts, figures.fast_path.share, figures.singly.median > 0
    (1, 1.0, True)
    """
    check_scope(scope)
    named = {"policy": policies} if isinstance(policies, Policy) else policies
    patches = [*rows]
    subjects = [
        (policy_subject(name, policy, scope), patches) for name, policy in named.items()
    ]
    return benchmark_subjects(subjects, rounds=rounds, progress=progress)


def benchmark_subjects(
    subjects: Iterable[tuple[Subject, Sequence[Any]]],
    *,
    rounds: int = 5,
    progress: Progress | None = None,
) -> BenchmarkReport:
    """
    Measure any subjects, each with its rows.

    Args:
        subjects: Subjects, and what is sent to each.
        rounds: As for :func:`benchmark`.
        progress: As for :func:`benchmark`.

    Raises:
        ValueError: As for :func:`benchmark`.
        RuntimeError: As for :func:`benchmark`.
    """
    every = [*subjects]
    if rounds < 1:
        raise ValueError(f"rounds: must be 1 or more, not {rounds}")
    if not every:
        raise ValueError("policies: must not be empty; pass a policy")
    if not all(rows for _subject, rows in every):
        raise ValueError("rows: must not be empty; pass one or more")
    numbers = range(len(every))
    done, total = 0, len(every) * (rounds + len(_ONCE))
    results: list[dict[str, list[Any]]] = [{} for _ in every]
    measures = ["time"] * rounds + [*_ONCE]
    with TemporaryDirectory(prefix="upsertcore-") as folder:
        files = [Path(folder, f"{number}.pickle") for number in numbers]
        for file, (subject, rows) in zip(files, every, strict=True):
            _write(file, subject, rows)
        for turn, number in in_turn(numbers, len(measures)):
            if progress is not None:
                progress(done, total)
            measure = measures[turn]
            result = _measured(every[number][0].name, files[number], measure)
            results[number].setdefault(measure, []).append(result)
            done += 1
    if progress is not None:
        progress(done, total)
    policies = [
        _figures(subject.name, len(rows), result)
        for (subject, rows), result in zip(every, results, strict=True)
    ]
    return BenchmarkReport(platform.python_version(), rounds, BATCH, tuple(policies))


def _write(file: Path, subject: Subject, rows: Sequence[Any]) -> None:
    """Write the task of a subject: itself, then each row apart."""
    with file.open("wb") as stream:
        try:
            pickle.dump(subject, stream)
        except _MISFITS as error:
            problem = f"cannot be sent to another process: {error}"
            remedy = "define its functions in a module"
            raise ValueError(f"{subject.name}: {problem}; {remedy}") from error
        for row in rows:
            pickle.dump(row, stream)


def _measured(name: str, file: Path, measure: str) -> dict[str, Any]:
    task = json.dumps({"task": str(file), "measure": measure, "batch": BATCH})
    try:
        return run_module("upsertcore.benchmark.worker", task, paths=sys.path)
    except RuntimeError as error:
        raise RuntimeError(f"{name}: {error}") from error


def _figures(
    name: str, rows: int, results: Mapping[str, list[dict[str, Any]]]
) -> PolicyFigures:
    """Return the figures of a policy from the results of its processes."""
    times, [memory], [counts] = (results[each] for each in ("time", *_ONCE))

    def spread(figure: str) -> Spread:
        return Spread.of([one[figure] for one in times])

    contacts = memory["contacts"]
    return PolicyFigures(
        name,
        rows,
        counts["contacts"],
        counts["results"],
        spread("singly"),
        None if times[0]["batches"] is None else spread("batches"),
        Latency(spread("median"), spread("p99"), spread("worst")),
        tuple(map(Spread.of, zip(*[one["growth"] for one in times], strict=True))),
        memory["bytes"] / contacts if contacts else None,
        FastPathUse(rows, counts["fast"], counts["reasons"]),
        tuple(_key_use(key, hits) for key, hits in counts["keys"].items()),
    )


def _key_use(key: str, hits: Mapping[str, int]) -> KeyUse:
    kinds = ("asked", "nothing", "one", "several", "decided")
    return KeyUse(key, *(hits.get(kind, 0) for kind in kinds))

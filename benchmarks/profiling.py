"""
Where the time of an upsert goes, step by step.

Rules:
    The hot path says its steps in comments; a clock is read at each of them.
    What reading the clock costs is measured, and taken off.
"""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import pairwise
from statistics import median
from time import perf_counter_ns
from typing import Any

from benchmarks.engines.ours import book_for
from benchmarks.workloads import Case, patches, preload
from upsertcore.quick import SOURCE
from upsertcore.written import written as source_of

__all__ = ["spent", "written"]

_STEP = re.compile(r"^( +)# ([a-z].*)$", re.MULTILINE)
_RUNS = 5


def spent(case: Case) -> list[dict[str, Any]]:
    """
    Time the steps of the upserts of a workload.

    Returns:
        Rows of a ``step``, its ``calls`` per upsert, its ``time`` in microseconds per
        upsert, the median of five runs, and its ``share`` of all steps; in their order.

    >>> rows = spent(Case("mixed", 50))
    >>> round(sum(row["share"] for row in rows), 6)
    1.0
    """
    sent, before = list(patches(case)), list(preload(case))
    runs = [_run(case, before, sent) for _ in range(_RUNS)]
    took = {step: median(run[step][0] for run in runs) for step in runs[0]}
    whole = sum(took.values())
    return [
        {
            "step": step,
            "calls": runs[0][step][1] / len(sent),
            "time": took[step] / len(sent) / 1_000,
            "share": took[step] / whole,
        }
        for step in took
    ]


def _run(case: Case, before: Any, sent: Any) -> dict[str, tuple[float, int]]:
    """Give what each step took in nanoseconds, and how often it was taken."""
    book = book_for(case)
    for patch in before:
        book.upsert(patch)
    times: dict[str, list[int]] = defaultdict(list)
    upsert = _timed(book, times)
    for patch in sent:
        upsert(patch, "")
        times["_end"].append(perf_counter_ns())
    return _between(times)


def _timed(book: Any, times: dict[str, list[int]]) -> Any:
    """Compile the hot path anew, with a clock that is read at each step."""
    known: dict[str, Any] = {**book._quick.__globals__, "_now": perf_counter_ns}  # noqa: SLF001

    def mark(found: re.Match[str]) -> str:
        room, step = found.groups()
        name = f"_mark{len(known)}"
        known[name] = times[step].append
        return f"{room}{name}(_now())"

    text = source_of(book.policy, ids=False, clock=False, keeps=False)
    one = _STEP.sub(mark, text.partition("def upsert_many")[0])
    exec(compile(one, SOURCE, "exec"), known)  # noqa: S102 - the library's own
    return known["upsert"]


def _between(times: dict[str, list[int]]) -> dict[str, tuple[float, int]]:
    """Add up the time from each step to the next one, less what a clock takes."""
    every = sorted((at, step) for step, each in times.items() for at in each)
    took: dict[str, float] = {step: 0.0 for step in times if step != "_end"}
    clock = _clock()
    for (at, step), (then, _next) in pairwise(every):
        if step != "_end":
            took[step] += then - at - clock
    return {step: (took[step], len(times[step])) for step in took if times[step]}


def _clock() -> float:
    times: list[int] = []
    mark = times.append
    for _ in range(2_000):
        mark(perf_counter_ns())
    return median(b - a for a, b in pairwise(times))


def written(rows: list[dict[str, Any]]) -> str:
    """
    Write rows for a terminal.

    >>> print(written([{"step": "merge", "calls": 0.5, "time": 0.4, "share": 0.1}]))
     10 %   0.40 us   0.5 times  merge
    """
    return "\n".join(
        f"{row['share'] * 100:3.0f} % {row['time']:6.2f} us "
        f"{row['calls']:5.1f} times  {row['step']}"
        for row in rows
    )

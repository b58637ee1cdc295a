"""
Where the time of an upsert goes, by function.

Rules:
    Python's profiler counts calls and attributes time; its own cost is included, so
    the figures are shares, not speeds.
"""

from __future__ import annotations

import cProfile
import pstats
from pathlib import Path
from typing import Any

import upsertcore
from benchmarks.engines.ours import book_for
from benchmarks.workloads import Case, patches, preload

__all__ = ["format_rows", "profile"]

_PACKAGE = str(Path(upsertcore.__file__).parent)
_MIN_SHARE = 0.005


def profile(case: Case) -> list[dict[str, Any]]:
    """
    Profile the upserts of a workload.

    Returns:
        Rows of a ``step`` (a function of the library, with the built-in functions that
        it calls), its ``calls`` per upsert, its ``time`` in microseconds per upsert,
        and its ``share`` of all; the largest first; those below half a per cent are one
        row at the end.

    >>> rows = profile(Case("mixed", 50))
    >>> rows[0]["share"] >= rows[-2]["share"] > 0, rows[-1]["step"]
    (True, 'other functions')
    """
    book, case_patches = book_for(case), list(patches(case))
    for patch in preload(case):
        book.upsert(patch)
    profiler = cProfile.Profile(builtins=False)
    profiler.enable()
    for patch in case_patches:
        book.upsert(patch)
    profiler.disable()
    stats: Any = pstats.Stats(profiler)
    functions = [
        (time, calls, f"{Path(file).stem}.{name}")
        for (file, _line, name), (_, calls, time, *_callers) in stats.stats.items()
        if file.startswith(_PACKAGE)
    ]
    functions.sort(reverse=True)
    total = sum(time for time, _calls, _step in functions)
    large = [row for row in functions if row[0] >= _MIN_SHARE * total]
    small = functions[len(large) :]
    others = sum(time for time, *_ in small), sum(calls for _, calls, _ in small)
    return [
        {
            "step": step,
            "calls": calls / len(case_patches),
            "time": time / len(case_patches) * 1e6,
            "share": time / total,
        }
        for time, calls, step in [*large, (*others, "other functions")]
    ]


def format_rows(rows: list[dict[str, Any]]) -> str:
    """
    Return rows as text for a terminal.

    >>> print(format_rows([{"step": "merge", "calls": 0.5, "time": 0.4, "share": 0.1}]))
     10 %   0.40 us   0.5 times  merge
    """
    return "\n".join(
        f"{row['share'] * 100:3.0f} % {row['time']:6.2f} us "
        f"{row['calls']:5.1f} times  {row['step']}"
        for row in rows
    )

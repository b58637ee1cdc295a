"""
Where the time of an upsert goes, function by function.

Rules:
    Python's own profiler counts the calls and shares the time out; its cost is in the
    figures, so they are shares and no speeds.
"""

from __future__ import annotations

import cProfile
import pstats
from pathlib import Path
from typing import Any

import upsertcore
from benchmarks.engines.ours import book_for
from benchmarks.workloads import Case, patches, preload

__all__ = ["spent", "written"]

_PACKAGE = str(Path(upsertcore.__file__).parent)
_LEAST = 0.005


def spent(case: Case) -> list[dict[str, Any]]:
    """
    Profile the upserts of a workload.

    Returns:
        Rows of a ``step`` (a function of the library, with the built-in functions that
        it calls), its ``calls`` per upsert, its ``time`` in microseconds per upsert,
        and its ``share`` of all; the largest first, those below half a per cent in one
        row at the end.

    >>> rows = spent(Case("mixed", 50))
    >>> rows[0]["share"] >= rows[-2]["share"] > 0, rows[-1]["step"]
    (True, 'the rest')
    """
    book, sent = book_for(case), list(patches(case))
    for patch in preload(case):
        book.upsert(patch)
    profile = cProfile.Profile(builtins=False)
    profile.enable()
    for patch in sent:
        book.upsert(patch)
    profile.disable()
    stats: Any = pstats.Stats(profile)
    mine = [
        (own, calls, f"{Path(file).stem}.{name}")
        for (file, _line, name), (_, calls, own, *_rest) in stats.stats.items()
        if file.startswith(_PACKAGE)
    ]
    mine.sort(reverse=True)
    whole = sum(own for own, _calls, _step in mine)
    large = [row for row in mine if row[0] >= _LEAST * whole]
    small = mine[len(large) :]
    rest = sum(own for own, *_ in small), sum(calls for _, calls, _ in small)
    return [
        {
            "step": step,
            "calls": calls / len(sent),
            "time": own / len(sent) * 1e6,
            "share": own / whole,
        }
        for own, calls, step in [*large, (*rest, "the rest")]
    ]


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

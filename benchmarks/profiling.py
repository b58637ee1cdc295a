"""
Where the time of an upsert goes, module by module.

Rules:
    What a module spends is its own lines and the built-in functions that they call.
    The profiler makes each call of Python dearer, so shares are told and no times.
"""

from __future__ import annotations

import cProfile
import pstats
from ast import get_docstring, parse
from collections import defaultdict
from pathlib import Path
from typing import Any

import upsertcore
from benchmarks.engines.ours import book_for
from benchmarks.workloads import Case, patches, preload

__all__ = ["spent", "written"]

_PACKAGE = Path(upsertcore.__file__).parent
_REST = "elsewhere"


def spent(case: Case) -> list[dict[str, Any]]:
    """
    Profile the upserts of a workload.

    Returns:
        Rows of ``module``, what it ``does``, its ``calls`` per upsert and its
        ``share``; the greatest first.

    >>> rows = spent(Case("mixed", 50))
    >>> round(sum(row["share"] for row in rows), 6)
    1.0
    """
    book = book_for(case)
    for patch in preload(case):
        book.upsert(patch)
    sent = list(patches(case))
    profiler = cProfile.Profile()
    profiler.enable()
    for patch in sent:
        book.upsert(patch)
    profiler.disable()
    return _rows(pstats.Stats(profiler), len(sent))


def _rows(stats: Any, count: int) -> list[dict[str, Any]]:
    took: dict[str, float] = defaultdict(float)
    calls: dict[str, int] = defaultdict(int)
    for (file, _line, _name), (_, called, own, _, callers) in stats.stats.items():
        if file == "~":
            for (by, *_), (_, _, part, _) in callers.items():
                took[_module(by)] += part
        else:
            took[_module(file)] += own
            calls[_module(file)] += called
    whole = sum(took.values())
    return [
        {
            "module": module,
            "does": _does(module),
            "calls": calls[module] / count,
            "share": took[module] / whole,
        }
        for module in sorted(took, key=lambda module: -took[module])
    ]


def _module(file: str) -> str:
    path = Path(file)
    if not path.is_relative_to(_PACKAGE):
        return _REST
    return ".".join(path.relative_to(_PACKAGE).with_suffix("").parts)


def _does(module: str) -> str:
    """Give the first sentence of a module's docstring, as words in a table."""
    path = _PACKAGE.joinpath(*module.split(".")).with_suffix(".py")
    if not path.exists():
        return "generated code, the standard library, and the loop that calls"
    said = get_docstring(parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(said.partition("\n\n")[0].split()).rstrip(".")


def written(rows: list[dict[str, Any]]) -> str:
    """
    Write rows for a terminal.

    >>> print(written([{"module": "plan", "does": "x", "calls": 2.0, "share": 0.5}]))
     50 %    2.0 calls  plan        x
    """
    return "\n".join(
        f"{row['share'] * 100:3.0f} % {row['calls']:6.1f} calls  "
        f"{row['module']:<11} {row['does']}"
        for row in rows
    )

"""
One run of one engine, in a process of its own.

Rules:
    It is told on the command line what to run, in JSON, and answers in one line of it.
    What is timed begins with all patches in memory and ends with all of them stored;
    the garbage collector is on, as it is in a host.
    For memory, patches come one by one and are let go, so that what has grown is what
    the engine keeps. Whether the end state is the floor's is seen after either.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs

from benchmarks.engines.base import Engine
from benchmarks.engines.catalogue import ENGINES
from benchmarks.engines.ours import HandWritten
from benchmarks.workloads import Case, patches, preload

__all__ = ["main", "memory", "run", "timed"]

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_WARM = 100


def timed(engine: Engine, case: Case) -> dict[str, Any]:
    """
    Time a workload.

    Returns:
        ``ns`` for all patches, ``contacts`` at the end, and whether they are ``same``
        as the floor's.
    """
    engine.setup(case)
    engine.run(preload(case))
    sent = list(patches(case))
    gc.collect()
    begun = time.perf_counter_ns()
    engine.run(sent)
    elapsed = time.perf_counter_ns() - begun
    return {"ns": elapsed, **_checked(engine, case)}


def memory(engine: Engine, case: Case) -> dict[str, Any]:
    """
    See how much a store grows by a workload.

    Returns:
        ``kept`` and ``peak`` bytes above what the process had before, and what
        :func:`timed` says of the end state.
    """
    # What is loaded at the first call, or made once, is no part of a store.
    warm = type(engine)()
    warm.setup(attrs.evolve(case, size=_WARM))
    warm.run(patches(warm.case))
    warm.close()
    del warm
    gc.collect()
    _forget_the_peak()
    before = _resident()
    engine.setup(case)
    engine.run(preload(case))
    engine.run(patches(case))
    gc.collect()
    kept = _resident() - before
    # The system counts its peak from time to time, so it may lag behind.
    peak = max(kept, _peak() - before)
    return {"kept": kept, "peak": peak, **_checked(engine, case)}


def _checked(engine: Engine, case: Case) -> dict[str, Any]:
    floor = HandWritten()
    floor.setup(case)
    floor.run(preload(case))
    floor.run(patches(case))
    state = engine.state()
    return {"contacts": len(state), "same": state == floor.state()}


def _resident() -> int:
    """Give the resident set, in bytes; its peak where the system tells no more."""
    return _told("VmRSS") or _most()


def _peak() -> int:
    return _told("VmHWM") or _most()


def _told(name: str) -> int:
    """Read a line of Linux's account of this process; 0 where there is none."""
    if not _STATUS.exists():
        return 0
    for line in _STATUS.read_text(encoding="utf-8").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    return 0


def _forget_the_peak() -> None:
    # proc(5): writing 5 to clear_refs sets the peak to what is resident now.
    with suppress(OSError):
        _CLEAR.write_text("5", encoding="ascii")


def _most() -> int:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def run(told: str) -> dict[str, Any]:
    """
    Run what is told.

    Args:
        told: JSON: ``engine``, ``case`` and ``measure``, which is time or memory.

    >>> case = {"shape": "mixed", "size": 10}
    >>> told = {"engine": "floor", "case": case, "measure": "time"}
    >>> found = run(json.dumps(told))
    >>> found["contacts"], found["same"]
    (5, True)
    """
    task = json.loads(told)
    engine, case = ENGINES[task["engine"]](), Case(**task["case"])
    measure = {"time": timed, "memory": memory}[task["measure"]]
    try:
        return measure(engine, case)
    finally:
        engine.close()


def main(told: str) -> None:
    """Print what a run found."""
    print(json.dumps(run(told)))


if __name__ == "__main__":
    main(sys.argv[1])

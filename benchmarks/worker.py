"""
Runs one engine once.

Rules:
    The task is JSON on the command line; the result is one line of JSON.
    The time is that from all patches in memory to all of them stored.
    Memory is that of the process, as many engines allocate outside of Python. Patches
    are generated one by one and discarded, so that the growth is that of the engine.
    The end state is then compared with that of the floor.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs

from benchmarks.engines.base import Engine
from benchmarks.engines.catalogue import ENGINES
from benchmarks.engines.ours import HandWritten
from benchmarks.python_build import python_name
from benchmarks.workloads import Case, patches, preload
from upsertcore.benchmark.measuring import timed

__all__ = ["main", "measure_memory", "measure_time", "run"]

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_WARM = 100


def measure_time(engine: Engine, case: Case) -> dict[str, Any]:
    """
    Time a workload.

    Returns:
        ``ns`` for all patches, the number of ``contacts``, and ``same``: whether they
        equal those of the floor.
    """
    engine.setup(case)
    engine.run(preload(case))
    case_patches = list(patches(case))
    elapsed = timed(lambda: engine.run(case_patches))
    return {"ns": elapsed, **_end_state(engine, case)}


def measure_memory(engine: Engine, case: Case) -> dict[str, Any]:
    """
    Measure how much memory a workload takes.

    Returns:
        ``kept`` and ``peak`` bytes above the initial size of the process, and the end
        state as in :func:`measure_time`.
    """
    # One-time allocations of the first call do not belong to the store.
    warm = type(engine)()
    warm.setup(attrs.evolve(case, size=_WARM))
    warm.run(patches(warm.case))
    warm.close()
    del warm
    gc.collect()
    _reset_peak()
    before = _resident()
    engine.setup(case)
    engine.run(preload(case))
    engine.run(patches(case))
    gc.collect()
    retained = _resident() - before
    # The system updates the peak periodically, so it may lag behind.
    peak = max(retained, _peak() - before)
    return {"kept": retained, "peak": peak, **_end_state(engine, case)}


def _end_state(engine: Engine, case: Case) -> dict[str, Any]:
    floor = HandWritten()
    floor.setup(case)
    floor.run(preload(case))
    floor.run(patches(case))
    state = engine.state()
    return {"contacts": len(state), "same": state == floor.state()}


def _resident() -> int:
    """Return the resident set in bytes, or its peak if that is all the system has."""
    return _status_bytes("VmRSS") or _max_resident()


def _peak() -> int:
    return _status_bytes("VmHWM") or _max_resident()


def _status_bytes(name: str) -> int:
    """Return a value of the status of this process on Linux, otherwise 0."""
    if not _STATUS.exists():
        return 0
    for line in _STATUS.read_text(encoding="utf-8").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    return 0


def _reset_peak() -> None:
    # proc(5): writing 5 to clear_refs sets the peak to what is resident now.
    with suppress(OSError):
        _CLEAR.write_text("5", encoding="ascii")


def _max_resident() -> int:
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return resident if sys.platform == "darwin" else resident * 1024


def run(text: str) -> dict[str, Any]:
    """
    Run a task.

    Args:
        text: JSON of ``engine``, ``case`` and ``measure``, which is time or memory.

    >>> case = {"shape": "mixed", "size": 10}
    >>> task = {"engine": "floor", "case": case, "measure": "time"}
    >>> result = run(json.dumps(task))
    >>> result["contacts"], result["same"]
    (5, True)
    """
    task = json.loads(text)
    engine, case = ENGINES[task["engine"]](), Case(**task["case"])
    measure = {"time": measure_time, "memory": measure_memory}[task["measure"]]
    try:
        return measure(engine, case)
    finally:
        engine.close()


def main(text: str) -> None:
    """Run a task and print its result, with the name of this Python."""
    print(json.dumps({**run(text), "python": python_name()}))


if __name__ == "__main__":
    main(sys.argv[1])

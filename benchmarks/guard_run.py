"""
Runs cases of the guard, each in two processes: without calls, and with all of them.

Rules:
    The processes are forks of one that has imported everything, because most of the
    instructions of a short program are those of its imports.
    Of each process, its id, its case and its number of calls are printed.

    python -m benchmarks.guard_run CASE...
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from multiprocessing import get_context

from benchmarks import guard_cases, guard_mix, guard_profiles
from benchmarks.guard_features import FEATURES
from benchmarks.guard_workloads import ALONE, WORKLOADS

__all__ = ["ALL_CASES", "check", "main"]

ALL_CASES: dict[str, tuple[Callable[[int], int], int]] = {
    **{name: (case, guard_cases.CALLS) for name, case in guard_cases.CASES.items()},
    **{name: (mix.run, guard_mix.CALLS) for name, mix in WORKLOADS.items()},
    **{name: (alone.run, alone.calls) for name, alone in ALONE.items()},
    **{
        name: (case, guard_profiles.CALLS)
        for profile in guard_profiles.PROFILES
        for name, case in profile.cases.items()
    },
    **{name: (mix.run, guard_mix.CALLS) for name, mix in FEATURES.items()},
}
"""By name: a function, which returns how many calls had the expected result, and the
number of calls to count."""


def check(name: str, calls: int) -> None:
    """
    Run a case, and check the result of every call.

    Raises:
        SystemExit: If a call has another result.
    """
    successes = ALL_CASES[name][0](calls)
    if successes != calls:
        raise SystemExit(
            f"{name}: only {successes} of {calls} calls had the expected result"
        )


def main(names: Sequence[str]) -> int:
    """Run cases, and return the exit status: 1 if one fails, otherwise 0."""
    fork = get_context("fork")
    for name in names:
        for calls in (0, ALL_CASES[name][1]):
            process = fork.Process(target=check, args=(name, calls))
            process.start()
            print(process.pid, name, calls, flush=True)
            process.join()
            if process.exitcode:
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

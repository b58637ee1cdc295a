"""Print, for each input of tests/cases/growth.json, its work at n, 2n and 4n."""

from __future__ import annotations

import gc
import json
import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.growth.counting import install, work

install("upsertcore")

from tests.growth.inputs import CASES, Run  # noqa: E402 - it imports the package


def works_and_times(number: int, factor: int) -> tuple[list[int], list[float]]:
    """Count the work of an input at three sizes; time it as well."""
    case = CASES["inputs"][number]
    works, times = [], []
    # The first run loads modules and fills caches, which is not counted.
    first = Run(case, case["n"])
    first.run_calls()
    shutil.rmtree(first.folder)
    for n in (factor * case["n"], 2 * factor * case["n"], 4 * factor * case["n"]):
        run = Run(case, n)
        gc.collect()
        before, begun = work(), time.process_time()
        run.run_calls()
        works.append(work() - before)
        times.append(round(time.process_time() - begun, 4))
        shutil.rmtree(run.folder)
    return works, times


def main(first: int, last: int, factor: int) -> None:
    """Count the inputs from one number up to another."""
    gc.collect()
    gc.freeze()
    for number in range(first, min(last, len(CASES["inputs"]))):
        print(json.dumps([number, *works_and_times(number, factor)]), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

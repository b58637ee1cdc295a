"""
Measures a piece of work: its time, the time of each step, the memory that it keeps.

Rules:
    Garbage is collected before the clock starts, and the collector stays on, as in an
    application.
    What is measured is prepared before; what it returns is discarded.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import ceil
from time import perf_counter_ns
from typing import Any, TypeVar

__all__ = ["in_turn", "kept_bytes", "percentile", "step_times", "timed"]

T = TypeVar("T")


def timed(work: Callable[[], object]) -> int:
    """
    Return how long a piece of work takes, in nanoseconds.

    >>> timed(lambda: sum(range(100))) > 0
    True
    """
    gc.collect()
    start = perf_counter_ns()
    work()
    return perf_counter_ns() - start


def step_times(step: Callable[[Any], object], items: Sequence[Any]) -> list[int]:
    """
    Return the time after each step, in nanoseconds from the start.

    Args:
        step: Called with one item after the other.
        items: The items.

    >>> times = step_times(str, [1, 2, 3])
    >>> len(times), times == sorted(times)
    (3, True)
    """
    clock, times = perf_counter_ns, list[int]()
    note = times.append
    gc.collect()
    start = clock()
    for item in items:
        step(item)
        note(clock())
    return [time - start for time in times]


def kept_bytes(work: Callable[[], object]) -> int:
    """
    Return how many bytes that Python allocates during a piece of work are kept.

    What has been allocated before does not count. The work takes several times longer.

    Args:
        work: What it leaves behind is counted, and what it returns.

    >>> kept_bytes(lambda: bytes(10_000)) >= 10_000
    True
    """
    gc.collect()
    tracemalloc.start()
    try:
        result = work()
        gc.collect()
        kept, _peak = tracemalloc.get_traced_memory()
        del result
        return kept
    finally:
        tracemalloc.stop()


def percentile(values: Sequence[float], share: float) -> float:
    """
    Return the least value that at least this share of the values does not exceed.

    Args:
        values: One or more.
        share: Above 0, at most 1.

    >>> percentile([5, 1, 4, 2, 3], 0.5), percentile([1, 2], 0.99)
    (3, 2)
    """
    return sorted(values)[ceil(share * len(values)) - 1]


def in_turn(tasks: Iterable[T], rounds: int) -> Iterator[tuple[int, T]]:
    """
    Yield each task in each round: round 1 of all of them comes before round 2 of any.

    So other load on the machine affects all of them.

    >>> list(in_turn("ab", 2))
    [(0, 'a'), (0, 'b'), (1, 'a'), (1, 'b')]
    """
    every = [*tasks]
    return ((number, task) for number in range(rounds) for task in every)

"""
One process of a benchmark: what is measured of one subject.

Rules:
    The task is a pickle that the parent wrote: the subject, then one row after the
    other. For times, all rows are in memory before; for memory, they are read one by
    one and discarded, so that what is kept is the book's.
    Timing and counting are different tasks.
"""

from __future__ import annotations

import json
import pickle
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from upsertcore.benchmark.measuring import kept_bytes, percentile, step_times, timed
from upsertcore.benchmark.subject import Runner, Subject
from upsertcore.book.observe import FastPathObserver
from upsertcore.engine.outcome import Outcome
from upsertcore.engine.trace import Step
from upsertcore.errors import Refused
from upsertcore.evaluation import RecordResult, Refusal
from upsertcore.policy.policy import consulted

__all__ = ["count", "main", "memory", "run", "times"]

_WARM = 100
_QUARTERS = 4
_SECOND, _MICROSECOND = 1e9, 1e3


def times(subject: Subject, rows: Sequence[Any], batch: int) -> dict[str, Any]:
    """
    Time the upserts of rows into an empty book, one by one and in batches.

    Args:
        subject: The subject.
        rows: One or more.
        batch: The number of rows of a batch.

    Returns:
        Upserts a second, singly, in batches and in each quarter of the rows; the
        median, the 99th percentile and the greatest time of one, in microseconds.
    """
    _warm_up(subject, rows)
    after = step_times(subject.make().upsert, rows)
    each = [later - earlier for earlier, later in pairwise([0, *after])]
    many = subject.make().upsert_many
    batches = [rows[start : start + batch] for start in range(0, len(rows), batch)]
    in_batches = None
    if many is not None:
        spent = timed(lambda: [many(part) and None for part in batches])
        in_batches = _rate(len(rows), spent)
    return {
        "singly": _rate(len(rows), after[-1]),
        "batches": in_batches,
        "growth": [*_growth(after)],
        "median": percentile(each, 0.5) / _MICROSECOND,
        "p99": percentile(each, 0.99) / _MICROSECOND,
        "worst": max(each) / _MICROSECOND,
    }


def _rate(rows: int, nanoseconds: int) -> float:
    return rows * _SECOND / max(nanoseconds, 1)


def _growth(after: Sequence[int]) -> Iterator[float]:
    """Yield the upserts a second of each quarter that has rows."""
    ends = [len(after) * quarter // _QUARTERS for quarter in range(_QUARTERS + 1)]
    for first, end in pairwise(ends):
        if first < end:
            begun = after[first - 1] if first else 0
            yield _rate(end - first, after[end - 1] - begun)


def memory(subject: Subject, rows: Iterable[Any]) -> dict[str, Any]:
    """
    Measure what Python allocates for the contacts of rows.

    Args:
        subject: The subject.
        rows: Read one by one, and not kept.
    """
    iterator = iter(rows)
    first = [*islice(iterator, _WARM)]
    _warm_up(subject, first)
    runner = subject.make()
    # These are in memory already, so their contacts do not count.
    _send_all(runner, first)
    before = len(runner.book)
    first.clear()
    kept = kept_bytes(partial(_send_all, runner, iterator))
    return {"bytes": kept, "contacts": len(runner.book) - before}


def count(subject: Subject, rows: Iterable[Any]) -> dict[str, Any]:
    """
    Count results, the calls on the fast path, and what each key hits.

    Args:
        subject: The subject.
        rows: The rows.
    """
    runner = subject.make()
    observer = FastPathObserver(runner.book)
    results: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    names = [key.name for key in consulted(runner.book.policy)]
    keys = {name: Counter[str]() for name in names}
    for row in rows:
        try:
            steps = runner.plan(row).trace
        except Refused:
            steps = ()
        for step in steps:
            _add_step(keys.setdefault(step.key, Counter()), step)
        result, reason = observer.observe(partial(runner.upsert, row))
        results[_result_of(result)] += 1
        reasons[reason or ""] += 1
        if isinstance(result, Outcome) and result.matched_by is not None:
            keys.setdefault(result.matched_by, Counter())["decided"] += 1
    fast = reasons.pop("", 0)
    return {
        "contacts": len(runner.book),
        "results": dict(results),
        "fast": fast,
        "reasons": dict(reasons.most_common()),
        "keys": {name: dict(counts) for name, counts in keys.items()},
    }


def _add_step(counts: Counter[str], step: Step) -> None:
    if step.forms:
        hits = ("nothing", "one", "several")[min(len(step.holders), 2)]
        counts.update(("asked", hits))


def _result_of(result: RecordResult) -> str:
    if isinstance(result, Outcome):
        return result.result
    kind = result.kind if isinstance(result, Refusal) else type(result).__name__
    return f"refused: {kind}"


def _warm_up(subject: Subject, rows: Sequence[Any]) -> None:
    """Import what the first calls need."""
    _send_all(subject.make(), rows[:_WARM])


def _send_all(runner: Runner, rows: Iterable[Any]) -> None:
    upsert = runner.upsert
    for row in rows:
        upsert(row)


def run(text: str) -> dict[str, Any]:
    """
    Run a task.

    Args:
        text: JSON of the file of the ``task``, what to ``measure`` (``time``,
            ``memory`` or ``count``), and the number of rows of a ``batch``.
    """
    task = json.loads(text)
    with Path(task["task"]).open("rb") as stream:
        subject: Subject = pickle.load(stream)  # noqa: S301 - written by the parent
        rows = _rows(stream)
        if task["measure"] == "time":
            return times(subject, [*rows], task["batch"])
        return {"memory": memory, "count": count}[task["measure"]](subject, rows)


def _rows(stream: Any) -> Iterator[Any]:
    while stream.peek(1):
        yield pickle.load(stream)  # noqa: S301 - written by the parent


def main(text: str) -> None:
    """
    Run a task and print its result.

    Raises:
        SystemExit: With any error in one line.
    """
    try:
        result = run(text)
    except Exception as error:  # noqa: BLE001 - functions of a policy may raise any
        notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
        sys.exit(f"{type(error).__name__}: {error}{notes}")
    print(json.dumps(result))  # noqa: T201 - the parent reads it


if __name__ == "__main__":
    main(sys.argv[1])

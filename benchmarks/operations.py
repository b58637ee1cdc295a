"""
Other operations on a book than upserts.

Rules:
    All run in one process; each is reported in microseconds per unit.
    Each result is checked before its time counts.
    Garbage is collected before each timing, and the collector stays on.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from itertools import islice
from typing import Any, TypeAlias

import attrs

from benchmarks.engines.ours import book_for, policy_for
from benchmarks.measure import ROOT
from benchmarks.profile_patches import PROFILE_PATCHES
from benchmarks.workloads import MAIN, Case, Patch, patches
from upsertcore import ContactBook, Policy, normalize, profiles
from upsertcore.benchmark.measuring import timed

__all__ = ["OPERATIONS", "measure"]

Timings: TypeAlias = Iterator[tuple[str, str, float]]
"""Operation, unit and microseconds per unit."""

_CALLS = 2_000
_SHARED = 10


def _us(count: int, call: Callable[[], object]) -> float:
    """Time one call, and return microseconds per item of *count*."""
    return timed(call) / 1_000 / count


def _check(*, holds: bool, message: str) -> None:
    if not holds:
        raise AssertionError(message)


def _book(size: int) -> tuple[ContactBook, list[Patch]]:
    """Return a book of this size and its patches."""
    case = Case("create", size)
    sent_patches = list(patches(case))
    book = book_for(case)
    for patch in sent_patches:
        book.upsert(patch)
    return book, sent_patches


def reading(size: int) -> Timings:
    """Find, plan, explain, dump and load, in a book of this size."""
    book, case_patches = _book(size)
    sample = case_patches[:: max(1, size // _CALLS)]
    for name in ("email", "phone"):
        values = [patch[name] for patch in sample]
        matches: list[Any] = []
        us = _us(
            len(values),
            lambda: matches.extend([book.find(name, value) for value in values]),  # noqa: B023 - called at once
        )
        _check(
            holds=all(len(value) == 1 for value in matches),
            message="every contact is found",
        )
        yield f"find by {name}", "call", us
    yield from _deciding(book, sample)
    rows = book.dump()
    yield "dump", "contact", _us(size, book.dump)
    yield "load", "contact", _us(size, lambda: ContactBook.load(book.policy, rows))
    text = json.dumps(rows)
    yield "dump as JSON text", "contact", _us(size, lambda: json.dumps(book.dump()))
    yield "load of JSON text", "contact", _us(size, lambda: _loaded(book.policy, text))


def _loaded(policy: Policy, text: str) -> ContactBook:
    return ContactBook.load(policy, json.loads(text))


def _deciding(book: ContactBook, sample: list[Patch]) -> Timings:
    """Plan and apply updates of existing contacts, and explain them."""
    updates = [{**patch, "city": f"{n} Town"} for n, patch in enumerate(sample)]
    count, plans, outcomes = len(updates), [], []
    us = _us(count, lambda: plans.extend([book.plan(patch) for patch in updates]))
    yield "plan", "patch", us
    yield "plan.explain", "plan", _us(count, lambda: [p.explain() for p in plans])
    us = _us(count, lambda: outcomes.extend([book.upsert(patch) for patch in updates]))
    _check(
        holds=all(outcome.updated for outcome in outcomes),
        message="each patch changes its contact",
    )
    yield "upsert of the same", "patch", us
    us = _us(count, lambda: [outcome.explain() for outcome in outcomes])
    yield "outcome.explain", "outcome", us


def doubles(size: int) -> Timings:
    """Find and merge duplicates: every tenth contact has one."""
    unique_patches = list(patches(Case("create", size)))
    duplicates = [{**patch, "note": "again"} for patch in unique_patches[::_SHARED]]
    policy = policy_for(Case("create", size))
    fields = {n: attrs.evolve(f, unique=False) for n, f in policy.fields.items()}
    shared = Policy(policy.match, fields, on_ambiguous="oldest")
    source = ContactBook(shared)
    for patch in (*unique_patches, *duplicates):
        source.create(patch)
    rows, count = source.dump(), len(source)
    books: list[ContactBook] = []
    yield (
        f"load, {1 / _SHARED:.0%} duplicates",
        "contact",
        _us(count, lambda: books.append(ContactBook.load(shared, rows))),
    )
    groups: list[Any] = []
    us = _us(count, lambda: groups.extend(books[0].duplicates()))
    _check(holds=len(groups) == len(duplicates), message="each duplicate is found")
    yield "duplicates", "contact", us
    us = _us(count, books[0].dedupe)
    _check(holds=len(books[0]) == size, message="each duplicate is merged")
    yield "dedupe", "contact", us


def normalisers(size: int) -> Timings:
    """Normalise typed values."""
    sample = list(islice(patches(Case("create", min(size, _CALLS * 5))), _CALLS * 5))
    texts: dict[str, tuple[normalize.Normalizer, list[str]]] = {
        "exact": (normalize.exact, [patch["email"] for patch in sample]),
        "text": (normalize.text, [patch["lastName"] for patch in sample]),
        "email": (normalize.email, [patch["email"] for patch in sample]),
        "email, not ASCII": (
            normalize.email,
            [f"é{patch['email']}" for patch in sample],
        ),
        "phone": (normalize.phone, [patch["phone"] for patch in sample]),
    }
    if find_spec("phonenumbers") is not None:
        number = normalize.phone_in("US")
        texts['phone_in("US")'] = number, [patch["phone"] for patch in sample[:_CALLS]]
    for name, (form, values) in texts.items():
        if name.startswith("phone_in"):
            form(values[0])
        us = _us(len(values), lambda: [form(value) for value in values])  # noqa: B023 - called at once
        yield f"normalize.{name}", "value", us


def from_text(size: int) -> Timings:
    """Upsert payloads of the profiles, from JSON text to JSON text."""
    for name, kind in PROFILE_PATCHES.items():
        case = Case("mixed", min(size, _CALLS * 5), kind=name)
        texts = [json.dumps(kind.payload(patch)) for patch in patches(case)]
        system = profiles.BY_NAME[name]()
        answers: list[Any] = []

        def serve(text: str, system: Any = system, path: Any = kind.path) -> str:
            answer = system.upsert(json.loads(text), **path)
            answers.append(answer.status)  # noqa: B023 - called at once
            return json.dumps(answer.body)

        us = _us(case.size, lambda: [serve(text) for text in texts])  # noqa: B023 - called at once
        _check(holds={*answers} == {200}, message=f"{name} accepts its payloads")
        yield f"{name}, JSON to JSON", "payload", us


def threads(size: int) -> Timings:
    """Upsert into one book from 1, 2 and 8 threads."""
    all_patches = list(patches(attrs.evolve(MAIN, size=size)))
    for count in (1, 2, 8):
        book = book_for(MAIN)

        def upsert(part: Iterable[Patch], book: ContactBook = book) -> None:
            for patch in part:
                book.upsert(patch)

        workers = [
            threading.Thread(target=upsert, args=(all_patches[n::count],))
            for n in range(count)
        ]

        def run(workers: list[threading.Thread] = workers) -> None:
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()

        us = _us(size, run)
        _check(
            holds=len(book) == (size + 1) // 2, message="every contact is created once"
        )
        yield f"upsert, {count} thread{'s' if count > 1 else ''}", "patch", us


def importing(size: int) -> Timings:
    """Import in a fresh interpreter, without the start of the interpreter."""
    times = 5 if size >= _CALLS else 1
    start = _import_time("pass", times)
    for name in ("attrs", "upsertcore"):
        yield f"import {name}", "import", _import_time(f"import {name}", times) - start


def _import_time(code: str, times: int) -> float:
    command = [sys.executable, "-c", code]
    took = [
        _us(1, lambda: subprocess.run(command, check=True, cwd=ROOT))  # noqa: S603 - this interpreter
        for _ in range(times)
    ]
    return min(took)


OPERATIONS: tuple[Callable[[int], Timings], ...] = (
    *(reading, doubles, normalisers, from_text, threads, importing),
)
"""All operations, as functions of a size."""


def measure(size: int, runs: int) -> list[dict[str, Any]]:
    """
    Measure all operations.

    Args:
        size: The number of contacts of a book.
        runs: The number of runs.

    Returns:
        A row for each operation, with a value per run.
    """
    rows: dict[str, dict[str, Any]] = {}
    for _ in range(runs):
        for part in OPERATIONS:
            for operation, unit, us in part(size):
                row = {"what": operation, "unit": unit, "size": size, "us": []}
                rows.setdefault(operation, row)["us"].append(us)
    return list(rows.values())


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), int(sys.argv[2]))))

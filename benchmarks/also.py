"""
Also measured: what a host does with a book beside upserting.

Rules:
    One process for all of it; each line is told in microseconds, of what it says.
    What is timed answers something, and that is looked at before the time counts.
    Garbage is collected before each timing, and the collector stays on.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from itertools import islice
from typing import Any, TypeAlias

import attrs

from benchmarks.engines.ours import book_for, policy_for
from benchmarks.measure import ROOT
from benchmarks.suited import SUITED
from benchmarks.workloads import MAIN, Case, Patch, patches
from upsertcore import ContactBook, Policy, normalize, profiles

__all__ = ["BATTERY", "measured"]

Found: TypeAlias = Iterator[tuple[str, str, float]]
"""What was measured, the unit of which, and how many microseconds each took."""

_CALLS = 2_000
_SHARED = 10


def _us(count: int, do: Callable[[], object]) -> float:
    """Time one call; microseconds for each of *count*."""
    gc.collect()
    begun = time.perf_counter_ns()
    do()
    return (time.perf_counter_ns() - begun) / 1_000 / count


def _see(*, holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(what)


def _book(size: int) -> tuple[ContactBook, list[Patch]]:
    """Make a book of this many contacts, and give what made it."""
    case = Case("create", size)
    sent = list(patches(case))
    book = book_for(case)
    for patch in sent:
        book.upsert(patch)
    return book, sent


def reading(size: int) -> Found:
    """Find, plan, explain, dump and load, in a book of this size."""
    book, sent = _book(size)
    asked = sent[:: max(1, size // _CALLS)]
    for name in ("email", "phone"):
        sought = [patch[name] for patch in asked]
        found: list[Any] = []
        each = _us(
            len(sought),
            lambda: found.extend([book.find(name, one) for one in sought]),  # noqa: B023 - called at once
        )
        _see(holds=all(len(one) == 1 for one in found), what="everybody is found")
        yield f"find by {name}", "call", each
    yield from _deciding(book, asked)
    rows = book.dump()
    yield "dump", "contact", _us(size, book.dump)
    yield "load", "contact", _us(size, lambda: ContactBook.load(book.policy, rows))
    text = json.dumps(rows)
    yield "dump as JSON text", "contact", _us(size, lambda: json.dumps(book.dump()))
    yield "load of JSON text", "contact", _us(size, lambda: _loaded(book.policy, text))


def _loaded(policy: Policy, text: str) -> ContactBook:
    return ContactBook.load(policy, json.loads(text))


def _deciding(book: ContactBook, asked: list[Patch]) -> Found:
    """Decide on updates of known contacts, apply, and explain."""
    news = [{**patch, "city": f"{n} Town"} for n, patch in enumerate(asked)]
    count, plans, outcomes = len(news), [], []
    each = _us(count, lambda: plans.extend([book.plan(patch) for patch in news]))
    yield "plan", "patch", each
    yield "plan.explain", "plan", _us(count, lambda: [p.explain() for p in plans])
    each = _us(count, lambda: outcomes.extend([book.upsert(patch) for patch in news]))
    _see(holds=all(one.updated for one in outcomes), what="each patch is news")
    yield "upsert of the same", "patch", each
    told = _us(count, lambda: [one.explain() for one in outcomes])
    yield "outcome.explain", "outcome", told


def doubles(size: int) -> Found:
    """Find and merge duplicates: every tenth contact stands there twice."""
    sent = list(patches(Case("create", size)))
    again = [{**patch, "note": "again"} for patch in sent[::_SHARED]]
    policy = policy_for(Case("create", size))
    lines = {n: attrs.evolve(f, unique=False) for n, f in policy.fields.items()}
    shared = Policy(policy.match, lines, on_ambiguous="oldest")
    made = ContactBook(shared)
    for patch in (*sent, *again):
        made.create(patch)
    rows, count = made.dump(), len(made)
    books: list[ContactBook] = []
    yield (
        f"load, {1 / _SHARED:.0%} twice",
        "contact",
        _us(count, lambda: books.append(ContactBook.load(shared, rows))),
    )
    found: list[Any] = []
    each = _us(count, lambda: found.extend(books[0].duplicates()))
    _see(holds=len(found) == len(again), what="each of them is found")
    yield "duplicates", "contact", each
    each = _us(count, books[0].dedupe)
    _see(holds=len(books[0]) == size, what="each of them is merged")
    yield "dedupe", "contact", each


def normalisers(size: int) -> Found:
    """Make normal forms of what people type."""
    sent = list(islice(patches(Case("create", min(size, _CALLS * 5))), _CALLS * 5))
    texts: dict[str, tuple[normalize.Normalizer, list[str]]] = {
        "exact": (normalize.exact, [patch["email"] for patch in sent]),
        "text": (normalize.text, [patch["lastName"] for patch in sent]),
        "email": (normalize.email, [patch["email"] for patch in sent]),
        "email, not ASCII": (normalize.email, [f"é{patch['email']}" for patch in sent]),
        "phone": (normalize.phone, [patch["phone"] for patch in sent]),
    }
    if find_spec("phonenumbers") is not None:
        number = normalize.phone_in("US")
        texts['phone_in("US")'] = number, [patch["phone"] for patch in sent[:_CALLS]]
    for name, (form, values) in texts.items():
        if name.startswith("phone_in"):
            form(values[0])
        each = _us(len(values), lambda: [form(one) for one in values])  # noqa: B023 - called at once
        yield f"normalize.{name}", "value", each


def from_text(size: int) -> Found:
    """Answer the profiles' payloads, from JSON text to JSON text."""
    for name in SUITED:
        case = Case("mixed", min(size, _CALLS * 5), kind=name)
        where, place = _wire(name)
        texts = [json.dumps({**where, **_payload(name, p)}) for p in patches(case)]
        system = profiles.BY_NAME[name]()
        answers: list[Any] = []

        def serve(text: str, system: Any = system, place: Any = place) -> str:
            answer = system.upsert(json.loads(text), **place)
            answers.append(answer.status)  # noqa: B023 - called at once
            return json.dumps(answer.body)

        each = _us(case.size, lambda: [serve(text) for text in texts])  # noqa: B023 - called at once
        _see(holds={*answers} == {200}, what=f"{name} takes its payloads")
        yield f"{name}, JSON to JSON", "payload", each


def _wire(name: str) -> tuple[dict[str, str], dict[str, str]]:
    """Give what stands in each payload, and what stands in the path."""
    paths = {
        "SegMetrics": {"account_id": "a1", "integration_id": "i1"},
        "Anduin": {"firm_id": "f1"},
    }
    said = {"locationId": "l1"} if name == "LeadConnector" else {}
    return said, paths.get(name, {})


def _payload(name: str, patch: Patch) -> Patch:
    """Dress a patch as the profile's ``parse`` would find it."""
    return {"properties": patch} if name == "SalesforceIQ" else patch


def threads(size: int) -> Found:
    """Upsert into one book from 1, 2 and 8 threads."""
    sent = list(patches(attrs.evolve(MAIN, size=size)))
    for count in (1, 2, 8):
        book = book_for(MAIN)

        def upsert(part: Iterable[Patch], book: ContactBook = book) -> None:
            for patch in part:
                book.upsert(patch)

        workers = [
            threading.Thread(target=upsert, args=(sent[n::count],))
            for n in range(count)
        ]

        def run(workers: list[threading.Thread] = workers) -> None:
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()

        each = _us(size, run)
        _see(holds=len(book) == (size + 1) // 2, what="every contact is made once")
        yield f"upsert, {count} thread{'s' if count > 1 else ''}", "patch", each


def importing(size: int) -> Found:
    """Import in a fresh interpreter, less the interpreter's own start."""
    times = 5 if size >= _CALLS else 1
    start = _started("pass", times)
    for name in ("attrs", "upsertcore"):
        yield f"import {name}", "import", _started(f"import {name}", times) - start


def _started(code: str, times: int) -> float:
    command = [sys.executable, "-c", code]
    took = [
        _us(1, lambda: subprocess.run(command, check=True, cwd=ROOT))  # noqa: S603 - this interpreter
        for _ in range(times)
    ]
    return min(took)


BATTERY: tuple[Callable[[int], Found], ...] = (
    *(reading, doubles, normalisers, from_text, threads, importing),
)
"""All of it, each at a size."""


def measured(size: int, runs: int) -> list[dict[str, Any]]:
    """
    Measure all of it.

    Args:
        size: How many contacts a book has.
        runs: How often.

    Returns:
        A row for each line of the battery, with as many values as runs.
    """
    rows: dict[str, dict[str, Any]] = {}
    for _ in range(runs):
        for part in BATTERY:
            for what, unit, us in part(size):
                row = {"what": what, "unit": unit, "size": size, "us": []}
                rows.setdefault(what, row)["us"].append(us)
    return list(rows.values())


if __name__ == "__main__":
    print(json.dumps(measured(int(sys.argv[1]), int(sys.argv[2]))))

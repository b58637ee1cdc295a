"""
The fixed cases whose instructions are counted; one of them in a process of its own.

Rules:
    Ids, clock and patches are fixed, so that two runs do the same work.
    A case prepares the same whether it then makes its calls or none: the difference
    is what the calls cost.

    python -m benchmarks.counted CASE CALLS
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count

from benchmarks.engines.ours import policy_for
from benchmarks.workloads import Case, Patch, patches
from upsertcore import ContactBook

__all__ = ["CALLS", "CASES", "main"]

CALLS = 1_000
"""How many calls a case prepares, and the most that it makes."""

_KNOWN = 200
_NOW = datetime(2024, 1, 2, tzinfo=UTC)


def _book(case: Case) -> ContactBook:
    ids = map("c-{}".format, count())
    return ContactBook(policy_for(case), ids=ids.__next__, clock=lambda: _NOW)


def _loaded() -> tuple[ContactBook, list[Patch], list[Patch]]:
    """Make a book, and give who is known and who is not."""
    book = _book(_PEOPLE)
    sent = list(patches(_PEOPLE))
    for patch in sent[:_KNOWN]:
        book.upsert(patch)
    return book, sent[:_KNOWN], sent[_KNOWN:]


_PEOPLE = Case("create", _KNOWN + CALLS)


def _settled(sent: list[Patch]) -> list[Patch]:
    """Have the collector begin anew, so that what is imported does not set its pace."""
    gc.collect()
    return sent


def create(calls: int) -> int:
    """
    Upsert people who are new.

    >>> create(3)
    3
    """
    book, _known, fresh = _loaded()
    return sum(book.upsert(patch).created for patch in _settled(fresh[:calls]))


def update(calls: int) -> int:
    """
    Upsert news of people who are known.

    >>> update(3)
    3
    """
    book, known, _fresh = _loaded()
    news = [{**known[n % _KNOWN], "note": f"call {n}"} for n in range(CALLS)]
    return sum(book.upsert(patch).updated for patch in _settled(news[:calls]))


def unchanged(calls: int) -> int:
    """
    Upsert again what is stored.

    >>> unchanged(3)
    3
    """
    book, known, _fresh = _loaded()
    same = [known[n % _KNOWN] for n in range(CALLS)]
    return sum(book.upsert(patch).unchanged for patch in _settled(same[:calls]))


def batch(calls: int) -> int:
    """
    Upsert a batch, half of it new.

    >>> batch(4)
    4
    """
    book, _known, _fresh = _loaded()
    sent = list(patches(Case("mixed", CALLS)))
    return len(book.upsert_many(_settled(sent[:calls])))


def cleaned(calls: int) -> int:
    """
    Upsert what a profile cleans, lists among it, half of it new.

    >>> cleaned(4)
    4
    """
    case = Case("mixed", CALLS, kind="LeadConnector")
    book, sent = _book(case), list(patches(case))
    return sum(not book.upsert(patch).unchanged for patch in _settled(sent[:calls]))


def planned(calls: int) -> int:
    """
    Plan news of people who are known, step by step, as whatever is rare is done.

    >>> planned(3)
    3
    """
    book, known, _fresh = _loaded()
    news = [{**known[n % _KNOWN], "note": f"call {n}"} for n in range(CALLS)]
    return sum(book.plan(patch).updated for patch in _settled(news[:calls]))


CASES: dict[str, Callable[[int], int]] = {
    "create": create,
    "update": update,
    "unchanged": unchanged,
    "batch": batch,
    "cleaned": cleaned,
    "planned": planned,
}
"""By name; each answers how many calls did what it is about."""


def main(name: str, calls: int) -> None:
    """Run a case, and see that every call did what it is about."""
    done = CASES[name](calls)
    if done != calls:
        raise SystemExit(f"{name}: {calls} calls, of which only {done} did")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

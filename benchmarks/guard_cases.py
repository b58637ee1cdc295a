"""
The fixed cases of the guard.

Rules:
    Ids, clock and patches are fixed, so that two runs do the same work.
    A case does the same preparation for any number of calls, so that the difference
    of two runs is the cost of the calls.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count

from benchmarks.engines.ours import policy_for
from benchmarks.workloads import Case, Patch, patches
from upsertcore import ContactBook

__all__ = ["CALLS", "CASES"]

CALLS = 1_000
"""The number of calls that a case prepares, and the maximum that it makes."""

_STORED = 200
_NOW = datetime(2024, 1, 2, tzinfo=UTC)


def _book(case: Case) -> ContactBook:
    ids = map("c-{}".format, count())
    return ContactBook(policy_for(case), ids=ids.__next__, clock=lambda: _NOW)


def _loaded() -> tuple[ContactBook, list[Patch], list[Patch]]:
    """Return a book, the patches of its contacts, and patches of new contacts."""
    book = _book(_PEOPLE)
    case_patches = list(patches(_PEOPLE))
    for patch in case_patches[:_STORED]:
        book.upsert(patch)
    return book, case_patches[:_STORED], case_patches[_STORED:]


_PEOPLE = Case("create", _STORED + CALLS)


def _after_collection(sent: list[Patch]) -> list[Patch]:
    """Collect garbage, so that imports do not affect the next collections."""
    gc.collect()
    return sent


def create(calls: int) -> int:
    """
    Upsert new contacts.

    >>> create(3)
    3
    """
    book, _stored, fresh = _loaded()
    return sum(book.upsert(patch).created for patch in _after_collection(fresh[:calls]))


def update(calls: int) -> int:
    """
    Update existing contacts.

    >>> update(3)
    3
    """
    book, stored, _fresh = _loaded()
    news = [{**stored[n % _STORED], "note": f"call {n}"} for n in range(CALLS)]
    return sum(book.upsert(patch).updated for patch in _after_collection(news[:calls]))


def unchanged(calls: int) -> int:
    """
    Upsert stored values again.

    >>> unchanged(3)
    3
    """
    book, stored, _fresh = _loaded()
    repeats = [stored[n % _STORED] for n in range(CALLS)]
    return sum(
        book.upsert(patch).unchanged for patch in _after_collection(repeats[:calls])
    )


def batch(calls: int) -> int:
    """
    Upsert a batch, half of it new contacts.

    >>> batch(4)
    4
    """
    book, _stored, _fresh = _loaded()
    case_patches = list(patches(Case("mixed", CALLS)))
    return len(book.upsert_many(_after_collection(case_patches[:calls])))


def cleaned(calls: int) -> int:
    """
    Upsert under a profile, which cleans values, half of them new contacts.

    >>> cleaned(4)
    4
    """
    case = Case("mixed", CALLS, kind="LeadConnector")
    book, case_patches = _book(case), list(patches(case))
    return sum(
        not book.upsert(patch).unchanged
        for patch in _after_collection(case_patches[:calls])
    )


def planned(calls: int) -> int:
    """
    Plan updates of existing contacts, on the general path.

    >>> planned(3)
    3
    """
    book, stored, _fresh = _loaded()
    news = [{**stored[n % _STORED], "note": f"call {n}"} for n in range(CALLS)]
    return sum(book.plan(patch).updated for patch in _after_collection(news[:calls]))


CASES: dict[str, Callable[[int], int]] = {
    "create": create,
    "update": update,
    "unchanged": unchanged,
    "batch": batch,
    "cleaned": cleaned,
    "planned": planned,
}
"""By name; each function returns how many calls had the expected result."""

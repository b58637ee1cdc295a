"""
What is measured: a policy with an empty book, or anything that upserts into one.

Rules:
    A subject is sent to other processes, so its functions are importable.
    A runner raises no refusal: it returns it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, final

from attrs import frozen

from upsertcore.book.contact_book import ContactBook
from upsertcore.engine.plan import Plan
from upsertcore.errors import Refused
from upsertcore.evaluation import RecordResult
from upsertcore.policy.policy import Policy

__all__ = ["Runner", "Subject", "policy_subject"]


@final
@frozen
class Runner:
    """
    An empty book, and how rows come into it.

    Args:
        book: The book.
        upsert: Upserts one row; returns a refusal.
        plan: Returns the plan of a row, or raises its refusal.
        upsert_many: Upserts several rows; None if there is no such call.
    """

    book: ContactBook
    upsert: Callable[[Any], RecordResult]
    plan: Callable[[Any], Plan]
    upsert_many: Callable[[Sequence[Any]], object] | None = None


@final
@frozen
class Subject:
    """
    Something to measure.

    Args:
        name: Its name.
        make: Returns a new runner; it pickles.
    """

    name: str
    make: Callable[[], Runner]


def policy_subject(name: str, policy: Policy, scope: str = "") -> Subject:
    """
    Return the subject of a policy.

    Args:
        name: Its name.
        policy: The policy.
        scope: The tenant.

    >>> from upsertcore import never
    >>> runner = policy_subject("mine", Policy(never(), {})).make()
    >>> runner.upsert({}).result, len(runner.book)
    ('created', 1)
    """
    return Subject(name, partial(_policy_runner, policy, scope))


def _policy_runner(policy: Policy, scope: str) -> Runner:
    # With the ids and the clock of an application that sets none.
    book = ContactBook(policy)

    def upsert(patch: Mapping[str, Any]) -> RecordResult:
        try:
            return book.upsert(patch, scope=scope)
        except Refused as refusal:
            return refusal

    many = partial(book.upsert_many, scope=scope, on_refused="collect")
    return Runner(book, upsert, partial(book.plan, scope=scope), many)

"""
Refusals of calls that come at the wrong time, or for the second time.

Rules:
    Plain classes with positional arguments, so that each one pickles and copies.
    Whatever ends a batch carries the row that it is about, and what was done before.
    They are handed on by ``errors``, where all others stand.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from upsertcore.showing import shown

__all__ = [
    "CallReused",
    "ContactDeleted",
    "ForgottenChanges",
    "Refused",
    "RepeatedPatch",
    "StaleOutcome",
    "StalePlan",
    "StaleVersion",
    "UpsertError",
    "at",
    "placed",
]

E = TypeVar("E", bound=Exception)


class UpsertError(Exception):
    """
    The base of all errors of this library.

    >>> issubclass(Refused, UpsertError)
    True
    """


class Refused(UpsertError):
    """
    A call that was refused: the book is as it was before.

    Of a batch, ``row`` is the place of the patch, from 0. A refusal that ends a batch
    has in ``outcomes`` what came of the rows before it.

    >>> issubclass(StalePlan, Refused)
    True
    >>> StalePlan("contact c-1 is gone").row is None
    True
    """

    row: int | None = None
    outcomes: tuple[Any, ...] = ()


class StaleVersion(Refused):
    """
    A contact that is not at the version which the caller named.

    Args:
        id: The id of the contact, None where the patch finds nobody.
        expected: The version that was named.
        actual: The version that the contact has, None where there is none.

    >>> str(StaleVersion("c-1", 2, 3))
    'contact c-1 is at version 3, not 2: read it again and decide anew'
    """

    def __init__(self, id: str | None, expected: int, actual: int | None) -> None:
        super().__init__(id, expected, actual)
        self.id, self.expected, self.actual = id, expected, actual

    def __str__(self) -> str:
        if self.id is None:
            return f"no contact answers to the patch; version {self.expected} was named"
        actual = f"contact {self.id} is at version {self.actual}, not {self.expected}"
        return f"{actual}: read it again and decide anew"


class ContactDeleted(Refused):
    """
    A patch that finds a deleted contact, under a policy that brings none back.

    Args:
        id: The id of the contact.

    >>> str(ContactDeleted("c-1"))
    'contact c-1 is deleted, and this policy does not restore any'
    """

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.id = id

    def __str__(self) -> str:
        return f"contact {self.id} is deleted, and this policy does not restore any"


class RepeatedPatch(Refused):
    """
    A patch of a batch that carries a key of another one of it.

    Args:
        row: Its place in the batch, from 0.
        rows: The places of the patches that it shares a key with, perhaps through
            others; its own may be among them. Refusals of one group share this tuple.

    >>> str(RepeatedPatch(3, (1,)))
    'row 3: shares a key with row 1; send one patch for each contact'
    >>> RepeatedPatch(3, (1, 3)).others
    (1,)
    """

    def __init__(self, row: int, rows: tuple[int, ...]) -> None:
        super().__init__(row, rows)
        self.row, self.rows = row, rows

    @property
    def others(self) -> tuple[int, ...]:
        """The places of the other patches, computed anew each time."""
        return tuple([row for row in self.rows if row != self.row])

    def __str__(self) -> str:
        others = (str(row) for row in self.rows if row != self.row)
        first = [*islice(others, 6)]
        noun = "row" if len(first) == 1 else "rows"
        named = ", ".join(first[:5]) + (", ..." if len(first) > 5 else "")
        advice = "send one patch for each contact"
        return f"row {self.row}: shares a key with {noun} {named}; {advice}"


class CallReused(Refused, ValueError):
    """
    An idempotency key that was used for another call.

    Args:
        key: The idempotency key.

    >>> str(CallReused("k-1"))
    "idempotency_key: 'k-1' was used for another call"
    """

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key

    def __str__(self) -> str:
        return f"idempotency_key: {shown(self.key)} was used for another call"


class _Stale(Refused):
    """What rests on something that has changed since; it says what."""

    advice = ""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.reason}: {self.advice}"


class StalePlan(_Stale):
    """
    A plan whose preconditions no longer hold.

    Args:
        reason: What has changed since.

    >>> str(StalePlan("contact c-1 is gone"))
    'contact c-1 is gone: plan again'
    """

    advice = "plan again"


class StaleOutcome(_Stale):
    """
    An outcome that cannot be undone, for something newer is in its way.

    Args:
        reason: What has changed since.

    >>> str(StaleOutcome("contact c-1 is gone"))
    'contact c-1 is gone: it cannot be undone any more'
    """

    advice = "it cannot be undone any more"


class ForgottenChanges(UpsertError, LookupError):
    """
    Changes that a book does not keep any more.

    Args:
        number: After which one they were asked for.
        first: The number of the first that is kept.

    >>> str(ForgottenChanges(3, 10))
    'the changes after 3 are not all kept: the first that is has number 10'
    """

    def __init__(self, number: int, first: int) -> None:
        super().__init__(number, first)
        self.number, self.first = number, first

    def __str__(self) -> str:
        kept = f"the first that is has number {self.first}"
        return f"the changes after {self.number} are not all kept: {kept}"


def placed(error: E, row: int, outcomes: Iterable[Any] = (), noun: str = "row") -> E:
    """
    Name the row of a batch in an exception.

    Args:
        error: A refusal, or what a function of the caller raised.
        row: Its place in the batch, from 0.
        outcomes: What came of the rows before it.
        noun: What the batch consists of.

    Returns:
        The exception, with the attributes ``row`` and ``outcomes`` and a note.

    >>> error = placed(ValueError("too old"), 7)
    >>> error.row, error.outcomes, error.__notes__
    (7, (), ['row 7'])
    """
    error.add_note(f"{noun} {row}")
    # An exception of the caller may take no attributes.
    with contextlib.suppress(AttributeError, TypeError):
        error.row, error.outcomes = row, tuple(outcomes)  # type: ignore[attr-defined]
    return error


@contextlib.contextmanager
def at(row: int) -> Iterator[None]:
    """
    Name the row of a batch in whatever is raised inside.

    >>> with at(7):
    ...     raise ValueError("too old")
    Traceback (most recent call last):
    ...
    ValueError: too old
    row 7
    """
    try:
        yield
    except Exception as error:
        placed(error, row)
        raise

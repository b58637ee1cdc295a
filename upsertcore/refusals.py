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

from upsertcore.showing import called, kind_of, shown

__all__ = [
    "ChangesNotRetained",
    "ContactDeleted",
    "DuplicatePatch",
    "IdempotencyKeyReused",
    "Refused",
    "StaleOutcome",
    "StalePlan",
    "StaleVersion",
    "UpsertError",
    "at",
    "blame",
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
        id: The id of the contact, None where none matches the patch.
        expected: The version that was given.
        actual: The version that the contact has, None where there is none.

    >>> str(StaleVersion("c-1", 2, 3))
    'if_version: contact c-1 is at version 3, not 2; re-read it and retry'
    >>> str(StaleVersion(None, 2, None))
    'if_version: 2 was given, but no contact matches; leave it out to create one'
    """

    def __init__(self, id: str | None, expected: int, actual: int | None) -> None:
        super().__init__(id, expected, actual)
        self.id, self.expected, self.actual = id, expected, actual

    def __str__(self) -> str:
        if self.id is None:
            what = f"{self.expected} was given, but no contact matches"
            return f"if_version: {what}; leave it out to create one"
        what = f"contact {self.id} is at version {self.actual}, not {self.expected}"
        return f"if_version: {what}; re-read it and retry"


class ContactDeleted(Refused):
    """
    A patch that matches a deleted contact, under a policy that restores none.

    Args:
        id: The id of the contact.

    >>> str(ContactDeleted("c-1"))
    "contact c-1: deleted, and this policy restores none; set on_deleted='restore'"
    """

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.id = id

    def __str__(self) -> str:
        what = "deleted, and this policy restores none"
        return f"contact {self.id}: {what}; set on_deleted='restore'"


class DuplicatePatch(Refused):
    """
    A patch of a batch that carries a key of another one of it.

    Args:
        row: Its place in the batch, from 0.
        rows: The places of the patches that it shares a key with, perhaps through
            others; its own may be among them. Refusals of one group share this tuple.

    >>> str(DuplicatePatch(3, (1,)))
    'row 3: shares a key with row 1; send one patch for each contact'
    >>> DuplicatePatch(3, (1, 3)).others
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


class IdempotencyKeyReused(Refused, ValueError):
    """
    An idempotency key that was used for another call.

    Args:
        key: The idempotency key.

    >>> str(IdempotencyKeyReused("k-1"))
    "idempotency_key: 'k-1' was used for another call; use a new key for each call"
    """

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key

    def __str__(self) -> str:
        what = f"{shown(self.key)} was used for another call"
        return f"idempotency_key: {what}; use a new key for each call"


class _Stale(Refused):
    """An argument that is based on something that has changed since."""

    name = advice = ""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}; {self.advice}"


class StalePlan(_Stale):
    """
    A plan whose preconditions no longer hold.

    Args:
        reason: What has changed since.

    >>> str(StalePlan("contact c-1 is gone"))
    'plan: contact c-1 is gone; plan again'
    """

    name, advice = "plan", "plan again"


class StaleOutcome(_Stale):
    """
    An outcome that cannot be undone, because of a later change.

    Args:
        reason: What has changed since.

    >>> str(StaleOutcome("contact c-1 is gone"))
    'outcome: contact c-1 is gone; it can no longer be undone'
    """

    name, advice = "outcome", "it can no longer be undone"


class ChangesNotRetained(UpsertError, LookupError):
    """
    Changes that a book no longer retains.

    Args:
        number: The caller asked for the changes after this one.
        first: The number of the first that is, or will be, retained.
        retains: False for a book that never retains any.

    >>> str(ChangesNotRetained(3, 10))
    'number: changes after 3 are no longer retained; the oldest available is 10'
    >>> str(ChangesNotRetained(0, 10, retains=False))
    'number: this book retains no changes; make it with retain_changes=None or a number'
    """

    def __init__(self, number: int, first: int, retains: bool = True) -> None:  # noqa: FBT001, FBT002
        super().__init__(number, first, retains)
        self.number, self.first, self.retains = number, first, retains

    def __str__(self) -> str:
        if not self.retains:
            advice = "make it with retain_changes=None or a number"
            return f"number: this book retains no changes; {advice}"
        what = f"changes after {self.number} are no longer retained"
        return f"number: {what}; the oldest available is {self.first}"


def blame(
    error: Exception, field: str, role: str, function: object, value: object
) -> None:
    """
    Name the field and the function in an exception that a caller's function raised.

    Args:
        error: It gets a note, without the value, which may be a stored one.
        field: The name of the field.
        role: What the function is to the field.
        function: The one that raised.
        value: What it was called with.

    >>> error = ValueError("too old")
    >>> blame(error, "born", "clean", int, "1815")
    >>> error.__notes__
    ['born: clean int raised this for text']
    """
    what = f"{role} {called(function)} raised this for {kind_of(value)}"
    error.add_note(f"{field}: {what}")


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

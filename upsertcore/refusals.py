"""
Refusals of calls that come at the wrong time, or for the second time.

Rules:
    Plain classes with positional arguments, so that each one pickles and copies.
    They are handed on by ``errors``, where all others stand.
"""

from __future__ import annotations

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
]


class UpsertError(Exception):
    """
    The base of all errors of this library.

    >>> issubclass(Refused, UpsertError)
    True
    """


class Refused(UpsertError):
    """
    A call that was refused: the book is as it was before.

    >>> issubclass(StalePlan, Refused)
    True
    """


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
        others: The places of those that it shares a key with, perhaps through others.

    >>> str(RepeatedPatch(3, (1,)))
    'row 3 is about the same contact as row 1: send one'
    """

    def __init__(self, row: int, others: tuple[int, ...]) -> None:
        super().__init__(row, others)
        self.row, self.others = row, others

    def __str__(self) -> str:
        rows = ", ".join(map(str, self.others[:5]))
        rows += ", ..." if len(self.others) > 5 else ""
        return f"row {self.row} is about the same contact as row {rows}: send one"


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

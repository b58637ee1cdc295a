"""
The error of a law that does not hold.

Rules:
    It is an ``AssertionError``, so every test runner reports it as a failure.
    Its message names the law and the values that break it.
"""

from __future__ import annotations

__all__ = ["LawBroken", "require"]


class LawBroken(AssertionError):
    """
    A law that does not hold, with the values that break it.

    Args:
        law: The name of the law.
        reason: The values, and the wrong result.

    >>> str(LawBroken("idempotent", "add: 1 sent twice counts twice"))
    'idempotent: add: 1 sent twice counts twice'
    """

    def __init__(self, law: str, reason: str) -> None:
        super().__init__(law, reason)
        self.law, self.reason = law, reason

    def __str__(self) -> str:
        return f"{self.law}: {self.reason}"


def require(law: str, holds: object, reason: str) -> None:
    """
    Raise ``LawBroken`` unless a condition holds.

    Raises:
        LawBroken: If it does not hold; with the law's name and the reason.

    >>> require("unique", 1 == 1, "two contacts hold one key")
    """
    if not holds:
        raise LawBroken(law, reason)

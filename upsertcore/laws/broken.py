"""
What is raised where a law does not hold.

Rules:
    It is an assertion, so that every test runner shows it as one.
    It says which law, and the values that show it, in words for the host.
"""

from __future__ import annotations

__all__ = ["LawBroken", "see"]


class LawBroken(AssertionError):
    """
    A law that does not hold, with what shows it.

    Args:
        law: Its name.
        reason: The values, and what they make that they should not.

    >>> str(LawBroken("idempotent", "add: 1 sent twice counts twice"))
    'idempotent: add: 1 sent twice counts twice'
    """

    def __init__(self, law: str, reason: str) -> None:
        super().__init__(law, reason)
        self.law, self.reason = law, reason

    def __str__(self) -> str:
        return f"{self.law}: {self.reason}"


def see(law: str, holds: object, reason: str) -> None:
    """
    See that something holds.

    Raises:
        LawBroken: If it does not; with the law's name and the reason.

    >>> see("unique", 1 == 1, "two contacts hold one key")
    """
    if not holds:
        raise LawBroken(law, reason)

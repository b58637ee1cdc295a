"""
Ids: those that a book makes itself, and the check of those that ``ids`` returns.

Rules:
    An id that is made repeats in no other book, process or forked child.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count
from typing import Any

from upsertcore.values import freeze, show_value

__all__ = ["IdInUse", "checked_id", "fresh_ids"]


def fresh_ids() -> Callable[[], str]:
    """
    Return a function that makes opaque ids, unique across books and processes.

    Returns:
        Ids of a random prefix and a counter; a forked child uses a new prefix.

    >>> ids = fresh_ids()
    >>> ids().split("-")[1], ids().split("-")[1]
    ('1', '2')
    """
    prefix, numbers, process = os.urandom(8).hex(), count(1), _process

    def next_id() -> str:
        nonlocal prefix, process
        if process is not _process:
            prefix, process = os.urandom(8).hex(), _process
        return f"{prefix}-{next(numbers)}"

    return next_id


_process = object()


def _after_fork() -> None:
    global _process  # noqa: PLW0603 - one object per process
    _process = object()


if hasattr(os, "register_at_fork"):  # pragma: no branch - not on Windows
    os.register_at_fork(after_in_child=_after_fork)


class IdInUse(ValueError):
    """
    An id that ``ids`` returned although a contact already has it.

    Args:
        id: The id.

    >>> str(IdInUse("c-1"))
    "ids: must return a new id, but a contact already has 'c-1'; return a different ..."
    """

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.id = id

    def __str__(self) -> str:
        what = f"must return a new id, but a contact already has {show_value(self.id)}"
        return f"ids: {what}; return a different id at each call"


def checked_id(id: Any) -> str:
    """
    Check that ``ids`` returned an id.

    Raises:
        TypeError: If it is not text, or blank.

    >>> checked_id("c-1")
    'c-1'
    """
    if not isinstance(id, str) or not id.strip():
        advice = "return text, such as str(uuid4())"
        raise TypeError(
            f"ids: must return a non-empty str, got {show_value(id)}; {advice}"
        )
    return freeze(id)  # type: ignore[no-any-return]

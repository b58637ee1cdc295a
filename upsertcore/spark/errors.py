"""
What may go wrong on the way to the replay, and what would be right.

Rules:
    Plain classes with positional arguments, so that each one pickles and copies.
    Each is about the whole job; a patch that a policy refuses is an outcome.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from upsertcore.errors import UpsertError
from upsertcore.values import shown

__all__ = ["InvalidColumn", "LargeComponent", "Shared", "UnfitValue"]

Shared: TypeAlias = tuple[str, str, str, int]
"""A form that rows share: name of the key, scope, normal form, how many rows."""


class InvalidColumn(UpsertError, ValueError):
    """
    A column that is missing, of another type, or holds what it must not.

    Args:
        column: Its name, with those of the columns that it stands in.
        reason: What would be right.

    >>> str(InvalidColumn("patch.born", "cast it to string"))
    'patch.born: cast it to string'
    """

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(column, reason)
        self.column, self.reason = column, reason

    def __str__(self) -> str:
        return f"{self.column}: {self.reason}"


class UnfitValue(UpsertError, ValueError):
    """
    A value that the declared type of its field cannot hold as it is.

    Args:
        field: The name of the field.
        value: What a policy made of what was sent, or what was to be sent.
        sequence: The number of the patch that created the contact, or of the patch.
        kind: The declared type; blank where the field is not declared.

    >>> str(UnfitValue("age", "x", 7, "int64"))
    "age: 'x' does not fit the declared type int64 (sequence 7)"
    >>> str(UnfitValue("size", 3, 7, ""))
    'size: 3 has no declared type; the struct has no such field (sequence 7)'
    """

    def __init__(self, field: str, value: Any, sequence: int, kind: str) -> None:
        super().__init__(field, value, sequence, kind)
        self.field, self.value = field, value
        self.sequence, self.kind = sequence, kind

    def __str__(self) -> str:
        told = f"{self.field}: {shown(self.value)}"
        where = f"(sequence {self.sequence})"
        if not self.kind:
            return f"{told} has no declared type; the struct has no such field {where}"
        return f"{told} does not fit the declared type {self.kind} {where}"


class LargeComponent(UpsertError):
    """
    A component with more rows than were allowed.

    Args:
        component: The least sequence in it.
        size: How many rows it has, contacts and patches.
        shared: What most of them share: key, scope, normal form and rows, each.

    >>> shared = (("phone", "", "+15550000000", 4711),)
    >>> print(LargeComponent(7, 5000, shared))
    component 7 has 5000 rows; most share phone '+15550000000' (4711 rows)
    """

    def __init__(self, component: int, size: int, shared: tuple[Shared, ...]) -> None:
        super().__init__(component, size, shared)
        self.component, self.size, self.shared = component, size, shared

    def __str__(self) -> str:
        told = ", ".join(map(_told, self.shared))
        return f"component {self.component} has {self.size} rows; most share {told}"


def _told(shared: Shared) -> str:
    key, scope, form, rows = shared
    inside = f" in {shown(scope)}" if scope else ""
    return f"{key} {shown(form)}{inside} ({rows} rows)"

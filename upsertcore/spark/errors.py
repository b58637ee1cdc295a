"""
Errors of a whole job.

Rules:
    The classes have positional arguments only, so that they pickle and copy.
    A patch that the policy refuses is an outcome, not an error.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from upsertcore.errors import UpsertError
from upsertcore.values import show_value

__all__ = ["InvalidColumn", "LargeComponent", "SharedForm", "UnfitValue"]

SharedForm: TypeAlias = tuple[str, str, str, int]
"""A form that rows share: key, scope, normal form, number of rows."""


class InvalidColumn(UpsertError, ValueError):
    """
    A column is missing, has the wrong type, or contains an invalid value.

    Args:
        column: Its name, with the names of the enclosing columns.
        reason: The problem.

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
    The declared type of a field cannot represent a value.

    Args:
        field: The name of the field.
        value: The value of the contact or patch.
        sequence: The number of the patch that created the contact, or of the patch.
        kind: The declared type; blank if the field is not declared.

    >>> str(UnfitValue("age", "x", 7, "int64"))
    "age: 'x' does not fit the declared type int64 (sequence 7)"
    >>> str(UnfitValue("size", 3, 7, ""))
    'size: 3 is of a field that the struct does not declare (sequence 7)'
    """

    def __init__(self, field: str, value: Any, sequence: int, kind: str) -> None:
        super().__init__(field, value, sequence, kind)
        self.field, self.value = field, value
        self.sequence, self.kind = sequence, kind

    def __str__(self) -> str:
        subject = f"{self.field}: {show_value(self.value)}"
        where = f"(sequence {self.sequence})"
        if not self.kind:
            return f"{subject} is of a field that the struct does not declare {where}"
        return f"{subject} does not fit the declared type {self.kind} {where}"


class LargeComponent(UpsertError):
    """
    A component has more rows than allowed.

    Args:
        component: Its least sequence.
        size: The number of its rows, contacts and patches.
        shared: The forms that most rows share, each with key, scope and row count.

    >>> shared = (("phone", "", "+15550000000", 4711),)
    >>> print(LargeComponent(7, 5000, shared))
    component 7 has 5000 rows; most share phone '+15550000000' (4711 rows)
    """

    def __init__(
        self, component: int, size: int, shared: tuple[SharedForm, ...]
    ) -> None:
        super().__init__(component, size, shared)
        self.component, self.size, self.shared = component, size, shared

    def __str__(self) -> str:
        forms = ", ".join(map(_describe, self.shared))
        return f"component {self.component} has {self.size} rows; most share {forms}"


def _describe(shared: SharedForm) -> str:
    key, scope, form, rows = shared
    location = f" in {show_value(scope)}" if scope else ""
    return f"{key} {show_value(form)}{location} ({rows} rows)"

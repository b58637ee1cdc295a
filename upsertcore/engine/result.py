"""
The result of a call: created, updated, unchanged, merged, undone or deleted.

Rules:
    A known contact is updated if a field or a clock of it moves, or if it was deleted;
    else it is unchanged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from upsertcore.engine.target import Target

__all__ = ["Decision", "Result", "result_of"]

Result = Literal["created", "updated", "unchanged", "merged", "undone", "deleted"]


class Decision:
    """What a plan and an outcome have in common."""

    __slots__ = ()
    result: Result

    @property
    def created(self) -> bool:
        """True where a contact is created."""
        return self.result == "created"

    @property
    def updated(self) -> bool:
        """True where a field of a known contact moves, or only its clock."""
        return self.result == "updated"

    @property
    def unchanged(self) -> bool:
        """True where the contact is known and nothing moves."""
        return self.result == "unchanged"


def result_of(target: Target, moved: set[str]) -> Result:
    """
    Return what a decision does to its target.

    Args:
        target: The contacts that it is about.
        moved: The fields that move, by their value or by their clock.

    >>> from upsertcore.engine.target import Target
    >>> result_of(Target(None, ()), {"name"})
    'created'
    """
    before = target.before
    if before is None:
        return "created"
    if not target.merged and not moved and before.deleted_at is None:
        return "unchanged"
    return "merged" if target.merged else "updated"

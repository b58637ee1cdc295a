"""
The stamp of a call: its id and its time, and the version and times of its contact.

Rules:
    The functions ``ids`` and ``clock`` are called only if needed, once per call, and
    never under a lock.
    Each write of a known contact raises its version by one; ``updated_at`` moves with a
    field, a clock or a deletion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from upsertcore.engine.outcome import Outcome
from upsertcore.model.contact import Contact
from upsertcore.store.clock import checked_time
from upsertcore.store.ids import checked_id
from upsertcore.values import same

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from upsertcore.engine.plan import Plan

__all__ = ["Stamp"]


@final
class Stamp:
    """
    The id and the time of one call, each drawn when needed and only once.

    Args:
        ids: Returns a fresh id.
        clock: Returns an aware time.
        id: The id, if it is drawn already.
        now: The time, if it is drawn already.
    """

    __slots__ = ("_clock", "_id", "_ids", "_now")

    def __init__(
        self,
        ids: Callable[[], str],
        clock: Callable[[], datetime],
        id: str | None = None,
        now: datetime | None = None,
    ) -> None:
        self._ids, self._clock = ids, clock
        self._id, self._now = id, now

    def prepare(self, plan: Plan) -> None:
        """Draw what a plan needs."""
        if plan.before is None and plan.new_id is None and self._id is None:
            self._id = checked_id(self._ids())
        if plan.result != "unchanged":
            self.time()

    def time(self) -> datetime:
        """Return the time of the call."""
        if self._now is None:
            self._now = checked_time(self._clock())
        return self._now

    def outcome(self, plan: Plan) -> Outcome:
        """Return what a plan does, once it is written."""
        return Outcome(
            plan.result,
            self.contact(plan),
            plan.before,
            plan.matched_by,
            plan.withheld,
            plan.ignored,
            plan.also_matched,
            plan.merged,
            plan.policy,
        )

    def contact(self, plan: Plan) -> Contact:
        """Make the contact that a plan describes; the stored one if nothing changes."""
        before, after, now = plan.before, plan.after, self._now
        history: Any = plan.aliases, plan.clocks
        if before is None:
            id: Any = plan.new_id or self._id
            return Contact(id, plan.scope, after, 1, now, now, *history)  # type: ignore[arg-type]
        if plan.unchanged:
            return before
        version, created = before.version + 1, before.created_at
        fields, clocks = same(after, before.fields), same(plan.clocks, before.clocks)
        if fields and clocks and before.deleted_at is None:
            # It has merged others, and none of its own fields has changed.
            now = before.updated_at
        merged_ids = [id for other in plan.merged for id in other.ids]
        history += (before.merged_ids + tuple(merged_ids),)
        return Contact(before.id, before.scope, after, version, created, now, *history)  # type: ignore[arg-type]

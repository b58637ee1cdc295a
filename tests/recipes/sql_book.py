"""
A book in a database: one serialisable transaction per outcome.

Rules:
    Nothing is kept in memory from one call to the next.
    Look-ups, decision and writes are one transaction: a failure rolls it back.
    A call that loses a race decides again, and waits for its turn before that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from attrs import define, field

from tests.recipes.sql_tables import Database, Lookups, Overtaken, write
from upsertcore import Contact, Outcome, Policy
from upsertcore.engine.decide import decide
from upsertcore.errors import Refused
from upsertcore.store.clock import utc_now
from upsertcore.store.ids import fresh_ids
from upsertcore.store.stamp import Stamp

ATTEMPTS = 5


@define
class SqlBook:
    """Contacts in a database, under one policy; see ``ContactBook``."""

    policy: Policy
    database: Database
    ids: Callable[[], str] = field(factory=fresh_ids, kw_only=True)
    clock: Callable[[], datetime] = field(default=utc_now, kw_only=True)

    def upsert(self, patch: Mapping[str, Any], *, scope: str = "") -> Outcome:
        """Create or update the contact of a patch."""
        stamp = Stamp(self.ids, self.clock)
        for queued in (False, *[True] * (ATTEMPTS - 2)):
            try:
                return self._attempt(stamp, patch, scope, queued=queued)
            except Exception as error:
                if not isinstance(error, Overtaken) and not self.database.lost(error):
                    raise
        return self._attempt(stamp, patch, scope, queued=True)

    def get(self, id: str, scope: str = "") -> Contact:
        """Return the contact with this id, or the one that absorbed it."""
        return Lookups(self.policy, self.database).get(id, scope)

    def dump(self) -> Iterator[dict[str, Any]]:
        """Yield every contact as a row, in order of creation."""
        rows = self.database.execute("SELECT body FROM contacts ORDER BY seq")
        bodies = enumerate(rows.fetchall())
        return ({"place": place, **json.loads(body)} for place, (body,) in bodies)

    def _attempt(
        self, stamp: Stamp, patch: Mapping[str, Any], scope: str, *, queued: bool
    ) -> Outcome:
        try:
            self.database.begin(queued=queued)
            answer = self._answer(stamp, patch, scope)
            self.database.execute("COMMIT")
        except BaseException:
            self.database.rollback()
            raise
        if isinstance(answer, Refused):
            raise answer
        return answer

    def _answer(
        self, stamp: Stamp, patch: Mapping[str, Any], scope: str
    ) -> Outcome | Refused:
        try:
            look = Lookups(self.policy, self.database)
            plan = decide(self.policy, patch, look, scope=scope)
        except Refused as refusal:
            # A refusal is valid, as a result is, once its look-ups are committed.
            return refusal
        stamp.prepare(plan)
        contact = stamp.contact(plan)
        if not plan.unchanged:
            write(self.database, plan, contact)
        return Outcome(
            result=plan.result,
            contact=contact,
            before=plan.before,
            matched_by=plan.matched_by,
            withheld=plan.withheld,
            ignored=plan.ignored,
            also_matched=plan.also_matched,
            merged=plan.merged,
            policy=plan.policy,
        )

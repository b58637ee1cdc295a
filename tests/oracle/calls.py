"""
Naive twins of calls that bear a key, of contacts marked as deleted, and of purging.

Rules:
    A call is what it says, written down; its answer is kept as it was given.
    Of a person who is purged nothing is kept but the place in the order of creation.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from tests.oracle.keys import Row
from tests.oracle.merge import dated
from tests.oracle.merging import Joining
from tests.oracle.patch import read
from tests.oracle.values import written
from upsertcore import Policy, errors


def see_deleted(policy: Policy, found: list[Row]) -> None:
    """Refuse the first of those found who is marked, where a policy refuses them."""
    for row in found:
        if policy.on_deleted == "refuse" and "deleted_at" in row:
            raise errors.ContactDeleted(row["id"])


def see_overrides(policy: Policy, rules: Row) -> None:
    """Refuse rules of a call for unknown fields, and a second clock for one field."""
    for name, rule in rules.items():
        if name not in policy.fields and policy.extra_fields is None:
            raise errors.UnknownField(name, tuple(policy.fields))
        if rule.by is not None and dated(policy, name):
            raise errors.InvalidPolicy(name)


class Calling(Joining):
    """What the oracle remembers of calls, and how it lets go of people."""

    clock: Callable[[], datetime]
    calls: dict[tuple[str, str], tuple[str, Row]]

    def once(self, key: str, patch: Row, scope: str = "", **how: Any) -> Row:
        """Upsert, unless this very call was made before in this scope."""
        see_overrides(self.policy, how.get("rules") or {})
        sent, ignored = read(self.policy, patch, how.get("null"), how.get("blank"))
        wishes = {name: repr(wish) for name, wish in how.items() if wish is not None}
        if how.get("rules") is not None:
            wishes["rules"] = repr(sorted(how["rules"].items(), key=str))
        what = written([sent, ignored, wishes])
        known = self.calls.get((scope, key))
        if known is not None and known[0] != what:
            raise errors.IdempotencyKeyReused(key)
        if known is None:
            known = what, self.upsert(patch, scope=scope, **how)
            self.calls[scope, key] = known
        return known[1]

    def delete(self, id: str, scope: str = "") -> Row:
        """Take a contact out, or mark it."""
        row = self.get(id, scope)
        if id != row["id"]:
            raise errors.UnknownContact(id)
        if self.policy.on_deleted == "forget":
            return self.rows.pop(self.rows.index(row))
        if "deleted_at" in row:
            return row
        now = self.clock().isoformat()
        new = {**row, "version": row["version"] + 1}
        new |= {"updated_at": now, "deleted_at": now}
        self.rows[self.rows.index(row)] = new
        return new

    def purge(self, id: str, scope: str = "") -> tuple[set[str], int]:
        """Forget a person; give its ids, and how many calls told of it."""
        row = self.get(id, scope)
        ids = {row["id"], *row.get("merged_ids", [])}
        self.rows.remove(row)
        left = {key: (what, tell(a, ids)) for key, (what, a) in self.calls.items()}
        told = sum(left[key][1] != answer for key, (_, answer) in self.calls.items())
        self.calls = {key: (what, a) for key, (what, a) in left.items() if a}
        return ids, told


def tell(answer: Row, ids: set[str]) -> Row:
    """Give an answer without what it tells of these ids; nothing if it is about one."""
    rows = [answer["contact"], answer["before"], *answer["merged"]]
    if any(ids & {row["id"], *row.get("merged_ids", [])} for row in rows if row):
        return {}
    others = [id for id in answer["also_matched"] if id not in ids]
    withheld = [each for each in answer["withheld"] if each[2] not in ids]
    return {**answer, "also_matched": others, "withheld": withheld}

"""
Naive twins of calls with an idempotency key, of deleted contacts, and of purging.

Rules:
    A call is written down whole; its answer is kept unchanged.
    A purge keeps nothing of a contact but its place in the order of creation.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from tests.oracle.keys import Row
from tests.oracle.merging import MergeVerbs, check_overrides
from tests.oracle.patch import own_ids, read
from tests.oracle.values import as_json
from tests.oracle.visitor import check_visitor
from upsertcore import errors


class CallLog(MergeVerbs):
    """The calls that the oracle remembers, deleting and purging."""

    clock: Callable[[], datetime]
    calls: dict[tuple[str, str], tuple[str, Row]]

    def upsert_once(
        self, key: str, patch: Row, scope: str = "", **overrides: Any
    ) -> Row:
        """Upsert, unless the call with this key was made before in this scope."""
        check_overrides(self.policy, overrides)
        check_visitor(overrides.get("visitor"))
        sent, ignored = read(
            self.policy, patch, overrides.get("null"), overrides.get("blank")
        )
        options = {
            name: repr(option)
            for name, option in overrides.items()
            if option is not None
        }
        if overrides.get("rules") is not None:
            options["rules"] = repr(sorted(overrides["rules"].items(), key=str))
        id = own_ids(self.policy, patch, overrides.get("id"))["id"]
        text = as_json([sent, ignored, options, id])
        known = self.calls.get((scope, key))
        if known is not None and known[0] != text:
            raise errors.IdempotencyKeyReused(key)
        if known is None:
            known = text, self.upsert(patch, scope=scope, **overrides)
            self.calls[scope, key] = known
        return known[1]

    def delete(self, id: str, scope: str = "") -> Row:
        """Remove a contact, or mark it as deleted."""
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
        """Remove a contact; return its ids, and the number of answers that named it."""
        row = self.get(id, scope)
        ids = {row["id"], *row.get("merged_ids", [])}
        self.rows.remove(row)
        kept = {
            key: (text, answer_without(answer, ids) if key[0] == scope else answer)
            for key, (text, answer) in self.calls.items()
        }
        changed = sum(kept[key][1] != answer for key, (_, answer) in self.calls.items())
        self.calls = {
            key: (text, answer) for key, (text, answer) in kept.items() if answer
        }
        return ids, changed


def answer_without(answer: Row, ids: set[str]) -> Row:
    """Return an answer without the given ids; nothing if it is about one of them."""
    rows = [answer["contact"], answer["before"], *answer["merged"]]
    if any(ids & {row["id"], *row.get("merged_ids", [])} for row in rows if row):
        return {}
    others = [id for id in answer["also_matched"] if id not in ids]
    withheld = [item for item in answer["withheld"] if item[2] not in ids]
    return {**answer, "also_matched": others, "withheld": withheld}

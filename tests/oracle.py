"""
The oracle: a naive upsert over a list of dicts, by linear scan.

Rules:
    It is written from the rules of behaviour; of the library it uses the exceptions.
    It reads a policy's table, and calls none of the library's rules or normalisers.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from tests.naive import fill, forms, merge, read, same
from upsertcore import Policy, errors

Row = dict[str, Any]


class Oracle:
    """The book, as slow and as plain as can be."""

    def __init__(
        self, policy: Policy, ids: Callable[[], str], clock: Callable[[], datetime]
    ) -> None:
        self.policy, self.ids, self.clock = policy, ids, clock
        self.rows: list[Row] = []
        self.claims: dict[tuple[str, str, str], list[str]] = {}

    def upsert(self, patch: Row, **how: Any) -> Row:
        return self.apply(self.plan(patch, **how))

    def plan(
        self, patch: Row, scope: str = "", if_version: int = 0, *, look: bool = True
    ) -> Row:
        """Decide: read, match, merge, keep unique; ``look=False`` only creates."""
        self.claims = {}
        sent, ignored = read(self.policy, patch)
        row, by = self._match(sent, scope) if look else (None, None)
        seen = [id for held in self.claims.values() for id in held]
        id, version = (row["id"], row["version"]) if row else (None, None)
        if if_version and if_version != version:
            raise errors.StaleVersion(id, if_version, version)
        if id is None and not self.policy.create:
            raise errors.CreateRefused
        before = row["fields"] if row else {}
        after = merge(self.policy, before, sent, ignored, creating=row is None)
        if row is None:
            fill(self.policy, after, sent)
        asked = [*self.claims]
        withheld = self._unique(row, after, sent, scope, seen)
        if asked and not any(f in self._forms(key, after) for key, f, _scope in asked):
            raise errors.InvalidField(asked[0][0], sent[asked[0][0]], "")
        result = "unchanged" if same(before, after) else "updated"
        if id and result == "updated" and not self.policy.update:
            raise errors.UpdateRefused(id)
        return {
            "result": result if row else "created",
            "scope": scope,
            "before": row,
            "after": after,
            "matched_by": by,
            "withheld": withheld,
            "ignored": ignored,
            "others": [other for other in dict.fromkeys(seen) if other != id],
            "claims": self.claims,
        }

    def apply(self, plan: Row) -> Row:
        """Write what a plan says, if its contact and holders are as they were."""
        row, held = plan["before"], plan["claims"]
        if row not in [None, *self.rows] or held != {k: self.held(*k) for k in held}:
            raise errors.StalePlan("")
        if plan["result"] == "unchanged":
            return {**plan, "contact": row}
        new = {"fields": plan["after"], "updated_at": self.clock().isoformat()}
        if row:
            new = {**row, **new, "version": row["version"] + 1}
            self.rows[self.rows.index(row)] = new
        else:
            new |= {"id": self.ids(), "scope": plan["scope"], "version": 1}
            new["created_at"] = new["updated_at"]
            self.rows.append(new)
        return {**plan, "contact": new}

    def get(self, id: str) -> Row:
        found = [row for row in self.rows if row["id"] == id]
        if not found:
            raise errors.UnknownContact(id)
        return found[0]

    def delete(self, id: str) -> Row:
        return self.rows.pop(self.rows.index(self.get(id)))

    def held(self, name: str, form: str, scope: str = "") -> list[str]:
        """Give the ids of the holders of a form, those created first in front."""
        rows = [row for row in self.rows if row["scope"] == scope]
        return [r["id"] for r in rows if form in self._forms(name, r["fields"])]

    def _forms(self, name: str, fields: Row) -> list[str]:
        return forms(self.policy, name, fields.get(name))

    def _match(self, sent: Row, scope: str) -> tuple[Row | None, str | None]:
        how, keys = self.policy.match.name, self.policy.match.keys
        asked = [(key, f, scope) for key in keys for f in self._forms(key, sent)]
        if how != "never" and not asked and self.policy.on_absent_key == "refuse":
            raise errors.NoMatchKey(keys)
        if how == "first_present":
            asked = [claim for claim in asked if claim[0] == asked[0][0]]
        self.claims = {claim: self.held(*claim) for claim in asked}
        id = by = None
        for (name, _form, _scope), held in self.claims.items():
            if not held or (id and how != "all_agree"):
                continue
            if len(held) > 1 and self.policy.on_many == "refuse":
                raise errors.AmbiguousMatch(name, tuple(held))
            this = held[-1 if self.policy.on_many == "newest" else 0]
            id, by = id or this, by or name
            if this != id:
                raise errors.AmbiguousMatch(name, (id, this))
        return (self.get(id), by) if id else (None, None)

    def _unique(
        self, row: Row | None, after: Row, sent: Row, scope: str, seen: list[str]
    ) -> list[tuple[str, Any, str]]:
        withheld, before = [], row["fields"] if row else {}
        for name in [n for n, line in self.policy.fields.items() if line.unique]:
            new = [
                f
                for f in self._forms(name, after)
                if f not in self._forms(name, before)
            ]
            held = {(name, f, scope): self.held(name, f, scope) for f in new}
            self.claims |= held
            holders = [id for ids in held.values() for id in ids]
            seen += holders if self.policy.on_clash == "allow" else []
            if not holders or self.policy.on_clash == "allow":
                continue
            kept = {name: before[name]} if name in before else {}
            lost = row is None and self.policy.fields[name].required
            if lost or self.policy.on_clash == "refuse":
                raise errors.KeyInUse(name, sent[name], holders[0])
            withheld.append((name, sent[name], holders[0]))
            after.pop(name)
            after |= kept
        return withheld

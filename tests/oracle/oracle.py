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

from tests.oracle.calls import Calling, see_deleted, see_overrides
from tests.oracle.keys import Row, aliases, held, key_named
from tests.oracle.match import check, match
from tests.oracle.merge import absorb, date
from tests.oracle.patch import leave, read
from tests.oracle.values import same
from tests.oracle.withheld import Merging, settle
from upsertcore import Policy, errors
from upsertcore.store.ids import IdInUse


class Oracle(Calling):
    """The book, as slow and as plain as can be."""

    def __init__(
        self, policy: Policy, ids: Callable[[], str], clock: Callable[[], datetime]
    ) -> None:
        self.policy, self.ids, self.clock = policy, ids, clock
        self.rows: list[Row] = []
        self.born: list[str] = []
        self.claims: dict[tuple[str, str, str], list[str]] = {}
        self.judged: list[Row] = []
        self.calls: dict[tuple[str, str], tuple[str, Row]] = {}

    def upsert(self, patch: Row, **how: Any) -> Row:
        return self.apply(self.plan(patch, **how))

    def plan(
        self,
        patch: Row,
        scope: str = "",
        *,
        rules: Row | None = None,
        null: str | None = None,
        blank: str | None = None,
        if_version: int | None = None,
        look: bool = True,
    ) -> Row:
        """Decide what an upsert would do, and on what that rests."""
        see_overrides(self.policy, rules or {})
        self.claims, self.judged = {}, []
        sent, ignored = read(self.policy, patch, null, blank)
        plan: Row = {"scope": scope, "sent": sent, "ignored": ignored}
        plan |= {"also_matched": [], "withheld": []}
        found, by = match(self, sent, scope, plan) if look else ([], None)
        return self.decide(plan, found, by, rules or {}, if_version)

    def decide(
        self,
        plan: Row,
        found: list[Row],
        by: str | None,
        rules: Row,
        if_version: int | None = None,
    ) -> Row:
        """Absorb, merge, and keep what must hold; the first that is found stays."""
        sent, ignored = plan["sent"], plan["ignored"]
        row, gone = found[0] if found else None, found[1:]
        id, version = (row["id"], row["version"]) if row else (None, None)
        if if_version and if_version != version:
            raise errors.StaleVersion(id, if_version, version)
        see_deleted(self.policy, found)
        if row is None and self.policy.on_not_found == "refuse":
            raise errors.CreateRefused
        before = row or {"fields": {}}
        back = "deleted_at" in before
        draft: Row = {part: {**before.get(part, {})} for part in ("fields", "clocks")}
        draft["times"] = {}
        if row and self.policy.on_found == "ignore" and "asked" in plan:
            leave(self.policy, draft, sent, ignored, rules)
            back = False
            plan["also_matched"], gone = (
                [*plan["also_matched"], *[r["id"] for r in gone]],
                [],
            )
        else:
            for other in gone:
                absorb(self.policy, row or {}, draft, other)
            merging = Merging(self.policy, draft, plan, rules, new=row is None)
            draft = settle(self, [row, *gone], merging, plan)
            if row:
                date(self.policy, row, merging.base, draft, merged=bool(gone))
            base = merging.base["fields"]
            draft["aliases"] = aliases(self.policy, row, gone, draft, base, sent)
            check(self, row, gone, draft, plan)
        del draft["times"]
        moved = back or any(not same(draft[p], before.get(p, {})) for p in draft)
        if row and (moved or gone) and self.policy.on_found == "refuse":
            raise errors.UpdateRefused(row["id"])
        result = "merged" if gone else "updated" if moved else "unchanged"
        plan |= {"result": result if row else "created", "before": row}
        plan |= {"matched_by": by, "merged": gone, "after": draft["fields"]}
        plan["also_matched"] = [
            i for i in dict.fromkeys(plan["also_matched"]) if i != id
        ]
        judged = [*self.judged, *found[:1], *gone]
        return plan | {"claims": self.claims, "judged": judged, "draft": draft}

    def apply(self, plan: Row) -> Row:
        """Write what a plan says, if its contacts and holders are as they were."""
        row, claims, draft = plan["before"], plan["claims"], plan["draft"]
        moved = [each for each in plan["judged"] if each not in self.rows]
        if moved or claims != {claim: self.held(*claim) for claim in claims}:
            raise errors.StalePlan("")
        if plan["result"] == "unchanged":
            return {**plan, "contact": row}
        now, parts = self.clock().isoformat(), ("fields", "clocks")
        if row and "deleted_at" not in row:
            stays = all(same(draft[part], row.get(part, {})) for part in parts)
            now = row["updated_at"] if stays else now
        new = {"fields": draft["fields"], "updated_at": now}
        new |= {part: draft[part] for part in ("clocks", "aliases") if draft[part]}
        old = [*(row or {}).get("merged_ids", [])]
        old += [i for r in plan["merged"] for i in (r["id"], *r.get("merged_ids", []))]
        new |= {"merged_ids": [*dict.fromkeys(old)]} if old else {}
        if row:
            kept = ("id", "scope", "created_at")
            new |= {part: row[part] for part in kept} | {"version": row["version"] + 1}
            self.rows[self.rows.index(row)] = new
            self.rows = [each for each in self.rows if each not in plan["merged"]]
        else:
            new |= {"id": self.ids(), "scope": plan["scope"], "version": 1}
            new["created_at"] = new["updated_at"]
            if any(new["id"] in (r["id"], *r.get("merged_ids", [])) for r in self.rows):
                raise IdInUse(new["id"])
            self.born = [id for id in self.born if id != new["id"]] + [new["id"]]
            self.rows.append(new)
        return {**plan, "contact": new}

    def get(self, id: str, scope: str | None = None) -> Row:
        for row in self.rows:
            if id in (row["id"], *row.get("merged_ids", [])):
                if scope in (None, row["scope"]):
                    return row
                break
        raise errors.UnknownContact(id)

    def look(self, name: str, form: str, scope: str) -> list[str]:
        """Ask who holds a form, and remember the answer: a plan rests on it."""
        self.claims[name, form, scope] = self.held(name, form, scope)
        return self.claims[name, form, scope]

    def held(self, name: str, form: str, scope: str = "") -> list[str]:
        """Give the ids of the holders of a form, those created first in front."""
        key = key_named(self.policy, name)
        rows = [row for row in self.rows if row["scope"] == scope]
        return [row["id"] for row in rows if form in held(self.policy, key, row)]

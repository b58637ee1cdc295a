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

from tests.oracle.again import check_result
from tests.oracle.calls import CallLog
from tests.oracle.keys import Row, aliases, held_forms, is_of, key_named
from tests.oracle.match import settle_id
from tests.oracle.merge import absorb, keep_update_times
from tests.oracle.merging import check_overrides, on, refuse_deleted
from tests.oracle.patch import note_unchanged, own_ids, read
from tests.oracle.values import same
from tests.oracle.visitor import check_visitor, find, settle_visitor
from tests.oracle.withheld import PatchMerge, merge_and_withhold
from upsertcore import Policy, errors
from upsertcore.store.ids import IdInUse


class Oracle(CallLog):
    """A slow and plain book."""

    def __init__(
        self, policy: Policy, ids: Callable[[], str], clock: Callable[[], datetime]
    ) -> None:
        self.policy, self.ids, self.clock = policy, ids, clock
        self.rows: list[Row] = []
        self.born: list[tuple[str, str]] = []
        self.claims: dict[tuple[str, str, str], list[str]] = {}
        self.judged: list[Row] = []
        self.calls: dict[tuple[str, str], tuple[str, Row]] = {}

    def upsert(self, patch: Row, **options: Any) -> Row:
        return self.apply(self.plan(patch, **options))

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
        id: str | None = None,
        visitor: str | None = None,
        **options: Any,
    ) -> Row:
        """Decide what an upsert would do, and the state on which that depends."""
        check_overrides(self.policy, {**options, "rules": rules})
        check_visitor(visitor)
        self.claims, self.judged = {}, []
        sent, ignored = read(self.policy, patch, null, blank)
        plan: Row = {"scope": scope, "sent": sent, "ignored": ignored}
        plan |= {"also_matched": [], "withheld": [], "visitor": visitor}
        plan |= own_ids(self.policy, patch, id)
        found, by = find(self, sent, scope, plan) if look else ([], None)
        return self.decide(plan, found, by, rules or {}, if_version, **options)

    def update(
        self,
        id: str,
        patch: Row,
        scope: str = "",
        *,
        rules: Row | None = None,
        null: str | None = None,
        blank: str | None = None,
        if_version: int | None = None,
        **options: Any,
    ) -> Row:
        """Update one contact; its keys match nothing."""
        check_overrides(self.policy, {**options, "rules": rules})
        self.claims, self.judged = {}, []
        sent, ignored = read(self.policy, patch, null, blank)
        own = own_ids(self.policy, patch, id)
        row = self.get(id, scope)
        plan: Row = {"scope": scope, "sent": sent, "ignored": ignored, **own}
        plan |= {"also_matched": [], "withheld": []}
        options |= {"updating": True}
        by = self.policy.id_field
        plan = self.decide(plan, [row], by, rules or {}, if_version, **options)
        return self.apply(plan)

    def decide(
        self,
        plan: Row,
        found: list[Row],
        matched_by: str | None,
        rules: Row,
        if_version: int | None = None,
        **options: Any,
    ) -> Row:
        """Absorb, merge and check; the first contact found survives."""
        sent, ignored = plan["sent"], plan["ignored"]
        row, absorbed = found[0] if found else None, found[1:]
        id, version = (row["id"], row["version"]) if row else (None, None)
        if if_version and if_version != version:
            raise errors.StaleVersion(id, if_version, version)
        refuse_deleted(self.policy, found)
        if row is None and on(self.policy, "not_found", options) == "refuse":
            raise errors.CreateRefused
        merges = on(self.policy, "found", options) != "ignore" or "asked" not in plan
        settle_id(self, row, absorbed if merges else [], plan)
        settle_visitor(self.policy, plan)
        before = row or {"fields": {}}
        restored = "deleted_at" in before
        draft: Row = {part: {**before.get(part, {})} for part in ("fields", "clocks")}
        draft["times"], draft["before"] = {}, before
        on_found = on(self.policy, "found", options)
        names_a_contact = "asked" in plan or "updating" in options
        if row and on_found == "ignore" and names_a_contact:
            note_unchanged(self.policy, draft, sent, ignored, rules)
            restored = False
            plan["also_matched"], absorbed = (
                [*plan["also_matched"], *[r["id"] for r in absorbed]],
                [],
            )
        else:
            for other in absorbed:
                absorb(self.policy, row or {}, draft, other)
            merging = PatchMerge(
                *(self.policy, draft, plan, rules),
                new=row is None,
                replaces=options.get("omitted") == "clear",
                updating=options.get("updating", False),
                matched_by=matched_by,
            )
            draft = merge_and_withhold(self, [row, *absorbed], merging, plan)
            if row:
                keep_update_times(
                    self.policy, row, merging.base, draft, merged=bool(absorbed)
                )
            base = merging.base["fields"]
            draft["aliases"] = aliases(self.policy, row, absorbed, draft, base)
            check_result(self, row, absorbed, draft, plan)
        del draft["times"], draft["before"]
        changed = restored or any(not same(draft[p], before.get(p, {})) for p in draft)
        if row and (changed or absorbed) and on_found == "refuse":
            raise errors.UpdateRefused(row["id"])
        result = "merged" if absorbed else "updated" if changed else "unchanged"
        plan |= {"result": result if row else "created", "before": row}
        plan |= {"matched_by": matched_by, "merged": absorbed, "after": draft["fields"]}
        plan["also_matched"] = [
            i for i in dict.fromkeys(plan["also_matched"]) if i != id
        ]
        judged = [*self.judged, *found[:1], *absorbed]
        return plan | {"claims": self.claims, "judged": judged, "draft": draft}

    def apply(self, plan: Row) -> Row:
        """Write the result of a plan, if its contacts and holders are unchanged."""
        row, claims, draft = plan["before"], plan["claims"], plan["draft"]
        changed = [contact for contact in plan["judged"] if contact not in self.rows]
        if changed or claims != {claim: self.held(*claim) for claim in claims}:
            raise errors.StalePlan("")
        if plan["result"] == "unchanged":
            return {**plan, "contact": row}
        now, parts = self.clock().isoformat(), ("fields", "clocks")
        if row and "deleted_at" not in row:
            unchanged = all(same(draft[part], row.get(part, {})) for part in parts)
            now = row["updated_at"] if unchanged else now
        new = {"fields": draft["fields"], "updated_at": now}
        new |= {part: draft[part] for part in ("clocks", "aliases") if draft[part]}
        absorbed_ids = [*(row or {}).get("merged_ids", [])]
        absorbed_ids += [
            i for r in plan["merged"] for i in (r["id"], *r.get("merged_ids", []))
        ]
        new |= {"merged_ids": [*dict.fromkeys(absorbed_ids)]} if absorbed_ids else {}
        if row:
            kept = ("id", "scope", "created_at")
            new |= {part: row[part] for part in kept} | {"version": row["version"] + 1}
            self.rows[self.rows.index(row)] = new
            self.rows = [
                contact for contact in self.rows if contact not in plan["merged"]
            ]
        else:
            id, scope = plan["new_id"] or self.ids(), plan["scope"]
            new |= {"id": id, "scope": scope, "version": 1}
            new["created_at"] = new["updated_at"]
            if self.held("", id, scope):
                raise IdInUse(id)
            self.born = [one for one in self.born if one != (scope, id)]
            self.born.append((scope, id))
            self.rows.append(new)
        return {**plan, "contact": new}

    def get(self, id: str, scope: str = "") -> Row:
        for row in self.rows:
            if is_of(row, id, scope):
                return row
        raise errors.UnknownContact(id)

    def look(self, name: str, form: str, scope: str) -> list[str]:
        """Ask who holds a form, and remember the answer: a plan rests on it."""
        self.claims[name, form, scope] = self.held(name, form, scope)
        return self.claims[name, form, scope]

    def held(self, name: str, form: str, scope: str = "") -> list[str]:
        """Return the ids of the holders of a form, in order of creation."""
        if name in ("", self.policy.id_field):
            return [row["id"] for row in self.rows if is_of(row, form, scope)]
        key = key_named(self.policy, name)
        rows = [row for row in self.rows if row["scope"] == scope]
        return [row["id"] for row in rows if form in held_forms(self.policy, key, row)]

"""
Naive twins of the verbs that merge contacts, and of a batch as a whole.

Rules:
    An absorbed contact is kept only in the outcome that has it.
    Groups are found by comparing all pairs, over and over.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from tests.oracle.keys import Row, held_forms
from tests.oracle.match import match_forms
from tests.oracle.merge import keeps_update_time
from tests.oracle.patch import own_ids, read
from tests.oracle.values import empty, same
from upsertcore import Policy, errors
from upsertcore.store.ids import IdInUse


def check_overrides(policy: Policy, options: Row) -> None:
    """Refuse rules for unknown fields, a second clock, and calls that do nothing."""
    for name, rule in (options.get("rules") or {}).items():
        if name not in policy.fields and policy.extra_fields is None:
            raise errors.UnknownField(name, tuple(policy.fields))
        if rule.by is not None and keeps_update_time(policy, name):
            raise errors.InvalidPolicy(name)
    found, not_found = [on(policy, name, options) for name in ("found", "not_found")]
    if found != "update" and not_found == "refuse":
        raise errors.InvalidPolicy("on_found")


def on(policy: Policy, name: str, options: Row) -> str:
    """Return what a call does where a contact is found, or where none is."""
    name = f"on_{name}"
    return str(options.get(name) or getattr(policy, name))


def refuse_deleted(policy: Policy, found: list[Row]) -> None:
    """Refuse the first deleted contact among those found, where a policy does so."""
    for row in found:
        if policy.on_deleted == "refuse" and "deleted_at" in row:
            raise errors.ContactDeleted(row["id"])


def transitive_groups(sets: list[set[Any]]) -> list[list[int]]:
    """Group the places of sets that share an item, directly or through others."""
    groups = [[place] for place in range(len(sets))]
    for _ in sets:
        for group in groups:
            for other in groups:
                mine = set().union(*[sets[place] for place in group])
                if group is not other and any(mine & sets[place] for place in other):
                    group.extend(other)
                    other.clear()
    return sorted(sorted(group) for group in groups if len(group) > 1)


def sent_forms(policy: Policy, patch: Row) -> set[Any]:
    """Return the forms of a patch by which its contact is looked up."""
    try:
        sent, _ = read(policy, patch)
    except errors.Refused:
        return set()
    own = own_ids(policy, patch, None)["own"]
    return {
        (name, form)
        for name in policy.match.keys
        for form in match_forms(policy, name, sent, own)
    }


def duplicates_of(policy: Policy, patches: list[Row]) -> dict[int, list[int]]:
    """Map each patch to the places of its duplicates."""
    groups = transitive_groups([sent_forms(policy, patch) for patch in patches])
    return {row: [r for r in group if r != row] for group in groups for row in group}


def earlier_duplicates(
    policy: Policy, patches: list[Row], answers: list[Any], row: int
) -> list[int]:
    """List the earlier rows that were accepted and share a form with this one."""
    mine = sent_forms(policy, patches[row])
    return [
        other
        for other, answer in enumerate(answers[:row])
        if not isinstance(answer, Exception)
        and mine & sent_forms(policy, patches[other])
    ]


class MergeVerbs:
    """The verbs of the oracle other than upsert."""

    policy: Policy
    rows: list[Row]
    born: list[tuple[str, str]]
    claims: dict[tuple[str, str, str], list[str]]
    judged: list[Row]
    forgot: frozenset[tuple[str, str]] = frozenset()
    """Ids of contacts that were absorbed before their survivor was loaded."""
    decide: Callable[..., Row]
    apply: Callable[[Row], Row]
    upsert: Callable[..., Row]
    get: Callable[..., Row]

    def merge(self, survivor: str, *others: str, **options: Any) -> Row:
        """Merge several contacts into one, and then a patch."""
        return self.apply(self.plan_merge(survivor, *others, **options))

    def plan_merge(
        self,
        survivor: str,
        *others: str,
        scope: str = "",
        on_itself: str = "refuse",
        patch: Row | None = None,
        if_version: int | None = None,
        rules: Row | None = None,
    ) -> Row:
        """Decide what a merge would do, and the state on which that depends."""
        check_overrides(self.policy, {"rules": rules})
        sent, ignored = read(self.policy, patch or {})
        row, *rest = [self.get(id, scope) for id in (survivor, *others)]
        if row in rest and on_itself == "refuse":
            raise errors.InvalidField("others", row["id"], "")
        absorbed: list[Row] = []
        for contact in rest:
            absorbed += [contact] if contact not in [row, *absorbed] else []
        plan: Row = {"scope": row["scope"], "sent": sent, "ignored": ignored}
        plan |= {"also_matched": [], "withheld": []}
        self.claims, self.judged = {}, []
        if absorbed or sent:
            found = [row, *absorbed]
            return self.decide(plan, found, None, rules or {}, if_version)
        if if_version and if_version != row["version"]:
            raise errors.StaleVersion(row["id"], if_version, row["version"])
        refuse_deleted(self.policy, [row])
        plan |= {"result": "unchanged", "matched_by": None, "merged": []}
        plan |= {"new_id": None}
        plan |= {"before": row, "after": row["fields"], "claims": {}, "judged": [row]}
        return {**plan, "draft": {"clocks": row.get("clocks", {})}}

    def undo(self, answer: Row) -> Row:
        """Restore the contacts of before, if nothing has changed since."""
        if answer["result"] == "unchanged":
            return answer
        current, restored = answer["contact"], [answer["before"], *answer["merged"]]
        if answer["result"] == "undone" or current not in self.rows:
            raise errors.StaleOutcome("")
        if any((row["scope"], row["id"]) in self.forgot for row in answer["merged"]):
            raise errors.StaleOutcome("")
        rest = [row for row in self.rows if row != current]
        restored = [row for row in restored if row]
        if self.policy.on_key_in_use != "allow" and any(
            {*held_forms(self.policy, key, row)}
            & {*held_forms(self.policy, key, other)}
            for key in self.policy.all_keys
            for row in restored
            for other in rest
            if key.unique and row["scope"] == other["scope"]
        ):
            raise errors.StaleOutcome("")
        self.rows = sorted(
            [*rest, *restored],
            key=lambda row: self.born.index((row["scope"], row["id"])),
        )
        outcome: Row = {
            "matched_by": None,
            "withheld": [],
            "ignored": {},
            "also_matched": [],
        }
        outcome |= {"contact": (restored or [current])[0], "before": current}
        return {**outcome, "result": "undone", "merged": answer["merged"]}

    def duplicates(
        self,
        *keys: str,
        scope: str | None = None,
        of: str | None = None,
        blank: bool = False,
    ) -> list[list[Row]]:
        """Group the contacts that share a form; then those that have none."""
        one = None if of is None else self.get(of, scope or "")
        scope = scope if one is None else one["scope"]
        keys_compared = [
            key for key in self.policy.all_keys if key.name in keys or not keys
        ]
        sets: list[set[Any]] = [
            {
                (row["scope"], key.name, form)
                for key in keys_compared
                for form in held_forms(self.policy, key, row)
                if scope in (None, row["scope"]) and "deleted_at" not in row
            }
            for row in self.rows
        ]
        groups = [
            [self.rows[place] for place in group] for group in transitive_groups(sets)
        ]
        for key in keys_compared if blank else []:
            bare = [
                row
                for row in self.rows
                if scope in (None, row["scope"])
                and "deleted_at" not in row
                and not held_forms(self.policy, key, row)
                and all(empty(row["fields"].get(name)) for name in key.fields)
            ]
            groups += [
                [row for row in bare if row["scope"] == at]
                for at in dict.fromkeys(row["scope"] for row in bare)
            ]
        return [
            group
            for group in groups
            if len(group) > 1 and (one is None or one in group)
        ]

    def scan(
        self, fields: Row, scope: str = "", after: Any = None, limit: Any = None
    ) -> list[Row]:
        """List the contacts of a scope that hold these values."""
        rows = self.rows
        if after is not None:
            ids = [row["id"] for row in rows if row["scope"] == scope]
            if after not in ids:
                raise errors.UnknownContact(after)
            places = [(row["scope"], row["id"]) for row in rows]
            rows = rows[places.index((scope, after)) + 1 :]
        return [
            row
            for row in rows
            if row["scope"] == scope
            and all(same(row["fields"].get(n), fields[n]) for n in fields)
        ][:limit]

    def dedupe(
        self,
        *keys: str,
        scope: str | None = None,
        keep: str = "oldest",
        on_refused: str = "raise",
    ) -> list[Any]:
        """Merge each group of duplicates into its oldest or newest contact."""
        answers: list[Any] = []
        for group in self.duplicates(*keys, scope=scope):
            try:
                ids = [row["id"] for row in group]
                ids = ids if keep == "oldest" else ids[::-1]
                answers.append(self.merge(*ids, scope=group[0]["scope"]))
            except errors.Refused as error:
                error.row = len(answers)
                if on_refused == "raise":
                    raise
                answers.append(error)
        return answers

    def upsert_many(
        self,
        patches: list[Row],
        scope: str = "",
        *,
        on_refused: str = "raise",
        atomic: bool = False,
        on_duplicates: str = "fold",
    ) -> list[Any]:
        """Upsert one after the other: all of them, or up to a refusal."""
        all_duplicates = (
            duplicates_of(self.policy, patches) if on_duplicates == "refuse_all" else {}
        )
        answers: list[Any] = []
        before = deepcopy((self.rows, self.born))
        for row, patch in enumerate(patches if atomic else []):
            try:
                read(self.policy, patch)
            except errors.Refused as error:
                error.row = row
                raise
        for row, patch in enumerate(patches):
            others = all_duplicates.get(row, [])
            if on_duplicates == "refuse_later":
                others = earlier_duplicates(self.policy, patches, answers, row)
            try:
                if others:
                    raise errors.DuplicatePatch(row, tuple(others))
                answers.append(self.upsert(patch, scope=scope))
            except (IdInUse, errors.Refused) as error:
                error.row = row  # type: ignore[union-attr]
                if atomic:
                    self.rows, self.born = before
                if on_refused == "raise" or isinstance(error, IdInUse):
                    raise
                answers.append(error)
        return answers

"""
Naive twins of the verbs on contacts among themselves, and of a batch as a whole.

Rules:
    A contact that went away is kept nowhere but in the outcome that tells of it.
    Groups are found by comparing everybody with everybody, over and over.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from tests.oracle.keys import Row, forms, held, key_named
from tests.oracle.patch import read
from upsertcore import Policy, errors


def closed(sets: list[set[Any]]) -> list[list[int]]:
    """Group the places of sets that have an item in common, perhaps through others."""
    groups = [[place] for place in range(len(sets))]
    for _ in sets:
        for group in groups:
            for other in groups:
                mine = set().union(*[sets[place] for place in group])
                if group is not other and any(mine & sets[place] for place in other):
                    group.extend(other)
                    other.clear()
    return sorted(sorted(group) for group in groups if len(group) > 1)


def carried(policy: Policy, patch: Row) -> set[Any]:
    """Give the forms of a patch by which its contact is looked for."""
    try:
        sent, _ = read(policy, patch)
    except errors.Refused:
        return set()
    keys = [key_named(policy, name) for name in policy.match.keys]
    return {(k.name, form) for k in keys for form in forms(policy, k, sent)}


def repeats_of(policy: Policy, patches: list[Row]) -> dict[int, list[int]]:
    """Give, for each patch, the places of those that repeat it."""
    groups = closed([carried(policy, patch) for patch in patches])
    return {row: [r for r in each if r != row] for each in groups for row in each}


def earlier_alike(
    policy: Policy, patches: list[Row], answers: list[Any], row: int
) -> list[int]:
    """Give the earlier rows that were accepted and share a form with this one."""
    mine = carried(policy, patches[row])
    return [
        other
        for other, answer in enumerate(answers[:row])
        if not isinstance(answer, Exception) and mine & carried(policy, patches[other])
    ]


class Joining:
    """What the oracle does beside upserts."""

    policy: Policy
    rows: list[Row]
    born: list[str]
    claims: dict[tuple[str, str, str], list[str]]
    judged: list[Row]
    forgot: frozenset[str] = frozenset()
    """Ids of contacts that were absorbed before their survivor was loaded."""
    decide: Callable[..., Row]
    apply: Callable[[Row], Row]
    upsert: Callable[..., Row]
    get: Callable[..., Row]

    def merge(
        self, survivor: str, *others: str, scope: str = "", on_itself: str = "refuse"
    ) -> Row:
        """Make several contacts one."""
        row, *rest = [self.get(id, scope) for id in (survivor, *others)]
        if row in rest and on_itself == "refuse":
            raise errors.InvalidField("others", row["id"], "")
        gone: list[Row] = []
        for each in rest:
            gone += [each] if each not in [row, *gone] else []
        plan: Row = {"scope": row["scope"], "sent": {}, "ignored": {}}
        plan |= {"also_matched": [], "withheld": []}
        self.claims, self.judged = {}, []
        return self.apply(self.decide(plan, [row, *gone], None, {}))

    def undo(self, answer: Row) -> Row:
        """Put back what was, if nothing has come since."""
        if answer["result"] == "unchanged":
            return answer
        now, back = answer["contact"], [answer["before"], *answer["merged"]]
        if answer["result"] == "undone" or now not in self.rows:
            raise errors.StaleOutcome("")
        if any(row["id"] in self.forgot for row in answer["merged"]):
            raise errors.StaleOutcome("")
        rest = [row for row in self.rows if row != now]
        back = [row for row in back if row]
        if self.policy.on_key_in_use != "allow" and any(
            {*held(self.policy, key, row)} & {*held(self.policy, key, other)}
            for key in self.policy.all_keys
            for row in back
            for other in rest
            if key.unique and row["scope"] == other["scope"]
        ):
            raise errors.StaleOutcome("")
        self.rows = sorted([*rest, *back], key=lambda row: self.born.index(row["id"]))
        told: Row = {
            "matched_by": None,
            "withheld": [],
            "ignored": {},
            "also_matched": [],
        }
        told |= {"contact": (back or [now])[0], "before": now}
        return {**told, "result": "undone", "merged": answer["merged"]}

    def duplicates(self, *keys: str, scope: str | None = None) -> list[list[Row]]:
        """Group those who share a form, perhaps through others."""
        named = [key for key in self.policy.all_keys if key.name in keys or not keys]
        sets: list[set[Any]] = [
            {
                (row["scope"], key.name, form)
                for key in named
                for form in held(self.policy, key, row)
                if scope in (None, row["scope"]) and "deleted_at" not in row
            }
            for row in self.rows
        ]
        return [[self.rows[place] for place in group] for group in closed(sets)]

    def dedupe(
        self, *keys: str, scope: str | None = None, on_refused: str = "raise"
    ) -> list[Any]:
        """Merge those who share a form into the oldest of them."""
        answers: list[Any] = []
        for group in self.duplicates(*keys, scope=scope):
            try:
                ids = [row["id"] for row in group]
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
        """Upsert one after the other, all of them or as far as it goes."""
        all_alike = (
            repeats_of(self.policy, patches) if on_duplicates == "refuse_all" else {}
        )
        answers: list[Any] = []
        were = deepcopy((self.rows, self.born))
        for row, patch in enumerate(patches if atomic else []):
            try:
                read(self.policy, patch)
            except errors.Refused as error:
                error.row = row
                raise
        for row, patch in enumerate(patches):
            others = all_alike.get(row, [])
            if on_duplicates == "refuse_later":
                others = earlier_alike(self.policy, patches, answers, row)
            try:
                if others:
                    raise errors.DuplicatePatch(row, tuple(others))
                answers.append(self.upsert(patch, scope=scope))
            except errors.Refused as error:
                error.row = row
                if atomic:
                    self.rows, self.born = were
                if on_refused == "raise":
                    raise
                answers.append(error)
        return answers

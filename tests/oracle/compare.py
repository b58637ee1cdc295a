"""
A naive twin of comparing: two oracles, side by side, and where their answers part.

Rules:
    Each begins with a copy of the same rows, and calls whom it creates by the row.
    Of two refusals only the kind is told apart: the words are the library's.
"""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from tests.oracle.keys import Row
from tests.oracle.oracle import Oracle
from tests.oracle.values import written
from upsertcore import Policy, errors
from upsertcore.values import thaw

NOW = datetime(2024, 1, 2, tzinfo=UTC)


def compare(
    oracle: Oracle, other: Policy, patches: list[Row], scope: str
) -> list[tuple[int, str, str, str]]:
    """Give row, part and both answers, written, of each difference."""
    names = [""]
    sides = []
    for policy in (oracle.policy, other):
        side = Oracle(
            policy, lambda: names[0], lambda: datetime(2024, 1, 2, tzinfo=UTC)
        )
        side.rows = deepcopy(oracle.rows)
        sides.append(side)
    found = []
    for number, patch in enumerate(patches):
        mine, theirs = [_parts(side, patch, scope, number, names) for side in sides]
        for part in (
            {**mine, **theirs} if mine.keys() == theirs.keys() else ("refused",)
        ):
            a, b = written(mine.get(part)), written(theirs.get(part))
            if a != b:
                found.append((number, part, a, b))
    return found


def _parts(side: Oracle, patch: Row, scope: str, number: int, names: list[str]) -> Row:
    taken = [id for row in side.rows for id in (row["id"], *row.get("merged_ids", []))]
    name = f"row {number}"
    while name in taken:
        name += "'"
    names[0] = name
    try:
        answer = side.upsert(patch, scope=scope)
    except errors.Refused as error:
        return {"refused": type(error).__name__}
    lost: Row = {field: f"held by {by}" for field, _, by, _ in answer["withheld"]}
    return {
        "contact": answer["contact"]["id"],
        "merged": [row["id"] for row in answer["merged"]],
        "not stored": {**answer["ignored"], **lost},
        "fields": answer["contact"]["fields"],
    }


def library_differences(differences: Any) -> list[tuple[int, str, str, str]]:
    """Write what the library says in the same words; refusals of one kind are one."""
    rows = []
    for each in differences:
        both = [thaw(each.current), thaw(each.other)]
        if each.part == "refused":
            both = [None if said is None else said.split(":")[0] for said in both]
        a, b = map(written, both)
        if a != b:
            rows.append((each.row, each.part, a, b))
    return rows

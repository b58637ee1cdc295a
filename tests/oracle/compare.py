"""
A naive twin of comparing: two oracles side by side, and where their answers differ.

Rules:
    Each begins with a copy of the same rows, and gives ids by the row.
    Refusals are compared by their kind: the texts are the library's.
"""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from tests.oracle.keys import Row
from tests.oracle.oracle import Oracle
from tests.oracle.values import as_json
from upsertcore import Policy, errors
from upsertcore.values import thaw

NOW = datetime(2024, 1, 2, tzinfo=UTC)


def compare(
    oracle: Oracle, other: Policy, patches: list[Row], scope: str
) -> list[tuple[int, str, str, str]]:
    """List row, part and both answers, as text, of each difference."""
    names = [""]
    sides = []
    for policy in (oracle.policy, other):
        side = Oracle(
            policy, lambda: names[0], lambda: datetime(2024, 1, 2, tzinfo=UTC)
        )
        side.rows = deepcopy(oracle.rows)
        sides.append(side)
    differences = []
    for number, patch in enumerate(patches):
        mine, theirs = [_parts(side, patch, scope, number, names) for side in sides]
        for part in (
            {**mine, **theirs} if mine.keys() == theirs.keys() else ("refused",)
        ):
            a, b = as_json(mine.get(part)), as_json(theirs.get(part))
            if a != b:
                differences.append((number, part, a, b))
    return differences


def _parts(side: Oracle, patch: Row, scope: str, number: int, names: list[str]) -> Row:
    used = [id for row in side.rows for id in (row["id"], *row.get("merged_ids", []))]
    name = f"row {number}"
    while name in used:
        name += "'"
    names[0] = name
    try:
        answer = side.upsert(patch, scope=scope)
    except errors.Refused as error:
        return {"refused": type(error).__name__}
    withheld: Row = {field: f"held by {by}" for field, _, by, _ in answer["withheld"]}
    return {
        "contact": answer["contact"]["id"],
        "merged": [row["id"] for row in answer["merged"]],
        "not stored": {**answer["ignored"], **withheld},
        "fields": answer["contact"]["fields"],
    }


def library_differences(differences: Any) -> list[tuple[int, str, str, str]]:
    """List the differences of the library in the same form."""
    rows = []
    for difference in differences:
        both = [thaw(difference.current), thaw(difference.other)]
        if difference.part == "refused":
            both = [None if text is None else text.split(":")[0] for text in both]
        a, b = map(as_json, both)
        if a != b:
            rows.append((difference.row, difference.part, a, b))
    return rows

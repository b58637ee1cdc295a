"""The documented cases of tests/cases/<profile>.json, each with its source."""

from __future__ import annotations

import json
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from upsertcore import profiles

CASES = [
    pytest.param(path.stem, case, id=f"{path.stem}: {case['name']}")
    for path in sorted(Path(__file__).parents[1].glob("cases/*.json"))
    if path.stem in profiles.__all__
    if path.stem in profiles.BY_NAME
    for case in json.loads(path.read_text(encoding="utf-8"))
]


def matches(expected: Any, actual: Any) -> bool:
    """Return whether a body is the documented one; ``"<any>"`` matches all values."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        return expected.keys() == actual.keys() and all(
            matches(value, actual[name]) for name, value in expected.items()
        )
    return bool(expected in ("<any>", actual))


@pytest.mark.parametrize(("profile", "case"), CASES)
def test_documented_call_has_the_documented_response(
    profile: str, case: dict[str, Any]
) -> None:
    """Status and body of each call are those of the source."""
    assert case["source"]
    numbers = count(1)
    now = datetime.fromisoformat(case.get("now", "2024-01-01T00:00:00+00:00"))
    make: Any = getattr(profiles, profile)
    system = make(
        **case.get("options", {}),
        rows=case.get("rows", []),
        ids=lambda: f"c-{next(numbers)}",
        clock=lambda: now,
    )

    for call in case["calls"]:
        response = system.upsert(call["payload"], **call.get("path", {}))

        assert call["status"] == response.status, response.body
        assert matches(call["body"], response.body), response.body

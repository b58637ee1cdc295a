"""The cost of each input of tests/cases/growth.json grows within its bound."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.full

CASES: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "cases" / "growth.json").read_text("utf-8")
)
INPUTS: list[dict[str, Any]] = CASES["inputs"]
GROWTH = {"linear": 2.5, "quadratic": 4.6}
"""How much more the second doubling may add than the first; n log n adds 2.2 times."""


def within(case: dict[str, Any], works: list[int]) -> bool:
    """Return whether the work at n, 2n and 4n stays within the bound of an input."""
    one, two, four = works
    more: float = GROWTH.get(case["bound"], 0)
    least: int = case.get("least", 60)
    if case["bound"] == "constant":
        return four - one <= max(one / 10, least)
    if two < one:
        # An input that is too long may be refused at once.
        return four <= more * two
    return four - two <= more * (two - one) + max(least, 4 * one // 100)


@pytest.fixture(scope="module")
def works() -> dict[int, list[int]]:
    """Count all inputs in a process that imports the package with counters."""
    program = [sys.executable, "-m", "tests.growth.main"]
    # Coverage measures the syntax tree of the file, which is not the one that runs.
    environment = {n: v for n, v in os.environ.items() if not n.startswith("COVERAGE")}
    process = subprocess.run(
        [*program, "0", str(len(INPUTS)), "1"],
        cwd=Path(__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-2000:]
    lines = [json.loads(line) for line in process.stdout.splitlines()]
    return {number: counts for number, counts, _times in lines}


def test_cost_of_each_call_grows_within_its_bound(works: dict[int, list[int]]) -> None:
    """At n, 2n and 4n."""
    described = {
        number: (case["grows"], case.get("policy"), case["call"], works[number])
        for number, case in enumerate(INPUTS)
    }
    over = [
        described[number]
        for number, case in enumerate(INPUTS)
        if not within(case, works[number])
    ]

    assert over == []


def test_every_input_is_unique_and_counted(works: dict[int, list[int]]) -> None:
    """An input with a quadratic bound has a reason."""
    assert len({json.dumps(case) for case in INPUTS}) == len(INPUTS)
    assert {*works} == {*range(len(INPUTS))}
    assert [
        case for case in INPUTS if case["bound"] == "quadratic" and "why" not in case
    ] == []

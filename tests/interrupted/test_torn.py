"""Each input of tests/cases/torn.json leaves the book before the call, or after it."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.interrupted.torn import CASES
from tests.interrupted.trying import WAYS, Torn, try_case

# Coverage and debuggers use the same hook.
pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(
        sys.gettrace() is not None, reason="something else traces this run"
    ),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
]

POINTS = 6
"""Points at which a call is interrupted; ``python -m tests.interrupted.trying`` takes
all of them."""

INPUTS: list[dict[str, Any]] = CASES["inputs"]


@pytest.mark.parametrize("way", [way for way in WAYS if way != "memory"])
def test_interrupted_call_leaves_a_whole_book(way: str) -> None:
    """The call can be repeated, and the rows of dump() load."""
    torn = []
    for number, case in enumerate(INPUTS):
        if case["way"] == way:
            try:
                try_case(case, POINTS, number)
            except Torn as error:
                torn.append(f"input {number}: {error}")

    assert torn == []


@pytest.mark.skipif(
    find_spec("_testcapi") is None, reason="this Python has no _testcapi"
)
def test_call_without_memory_leaves_a_whole_book() -> None:
    """In another process."""
    root = Path(__file__).parents[2]
    program = [sys.executable, "-m", "tests.interrupted.trying", "memory", str(POINTS)]
    process = subprocess.run(
        program, cwd=root, capture_output=True, text=True, check=False
    )

    assert process.returncode == 0, process.stdout + process.stderr


def test_inputs_are_unique_and_use_every_way() -> None:
    assert len({repr(case) for case in INPUTS}) == len(INPUTS)
    assert {case["way"] for case in INPUTS} == {*WAYS}

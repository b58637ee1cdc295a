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
from tests.interrupted.trying import WAYS, Torn, tried

# Coverage and the debugger use the same hook.
pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(
        sys.gettrace() is not None, reason="something else traces this run"
    ),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
]

FEW = 6
"""Points at which a call is interrupted; ``python -m tests.interrupted.trying`` takes
all of them."""

INPUTS: list[dict[str, Any]] = CASES["inputs"]


@pytest.mark.parametrize("way", [way for way in WAYS if way != "memory"])
def test_what_is_interrupted_leaves_a_whole_book(way: str) -> None:
    """Before or after the call; it can be made again, and dump() loads."""
    torn = []
    for number, case in enumerate(INPUTS):
        if case["way"] == way:
            try:
                tried(case, FEW, number)
            except Torn as error:
                torn.append(f"input {number}: {error}")

    assert torn == []


@pytest.mark.skipif(
    find_spec("_testcapi") is None, reason="this Python has no _testcapi"
)
def test_what_lacks_memory_leaves_a_whole_book() -> None:
    """In a process of its own."""
    root = Path(__file__).parents[2]
    program = [sys.executable, "-m", "tests.interrupted.trying", "memory", str(FEW)]
    done = subprocess.run(
        program, cwd=root, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_inputs_are_each_another_one() -> None:
    """By what is interrupted, and how."""
    assert len({repr(case) for case in INPUTS}) == len(INPUTS)
    assert {case["way"] for case in INPUTS} == {*WAYS}

"""The tables that end a run: what they show, and how wide they are."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from upsertcore.cli.output import RunCounts


def shown(counts: RunCounts, seconds: float) -> list[str]:
    """Print counts, and return its lines."""
    console = Console(file=io.StringIO(), width=100)
    counts.print(console, seconds)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("rate", [1, 999, 1_000, 9_999, 10_000, 123_456, 9_999_999])
def test_the_table_of_a_run_has_one_width_on_any_machine(rate: int) -> None:
    """The rate of a slow machine and of a fast one take the same room."""
    counts = RunCounts()
    counts.results["created"] = 2_500
    lines = shown(counts, 2_500 / rate)
    slow = shown(counts, 2_500)

    [told] = [line for line in lines if "rows per second" in line]
    assert f"{rate:,}" == told.split()[-1]
    assert lines[:-2] == slow[:-2]
    assert {len(line) for line in lines} == {len(line) for line in slow}

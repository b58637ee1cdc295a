"""The table at the end of a run: content and width."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from upsertcore.cli.output import RunCounts


def printed_lines(counts: RunCounts, seconds: float) -> list[str]:
    """Print counts, and return the lines."""
    console = Console(file=io.StringIO(), width=100)
    counts.print(console, seconds)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("rate", [1, 999, 1_000, 9_999, 10_000, 123_456, 9_999_999])
def test_table_of_a_run_has_one_width_at_any_rate(rate: int) -> None:
    counts = RunCounts()
    counts.results["created"] = 2_500
    lines = printed_lines(counts, 2_500 / rate)
    slow = printed_lines(counts, 2_500)

    [rate_line] = [line for line in lines if "rows per second" in line]
    assert f"{rate:,}" == rate_line.split()[-1]
    assert lines[:-2] == slow[:-2]
    assert {len(line) for line in lines} == {len(line) for line in slow}

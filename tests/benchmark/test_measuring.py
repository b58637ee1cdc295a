"""What is measured of a piece of work; figures are checked for their shape only."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from upsertcore.benchmark.measuring import (
    in_turn,
    kept_bytes,
    percentile,
    step_times,
    timed,
)
from upsertcore.benchmark.processes import run_module


def test_time_of_work_is_positive_and_the_work_is_done_once() -> None:
    done: list[int] = []

    assert timed(lambda: done.append(1)) > 0
    assert [1] == done


def test_each_step_has_a_time_and_times_ascend() -> None:
    done: list[int] = []
    times = step_times(done.append, [3, 1, 2])

    assert [3, 1, 2] == done
    assert sorted(times) == times
    assert 3 == len(times)
    assert times[0] > 0


def test_kept_bytes_are_those_that_the_work_leaves() -> None:
    """What it discards does not count."""

    def discards() -> None:
        bytearray(1_000_000)

    assert 1_000_000 <= kept_bytes(lambda: bytearray(1_000_000)) < 1_100_000
    assert kept_bytes(discards) < 100_000


@pytest.mark.parametrize(
    ("share", "value"), [(0.01, 1), (0.5, 50), (0.99, 99), (1.0, 100)]
)
def test_percentile_is_a_value_that_the_share_does_not_exceed(
    share: float, value: int
) -> None:
    assert value == percentile(range(100, 0, -1), share)


def test_round_of_all_tasks_comes_before_the_next_round() -> None:
    assert [(0, 1), (0, 2), (1, 1), (1, 2)] == [*in_turn([1, 2], 2)]
    assert [] == [*in_turn([1, 2], 0)]


MODULE = """
import json, os, sys
print("not the result")
print(json.dumps({"argument": sys.argv[1], "seed": os.environ["PYTHONHASHSEED"]}))
"""


def test_module_runs_with_its_argument_and_a_fixed_hash_seed(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MODULE, encoding="utf-8")
    expected = {"argument": "é", "seed": "0"}

    assert expected == run_module("mine", "é", folder=tmp_path)
    assert expected == run_module("mine", "é", paths=[str(tmp_path)])
    assert expected == run_module("mine", "é", folder=tmp_path, python=sys.executable)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise KeyError('nobody')", "KeyError: 'nobody'"),
        ("import sys; sys.exit(3)", "no message"),
    ],
)
def test_error_of_a_process_is_its_last_line(
    code: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(code, encoding="utf-8")
    with pytest.raises(RuntimeError, match=message):
        run_module("mine", "", folder=tmp_path)

"""An exception at any moment leaves the book before the call, or the book after it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.interrupted.points import count_points, interrupt
from tests.interrupted.verbs import VERBS, made, state

# Coverage and the debugger use the same hook.
pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(
        sys.gettrace() is not None, reason="something else traces this run"
    ),
]


@pytest.mark.parametrize("name", VERBS)
def test_an_exception_at_every_point_leaves_the_book_whole(name: str) -> None:
    """Not a sample: each opcode after which CPython may run a signal handler."""
    choices, before, call = VERBS[name]
    book = made(choices, before)
    points = count_points(lambda: call(book))
    first, last = state(made(choices, before)), state(book)
    assert first != last
    assert points > 50

    outcomes = []
    for point in range(points):
        book = made(choices, before)
        ended = interrupt(lambda: call(book), point)  # noqa: B023 - called at once
        now = state(book)
        assert now in ((first, last) if ended else (last,)), f"point {point}"
        outcomes.append(now == last)
    # Once it counts it counts at every later point.
    assert outcomes == sorted(outcomes)
    assert {False, True} == {*outcomes}
    book = made(choices, before)
    assert not interrupt(lambda: call(book), points)


AGAIN = [
    *("create", "create, fast", "update of a key", "update of a field"),
    *("update, aliases", "list keys", "idempotent call"),
]


@pytest.mark.parametrize("name", AGAIN)
def test_an_interrupted_call_can_be_made_again(name: str) -> None:
    """The next call completes the write first, and is no different from any other."""
    choices, before, call = VERBS[name]
    book = made(choices, before)
    points = count_points(lambda: call(book))
    call(book)
    rows = [row["fields"] for row in book.dump()]
    for point in range(points):
        book = made(choices, before)
        interrupt(lambda: call(book), point)  # noqa: B023 - called at once
        call(book)
        assert [row["fields"] for row in book.dump()] == rows


@pytest.mark.skipif(
    importlib.util.find_spec("_testcapi") is None, reason="this Python has no _testcapi"
)
@pytest.mark.parametrize("name", VERBS)
def test_a_failed_allocation_leaves_the_book_whole(name: str) -> None:
    """Each allocation of a call fails once; in a process of its own."""
    program = Path(__file__).parent / "no_memory.py"
    done = subprocess.run(
        [sys.executable, program, name], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    raised, calls = map(int, done.stdout.split())
    assert 0 < raised <= calls

"""An exception at any point leaves the book before the call, or the one after it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.interrupted.points import count_points, interrupt
from tests.interrupted.verbs import VERBS, book_after, state

# Coverage and debuggers use the same hook.
pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(
        sys.gettrace() is not None, reason="something else traces this run"
    ),
]


@pytest.mark.parametrize("name", VERBS)
def test_exception_at_any_point_leaves_the_state_before_or_after(name: str) -> None:
    """Every opcode after which CPython may run a signal handler."""
    choices, before, call = VERBS[name]
    book = book_after(choices, before)
    points = count_points(lambda: call(book))
    first, last = state(book_after(choices, before)), state(book)
    assert first != last
    assert points > 50

    outcomes = []
    for point in range(points):
        book = book_after(choices, before)
        ended = interrupt(lambda: call(book), point)  # noqa: B023 - called at once
        current = state(book)
        assert current in ((first, last) if ended else (last,)), f"point {point}"
        outcomes.append(current == last)
    # Once the call takes effect it does so at every later point.
    assert outcomes == sorted(outcomes)
    assert {False, True} == {*outcomes}
    book = book_after(choices, before)
    assert not interrupt(lambda: call(book), points)


REPEATABLE = [
    *("create", "create, fast", "update of a key", "update of a field"),
    *("update, aliases", "list keys"),
    *("idempotent call", "idempotent call, unchanged"),
]


@pytest.mark.parametrize("name", REPEATABLE)
def test_interrupted_call_can_be_repeated(name: str) -> None:
    """The next call completes the write first."""
    choices, before, call = VERBS[name]
    book = book_after(choices, before)
    points = count_points(lambda: call(book))
    call(book)
    rows = [row["fields"] for row in book.dump()]
    for point in range(points):
        book = book_after(choices, before)
        interrupt(lambda: call(book), point)  # noqa: B023 - called at once
        call(book)
        assert [row["fields"] for row in book.dump()] == rows


@pytest.mark.skipif(
    importlib.util.find_spec("_testcapi") is None, reason="this Python has no _testcapi"
)
@pytest.mark.parametrize("name", VERBS)
def test_failed_allocation_leaves_the_state_before_or_after(name: str) -> None:
    """Each allocation of a call fails once, in another process."""
    program = Path(__file__).parent / "no_memory.py"
    process = subprocess.run(
        [sys.executable, program, name], capture_output=True, text=True, check=False
    )

    assert process.returncode == 0, process.stderr
    raised, calls = map(int, process.stdout.split())
    assert 0 < raised <= calls

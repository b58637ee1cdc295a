"""The opcodes at which CPython may run a signal handler, and how to raise at one."""

from __future__ import annotations

import dis
import gc
import sys
from collections.abc import Callable
from functools import cache
from types import CodeType, FrameType
from typing import Any

__all__ = [
    "Interrupted",
    "at_each_opcode",
    "count_points",
    "interrupt",
    "may_collect",
]


class Interrupted(Exception):
    """The exception of a signal handler."""


def count_points(call: Callable[[], object]) -> int:
    """Count the points of a call at which a signal handler may run."""
    return _run(call, -1)


def interrupt(
    call: Callable[[], object],
    point: int,
    kind: Callable[[], BaseException] = Interrupted,
) -> bool:
    """
    Make a call and raise at one of its points; return whether that ended the call.

    In a callback of a weak reference an exception is ignored, and the call goes on.
    Anywhere else it must come out of the call.
    """
    ignored: list[bool] = []
    raised: list[BaseException] = []
    hook = sys.unraisablehook
    sys.unraisablehook = lambda _unraisable: ignored.append(True)

    def end() -> None:
        raised.append(kind())
        raise raised[0]

    try:
        _run(call, point, end)
    except BaseException as caught:
        if not raised or caught is not raised[0]:
            raise
        return True
    finally:
        sys.unraisablehook = hook
        swallowed = bool(raised) and not ignored
        # An exception refers to its frames, and they to this list.
        raised.clear()
    assert not swallowed, "the exception is swallowed"
    return False


def _run(
    call: Callable[[], object], point: int, end: Callable[[], None] = lambda: None
) -> int:
    count = 0

    def at_opcode(code: CodeType, before: int, current: int) -> None:
        nonlocal count
        if _may_run_handler(code, before, current):
            count += 1
            if count - 1 == point:
                end()

    at_each_opcode(call, at_opcode)
    return count


def at_each_opcode(
    call: Callable[[], object], at: Callable[[CodeType, int, int], object]
) -> None:
    """
    Make a call, and another one before each of its instructions.

    Args:
        call: The call.
        at: Takes the code of a frame, and the offsets of its last instruction, -1 for
            none, and of the next one.
    """

    def entered(frame: FrameType, _event: str, _arg: Any) -> Any:
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        code, before = frame.f_code, -1

        def traced(frame: FrameType, event: str, _arg: Any) -> Any:
            nonlocal before
            if event == "opcode":
                at(code, before, frame.f_lasti)
                before = frame.f_lasti
            return traced

        return traced

    # A collection would run at another point each time, with the functions in
    # gc.callbacks (Hypothesis has one), where exceptions are ignored.
    was_enabled = gc.isenabled()
    gc.disable()
    sys.settrace(entered)
    try:
        call()
    finally:
        sys.settrace(None)
        if was_enabled:
            gc.enable()


def _may_run_handler(code: CodeType, before: int, current: int) -> bool:
    """
    Return whether CPython looks for signals between two instructions of a frame.

    It does at the entry of a function, after a call, and when it jumps back. Raising
    is seen by the handlers of the instruction that comes next; where these are others
    than those of the call (between the body of a with statement and its exit), what is
    raised would not be what a signal raises.
    """
    name = _names(code).get(before, "")
    if not (
        name == "RESUME"
        or name.startswith("CALL")
        or ("JUMP" in name and "BACKWARD" in name and current < before)
    ):
        return False
    return _handler(code, before) == _handler(code, current)


def may_collect(code: CodeType, before: int) -> bool:
    """
    Return whether a collection may have run in the last instruction.

    One runs where an object is made or dropped. A function that is called by an
    attribute look-up has a frame of its own.
    """
    return not _names(code).get(before, "").startswith(_ALLOCATES_NOTHING)


_ALLOCATES_NOTHING = (
    *("LOAD_FAST", "LOAD_CONST", "LOAD_GLOBAL", "LOAD_DEREF", "LOAD_ATTR", "IS_OP"),
    *("POP_JUMP", "JUMP_FORWARD", "COPY", "SWAP", "NOP", "PUSH_NULL"),
)


@cache
def _names(code: CodeType) -> dict[int, str]:
    return {
        instruction.offset: instruction.opname
        for instruction in dis.get_instructions(code)
    }


@cache
def _handlers(code: CodeType) -> tuple[tuple[int, int, int], ...]:
    entries = dis.Bytecode(code).exception_entries  # type: ignore[attr-defined]
    return tuple((entry.start, entry.end, entry.target) for entry in entries)


def _handler(code: CodeType, offset: int) -> int | None:
    for start, end, target in _handlers(code):
        if start <= offset < end:
            return target
    return None

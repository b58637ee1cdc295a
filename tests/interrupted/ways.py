"""Ways in which a call is interrupted or disturbed, at a point that is numbered."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType

from tests.interrupted.points import Interrupted, at_each_opcode, may_collect

__all__ = [
    "alarm",
    "at_opcode",
    "child_goes_on",
    "collections",
    "deep",
    "forked",
    "from_a_thread",
    "opcodes",
    "unhung",
    "with_garbage",
]

Call = Callable[[], object]


def alarm(call: Call, delay: float) -> bool:
    """Let a signal handler raise after a delay; return whether that ended the call."""
    armed = True

    def ring(_number: int, _frame: FrameType | None) -> None:
        if armed:
            raise Interrupted

    before = signal.signal(signal.SIGALRM, ring)
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, delay)
            call()
        finally:
            # It rings once at most; if here, it is as if it ended the call.
            armed = False
    except Interrupted:
        return True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return False


def from_a_thread(call: Call, turns: int, how: str) -> bool:
    """Let another thread interrupt this one; return whether that ended the call."""
    # No events: their locks would stay with a wait that is interrupted.
    mine = threading.get_ident()
    go: list[bool] = []
    gone: list[bool] = []
    kinds = (KeyboardInterrupt, Interrupted)

    def throw() -> None:
        while not go:
            time.sleep(0)
        for _ in range(turns):
            pass
        if how == "ctrl_c":
            signal.pthread_kill(mine, signal.SIGINT)
        else:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(mine), ctypes.py_object(Interrupted)
            )
        gone.append(True)

    thread = threading.Thread(target=throw)
    thread.start()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    switches = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    ended = arrived = False
    try:
        go.append(True)
        call()
    except kinds:
        ended = arrived = True
    while not arrived:
        try:
            while not gone:
                time.sleep(0)
            for _ in range(10_000):
                pass
            arrived = True
        except kinds:
            arrived = True
    sys.setswitchinterval(switches)
    thread.join()
    signal.signal(signal.SIGINT, before)
    return ended


def deep(call: Call, frames: int) -> bool:
    """Make a call with few frames left; return whether it ran out of them."""
    depth, frame = 0, sys._getframe()
    while frame.f_back is not None:
        depth, frame = depth + 1, frame.f_back
    limit = sys.getrecursionlimit()
    try:
        # It refuses a limit below the present depth.
        sys.setrecursionlimit(depth + 3 + frames)
        call()
    except RecursionError:
        return True
    finally:
        sys.setrecursionlimit(limit)
    return False


def opcodes(call: Call) -> int:
    """Count the instructions of a call."""
    return at_opcode(call, -1, lambda: None)


def collections(call: Call) -> int:
    """Count the instructions of a call before which a collection may have run."""
    return at_opcode(call, -1, lambda: None, may_collect)


def at_opcode(
    call: Call,
    point: int,
    action: Call,
    may: Callable[[CodeType, int], bool] = lambda _code, _before: True,
) -> int:
    """
    Do something before one of the instructions of a call; count them.

    Args:
        call: The call.
        point: The number of the instruction.
        action: What is done.
        may: Tells whether one counts, by the code and the one before it.
    """
    seen = 0

    def at(code: CodeType, before: int, _now: int) -> None:
        nonlocal seen
        if not may(code, before):
            return
        seen += 1
        if seen - 1 == point:
            action()

    at_each_opcode(call, at)
    return seen


def with_garbage(call: Call, point: int, inner: Call) -> None:
    """Let the collector run a finaliser before one of the instructions of a call."""

    class Garbage:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            inner()

    def collect() -> None:
        Garbage()
        gc.collect(0)

    at_opcode(call, point, collect, may_collect)


@contextmanager
def unhung() -> Iterator[None]:
    """Raise where what is done here waits for ever."""

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError("it hangs")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def forked(call: Call, point: int, check: Callable[[], str]) -> str:
    """
    Fork while another thread stands before an instruction of a call.

    Returns what the check says in the child, or that the child hangs.
    """
    there, on = threading.Event(), threading.Event()

    def stop() -> None:
        there.set()
        on.wait()

    def work() -> None:
        at_opcode(call, point, stop)
        there.set()

    thread = threading.Thread(target=work)
    thread.start()
    there.wait()
    reading, writing = os.pipe()
    child = _fork()
    said = _said(child, (reading, writing), check)
    on.set()
    thread.join()
    return said


def child_goes_on(call: Call, point: int, check: Callable[[], str]) -> str:
    """Fork before an instruction of a call, as a finaliser might; ask the child."""
    reading, writing = os.pipe()
    child = -1

    def fork() -> None:
        nonlocal child
        child = _fork()

    try:
        at_opcode(call, point, fork)
    except RuntimeError:
        if child:
            raise
    return _said(child, (reading, writing), check)


def _fork() -> int:
    with warnings.catch_warnings():
        # Later Pythons warn where there are threads, which is what is tried.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _said(child: int, pipe: tuple[int, int], check: Callable[[], str]) -> str:
    """In the child make a check and end; in the parent return what it says."""
    reading, writing = pipe
    if child == 0:
        os.close(reading)
        signal.alarm(10)
        try:
            said = check()
        except BaseException as error:  # noqa: BLE001 - it is told to the parent
            said = repr(error)
        os.write(writing, said.encode()[:60_000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        said = file.read().decode()
    _, status = os.waitpid(child, 0)
    return said if status == 0 else f"the child ends with {status}"

"""Ways in which a call is interrupted or disturbed, at a numbered point."""

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
    "check_after_fork",
    "check_in_fork",
    "count_collections",
    "count_opcodes",
    "from_thread",
    "time_limit",
    "with_few_frames",
    "with_garbage",
]

Call = Callable[[], object]


def alarm(call: Call, delay: float) -> bool:
    """Let a signal handler raise after a delay; return whether that ended the call."""
    armed = True

    def raise_interrupted(_number: int, _frame: FrameType | None) -> None:
        if armed:
            raise Interrupted

    before = signal.signal(signal.SIGALRM, raise_interrupted)
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, delay)
            call()
        finally:
            # The handler raises once at most; here it counts as having ended the call.
            armed = False
    except Interrupted:
        return True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return False


def from_thread(call: Call, turns: int, kind: str) -> bool:
    """Let another thread interrupt this one; return whether that ended the call."""
    # No events: an interrupted wait would keep their locks.
    main_thread = threading.get_ident()
    started: list[bool] = []
    thrown: list[bool] = []
    kinds = (KeyboardInterrupt, Interrupted)

    def throw() -> None:
        while not started:
            time.sleep(0)
        for _ in range(turns):
            pass
        if kind == "ctrl_c":
            signal.pthread_kill(main_thread, signal.SIGINT)
        else:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(main_thread), ctypes.py_object(Interrupted)
            )
        thrown.append(True)

    thread = threading.Thread(target=throw)
    thread.start()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    switches = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    ended = arrived = False
    try:
        started.append(True)
        call()
    except kinds:
        ended = arrived = True
    while not arrived:
        try:
            while not thrown:
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


def with_few_frames(call: Call, frames: int) -> bool:
    """Make a call with few frames left; return whether it ran out of them."""
    depth, frame = 0, sys._getframe()
    while frame.f_back is not None:
        depth, frame = depth + 1, frame.f_back
    limit = sys.getrecursionlimit()
    try:
        # CPython refuses a limit below the present depth.
        sys.setrecursionlimit(depth + 3 + frames)
        call()
    except RecursionError:
        return True
    finally:
        sys.setrecursionlimit(limit)
    return False


def count_opcodes(call: Call) -> int:
    """Count the instructions of a call."""
    return at_opcode(call, -1, lambda: None)


def count_collections(call: Call) -> int:
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
        action: The call to make there.
        may: Returns whether an instruction counts, by the code and the one before it.
    """
    count = 0

    def at_each(code: CodeType, before: int, _now: int) -> None:
        nonlocal count
        if not may(code, before):
            return
        count += 1
        if count - 1 == point:
            action()

    at_each_opcode(call, at_each)
    return count


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
def time_limit() -> Iterator[None]:
    """Raise TimeoutError after five seconds."""

    def raise_timeout(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError("the call hangs")

    before = signal.signal(signal.SIGALRM, raise_timeout)
    signal.setitimer(signal.ITIMER_REAL, 5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def check_in_fork(call: Call, point: int, check: Callable[[], str]) -> str:
    """
    Fork while another thread is before an instruction of a call.

    Returns the answer of the check in the child, or that the child hangs.
    """
    reached, resumed = threading.Event(), threading.Event()

    def stop() -> None:
        reached.set()
        resumed.wait()

    def work() -> None:
        at_opcode(call, point, stop)
        reached.set()

    thread = threading.Thread(target=work)
    thread.start()
    reached.wait()
    reading, writing = os.pipe()
    child = _fork()
    answer = _answer_of(child, (reading, writing), check)
    resumed.set()
    thread.join()
    return answer


def check_after_fork(call: Call, point: int, check: Callable[[], str]) -> str:
    """Fork before an instruction of a call, as a finaliser might, and check there."""
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
    return _answer_of(child, (reading, writing), check)


def _fork() -> int:
    with warnings.catch_warnings():
        # Later Pythons warn where there are threads, as there are here.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _answer_of(child: int, pipe: tuple[int, int], check: Callable[[], str]) -> str:
    """Check in the child and end it; return its answer in the parent."""
    reading, writing = pipe
    if child == 0:
        os.close(reading)
        signal.alarm(10)
        try:
            answer = check()
        except BaseException as error:  # noqa: BLE001 - handed to the parent
            answer = repr(error)
        os.write(writing, answer.encode()[:60_000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        answer = file.read().decode()
    _, status = os.waitpid(child, 0)
    return answer if status == 0 else f"the child ends with {status}"

"""
Transactions of PostgreSQL, interleaved statement by statement.

Rules:
    A thread stops before each statement, and before its commit, until it may go on.
    A thread that waits for a lock lets the others go on; the server says who waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread, current_thread
from typing import Any

from sqlalchemy import Connection, Engine, event, text

__all__ = ["Stepped", "meanwhile", "run_in_turns", "when_waiting"]

_IS_WAITING = text("SELECT cardinality(pg_blocking_pids(:pid)) > 0")


class Stepped:
    """
    A thread that does one statement at a time.

    Args:
        engine: An engine that only this thread uses.
        work: What it does.
    """

    def __init__(self, engine: Engine, work: Callable[[], Any]) -> None:
        self._engine, self._work = engine, work
        self._may_go, self._has_stopped = Event(), Event()
        self.pid, self.is_done = 0, False
        self.result: Any = None
        self._thread = Thread(target=self._run)
        event.listen(engine, "before_cursor_execute", self._stop)
        event.listen(engine, "commit", self._stop_at_commit)
        self._thread.start()
        self._has_stopped.wait()

    def step(self, watcher: Connection) -> bool:
        """Do a statement; return whether it is not done because it waits."""
        if not self._has_stopped.is_set():
            return self._waits(watcher)
        if not self.is_done:
            self._has_stopped.clear()
            self._may_go.set()
            return self._waits(watcher)
        return False

    def end(self) -> None:
        """Forget the engine."""
        self._thread.join()
        event.remove(self._engine, "before_cursor_execute", self._stop)
        event.remove(self._engine, "commit", self._stop_at_commit)

    def _waits(self, watcher: Connection) -> bool:
        while not self._has_stopped.wait(0.002):
            if watcher.execute(_IS_WAITING, {"pid": self.pid}).scalar():
                return True
        return False

    def _run(self) -> None:
        try:
            self.result = self._work()
        except Exception as error:  # noqa: BLE001 - it is a result
            self.result = error
        self.is_done = True
        self._has_stopped.set()

    def _stop(self, connection: Connection, *_statement: Any) -> None:
        driver: Any = connection.connection.driver_connection
        self.pid = driver.info.backend_pid
        self._has_stopped.set()
        self._may_go.wait()
        self._may_go.clear()

    def _stop_at_commit(self, connection: Connection) -> None:
        self._stop(connection)


def run_in_turns(
    watcher: Connection,
    first: tuple[Engine, Callable[[], Any]],
    second: tuple[Engine, Callable[[], Any]],
    turns: tuple[int, int],
) -> tuple[Any, Any, bool]:
    """
    Run two threads: some statements of each, then the rest of the first.

    Args:
        watcher: A connection that commits by itself.
        first: The engine and the work of one.
        second: The same of the other.
        turns: How many statements of the first, and then of the second, come first.

    Returns:
        Both results, and whether each did so many statements.
    """
    one, other = Stepped(*first), Stepped(*second)
    had_all = True
    for thread, count in zip((one, other), turns, strict=True):
        for _ in range(count):
            had_all &= not thread.is_done
            if thread.step(watcher):
                had_all = False
                break
    while not (one.is_done and other.is_done):
        for thread in (one, other):
            while not thread.is_done and not thread.step(watcher):
                pass
    one.end()
    other.end()
    return one.result, other.result, had_all


@contextmanager
def meanwhile(
    engine: Engine, beginning: str, do: Callable[[], Any], *, times: int = 1
) -> Iterator[list[Any]]:
    """
    Call a function in another thread, before statements of this one.

    Args:
        engine: Whose statements.
        beginning: What the statement begins with.
        do: The function.
        times: Before how many of these statements.

    Yields:
        The results.
    """
    thread, results = current_thread(), list[Any]()

    def before(_c: Any, _u: Any, statement: str, *_rest: Any) -> None:
        if (
            current_thread() is thread
            and statement.startswith(beginning)
            and len(results) < times
        ):
            results.append(None)
            other = Thread(target=lambda: results.__setitem__(-1, do()))
            other.start()
            other.join()

    event.listen(engine, "before_cursor_execute", before)
    try:
        yield results
    finally:
        event.remove(engine, "before_cursor_execute", before)


def when_waiting(engine: Engine, pid: int, do: Callable[[], Any]) -> Thread:
    """Call a function in another thread once a server process waits for a lock."""

    def run() -> None:
        with engine.connect() as connection:
            watcher = connection.execution_options(isolation_level="AUTOCOMMIT")
            while not watcher.execute(_IS_WAITING, {"pid": pid}).scalar():
                pass
        do()

    thread = Thread(target=run)
    thread.start()
    return thread

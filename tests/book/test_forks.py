"""After a fork: ids do not repeat, and no lock stays held."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from upsertcore import ContactBook, Policy, field, first_match, normalize
from upsertcore.profiles import LeadConnector
from upsertcore.store.ids import fresh_ids

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="this system does not fork"
)
POLICY = Policy(
    first_match("email"), {"email": field(key=normalize.email), "name": field()}
)


def in_child(call: Callable[[], object]) -> str:
    """Run a function in a child process; return its result as text."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(20)
        os.write(write_end, str(call()).encode())
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        text = pipe.read()
    assert os.waitpid(child, 0)[1] == 0
    return text


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
class TestFork:
    """A parent process and its children."""

    def test_ids_of_children_differ(self) -> None:
        """Each process has a prefix of its own."""
        ids = fresh_ids()
        first = ids()
        all_ids = [first, in_child(ids), in_child(ids), ids()]

        assert len({*all_ids}) == 4
        assert all_ids[3].split("-")[0] == first.split("-")[0]

    def test_trace_ids_of_children_differ(self) -> None:
        crm = LeadConnector()
        payload = {"locationId": "l1", "email": "ada@x.org"}
        crm.upsert(payload)

        def trace() -> str:
            return str(crm.upsert(payload).body["traceId"])

        assert len({in_child(trace), in_child(trace), trace()}) == 3

    def test_child_writes_though_a_thread_of_the_parent_holds_the_lock(self) -> None:
        book = ContactBook(POLICY)
        book.upsert({"email": "ada@x.org"})
        lock_held, release = threading.Event(), threading.Event()

        def hold() -> None:
            with book._store.lock:
                lock_held.set()
                release.wait()

        thread = threading.Thread(target=hold)
        thread.start()
        lock_held.wait()
        try:
            result = in_child(
                lambda: (book.upsert({"email": "eve@x.org"}).result, len(book))
            )
        finally:
            release.set()
            thread.join()

        assert result == "('created', 2)"


def test_signal_during_writes_leaves_the_index_consistent() -> None:
    """The handler raises at 300 different moments."""
    program = """
import itertools, signal
from upsertcore import ContactBook, Policy, field, first_match, normalize

class TimeLimit(Exception): pass

def alarm(*_):
    raise TimeLimit

signal.signal(signal.SIGALRM, alarm)
lines = {
    "id": field(key=normalize.exact, unique=True),
    "email": field(key=normalize.email, unique=True),
}
policy = Policy(first_match("id", "email"), lines)
for turn in range(300):
    book = ContactBook(policy)
    book.upsert({"id": "1", "email": "a0@x.org"})
    numbers = itertools.count(1)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0003 + turn % 97 * 1e-5)
        while True:
            book.upsert({"id": "1", "email": f"a{next(numbers)}@x.org"})
    except TimeLimit:
        pass
    (ada,) = book
    assert book.find("email", ada["email"]) == (ada,)
    assert book.upsert({"id": "2", "email": "eve@x.org"}).created
    book._index.check()
print("whole")
"""
    process = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    assert (process.stdout, process.stderr) == ("whole\n", "")

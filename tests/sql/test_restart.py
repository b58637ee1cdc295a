"""A server of PostgreSQL that is stopped and started in the middle of a log."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from attrs import frozen
from sqlalchemy.exc import OperationalError

from tests.sql.checking import check_tables
from tests.sql.places import Place
from tests.sql.workers import (
    PROCESSES,
    START,
    Log,
    halves_of,
    open_book,
    people,
    send,
)

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(not PROGRAMS, reason="no PostgreSQL of the distribution"),
]


@frozen
class Server:
    """A server of its own, on a socket in its folder."""

    folder: Path

    def run(self, program: str, *words: str) -> None:
        """Run a program of PostgreSQL, which does not run as root."""
        user = ["runuser", "--user", "postgres", "--"] if os.geteuid() == 0 else []
        command = [*user, str(PROGRAMS[-1] / program), *words]
        # Its output is kept open by the server.
        quiet = subprocess.DEVNULL
        subprocess.run(command, cwd=self.folder, check=True, stdout=quiet, stderr=quiet)

    def control(self, *words: str) -> None:
        """Start or stop the server, and wait for it."""
        options = f"-k {self.folder} -c listen_addresses="
        log, data = str(self.folder / "log"), str(self.folder / "data")
        how = ("--pgdata", data, "--log", log, "--wait", "--options", options)
        self.run("pg_ctl", *words, *how)


@pytest.fixture(name="server", scope="module")
def _server() -> Iterator[Server]:
    server = Server(Path(tempfile.mkdtemp(prefix="upsertcore-")))
    if os.geteuid() == 0:
        shutil.chown(server.folder, "postgres")
    data = str(server.folder / "data")
    server.run("initdb", "--pgdata", data, "--auth", "trust", "--username", "ci")
    server.control("start")
    yield server
    server.control("stop", "--mode", "immediate")
    shutil.rmtree(server.folder)


def send_through(place: Place, log: Log, progress: Connection) -> None:
    """Send a log; repeat a call that the server did not answer."""
    at = [0]
    book = open_book(
        place,
        "merged",
        ids=lambda: f"c-{at[0]}",
        clock=lambda: START,
        retain_changes=None,
    )
    for number, patch in enumerate(log):
        at[0] = number
        while True:
            try:
                book.upsert(patch, idempotency_key=f"c-{number}")
            except OperationalError:
                continue
            break
        progress.send(number)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_log_goes_on_after_restarts_and_each_call_is_done_once(
    server: Server, mode: str
) -> None:
    """``immediate`` is a crash: the server recovers when it starts."""
    place = Place(f"postgresql+psycopg://ci@/postgres?host={server.folder}", "r_")
    (log,) = halves_of(1, people=20, patches=120)
    place.new_book(open_book(place, "merged").policy)
    send(place, "merged", log)
    expected = people(place.book(open_book(place, "merged").policy).dump())
    book = place.new_book(open_book(place, "merged").policy, retain_changes=None)
    received, progress = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=send_through, args=(place, log, progress))
    process.start()
    for line in (20, 60, 90):
        while received.recv() < line:
            pass
        server.control("restart", "--mode", mode)
    process.join()

    assert process.exitcode == 0
    assert people(book.dump()) == expected
    assert sum(contact.version for contact in book) <= len(log)
    check_tables(book)

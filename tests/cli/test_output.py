"""Standard output and standard error that are full, closed, or read by nobody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.full

ROW = '{"email": "ada@x.org", "firstName": "Ada", "lastName": "King"}'
SET = ("--set", "firm_id=f1")
COMMANDS = {
    "help": ("--help",),
    "short help": ("-h",),
    "version": ("--version",),
    "help of a command": ("evaluate", "--help"),
    "upsert": ("upsert", "Anduin", "in.jsonl", *SET),
    "explain": ("explain", "Anduin", ROW, *SET),
    "explain refused": ("explain", "Anduin", "{}", *SET),
    "show": ("show", "b.jsonl"),
    "show as JSON": ("show", "b.jsonl", "--json"),
    "laws": ("laws", "SalesforceIQ", "--contacts", "0"),
    "laws as JSON": ("laws", "SalesforceIQ", "--contacts", "0", "--json"),
    "evaluate": ("evaluate", "Anduin", "in.jsonl", *SET, "--truth", "who"),
    "evaluate as JSON": (
        *("evaluate", "Anduin", "in.jsonl", *SET),
        *("--truth", "who", "--json"),
    ),
}
PROGRAM = (sys.executable, "-m", "upsertcore")
SOME = ("help", "upsert", "show", "laws", "evaluate as JSON")
# As in a shell that says nothing of how Python writes.
BARE = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """Work in a folder with some rows and a book."""
    (tmp_path / "in.jsonl").write_text(ROW.replace("}", ', "who": "a"}'), "utf-8")
    (tmp_path / "one.jsonl").write_text(ROW, "utf-8")
    words = ("upsert", "Anduin", "one.jsonl", *SET, "--book", "b.jsonl")
    done = start(tmp_path, words)
    assert 0 == done.returncode, done.stderr
    return tmp_path


def start(
    folder: Path, words: tuple[str, ...], redirected: str = "", **more: str
) -> subprocess.CompletedProcess[bytes]:
    """Run a command as a shell does, with a redirection."""
    return subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {redirected}', "sh", *PROGRAM, *words],
        cwd=folder,
        env={**BARE, **more},
        capture_output=True,
        check=False,
    )


FULL = b"Error: standard output: No space left on device\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_standard_output_that_is_full(folder: Path, command: str) -> None:
    """One line and status 2."""
    done = start(folder, COMMANDS[command], "> /dev/full")

    assert (2, FULL) == (done.returncode, done.stderr)


@pytest.mark.parametrize("command", ["upsert", "evaluate"])
def test_standard_output_that_is_full_and_not_buffered(
    folder: Path, command: str
) -> None:
    """The same, though the first byte fails and not the last."""
    done = start(folder, COMMANDS[command], "> /dev/full", PYTHONUNBUFFERED="1")

    assert (2, FULL) == (done.returncode, done.stderr)


@pytest.mark.parametrize("command", SOME)
def test_standard_output_that_is_closed(folder: Path, command: str) -> None:
    """One line and status 2, before anything is done."""
    words = (
        *COMMANDS[command],
        *(("--book", "c.jsonl") if command == "upsert" else ()),
    )
    done = start(folder, words, ">&-")

    assert b"Error: standard output: is closed\n" == done.stderr
    assert 2 == done.returncode
    assert not (folder / "c.jsonl").exists()


@pytest.mark.parametrize("command", SOME)
def test_standard_output_that_nobody_reads(folder: Path, command: str) -> None:
    """Status 2, and no word: whoever went away knows."""
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(
        [*PROGRAM, *COMMANDS[command]],
        cwd=folder,
        env=BARE,
        stdout=theirs,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(theirs)

    assert b"" == done.stderr
    assert 2 == done.returncode


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("--version",), 0),
        (COMMANDS["upsert"], 1),
        (COMMANDS["show"], 0),
        (COMMANDS["explain refused"], 1),
        (("upsert", "Anduin", "no.csv", *SET), 2),
        (("upsert", "nobody"), 2),
        (("upsert", "Anduin", "one.jsonl", *SET, "--map", "a=b"), 0),
    ],
    ids=["version", "upsert", "show", "explain", "no file", "usage", "note"],
)
def test_standard_error_that_cannot_be_written(
    folder: Path, words: tuple[str, ...], status: int
) -> None:
    """The exit status alone tells; it is the same."""
    done = start(folder, words, "2> /dev/full")

    assert (status, b"") == (done.returncode, done.stderr)


def test_streams_that_are_closed(folder: Path) -> None:
    """No file that is opened takes the number of one."""
    words = ("upsert", "Anduin", "one.jsonl", *SET, "--book", "c.jsonl")
    done = start(folder, words, "<&- >&- 2>&-")
    assert 2 == done.returncode
    done = start(folder, words, "<&- 2>&-")
    assert 0 == done.returncode

    assert (folder / "c.jsonl").read_bytes().startswith(b'{"format"')

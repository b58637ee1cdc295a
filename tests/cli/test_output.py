"""Standard output and standard error that are full, closed, or have no reader."""

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
SOME_COMMANDS = ("help", "upsert", "show", "laws", "evaluate as JSON")
# As in a shell without settings for the buffers of Python.
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """Make a folder with some rows and a book."""
    (tmp_path / "in.jsonl").write_text(ROW.replace("}", ', "who": "a"}'), "utf-8")
    (tmp_path / "one.jsonl").write_text(ROW, "utf-8")
    words = ("upsert", "Anduin", "one.jsonl", *SET, "--book", "b.jsonl")
    process = start(tmp_path, words)
    assert 0 == process.returncode, process.stderr
    return tmp_path


def start(
    folder: Path, words: tuple[str, ...], redirected: str = "", **variables: str
) -> subprocess.CompletedProcess[bytes]:
    """Run a command as a shell does, with a redirection."""
    return subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {redirected}', "sh", *PROGRAM, *words],
        cwd=folder,
        env={**ENVIRONMENT, **variables},
        capture_output=True,
        check=False,
    )


FULL_MESSAGE = b"Error: standard output: No space left on device\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_full_standard_output_is_an_error_of_one_line(
    folder: Path, command: str
) -> None:
    process = start(folder, COMMANDS[command], "> /dev/full")

    assert (2, FULL_MESSAGE) == (process.returncode, process.stderr)


@pytest.mark.parametrize("command", ["upsert", "evaluate"])
def test_full_unbuffered_standard_output_is_an_error_of_one_line(
    folder: Path, command: str
) -> None:
    """The first byte fails, and not the last."""
    process = start(folder, COMMANDS[command], "> /dev/full", PYTHONUNBUFFERED="1")

    assert (2, FULL_MESSAGE) == (process.returncode, process.stderr)


@pytest.mark.parametrize("command", SOME_COMMANDS)
def test_closed_standard_output_is_an_error_before_the_run(
    folder: Path, command: str
) -> None:
    """No book is written."""
    words = (
        *COMMANDS[command],
        *(("--book", "c.jsonl") if command == "upsert" else ()),
    )
    process = start(folder, words, ">&-")

    assert b"Error: standard output: is closed\n" == process.stderr
    assert 2 == process.returncode
    assert not (folder / "c.jsonl").exists()


@pytest.mark.parametrize("command", SOME_COMMANDS)
def test_standard_output_without_a_reader_ends_without_a_message(
    folder: Path, command: str
) -> None:
    """The status is 2."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    process = subprocess.run(
        [*PROGRAM, *COMMANDS[command]],
        cwd=folder,
        env=ENVIRONMENT,
        stdout=write_end,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write_end)

    assert b"" == process.stderr
    assert 2 == process.returncode


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("--version",), 0),
        (COMMANDS["upsert"], 1),
        (COMMANDS["show"], 0),
        (COMMANDS["explain refused"], 1),
        (("upsert", "Anduin", "no.csv", *SET), 2),
        (("upsert", "nobody"), 2),
        (("upsert", "--unknown"), 2),
        (("upsert", "Anduin", "one.jsonl", *SET, "--map", "a=b"), 0),
    ],
    ids=[
        "version",
        "upsert",
        "show",
        "explain",
        "no file",
        "no policy",
        "usage",
        "note",
    ],
)
def test_full_standard_error_keeps_the_exit_status(
    folder: Path, words: tuple[str, ...], status: int
) -> None:
    process = start(folder, words, "2> /dev/full")

    assert (status, b"") == (process.returncode, process.stderr)


def test_book_with_closed_streams_is_written_to_its_own_file(folder: Path) -> None:
    """No opened file takes the descriptor of a stream."""
    words = ("upsert", "Anduin", "one.jsonl", *SET, "--book", "c.jsonl")
    process = start(folder, words, "<&- >&- 2>&-")
    assert 2 == process.returncode
    process = start(folder, words, "<&- 2>&-")
    assert 0 == process.returncode

    assert (folder / "c.jsonl").read_bytes().startswith(b'{"format"')

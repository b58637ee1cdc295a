"""What is on disk after a run, however it ended, and what the run said of it."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from upsertcore.cli import main
from upsertcore.cli.atomic_write import AtomicFile, defer_interrupt, folder_lock
from upsertcore.cli.book_file import file_identity, save_book
from upsertcore.cli.exit_status import Program

pytestmark = pytest.mark.full

ROW = '{"email": "ada@x.org", "firstName": "Ada", "lastName": "King"}\n'
RUN = ("upsert", "Anduin", "-", "--set", "firm_id=f1", "--book", "b.jsonl")
BOTH = (*RUN, "--outcomes", "o.jsonl")
# A tracer that is interrupted in its own lock would wait for ever.
CLEAN = {k: v for k, v in os.environ.items() if "COVERAGE" not in k}


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str, stdin: str = ROW, code: int = 0) -> str:
    """Run a command in this process, and return what it printed."""
    result = CliRunner(env={"COLUMNS": "120"}).invoke(main, words, input=stdin)
    assert code == result.exit_code, result.output
    return result.output


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


@contextmanager
def reading(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Give a run that has begun to read its standard input, and waits for more."""
    with subprocess.Popen(
        [sys.executable, "-m", "upsertcore", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=CLEAN,
    ) as process:
        assert process.stdin is not None
        # More than a pipe holds: when all is written, the run has begun to read.
        process.stdin.write(ROW.encode() + b"\n" * 300_000)
        process.stdin.flush()
        yield process


# Runs the command once for each line that it executes once all rows are read, in the
# modules that write; each time in a process of its own, with Ctrl-C at that line.
EVERY_LINE = """
import json, os, signal, sys
from pathlib import Path
from click.testing import CliRunner
from upsertcore.cli import main

NAMES = ("atomic_write", "book_file", "commands", "profile_session")
MODULES = tuple(f"cli/{name}.py" for name in NAMES)
words, row = sys.argv[1:], sys.stdin.read()
signal.signal(signal.SIGINT, signal.default_int_handler)

def run(left):
    begun = False

    def trace(frame, event, arg):
        nonlocal left
        if event == "line":
            left -= 1
            if left == 0:
                signal.raise_signal(signal.SIGINT)
        return trace

    def begin(frame, event, arg):
        nonlocal begun
        begun |= frame.f_code.co_name == "_write_files"
        return trace if begun and frame.f_code.co_filename.endswith(MODULES) else None

    sys.settrace(begin)
    try:
        result = CliRunner().invoke(main, words, input=row)
    finally:
        sys.settrace(None)
    here = [Path(name).exists() for name in ("b.jsonl", "o.jsonl")]
    print(json.dumps([result.exit_code, result.output, *here]), flush=True)
    return left

# What is imported late is there for each of them.
CliRunner().invoke(main, [*words[:-4], *words[-2:]], input=row)
Path("o.jsonl").unlink()
place, last = 1, False
while not last:
    child = os.fork()
    if not child:
        os._exit(run(place) > 0)
    place, last = place + 1, os.waitpid(child, 0)[1] != 0
    for name in ("b.jsonl", "o.jsonl"):
        Path(name).unlink(missing_ok=True)
"""


def test_ctrl_c_at_any_line_says_what_is_on_disk(folder: Path) -> None:
    """130 and an untouched book, or the status of the rows and a replaced one."""
    done = subprocess.run(
        [sys.executable, "-c", EVERY_LINE, *BOTH],
        input=ROW,
        capture_output=True,
        text=True,
        check=True,
        env=CLEAN,
    )
    ends = [json.loads(line) for line in done.stdout.splitlines()]

    assert 100 < len(ends)
    for code, output, book, outcomes in ends[:-1]:
        if code == 130:
            assert (book, outcomes) == (False, False)
            assert "interrupted; no book was changed" in output
        else:
            assert (code, book, outcomes) == (0, True, True)
            late = "interrupted; b.jsonl and o.jsonl were written"
            assert late in output or "created" in output
            assert "no book was changed" not in output
    assert {0, 130} == {code for code, *_ in ends}
    assert any("were written" in output for _code, output, *_ in ends)


# Replaces the book, and has Ctrl-C come before anything else is done.
JUST_AFTER = """
import os, signal, pathlib
signal.signal(signal.SIGINT, signal.default_int_handler)
replace = pathlib.Path.replace

def replaced(self, target):
    found = replace(self, target)
    os.kill(os.getpid(), signal.SIGINT)
    return found

pathlib.Path.replace = replaced
from upsertcore.__main__ import main
main()
"""


def test_ctrl_c_just_after_the_book_was_replaced(folder: Path) -> None:
    """The run is done, and what it says follows the book."""
    done = subprocess.run(
        [sys.executable, "-c", JUST_AFTER, *BOTH],
        input=ROW.encode() + b"7\n",
        capture_output=True,
        check=False,
        env=CLEAN,
    )

    assert b"Error: interrupted; b.jsonl and o.jsonl were written\n" == done.stderr
    assert 1 == done.returncode
    assert ["b.jsonl", "o.jsonl"] == names(folder)


def test_ctrl_c_while_the_program_starts(folder: Path) -> None:
    """One line, and the documented status."""
    code = (
        "import sys, signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "class Late:\n"
        "    def find_spec(self, *_):\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "from upsertcore.__main__ import main\n"
        "sys.meta_path.insert(0, Late())\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *RUN], capture_output=True, check=False, env=CLEAN
    )

    assert b"Error: interrupted; no book was changed\n" == done.stderr
    assert 130 == done.returncode
    assert [] == names(folder)


def test_a_failure_after_the_book_was_replaced_says_so(folder: Path) -> None:
    """Only the table is missing."""
    command = [sys.executable, "-m", "upsertcore", *RUN]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command, input=ROW.encode(), check=False, stdout=full, stderr=-1
        )

    words = b"Error: standard output: No space left on device; b.jsonl was written\n"
    assert words == done.stderr
    assert 2 == done.returncode
    assert ["b.jsonl"] == names(folder)


def test_outcomes_that_cannot_be_placed_are_told_with_the_book(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The book is replaced by then, and the message says so."""
    replace = Path.replace

    def fails(self: Path, target: Path) -> Path:
        if target.name == "o.jsonl":
            raise OSError(errno.EIO, "Input/output error")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fails)

    words = "Error: o.jsonl: Input/output error; b.jsonl was written\n"
    assert words == run(*BOTH, code=2)
    assert ["b.jsonl"] == names(folder)


def test_ctrl_c_when_all_is_done(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not every version of click holds it back."""

    def late(*_words: Any, **_more: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(click.Group, "main", late)

    assert "Error: interrupted; no book was changed\n" == run(*RUN, code=130)
    assert [] == names(folder)


def test_ctrl_c_between_a_command_and_the_end_says_what_is_on_disk(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There click alone would print "Aborted!", and nothing about the book."""
    invoke = Program.invoke

    def late(self: Program, context: click.Context) -> None:
        with suppress(click.exceptions.Exit):
            invoke(self, context)
        raise KeyboardInterrupt

    monkeypatch.setattr(Program, "invoke", late)

    words = run(*RUN, code=0)
    assert words.endswith("Error: interrupted; b.jsonl was written\n")
    assert "Aborted" not in words
    assert ["b.jsonl"] == names(folder)


def test_a_standard_input_without_a_number(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that runs the command may have closed it."""
    fstat = os.fstat

    def fails(handle: int) -> os.stat_result:
        if handle == 0:
            raise OSError(errno.EBADF, "Bad file descriptor")
        return fstat(handle)

    monkeypatch.setattr(os, "fstat", fails)
    run(*RUN)

    assert ["b.jsonl"] == names(folder)


class TestOutcomes:
    """``--outcomes`` is put in place with the book, or not at all."""

    @pytest.mark.parametrize(
        "words",
        [
            ("no.csv",),
            ("-", "no.csv"),
            ("open.csv",),
            ("-", "--map", "Mail=email", "open.csv"),
        ],
        ids=["no file", "a later one", "open quote", "column"],
    )
    def test_a_run_that_fails_leaves_none(
        self, folder: Path, words: tuple[str, ...]
    ) -> None:
        """What was there before stays as it was."""
        (folder / "open.csv").write_text('email\n"a@x.org\n', encoding="utf-8")
        (folder / "o.jsonl").write_text("before", encoding="utf-8")
        rest = ("--set", "firm_id=f1", "--book", "b.jsonl", "--outcomes", "o.jsonl")
        run("upsert", "Anduin", *words, *rest, code=2)

        assert ["o.jsonl", "open.csv"] == names(folder)
        assert "before" == (folder / "o.jsonl").read_text(encoding="utf-8")

    def test_a_book_that_another_run_replaced(self, folder: Path) -> None:
        """The run that comes too late writes neither."""
        with reading(*BOTH) as process:
            run(*RUN)
            output, error = process.communicate(ROW.encode(), timeout=60)

        assert b"" == output
        words = b"Error: b.jsonl: was changed by another program during this run; run"
        assert error.startswith(words)
        assert 2 == process.returncode
        assert ["b.jsonl"] == names(folder)

    def test_without_a_book_they_come_at_the_end(self, folder: Path) -> None:
        """They are whole, with the permissions of the file that was there."""
        (folder / "o.jsonl").touch(mode=0o600)
        words = (
            "upsert",
            "Anduin",
            "-",
            "--set",
            "firm_id=f1",
            "--outcomes",
            "o.jsonl",
        )
        run(*words)

        assert '"created"' in (folder / "o.jsonl").read_text(encoding="utf-8")
        assert 0o600 == (folder / "o.jsonl").stat().st_mode & 0o777
        assert ["o.jsonl"] == names(folder)

    def test_a_pipe_is_written_as_it_goes(self, folder: Path) -> None:
        """What is no plain file is not replaced by one."""
        words = ("upsert", "Anduin", "-", "--set", "firm_id=f1")
        done = subprocess.run(
            [sys.executable, "-m", "upsertcore", *words, "--outcomes", "/dev/stdout"],
            input=ROW.encode(),
            capture_output=True,
            check=True,
        )

        first, *table = done.stdout.decode().splitlines()
        assert "created" == json.loads(first)["result"]
        assert any("created" in line for line in table)
        assert [] == names(folder)

    def test_a_full_disk_is_said_of_the_outcomes(self, folder: Path) -> None:
        """It is not said of the input, and no book is written."""
        words = (*RUN, "--outcomes", "/dev/full")
        output = run(*words, code=2)

        assert "Error: /dev/full: No space left on device\n" == output
        assert [] == names(folder)

    def test_a_disk_that_is_full_in_the_middle(self, folder: Path) -> None:
        """As soon as it is full the run ends, and says where."""
        words = ("upsert", "Anduin", "in.jsonl", "--set", "firm_id=f1")
        rows = ROW * 2_000
        (folder / "in.jsonl").write_text(rows, encoding="utf-8")
        output = run(*words, "--outcomes", "/dev/full", code=2)

        assert "Error: /dev/full: No space left on device\n" == output

    def test_they_may_not_be_standard_output(self, folder: Path) -> None:
        """The table would overwrite them."""
        words = (*RUN, "--outcomes", "o.txt")
        with (folder / "o.txt").open("wb") as out:
            done = subprocess.run(
                [sys.executable, "-m", "upsertcore", *words],
                input=ROW.encode(),
                stdout=out,
                stderr=subprocess.PIPE,
                check=False,
            )

        assert (
            b"o.txt: is named twice and would be overwritten; use another path"
            in done.stderr
        )
        assert 2 == done.returncode


class TestKilled:
    """``kill -9`` leaves files behind, which the next run removes."""

    def test_what_a_killed_run_left_is_removed(self, folder: Path) -> None:
        """By the next run of the same files."""
        with reading(*BOTH) as process:
            process.kill()
        assert [".o.jsonl.", ".upsertcore"] == [
            part for name in names(folder) for part in (name[:9], name[17:])
        ]
        run(*RUN)
        assert 2 == len(names(folder))
        run(*BOTH)

        assert ["b.jsonl", "o.jsonl"] == names(folder)

    def test_what_a_run_still_writes_stays(self, folder: Path) -> None:
        """Its files are locked while it lives."""
        words = (
            "upsert",
            "Anduin",
            "-",
            "--set",
            "firm_id=f1",
            "--outcomes",
            "o.jsonl",
        )
        with reading(*words) as process:
            [mine] = names(folder)
            run(*BOTH)
            assert ["b.jsonl", "o.jsonl", mine] == sorted(names(folder), key=len)
            _output, error = process.communicate(ROW.encode(), timeout=60)

        assert (0, b"") == (process.returncode, error)
        assert ["b.jsonl", "o.jsonl"] == names(folder)

    def test_files_of_another_name_stay(self, folder: Path) -> None:
        """Also those that look like it, and those that are no plain files."""
        kept = [
            ".b.jsonl.abcdefgh.bak",
            ".b.jsonl.abc.upsertcore",
            ".c.jsonl.abcdefgh.upsertcore",
            "b.jsonl.abcdefgh.upsertcore",
        ]
        for name in kept:
            (folder / name).touch()
        link = folder / ".b.jsonl.abcdefgl.upsertcore"
        link.symlink_to(folder / kept[0])
        (folder / ".b.jsonl.abcdefgx.upsertcore").touch()
        run(*RUN)

        assert sorted([*kept, link.name, "b.jsonl"]) == names(folder)


class TestAside:
    """A file that is replaced atomically."""

    def test_a_system_without_locks(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is written all the same, and nothing is removed."""
        monkeypatch.setitem(sys.modules, "fcntl", None)
        stale = folder / ".a.abcdefgh.upsertcore"
        stale.touch()
        with folder_lock(folder), AtomicFile(folder / "a") as file:
            file.write(b"x")
            file.sync()
            file.replace()

        assert [stale.name, "a"] == names(folder)

    def test_a_file_system_without_locks(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What cannot be locked is not removed, and holds nothing up."""
        import fcntl

        def fails(_handle: int, _how: int) -> None:
            raise OSError("no locks")

        monkeypatch.setattr(fcntl, "flock", fails)
        stale = folder / ".a.abcdefgh.upsertcore"
        stale.touch()
        with AtomicFile(folder / "a") as file:
            file.replace()

        assert [stale.name, "a"] == names(folder)

    def test_a_folder_that_cannot_be_synced(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Some systems cannot sync a folder; that ends nothing."""
        with AtomicFile(folder / "a") as file:
            file.replace()

            def fails(_handle: int) -> None:
                raise OSError("not here")

            monkeypatch.setattr(os, "fsync", fails)
            file.sync_folder()

        assert ["a"] == names(folder)

    def test_an_error_names_the_place(self, folder: Path) -> None:
        """Not the file beside it."""
        with pytest.raises(FileNotFoundError, match=r"no/a'$") as caught:
            AtomicFile(folder / "no" / "a")

        assert str(folder / "no" / "a") == caught.value.filename

    def test_what_is_dropped_is_gone(self, folder: Path) -> None:
        """Whatever ended the run."""
        with pytest.raises(ZeroDivisionError), AtomicFile(folder / "a"):
            raise ZeroDivisionError

        assert [] == names(folder)


class TestUninterrupted:
    """Ctrl-C comes before a block or after it."""

    def test_it_comes_at_the_end(self) -> None:
        """What the block does is done."""
        done = []

        def interrupted() -> None:
            with defer_interrupt():
                signal.raise_signal(signal.SIGINT)
                done.append(1)

        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with pytest.raises(KeyboardInterrupt):
                interrupted()
        finally:
            signal.signal(signal.SIGINT, before)

        assert [1] == done

    def test_where_it_is_ignored_it_stays_ignored(self) -> None:
        """As for a job that a shell started in the background."""
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            with defer_interrupt():
                signal.raise_signal(signal.SIGINT)
                assert signal.SIG_IGN == signal.getsignal(signal.SIGINT)
        finally:
            signal.signal(signal.SIGINT, before)

    def test_another_thread_holds_nothing_back(self, tmp_path: Path) -> None:
        """Only the main thread may be interrupted."""
        found: list[Any] = []

        def work() -> None:
            save_book(tmp_path / "b.jsonl", "Anduin", {}, [], None)
            found.append(file_identity(tmp_path / "b.jsonl"))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

        assert [file_identity(tmp_path / "b.jsonl")] == found

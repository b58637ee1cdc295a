"""Files on disk after a run, also a failed or interrupted one, and its message."""

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
UPSERT = ("upsert", "Anduin", "-", "--set", "firm_id=f1", "--book", "b.jsonl")
UPSERT_WITH_OUTCOMES = (*UPSERT, "--outcomes", "o.jsonl")
# A tracer that is interrupted while it holds its lock would deadlock.
ENVIRONMENT = {k: v for k, v in os.environ.items() if "COVERAGE" not in k}


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str, stdin: str = ROW, code: int = 0) -> str:
    """Run a command in this process, and return its output."""
    result = CliRunner(env={"COLUMNS": "120"}).invoke(main, words, input=stdin)
    assert code == result.exit_code, result.output
    return result.output


def file_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def waiting_run(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a run that has begun to read standard input, and waits for more."""
    with subprocess.Popen(
        [sys.executable, "-m", "upsertcore", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    ) as process:
        assert process.stdin is not None
        # More than a pipe holds: when all is written, the run has begun to read.
        process.stdin.write(ROW.encode() + b"\n" * 300_000)
        process.stdin.flush()
        yield process


# Run the command once for each line that the modules that write execute after all
# rows are read; each run is a process of its own, interrupted at that line.
INTERRUPT_EVERY_LINE = """
import json, os, signal, sys
from pathlib import Path
from click.testing import CliRunner
from upsertcore.cli import main

NAMES = ("atomic_write", "book_file", "book_session", "outcome_file")
NAMES += ("profile_session", "upsert_command")
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
        begun |= frame.f_code.co_name == "write_files"
        return trace if begun and frame.f_code.co_filename.endswith(MODULES) else None

    sys.settrace(begin)
    try:
        result = CliRunner().invoke(main, words, input=row)
    finally:
        sys.settrace(None)
    here = [Path(name).exists() for name in ("b.jsonl", "o.jsonl")]
    print(json.dumps([result.exit_code, result.output, *here]), flush=True)
    return left

# Modules that a run imports late are imported here, once for all processes.
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


def test_ctrl_c_at_any_line_reports_the_files_on_disk(folder: Path) -> None:
    """Status 130 and no book, or the status of the rows and a written book."""
    process = subprocess.run(
        [sys.executable, "-c", INTERRUPT_EVERY_LINE, *UPSERT_WITH_OUTCOMES],
        input=ROW,
        capture_output=True,
        text=True,
        check=True,
        env=ENVIRONMENT,
    )
    results = [json.loads(line) for line in process.stdout.splitlines()]

    assert 100 < len(results)
    for code, output, book, outcomes in results[:-1]:
        if code == 130:
            assert (book, outcomes) == (False, False)
            assert "interrupted; no book was changed" in output
        else:
            assert (code, book, outcomes) == (0, True, True)
            message = "interrupted; b.jsonl and o.jsonl were written"
            assert message in output or "created" in output
            assert "no book was changed" not in output
    assert {0, 130} == {code for code, *_ in results}
    assert any("were written" in output for _code, output, *_ in results)


# Replace the book, and interrupt directly afterwards.
INTERRUPT_AFTER_REPLACE = """
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


def test_ctrl_c_after_the_book_was_replaced_reports_the_files(folder: Path) -> None:
    """The run ends with the status of its rows."""
    process = subprocess.run(
        [sys.executable, "-c", INTERRUPT_AFTER_REPLACE, *UPSERT_WITH_OUTCOMES],
        input=ROW.encode() + b"7\n",
        capture_output=True,
        check=False,
        env=ENVIRONMENT,
    )

    assert b"Error: interrupted; b.jsonl and o.jsonl were written\n" == process.stderr
    assert 1 == process.returncode
    assert ["b.jsonl", "o.jsonl"] == file_names(folder)


def test_ctrl_c_during_import_ends_with_130(folder: Path) -> None:
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
    process = subprocess.run(
        [sys.executable, "-c", code, *UPSERT],
        capture_output=True,
        check=False,
        env=ENVIRONMENT,
    )

    assert b"Error: interrupted; no book was changed\n" == process.stderr
    assert 130 == process.returncode
    assert [] == file_names(folder)


def test_full_standard_output_after_the_book_was_replaced_names_the_book(
    folder: Path,
) -> None:
    """Only the table is missing."""
    command = [sys.executable, "-m", "upsertcore", *UPSERT]
    with Path("/dev/full").open("wb") as full:
        process = subprocess.run(
            command, input=ROW.encode(), check=False, stdout=full, stderr=-1
        )

    message = b"Error: standard output: No space left on device; b.jsonl was written\n"
    assert message == process.stderr
    assert 2 == process.returncode
    assert ["b.jsonl"] == file_names(folder)


@pytest.mark.parametrize(
    ("failing", "written", "left"),
    [("o.jsonl", "", []), ("b.jsonl", "; o.jsonl was written", ["o.jsonl"])],
)
def test_file_that_cannot_be_replaced_is_reported_with_those_that_were(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    failing: str,
    written: str,
    left: list[str],
) -> None:
    """The outcomes come first; the next run removes those whose book never came."""
    replace = Path.replace

    def failing_replace(self: Path, target: Path) -> Path:
        if target.name == failing:
            raise OSError(errno.EIO, "Input/output error")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", failing_replace)

    message = f"Error: {failing}: Input/output error{written}\n"
    assert message == run(*UPSERT_WITH_OUTCOMES, code=2)
    assert left == file_names(folder)
    again = run(*UPSERT_WITH_OUTCOMES, code=2)
    assert ("o.jsonl: removed" in again) == bool(left)


def test_ctrl_c_after_the_command_ends_with_130(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some versions of click pass it on."""

    def interrupted_main(*_words: Any, **_options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(click.Group, "main", interrupted_main)

    assert "Error: interrupted; no book was changed\n" == run(*UPSERT, code=130)
    assert [] == file_names(folder)


def test_ctrl_c_between_command_and_exit_reports_the_files_on_disk(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Click alone would print "Aborted!", and nothing about the book."""
    invoke = Program.invoke

    def interrupted_invoke(self: Program, context: click.Context) -> None:
        with suppress(click.exceptions.Exit):
            invoke(self, context)
        raise KeyboardInterrupt

    monkeypatch.setattr(Program, "invoke", interrupted_invoke)

    output = run(*UPSERT, code=0)
    assert output.endswith("Error: interrupted; b.jsonl was written\n")
    assert "Aborted" not in output
    assert ["b.jsonl"] == file_names(folder)


def test_standard_input_without_a_descriptor_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that runs the command may have closed it."""
    fstat = os.fstat

    def failing_fstat(handle: int) -> os.stat_result:
        if handle == 0:
            raise OSError(errno.EBADF, "Bad file descriptor")
        return fstat(handle)

    monkeypatch.setattr(os, "fstat", failing_fstat)
    run(*UPSERT)

    assert ["b.jsonl"] == file_names(folder)


class TestOutcomes:
    """``--outcomes`` is replaced together with the book, or not at all."""

    @pytest.mark.parametrize(
        "words",
        [
            ("no.csv",),
            ("-", "no.csv"),
            ("open.csv",),
            ("-", "--map", "Mail=email", "open.csv"),
        ],
        ids=["no file", "no second file", "open quote", "column"],
    )
    def test_failed_run_leaves_the_old_outcomes(
        self, folder: Path, words: tuple[str, ...]
    ) -> None:
        (folder / "open.csv").write_text('email\n"a@x.org\n', encoding="utf-8")
        (folder / "o.jsonl").write_text("before", encoding="utf-8")
        options = ("--set", "firm_id=f1", "--book", "b.jsonl", "--outcomes", "o.jsonl")
        run("upsert", "Anduin", *words, *options, code=2)

        assert ["o.jsonl", "open.csv"] == file_names(folder)
        assert "before" == (folder / "o.jsonl").read_text(encoding="utf-8")

    def test_book_replaced_by_another_run_is_not_written(self, folder: Path) -> None:
        """The outcomes are not written, either."""
        with waiting_run(*UPSERT_WITH_OUTCOMES) as process:
            run(*UPSERT)
            output, error = process.communicate(ROW.encode(), timeout=60)

        assert b"" == output
        message = b"Error: b.jsonl: was changed by another program during this run; run"
        assert error.startswith(message)
        assert 2 == process.returncode
        assert ["b.jsonl"] == file_names(folder)

    def test_outcomes_without_a_book_are_complete_and_keep_permissions(
        self, folder: Path
    ) -> None:
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
        assert ["o.jsonl"] == file_names(folder)

    def test_outcomes_to_a_pipe_are_written_without_a_replace(
        self, folder: Path
    ) -> None:
        """Only a regular file is replaced."""
        words = ("upsert", "Anduin", "-", "--set", "firm_id=f1")
        process = subprocess.run(
            [sys.executable, "-m", "upsertcore", *words, "--outcomes", "/dev/stdout"],
            input=ROW.encode(),
            capture_output=True,
            check=True,
        )

        first, *table = process.stdout.decode().splitlines()
        assert "created" == json.loads(first)["result"]
        assert any("created" in line for line in table)
        assert [] == file_names(folder)

    def test_full_disk_for_the_outcomes_is_reported_by_their_path(
        self, folder: Path
    ) -> None:
        """The input is not blamed, and no book is written."""
        words = (*UPSERT, "--outcomes", "/dev/full")
        output = run(*words, code=2)

        assert "Error: /dev/full: No space left on device\n" == output
        assert [] == file_names(folder)

    def test_disk_that_becomes_full_ends_the_run(self, folder: Path) -> None:
        words = ("upsert", "Anduin", "in.jsonl", "--set", "firm_id=f1")
        rows = ROW * 2_000
        (folder / "in.jsonl").write_text(rows, encoding="utf-8")
        output = run(*words, "--outcomes", "/dev/full", code=2)

        assert "Error: /dev/full: No space left on device\n" == output

    def test_outcomes_to_the_file_of_standard_output_are_refused(
        self, folder: Path
    ) -> None:
        """The table would overwrite them."""
        words = (*UPSERT, "--outcomes", "o.txt")
        with (folder / "o.txt").open("wb") as out:
            process = subprocess.run(
                [sys.executable, "-m", "upsertcore", *words],
                input=ROW.encode(),
                stdout=out,
                stderr=subprocess.PIPE,
                check=False,
            )

        assert (
            b"o.txt: is named twice and would be overwritten; use another path"
            in process.stderr
        )
        assert 2 == process.returncode


class TestKilled:
    """Files that a run leaves after ``kill -9``, until the next run."""

    def test_files_of_a_killed_run_are_removed_by_the_next(self, folder: Path) -> None:
        """A run removes the files of its own targets."""
        with waiting_run(*UPSERT_WITH_OUTCOMES) as process:
            process.kill()
        assert [".o.jsonl.", ".upsertcore"] == [
            part for name in file_names(folder) for part in (name[:9], name[17:])
        ]
        run(*UPSERT)
        assert 2 == len(file_names(folder))
        run(*UPSERT_WITH_OUTCOMES)

        assert ["b.jsonl", "o.jsonl"] == file_names(folder)

    def test_files_of_a_live_run_stay(self, folder: Path) -> None:
        """They are locked."""
        words = (
            "upsert",
            "Anduin",
            "-",
            "--set",
            "firm_id=f1",
            "--outcomes",
            "o.jsonl",
        )
        with waiting_run(*words) as process:
            [temporary] = file_names(folder)
            run(*UPSERT_WITH_OUTCOMES)
            assert ["b.jsonl", "o.jsonl", temporary] == sorted(
                file_names(folder), key=len
            )
            _output, error = process.communicate(ROW.encode(), timeout=60)

        assert (0, b"") == (process.returncode, error)
        assert ["b.jsonl", "o.jsonl"] == file_names(folder)

    def test_files_of_other_names_stay(self, folder: Path) -> None:
        """Also similar names, and links."""
        others = [
            ".b.jsonl.abcdefgh.bak",
            ".b.jsonl.abc.upsertcore",
            ".c.jsonl.abcdefgh.upsertcore",
            "b.jsonl.abcdefgh.upsertcore",
        ]
        for name in others:
            (folder / name).touch()
        link = folder / ".b.jsonl.abcdefgl.upsertcore"
        link.symlink_to(folder / others[0])
        (folder / ".b.jsonl.abcdefgx.upsertcore").touch()
        run(*UPSERT)

        assert sorted([*others, link.name, "b.jsonl"]) == file_names(folder)


class TestAtomicFile:
    """A file that is replaced atomically."""

    def test_system_without_locks_replaces_and_removes_nothing(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "fcntl", None)
        stale = folder / ".a.abcdefgh.upsertcore"
        stale.touch()
        with folder_lock(folder), AtomicFile(folder / "a") as file:
            file.write(b"x")
            file.sync()
            file.replace()

        assert [stale.name, "a"] == file_names(folder)

    def test_file_system_without_locks_replaces_and_removes_nothing(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import fcntl

        def failing_flock(_handle: int, _operation: int) -> None:
            raise OSError("no locks")

        monkeypatch.setattr(fcntl, "flock", failing_flock)
        stale = folder / ".a.abcdefgh.upsertcore"
        stale.touch()
        with AtomicFile(folder / "a") as file:
            file.replace()

        assert [stale.name, "a"] == file_names(folder)

    def test_folder_that_cannot_be_synced_is_no_error(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Some systems cannot sync a folder."""
        with AtomicFile(folder / "a") as file:
            file.replace()

            def failing_fsync(_handle: int) -> None:
                raise OSError("not here")

            monkeypatch.setattr(os, "fsync", failing_fsync)
            file.sync_folder()

        assert ["a"] == file_names(folder)

    def test_error_names_the_target_and_not_the_temporary_file(
        self, folder: Path
    ) -> None:
        with pytest.raises(FileNotFoundError, match=r"no/a'$") as raised:
            AtomicFile(folder / "no" / "a")

        assert str(folder / "no" / "a") == raised.value.filename

    def test_exception_removes_the_temporary_file(self, folder: Path) -> None:
        with pytest.raises(ZeroDivisionError), AtomicFile(folder / "a"):
            raise ZeroDivisionError

        assert [] == file_names(folder)


class TestDeferInterrupt:
    """Ctrl-C takes effect before a block or after it."""

    def test_interrupt_in_a_block_is_raised_at_its_end(self) -> None:
        steps = []

        def interrupted() -> None:
            with defer_interrupt():
                signal.raise_signal(signal.SIGINT)
                steps.append(1)

        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with pytest.raises(KeyboardInterrupt):
                interrupted()
        finally:
            signal.signal(signal.SIGINT, before)

        assert [1] == steps

    def test_ignored_interrupt_stays_ignored(self) -> None:
        """As for a background job of a shell."""
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            with defer_interrupt():
                signal.raise_signal(signal.SIGINT)
                assert signal.SIG_IGN == signal.getsignal(signal.SIGINT)
        finally:
            signal.signal(signal.SIGINT, before)

    def test_other_thread_saves_without_a_signal_handler(self, tmp_path: Path) -> None:
        """Only the main thread may set one."""
        identities: list[Any] = []

        def work() -> None:
            save_book(tmp_path / "b.jsonl", "Anduin", {}, [], None)
            identities.append(file_identity(tmp_path / "b.jsonl"))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

        assert [file_identity(tmp_path / "b.jsonl")] == identities

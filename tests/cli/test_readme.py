"""What the packages' READMEs show of the command line is what it prints."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import upsertcore

pytestmark = pytest.mark.full

ROOT = Path(__file__).parents[2]
PACKAGE = Path(upsertcore.__file__).parent
READMES = {"cli": 4, "evaluation": 1, "laws": 1}
"""The package and how many commands its README shows."""


def commands(package: str) -> list[tuple[str, str]]:
    """Return each command of the console blocks of a README, and what it prints."""
    text = (PACKAGE / package / "README.md").read_text(encoding="utf-8")
    return [
        step
        for block in re.findall(r"(?ms)^```console\n(.*?)^```$", text)
        for step in re.findall(r"(?m)^\$ (.*)\n((?:[^$].*\n)*)", block)
    ]


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, with the samples of the repository."""
    words = shlex.split(command)
    assert words[0] == "upsertcore"
    words = [
        str(ROOT / word) if word.startswith("benchmarks/") else word
        for word in words[1:]
    ]
    return subprocess.run(
        [sys.executable, "-m", "upsertcore", *words],
        cwd=folder,
        env={**os.environ, "COLUMNS": "100", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        check=False,
        encoding="utf-8",
    )


def pattern(text: str) -> str:
    """Return a pattern of expected output: dots stand for anything within a line."""
    lines = [re.escape(" ".join(line.split())) for line in text.splitlines()]
    return "\n".join(line.replace(r"\.\.\.", ".*") for line in lines if line)


@pytest.mark.parametrize("package", READMES)
def test_console_blocks_show_what_is_printed(package: str, tmp_path: Path) -> None:
    """Each command prints what the README has below it, white space aside."""
    steps = commands(package)
    assert READMES[package] == len(steps)
    for command, expected in steps:
        done = run(command, tmp_path)
        lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
        actual = "\n".join(line for line in lines if line)

        assert 0 == done.returncode, done.stderr
        assert re.fullmatch(pattern(expected), actual), actual


def test_the_second_run_leaves_the_book_as_it_was(tmp_path: Path) -> None:
    """The same file twice: every row unchanged, and the same bytes."""
    first, second, *_ = [command for command, _ in commands("cli")]
    run(first, tmp_path)
    before = (tmp_path / "crm.jsonl").read_bytes()
    run(second, tmp_path)

    assert (tmp_path / "crm.jsonl").read_bytes() == before

"""The commands of the packages' READMEs print the output that is shown there."""

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
READMES = {"cli": 7, "evaluation": 1, "laws": 1}
"""Each package with the number of commands in its README."""


def commands(package: str) -> list[tuple[str, str]]:
    """Return each command of the console blocks of a README, with its output."""
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
    """Return a pattern for expected output: dots match anything within a line."""
    lines = [re.escape(" ".join(line.split())) for line in text.splitlines()]
    return "\n".join(line.replace(r"\.\.\.", ".*") for line in lines if line)


@pytest.mark.parametrize("package", READMES)
def test_commands_of_console_blocks_print_the_shown_output(
    package: str, tmp_path: Path
) -> None:
    """Except for white space."""
    steps = commands(package)
    assert READMES[package] == len(steps)
    for command, expected in steps:
        process = run(command, tmp_path)
        lines = [" ".join(line.split()) for line in process.stdout.splitlines()]
        actual = "\n".join(line for line in lines if line)

        assert 0 == process.returncode, process.stderr
        assert re.fullmatch(pattern(expected), actual), actual


def test_second_run_of_the_readme_leaves_the_book_unchanged(tmp_path: Path) -> None:
    first, second, *_ = [command for command, _ in commands("cli")]
    run(first, tmp_path)
    before = (tmp_path / "crm.jsonl").read_bytes()
    run(second, tmp_path)

    assert (tmp_path / "crm.jsonl").read_bytes() == before

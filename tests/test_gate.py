"""Parts of the gate that the environment of a caller could change."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

GATE = Path(__file__).parent.parent / ".ci" / "run"

pytestmark = pytest.mark.skipif(not GATE.exists(), reason="the gate is not here")


def gate_function(name: str) -> str:
    """Return the text of a function of the gate."""
    [text] = re.findall(
        rf"^{name}\(\) \{{\n.*?^\}}\n",
        GATE.read_text("utf-8"),
        re.DOTALL | re.MULTILINE,
    )
    return str(text)


def test_readme_command_sees_home_and_path_alone() -> None:
    """No other variable of the caller reaches it."""
    process = subprocess.run(
        ["/bin/bash", "-c", f'{gate_function("bare")}\nbare "env"'],
        env={"HOME": "/h", "PATH": "/usr/bin:/bin", "CI": "1", "PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    environment = dict(line.split("=", 1) for line in process.stdout.splitlines())

    # The shell itself sets the others.
    assert {"HOME": "/h", "PATH": "/usr/bin:/bin"} == {
        name: value
        for name, value in environment.items()
        if name not in ("PWD", "SHLVL", "_")
    }


def test_failing_readme_command_ends_the_gate() -> None:
    """Any line may fail, and any part of a pipe."""
    for command in ("false; true", "false | true", "echo $NOT_SET"):
        process = subprocess.run(
            ["/bin/bash", "-c", f"{gate_function('bare')}\nbare '{command}'"],
            env={"HOME": "/h", "PATH": "/usr/bin:/bin"},
            capture_output=True,
            check=False,
        )
        assert process.returncode


def test_both_readme_commands_run_bare() -> None:
    """No command of the README runs in another way."""
    text = GATE.read_text("utf-8")

    assert ["0", "1"] == re.findall(r'^bare "\$\(readme ([01])\)"$', text, re.MULTILINE)
    assert 2 == len(re.findall(r"\$\(readme ", text))


def test_an_unknown_option_is_refused() -> None:
    """Before anything is done."""
    for words in (["--lnog"], ["--long", "x"], [""]):
        process = subprocess.run(
            ["/bin/bash", GATE, *words], capture_output=True, text=True, check=False
        )
        assert (2, "usage: .ci/run [--long]\n") == (process.returncode, process.stderr)

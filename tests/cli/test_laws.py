"""``upsertcore laws``: the number of calls is announced, and can be limited."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from functools import partial

import pytest
from click.testing import CliRunner

from upsertcore.cli import main

PLACEHOLDERS = ("--set", "placeholders=true")


def run_on_terminal(*words: str) -> tuple[str, bytes]:
    """Run the command with a terminal; return standard error and standard output."""
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "upsertcore", "laws", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=terminal) as process:
        os.close(terminal)
        progress = b"".join(iter(partial(read, controller), b""))
        os.close(controller)
        stdout, _stderr = process.communicate()
    assert 0 == process.returncode
    return progress.decode(), stdout


def read(terminal: int) -> bytes:
    """Return bytes of a terminal; none after it is closed."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


def test_number_of_calls_is_announced_on_a_terminal() -> None:
    """The result is the same as without a terminal."""
    progress, stdout = run_on_terminal("SalesforceIQ", "--contacts", "0")
    without_terminal = CliRunner().invoke(
        main, ["laws", "SalesforceIQ", "--contacts", "0"]
    )

    assert re.search(r"about \d{3} calls; --limit N samples fewer", progress)
    assert "checking" in progress
    assert "" == without_terminal.stderr
    assert stdout.decode() == without_terminal.stdout


def test_limit_is_announced_and_left_out_states_are_listed() -> None:
    progress, stdout = run_on_terminal(
        "Anduin", *PLACEHOLDERS, "--limit", "300", "--json"
    )
    left_out = json.loads(stdout)["left_out"]

    assert "about 300 calls" in progress
    assert "samples fewer" not in progress
    assert left_out[0].endswith(": keys alone, states of 0 contacts")


def test_limited_run_states_the_number_of_calls_before_the_laws() -> None:
    words = ["laws", "Anduin", *PLACEHOLDERS, "--limit", "300"]
    result = CliRunner().invoke(main, words)

    assert 0 == result.exit_code
    assert result.stdout.splitlines()[2].startswith("tried ")


@pytest.mark.parametrize("limit", ["0", "-1", "x"])
def test_invalid_limit_is_refused_by_name(limit: str) -> None:
    result = CliRunner().invoke(main, ["laws", "Anduin", "--limit", limit])

    assert 2 == result.exit_code
    assert "--limit" in result.stderr

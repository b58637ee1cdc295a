"""``upsertcore laws``: how much it tries is said beforehand, and can be bounded."""

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


def on_terminal(*words: str) -> tuple[str, bytes]:
    """Run it with a terminal as standard error; give what that shows, and the card."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "upsertcore", "laws", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        shown = b"".join(iter(partial(read, ours), b""))
        os.close(ours)
        stdout, _stderr = process.communicate()
    assert 0 == process.returncode
    return shown.decode(), stdout


def read(terminal: int) -> bytes:
    """Read what is written to a terminal; nothing once nobody writes to it."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


def test_it_says_beforehand_how_many_calls_there_will_be() -> None:
    """On a terminal, above the bar; the card is the same as elsewhere."""
    shown, stdout = on_terminal("SalesforceIQ", "--contacts", "0")
    elsewhere = CliRunner().invoke(main, ["laws", "SalesforceIQ", "--contacts", "0"])

    assert re.search(r"about \d{3} calls; --limit N samples fewer", shown)
    assert "checking" in shown
    assert "" == elsewhere.stderr
    assert stdout.decode() == elsewhere.stdout


def test_a_limit_is_what_is_said() -> None:
    """And what was left out stands in the card."""
    shown, stdout = on_terminal("Anduin", *PLACEHOLDERS, "--limit", "300", "--json")
    left_out = json.loads(stdout)["left_out"]

    assert "about 300 calls" in shown
    assert "samples fewer" not in shown
    assert left_out[0].endswith(": keys alone, states of 0 contacts")


def test_a_large_world_is_tried_in_part() -> None:
    """The text says it before the laws."""
    words = ["laws", "Anduin", *PLACEHOLDERS, "--limit", "300"]
    result = CliRunner().invoke(main, words)

    assert 0 == result.exit_code
    assert result.stdout.splitlines()[2].startswith("tried ")


@pytest.mark.parametrize("limit", ["0", "-1", "x"])
def test_a_limit_is_a_number(limit: str) -> None:
    """The option is named."""
    result = CliRunner().invoke(main, ["laws", "Anduin", "--limit", limit])

    assert 2 == result.exit_code
    assert "--limit" in result.stderr

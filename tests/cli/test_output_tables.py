"""The tables that commands print: content and width."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from rich.cells import cell_len
from rich.console import Console

from upsertcore.cli import main
from upsertcore.cli.output import (
    RunCounts,
    contact_table,
    count_table,
    make_table,
)
from upsertcore.profiles import SalesforceIQ

if TYPE_CHECKING:
    from pathlib import Path

    from rich.table import Table

ADDRESS = "ada.lovelace-of-the-engine@analytical-engines.example"


def printed_lines(counts: RunCounts, seconds: float) -> list[str]:
    """Print counts, and return the lines."""
    console = Console(file=io.StringIO(), width=100)
    counts.print(console, seconds)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def shown_lines(table: Table, width: int) -> list[str]:
    """Print a table on a console of a width, and return the lines without margins."""
    console = Console(file=io.StringIO(), width=width)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert all(cell_len(line) <= width for line in lines)
    return [line.strip() for line in lines if line.strip(" \u2500")]


def shown_on_terminal(width: int, *words: str) -> str:
    """Run a command on a terminal of a width; return what it prints."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 24, width, 0, 0))
    env = {name: os.environ[name] for name in os.environ if name != "COLUMNS"}
    env |= {"TERM": "xterm", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "upsertcore", *words]
    with subprocess.Popen(
        command, stdout=terminal, stderr=terminal, env=env
    ) as process:
        os.close(terminal)
        shown = b""
        try:
            while block := os.read(controller, 4096):
                shown += block
        except OSError:
            # The command has ended.
            pass
        os.close(controller)
    assert 0 == process.returncode
    return shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("rate", [1, 999, 1_000, 9_999, 10_000, 123_456, 9_999_999])
def test_table_of_a_run_has_one_width_at_any_rate(rate: int) -> None:
    counts = RunCounts()
    counts.results["created"] = 2_500
    lines = printed_lines(counts, 2_500 / rate)
    slow = printed_lines(counts, 2_500)

    [rate_line] = [line for line in lines if "rows per second" in line]
    assert f"{rate:,}" == rate_line.split()[-1]
    assert lines[:-2] == slow[:-2]
    assert {len(line) for line in lines} == {len(line) for line in slow}


def test_table_that_does_not_fit_is_shown_as_records() -> None:
    """A record has no line for a value that is blank."""
    rows: list[list[str | None]] = [
        ["email", None, ADDRESS],
        ["customFields", "items_by('id', 'key')", ""],
    ]
    table = make_table("fields", ["field", "rule", "value"], rows)

    assert [
        *("fields", "field   email", "value   ada.lovelace-of-the-engine@a"),
        *("nalytical-engines.example", "field   customFields"),
        "rule    items_by('id', 'key')",
    ] == shown_lines(table, 40)
    assert "field          rule                    value" in shown_lines(table, 120)


def test_table_of_short_words_stays_a_table_on_a_narrow_terminal() -> None:
    table = make_table("fields", ["field", "key", "rule"], [["email", "", "replace"]])

    assert ["fields", "field   key   rule", "email         replace"] == shown_lines(
        table, 40
    )


def test_words_of_three_columns_wrap_before_they_become_records() -> None:
    """From 60 columns on; a table whose words do not fit is shown as records."""
    details = "line 5: patch: has no key to match by, and so no contact is found"
    fits = make_table("", ["kind", "subject", "details"], [["refused", "x", details]])
    words = [["w" * 30, "x" * 30, "y" * 30]]
    broken = make_table("", ["kind", "subject", "details"], words)

    assert "kind      subject   details" == shown_lines(fits, 60)[0]
    assert f"kind      {'w' * 30}" == shown_lines(broken, 60)[0]


def test_figures_stay_a_table_while_the_words_of_their_names_fit() -> None:
    rows = [["a reason of several short words", 1_234, 5]]
    table = count_table("", ["reason", "calls", "rows"], rows)
    long = count_table("", ["reason", "calls", "rows"], [["r" * 30, 1_234, 5]])

    assert [
        "reason        calls   rows",
        "a reason of   1,234      5",
        "several",
        "short words",
    ] == shown_lines(table, 30)
    assert "reason   rrrrrrrrrrrrrrrrr" == shown_lines(long, 30)[0]


def test_table_without_rows_that_does_not_fit_is_a_title() -> None:
    title = "0 records linked differently: 0 better, 0 worse"
    heads = ["line", "person", "verdict", "policy.toml", "SalesforceIQ"]

    assert [
        "0 records linked differently: 0 better,",
        "0 worse",
    ] == shown_lines(make_table(title, heads, []), 40)


def test_id_and_address_of_a_contact_are_readable_on_a_narrow_terminal() -> None:
    book = SalesforceIQ().book
    outcome = book.upsert({"email": [{"value": "a@x.org", "metadata": {}}]}, id="c-1")
    lines = shown_lines(contact_table([outcome.contact]), 40)

    assert "contact   c-1" == lines[1]
    assert 'fields    email: [{"value":' in lines
    assert "contact                fields" in shown_lines(
        contact_table([outcome.contact]), 80
    )


@pytest.mark.parametrize("command", [(), *((name,) for name in main.commands)])
@pytest.mark.parametrize("width", [40, 80, 200])
def test_help_is_as_wide_as_the_terminal(width: int, command: tuple[str, ...]) -> None:
    """At most 80 columns, and no text is squeezed into a column of single words."""
    result = CliRunner(env={"COLUMNS": f"{width}"}).invoke(main, [*command, "--help"])

    assert 0 == result.exit_code
    assert max(map(len, result.output.splitlines())) <= min(width, 80)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_table_on_a_terminal_breaks_no_word_and_has_no_color(width: int) -> None:
    """Bold and italic text are no colors."""
    shown = shown_on_terminal(width, "policy", "LeadConnector")
    codes = {*re.findall(r"\x1b\[([0-9;]*)m", shown)}
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)

    assert codes <= {"0", "1", "3", "1;3"}
    assert max(map(len, plain.splitlines())) <= width
    for word in ("inboundDndSettings", "clean=birth_date", "items_by('id', 'key')"):
        assert word in plain


def test_progress_of_a_long_path_leaves_room_for_the_bar(tmp_path: Path) -> None:
    """The end of the path is shown, in a third of the line."""
    path = tmp_path / "a-folder-of-exports" / "export.csv"
    path.parent.mkdir()
    path.write_text("email\na@x.org\n", "utf-8")
    shown = shown_on_terminal(40, "profile", str(path))

    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert re.search(r"\u2026s/export.csv \S{10,} 100% \d:\d\d:\d\d", plain)

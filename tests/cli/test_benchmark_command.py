"""``upsertcore benchmark`` as a user types it; figures of times are not compared."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from click.testing import CliRunner, Result
from rich.console import Console

from upsertcore.benchmark import (
    BenchmarkReport,
    FastPathUse,
    KeyUse,
    Latency,
    PolicyFigures,
)
from upsertcore.cli import main
from upsertcore.cli.benchmark_command import benchmark_tables
from upsertcore.evaluation import Spread

ROOT = Path(__file__).parents[2]

CSV = """Mail,name
ada@x.org,Ada
ADA@x.org,Ada
eve@x.org,Eve
,Bob
"""
POLICY = """match = { first_match = ["email"] }

[fields.email]
key = "email"

[fields.name]
"""
MODULE = """
from upsertcore import Policy, field, first_match, normalize

lines = {"email": field(key=normalize.email), "name": field()}
policy = Policy(first_match("email"), lines, on_no_key="create")

def breaks(value):
    raise RuntimeError("broken")

broken = Policy(first_match("email"), {**lines, "email": field(key=breaks)})
"""
MAIL = ("--map", "Mail=email")
ONCE = ("--rounds", "1")


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a folder with rows and policies."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    (tmp_path / "in.csv").write_text(CSV, encoding="utf-8")
    (tmp_path / "policy.toml").write_text(POLICY, encoding="utf-8")
    (tmp_path / "mine.py").write_text(MODULE, encoding="utf-8")
    return tmp_path


def run(*words: str, code: int = 0, stdin: str = "") -> Result:
    """Run a command, and check its exit status."""
    runner = CliRunner(env={"COLUMNS": "100"})
    result = runner.invoke(main, ("benchmark", *words), input=stdin)
    assert code == result.exit_code, result.output
    return result


def figures(*words: str, **how: Any) -> Any:
    """Run a command with ``--json``, and return its figures."""
    return json.loads(run(*words, "--json", **how).stdout)


@pytest.mark.usefixtures("folder")
class TestFigures:
    """What is measured, in processes."""

    def test_policies_are_compared_on_the_same_rows(self) -> None:
        """One of a file, one of a module, and a profile with its payloads."""
        words = ("policy.toml", "in.csv", *MAIL, *ONCE, "--compare", "mine:policy")
        shown = figures(*words, "--compare", "Anduin", "--set", "firm_id=f")
        by_name = {each["name"]: each for each in shown["policies"]}

        assert ["policy.toml", "mine:policy", "Anduin"] == [*by_name]
        mine, other = by_name["policy.toml"], by_name["mine:policy"]
        assert {"created": 2, "updated": 1, "refused: NoMatchKey": 1} == mine["results"]
        assert {"created": 3, "updated": 1} == other["results"]
        assert {"asked": 3, "nothing": 2, "one": 1, "several": 0, "decided": 1} == {
            name: count for name, count in mine["keys"][0].items() if name != "key"
        }
        assert 1 == mine["fast_path"]["reasons"].popitem()[1]
        assert mine["batches"]["median"] > 0
        assert by_name["Anduin"]["batches"] is None

    def test_tables_show_figures_of_the_given_rounds(self) -> None:
        output = run("policy.toml", "in.csv", *MAIL, "--rounds", "2").output
        together = " ".join(output.split())

        for shown in (
            "policy.toml, 2 rounds",
            "rows 4",
            "calls on the fast path 75.0%",
            "upserts a second, quarter 4",
            "calls of policy.toml off the fast path",
            "email hit one contact 1",
        ):
            assert shown in together


@pytest.mark.usefixtures("folder")
class TestOptions:
    """Each option, used and misused."""

    def test_set_is_a_field_of_every_row_and_unreadable_rows_set_the_status(
        self,
    ) -> None:
        """Of standard input."""
        words = ("policy.toml", "-", "--map", "Mail=", *ONCE)
        stdin = "Mail,name\na,Ada\nb\nc,Eve\n"
        shown = figures(*words, "--set", "email=all@x.org", stdin=stdin, code=1)
        [measured] = shown["policies"]

        assert (2, 1) == (measured["rows"], measured["contacts"])
        assert {"has … cells, but the header has 2": 1} == shown["unreadable"]

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("--rounds", "0"), "0 is not in the range x>=1"),
            (("--compare", "nothing"), "--compare: 'nothing' is not a profile"),
            (("--map", "Mial=email"), "--map: no column 'Mial'"),
            (("--map", "Mail"), "--map: must be COLUMN=FIELD"),
            (("--set", "email"), "--set: must be NAME=VALUE"),
            (("--compare", "Anduin"), "Anduin needs --set firm_id=..."),
        ],
    )
    def test_invalid_option_is_refused(
        self, words: tuple[str, ...], message: str
    ) -> None:
        output = run("policy.toml", "in.csv", *words, code=2).output

        assert message in " ".join(output.split())

    @pytest.mark.full
    def test_plot_is_written(self, folder: Path) -> None:
        run("policy.toml", "in.csv", *MAIL, *ONCE, "--plot", "out.png")

        assert (folder / "out.png").read_bytes().startswith(b"\x89PNG")

    @pytest.mark.full
    @pytest.mark.parametrize(
        ("plot", "message"),
        [("p.txt", "--plot: must end in one of ."), ("no/p.png", "--plot: directory")],
    )
    def test_plot_that_cannot_be_written_is_refused_before_the_run(
        self, plot: str, message: str
    ) -> None:
        assert message in run("policy.toml", "no.csv", "--plot", plot, code=2).output


@pytest.mark.usefixtures("folder")
class TestErrors:
    """What ends a run, or its status."""

    def test_file_without_rows_is_refused(self) -> None:
        message = "-: has no rows to measure"

        assert message in run("policy.toml", "-", stdin="email\n", code=2).output

    def test_missing_file_is_reported(self) -> None:
        assert "no.csv: No such file" in run("policy.toml", "no.csv", code=2).output

    def test_error_of_a_policy_is_one_line_with_its_name(self) -> None:
        result = run("mine:broken", "in.csv", *MAIL, code=2)

        assert (
            "Error: mine:broken: RuntimeError: broken "
            "(email: normaliser breaks raised this for text)\n"
        ) == result.output


def sample() -> BenchmarkReport:
    """Return a report with figures of seven digits."""
    many, few = Spread(1_000_000.0, 1_100_000.0, 1_200_000.0), Spread(0.5, 1.5, 12.5)
    policy = PolicyFigures(
        "a[b].toml",
        1_000_000,
        600_000,
        {"created": 600_000, "refused: NoMatchKey": 400_000},
        many,
        many,
        Latency(few, few, many),
        (many, many, many, many),
        812.4,
        FastPathUse(1_000_000, 999_999, {"the keys match several contacts": 1}),
        (KeyUse("email", 1_000_000, 1, 999_998, 1, 999_998),),
    )
    return BenchmarkReport("3.11.7", 5, 1_000, (policy, evolve(policy, name="b.toml")))


@pytest.mark.parametrize("width", [40, 80, 200])
def test_nothing_is_cut_off_at_any_width(width: int) -> None:
    console = Console(width=width, file=None, record=True)
    with console.capture() as capture:
        for table in benchmark_tables(sample(), {"is not valid CSV": 2_000_000}):
            console.print(table)
    output = capture.get()

    assert "…" not in output
    assert width >= max(len(line) for line in output.splitlines())
    for word in ("1,100,000", "2,000,000", "100.0%", "1.00x", "812"):
        assert word in output


def test_figures_that_one_policy_lacks_are_not_compared() -> None:
    report = sample()
    few: Any = {"batches": None, "contact_bytes": None, "keys": ()}
    few["fast_path"] = FastPathUse(1_000_000, 1_000_000, {})
    first = evolve(report.policies[0], **few)
    tables = [*benchmark_tables(evolve(report, policies=(first, first)), {})]
    ratios = tables[-1]

    assert "compared with a\\[b].toml" == ratios.title
    assert 8 == ratios.row_count
    other = evolve(report, policies=(first, report.policies[1]))
    assert 8 == [*benchmark_tables(other, {})][-1].row_count


@pytest.mark.full
def test_terminal_shows_progress(folder: Path) -> None:
    """On standard error; the figures are on standard output."""
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "upsertcore", "benchmark", "policy.toml", "in.csv"]
    process = subprocess.run(
        [*command, *MAIL, *ONCE, "--json"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        stdout=subprocess.PIPE,
        stderr=terminal,
        check=True,
    )
    os.close(terminal)
    shown = os.read(controller, 1 << 16).decode(errors="replace")
    os.close(controller)

    assert 1 == json.loads(process.stdout)["rounds"]
    assert "measuring" in shown

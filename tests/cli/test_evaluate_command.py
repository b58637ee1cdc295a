"""``upsertcore evaluate``, as it is typed: what it prints, draws, and ends with."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from upsertcore.cli import main
from upsertcore.cli.output import printable

SAMPLE = Path(__file__).parents[2] / "benchmarks" / "sample"

# Under the policies below: by email the first three rows are one contact, of two ada
# and a bob; by nothing each row is a contact. So of the one pair of ada's rows and the
# one of bob's, the first finds 1 of 2, among 3 that it puts together.
CSV = """who,email,name
ada,a@x,Ada
ada,A@x,Ada
bob,a@x,Bob
bob,b@x,Bob
"""

MODULE = """
from types import SimpleNamespace
from upsertcore import Policy, field, first_match, never, normalize

lines = {"email": field(key=normalize.email), "name": field()}
policy = Policy(first_match("email"), lines, on_no_key="refuse")
space = SimpleNamespace(policy=policy)

def make():
    return Policy(never(), lines)

def fails():
    raise RuntimeError("no, thanks")
"""


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder with labelled rows and a module of policies."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("mine", "broken"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "in.csv").write_text(CSV, encoding="utf-8")
    (tmp_path / "mine.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "broken.py").write_text("1 +", encoding="utf-8")
    return tmp_path


DOWN = """
from upsertcore import Policy, field, first_match
from upsertcore.rules import replace

def down(value):
    raise RuntimeError("down")

fields = {"email": field(key=down)}
policy = Policy(first_match("email"), fields, extra_fields=field(rule=replace))
"""


def run(*words: str, stdin: bytes | None = None, code: int = 0) -> Result:
    """Type a command, and see how it ends."""
    command = ("evaluate", *words)
    result = CliRunner(env={"COLUMNS": "120"}).invoke(main, command, input=stdin)
    assert result.exit_code == code, result.output
    return result


def told(*words: str, stdin: bytes | None = None, code: int = 0) -> dict[str, Any]:
    """Read what a command tells programs."""
    found: dict[str, Any] = json.loads(
        run(*words, "--json", stdin=stdin, code=code).stdout
    )
    return found


def cells(output: str) -> list[list[str]]:
    """Read the lines of a table as their words, two spaces apart."""
    lines = [
        [part.strip() for part in line.split("  ")] for line in output.splitlines()
    ]
    return [[part for part in line if part] for line in lines]


WHO = ("--truth", "who")


class TestPolicies:
    """What is judged."""

    @pytest.mark.parametrize("name", ["mine:policy", "mine:space.policy"], ids="ab")
    def test_a_policy_of_a_module(self, folder: Path, name: str) -> None:
        """It is found in the current folder, and judged on patches."""
        [found] = told(name, "in.csv", *WHO)["reports"]

        assert folder.exists()
        assert name == found["policy"]
        assert (2, 3, 1) == (
            *(found["scores"]["true_pairs"], found["scores"]["assigned_pairs"]),
            found["scores"]["right_pairs"],
        )
        assert [{"key": "email", "decided": 2, "right": 1}] == found["keys"]

    def test_a_function_that_makes_one(self, folder: Path) -> None:
        """It is called without arguments."""
        [found] = told("mine:make", "in.csv", *WHO)["reports"]

        assert folder.exists()
        assert 4 == found["contacts"]

    def test_a_profile(self, folder: Path) -> None:
        """It is judged through its payloads, with its options and parameters."""
        content = b"who,phone\nada,(202) 555-0143\nada,+12025550143\n"
        words = ("leadconnector", "-", *WHO, "--set", "locationId=L")
        us = told(*words, "--set", "region=US", stdin=content)
        world = told(*words, stdin=content, code=1)

        assert folder.exists()
        assert 1 == us["reports"][0]["contacts"]
        assert [1] == [each["count"] for each in world["reports"][0]["refusals"]]
        assert 2 == world["reports"][0]["refusals"][0]["line"]
        assert "statusCode" in world["reports"][0]["refusals"][0]["example"]

    def test_a_constant_is_a_field_of_each_row(self, folder: Path) -> None:
        """It stands over the row, and nobody is told apart by it."""
        words = ("mine:policy", "in.csv", *WHO, "--set", "email=z@x")

        assert folder.exists()
        assert 1 == told(*words)["reports"][0]["contacts"]

    def test_an_option_of_one_profile_is_no_field_of_the_other(
        self, folder: Path
    ) -> None:
        """What each takes it is given, and a policy is given neither."""
        words = (
            "--set",
            "firm_id=f",
            "--set",
            "lastName=King",
            "--map",
            "name=firstName",
        )
        names = ("Anduin", "in.csv", "--compare", "SalesforceIQ")
        found = told(*names, *WHO, *words, "--set", "region=US", code=1)

        assert folder.exists()
        assert [4, 0] == [each["refused"] for each in found["reports"]]
        policy = told(
            *("mine:policy", "in.csv", "--compare", "SegMetrics", *WHO),
            *("--set", "account_id=1", "--set", "integration_id=2"),
            code=1,
        )
        assert 0 == policy["reports"][0]["refused"]

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("nobody", "POLICY: 'nobody' is not a profile (SalesforceIQ, "),
            (":policy", "POLICY: ':policy' is not a profile"),
            ("mine:", "POLICY: 'mine:' is not a profile"),
            ("nowhere:policy", "ModuleNotFoundError: No module named 'nowhere'"),
            ("mine:nope", "AttributeError: module 'mine' has no attribute 'nope'"),
            ("mine:lines", "mine:lines: must be a Policy, or a function without"),
            (
                "mine:field",
                "must be a Policy, or a function without arguments that returns one",
            ),
            ("mine:first_match.name", "AttributeError: 'function' object has no"),
            ("mine:fails", "POLICY: mine:fails: RuntimeError: no, thanks"),
            ("broken:policy", "POLICY: broken:policy: SyntaxError: invalid syntax"),
        ],
        ids=map(str, range(10)),
    )
    def test_no_policy(self, folder: Path, name: str, message: str) -> None:
        """One line says what is wrong, and the status is 2."""
        result = run(name, "in.csv", *WHO, code=2)

        assert folder.exists()
        assert message in result.stderr
        assert result.stderr.count("\n") == 1
        assert (
            "--compare: "
            in run(
                *("mine:policy", "in.csv", *WHO, "--compare", "nobody"), code=2
            ).stderr
        )

    def test_the_console_script_finds_modules_here_too(self, folder: Path) -> None:
        """Where the current folder is not on the path of modules, it is put there."""
        code = (
            "import sys, os\n"
            "sys.path = [p for p in sys.path if p not in ('', os.getcwd())]\n"
            "from upsertcore.__main__ import main\n"
            "main()"
        )
        words = ["evaluate", "mine:policy", "in.csv", *WHO]
        done = subprocess.run(
            [sys.executable, "-c", code, *words], check=False, capture_output=True
        )

        assert folder.exists()
        assert (0, b"") == (done.returncode, done.stderr)


class TestData:
    """What it is judged on."""

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("in.jsonl", '{"who": "ada", "email": "a@x"}\n{"who": "ada"}\n'),
            ("in.json", '[{"who": 7, "email": "a@x"},\n{"who": "7"}]'),
        ],
        ids=["lines", "array"],
    )
    def test_json(self, folder: Path, name: str, content: str) -> None:
        """Lines and arrays are read as upsert reads them; 7 and "7" are one person."""
        (folder / name).write_text(content, encoding="utf-8")
        found = told("mine:policy", name, *WHO, code=1)["reports"][0]

        assert (2, 1, 1) == (
            *(found["records"], found["scores"]["persons"], found["refused"]),
        )
        assert [("NoMatchKey", 2)] == [
            (each["kind"], each["line"]) for each in found["refusals"]
        ]

    def test_standard_input_is_read_once(self, folder: Path) -> None:
        """It is kept for the other policy, and for every order."""
        words = ("mine:policy", "-", *WHO, "--compare", "mine:make", "--shuffles", "3")
        found = told(*words, stdin=CSV.encode())

        assert folder.exists()
        assert [4, 4] == [each["records"] for each in found["reports"]]
        assert [3, 3] == [each["shuffles"] for each in found["reports"]]

    def test_the_seed_says_which_orders(self, folder: Path) -> None:
        """The same seed gives the same figures."""
        words = ("LeadConnector", str(SAMPLE / "labelled.csv"), "--truth", "person")
        more = ("--set", "locationId=L", "--shuffles", "3")
        first = told(*words, *more, "--seed", "5")

        assert folder.exists()
        assert told(*words, *more, "--seed", "5") == first
        assert told(*words, *more) != first

    def test_what_cannot_be_read_is_counted(self, folder: Path) -> None:
        """It is no record, and the lines of the others stay theirs."""
        (folder / "in.csv").write_text(
            CSV.replace("ada,A@x,Ada", "x"), encoding="utf-8"
        )
        (folder / "in.csv").write_bytes((folder / "in.csv").read_bytes() + b"eve,,\n")
        words = ("mine:policy", "in.csv", *WHO)
        found = told(*words, code=1)

        assert {"has … cells, but the header has 3": 1} == found["unreadable"]
        assert [6] == [each["line"] for each in found["reports"][0]["refusals"]]
        shown = run(*words, code=1).stdout
        assert ["unreadable: has … cells, but the header has 3", "1"] in cells(shown)
        assert ["refused", "NoMatchKey (1)"] == [
            line[:2] for line in cells(shown) if line[:1] == ["refused"]
        ][-1]

    def test_the_person_may_be_a_part(self, folder: Path) -> None:
        """The first group of the pattern is it, wherever it stands in the value."""
        content = CSV.replace("bob", "rec-2-org").replace("ada", "rec-1-dup-0")
        (folder / "in.csv").write_text(content, encoding="utf-8")
        words = ("mine:policy", "in.csv", *WHO, "--truth-pattern", r"(?:rec)-(\d+)")

        assert 2 == told(*words)["reports"][0]["scores"]["persons"]

    def test_a_person_for_each_record(self, folder: Path) -> None:
        """A line points to the pattern; with one record there is nothing to say."""
        rows = CSV.splitlines(keepends=True)
        content = "".join(f"{n}{row}" if n else row for n, row in enumerate(rows))
        (folder / "in.csv").write_text(content, encoding="utf-8")
        result = run("mine:policy", "in.csv", *WHO)
        (folder / "in.csv").write_text("".join(rows[:2]), encoding="utf-8")

        assert result.stderr == (
            "every record has its own person, so no match can be missed;"
            " --truth-pattern extracts the person from a value\n"
        )
        assert not run("mine:policy", "in.csv", *WHO).stderr

    def test_the_column_may_be_renamed(self, folder: Path) -> None:
        """By either name it is taken out of the patch."""
        words = ("mine:policy", "in.csv", "--map", "who=person")

        assert folder.exists()
        for name in ("who", "person"):
            assert 0 == told(*words, "--truth", name)["reports"][0]["refused"]

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("no.csv", *WHO), "no.csv: No such file"),
            (("in.csv",), "Missing option '--truth'"),
            (
                ("in.csv", "--truth", "id"),
                "line 2: id (the --truth column) is missing; the row has 'who'",
            ),
            (
                ("in.csv", *WHO, "--truth-pattern", "(a)d"),
                r"in.csv: line 4: 'bob' does not match --truth-pattern (a)d",
            ),
            (
                ("in.csv", *WHO, "--truth-pattern", "(x)|.*"),
                "in.csv: line 2: 'ada' does not match",
            ),
            (("in.csv", *WHO, "--truth-pattern", "ada"), "must have a group, such as"),
            (("in.csv", *WHO, "--truth-pattern", "("), "--truth-pattern: missing )"),
            (("in.csv", *WHO, "--map", "who="), "--truth: --map drops 'who'"),
            (("empty.csv", *WHO), "empty.csv: the first line must name the columns"),
            (("in.csv", *WHO, "--set", "a"), "--set: must be NAME=VALUE"),
            pytest.param(
                ("in.csv", *WHO, "--plot", "p.txt"),
                "--plot: must end in one of .",
                marks=pytest.mark.full,
            ),
            pytest.param(
                ("in.csv", *WHO, "--plot", "no/p.png"),
                "--plot: directory",
                marks=pytest.mark.full,
            ),
            (("odd.json", *WHO), "line 1: who (the --truth column) must be text"),
            (("list.json", *WHO), "line 1: who (the --truth column) is missing"),
            (("blank.json", *WHO), "is missing; the row has no columns"),
            (("in.csv", "--truth", ""), "--truth: must name a column"),
            (("in.csv", *WHO, "--set", "who=7"), "--set: 'who' is the --truth column"),
        ],
        ids=map(str, range(17)),
    )
    def test_wrong_use(self, folder: Path, words: Any, message: str) -> None:
        """One line says what is wrong, and the status is 2."""
        (folder / "empty.csv").touch()
        (folder / "odd.json").write_text('[{"who": [1]}]', encoding="utf-8")
        (folder / "list.json").write_text("[[1]]", encoding="utf-8")
        (folder / "blank.json").write_text("[{}]", encoding="utf-8")
        result = run("mine:policy", *words, code=2)

        assert message in result.stderr
        assert not result.stdout
        assert not list(folder.glob("p.*"))


class TestOutput:
    """What is shown."""

    def test_the_table(self, folder: Path) -> None:
        """Every figure stands there, and each example with its line."""
        shown = cells(run("mine:policy", "in.csv", *WHO, "--shuffles", "2").stdout)

        assert folder.exists()
        for line in (
            ["mine:policy"],
            ["records", "4"],
            ["contacts", "2"],
            ["pairwise precision", "0.3333"],
            ["pairwise recall", "0.5000"],
            ["persons split over contacts", "1"],
            ["keys"],
            ["email", "2", "1", "1"],
            ["2 shuffled orders"],
            ["examples"],
            ["split", "bob", "c-1 (1), c-2 (1)"],
            ["joined", "c-1", "ada (2), bob (1)"],
        ):
            assert line in shown

    def test_two_side_by_side(self, folder: Path) -> None:
        """Figures stand beside each other, then the records on which they differ."""
        words = ("mine:policy", "in.csv", *WHO, "--compare", "mine:make")
        shown = cells(run(*words).stdout)

        assert folder.exists()
        for line in (
            ["mine:policy", "mine:make"],
            ["contacts", "2", "4"],
            ["pairwise precision", "0.3333", "1.0000"],
            ["keys of mine:policy"],
            ["examples of mine:make"],
            ["3 records linked differently: 1 better by mine:make, 0 worse, 2 mixed"],
            ["2", "ada", "mixed", "with 1 right, 1 wrong", "with 0 right, 0 wrong"],
            ["4", "bob", "better", "with 0 right, 2 wrong", "with 0 right, 0 wrong"],
        ):
            assert line in shown
        assert ["keys of mine:make"] not in shown

    def test_a_record_that_hits_several(self, folder: Path) -> None:
        """It is told with its line, its person and its key."""
        content = (
            b"who,email,phone\na,a@x.org,\nb,,+15550001111\nc,a@x.org,+15550001111\n"
        )
        words = ("LeadConnector", "-", *WHO, "--set", "locationId=L")
        shown = cells(run(*words, stdin=content).stdout)

        assert folder.exists()
        assert ["several matches", "line 4, of c, by email", "c-1, c-2"] in shown

    def test_nothing_to_show(self, folder: Path) -> None:
        """Without rows, keys and examples there are figures alone."""
        (folder / "in.csv").write_text("who\n", encoding="utf-8")
        shown = cells(run("mine:make", "in.csv", *WHO).stdout)

        assert ["records", "0"] in shown
        assert ["examples"] not in shown

    def test_json(self, folder: Path) -> None:
        """Rows have their lines, and both reports their policy."""
        words = ("mine:policy", "in.csv", *WHO, "--compare", "mine:make")
        found = told(*words)

        assert folder.exists()
        assert {"unreadable", "reports", "contrast"} == set(found)
        assert [2, 3, 4] == [each["line"] for each in found["contrast"]["examples"]]
        assert None is told("mine:policy", "in.csv", *WHO)["contrast"]

    def test_a_terminal_is_not_obeyed(self, folder: Path) -> None:
        """What stands in the file is shown as plain text."""
        content = CSV.replace("ada", "\x1b[31m[bold]ada")
        (folder / "in.csv").write_text(content, encoding="utf-8")
        shown = run("mine:policy", "in.csv", *WHO).stdout

        assert "\x1b" not in shown
        assert printable("\x1b[31m[bold]ada (2)") in shown

    @pytest.mark.full
    @pytest.mark.parametrize("name", ["p.png", "p.SVG", "p.pdf"])
    def test_a_plot(self, folder: Path, name: str) -> None:
        """It is drawn in the form that its name asks for, the same at every run."""
        drawn = []
        for _ in "ab":
            run("mine:policy", "in.csv", *WHO, "--plot", name)
            drawn.append((folder / name).read_bytes())

        assert drawn[0][:5] in {b"\x89PNG\r", b"<?xml", b"%PDF-"}
        assert drawn[0] == drawn[1]

    @pytest.mark.parametrize(
        ("source", "said"),
        [
            ("import sys; sys.exit()", "Error: POLICY: theirs:policy: SystemExit: "),
            (
                DOWN,
                (
                    "Error: theirs:policy: RuntimeError: down "
                    "(email: normaliser down raised this for text, in row 0)"
                ),
            ),
        ],
        ids=["it ends", "it raises"],
    )
    def test_a_module_that_goes_wrong(
        self, folder: Path, source: str, said: str
    ) -> None:
        """One line says how, and the status is 2."""
        (folder / "theirs.py").write_text(source, encoding="utf-8")
        sys.modules.pop("theirs", None)
        result = run("theirs:policy", "in.csv", *WHO, code=2)

        assert result.stderr.strip() == said.strip()

    def test_no_record_at_all(self, folder: Path) -> None:
        """Figures of nothing are told to be that."""
        (folder / "head.csv").write_text("who,email\n", encoding="utf-8")
        result = run("mine:policy", "head.csv", *WHO)

        assert result.stderr == "no records: nothing was evaluated\n"

    def test_a_plot_without_matplotlib(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is said before any work is done."""
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        result = run("mine:policy", "no.csv", *WHO, "--plot", "p.png", code=2)

        assert folder.exists()
        assert result.stderr == (
            "Error: --plot: a plot needs matplotlib: pip install 'upsertcore[plot]'\n"
        )

    def test_standard_output_that_is_full(self, folder: Path) -> None:
        """It is said in one line."""
        command = [sys.executable, "-m", "upsertcore", "evaluate", "mine:policy"]
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run(
                [*command, "in.csv", *WHO],
                check=False,
                stdout=full,
                stderr=subprocess.PIPE,
            )

        assert folder.exists()
        assert done.stderr == b"Error: standard output: No space left on device\n"
        assert done.returncode == 2

    def test_a_bar_on_a_terminal(self, folder: Path) -> None:
        """Progress shows on a terminal, and nowhere else."""
        words = ["evaluate", "mine:policy", "in.csv", *WHO]
        command = [sys.executable, "-m", "upsertcore", *words]
        ours, theirs = pty.openpty()
        done = subprocess.run(
            command, check=False, stdout=subprocess.PIPE, stderr=theirs
        )
        os.close(theirs)
        shown = os.read(ours, 100_000).decode()
        os.close(ours)
        quiet = subprocess.run(command, check=False, capture_output=True)

        assert folder.exists()
        assert "in.csv" in shown
        assert "mine:policy" in shown
        assert b"records" in done.stdout
        assert quiet.stderr == b""

    def test_an_interruption_is_told(self, folder: Path) -> None:
        """The status is 130."""

        class Interrupted(io.BytesIO):
            """A standard input at which somebody presses Ctrl-C."""

            def read1(self, _size: int | None = -1, /) -> bytes:
                raise KeyboardInterrupt

        words = ("evaluate", "mine:policy", "-", *WHO)
        result = CliRunner().invoke(main, words, input=Interrupted())

        assert folder.exists()
        assert (130, "") == (result.exit_code, result.stdout)


class TestSample:
    """``labelled.csv``."""

    def test_the_script_makes_the_file(self) -> None:
        """The same bytes, wherever and whenever it runs."""
        path = SAMPLE / "make_labelled.py"
        spec = importlib.util.spec_from_file_location("make_labelled", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)

        assert (SAMPLE / "labelled.csv").read_bytes() == module.content()

    def test_two_profiles_part_on_it(self) -> None:
        """All of it is taken, one more key finds more, and joins what it should not."""
        words = ("LeadConnector", str(SAMPLE / "labelled.csv"), "--truth", "person")
        more = ("--compare", "SalesforceIQ", "--set", "locationId=L1")
        one, other = told(*words, *more)["reports"]

        assert [150, 150] == [each["records"] for each in (one, other)]
        assert [0, 0] == [each["refused"] for each in (one, other)]
        assert (
            one["scores"]["pairwise"]["recall"] > other["scores"]["pairwise"]["recall"]
        )
        assert one["scores"]["pairwise"]["precision"] < 1.0
        assert 1.0 == other["scores"]["pairwise"]["precision"]


@given(st.text(alphabet="ab-1", min_size=1, max_size=4))
def test_a_person_is_what_the_file_says(name: str) -> None:
    """Whatever a cell holds is a person, and no two of them are one."""
    content = f"who,email\n{name},a@x.org\n{name}x,a@x.org\n".encode()
    found = told("SalesforceIQ", "-", *WHO, stdin=content)

    assert 2 == found["reports"][0]["scores"]["persons"]

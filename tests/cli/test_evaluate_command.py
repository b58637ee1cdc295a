"""``upsertcore evaluate`` as a user types it: output, plot and exit status."""

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

# Under the policies below: by email the first three rows are one contact, and without
# a key each row is one. There are 2 true pairs, one of ada and one of bob. The policy
# by email assigns 3 pairs, of which 1 is right.
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
    """Change to a folder with labelled rows and a module of policies."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("mine", "broken"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "in.csv").write_text(CSV, encoding="utf-8")
    (tmp_path / "mine.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "broken.py").write_text("1 +", encoding="utf-8")
    return tmp_path


FAILING_MODULE = """
from upsertcore import Policy, field, first_match
from upsertcore.rules import replace

def down(value):
    raise RuntimeError("down")

fields = {"email": field(key=down)}
policy = Policy(first_match("email"), fields, extra_fields=field(rule=replace))
"""


def run(*words: str, stdin: bytes | None = None, code: int = 0) -> Result:
    """Run a command, and check its exit status."""
    command = ("evaluate", *words)
    result = CliRunner(env={"COLUMNS": "120"}).invoke(main, command, input=stdin)
    assert result.exit_code == code, result.output
    return result


def json_output(
    *words: str, stdin: bytes | None = None, code: int = 0
) -> dict[str, Any]:
    """Return the JSON output of a command."""
    output: dict[str, Any] = json.loads(
        run(*words, "--json", stdin=stdin, code=code).stdout
    )
    return output


def cells(output: str) -> list[list[str]]:
    """Return the cells of each line of a table, which are two spaces apart."""
    lines = [
        [part.strip() for part in line.split("  ")] for line in output.splitlines()
    ]
    return [[part for part in line if part] for line in lines]


TRUTH = ("--truth", "who")


class TestPolicies:
    """The policy that is evaluated."""

    @pytest.mark.parametrize("name", ["mine:policy", "mine:space.policy"], ids="ab")
    def test_policy_of_a_module_is_evaluated(self, folder: Path, name: str) -> None:
        """The module is in the current folder."""
        [report] = json_output(name, "in.csv", *TRUTH)["reports"]

        assert folder.exists()
        assert name == report["policy"]
        assert (2, 3, 1) == (
            *(report["scores"]["true_pairs"], report["scores"]["assigned_pairs"]),
            report["scores"]["right_pairs"],
        )
        assert [{"key": "email", "decided": 2, "right": 1}] == report["keys"]

    def test_policy_of_a_text_is_evaluated(self, folder: Path) -> None:
        """As that of a module; functions of the application are not imported."""
        text = 'match = { first_match = ["email"] }\n[fields.email]\nkey = "email"\n'
        (folder / "mine.toml").write_text(
            f'{text}[extra_fields]\nrule = "ignore"\n', encoding="utf-8"
        )
        (folder / "own.toml").write_text(
            f'{text}clean = "mine:make"\n', encoding="utf-8"
        )
        [report] = json_output("mine.toml", "in.csv", *TRUTH)["reports"]

        assert report["policy"] == "mine.toml"
        assert [{"key": "email", "decided": 2, "right": 1}] == report["keys"]
        words = "POLICY: own.toml: line 4: fields.email.clean: 'mine:make' is imported"
        assert words in run("own.toml", "in.csv", *TRUTH, code=2).stderr

    def test_function_that_returns_a_policy_is_called(self, folder: Path) -> None:
        [report] = json_output("mine:make", "in.csv", *TRUTH)["reports"]

        assert folder.exists()
        assert 4 == report["contacts"]

    def test_profile_is_evaluated_with_options_and_parameters(
        self, folder: Path
    ) -> None:
        content = b"who,phone\nada,(202) 555-0143\nada,+12025550143\n"
        words = ("leadconnector", "-", *TRUTH, "--set", "locationId=L")
        us = json_output(*words, "--set", "region=US", stdin=content)
        world = json_output(*words, stdin=content, code=1)

        assert folder.exists()
        assert 1 == us["reports"][0]["contacts"]
        assert [1] == [refusal["count"] for refusal in world["reports"][0]["refusals"]]
        assert 2 == world["reports"][0]["refusals"][0]["line"]
        assert "statusCode" in world["reports"][0]["refusals"][0]["example"]

    def test_constant_replaces_the_field_of_each_row(self, folder: Path) -> None:
        words = ("mine:policy", "in.csv", *TRUTH, "--set", "email=z@x")

        assert folder.exists()
        assert 1 == json_output(*words)["reports"][0]["contacts"]

    def test_option_of_one_profile_is_no_field_of_the_other(self, folder: Path) -> None:
        """Each profile gets its own options, and a policy gets none."""
        words = (
            "--set",
            "firm_id=f",
            "--set",
            "lastName=King",
            "--map",
            "name=firstName",
        )
        names = ("Anduin", "in.csv", "--compare", "SalesforceIQ")
        output = json_output(*names, *TRUTH, *words, "--set", "region=US", code=1)

        assert folder.exists()
        assert [4, 0] == [report["refused"] for report in output["reports"]]
        policy = json_output(
            *("mine:policy", "in.csv", "--compare", "SegMetrics", *TRUTH),
            *("--set", "account_id=1", "--set", "integration_id=2"),
            code=1,
        )
        assert 0 == policy["reports"][0]["refused"]

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("no.toml", "POLICY: no.toml: [Errno 2] No such file or directory"),
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
        ids=map(str, range(11)),
    )
    def test_invalid_policy_is_an_error_of_one_line(
        self, folder: Path, name: str, message: str
    ) -> None:
        """The status is 2."""
        result = run(name, "in.csv", *TRUTH, code=2)

        assert folder.exists()
        assert message in result.stderr
        assert result.stderr.count("\n") == 1
        assert (
            "--compare: "
            in run(
                *("mine:policy", "in.csv", *TRUTH, "--compare", "nobody"), code=2
            ).stderr
        )

    def test_console_script_imports_from_the_current_folder(self, folder: Path) -> None:
        """It adds the folder to the path of modules."""
        code = (
            "import sys, os\n"
            "sys.path = [p for p in sys.path if p not in ('', os.getcwd())]\n"
            "from upsertcore.__main__ import main\n"
            "main()"
        )
        words = ["evaluate", "mine:policy", "in.csv", *TRUTH]
        process = subprocess.run(
            [sys.executable, "-c", code, *words], check=False, capture_output=True
        )

        assert folder.exists()
        assert (0, b"") == (process.returncode, process.stderr)


class TestData:
    """The labelled data."""

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("in.jsonl", '{"who": "ada", "email": "a@x"}\n{"who": "ada"}\n'),
            ("in.json", '[{"who": 7, "email": "a@x"},\n{"who": "7"}]'),
        ],
        ids=["lines", "array"],
    )
    def test_json_lines_and_arrays_are_read(
        self, folder: Path, name: str, content: str
    ) -> None:
        """7 and "7" are one person."""
        (folder / name).write_text(content, encoding="utf-8")
        report = json_output("mine:policy", name, *TRUTH, code=1)["reports"][0]

        assert (2, 1, 1) == (
            *(report["records"], report["scores"]["persons"], report["refused"]),
        )
        assert [("NoMatchKey", 2)] == [
            (refusal["kind"], refusal["line"]) for refusal in report["refusals"]
        ]

    def test_standard_input_is_read_once_for_both_policies(self, folder: Path) -> None:
        """Every order uses the same rows."""
        words = (
            "mine:policy",
            "-",
            *TRUTH,
            "--compare",
            "mine:make",
            "--shuffles",
            "3",
        )
        output = json_output(*words, stdin=CSV.encode())

        assert folder.exists()
        assert [4, 4] == [report["records"] for report in output["reports"]]
        assert [3, 3] == [report["shuffles"] for report in output["reports"]]

    def test_same_seed_gives_the_same_orders(self, folder: Path) -> None:
        words = ("LeadConnector", str(SAMPLE / "labelled.csv"), "--truth", "person")
        options = ("--set", "locationId=L", "--shuffles", "3")
        first = json_output(*words, *options, "--seed", "5")

        assert folder.exists()
        assert json_output(*words, *options, "--seed", "5") == first
        assert json_output(*words, *options) != first

    def test_unreadable_row_is_counted_and_is_no_record(self, folder: Path) -> None:
        """Later records keep their lines."""
        (folder / "in.csv").write_text(
            CSV.replace("ada,A@x,Ada", "x"), encoding="utf-8"
        )
        (folder / "in.csv").write_bytes((folder / "in.csv").read_bytes() + b"eve,,\n")
        words = ("mine:policy", "in.csv", *TRUTH)
        report = json_output(*words, code=1)

        assert {"has … cells, but the header has 3": 1} == report["unreadable"]
        assert [6] == [refusal["line"] for refusal in report["reports"][0]["refusals"]]
        table = run(*words, code=1).stdout
        assert ["unreadable: has … cells, but the header has 3", "1"] in cells(table)
        assert ["refused", "NoMatchKey (1)"] == [
            line[:2] for line in cells(table) if line[:1] == ["refused"]
        ][-1]

    def test_truth_pattern_extracts_the_person(self, folder: Path) -> None:
        """The first group is the person."""
        content = CSV.replace("bob", "rec-2-org").replace("ada", "rec-1-dup-0")
        (folder / "in.csv").write_text(content, encoding="utf-8")
        words = ("mine:policy", "in.csv", *TRUTH, "--truth-pattern", r"(?:rec)-(\d+)")

        assert 2 == json_output(*words)["reports"][0]["scores"]["persons"]

    def test_person_for_each_record_gives_a_note(self, folder: Path) -> None:
        """The note advises a pattern; one record gives none."""
        rows = CSV.splitlines(keepends=True)
        content = "".join(f"{n}{row}" if n else row for n, row in enumerate(rows))
        (folder / "in.csv").write_text(content, encoding="utf-8")
        result = run("mine:policy", "in.csv", *TRUTH)
        (folder / "in.csv").write_text("".join(rows[:2]), encoding="utf-8")

        assert result.stderr == (
            "every record has its own person, so no match can be missed;"
            " --truth-pattern extracts the person from a value\n"
        )
        assert not run("mine:policy", "in.csv", *TRUTH).stderr

    def test_renamed_truth_column_is_accepted_by_both_names(self, folder: Path) -> None:
        """The column is no field of the patch."""
        words = ("mine:policy", "in.csv", "--map", "who=person")

        assert folder.exists()
        for name in ("who", "person"):
            assert 0 == json_output(*words, "--truth", name)["reports"][0]["refused"]

    def test_columns_are_found_by_name_and_the_label_is_kept(
        self, folder: Path
    ) -> None:
        """A map file has fields of every row, and how the file is read."""
        rows = ("people of 2026", "E-mail;Full Name;name of who", "a@x;Zo\xeb;1")
        (folder / "old.csv").write_text("\n".join(rows), encoding="cp1252")
        (folder / "map.toml").write_text('set = {name = "Ada"}', encoding="utf-8")
        words = ("old.csv", "--truth", "name of who", "--map", "Full Name=")
        reads = ("--read", "encoding=cp1252", "--read", "header=2")
        output = json_output("mine:policy", *words, *reads, "--map-file", "map.toml")

        assert 0 == output["reports"][0]["refused"]
        assert 1 == output["reports"][0]["contacts"]

    def test_unknown_column_is_refused_before_any_row(self, folder: Path) -> None:
        (folder / "in.csv").write_text("who,emial\n1,a@x\n", encoding="utf-8")
        result = run("mine:policy", "in.csv", *TRUTH, code=2)

        assert "1 column has no field in the policy: 'emial' (email?)" in result.stderr

    @pytest.mark.parametrize("policy", ["mine:policy", "LeadConnector"])
    def test_option_of_every_call_is_that_of_the_policy(
        self, folder: Path, policy: str
    ) -> None:
        """No row finds a contact, and none creates one."""
        parameters = ("--set", "locationId=1") if policy == "LeadConnector" else ()
        refuse = ("--set", "on_not_found=refuse")
        words = (policy, "in.csv", *TRUTH, *parameters, *refuse)

        assert folder.exists()
        assert 4 == json_output(*words, code=1)["reports"][0]["refused"]

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("no.csv", *TRUTH), "no.csv: No such file"),
            (("in.csv",), "Missing option '--truth'"),
            (
                ("in.csv", "--truth", "id"),
                "--truth: no column 'id'; the columns are 'who'",
            ),
            (
                ("in.csv", *TRUTH, "--truth-pattern", "(a)d"),
                r"in.csv: line 4: 'bob' does not match --truth-pattern (a)d",
            ),
            (
                ("in.csv", *TRUTH, "--truth-pattern", "(x)|.*"),
                "in.csv: line 2: 'ada' does not match",
            ),
            (
                ("in.csv", *TRUTH, "--truth-pattern", "ada"),
                "must have a group, such as",
            ),
            (("in.csv", *TRUTH, "--truth-pattern", "("), "--truth-pattern: missing )"),
            (("in.csv", *TRUTH, "--map", "who="), "--truth: --map drops 'who'"),
            (("empty.csv", *TRUTH), "empty.csv: the first line must name the columns"),
            (("in.csv", *TRUTH, "--set", "a"), "--set: must be NAME=VALUE"),
            pytest.param(
                ("in.csv", *TRUTH, "--plot", "p.txt"),
                "--plot: must end in one of .",
                marks=pytest.mark.full,
            ),
            pytest.param(
                ("in.csv", *TRUTH, "--plot", "no/p.png"),
                "--plot: directory",
                marks=pytest.mark.full,
            ),
            (("odd.json", *TRUTH), "line 1: who (the --truth column) must be text"),
            (("list.json", *TRUTH), "line 1: who (the --truth column) is missing"),
            (("blank.json", *TRUTH), "is missing; the row has no columns"),
            (("in.csv", "--truth", ""), "--truth: must name a column"),
            (
                ("in.csv", *TRUTH, "--set", "who=7"),
                "--set: 'who' is the --truth column",
            ),
        ],
        ids=map(str, range(17)),
    )
    def test_invalid_usage_is_an_error_of_one_line(
        self, folder: Path, words: Any, message: str
    ) -> None:
        """The status is 2."""
        (folder / "empty.csv").touch()
        (folder / "odd.json").write_text('[{"who": [1]}]', encoding="utf-8")
        (folder / "list.json").write_text("[[1]]", encoding="utf-8")
        (folder / "blank.json").write_text("[{}]", encoding="utf-8")
        result = run("mine:policy", *words, code=2)

        assert message in result.stderr
        assert not result.stdout
        assert not list(folder.glob("p.*"))


class TestOutput:
    """The output."""

    def test_table_has_figures_and_examples_with_lines(self, folder: Path) -> None:
        table = cells(run("mine:policy", "in.csv", *TRUTH, "--shuffles", "2").stdout)

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
            assert line in table

    def test_comparison_has_both_figures_and_the_differences(
        self, folder: Path
    ) -> None:
        words = ("mine:policy", "in.csv", *TRUTH, "--compare", "mine:make")
        table = cells(run(*words).stdout)

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
            assert line in table
        assert ["keys of mine:make"] not in table

    def test_record_with_several_matches_is_listed(self, folder: Path) -> None:
        """With its line, person and key."""
        content = (
            b"who,email,phone\na,a@x.org,\nb,,+15550001111\nc,a@x.org,+15550001111\n"
        )
        words = ("LeadConnector", "-", *TRUTH, "--set", "locationId=L")
        table = cells(run(*words, stdin=content).stdout)

        assert folder.exists()
        assert ["several matches", "line 4, of c, by email", "c-1, c-2"] in table

    def test_table_without_rows_has_figures_alone(self, folder: Path) -> None:
        (folder / "in.csv").write_text("who\n", encoding="utf-8")
        table = cells(run("mine:make", "in.csv", *TRUTH).stdout)

        assert ["records", "0"] in table
        assert ["examples"] not in table

    def test_json_has_reports_and_lines(self, folder: Path) -> None:
        words = ("mine:policy", "in.csv", *TRUTH, "--compare", "mine:make")
        output = json_output(*words)

        assert folder.exists()
        assert {"unreadable", "reports", "contrast"} == set(output)
        assert [2, 3, 4] == [
            example["line"] for example in output["contrast"]["examples"]
        ]
        assert None is json_output("mine:policy", "in.csv", *TRUTH)["contrast"]

    def test_control_characters_of_the_file_are_escaped(self, folder: Path) -> None:
        content = CSV.replace("ada", "\x1b[31m[bold]ada")
        (folder / "in.csv").write_text(content, encoding="utf-8")
        output = run("mine:policy", "in.csv", *TRUTH).stdout

        assert "\x1b" not in output
        assert printable("\x1b[31m[bold]ada (2)") in output

    @pytest.mark.full
    @pytest.mark.parametrize("name", ["p.png", "p.SVG", "p.pdf"])
    def test_plot_is_the_same_at_every_run(self, folder: Path, name: str) -> None:
        """The format is that of the file name."""
        contents = []
        for _ in "ab":
            run("mine:policy", "in.csv", *TRUTH, "--plot", name)
            contents.append((folder / name).read_bytes())

        assert contents[0][:5] in {b"\x89PNG\r", b"<?xml", b"%PDF-"}
        assert contents[0] == contents[1]

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            ("import sys; sys.exit()", "Error: POLICY: theirs:policy: SystemExit: "),
            (
                FAILING_MODULE,
                (
                    "Error: theirs:policy: RuntimeError: down "
                    "(email: normaliser down raised this for text, in row 0)"
                ),
            ),
        ],
        ids=["exit", "exception"],
    )
    def test_failing_module_is_an_error_of_one_line(
        self, folder: Path, source: str, message: str
    ) -> None:
        """The status is 2."""
        (folder / "theirs.py").write_text(source, encoding="utf-8")
        sys.modules.pop("theirs", None)
        result = run("theirs:policy", "in.csv", *TRUTH, code=2)

        assert result.stderr.strip() == message.strip()

    def test_file_without_records_gives_a_note(self, folder: Path) -> None:
        (folder / "head.csv").write_text("who,email\n", encoding="utf-8")
        result = run("mine:policy", "head.csv", *TRUTH)

        assert result.stderr == "no records: nothing was evaluated\n"

    def test_plot_without_matplotlib_is_an_error_before_the_run(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        result = run("mine:policy", "no.csv", *TRUTH, "--plot", "p.png", code=2)

        assert folder.exists()
        assert result.stderr == (
            "Error: --plot: a plot needs matplotlib: pip install 'upsertcore[plot]'\n"
        )

    def test_full_standard_output_is_an_error_of_one_line(self, folder: Path) -> None:
        command = [sys.executable, "-m", "upsertcore", "evaluate", "mine:policy"]
        with Path("/dev/full").open("wb") as full:
            process = subprocess.run(
                [*command, "in.csv", *TRUTH],
                check=False,
                stdout=full,
                stderr=subprocess.PIPE,
            )

        assert folder.exists()
        assert process.stderr == b"Error: standard output: No space left on device\n"
        assert process.returncode == 2

    def test_progress_bar_is_shown_only_on_a_terminal(self, folder: Path) -> None:
        words = ["evaluate", "mine:policy", "in.csv", *TRUTH]
        command = [sys.executable, "-m", "upsertcore", *words]
        controller, terminal = pty.openpty()
        process = subprocess.run(
            command, check=False, stdout=subprocess.PIPE, stderr=terminal
        )
        os.close(terminal)
        progress = os.read(controller, 100_000).decode()
        os.close(controller)
        without_terminal = subprocess.run(command, check=False, capture_output=True)

        assert folder.exists()
        assert "in.csv" in progress
        assert "mine:policy" in progress
        assert b"records" in process.stdout
        assert without_terminal.stderr == b""

    def test_interrupted_input_ends_with_130(self, folder: Path) -> None:
        class InterruptedInput(io.BytesIO):
            """A standard input that is interrupted by Ctrl-C."""

            def read1(self, _size: int | None = -1, /) -> bytes:
                raise KeyboardInterrupt

        words = ("evaluate", "mine:policy", "-", *TRUTH)
        result = CliRunner().invoke(main, words, input=InterruptedInput())

        assert folder.exists()
        assert (130, "") == (result.exit_code, result.stdout)


class TestSample:
    """``labelled.csv``."""

    def test_script_reproduces_the_sample(self) -> None:
        path = SAMPLE / "make_labelled.py"
        spec = importlib.util.spec_from_file_location("make_labelled", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)

        assert (SAMPLE / "labelled.csv").read_bytes() == module.content()

    def test_profile_with_one_more_key_has_more_recall_and_less_precision(self) -> None:
        """No record is refused."""
        words = ("LeadConnector", str(SAMPLE / "labelled.csv"), "--truth", "person")
        options = ("--compare", "SalesforceIQ", "--set", "locationId=L1")
        leadconnector, salesforceiq = json_output(*words, *options)["reports"]

        assert [150, 150] == [
            report["records"] for report in (leadconnector, salesforceiq)
        ]
        assert [0, 0] == [report["refused"] for report in (leadconnector, salesforceiq)]
        assert (
            leadconnector["scores"]["pairwise"]["recall"]
            > salesforceiq["scores"]["pairwise"]["recall"]
        )
        assert leadconnector["scores"]["pairwise"]["precision"] < 1.0
        assert 1.0 == salesforceiq["scores"]["pairwise"]["precision"]


@given(st.text(alphabet="ab-1", min_size=1, max_size=4))
def test_two_cells_of_the_truth_column_are_two_persons(name: str) -> None:
    content = f"who,email\n{name},a@x.org\n{name}x,a@x.org\n".encode()
    output = json_output("SalesforceIQ", "-", *TRUTH, stdin=content)

    assert 2 == output["reports"][0]["scores"]["persons"]

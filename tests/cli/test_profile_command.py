"""``upsertcore profile`` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from upsertcore.cli import main

CSV = """Name,E-mail,Phone,Stage
Ada,ada@x.org,+12015550101,lead
Bob,bob@x.org,+1 201 555 0101,lead
Ada,ADA@x.org,(201) 555-0102,customer
Eve,n/a,555-0104,
"""


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a folder with a file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.csv").write_text(CSV, encoding="utf-8")
    return tmp_path


def run(*words: str, code: int = 0, width: int = 100, stdin: str = "") -> Result:
    """Run a command, and check its exit status."""
    runner = CliRunner(env={"COLUMNS": str(width)})
    result = runner.invoke(main, ("profile", *words), input=stdin)
    assert code == result.exit_code, result.output
    return result


@pytest.mark.usefixtures("folder")
class TestTables:
    """What is printed."""

    def test_tables_show_kinds_keys_and_conflicts(self) -> None:
        output = " ".join(run("in.csv").output.split())

        for words in (
            "4 rows",
            "E-mail email 100 % 4",
            "E-mail email header; 100 % of 3 values; forms by email",
            "E-mail placeholder: n/a 1",
            "Phone no form: (201) 555-0102, 555-0104; --region reads national numbers",
            "Phone 2 1 3",
            "Phone +12015550101 several 2",
            "Phone E-mail 2 and 3 1",
        ):
            assert words in output

    @pytest.mark.parametrize("width", [40, 80, 200])
    def test_nothing_is_cut_off_at_any_width(self, width: int) -> None:
        output = run("in.csv", width=width).output

        assert width >= max(len(line) for line in output.splitlines())
        assert "…" not in output
        for word in ("distinct", "contacts", "100 %", "header;"):
            assert word in output

    def test_kinds_of_a_long_file_are_those_of_its_first_rows(self) -> None:
        rows = '{"email": "a@x.org"}\n' * 1_001

        assert (
            "kinds, by header and the first 1,000 rows" in run("-", stdin=rows).output
        )

    def test_standard_input_is_read(self) -> None:
        assert "1 row" in run("-", stdin='{"email": "a@x.org"}\n').output

    def test_file_without_rows_has_an_empty_table(self) -> None:
        assert "0 rows" in run("-", stdin="a,b\n").output


@pytest.mark.usefixtures("folder")
class TestOptions:
    """Each option, used and misused."""

    def test_json_has_the_figures(self) -> None:
        figures = json.loads(run("in.csv", "--json").stdout)

        assert 4 == figures["rows"]
        assert "phone" == figures["columns"][2]["normalizer"]

    def test_region_reads_national_numbers(self) -> None:
        figures = json.loads(run("in.csv", "--json", "--region", "US").stdout)

        assert "phone_in('US')" == figures["columns"][2]["normalizer"]
        assert 1 == figures["columns"][2]["unusable"]["values"]

    def test_unknown_region_is_refused(self) -> None:
        assert (
            "--region: unknown region 'xx'"
            in run("in.csv", "--region", "xx", code=2).output
        )

    def test_kind_is_set(self) -> None:
        figures = json.loads(run("in.csv", "--json", "--kind", "Stage=id").stdout)

        assert "given" == figures["columns"][3]["reason"]

    @pytest.mark.parametrize(
        ("kind", "message"),
        [
            ("Stage=colour", "--kind: 'Stage' must be one of email"),
            ("Staeg=id", "--kind: the file has no column 'Staeg'"),
            ("Stage", "--kind: must be COLUMN=KIND, not 'Stage'"),
        ],
    )
    def test_invalid_kind_is_refused(self, kind: str, message: str) -> None:
        assert message in run("in.csv", "--kind", kind, code=2).output


@pytest.mark.usefixtures("folder")
class TestFiles:
    """Files that cannot be read, wholly or in part."""

    def test_unreadable_rows_are_counted_by_kind_and_set_the_status(self) -> None:
        output = run("-", stdin="a,b\n1\n2\n1,2\n", code=1).output

        assert "has … cells, but the header has 2" in " ".join(output.split())

    def test_missing_file_is_reported(self) -> None:
        assert "no.csv: No such file" in run("no.csv", code=2).output

    def test_unclosed_quote_ends_the_run_with_its_line(self) -> None:
        assert (
            "line 2: the row that starts here has an unclosed quote"
            in run("-", stdin='a\n"x\n', code=2).output
        )


def test_settings_of_reading_are_used(tmp_path: Path) -> None:
    old = tmp_path / "old.txt"
    old.write_bytes("list of 2026\nname|city\nZo\xeb|K\xf6ln\n".encode("cp1252"))
    words = ("--read", "encoding=cp1252", "--read", "header=2", "--read", "delimiter=|")

    result = CliRunner().invoke(main, ["profile", str(old), *words, "--json"])
    assert 0 == result.exit_code, result.output
    names = [column["column"] for column in json.loads(result.stdout)["columns"]]
    assert ["name", "city"] == names

"""The options of columns: use and misuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from upsertcore.cli import main
from upsertcore.cli.column_options import noted
from upsertcore.cli.upsert_rows import ProgressBar
from upsertcore.files.columns import Columns

MAP_FILE = """
[columns]
Mail = "email"
Interests = "tags"

[separators]
Interests = "|"

[set]
locationId = "L1"
region = "US"
tags = "import"
"""


@pytest.fixture(name="folder", autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a folder with a map file."""
    monkeypatch.chdir(tmp_path)
    Path("map.toml").write_text(MAP_FILE, "utf-8")
    return tmp_path


def run(*words: str, stdin: str, code: int = 0) -> Result:
    """Upsert standard input, and check the exit status."""
    result = CliRunner(env={"COLUMNS": "160"}).invoke(main, [*words], input=stdin)
    assert code == result.exit_code, result.output
    return result


def fields_of(*words: str, stdin: str) -> object:
    """Return the fields of the one contact that is stored."""
    run("upsert", "LeadConnector", "-", *words, "--book", "b.jsonl", stdin=stdin)
    [_head, contact, _last] = Path("b.jsonl").read_text("utf-8").splitlines()
    return json.loads(contact)["fields"]


def test_map_file_has_columns_parameters_options_and_fields() -> None:
    """A constant list joins that of the row."""
    stdin = "Mail,Interests,phone\na@x.org,a|b;c,(201) 555-0101\n"

    assert {
        "email": "a@x.org",
        "phone": "+12015550101",
        "tags": ["a", "b;c", "import"],
    } == fields_of("--map-file", "map.toml", stdin=stdin)


def test_constant_list_joins_that_of_several_columns() -> None:
    words = ("--map-file", "map.toml", "--map", "Labels=tags")

    assert {"email": "a@x.org", "tags": ["a", "b", "import"]} == fields_of(
        *words, stdin="Mail,Interests,Labels\na@x.org,a,b\n"
    )


def test_flag_comes_before_the_map_file() -> None:
    words = ("--map-file", "map.toml", "--map", "Mail=source", "--set", "region=SE")
    stdin = "Mail,email,phone\nx,a@x.org,08-555 010 02\n"
    fields = fields_of(*words, stdin=stdin)

    assert {"email": "a@x.org", "source": "x", "phone": "+46855501002"}.items() <= (
        dict(fields).items()  # type: ignore[call-overload]
    )


def test_export_of_a_product_is_chosen_by_name_or_none() -> None:
    stdin = 'Email,TAGS\na@x.org,"""VIP"",""Blog, reader"""\n'
    words = ("--set", "locationId=L1", "--from")

    assert ["VIP", "Blog, reader"] == dict(
        fields_of(*words, "mailchimp", stdin=stdin)  # type: ignore[call-overload]
    )["tags"]
    header = "First Name,Last Name,Email Address,Company,Position,Connected On\n"
    result = run("upsert", "LeadConnector", "-", *words, "none", stdin=header, code=2)
    assert "2 columns have no field in LeadConnector: 'Position'" in result.output


def test_columns_without_a_field_are_left_out_on_demand() -> None:
    words = ("--set", "locationId=L1", "--only-mapped")

    assert {"email": "a@x.org"} == fields_of(*words, stdin="email,Size\na@x.org,7\n")


def test_payload_of_a_row_is_explained_with_the_same_columns() -> None:
    Path("in.csv").write_text("Mail,Interests\na@x.org,a|b\n", "utf-8")
    words = ("explain", "LeadConnector", "--row", "in.csv:2", "--map-file", "map.toml")
    result = run(*words, stdin="")

    assert "a@x.org" in result.output


def test_payload_is_explained_with_the_options_of_a_row() -> None:
    """Names are renamed, and constants are set, as upsert does with an object."""
    payload = '{"Mail": "a@x.org", "Interests": "a|b"}'
    words = ("LeadConnector", payload, "--map-file", "map.toml", "--map", "Fax=phone")
    result = run("explain", *words, stdin="")

    assert "note: --map: no column 'Fax' in any row\n" in result.stderr
    shown = " ".join(result.stdout.split())
    assert 'email a@x.org tags ["a", "b", "import"]' in shown


@pytest.mark.parametrize("words", [("upsert", "-"), ("explain", "{}")])
@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--map-file", "no.toml"), "no.toml: No such file or directory"),
        (("--map-file", "bad.toml"), "bad.toml: colums: unknown key; the keys are"),
        (("--map-file", "latin.toml"), "latin.toml: is not UTF-8 text"),
        (("--from", "excel"), "--from: no ready map 'excel'; there are beehiiv, "),
        (("--map", "a=b", "--map", "a=c"), "--map: 'a' is given twice"),
    ],
)
def test_misuse_is_an_error_with_a_remedy(
    words: tuple[str, str], option: tuple[str, ...], message: str
) -> None:
    """Before any row."""
    Path("bad.toml").write_text("colums = {}", "utf-8")
    Path("latin.toml").write_bytes(b"title = '\xe9'")
    command, argument = words
    place = ("--set", "firm_id=f")
    result = run(command, "Anduin", argument, *place, *option, stdin="x\n", code=2)

    assert message in result.output


def test_notes_are_above_the_progress_bar(capfd: pytest.CaptureFixture[str]) -> None:
    columns = Columns({})
    columns.tell("the columns fit two exports")
    with ProgressBar(shown=True) as bar, noted(columns, bar):
        pass

    assert "note: the columns fit two exports\n" in capfd.readouterr().err


def test_notes_come_before_an_error() -> None:
    """They may say what to do."""
    header = "Contact Id,Order #,Order Date,First Name,Last Name,Phone,Email,Tags"
    header += ",Event Name\n"
    words = ("upsert", "LeadConnector", "-", "--set", "locationId=L1")
    result = run(*words, stdin=header, code=2)
    note, error, *_more = result.stderr.splitlines()

    assert note.startswith("note: the columns fit the exports of ")
    assert error.startswith("Error: -: 4 columns have no field in LeadConnector: ")


def test_rejects_of_an_export_are_recognised_as_the_export(folder: Path) -> None:
    """They can be mended and sent as they are."""
    header = "First Name,Last Name,E-mail 1 - Value,Labels"
    (folder / "in.csv").write_text(f"{header}\nAda,,ada,* myContacts\n", "utf-8")
    words = ("upsert", "LeadConnector", "--set", "locationId=L1")
    run(*words, "in.csv", "--rejects", "r.csv", stdin="", code=1)
    mended = Path("r.csv").read_text("utf-8").replace(",ada,", ",ada@x.org,")
    Path("r.csv").write_text(mended, "utf-8")
    result = run(*words, "r.csv", stdin="")

    assert "recognised as an export of Google Contacts" in result.stderr
    assert "created" in result.stdout


@pytest.mark.parametrize(
    ("name", "content", "reads"),
    [
        ("a.csv", "email;city\na@x.org;K\xf6ln\n", ["encoding=cp1252"]),
        ("a.csv", "email,city;\na@x.org,K\xf6ln;\n", ["delimiter=comma"]),
        ("a.csv", "sent in\n2026\nemail,city\na@x.org,K\xf6ln\n", ["header=3"]),
        (
            "a.json",
            '{"data": {"all": [{"email": "a@x.org", "city": "K\xf6ln"}]}}',
            ["path=data.all"],
        ),
        (
            "a.csv",
            "email,city,name\na@x.org,#N/A,-\na@x.org,K\xf6ln,-\n",
            ["null=#N/A", "null=-"],
        ),
    ],
    ids=["encoding", "delimiter", "header", "path", "null"],
)
def test_setting_of_reading_is_used(name: str, content: str, reads: list[str]) -> None:
    """A setting beside it, such as the column that is cut off, stays a value."""
    encoding = "cp1252" if "encoding=cp1252" in reads else "utf-8"
    Path(name).write_text(content, encoding)
    words = [word for read in reads for word in ("--read", read)]
    words += ["--only-mapped", "--set", "locationId=1", "--book", "b.jsonl"]
    if "delimiter=comma" in reads:
        words += ["--map", "city;=city"]
    run("upsert", "LeadConnector", name, *words, stdin="")
    [_head, contact, _last] = Path("b.jsonl").read_text("utf-8").splitlines()

    fields = {"email": "a@x.org", "city": "K\xf6ln"}
    if "delimiter=comma" in reads:
        fields["city"] += ";"
    assert fields == json.loads(contact)["fields"]


def test_setting_of_reading_comes_before_the_map_file() -> None:
    Path("map.toml").write_text('delimiter = ";"\nnull = "?"', "utf-8")
    words = ("--map-file", "map.toml", "--set", "locationId=1", "--read", "delimiter=|")

    assert {"email": "a@x.org"} == fields_of(*words, stdin="email|city\na@x.org|?\n")


@pytest.mark.parametrize(
    ("read", "message"),
    [
        ("encoding", "--read: must be NAME=VALUE, not 'encoding'"),
        ("encoding=cp125", "--read encoding: 'cp125' is no text encoding of Python"),
        ("delimiter=ab", "--read delimiter: must be one character such as ; or tab"),
        ("header=0", "--read header: must be the number of a line, not '0'"),
        ("header=two", "--read header: must be the number of a line, not 'two'"),
        (
            "separator=;",
            "--read: 'separator' is not a setting; they are delimiter, encoding, ",
        ),
        ("sheet=all", "-: sheet: the file has no sheets; leave it out"),
    ],
)
def test_setting_of_reading_that_cannot_be_used_is_refused(
    read: str, message: str
) -> None:
    words = ("LeadConnector", "-", "--set", "locationId=1", "--read", read)
    result = run("upsert", *words, stdin="email\na@x.org\n", code=2)

    assert message in result.stderr
    assert 1 == result.stderr.count("\n")


def test_benchmark_and_explain_take_the_options_of_columns() -> None:
    """The same rows as upsert: of two columns, one is left out."""
    Path("in.csv").write_text("Mail|Loyalty\na@x.org|7\n", "utf-8")
    words = ("--map-file", "map.toml", "--from", "none", "--only-mapped")
    words += ("--read", "delimiter=|")  # type: ignore[assignment]
    told = run("explain", "LeadConnector", "--row", "in.csv:2", *words, stdin="")
    figures = run(
        *("benchmark", "LeadConnector", "in.csv", "--rounds", "1", "--json"),
        *words,
        stdin="",
    )

    assert "email a@x.org" in " ".join(told.stdout.split())
    assert 1 == json.loads(figures.stdout)["policies"][0]["results"]["created"]

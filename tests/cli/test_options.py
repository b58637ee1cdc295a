"""Every option of every command: its place in the manual, and what misuse says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import upsertcore
from upsertcore.cli import main

PAGE = Path(upsertcore.__file__).parent / "cli" / "README.md"
MANUAL = PAGE.read_text(encoding="utf-8")
LIMIT = 12
# Every text is a scope; plots are tried where matplotlib is.
ANYTHING = "--scope", "--plot"

POLICY = """match = { first_match = ["email"] }

[fields.email]
key = "email"

[fields.name]
"""
# The words that make each command run in the folder below.
BASE = {
    "upsert": ("policy.toml", "in.csv"),
    "explain": ("policy.toml", '{"email": "a@x.org"}'),
    "show": ("b.jsonl",),
    "duplicates": ("b.jsonl",),
    "dedupe": ("b.jsonl",),
    "merge": ("b.jsonl", "c-1", "c-2"),
    "undo": ("b.jsonl", "o.jsonl"),
    "profiles": (),
    "policy": ("policy.toml",),
    "laws": ("policy.toml", "--contacts", "0"),
    "evaluate": ("policy.toml", "in.csv", "--truth", "email"),
    "profile": ("in.csv",),
    "benchmark": ("policy.toml", "in.csv"),
}
NOT_A_POLICY = (
    "'crm' is not a profile (SalesforceIQ, LeadConnector, SegMetrics, Anduin)"
)
NO_SUCH = "No such file or directory"
COLUMNS = {
    "--map": ("emial=email", "--map: no column 'emial'; the columns are 'email'"),
    "--map-file": ("no.toml", f"no.toml: {NO_SUCH}"),
    "--from": ("gogle", "--from: no ready map 'gogle'; there are beehiiv, "),
    "--read": ("encoding=utf-9", "--read encoding: 'utf-9' is no text encoding"),
    "--set": ("phone=1", "--set phone: unknown field; this policy has: email, name"),
}
SOME_COLUMNS = {
    name: COLUMNS[name] for name in ("--map", "--map-file", "--read", "--set")
}
OUTCOMES = ("no/o.jsonl", "no/o.jsonl: No such file or directory")
OF_BOOK = {"--policy": ("crm", f"--policy: {NOT_A_POLICY}")}
PLOT = ("p.txt", "--plot: must end in one of .")
# Each value that is not accepted, and what is said of it. A flag takes no value.
MISUSE: dict[str, dict[str, tuple[str, str]]] = {
    "upsert": {
        **COLUMNS,
        "--book": ("no/b.jsonl", "--book: directory"),
        "--outcomes": OUTCOMES,
        "--rejects": ("b.jsonl/r.csv", "b.jsonl/r.csv: Not a directory"),
        "--max-refused": ("5 %", "--max-refused: must be a number or a percentage"),
    },
    "explain": {
        **COLUMNS,
        "--map": ("emial", "--map: must be COLUMN=FIELD, not 'emial'"),
        "--book": ("in.csv", "in.csv: line 1: is not valid JSON"),
        "--row": ("in.csv", "give either PAYLOAD or --row FILE:LINE"),
    },
    "show": {
        **OF_BOOK,
        "--key": ("phone=1", "--key: must be one of email, not 'phone'"),
        "--where": ("phone=1", "--where phone: unknown field"),
        "--after": ("c-9", "--after: none of the contacts has the id 'c-9'"),
        "--limit": ("-1", "'--limit': -1 is not in the range x>=0"),
    },
    "duplicates": {
        **OF_BOOK,
        "--of": ("c-9", "--of: no contact has the id 'c-9'"),
    },
    "dedupe": {
        **OF_BOOK,
        "--keep": ("best", "'--keep': 'best' is not one of 'oldest', 'newest'"),
        "--outcomes": OUTCOMES,
    },
    "merge": {
        **OF_BOOK,
        "--scope": ("other", "no contact has the id '{}'"),
        "--outcomes": OUTCOMES,
    },
    "undo": {**OF_BOOK, "--line": ("9", "--line: o.jsonl has no line 9")},
    "profiles": {},
    "policy": {"--set": ("region=XX", "--set region: unknown field")},
    "laws": {
        "--set": COLUMNS["--set"],
        "--contacts": ("9", "'--contacts': 9 is not in the range 0<=x<=6"),
        "--limit": ("0", "'--limit': 0 is not in the range x>=1"),
    },
    "evaluate": {
        **SOME_COLUMNS,
        "--map": ("name=fax", "--map: the policy has no field 'fax'"),
        "--truth": ("person", "--truth: no column 'person'; the columns are 'email'"),
        "--truth-pattern": ("x", "--truth-pattern: must have a group"),
        "--compare": ("crm", f"--compare: {NOT_A_POLICY}"),
        "--shuffles": ("-1", "'--shuffles': -1 is not in the range x>=0"),
        "--seed": ("one", "'--seed': 'one' is not a valid integer"),
        "--plot": PLOT,
    },
    "profile": {
        "--region": ("XX", "--region: "),
        "--kind": ("email=mail", "--kind: "),
        "--read": COLUMNS["--read"],
    },
    "benchmark": {
        **COLUMNS,
        "--compare": ("crm", f"--compare: {NOT_A_POLICY}"),
        "--rounds": ("0", "'--rounds': 0 is not in the range x>=1"),
        "--plot": PLOT,
    },
}


def options() -> Iterator[tuple[str, click.Option]]:
    """Yield each option of each command."""
    for name, command in main.commands.items():
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                yield name, parameter


OPTIONS = [(name, option.opts[0], option.is_flag) for name, option in options()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Change to a folder with what the commands need."""
    with pytest.MonkeyPatch.context() as patch:
        made = tmp_path_factory.mktemp("options")
        patch.chdir(made)
        Path("policy.toml").write_text(POLICY, "utf-8")
        Path("in.csv").write_text("email,name\na@x.org,Ada\nb@x.org,Bo\n", "utf-8")
        words = ("--book", "b.jsonl", "--outcomes", "o.jsonl")
        result = CliRunner().invoke(main, ["upsert", "policy.toml", "in.csv", *words])
        assert 0 == result.exit_code, result.output
        yield made


def ids() -> dict[str, str]:
    """Return the ids of the contacts, under the names that the words above use."""
    rows = map(json.loads, Path("b.jsonl").read_text("utf-8").splitlines()[1:-1])
    return {f"c-{n}": row["id"] for n, row in enumerate(rows, 1)}


def test_every_command_is_tried() -> None:
    assert {*main.commands} == {*BASE} == {*MISUSE}


@pytest.mark.parametrize(("command", "option", "is_flag"), OPTIONS)
def test_option_is_in_the_manual(command: str, option: str, is_flag: bool) -> None:  # noqa: FBT001
    """As the first cell of a row, or in the text of a command."""
    del command, is_flag

    assert re.search(rf"`{option}[` ]|`--.*`{option}`| {option} ", MANUAL)


@pytest.mark.parametrize("command", BASE)
def test_help_has_an_example_and_at_most_twelve_options(command: str) -> None:
    params = main.commands[command].params
    number = sum(isinstance(each, click.Option) for each in params)
    output = CliRunner(env={"COLUMNS": "100"}).invoke(main, [command, "--help"]).output

    assert f"Example: upsertcore {command}" in output
    assert number <= LIMIT


@pytest.mark.parametrize(
    ("command", "option", "is_flag"),
    [each for each in OPTIONS if each[1] not in ANYTHING],
)
def test_misuse_is_refused_by_name_and_writes_nothing(
    folder: Path,
    command: str,
    option: str,
    is_flag: bool,  # noqa: FBT001
) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*")}
    if is_flag:
        words, message = (f"{option}=1",), f"Option '{option}' does not take a value."
    else:
        value, message = MISUSE[command][option]
        words = option, value  # type: ignore[assignment]
    known = ids()
    base = [known.get(word, word) for word in BASE[command]]
    result = CliRunner().invoke(main, [command, *base, *words])

    assert 2 == result.exit_code, result.output
    assert message.format(known["c-1"]) in result.stderr
    assert "Traceback" not in result.output
    assert before == {path: path.read_bytes() for path in folder.rglob("*")}

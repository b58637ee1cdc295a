"""
Invocations with invalid or careless words, as data.

Each case of ``cases.json`` has the words of a command, the content of standard input
and files, the exit status, and words of the output, except for white space.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from upsertcore.cli import main

CASES = json.loads(Path(__file__).with_name("cases.json").read_text("utf-8"))
MAX_LINES = 80


def content(encoded: Any) -> bytes:
    """Return the bytes of a case, given as text or as hexadecimal digits."""
    return (
        bytes.fromhex(encoded["hex"]) if isinstance(encoded, dict) else encoded.encode()
    )


def parameter(case: dict[str, Any]) -> Any:
    """Return a case as a parameter; those with a plot need matplotlib."""
    has_plot = "--plot" in case["argv"]
    return pytest.param(
        case, id=case["name"], marks=[pytest.mark.full] if has_plot else []
    )


@pytest.mark.parametrize("case", [parameter(case) for case in CASES])
def test_hostile_invocation_has_the_expected_status_and_output(
    case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The output is short and plain; with status 2 the files stay."""
    monkeypatch.chdir(tmp_path)
    files = {name: content(encoded) for name, encoded in case.get("files", {}).items()}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    stdin = content(case["stdin"]) if "stdin" in case else None
    result = CliRunner(env={"COLUMNS": "120"}).invoke(main, case["argv"], input=stdin)
    output = " ".join(result.output.split())

    assert case["code"] == result.exit_code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert [] == [words for words in case["words"] if words not in output], output
    assert len(result.output.splitlines()) < MAX_LINES
    assert not {*result.output} - {"\n", "\t"} & {*map(chr, range(32)), "\x7f", "\x9b"}
    if case["code"] == 2:
        files_after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        assert files == files_after


def test_cases_have_unique_names_and_contents() -> None:
    names = {case["name"] for case in CASES}
    distinct = {json.dumps({**case, "name": ""}, sort_keys=True) for case in CASES}

    assert 100 < len(CASES) == len(names) == len(distinct)

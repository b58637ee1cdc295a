"""
Invocations that a hostile or a hurried user types, kept as data.

Each case of ``cases.json`` has the words of a command, what standard input and files
hold, the exit status, and words that must be shown, white space aside.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from upsertcore.cli import main

CASES = json.loads(Path(__file__).with_name("cases.json").read_text("utf-8"))
LONGEST = 80


def content(said: Any) -> bytes:
    """Return the bytes that a case gives as text, or as hexadecimal digits."""
    return bytes.fromhex(said["hex"]) if isinstance(said, dict) else said.encode()


def parameter(case: dict[str, Any]) -> Any:
    """Name a case; those that draw need matplotlib."""
    draws = "--plot" in case["argv"]
    return pytest.param(
        case, id=case["name"], marks=[pytest.mark.full] if draws else []
    )


@pytest.mark.parametrize("case", [parameter(case) for case in CASES])
def test_a_hostile_invocation(
    case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends with its status, says why in few plain lines, and spares the files."""
    monkeypatch.chdir(tmp_path)
    files = {name: content(said) for name, said in case.get("files", {}).items()}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    stdin = content(case["stdin"]) if "stdin" in case else None
    result = CliRunner(env={"COLUMNS": "120"}).invoke(main, case["argv"], input=stdin)
    shown = " ".join(result.output.split())

    assert case["code"] == result.exit_code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert [] == [words for words in case["words"] if words not in shown], shown
    assert len(result.output.splitlines()) < LONGEST
    assert not {*result.output} - {"\n", "\t"} & {*map(chr, range(32)), "\x7f", "\x9b"}
    if case["code"] == 2:
        here = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
        assert files == here


def test_the_cases_are_many_and_differ() -> None:
    """Each has a name, and no two are the same invocation."""
    names = {case["name"] for case in CASES}
    distinct = {json.dumps({**case, "name": ""}, sort_keys=True) for case in CASES}

    assert 100 < len(CASES) == len(names) == len(distinct)

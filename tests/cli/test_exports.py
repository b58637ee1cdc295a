"""
Exports of products, as data: what goes in, what is refused, and what is noted.

Each case of ``tests/cases/exports/cases.json`` has a file, the policy with what
``--set`` gives it, and the other flags; the fields of the contacts in the book, the
refused lines with their reasons, and the notes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from upsertcore.cli import main
from upsertcore.files.ready_maps import ready_maps

FOLDER = Path(__file__).parents[1] / "cases" / "exports"
FILES = {path.name for path in FOLDER.iterdir()}
CASES = json.loads((FOLDER / "cases.json").read_text("utf-8"))


def case_id(case: dict[str, Any]) -> str:
    return " ".join((case["file"], case["policy"], *case["flags"]))


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_export_has_the_expected_result(case: dict[str, Any], tmp_path: Path) -> None:
    """With at most one flag beside the parameters of the profile."""
    book, outcomes = tmp_path / "book.jsonl", tmp_path / "outcomes.jsonl"
    words = [case["policy"], case["file"], *case["flags"]]
    words = [str(FOLDER / word) if word in FILES else word for word in words]
    words += ["--book", str(book), "--outcomes", str(outcomes)]
    words += [word for each in case["set"] for word in ("--set", each)]
    result = CliRunner().invoke(main, ["upsert", *words])
    assert result.exit_code == bool(case["refused"]), result.output
    rows = map(json.loads, book.read_text("utf-8").splitlines()[1:-1])
    lines = map(json.loads, outcomes.read_text("utf-8").splitlines())

    assert case["contacts"] == [row["fields"] for row in rows]
    assert case["refused"] == {
        str(line["line"]): line["reason"]
        for line in lines
        if line["result"] == "refused"
    }
    assert [f"note: {note}" for note in case["notes"]] == result.stderr.splitlines()
    assert len(case["flags"]) <= 2


def test_every_ready_map_and_every_file_has_a_case() -> None:
    noted = " ".join(note for case in CASES for note in case["notes"])
    named = {word for case in CASES for word in (case["file"], case["policy"])}
    named |= {flag for case in CASES for flag in case["flags"]}

    assert FILES - {"cases.json"} <= named
    for each in ready_maps().values():
        assert f"recognised as an export of {each.title}: " in noted

"""The sample files equal those that their script makes."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "benchmarks" / "sample"


def made_files() -> dict[str, bytes]:
    """Run the script."""
    spec = importlib.util.spec_from_file_location("make", FOLDER / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    files: dict[str, bytes] = module.files()
    return files


def test_script_makes_the_sample_files() -> None:
    """Byte by byte."""
    for name, content in made_files().items():
        assert (FOLDER / name).read_bytes() == content


def rows_of(name: str) -> list[dict[str, Any]]:
    """Read the rows of a file."""
    text = (FOLDER / name).read_text(encoding="utf-8-sig")
    if name.endswith(".csv"):
        return list(csv.DictReader(io.StringIO(text)))
    rows = []
    for line in text.splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            rows.append({})
    return rows


def test_sample_has_every_kind_of_dirty_data() -> None:
    """It has 5 000 leads; the first file has each person once."""
    crm, forms, event = rows_of("crm.csv"), rows_of("forms.csv"), rows_of("event.jsonl")
    emails = [row["E-mail Address"].strip().lower() for row in crm]
    shared = [row["phone"] for row in forms if row["phone"].startswith("+1 989")]

    assert len(crm) + len(forms) + len(event) == 5_000
    assert len(set(emails)) == len(emails) == 2_500
    assert any(row["E-mail Address"] != row["E-mail Address"].strip() for row in crm)
    assert any(row["E-mail Address"].isupper() for row in crm)
    assert any(row["phone"].startswith("(") for row in crm)
    assert any(not row["First Name"].isascii() for row in crm)
    assert len(set(shared)) < len(shared)
    assert any("@" in row["phone"] for row in forms)
    assert forms.count(forms[0]) == 2 or len(forms) > len({str(row) for row in forms})
    assert any(row.get("email") is None and row for row in event)
    assert {} in event

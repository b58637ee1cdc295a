"""The sample: made by its script, of the shape that it says, and taken as it should."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "benchmarks" / "sample"


def made() -> dict[str, bytes]:
    """Run the script."""
    spec = importlib.util.spec_from_file_location("make", FOLDER / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    files: dict[str, bytes] = module.files()
    return files


def test_the_script_makes_these_files() -> None:
    """The same bytes, wherever and whenever it runs."""
    for name, content in made().items():
        assert (FOLDER / name).read_bytes() == content


def leads(name: str) -> list[dict[str, Any]]:
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


def test_its_mess_is_that_of_real_exports() -> None:
    """5 000 leads; nobody repeats in the first file; every kind of mess is there."""
    crm, forms, event = leads("crm.csv"), leads("forms.csv"), leads("event.jsonl")
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

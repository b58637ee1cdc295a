"""The READMEs of the packages: their tables are true and complete, their links resolve.

Their examples with prompts are doctests, which pytest collects itself.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from upsertcore import Policy, field, key

ROOT = Path(__file__).parent.parent


def table(package: str, heading: str) -> list[list[str]]:
    """Return the rows of the first table after a heading, without its head."""
    text = (ROOT / "upsertcore" / package / "README.md").read_text(encoding="utf-8")
    found = re.search(
        rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.DOTALL | re.MULTILINE
    )
    assert found is not None, f"{package}: no heading {heading}"
    lines = found[1].splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        cells = re.split(r"(?<!\\)\|", line.strip("|"))
        rows.append([cell.strip() for cell in cells])
    return rows[2:]


def names(row: list[str]) -> list[str]:
    """Return what the first cell of a row names, without arguments."""
    return [name for name, _ in re.findall(r"`([\w.]+)(\([^`]*\))?`", row[0])]


@pytest.mark.parametrize(
    ("heading", "function", "elsewhere"),
    [
        ("Fields", field, set()),
        ("Keys of several fields", key, {"fields"}),
        ("The hard cases", Policy, {"match", "fields"}),
    ],
    ids=["field", "key", "Policy"],
)
def test_table_of_arguments_is_complete(
    heading: str, function: Callable[..., Any], elsewhere: set[str]
) -> None:
    """Every argument has one row, with its default."""
    rows = table("policy", heading)
    parameters = inspect.signature(function).parameters
    named = [name for row in rows for name in names(row)]
    defaults = {name: row[1] for row in rows for name in names(row)}

    assert len(named) == len(set(named))
    assert set(named) == set(parameters) - elsewhere
    for name, default in defaults.items():
        value = parameters[name].default
        if isinstance(value, (str, bool)):
            assert default.strip("`").replace('"', "'") == repr(value), name

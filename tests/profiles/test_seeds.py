"""Compares the pages that the profiles follow with the cases that check them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.profiles.seed_table import CASES, TABLE, calls, digest, holds, seeds, table
from tests.profiles.test_cases import CASES as RUN

SEEDS = seeds()
CALLS = calls()
STATEMENTS = [
    pytest.param(statement, id=f"{page['seed'][:3]}:{statement['line']}:{number}")
    for page in SEEDS
    for number, statement in enumerate(page["statements"])
]


def lines(statements: list[dict[str, Any]]) -> Iterator[tuple[int, str]]:
    """Give the number and the text of each line that is quoted."""
    for statement in statements:
        yield from enumerate(statement["quote"].split("\n"), statement["line"])


@pytest.mark.parametrize("page", SEEDS, ids=[page["seed"] for page in SEEDS])
def test_each_line_of_a_page_is_quoted(page: dict[str, Any]) -> None:
    """The quotes of a page, line by line, come to the sum of the page."""
    assert digest(lines(page["statements"])) == page["digest"]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_statement_is_checked_or_the_applications_part(
    statement: dict[str, Any],
) -> None:
    """A case is there, and a call of it sends and answers what the statement says."""
    if statement["kind"] == "application":
        assert statement["why"]
        assert "cases" not in statement
        return
    assert statement["kind"] == "case"
    assert statement["cases"]
    made = [call for name in statement["cases"] for call in CALLS.get(name, ())]
    for check in statement.get("checks", ()):
        assert check
        assert any(shows(check, call) for call in made), check


def shows(check: dict[str, Any], call: dict[str, Any]) -> bool:
    """Tell whether a call sends and answers what a statement says."""
    return (
        check.keys() <= {"status", "path", "sends", "answers"}
        and check.get("status", call["status"]) == call["status"]
        and holds(check.get("path", {}), call.get("path", {}))
        and ("sends" not in check or holds(check["sends"], call["payload"]))
        and holds(check.get("answers", {}), call["body"])
    )


def test_each_named_case_is_run() -> None:
    """A case of the data is a parameter of its test, and a test is in its module."""
    ids = {param.id for param in RUN}
    root = CASES.parents[1]
    tests: dict[str, set[str]] = {}
    for page in SEEDS:
        for statement in page["statements"]:
            for name in statement.get("cases", ()):
                path, _colons, test = name.partition("::")
                if not test:
                    assert name in ids
                    continue
                if path not in tests:
                    tests[path] = defined(root / path)
                assert test in tests[path], name


def defined(path: Path) -> set[str]:
    """Name the test functions of a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_the_table_is_made_from_the_statements() -> None:
    """``python -m tests.profiles.seed_table`` writes it."""
    assert table() == TABLE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [
        ({}, {"a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": 1}, {"b": 1}, False),
        ({"a": 1}, [1], False),
        ([{}], [{"a": 1}], True),
        ([{"a": 1}, {"b": 2}], [{"b": 2}, {"a": 1}], True),
        ([1], [2], False),
        ([], [], True),
        ([], [1], False),
        (1, 1, True),
        (1, True, False),
        (None, None, True),
    ],
)
def test_a_value_is_in_another(part: Any, whole: Any, expected: Any) -> None:
    """Mappings by name, lists by item, all else equal and of one type."""
    assert holds(part, whole) is expected

"""The pages that the profiles follow, and the cases that check each statement."""

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


def quoted_lines(statements: list[dict[str, Any]]) -> Iterator[tuple[int, str]]:
    """Yield the number and the text of each quoted line."""
    for statement in statements:
        yield from enumerate(statement["quote"].split("\n"), statement["line"])


@pytest.mark.parametrize("page", SEEDS, ids=[page["seed"] for page in SEEDS])
def test_quotes_of_a_page_have_the_digest_of_the_page(page: dict[str, Any]) -> None:
    assert digest(quoted_lines(page["statements"])) == page["digest"]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_statement_is_checked_by_a_case_or_left_to_the_application(
    statement: dict[str, Any],
) -> None:
    """A case exists, and a call of it has the checked request and response."""
    if statement["kind"] == "application":
        assert statement["why"]
        assert "cases" not in statement
        return
    assert statement["kind"] == "case"
    assert statement["cases"]
    case_calls = [call for name in statement["cases"] for call in CALLS.get(name, ())]
    for check in statement.get("checks", ()):
        assert check
        assert any(satisfies(check, call) for call in case_calls), check


def satisfies(check: dict[str, Any], call: dict[str, Any]) -> bool:
    """Return whether a call has the request and response of a check."""
    return (
        check.keys() <= {"status", "path", "sends", "answers"}
        and check.get("status", call["status"]) == call["status"]
        and holds(check.get("path", {}), call.get("path", {}))
        and ("sends" not in check or holds(check["sends"], call["payload"]))
        and holds(check.get("answers", {}), call["body"])
    )


def test_every_named_case_or_test_exists() -> None:
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
                    tests[path] = names_of_tests(root / path)
                assert test in tests[path], name


def names_of_tests(path: Path) -> set[str]:
    """Return the names of the test functions of a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_seed_table_is_up_to_date() -> None:
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
def test_holds_compares_by_name_item_and_type(
    part: Any, whole: Any, expected: Any
) -> None:
    """Mappings by name, lists by item, other values by type and equality."""
    assert holds(part, whole) is expected

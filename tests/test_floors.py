"""Holds the floors: a module imports only from lower ones, and stays readable."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import upsertcore

PACKAGE = Path(upsertcore.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
NAMES = [str(path.relative_to(PACKAGE)) for path in MODULES]
FLOOR = {
    "limits": -1,
    "showing": 0,
    "tokens": 0.5,
    "view": 1,
    "holders": 3,
    "refusals": 0.25,
    "errors": 0.5,
    "unfit": 0.1,
    "values": 0.2,
    "contact": 1,
    "row": 1.25,
    "outcome": 1.5,
    "explain": 0.75,
    "words": 0.5,
    "patterns": 0.75,
    "functions": 0.75,
    "parts": 0.75,
    "phones": 0.75,
    "normalize": 1,
    "scores": 1,
    "nested": 1,
    "absent": 1.5,
    "order": 1,
    "merging": 2.9,
    "rule": 1,
    "strategy": 1,
    "keys": 2,
    "line": 2,
    "match": 2,
    "rules": 2,
    # A part of the policy's floor that the policy itself is made with.
    "keyring": 2.5,
    "policy": 3,
    "call": 3,
    "patch": 3,
    "draft": 3,
    "claims": 3,
    # What it refuses was withheld by the claim.
    "again": 3.25,
    "grouping": 1,
    "trace": 3,
    # What the pure decision of the floor above answers with.
    "planned": 3.5,
    "plan": 4,
    "index": 4,
    "loading": 4,
    "draw": 4,
    "calls": 4,
    "comparing": 4,
    "journal": 4,
    "undoing": 4.4,
    "deleting": 4.35,
    "overlay": 4.25,
    "writer": 4.4,
    "quick": 4.45,
    "heading": 4.2,
    "arguments": 3.75,
    "repeats": 4.3,
    "redo": 1.3,
    "staged": 3.5,
    "batch": 4.4,
    # The verbs of the book, in steps.
    "reader": 4.5,
    "joining": 4.75,
    "book": 5,
    # A log beyond one machine, whose law the kit has.
    "replay": 5.5,
    "profiles": 6,
    "phonetic": 6,
    # A report is drawn and compared by what it holds, and holds who does it.
    "charting": 5.75,
    "contrast": 5.75,
    "judging": 6,
    "evaluation": 6.25,
    "laws": 6,
    # The laws of the line above, driven by Hypothesis.
    "testing": 6.5,
    "cli": 7,
    "spark": 7,
}
# Part of the design to what an extra brings it.
EXTRAS = {
    "charting": {"matplotlib"},
    "cli": {"click", "rich"},
    "judging": {"matplotlib"},
    "phonetic": {"jellyfish"},
    "phones": {"phonenumbers"},
    "spark": {"pyarrow", "pyspark"},
    "testing": {"hypothesis"},
}
CORE = {name for name, floor in FLOOR.items() if floor <= 5}
STANDARD = frozenset(sys.stdlib_module_names)


def part(path: Path) -> str:
    """Name the part of the design that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[str]:
    """Give the full name of every module that is imported, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written out"
            if node.module == "upsertcore":
                yield from (f"upsertcore.{alias.name}" for alias in node.names)
            else:
                yield str(node.module)


def typing_only(tree: ast.Module) -> set[str]:
    """Give what is imported for types alone, which never runs."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            found |= set(imports(node))
    return found


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_a_module_imports_only_from_lower_floors(path: Path) -> None:
    """What is imported to run stands lower; what is imported to type, not higher."""
    name, tree = part(path), ast.parse(path.read_text(encoding="utf-8"))
    if name.startswith("__"):
        return
    types = typing_only(tree)
    for module in imports(tree):
        other = module.removeprefix("upsertcore.").split(".")[0]
        if not module.startswith("upsertcore.") or other == name:
            continue
        room = 1 if module in types else 0
        assert FLOOR[other] < FLOOR[name] + room, f"{name} imports {other}"


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_the_core_imports_attrs_and_the_standard_library(path: Path) -> None:
    """What stands beyond the core may need an extra, and phone_in when called."""
    allowed = STANDARD | {"attr", "attrs", "upsertcore"} | EXTRAS.get(part(path), set())
    tree = ast.parse(path.read_text(encoding="utf-8"))

    assert {module.split(".")[0] for module in imports(tree)} <= allowed


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_a_module_has_one_subject(path: Path) -> None:
    """A module has 400 lines of code and a function 45 at the most."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            prose = len((ast.get_docstring(node) or "").splitlines())
            length = (node.end_lineno or 0) - node.lineno + 1 - prose
            assert length <= 45, f"{node.name} has {length} lines"

    assert ast.get_docstring(tree)
    assert code_lines(text, tree) <= 400


def code_lines(text: str, tree: ast.Module) -> int:
    """Count the lines that are neither blank nor comment nor docstring."""
    prose: set[int] = set()
    for node in ast.walk(tree):
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            prose.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return sum(
        bool(line.strip()) and not line.lstrip().startswith("#") and n not in prose
        for n, line in enumerate(text.splitlines(), 1)
    )


def test_no_core_module_names_a_system() -> None:
    """A branch on a vendor's name outside the profiles is a defect."""
    names = ("salesforce", "leadconnector", "segmetrics", "anduin")
    for path in MODULES:
        if part(path) in CORE:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            words = [n.id for n in ast.walk(tree) if isinstance(n, ast.Name)]
            words += [
                str(node.comparators)
                for node in ast.walk(tree)
                if isinstance(node, ast.Compare)
            ]
            assert not [w for w in words for name in names if name in w.lower()]

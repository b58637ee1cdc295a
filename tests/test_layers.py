"""The layers: a package imports only from lower ones, and modules stay small."""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import upsertcore

PACKAGE = Path(upsertcore.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
NAMES = [str(path.relative_to(PACKAGE)) for path in MODULES]
LAYERS = (
    {"errors", "values", "_lazy"},
    {"model", "normalize", "rules", "matching"},
    {"policy"},
    {"engine"},
    {"store"},
    {"book"},
    {"profiles", "replay", "evaluation", "sql"},
    {"laws", "files", "benchmark"},
    {"testing", "spark", "suggest"},
    {"cli"},
    {"__main__"},
    {"__init__"},
)
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}
# Package to what an extra brings it.
EXTRAS = {
    "benchmark": {"matplotlib"},
    "cli": {"click", "rich", "sqlalchemy"},
    "evaluation": {"matplotlib"},
    "files": {"openpyxl", "pyarrow", "vobject"},
    "normalize": {"idna", "jellyfish", "phonenumbers"},
    "spark": {"pyarrow", "pyspark"},
    "sql": {"sqlalchemy"},
    "testing": {"hypothesis"},
}
CORE = {name for names in LAYERS[:6] for name in names}
STANDARD = frozenset(sys.stdlib_module_names)


def package(path: Path) -> str:
    """Return the package of a file, or the module at the root."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def module(path: Path) -> str:
    """Return the full name of the module in a file."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module(path): path for path in MODULES}


def imports(tree: ast.AST) -> Iterator[str]:
    """Return every module that is imported, for types as well."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in FILES else str(node.module)


def tree_of(path: Path) -> ast.Module:
    """Parse a module."""
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_package_imports_only_lower_layers(path: Path) -> None:
    """No sibling, and no higher layer; the modules at the root of layer 0 are one."""
    own = package(path)
    for name in imports(tree_of(path)):
        if name.split(".")[0] == "upsertcore" and own != "__init__":
            other = name.split(".")[1]
            same = other == own or {own, other} <= LAYERS[0]
            assert same or LAYER[other] < LAYER[own], f"{own} imports {name}"


def test_imports_have_no_circle() -> None:
    """Imports for types count."""
    uses_of = {
        name: {imported for imported in imports(tree_of(path)) if imported in FILES}
        - {name}
        for name, path in FILES.items()
    }
    waiting = {name: set(uses) for name, uses in uses_of.items()}
    while free := [name for name, uses in waiting.items() if not uses & {*waiting}]:
        for name in free:
            del waiting[name]

    assert waiting == {}


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_core_imports_only_attrs_and_the_standard_library(path: Path) -> None:
    """Other packages may import what their extra installs."""
    extra = EXTRAS.get(package(path), set())
    allowed = STANDARD | {"attr", "attrs", "upsertcore"} | extra

    assert {name.split(".")[0] for name in imports(tree_of(path))} <= allowed


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_module_and_functions_stay_small(path: Path) -> None:
    """At most 400 code lines in a module, and 45 in a function."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    lines = code_lines(text, tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            own = {n for n in lines if node.lineno <= n <= (node.end_lineno or 0)}
            assert len(own) <= 45, f"{node.name} has {len(own)} code lines"

    assert ast.get_docstring(tree)
    assert len(lines) <= 400


def code_lines(text: str, tree: ast.Module) -> set[int]:
    """Return the lines of code: no docstrings, comments and signatures."""
    excluded: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            excluded.update(range(node.lineno, (node.end_lineno or 0) + 1))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = max(node.body[0].lineno, node.lineno + 1)
            excluded.update(range(node.lineno, first))
    lines_by_layout: defaultdict[bool, set[int]] = defaultdict(set)
    layout = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        lines = range(token.start[0], token.end[0] + 1)
        lines_by_layout[
            token.type in (*layout, tokenize.DEDENT, tokenize.ENDMARKER)
        ] |= {*lines}
    return lines_by_layout[False] - excluded


def test_layout_of_memory_is_read_in_the_store_alone() -> None:
    """And where an outcome is read: it is made of the rows of a record."""
    layout = {f"upsertcore.model.{name}" for name in ("packed_row", "write_record")}
    layout |= {"upsertcore.store.key_index", "upsertcore.store.redo"}
    readers = {
        name
        for name, path in FILES.items()
        if package(path) not in ("model", "store")
        and layout & {*imports(tree_of(path))}
    }

    outcomes = ("engine.explain", "engine.outcome", "spark.to_arrow")
    assert readers == {f"upsertcore.{name}" for name in outcomes}


def test_package_root_has_at_most_ten_files() -> None:
    assert len([path for path in PACKAGE.iterdir() if path.is_file()]) <= 10


def test_core_module_names_no_system() -> None:
    """A branch on a vendor's name outside the profiles is a defect."""
    names = ("salesforce", "leadconnector", "segmetrics", "anduin")
    for path in MODULES:
        if package(path) in CORE:
            tree = tree_of(path)
            words = [n.id for n in ast.walk(tree) if isinstance(n, ast.Name)]
            words += [
                str(node.comparators)
                for node in ast.walk(tree)
                if isinstance(node, ast.Compare)
            ]
            assert not [w for w in words for name in names if name in w.lower()]

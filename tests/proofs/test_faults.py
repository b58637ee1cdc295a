"""Each planted fault breaks the law that is named beside it."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import pytest

import upsertcore
from tests.proofs import fault_worker
from tests.proofs.fault_worker import SOUND, UNSOUND
from tests.proofs.faults import FAULTS, Fault

pytestmark = pytest.mark.full

Broken: TypeAlias = dict[str, list[str]]
Runs: TypeAlias = "dict[str, Future[Broken]]"

PACKAGE = Path(upsertcore.__file__).parent
WORKER = fault_worker.__file__
PRELUDE = "import runpy, sys; sys.path.insert(0, sys.argv[1]);"
# A copy is run, whose coverage does not count.
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}
FAST = (
    *("store.common_upsert", "store.fast_path", "store.key_lookup"),
    *("store.row_keys", "store.row_rules", "engine.explain"),
)
PLANTED = [fault for fault in FAULTS if fault.module]


def fault_id(fault: Fault) -> str:
    return fault.wrong


def path_of(fault: Fault, package: Path) -> Path:
    """Return where the module of a fault is."""
    return package.joinpath(*fault.module.split(".")).with_suffix(".py")


def faulty_source(fault: Fault) -> str:
    """Return the source of a module with a fault in it."""
    source = path_of(fault, PACKAGE).read_text("utf-8")
    start, end = extent(source, fault.function)
    changed = source[start:end].replace(fault.old, fault.new)
    return source[:start] + changed + source[end:]


def plant(fault: Fault | None, source: str, root: Path) -> None:
    """Copy the package, with one fault in it, or none."""
    package = root / "upsertcore"
    shutil.copytree(PACKAGE, package)
    if fault is None or not fault.module:
        return
    module = path_of(fault, package)
    for stale in (module.parent / "__pycache__").glob(f"{module.stem}.*"):
        stale.unlink()
    module.write_text(source, "utf-8")


def extent(source: str, function: str) -> tuple[int, int]:
    """Return where a function begins and ends in the source of its module."""
    if not function:
        return 0, len(source)
    node: ast.AST = ast.parse(source)
    for name in function.split("."):
        # The last overload is the function.
        node = [
            n for n in ast.iter_child_nodes(node) if getattr(n, "name", "") == name
        ][-1]
    starts = [0, *(match.end() for match in re.finditer("\n", source))]
    assert isinstance(node, (ast.FunctionDef, ast.ClassDef))
    first = min([decorator.lineno for decorator in node.decorator_list] + [node.lineno])
    return starts[first - 1], starts[node.end_lineno or 0]


def broken_laws(fault: Fault | None, source: str, root: Path, name: str) -> Broken:
    """Ask another process which laws are broken in a copy with this fault, or none."""
    plant(fault, source, root)
    script = f"{PRELUDE}runpy.run_path({str(WORKER)!r}, run_name='__main__')"
    law = fault.law if fault is not None else ""
    # A fault of the general path shows where no call takes the fast one.
    path = "fast" if fault is None or fault.module in FAST else "plain"
    command = [sys.executable, "-I", "-c", script, str(root), law, name, path]
    process = subprocess.run(
        command, capture_output=True, check=False, env=ENVIRONMENT, text=True
    )
    shutil.rmtree(root)
    assert not process.returncode, process.stderr
    laws: Broken = json.loads(process.stdout)
    return laws


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """Begin all runs, two at a time, in the order of the tests."""
    roots = tmp_path_factory.mktemp("faults")
    with ThreadPoolExecutor(2) as pool:
        futures = {
            name: pool.submit(broken_laws, None, "", roots / name, name)
            for name in SOUND
        }
        for place, fault in enumerate(FAULTS):
            # In this thread, since the parser of CPython 3.11 fails at times if two
            # threads use it (https://github.com/python/cpython/issues/106905).
            source = faulty_source(fault) if fault.module else ""
            root, name = roots / str(place), fault.shown_on
            futures[fault.wrong] = pool.submit(broken_laws, fault, source, root, name)
        yield futures
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("name", SOUND)
def test_package_without_a_fault_breaks_no_law(runs: Runs, name: str) -> None:
    assert {name: []} == runs[name].result()


@pytest.mark.parametrize("fault", FAULTS, ids=fault_id)
def test_fault_breaks_its_law(runs: Runs, fault: Fault) -> None:
    laws = runs[fault.wrong].result()

    assert fault.law in laws[fault.shown_on]


@pytest.mark.parametrize("fault", PLANTED, ids=fault_id)
def test_fault_has_one_place(fault: Fault) -> None:
    """The pattern occurs once in its function."""
    module = PACKAGE.joinpath(*fault.module.split(".")).with_suffix(".py")
    source = module.read_text("utf-8")

    assert 1 == source.count(fault.old, *extent(source, fault.function))
    assert fault.old != fault.new


def test_faults_have_unique_texts_and_use_every_example() -> None:
    assert len(FAULTS) == len({fault.wrong for fault in FAULTS})
    assert {*SOUND} == {fault.shown_on for fault in PLANTED}
    assert {*UNSOUND} == {fault.shown_on for fault in FAULTS if not fault.module}

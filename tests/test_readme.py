"""The README and the maps: their tables are true, commands run, links resolve.

Examples with prompts are doctests, which pytest collects itself; the two commands that
install are run word for word by ``.ci/run``.
"""

from __future__ import annotations

import inspect
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

import upsertcore
from tests.test_layers import LAYERS
from tests.test_package_readmes import resolves, split
from upsertcore import Policy, errors, field, rules
from upsertcore.matching import strategies
from upsertcore.policy.fields import Blank, Null
from upsertcore.policy.policy import _CHOICES

ROOT = Path(__file__).parent.parent
PACKAGE = Path(upsertcore.__file__).parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAP = (PACKAGE / "README.md").read_text(encoding="utf-8")
TESTS = (ROOT / "tests" / "README.md").read_text(encoding="utf-8")
CHOICES: dict[str, Any] = {**_CHOICES, "null": Null, "blank": Blank}


def section(heading: str, text: str = README) -> str:
    """Return what is under a heading."""
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def table(heading: str) -> list[list[str]]:
    """Return the rows of the table under a heading, without its head."""
    lines = section(heading).splitlines()
    return [split(line) for line in lines if line.startswith("|")][2:]


def commands() -> list[str]:
    """Return the blocks of shell."""
    return re.findall(r"^```sh\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def test_readme_is_read_in_five_minutes() -> None:
    assert len(README.splitlines()) <= 300


@pytest.mark.parametrize("function", [field, Policy], ids=["field", "Policy"])
def test_table_of_options_is_that_of_the_signature(function: Any) -> None:
    """One row per argument, in their order for Policy, with its default."""
    name = function.__name__
    rows = {row[0].strip("`"): row for row in table(f"`{name}`")}
    parameters = inspect.signature(function).parameters

    assert {*rows} == {*parameters}
    for argument, row in rows.items():
        default = parameters[argument].default
        if default is inspect.Parameter.empty:
            assert row[1] == ""
        elif argument != "keys":
            assert row[1].strip("`").replace('"', "'") == repr(default), argument
        for choice in get_args(CHOICES.get(argument)):
            assert f'`"{choice}"`' in row[1] + row[2], argument


def test_table_of_errors_is_that_of_the_module() -> None:
    """Each error has one row, with the class that it is also caught as."""
    named = [
        (name, row[1].strip("`"))
        for row in table("Errors")
        for name in re.findall(r"`(\w+)`", row[0])
    ]
    common = {"UpsertError", "Refused", "Exception", "BaseException", "object"}
    for name, other in named:
        bases = [base.__name__ for base in getattr(errors, name).__mro__[1:]]
        first = next((b for b in bases if b not in common and b[0] != "_"), "")
        assert other == first, name

    assert sorted([*(name for name, _ in named), "UpsertError"]) == errors.__all__


def test_errors_below_refused_are_refusals() -> None:
    names = re.findall(r"`(\w+)`", " ".join(row[0] for row in table("Errors")))
    start = names.index("Refused")

    refusals = [issubclass(getattr(errors, name), errors.Refused) for name in names]

    assert refusals == [place >= start for place in range(len(names))]


def test_words_name_the_strategies_and_rules_of_the_code() -> None:
    rows = {row[0]: set(re.findall(r"`(\w+)`", row[1])) for row in table("Words")}

    assert rows["match strategy"] == {n for n in strategies.__all__ if n.islower()}
    assert rows["rule"] <= {*rules.__all__}


def test_every_page_of_a_package_is_linked() -> None:
    packages = {path.parent.name for path in PACKAGE.glob("*/*.md")}
    links = re.findall(r"\]\(([^)#]+)", section("Where everything is"))

    assert {f"upsertcore/{name}/README.md" for name in packages} <= {*links}


PAGES = [
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "tests" / "README.md", *sorted((ROOT / ".github").glob("*.md")))
]


@pytest.mark.parametrize("page", PAGES)
def test_every_link_resolves(page: str) -> None:
    """Relative links, with their anchors; those of other pages are tested with them."""
    text = re.sub(
        r"(?ms)^ *```.*?^ *```$|`[^`\n]*`", "", (ROOT / page).read_text("utf-8")
    )
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    relative = [link for link in links if ":" not in link]

    assert [link for link in relative if not resolves(page, link)] == []


def run_command(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a shell would, with the upsertcore of this Python."""
    words = shlex.split(command)
    assert words[0].endswith("upsertcore")
    words = [str(ROOT / w) if w.startswith("benchmarks/") else w for w in words[1:]]
    return subprocess.run(
        [sys.executable, "-m", "upsertcore", *words],
        cwd=folder,
        env={**os.environ, "COLUMNS": "100", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_first_command_reports_every_row_of_the_sample(tmp_path: Path) -> None:
    command = commands()[0].replace("\\\n", "").splitlines()[1]
    process = run_command(command, tmp_path)
    reported = (tmp_path / "outcomes.jsonl").read_text(encoding="utf-8").splitlines()

    assert process.returncode == 0
    for line in ("created", "updated", "unchanged", "refused: ", "withheld: phone"):
        assert line in process.stdout
    assert len(reported) == 5_000
    assert process.stderr.startswith("note: renamed: First Name -> firstName, ")
    assert process.stderr.count("\n") == 1


def test_readme_has_two_commands() -> None:
    """The gate runs them by their place."""
    job, tests = commands()

    assert "upsertcore upsert" in job
    assert "python -m pytest" in tests


def missing(names: list[str], folder: Path) -> list[str]:
    """Return the paths, hidden ones aside, that neither the folder nor the root has."""
    visible = [name for name in names if not name.startswith(".")]
    return [n for n in visible if not (folder / n).exists() and not (ROOT / n).exists()]


def test_map_has_the_layers_of_the_test() -> None:
    """Packages that do not exist yet, ``__init__`` and ``__main__`` aside."""
    written = {path.stem for path in PACKAGE.glob("[!_]*")} | {"_lazy"}
    lines = [line.split()[1:] for line in re.findall(r"^\d  .*$", MAP, re.MULTILINE)]

    assert [set(names) for names in lines] == [
        layer & written for layer in LAYERS if layer & written
    ]


def test_map_names_files_that_exist() -> None:
    names = re.findall(r"`((?:[\w.]+/)+[\w.]*|\w+\.pyi?)`", MAP)

    assert missing(names, PACKAGE) == []
    assert len(names) > 60


def test_map_has_a_row_for_each_package() -> None:
    """With modules that exist."""
    rows = [split(line) for line in section("Packages", MAP).splitlines()]
    packages = [re.match(r"\[`(\w+)`\]", row[0]) for row in rows if len(row) == 3]
    named = {match[1] for match in packages if match}
    modules = [
        PACKAGE / match[1] / f"{name}.py"
        for row in rows
        if (match := re.match(r"\[`(\w+)`\]", row[0]))
        for name in re.findall(r"`(\w+)`", row[2])
    ]

    assert named == {path.parent.name for path in PACKAGE.glob("*/README.md")}
    assert [path for path in modules if not path.exists()] == []


def test_map_has_ten_common_changes() -> None:
    assert section("Common changes", MAP).count("\n### ") == 10


def test_page_of_tests_names_every_group() -> None:
    """Each folder has a row, and each file that is named exists."""
    folders = {
        path.name
        for path in (ROOT / "tests").iterdir()
        if path.is_dir() and not path.name.startswith(("_", "."))
    }
    names = re.findall(r"`((?:[\w.]+/)+[\w.]*|\w+\.(?:py|json|md))`", TESTS)

    assert folders <= {name.split("/")[0] for name in names}
    assert missing(names, ROOT / "tests") == []

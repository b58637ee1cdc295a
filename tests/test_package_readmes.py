"""The READMEs of the packages: their tables are complete, their links resolve.

Examples with prompts are doctests, which pytest collects itself.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from posixpath import dirname, normpath
from typing import Any, get_args

import pytest

import upsertcore
from upsertcore import (
    Contact,
    ContactBook,
    Outcome,
    Policy,
    errors,
    field,
    first_match,
    key,
    normalize,
    rules,
)
from upsertcore.cli.commands import main
from upsertcore.matching import strategies
from upsertcore.matching.ambiguity import OnAmbiguous
from upsertcore.matching.protocol import Guard
from upsertcore.normalize import phonetic
from upsertcore.policy.toml_words import WORDS
from upsertcore.profiles import BY_NAME
from upsertcore.rules.rule import Law, Rule

ROOT = Path(__file__).parent.parent
PACKAGE = Path(upsertcore.__file__).parent
NOW = datetime(2024, 1, 2, tzinfo=UTC)


def readme(package: str) -> str:
    """Return the README of a package."""
    return (PACKAGE / package / "README.md").read_text(encoding="utf-8")


def tables(package: str, heading: str) -> list[list[list[str]]]:
    """Return the rows of the tables under a heading, without their heads."""
    pattern = rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)"
    part = re.search(pattern, readme(package), re.DOTALL | re.MULTILINE)
    assert part is not None, f"{package}: no heading {heading}"
    blocks = re.findall(r"(?:^\|.*\n)+", part[1], re.MULTILINE)
    cells = [[split(line) for line in block.splitlines()] for block in blocks]
    return [rows[2:] for rows in cells]


def split(line: str) -> list[str]:
    """Return the cells of a row."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]


def table(package: str, heading: str) -> list[list[str]]:
    """Return the rows of the first table under a heading, without its head."""
    return tables(package, heading)[0]


def names(row: list[str]) -> list[str]:
    """Return what the first cell of a row names, without arguments."""
    return [name for name, _ in re.findall(r"`([\w.]+)(\([^`]*\))?`", row[0])]


@pytest.mark.parametrize(
    ("package", "heading", "function", "elsewhere"),
    [
        ("policy", "Fields", field, set()),
        ("policy", "Keys of several fields", key, {"fields"}),
        ("policy", "The hard cases", Policy, {"match", "fields"}),
        ("book", "The verbs", ContactBook, {"policy"}),
        ("book", "Batches", ContactBook.upsert_many, {"self", "patches"}),
    ],
    ids=["field", "key", "Policy", "ContactBook", "upsert_many"],
)
def test_table_of_arguments_is_complete(
    package: str, heading: str, function: Callable[..., Any], elsewhere: set[str]
) -> None:
    """Every argument has one row, with its default."""
    rows = next(
        rows
        for rows in tables(package, heading)
        if set(names(rows[0])) <= {*inspect.signature(function).parameters}
    )
    parameters = inspect.signature(function).parameters
    named = [name for row in rows for name in names(row)]
    defaults = {name: row[1] for row in rows for name in names(row)}

    assert len(named) == len(set(named))
    assert set(named) == set(parameters) - elsewhere
    for name, default in defaults.items():
        value = parameters[name].default
        if isinstance(value, (str, bool)) or type(value) is int:
            assert default.strip("`").replace('"', "'") == repr(value), name


def test_tables_of_a_policy_as_text_are_complete() -> None:
    """Every option has a row for its table, and every word is named."""
    options, kinds = tables("policy", "A policy as text")
    by_table = {
        place: {name for row in options if place in row[0] for name in words_of(row[1])}
        for place in ("top", "fields", "keys")
    }
    tables_of_top = {"fields", "keys", "extra_fields"}
    sentences = {row[0]: row[1] + row[2] for row in kinds}

    assert by_table["top"] == {*inspect.signature(Policy).parameters} - tables_of_top
    assert by_table["fields"] == {*inspect.signature(field).parameters}
    assert by_table["keys"] == {*inspect.signature(key).parameters}
    for kind in ("strategy", "rule", "normaliser"):
        named = set(re.findall(r"`(?:\{ )?([\w.]+)", sentences[kind]))
        assert {name for name in WORDS[kind] if name not in named} == set(), kind


def words_of(cell: str) -> list[str]:
    """Return what a cell names."""
    return re.findall(r"`(\w+)`", cell)


def test_tables_of_normalisers_are_complete() -> None:
    """Every normaliser has one row, those that a function makes among them."""
    text = readme("normalize")
    part = text.partition("## The normalisers")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:] for line in part.splitlines() if line[:3] == "| `"]
    names_listed = {name for name in normalize.__all__ if name.islower()}
    names_listed |= {f"phonetic.{name}" for name in phonetic.__all__}

    assert sorted(name for row in rows for name in names(row)) == sorted(names_listed)


def test_table_of_strategies_is_complete() -> None:
    """Every strategy has one row, and every choice is named."""
    rows = table("matching", "The strategies")
    names_listed = {name for name in strategies.__all__ if name.islower()}
    guards = [row[0].strip('`"') for row in table("matching", "Guards")]

    assert sorted(name for row in rows for name in names(row)) == sorted(names_listed)
    assert guards == ["None", *get_args(Guard)]
    for choice in get_args(OnAmbiguous):
        assert f'`"{choice}"`' in readme("matching")


VALUES: dict[str, tuple[Any, Any, Any]] = {
    "union": (["a"], [], ["b"]),
    "remove": (["a"], [], ["b"]),
    "deep": ({"a": 1}, {}, {"b": 2}),
    "items_by": ([{"id": 1}], [], [{"id": 2}]),
    "smallest": ("b", "", "a"),
    "add": (1, "", 2),
    "append": (["a"], [], ["b"]),
    "add_or_remove": (["a"], [], ["b"]),
    "deep_keep": ({"a": 1}, {}, {"b": 2}),
}
"""Rule to a stored value, a blank one and a different one; texts for all others."""

MADE: dict[str, Rule] = {
    "items_by": rules.items_by("id"),
    "latest": rules.latest(by="t"),
    "sticky": rules.sticky("out"),
    "constant": rules.constant("x"),
    "refuse_if": rules.refuse_if("x"),
}
CATALOGUE: dict[str, Rule] = MADE | {
    name: getattr(rules, name)
    for name in rules.__all__
    if isinstance(getattr(rules, name), Rule)
}


def effect(rule: Rule, stored: Any, *sent: Any) -> str:
    """Return the table's word for an upsert that is newer by the clock "t"."""
    lines = {"k": field(key=normalize.exact), "t": field(), "f": field(rule=rule)}
    fields = {"k": "1", "t": 1} | ({} if stored is None else {"f": stored})
    row = Contact("c-1", "", fields, 1, NOW, NOW).to_dict()
    book = ContactBook.load(Policy(first_match("k"), lines), [row])
    try:
        outcome = book.upsert({"k": "1", "t": 2} | ({"f": sent[0]} if sent else {}))
    except errors.InvalidField:
        return "refused"
    after = outcome.contact.to_dict()["fields"].get("f")
    if stored == after:
        return "ignored" if "f" in outcome.ignored else "stays"
    if after is None:
        return "cleared"
    return "stored" if after == sent[0] else "merged"


RULES = table("rules", "The table")


@pytest.mark.parametrize("row", RULES, ids=[row[0] for row in RULES])
def test_table_of_rules_has_the_effects_of_the_rules(row: list[str]) -> None:
    """Each cell is the effect of an upsert."""
    (name,) = names(row)
    rule = CATALOGUE[name]
    stored, blank, different = VALUES.get(name, ("a", "", "b"))

    assert row[1:] == [
        effect(rule, stored),
        effect(rule, stored, None),
        effect(rule, stored, blank),
        effect(rule, stored, stored),
        effect(rule, stored, different),
        effect(rule, None, different),
    ]


def test_table_of_rules_is_complete() -> None:
    """Every rule for patches has one row; every rule has a line that says its use."""
    named = [name for row in RULES for name in names(row)]
    used = [name for row in table("rules", "The rules") for name in names(row)]

    assert len(named) == len(set(named))
    assert set(named) == {n for n, rule in CATALOGUE.items() if not rule.merges_only}
    assert sorted(used) == sorted(rules.__all__)


def test_table_of_laws_has_the_laws_that_rules_declare() -> None:
    """Every law has a row, with the rules that declare it."""
    rows = {names(row)[0]: row[2] for row in table("rules", "What a rule promises")}
    assert set(rows) == set(get_args(Law))
    for law, cell in rows.items():
        named = set(re.findall(r"`(\w+)`", cell))
        if cell.startswith("all but"):
            named = set(CATALOGUE) - named
        assert named == {n for n, rule in CATALOGUE.items() if law in rule.laws}, law


def test_table_of_verbs_is_complete() -> None:
    """Every public method of a book is named; every part of an outcome has a row."""
    verbs = " ".join(row[0] for row in table("book", "The verbs"))
    methods = {name for name in vars(ContactBook) if name[0] != "_"} - {"policy"}
    parts = {name for name in dir(Outcome) if name[0] != "_"}
    rows = table("book", "Outcomes")
    shortcuts = {"created", "updated", "unchanged"}

    assert {name for name in methods if not re.search(rf"\b{name}\(", verbs)} == set()
    named = {name for row in rows for name in names(row)}
    assert named == parts - shortcuts - {"explain", "to_dict"}


def test_table_of_profile_options_is_complete() -> None:
    """Every option of a profile has a row that names the profile."""
    listed = {
        (system, name)
        for row in table("profiles", "Options")
        for name in names(row)
        for system in (BY_NAME if row[1] == "all four" else row[1].split(", "))
    }
    known = {
        (system, name)
        for system, profile in BY_NAME.items()
        for name in inspect.signature(profile).parameters
    }
    common = {"rows", "ids", "clock"}

    assert listed == {(system, name) for system, name in known if name not in common}


def test_tables_of_commands_are_complete() -> None:
    """Every command is in the README of the command line, every option in its own."""
    commands = {name for row in table("cli", "Command line") for name in words(row)}
    assert commands == {*main.commands}
    for package, heading, command in (
        ("cli", "upsert", "upsert"),
        ("cli", "profile", "profile"),
        ("cli", "benchmark", "benchmark"),
        ("evaluation", "On the command line", "evaluate"),
    ):
        cells = " ".join(row[0] for row in table(package, heading))
        options = [option.opts[0] for option in main.commands[command].params]
        flags = {name for name in options if name.startswith("--")}
        assert flags == {*re.findall(r"--[\w-]+", cells)}


def words(row: list[str]) -> list[str]:
    """Return the first word of what the first cell of a row names."""
    return re.findall(r"`(\w+)[ `]", row[0])[:1]


def anchors(path: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    text = re.sub(r"(?ms)^```.*?^```$", "", path.read_text(encoding="utf-8"))
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.*?) *#*$", text, re.MULTILINE):
        text_of_heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", text_of_heading.lower()).replace(" ", "-")
        number = 0
        while (anchor := f"{slug}-{number}" if number else slug) in found:
            number += 1
        found.add(anchor)
    return found


def page_at(path: str) -> Path:
    """Return the file at a path of the repository; the package may be installed."""
    first, _, rest = path.partition("/")
    return PACKAGE / rest if first == "upsertcore" else ROOT / path


def resolves(page: str, link: str) -> bool:
    """Check that a relative link names a file that exists, and a heading of it."""
    name, _, anchor = link.partition("#")
    path = normpath(f"{dirname(page)}/{name}".lstrip("/")) if name else page
    if path.startswith(".github") and not page_at(".github").exists():
        return True  # A source distribution has none.
    target = page_at(path)
    if path.startswith("..") or not target.exists():
        return False
    return not anchor or (target.suffix == ".md" and anchor in anchors(target))


PAGES = [
    "README.md",
    *(
        f"upsertcore/{path.relative_to(PACKAGE).as_posix()}"
        for path in sorted([*PACKAGE.glob("*.md"), *PACKAGE.glob("*/*.md")])
    ),
]


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_resolves(page: str) -> None:
    """Links are relative, so that they work on GitHub and in an installed package."""
    code = r"(?ms)^```.*?^```$|`[^`\n]*`"
    text = re.sub(code, "", page_at(page).read_text(encoding="utf-8"))
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    relative = [link for link in links if not re.match(r"[a-z]+:", link)]

    assert [link for link in relative if not resolves(page, link)] == []


PACKAGES = (
    *("policy", "normalize", "matching", "rules", "book"),
    *("values", "model", "engine", "store"),
    *("profiles", "evaluation", "replay", "spark", "laws", "testing", "cli"),
    *("sql", "files"),
)


@pytest.mark.parametrize("package", PACKAGES)
def test_readme_names_every_module_of_its_package(package: str) -> None:
    """A reader finds the way from the page to each file."""
    modules = sorted((PACKAGE / package).glob("[!_]*.py"))
    text = readme(package)

    assert [m.name for m in modules if f"`{m.name}`" not in text] == []

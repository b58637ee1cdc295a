"""The README runs: its tables are true, its commands work, its service answers.

Its Python examples with prompts are doctests, which pytest collects itself; its two
commands that install are run word for word by ``.ci/run``.
"""

from __future__ import annotations

import inspect
import operator
import os
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient

import upsertcore
from upsertcore import (
    Contact,
    ContactBook,
    Policy,
    errors,
    field,
    first_match,
    normalize,
    rules,
)
from upsertcore.matching import strategies as match
from upsertcore.rules import catalogue
from upsertcore.rules.rule import Rule

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
NOW = datetime(2024, 1, 2, tzinfo=UTC)


PLACES = SimpleNamespace(upsertcore=upsertcore, match=match, rules=catalogue)


def blocks(language: str) -> list[str]:
    """Give the blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def table(heading: str) -> list[list[str]]:
    """Give the rows of the first table after a heading, without its head."""
    text = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in text.splitlines() if line[:1] == "|"]
    return [[cell.strip() for cell in row] for row in rows[2:]]


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
MADE = {"items_by": rules.items_by("id"), "latest": rules.latest(by="t")}


def word(rule: Rule, stored: Any, *sent: Any) -> str:
    """Say in one word what an upsert, newer by "t", does to a field with a value."""
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


RULES = [row for row in table("Merge rules") if row[0].startswith("`")]


@pytest.mark.parametrize("row", RULES, ids=[row[0] for row in RULES])
def test_the_table_of_rules_is_true(row: list[str]) -> None:
    """Each cell is what the rule does, not what it was written to do."""
    name = re.split(r"[`(]", row[0])[1]
    rule = MADE.get(name) or getattr(rules, name)
    stored, blank, different = VALUES.get(name, ("a", "", "b"))
    same = stored

    assert row[1:] == [
        word(rule, stored),
        word(rule, stored, None),
        word(rule, stored, blank),
        word(rule, stored, same),
        word(rule, stored, different),
        word(rule, None, different),
    ]


def test_the_table_of_rules_is_whole() -> None:
    """Every rule of the catalogue has a row, and one alone."""
    named = [re.split(r"[`(]", row[0])[1] for row in RULES]
    every = {n for n in rules.__all__ if isinstance(getattr(rules, n), Rule)}
    every -= {"last_updated"}  # It is for two contacts, and sees no patch.

    assert len(named) == len(set(named))
    assert set(named) == every | set(MADE)


def test_the_table_of_errors_is_whole() -> None:
    """Every error is named, with what else it is caught as."""
    text = README.partition("\n## Errors\n")[2].partition("\n## ")[0]
    for row in table("Errors"):
        for name in re.findall(r"`(\w+)`", row[0]):
            assert not row[1] or row[1].strip("`") in [
                base.__name__ for base in getattr(errors, name).__mro__
            ]

    missing = [name for name in errors.__all__ if f"`{name}`" not in text]
    assert missing == ["UpsertError"]


CAPABILITIES = [
    row
    for line in README.partition("\n## Capabilities\n")[2]
    .partition("\n## ")[0]
    .splitlines()
    if line.count("|") == 4
    for row in [[cell.strip() for cell in line.strip("|").split("|")]]
    if "`" in row[1]
]


@pytest.mark.parametrize("row", CAPABILITIES, ids=[row[0] for row in CAPABILITIES])
def test_a_capability_is_shown_in_an_example_that_runs(row: list[str]) -> None:
    """What it is said by stands in the section or in the docstring that it names."""
    names = re.findall(r"(?:\w+\.)*(\w+)", " ".join(re.findall(r"`[^`]+`", row[1])))
    anchor = re.search(r"\(#([\w-]+)\)", row[2])
    if anchor is None:
        text = inspect.getdoc(operator.attrgetter(row[2].strip("`"))(PLACES)) or ""
        assert ">>>" in text
    else:
        (text,) = [
            part
            for part in README.split("\n## ")
            if part.partition("\n")[0].lower().replace(" ", "-") == anchor[1]
        ]

    assert [name for name in names if name not in text] == []


def test_every_rule_and_strategy_is_a_capability() -> None:
    """The tables leave out none of the catalogue."""
    said = " ".join(row[1] for row in CAPABILITIES)
    strategies = {name for name in match.__all__ if name.islower()}
    every = {*rules.__all__, *strategies, *inspect.signature(Policy).parameters}
    every |= {*inspect.signature(field).parameters}
    known = {"match", "fields", "keys", "clean"}

    assert every - known - set(re.findall(r"\w+", said)) == set()


def test_the_words_are_those_of_the_code() -> None:
    """The tables of arguments are those of ``field`` and ``Policy``."""
    for name in ("key", "unique", "required", "clean", "rule", "null", "blank"):
        assert f"| `{name}` |" in README
    for name in ("extra_fields", "on_ambiguous", "on_key_in_use", "on_no_key"):
        assert f"| `{name}` |" in README


def test_the_service_answers() -> None:
    """The block is a whole service: it creates, updates, and says what is wrong."""
    (service,) = [b for b in blocks("python") if "FastAPI" in b]
    names: dict[str, Any] = {"__name__": "service"}
    exec(compile(service, "README.md", "exec", dont_inherit=True), names)  # noqa: S102
    with TestClient(names["app"]) as client:
        created = client.post("/contacts/upsert", json={"email": "ada@x.org"})
        again = client.post("/contacts/upsert", json={"email": "ada@x.org"})
        refused = client.post("/contacts/upsert", json={"name": "Ada"})

        key = {"Idempotency-Key": "k-1"}
        named = {"email": "ada@x.org", "name": "Ada"}
        once = client.post("/contacts/upsert", json=named, headers=key)
        twice = client.post("/contacts/upsert", json=named, headers=key)
        old = {"If-Match": "1"}
        stale = client.post("/contacts/upsert", json=named, headers=old)

    id = created.json()["id"]
    assert created.json()["result"] == "created"
    assert again.json() == {
        **created.json(),
        "result": "unchanged",
        "why": f"unchanged {id}, matched by email",
    }
    assert once.json() == twice.json()
    assert once.json()["why"].splitlines() == [
        f"updated {id}, matched by email",
        "  name: 'Ada' stored (replace)",
    ]
    assert stale.status_code == 412
    assert "is at version 2, not 1" in stale.json()["detail"]
    assert refused.status_code == 422
    assert "send a usable value for email" in refused.json()["detail"]


def typed(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a shell would, with this Python's own upsertcore."""
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


def test_the_first_command_does_its_job(tmp_path: Path) -> None:
    """The sample runs, its table has every line, and nothing is lost."""
    job = blocks("sh")[0].replace("\\\n", "").splitlines()[1]
    command, _, status = job.partition("||")
    done = typed(command, tmp_path)
    told = (tmp_path / "outcomes.jsonl").read_text(encoding="utf-8").splitlines()

    assert done.returncode == 1
    assert status.split() == ["test", "$?", "-eq", "1"]
    for line in ("created", "updated", "unchanged", "refused: ", "withheld: phone"):
        assert line in done.stdout
    assert len(told) == 5_000
    assert done.stderr == ""


def shape(text: str) -> str:
    """Make a pattern of expected output: dots stand for anything within a line."""
    lines = [re.escape(" ".join(line.split())) for line in text.splitlines()]
    return "\n".join(line.replace(r"\.\.\.", ".*") for line in lines if line)


def test_the_console_shows_this(tmp_path: Path) -> None:
    """Each command prints what stands under it, white space aside."""
    steps = [
        step
        for block in blocks("console")
        for step in re.findall(r"^\$ (.*)\n((?:[^$].*\n)*)", block, re.MULTILINE)
    ]
    assert len(steps) == 6
    for command, expected in steps:
        done = typed(command, tmp_path)
        shown = [" ".join(line.split()) for line in done.stdout.splitlines()]
        actual = "\n".join(line for line in shown if line)

        assert done.returncode == 0, done.stderr
        assert re.fullmatch(shape(expected), actual), actual


def test_the_second_run_leaves_the_book_as_it_was(tmp_path: Path) -> None:
    """``crm.csv`` twice: every row unchanged, and the same bytes."""
    commands = re.findall(r"^\$ (.*)", blocks("console")[0], re.MULTILINE)
    typed(commands[0], tmp_path)
    before = (tmp_path / "crm.jsonl").read_bytes()
    typed(commands[1], tmp_path)

    assert (tmp_path / "crm.jsonl").read_bytes() == before


def test_its_links_lead_somewhere() -> None:
    """Each link of the first screen is a heading."""
    headings = re.findall(r"^## (.*)$", README, re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-") for heading in headings}

    assert set(re.findall(r"\(#([\w-]+)\)", README)) <= anchors

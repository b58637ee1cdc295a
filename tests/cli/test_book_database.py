"""The commands over a book in a database."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from tests.cli.test_commands import SET, InterruptedInput, lines, run
from tests.sql.conftest import POSTGRESQL
from upsertcore.cli import book_database
from upsertcore.profiles import Anduin
from upsertcore.sql import SqlBook, make_tables

ROWS = ("ada@x.org,Ada,K", "bad,Bob,B", "ADA@x.org,Ada,K", "bob@x.org,Bob,B")
UPSERT = ("upsert", "anduin", "in.csv", *SET)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a folder with one small export."""
    monkeypatch.chdir(tmp_path)
    csv = "\n".join(["Mail,firstName,lastName", *ROWS, ""])
    (tmp_path / "in.csv").write_text(csv, encoding="utf-8")
    return tmp_path


def stored(name: str = "b.db") -> list[Any]:
    """Return the addresses in a database."""
    engine = create_engine(f"sqlite:///{name}")
    contacts = [contact["email"] for contact in SqlBook(engine, Anduin().policy)]
    engine.dispose()
    return contacts


def test_run_writes_contacts_outcomes_and_profile(folder: Path) -> None:
    result = run(*UPSERT, "--book", "b.db", "--outcomes", "o.jsonl", code=1)
    again = run(*UPSERT, "--book", "b.db", code=1)

    assert stored() == ["ada@x.org", "bob@x.org"]
    assert len(lines(folder / "o.jsonl")) == 4
    assert "created" in result.output
    assert "unchanged" in again.output
    assert "match" in run("policy", "b.db", "--toml").output
    shown = run("show", "b.db", "--json").output.splitlines()
    assert [json.loads(line)["fields"]["email"] for line in shown] == stored()
    found = run("show", "b.db", "--key", "email=bob@x.org").output
    assert "bob@x.org" in found


def test_options_of_the_first_run_are_those_of_the_next() -> None:
    run(*UPSERT, "--book", "b.db", "--set", "placeholders=false", code=1)
    with closing(sqlite3.connect("b.db")) as connection:
        sql = "SELECT text FROM upsertcore_state WHERE name = 'profile'"
        (head,) = connection.execute(sql).fetchone()
    assert json.loads(head)["options"] == {"placeholders": "false"}


def test_explain_reads_and_writes_nothing() -> None:
    payload = '{"email": "ADA@x.org", "firstName": "Ada", "lastName": "K"}'
    before = run("explain", "anduin", payload, *SET[:2], "--book", "b.db")
    assert before.output.startswith("created")
    assert not Path("b.db").exists()

    run(*UPSERT, "--book", "b.db", code=1)
    known = run("explain", "anduin", payload, *SET[:2], "--book", "b.db")
    assert known.output.startswith("unchanged")
    assert len(stored()) == 2


def test_book_of_another_profile_is_refused() -> None:
    run(*UPSERT, "--book", "b.db", code=1)
    words = ("upsert", "segmetrics", "in.csv", "--book", "b.db")
    settings = ("--set", "account_id=1", "--set", "integration_id=2")
    result = run(*words, *settings, code=2)

    assert "b.db: is a book of Anduin, not of SegMetrics" in result.output


def test_conflicts_of_another_version_are_noted() -> None:
    run(*UPSERT, "--book", "b.db", code=1)
    engine = create_engine("sqlite:///b.db")
    with engine.begin() as connection:
        body = "replace(body, 'bob@x.org', ' bob@x.org ')"
        connection.execute(text(f"UPDATE upsertcore_contacts SET body = {body}"))  # noqa: S608
        state = "UPDATE upsertcore_state SET text = replace(text, 'unicode', 'old')"
        connection.execute(text(state))
    engine.dispose()
    result = run(*UPSERT, "--book", "b.db", code=1)

    assert "not as this policy and version would store them" in result.output


def test_interrupted_run_says_which_rows_are_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(book_database, "_ROWS", 2)
    words = ("upsert", "anduin", "in.csv", "-", *SET, "--book", "b.db")
    stopped: Any = InterruptedInput()
    result = run(*words, stdin=stopped, code=130)

    assert "interrupted; b.db (the first 4 rows) was written" in result.output
    assert stored() == ["ada@x.org", "bob@x.org"]


def test_run_that_is_interrupted_early_leaves_nothing() -> None:
    words = ("upsert", "anduin", "in.csv", "-", *SET, "--book", "b.db")
    stopped: Any = InterruptedInput()
    result = run(*words, stdin=stopped, code=130)

    assert "no book was changed" in result.output
    assert stored() == []
    assert "has no book" in run("show", "b.db", code=2).output


def test_file_that_fails_after_a_part_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_database, "_ROWS", 2)
    Path("unclosed.csv").write_text('email,note\n"b@x.org,x\n', encoding="utf-8")
    words = ("upsert", "anduin", "in.csv", "unclosed.csv", *SET, "--book", "b.db")
    result = run(*words, code=2)

    assert "unclosed.csv: line 2" in result.output
    assert "b.db (the first 4 rows) was written" in result.output


@pytest.mark.parametrize(
    ("book", "message"),
    [
        ("mysql://u:secret@host/name", "must be a file of SQLite, or a URL such as"),
        ("nosuch://host", "must be a file of SQLite, or a URL such as"),
        ("://", "must be a file of SQLite, or a URL such as"),
        ("in.db", "in.db: file is not a database"),
        ("none.db", "none.db: has no book; upsert with --book writes one"),
    ],
)
def test_bad_database_is_refused(book: str, message: str) -> None:
    Path("in.db").write_bytes(b"no database, only text" * 100)
    result = run("show", book, code=2)

    assert message in " ".join(result.output.split())
    assert "secret" not in result.output


def test_locked_database_is_reported_and_keeps_its_contacts() -> None:
    run(*UPSERT, "--book", "b.db", code=1)
    with closing(sqlite3.connect("b.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        result = run(*UPSERT, "--book", "sqlite:///b.db?timeout=0", code=2)

    assert "sqlite:///b.db?timeout=0: database is locked" in result.output
    assert len(stored()) == 2


def test_database_that_fails_during_a_run_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run(*UPSERT, "--book", "b.db", code=1)
    begin = book_database.DatabaseBook._begin

    def begin_and_drop(self: Any, profile: Any) -> None:
        begin(self, profile)
        self._connection.exec_driver_sql("DROP TABLE upsertcore_forms")

    monkeypatch.setattr(book_database.DatabaseBook, "_begin", begin_and_drop)
    result = run(*UPSERT, "--book", "b.db", code=2)

    assert "b.db: no such table: upsertcore_forms" in result.output
    assert len(stored()) == 2


@pytest.mark.parametrize("database", [POSTGRESQL])
def test_url_of_postgresql_is_a_book(database: str) -> None:
    engine: Engine = create_engine(f"{database}+psycopg://")
    tables = make_tables()
    tables.metadata.drop_all(engine)
    try:
        run(*UPSERT, "--book", "postgresql://", code=1)
        run(*UPSERT, "--book", "postgresql://", code=1)
        book = SqlBook(engine, Anduin().policy)
        assert [contact["email"] for contact in book] == ["ada@x.org", "bob@x.org"]
    finally:
        tables.metadata.drop_all(engine)
        engine.dispose()

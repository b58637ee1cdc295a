"""The commands that look after a book: duplicates, dedupe, merge, undo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_commands import lines, run

POLICY = """match = { first_match = ["email"] }

[fields.email]
key = "email"

[fields.phone]
key = "exact"

[fields.name]
on_merge = "replace"
"""
CSV = """email,phone,name
a@x.org,1,Ada
b@x.org,1,Ada K
c@x.org,2,Cy
d@x.org,1,Ada L
"""
BOOKS = ["b.jsonl", "b.db"]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change to a folder with a policy and a file."""
    monkeypatch.chdir(tmp_path)
    Path("policy.toml").write_text(POLICY, encoding="utf-8")
    Path("in.csv").write_text(CSV, encoding="utf-8")


def upsert(book: str, *words: str, text: str = CSV) -> None:
    """Upsert rows into a book."""
    Path("in.csv").write_text(text, encoding="utf-8")
    run("upsert", "policy.toml", "in.csv", "--book", book, *words)


def contacts(book: str) -> list[dict[str, Any]]:
    """Return the contacts of a book."""
    output = run("show", book, "--json").output
    return [json.loads(line) for line in output.splitlines()]


def ids(book: str) -> list[str]:
    """Return the ids of a book, by creation."""
    return [one["id"] for one in contacts(book)]


@pytest.mark.parametrize("book", BOOKS)
class TestBook:
    """Every command, on a file and on a database."""

    def test_duplicates_are_shown_in_groups(self, book: str) -> None:
        upsert(book)
        output = run("duplicates", book, code=1).output
        [group] = run("duplicates", book, "phone", "--json", code=1).output.splitlines()

        assert "group 1" in output
        assert "1 group of 3 contacts" in output
        assert [one["fields"]["name"] for one in json.loads(group)] == [
            *("Ada", "Ada K", "Ada L"),
        ]
        assert "0 groups" in run("duplicates", book, "email").output
        assert "0 groups" in run("duplicates", book, "--of", ids(book)[2]).output

    def test_contacts_without_a_key_are_shown_on_request(self, book: str) -> None:
        upsert(book, text="email,phone\na@x.org,\nb@x.org,\n")

        assert "0 groups" in run("duplicates", book).output
        output = run("duplicates", book, "--blank", code=1).output
        assert "1 group of 2 contacts" in output

    def test_dedupe_merges_each_group_and_undo_splits_it(self, book: str) -> None:
        upsert(book)
        before = contacts(book)
        dry = run("dedupe", book, "--dry-run").output
        assert contacts(book) == before
        words = ("--keep", "newest", "--outcomes", "o.jsonl")
        output = run("dedupe", book, "phone", *words).output
        merged = contacts(book)

        assert f"dry run: {book} is as it was" in dry
        assert "dedupe: 1 done, 0 refused" in output
        assert [one["fields"]["email"] for one in merged] == ["c@x.org", "d@x.org"]
        run("undo", book, "o.jsonl")
        assert contacts(book) == before

    def test_merge_is_by_ids_and_can_be_undone(self, book: str) -> None:
        upsert(book)
        before = contacts(book)
        first, second, *_ = ids(book)
        words = (first, second, "--outcomes", "o.jsonl")
        output = run("merge", book, *words).output

        assert "merge: 1 done" in output
        assert len(contacts(book)) == 3
        assert contacts(book)[0]["fields"]["name"] == "Ada K"
        assert lines(Path("o.jsonl"))[0]["command"] == "merge"
        dry = run("undo", book, "o.jsonl", "--dry-run", "--json").output
        assert json.loads(dry)["result"] == "undone"
        assert len(contacts(book)) == 3
        run("undo", book, "o.jsonl")
        assert contacts(book) == before

    def test_run_is_undone_from_its_last_row_to_the_first(self, book: str) -> None:
        upsert(book)
        before = contacts(book)
        text = "email,name\na@x.org,Eve\na@x.org,Eva\nn@x.org,New\nc@x.org,Cy\n"
        upsert(book, "--outcomes", "o.jsonl", text=text)
        assert len(contacts(book)) == 5
        output = run("undo", book, "o.jsonl").output

        assert "undo: 3 done" in output
        assert contacts(book) == before

    def test_line_of_a_run_is_undone_alone(self, book: str) -> None:
        upsert(book, "--outcomes", "o.jsonl")
        run("undo", book, "o.jsonl", "--line", "3")

        assert [one["fields"]["email"] for one in contacts(book)] == [
            *("a@x.org", "b@x.org", "d@x.org"),
        ]

    def test_contact_that_has_changed_since_is_not_undone(self, book: str) -> None:
        upsert(book, "--outcomes", "o.jsonl")
        upsert(book, text="email,name\na@x.org,Eve\n")
        before = contacts(book)
        output = run("undo", book, "o.jsonl", code=2).output

        assert "line 1: cannot be undone: outcome: contact" in output
        assert "has changed since (name)" in output
        assert contacts(book) == before

    def test_version_alone_tells_that_a_contact_has_changed(self, book: str) -> None:
        upsert(book, "--outcomes", "o.jsonl")
        for name in ("Eve", "Ada"):
            upsert(book, text=f"email,name\na@x.org,{name}\n")

        assert "has changed since;" in run("undo", book, "o.jsonl", code=2).output

    def test_contact_that_is_gone_is_not_undone(self, book: str) -> None:
        upsert(book, "--outcomes", "o.jsonl")
        run("undo", book, "o.jsonl", "--line", "2")

        assert "cannot be undone" in run("undo", book, "o.jsonl", code=2).output

    def test_commands_look_after_one_tenant_under_a_given_policy(
        self, book: str
    ) -> None:
        """Contacts of another tenant that share a key stay as they are."""
        upsert(book, "--set", "scope=t1")
        upsert(book, "--set", "scope=t2")
        first, second, *_ = [
            one["id"] for one in contacts(book) if one["scope"] == "t1"
        ]
        of_tenant = ("--scope", "t1", "--policy", "policy.toml")
        shown = run("duplicates", book, *of_tenant, code=1).output
        dry = run("merge", book, first, second, *of_tenant, "--dry-run", "--json")
        run("dedupe", book, "phone", *of_tenant, "--outcomes", "o.jsonl")
        left = [one["scope"] for one in contacts(book)]

        assert "1 group of 3 contacts" in shown
        assert json.loads(dry.stdout)["result"] == "merged"
        assert [left.count("t1"), left.count("t2")] == [2, 4]
        run("undo", book, "o.jsonl", "--policy", "policy.toml")
        assert len(contacts(book)) == 8

    def test_refusals_of_the_book_are_reported(self, book: str) -> None:
        upsert(book)
        unknown = run("merge", book, "c-8", "c-9", code=2).output
        no_key = run("dedupe", book, "name", code=2).output

        assert "Error: no contact has the id 'c-8'" in unknown
        assert "name" in no_key
        assert len(contacts(book)) == 4


class TestUsage:
    """What is refused, and what is shown of much."""

    def test_group_that_cannot_be_merged_is_reported_and_stays(self) -> None:
        Path("policy.toml").write_text(
            POLICY.replace('on_merge = "replace"', 'on_merge = "add"'), encoding="utf-8"
        )
        upsert("b.jsonl")
        result = run("dedupe", "b.jsonl", "--outcomes", "o.jsonl", "--json", code=1)

        assert "refused: name" in result.stderr
        assert result.stdout == ""
        assert lines(Path("o.jsonl"))[0]["result"] == "refused"
        assert len(contacts("b.jsonl")) == 4

    def test_at_most_twenty_outcomes_are_shown(self) -> None:
        rows = "".join(f"p{n}@x.org,{n // 2},P\n" for n in range(50))
        upsert("b.jsonl", text=f"email,phone,name\n{rows}")
        output = run("dedupe", "b.jsonl").output

        assert "... and 5 more" in output
        assert "dedupe: 25 done, 0 refused" in output

    @pytest.mark.parametrize(
        ("content", "words", "message"),
        [
            ("", ("--line", "3"), "--line: o.jsonl has no line 3"),
            ("{\n", (), "o.jsonl: line 1: is not valid JSON"),
            ("[]\n", (), "o.jsonl: line 1: is no outcome; give the file of --outcomes"),
            ('{"result": "created"}\n', (), "an earlier version wrote it"),
        ],
    )
    def test_file_without_outcomes_is_refused(
        self, content: str, words: tuple[str, ...], message: str
    ) -> None:
        upsert("b.jsonl")
        Path("o.jsonl").write_text(content, encoding="utf-8")
        assert message in run("undo", "b.jsonl", "o.jsonl", *words, code=2).output

    def test_outcomes_that_do_not_exist_are_reported(self) -> None:
        upsert("b.jsonl")
        output = run("undo", "b.jsonl", "no.jsonl", code=2).output

        assert "no.jsonl: No such file" in output

    def test_outcomes_over_the_book_are_refused(self) -> None:
        upsert("b.jsonl")
        output = run("dedupe", "b.jsonl", "--outcomes", "b.jsonl", code=2).output

        assert "would be overwritten" in output

    @pytest.mark.parametrize("command", ["duplicates", "dedupe", "merge x y"])
    def test_book_that_does_not_exist_is_reported(self, command: str) -> None:
        name, *words = command.split()
        output = run(name, "no.jsonl", *words, code=2).output

        assert "no.jsonl: No such file" in output

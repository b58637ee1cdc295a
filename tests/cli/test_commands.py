"""Commands as a user types them: output, files and exit status."""

from __future__ import annotations

import io
import json
import os
import pty
import signal
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner, Result

from upsertcore import Policy
from upsertcore.__main__ import main as start
from upsertcore.cli import main
from upsertcore.profiles import LeadConnector

CSV = """Mail,firstName,lastName,note
ada@x.org,Ada,King,first
bad,Bob,Bobson,
ADA@x.org,Ada,King,second
ADA@x.org,Ada,King,second
"""
SET = ("--set", "firm_id=f1", "--map", "Mail=email")


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a folder with one small export."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.csv").write_text(CSV, encoding="utf-8")
    return tmp_path


def run(*words: str, stdin: bytes | None = None, code: int = 0) -> Result:
    """Run a command, and check its exit status."""
    result = CliRunner(env={"COLUMNS": "120"}).invoke(main, words, input=stdin)
    assert result.exit_code == code, result.output
    return result


def lines(path: Path) -> list[dict[str, Any]]:
    """Read JSON Lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


class InterruptedInput(io.BytesIO):
    """A standard input that is interrupted by Ctrl-C."""

    def read1(self, _size: int | None = -1, /) -> bytes:
        raise KeyboardInterrupt


class TestUpsert:
    """``upsertcore upsert``."""

    def test_run_writes_table_outcomes_and_book(self, folder: Path) -> None:
        words = ("--book", "b.jsonl", "--outcomes", "o.jsonl")
        result = run("upsert", "anduin", "in.csv", *words, *SET, code=1)
        counts = dict(
            line.rsplit(maxsplit=1)
            for line in result.output.splitlines()
            if ":" in line
        )

        assert [outcome["result"] for outcome in lines(folder / "o.jsonl")] == [
            *("created", "refused", "updated", "unchanged"),
        ]
        assert list(counts.values()) == ["1", "2"]
        head, contact, last = lines(folder / "b.jsonl")
        assert head["profile"] == "Anduin"
        assert last["contacts"] == 1
        assert contact["fields"]["note"] == "second"
        assert contact["version"] == 2

    def test_outcomes_have_location_changes_and_reason(self, folder: Path) -> None:
        """A refusal has the reason and the response."""
        run("upsert", "Anduin", "in.csv", "--outcomes", "o.jsonl", *SET, code=1)
        _created, refused, updated, _ = lines(folder / "o.jsonl")
        updated.pop("id")
        before = updated.pop("before")

        assert refused == {
            "file": "in.csv",
            "line": 3,
            "result": "refused",
            "reason": refused["body"]["message"],
            "status": 400,
            "body": {"field": "email", "message": refused["reason"]},
        }
        assert updated == {
            "file": "in.csv",
            "line": 4,
            "result": "updated",
            "status": 200,
            "scope": "f1",
            "version": 2,
            "matched_by": "email",
            "changes": {"note": ["first", "second"]},
            "withheld": [],
            "ignored": {"email": "on_create"},
            "also_matched": [],
        }
        assert before["fields"]["note"] == "first"

    def test_outcome_of_an_unreadable_row_has_a_reason_alone(
        self, folder: Path
    ) -> None:
        words = ("--outcomes", "o.jsonl", "--set", "firm_id=f1")
        run("upsert", "Anduin", "-", *words, stdin=b"email,note\na@x.org\n", code=1)

        assert lines(folder / "o.jsonl") == [
            {
                "file": "-",
                "line": 2,
                "result": "refused",
                "reason": "has 1 cells, but the header has 2",
            }
        ]

    def test_standard_input_with_constants_is_upserted(self, folder: Path) -> None:
        """``-`` accepts any format; constants are set in each row."""
        payload = {"email": "a@x.org", "firstName": "A", "lastName": "B"}
        content = json.dumps([payload, payload, 7]).encode()
        words = ("--set", "firm_id=f1", "--set", "note=n", "--outcomes", "o.jsonl")
        run("upsert", "Anduin", "-", *words, stdin=content, code=1)

        results = [outcome["result"] for outcome in lines(folder / "o.jsonl")]
        assert results == ["created", "unchanged", "refused"]
        assert lines(folder / "o.jsonl")[0]["changes"]["note"] == [None, "n"]

    def test_constant_property_is_added_to_nested_ones(self, folder: Path) -> None:
        payload = {"properties": {"email": [{"value": "a@x.org"}]}}
        content = json.dumps(payload).encode()
        words = ("--set", "name=Ada", "--book", "b.jsonl")
        run("upsert", "SalesforceIQ", "-", *words, stdin=content)

        assert lines(folder / "b.jsonl")[1]["fields"]["name"][0]["value"] == "Ada"
        assert "email" in lines(folder / "b.jsonl")[1]["fields"]

    def test_options_are_stored_in_the_book(self, folder: Path) -> None:
        """They apply to the next run, and to ``show``."""
        content = b"phone\n(202) 555-0143\n"
        words = ("--book", "b.jsonl", "--set", "locationId=L")
        run("upsert", "LeadConnector", "-", *words, stdin=content, code=1)
        (folder / "b.jsonl").unlink()
        run(
            *("upsert", "LeadConnector", "-", *words),
            "--set",
            "region=US",
            stdin=content,
        )
        before = (folder / "b.jsonl").read_bytes()
        run("upsert", "LeadConnector", "-", *words, stdin=content)

        assert (folder / "b.jsonl").read_bytes() == before
        result = run("show", "b.jsonl", "--key", "phone=202 555 0143", "--json")
        assert json.loads(result.stdout)["fields"]["phone"] == "+12025550143"

    def test_ignored_field_is_counted_in_the_table(self, folder: Path) -> None:
        result = run("upsert", "Anduin", "in.csv", *SET, code=1)

        assert "ignored: email" in result.output
        assert not (folder / "b.jsonl").exists()

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("in.csv",), "Anduin needs --set firm_id=..."),
            (("no.csv", *SET), "no.csv: No such file"),
            (("in.csv", "--set", "firm_id"), "--set: must be NAME=VALUE"),
            (("in.csv", "--map", "a=b", "--map", "a=c"), "'a' is given twice"),
            (("in.csv", *SET, "--outcomes", "in.csv"), "would be overwritten"),
            (("in.csv", *SET, "--book", "x", "--outcomes", "x"), "named twice"),
            (("in.csv", *SET, "--book", "in.csv"), "would be overwritten"),
            (("empty.csv", *SET), "empty.csv: the first line must name"),
            (("in.csv", *SET, "--book", "empty.csv"), "empty.csv: line 1: is no"),
            (("in.csv", *SET, "--book", "no/b.jsonl"), "does not exist"),
            (("in.csv", *SET, "--outcomes", "no/o.jsonl"), "no/o.jsonl: No such"),
        ],
        ids=map(str, range(11)),
    )
    def test_invalid_usage_is_an_error_that_changes_no_file(
        self, folder: Path, words: Any, message: str
    ) -> None:
        """The message is one line, and the status is 2."""
        (folder / "empty.csv").touch()
        result = run("upsert", "Anduin", *words, code=2)

        assert message in result.output
        assert (folder / "in.csv").read_text(encoding="utf-8") == CSV
        assert not [p for p in folder.iterdir() if "jsonl" in p.name]

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("region=XX",), "--set: unknown region 'XX'"),
            (("priority=fax",), "--set: priority"),
            (("allow_duplicates=maybe",), "--set allow_duplicates"),
        ],
        ids=["region", "priority", "flag"],
    )
    def test_invalid_option_is_refused_by_name(
        self, folder: Path, words: Any, message: str
    ) -> None:
        assert folder.exists()
        result = run("upsert", "LeadConnector", "in.csv", "--set", *words, code=2)

        assert message in result.output

    @pytest.mark.parametrize("row", ["{", '{"id": "c-1"}', "[]"], ids="abc")
    def test_invalid_line_of_a_book_is_named(self, folder: Path, row: str) -> None:
        """The book stays as it is."""
        book = folder / "b.jsonl"
        run("upsert", "Anduin", "in.csv", "--book", "b.jsonl", *SET, code=1)
        head, contact, _last = book.read_text(encoding="utf-8").splitlines()
        invalid = "\n".join([head.replace("book 2", "book 1"), contact, row])
        book.write_text(invalid, encoding="utf-8")
        result = run("upsert", "Anduin", "in.csv", "--book", "b.jsonl", *SET, code=2)

        assert "b.jsonl: line 3: " in result.output
        assert book.read_text(encoding="utf-8") == invalid

    def test_truncated_book_is_refused_by_every_command(self, folder: Path) -> None:
        """The book stays as it is."""
        book = folder / "b.jsonl"
        run("upsert", "Anduin", "in.csv", "--book", "b.jsonl", *SET, code=1)
        truncated = "".join(
            book.read_text(encoding="utf-8").splitlines(keepends=True)[:-1]
        )
        book.write_text(truncated, encoding="utf-8")
        message = "b.jsonl: the file is truncated after line 2: no closing line"

        for command in (
            ("upsert", "Anduin", "in.csv", "--book", "b.jsonl", *SET),
            ("explain", "Anduin", "{}", "--book", "b.jsonl", "--set", "firm_id=f1"),
            ("show", "b.jsonl"),
        ):
            assert message in run(*command, code=2).output
        assert book.read_text(encoding="utf-8") == truncated

    def test_book_of_format_1_is_read_and_written_as_format_2(
        self, folder: Path
    ) -> None:
        book = folder / "b.jsonl"
        run("upsert", "Anduin", "in.csv", "--book", "b.jsonl", *SET, code=1)
        book_text = book.read_text(encoding="utf-8")
        head, contact, _last = book_text.splitlines()
        former = "\n".join([head.replace("book 2", "book 1"), contact, ""])
        book.write_text(former, encoding="utf-8")
        row = b"email,firstName,lastName,note\nada@x.org,Ada,King,second\n"
        words = ("--book", "b.jsonl", "--set", "firm_id=f1")
        result = run("upsert", "Anduin", "-", *words, stdin=row)

        assert book.read_text(encoding="utf-8") == book_text
        assert "note:" not in result.output

    @pytest.mark.parametrize("changed", ["unicode", "normalisers", "policy_sha256"])
    def test_contacts_of_other_normalisers_are_checked_by_every_command(
        self, folder: Path, changed: str
    ) -> None:
        """As of another policy, until a run writes the book again."""
        rows = b"email,phone\n" + b"".join(
            b"%c@x.org,+1 555 000 111%d\n" % (b"abcd"[number], number)
            for number in range(4)
        )
        words = ("LeadConnector", "-", "--book", "b.jsonl", "--set", "locationId=L")
        run("upsert", *words, stdin=rows)
        head, *contacts, _last = (folder / "b.jsonl").read_text("utf-8").splitlines()
        head = head.replace("book 2", "book 1").replace(f'"{changed}"', '"other"')
        former = [contact.replace("+1555", "+1 555") for contact in contacts]
        (folder / "b.jsonl").write_text("\n".join([head, *former, ""]), "utf-8")
        first = json.loads(contacts[0])["id"]
        explain = ("explain", "LeadConnector", "{}", "--book", "b.jsonl")
        for command in (("show", "b.jsonl"), explain, ("upsert", *words)):
            code = 1 if command is explain else 0
            lines = run(*command, stdin=b"email\n", code=code).output.splitlines()
            start = lines.index(
                "note: b.jsonl: 4 contacts are not as this policy and version would "
                "store them"
            )

            assert lines[start + 1].startswith(f"  contact {first}: phone: ")
            assert lines[start + 2].startswith("  contact ")
            assert lines[start + 3].startswith("  contact ")
            assert lines[start + 4] == "  ..."
        assert "note:" not in run("show", "b.jsonl").output

    def test_contact_is_checked_after_another_option(self, folder: Path) -> None:
        """The policy is another one then."""
        assert folder.exists()
        words = ("SalesforceIQ", "-", "--book", "b.jsonl")
        rows = b"email,phone\na@x.org,(202) 555-0143\n"
        assert "note:" not in run("upsert", *words, stdin=rows).output
        changed = run("upsert", *words, "--set", "region=US", stdin=b"email\n").output

        assert "note: b.jsonl: 1 contact is not as this policy and ver" in changed
        assert "..." not in changed.partition("rows")[0]

    def test_invalid_option_for_a_stored_book_is_refused(self, folder: Path) -> None:
        """The message blames the command line, and not the book."""
        content = b"email\na@x.org\n"
        words = ["upsert", "LeadConnector", "-", "--book", "b.jsonl"]
        words += ["--set", "locationId=L"]
        run(*words, stdin=content)
        before = (folder / "b.jsonl").read_bytes()
        result = run(*words, "--set", "region=xx", stdin=content, code=2)

        assert result.output.startswith("Error: --set: unknown region 'xx'")
        assert before == (folder / "b.jsonl").read_bytes()

    def test_stored_contact_that_cannot_be_rendered_is_refused_by_line(
        self, folder: Path
    ) -> None:
        content = b"email,firstName\na@x.org,A\n"
        words = ("upsert", "LeadConnector", "-", "--book", "b.jsonl")
        run(*words, "--set", "locationId=L", stdin=content)
        head, contact, _last = (folder / "b.jsonl").read_text("utf-8").splitlines()
        former = [head.replace("book 2", "book 1"), contact.replace('"A"', "7")]
        (folder / "b.jsonl").write_text("\n".join(former), "utf-8")

        assert "b.jsonl: line 2: firstName: " in run("show", "b.jsonl", code=2).output

    def test_book_of_another_profile_is_refused(self, folder: Path) -> None:
        """A book with an unknown option is refused, too."""
        run("upsert", "Anduin", "in.csv", "--book", "b.jsonl", *SET, code=1)
        result = run("upsert", "SalesforceIQ", "in.csv", "--book", "b.jsonl", code=2)

        assert "is a book of Anduin, not of SalesforceIQ" in result.output
        head = (
            (folder / "b.jsonl")
            .read_text(encoding="utf-8")
            .replace('"options": {', '"options": {"a": "b", ')
        )
        (folder / "b.jsonl").write_text(head, encoding="utf-8")
        result = run("upsert", "Anduin", "in.csv", "--book", "b.jsonl", *SET, code=2)
        assert "b.jsonl: line 1: options: a: not an option" in result.output

    def test_constant_custom_field_is_added_to_the_list(self, folder: Path) -> None:
        items = [{"key": "size", "value": "7"}]
        payload = {"locationId": "L", "email": "a@x.org", "customFields": items}
        words = ("--set", "customField.color=red", "--book", "b.jsonl")
        stdin = json.dumps(payload).encode()
        run("upsert", "LeadConnector", "-", *words, stdin=stdin)

        stored = lines(folder / "b.jsonl")[1]["fields"]["customFields"]
        assert [item["key"] for item in stored] == ["size", "color"]

    def test_link_to_the_book_or_input_as_outcomes_is_refused(
        self, folder: Path
    ) -> None:
        run("upsert", "Anduin", "in.csv", "--book", "b.jsonl", *SET, code=1)
        before = (folder / "b.jsonl").read_bytes()
        (folder / "o.jsonl").hardlink_to(folder / "b.jsonl")
        words = ("--book", "b.jsonl", "--outcomes", "o.jsonl")
        result = run("upsert", "Anduin", "in.csv", *words, *SET, code=2)
        command = [sys.executable, "-m", "upsertcore", "upsert", "Anduin", "-", *SET]
        with (folder / "in.csv").open("rb") as stdin:
            process = subprocess.run(
                [*command, "--outcomes", "in.csv"],
                check=False,
                stdin=stdin,
                capture_output=True,
            )

        assert "would be overwritten" in result.output
        assert (folder / "b.jsonl").read_bytes() == before
        assert process.returncode == 2
        assert (folder / "in.csv").read_text(encoding="utf-8") == CSV

    def test_interrupted_process_ends_with_130_and_no_book(self, folder: Path) -> None:
        # The parent of the tests may ignore the signal, and children inherit that.
        code = (
            "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "from upsertcore.__main__ import main; main()"
        )
        words = ["upsert", "Anduin", "-", "--book", "b.jsonl", "--set", "firm_id=f1"]
        with subprocess.Popen(
            [sys.executable, "-c", code, *words],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # A tracer that is interrupted while it holds its lock would deadlock.
            env={k: v for k, v in os.environ.items() if "COVERAGE" not in k},
        ) as process:
            assert process.stdin is not None
            # More than a pipe holds: when all is written, the run has begun to read.
            process.stdin.write(b'{"email": "new@x.org"}\n' * 10_000)
            process.stdin.flush()
            process.send_signal(signal.SIGINT)
            _output, message = process.communicate(timeout=60)

        assert process.returncode == 130
        assert message == b"Error: interrupted; no book was changed\n"
        assert not (folder / "b.jsonl").exists()

    def test_interrupted_input_ends_with_130_and_a_message(self, folder: Path) -> None:
        words = ("upsert", "Anduin", "-", "--book", "b.jsonl", "--set", "firm_id=f1")
        result = CliRunner().invoke(main, words, input=InterruptedInput())

        assert (result.exit_code, result.output) == (
            130,
            "Error: interrupted; no book was changed\n",
        )
        assert list(folder.iterdir()) == [folder / "in.csv"]

    @pytest.mark.parametrize(
        "words", [["upsert"], ["explain"]], ids=["upsert", "explain"]
    )
    def test_closed_standard_input_is_an_error_of_one_line(
        self, words: list[str]
    ) -> None:
        code = (
            "import sys; sys.stdin = None\n"
            "from upsertcore.__main__ import main\n"
            f"sys.argv[1:] = {words} + ['SalesforceIQ', '-']\n"
            "main()"
        )
        process = subprocess.run(
            [sys.executable, "-c", code], check=False, capture_output=True, text=True
        )

        assert process.stderr == "Error: standard input: is closed\n"
        assert process.returncode == 2

    def test_full_standard_output_is_an_error_of_one_line(self, folder: Path) -> None:
        command = [sys.executable, "-m", "upsertcore", "upsert", "Anduin", "in.csv"]
        with Path("/dev/full").open("wb") as full:
            process = subprocess.run(
                [*command, *SET], check=False, stdout=full, stderr=subprocess.PIPE
            )

        assert b"standard output: No space left" in process.stderr
        assert b"Traceback" not in process.stderr
        assert process.returncode == 2
        assert folder.exists()

    def test_closed_pipe_of_the_reader_prints_no_error(self, folder: Path) -> None:
        run("upsert", "Anduin", "in.csv", "--book", "b.jsonl", *SET, code=1)
        names = ("email,firstName,lastName", *(f"{n}@x.org,A,B" for n in range(5_000)))
        words = ("--book", "b.jsonl", "--set", "firm_id=f1")
        run("upsert", "Anduin", "-", *words, stdin="\n".join(names).encode())
        command = [sys.executable, "-m", "upsertcore", "show", "b.jsonl", "--json"]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == b""

    def test_character_outside_the_encoding_is_escaped(self, folder: Path) -> None:
        payload = '{"email": "a@x.org", "firstName": "Zoë", "lastName": "B"}'
        command = [sys.executable, "-m", "upsertcore", "explain", "Anduin", payload]
        process = subprocess.run(
            [*command, "--set", "firm_id=f1"],
            check=True,
            capture_output=True,
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
        )

        assert b"Zo\\xeb" in process.stdout
        assert folder.exists()

    def test_killed_run_leaves_the_old_book(self, folder: Path) -> None:
        run("upsert", "Anduin", "in.csv", "--book", "b.jsonl", *SET, code=1)
        before = (folder / "b.jsonl").read_bytes()
        words = ["upsert", "Anduin", "-", "--book", "b.jsonl", "--outcomes", "o.jsonl"]
        with subprocess.Popen(
            [sys.executable, "-m", "upsertcore", *words, "--set", "firm_id=f1"],
            stdin=subprocess.PIPE,
        ) as process:
            assert process.stdin is not None
            process.stdin.write(b'{"email": "new@x.org"}\n' * 10_000)
            process.stdin.flush()
            process.kill()

        assert (folder / "b.jsonl").read_bytes() == before
        assert run("show", "b.jsonl", "--json").output.count("\n") == 1

    def test_progress_bar_is_shown_only_on_a_terminal(self, folder: Path) -> None:
        words = ["upsert", "Anduin", "in.csv", "--book", "b.jsonl", *SET]
        command = [sys.executable, "-m", "upsertcore", *words]
        controller, terminal = pty.openpty()
        process = subprocess.run(
            command, check=False, stdout=subprocess.PIPE, stderr=terminal
        )
        os.close(terminal)
        progress = os.read(controller, 100_000).decode()
        os.close(controller)
        without_terminal = subprocess.run(command, check=False, capture_output=True)

        assert "in.csv" in progress
        assert "writing" in progress
        assert b"created" in process.stdout
        assert without_terminal.stderr == b""
        assert folder.exists()


class TestExplain:
    """``upsertcore explain``."""

    def test_explain_shows_keys_fields_withheld_and_ignored(self, folder: Path) -> None:
        """Nothing is written."""
        words = ("--book", "b.jsonl", "--set", "locationId=L")
        content = b"email,phone\na@x.org,+15550001111\nb@x.org,+15550002222\n"
        run("upsert", "LeadConnector", "-", *words, stdin=content)
        before = (folder / "b.jsonl").read_bytes()
        payload = {
            "email": "A@x.org",
            "phone": "+1 555 000 2222",
            "locationId": "L",
            "firstName": "Ada\x1b[31m",
            "name": "Grace Hopper",
        }
        output = run("explain", "leadconnector", json.dumps(payload), *words[:2]).output

        for word in ("updated", "matched by email", "decides", "withheld", "ignored"):
            assert word in output
        assert "\x1b" not in output
        assert (folder / "b.jsonl").read_bytes() == before

    def test_payload_of_a_new_contact_is_explained(self, folder: Path) -> None:
        """From a file, or from standard input."""
        payload = b'{"email": "a@x.org", "firstName": "A", "lastName": "B"}'
        (folder / "p.json").write_bytes(payload)
        words = ("--set", "firm_id=f1")

        for word, stdin in (("@p.json", None), ("-", payload)):
            output = run("explain", "Anduin", word, *words, stdin=stdin).output
            assert output.startswith("created\n")
            assert "no match" in output

    def test_refused_payload_shows_the_response_and_ends_with_1(self) -> None:
        words = ("--set", "firm_id=f1")
        output = run("explain", "Anduin", '{"nmae": "x"}', *words, code=1).output

        assert output.startswith("refused: 400 nmae: is no field")
        assert '"field": "nmae"' in output

    @pytest.mark.parametrize("payload", ["{", "@no.json"], ids="ab")
    def test_unreadable_payload_ends_with_2(self, folder: Path, payload: str) -> None:
        assert folder.exists()
        run("explain", "Anduin", payload, "--set", "firm_id=f1", code=2)

    def test_unchanged_payload_shows_keys_alone(self, folder: Path) -> None:
        assert folder.exists()
        payload = '{"locationId": "L", "email": "a@x.org"}'
        words = ("--book", "b.jsonl")
        run("upsert", "LeadConnector", "-", *words, stdin=payload.encode())
        output = run("explain", "LeadConnector", payload, *words).output

        assert output.startswith("unchanged ")
        assert "decides" in output
        assert not [
            word for word in ("fields", "withheld", "ignored") if word in output
        ]


class TestShow:
    """``upsertcore show``."""

    def test_redirected_standard_output_is_written(self, folder: Path) -> None:
        """A host may replace ``sys.stdout``."""
        run("upsert", "Anduin", "in.csv", "--book", "b.jsonl", *SET, code=1)
        with redirect_stdout(io.StringIO()) as output:
            main(["show", "b.jsonl", "--json"], standalone_mode=False)

        assert json.loads(output.getvalue())["scope"] == "f1"
        assert folder.exists()

    def test_contacts_are_shown_as_table_or_json(self, folder: Path) -> None:
        """All of them, or those with a key."""
        assert folder.exists()
        content = b'email,firstName,lastName\na@x.org,"A\nB",[x]\nb@x.org,B,B\n'
        words = ("--book", "b.jsonl", "--set", "firm_id=f1")
        run("upsert", "Anduin", "-", *words, stdin=content)

        table = run("show", "b.jsonl").output
        assert "lastName: [x]" in table
        assert "firstName: A\\nB" in table
        match = run("show", "b.jsonl", "--key", "email=B@x.org", "--json").output
        assert json.loads(match)["fields"]["email"] == "b@x.org"
        assert run("show", "b.jsonl", "--key", "email=c@x.org", "--json").output == ""

    def test_policy_of_a_book_is_shown(self, folder: Path) -> None:
        """As the profile has it, with the options of the book."""
        assert folder.exists()
        words = ("--book", "l.jsonl", "--set", "locationId=L1", "--set", "region=US")
        run("upsert", "LeadConnector", "-", *words, stdin=b"email\na@x.org\n")
        text = run("policy", "l.jsonl", "--toml").output
        policy = Policy.from_toml(text, allow_imports=True)

        assert policy == LeadConnector(placeholders=True, region="US").policy

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("no.jsonl",), "no.jsonl: No such file"),
            (("in.csv",), "in.csv: line 1: is not valid JSON"),
            (("b.jsonl", "--key", "note=x"), "--key: must be one of trackingId, email"),
            (("b.jsonl", "--key", "note"), "--key: must be NAME=VALUE"),
            (("odd.jsonl",), "odd.jsonl: line 1: unknown profile 'X'"),
        ],
        ids=map(str, range(5)),
    )
    def test_invalid_usage_is_an_error_that_changes_no_file(
        self, folder: Path, words: Any, message: str
    ) -> None:
        """The message is one line, and the status is 2."""
        run("upsert", "Anduin", "in.csv", "--book", "b.jsonl", *SET, code=1)
        text = (folder / "b.jsonl").read_text(encoding="utf-8")
        (folder / "odd.jsonl").write_text(text.replace("Anduin", "X"), encoding="utf-8")

        assert message in run("show", *words, code=2).output


class TestStart:
    """``python -m upsertcore``, with and without its extra."""

    def test_module_prints_its_version(self) -> None:
        command = [sys.executable, "-m", "upsertcore", "--version"]
        process = subprocess.run(command, check=True, capture_output=True, text=True)

        assert process.stdout.startswith("upsertcore, version ")

    @pytest.mark.parametrize("missing", ["click", "rich"])
    def test_missing_extra_is_an_error_with_the_command_to_install(
        self, missing: str
    ) -> None:
        code = (
            f"import sys; sys.modules['{missing}'] = None\n"
            "from upsertcore.__main__ import main; main()"
        )
        process = subprocess.run(
            [sys.executable, "-c", code], check=False, capture_output=True, text=True
        )

        assert process.returncode == 2
        assert process.stderr == (
            f"upsertcore needs {missing}: pip install 'upsertcore[cli]'\n"
        )

    @pytest.mark.parametrize("closed", [False, True], ids=["open", "closed"])
    def test_ctrl_c_during_import_ends_with_130(
        self,
        closed: bool,  # noqa: FBT001 - a case of the table
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Also where standard error is closed."""

        class InterruptedModule(ModuleType):
            def __getattr__(self, name: str) -> Any:
                raise KeyboardInterrupt

        monkeypatch.setitem(sys.modules, "upsertcore.cli", InterruptedModule("cli"))
        if closed:
            monkeypatch.setattr(sys, "stderr", None)
        with pytest.raises(SystemExit) as raised:
            start()

        message = "" if closed else "Error: interrupted; no book was changed\n"
        assert (130, message) == (raised.value.code, capsys.readouterr().err)

    def test_missing_module_of_the_package_shows_a_traceback(self) -> None:
        """Only a missing extra has a message of its own."""
        code = (
            "import sys; sys.modules['upsertcore.cli'] = None\n"
            "from upsertcore.__main__ import main; main()"
        )
        process = subprocess.run(
            [sys.executable, "-c", code], check=False, capture_output=True, text=True
        )

        assert "ModuleNotFoundError" in process.stderr

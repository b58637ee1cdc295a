"""Policies of one's own in every command, and the commands that show policies."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_commands import lines, run
from upsertcore import Policy, field, first_match, normalize, rules
from upsertcore.cli.policy_profile import PolicyProfile, kind_of

POLICY = """match = { first_match = ["email", "phone"] }

[fields.email]
key = "email"
unique = true

[fields.phone]
key = "phone"

[fields.name]
required = true

[fields.tags]
rule = "union"
many = true

[fields.address]
rule = "deep"

[fields.visits]
rule = "largest"
"""
CSV = """email,phone,name,tags,address.city,visits
ada@x.org,+1 201 555 0101,Ada,"vip; lead",Oslo,3
,,Nobody,,,
ada@x.org,,Ada K,x,Bergen,2
bob@x.org,,,,,
"""


@pytest.fixture(name="folder", autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a folder with a policy and a file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policy.toml").write_text(POLICY, encoding="utf-8")
    (tmp_path / "in.csv").write_text(CSV, encoding="utf-8")
    return tmp_path


def upsert(*words: str, code: int = 1) -> str:
    """Upsert the file into a book."""
    result = run(
        "upsert", "policy.toml", "in.csv", "--book", "b.jsonl", *words, code=code
    )
    return result.output


def contacts(book: str = "b.jsonl", *words: str) -> list[dict[str, Any]]:
    """Return the contacts of a book."""
    output = run("show", book, "--json", *words).output
    return [json.loads(line) for line in output.splitlines()]


class TestUpsert:
    """``upsertcore upsert policy.toml``."""

    def test_cells_are_read_as_their_fields_take_them(self) -> None:
        upsert()
        [ada] = contacts()

        assert ada["fields"] == {
            "email": "ada@x.org",
            "phone": "+1 201 555 0101",
            "name": "Ada K",
            "tags": ["vip", "lead", "x"],
            "address": {"city": "Bergen"},
            "visits": 3,
        }

    def test_refusal_is_counted_without_its_values(self) -> None:
        output = upsert()

        assert "patch: has no key to match by (email or phone)" in output
        assert "phone" in output
        assert "bob@x.org" not in output

    def test_second_run_takes_the_policy_of_a_module(self, folder: Path) -> None:
        upsert()
        (folder / "crm_of_test.py").write_text(
            "from pathlib import Path\nfrom upsertcore import Policy\n"
            "policy = Policy.from_toml(Path('policy.toml').read_text())\n",
            encoding="utf-8",
        )
        before = (folder / "b.jsonl").read_bytes()
        (folder / "one.csv").write_text(
            "email,name\nada@x.org,Ada K\n", encoding="utf-8"
        )
        words = ("upsert", "crm_of_test:policy", "one.csv", "--book", "b.jsonl")
        output = run(*words).output
        del sys.modules["crm_of_test"]

        assert "note" not in output
        assert (folder / "b.jsonl").read_bytes() == before

    def test_book_of_another_policy_reports_what_it_would_store_otherwise(
        self, folder: Path
    ) -> None:
        upsert()
        (folder / "policy.toml").write_text(
            f"{POLICY}\n[fields.city]\nrequired = true\n", encoding="utf-8"
        )
        output = upsert()

        assert "1 contact is not as this policy and version would store them" in output

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("crm", "in.csv"), "POLICY: 'crm' is not a profile (SalesforceIQ"),
            (("no.toml", "in.csv"), "POLICY: no.toml: "),
            (("no_such_module:policy", "in.csv"), "ModuleNotFoundError"),
            (("policy.toml", "in.csv", "--set", "nmae=x"), "nmae"),
            (("policy.toml", "in.csv", "--set", "scpe=x"), "use scope"),
            (
                ("policy.toml", "in.csv", "--set", "on_found=x"),
                "must be update or ignore",
            ),
            (("policy.toml", "in.csv", "no.csv"), "no.csv: No such file"),
            (
                ("policy.toml", "in.csv", "--max-refused", "x"),
                "a number or a percentage",
            ),
            (
                ("policy.toml", "in.csv", "--max-refused", "101%"),
                "a number or a percent",
            ),
        ],
    )
    def test_invalid_usage_says_what_is_right(
        self, words: tuple[str, ...], message: str, folder: Path
    ) -> None:
        output = run("upsert", *words, "--book", "b.jsonl", code=2).output

        assert message in output
        assert not (folder / "b.jsonl").exists()

    def test_book_of_a_profile_is_not_of_a_policy(self, folder: Path) -> None:
        upsert()
        words = ("upsert", "Anduin", "in.csv", "--set", "firm_id=f")
        output = run(*words, "--book", "b.jsonl", code=2).output

        assert "is a book of a policy, not of Anduin" in output

    def test_scope_is_a_parameter(self) -> None:
        upsert("--set", "scope=t1")

        assert [one["scope"] for one in contacts()] == ["t1"]
        assert contacts("b.jsonl", "--scope", "") == []

    def test_field_named_scope_is_a_field(self, folder: Path) -> None:
        policy = POLICY + "\n[fields.scope]\n"
        (folder / "policy.toml").write_text(policy, encoding="utf-8")
        upsert("--set", "scope=t1")

        [ada] = contacts()
        assert (ada["scope"], ada["fields"]["scope"]) == ("", "t1")

    def test_policy_of_functions_without_names_has_no_text(self, folder: Path) -> None:
        (folder / "lambdas_of_test.py").write_text(
            "from upsertcore import *\n"
            "email = field(key=lambda value: value)\n"
            "policy = Policy(first_match('email'), {'email': email})\n",
            encoding="utf-8",
        )
        (folder / "one.csv").write_text("email\nada@x.org\n", encoding="utf-8")
        words = ("upsert", "lambdas_of_test:policy", "one.csv", "--book", "b.jsonl")
        run(*words)
        run(*words)
        of_book = run("show", "b.jsonl", code=2).output
        as_toml = run("policy", "lambdas_of_test:policy", "--toml", code=2).output
        shown = run("show", "b.jsonl", "--policy", "lambdas_of_test:policy").output
        del sys.modules["lambdas_of_test"]

        assert "the book does not have its policy as text; name it with" in of_book
        assert "a function of the policy has no name" in as_toml
        assert "ada@x.org" in shown

    def test_policy_of_a_module_is_not_imported_by_a_book(self, folder: Path) -> None:
        (folder / "named_of_test.py").write_text(
            "from upsertcore import *\ndef form(value):\n    return value\n"
            "policy = Policy(first_match('email'), {'email': field(key=form)})\n",
            encoding="utf-8",
        )
        (folder / "one.csv").write_text("email\nada@x.org\n", encoding="utf-8")
        run("upsert", "named_of_test:policy", "one.csv", "--book", "b.jsonl")
        del sys.modules["named_of_test"]
        output = run("show", "b.jsonl", code=2).output

        assert "the policy of the book: " in output
        assert "name it with --policy module:attribute" in output
        assert "named_of_test" not in sys.modules


class TestWishesOfARun:
    """``--set on_found=...`` and ``on_not_found``."""

    def test_found_contact_is_ignored_or_refused(self, folder: Path) -> None:
        upsert()
        before = (folder / "b.jsonl").read_bytes()
        (folder / "in.csv").write_text("email,name\nada@x.org,Eve\n", encoding="utf-8")
        ignored = upsert("--set", "on_found=ignore", code=0)
        refused = upsert("--set", "on_found=refuse")

        assert (folder / "b.jsonl").read_bytes() == before
        assert "ignored: name" in ignored
        assert "patch: would change a contact" in refused

    def test_contact_that_is_not_found_is_refused(self, folder: Path) -> None:
        output = upsert("--set", "on_not_found=refuse")

        assert "patch: no contact matches it" in output
        assert contacts() == []
        assert folder.exists()

    def test_profile_takes_them_too(self) -> None:
        words = ("--set", "locationId=L", "--set", "on_not_found=refuse")
        result = run(
            "upsert", "LeadConnector", "-", *words, stdin=b"email\na@x.org\n", code=1
        )

        assert "patch: no contact matches it" in result.output


class TestRuns:
    """``--dry-run``, ``--rejects``, ``--max-refused`` and ``--json``."""

    def test_dry_run_reports_the_same_and_writes_no_book(self, folder: Path) -> None:
        dry = upsert("--dry-run", "--outcomes", "dry.jsonl")
        assert not (folder / "b.jsonl").exists()
        real = upsert("--outcomes", "real.jsonl")

        assert "dry run: nothing was saved; b.jsonl is as it was" in dry
        assert dry.splitlines()[:9] == real.splitlines()[:9]
        assert [one["result"] for one in lines(folder / "dry.jsonl")] == [
            one["result"] for one in lines(folder / "real.jsonl")
        ]

    def test_dry_run_without_a_book_says_that_nothing_was_saved(self) -> None:
        output = run("upsert", "policy.toml", "in.csv", "--dry-run", code=1).output

        assert output.rstrip().endswith("dry run: nothing was saved")

    def test_dry_run_leaves_a_database_as_it_was(self, folder: Path) -> None:
        run("upsert", "policy.toml", "in.csv", "--book", "new.db", "--dry-run", code=1)
        assert not (folder / "new.db").exists()
        run("upsert", "policy.toml", "in.csv", "--book", "b.db", code=1)
        before = contacts("b.db")
        (folder / "in.csv").write_text("email,name\nada@x.org,Eve\n", encoding="utf-8")
        output = run(
            "upsert", "policy.toml", "in.csv", "--book", "b.db", "--dry-run"
        ).output

        assert "updated" in output
        assert contacts("b.db") == before

    def test_rejects_of_a_table_can_be_mended_and_sent_again(
        self, folder: Path
    ) -> None:
        upsert("--rejects", "r.csv")
        first, *rows = (folder / "r.csv").read_text(encoding="utf-8").splitlines()
        assert first == "email,phone,name,tags,address.city,visits,#reason,#book"
        assert rows[0] == ",,Nobody,,,,patch: has no key to match by (email or phone),"
        assert "name: is required to create a contact,upsertcore book none " in rows[1]
        assert len(rows) == 2
        mended = (
            (folder / "r.csv")
            .read_text(encoding="utf-8")
            .replace(",,No", "n@x.org,,No", 1)
        )
        (folder / "in.csv").write_text(mended, encoding="utf-8")
        upsert()

        assert [one["fields"]["email"] for one in contacts()] == [
            "ada@x.org",
            "n@x.org",
        ]

    def test_rejects_of_json_keep_their_form(self, folder: Path) -> None:
        text = '{"name": "Nobody", "tags": ["a"]}\n{"a": 1, "a": 2}\n[1]\n'
        (folder / "in.jsonl").write_text(text, encoding="utf-8")
        words = ("--book", "b.jsonl", "--rejects", "r.jsonl")
        run("upsert", "policy.toml", "in.jsonl", *words, code=1)
        first, second, third = lines(folder / "r.jsonl")

        assert first.pop("#reason").startswith("patch: has no key")
        assert first == {"name": "Nobody", "tags": ["a"]}
        assert second["#row"] == '{"a": 1, "a": 2}\n'
        assert second["#reason"] == "is not valid JSON: duplicate name 'a'"
        assert (third["#row"], third["#reason"]) == ([1], "row: must be a JSON object")
        assert third["#book"].startswith("upsertcore book none ")
        again = run("upsert", "policy.toml", "r.jsonl", code=1).output
        assert "#book" not in again

    def test_rejects_have_rows_that_are_no_csv(self, folder: Path) -> None:
        text = 'email,name\n"a"b,c\nd\n'
        (folder / "in.csv").write_text(text, encoding="utf-8")
        upsert("--rejects", "r.csv")
        written = (folder / "r.csv").read_text(encoding="utf-8").splitlines()

        assert written[1].startswith('"""a""b,c",,"is not valid CSV: ')
        assert written[2].startswith('d,,"has 1 cells, but the header has 2",upsert')

    def test_rejects_keep_bytes_that_are_no_text(self, folder: Path) -> None:
        (folder / "in.csv").write_bytes(b"email,name\na@x.org,\xff\n")
        upsert("--rejects", "r.csv")

        assert b'a@x.org,\xff,"is not UTF-8 text; ' in (folder / "r.csv").read_bytes()
        utf_16 = "email,name\na@x.org,\ud800\n".encode("utf-16", errors="surrogatepass")
        (folder / "in.csv").write_bytes(utf_16)
        upsert("--rejects", "r.csv")

        assert b"a@x.org,?,is not utf-16 text" in (folder / "r.csv").read_bytes()

    def test_rejects_of_files_with_other_columns_are_refused(
        self, folder: Path
    ) -> None:
        (folder / "b.csv").write_text("name\nEve\n", encoding="utf-8")
        words = ("upsert", "policy.toml", "in.csv", "b.csv", "--rejects", "r.csv")
        output = run(*words, code=2).output

        assert "--rejects: b.csv has other columns than the files before it" in output
        assert not (folder / "r.csv").exists()

    @pytest.mark.parametrize(
        ("limit", "code"), [("0", 1), ("1", 1), ("2", 0), ("49%", 1), ("50%", 0)]
    )
    def test_status_is_zero_up_to_the_allowed_refusals(
        self, limit: str, code: int
    ) -> None:
        upsert("--max-refused", limit, code=code)

        assert len(contacts()) == 1

    def test_summary_as_json_has_the_counts_and_reasons(self) -> None:
        summary = json.loads(upsert("--json"))

        assert summary["rows"] == 4
        assert (summary["created"], summary["updated"], summary["refused"]) == (1, 1, 2)
        first = summary["reasons"][0]["first"]
        assert first == [{"file": "in.csv", "line": 3}]
        assert summary["dry_run"] is False

    def test_outcomes_of_a_run_without_its_book_are_removed(self, folder: Path) -> None:
        upsert("--outcomes", "o.jsonl", "--rejects", "r.csv")
        (folder / "b.jsonl").unlink()
        (folder / "in.csv").write_text("email\n", encoding="utf-8")
        output = upsert("--outcomes", "o.jsonl", "--rejects", "r.csv", code=0)

        assert "o.jsonl: removed: its run ended before the book was written" in output
        assert "r.csv: removed" in output
        assert (folder / "o.jsonl").read_text(encoding="utf-8") == ""

    def test_outcomes_of_another_book_stay_until_they_are_replaced(
        self, folder: Path
    ) -> None:
        upsert("--outcomes", "o.jsonl")
        (folder / "none.jsonl").write_text("{}\n", encoding="utf-8")
        output = upsert("--outcomes", "none.jsonl")

        assert "removed" not in output
        assert (folder / "o.jsonl").exists()


class TestExplain:
    """``explain POLICY --row FILE:LINE``."""

    def test_row_of_a_file_is_explained(self) -> None:
        upsert()
        words = ("explain", "policy.toml", "--row", "in.csv:4", "--book", "b.jsonl")

        assert run(*words).output.startswith("unchanged ")
        output = run(*words, "--map", "name=").output
        assert "name" not in output

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ((), "give either PAYLOAD or --row"),
            (("{}", "--row", "in.csv:2"), "give either PAYLOAD or --row"),
            (("--row", "in.csv"), "--row: must be FILE:LINE"),
            (("--row", "in.csv:99"), "--row: in.csv: no row begins on line 99"),
            (("--row", "in.csv:1"), "--row: in.csv: no row begins on line 1"),
            (("--row", "no.csv:1"), "no.csv: No such file"),
            (("--row", "bad.csv:2"), "--row: bad.csv: line 2 has 1 cells"),
        ],
    )
    def test_misuse_says_what_is_right(
        self, words: tuple[str, ...], message: str, folder: Path
    ) -> None:
        (folder / "bad.csv").write_text("email,name\na\n", encoding="utf-8")

        assert message in run("explain", "policy.toml", *words, code=2).output

    def test_refused_payload_has_the_error(self) -> None:
        output = run("explain", "policy.toml", "[]", code=1).output

        assert "row: must be a JSON object" in output


class TestShow:
    """Filters and pages of ``show``."""

    def test_contacts_are_filtered_and_paged(self, folder: Path) -> None:
        rows = "".join(f"p{n}@x.org,P,Oslo\n" for n in range(3)) + "q@x.org,Q,\n"
        text = f"email,name,address.city\n{rows}"
        (folder / "in.csv").write_text(text, encoding="utf-8")
        upsert(code=0)
        ids = [one["id"] for one in contacts()]

        def shown(*words: str) -> list[str]:
            return [one["id"] for one in contacts("b.jsonl", *words)]

        assert shown("--where", "name=P") == ids[:3]
        assert shown("--where", 'address={"city": "Oslo"}', "--limit", "2") == ids[:2]
        assert shown("--after", ids[0], "--limit", "1") == ids[1:2]
        assert shown("--where", "address=") == ids[3:]
        assert shown("--key", "email=Q@x.org", "--where", "name=Q") == ids[3:]

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("--after", "c-9"), "--after: none of the contacts has the id 'c-9'"),
            (("--where", "nmae=x"), "--where nmae: unknown field; did you mean name"),
            (("--where", "name"), "--where: must be FIELD=VALUE"),
        ],
    )
    def test_misuse_says_what_is_right(
        self, words: tuple[str, ...], message: str
    ) -> None:
        upsert()

        assert message in run("show", "b.jsonl", *words, code=2).output


class TestPolicies:
    """``upsertcore profiles`` and ``upsertcore policy``."""

    def test_profiles_are_listed_with_their_parameters(self) -> None:
        table = run("profiles").output
        rows = json.loads(run("profiles", "--json").output)

        assert "firm_id (required)" in table
        assert [row["profile"] for row in rows][-1] == "Anduin"
        assert rows[-1]["parameters"] == [{"name": "firm_id", "required": True}]
        assert "placeholders" in rows[-1]["options"]

    def test_policy_is_shown_with_fields_and_options(self) -> None:
        output = run("policy", "policy.toml").output

        assert "match: first_match('email', 'phone')" in output
        assert "unique" in output
        assert "on_found" in output

    def test_policy_as_toml_begins_a_file(self, folder: Path) -> None:
        upsert()
        text = run("policy", "policy.toml", "--toml").output

        assert text == run("policy", "b.jsonl", "--toml").output
        assert Policy.from_toml(text) == Policy.from_toml(POLICY)
        assert folder.exists()

    def test_policy_of_a_profile_has_its_options_and_keys(self) -> None:
        plain = run("policy", "LeadConnector").output
        blocked = run("policy", "LeadConnector", "--set", "placeholders=true").output

        assert " blocked" not in plain.replace("on_blocked", "")
        assert " blocked" in blocked

    def test_keys_of_several_fields_are_shown(self, folder: Path) -> None:
        text = '[keys.person]\nfields = ["name", "email"]\nunique = true\n'
        policy = POLICY + text + 'normalize = "exact"\n'
        (folder / "policy.toml").write_text(policy, encoding="utf-8")
        output = run("policy", "policy.toml").output

        assert "person" in output
        assert "name, email" in output

    def test_laws_are_checked_under_a_policy(self) -> None:
        words = ("--contacts", "1", "--limit", "200")

        assert "keys: email, phone" in run("laws", "policy.toml", *words).output


class TestPolicyProfile:
    """A policy with the interface of a profile."""

    @pytest.mark.parametrize(
        ("line", "kind"),
        [
            (field(), "text"),
            (field(many=True), "list"),
            (field(rule=rules.union), "list"),
            (field(rule=rules.deep), "mapping"),
            (field(rule=rules.deep_keep), "mapping"),
            (field(rule=rules.add), "number"),
            (field(rule=rules.largest), "number"),
            (field(rule=rules.latest(by="at")), "text"),
            (field(rule=rules.add, clean=int), "text"),
        ],
    )
    def test_kind_of_cells_is_what_the_rule_takes(self, line: Any, kind: str) -> None:
        assert kind_of(line) == kind

    def test_rule_that_takes_no_sample_reads_text(self) -> None:
        def refuse(_stored: Any, _sent: Any) -> Any:
            raise ValueError("must be a date")

        assert kind_of(field(rule=rules.custom(refuse))) == "text"

    def test_mapping_is_joined_from_json_and_columns(self) -> None:
        fields = {"a": field(rule=rules.deep), "n": field(rule=rules.add)}
        policy = Policy(first_match("e"), {"e": field(key=normalize.exact), **fields})
        profile = PolicyProfile(policy)

        both = {"a.x": "1", "a": '{"y": 2}', "n": "5"}
        assert profile.from_row(both) == {"a": {"y": 2, "x": "1"}, "n": 5}
        assert profile.from_row({"a.x": "1", "a": "text"}) == {"a": "text"}
        assert profile.from_row({"a": "text", "a.x": "1"}) == {"a": "text"}
        assert profile.from_row({"n": "many", "b.c": "d"}) == {"n": "many", "b.c": "d"}

    def test_invalid_value_is_refused_without_showing_it(self) -> None:
        policy = Policy(first_match("e"), {"e": field(key=normalize.exact)})
        response = PolicyProfile(policy).upsert({"e": {1, 2}})

        assert response.status == 400
        assert response.reason.startswith("e: must be ")
        assert "{1, 2}" not in response.reason

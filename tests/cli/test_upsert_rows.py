"""Columns, constants and refusals of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from upsertcore.cli import main
from upsertcore.cli.refusal_counts import RefusalCounts, problems
from upsertcore.profiles import BY_NAME
from upsertcore.profiles.profile import Response

CONSTANT = {
    "LeadConnector": ("locationId=L",),
    "SegMetrics": ("account_id=a", "integration_id=i", "contact_id=7"),
    "SalesforceIQ": ("organisation=o",),
    "Anduin": ("firm_id=f",),
}


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str, stdin: str = "", code: int = 0) -> Result:
    """Run a command, and check its exit status."""
    result = CliRunner(env={"COLUMNS": "160"}).invoke(main, words, input=stdin)
    assert code == result.exit_code, result.output
    return result


def set_options(profile: str, *constants: str) -> list[str]:
    words = (*CONSTANT[profile], *constants)
    return [part for word in words for part in ("--set", word)]


def stored_fields(profile: str, content: str, *constants: str) -> Any:
    """Return the fields of the one contact that the content creates."""
    Path("b.jsonl").unlink(missing_ok=True)
    words = ("--book", "b.jsonl", *set_options(profile, *constants))
    run("upsert", profile, "-", *words, stdin=content)
    [_head, contact, _last] = Path("b.jsonl").read_text("utf-8").splitlines()
    return json.loads(contact)["fields"]


def tags_of(profile: str, fields: Any) -> list[str]:
    if profile == "SalesforceIQ":
        return [item["value"] for item in fields["tags"]]
    return list(fields["tags"])


WITH_TAGS = ("LeadConnector", "SegMetrics", "SalesforceIQ")


class TestConstants:
    """``--set`` of a field."""

    @pytest.mark.parametrize("profile", WITH_TAGS)
    @pytest.mark.parametrize("form", ["CSV", "JSON"])
    @pytest.mark.usefixtures("folder")
    def test_constant_list_is_added_to_that_of_the_row(
        self, profile: str, form: str
    ) -> None:
        """In CSV and in JSON."""
        content = "email,tags\na@x.org,own\n"
        if form == "JSON":
            row = {"email": "a@x.org", "tags": "own"}
            content = json.dumps(BY_NAME[profile]().from_row(row))
        fields = stored_fields(profile, content, "tags=import")

        assert ["own", "import"] == tags_of(profile, fields)

    @pytest.mark.parametrize("profile", WITH_TAGS)
    @pytest.mark.usefixtures("folder")
    def test_constant_list_of_a_row_without_one_is_stored(self, profile: str) -> None:
        """The cell is blank, or there is no column."""
        for content in ("email,tags\na@x.org,\n", "email\na@x.org\n"):
            assert ["import"] == tags_of(
                profile, stored_fields(profile, content, "tags=import")
            )

    @pytest.mark.parametrize("profile", WITH_TAGS)
    @pytest.mark.usefixtures("folder")
    def test_constant_item_of_the_row_is_stored_once(self, profile: str) -> None:
        """A second run then changes nothing."""
        fields = stored_fields(profile, "email,tags\na@x.org,import\n", "tags=import")

        assert ["import"] == tags_of(profile, fields)

    @pytest.mark.usefixtures("folder")
    def test_constant_value_replaces_that_of_the_row(self) -> None:
        content = "email,firstName,lastName,note\na@x.org,A,B,own\n"

        assert "all" == stored_fields("Anduin", content, "note=all")["note"]

    @pytest.mark.usefixtures("folder")
    def test_constant_custom_field_replaces_that_of_its_key(self) -> None:
        """Other custom fields stay."""
        content = "email,customField.size,customField.hue\na@x.org,7,red\n"
        fields = stored_fields("LeadConnector", content, "customField.size=8")
        values = {item["key"]: item["value"] for item in fields["customFields"]}

        assert {"size": "8", "hue": "red"} == values

    @pytest.mark.usefixtures("folder")
    def test_constant_name_of_an_object_replaces_that_of_the_row(self) -> None:
        """Other names stay."""
        custom = {"plan": "free", "size": "7"}
        content = json.dumps({"email": "a@x.org", "custom_fields": custom})
        options = ("custom_fields=true", "custom_fields.plan=pro")

        merged = stored_fields("SegMetrics", content, *options)["custom_fields"]
        assert {"plan": "pro", "size": "7"} == merged

    @pytest.mark.parametrize("value", ['"own"', "7", '{"a": 1}'])
    @pytest.mark.usefixtures("folder")
    def test_constant_list_beside_an_invalid_value_is_refused(self, value: str) -> None:
        """The constant does not hide the error."""
        content = f'{{"locationId": "L", "email": "a@x.org", "tags": {value}}}'
        words = set_options("LeadConnector", "tags=import")
        result = run("upsert", "LeadConnector", "-", *words, stdin=content, code=1)

        assert "tags must be an array (-:1)" in result.output


class TestTags:
    """Cells with a list, as exports write them."""

    @pytest.mark.parametrize("profile", ["LeadConnector", "SegMetrics"])
    @pytest.mark.parametrize(
        "cell",
        [
            '"""VIP"",""Blog, reader"""',
            '"[""VIP"", ""Blog, reader""]"',
            '"VIP;Blog, reader"',
            '"""VIP""; ""Blog, reader"""',
        ],
        ids=["Mailchimp", "JSON", "semicolons", "quoted semicolons"],
    )
    @pytest.mark.usefixtures("folder")
    def test_cell_with_quoted_commas_is_split_into_tags(
        self, profile: str, cell: str
    ) -> None:
        fields = stored_fields(profile, f"email,tags\na@x.org,{cell}\n")

        assert ["VIP", "Blog, reader"] == tags_of(profile, fields)


class TestMisspellings:
    """Misspelt parameters and columns."""

    @pytest.mark.parametrize(
        ("profile", "word", "correct"),
        [
            ("SalesforceIQ", "organization", "organisation"),
            ("SalesforceIQ", "Organisation", "organisation"),
            ("SalesforceIQ", "upsert", "_upsert"),
            ("SalesforceIQ", "placeholder", "placeholders"),
            ("SalesforceIQ", "Region", "region"),
            ("Anduin", "firmid", "firm_id"),
            ("SegMetrics", "acount_id", "account_id"),
            ("LeadConnector", "allow_duplicate", "allow_duplicates"),
        ],
    )
    @pytest.mark.parametrize("command", ["upsert", "explain", "laws", "evaluate"])
    @pytest.mark.usefixtures("folder")
    def test_misspelt_parameter_is_refused_with_the_right_name(
        self, command: str, profile: str, word: str, correct: str
    ) -> None:
        """The constant is no field of every row."""
        words = {"upsert": ["-"], "explain": ["{}"], "evaluate": ["-", "--truth", "w"]}
        arguments = [*words.get(command, []), *set_options(profile, f"{word}=x")]
        output = run(command, profile, *arguments, code=2).output

        message = f"--set {word}: not a parameter or option of {profile}; use {correct}"
        assert message in output
        escape = f", or properties.{word} for a field of that name"
        assert (escape in output) == (profile == "SalesforceIQ")

    @pytest.mark.usefixtures("folder")
    def test_property_with_a_prefix_may_have_the_name_of_a_parameter(self) -> None:
        """As a column and as a constant."""
        content = "email,properties.organisation\na@x.org,own\n"
        fields = stored_fields("SalesforceIQ", content, "properties.organization=all")

        assert "own" == fields["organisation"][0]["value"]
        assert "all" == fields["organization"][0]["value"]

    @pytest.mark.parametrize(
        ("profile", "name"),
        [
            ("SalesforceIQ", "organisation"),
            ("SalesforceIQ", "_upsert"),
            ("Anduin", "firm_id"),
            ("SegMetrics", "account_id"),
            ("SegMetrics", "integration_id"),
        ],
    )
    @pytest.mark.parametrize("column", ["", "Tenant"], ids=["as it is", "renamed"])
    @pytest.mark.usefixtures("folder")
    def test_column_with_the_name_of_a_parameter_is_refused(
        self, profile: str, name: str, column: str
    ) -> None:
        """A parameter is the same for all rows."""
        words = ["--map", f"{column}={name}"] if column else []
        content = f"email,{column or name}\na@x.org,t\n"
        words += set_options(profile)
        output = run("upsert", profile, "-", *words, stdin=content, code=2).output

        assert f"column {column or name!r}: {name} is a parameter, not a fie" in output
        words = [*set_options(profile), "--map", f"{column or name}="]
        run(
            "upsert",
            "Anduin",
            "-",
            *set_options("Anduin"),
            *words[-2:],
            stdin=content,
            code=1,
        )

    @pytest.mark.usefixtures("folder")
    def test_column_with_the_name_of_a_parameter_is_refused_by_evaluate(self) -> None:
        content = "who,email,organisation\na,a@x.org,t\n"
        words = ("SalesforceIQ", "-", "--truth", "who")
        output = run("evaluate", *words, stdin=content, code=2).output

        assert "column 'organisation': organisation is a parameter, not a fie" in output

    @pytest.mark.parametrize("profile", CONSTANT)
    @pytest.mark.usefixtures("folder")
    def test_map_of_an_unknown_column_is_refused_with_the_columns(
        self, profile: str
    ) -> None:
        """No book is written."""
        words = ["--map", "Mial=email", *set_options(profile), "--book", "b.jsonl"]
        content = "Mail,phone\na@x.org,\n"
        output = run("upsert", profile, "-", *words, stdin=content, code=2).output

        message = "--map: no column 'Mial'; the columns are 'Mail', 'phone'\n"
        assert message in output
        assert not Path("b.jsonl").exists()

    def test_map_of_a_column_of_one_of_several_files_is_accepted(
        self, folder: Path
    ) -> None:
        (folder / "a.csv").write_text("Mail\na@x.org\n", "utf-8")
        (folder / "b.csv").write_text("E-mail\nb@x.org\n", "utf-8")
        words = ["a.csv", "b.csv", "--map", "Mail=email", "--map", "E-mail=email"]

        assert "created" in run("upsert", "SalesforceIQ", *words).output

    @pytest.mark.usefixtures("folder")
    def test_map_of_a_name_absent_from_json_gives_a_note(self) -> None:
        """Another file of the kind may have it."""
        content = '{"properties": {"email": [{"value": "a@x.org"}]}}'
        result = run("upsert", "SalesforceIQ", "-", "--map", "a=b", stdin=content)

        assert "note: --map: no column 'a' in any row\n" == result.stderr

    @pytest.mark.usefixtures("folder")
    def test_map_of_an_unknown_column_is_refused_by_evaluate(self) -> None:
        content = "who,email\na,a@x.org\n"
        words = ("SalesforceIQ", "-", "--truth", "who", "--map", "Mial=email")
        output = run("evaluate", *words, stdin=content, code=2).output

        assert "--map: no column 'Mial'" in output

    @pytest.mark.usefixtures("folder")
    def test_message_names_at_most_twelve_columns(self) -> None:
        content = ",".join(f"c{number}" for number in range(40))
        words = ("upsert", "SalesforceIQ", "-", "--map", "a=b")
        output = run(*words, stdin=content, code=2).output

        assert output.endswith("'c10', 'c11' and 28 more\n")


class TestRefusalCounts:
    """Refusals are counted by kind."""

    @pytest.mark.parametrize("profile", CONSTANT)
    def test_combinations_of_unknown_columns_make_a_short_table(
        self, profile: str, folder: Path
    ) -> None:
        """Each object has names of its own."""
        lines = []
        for row in range(5_000):
            cells = {f"Unknown {bit}": str(row) for bit in range(12) if row >> bit & 1}
            payload = BY_NAME[profile]().from_row({"email": f"{row}@x.org", **cells})
            lines.append(json.dumps(payload))
        (folder / "in.jsonl").write_text("\n".join(lines), "utf-8")
        words = ("upsert", profile, "in.jsonl", *set_options(profile))
        code = 0 if profile == "SalesforceIQ" else 1
        output = run(*words, code=code).output
        refusal_lines = [line for line in output.splitlines() if "refused:" in line]

        assert len(refusal_lines) <= 3
        if code:
            assert "Unknown 0, Unknown 1, Unknown 2 and others" in refusal_lines[0]
            assert "(in.jsonl:2, 3, 4, ...)" in refusal_lines[0]

    @pytest.mark.usefixtures("folder")
    def test_row_with_several_problems_counts_under_each(self) -> None:
        """It counts once as a refused row."""
        content = '{"colour": 1, "email": 7, "phone": 8}\n{"shape": 1, "email": "x"}\n'
        words = ("upsert", "LeadConnector", "-", *set_options("LeadConnector"))
        output = run(*words, stdin=content, code=1).output
        counts = [line.split("refused")[1] for line in output.splitlines()[6:10]]

        assert "2" == counts[0].strip()
        assert ": property colour, shape should not exist (-:1, 2)" in counts[1]
        assert ": email, phone must be a string (-:1)" in counts[2]
        assert ": email must be an email (-:2)" in counts[3]

    @pytest.mark.usefixtures("folder")
    def test_at_most_twenty_kinds_are_listed(self) -> None:
        """The others are counted together."""
        cells = ["a,b", *[",".join("x" * (n + 3)) for n in range(50)]]
        words = ("upsert", "SalesforceIQ", "-")
        output = run(*words, stdin="\n".join(cells), code=1).output
        refusal_lines = [line for line in output.splitlines() if "refused:" in line]

        assert 1 == len(refusal_lines)
        assert "has … cells, but the header has 2 (-:2, 3, 4, ...)" in refusal_lines[0]

        kinds = RefusalCounts()
        for place in (("a", 1), ("b", 2), ("b", 4)):
            kinds.add([("blank", "")], dict(zip(("file", "line"), place, strict=True)))
        assert [("blank (a:1; b:2, 4)", 3)] == [*kinds.summary()]

        kinds = RefusalCounts()
        for line in range(1_100):
            kinds.add([(f"kind {line}", ""), ("all", "")], {"file": "f", "line": line})
        listed = [*kinds.summary()]
        assert 1_100 == kinds.total
        assert 21 == len(listed)
        assert ("all (f:0, 1, 2, ...)", 1_100) == listed[0]
        assert ("for other reasons", 1_100 - 19) == listed[-1]

    def test_problem_of_a_list_item_has_no_position(self) -> None:
        response = Response(422, {"message": ["tags.3 is blank", "tags.17 is blank"]})
        phone_response = Response(400, {}, reason="phone must be a number in E.164")

        assert [("tags.* is blank", "")] * 2 == problems(response, {"x": 1})
        assert [("… must be a number in E.164", "phone")] == problems(
            phone_response, {"phone": "1"}
        )

    def test_problems_of_parts_of_an_object_are_of_one_kind(self) -> None:
        payload = {"properties": {"a b": 1, "c": 2}}
        reasons = [f"properties.{name}: must be an array" for name in ("a b", "c", "d")]
        responses = [Response(422, {}, reason=reason) for reason in reasons]

        assert [
            ("…: must be an array", "properties.a b"),
            ("…: must be an array", "properties.c"),
            ("properties.d: must be an array", ""),
        ] == [problems(response, payload)[0] for response in responses]

    @pytest.mark.usefixtures("folder")
    def test_unknown_names_make_one_line_of_evaluate(self) -> None:
        rows = [{"who": "a", "email": "a@x.org", f"n{n}": n} for n in range(40)]
        content = "\n".join(map(json.dumps, rows))
        words = ("LeadConnector", "-", "--truth", "who", "--set", "locationId=L")
        output = run("evaluate", *words, stdin=content, code=1).output
        refusal_lines = [
            line for line in output.splitlines() if "should not exist (" in line
        ]

        assert 1 == len(refusal_lines)
        assert "property … should not exist (40)" in refusal_lines[0]

    @pytest.mark.usefixtures("folder")
    def test_at_most_twenty_kinds_are_listed_by_evaluate(self) -> None:
        fields = BY_NAME["LeadConnector"]().policy.fields
        rows = [{"who": "a", name: 1.5} for name in fields]
        content = "\n".join(map(json.dumps, [*rows, rows[-1]]))
        words = ("LeadConnector", "-", "--truth", "who", "--set", "locationId=L")
        output = run("evaluate", *words, stdin=content, code=1).output
        refusal_lines = [line for line in output.splitlines() if "refused   " in line][
            1:
        ]

        assert 21 == len(refusal_lines)
        assert f"for other reasons ({len(fields) - 20})" in refusal_lines[-1]
        assert f"{list(fields)[-1]} must" in refusal_lines[0]


class TestPlaceholders:
    """Placeholders instead of keys."""

    CONTENT = (
        "trackingId,email,firstName,lastName\nnull,a@x.org,A,B\nnull,b@x.org,C,D\n"
    )

    def test_contacts_with_one_placeholder_stay_two(self, folder: Path) -> None:
        """The table counts the placeholders, and names the option."""
        words = ("upsert", "Anduin", "-", "--book", "b.jsonl", *set_options("Anduin"))
        output = run(*words, stdin=self.CONTENT).output

        label = (
            "ignored: trackingId (a placeholder; --set placeholders=false accepts it)"
        )
        assert f"{label} 2".split() == [
            word
            for line in output.splitlines()
            if label in line
            for word in line.split()
        ]
        head, *contacts, _last = (folder / "b.jsonl").read_text("utf-8").splitlines()
        assert {"placeholders": "true"} == json.loads(head)["options"]
        assert 2 == len(contacts)

    def test_placeholder_under_the_option_is_a_key(self, folder: Path) -> None:
        """The book stores the option."""
        words = ("upsert", "Anduin", "-", "--book", "b.jsonl", *set_options("Anduin"))
        run(*words, "--set", "placeholders=false", stdin=self.CONTENT, code=0)
        before = (folder / "b.jsonl").read_bytes()
        assert 3 == before.count(b"\n")
        run(*words, stdin=self.CONTENT.splitlines(keepends=True)[0] + "null,,A,B\n")

        assert b'"placeholders": "false"' in (folder / "b.jsonl").read_bytes()

    @pytest.mark.usefixtures("folder")
    def test_laws_ignore_the_placeholders_of_files(self) -> None:
        words = ("laws", "SalesforceIQ", "--contacts", "0")

        assert run(*words).output == run(*words, "--set", "placeholders=false").output

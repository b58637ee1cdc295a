"""What a run makes of columns, constants and refusals."""

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
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str, stdin: str = "", code: int = 0) -> Result:
    """Run a command, and return how it ended."""
    result = CliRunner(env={"COLUMNS": "160"}).invoke(main, words, input=stdin)
    assert code == result.exit_code, result.output
    return result


def sets(profile: str, *more: str) -> list[str]:
    words = (*CONSTANT[profile], *more)
    return [part for word in words for part in ("--set", word)]


def stored(profile: str, content: str, *more: str) -> Any:
    """Return the fields of the one contact that some content makes."""
    Path("b.jsonl").unlink(missing_ok=True)
    words = ("--book", "b.jsonl", *sets(profile, *more))
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
    def test_a_list_joins_that_of_the_row(self, profile: str, form: str) -> None:
        """The row's own tags stay, whatever the file is."""
        content = "email,tags\na@x.org,own\n"
        if form == "JSON":
            row = {"email": "a@x.org", "tags": "own"}
            content = json.dumps(BY_NAME[profile]().from_row(row))
        fields = stored(profile, content, "tags=import")

        assert ["own", "import"] == tags_of(profile, fields)

    @pytest.mark.parametrize("profile", WITH_TAGS)
    @pytest.mark.usefixtures("folder")
    def test_a_list_is_that_of_a_row_without_one(self, profile: str) -> None:
        """A blank cell, or no column, leaves the constant alone."""
        for content in ("email,tags\na@x.org,\n", "email\na@x.org\n"):
            assert ["import"] == tags_of(
                profile, stored(profile, content, "tags=import")
            )

    @pytest.mark.parametrize("profile", WITH_TAGS)
    @pytest.mark.usefixtures("folder")
    def test_what_is_there_already_is_there_once(self, profile: str) -> None:
        """So that a second run changes nothing."""
        fields = stored(profile, "email,tags\na@x.org,import\n", "tags=import")

        assert ["import"] == tags_of(profile, fields)

    @pytest.mark.usefixtures("folder")
    def test_a_single_value_replaces_that_of_the_row(self) -> None:
        """A field that every row has is the same in every row."""
        content = "email,firstName,lastName,note\na@x.org,A,B,own\n"

        assert "all" == stored("Anduin", content, "note=all")["note"]

    @pytest.mark.usefixtures("folder")
    def test_a_custom_field_replaces_its_like(self) -> None:
        """Of two values for one key the constant is sent; the others stay."""
        content = "email,customField.size,customField.hue\na@x.org,7,red\n"
        fields = stored("LeadConnector", content, "customField.size=8")
        values = {item["key"]: item["value"] for item in fields["customFields"]}

        assert {"size": "8", "hue": "red"} == values

    @pytest.mark.usefixtures("folder")
    def test_objects_join(self) -> None:
        """Of two values for one name the constant is sent; the others stay."""
        custom = {"plan": "free", "size": "7"}
        content = json.dumps({"email": "a@x.org", "custom_fields": custom})
        more = ("custom_fields=true", "custom_fields.plan=pro")

        stored_now = stored("SegMetrics", content, *more)["custom_fields"]
        assert {"plan": "pro", "size": "7"} == stored_now

    @pytest.mark.parametrize("sent", ['"own"', "7", '{"a": 1}'])
    @pytest.mark.usefixtures("folder")
    def test_what_should_be_a_list_and_is_none_is_refused(self, sent: str) -> None:
        """A constant does not hide it."""
        content = f'{{"locationId": "L", "email": "a@x.org", "tags": {sent}}}'
        words = sets("LeadConnector", "tags=import")
        result = run("upsert", "LeadConnector", "-", *words, stdin=content, code=1)

        assert "tags must be an array (-:1)" in result.output


class TestTags:
    """The ways in which exports write a list into a cell."""

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
    def test_a_cell_is_cut_where_it_ends(self, profile: str, cell: str) -> None:
        """Not at a comma within a tag."""
        fields = stored(profile, f"email,tags\na@x.org,{cell}\n")

        assert ["VIP", "Blog, reader"] == tags_of(profile, fields)


class TestSlips:
    """What is misspelt is named."""

    @pytest.mark.parametrize(
        ("profile", "word", "meant"),
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
    def test_a_parameter_that_is_nearly_one(
        self, command: str, profile: str, word: str, meant: str
    ) -> None:
        """It is no field of every row; the message says what is meant."""
        words = {"upsert": ["-"], "explain": ["{}"], "evaluate": ["-", "--truth", "w"]}
        rest = [*words.get(command, []), *sets(profile, f"{word}=x")]
        output = run(command, profile, *rest, code=2).output

        told = f"--set {word}: not a parameter or option of {profile}; use {meant}"
        assert told in output
        escape = f", or properties.{word} for a field of that name"
        assert (escape in output) == (profile == "SalesforceIQ")

    @pytest.mark.usefixtures("folder")
    def test_a_property_of_such_a_name(self) -> None:
        """It has a name that is no parameter's, as a column and as a constant."""
        content = "email,properties.organisation\na@x.org,own\n"
        fields = stored("SalesforceIQ", content, "properties.organization=all")

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
    def test_a_parameter_as_a_column(
        self, profile: str, name: str, column: str
    ) -> None:
        """It is the same for all rows, so it is said once."""
        words = ["--map", f"{column}={name}"] if column else []
        content = f"email,{column or name}\na@x.org,t\n"
        words += sets(profile)
        output = run("upsert", profile, "-", *words, stdin=content, code=2).output

        assert f"column {column or name!r}: {name} is a parameter, not a fie" in output
        words = [*sets(profile), "--map", f"{column or name}="]
        run(
            "upsert", "Anduin", "-", *sets("Anduin"), *words[-2:], stdin=content, code=1
        )

    @pytest.mark.usefixtures("folder")
    def test_a_parameter_as_a_column_of_labelled_data(self) -> None:
        """The same in ``evaluate``."""
        content = "who,email,organisation\na,a@x.org,t\n"
        words = ("SalesforceIQ", "-", "--truth", "who")
        output = run("evaluate", *words, stdin=content, code=2).output

        assert "column 'organisation': organisation is a parameter, not a fie" in output

    @pytest.mark.parametrize("profile", CONSTANT)
    @pytest.mark.usefixtures("folder")
    def test_a_map_of_a_column_that_is_not_there(self, profile: str) -> None:
        """The run ends, and the columns are named; no book is written."""
        words = ["--map", "Mial=email", *sets(profile), "--book", "b.jsonl"]
        content = "Mail,phone\na@x.org,\n"
        output = run("upsert", profile, "-", *words, stdin=content, code=2).output

        told = "--map: no column 'Mial'; the columns are 'Mail', 'phone'\n"
        assert told in output
        assert not Path("b.jsonl").exists()

    def test_a_map_of_a_column_of_another_file(self, folder: Path) -> None:
        """Of several files one has it."""
        (folder / "a.csv").write_text("Mail\na@x.org\n", "utf-8")
        (folder / "b.csv").write_text("E-mail\nb@x.org\n", "utf-8")
        words = ["a.csv", "b.csv", "--map", "Mail=email", "--map", "E-mail=email"]

        assert "created" in run("upsert", "SalesforceIQ", *words).output

    @pytest.mark.usefixtures("folder")
    def test_a_map_of_a_name_that_no_object_has(self) -> None:
        """It may be there in another file of the kind, so it is a note."""
        content = '{"properties": {"email": [{"value": "a@x.org"}]}}'
        result = run("upsert", "SalesforceIQ", "-", "--map", "a=b", stdin=content)

        assert "note: --map: no column 'a' in any row\n" == result.stderr

    @pytest.mark.usefixtures("folder")
    def test_a_map_of_a_column_of_labelled_data(self) -> None:
        """The same in ``evaluate``."""
        content = "who,email\na,a@x.org\n"
        words = ("SalesforceIQ", "-", "--truth", "who", "--map", "Mial=email")
        output = run("evaluate", *words, stdin=content, code=2).output

        assert "--map: no column 'Mial'" in output

    @pytest.mark.usefixtures("folder")
    def test_many_columns_are_not_all_named(self) -> None:
        """A dozen are enough to see what is meant."""
        content = ",".join(f"c{number}" for number in range(40))
        words = ("upsert", "SalesforceIQ", "-", "--map", "a=b")
        output = run(*words, stdin=content, code=2).output

        assert output.endswith("'c10', 'c11' and 28 more\n")


class TestKinds:
    """Refusals are counted by kind."""

    @pytest.mark.parametrize("profile", CONSTANT)
    def test_unknown_columns_make_a_short_table(
        self, profile: str, folder: Path
    ) -> None:
        """Whatever combinations of a dozen there are in thousands of rows."""
        names = [f"Unknown {number}" for number in range(12)]
        lines = [",".join(["email", *names])]
        for row in range(5_000):
            cells = [str(row) if row >> bit & 1 else "" for bit in range(12)]
            lines.append(",".join([f"{row}@x.org", *cells]))
        (folder / "in.csv").write_text("\n".join(lines), "utf-8")
        words = ("upsert", profile, "in.csv", *sets(profile))
        code = 0 if profile == "SalesforceIQ" else 1
        output = run(*words, code=code).output
        told = [line for line in output.splitlines() if "refused:" in line]

        assert len(told) <= 3
        if code:
            assert "Unknown 0, Unknown 1, Unknown 2 and others" in told[0]
            assert "(in.csv:3, 4, 5, ...)" in told[0]

    @pytest.mark.usefixtures("folder")
    def test_a_row_with_several_problems_counts_under_each(self) -> None:
        """The number of refused rows is that of rows."""
        content = '{"colour": 1, "email": 7, "phone": 8}\n{"shape": 1, "email": "x"}\n'
        words = ("upsert", "LeadConnector", "-", *sets("LeadConnector"))
        output = run(*words, stdin=content, code=1).output
        told = [line.split("refused")[1] for line in output.splitlines()[6:10]]

        assert "2" == told[0].strip()
        assert ": property colour, shape should not exist (-:1, 2)" in told[1]
        assert ": email, phone must be a string (-:1)" in told[2]
        assert ": email must be an email (-:2)" in told[3]

    @pytest.mark.usefixtures("folder")
    def test_at_most_twenty_kinds_are_told(self) -> None:
        """The rest is counted together."""
        cells = ["a,b", *[",".join("x" * (n + 3)) for n in range(50)]]
        words = ("upsert", "SalesforceIQ", "-")
        output = run(*words, stdin="\n".join(cells), code=1).output
        told = [line for line in output.splitlines() if "refused:" in line]

        assert 1 == len(told)
        assert "has … cells, but the header has 2 (-:2, 3, 4, ...)" in told[0]

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

    def test_what_is_in_a_list_has_no_place(self) -> None:
        """Where an item is says nothing about why it is refused."""
        answer = Response(422, {"message": ["tags.3 is blank", "tags.17 is blank"]})
        number = Response(400, {}, reason="phone must be a number in E.164")

        assert [("tags.* is blank", "")] * 2 == problems(answer, {"x": 1})
        assert [("… must be a number in E.164", "phone")] == problems(
            number, {"phone": "1"}
        )

    def test_a_name_below_a_name(self) -> None:
        """A problem of a part of an object is of one kind with those of others."""
        payload = {"properties": {"a b": 1, "c": 2}}
        reasons = [f"properties.{name}: must be an array" for name in ("a b", "c", "d")]
        answers = [Response(422, {}, reason=reason) for reason in reasons]

        assert [
            ("…: must be an array", "properties.a b"),
            ("…: must be an array", "properties.c"),
            ("properties.d: must be an array", ""),
        ] == [problems(answer, payload)[0] for answer in answers]

    @pytest.mark.usefixtures("folder")
    def test_kinds_of_labelled_data(self) -> None:
        """In ``evaluate`` too a dozen of unknown names make one line."""
        rows = [{"who": "a", "email": "a@x.org", f"n{n}": n} for n in range(40)]
        content = "\n".join(map(json.dumps, rows))
        words = ("LeadConnector", "-", "--truth", "who", "--set", "locationId=L")
        output = run("evaluate", *words, stdin=content, code=1).output
        told = [line for line in output.splitlines() if "should not exist (" in line]

        assert 1 == len(told)
        assert "property … should not exist (40)" in told[0]

    @pytest.mark.usefixtures("folder")
    def test_many_kinds_of_labelled_data(self) -> None:
        """In ``evaluate`` too at most twenty are told."""
        fields = BY_NAME["LeadConnector"]().policy.fields
        rows = [{"who": "a", name: 1.5} for name in fields]
        content = "\n".join(map(json.dumps, [*rows, rows[-1]]))
        words = ("LeadConnector", "-", "--truth", "who", "--set", "locationId=L")
        output = run("evaluate", *words, stdin=content, code=1).output
        told = [line for line in output.splitlines() if "refused   " in line][1:]

        assert 21 == len(told)
        assert f"for other reasons ({len(fields) - 20})" in told[-1]
        assert f"{list(fields)[-1]} must" in told[0]


class TestPlaceholders:
    """What is no key is said."""

    CONTENT = (
        "trackingId,email,firstName,lastName\nnull,a@x.org,A,B\nnull,b@x.org,C,D\n"
    )

    def test_two_people_of_one_placeholder_are_two(self, folder: Path) -> None:
        """The table says that it was left out, and how to have it taken."""
        words = ("upsert", "Anduin", "-", "--book", "b.jsonl", *sets("Anduin"))
        output = run(*words, stdin=self.CONTENT).output

        told = (
            "ignored: trackingId (a placeholder; --set placeholders=false accepts it)"
        )
        assert f"{told} 2".split() == [
            word
            for line in output.splitlines()
            if told in line
            for word in line.split()
        ]
        head, *contacts, _last = (folder / "b.jsonl").read_text("utf-8").splitlines()
        assert {"placeholders": "true"} == json.loads(head)["options"]
        assert 2 == len(contacts)

    def test_they_are_taken_where_that_is_said(self, folder: Path) -> None:
        """The book remembers it."""
        words = ("upsert", "Anduin", "-", "--book", "b.jsonl", *sets("Anduin"))
        run(*words, "--set", "placeholders=false", stdin=self.CONTENT, code=0)
        before = (folder / "b.jsonl").read_bytes()
        assert 3 == before.count(b"\n")
        run(*words, stdin=self.CONTENT.splitlines(keepends=True)[0] + "null,,A,B\n")

        assert b'"placeholders": "false"' in (folder / "b.jsonl").read_bytes()

    @pytest.mark.usefixtures("folder")
    def test_the_laws_are_those_of_the_profile(self) -> None:
        """What files need is no part of them."""
        words = ("laws", "SalesforceIQ", "--contacts", "0")

        assert run(*words).output == run(*words, "--set", "placeholders=false").output

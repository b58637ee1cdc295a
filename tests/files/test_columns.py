"""How columns become fields, and what is reported of it."""

from __future__ import annotations

import io
from typing import Any

import pytest

from upsertcore.files.column_map import BadMap, ColumnMap, parse_map
from upsertcore.files.columns import Columns
from upsertcore.files.reading import read_rows
from upsertcore.files.ready_maps import ready_map
from upsertcore.files.row_plan import split_cell
from upsertcore.files.rows import BadHeader
from upsertcore.profiles.target import Target
from upsertcore.profiles.text_cells import split_words

CRM = Target(
    "crm",
    ("email", "phone", "firstName", "lastName", "tags", "birthday", "custom"),
    many={"tags": split_words},
    prefixes=("custom.",),
)
OPEN = Target("crm", ("email",), open_fields=True, many_others=lambda cell: [cell])


def rows_of(columns: Columns, text: str, name: str = "x.csv") -> list[Any]:
    """Read rows as payload or error."""
    rows = read_rows(io.BytesIO(text.encode()), name, columns)
    return [row.error or row.payload for row in rows]


def crm(
    map_file: str = "", rename: dict[str, str] | None = None, **how: Any
) -> Columns:
    """Return columns for the CRM."""
    map_of_file = parse_map(map_file, "m.toml") if map_file else ColumnMap()
    return Columns(rename or {}, map=map_of_file, **{"target": CRM} | how)


class TestNames:
    """Columns are found by name."""

    def test_column_that_differs_in_spelling_is_renamed_and_noted(self) -> None:
        columns = crm()

        assert [{"email": "a@x.org", "firstName": "A", "custom.size": "7"}] == rows_of(
            columns, "E-Mail,first_name,custom.size\na@x.org,A,7\n"
        )
        assert ["renamed: E-Mail -> email, first_name -> firstName"] == [
            *columns.notes()
        ]

    def test_columns_as_they_are_spelled_are_not_noted(self) -> None:
        columns = crm()
        rows_of(columns, "email,firstName\na@x.org,A\n")

        assert [] == [*columns.notes()]

    def test_map_is_compared_like_a_column(self) -> None:
        """A column that is spelled so comes first."""
        columns = crm(rename={"Hand-y": "Phone", "Mail": "firstName", "X": ""})

        assert [{"phone": "1", "email": "e", "firstName": "m"}] == rows_of(
            columns, "handy,mail,Mail,x\n1,e,m,9\n"
        )
        assert "" == columns.missing()

    def test_map_of_a_missing_column_is_reported_with_the_columns(self) -> None:
        columns = crm(rename={"Handy": "phone"})
        rows_of(columns, "email\na@x.org\n")

        assert "--map: no column 'Handy'; the columns are 'email'" == columns.missing()

    def test_map_of_a_name_that_no_object_has_is_reported(self) -> None:
        columns = crm(rename={"Handy": "phone"})
        rows_of(columns, '{"email": 1}', "x.jsonl")

        assert "--map: no column 'Handy'" == columns.missing()

    def test_map_to_an_unknown_field_is_refused_with_the_nearest(self) -> None:
        with pytest.raises(
            BadHeader, match="--map: crm has no field 'phon'; use phone"
        ):
            rows_of(crm(rename={"A": "phon"}), "A\n1\n")
        with pytest.raises(BadHeader, match=r"m\.toml: crm has no field 'xyz'$"):
            rows_of(crm('columns = {A = "xyz"}'), "A\n1\n")

    def test_map_to_a_standard_word_is_its_field(self) -> None:
        target = Target("crm", ("mailbox",), aliases={"email": "mailbox"})
        columns = Columns({"A": "email"}, target=target)

        assert [{"mailbox": "1"}] == rows_of(columns, "A\n1\n")

    def test_unknown_columns_are_refused_together_with_the_nearest_fields(
        self,
    ) -> None:
        message = (
            r"2 columns have no field in crm: 'Frist Name' \(firstName\?\), 'Loyalty'; "
            r"map each with --map 'Frist Name=firstName', keep one with "
            r"--map 'Frist Name=custom.Frist Name', drop one with --map 'Frist Name=', "
            r"or drop all of them with --only-mapped"
        )
        with pytest.raises(BadHeader, match=message):
            rows_of(crm(), "email,Frist Name,Loyalty\n")
        with pytest.raises(
            BadHeader, match="1 column has no field in crm: 'Loyalty'; "
        ):
            rows_of(crm(target=Target("crm", ("email",))), "email,Loyalty\n")

    def test_map_that_meets_no_column_is_part_of_that_message(self) -> None:
        columns = crm(rename={"Frist name": "firstName"})
        message = "--only-mapped; --map: no column 'Frist name'; the columns are 'Name'"
        with pytest.raises(BadHeader, match=message):
            rows_of(columns, "Name\n")

    def test_unknown_columns_are_left_out_on_demand(self) -> None:
        content = "email,Loyalty\na@x.org,7\n"

        for columns in (crm(only_mapped=True), crm(target=OPEN, only_mapped=True)):
            assert [{"email": "a@x.org"}] == rows_of(columns, content)
        only = Columns({"email": "mail"}, only_mapped=True)
        assert [{"mail": "a@x.org"}] == rows_of(only, content)

    def test_unknown_columns_are_fields_of_an_open_target(self) -> None:
        assert [{"email": "a@x.org", "Loyalty": "7"}] == rows_of(
            crm(target=OPEN), "E-mail,Loyalty\na@x.org,7\n"
        )

    def test_parameter_is_refused_as_a_column(self) -> None:
        columns = crm(reserved=frozenset({"firm"}))
        with pytest.raises(BadHeader, match="firm is a parameter, not a field"):
            rows_of(columns, "email,firm\n")

    def test_header_without_a_field_is_refused(self) -> None:
        with pytest.raises(BadHeader, match="no column is left; the columns are 'A'"):
            rows_of(crm(rename={"A": ""}), "A\n1\n")


class TestSeveralColumns:
    """Several columns for one field."""

    def test_list_has_the_values_of_all_columns(self) -> None:
        """In the order of the columns, each once."""
        columns = crm(rename={"Groups": "tags"})

        assert [{"tags": ["a", "b", "c"]}, {"tags": ["c"]}, {"email": "x"}] == rows_of(
            columns, "Labels,Groups,email\na;b,b;c,\n,c,\n;,,x\n"
        )
        assert "several columns for one field: tags: all values of Labels, Groups" in [
            *columns.notes()
        ]

    def test_single_value_is_the_first_that_is_filled(self) -> None:
        """The others are counted, unless they are equal."""
        columns = crm(rename={"Mobile": "phone", "Fax": "phone"})

        assert [{"phone": "1"}, {"phone": "2"}, {"phone": "3"}] == rows_of(
            columns, "Mobile,Fax\n1,2\n,2\n3,3\n"
        )
        assert [
            (
                "several columns for one field: "
                "phone: the first that is filled of Mobile, Fax"
            ),
            "Fax: 1 value was left out: phone takes one value",
        ] == [*columns.notes()]

    def test_column_may_be_several_fields(self) -> None:
        columns = crm('columns = {A = ["phone", "custom.a"]}')

        assert [{"phone": "1", "custom.a": "1"}] == rows_of(columns, "A\n1\n")


class TestMapFile:
    """What a map file says of cells."""

    def test_cells_are_split_by_the_separator(self) -> None:
        """A value in quotes may contain it; a single value is the first one."""
        columns = crm('separators = {tags = "|", phone = "::"}')

        assert [{"tags": ["a", "b|c"], "phone": "1"}] == rows_of(
            columns, 'tags,phone\n"a|""b|c""",1 :: 2\n'
        )

    def test_unclosed_quote_of_a_list_is_a_character(self) -> None:
        columns = crm('separators = {tags = "|"}')

        assert [{"tags": ["a", '5"x"', "b"]}] == rows_of(
            columns, 'tags\n"a|5""x""|b"\n'
        )

    def test_line_break_outside_quotes_is_a_character_of_a_list(self) -> None:
        assert ['"a"', "b\nc"] == split_cell('"a"|b\nc', "|")

    def test_separator_of_the_caller_comes_before_that_of_a_ready_map(self) -> None:
        columns = crm('separators = {Labels = "/"}')
        header = "First Name,Last Name,E-mail 1 - Value,Labels"

        assert [{"tags": ["a ::: b", "c"]}] == [
            {"tags": row["tags"]}
            for row in rows_of(columns, f"{header}\n,,,a ::: b/c\n")
        ]

    def test_cell_that_clears_is_null(self) -> None:
        """A list of several columns is cleared if none has a value."""
        columns = crm('clear = ["#N/A"]\ncolumns = {A = "tags", B = "tags"}')

        assert [
            {"email": None, "tags": None},
            {"email": "x", "tags": ["b"]},
        ] == rows_of(columns, "email,A,B\n#N/A,#N/A,\nx,#N/A,b\n")

    def test_values_are_left_out_and_counted_by_reason(self) -> None:
        columns = crm(
            'omit = [{columns = ["phone"], values = "0+", why = "no number"}]'
        )
        text = "phone,email\n0,a\n00,b\n1,c\n"

        assert [{"email": "a"}, {"email": "b"}, {"phone": "1", "email": "c"}] == [
            {name: row[name] for name in ("phone", "email") if name in row}
            for row in rows_of(columns, text)
        ]
        assert ["phone: 2 values were left out: no number"] == [*columns.notes()]

    def test_dates_of_a_known_order_become_iso_dates(self) -> None:
        """What is no such date stays."""
        columns = crm('dates = {birthday = "DMY"}')
        cells = ["25/9/1990", "1.2.1990", "31.2.1990", "1.2.90", "1990", "1/2-1990"]

        assert ["1990-09-25", "1990-02-01", *cells[2:]] == [
            row["birthday"] for row in rows_of(columns, "\n".join(["birthday", *cells]))
        ]

    def test_values_become_others_and_their_case_does_not_matter(self) -> None:
        """Those of the caller come before those of a ready map."""
        columns = crm('values = {phone = {NONE = "0"}}')

        assert [{"phone": "0"}, {"phone": "1"}] == rows_of(columns, "phone\nnone\n1\n")
        assert [{"phone": "0"}, {"phone": 1}] == rows_of(
            columns, '{"phone": "None"}\n{"phone": 1}\n', "x.jsonl"
        )
        email = 'values = {"Email status" = {unsubscribed = "out"}}'
        header = "Email address,First name,Last name,Email status"
        target = Target("crm", CRM.fields, aliases={"opted_out": "custom"})
        [row, _] = rows_of(
            crm(email, target=target), f"{header}\na,,,Unsubscribed\nb,,,Active\n"
        )
        assert {"email": "a"} == row

    def test_file_is_read_as_the_map_says(self) -> None:
        """Its encoding, delimiter and null strings."""
        columns = crm("delimiter = '/'\nencoding = 'cp1252'\nnull = '-'")
        content = "email/firstName/lastName\na/J\xfcrgen/-\n".encode("cp1252")
        [row] = read_rows(io.BytesIO(content), "x.csv", columns)

        assert {"email": "a", "firstName": "J\xfcrgen"} == row.payload

    def test_map_file_names_the_export_and_drops_unknown_columns(self) -> None:
        columns = crm('from = "linkedin"\nonly_mapped = true')

        assert [{"firstName": "A"}] == rows_of(
            columns, "Notes:\n\nFirst Name,Loyalty\nA,7\n"
        )

    def test_header_is_on_the_line_of_the_map(self) -> None:
        assert [{"email": "a@x.org"}] == rows_of(
            crm("header = 3"), "Report\n,,\nemail\na@x.org\n"
        )

    def test_text_that_is_known_does_not_move_the_line_of_the_header(self) -> None:
        """A blank line or a quoted cell of two lines may be part of it."""
        text = 'preamble = "About"\nheader = 5\n'
        rows = rows_of(crm(text), 'About\n"two\nlines"\n\nemail\na@x.org\n')

        assert [{"email": "a@x.org"}] == rows

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            (2, "header: line 2 is within a quoted cell"),
            (4, "line 4 must name the columns"),
            (9, "line 9 must name the columns"),
        ],
    )
    def test_line_that_is_no_header_is_refused(self, line: int, message: str) -> None:
        with pytest.raises(BadHeader, match=message):
            [*rows_of(crm(f"header = {line}"), '"a\nb"\nemail\n\na@x.org\n')]

    def test_text_before_the_header_is_not_read_and_noted(self) -> None:
        columns = crm('preamble = "About"')

        assert [{"email": "a@x.org"}] == rows_of(
            columns, 'About\n"two\nlines"\n\nemail\na@x.org\n'
        )
        assert ["the text before the header was not read: 'About'"] == [
            *columns.notes()
        ]

    def test_lines_below_the_table_are_noted_not_rows(self) -> None:
        """Other rows after a blank line are rows."""
        columns = crm("footer = true")
        text = "email,phone\na,1\nb\n\nc,2\nThe end\nPage 1\nd,3\n"

        assert [
            {"email": "a", "phone": "1"},
            "has 1 cells, but the header has 2",
            {"email": "c", "phone": "2"},
            {"email": "d", "phone": "3"},
        ] == rows_of(columns, text)
        assert [
            (
                "the table ends before line 6, 'The end'; "
                "lines of one cell below it are no rows"
            )
        ] == [*columns.notes()]

    def test_dropped_columns_are_left_out_without_a_note(self) -> None:
        columns = crm('drop = ["Photo"]')

        assert [{"email": "a"}] == rows_of(columns, "email,photo\na,x\n")
        assert [] == [*columns.notes()]


class TestUnnamedColumns:
    """The index of a data frame."""

    @pytest.mark.parametrize("name", ["", "Unnamed: 0"])
    def test_column_that_numbers_the_rows_is_left_out_and_noted(
        self, name: str
    ) -> None:
        columns = crm()

        assert [{"email": "a"}, {"email": "b"}, {"email": "c"}] == rows_of(
            columns, f"{name},email\n0,a\n1,b\n5,c\n"
        )
        assert ["a column without a name numbers the rows; it was left out"] == [
            *columns.notes()
        ]

    @pytest.mark.parametrize("cells", ["7,a", "0,a\n0,b", "x,a", f"{'1' * 19},a"])
    def test_other_value_without_a_name_is_an_error(self, cells: str) -> None:
        rows = rows_of(crm(), f",email\n{cells}\n")

        assert "has a value in an unnamed column" == rows[-1]

    def test_name_that_pandas_gives_is_a_column_without_a_target(self) -> None:
        assert [{"Unnamed: 0": "0", "email": "a"}] == rows_of(
            Columns({}), "Unnamed: 0,email\n0,a\n"
        )

    def test_blank_column_without_a_name_is_not_noted(self) -> None:
        columns = crm()

        assert [{"email": "a"}] == rows_of(columns, "email,\na,\n")
        assert [] == [*columns.notes()]


class TestObjects:
    """Names at the top of objects."""

    def test_record_of_a_known_format_has_the_fields_of_its_words(self) -> None:
        """What the target does not have is left out and noted."""
        columns = crm()
        record = {"phone": ["1", "2"], "categories": ["a"], "note": "n", "name": "A"}

        assert {"phone": "1", "tags": ["a"]} == columns.rename_record(
            record, ready_map("vcard")
        )
        assert "left out, since crm has no field for it: note, name" in [
            *columns.notes()
        ]

    def test_record_without_a_target_stays(self) -> None:
        record = {"phone": ["1", "2"], "note": "n"}

        assert record == Columns({}).rename_record(record, ready_map("vcard"))
        renamed = Columns({"note": "x"}).rename_record(record, ready_map("vcard"))
        assert {"phone": ["1", "2"], "x": "n"} == renamed

    def test_names_are_compared_and_unknown_ones_stay(self) -> None:
        """A null stays; of several names the first that is filled counts."""
        columns = crm(rename={"Cell": "phone"})
        text = '{"E-Mail": null, "Loyalty": 7, "": 1}\n{"Cell": "", "phone": 5}\n'

        assert [{"email": None, "Loyalty": 7, "": 1}, {"phone": 5}] == rows_of(
            columns, text, "x.jsonl"
        )

    def test_lists_are_joined(self) -> None:
        columns = crm(rename={"Groups": "tags"})
        text = '{"tags": ["a"], "Groups": "b;c"}\n{"tags": 7, "Groups": []}\n'

        assert [{"tags": ["a", "b", "c"]}, {"tags": [7]}] == rows_of(
            columns, text, "x.jsonl"
        )

    def test_unknown_names_are_left_out_on_demand(self) -> None:
        columns = crm(only_mapped=True)

        assert [{"email": 1}] == rows_of(columns, '{"Email": 1, "x": 2}', "x.jsonl")

    def test_map_to_a_parameter_is_refused(self) -> None:
        columns = crm(rename={"F": "firm"}, reserved=frozenset({"firm"}))
        with pytest.raises(BadHeader, match="firm is a parameter"):
            rows_of(columns, '{"F": 1}', "x.jsonl")

    def test_objects_of_many_shapes_take_bounded_memory(self) -> None:
        columns = crm()
        text = "".join(f'{{"Email": 1, "x{n}": 2}}\n' for n in range(1_100))
        rows_of(columns, text, "x.jsonl")

        assert len(columns._object_plans) <= 1_000

    def test_omitted_value_that_is_no_text_stays(self) -> None:
        columns = crm('omit = [{values = "0", why = "zero"}]\ndates = {phone = "DMY"}')

        assert [{"phone": 0}] == rows_of(columns, '{"phone": 0}', "x.jsonl")


class TestReadyMaps:
    """Exports that are recognised."""

    HEADER = "First Name,Last Name,URL,Email Address,Company,Position,Connected On"

    def test_recognised_export_is_noted_with_what_is_left_out(self) -> None:
        columns = crm()
        text = f"{self.HEADER}\nA,B,u,a@x.org,C,P,12 Mar 2021\n"

        assert [{"firstName": "A", "lastName": "B", "email": "a@x.org"}] == rows_of(
            columns, text
        )
        assert [
            (
                "recognised as an export of LinkedIn Connections: "
                "First Name -> firstName, Last Name -> lastName, Email Address -> email"
            ),
            "left out, since crm has no field for it: URL, Company, Position",
            "left out: Connected On",
        ] == [*columns.notes()]

    def test_column_that_the_map_does_not_know_is_refused(self) -> None:
        with pytest.raises(BadHeader, match="1 column has no field in crm: 'Loyalty'"):
            rows_of(crm(), f"{self.HEADER},Loyalty\n")

    def test_no_map_applies_if_switched_off(self) -> None:
        with pytest.raises(BadHeader, match="4 columns have no field"):
            rows_of(crm(ready="none"), f"{self.HEADER}\n")
        with pytest.raises(BadHeader):
            rows_of(crm(ready="none"), f"Notes:\n\n{self.HEADER}\n")

    def test_map_applies_by_name(self) -> None:
        """Its preamble too."""
        columns = crm(ready="LinkedIn")

        assert [{"firstName": "A"}] == rows_of(
            columns, "Notes:\nx\n\nFirst Name,URL\nA,u\n"
        )

    def test_unknown_name_is_refused_with_the_names(self) -> None:
        with pytest.raises(BadMap, match="--from: no ready map 'crm'; there are beehi"):
            crm(ready="crm")

    def test_header_that_fits_two_maps_is_noted_and_not_guessed(self) -> None:
        columns = crm(only_mapped=True)
        rows_of(
            columns,
            "Contact Id,Order #,Order Date,First Name,Last Name,Phone,Email,Event Name,"
            "Tags\n",
        )

        assert (
            "the columns fit the exports of Eventbrite attendees and GoHighLevel "
            "(LeadConnector); name one with --from"
        ) == next(columns.notes())

    def test_field_that_is_spelled_so_stays_unless_the_map_knows_better(self) -> None:
        """Kit calls something else a state; a dropped column may be a field."""
        fields = ("email", "state", "status", "title", "Title")
        target = Target("crm", fields)
        columns = crm(target=target)
        header = "first_name,email_address,state,created_at,tags,status"
        text = f"{header}\nA,a@x.org,active,,,s\n"

        assert [{"email": "a@x.org", "status": "s"}] == rows_of(columns, text)

    def test_map_of_the_caller_comes_first(self) -> None:
        """What the map would leave out is then taken as it is."""
        columns = crm(rename={"Date of Birth": "birthday"}, only_mapped=True)
        header = "Record Id,Contact Owner.id,Contact Owner,First Name,Last Name,Email"
        text = f"{header},Date of Birth\n1,2,O,A,B,a@x.org,25/09/1990\n"

        assert "25/09/1990" == rows_of(columns, text)[0]["birthday"]

    def test_order_of_dates_of_the_caller_comes_before_the_reasons_of_a_map(
        self,
    ) -> None:
        columns = crm('dates = {"Date of Birth" = "DMY"}')
        header = "Record Id,Contact Owner.id,Contact Owner,First Name,Last Name,Email"
        text = f"{header},Date of Birth\n1,2,O,A,B,a@x.org,2/9/1990\n"

        assert "1990-09-02" == rows_of(columns, text)[0]["birthday"]

    def test_constant_of_a_map_is_part_of_every_row(self) -> None:
        """A word that the target does not have is noted."""
        header = "Email Address,MEMBER_RATING,LEID,UNSUB_TIME"
        text = f"{header}\na@x.org,1,2,3\n"
        aliases = {"opted_out": "custom"}
        known = crm(target=Target("crm", CRM.fields, aliases=aliases))
        unknown = crm()

        assert [{"custom": "true", "email": "a@x.org"}] == rows_of(known, text)
        assert [{"email": "a@x.org"}] == rows_of(unknown, text)
        assert any("every row -> custom: true" in note for note in known.notes())
        assert any("opted_out (true in every row)" in n for n in unknown.notes())

    def test_several_columns_of_a_map_are_in_the_order_of_the_map(self) -> None:
        """A mobile number comes before one that colleagues share."""
        header = "First Name,Last Name,E-mail Address,Business Phone,Mobile Phone"

        assert [{"phone": "2"}] == rows_of(crm(), f"{header}\n,,,1,2\n")

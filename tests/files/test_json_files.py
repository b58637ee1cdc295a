"""JSON that is more than an array or lines: single objects and envelopes."""

from __future__ import annotations

import io
import json
from contextlib import closing
from typing import Any

import pytest

from upsertcore.files.columns import Columns
from upsertcore.files.read_options import ReadOptions
from upsertcore.files.reading import read_rows
from upsertcore.files.rows import UnreadableFile

ADA, BO = {"email": "ada@x.org"}, {"email": "bo@x.org", "tags": ["a", "}]"]}


def rows(text: str, name: str = "x.json", **how: Any) -> list[tuple[int, Any]]:
    """Read text, as (line, payload or error)."""
    stream = io.BytesIO(text.encode())
    found = read_rows(stream, name, Columns({}), ReadOptions(**how))
    return [(row.line, row.error or row.payload) for row in found]


class TestObjects:
    """Objects at the top."""

    @pytest.mark.parametrize("name", ["x.json", "-", "x.json.txt"])
    def test_pretty_object_is_one_row(self, name: str) -> None:
        assert rows("\n" + json.dumps(BO, indent=2) + "\n", name) == [(2, BO)]

    def test_pretty_objects_after_each_other_are_rows(self) -> None:
        text = "\n\n".join(json.dumps(each, indent=2) for each in (BO, ADA, BO))

        assert rows(text) == [(1, BO), (9, ADA), (13, BO)]

    def test_malformed_pretty_object_is_an_error_and_the_next_one_is_read(self) -> None:
        (first, second) = rows('{\n "a": ,\n}\n{\n "b": 1\n}\n')

        assert first[0] == 1
        assert "is not valid JSON" in first[1]
        assert second == (4, {"b": 1})

    def test_open_bracket_in_the_first_of_several_lines_is_an_error_of_it(self) -> None:
        (first, second) = rows('{"a": {"b": 1\n{"c": 1}\n')

        assert first[1].startswith("is not valid JSON")
        assert second == (2, {"c": 1})

    def test_one_line_is_a_row(self) -> None:
        assert rows('{"a": {bad}}') != rows('{"a": 1}') == [(1, {"a": 1})]

    def test_unclosed_object_names_the_lines(self) -> None:
        with pytest.raises(UnreadableFile, match=r"line 3: .* lines 3 to 5 were not"):
            rows('{\n"a": 1}\n{"b": {\n"c": 1\n}\n')
        with pytest.raises(UnreadableFile, match=r"line 1: .* line 1 was not read"):
            rows('{"b": {')

    def test_object_over_the_size_limit_ends_the_file(self) -> None:
        text = '{"a": [\n' + "1,\n" * (6 << 20)

        with pytest.raises(UnreadableFile, match="lines 1 to 6291457 were not read"):
            rows(text)
        with pytest.raises(UnreadableFile, match="line 1 is longer than 16777216 "):
            rows('{"a": "' + "x" * (1 << 24))


class TestEnvelopes:
    """Arrays within an object."""

    @pytest.mark.parametrize("indent", [None, 2])
    @pytest.mark.parametrize(
        ("envelope", "path"),
        [
            ({"contacts": [ADA, BO]}, "contacts"),
            ({"data": {"contacts": [ADA]}, "total": 1}, "data.contacts"),
            ({"results": [{"id": 1, "properties": ADA}], "tags": []}, "results"),
            ({"people": [{"name": "Ada"}], "pages": [{"next": 2}]}, "people"),
            ({"a": [ADA], "b": [BO]}, "a"),
        ],
    )
    def test_envelope_is_refused_with_its_path(
        self, envelope: Any, path: str, indent: int | None
    ) -> None:
        text = json.dumps(envelope, indent=indent)

        with pytest.raises(UnreadableFile, match=f"path: .* with path {path}$"):
            rows(text)
        expected: Any = envelope
        for name in path.split("."):
            expected = expected[name]
        assert [row for _line, row in rows(text, path=path)] == expected

    @pytest.mark.parametrize(
        "payload",
        [
            {"email": "ada@x.org", "customFields": [{"name": "size", "value": 1}]},
            {"properties": {"email": [{"value": "ada@x.org"}]}},
            {"id": 1, "customFields": [{"id": "x", "value": 1}]},
            {"contacts": ["ada@x.org"]},
            {"contacts": []},
        ],
        ids=str,
    )
    def test_contact_with_arrays_is_a_row(self, payload: Any) -> None:
        assert rows(json.dumps(payload)) == [(1, payload)]

    def test_single_line_of_json_lines_is_a_row(self) -> None:
        payload = {"contacts": [ADA]}

        assert rows(json.dumps(payload), "x.jsonl") == [(1, payload)]
        assert rows('{"contacts": [{"email": }]}')[0][1].startswith("is not valid JSON")

    def test_elements_have_their_lines_and_malformed_ones_are_errors(self) -> None:
        text = '{"n": "a\\"]",\n"data": {"no": [[1]],\n"d": [\n1,\n{bad},\n2]}}\n'
        (first, second, third) = rows(text, path="data.d")

        assert (first, third) == ((4, 1), (6, 2))
        assert second[0] == 5

    def test_pages_after_each_other_are_read(self) -> None:
        text = '{"data": [1], "next": 2} :\n{"data": [2]}\n{"other": []}\n'

        assert rows(text, "x.jsonl", path="data") == [(1, 1), (2, 2)]

    @pytest.mark.parametrize(
        ("text", "path", "message"),
        [
            (
                '{"a": [], "b": {"c": [[]]}}',
                "b",
                "no array at 'b'; arrays are at 'a', '",
            ),
            ('{"a": 1}', "a", "no array at 'a'; the object has no arrays"),
            ('{"a": [{"b": [1]}]}', "b", "no array at 'b'; arrays are at 'a'"),
            ("[1]", "a", "path: the file has no arrays within objects"),
            ('{"a": [1]]}', "a", "line 1: ] closes nothing; the lines after it"),
            ('{"a": 1}}', "a", "line 1: } closes nothing"),
        ],
    )
    def test_path_that_leads_to_no_array_is_refused(
        self, text: str, path: str, message: str
    ) -> None:
        with pytest.raises(UnreadableFile, match=message.replace("]", r"\]", 1)):
            rows(text, path=path)

    def test_path_of_a_table_is_refused(self) -> None:
        with pytest.raises(UnreadableFile, match="path: the file has no arrays"):
            rows("a\n1\n", "x.csv", path="a")
        with pytest.raises(UnreadableFile, match="sheet: the file has no sheets"):
            rows("a\n1\n", "x.csv", sheet="a")

    def test_truncated_envelope_is_an_error_after_its_elements(self) -> None:
        assert rows('{"a": [1,', path="a") == [(1, 1), (1, "the array is not closed")]
        assert rows('{"a": [1]', path="a") == [(1, 1), (1, "the object is not closed")]

    def test_escaped_names_and_names_over_blocks_are_found(self) -> None:
        long = "x" * 70_000
        text = json.dumps({"\u00e9": {long: {"d": ["\\" * 66_000, 1]}}})

        assert [row for _line, row in rows(text, path=f"\u00e9.{long}.d")][1] == 1
        assert rows('{"\\x": [], "d": [1], "e', path="d") == [
            (1, 1),
            (1, "the object is not closed"),
        ]

    def test_first_element_is_read_without_the_rest(self) -> None:
        raw = io.BytesIO(b'{"data": [' + b"1,\n" * 1_000_000 + b"1]}")
        options = ReadOptions(path="data")
        with closing(read_rows(raw, "x.json", Columns({}), options)) as found:
            next(found)

            assert raw.tell() < 500_000

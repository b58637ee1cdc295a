"""Rows of input files, valid and invalid."""

from __future__ import annotations

import io
import json
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upsertcore.files.columns import Columns
from upsertcore.files.json_rows import parse_json
from upsertcore.files.reading import read_rows
from upsertcore.files.rows import BadHeader, InputRow, UnreadableFile

NO_TEXT = "is not UTF-8 text; for an older export, try encoding=cp1252 or latin-1"


def input_rows(content: bytes, name: str = "-", **rename: str) -> list[InputRow]:
    """Read the rows of some bytes."""
    return list(read_rows(io.BytesIO(content), name, Columns(rename)))


def line_results(
    content: bytes, name: str = "-", **rename: str
) -> list[tuple[int, Any]]:
    """Read rows as (line, payload or error)."""
    return [
        (row.line, row.error or row.payload)
        for row in input_rows(content, name, **rename)
    ]


class TestCsv:
    """Tables."""

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    @pytest.mark.parametrize("line_end", ["\n", "\r\n"])
    def test_csv_of_any_encoding_delimiter_and_line_end_is_read(
        self, encoding: str, delimiter: str, line_end: str
    ) -> None:
        """Blank cells and rows are left out, and cells are stripped."""
        text = line_end.join(["a,b,c", " é ,,x", ",,", "", '"u, v";,1,', ""])
        text = text.replace('"u, v";', '"u, v"').replace(",", delimiter)
        text = text.replace(f'"u{delimiter} v"', f'"u{delimiter} v"')

        assert line_results(text.encode(encoding), "x.csv") == [
            (2, {"a": "é", "c": "x"}),
            (5, {"a": f"u{delimiter} v", "b": "1"}),
        ]

    def test_line_of_a_row_counts_line_breaks_in_cells(self) -> None:
        content = b'a,b\n"x\ny",1\nz,2\n'

        assert line_results(content) == [
            (2, {"a": "x\ny", "b": "1"}),
            (4, {"a": "z", "b": "2"}),
        ]

    def test_invalid_row_is_an_error_and_later_rows_are_read(self) -> None:
        content = b'a,b,\n1\n1,2,3\n"x"y,2,\n\xff,2,\nok,2,\n'

        assert line_results(content, "x.csv") == [
            (2, "has 1 cells, but the header has 3"),
            (3, "has a value in an unnamed column"),
            (4, "is not valid CSV: ',' expected after '\"'"),
            (5, NO_TEXT),
            (6, {"a": "ok", "b": "2"}),
        ]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "must name the columns"),
            (b",,\n", "must name the columns"),
            (b"a,b,a\n", "duplicate column 'a'"),
            (b"a,\xff\n", "is not UTF-8 text"),
            (b'"a"b\n', "the first line is not valid CSV"),
        ],
        ids=map(str, range(5)),
    )
    def test_invalid_header_is_refused(self, content: bytes, message: str) -> None:
        with pytest.raises(BadHeader, match=message):
            input_rows(content, "x.csv")

    def test_columns_are_renamed_or_left_out(self) -> None:
        """An empty name leaves a column out."""
        assert line_results(b"A,B,C\n1,2,3\n", "x.csv", A="a", B="") == [
            (2, {"a": "1", "C": "3"})
        ]

    def test_first_of_two_columns_for_a_field_is_read(self) -> None:
        """The second is where the first is blank."""
        content = b"A,B\n1,2\n,3\n4,\n"

        assert line_results(content, "x.csv", A="B") == [
            (2, {"B": "1"}),
            (3, {"B": "3"}),
            (4, {"B": "4"}),
        ]

    def test_truncated_utf_16_is_an_error_after_the_complete_rows(self) -> None:
        content = "a\nx\n".encode("utf-16") + b"\x00"

        assert line_results(content, "x.csv") == [
            (2, {"a": "x"}),
            (3, "is not utf-16-le text: it ends in the middle of a character"),
        ]

    def test_lone_surrogate_of_utf_16_is_an_error_of_its_row(self) -> None:
        """Later rows are read."""
        content = "a\nx\n\ud800\ny\n".encode("utf-16", "surrogatepass")

        assert line_results(content, "x.csv") == [
            (2, {"a": "x"}),
            (3, "is not utf-16 text"),
            (4, {"a": "y"}),
        ]

    @pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
    @pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.json"])
    def test_utf_16_without_a_byte_order_mark_is_detected(
        self, encoding: str, name: str
    ) -> None:
        """The first character decides."""
        text = {"x.csv": "a\né\n", "x.json": '[{"a": "é"}]'}.get(name, '{"a": "é"}')

        assert [row.payload for row in input_rows(text.encode(encoding), name)] == [
            {"a": "é"}
        ]

    @pytest.mark.parametrize(
        ("content", "read_before", "message"),
        [
            ('a,b\n1,2\n"x,2\n3,4\n5,6\n', 1, "line 3: .* lines 3 to 5 were not read"),
            ('a,b\n1,2\n3,"x\n4,5', 1, "line 3: .* lines 3 to 4 were not read"),
            ('a,b\n1,"x', 0, "line 2: .* line 2 was not read"),
            ('a,b\n1,"x\n2,y\n3,"z\n4,w\n', 0, "line 2: .* lines 2 to 5 were not"),
            ('a,b\n1,"x\ny",\n2,"\n3,4\n', 0, "line 4: .* lines 4 to 5 were not"),
        ],
        ids=["first cell", "last cell", "last line", "closed by another", "later"],
    )
    def test_open_quote_ends_the_file_and_names_the_lines(
        self, content: str, read_before: int, message: str
    ) -> None:
        """The rest is not read as one row."""
        rows = read_rows(io.BytesIO(content.encode()), "x.csv", Columns({}))
        valid: list[InputRow] = []
        with closing(rows), pytest.raises(UnreadableFile, match=message):
            valid += (row for row in rows if not row.error)

        assert read_before == len(valid)

    def test_invalid_row_of_several_lines_names_its_last_line(self) -> None:
        """A quote may open in one row and close in another."""
        content = b'a,b\n"x,1\ny,2\nz",3,4\n5,6\n'

        assert line_results(content) == [
            (2, "has 3 cells, but the header has 2; it ends on line 4"),
            (5, {"a": "5", "b": "6"}),
        ]

    def test_cell_over_the_size_limit_ends_the_file(self) -> None:
        """Later lines may belong to the cell."""
        content = b'a,b\n1,2\n"' + b"x" * (1 << 24) + b'y\n3,4\n",5\n6,7\n'
        rows = read_rows(io.BytesIO(content), "x.csv", Columns({}))

        assert {"a": "1", "b": "2"} == next(rows).payload
        with pytest.raises(
            UnreadableFile, match=r"line 3: .* lines 3 to 6 were not read"
        ):
            next(rows)

    def test_wide_header_is_read_in_linear_time(self) -> None:
        comparisons = 0

        class Name(str):
            __slots__ = ()
            __hash__ = str.__hash__

            def __eq__(self, other: object) -> bool:
                nonlocal comparisons
                comparisons += 1
                return str.__eq__(self, other)

        rename = {f"c{n}": Name(f"n{n}") for n in range(2_000)}
        content = ",".join(rename).encode() + b"\n"
        list(read_rows(io.BytesIO(content), "x.csv", Columns(rename)))

        assert comparisons < 40_000


class SlowPipe(io.RawIOBase):
    """A pipe that returns a byte at a time."""

    def __init__(self, content: bytes) -> None:
        self._rest = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._rest.read(1)
        buffer[: len(data)] = data
        return len(data)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    "text",
    ['\n\n [{"a": "1"}]', '\n{"a": "1"}\n', "a\n1\n"],
    ids=["array", "lines", "csv"],
)
def test_format_of_a_slow_pipe_is_detected(encoding: str, text: str) -> None:
    """The number of available bytes does not matter."""
    stream: Any = io.BufferedReader(SlowPipe(text.encode(encoding)))

    assert [row.payload for row in read_rows(stream, "-", Columns({}))] == [{"a": "1"}]


class TestJsonLines:
    """One payload a line."""

    def test_invalid_line_is_an_error_and_later_lines_are_read(self) -> None:
        content = b'{"a": 1}\n\n{bad}\n[1]\n{"a": 1, "a": 2}\n{"\xff": 1}\n{"b": null}'
        results = line_results(content, "x.jsonl")

        assert results[:1] + results[2:3] + results[5:] == [
            (1, {"a": 1}),
            (4, [1]),
            (7, {"b": None}),
        ]
        assert "is not valid JSON: Expecting property name" in results[1][1]
        assert "duplicate name 'a'" in results[3][1]
        assert results[4] == (6, NO_TEXT)

    def test_names_of_objects_are_renamed_or_left_out(self) -> None:
        """Only at the top level."""
        content = b'{"A": 1, "B": 2, "C": 3}\n{"C": 1}\n[]\n'

        assert line_results(content, "x.ndjson", A="a", B="") == [
            (1, {"a": 1, "C": 3}),
            (2, {"C": 1}),
            (3, []),
        ]

    def test_first_of_two_names_for_a_field_is_read(self) -> None:
        content = b'{"A": 1, "a": 2}\n{"A": null, "a": 2}\n'

        assert line_results(content, "x.jsonl", A="a") == [(1, {"a": 1}), (2, {"a": 2})]


class TestJsonArray:
    """One array of payloads."""

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            ("[]", []),
            (" [ ] ", []),
            ("[1,\n2]", [(1, 1), (2, 2)]),
            (
                '[{"a": "],}\\\\\\""}, [[1], {}]]',
                [(1, {"a": '],}\\"'}), (1, [[1], {}])],
            ),
            ('[\n {"a":\n 1},\n\n "x"\n]', [(2, {"a": 1}), (5, "x")]),
            ("\n\n [1,\n2]\n[3]", [(3, 1), (4, 2), (5, 3)]),
        ],
        ids=map(str, range(6)),
    )
    def test_elements_are_read_with_their_first_lines(
        self, content: str, expected: Any
    ) -> None:
        assert line_results(content.encode(), "x.json") == expected

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            ('[1, {"a": }, 2]', [1, None, 2]),
            ('[1, "open\n, 2]', [1, None, 2]),
            ("[1, x}, 2]", [1, None, 2]),
            ("[1, 2", [1, 2, None]),
            ("[1] junk", [1, None]),
            ("[1, \\u, 2]", [1, None, 2]),
        ],
        ids=map(str, range(6)),
    )
    def test_invalid_element_is_an_error_and_later_elements_are_read(
        self, content: str, expected: Any
    ) -> None:
        """None is an error here."""
        assert [
            row.payload for row in input_rows(content.encode(), "x.json")
        ] == expected

    @pytest.mark.parametrize(
        ("content", "read_before", "message"),
        [
            ('[1,\n{"a": [2,\n3,\n4]\n', 1, "line 2: .* lines 2 to 4 were not read"),
            ('[1,\n{"a": 1,\n{"b": 2},\n3]', 1, "line 2: .* lines 2 to 4 were not"),
            ('[1, {"a": "x}, {"b": 2}, 3]', 1, "line 1: .* line 1 was not read"),
            ('[1, {"a": [2}, {"b": 3}]', 1, "line 1: .* line 1 was not read"),
        ],
        ids=["bracket", "brace", "quote", "other bracket"],
    )
    def test_open_element_ends_the_file_and_names_the_lines(
        self, content: str, read_before: int, message: str
    ) -> None:
        """The rest is not read as one element."""
        rows = read_rows(io.BytesIO(content.encode()), "x.json", Columns({}))
        valid: list[InputRow] = []
        with closing(rows), pytest.raises(UnreadableFile, match=message):
            valid += rows

        assert read_before == len(valid)

    def test_element_over_the_size_limit_ends_the_file(self) -> None:
        content = b'[1,\n{"a": [' + b"2,\n" * (6 << 20) + b"3]"
        rows = read_rows(io.BytesIO(content), "x.json", Columns({}))

        assert 1 == next(rows).payload
        with pytest.raises(UnreadableFile, match=r"lines 2 to 6291458 were not read"):
            next(rows)

    @given(
        st.lists(st.recursive(st.text() | st.integers(), st.lists), max_size=8),
        st.booleans(),
    )
    def test_array_of_any_values_is_read_unchanged(
        self,
        payload: list[Any],
        pretty: bool,  # noqa: FBT001 - drawn by hypothesis
    ) -> None:
        text = json.dumps(payload, indent=1 if pretty else None)

        assert [row.payload for row in input_rows(text.encode(), "x.json")] == payload

    def test_elements_across_blocks_of_the_file_are_read(self) -> None:
        payload = [{"a": "\\" * 40_001 + '"', "b": "x" * 70_000}, {"c": ["é"] * 30_000}]

        assert [
            row.payload for row in input_rows(json.dumps(payload).encode())
        ] == payload
        for size in range(65_530, 65_540):
            values = ["x" * (size - 4) + "\\", 1]
            assert [
                row.payload for row in input_rows(json.dumps(values).encode())
            ] == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "must not nest deeper than 64 levels"),
        ("1" * 5_000, "Exceeds the limit"),
        ('{"a": {"b": 1, "b": 2}}', "duplicate name 'b'"),
        ("", "Expecting value"),
    ],
    ids=["deep", "large", "twice", "blank"],
)
def test_unusable_json_is_a_value_error(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_json(text)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.csv", b"a\n" + b"1\n" * 1_000_000),
        ("x.jsonl", b'{"a": 1}\n' * 1_000_000),
        ("x.json", b"[" + b"1,\n" * 1_000_000 + b"1]"),
    ],
    ids=["csv", "lines", "array"],
)
def test_first_row_is_read_without_the_rest_of_the_file(
    name: str, content: bytes
) -> None:
    """Memory does not grow with the file."""
    raw = io.BytesIO(content)
    with closing(read_rows(raw, name, Columns({}))) as rows:
        next(rows)

        assert raw.tell() < 500_000


def test_duplicate_name_is_detected_in_linear_time() -> None:
    """The last of many names may be the duplicate."""
    names = [f'"k{number}": 1' for number in range(200_000)]
    text = f"{{{', '.join([*names, names[-1]])}}}"

    with pytest.raises(ValueError, match="duplicate name 'k199999'"):
        parse_json(text)


def test_blank_lines_before_the_header_are_read_up_to_a_limit() -> None:
    raw = io.BytesIO(b"\n" * 10_000_000)
    with (
        closing(read_rows(raw, "-", Columns({}))) as rows,
        pytest.raises(BadHeader, match="must name the columns"),
    ):
        next(rows)

    assert raw.tell() < 500_000

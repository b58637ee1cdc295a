"""Reading: what comes out of files, and what a bad row costs."""

from __future__ import annotations

import io
import json
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upsertcore.cli.input_files import read_rows
from upsertcore.cli.json_rows import parse_json
from upsertcore.cli.row_types import BadHeader, Columns, InputRow, UnreadableFile


def rows(content: bytes, name: str = "-", **rename: str) -> list[InputRow]:
    """Read the rows of some bytes."""
    return list(read_rows(io.BytesIO(content), name, Columns(rename)))


def told(content: bytes, name: str = "-", **rename: str) -> list[tuple[int, Any]]:
    """Read rows as (line, payload or error)."""
    return [(r.line, r.error or r.payload) for r in rows(content, name, **rename)]


class TestCsv:
    """Tables."""

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    def test_every_kind_of_export(
        self, encoding: str, delimiter: str, end: str
    ) -> None:
        """Any encoding and delimiter in use, blanks left out, cells stripped."""
        text = end.join(["a,b,c", " é ,,x", ",,", "", '"u, v";,1,', ""])
        text = text.replace('"u, v";', '"u, v"').replace(",", delimiter)
        text = text.replace(f'"u{delimiter} v"', f'"u{delimiter} v"')

        assert told(text.encode(encoding), "x.csv") == [
            (2, {"a": "é", "c": "x"}),
            (5, {"a": f"u{delimiter} v", "b": "1"}),
        ]

    def test_lines_are_those_of_the_file(self) -> None:
        """A quoted cell may run over several lines."""
        content = b'a,b\n"x\ny",1\nz,2\n'

        assert told(content) == [
            (2, {"a": "x\ny", "b": "1"}),
            (4, {"a": "z", "b": "2"}),
        ]

    def test_bad_rows_do_not_end_it(self) -> None:
        """Each is told of by line and reason, and the rest is read."""
        content = b'a,b,\n1\n1,2,3\n"x"y,2,\n\xff,2,\nok,2,\n'

        assert told(content, "x.csv") == [
            (2, "has 1 cells, but the header has 3"),
            (3, "has a value in an unnamed column"),
            (4, "is not valid CSV: ',' expected after '\"'"),
            (5, "is not UTF-8 text"),
            (6, {"a": "ok", "b": "2"}),
        ]

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (b"", "must name the columns"),
            (b",,\n", "must name the columns"),
            (b"a,b,a\n", "duplicate column 'a'"),
            (b"a,\xff\n", "is not UTF-8 text"),
            (b'"a"b\n', "the first line is not valid CSV"),
        ],
        ids=map(str, range(5)),
    )
    def test_a_first_line_that_cannot_be_used(self, content: bytes, words: str) -> None:
        """Nothing can be read then, and nothing is."""
        with pytest.raises(BadHeader, match=words):
            rows(content, "x.csv")

    def test_columns_are_renamed_and_left_out(self) -> None:
        """A column called nothing is left out; two may not be called the same."""
        assert told(b"A,B,C\n1,2,3\n", "x.csv", A="a", B="") == [
            (2, {"a": "1", "C": "3"})
        ]
        with pytest.raises(BadHeader, match="duplicate"):
            rows(b"A,B\n1,2\n", "x.csv", A="B")

    def test_text_that_ends_in_the_middle(self) -> None:
        """UTF-16 that is cut is told of, and what came before it is read."""
        content = "a\nx\n".encode("utf-16") + b"\x00"

        assert told(content, "x.csv") == [
            (2, {"a": "x"}),
            (3, "is not utf-16-le text: it ends in the middle of a character"),
        ]

    def test_half_a_character_of_utf_16_costs_its_row(self) -> None:
        """A lone surrogate is no text; the rows after it are read."""
        content = "a\nx\n\ud800\ny\n".encode("utf-16", "surrogatepass")

        assert told(content, "x.csv") == [
            (2, {"a": "x"}),
            (3, "is not UTF-8 text"),
            (4, {"a": "y"}),
        ]

    @pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
    @pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.json"])
    def test_utf_16_without_a_mark(self, encoding: str, name: str) -> None:
        """Its first character shows what it is."""
        text = {"x.csv": "a\né\n", "x.json": '[{"a": "é"}]'}.get(name, '{"a": "é"}')

        assert [row.payload for row in rows(text.encode(encoding), name)] == [
            {"a": "é"}
        ]

    @pytest.mark.parametrize(
        ("content", "read_before", "words"),
        [
            ('a,b\n1,2\n"x,2\n3,4\n5,6\n', 1, "line 3: .* lines 3 to 5 were not read"),
            ('a,b\n1,2\n3,"x\n4,5', 1, "line 3: .* lines 3 to 4 were not read"),
            ('a,b\n1,"x', 0, "line 2: .* line 2 was not read"),
            ('a,b\n1,"x\n2,y\n3,"z\n4,w\n', 0, "line 2: .* lines 2 to 5 were not"),
            ('a,b\n1,"x\ny",\n2,"\n3,4\n', 0, "line 4: .* lines 4 to 5 were not"),
        ],
        ids=["first cell", "last cell", "last line", "closed by another", "later"],
    )
    def test_an_open_quote_ends_the_file(
        self, content: str, read_before: int, words: str
    ) -> None:
        """What follows is not taken for one row, and what was not read is named."""
        found = read_rows(io.BytesIO(content.encode()), "x.csv", Columns({}))
        good: list[InputRow] = []
        with closing(found), pytest.raises(UnreadableFile, match=words):
            good += (row for row in found if not row.error)

        assert read_before == len(good)

    def test_a_row_of_several_lines_that_does_not_fit_names_them(self) -> None:
        """A quote that opens in one row and closes in another makes one of them."""
        content = b'a,b\n"x,1\ny,2\nz",3,4\n5,6\n'

        assert told(content) == [
            (2, "has 3 cells, but the header has 2; it ends on line 4"),
            (5, {"a": "5", "b": "6"}),
        ]

    def test_a_cell_without_an_end(self) -> None:
        """What follows a cell beyond all measure may be a part of it."""
        content = b'a,b\n1,2\n"' + b"x" * (1 << 24) + b'y\n3,4\n",5\n6,7\n'
        found = read_rows(io.BytesIO(content), "x.csv", Columns({}))

        assert {"a": "1", "b": "2"} == next(found).payload
        with pytest.raises(
            UnreadableFile, match=r"line 3: .* lines 3 to 6 were not read"
        ):
            next(found)

    def test_a_wide_header_is_read_in_linear_time(self) -> None:
        """Each name is counted once, not compared with every other."""
        compared = 0

        class Name(str):
            __slots__ = ()
            __hash__ = str.__hash__

            def __eq__(self, other: object) -> bool:
                nonlocal compared
                compared += 1
                return str.__eq__(self, other)

        rename = {f"c{n}": Name(f"n{n}") for n in range(2_000)}
        content = ",".join(rename).encode() + b"\n"
        list(read_rows(io.BytesIO(content), "x.csv", Columns(rename)))

        assert compared < 40_000


class Slow(io.RawIOBase):
    """A pipe that gives a byte at a time."""

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
def test_a_slow_pipe(encoding: str, text: str) -> None:
    """How much of it has arrived does not decide what it is."""
    stream: Any = io.BufferedReader(Slow(text.encode(encoding)))

    assert [row.payload for row in read_rows(stream, "-", Columns({}))] == [{"a": "1"}]


class TestJsonLines:
    """One payload a line."""

    def test_bad_lines_do_not_end_it(self) -> None:
        """Each is told of by line and reason."""
        content = b'{"a": 1}\n\n{bad}\n[1]\n{"a": 1, "a": 2}\n{"\xff": 1}\n{"b": null}'
        found = told(content, "x.jsonl")

        assert found[:1] + found[2:3] + found[5:] == [
            (1, {"a": 1}),
            (4, [1]),
            (7, {"b": None}),
        ]
        assert "is not valid JSON: Expecting property name" in found[1][1]
        assert "duplicate name 'a'" in found[3][1]
        assert found[4] == (6, "is not UTF-8 text")

    def test_names_are_renamed_and_left_out(self) -> None:
        """At the top of an object; what is no object stays."""
        content = b'{"A": 1, "B": 2, "C": 3}\n{"C": 1}\n[]\n'

        assert told(content, "x.ndjson", A="a", B="") == [
            (1, {"a": 1, "C": 3}),
            (2, {"C": 1}),
            (3, []),
        ]

    def test_two_names_for_one_field(self) -> None:
        """A row in which one value would hide another is told of."""
        ((line, error),) = told(b'{"A": 1, "a": 2}\n', "x.jsonl", A="a")

        assert (line, error) == (1, "duplicate name 'a'")


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
        ],
        ids=map(str, range(5)),
    )
    def test_its_elements(self, content: str, expected: Any) -> None:
        """In order, each with the line on which it begins."""
        assert told(content.encode(), "x.json") == expected

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
    def test_a_bad_element_costs_itself(self, content: str, expected: Any) -> None:
        """The elements after it are read; None stands for an error here."""
        assert [row.payload for row in rows(content.encode(), "x.json")] == expected

    @pytest.mark.parametrize(
        ("content", "read_before", "words"),
        [
            ('[1,\n{"a": [2,\n3,\n4]\n', 1, "line 2: .* lines 2 to 4 were not read"),
            ('[1,\n{"a": 1,\n{"b": 2},\n3]', 1, "line 2: .* lines 2 to 4 were not"),
            ('[1, {"a": "x}, {"b": 2}, 3]', 1, "line 1: .* line 1 was not read"),
            ('[1, {"a": [2}, {"b": 3}]', 1, "line 1: .* line 1 was not read"),
        ],
        ids=["bracket", "brace", "quote", "other bracket"],
    )
    def test_an_open_element_ends_the_file(
        self, content: str, read_before: int, words: str
    ) -> None:
        """What follows is not taken for one element, and it is named."""
        found = read_rows(io.BytesIO(content.encode()), "x.json", Columns({}))
        good: list[InputRow] = []
        with closing(found), pytest.raises(UnreadableFile, match=words):
            good += found

        assert read_before == len(good)

    def test_an_element_beyond_all_measure_ends_the_file(self) -> None:
        """Memory does not hold all that follows an open brace."""
        content = b'[1,\n{"a": [' + b"2,\n" * (6 << 20) + b"3]"
        found = read_rows(io.BytesIO(content), "x.json", Columns({}))

        assert 1 == next(found).payload
        with pytest.raises(UnreadableFile, match=r"lines 2 to 6291458 were not read"):
            next(found)

    @given(
        st.lists(st.recursive(st.text() | st.integers(), st.lists), max_size=8),
        st.booleans(),
    )
    def test_any_array(self, payload: list[Any], pretty: bool) -> None:  # noqa: FBT001
        """What comes out is what the JSON says."""
        text = json.dumps(payload, indent=1 if pretty else None)

        assert [row.payload for row in rows(text.encode(), "x.json")] == payload

    def test_elements_across_blocks(self) -> None:
        """Where a block of the file ends does not matter."""
        payload = [{"a": "\\" * 40_001 + '"', "b": "x" * 70_000}, {"c": ["é"] * 30_000}]

        assert [r.payload for r in rows(json.dumps(payload).encode())] == payload
        for cut in range(65_530, 65_540):
            odd = ["x" * (cut - 4) + "\\", 1]
            assert [r.payload for r in rows(json.dumps(odd).encode())] == odd


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000, "must not nest deeper than 64 levels"),
        ("1" * 5_000, "Exceeds the limit"),
        ('{"a": {"b": 1, "b": 2}}', "duplicate name 'b'"),
        ("", "Expecting value"),
    ],
    ids=["deep", "large", "twice", "blank"],
)
def test_json_that_cannot_be_used(text: str, words: str) -> None:
    """It is said in one line, never by another kind of error."""
    with pytest.raises(ValueError, match=words):
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
def test_memory_does_not_grow_with_the_file(name: str, content: bytes) -> None:
    """The first row is there when a few blocks have been read, and no more."""
    raw = io.BytesIO(content)
    with closing(read_rows(raw, name, Columns({}))) as found:
        next(found)

        assert raw.tell() < 500_000


def test_a_doubled_name_is_found_in_linear_time() -> None:
    """The last of many names may be the doubled one."""
    names = [f'"k{number}": 1' for number in range(200_000)]
    text = f"{{{', '.join([*names, names[-1]])}}}"

    with pytest.raises(ValueError, match="duplicate name 'k199999'"):
        parse_json(text)


def test_blank_bytes_before_the_text_are_not_collected() -> None:
    """Of megabytes of blank lines a few blocks are looked at."""
    raw = io.BytesIO(b"\n" * 10_000_000)
    with (
        closing(read_rows(raw, "-", Columns({}))) as found,
        pytest.raises(BadHeader, match="must name the columns"),
    ):
        next(found)

    assert raw.tell() < 500_000

"""The delimiter of a CSV file."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upsertcore.files.columns import Columns
from upsertcore.files.delimiters import CANDIDATES, find_delimiter
from upsertcore.files.read_options import ReadOptions
from upsertcore.files.reading import read_rows
from upsertcore.files.rows import BadHeader, UnreadableFile


def rows(text: str, **how: Any) -> list[tuple[int, Any]]:
    """Read text as a CSV file, as (line, payload or error)."""
    stream = io.BytesIO(text.encode())
    found = read_rows(stream, "x.csv", Columns({}), ReadOptions(**how))
    return [(row.line, row.error or row.payload) for row in found]


@pytest.mark.parametrize("delimiter", CANDIDATES)
def test_each_candidate_is_recognised(delimiter: str) -> None:
    text = "a,b,c\n1,,x y\n2,z,\n".replace(",", delimiter)

    assert rows(text) == [(2, {"a": "1", "c": "x y"}), (3, {"a": "2", "b": "z"})]


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ('"Name; title; role",mail\nAda,a@x.org\n', ","),
        ('"Name, title, role";mail\nAda;a@x.org\n', ";"),
        ("name, given;mail\nAda;a@x.org\nBo;b@x.org\n", ";"),
        ("Last, First;Mail\nLind, Bo;b@x.org\n", ";"),
        ("name;amount;city\nAda;1,5;Oslo\nBo;2,5;Rome\n", ";"),
        ("a;b,c;d\n1;2,5;3\n", ";"),
        ("email,tags\na@x.org,a;b\nb@x.org,c;d\n", ","),
        ("email\na@x.org\n", ","),
        ("tags\na;b\nc;d\n", ","),
        ("tags\r\na|b|c\r\n", ","),
        ("Notes:\nsome of it, is missing\n\na;b;c\n1;2;3\n", ";"),
        ("Notes:\n\na\tb\n1\t2\n", "\t"),
        ("Made 12 Mar, 09:14\n\na;b;c\n1;2;3\n", ";"),
        ('a;b\n"x\n\n1, 2\n3, 4\n5, 6";2\n', ";"),
        ('a;b\n1;2\n"x;2\n3,4\n5,6\n', ";"),
        ("a,b\n1,2\n3,4\n\nReport; made by; Rep One\n", ","),
        ("", ","),
    ],
)
def test_delimiter_fits_the_first_lines(text: str, delimiter: str) -> None:
    assert find_delimiter(text.splitlines(keepends=True)) == delimiter


def test_delimiters_that_fit_equally_are_refused() -> None:
    with pytest.raises(BadHeader, match=r"delimiter: ',' and '\|' fit .* name one"):
        rows("a|b,c\n1|2,3\n")

    assert rows("a|b,c\n1|2,3\n", delimiter="|") == [(2, {"a": "1", "b,c": "2,3"})]


def test_only_the_first_lines_are_looked_at() -> None:
    """A long line, or many lines."""
    assert find_delimiter(["a;b\n", "1,2\n"]) == ";"
    lines = [f"a;{'x' * 300_000}\n", *["1,2,3\n"] * 50]

    assert rows("".join(lines))[0] == (2, "has 1 cells, but the header has 2")


def test_cell_beyond_the_size_limit_leaves_the_sample_to_the_rows_before_it() -> None:
    assert find_delimiter(["a;b\n", "1;2\n", "x" * (1 << 24) + "y\n"]) == ";"


@pytest.mark.parametrize("line", ["sep=;\n", "SEP=;\r\n", '"sep=;"\n', "\ufeffsep=;\n"])
def test_sep_line_decides_and_counts_as_a_line(line: str) -> None:
    assert rows(f"{line}a,b;c\n1,2;3\n") == [(3, {"a,b": "1,2", "c": "3"})]


def test_delimiter_of_the_caller_comes_before_the_sep_line() -> None:
    assert rows("sep=;\na,b;c\n1,2;3\n", delimiter=",") == [
        (3, {"a": "1", "b;c": "2;3"})
    ]


@pytest.mark.parametrize("delimiter", [*",;\t|"])
@pytest.mark.parametrize("sep", [True, False])
def test_unclosed_quote_names_the_lines_under_every_delimiter(
    delimiter: str,
    sep: bool,  # noqa: FBT001 - a case
) -> None:
    text = f"sep={delimiter}\n" * sep + 'a,b\n1,2\n"x,2\n3,4\n5,6\n'
    text = text.replace(",", delimiter)
    first = 3 + sep

    message = f"line {first}: .* lines {first} to {first + 2} were not read"
    with pytest.raises(UnreadableFile, match=message):
        rows(text)


@given(
    st.sampled_from(CANDIDATES),
    st.integers(2, 5).flatmap(
        lambda width: st.lists(
            st.lists(
                st.text(st.sampled_from('ab ,;|\t"\n'), max_size=4), min_size=1
            ).map(lambda cells: (cells * width)[:width]),
            max_size=40,
        )
    ),
)
def test_delimiter_of_a_header_of_words_is_found_whatever_the_cells(
    delimiter: str, cells: list[list[str]]
) -> None:
    """Other candidates do not fit: their header would be in the middle of the file."""
    width = len(cells[0]) if cells else 2
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL)
    writer.writerows([[*"abcde"][:width], *cells])
    lines = text.getvalue().splitlines(keepends=True)

    assert find_delimiter(lines[:30]) == delimiter


def test_null_cells_are_omitted() -> None:
    """They are compared as a whole, without white space around them."""
    text = "a,b,c\n#N/A, - ,x - y\n-,-,#N/A\n"

    assert rows(text, null=["#N/A", "-"]) == [(2, {"c": "x - y"})]

"""Encodings and gzip."""

from __future__ import annotations

import gzip
import io
from typing import Any

import pytest

from upsertcore.files.columns import Columns
from upsertcore.files.read_options import ReadOptions
from upsertcore.files.reading import read_rows
from upsertcore.files.rows import BadHeader, UnreadableFile


def rows(content: bytes, name: str = "-", **how: Any) -> list[tuple[int, Any]]:
    """Read bytes, as (line, payload or error)."""
    found = read_rows(io.BytesIO(content), name, Columns({}), ReadOptions(**how))
    return [(row.line, row.error or row.payload) for row in found]


class TestEncodings:
    """Text in the encoding that the caller names."""

    @pytest.mark.parametrize(
        "encoding",
        ["cp1252", "latin-1", "utf-8", "utf-16", "utf-16-be", "utf-32", "shift_jis"],
    )
    @pytest.mark.parametrize(
        "text",
        ["name,note\nx\u00d7,\u00b1\n", '{"name": "x\u00d7", "note": "\u00b1"}\n'],
    )
    def test_named_encoding_is_read(self, text: str, encoding: str) -> None:
        ((_line, payload),) = rows(text.encode(encoding), encoding=encoding)

        assert payload == {"name": "x\u00d7", "note": "\u00b1"}

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
    def test_byte_order_mark_is_no_part_of_the_text(self, encoding: str) -> None:
        content = "\ufeffa\nx\n".encode(encoding)

        assert rows(content, encoding=encoding) == [(2, {"a": "x"})]

    def test_utf_32_with_a_mark_is_recognised(self) -> None:
        assert rows("a\nx\n".encode("utf-32")) == [(2, {"a": "x"})]

    def test_byte_that_the_named_encoding_refuses_makes_its_row_an_error(self) -> None:
        assert rows(b"a\n\x81\nGro\xdf\n", encoding="cp1252") == [
            (2, "is not cp1252 text"),
            (3, {"a": "Gro\xdf"}),
        ]

    def test_lone_surrogate_of_utf_32_makes_its_row_an_error(self) -> None:
        content = "a\n\ud800\nb\n".encode("utf-32-le", "surrogatepass")

        assert rows(content, encoding="utf-32-le") == [
            (2, "is not utf-32-le text"),
            (3, {"a": "b"}),
        ]

    def test_text_that_cannot_be_decoded_further_ends_with_an_error(self) -> None:
        """Such as an escape sequence that the encoding does not have."""
        content = b"a\nx\n" + b"y\n" * 9_000 + b"\x1b$Z\nz\n"
        last = rows(content, encoding="iso2022_jp")[-1]

        assert "is not iso2022_jp text: illegal" in last[1]
        assert "the lines after it were not read" in last[1]

    def test_header_that_is_not_utf_8_says_what_to_try(self) -> None:
        with pytest.raises(BadHeader, match=r"not UTF-8 text; .*=cp1252 or latin-1"):
            rows(b"Vorn\xe1me,b\n")


class TestGzip:
    """Compressed files."""

    @pytest.mark.parametrize(
        ("name", "text", "expected"),
        [
            ("x.csv.gz", "a,b\n1,2\n", [(2, {"a": "1", "b": "2"})]),
            ("-", "sep=;\na;b\n1;2\n", [(3, {"a": "1", "b": "2"})]),
            ("x.ndjson.gz", '"a"\n{bad}', [(1, "a")]),
            ("x.csv", "[1,\n2]", []),
            ("x", "[1,\n2]", [(1, 1), (2, 2)]),
        ],
    )
    def test_first_bytes_decide_and_the_name_without_gz_counts(
        self, name: str, text: str, expected: Any
    ) -> None:
        assert rows(gzip.compress(text.encode()), name)[: len(expected)] == expected

    def test_members_after_each_other_are_one_file(self) -> None:
        content = gzip.compress(b"a\n1\n") + gzip.compress(b"2\n")

        assert rows(content) == [(2, {"a": "1"}), (3, {"a": "2"})]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (gzip.compress(b"a\n1\n")[:12], "is truncated; no row was read"),
            (gzip.compress(b"a\n1\n2\n")[:-4], "is truncated; line 3 is the last"),
            (
                gzip.compress(b"a\n1\n")[:-8] + b"\0" * 8,
                "is damaged .*; line 2 is the last",
            ),
            (gzip.compress(b"a\n1\n")[:10] + b"\xff" * 20, "is damaged .*; no row"),
            (gzip.compress(b"a\n1\n") + b"junk", "is damaged .*; line 2 is the last"),
        ],
        ids=["data", "end", "checksum", "junk inside", "junk after"],
    )
    def test_damaged_gzip_says_what_was_read(
        self, content: bytes, message: str
    ) -> None:
        with pytest.raises(UnreadableFile, match=f"the gzip data {message}"):
            rows(content)

    def test_unclosed_quote_in_gzip_names_the_lines(self) -> None:
        content = gzip.compress(b'a,b\n1,2\n"x,2\n3,4\n')

        with pytest.raises(UnreadableFile, match=r"line 3: .* lines 3 to 4 were not"):
            rows(content)

    def test_first_row_is_read_without_the_rest(self) -> None:
        raw = io.BytesIO(gzip.compress(b"".join(b"%d\n" % n for n in range(2_000_000))))
        found = read_rows(raw, "x.csv.gz", Columns({}))
        next(found)

        assert raw.tell() < 500_000
        found.close()
        assert not raw.closed

"""The payloads of a file, for a program."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from upsertcore import files
from upsertcore.files import BadHeader, InputRow, UnreadableFile, read


@pytest.fixture
def leads(tmp_path: Path) -> Path:
    """Return a file of three rows, the second of them bad."""
    path = tmp_path / "leads.csv"
    path.write_bytes(b"Mail;city\na@x.org;\nb\nc@x.org;K\xf6ln\n")
    return path


def test_path_is_read_lazily_with_its_settings(leads: Path) -> None:
    errors: list[InputRow] = []
    settings: Any = {"encoding": "cp1252", "null": ["-"], "rename": {"Mail": "email"}}
    with read(leads, **settings, on_error=errors.append) as payloads:
        assert next(payloads) == {"email": "a@x.org"}
        assert errors == []
        assert [*payloads] == [{"email": "c@x.org", "city": "K\u00f6ln"}]

    assert [(row.line, row.error) for row in errors] == [
        (3, "has 1 cells, but the header has 2")
    ]
    assert len([*read(str(leads), on_error=errors.append)]) == 1


def test_row_that_cannot_be_read_is_raised_with_its_line(leads: Path) -> None:
    with (
        read(leads) as payloads,
        pytest.raises(UnreadableFile, match="line 3: has 1 cells"),
    ):
        list(payloads)


def test_file_is_closed_after_its_end_an_error_and_the_context(leads: Path) -> None:
    """An open file would be a warning, and a warning is an error here."""
    [*read(leads, on_error=bool)]
    with read(leads):
        pass
    with read(leads) as payloads:
        next(payloads)
    with pytest.raises(UnreadableFile):
        [*read(leads)]
    payloads.close()

    assert list(payloads) == []


def test_stream_stays_open() -> None:
    stream = io.BytesIO(b'{"data": [1, 2]}')
    with read(stream, path="data") as payloads:
        assert next(payloads) == 1

    assert not stream.closed


def test_name_of_a_stream_counts(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"[a],b\n1,2\n")
    with path.open("rb") as stream:
        assert [*read(stream)] == [{"[a]": "1", "b": "2"}]


@pytest.mark.parametrize(
    ("content", "settings", "message"),
    [
        (b"%PDF-1.7", {}, "is a PDF document"),
        (b"a\n1\n", {"encoding": "x"}, "encoding: 'x' is no text encoding"),
    ],
)
def test_file_that_is_not_read_is_reported_at_once(
    tmp_path: Path, content: bytes, settings: Any, message: str
) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read(path, **settings)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "y")


def test_stream_of_text_is_refused() -> None:
    text: Any = io.StringIO("a\n1\n")
    with pytest.raises(TypeError, match=r"source: .* open it with mode 'rb'"):
        read(text)


@pytest.mark.parametrize("content", [b"a\n1\n", b"a\n"])
def test_rename_of_no_column_is_refused(content: bytes) -> None:
    with pytest.raises(BadHeader, match="rename: no column 'b'"):
        [*read(io.BytesIO(content), rename={"b": "c"})]


def test_objects_may_omit_what_is_renamed() -> None:
    assert [*read(io.BytesIO(b'{"a": 1}'), rename={"b": "c"})] == [{"a": 1}]


def test_names_are_exported_lazily() -> None:
    assert {*files.__all__} <= {*dir(files)}
    for name in files.__all__:
        assert getattr(files, name).__name__ == name
    code = "import sys, upsertcore.files; assert 'csv' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)

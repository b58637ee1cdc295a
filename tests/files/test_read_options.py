"""Settings of how a file is read."""

from __future__ import annotations

from typing import Any

import pytest

from upsertcore.files.read_options import ReadOptions


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"delimiter": "ab"}, ValueError, "delimiter: must be one character"),
        ({"delimiter": "x"}, ValueError, "delimiter: must be one character"),
        ({"delimiter": '"'}, ValueError, "delimiter: must be one character"),
        ({"delimiter": "\n"}, ValueError, "delimiter: must be one character"),
        ({"delimiter": 1}, TypeError, "delimiter: must be text, not 1"),
        ({"encoding": "utf-9"}, ValueError, "encoding: 'utf-9' is no text encoding"),
        ({"encoding": "base64"}, ValueError, "encoding: 'base64' is no text encoding"),
        ({"encoding": "a\0b"}, ValueError, "encoding: .* is no text encoding"),
        ({"path": "data..contacts"}, ValueError, "path: must be names separated"),
        ({"path": "."}, ValueError, "path: must be names separated"),
        ({"null": 3}, TypeError, "null: must be texts, not 3"),
        ({"null": ["-", None]}, TypeError, "null: must be texts, not None"),
        ({"sheet": 1}, TypeError, "sheet: must be text, not 1"),
    ],
    ids=str,
)
def test_bad_setting_is_refused_by_name(
    settings: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ReadOptions(**settings)


def test_names_of_delimiters_and_single_null_are_accepted() -> None:
    assert ReadOptions(delimiter="TAB").delimiter == "\t"
    assert ReadOptions(delimiter=r"\t").delimiter == "\t"
    assert ReadOptions(null=["-", "#N/A"]).null == ("-", "#N/A")
    assert ReadOptions(null="n/a").null == ("n/a",)


@pytest.mark.parametrize("name", ["cp1252", "latin-1", "UTF-16", "shift_jis"])
def test_every_text_encoding_of_python_is_accepted(name: str) -> None:
    assert ReadOptions(encoding=name).encoding == name

"""Values of typed tables as JSON values."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from upsertcore.files.plain_values import OMITTED, fields, plain


class Text(str):
    """Text of a library."""

    __slots__ = ()


class Scalar:
    """A scalar of numpy."""

    def __init__(self, value: object) -> None:
        self.value = value

    def tolist(self) -> object:
        return self.value


class NaTType:
    """The missing time of pandas."""


class datetime64:  # noqa: N801 - as numpy calls it
    """A time of numpy."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("x", "x"),
        (Text("x"), "x"),
        (1, 1),
        (True, True),
        (1.5, 1.5),
        (None, OMITTED),
        (float("nan"), OMITTED),
        (NaTType(), OMITTED),
        (Decimal("1.50"), "1.50"),
        (Decimal("NaN"), OMITTED),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (date(1990, 9, 25), "1990-09-25"),
        (time(9, 14), "09:14:00"),
        (datetime(2024, 3, 12, tzinfo=UTC), "2024-03-12T00:00:00+00:00"),
        (timedelta(hours=1), "1:00:00"),
        (b"caf\xc3\xa9", "caf\u00e9"),
        (["a", None, (1,)], ["a", None, [1]]),
        ({"a": None, "b": {"c": 1}}, {"b": {"c": 1}}),
        (Scalar(1), 1),
        (Scalar([1, float("nan")]), [1, None]),
        (datetime64("2024-03-12T09:14"), "2024-03-12T09:14"),
        (datetime64("NaT"), OMITTED),
    ],
    ids=range(22),
)
def test_value_becomes_a_json_value(value: object, expected: object) -> None:
    result = plain(value)

    assert result is expected or (result == expected and type(result) is type(expected))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"\xff", "photo: is binary data, not text"),
        (float("inf"), "photo: an infinite number is no JSON value"),
        (object(), "photo: a object is no JSON value"),
        ({"a": [object()]}, "photo: a: a object is no JSON value"),
    ],
    ids=range(4),
)
def test_value_without_a_json_form_is_refused_by_name(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fields([("photo", value)])

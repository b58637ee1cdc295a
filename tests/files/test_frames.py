"""Data frames."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest

from upsertcore.files import from_frame


class Frame:
    """A frame of polars, as far as it is used."""

    def __init__(self, columns: list[Any], *rows: tuple[Any, ...]) -> None:
        self.columns = columns
        self._rows = rows

    def iter_rows(self) -> Any:
        return iter(self._rows)


class PandasFrame(Frame):
    """A frame of pandas, as far as it is used."""

    def itertuples(self, *, index: bool, name: None) -> Any:
        assert not index
        return self.iter_rows()


class LazyFrame:
    """A query of polars."""

    def collect(self) -> None: ...


@pytest.mark.parametrize("kind", [Frame, PandasFrame])
def test_rows_become_payloads(kind: type[Frame]) -> None:
    frame = kind(["email", "score"], ("a@x.org", None), ("b@x.org", 2))

    assert [*from_frame(frame)] == [
        {"email": "a@x.org"},
        {"email": "b@x.org", "score": 2},
    ]


@pytest.mark.parametrize(
    ("frame", "error", "message"),
    [
        ([], TypeError, "frame: a list is no data frame of rows; pass one"),
        (LazyFrame(), TypeError, "a LazyFrame is no .*; collect it first"),
        (Frame(["a", 1]), TypeError, "frame: column 1: a name must be text"),
        (Frame(["a", "a"]), ValueError, "frame: duplicate column 'a'"),
    ],
    ids=range(4),
)
def test_unusable_frame_is_refused_at_once(
    frame: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        from_frame(frame)


def test_value_without_a_json_form_is_refused_by_row_and_column() -> None:
    rows = from_frame(Frame(["a"], (1,), (object(),)))

    assert next(rows) == {"a": 1}
    with pytest.raises(ValueError, match="frame: row 2: a: a object is no JSON value"):
        next(rows)


def test_frame_of_pandas_is_read() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(
        {
            "email": ["a@x.org", None],
            "score": [1.5, float("nan")],
            "age": pd.array([41, None], dtype="Int64"),
            "vip": [True, False],
            "seen": pd.to_datetime(["2024-03-12 09:14", None]),
            "born": [date(1990, 9, 25), None],
            "kind": pd.Categorical(["x", None]),
            "tags": [["a"], []],
        }
    )
    first, second = from_frame(frame)

    assert first == {
        "email": "a@x.org",
        "score": 1.5,
        "age": 41,
        "vip": True,
        "seen": "2024-03-12T09:14:00",
        "born": "1990-09-25",
        "kind": "x",
        "tags": ["a"],
    }
    assert second == {"vip": False, "tags": []}
    assert [type(value) for value in (first["score"], first["age"], first["vip"])] == [
        float,
        int,
        bool,
    ]


def test_scalars_of_numpy_become_those_of_python() -> None:
    np = pytest.importorskip("numpy")
    values = [np.int64(1), np.float64(1.5), np.bool_(True), np.str_("x")]  # noqa: FBT003
    values += [np.datetime64("2024-03-12T09:14"), np.datetime64("NaT"), np.arange(2)]
    frame = Frame([*"abcdefg"], tuple(values))
    (row,) = from_frame(frame)

    assert row == {
        "a": 1,
        "b": 1.5,
        "c": True,
        "d": "x",
        "e": "2024-03-12T09:14",
        "g": [0, 1],
    }
    assert [type(value) for value in row.values()] == [int, float, bool, str, str, list]


def test_frame_of_polars_is_read() -> None:
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame(
        {
            "email": ["a@x.org", None],
            "seen": [datetime(2024, 3, 12, 9, 14), None],  # noqa: DTZ001
            "tags": [["a"], None],
            "address": [{"city": "Oslo"}, None],
        }
    )

    assert [*from_frame(frame)] == [
        {
            "email": "a@x.org",
            "seen": "2024-03-12T09:14:00",
            "tags": ["a"],
            "address": {"city": "Oslo"},
        },
        {},
    ]
    with pytest.raises(TypeError, match="collect it first"):
        from_frame(frame.lazy())

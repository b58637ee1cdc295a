"""
The rows of a data frame of pandas or polars as payloads, without importing either.

Rules:
    NaN, NaT, ``pd.NA`` and None are omitted; other values are JSON values, as
    ``plain_values`` describes them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from upsertcore.files.plain_values import fields
from upsertcore.values import show_value

__all__ = ["from_frame"]


def from_frame(frame: Any) -> Iterator[dict[str, Any]]:
    """
    Return the rows of a data frame as payloads.

    A column of whole numbers with gaps is one of floats in pandas: read telephone
    numbers and ids as text, for example with ``dtype=str``.

    Args:
        frame: A data frame of pandas or polars.

    Returns:
        An iterator of payloads.

    Raises:
        TypeError: If it is no such frame, or the name of a column is not text.
        ValueError: If a value is no JSON value, or two columns have one name; the
            message names it.

    Cost:
        Linear in the frame; memory for one row.

    >>> class Frame:  # as a frame of polars
    ...     columns = ["email", "score"]
    ...
    ...     def iter_rows(self):
    ...         return iter([("a@x.org", float("nan")), ("b@x.org", 2.5)])
    >>> [*from_frame(Frame())]
    [{'email': 'a@x.org'}, {'email': 'b@x.org', 'score': 2.5}]
    """
    if hasattr(frame, "itertuples"):
        rows = frame.itertuples(index=False, name=None)
    elif hasattr(frame, "iter_rows"):
        rows = frame.iter_rows()
    else:
        remedy = "collect it first" if hasattr(frame, "collect") else "pass one"
        kind = type(frame).__name__
        raise TypeError(f"frame: a {kind} is no data frame of rows; {remedy}")
    names = [*frame.columns]
    for name, count in Counter(names).items():
        if not isinstance(name, str):
            raise TypeError(f"frame: column {show_value(name)}: a name must be text")
        if count > 1:
            raise ValueError(f"frame: duplicate column {show_value(name)}")
    return _payloads(names, rows)


def _payloads(names: list[str], rows: Any) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(rows, 1):
        try:
            yield fields(zip(names, row, strict=True))
        except ValueError as error:
            raise ValueError(f"frame: row {number}: {error}") from None

"""
Values of typed tables as JSON values, without their libraries.

Rules:
    A value that stands for "no value" (None, NaN, NaT, ``pd.NA``) is omitted.
    Dates and times become ISO text, decimals text, and numbers of numpy those of
    Python. What has no such form is an error, not text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

__all__ = ["OMITTED", "fields", "plain"]

OMITTED = object()
"""Stands for a value that is omitted."""

_MISSING = {"NAType", "NaTType"}


def plain(value: Any) -> Any:
    """
    Return a value as a JSON value.

    Args:
        value: The value.

    Returns:
        ``OMITTED`` where it stands for no value.

    Raises:
        ValueError: If it is no JSON value.

    >>> plain(date(1990, 9, 25)), plain(Decimal("1.50")), plain(float("nan")) is OMITTED
    ('1990-09-25', '1.50', True)
    """
    kind = type(value)
    if kind is str or kind is int or kind is bool:
        return value
    if value is None or kind.__name__ in _MISSING:
        return OMITTED
    if isinstance(value, float):
        return _number(float(value))
    if isinstance(value, str):
        return str(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal | UUID | timedelta):
        return OMITTED if value != value else str(value)  # noqa: PLR0124 - NaN
    if isinstance(value, bytes):
        return _text(value)
    if isinstance(value, Mapping):
        return fields(value.items())
    if isinstance(value, list | tuple):
        return _items(value)
    return _of_numpy(value)


def fields(pairs: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
    """
    Return the fields of a row, without what is omitted.

    Args:
        pairs: Names and values.

    Raises:
        ValueError: If a value is no JSON value; the message names it.

    >>> fields([("email", "a@x.org"), ("phone", None)])
    {'email': 'a@x.org'}
    """
    row = {}
    for name, value in pairs:
        try:
            result = plain(value)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        if result is not OMITTED:
            row[str(name)] = result
    return row


def _number(value: float) -> Any:
    if value != value:  # noqa: PLR0124 - NaN
        return OMITTED
    if value in (float("inf"), float("-inf")):
        raise ValueError("an infinite number is no JSON value")
    return value


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise ValueError("is binary data, not text") from None


def _items(values: Iterable[Any]) -> list[Any]:
    results = map(plain, values)
    return [None if result is OMITTED else result for result in results]


def _of_numpy(value: Any) -> Any:
    """Return an array or a scalar of numpy as Python's."""
    if type(value).__name__ in {"datetime64", "timedelta64"}:
        # Python's own have no nanoseconds.
        text = str(value)
        return OMITTED if text == "NaT" else text
    convert = getattr(value, "tolist", None)
    result = value if convert is None else convert()
    if type(result) is type(value):
        raise ValueError(f"a {type(value).__name__} is no JSON value")
    return plain(result)

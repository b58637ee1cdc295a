"""
The normalisers of dates: a date, and its year.

Rules:
    A date is read as it is written: no clock, no time zone, no two digits of a year.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from upsertcore.normalize.identifiers import as_text
from upsertcore.normalize.normalizer import Normalizer, ParameterNormalizer
from upsertcore.values import show_value

__all__ = ["date", "year"]

# ISO 8601 leaves the years before 1583 to agreement. With this limit, DDMMYYYY is
# never read as YYYYMMDD: in "10121815" the month would be 18.
_FIRST_YEAR = 1583

_TIME = (
    r"(?:[T ][0-2]?[0-9]:?[0-5][0-9](?::?[0-6][0-9](?:[.,][0-9]+)?)?"
    r"(?: ?(?:[AP]M|Z|[+-][0-9]{2}:?(?:[0-9]{2})?))?)?"
)

_YEAR = re.compile(r"(?P<year>[0-9]{4})(?:-(?P<month>[0-9]{2}))?")

_DATES = tuple(
    re.compile(pattern + _TIME, re.ASCII | re.IGNORECASE)
    for pattern in (
        r"(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})",
        r"(?P<year>[0-9]{4})([-/.])(?P<month>[0-9]{1,2})\2(?P<day>[0-9]{1,2})",
    )
)

_YEAR_LAST = re.compile(
    r"([0-9]{1,2})([-/.])([0-9]{1,2})\2(?P<year>[0-9]{4})" + _TIME,
    re.ASCII | re.IGNORECASE,
)

_ORDERS = {"dmy": (3, 1), "mdy": (1, 3)}
"""Order to the groups of month and day in a date whose year is last."""


def date(order: str | None = None) -> Normalizer:
    """
    Return a normaliser that compares dates, however they are written.

    The date is taken as written: the time is ignored, and no time zone applies.

    False matches: everyone born on that day. Block the date that a system writes for
    "not known", such as ``1900-01-01``, with ``blocked=``.

    Args:
        order: The order of a date whose year is last: ``"dmy"``, the day first, or
            ``"mdy"``, the month first. None: such a date has no form, because
            10/12/1990 is two days.

    Returns:
        A normaliser of text and whole numbers: ``1990-09-25`` for that date with ``-``,
        ``/`` or ``.``, for ``19900925``, and with an order for ``25/09/1990`` or
        ``09/25/1990``; dates may have a time. None for a day that does not exist, for
        a year of two digits or before 1583, and for any other value.

    Raises:
        ValueError: If the order is another one.

    Source:
        ISO 8601-1:2019, as of :func:`year`.

    >>> day_first = date(order="dmy")
    >>> [
    ...     day_first(v)
    ...     for v in ("25/09/1990", "1990-09-25", 19900925, "25.9.1990 10:30")
    ... ]
    ['1990-09-25', '1990-09-25', '1990-09-25', '1990-09-25']
    >>> day_first("09/25/1990"), day_first("25/09/90"), date()("25/09/1990")
    (None, None, None)
    """
    if order is not None and order not in _ORDERS:
        what = f"order must be 'dmy', 'mdy' or None, not {show_value(order)}"
        raise ValueError(f"date: {what}; name the order in which you write dates")

    def date_form(value: Any) -> str | None:
        date_text = as_text(value).strip()
        for pattern in _DATES:
            match = pattern.fullmatch(date_text)
            if match is not None:
                return _date_of(match["year"], match["month"], match["day"])
        match = None if order is None else _YEAR_LAST.fullmatch(date_text)
        if order is None or match is None:
            return None
        month, day = _ORDERS[order]
        return _date_of(match["year"], match[month], match[day])

    arguments = () if order is None else (order,)
    return ParameterNormalizer(date, date_form, *arguments)


def year(value: Any) -> str | None:
    """
    Compare dates of birth by the year.

    The year is taken as written: the time is ignored, and no time zone applies. A
    future year is accepted, because normalisers do not read a clock.

    False matches: everyone born in that year. Block the date that a system writes for
    "not known", such as ``1900-01-01``, with ``blocked=``.

    Args:
        value: Text or a whole number: ``1815-12-10``, ``18151210``, ``1815-12`` or
            ``1815``; with ``/`` or ``.`` for ``-``, and then day and month in any
            order before the year; dates may have a time.

    Returns:
        The year, from 1583 to 9999; None for a year of two digits, a day that does not
        exist, six digits, a week, a month in words, or any other value.

    Source:
        ISO 8601-1:2019, 4.3.2 and 5.2: calendar dates, basic and extended; years
        before 1583 by agreement alone.

    >>> year("1815-12-10"), year(18151210), year("10/12/1815 00:00"), year("1815")
    ('1815', '1815', '1815', '1815')
    >>> year("10/12/15"), year("1815-02-30"), year("181512")
    (None, None, None)
    """
    date_text = as_text(value).strip()
    match = _YEAR.fullmatch(date_text)
    if match is not None:
        return _year_of(match["year"], match["month"] or "1", "1")
    for pattern in _DATES:
        match = pattern.fullmatch(date_text)
        if match is not None:
            return _year_of(match["year"], match["month"], match["day"])
    match = _YEAR_LAST.fullmatch(date_text)
    if match is None:
        return None
    # Either of the two may be the month: the year is the same.
    one, other = match[1], match[3]
    return _year_of(match["year"], one, other) or _year_of(match["year"], other, one)


def _year_of(year: str, month: str, day: str) -> str | None:
    """Return the year of a date, None if there is no such day."""
    return None if _date_of(year, month, day) is None else year


def _date_of(year: str, month: str, day: str) -> str | None:
    """Return a date as ISO 8601 writes it, None if there is no such day."""
    try:
        day_of_year = dt.date(int(year), int(month), int(day))
    except ValueError:
        return None
    return day_of_year.isoformat() if int(year) >= _FIRST_YEAR else None

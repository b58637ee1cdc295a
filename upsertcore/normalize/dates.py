"""
The normaliser of dates: the year of birth.

Rules:
    A date is read as it is written: no clock, no time zone, no two digits of a year.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from upsertcore.normalize.identifiers import as_text

__all__ = ["year"]

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
    try:
        date(int(year), int(month), int(day))
    except ValueError:
        return None
    return year if int(year) >= _FIRST_YEAR else None

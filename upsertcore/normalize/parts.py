"""
Normalisers of words, and of parts of values, for composite keys.

Rules:
    They keep the laws of :mod:`upsertcore.normalize`, which re-exports them. A
    normaliser that builds on :func:`text` has no form where ``text`` has none.
    A part matches more people than the whole value: it does not identify anyone
    alone. Each docstring names its false matches.
    The library contains no table of names, places or dates.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from operator import index
from typing import Any

from upsertcore.normalize.words import text, whole_number
from upsertcore.values import show_value

__all__ = [
    "Normalizer",
    "initials",
    "nicknames",
    "postcode_area",
    "prefix",
    "sorted_tokens",
    "text",
    "year",
]

Normalizer = Callable[[Any], str | None]
"""Takes one value (one item of a list), and returns its normal form or None."""

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

# A British outward code, with or without the inward code; digits less two; a ZIP+4;
# a form itself.
_AREAS = (
    re.compile(r"([A-Z]{1,2})[0-9][A-Z0-9]?(?:[0-9][A-Z]{2})?"),
    re.compile(r"([0-9]{2,6})[0-9]{2}"),
    re.compile(r"([0-9]{3})[0-9]{6}"),
    re.compile(r"([A-Z]{1,2}|[0-9]{2,6})\.\."),
)

# Typed, typographic, accents used as apostrophes, letter modifiers, full width.
_APOSTROPHES = frozenset("'\u2018\u2019`\u00b4\u02bb\u02bc\uff07")


def initials(value: Any) -> str | None:
    """
    Compare names by the first character of each word.

    False matches: people with the same initials (Ada King, Alan Kay); combine it
    with a surname and a date. "J. R. R." is three words, "JRR" is one.

    Args:
        value: Text: one name or several.

    Returns:
        The first characters of the words of :func:`sorted_tokens`, in their original
        order, separated by spaces; None without a letter or digit.

    >>> initials("Ada Byron King"), initials("J.-P. O'Neill"), initials("--")
    ('a b k', 'j p o', None)
    """
    return " ".join([word[0] for word in _words(value)]) or None


def sorted_tokens(value: Any) -> str | None:
    """
    Compare names in any order of their words.

    False matches: people whose given name is the other's surname (James Henry, Henry
    James). A middle name that only one side has prevents a match.

    Args:
        value: Text: a whole name, in any order.

    Returns:
        The words of the form of :func:`text`, in code point order, separated by
        spaces; None without a letter or digit. Apostrophes are removed ("O'Brien" is
        "OBrien"); any other character that is not a letter, accent or digit separates
        words ("King,Ada", "Anne-Marie", "J.R.").

    >>> sorted_tokens("King, Ada") == sorted_tokens("Ada KING")
    True
    >>> sorted_tokens("Anne-Marie O\u2019Brien")
    'anne marie obrien'
    """
    return " ".join(sorted(_words(value))) or None


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
    date_text = _as_text(value).strip()
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


def prefix(n: int) -> Normalizer:
    """
    Return a normaliser that compares the beginning of a text.

    False matches: texts that begin alike (Christine, Christopher). A shorter text is
    compared as a whole, so "Al" is not "Alan".

    Args:
        n: How many characters count, 1 or more.

    Returns:
        A normaliser: the first n characters of the form of :func:`text`, without a
        trailing space.

    Raises:
        TypeError: If n is not a whole number.
        ValueError: If n is less than 1.

    >>> three = prefix(3)
    >>> three("Christine"), three("  CHRIS "), three("Al"), three(" ")
    ('chr', 'chr', 'al', None)
    """
    if not hasattr(n, "__index__"):
        raise TypeError(
            f"prefix: must be a whole number, not {n!r}; pass 3, for example"
        )
    length = index(n)
    if length < 1:
        what = f"must be a whole number from 1, not {n!r}"
        raise ValueError(f"prefix: {what}; pass 3, for example")

    def prefix_of_text(value: Any) -> str | None:
        form = text(value)
        return None if form is None else form[:length].rstrip()

    return prefix_of_text


def postcode_area(value: Any) -> str | None:
    """
    Compare postcodes by their area.

    The area of a British postcode is Royal Mail's: the one or two letters before the
    first digit. The area of a numeric code is all but its last two digits: the
    sectional centre of a ZIP Code, for example, or ``20..`` for the Australian codes
    2000 and 2099.

    False matches: people of the same city; codes of two countries with the same
    digits; a code that lost its leading zeros as a number (01101 sent as 1101).

    Args:
        value: Text or a whole number; white space, hyphens and case do not count.

    Returns:
        The area, with two dots for the rest, so that a word of two letters ("NA") is
        not an area. None for fewer than 4 or more than 8 digits (except the 9 of a
        ZIP+4), and for other codes with letters and digits: for Canadian, Dutch and
        Irish codes use :func:`prefix`. Half a Canadian code ("K1A") is read as British.

    Source:
        Royal Mail, PAF Programmers' Guide: the postcode, its outward and inward code
        and their six shapes. USPS, Domestic Mail Manual, L005: 3-digit ZIP Code
        prefixes of sectional center facilities.

    >>> postcode_area("SW1A 1AA"), postcode_area("m1 1ae"), postcode_area("EC1V")
    ('SW..', 'M..', 'EC..')
    >>> postcode_area("94103-1234"), postcode_area(94110), postcode_area("K1A 0B1")
    ('941..', '941..', None)
    """
    code = "".join(_as_text(value).split()).replace("-", "")
    if not code.isascii():
        return None
    code = code.upper()
    for pattern in _AREAS:
        match = pattern.fullmatch(code)
        if match is not None:
            return f"{match[1]}.."
    return None


def nicknames(table: Mapping[str, Iterable[str]]) -> Normalizer:
    """
    Return a normaliser that replaces the short form of a name with the full name.

    The application supplies the table: short forms depend on language and generation,
    and public lists map one to many names ("Al": Alan, Albert, Alice).

    False matches: people whose full name is the short form.

    Args:
        table: Full name to its short forms; each short form belongs to one name.
            Copied. Names are compared by their forms of :func:`text`.

    Returns:
        A normaliser: the form of the full name if the whole value is one of its short
        forms, else the form of the value.

    Raises:
        TypeError: If the table is not a mapping of names to lists.
        ValueError: If a short form belongs to two names or is itself a name with short
            forms, or a name is blank or not text.

    >>> given = nicknames({"Robert": ["Bob", "Rob"], "Elizabeth": ["Liz"]})
    >>> given("BOB"), given("Robert"), given("Ada")
    ('robert', 'robert', 'ada')
    >>> nicknames({"Alan": ["Al"], "Albert": ["Al"]})
    Traceback (most recent call last):
        ...
    ValueError: nicknames: 'al' must be short for one name, not for 'alan' and ...
    """
    names = _names(table)

    def name_of_text(value: Any) -> str | None:
        form = text(value)
        return None if form is None else names.get(form, form)

    return name_of_text


def _names(table: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Return short form to full name; refuse a short form of two names."""
    if not isinstance(table, Mapping):
        what = f"must be a mapping of names, not {show_value(table)}"
        raise TypeError(f"nicknames: {what}; write {{'Robert': ['Bob', 'Rob']}}")
    names: dict[str, str] = {}
    for full, short in table.items():
        name = _name(full)
        if isinstance(short, str) or not isinstance(short, Iterable):
            what = f"{name!r} must have a list, not {show_value(short)}"
            raise TypeError(f"nicknames: {what}; list its short forms")
        for form in map(_name, short):
            if form != name and names.setdefault(form, name) != name:
                both = f"{names[form]!r} and {name!r}"
                what = f"{form!r} must be short for one name, not for {both}"
                raise ValueError(f"nicknames: {what}; leave it out of one list")
    for name in names.values():
        if name in names:
            raise ValueError(
                f"nicknames: {name!r} must be a name or stand for {names[name]!r}, "
                "not both; list its short forms there"
            )
    return names


def _name(value: Any) -> str:
    form = text(value)
    if form is None:
        what = f"a name must be text, not {show_value(value)}"
        raise ValueError(f"nicknames: {what}; name it as it is written")
    return form


def _words(value: Any) -> list[str]:
    form = text(value) or ""
    words = "".join(
        [
            char if unicodedata.category(char)[0] in "LMN" else " "
            for char in form
            if char not in _APOSTROPHES
        ]
    )
    # Without the apostrophe, a letter and an accent may now compose.
    return (text(words) or "").split()


def _as_text(value: Any) -> str:
    """Return text as it is, a whole number as its digits, otherwise blank text."""
    if isinstance(value, str):
        return value
    number = whole_number(value)
    return str(number) if number is not None and 0 <= number < 10**9 else ""

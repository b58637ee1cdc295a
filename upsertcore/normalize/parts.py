"""
Normalisers of words, and of what is left when a part of a value is kept.

Rules:
    They keep the laws of :mod:`upsertcore.normalize`, which hands them on. What is
    made of :func:`text` has no form where text has none.
    A part joins more people than the whole: alone it identifies nobody, and it is
    for composite keys. What it joins wrongly stands beside it.
    No table of names, places or dates comes with the library.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from operator import index
from typing import Any

from upsertcore.normalize.words import text, whole_number
from upsertcore.values import shown

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
"""Takes one value (one item of a list), answers its normal form or None."""

# ISO 8601 leaves the years before 1583 to agreement. A day of two digits and a month
# of two before the year are no date of this order then: "10121815" has no month 18.
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

# Outward code, and inward code where there is one; digits less two; a ZIP+4; a form.
_AREAS = (
    re.compile(r"([A-Z]{1,2})[0-9][A-Z0-9]?(?:[0-9][A-Z]{2})?"),
    re.compile(r"([0-9]{2,6})[0-9]{2}"),
    re.compile(r"([0-9]{3})[0-9]{6}"),
    re.compile(r"([A-Z]{1,2}|[0-9]{2,6})\.\."),
)

# As typed, as typeset, as accents, as letters, full width.
_APOSTROPHES = frozenset("'\u2018\u2019`\u00b4\u02bb\u02bc\uff07")


def initials(value: Any) -> str | None:
    """
    Compare names by the first character of each word.

    Joins wrongly: whoever has the same initials (Ada King, Alan Kay), so keep it
    beside a surname and a date. "J. R. R." is three words, "JRR" is one.

    Args:
        value: Text: one name or several.

    Returns:
        The words of :func:`sorted_tokens` in the order in which they came, each cut
        to its first character, a space between; None without a letter or digit.

    >>> initials("Ada Byron King"), initials("J.-P. O'Neill"), initials("--")
    ('a b k', 'j p o', None)
    """
    return " ".join([word[0] for word in _words(value)]) or None


def sorted_tokens(value: Any) -> str | None:
    """
    Compare names whatever the order of their words.

    Joins wrongly: people whose given name is the other's surname (James Henry,
    Henry James). A middle name that only one side writes keeps them apart.

    Args:
        value: Text: a whole name, in any order.

    Returns:
        The words of the form that :func:`text` makes, in code point order, a space
        between; None without a letter or digit. An apostrophe within a name is left
        out ("O'Brien" is "OBrien"); every other character that is no letter, accent
        or digit separates words ("King,Ada", "Anne-Marie", "J.R.").

    >>> sorted_tokens("King, Ada") == sorted_tokens("Ada KING")
    True
    >>> sorted_tokens("Anne-Marie O\u2019Brien")
    'anne marie obrien'
    """
    return " ".join(sorted(_words(value))) or None


def year(value: Any) -> str | None:
    """
    Compare dates of birth by the year.

    The year is the one that is written: a time is passed over, and no zone is
    applied. A year to come is not refused, for nothing here reads a clock.

    Joins wrongly: everybody born in that year, and those whose system writes a date
    for "not known" (``1900-01-01``): block it (``blocked=``).

    Args:
        value: Text or a whole number: ``1815-12-10``, ``18151210``, ``1815-12`` or
            ``1815``; with ``/`` or ``.`` for ``-``, and then day and month in any
            order before the year; dates may have a time.

    Returns:
        The year, from 1583 to 9999; None for a year of two digits, a day that no
        calendar has, six digits, a week, a month in words, or anything else.

    Source:
        ISO 8601-1:2019, 4.3.2 and 5.2: calendar dates, basic and extended; years
        before 1583 by agreement alone.

    >>> year("1815-12-10"), year(18151210), year("10/12/1815 00:00"), year("1815")
    ('1815', '1815', '1815', '1815')
    >>> year("10/12/15"), year("1815-02-30"), year("181512")
    (None, None, None)
    """
    written = _written(value).strip()
    found = _YEAR.fullmatch(written)
    if found is not None:
        return _year_of(found["year"], found["month"] or "1", "1")
    for pattern in _DATES:
        found = pattern.fullmatch(written)
        if found is not None:
            return _year_of(found["year"], found["month"], found["day"])
    found = _YEAR_LAST.fullmatch(written)
    if found is None:
        return None
    # Which of the two is the month does not matter: the year is the same.
    one, other = found[1], found[3]
    return _year_of(found["year"], one, other) or _year_of(found["year"], other, one)


def _year_of(year: str, month: str, day: str) -> str | None:
    """Give the year of a date, if there was such a day."""
    try:
        date(int(year), int(month), int(day))
    except ValueError:
        return None
    return year if int(year) >= _FIRST_YEAR else None


def prefix(n: int) -> Normalizer:
    """
    Make a normaliser that compares the beginning of words.

    Joins wrongly: whatever begins alike (Christine, Christopher); what is shorter
    stands for itself, so "Al" is not "Alan".

    Args:
        n: How many characters count, 1 or more.

    Returns:
        A normaliser: the first n characters of the form that :func:`text` makes,
        without a space at the end.

    Raises:
        TypeError: If n is no whole number.
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
    Compare postcodes by the area that they begin with.

    Of a British postcode it is Royal Mail's postcode area: the one or two letters
    before the first digit. Of a code of digits it is all but the last two: of a ZIP
    Code the three that name a sectional centre, of others whatever they mean there
    (an Australian 2000 and 2099 are both ``20..``).

    Joins wrongly: neighbours in a whole city; the codes of two countries that have
    the same digits; a code that lost its zeros as a number (01101 sent as 1101).

    Args:
        value: Text or a whole number; white space, hyphens and case do not count.

    Returns:
        The area and two dots for what was cut off, so that a word of two letters
        ("NA") is no area; None for digits fewer than 4 or more than 8 (9 are a
        ZIP+4), and for codes that mix letters and digits otherwise: Canadian,
        Dutch and Irish ones, which :func:`prefix` may serve. Half a Canadian code
        ("K1A") reads as British.

    Source:
        Royal Mail, PAF Programmers' Guide: the postcode, its outward and inward code
        and their six shapes. USPS, Domestic Mail Manual, L005: 3-digit ZIP Code
        prefixes of sectional center facilities.

    >>> postcode_area("SW1A 1AA"), postcode_area("m1 1ae"), postcode_area("EC1V")
    ('SW..', 'M..', 'EC..')
    >>> postcode_area("94103-1234"), postcode_area(94110), postcode_area("K1A 0B1")
    ('941..', '941..', None)
    """
    code = "".join(_written(value).split()).replace("-", "")
    if not code.isascii():
        return None
    code = code.upper()
    for pattern in _AREAS:
        found = pattern.fullmatch(code)
        if found is not None:
            return f"{found[1]}.."
    return None


def nicknames(table: Mapping[str, Iterable[str]]) -> Normalizer:
    """
    Make a normaliser that reads the short forms of names for the names.

    The table is the host's: which short forms are usual depends on language and
    generation, and public lists give one to many names ("Al": Alan, Albert, Alice).

    Joins wrongly: whoever bears the short form as a whole name.

    Args:
        table: Each name with the short forms that stand for it and for no other;
            copied. Both are compared as :func:`text` compares.

    Returns:
        A normaliser: the name in the form of :func:`text` if the whole value is one
        of its short forms, and that form of the value otherwise.

    Raises:
        TypeError: If the table is no mapping of names to several.
        ValueError: If a short form stands for two names or is a name with short
            forms itself, or a name is blank or no text.

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
    """Give each short form with its name; nothing stands for what stands for more."""
    if not isinstance(table, Mapping):
        what = f"must be a mapping of names, not {shown(table)}"
        raise TypeError(f"nicknames: {what}; write {{'Robert': ['Bob', 'Rob']}}")
    names: dict[str, str] = {}
    for full, short in table.items():
        name = _name(full)
        if isinstance(short, str) or not isinstance(short, Iterable):
            what = f"{name!r} must have a list, not {shown(short)}"
            raise TypeError(f"nicknames: {what}; list its short forms")
        for each in map(_name, short):
            if each != name and names.setdefault(each, name) != name:
                both = f"{names[each]!r} and {name!r}"
                what = f"{each!r} must be short for one name, not for {both}"
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
        what = f"a name must be text, not {shown(value)}"
        raise ValueError(f"nicknames: {what}; name it as it is written")
    return form


def _words(value: Any) -> list[str]:
    form = text(value) or ""
    kept = "".join(
        [
            each if unicodedata.category(each)[0] in "LMN" else " "
            for each in form
            if each not in _APOSTROPHES
        ]
    )
    # What an apostrophe kept apart may compose: a letter and an accent.
    return (text(kept) or "").split()


def _written(value: Any) -> str:
    """Give text as it is, a whole number as its digits, and nothing otherwise."""
    if isinstance(value, str):
        return value
    number = whole_number(value)
    return str(number) if number is not None and 0 <= number < 10**9 else ""

"""
Normalisers of telephone numbers.

Rules:
    A form is a number in E.164: a plus, the country code, the subscriber's digits.
    What may be the number of several subscribers has no form: a national number
    without its region, a subscriber's number without its area code, an extension,
    several lines in one value.
    A number that was a float has no form, for a zero may have joined its digits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from upsertcore.values import shown

__all__ = ["PHONE_FORM", "SEPARATORS", "phone", "phone_in", "without_separators"]

PHONE_FORM = re.compile(r"\+[1-9][0-9]{6,14}")
"""What :func:`phone` makes, as a whole."""

_IGNORED = re.compile(r"[\s\-\u2010-\u2015]+")
SEPARATORS = bytes([code for code in range(128) if _IGNORED.match(chr(code))])
"""
The separators of ASCII that say nothing about the digits beside them.

Brackets, dots and slashes separate as well, but they are read: see :func:`phone`.
"""

_SILENT = SEPARATORS + b"()."
_OPENING_ZERO = re.compile(r"\([\s\-]*0")
# In a number that was a float nothing else follows the dot.
_NO_FRACTION = f"{SEPARATORS.decode()}()0"
_UNREAD = str.maketrans("", "", "()./")
_WRITTEN = re.compile(r"[\s0-9().\-/+\u2010-\u2015]+")
_SIGNS = re.compile(r"\+?[0-9]+")
_INTERNATIONAL = re.compile(r"(?:\+|00)([1-9][0-9]{6,14})")

# A prefix for calls abroad, a carrier's code and the digits of E.164 are fewer.
_LONGEST = 30
_LONGEST_CODE = 3
# Subscribers' numbers have at most eight digits without their area code.
_LONGER_THAN_LOCAL = 9


def phone(value: Any) -> str | None:
    """
    Compare international telephone numbers by their digits.

    A national number is no key: without its region it belongs to several
    subscribers. :func:`phone_in` reads it for one region.

    Args:
        value: Text. A number is none of a telephone: it has lost its plus and zeros.

    Returns:
        ``+`` and 7 to 15 digits, after a leading ``+`` or ``00`` and without
        separators: white space, hyphens, dots, slashes, round brackets. None for
        anything else:

        - an extension, or less than three digits after a slash (several lines);
        - ``(0)``, or a zero that opens a bracket behind the country code, as in
          ``+44 (0)20`` and ``+44 (020)``: in Italy it is dialled, in Britain not;
          :func:`phone_in` knows;
        - what was a float: ``.0`` or a dot at the end, or zeros alone after the only
          dot.

    Source:
        ITU-T E.164: at most 15 digits, no country code begins with 0.

    >>> phone("+1 (555) 000-1111"), phone("0044 20 7946 0958"), phone("555-0001")
    ('+15550001111', '+442079460958', None)
    >>> phone("+44 (0)20 7946 0958"), phone("+15550001111.0")
    (None, None)
    """
    if not isinstance(value, str):
        return None
    if value.isascii():
        if value[:1] == "+" and 7 < len(value) < 17 and value[1:].isdigit():
            return value if value[1] != "0" else None
        bare = without_separators(value)
        digits = bare[1:] if bare[:1] == "+" else bare[2:] if bare[:2] == "00" else ""
        if digits.isdigit():
            form = digits[0] != "0" and 7 <= len(digits) <= 15
            return "+" + digits if form else None
    number = _dialled(value)
    if number is None or number.without_zero:
        return None
    found = _INTERNATIONAL.fullmatch(number.digits)
    return None if found is None else "+" + found[1]


def without_separators(value: str) -> str:
    """
    Remove the separators of a number where none of them says anything.

    Args:
        value: ASCII text.

    Returns:
        Blank where a zero opens a bracket, or what follows the last dot may be that of
        a float. A slash stays.

    >>> (
    ...     without_separators("+1 (555) 000.1111"),
    ...     without_separators("+44 ( 0)20 79460958"),
    ... )
    ('+15550001111', '')
    """
    if "(" in value and _OPENING_ZERO.search(value):
        return ""
    if "." in value and not value.rpartition(".")[2].strip(_NO_FRACTION):
        return ""
    return value.encode().translate(None, _SILENT).decode()


class _Dialled(NamedTuple):
    """
    A number without its separators.

    Args:
        digits: With a plus in front or without.
        without_zero: The same without a zero in brackets, which may be dialled or
            not; blank where there is none.
    """

    digits: str
    without_zero: str


def _dialled(value: str) -> _Dialled | None:
    """Read a number; None for what is no number, several ones, or was a float."""
    if value.isascii():
        bare = value.encode().translate(None, SEPARATORS).decode()
    elif _WRITTEN.fullmatch(value):
        bare = _IGNORED.sub("", value)
    else:
        return None
    digits = bare.translate(_UNREAD)
    if not _SIGNS.fullmatch(digits) or len(digits) > _LONGEST:
        return None
    if "." in bare:
        before, _dot, after = bare.rpartition(".")
        after = after.translate(_UNREAD)
        if not after or after == "0" or ("." not in before and not after.strip("0")):
            return None
    if "/" in bare and len(bare.rpartition("/")[2].translate(_UNREAD)) < 3:
        return None
    zero = _zero(bare)
    if zero is None:
        return _Dialled(digits, "")
    return _Dialled(digits, (bare[:zero] + bare[zero + 1 :]).translate(_UNREAD))


def _zero(bare: str) -> int | None:
    """
    Find a zero that is dialled or not: "+44 (0)20", "+44 (020)".

    In front of all digits, brackets hold a prefix that is dialled: "(0044) 20".
    """
    start = bare.find("(0)", 1)
    if start < 0:
        start = bare.find("(0", 1)
        code = bare[: max(start, 0)].translate(_UNREAD)
        if not 1 <= len(code.removeprefix("+").removeprefix("00")) <= _LONGEST_CODE:
            return None
    return start + 1


def phone_in(region: str) -> Callable[[Any], str | None]:
    """
    Make a normaliser that also reads the national numbers of one region.

    Args:
        region: ISO 3166-1 alpha-2, in capitals: ``"US"``, ``"DE"``.

    Returns:
        A normaliser. What begins with a plus has the form that :func:`phone` makes;
        where that is none for a zero in brackets, and for what begins without a plus,
        it is E.164 if the number is valid. None for anything else:

        - a number that is merely possible: short codes, emergency numbers, and a
          subscriber's number without its area code, which every town has;
        - a number without its trunk prefix (Germany's 0), where it is usually
          written with it, that is short enough to be a subscriber's without its area
          code;
        - a number that can be read in two ways: ``00`` as the prefix for calls abroad
          and as the region dials, or digits that begin with the region's country
          code;
        - whatever :func:`phone` takes for an extension, several lines or a float.

    Raises:
        ModuleNotFoundError: If the package ``phonenumbers`` is not installed.
        ValueError: If the region is unknown.

    Cost:
        Some twenty times :func:`phone`.

    Source:
        The metadata of Google's libphonenumber, through ``phonenumbers``.

    >>> us = phone_in("US")
    >>> us("(202) 555-0143"), us("+44 (0)20 7946 0958"), us("555-0143"), us("911")
    ('+12025550143', '+442079460958', None, None)
    """
    phonenumbers = _phonenumbers()
    if region not in phonenumbers.SUPPORTED_REGIONS:
        what = f"unknown region {shown(region)}"
        raise ValueError(f"{what}; pass two capital letters, such as 'US'")
    plan = _Plan(phonenumbers, region)

    def phone_in_region(value: Any) -> str | None:
        number = _dialled(value) if isinstance(value, str) else None
        if number is None:
            return None
        if number.digits[0] == "+" and not number.without_zero:
            return phone(number.digits)
        readings = {*plan.readings(number)} - {None}
        return readings.pop() if len(readings) == 1 else None

    return phone_in_region


class _Plan:
    """The numbering plan of a region, as the package phonenumbers has it."""

    def __init__(self, phonenumbers: Any, region: str) -> None:
        self._numbers, self._region = phonenumbers, region
        plan = phonenumbers.PhoneMetadata.metadata_for_region(region)
        fixed = plan.fixed_line.possible_length or plan.general_desc.possible_length
        self._code = str(plan.country_code)
        self._shortest = (
            min(_LONGER_THAN_LOCAL, max(fixed)) if plan.national_prefix else 0
        )

    def readings(self, number: _Dialled) -> Iterator[str | None]:
        """Give each form that the digits may stand for, None where one is invalid."""
        digits, shorter = number
        abroad = digits.startswith(("+", "00"))
        for each in (digits, shorter) if shorter else (digits,):
            if each.startswith("00"):
                yield self._valid("+" + each[2:])
            elif not abroad and each.startswith(self._code):
                yield self._valid("+" + each)
            if abroad or not shorter:
                yield self._valid(each)

    def _valid(self, digits: str) -> str | None:
        numbers = self._numbers
        try:
            number = numbers.parse(digits, self._region)
        except numbers.NumberParseException:
            return None
        if not numbers.is_valid_number(number) or self._lacks_prefix(number, digits):
            return None
        form = str(numbers.format_number(number, numbers.PhoneNumberFormat.E164))
        return form if PHONE_FORM.fullmatch(form) else None

    def _lacks_prefix(self, number: Any, digits: str) -> bool:
        """Check whether a subscriber's number may have been read as a national one."""
        numbers = self._numbers
        significant = numbers.national_significant_number(number)
        if significant != digits or len(digits) >= self._shortest:
            return False
        # Some numbers are written without the prefix: mobile ones in Mongolia.
        usual = numbers.format_number(number, numbers.PhoneNumberFormat.NATIONAL)
        return usual == digits or "".join(filter(str.isdigit, usual)) != digits


def _phonenumbers() -> Any:
    try:
        import phonenumbers  # noqa: PLC0415 - the extra is asked for by this call alone
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "phone_in needs the package phonenumbers: pip install 'upsertcore[phone]'",
            name="phonenumbers",
        ) from error
    return phonenumbers

"""
Normalisers of telephone numbers.

Rules:
    A form is a number in E.164: a plus, the country code, the subscriber's digits.
    A value that may belong to several subscribers has no form: a national number
    without its region, a local number without its area code, a number with an
    extension, several numbers in one value.
    A number that was a float has no form, because a zero may have been appended.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from upsertcore.values import show_value

__all__ = ["PHONE_FORM", "SEPARATORS", "phone", "phone_in", "without_separators"]

PHONE_FORM = re.compile(r"\+[1-9][0-9]{6,14}")
"""Matches every form that :func:`phone` returns."""

_SEPARATORS_RE = re.compile(r"[\s\-\u2010-\u2015]+")
SEPARATORS = bytes([code for code in range(128) if _SEPARATORS_RE.match(chr(code))])
"""
The ASCII separators that carry no meaning.

Brackets, dots and slashes separate as well, but may have a meaning: see :func:`phone`.
"""

_PLAIN_SEPARATORS = SEPARATORS + b"()."
_OPENING_ZERO = re.compile(r"\([\s\-]*0")
# The only characters that follow the dot in a number that was a float.
_NO_FRACTION = f"{SEPARATORS.decode()}()0"
_DROP_PUNCTUATION = str.maketrans("", "", "()./")
_NUMBER_CHARS = re.compile(r"[\s0-9().\-/+\u2010-\u2015]+")
_PLUS_AND_DIGITS = re.compile(r"\+?[0-9]+")
_INTERNATIONAL = re.compile(r"(?:\+|00)([1-9][0-9]{6,14})")

# An international prefix, a carrier code and the digits of E.164 together are shorter.
_MAX_DIGITS = 30
_MAX_CODE = 3
# With the trunk prefix, as in 036457/5550.
_MAX_AREA_CODE = 6
# A reading that is possible, and in doubt.
_AMBIGUOUS = ""
# Local numbers have at most eight digits.
_MIN_NATIONAL = 9


def phone(value: Any) -> str | None:
    """
    Compare international telephone numbers by their digits.

    A national number has no form: without a region it may belong to several
    subscribers. :func:`phone_in` reads national numbers of one region.

    Args:
        value: Text. An integer or float has no form: it has lost its plus and zeros.

    Returns:
        ``+`` and the 7 to 15 digits after a leading ``+`` or ``00``, without
        separators: white space, hyphens, dots, slashes, round brackets. None for any
        other value, among them:

        - a number with an extension, as are digits in brackets at the end: ``(12)``;
        - several numbers: fewer than three digits after a slash, or more than an area
          code before it;
        - a zero in brackets after the country code, as in ``+44 (0)20`` and
          ``+44 (020)``: it is dialled in Italy and not in Britain; :func:`phone_in`
          resolves it;
        - a former float: ``.0`` or a dot at the end, or only zeros after the only dot.

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
    number = _parse(value)
    if number is None or number.without_zero:
        return None
    match = _INTERNATIONAL.fullmatch(number.digits)
    return None if match is None else "+" + match[1]


def without_separators(value: str) -> str:
    """
    Remove the separators of a number, if none of them has a meaning.

    Args:
        value: ASCII text.

    Returns:
        The number; slashes stay. Blank where a bracket begins with a zero or contains
        an extension, or the number may have been a float.

    >>> (
    ...     without_separators("+1 (555) 000.1111"),
    ...     without_separators("+44 ( 0)20 79460958"),
    ... )
    ('+15550001111', '')
    """
    if "(" in value:
        if _OPENING_ZERO.search(value):
            return ""
        # Most numbers end with a digit, and are searched no further.
        if not value[-1].isdigit() and _has_extension(value):
            return ""
    if "." in value and not value.rpartition(".")[2].strip(_NO_FRACTION):
        return ""
    return value.encode().translate(None, _PLAIN_SEPARATORS).decode()


class _Number(NamedTuple):
    """
    A number without its separators.

    Args:
        digits: The digits, with or without a leading plus.
        without_zero: The same without the zero in brackets, which may be dialled or
            not; blank where there is no such zero.
    """

    digits: str
    without_zero: str


def _parse(value: str) -> _Number | None:
    """Parse a number; None for other text, several numbers, or a former float."""
    if value.isascii():
        bare = value.encode().translate(None, SEPARATORS).decode()
    elif _NUMBER_CHARS.fullmatch(value):
        bare = _SEPARATORS_RE.sub("", value)
    else:
        return None
    digits = bare.translate(_DROP_PUNCTUATION)
    if not _PLUS_AND_DIGITS.fullmatch(digits) or len(digits) > _MAX_DIGITS:
        return None
    if "." in bare:
        before, _dot, after = bare.rpartition(".")
        after = after.translate(_DROP_PUNCTUATION)
        if not after or after == "0" or ("." not in before and not after.strip("0")):
            return None
    if _has_extension(bare):
        return None
    if "/" in bare and _are_several(bare):
        return None
    zero = _zero_position(bare)
    if zero is None:
        return _Number(digits, "")
    return _Number(
        digits, (bare[:zero] + bare[zero + 1 :]).translate(_DROP_PUNCTUATION)
    )


def _has_extension(value: str) -> bool:
    """Return whether brackets at the end follow other digits: 030 5550106 (12)."""
    before, bracket, after = value.rpartition("(")
    is_last = bool(bracket) and not after.rpartition(")")[2].strip()
    return is_last and ")" in after and any(map(str.isdigit, before))


def _are_several(bare: str) -> bool:
    """Return whether a slash is between two numbers, and not behind an area code."""
    before, _slash, after = bare.rpartition("/")
    code = before.translate(_DROP_PUNCTUATION)
    international = code.startswith(("+", "00"))
    longest = _MAX_AREA_CODE + international * (2 + _MAX_CODE)
    return len(after.translate(_DROP_PUNCTUATION)) < 3 or len(code) > longest


def _zero_position(bare: str) -> int | None:
    """
    Find a zero that may be dialled or not: "+44 (0)20", "+44 (020)".

    Brackets before all other digits contain a prefix that is dialled: "(0044) 20".
    """
    start = bare.find("(0)", 1)
    if start < 0:
        start = bare.find("(0", 1)
        code = bare[: max(start, 0)].translate(_DROP_PUNCTUATION)
        if not 1 <= len(code.removeprefix("+").removeprefix("00")) <= _MAX_CODE:
            return None
    return start + 1


def phone_in(region: str) -> Callable[[Any], str | None]:
    """
    Return a normaliser that also reads the national numbers of one region.

    Args:
        region: ISO 3166-1 alpha-2, in capitals: ``"US"``, ``"DE"``.

    Returns:
        A normaliser. A number that begins with a plus has the form of :func:`phone`.
        With a zero in brackets, or without a plus, it has its E.164 form if it is
        valid. None for any other value, among them:

        - numbers that are only possible, not valid: short codes, emergency numbers,
          local numbers without their area code, which exist in every town;
        - a number without the trunk prefix (0 in Germany) that is usually written with
          it, and short enough to be a local number;
        - a number that can be read in two ways: ``00`` as the international prefix or
          as part of a national number, or digits that begin with the region's country
          code;
        - extensions, several numbers and former floats, as in :func:`phone`.

    Raises:
        ModuleNotFoundError: If the package ``phonenumbers`` is not installed.
        ValueError: If the region is unknown.

    Cost:
        About twenty times that of :func:`phone`.

    Source:
        The metadata of Google's libphonenumber, through ``phonenumbers``.

    >>> us = phone_in("US")
    >>> us("(202) 555-0143"), us("+44 (0)20 7946 0958"), us("555-0143"), us("911")
    ('+12025550143', '+442079460958', None, None)
    """
    phonenumbers = _phonenumbers()
    if region not in phonenumbers.SUPPORTED_REGIONS:
        what = f"unknown region {show_value(region)}"
        raise ValueError(f"{what}; pass two capital letters, such as 'US'")
    plan = _Plan(phonenumbers, region)

    def phone_in_region(value: Any) -> str | None:
        number = _parse(value) if isinstance(value, str) else None
        if number is None:
            return None
        if number.digits[0] == "+" and not number.without_zero:
            return phone(number.digits)
        readings = {*plan.readings(number)} - {None}
        form = readings.pop() if len(readings) == 1 else None
        return None if form == _AMBIGUOUS else form

    return phone_in_region


class _Plan:
    """The numbering plan of a region, from the package phonenumbers."""

    def __init__(self, phonenumbers: Any, region: str) -> None:
        self._numbers, self._region = phonenumbers, region
        plan = phonenumbers.PhoneMetadata.metadata_for_region(region)
        fixed = plan.fixed_line.possible_length or plan.general_desc.possible_length
        self._code = str(plan.country_code)
        shortest = min(_MIN_NATIONAL, max(fixed))
        self._shortest = shortest if plan.national_prefix else 0
        self._longest_local: int = min(_MIN_NATIONAL - 1, max(fixed))
        self._local_lengths = frozenset(plan.fixed_line.possible_length_local_only)
        self._own_prefix = plan.preferred_international_prefix or "00"

    def readings(self, number: _Number) -> Iterator[str | None]:
        """Yield each possible form of the digits, None where one is invalid."""
        digits, shorter = number
        international = digits.startswith(("+", "00"))
        for candidate in (digits, shorter) if shorter else (digits,):
            if candidate.startswith("00"):
                # In Australia 0011 is the prefix, and not 00 before a number of +1.
                own = self._own_prefix
                if own == "00" or not candidate.startswith(own):
                    yield self._valid("+" + candidate[2:])
            elif not international and candidate.startswith(self._code):
                yield self._with_code(candidate)
            if international or not shorter:
                yield self._valid(candidate)

    def _with_code(self, candidate: str) -> str | None:
        """
        Return the form of digits that begin with the country code, if it is valid.

        As short a number may be local: 4953 1157 is one in Hamburg and another one in
        Berlin. It has no form, but makes another reading ambiguous.
        """
        form = self._valid("+" + candidate)
        return _AMBIGUOUS if form and len(candidate) <= self._longest_local else form

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
        """Return whether a local number may have been read as national."""
        numbers = self._numbers
        significant = numbers.national_significant_number(number)
        if significant != digits:
            return False
        if len(digits) in self._local_lengths:
            return True
        if len(digits) >= self._shortest:
            return False
        # Some numbers have no prefix, such as mobile numbers in Mongolia.
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

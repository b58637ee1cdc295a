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
from collections.abc import Iterator
from typing import Any, NamedTuple

from upsertcore.normalize.normalizer import Normalizer, ParameterNormalizer
from upsertcore.values import show_value

__all__ = [
    "PHONE_FORM",
    "SEPARATORS",
    "phone",
    "phone_in",
    "phone_with_code",
    "without_separators",
]

PHONE_FORM = re.compile(r"\+[1-9][0-9]{6,14}")
"""Matches every form that :func:`phone` returns."""

# A line break separates numbers, and not the digits of one.
_SEPARATORS_RE = re.compile(r"[^\S\n\v\f\r\x1c-\x1e\x85\u2028\u2029]|[\-\u2010-\u2015]")
SEPARATORS = bytes([code for code in range(128) if _SEPARATORS_RE.match(chr(code))])
"""
The ASCII separators that carry no meaning.

Brackets, dots and slashes separate as well, but may have a meaning: see :func:`phone`.
"""

_PLAIN_SEPARATORS = SEPARATORS + b"."
# One pair, around an area code.
_PLAIN_BRACKETS = re.compile(r"[^()]*\(([1-9][0-9]{0,5})\)[^()]*[0-9]\s*")
_BALANCED = re.compile(r"(?:[^()]*\([^()]*\))*[^()]*")
# The only characters that follow the dot in a number that was a float.
_NO_FRACTION = f"{SEPARATORS.decode()}()0"
_DROP_PUNCTUATION = str.maketrans("", "", "()./")
_PLUS_AND_DIGITS = re.compile(r"\+?[0-9]+")
_GROUP = re.compile(r"[0-9]+")
# Between two numbers: 5360 - 5361. Within one, a hyphen has no spaces around it.
_WIDE_GAP = re.compile(
    r"([0-9]{4,})(?:\s+[\-\u2010-\u2015]\s+|[\u2012-\u2015]|\s*\t\s*|\.\s+)([0-9]{4,})(?![0-9])"
)
# A range or an extension: 3456-8.
_SHORT_END = re.compile(r"(.*[0-9])\s*[\-\u2010-\u2015]\s*[0-9]{1,2}", re.DOTALL)
_INTERNATIONAL = re.compile(r"(?:\+|00)([1-9][0-9]{6,14})")
# One digit more: 555 0001 is a local number everywhere.
_WITH_CODE = re.compile(r"[1-9][0-9]{7,14}")

# An international prefix, a carrier code and the digits of E.164 together are shorter.
_MAX_DIGITS = 30
# Two numbers with their area codes are as long: +49 30 5550 030 5551.
_MAX_PLAIN = 15
_MAX_CODE = 3
# With the trunk prefix, as in 036457/5550.
_MAX_AREA_CODE = 6
_MIN_AFTER_SLASH = 3
# Kenya, Tanzania and Uganda dial each other by codes that begin as the prefix 00 does.
_NEIGHBOURS = dict.fromkeys(("KE", "TZ", "UG"), ("005", "006", "007"))
# Written before an area code and its slash: 06-20/123-4567.
_TRUNK_PREFIXES = frozenset({"0", "06", "1", "8"})
# Without its area code. Shorter ones are rare.
_MIN_LOCAL = 5
# A reading that is possible, and in doubt.
_AMBIGUOUS = ""
# Local numbers have at most eight digits.
_MIN_NATIONAL = 9
# How many lengths the landline numbers of a region have, at most, where an extension is
# no part of the number.
_MAX_LENGTHS = 7


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

        - a number with an extension, as are digits in brackets at the end: ``(12)``,
          and one with half a pair of brackets;
        - several numbers: a line break between digits, a second area code, fewer than
          three digits after a slash, or more than an area code before it;
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
        The number; slashes stay. Blank where brackets contain more or less than an area
        code, or begin with a zero, where the number may have been a float, and where it
        is as long as two.

    >>> (
    ...     without_separators("+1 (555) 000.1111"),
    ...     without_separators("+44 ( 0)20 79460958"),
    ... )
    ('+15550001111', '')
    """
    separators = _PLAIN_SEPARATORS
    if "(" in value:
        if not _PLAIN_BRACKETS.fullmatch(value):
            return ""
        separators += b"()"
    if "." in value and not value.rpartition(".")[2].strip(_NO_FRACTION):
        return ""
    bare = value.encode().translate(None, separators).decode()
    return bare if len(bare) < _MAX_PLAIN else ""


class _Number(NamedTuple):
    """
    A number without its separators.

    Args:
        digits: The digits, with or without a leading plus.
        without_zero: The same without the zero in brackets, which may be dialled or
            not; blank where there is no such zero.
        groups: The digits as they are grouped.
    """

    digits: str
    without_zero: str
    groups: list[str]


def _parse(value: str) -> _Number | None:
    """Parse a number; None for other text, several numbers, or a former float."""
    value = value.strip()
    if value.isascii():
        bare = value.encode().translate(None, SEPARATORS).decode()
    else:
        bare = _SEPARATORS_RE.sub("", value)
    digits = bare.translate(_DROP_PUNCTUATION)
    if not _PLUS_AND_DIGITS.fullmatch(digits) or len(digits) > _MAX_DIGITS:
        return None
    groups = _GROUP.findall(value)
    if "." in bare:
        before, _dot, after = bare.rpartition(".")
        after = after.translate(_DROP_PUNCTUATION)
        if not after or after == "0" or ("." not in before and not after.strip("0")):
            return None
    if _begins_again(groups, international=digits[0] == "+"):
        return None
    if _has_wide_gap(value):
        return None
    if "/" in bare and not _is_behind_code(value):
        return None
    if ("(" in bare or ")" in bare) and not _surrounds_code(bare):
        return None
    zero = _zero_position(bare)
    if zero is None:
        return _Number(digits, "", groups)
    without_zero = (bare[:zero] + bare[zero + 1 :]).translate(_DROP_PUNCTUATION)
    return _Number(digits, without_zero, groups)


def _begins_again(groups: list[str], *, international: bool) -> bool:
    """Return whether a second number follows the first: 030 5550 030 5551."""
    first = _MIN_LOCAL + 2 * international
    for start in range(1, len(groups)):
        group = groups[start]
        is_code = group[0] == "0" != group[1:2]
        is_code &= len(group) >= 3 or group in groups[:start]
        before, after = "".join(groups[:start]), "".join(groups[start:])
        if is_code and len(before) > first and len(after) > _MIN_LOCAL:
            return True
    return False


def _has_wide_gap(value: str) -> bool:
    """Return whether a gap separates two numbers: 030 12345 - 12346."""
    return any(
        len(gap[1]) == len(gap[2]) and ("\t" not in gap[0] or value.count("\t") == 1)
        for gap in _WIDE_GAP.finditer(value)
    )


def _is_behind_code(value: str) -> bool:
    """Return whether a slash follows an area code, as in 030/5550106."""
    before, _slash, after = value.rpartition("/")
    groups = _GROUP.findall(before) or [""]
    international = "+" in before or groups[0].startswith("00")
    if international:
        groups = [group for group in groups if group != "0"]
    elif len(groups) > 1 and groups[0] in _TRUNK_PREFIXES:
        groups[:2] = [f"0{groups[1]}"]
    code = "+" * ("+" in before) + "".join(groups)
    following = len("".join(_GROUP.findall(after)))
    if not _is_code(code) or not code.strip("+") or following < _MIN_AFTER_SLASH:
        return False
    if "/" in before:
        return True
    if not code.startswith(("+", "0")):
        return len(code) < min(following - 1, _MIN_LOCAL)
    if code.startswith(("+", "00")):
        groups = groups[groups[0] == "00" :]
        groups = groups[len(groups[0].removeprefix("00")) <= _MAX_CODE :]
    return len(groups) <= 1


def _surrounds_code(bare: str) -> bool:
    """Return whether brackets surround an area code, and no extension: 5550106 (12)."""
    if not _BALANCED.fullmatch(bare):
        return False
    before, _bracket, code = bare.rpartition("(")
    code, _bracket, after = code.partition(")")
    if not any(map(str.isdigit, after)):
        return not any(map(str.isdigit, before))
    return _is_code(code)


def _is_code(bare: str) -> bool:
    """Return whether the digits may be an area code, with or without a country code."""
    code = bare.translate(_DROP_PUNCTUATION)
    international = code.startswith(("+", "00"))
    return len(code) <= _MAX_AREA_CODE + international * (2 + _MAX_CODE)


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


def phone_with_code(value: Any) -> str | None:
    """
    Compare telephone numbers that have their country code, with or without a plus.

    As WhatsApp and Meta write them: ``16505551212``. Choose it where every number has
    its country code; a national number would be read as one of another country.

    Args:
        value: Text. A number that is not text has no form: see :func:`phone`.

    Returns:
        The form of :func:`phone`; of a number without a plus or ``00``, ``+`` and its
        8 to 15 digits. None for any other value: one that begins with a zero, that has
        seven digits, or that has no form for the other reasons of :func:`phone`.

    Source:
        Meta, Conversions API, Customer Information Parameters, ``ph``.

    >>> phone_with_code("1 (650) 555-1212"), phone_with_code("+1 650 555 1212")
    ('+16505551212', '+16505551212')
    >>> phone_with_code("030 5550106"), phone_with_code("555-0001")
    (None, None)
    """
    form = phone(value)
    number = _parse(value) if form is None and isinstance(value, str) else None
    if number is None or number.without_zero:
        return form
    return f"+{number.digits}" if _WITH_CODE.fullmatch(number.digits) else None


def phone_in(region: str) -> Normalizer:
    """
    Return a normaliser that also reads the national numbers of one region.

    Args:
        region: ISO 3166-1 alpha-2, in capitals: ``"US"``, ``"DE"``.

    Returns:
        A normaliser. A number that begins with a plus has the form of :func:`phone`.
        With a zero in brackets, or without a plus, it has its E.164 form if it is
        valid. None for any other value, among them:

        - two numbers around a dash (``12345 - 12346``), and a number that
          is valid without the one or two digits after its last hyphen
          (``055 212345-6``), unless extensions are dialled after the number, as in
          Germany;
        - numbers that are only possible, not valid: short codes, emergency numbers,
          local numbers without their area code, which exist in every town;
        - a number without the trunk prefix (0 in Germany) that is usually written with
          it, and may be a local number, two of them (``55501 55502``), or one with an
          extension (``5550106-12``);
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
        form = plan.form(number)
        if form is not None and plan.may_be_two(value, number):
            return None
        return form

    return ParameterNormalizer(phone_in, phone_in_region, region)


class _Plan:
    """The numbering plan of a region, from the package phonenumbers."""

    def __init__(self, phonenumbers: Any, region: str) -> None:
        self._numbers, self._region = phonenumbers, region
        plan = phonenumbers.PhoneMetadata.metadata_for_region(region)
        fixed = plan.fixed_line.possible_length or plan.general_desc.possible_length
        self._code = str(plan.country_code)
        shortest = min(_MIN_NATIONAL, max(fixed))
        self._shortest = shortest if plan.national_prefix else 0
        # Two digits at least, as 0 (30) has another meaning.
        prefix = plan.national_prefix
        self._trunk = (f"{prefix}0",) if prefix else ()
        # Where numbers have any length, an extension is dialled after the number.
        self._has_extensions = len(fixed) > _MAX_LENGTHS
        mobile = {*plan.mobile.possible_length} if plan.mobile else set()
        longest = {max(fixed), *mobile}
        self._is_full = not plan.national_prefix and longest == {_MIN_NATIONAL}
        self._longest_local: int = min(_MIN_NATIONAL - 1, max(fixed))
        self._local_lengths = frozenset(plan.fixed_line.possible_length_local_only)
        # Russia writes its numbers with or without the prefix.
        is_optional = any(
            layout.national_prefix_optional_when_formatting
            for layout in plan.number_format
        )
        lengths = frozenset() if is_optional else self._local_lengths
        # Germany lists none that is longer than four digits.
        is_listed = not lengths or max(lengths) >= _MIN_LOCAL
        self._subscriber_lengths = (
            lengths if is_listed else set(range(_MIN_LOCAL, _MIN_NATIONAL))
        )
        self._neighbours = _NEIGHBOURS.get(region, ())
        self._own_prefix = plan.preferred_international_prefix or "00"

    def form(self, number: _Number) -> str | None:
        """Return the one form that the digits may have; None for none or several."""
        readings = {*self._readings(number)} - {None}
        return (readings.pop() or None) if len(readings) == 1 else None

    def may_be_two(self, value: str, number: _Number) -> bool:
        """Return whether a valid number may be two: 22123 22124, 02-712-3456-8."""
        groups = number.groups
        if (
            len(groups) == 2
            and abs(len(groups[0]) - len(groups[1])) <= 1
            and not groups[0].startswith(self._code)
            and (
                # In Luxembourg, which has no area codes, numbers have any length.
                (self._has_extensions and not self._shortest)
                or all(self.form(_Number(part, "", [part])) for part in groups)
            )
        ):
            return True
        end = _SHORT_END.fullmatch(value.strip())
        if end is not None and self._has_extensions and not self._is_mobile(number):
            return False
        shorter = None if end is None else _parse(end[1])
        return shorter is not None and self.form(shorter) is not None

    def _is_mobile(self, number: _Number) -> bool:
        numbers = self._numbers
        parsed = numbers.parse(number.digits, self._region)
        return bool(numbers.number_type(parsed) == numbers.PhoneNumberType.MOBILE)

    def _readings(self, number: _Number) -> Iterator[str | None]:
        """Yield each possible form of the digits, None where one is invalid."""
        digits, shorter, groups = number
        international = digits.startswith(("+", "00"))
        for candidate in (digits, shorter) if shorter else (digits,):
            if candidate.startswith(self._neighbours):
                return
            if candidate.startswith("00"):
                # In Australia 0011 is the prefix, and not 00 before a number of +1.
                own = self._own_prefix
                if own == "00" or not candidate.startswith(own):
                    yield self._valid("+" + candidate[2:], groups)
            elif not international and candidate.startswith(self._code):
                yield self._with_code(candidate, groups)
            # In Belarus 8 (029) is dialled as 8029.
            if international or not shorter or digits.startswith(self._trunk):
                yield self._valid(candidate, groups)

    def _with_code(self, candidate: str, groups: list[str]) -> str | None:
        """
        Return the form of digits that begin with the country code, if it is valid.

        As short a number may be local: 4953 1157 is one in Hamburg and another one in
        Berlin. It has no form, but makes another reading ambiguous.
        """
        form = self._valid("+" + candidate, groups)
        return _AMBIGUOUS if form and len(candidate) <= self._longest_local else form

    def _valid(self, digits: str, groups: list[str]) -> str | None:
        numbers = self._numbers
        try:
            number = numbers.parse(digits, self._region)
        except numbers.NumberParseException:
            return None
        if not numbers.is_valid_number(number):
            return None
        significant = numbers.national_significant_number(number)
        if significant == digits and self._lacks_prefix(number, digits, groups):
            return None
        # In Poland a number is full with nine digits.
        if self._is_full and len(digits) < _MIN_NATIONAL and digits[0] in "123456789":
            return None
        form = str(numbers.format_number(number, numbers.PhoneNumberFormat.E164))
        return form if PHONE_FORM.fullmatch(form) else None

    def _lacks_prefix(self, number: Any, digits: str, groups: list[str]) -> bool:
        """Return whether local numbers may have been read as a national one."""
        if len(digits) in self._local_lengths:
            return True
        if len(digits) >= self._shortest and not self._may_be_local(groups):
            return False
        # Some numbers have no prefix, such as mobile numbers in Mongolia.
        numbers = self._numbers
        usual = numbers.format_number(number, numbers.PhoneNumberFormat.NATIONAL)
        return usual == digits or "".join(filter(str.isdigit, usual)) != digits

    def _may_be_local(self, groups: list[str]) -> bool:
        """Return whether there are two local numbers (55501 55502) or an extension."""
        *before, last = map(len, groups)
        if before == [last]:
            return last >= _MIN_LOCAL and bool(self._subscriber_lengths)
        is_extension = 0 < len(before) <= 2 and last <= 3 + self._has_extensions
        return is_extension and sum(before) in self._subscriber_lengths


def _phonenumbers() -> Any:
    try:
        import phonenumbers  # noqa: PLC0415 - the extra is asked for by this call alone
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "phone_in needs the package phonenumbers: pip install 'upsertcore[phone]'",
            name="phonenumbers",
        ) from error
    return phonenumbers

"""
Normalisers: the form of a value in which keys are compared.

Rules:
    A normaliser is pure, total on text and idempotent, and may answer None: no key.
    It would rather find nobody than the wrong person.
    Normal forms are for comparing alone; what is stored is what was sent.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from upsertcore.parts import (
    Normalizer,
    initials,
    nicknames,
    postcode_area,
    prefix,
    sorted_tokens,
    text,
    year,
)

__all__ = [
    "PLACEHOLDERS",
    "SEPARATORS",
    "Normalizer",
    "email",
    "exact",
    "initials",
    "nicknames",
    "phone",
    "phone_in",
    "postcode_area",
    "prefix",
    "sorted_tokens",
    "text",
    "year",
]

PLACEHOLDERS: tuple[str | re.Pattern[str], ...] = (
    *("anonymous", "null", "undefined", "none", "nan", "-1", re.compile(r"\+?0+")),
    *("noreply@*", "unknown@*"),
)
"""What forms and exports write where they know nobody: ``Policy(blocked=...)``."""

# The characters that NFC or lower() would turn into ASCII: GREEK QUESTION MARK,
# GREEK VARIA, KELVIN SIGN, LATIN CAPITAL LETTER I WITH DOT ABOVE. The tests look
# at every code point to show that there are no others.
_GUARDED = re.compile("([\u037e\u1fef\u212a\u0130])")
_CONTROL = re.compile(r"[\s\x00-\x1f\x7f-\x9f]")
_SEPARATORS = re.compile(r"[\s().\-/\u2010-\u2015]+")
SEPARATORS = bytes([code for code in range(128) if _SEPARATORS.match(chr(code))])
"""What separates the digits of a telephone number, of ASCII."""

_INTERNATIONAL = re.compile(r"(?:\+|00)([1-9][0-9]{6,14})")
_ZEROS = re.compile(r"^\s*00")
_DIALLED = re.compile(r"[\s0-9().\-/+\u2010-\u2015]+")


def exact(value: Any) -> str | None:
    """
    Compare identifiers as they are; a whole number as its digits.

    Args:
        value: Text or a whole number.

    Returns:
        The text itself, so upper and lower case differ; None for anything that is
        neither, and for text of white space alone.

    >>> exact(249) == exact("249"), exact("A1") == exact("a1"), exact(" ")
    (True, False, None)
    """
    if isinstance(value, str):
        return value if value and not value.isspace() else None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None


def email(value: Any) -> str | None:
    """
    Compare mailboxes: white space around and case do not count.

    No provider's rules (dots, plus tags) are applied, and no character outside
    ASCII ever becomes one inside: KELVIN SIGN is not k, or one person could take
    another's contact.

    Args:
        value: Text.

    Returns:
        Stripped, NFC, lower case; None unless there is something on both sides of
        an ``@`` and no white space or control character inside.

    Source:
        Unicode 15, SpecialCasing.txt and the singleton decompositions of NFC.

    >>> email(" Ada@Example.ORG ")
    'ada@example.org'
    >>> email("+1 555 000 1111") is None
    True
    """
    if not isinstance(value, str):
        return None
    form = value.strip()
    if form.isascii():
        form = form.lower()
        whole = form.isprintable() and " " not in form
    else:
        form = _lower(form)
        whole = not _CONTROL.search(form)
    name, _at, domain = form.rpartition("@")
    return form if name and domain and whole else None


def _lower(value: str) -> str:
    for step in (_nfc, str.lower, _nfc):
        parts = _GUARDED.split(value)
        parts[::2] = [step(part) for part in parts[::2]]
        value = "".join(parts)
    return value


def _nfc(value: str) -> str:
    return unicodedata.normalize("NFC", value)


def phone(value: Any) -> str | None:
    """
    Compare international telephone numbers by their digits.

    A national number is no key: without its region it belongs to several
    subscribers. :func:`phone_in` reads it for one region.

    Args:
        value: Text.

    Returns:
        ``+`` and 7 to 15 digits, after a leading ``+`` or ``00`` and without
        separators; None for anything else, an extension included.

    Source:
        ITU-T E.164: at most 15 digits, no country code begins with 0.

    >>> phone("+1 (555) 000-1111"), phone("0044 20 7946 0958"), phone("555-0001")
    ('+15550001111', '+442079460958', None)
    """
    if not isinstance(value, str):
        return None
    if value.isascii():
        if value[:1] == "+" and 7 < len(value) < 17 and value[1:].isdigit():
            return value if value[1] != "0" else None
        # The same in half the time: bytes without separators are a sign and digits.
        text = value.encode().translate(None, SEPARATORS)
        digits = (
            text[1:] if text[:1] == b"+" else text[2:] if text[:2] == b"00" else b""
        )
        if not digits.isdigit() or digits[:1] == b"0" or not 7 <= len(digits) <= 15:
            return None
        return "+" + digits.decode()
    found = _INTERNATIONAL.fullmatch(_SEPARATORS.sub("", value))
    return None if found is None else "+" + found[1]


def phone_in(region: str) -> Normalizer:
    """
    Make a normaliser that also reads the national numbers of one region.

    Args:
        region: ISO 3166-1 alpha-2, in capitals: ``"US"``, ``"DE"``.

    Returns:
        A normaliser that answers E.164, or None for what is no possible number and
        for a number with an extension, which several people may share.

    Raises:
        ModuleNotFoundError: If the package ``phonenumbers`` is not installed.
        ValueError: If the region is unknown.

    Cost:
        Some twenty times :func:`phone`.

    Source:
        The metadata of Google's libphonenumber, through ``phonenumbers``.

    >>> us = phone_in("US")
    >>> us("(202) 555-0143"), us("+44 20 7946 0958"), us("12")
    ('+12025550143', '+442079460958', None)
    """
    try:
        import phonenumbers  # noqa: PLC0415 - the extra is asked for by this call alone
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "phone_in needs the package phonenumbers: pip install 'upsertcore[phone]'",
            name="phonenumbers",
        ) from error
    if region not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError(f"unknown region {region!r}: give two capitals, such as 'US'")

    def phone_in_region(value: Any) -> str | None:
        # The library finds a number inside any text; a key is the whole text.
        if not isinstance(value, str) or not _DIALLED.fullmatch(value):
            return None
        # Two zeros mean a plus here as in phone, whatever the region dials abroad.
        dialled = _ZEROS.sub("+", value)
        try:
            number = phonenumbers.parse(dialled, region)
        except phonenumbers.NumberParseException:
            return None
        if number.extension or not phonenumbers.is_possible_number(number):
            return None
        form = phonenumbers.PhoneNumberFormat.E164
        return phonenumbers.format_number(number, form)

    return phone_in_region

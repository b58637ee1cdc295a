"""
How LeadConnector validates values and converts them for storage.

Rules:
    Each function is idempotent: it returns its own result unchanged.
    It raises ``ValueError`` with a message that follows the field's name and states
    the expected value, never the value sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from upsertcore import normalize
from upsertcore.normalize import Normalizer
from upsertcore.normalize.normalizer import ParameterNormalizer
from upsertcore.profiles._iso3166 import COUNTRIES
from upsertcore.profiles.payload import all_text, email_address

__all__ = [
    "birth_date",
    "country",
    "e164",
    "e164_in",
    "lower_tags",
    "mailbox",
    "split_name",
    "tags",
    "text",
    "timezone",
]

_LAYOUTS = (
    "YYYY/MM/DD, MM/DD/YYYY, YYYY-MM-DD, MM-DD-YYYY, "
    "YYYY.MM.DD, MM.DD.YYYY, YYYY_MM_DD, MM_DD_YYYY"
)
_YEAR_FIRST = re.compile(r"([0-9]{4})([/\-._])([0-9]{2})\2([0-9]{2})")
_YEAR_LAST = re.compile(r"([0-9]{2})([/\-._])([0-9]{2})\2([0-9]{4})")
_PART = r"[A-Za-z_][A-Za-z._\-]{0,13}"
_ZONE = re.compile(
    rf"{_PART}(?:/{_PART}){{0,2}}"
    # Only a few old names have digits: "UTC+1" and "GMT-5" are offsets.
    r"|(?:Etc/)?GMT[+\-]?0|Etc/GMT[+\-](?:[1-9]|1[0-4])|[A-Z]{3}[0-9][A-Z]{3}"
)
_NATIONAL = re.compile(r"[\s().\-/]*(?!00)[0-9][\s0-9().\-/]*")


def text(value: Any) -> str:
    """
    Return text unchanged.

    Raises:
        ValueError: If the value is not text.

    >>> text("Oslo")
    'Oslo'
    """
    if not isinstance(value, str):
        raise ValueError("must be a string")  # noqa: TRY004 - a refusal of data
    return value


def mailbox(value: Any) -> str:
    """
    Return an email address, stripped.

    Args:
        value: A frozen value.

    Returns:
        The address; blank text for white space alone.

    Raises:
        ValueError: If it is not an email address.

    >>> mailbox(" Rosan@deos.com "), mailbox(" ")
    ('Rosan@deos.com', '')
    """
    if not text(value).strip():
        return ""
    try:
        return email_address(value)
    except ValueError:
        raise ValueError("must be an email") from None


def e164(value: Any) -> str:
    """
    Return an international telephone number in E.164.

    Args:
        value: A frozen value that is not blank.

    Raises:
        ValueError: With the accepted formats, if it is no such number.

    >>> e164("+1 888-888-8888")
    '+18888888888'
    >>> e164("(888) 888-8888")
    Traceback (most recent call last):
    ...
    ValueError: must be a number in E.164, such as +15551234567: this one has no \
country code, and the region of the location is not known
    """
    return _e164(value, normalize.phone, None)


def e164_in(region: str) -> Normalizer:
    """
    Return a function as :func:`e164` that accepts the national numbers of a region.

    >>> e164_in("US")("(202) 555-0143"), e164_in("US") == e164_in("US")
    ('+12025550143', True)
    """
    number = normalize.phone_in(region)

    def clean(value: Any) -> str:
        return _e164(value, number, region)

    return ParameterNormalizer(e164_in, clean, region)


def _e164(value: Any, number: Normalizer, region: str | None) -> str:
    form = number(text(value))
    if form is None:
        raise ValueError(_advice(value, region))
    return form


def _advice(value: str, region: str | None) -> str:
    international = "must be a number in E.164, such as +15551234567"
    if region is not None:
        return f"{international}, or a national number of {region}"
    if _NATIONAL.fullmatch(value) is None:
        return international
    return (
        f"{international}: this one has no country code, "
        "and the region of the location is not known"
    )


def tags(value: Any) -> tuple[str, ...]:
    """
    Return tags unchanged.

    Args:
        value: A frozen value.

    Raises:
        ValueError: If the value is not a list of non-blank text.

    >>> tags(("VIP ", "vip"))
    ('VIP ', 'vip')
    """
    if type(value) is not tuple:
        raise ValueError("must be an array")
    if not all_text(value):
        raise ValueError("must hold strings alone")
    if not all(map(str.strip, value)):
        raise ValueError("must hold no blank string")
    return value


def lower_tags(value: Any) -> tuple[str, ...]:
    """
    Return tags in lower case, stripped and without duplicates.

    Args:
        value: A frozen value.

    Raises:
        ValueError: As :func:`tags`.

    Laws:
        Idempotent.

    >>> lower_tags(("VIP ", "lead", "vip"))
    ('vip', 'lead')
    """
    return tuple(dict.fromkeys(tag.strip().lower() for tag in tags(value)))


def country(value: Any) -> str:
    """
    Return a country code unchanged.

    Raises:
        ValueError: If ISO 3166-1 does not assign the code.

    Source:
        The seed: "Country code (ISO 3166-1 alpha-2)."

    >>> country("US")
    'US'
    """
    if text(value) not in COUNTRIES:
        raise ValueError("must be a country code of ISO 3166-1 alpha-2, such as US")
    return value  # type: ignore[no-any-return]


def timezone(value: Any) -> str:
    """
    Return a value that has the format of an IANA time zone name.

    The zones are not listed here, because the list changes.

    Raises:
        ValueError: If the value does not have this format.

    Source:
        The seed: "IANA timezone." The format is that of the tz database, theory.html,
        "Timezone identifiers": one to three parts of ASCII letters, ``.``, ``-`` and
        ``_``, each of at most 14 characters; digits only in old names.

    >>> timezone("America/Chihuahua"), timezone("Etc/GMT+5")
    ('America/Chihuahua', 'Etc/GMT+5')
    """
    if not _ZONE.fullmatch(text(value)):
        raise ValueError("must be an IANA time zone, such as America/New_York")
    return value  # type: ignore[no-any-return]


def birth_date(value: Any) -> str:
    """
    Return a date as ISO 8601, from any of the eight documented formats.

    Args:
        value: A frozen value.

    Returns:
        YYYY-MM-DD.

    Raises:
        ValueError: If it has none of these formats, or is not a calendar day.

    Source:
        The vendor's schema: "Supported formats: YYYY/MM/DD, MM/DD/YYYY, ...". None of
        them has the day before the month.

    >>> birth_date("09/25/1990"), birth_date("1990_09_25")
    ('1990-09-25', '1990-09-25')
    """
    date_text = text(value)
    if match := _YEAR_FIRST.fullmatch(date_text):
        year, month, day = match[1], match[3], match[4]
    elif match := _YEAR_LAST.fullmatch(date_text):
        month, day, year = match[1], match[3], match[4]
    else:
        raise ValueError(f"must be a date in one of the layouts {_LAYOUTS}")
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        raise ValueError("must be a day of the calendar") from None


def split_name(patch: Mapping[str, Any]) -> dict[str, Any]:
    """
    Derive first and last name from a full name, unless the patch has them.

    The first word is the first name; the remaining words, joined by single spaces, are
    the last name. A single word clears the last name. Null clears both.

    Args:
        patch: A patch, with or without ``name``.

    Returns:
        The patch without ``name``, unless a part of it was not used; the policy then
        ignores it and the outcome reports that. A blank name is kept for the same
        reason.

    >>> split_name({"name": "Rosan  van Deo"})
    {'firstName': 'Rosan', 'lastName': 'van Deo'}
    >>> split_name({"name": "Rosan Deo", "firstName": "Rosa"})
    {'name': 'Rosan Deo', 'firstName': 'Rosa', 'lastName': 'Deo'}
    """
    if "name" not in patch:
        return dict(patch)
    name = patch["name"]
    if name is not None and not name.strip():
        return {**patch, "name": ""}
    first, _space, last = " ".join((name or "").split()).partition(" ")
    parts = {"firstName": first or None, "lastName": last or None}
    result = {**patch}
    for part, value in parts.items():
        result.setdefault(part, value)
    if all(result[part] == parts[part] for part in parts if parts[part] or not name):
        del result["name"]
    return result

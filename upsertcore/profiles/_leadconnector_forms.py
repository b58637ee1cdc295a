"""
What LeadConnector stores of a value.

Rules:
    What makes a stored form is idempotent: what it made, it leaves.
    It raises ``ValueError`` in words that follow the field's name and say what would
    be right, never what was sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from upsertcore.normalize import Normalizer
from upsertcore.profiles._iso3166 import COUNTRIES
from upsertcore.profiles.wire import email_address

__all__ = [
    "birth_date",
    "country",
    "e164",
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
    # Digits are in a few old names alone: "UTC+1" and "GMT-5" are offsets.
    r"|(?:Etc/)?GMT[+\-]?0|Etc/GMT[+\-](?:[1-9]|1[0-4])|[A-Z]{3}[0-9][A-Z]{3}"
)
_NATIONAL = re.compile(r"[\s().\-/]*(?!00)[0-9][\s0-9().\-/]*")


def text(value: Any) -> str:
    """
    Take text and nothing else.

    Raises:
        ValueError: If it is no text.

    >>> text("Oslo")
    'Oslo'
    """
    if not isinstance(value, str):
        raise ValueError("must be a string")  # noqa: TRY004 - a refusal of data
    return value


def mailbox(value: Any) -> str:
    """
    Take an email address as it was sent, without white space around it.

    Args:
        value: A frozen value.

    Returns:
        The address; blank text for white space alone.

    Raises:
        ValueError: If it is none, in words that follow the field's name.

    >>> mailbox(" Rosan@deos.com "), mailbox(" ")
    ('Rosan@deos.com', '')
    """
    if not text(value).strip():
        return ""
    try:
        return email_address(value)
    except ValueError:
        raise ValueError("must be an email") from None


def e164(number: Normalizer, region: str | None) -> Callable[[Any], str]:
    """
    Make the function that stores a telephone number as E.164.

    Args:
        number: Returns E.164 or None.
        region: The region whose national numbers it reads, or None.

    Returns:
        A function of a frozen value that is not blank; it raises ``ValueError`` that
        says what to send.

    >>> from upsertcore import normalize
    >>> e164(normalize.phone, None)("+1 888-888-8888")
    '+18888888888'
    >>> e164(normalize.phone, None)("(888) 888-8888")
    Traceback (most recent call last):
    ...
    ValueError: must be a number in E.164, such as +15551234567: this one has no \
country code, and the region of the location is not known
    """

    def clean(value: Any) -> str:
        form = number(text(value))
        if form is None:
            raise ValueError(_advice(value, region))
        return form

    return clean


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
    Take tags as they were sent.

    Args:
        value: A frozen value.

    Raises:
        ValueError: If it is no list of text that is not blank.

    >>> tags(("VIP ", "vip"))
    ('VIP ', 'vip')
    """
    if type(value) is not tuple:
        raise ValueError("must be an array")
    if not all(isinstance(tag, str) for tag in value):
        raise ValueError("must hold strings alone")
    if not all(tag.strip() for tag in value):
        raise ValueError("must hold no blank string")
    return value


def lower_tags(value: Any) -> tuple[str, ...]:
    """
    Store tags in lower case, without white space around them, each once.

    Args:
        value: A frozen value.

    Raises:
        ValueError: As :func:`tags`.

    Laws:
        Idempotent: what is in lower case stays as it is.

    >>> lower_tags(("VIP ", "lead", "vip"))
    ('vip', 'lead')
    """
    return tuple(dict.fromkeys(tag.strip().lower() for tag in tags(value)))


def country(value: Any) -> str:
    """
    Take the code of a country.

    Raises:
        ValueError: If ISO 3166-1 assigns it to none.

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
    Take what has the shape of an IANA time zone's name.

    The zones themselves are not listed here, for the list changes.

    Raises:
        ValueError: If it does not have this shape.

    Source:
        The seed: "IANA timezone." The shape is that of the tz database, theory.html,
        "Timezone identifiers": one to three parts of ASCII letters, ``.``, ``-`` and
        ``_``, each of at most 14 characters; digits in old names alone.

    >>> timezone("America/Chihuahua"), timezone("Etc/GMT+5")
    ('America/Chihuahua', 'Etc/GMT+5')
    """
    if not _ZONE.fullmatch(text(value)):
        raise ValueError("must be an IANA time zone, such as America/New_York")
    return value  # type: ignore[no-any-return]


def birth_date(value: Any) -> str:
    """
    Store a date as ISO 8601, from any of the eight documented layouts.

    Args:
        value: A frozen value.

    Returns:
        YYYY-MM-DD.

    Raises:
        ValueError: If it is in no such layout, or no day of the calendar.

    Source:
        The vendor's schema: "Supported formats: YYYY/MM/DD, MM/DD/YYYY, ...". A
        day before its month is in none of them.

    >>> birth_date("09/25/1990"), birth_date("1990_09_25")
    ('1990-09-25', '1990-09-25')
    """
    written = text(value)
    if found := _YEAR_FIRST.fullmatch(written):
        year, month, day = found[1], found[3], found[4]
    elif found := _YEAR_LAST.fullmatch(written):
        month, day, year = found[1], found[3], found[4]
    else:
        raise ValueError(f"must be a date in one of the layouts {_LAYOUTS}")
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        raise ValueError("must be a day of the calendar") from None


def split_name(patch: Mapping[str, Any]) -> dict[str, Any]:
    """
    Make a first and a last name of a full one, where they are not said themselves.

    The full name is the whole name: its first word is the first name, the rest,
    singly spaced, the last name, and one word leaves no last name. Null clears both.

    Args:
        patch: With ``name`` or without.

    Returns:
        The patch without ``name``, unless a part of it was not used; the policy then
        ignores it, and so the outcome tells. A blank one stays for the same reason.

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
    whole = {**patch}
    for part, value in parts.items():
        whole.setdefault(part, value)
    if all(whole[part] == parts[part] for part in parts if parts[part] or not name):
        del whole["name"]
    return whole

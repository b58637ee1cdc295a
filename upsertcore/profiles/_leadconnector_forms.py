"""
What LeadConnector stores of a value, and how a stored contact is answered.

Rules:
    What makes a stored form is idempotent: what it made, it leaves.
    It raises ``ValueError`` in words that follow the field's name and say what would
    be right, never what was sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from upsertcore.contact import Contact
from upsertcore.errors import InvalidField
from upsertcore.normalize import Normalizer
from upsertcore.profiles.wire import email_address
from upsertcore.values import thaw

__all__ = [
    "answered",
    "birth_date",
    "e164",
    "lower_tags",
    "mailbox",
    "shaped",
    "split_name",
    "text",
]

_LAYOUTS = (
    "YYYY/MM/DD, MM/DD/YYYY, YYYY-MM-DD, MM-DD-YYYY, "
    "YYYY.MM.DD, MM.DD.YYYY, YYYY_MM_DD, MM_DD_YYYY"
)
_TEXTS = ("email", "firstName", "lastName", "dateOfBirth")
_YEAR_FIRST = re.compile(r"([0-9]{4})([/\-._])([0-9]{2})\2([0-9]{2})")
_YEAR_LAST = re.compile(r"([0-9]{2})([/\-._])([0-9]{2})\2([0-9]{4})")
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
        number: Answers E.164 or None.
        region: Whose national numbers it reads; None for nobody's.

    Returns:
        A function of a frozen value; it answers blank text for white space alone,
        and raises ``ValueError`` that says what to send.

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
        if not text(value).strip():
            return ""
        form = number(value)
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


def lower_tags(value: Any) -> tuple[str, ...]:
    """
    Store tags in lower case, without white space around them, each once.

    Args:
        value: A frozen value.

    Raises:
        ValueError: If it is no list of text that is not blank.

    Laws:
        Idempotent: what is in lower case stays as it is.

    >>> lower_tags(("VIP ", "lead", "vip"))
    ('vip', 'lead')
    """
    if type(value) is not tuple:
        raise ValueError("must be an array")
    if not all(isinstance(tag, str) for tag in value):
        raise ValueError("must hold strings alone")
    tags = tuple(dict.fromkeys(tag.strip().lower() for tag in value))
    if "" in tags:
        raise ValueError("must hold no blank string")
    return tags


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


def shaped(row: Any) -> Any:
    """
    See that a stored contact can be answered; the rest is for the book to see.

    Args:
        row: As ``book.dump()`` gives it.

    Raises:
        InvalidField: If a field that is answered in another form has none of it.

    >>> shaped({"fields": {"dateOfBirth": "1990-09-25"}})
    {'fields': {'dateOfBirth': '1990-09-25'}}
    """
    fields = row.get("fields") if isinstance(row, Mapping) else None
    for name, value in fields.items() if isinstance(fields, Mapping) else ():
        if name in _TEXTS and not isinstance(value, str):
            raise InvalidField(name, value, "must be text")
        if name == "customFields" and not _are_items(value):
            what = "must be a list of mappings with an id or a key, and a value"
            raise InvalidField(name, value, what)
    return row


def _are_items(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(item, Mapping)
        and "value" in item
        and isinstance(item.get("id") or item.get("key"), str)
        for item in value
    )


def answered(contact: Contact) -> dict[str, Any]:
    """
    Answer a contact: what is stored, and what is derived of it.

    Args:
        contact: Stored by this system.

    Returns:
        Its id, location and fields; the full name and the dates; the email and the
        names in lower case. Each custom field is ``{id, value}``, its value text.

    >>> from datetime import UTC, datetime
    >>> day = datetime(2024, 1, 2, tzinfo=UTC)
    >>> answered(Contact("c-1", "l1", {"firstName": "Ada"}, 1, day, day))
    ... # doctest: +NORMALIZE_WHITESPACE
    {'id': 'c-1', 'locationId': 'l1', 'firstName': 'Ada', 'name': 'Ada',
     'fullNameLowerCase': 'ada', 'firstNameLowerCase': 'ada',
     'dateAdded': '2024-01-02T00:00:00.000Z',
     'dateUpdated': '2024-01-02T00:00:00.000Z'}
    """
    own = {"id": contact.id, "locationId": contact.scope}
    fields = thaw(contact.fields)
    if "customFields" in fields:
        # The vendor's schema: an answered value is a string, whatever was sent.
        fields["customFields"] = [
            {"id": item.get("id") or item["key"], "value": _as_text(item["value"])}
            for item in fields["customFields"]
            if item.get("value") is not None
        ]
    if "dateOfBirth" in fields:
        fields["dateOfBirth"] += "T00:00:00.000Z"
    names = [fields.get("firstName"), fields.get("lastName")]
    full = " ".join(part for part in names if part)
    if full:
        fields["name"] = full
        fields["fullNameLowerCase"] = full.lower()
    for name in ("email", "firstName", "lastName"):
        if name in fields:
            fields[f"{name}LowerCase"] = fields[name].lower()
    fields["dateAdded"] = _instant(contact.created_at)
    fields["dateUpdated"] = _instant(contact.updated_at)
    return {**own, **fields, **own}


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _instant(time: datetime) -> str:
    written = time.astimezone(UTC).isoformat(timespec="milliseconds")
    return written.replace("+00:00", "Z")

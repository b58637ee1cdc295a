"""
The fields of a SegMetrics contact: what each one takes, and the policy's table.

Rules:
    One table reads: the profile asks it for complaints, the policy cleans with it.
    Null clears an optional field; contact_id and email are never null.
    What is stored is what was sent, but for white space around an email.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from upsertcore import normalize
from upsertcore.matching.strategies import first_match
from upsertcore.policy.fields import field
from upsertcore.policy.policy import Policy
from upsertcore.profiles.wire import blocked_values, email_address, need
from upsertcore.rules import custom, deep
from upsertcore.values import FrozenMap, freeze

__all__ = ["KEYS", "complaint", "policy", "readers"]

KEYS = ("contact_id", "email")
"""What identifies a contact, the most trusted first."""

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
_A_TAG = (
    "must be a list of tags, each an ID, a name, or an object of id, name and date "
    "(such as 2018-10-02 16:15:00) with an id or a name"
)
_A_VALUE = (
    "must be what JSON can say: Unicode text, finite numbers of at most 4 200 digits, "
    "true, false, and lists and objects of these, not too deep"
)


def _is_id(value: Any) -> bool:
    return normalize.exact(value) is not None


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and _is_id(value)


def _is_time(value: Any) -> bool:
    """Return whether a value is a real date and time in the documented layout."""
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


_TAG: dict[str, Callable[[Any], bool]] = {
    "id": _is_id,
    "name": _is_name,
    # A missing date stays missing: one taken from the clock would differ each time.
    "date": _is_time,
}


def _is_tag(tag: Any) -> bool:
    if not isinstance(tag, FrozenMap):
        return _is_id(tag)
    return ("id" in tag or "name" in tag) and all(
        part in _TAG and _TAG[part](value) for part, value in tag.items()
    )


def _id(value: Any) -> Any:
    need(_is_id(value), "must be text that is not blank, or a whole number")
    return value


def _text(value: Any) -> Any:
    need(isinstance(value, str), "must be a string")
    return value


def _email(value: Any) -> str:
    return email_address(_text(value))


def _number(value: Any) -> Any:
    """Take what clients send as text, as the seed's ``"123"``, or as a number."""
    number = isinstance(value, (str, int, float)) and not isinstance(value, bool)
    need(number, "must be a string or a number")
    return value


def _time(value: Any) -> Any:
    need(_is_time(value), "must be a date and time such as 2018-10-02 16:15:00 (UTC)")
    return value


def _tags(value: Any) -> Any:
    need(isinstance(value, tuple) and all(map(_is_tag, value)), _A_TAG)
    return value


def _object(value: Any) -> Any:
    need(isinstance(value, FrozenMap), "must be an object of names and values")
    return value


_READ: dict[str, Callable[[Any], Any]] = {
    "contact_id": _id,
    "email": _email,
    "date_created": _time,
    "first_name": _text,
    "last_name": _text,
    "tags": _tags,
    "last_updated": _time,
    "utm_campaign": _text,
    "utm_content": _text,
    "utm_medium": _text,
    "utm_source": _text,
    "utm_term": _text,
    "referring_url": _text,
    "optin_url": _text,
    "ip_address": _text,
    "affiliate_id": _number,
    "geo_lat": _number,
    "geo_lon": _number,
}
LATER: Mapping[str, str] = {
    "custom_fields": "custom_fields=True",
    "status": "default_status='active'",
}
"""The fields of the vendor's later pages, each with the option that takes it."""


def _same_or_sent(stored: Any, sent: Any) -> Any:
    return stored if normalize.exact(stored) == normalize.exact(sent) else sent


# 249 and "249" are one ID; what is stored is the spelling that came first.
_keep_spelling = custom(_same_or_sent, name="keep_spelling")


def readers(
    *, custom_fields: bool, default_status: str | None
) -> dict[str, Callable[[Any], Any]]:
    """
    Return what reads each field.

    Args:
        custom_fields: True where ``custom_fields`` is a field.
        default_status: None where ``status`` is no field.

    >>> "status" in readers(custom_fields=True, default_status=None)
    False
    """
    found = dict(_READ)
    if custom_fields:
        found["custom_fields"] = _object
    if default_status is not None:
        found["status"] = _text
    return found


def policy(
    keys: tuple[str, ...],
    read: Mapping[str, Callable[[Any], Any]],
    *,
    default_status: str | None = None,
    placeholders: bool = False,
) -> Policy:
    """
    Make the table.

    Args:
        keys: What to match by; a single one is required beside the email.
        read: What :func:`readers` returns.
        default_status: The ``status`` of a contact that is created without one.
        placeholders: True where a placeholder is left out of contact_id and email.

    >>> read = readers(custom_fields=False, default_status=None)
    >>> [n for n, f in policy(("contact_id",), read).fields.items() if f.required]
    ['contact_id', 'email']
    """
    required = len(keys) == 1
    blocked = blocked_values(placeholders=placeholders)
    lines = {name: field(clean=clean) for name, clean in read.items()}
    lines["contact_id"] = field(
        key=normalize.exact,
        blocked=blocked,
        unique=True,
        required=required,
        clean=_id,
        rule=_keep_spelling,
        null="reject",
        blank="reject",
    )
    lines["email"] = field(
        key=normalize.email,
        blocked=blocked,
        required=required,
        clean=_email,
        null="reject",
        blank="reject",
    )
    if "status" in read:
        lines["status"] = field(clean=_text, default=default_status)
    if "custom_fields" in read:
        lines["custom_fields"] = field(clean=_object, rule=deep)
    return Policy(
        match=first_match(*keys),
        fields=lines,
        on_ambiguous="oldest",
        on_blocked="ignore",
    )


def complaint(read: Mapping[str, Callable[[Any], Any]], name: str, value: Any) -> str:
    """
    Return what is wrong with a field of a payload, in words without its value.

    Args:
        read: What :func:`readers` returns.
        name: The name of the field.
        value: What was sent, whatever it is.

    Returns:
        Words that follow the field's name, blank where nothing is wrong.

    >>> read = readers(custom_fields=False, default_status=None)
    >>> complaint(read, "first_name", 7), complaint(read, "first_name", "Joey")
    ('must be a string', '')
    """
    if name not in read:
        option = LATER.get(name)
        more = f"; SegMetrics({option}) takes it" if option else ""
        return f"is no field of a contact{more}"
    if value is None:
        return "must not be null" if name in KEYS else ""
    try:
        frozen = freeze(value)
    except ValueError:
        return _A_VALUE
    try:
        read[name](frozen)
    except ValueError as error:
        return str(error)
    return ""

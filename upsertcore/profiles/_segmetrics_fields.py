"""
The fields of a SegMetrics contact: validation, and the policy.

Rules:
    The profile validates with the same readers that the policy cleans with.
    Null clears an optional field; contact_id and email are never null.
    Values are stored as sent, except that an email is stripped.
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
from upsertcore.profiles.payload import blocked_values, email_address, require
from upsertcore.rules import custom, deep
from upsertcore.values import FrozenMap, freeze

__all__ = ["KEYS", "field_problem", "policy", "readers"]

KEYS = ("contact_id", "email")
"""The fields that identify a contact, the most trusted first."""

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
    """Return whether a value is a valid date and time in the documented format."""
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
    # A missing date stays missing: a date from the clock would differ on each call.
    "date": _is_time,
}


def _is_tag(tag: Any) -> bool:
    if not isinstance(tag, FrozenMap):
        return _is_id(tag)
    return ("id" in tag or "name" in tag) and all(
        part in _TAG and _TAG[part](value) for part, value in tag.items()
    )


def _id(value: Any) -> Any:
    require(_is_id(value), "must be text that is not blank, or a whole number")
    return value


def _text(value: Any) -> Any:
    require(isinstance(value, str), "must be a string")
    return value


def _email(value: Any) -> str:
    return email_address(_text(value))


def _number(value: Any) -> Any:
    """Accept text, as the seed's ``"123"``, or a number."""
    number = isinstance(value, (str, int, float)) and not isinstance(value, bool)
    require(number, "must be a string or a number")
    return value


def _time(value: Any) -> Any:
    require(
        _is_time(value), "must be a date and time such as 2018-10-02 16:15:00 (UTC)"
    )
    return value


def _tags(value: Any) -> Any:
    require(isinstance(value, tuple) and all(map(_is_tag, value)), _A_TAG)
    return value


def _object(value: Any) -> Any:
    require(isinstance(value, FrozenMap), "must be an object of names and values")
    return value


_READERS: dict[str, Callable[[Any], Any]] = {
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
OPTIONAL_FIELDS: Mapping[str, str] = {
    "custom_fields": "custom_fields=True",
    "status": "default_status='active'",
}
"""Fields of the vendor's later pages, each with the option that enables it."""


def _same_or_sent(stored: Any, sent: Any) -> Any:
    return stored if normalize.exact(stored) == normalize.exact(sent) else sent


# 249 and "249" are the same ID; the first spelling is kept.
_keep_spelling = custom(_same_or_sent, name="keep_spelling")


def readers(
    *, custom_fields: bool, default_status: str | None
) -> dict[str, Callable[[Any], Any]]:
    """
    Return the reader of each field.

    Args:
        custom_fields: True if ``custom_fields`` is a field.
        default_status: None if ``status`` is not a field.

    >>> "status" in readers(custom_fields=True, default_status=None)
    False
    """
    result = dict(_READERS)
    if custom_fields:
        result["custom_fields"] = _object
    if default_status is not None:
        result["status"] = _text
    return result


def policy(
    keys: tuple[str, ...],
    read: Mapping[str, Callable[[Any], Any]],
    *,
    default_status: str | None = None,
    placeholders: bool = False,
) -> Policy:
    """
    Return the policy.

    Args:
        keys: The keys to match by; if there is one, it and the email are required.
        read: The result of :func:`readers`.
        default_status: The ``status`` of a contact created without one.
        placeholders: True to ignore a placeholder in contact_id and email.

    >>> read = readers(custom_fields=False, default_status=None)
    >>> [n for n, f in policy(("contact_id",), read).fields.items() if f.required]
    ['contact_id', 'email']
    """
    required = len(keys) == 1
    blocked = blocked_values(placeholders=placeholders)
    fields = {name: field(clean=clean) for name, clean in read.items()}
    fields["contact_id"] = field(
        key=normalize.exact,
        blocked=blocked,
        unique=True,
        required=required,
        clean=_id,
        rule=_keep_spelling,
        null="reject",
        blank="reject",
    )
    fields["email"] = field(
        key=normalize.email,
        blocked=blocked,
        required=required,
        clean=_email,
        null="reject",
        blank="reject",
    )
    if "status" in read:
        fields["status"] = field(clean=_text, default=default_status)
    if "custom_fields" in read:
        fields["custom_fields"] = field(clean=_object, rule=deep)
    return Policy(
        match=first_match(*keys),
        fields=fields,
        on_ambiguous="oldest",
        on_blocked="ignore",
    )


def field_problem(
    read: Mapping[str, Callable[[Any], Any]], name: str, value: Any
) -> str:
    """
    Return the problem of a field of a payload, without its value.

    Args:
        read: The result of :func:`readers`.
        name: The name of the field.
        value: The value in the payload, of any type.

    Returns:
        A message that follows the field's name, blank if there is no problem.

    >>> read = readers(custom_fields=False, default_status=None)
    >>> field_problem(read, "first_name", 7), field_problem(read, "first_name", "Joey")
    ('must be a string', '')
    """
    if name not in read:
        option = OPTIONAL_FIELDS.get(name)
        hint = f"; SegMetrics({option}) takes it" if option else ""
        return f"is no field of a contact{hint}"
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

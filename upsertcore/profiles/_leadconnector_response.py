"""
What LeadConnector answers: a stored contact as it returns it, and its refusals.

Rules:
    A response holds plain values and shares none of them with the book.
    A stored contact that could not be returned is refused when it is loaded.
    A 422 answer lists all problems of a payload; 400 answers a valid payload.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from upsertcore.errors import IdempotencyKeyReused, InvalidField, Refused
from upsertcore.model.contact import Contact
from upsertcore.profiles.payload import join_messages
from upsertcore.profiles.profile import Rejected
from upsertcore.values import thaw

__all__ = [
    "NO_KEY",
    "bad_request",
    "check_stored",
    "reject",
    "render_contact",
    "unprocessable",
]

NO_KEY = "Pass at least one of number, email query parameter"
_INDEX = re.compile(r"(?<=customFields\.)[0-9]+")
_TEXTS = ("email", "firstName", "lastName", "dateOfBirth")


def check_stored(row: Any) -> Any:
    """
    Check that a stored contact can be returned; the book checks everything else.

    Args:
        row: As ``book.dump()`` returns it.

    Returns:
        The row.

    Raises:
        InvalidField: If a field that is converted for a response has the wrong type.

    >>> check_stored({"fields": {"dateOfBirth": "1990-09-25"}})
    {'fields': {'dateOfBirth': '1990-09-25'}}
    """
    fields = row.get("fields") if isinstance(row, Mapping) else None
    for name, value in fields.items() if isinstance(fields, Mapping) else ():
        if name in _TEXTS and not isinstance(value, str):
            raise InvalidField(name, value, "must be text")
        if name == "customFields" and not _is_item_list(value):
            reason = "must be a list of mappings with an id or a key, and a value"
            raise InvalidField(name, value, reason)
    return row


def _is_item_list(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(item, Mapping)
        and "value" in item
        and isinstance(item.get("id") or item.get("key"), str)
        for item in value
    )


def render_contact(contact: Contact, *, as_text: bool = False) -> dict[str, Any]:
    """
    Return a contact as a response: the stored fields and those derived from them.

    Args:
        contact: A contact of this profile.
        as_text: True to return the value of a custom field as text, JSON text if it
            is of another type.

    Returns:
        The id, location and fields; the full name and the dates; the email and the
        names in lower case. Each custom field that has a value is ``{id, value}``.

    >>> from datetime import UTC, datetime
    >>> day = datetime(2024, 1, 2, tzinfo=UTC)
    >>> render_contact(Contact("c-1", "l1", {"firstName": "Ada"}, 1, day, day))
    ... # doctest: +NORMALIZE_WHITESPACE
    {'id': 'c-1', 'locationId': 'l1', 'firstName': 'Ada', 'name': 'Ada',
     'fullNameLowerCase': 'ada', 'firstNameLowerCase': 'ada',
     'dateAdded': '2024-01-02T00:00:00.000Z',
     'dateUpdated': '2024-01-02T00:00:00.000Z'}
    """
    identity = {"id": contact.id, "locationId": contact.scope}
    fields = thaw(contact.fields)
    if "customFields" in fields:
        convert = _as_text if as_text else _as_stored
        fields["customFields"] = [
            {"id": item.get("id") or item["key"], "value": convert(item["value"])}
            for item in fields["customFields"]
            if item["value"] is not None
        ]
    if "dateOfBirth" in fields:
        fields["dateOfBirth"] += "T00:00:00.000Z"
    names = [fields.get("firstName"), fields.get("lastName")]
    full = " ".join(filter(None, names))
    if full:
        fields["name"] = full
        fields["fullNameLowerCase"] = full.lower()
    for name in ("email", "firstName", "lastName"):
        if name in fields:
            fields[f"{name}LowerCase"] = fields[name].lower()
    created_at, updated_at = contact.created_at, contact.updated_at
    fields["dateAdded"] = added = _instant(created_at)
    fields["dateUpdated"] = added if updated_at is created_at else _instant(updated_at)
    return {**identity, **fields, **identity}


def _as_stored(value: Any) -> Any:
    return value


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _instant(time: datetime) -> str:
    text = time.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def unprocessable(messages: list[str]) -> Rejected:
    """Return the 422 answer to an invalid payload, which lists all of its problems."""
    error = "Unprocessable Entity"
    body = {"statusCode": 422, "message": messages, "error": error}
    # Reasons are counted, so they do not contain the index of an item.
    return Rejected(
        422, body, join_messages(_INDEX.sub("*", message) for message in messages)
    )


def bad_request(
    message: str, status: int = 400, error: str = "Bad Request"
) -> Rejected:
    """Return the 400 answer to a valid payload, or one of another status."""
    body = {"statusCode": status, "message": message, "error": error}
    return Rejected(status, body, message)


def reject(refusal: Refused) -> Rejected:
    """Return the answer to a payload that the library refuses."""
    match refusal:
        case InvalidField(field="phone"):
            return bad_request(f"phone {refusal.reason}")
        case InvalidField():
            return unprocessable([f"{refusal.field} {refusal.reason}"])
        case IdempotencyKeyReused():
            return bad_request(str(refusal), 409, "Conflict")
        case _:
            return bad_request(NO_KEY)

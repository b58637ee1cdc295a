"""
The fields of a LeadConnector payload: validation, and conversion from text cells.

Rules:
    A reader takes a frozen value, returns the value for the patch, and appends the
    problems of the value to a list: all problems of a payload are reported at once.
    A problem names the field and the expected value, never the value itself.
    Messages use the vendor's own words where these are documented.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from upsertcore.profiles._leadconnector_values import (
    birth_date,
    country,
    mailbox,
    text,
    timezone,
)
from upsertcore.profiles.payload import all_text, display_name
from upsertcore.profiles.target import Cell
from upsertcore.profiles.text_cells import parse_json_cell, parse_list
from upsertcore.values import FrozenMap, freeze, same

__all__ = [
    "CUSTOM_PREFIX",
    "FLAG",
    "NULLABLE",
    "READERS",
    "TEXT",
    "custom_fields",
    "payload_from_cells",
    "read_field",
]

Reader = Callable[[str, Any, list[str]], Any]
"""(name, frozen value, problems) -> the value for the patch."""

FLAG = "createNewIfDuplicateAllowed"
"""The one property that is an instruction: it is never stored."""

TEXT = (
    *("firstName", "lastName", "gender", "address1", "city", "state", "postalCode"),
    *("website", "source", "companyName", "assignedTo"),
)
"""Fields that accept any text, stored as sent."""

NULLABLE = (
    *("firstName", "lastName", "name", "email", "phone", "address1", "city", "state"),
    *("website", "timezone", "dateOfBirth", "companyName"),
)
"""Fields that null clears, "string or null" in the vendor's reference."""

CUSTOM_PREFIX = "customField."
"""What the column of one custom field begins with."""

_CHANNELS = ("Call", "Email", "SMS", "WhatsApp", "GMB", "FB")
_VALUE_NAMES = ("field_value", "value", "fieldValue")
_JSON_CELLS = ("customFields", "dndSettings", "inboundDndSettings")
_BOOLEANS = {
    **dict.fromkeys(("true", "yes", "1"), True),
    **dict.fromkeys(("false", "no", "0"), False),
}


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be a boolean value")  # noqa: TRY004 - a refusal of data
    return value


def custom_fields(catalogue: Mapping[str, str]) -> Reader:
    """
    Return the reader of custom fields.

    Args:
        catalogue: The ids of the location's custom fields by key.

    Returns:
        A reader that returns ``{id, key, value}``, without an id or key that is not
        known. A null value is kept and means that the field has no value.

    >>> read_items, problems = custom_fields({"size": "f1"}), []
    >>> read_items("customFields", freeze([{"key": "size", "value": 7}]), problems)
    [{'id': 'f1', 'key': 'size', 'value': 7}]
    """

    def reader(name: str, value: Any, problems: list[str]) -> Any:
        if type(value) is not tuple:
            problems.append(f"{name} must be an array")
            return None
        wrong: list[str] = []
        items = [
            _item(f"{name}.{place}", item, catalogue, wrong)
            for place, item in enumerate(value)
        ]
        problems += wrong or _contradictions(name, items)
        return items

    return reader


def _item(
    at: str, item: Any, catalogue: Mapping[str, str], problems: list[str]
) -> dict[str, Any]:
    if type(item) is not FrozenMap:
        problems.append(f"{at} must be an object")
        return {}
    allowed = ("id", "key", *_VALUE_NAMES)
    problems += [
        f"{at}.{display_name(x)} should not exist" for x in item if x not in allowed
    ]
    identity = _identity(at, item, catalogue, problems)
    values = [item[part] for part in _VALUE_NAMES if part in item]
    if not values:
        problems.append(f"{at} must have a field_value")
    elif not all(same(values[0], value) for value in values):
        problems.append(f"{at} must have one value, not several that differ")
    return {**identity, "value": values[0] if values else None}


def _identity(
    at: str, item: Mapping[str, Any], catalogue: Mapping[str, str], problems: list[str]
) -> dict[str, Any]:
    """Return the id of an item, if known, and its key."""
    identity = {part: item[part] for part in ("id", "key") if part in item}
    if not identity:
        problems.append(f"{at} must have an id or a key")
    wrong = [
        f"{at}.{part} {problem}"
        for part in identity
        if (problem := _name_problem(identity[part]))
    ]
    if wrong:
        problems += wrong
        return {}
    item_id = catalogue.get(identity.get("key", ""), identity.get("id"))
    if identity.get("id", item_id) != item_id:
        problems.append(f"{at}.key must be the key of its id")
    return identity if item_id is None else {"id": item_id, **identity}


def _name_problem(value: Any) -> str:
    if not isinstance(value, str):
        return "must be a string"
    return "" if value.strip() else "should not be empty"


def _contradictions(name: str, items: list[dict[str, Any]]) -> Iterator[str]:
    """Yield a problem for each field with two values: one of them would be lost."""
    values: dict[Any, Any] = {}
    for place, item in enumerate(items):
        value = item["value"]
        names = [(part, item[part]) for part in ("id", "key") if part in item]
        if not all(same(values.setdefault(part, value), value) for part in names):
            yield f"{name}.{place} must not give a field a second value"


def _checked_by(clean: Callable[[Any], Any]) -> Reader:
    """Return a reader that only validates; the policy cleans the value."""

    def reader(name: str, value: Any, problems: list[str]) -> Any:
        try:
            clean(value)
        except ValueError as error:
            problems.append(f"{name} {error}")
        return value

    return reader


def _tags(name: str, value: Any, problems: list[str]) -> Any:
    if type(value) is not tuple:
        problems.append(f"{name} must be an array")
    elif not all_text(value):
        problems.append(f"each value in {name} must be a string")
    elif not all(map(str.strip, value)):
        problems.append(f"each value in {name} should not be empty")
    return value


def _settings(
    channels: tuple[str, ...], statuses: tuple[str, ...], texts: tuple[str, ...]
) -> Reader:
    """Return the reader of settings: from channel to a status with texts."""

    def reader(name: str, value: Any, problems: list[str]) -> Any:
        if type(value) is not FrozenMap:
            problems.append(f"{name} must be an object")
            return value
        for channel, setting in value.items():
            at = f"{name}.{display_name(channel)}"
            if channel not in channels:
                problems.append(f"{at} should not exist")
            elif type(setting) is not FrozenMap:
                problems.append(f"{at} must be an object")
            else:
                problems.extend(_setting(at, setting, statuses, texts))
        return value

    return reader


def _setting(
    at: str,
    setting: Mapping[str, Any],
    statuses: tuple[str, ...],
    texts: tuple[str, ...],
) -> Iterator[str]:
    if setting.get("status") not in statuses:
        allowed = ", ".join(statuses)
        yield f"{at}.status must be one of the following values: {allowed}"
    for part, value in setting.items():
        if part not in ("status", *texts):
            yield f"{at}.{display_name(part)} should not exist"
        elif part != "status" and not isinstance(value, str):
            yield f"{at}.{part} must be a string"


READERS: Mapping[str, Reader] = {
    **dict.fromkeys((*TEXT, "name", "phone"), _checked_by(text)),
    "email": _checked_by(mailbox),
    "country": _checked_by(country),
    "timezone": _checked_by(timezone),
    "dateOfBirth": _checked_by(birth_date),
    "dnd": _checked_by(_boolean),
    FLAG: _checked_by(_boolean),
    "tags": _tags,
    "dndSettings": _settings(
        _CHANNELS, ("active", "inactive", "permanent"), ("message", "code")
    ),
    "inboundDndSettings": _settings(("all",), ("active", "inactive"), ("message",)),
}
"""The reader of each property, except custom fields, which need the catalogue."""


def read_field(reader: Reader, name: str, value: Any, problems: list[str]) -> Any:
    """
    Freeze a value and read it, unless it is a null that clears.

    Args:
        reader: The reader of the field.
        name: The name of the field.
        value: The value in the payload, of any type.
        problems: The list to which problems are appended.

    Returns:
        The value for the patch; undefined if there are problems.

    >>> problems = []
    >>> read_field(READERS["dnd"], "dnd", None, problems), problems
    (None, ['dnd must be a boolean value'])
    """
    try:
        frozen = freeze(value)
    except ValueError as error:
        problems.append(f"{name} {error}")
        return None
    if frozen is None and name in NULLABLE:
        return None
    return reader(name, frozen, problems)


def payload_from_cells(cells: Mapping[str, Cell]) -> dict[str, Any]:
    """
    Return the payload of a row of text cells.

    Args:
        cells: Field to cell, without blank cells.

    Returns:
        A payload. A cell that cannot be parsed as its field stays text.

    >>> payload_from_cells({"tags": "lead;vip", "customField.size": "7"})
    {'tags': ['lead', 'vip'], 'customFields': [{'key': 'size', 'field_value': '7'}]}
    """
    payload = {
        n: _cell(n, c) for n, c in cells.items() if not n.startswith(CUSTOM_PREFIX)
    }
    items = [
        {"key": name.removeprefix(CUSTOM_PREFIX), "field_value": cell}
        for name, cell in cells.items()
        if name.startswith(CUSTOM_PREFIX)
    ]
    custom = payload.get("customFields", [])
    if items and isinstance(custom, list):
        payload["customFields"] = custom + items
    return payload


def _cell(name: str, cell: Cell) -> Any:
    if not isinstance(cell, str):
        return cell
    if name == "tags":
        return parse_list(cell)
    if name in ("dnd", FLAG):
        return _BOOLEANS.get(cell.strip().lower(), cell)
    return parse_json_cell(cell) if name in _JSON_CELLS else cell

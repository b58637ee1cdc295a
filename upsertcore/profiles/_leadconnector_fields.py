"""
The fields of a LeadConnector payload: what each takes, and how a row of text has it.

Rules:
    A reader takes a frozen value, returns what goes into the patch, and adds to a
    list what is wrong with the value: all problems of a payload are reported at once.
    A problem names the field and what would be right, never the value.
    Words of the messages are the vendor's own where a report shows them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from upsertcore.profiles._leadconnector_forms import (
    birth_date,
    country,
    mailbox,
    text,
    timezone,
)
from upsertcore.profiles.cells import as_json, listed
from upsertcore.profiles.wire import named
from upsertcore.values import FrozenMap, freeze, same

__all__ = ["FLAG", "NULLABLE", "READERS", "TEXT", "custom_fields", "read", "row"]

Reader = Callable[[str, Any, list[str]], Any]
"""(name, frozen value, problems) -> what goes into the patch."""

FLAG = "createNewIfDuplicateAllowed"
"""The one property that is an instruction: it is obeyed or not, and never stored."""

TEXT = (
    *("firstName", "lastName", "gender", "address1", "city", "state", "postalCode"),
    *("website", "source", "companyName", "assignedTo"),
)
"""Fields of any text, stored as it is sent."""

NULLABLE = (
    *("firstName", "lastName", "name", "email", "phone", "address1", "city", "state"),
    *("website", "timezone", "dateOfBirth", "companyName"),
)
"""Fields that null clears: "string or null" in the vendor's reference."""

_CHANNELS = ("Call", "Email", "SMS", "WhatsApp", "GMB", "FB")
_VALUES = ("field_value", "value", "fieldValue")
_COLUMN = "customField."
_JSON_CELLS = ("customFields", "dndSettings", "inboundDndSettings")
_SAID = {
    **dict.fromkeys(("true", "yes", "1"), True),
    **dict.fromkeys(("false", "no", "0"), False),
}


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be a boolean value")  # noqa: TRY004 - a refusal of data
    return value


def custom_fields(catalogue: Mapping[str, str]) -> Reader:
    """
    Make the reader of custom fields.

    Args:
        catalogue: The location's keys of custom fields -> their ids.

    Returns:
        A reader that returns ``{id, key, value}``, without the id or the key where
        it is not known. A null value stays, and means that there is none.

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
    known = ("id", "key", *_VALUES)
    problems += [f"{at}.{named(x)} should not exist" for x in item if x not in known]
    called = _called(at, item, catalogue, problems)
    values = [item[part] for part in _VALUES if part in item]
    if not values:
        problems.append(f"{at} must have a field_value")
    elif not all(same(values[0], value) for value in values):
        problems.append(f"{at} must have one value, not several that differ")
    return {**called, "value": values[0] if values else None}


def _called(
    at: str, item: Mapping[str, Any], catalogue: Mapping[str, str], problems: list[str]
) -> dict[str, Any]:
    """Return the id of an item, where that is known, and its key."""
    said = {part: item[part] for part in ("id", "key") if part in item}
    if not said:
        problems.append(f"{at} must have an id or a key")
    wrong = [f"{at}.{part} {what}" for part in said if (what := _no_name(said[part]))]
    if wrong:
        problems += wrong
        return {}
    listed = catalogue.get(said.get("key", ""), said.get("id"))
    if said.get("id", listed) != listed:
        problems.append(f"{at}.key must be the key of its id")
    return said if listed is None else {"id": listed, **said}


def _no_name(value: Any) -> str:
    if not isinstance(value, str):
        return "must be a string"
    return "" if value.strip() else "should not be empty"


def _contradictions(name: str, items: list[dict[str, Any]]) -> Iterator[str]:
    """Two values for one field: whichever were stored, the other would be lost."""
    values: dict[Any, Any] = {}
    for place, item in enumerate(items):
        value = item["value"]
        called = [(part, item[part]) for part in ("id", "key") if part in item]
        if not all(same(values.setdefault(each, value), value) for each in called):
            yield f"{name}.{place} must not give a field a second value"


def _by(clean: Callable[[Any], Any]) -> Reader:
    """Make a reader that only asks; the policy cleans."""

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
    elif not all(isinstance(tag, str) for tag in value):
        problems.append(f"each value in {name} must be a string")
    elif not all(tag.strip() for tag in value):
        problems.append(f"each value in {name} should not be empty")
    return value


def _settings(
    channels: tuple[str, ...], statuses: tuple[str, ...], texts: tuple[str, ...]
) -> Reader:
    """Make the reader of settings: channel -> a status and texts about it."""

    def reader(name: str, value: Any, problems: list[str]) -> Any:
        if type(value) is not FrozenMap:
            problems.append(f"{name} must be an object")
            return value
        for channel, setting in value.items():
            at = f"{name}.{named(channel)}"
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
        listed = ", ".join(statuses)
        yield f"{at}.status must be one of the following values: {listed}"
    for part, value in setting.items():
        if part not in ("status", *texts):
            yield f"{at}.{named(part)} should not exist"
        elif part != "status" and not isinstance(value, str):
            yield f"{at}.{part} must be a string"


READERS: Mapping[str, Reader] = {
    **dict.fromkeys((*TEXT, "name", "phone"), _by(text)),
    "email": _by(mailbox),
    "country": _by(country),
    "timezone": _by(timezone),
    "dateOfBirth": _by(birth_date),
    "dnd": _by(_boolean),
    FLAG: _by(_boolean),
    "tags": _tags,
    "dndSettings": _settings(
        _CHANNELS, ("active", "inactive", "permanent"), ("message", "code")
    ),
    "inboundDndSettings": _settings(("all",), ("active", "inactive"), ("message",)),
}
"""A reader for each property; that of custom fields needs the catalogue besides."""


def read(reader: Reader, name: str, value: Any, problems: list[str]) -> Any:
    """
    Freeze a value, and read it unless it is a null that clears.

    Args:
        reader: That of the field.
        name: The name of the field.
        value: What was sent, whatever it is.
        problems: Grows by what is wrong.

    Returns:
        What goes into the patch; of no use where there are problems.

    >>> problems = []
    >>> read(READERS["dnd"], "dnd", None, problems), problems
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


def row(cells: Mapping[str, str]) -> dict[str, Any]:
    """
    Make a payload of a row of text cells.

    Args:
        cells: Column to text, none of it blank.

    Returns:
        A payload. A cell that cannot be read as its field is written stays text.

    >>> row({"tags": "lead;vip", "customField.size": "7"})
    {'tags': ['lead', 'vip'], 'customFields': [{'key': 'size', 'field_value': '7'}]}
    """
    payload = {n: _cell(n, c) for n, c in cells.items() if not n.startswith(_COLUMN)}
    items = [
        {"key": name.removeprefix(_COLUMN), "field_value": cell}
        for name, cell in cells.items()
        if name.startswith(_COLUMN)
    ]
    said = payload.get("customFields", [])
    if items and isinstance(said, list):
        payload["customFields"] = said + items
    return payload


def _cell(name: str, cell: str) -> Any:
    if name == "tags":
        return listed(cell)
    if name in ("dnd", FLAG):
        return _SAID.get(cell.strip().lower(), cell)
    return as_json(cell) if name in _JSON_CELLS else cell

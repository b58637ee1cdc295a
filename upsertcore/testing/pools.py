"""
Pools: a few values for each field of a drawn policy, in several spellings.

Rules:
    Pools are so small that collisions are certain.
    They include values that are refused, and values that are equal in Python but not
    in JSON: 1, 1.0 and True.
"""

from __future__ import annotations

import re
from typing import Any

from upsertcore import normalize

__all__ = [
    "ABSENT_VALUES",
    "BLOCKED_VALUES",
    "FIELDS_BY_KEY",
    "ID_FIELD",
    "KEY_FIELDS",
    "MULTI_FIELD_KEYS",
    "POOLS",
    "REQUIRED_FIELDS",
]

_MAILBOXES = (
    *("ada@x.org", " Ada@X.org", "ADA@x.org"),
    *("bob@x.org", "BOB@x.org ", "nope"),
)
_NUMBERS = (
    *("+15550001111", "+1 (555) 000-1111"),
    *("+15550002222", "+1 555 000-2222", "12"),
)
_NAMES = ("Ada", "Bo", " Ada ", " ", "bad", 1, 1.0, True)

POOLS: dict[str, tuple[Any, ...]] = {
    "email": (
        *(*_MAILBOXES, list(_MAILBOXES[1:5])),
        *([_MAILBOXES[0], None, ""], ["b@x.org"]),
    ),
    "more": (
        *([_MAILBOXES[0]], list(_MAILBOXES[1:5])),
        *([_MAILBOXES[3], "nope"], "a@x.org"),
    ),
    "phone": (*_NUMBERS[:4], *_NUMBERS, [_NUMBERS[0], _NUMBERS[3]]),
    "code": (7, "7", "A1", "A1", "a1", 7, True, " "),
    "name": _NAMES,
    "score": (1, 1.0, 2, -1, 2.5, 3, "a", "b", True),
    "at": (1, 2, 2.0, 3),
    "tags": (
        ["a"],
        ["b", "a"],
        ["-a", "c"],
        ["b"],
        ["b", "-b"],
        ["b", 1, True, "b"],
        "a",
    ),
    "nested": (
        *({"a": 1}, {"a": None}, {"a": {"b": 1}}, {"a": {"b": None}, "c": []}, "a"),
        {"a": {"b": 2}, "c": "x"},
    ),
    "items": (
        [{"id": 1, "v": 1}],
        [{"id": 2}, {"id": 1, "v": None}],
        [{"id": "1"}],
        [{}],
    ),
    "extra": _NAMES,
}
"""Values by field of a drawn policy."""

ABSENT_VALUES: tuple[Any, ...] = (None, "", " ", [], {})
"""Null and blank values."""

KEY_FIELDS = ("email", "phone", "code")
"""Fields that may be a key."""

MULTI_FIELD_KEYS: dict[str, tuple[str, ...]] = {
    "person": ("name", "code"),
    "mails": ("email", "more"),
}
"""Fields by key of several fields: a composite key, and a key of any of its fields."""

ID_FIELD = "id"
"""The name of the contact's own id, where a drawn policy has one."""

FIELDS_BY_KEY = {
    **{name: (name,) for name in KEY_FIELDS},
    **MULTI_FIELD_KEYS,
    ID_FIELD: (),
}
"""Fields by key; the contact's own id is in no field."""

REQUIRED_FIELDS = ("email", "name")
"""Fields that may be required."""

BLOCKED_VALUES: dict[str, tuple[Any, ...]] = {
    "email": (("BOB@*",), (re.compile("bob@.*"), "*.com")),
    "phone": (("+15550002222",),),
    "code": (("a1",), (*normalize.PLACEHOLDERS, re.compile("A1"))),
    "person": (("bo|*", "*|7"), {"name": ("BO", "bad*")}, {"code": ("7", "a1")}),
    "mails": (("bob@*",),),
}
"""Blocked values by key; they never include the first value of a pool."""

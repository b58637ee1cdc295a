"""
Pools: the few values of each field of a drawn policy, in several spellings.

Rules:
    Pools are so small that collisions are certain.
    Among them stand values that are refused, and that are equal to Python and not to
    JSON: 1, 1.0 and True.
"""

from __future__ import annotations

import re
from typing import Any

from upsertcore import normalize

__all__ = ["BLOCKED", "FIELDS", "KEYED", "MISSING", "NAMED", "NEEDED", "POOLS"]

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
"""Name of a field of a drawn policy -> what may be sent for it."""

MISSING: tuple[Any, ...] = (None, "", " ", [], {})
"""What is null or blank."""

KEYED = ("email", "phone", "code")
"""Fields that may have a key of their own."""

NAMED: dict[str, tuple[str, ...]] = {
    "person": ("name", "code"),
    "mails": ("email", "more"),
}
"""Keys of several fields; the first is a composite, the second holds each."""

FIELDS = {name: (name,) for name in KEYED} | NAMED
"""Name of a key -> its fields."""

NEEDED = ("email", "name")
"""Fields that may be required."""

BLOCKED: dict[str, tuple[Any, ...]] = {
    "email": (("BOB@*",), (re.compile("bob@.*"), "*.com")),
    "phone": (("+15550002222",),),
    "code": (("a1",), (*normalize.PLACEHOLDERS, re.compile("A1"))),
    "person": (("bo|*", "*|7"),),
    "mails": (("bob@*",),),
}
"""Name of a key -> what identifies nobody; no first value of a pool is among it."""

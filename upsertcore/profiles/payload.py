"""
What the profiles share to read payloads and options.

Rules:
    Nothing here is specific to a system; each has its own module.
    A message follows the name of a field, and never shows a value of the payload.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard

from upsertcore.errors import InvalidPolicy
from upsertcore.normalize import PLACEHOLDERS, email
from upsertcore.normalize.blocked_patterns import Pattern
from upsertcore.values import FrozenMap, freeze, show_value

__all__ = [
    "all_text",
    "blocked_values",
    "check_bool",
    "display_name",
    "email_address",
    "is_mapping",
    "join_messages",
    "plain_text",
    "require",
    "split_fields",
]


def display_name(name: object) -> str:
    """
    Return a field name of a payload, of any type, for a message.

    >>> display_name("email"), display_name(7)
    ('email', '7')
    """
    if isinstance(name, str) and name.isprintable() and 0 < len(name) <= 60:
        return name
    return show_value(name)


def join_messages(messages: Iterable[str]) -> str:
    """
    Join messages into one reason, without duplicates and at most ten of them.

    >>> join_messages(["a: is bad", "b: is bad", "a: is bad"])
    'a: is bad; b: is bad'
    >>> join_messages(map(str, range(12)))
    '0; 1; 2; 3; 4; 5; 6; 7; 8; 9; and 2 more'
    """
    unique = list(dict.fromkeys(messages))
    suffix = [f"and {len(unique) - 10} more"] if len(unique) > 10 else []
    return "; ".join(unique[:10] + suffix)


def require(condition: object, message: str) -> None:
    """
    Raise an error unless a condition holds.

    Args:
        condition: The condition.
        message: The message, which follows the name of a field.

    Raises:
        ValueError: If the condition is false.

    >>> require([1], "must not be blank")
    """
    if not condition:
        raise ValueError(message)


def all_text(values: Iterable[object]) -> bool:
    """
    Return whether all values are plain ``str``.

    >>> all_text(("a", "b")), all_text(("a", 7))
    (True, False)
    """
    return _TEXT.issuperset(map(type, values))


_TEXT = frozenset({str})


def plain_text(value: object) -> str | None:
    r"""
    Return text as plain ``str``, or None for a value that is not Unicode text.

    >>> plain_text("firm-1"), plain_text(7), plain_text("\ud800")
    ('firm-1', None, None)
    """
    if not isinstance(value, str):
        return None
    try:
        return freeze(value)  # type: ignore[no-any-return]
    except ValueError:
        return None


def is_mapping(value: object) -> TypeGuard[Mapping[Any, Any]]:
    """
    Return whether a value is a mapping; this is quick for those of JSON.

    >>> is_mapping({}), is_mapping([])
    (True, False)
    """
    kind = type(value)
    return kind is dict or kind is FrozenMap or isinstance(value, Mapping)


def split_fields(payload: Mapping[Any, Any]) -> tuple[dict[str, Any], list[Any]]:
    """
    Split a payload into its fields and its invalid names.

    Args:
        payload: Any mapping; its names may be of any type.

    Returns:
        Plain name to value, and the names that are not text or are duplicates.

    >>> split_fields({"email": "ada@x.org", 7: "x"})
    ({'email': 'ada@x.org'}, [7])
    """
    if type(payload) is dict and all_text(payload) and "".join(payload).isascii():
        return payload.copy(), []
    fields: dict[str, Any] = {}
    invalid: list[Any] = []
    for name, value in payload.items():
        plain = plain_text(name)
        if plain is None or plain in fields:
            invalid.append(name)
        else:
            fields[plain] = value
    return fields, invalid


def blocked_values(*, placeholders: bool) -> tuple[Pattern, ...]:
    """
    Return the blocked values of a key of a profile.

    Args:
        placeholders: True to block placeholders.

    Raises:
        InvalidPolicy: If the option is not a bool.

    >>> len(blocked_values(placeholders=True)) > 20, blocked_values(placeholders=False)
    (True, ())
    """
    return PLACEHOLDERS if check_bool("placeholders", placeholders) else ()


def check_bool(name: str, value: object) -> bool:
    """
    Return the value of a Boolean option.

    Raises:
        InvalidPolicy: If it is not a bool.

    >>> check_bool("ordered", True)
    True
    """
    if not isinstance(value, bool):
        raise InvalidPolicy(f"{name}: must be True or False, not {show_value(value)}")
    return value


_UNSAFE = r"@\s\x00-\x1f\x7f-\x9f\"<>,;:"

_ADDRESS = re.compile(
    rf"(?!')[^{_UNSAFE}]{{1,64}}(?<!')@[^{_UNSAFE}.']+(?:\.[^{_UNSAFE}.']+)+"
)
"""Of ASCII text, it matches only what has a form under ``normalize.email``."""


def email_address(value: Any) -> str:
    """
    Return the address of one mailbox, stripped.

    Raises:
        ValueError: If the value is not one; the message follows the field's name.

    Laws:
        The result has a form under ``normalize.email``.

    Source:
        RFC 5321, 4.5.3.1: 64 characters before the ``@``, 254 in all. The
        two parts are not checked further.

    >>> email_address(" Ada@x.org ")
    'Ada@x.org'
    """
    address = value.strip() if isinstance(value, str) else ""
    is_one = len(address) <= 254 and _ADDRESS.fullmatch(address)
    if not is_one or (not address.isascii() and email(address) is None):
        raise ValueError("must be an email address such as ada@example.org")
    return address

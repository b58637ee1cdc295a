"""
Advice: what to send instead of a value or a name that does not fit, and where it is.

Rules:
    A class is recognised by its attributes, so that no other package is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from itertools import islice
from typing import Any

from upsertcore.values.show import list_names, show_value

__all__ = [
    "closest_name",
    "find_invalid",
    "mapping_advice",
    "unknown_name",
    "value_advice",
]


def unknown_name(kind: str, name: object, known: Iterable[str]) -> str:
    """
    Return a message for an unknown key or field that lists the known ones.

    >>> unknown_name("key", "mail", ["email"]), unknown_name("key", "mail", [])
    ("unknown key 'mail'; this policy has: email", "unknown key 'mail'; ... has none")
    """
    names = list_names(known)
    has = f"has: {names}" if names else "has none"
    return f"unknown {kind} {show_value(name)}; this policy {has}"


def closest_name(name: object, known: Iterable[str]) -> str | None:
    """
    Return the known name that is most similar to a misspelt one, if any.

    Cost:
        Bounded: long names, and all but the first 200 known ones, are not compared.

    >>> closest_name("emial", ("email", "phone")), closest_name("x", ("email",))
    ('email', None)
    """
    if not isinstance(name, str) or len(name) > 60:
        return None
    short = [known_name for known_name in islice(known, 200) if len(known_name) <= 60]
    return next(iter(get_close_matches(name, short, 1)), None)


def value_advice(value: object) -> str:
    """
    Return advice on what to send instead of an object that is not JSON.

    >>> from datetime import date
    >>> value_advice(date(1815, 12, 10)), value_advice({"a"}), value_advice(object())
    ('send value.isoformat()', 'send sorted(value)', 'send str(value)')
    """
    kind = type(value)
    for name, advice in _BY_ATTRIBUTE:
        if hasattr(kind, name) and not isinstance(value, type):
            return f"send {advice.format('value')}"
    if isinstance(value, (set, frozenset)):
        return "send sorted(value)"
    if isinstance(value, Iterable):
        return "send list(value)"
    return "send str(value)"


def mapping_advice(patch: object) -> str:
    """
    Return advice on what to pass instead of an object that is not a mapping.

    >>> mapping_advice("{}"), mapping_advice([{}])
    ('pass json.loads(patch)', 'use upsert_many for several patches')
    """
    if isinstance(patch, (str, bytes)):
        return "pass json.loads(patch)"
    if any(hasattr(type(patch), name) for name in _INSTANCES):
        return "pass upsertcore.as_patch(patch)"
    for name, advice in _MODELS:
        if hasattr(type(patch), name):
            return f"pass {advice.format('patch')}"
    if isinstance(patch, (list, tuple)):
        return "use upsert_many for several patches"
    return 'pass a dict, such as {"email": "ada@x.org"}'


_INSTANCES = "model_dump", "__dataclass_fields__", "__attrs_attrs__"
"""Attributes of the classes whose instances ``as_patch`` converts."""

_MODELS = (
    ("model_dump", "{0}.model_dump(exclude_unset=True)"),
    ("__fields_set__", "{0}.dict(exclude_unset=True)"),
    ("__dataclass_fields__", "dataclasses.asdict({0})"),
    ("merged_ids", "dict({0}.fields)"),
    ("__attrs_attrs__", "attrs.asdict({0})"),
    ("_asdict", "{0}._asdict()"),
)
"""Attribute of a class to an expression that makes a mapping of an object: for models
of pydantic 2 and 1, dataclasses, contacts, attrs classes and named tuples."""

_BY_ATTRIBUTE = (
    *_MODELS,
    ("isoformat", "{0}.isoformat()"),
    ("total_seconds", "{0}.total_seconds()"),
    ("_value_repr_", "{0}.value"),
    ("tolist", "{0}.tolist()"),
    ("decode", "{0}.decode()"),
)


def find_invalid(value: Any, freeze: Callable[[Any], Any]) -> tuple[str, Any, str]:
    """
    Find the part of a value that cannot be frozen.

    Args:
        value: A value that cannot be frozen.
        freeze: A function that raises ``ValueError`` for such a value.

    Returns:
        The path of the innermost such item (``""`` for the value itself), the item, and
        the reason.

    Cost:
        Linear in the value, for each level down to the item.

    >>> from upsertcore.values import freeze
    >>> find_invalid({"tags": ["a", {"b"}]}, freeze)[:2]
    ('.tags[1]', {'b'})
    """
    path, reason = "", _reason(value, freeze)
    while not reason.startswith(_WHOLE_VALUE_REASONS):
        for step, item in _items(value):
            item_reason = _reason(item, freeze)
            if item_reason:
                path, value, reason = path + step, item, item_reason
                break
        else:
            break
    return path, value, reason


_WHOLE_VALUE_REASONS = "must not nest", "must hold"
"""How the reasons begin that concern a value as a whole."""


def _reason(value: Any, freeze: Callable[[Any], Any]) -> str:
    try:
        freeze(value)
    except ValueError as error:
        return str(error)
    return ""


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            plain = isinstance(name, str) and name.isidentifier()
            yield (f".{name}" if plain else f"[{show_value(name)}]"), item
    elif isinstance(value, (list, tuple)):
        yield from ((f"[{place}]", item) for place, item in enumerate(value))

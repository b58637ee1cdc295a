"""
Unfit values: where in a value the fault is, and what to send instead.

Rules:
    It is asked only once a value was refused, so it may look at it twice.
    A kind of object is known by what its class has; nothing is imported for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from upsertcore.showing import shown

__all__ = ["located", "mapping_advice", "value_advice"]


def value_advice(value: object) -> str:
    """
    Say what to send instead of an object that JSON has no word for.

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
    Say what to pass instead of an object that is no mapping.

    >>> mapping_advice("{}"), mapping_advice([{}])
    ('pass json.loads(patch)', 'use upsert_many for several patches')
    """
    if isinstance(patch, (str, bytes)):
        return "pass json.loads(patch)"
    for name, advice in _MODELS:
        if hasattr(type(patch), name):
            return f"pass {advice.format('patch')}"
    if isinstance(patch, (list, tuple)):
        return "use upsert_many for several patches"
    return 'pass a dict, such as {"email": "ada@x.org"}'


_MODELS = (
    ("model_dump", "{0}.model_dump(exclude_unset=True)"),
    ("__fields_set__", "{0}.dict(exclude_unset=True)"),
    ("__dataclass_fields__", "dataclasses.asdict({0})"),
    ("merged_ids", "dict({0}.fields)"),
    ("__attrs_attrs__", "attrs.asdict({0})"),
    ("_asdict", "{0}._asdict()"),
)
"""What a class has to what makes a mapping of its objects: those of pydantic, of its
first version, dataclasses, contacts, classes of attrs, named tuples."""

_BY_ATTRIBUTE = (
    *_MODELS,
    ("isoformat", "{0}.isoformat()"),
    ("total_seconds", "{0}.total_seconds()"),
    ("_value_repr_", "{0}.value"),
    ("tolist", "{0}.tolist()"),
    ("decode", "{0}.decode()"),
)


def located(value: Any, freeze: Callable[[Any], Any]) -> tuple[str, Any, str]:
    """
    Find what in a value cannot be frozen.

    Args:
        value: It cannot.
        freeze: Raises ``ValueError`` for what cannot.

    Returns:
        The path of the innermost such item (``""`` for the value itself), the item,
        and why.

    Cost:
        Linear in the value, for each level down to the item.

    >>> from upsertcore.values import freeze
    >>> located({"tags": ["a", {"b"}]}, freeze)[:2]
    ('.tags[1]', {'b'})
    """
    path, reason = "", _reason(value, freeze)
    while not reason.startswith(_OF_THE_WHOLE):
        for step, item in _items(value):
            why = _reason(item, freeze)
            if why:
                path, value, reason = path + step, item, why
                break
        else:
            break
    return path, value, reason


_OF_THE_WHOLE = "must not nest", "must hold"
"""What begins the reasons that are about a value as a whole."""


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
            yield (f".{name}" if plain else f"[{shown(name)}]"), item
    elif isinstance(value, (list, tuple)):
        yield from ((f"[{place}]", item) for place, item in enumerate(value))

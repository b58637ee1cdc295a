"""
Instances of an application's classes as patches: attrs, dataclasses, pydantic models.

Rules:
    What is not set is omitted; None stays null.
    A class is recognised by its attributes, so that no other package is imported.
    Values are not converted: pydantic makes JSON values of its own, and a patch with
    others is refused with advice.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import NOTHING

from upsertcore.errors import InvalidField
from upsertcore.model.contact import Contact
from upsertcore.values import MAX_DEPTH, Budget, mapping_advice

__all__ = ["as_patch"]


def as_patch(instance: Any, *, unset: Any = NOTHING) -> dict[str, Any]:
    """
    Return the patch that an instance of a class is.

    Args:
        instance: A model of pydantic 2: its set fields, as JSON values. An instance of
            an attrs class or a dataclass: its fields, under their names. A contact:
            what it stores. A mapping: its items. Instances inside them are converted
            as well, also in lists.
        unset: The value of a field, at any level, that is not set and therefore
            omitted; compared by identity. ``attrs.NOTHING`` always is. A dataclass
            does not know which fields were set: without a value of its own for that,
            every field is sent.

    Raises:
        InvalidField: If it is a class, or neither an instance of these nor a mapping,
            or holds more values than a patch may.

    Cost:
        Linear in the instance, whose size is limited as that of a patch.

    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Lead:
    ...     email: str
    ...     name: str | None = None
    ...     city: str | None = ...
    >>> as_patch(Lead("ada@x.org"), unset=...)
    {'email': 'ada@x.org', 'name': None}
    """
    plain = instance
    if not isinstance(instance, type):
        try:
            plain = _plain(instance, (NOTHING, unset), Budget(), MAX_DEPTH + 1)
        except ValueError as error:
            # The value is not shown: its own repr has no limit.
            name = type(instance).__name__
            raise InvalidField("patch", name, str(error)) from None
    if not isinstance(plain, dict):
        reason = "must be an instance of a model or a mapping"
        raise InvalidField("patch", instance, f"{reason}; {mapping_advice(plain)}")
    return plain


def _plain(value: Any, unset: tuple[Any, Any], budget: Budget, room: int) -> Any:
    """Return a value with instances as dicts; what is too deep stays as it is."""
    kind = type(value)
    if kind is Contact:
        value = value.fields
    if issubclass(kind, (str, type)) or not room:
        return value
    if isinstance(value, Mapping):
        fields: Iterable[tuple[Any, Any]] = value.items()
    elif isinstance(value, (list, tuple)):
        budget.take(len(value), 0)
        return [_plain(item, unset, budget, room - 1) for item in value]
    elif hasattr(kind, "model_dump"):
        # pydantic has made JSON values of all that is inside.
        return value.model_dump(mode="json", exclude_unset=True)
    elif hasattr(kind, "__attrs_attrs__"):
        fields = _set_fields(value, value.__attrs_attrs__)
    elif hasattr(kind, "__dataclass_fields__"):
        fields = _set_fields(value, dataclasses.fields(value))
    else:
        return value
    nothing, own = unset
    sent = [pair for pair in fields if pair[1] is not nothing and pair[1] is not own]
    budget.take(len(sent), 0)
    return {name: _plain(item, unset, budget, room - 1) for name, item in sent}


def _set_fields(instance: Any, fields: Iterable[Any]) -> Iterable[tuple[str, Any]]:
    """Return names and values; a field without ``init`` may not be there at all."""
    return [(one.name, getattr(instance, one.name, NOTHING)) for one in fields]

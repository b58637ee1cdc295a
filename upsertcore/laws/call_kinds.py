"""
The calls of a small world beside plain upserts: by id, of a visitor, with options.

Rules:
    One thing differs from a plain upsert at a time: an id, a visitor, or one option;
    an id and a visitor differ together once.
    An option that the policy has already, or that does not fit it, is not tried.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_args

from upsertcore.errors import InvalidPolicy
from upsertcore.laws.trial import Call
from upsertcore.policy.fields import Blank, Null
from upsertcore.policy.overrides import CallOptions, with_overrides
from upsertcore.policy.policy import OnFound, OnNotFound, Policy
from upsertcore.values import empty, freeze

__all__ = ["MERGED_ID", "calls_by_id", "calls_with_options", "is_about"]

MERGED_ID = "m-1"
"""The id of a contact that was merged into the first contact of a state."""
_FIRST, _SECOND, _UNKNOWN = "c-1", "c-2", "x-1"


def calls_by_id(policy: Policy, size: int) -> list[Call]:
    """
    List the calls that name a contact, in a state of a number of contacts.

    Args:
        policy: The policy.
        size: The number of contacts. With two, ids that resolve to one of them, or to
            none, are tried only where a key can find the other one as well.

    >>> from upsertcore import never
    >>> [call.verb for call in calls_by_id(Policy(never(), {}), 0)]
    ['upsert', 'update', 'create', 'upsert']
    """
    known = [(), (_FIRST, MERGED_ID), (_FIRST, _SECOND)][size]
    every = (*known, _UNKNOWN)
    calls = [Call(id=id) for id in every]
    calls += [Call("update", id=id) for id in (known if size > 1 else every)]
    calls += [Call("create", id=id) for id in (every[-1:] if size > 1 else every)]
    calls += [Call(visitor=id) for id in (known if size > 1 else every)]
    if size > 1:
        calls.append(Call(id=_FIRST, visitor=_SECOND))
    if policy.id_field is not None:
        calls += [Call(carried=id) for id in every]
    return calls


def calls_with_options(policy: Policy, names: Iterable[str]) -> list[Call]:
    """
    List the calls with one option that differs from the policy.

    Args:
        policy: The policy.
        names: The fields that are sent.

    >>> from upsertcore import never
    >>> calls = calls_with_options(Policy(never(), {}), [])
    >>> [value for call in calls for value in call.options.values()]
    ['ignore', 'refuse', 'refuse', 'clear']
    """
    lines = [policy.field_options(name) for name in names]
    own: dict[str, list[Any]] = {
        "null": [line.null for line in lines],
        "blank": [line.blank for line in lines],
        "on_found": [policy.on_found],
        "on_not_found": [policy.on_not_found],
        "omitted": [policy.omitted],
    }
    calls = []
    for option, values in _VALUES.items():
        for value in values:
            options: CallOptions = {option: value}  # type: ignore[misc]
            if {*own[option]} - {value} and _fits(policy, options):
                calls.append(Call(options=options))
    return calls


_VALUES: dict[str, tuple[Any, ...]] = {
    "on_found": get_args(OnFound),
    "on_not_found": get_args(OnNotFound),
    "omitted": ("clear",),
    "null": get_args(Null),
    "blank": get_args(Blank),
}
"""The options of a call that are tried, with their values."""


def _fits(policy: Policy, options: CallOptions) -> bool:
    try:
        with_overrides(policy, **options)
    except InvalidPolicy:
        return False
    return True


def is_about(call: Call, patch: Mapping[str, Any]) -> bool:
    """
    Return whether a call may differ from one without its options.

    >>> is_about(Call(options={"null": "ignore"}), {"email": "ada@x.org"})
    False
    """
    values = [freeze(value) for value in patch.values()]
    if "null" in call.options:
        return None in values
    if "blank" in call.options:
        return any(empty(value) for value in values if value is not None)
    return True

"""
Idempotency: which keys were used, for which calls, and with what outcome.

Rules:
    Each scope has its own keys and its own limit: its oldest call is forgotten first,
    and a retry after that is a new call.
    A refused call is not remembered: it changed nothing, so it may be repeated.
    The same key for another call of the scope is refused, whatever that call would do.
    A patch is remembered as a digest; none of its values is kept.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict, defaultdict
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, final

from attrs import evolve

from upsertcore.errors import IdempotencyKeyReused, InvalidField
from upsertcore.values import thaw

if TYPE_CHECKING:
    from upsertcore.engine.outcome import Outcome
    from upsertcore.matching.protocol import Strategy

__all__ = [
    "CallKey",
    "CallLog",
    "LoggedCall",
    "LoggedCalls",
    "call_key",
    "replay_of",
]

CallKey: TypeAlias = tuple[str, str, Hashable]
"""A scope, an idempotency key in it, and what identifies the call that carries it."""

LoggedCall: TypeAlias = "tuple[Hashable, Outcome]"
"""What identifies a call, and its outcome."""

LoggedCalls: TypeAlias = "Mapping[str, OrderedDict[str, LoggedCall]]"
"""Scope -> idempotency key -> call, the oldest first. In a plain dict the first item is
slow to find once many items before it were removed."""


def call_key(
    key: Any,
    scope: str,
    patch: tuple[Mapping[str, Any], Mapping[str, str]],
    strategy: Strategy,
    *overrides: Any,
) -> CallKey | None:
    """
    Identify a call, so that no other call is taken for it.

    Args:
        key: The idempotency key, None if the call has none.
        scope: The tenant.
        patch: The fields as they were read, and what is ignored.
        strategy: The match strategy.
        overrides: The call's other arguments; a mapping is compared by its items.

    Returns:
        The scope, the key, and what identifies the call; values only as a digest.
        None without a key.

    Raises:
        InvalidField: If the key is not text, or blank.

    >>> from upsertcore import never
    >>> call = "", ({}, {}), never()
    >>> call_key("k-1", *call)[:2], call_key(None, *call)
    (('', 'k-1'), None)
    """
    if key is None:
        return None
    if not isinstance(key, str) or not key.strip():
        reason = "must be text that is not blank; pass uuid4().hex, say"
        raise InvalidField("idempotency_key", key, reason)
    sent = {name: thaw(value) for name, value in patch[0].items()}
    text = json.dumps([sent, dict(patch[1])], sort_keys=True)
    digest = hashlib.sha256(text.encode()).digest()
    rest = tuple([_hashable(override) for override in overrides])
    return scope, str.__str__(key), (strategy, digest, rest)


def replay_of(call: CallKey, logged: LoggedCall | None) -> Outcome | None:
    """
    Return the outcome of an earlier identical call, None if there is none.

    Args:
        call: What identifies the call.
        logged: The call that is logged under its key.

    Raises:
        IdempotencyKeyReused: If the key was used for another call of its scope.

    >>> replay_of(("", "k-1", "a"), None) is None
    True
    """
    if logged is None:
        return None
    _scope, key, identity = call
    if logged[0] != identity:
        raise IdempotencyKeyReused(key)
    return evolve(logged[1], replayed=True)


def _hashable(override: Any) -> Hashable:
    if isinstance(override, Mapping):
        return frozenset(override.items())
    return override  # type: ignore[no-any-return]


@final
class CallLog:
    """
    The last calls of each scope that carried an idempotency key.

    Args:
        limit: How many calls are remembered per scope.

    >>> CallLog(1).lookup(("", "k-1", "a")) is None
    True
    """

    __slots__ = ("calls", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.calls: LoggedCalls = defaultdict(OrderedDict)

    def lookup(self, call: CallKey) -> LoggedCall | None:
        """Return the call that is logged under a key, None if there is none."""
        scope, key, _identity = call
        return self.calls[scope].get(key) if scope in self.calls else None

    def add(self, scope: str, key: str, call: LoggedCall) -> None:
        """Log a call; drop the oldest of its scope if there are too many."""
        if self.limit:
            calls = self.calls[scope]
            calls[key] = call
            while len(calls) > self.limit:
                calls.popitem(last=False)

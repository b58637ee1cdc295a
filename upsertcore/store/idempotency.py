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

from collections import OrderedDict, defaultdict
from collections.abc import Hashable, Mapping
from hashlib import blake2b
from itertools import repeat
from typing import TYPE_CHECKING, Any, TypeAlias, final

from attrs import evolve

from upsertcore.errors import IdempotencyKeyReused, InvalidField
from upsertcore.policy.policy import compiled
from upsertcore.values import FrozenMap

if TYPE_CHECKING:
    from upsertcore.engine.outcome import Outcome
    from upsertcore.policy.policy import Policy

__all__ = [
    "CallKey",
    "CallLog",
    "KeyedCall",
    "LoggedCall",
    "LoggedCalls",
    "call_key",
    "replay_of",
]

KeyedCall: TypeAlias = "tuple[Any, Mapping[str, Any] | None, tuple[Any, ...]]"
"""An idempotency key, and what identifies its call besides scope and patch: the rules
of the call, and its other arguments."""

CallKey: TypeAlias = tuple[str, str, Hashable]
"""A scope, an idempotency key in it, and what identifies the call that carries it."""

LoggedCall: TypeAlias = "tuple[Hashable, Outcome]"
"""What identifies a call, and its outcome."""

LoggedCalls: TypeAlias = "Mapping[str, OrderedDict[str, LoggedCall]]"
"""Scope -> idempotency key -> call, the oldest first. In a plain dict the first item is
slow to find once many items before it were removed."""


def call_key(
    call: KeyedCall,
    policy: Policy,
    scope: str,
    patch: tuple[Mapping[str, Any], Mapping[str, str]],
) -> CallKey:
    """
    Identify a call, so that no other call is taken for it.

    Args:
        call: Its key, and its other arguments.
        policy: The policy of the call.
        scope: The tenant.
        patch: As it was read: the fields, and what is ignored.

    Returns:
        The scope, the key, and what identifies the call; values only as a digest.

    Raises:
        InvalidField: If the key is not text, or blank.

    >>> from upsertcore import Policy, field, never
    >>> call, policy = ("k-1", None, ()), Policy(never(), {"id": field()})
    >>> one, other = [call_key(call, policy, "", ({"id": id}, {})) for id in (1, True)]
    >>> one[:2], one == other
    (('', 'k-1'), False)
    """
    key, rules, arguments = call
    if not isinstance(key, str) or not key.strip():
        reason = "must be text that is not blank; pass uuid4().hex, say"
        raise InvalidField("idempotency_key", key, reason)
    (sent, ignored), declared = patch, compiled(policy).fields
    parts = [
        value.encode() if type(value) is str else _encoded(value)
        for value in map(sent.get, declared, repeat(...))
    ]
    if ignored or not sent.keys() <= declared.keys():
        extra = {name: sent[name] for name in sent.keys() - declared.keys()}
        parts += [_encoded(extra), _encoded(ignored)]
    # No text in UTF-8 contains the bytes FE and FF.
    digest = blake2b(b"\xff".join(parts)).digest()
    overrides = None if rules is None else frozenset(rules.items())
    return scope, str.__str__(key), (digest, overrides, arguments)


def _encoded(value: Any) -> bytes:
    """Return what no other value has, nor any text; "..." for an omitted field."""
    return b"\xfe" + repr(_in_order(value)).encode()


def _in_order(value: Any) -> Any:
    """Return a frozen value with a list of items in place of each mapping."""
    if type(value) is tuple:
        return tuple([_in_order(item) for item in value])
    if isinstance(value, FrozenMap | dict):
        return [(name, _in_order(value[name])) for name in sorted(value)]
    return value


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


@final
class CallLog:
    """
    The last calls of each scope that carried an idempotency key.

    Args:
        limit: How many calls are remembered per scope.

    >>> CallLog(1).lookup("", "k-1") is None
    True
    """

    __slots__ = ("calls", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.calls: LoggedCalls = defaultdict(OrderedDict)

    def lookup(self, scope: str, key: str) -> LoggedCall | None:
        """Return the call that is logged under a key, None if there is none."""
        calls = self.calls.get(scope)
        return None if calls is None else calls.get(key)

    def add(self, scope: str, key: str, call: LoggedCall) -> None:
        """Log a call; drop the oldest of its scope if there are too many."""
        if self.limit:
            calls = self.calls[scope]
            calls[key] = call
            while len(calls) > self.limit:
                calls.popitem(last=False)

"""
Idempotency: which keys were used, for which calls, and with what outcome.

Rules:
    Each scope has keys of its own, and a bound of its own: its oldest call is forgotten
    first, and a retry after that is a new call.
    A call that was refused is not remembered: nothing happened, so it may be repeated.
    The same key for another call of the scope is refused, whatever that call would do.
    Of a patch a digest is kept, and no value.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, final

from attrs import evolve

from upsertcore.engine.outcome import without_contacts
from upsertcore.errors import IdempotencyKeyReused, InvalidField
from upsertcore.values import thaw

if TYPE_CHECKING:
    from upsertcore.engine.outcome import Outcome
    from upsertcore.engine.patch import Request

__all__ = ["Calls", "Once", "answered", "fingerprint"]

Once: TypeAlias = tuple[str, str, Hashable]
"""A scope, an idempotency key in it, and what identifies the call that carries it."""

KnownCalls: TypeAlias = "Mapping[str, OrderedDict[str, tuple[Hashable, Outcome]]]"
"""Scope -> idempotency key -> the call and its outcome, the oldest first: of a plain
dict the first of many is slow to find, once others before it were removed."""


def fingerprint(key: Any, ask: Callable[[], Request], *wishes: Any) -> Once | None:
    """
    Identify a call, so that another one cannot pass for it.

    Args:
        key: The idempotency key, None where the call has none.
        ask: Returns the patch as it was read, its scope and its strategy.
        wishes: What else the call asks for; a mapping stands for its items.

    Returns:
        The scope, the key, and what identifies the call: of the values a digest
        alone, so that none is kept. None without a key.

    Raises:
        InvalidField: If the key is not text, or blank.

    >>> from upsertcore import never
    >>> from upsertcore.store.index import ContactIndex
    >>> from upsertcore.engine.patch import Request
    >>> ask = lambda: Request({}, ({}, {}), ContactIndex(), "", never())
    >>> fingerprint("k-1", ask)[:2], fingerprint(None, ask)
    (('', 'k-1'), None)
    """
    if key is None:
        return None
    if not isinstance(key, str) or not key.strip():
        reason = "must be text that is not blank; pass uuid4().hex, say"
        raise InvalidField("idempotency_key", key, reason)
    asked = ask()
    sent = {name: thaw(value) for name, value in asked.sent.items()}
    text = json.dumps([sent, dict(asked.ignored)], sort_keys=True)
    digest = hashlib.sha256(text.encode()).digest()
    rest = tuple([_hashable(wish) for wish in wishes])
    return asked.scope, str.__str__(key), (asked.strategy, digest, rest)


def answered(once: Once, noted: tuple[Hashable, Outcome] | None) -> Outcome | None:
    """
    Return the outcome of this very call, None where it is not known.

    Args:
        once: What identifies the call.
        noted: What is noted under its key.

    Raises:
        IdempotencyKeyReused: If its key was used for another call of its scope.

    >>> answered(("", "k-1", "a"), None) is None
    True
    """
    if noted is None:
        return None
    _scope, key, what = once
    if noted[0] != what:
        raise IdempotencyKeyReused(key)
    return evolve(noted[1], replayed=True)


def _hashable(wish: Any) -> Hashable:
    return frozenset(wish.items()) if isinstance(wish, Mapping) else wish


@final
class Calls:
    """
    The last calls of each scope that carried an idempotency key.

    Args:
        keep: How many are remembered of each scope.

    >>> Calls(1).noted(("", "k-1", "a")) is None
    True
    """

    __slots__ = ("_keep", "known")

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self.known: KnownCalls = defaultdict(OrderedDict)

    def noted(self, once: Once) -> tuple[Hashable, Outcome] | None:
        """Return what was noted under the key of a call, None where nothing was."""
        scope, key, _what = once
        return self.known[scope].get(key) if scope in self.known else None

    def purged(self, ids: set[str], scope: str) -> tuple[KnownCalls, int]:
        """
        Return the calls without what they tell of ids of a scope, and how many did.

        Cost:
            Linear in the calls that are remembered.
        """
        left: KnownCalls = defaultdict(OrderedDict)
        purged = 0
        for name, calls in self.known.items():
            for key, (what, outcome) in calls.items():
                kept = without_contacts(outcome, ids) if name == scope else outcome
                purged += kept is not outcome
                if kept is not None:
                    left[name][key] = what, kept
        return left, purged

    def note(self, scope: str, key: str, call: tuple[Hashable, Outcome]) -> None:
        """Remember a call, and forget the oldest of its scope if there are too many."""
        if self._keep:
            calls = self.known[scope]
            calls[key] = call
            while len(calls) > self._keep:
                calls.popitem(last=False)

"""
The memory of calls: which idempotency keys were used, for what, and what came of it.

Rules:
    It is bounded; the oldest call is forgotten first, and then a retry is a new call.
    A call that was refused is not remembered: nothing happened, so it may be repeated.
    The same key for another call is refused, whatever that call would do.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any, final

from upsertcore.errors import CallReused, InvalidField
from upsertcore.outcome import forgetting
from upsertcore.tokens import token

if TYPE_CHECKING:
    from upsertcore.outcome import Outcome
    from upsertcore.patch import Asked

__all__ = ["Calls", "Once", "fingerprint"]

Once = tuple[str, Hashable]
"""An idempotency key, and what the call is that bears it."""


def fingerprint(key: Any, ask: Callable[[], Asked], *wishes: Any) -> Once | None:
    """
    Tell what a call is, so that another one cannot pass for it.

    Args:
        key: The idempotency key, None where the call has none.
        ask: Gives the patch as it was read, its scope and its strategy.
        wishes: Whatever else was asked for; a mapping stands for its items.

    Returns:
        The key and what the call is; None without a key.

    Raises:
        InvalidField: If the key is no text, or blank.

    >>> from upsertcore import ContactIndex, never
    >>> from upsertcore.patch import Asked
    >>> ask = lambda: Asked({}, ({}, {}), ContactIndex(), "", never())
    >>> fingerprint("k-1", ask)[0], fingerprint(None, ask)
    ('k-1', None)
    """
    if key is None:
        return None
    if not isinstance(key, str) or not key:
        raise InvalidField("idempotency_key", key, "must be text that is not blank")
    asked = ask()
    sent = frozenset((name, token(value)) for name, value in asked.sent.items())
    left = frozenset(asked.ignored.items())
    rest = tuple([_hashable(wish) for wish in wishes])
    return key, (asked.scope, asked.strategy, sent, left, rest)


def _hashable(wish: Any) -> Hashable:
    return frozenset(wish.items()) if isinstance(wish, Mapping) else wish


@final
class Calls:
    """
    The last calls that bore a key.

    Args:
        keep: How many are remembered.

    >>> Calls(1).recall(("k-1", "a")) is None
    True
    """

    __slots__ = ("_keep", "_known")

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._known: dict[str, tuple[Hashable, Outcome]] = {}

    def recall(self, once: Once | None) -> Outcome | None:
        """
        Give what came of this very call, None where it is not known.

        Raises:
            CallReused: If its key was used for another call.
        """
        if once is None:
            return None
        key, what = once
        known = self._known.get(key)
        if known is None:
            return None
        if known[0] != what:
            raise CallReused(key)
        return known[1]

    def purge(self, ids: set[str]) -> int:
        """Forget what calls tell of these ids; say how many told of them."""
        purged = 0
        for key, (what, outcome) in [*self._known.items()]:
            left = forgetting(outcome, ids)
            if left is None:
                del self._known[key]
            else:
                self._known[key] = what, left
            purged += left is not outcome
        return purged

    def note(self, once: Once | None, outcome: Outcome) -> None:
        """Remember what came of a call, and forget the oldest if there are too many."""
        if once is None or not self._keep:
            return
        self._known[once[0]] = once[1], outcome
        if len(self._known) > self._keep:
            del self._known[next(iter(self._known))]

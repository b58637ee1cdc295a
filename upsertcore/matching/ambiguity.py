"""
Ambiguity: which contact counts where several hold one form of a key.

Rules:
    Holders are in the order of creation, so the first is the oldest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from upsertcore.errors import AmbiguousMatch

if TYPE_CHECKING:
    from upsertcore.matching.protocol import Pick

__all__ = ["PICKS", "OnAmbiguous"]

OnAmbiguous = Literal["refuse", "oldest", "newest"]


def _only_holder(key: str, holders: tuple[str, ...]) -> str:
    if len(holders) > 1:
        raise AmbiguousMatch(key, holders)
    return holders[0]


PICKS: dict[OnAmbiguous, Pick] = {
    "refuse": _only_holder,
    "oldest": lambda _key, holders: holders[0],
    "newest": lambda _key, holders: holders[-1],
}
"""The functions of ``on_ambiguous``: choose among several holders, by creation."""

"""
What a match strategy is, what it asks, and what it answers.

Rules:
    A strategy is a frozen value that holds a function; it sees keys, never fields.
    It asks through a probe, so it knows nothing of an index.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias, final

from attrs import define, frozen

from upsertcore.errors import AmbiguousMatch

__all__ = [
    "PICKS",
    "Guard",
    "Hits",
    "Match",
    "OnAmbiguous",
    "OnContradiction",
    "Pick",
    "Probe",
    "Resolve",
    "Strategy",
]

OnAmbiguous = Literal["refuse", "oldest", "newest"]
Guard = Literal["if_set", "strict"]
OnContradiction = Literal["keep", "drop"]

Hits: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]
"""(normal form, ids of the contacts that hold it, by creation) per form of a key."""


class Probe(Protocol):
    """What a strategy asks."""

    def __call__(self, name: str) -> Hits:
        """Give each form of a key that the patch carries, with its holders."""
        ...

    def held_forms(self, id: str, name: str) -> tuple[str, ...]:
        """Give the forms of a key that a contact holds."""
        ...


Pick: TypeAlias = Callable[[str, tuple[str, ...]], str]
"""(key name, holders, at least one) -> the holder that is meant, or a refusal."""


@final
@define
class Match:
    """
    What a strategy found.

    Args:
        id: The contact that is meant, None for nobody.
        key: The name of the key that decided, None where none did.
        also_matched: Further contacts that the consulted keys hit, in the order found.
        merged: Further contacts that are to be merged into it.
        dropped: Names of keys that are to be left out of the patch.

    >>> Match("c-1", "email").also_matched
    ()
    """

    id: str | None = None
    key: str | None = None
    also_matched: tuple[str, ...] = ()
    merged: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


Resolve: TypeAlias = Callable[[tuple[str, ...], Probe, Pick], Match]
"""(keys, probe, pick) -> what a strategy finds."""


@final
@frozen
class Strategy:
    """
    An order of keys and the manner of consulting them.

    Args:
        name: The name of the function that makes it; it is shown, and nothing else is
            made of it.
        keys: Names of keys, the most trusted first.
        resolve: (keys, probe, pick) -> :class:`Match`.
        guard: What keeps a hit by a lower key from counting.
        on_contradiction: What becomes of a key whose hits do not count.
        merges: True where it may merge contacts.

    >>> Strategy("nobody", (), lambda _keys, _probe, _pick: Match(), guard="strict")
    nobody(guard='strict')
    """

    name: str
    keys: tuple[str, ...]
    resolve: Resolve
    guard: Guard | None = None
    on_contradiction: OnContradiction = "keep"
    merges: bool = False

    def __repr__(self) -> str:
        said = [*map(repr, self.keys)]
        if self.guard is not None:
            said.append(f"guard={self.guard!r}")
        if self.on_contradiction != "keep":
            said.append(f"on_contradiction={self.on_contradiction!r}")
        return f"{self.name}({', '.join(said)})"


def _only(key: str, holders: tuple[str, ...]) -> str:
    if len(holders) > 1:
        raise AmbiguousMatch(key, holders)
    return holders[0]


PICKS: dict[OnAmbiguous, Pick] = {
    "refuse": _only,
    "oldest": lambda _key, holders: holders[0],
    "newest": lambda _key, holders: holders[-1],
}
"""What a policy's ``on_ambiguous`` means: one key, several holders, by creation."""

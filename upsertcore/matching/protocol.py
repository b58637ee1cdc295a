"""
The protocol of match strategies: what one is, what it asks, and what it answers.

Rules:
    A strategy is a frozen value that holds a function; it sees keys, never fields.
    It looks keys up through a probe, and does not depend on an index.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias, final

from attrs import define, frozen

__all__ = [
    "Guard",
    "Hits",
    "Match",
    "OnContradiction",
    "Pick",
    "Probe",
    "Resolve",
    "Strategy",
    "also_matched",
]

Guard = Literal["if_set", "strict"]
OnContradiction = Literal["keep", "drop"]

Hits: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]
"""(normal form, ids of the contacts that hold it, by creation) per form of a key."""


class Probe(Protocol):
    """The look-ups of a strategy: the keys of the patch, and their holders."""

    def __call__(self, name: str) -> Hits:
        """Return each form of a key that the patch carries, with its holders."""
        ...

    def held_forms(self, id: str, name: str) -> tuple[str, ...]:
        """Return the forms of a key that a contact holds."""
        ...


Pick: TypeAlias = Callable[[str, tuple[str, ...]], str]
"""(key name, one or more holders) -> the holder to choose; it may refuse."""


@final
@define
class Match:
    """
    The result of a strategy.

    Args:
        id: The id of the matched contact, None where there is no match.
        key: The name of the key that matched it, None where none did.
        also_matched: Ids of further contacts that match, in the order of look-ups.
        merged: Ids of contacts to merge into it.
        dropped: Names of keys to leave out of the patch.
        apart: Names of keys that match a contact which is not merged because the match
            holds other values. They count as in use, or the match would hold the same
            value then, and the next call would merge that contact.

    >>> Match("c-1", "email").also_matched
    ()
    """

    id: str | None = None
    key: str | None = None
    also_matched: tuple[str, ...] = ()
    merged: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()


def also_matched(chosen: str | None, all_holders: list[str]) -> tuple[str, ...]:
    """
    Return the holders besides the chosen one, each once.

    >>> also_matched("c-1", ["c-1", "c-2", "c-2"])
    ('c-2',)
    """
    if all_holders.count(chosen) == len(all_holders):  # type: ignore[arg-type]
        return ()
    return tuple(dict.fromkeys(id for id in all_holders if id != chosen))


Resolve: TypeAlias = Callable[[tuple[str, ...], Probe, Pick], Match]
"""(keys, probe, pick) -> match."""


@final
@frozen
class Strategy:
    """
    An order of keys and the manner of consulting them.

    Args:
        name: The name of the function that makes it, for messages only.
        keys: Names of keys, the most trusted first.
        resolve: (keys, probe, pick) -> :class:`Match`.
        guard: When a match by a lower key does not count.
        on_contradiction: ``"drop"`` if a key none of whose matches count is left out.
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
        arguments = [*map(repr, self.keys)]
        if self.guard is not None:
            arguments.append(f"guard={self.guard!r}")
        if self.on_contradiction != "keep":
            arguments.append(f"on_contradiction={self.on_contradiction!r}")
        return f"{self.name}({', '.join(arguments)})"

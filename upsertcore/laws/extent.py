"""
The extent of a card: its parts, about how many calls each has, and what a limit leaves.

Rules:
    A part is all states of so many contacts in one world, or all logs of so many
    patches in it.
    A limit is shared evenly: a small part is tried whole, and of a large one as many
    calls as are left for it, drawn evenly over all of it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import product
from typing import Any, Literal, TypeAlias

from upsertcore.laws.trial import Log, Merge, State
from upsertcore.laws.world import Patch, Places, World, evenly
from upsertcore.model.contact import Contact

__all__ = ["Kind", "Part", "Shown", "Tried", "parts_of", "shares"]

Shown: TypeAlias = tuple[tuple[Contact, ...], tuple[Patch, ...]]
"""What a counterexample shows: who is there, and what is sent."""
Tried: TypeAlias = tuple[Any, Shown, int]
"""A trial or a log, what is shown of it, and for how many it stands."""

Kind = Literal["calls", "merges", "logs"]
"""What is tried in a part."""

_WHAT: dict[Kind, str] = {
    "calls": "states of {} contacts",
    "merges": "merges of {} contacts",
    "logs": "logs of {} patches",
}
_FEW = 20
"""Up to so many patches every log of three of them is tried."""


class Part(ABC):
    """
    A part of what a card tries.

    Args:
        world: Of which it is a part.
        size: How many contacts a state has, or how many patches a log.
    """

    kind: Kind

    def __init__(self, world: World, size: int) -> None:
        self.world, self.size = world, size

    @cached_property
    @abstractmethod
    def about(self) -> int:
        """About how many calls, or logs, there are."""

    @abstractmethod
    def whole(self) -> Iterator[Tried]:
        """Give all of them."""

    @abstractmethod
    def drawn(self) -> Iterator[Tried]:
        """Give them in an order of which any beginning is spread over all of them."""

    def __str__(self) -> str:
        line = self.world.line
        beside = "keys alone" if line is None else f"with {line}"
        return f"{beside}, {_WHAT[self.kind].format(self.size)}"


class _Calls(Part):
    """All calls in the states of so many contacts."""

    kind = "calls"

    @cached_property
    def about(self) -> int:
        return self.world.about(self.size)

    def whole(self) -> Iterator[Tried]:
        for places, weight in self.world.states_of(self.size):
            for trial, times in self.world.trials(places):
                yield trial, (trial.before, (trial.patch,)), weight * times

    def drawn(self) -> Iterator[Tried]:
        for trial, weight in self.world.drawn(self.size):
            yield trial, (trial.before, (trial.patch,)), weight


class _Merges(Part):
    """All merges of so many contacts."""

    kind = "merges"

    @cached_property
    def about(self) -> int:
        return self.world.merge_count(self.size)

    def whole(self) -> Iterator[Tried]:
        for state, weight in self.world.merges(self.size):
            yield self._tried(state, weight)

    def drawn(self) -> Iterator[Tried]:
        for state, weight in self.world.drawn_merges(self.size):
            yield self._tried(state, weight)

    def _tried(self, state: State, weight: int) -> Tried:
        merge = Merge(self.world.policy, state)
        return merge, (merge.before, ()), weight


class _Logs(Part):
    """All logs of so many patches."""

    kind = "logs"

    def __init__(self, world: World, size: int, said: list[Patch]) -> None:
        super().__init__(world, size)
        self._said = said

    @cached_property
    def _swaps(self) -> list[list[int]]:
        return self.world.renamed(self._said)

    @cached_property
    def about(self) -> int:
        # As the states of a world are counted.
        every = range(len(self._said))
        kept = [sum(swap[n] == n for n in every) for swap in self._swaps]
        sums = [math.prod([many] * self.size) for many in (len(every), *kept)]
        return sum(sums) // len(sums)

    def whole(self) -> Iterator[Tried]:
        for places in product(range(len(self._said)), repeat=self.size):
            images = self._images(places)
            if all(places <= image for image in images):
                yield self._tried(places, images)

    def drawn(self) -> Iterator[Tried]:
        many = len(self._said)
        for place in evenly(math.prod([many] * self.size)):
            places = tuple([place // many**n % many for n in range(self.size)])
            yield self._tried(places, self._images(places))

    def _images(self, places: Places) -> list[Places]:
        """Give what a log becomes under each renaming of the normal forms."""
        return [tuple([swap[n] for n in places]) for swap in self._swaps]

    def _tried(self, places: Places, images: list[Places]) -> Tried:
        patches = tuple([self._said[n] for n in places])
        log = Log(self.world.policy, patches)
        return log, ((), patches), len({places, *images})


def parts_of(world: World) -> list[Part]:
    """
    List the parts of a world.

    Merges are of two and of three contacts; logs of two patches, and of three for few
    keys alone.
    """
    calls: list[Part] = [_Calls(world, size) for size in range(world.contacts + 1)]
    calls += [_Merges(world, size) for size in (2, 3) if size <= world.contacts]
    said = [patch for patch in world.spoken() if patch]
    few = world.line is None and len(said) < _FEW
    return [*calls, *[_Logs(world, size, said) for size in ((2, 3) if few else (2,))]]


def shares(parts: Sequence[Part], limit: int) -> dict[Part, int]:
    """
    Share a limit among parts, the smallest first.

    Returns:
        To each part how many calls may be tried of it, in the order of their size;
        what a part does not need is left for those after it.
    """
    shared, left = {}, limit
    for place, part in enumerate(sorted(parts, key=lambda part: part.about)):
        shared[part] = min(part.about, left // (len(parts) - place))
        left -= shared[part]
    return shared

"""
The size of a card: its parts, their estimated sizes, and how a limit is shared.

Rules:
    A part is all states of one number of contacts in one world, or all merges or logs
    of one length in it.
    A limit is shared evenly: a small part is tried whole, and of a large part as many
    cases as its share allows, spread evenly over it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import product
from typing import Any, Literal, TypeAlias

from upsertcore.laws.call_kinds import calls_by_id, calls_with_options, is_about
from upsertcore.laws.state_space import Patch, Places, World, spread
from upsertcore.laws.trial import Call, Log, Merge, State, Trial
from upsertcore.model.contact import Contact

__all__ = ["Kind", "Part", "Shown", "Tried", "parts_of", "shares"]

Shown: TypeAlias = tuple[tuple[Contact, ...], tuple[Patch, ...], str]
"""What a counterexample shows: the contacts, the patches, and how they are sent."""
Tried: TypeAlias = tuple[Any, Shown, int]
"""A case, what a counterexample shows of it, and how many cases it represents."""

Kind = Literal["calls", "named", "merges", "patched", "logs"]
"""What a part consists of."""

_NOUNS: dict[Kind, tuple[str, str, str]] = {
    "calls": ("states of", "contact", "contacts"),
    "named": ("ids and options, states of", "contact", "contacts"),
    "merges": ("merges of", "contact", "contacts"),
    "patched": ("merges with a patch of", "contact", "contacts"),
    "logs": ("logs of", "patch", "patches"),
}
_MAX_PATCHES = 20
"""The largest number of patches for which all logs of three are tried."""


class Part(ABC):
    """
    A part of what a card tries.

    Args:
        world: The world that it is a part of.
        size: The number of contacts of a state, or of patches of a log.
    """

    kind: Kind

    def __init__(self, world: World, size: int) -> None:
        self.world, self.size = world, size

    @cached_property
    @abstractmethod
    def estimate(self) -> int:
        """The estimated number of cases."""

    @abstractmethod
    def all_cases(self) -> Iterator[Tried]:
        """Yield all cases."""

    @abstractmethod
    def sample(self) -> Iterator[Tried]:
        """Yield cases in an order whose every beginning is spread over the part."""

    def __str__(self) -> str:
        field = self.world.field
        beside = "keys alone" if field is None else f"with {field}"
        what, one, several = _NOUNS[self.kind]
        return f"{beside}, {what} {self.size} {one if self.size == 1 else several}"


class _Calls(Part):
    """All calls in the states of one number of contacts."""

    kind = "calls"

    @cached_property
    def estimate(self) -> int:
        return self.world.estimate(self.size)

    def all_cases(self) -> Iterator[Tried]:
        for places, weight in self.world.states_of(self.size):
            for trial, times in self.world.trials(places):
                yield trial, (trial.before, (trial.patch,), ""), weight * times

    def sample(self) -> Iterator[Tried]:
        for trial, weight in self.world.sample(self.size):
            yield trial, (trial.before, (trial.patch,), ""), weight


class _Named(Part):
    """All calls with ids and options in the states of one number of contacts."""

    kind = "named"

    @cached_property
    def _sent(self) -> list[tuple[Call, Patch]]:
        """The calls, each with the patches that it is about."""
        world, calls = self.world, list[Call]()
        if world.field is None:
            calls += calls_by_id(world.policy, self.size)
            names = [letters.name for letters in world.keyed]
        else:
            names = [world.field]
        calls += calls_with_options(world.policy, names)
        patches = world.named_patches(self.size)
        return [(call, one) for call in calls for one in patches if is_about(call, one)]

    @cached_property
    def estimate(self) -> int:
        return self.world.named_count(self.size) * len(self._sent)

    def all_cases(self) -> Iterator[Tried]:
        for state, weight in self.world.named_states(self.size):
            for number in range(len(self._sent)):
                yield self._tried(state, weight, number)

    def sample(self) -> Iterator[Tried]:
        for case in self.world.sample_named(self.size, len(self._sent)):
            yield self._tried(*case)

    def _tried(self, state: State, weight: int, number: int) -> Tried:
        call, patch = self._sent[number]
        trial = Trial(self.world.policy, state, patch, call=call)
        return trial, (trial.before, (patch,), str(call)), weight


class _Merges(Part):
    """All merges of one number of contacts."""

    kind: Kind = "merges"

    @cached_property
    def estimate(self) -> int:
        return self.world.merge_count(self.size) * self._count

    def all_cases(self) -> Iterator[Tried]:
        for state, weight in self.world.merges(self.size):
            for number in range(self._count):
                yield self._tried(state, weight, number)

    def sample(self) -> Iterator[Tried]:
        for case in self.world.sample_merges(self.size, self._count):
            yield self._tried(*case)

    @cached_property
    def _count(self) -> int:
        """The number of patches of each merge; one for none."""
        return 1

    def _tried(self, state: State, weight: int, _number: int) -> Tried:
        merge = Merge(self.world.policy, state)
        return merge, (merge.before, (), ""), weight


class _Patched(_Merges):
    """All merges of one number of contacts with a patch."""

    kind = "patched"

    @cached_property
    def _sent(self) -> list[Patch]:
        return self.world.named_patches(1)

    @cached_property
    def _count(self) -> int:
        return len(self._sent)

    def _tried(self, state: State, weight: int, number: int) -> Tried:
        patch = self._sent[number]
        merge = Merge(self.world.policy, state, patch=patch)
        return merge, (merge.before, (patch,), "merge"), weight


class _Logs(Part):
    """All logs of one number of patches."""

    kind = "logs"

    def __init__(self, world: World, size: int, patches: list[Patch]) -> None:
        super().__init__(world, size)
        self._patches = patches

    @cached_property
    def _swaps(self) -> list[list[int]]:
        return self.world.renamed_patches(self._patches)

    @cached_property
    def estimate(self) -> int:
        # As the states of a world are counted.
        every = range(len(self._patches))
        kept = [sum(swap[n] == n for n in every) for swap in self._swaps]
        sums = [math.prod([count] * self.size) for count in (len(every), *kept)]
        return sum(sums) // len(sums)

    def all_cases(self) -> Iterator[Tried]:
        for places in product(range(len(self._patches)), repeat=self.size):
            images = self._images(places)
            if all(places <= image for image in images):
                yield self._tried(places, images)

    def sample(self) -> Iterator[Tried]:
        count = len(self._patches)
        for place in spread(math.prod([count] * self.size)):
            places = tuple([place // count**n % count for n in range(self.size)])
            yield self._tried(places, self._images(places))

    def _images(self, places: Places) -> list[Places]:
        """Return the log under each renaming of the normal forms."""
        return [tuple([swap[n] for n in places]) for swap in self._swaps]

    def _tried(self, places: Places, images: list[Places]) -> Tried:
        patches = tuple([self._patches[n] for n in places])
        log = Log(self.world.policy, patches)
        return log, ((), patches, ""), len({places, *images})


def parts_of(world: World) -> list[Part]:
    """
    List the parts of a world.

    Calls with ids and options are made in states of up to two contacts; those with a
    field beside the keys, in states of one. Merges are of two and of three contacts;
    logs of two patches, and of three for few keys alone.
    """
    calls: list[Part] = [_Calls(world, size) for size in range(world.contacts + 1)]
    sizes = (0, 1, 2) if world.field is None else (1,)
    calls += [_Named(world, size) for size in sizes if size <= world.contacts]
    calls += [_Merges(world, size) for size in (2, 3) if size <= world.contacts]
    calls += [_Patched(world, size) for size in (2,) if size <= world.contacts]
    patches = [patch for patch in world.log_patches() if patch]
    few = world.field is None and len(patches) < _MAX_PATCHES
    return [
        *calls,
        *[_Logs(world, size, patches) for size in ((2, 3) if few else (2,))],
    ]


def shares(parts: Sequence[Part], limit: int) -> dict[Part, int]:
    """
    Share a limit among parts, the smallest first.

    Returns:
        Part to the number of cases to try, in the order of their size; what a part
        does not need is available to the parts after it.
    """
    shared, left = {}, limit
    for place, part in enumerate(sorted(parts, key=lambda part: part.estimate)):
        shared[part] = min(part.estimate, left // (len(parts) - place))
        left -= shared[part]
    return shared

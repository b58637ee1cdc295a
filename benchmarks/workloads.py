"""
The workloads: patches from a seeded generator.

Rules:
    The same case gives the same patches in every run and on every machine.
    Patches are generated one by one, so that a million of them need not be in memory.
    Every patch is a plain dict, as parsed from JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, TypeAlias

from attrs import frozen

from benchmarks.people import LIST, email, fields_of, phone, tags, text
from benchmarks.profile_patches import PROFILE_PATCHES

__all__ = ["KINDS", "MAIN", "SHAPES", "Case", "Patch", "patches", "preload"]

Patch: TypeAlias = dict[str, Any]
Step: TypeAlias = tuple[int, bool]
"""The number of a person, and whether the person is new."""

_LIST_LENGTH = 50
KINDS = ("plain", *PROFILE_PATCHES)
"""The kinds of policies: a plain one, and those of the profiles."""


@frozen
class Case:
    """
    One workload.

    Args:
        shape: One of :data:`SHAPES`.
        size: The number of patches.
        fields: The number of fields of a contact; a profile has its own fields.
        kind: The kind of policy, one of :data:`KINDS`.
        seed: The seed of the generator.

    >>> Case("mixed", 1_000).label, Case("mixed", 10, kind="Anduin").label
    ('mixed, 8 fields', 'mixed, Anduin')
    """

    shape: str
    size: int
    fields: int = 8
    kind: str = "plain"
    seed: int = 20240616

    @property
    def label(self) -> str:
        """The name of the workload without its size."""
        parameters = f"{self.fields} fields" if self.kind == "plain" else self.kind
        return f"{self.shape}, {parameters}"

    @property
    def names(self) -> tuple[str, ...]:
        """The field names of its patches."""
        if self.kind != "plain":
            return PROFILE_PATCHES[self.kind].names
        return fields_of(self.fields, with_list=self.shape == "lists")


def preload(case: Case) -> Iterator[Patch]:
    """
    Yield the patches that are stored before the measurement.

    >>> len(list(preload(Case("update", 10)))), len(list(preload(Case("create", 10))))
    (10, 0)
    """
    rng = _random(case, "people")
    for number in range(_PRELOAD_SIZES[case.shape](case)):
        yield _patch(case, rng, (number, True))


def patches(case: Case) -> Iterator[Patch]:
    """
    Yield the patches of the workload.

    >>> len({patch["email"].strip().lower() for patch in patches(Case("mixed", 10))})
    5
    >>> list(patches(Case("unchanged", 5))) == list(preload(Case("unchanged", 5)))
    True
    """
    return SHAPES[case.shape](case)


MAIN = Case("mixed", 0)
"""The main workload: half new, half updates, up to 8 fields."""


def _random(case: Case, purpose: str) -> Random:
    return Random(f"{case.seed} {case.shape} {case.fields} {case.kind} {purpose}")


def _patch(case: Case, rng: Random, step: Step) -> Patch:
    """Return all fields of a new person, or the keys and a few fields of another."""
    number, new = step
    generator = PROFILE_PATCHES.get(case.kind)
    if generator is not None:
        return generator.patch(rng, number, new)
    names = case.names[2:]
    if not new:
        first = int(rng.random() * len(names))
        names = names[first : first + 1 + int(rng.random() * len(names))]
    patch: Patch = {"email": email(rng, number), "phone": phone(rng, number)}
    for name in names:
        patch[name] = tags(rng, _LIST_LENGTH) if name == LIST else text(rng, name)
    return patch


def _generate(case: Case, steps: Callable[[Random], Iterator[Step]]) -> Iterator[Patch]:
    rng = _random(case, "patches")
    return (_patch(case, rng, step) for step in steps(_random(case, "steps")))


def _create(case: Case) -> Iterator[Patch]:
    return _generate(case, lambda _rng: ((number, True) for number in range(case.size)))


def _update(case: Case) -> Iterator[Patch]:
    def steps(rng: Random) -> Iterator[Step]:
        for _ in range(case.size):
            yield int(rng.random() * case.size), False

    return _generate(case, steps)


def _unchanged(case: Case) -> Iterator[Patch]:
    return preload(case)


def _mixed(case: Case) -> Iterator[Patch]:
    """Yield patches of new and existing people, half each, shuffled."""

    def steps(rng: Random) -> Iterator[Step]:
        existing, new = 0, case.size - case.size // 2
        for remaining in range(case.size, 0, -1):
            if existing == 0 or rng.random() * remaining < new:
                yield existing, True
                existing, new = existing + 1, new - 1
            else:
                yield int(rng.random() * existing), False

    return _generate(case, steps)


def _clash(case: Case) -> Iterator[Patch]:
    """Yield the address of each person with the telephone number of the next."""
    rng = _random(case, "patches")
    for number in range(case.size):
        patch = _patch(case, rng, (number, False))
        patch["phone"] = phone(rng, (number + 1) % case.size)
        yield patch


def _hot(case: Case) -> Iterator[Patch]:
    return _generate(case, lambda _rng: ((0, place == 0) for place in range(case.size)))


SHAPES: dict[str, Callable[[Case], Iterator[Patch]]] = {
    "create": _create,
    "update": _update,
    "unchanged": _unchanged,
    "mixed": _mixed,
    "clash": _clash,
    "hot": _hot,
    "lists": _mixed,
}
"""The shapes: all new, all existing, all as stored, half new and half existing, each
with the telephone number of another, all of one person, with a list of 50 items."""

_PRELOAD_SIZES: dict[str, Callable[[Case], int]] = {
    **dict.fromkeys(SHAPES, lambda _case: 0),
    **dict.fromkeys(("update", "unchanged", "clash"), lambda case: case.size),
}

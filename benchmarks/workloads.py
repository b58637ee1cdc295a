"""
The workloads: what is sent, by a seeded generator.

Rules:
    The same case makes the same patches, at every run and on every machine.
    A workload is made patch by patch, so that a million of them need not stand in
    memory at once.
    Every patch is a plain dict, as a host would have it of JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, TypeAlias

from attrs import frozen

from benchmarks.people import LIST, email, fields_of, phone, tags, text
from benchmarks.suited import SUITED

__all__ = ["KINDS", "MAIN", "SHAPES", "Case", "Patch", "patches", "preload"]

Patch: TypeAlias = dict[str, Any]
Step: TypeAlias = tuple[int, bool]
"""A person's number, and whether nothing was sent about them before."""

_LONG = 50
KINDS = ("plain", *SUITED)
"""The policies that a workload is for: a plain one, and those of the profiles."""


@frozen
class Case:
    """
    One workload.

    Args:
        shape: What the patches are like; one of :data:`SHAPES`.
        size: How many patches there are.
        fields: How many fields a contact has; of a profile's, what suits it.
        kind: For which policy.
        seed: Of the generator.

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
        """Name it without its size."""
        what = f"{self.fields} fields" if self.kind == "plain" else self.kind
        return f"{self.shape}, {what}"

    @property
    def names(self) -> tuple[str, ...]:
        """Name the fields that its patches may carry."""
        if self.kind != "plain":
            return SUITED[self.kind].names
        return fields_of(self.fields, with_list=self.shape == "lists")


def preload(case: Case) -> Iterator[Patch]:
    """
    Make what is stored before anything is measured.

    >>> len(list(preload(Case("update", 10)))), len(list(preload(Case("create", 10))))
    (10, 0)
    """
    rng = _random(case, "people")
    for number in range(_PRELOADED[case.shape](case)):
        yield _sent(case, rng, (number, True))


def patches(case: Case) -> Iterator[Patch]:
    """
    Make what is sent.

    >>> len({patch["email"].strip().lower() for patch in patches(Case("mixed", 10))})
    5
    >>> list(patches(Case("unchanged", 5))) == list(preload(Case("unchanged", 5)))
    True
    """
    return SHAPES[case.shape](case)


MAIN = Case("mixed", 0)
"""The workload that ratios are told of: half new, half updates, up to 8 fields."""


def _random(case: Case, what: str) -> Random:
    return Random(f"{case.seed} {case.shape} {case.fields} {case.kind} {what}")


def _sent(case: Case, rng: Random, step: Step) -> Patch:
    """Write all fields of somebody new, and the keys and a few fields of others."""
    number, new = step
    suited = SUITED.get(case.kind)
    if suited is not None:
        return suited.patch(rng, number, new)
    names = case.names[2:]
    if not new:
        first = int(rng.random() * len(names))
        names = names[first : first + 1 + int(rng.random() * len(names))]
    patch: Patch = {"email": email(rng, number), "phone": phone(rng, number)}
    for name in names:
        patch[name] = tags(rng, _LONG) if name == LIST else text(rng, name)
    return patch


def _each(case: Case, steps: Callable[[Random], Iterator[Step]]) -> Iterator[Patch]:
    rng = _random(case, "patches")
    return (_sent(case, rng, step) for step in steps(_random(case, "steps")))


def _create(case: Case) -> Iterator[Patch]:
    return _each(case, lambda _rng: ((number, True) for number in range(case.size)))


def _update(case: Case) -> Iterator[Patch]:
    def steps(rng: Random) -> Iterator[Step]:
        for _ in range(case.size):
            yield int(rng.random() * case.size), False

    return _each(case, steps)


def _unchanged(case: Case) -> Iterator[Patch]:
    return preload(case)


def _mixed(case: Case) -> Iterator[Patch]:
    """Send half about new people, the other half about known ones, shuffled."""

    def steps(rng: Random) -> Iterator[Step]:
        known, new = 0, case.size - case.size // 2
        for left in range(case.size, 0, -1):
            if known == 0 or rng.random() * left < new:
                yield known, True
                known, new = known + 1, new - 1
            else:
                yield int(rng.random() * known), False

    return _each(case, steps)


def _clash(case: Case) -> Iterator[Patch]:
    """Send everybody's address with the telephone number of the next one."""
    rng = _random(case, "patches")
    for number in range(case.size):
        patch = _sent(case, rng, (number, False))
        patch["phone"] = phone(rng, (number + 1) % case.size)
        yield patch


def _hot(case: Case) -> Iterator[Patch]:
    return _each(case, lambda _rng: ((0, place == 0) for place in range(case.size)))


SHAPES: dict[str, Callable[[Case], Iterator[Patch]]] = {
    "create": _create,
    "update": _update,
    "unchanged": _unchanged,
    "mixed": _mixed,
    "clash": _clash,
    "hot": _hot,
    "lists": _mixed,
}
"""What patches are like: all new, all known, all as stored, half new and half known,
each with another's telephone number, all about one person, with a list of 50 items."""

_PRELOADED: dict[str, Callable[[Case], int]] = {
    **dict.fromkeys(SHAPES, lambda _case: 0),
    **dict.fromkeys(("update", "unchanged", "clash"), lambda case: case.size),
}

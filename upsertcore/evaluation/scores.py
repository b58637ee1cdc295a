"""
Scores: how well records were put together, against who they are truly about.

Rules:
    Pure: pairs of (true id, assigned id) in, figures out; no id means anything.
    Pairs of records are counted by groups, never listed, and counts are whole numbers.
    Examples stand in the order in which the records came.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from math import fsum
from typing import Any, TypeAlias, final

from attrs import Factory, asdict, define, frozen

__all__ = ["EXAMPLES", "Held", "Measure", "Mixture", "Scores", "measured", "score"]

Cells: TypeAlias = Mapping[tuple[Hashable, Hashable], int]

EXAMPLES = 5
"""How many examples are kept of anything, and how many parts of each."""


@final
@frozen
class Measure:
    """
    Precision, recall, and their harmonic mean.

    Args:
        precision: Of what was put together, the share that belongs together.
        recall: Of what belongs together, the share that was put together.
        f1: Their harmonic mean; 0.0 where both are.

    >>> str(Measure(1.0, 0.5, 2 / 3))
    '1.0000 0.5000 0.6667'
    """

    precision: float
    recall: float
    f1: float

    def __str__(self) -> str:
        return f"{self.precision:.4f} {self.recall:.4f} {self.f1:.4f}"

    def to_dict(self) -> dict[str, float]:
        """Give the three figures by name."""
        return asdict(self)


@final
@frozen
class Mixture:
    """
    A person over several contacts, or a contact of several persons.

    Args:
        of: The person, or the contact.
        records: How many records there are of it.
        among: Among how many contacts, or persons.
        parts: The first of these, each with its records, in the order seen.

    >>> str(Mixture("p-1", 3, 2, (("c-1", 2), ("c-7", 1))))
    'p-1: c-1 (2), c-7 (1)'
    """

    of: Hashable
    records: int
    among: int
    parts: tuple[tuple[Hashable, int], ...]

    def __str__(self) -> str:
        return f"{self.of}: {self.listing}"

    @property
    def listing(self) -> str:
        """The parts in words."""
        shown = ", ".join([f"{name} ({count})" for name, count in self.parts])
        more = self.among - len(self.parts)
        return f"{shown} and {more:,} more" if more else shown

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON can say it; ids become text."""
        parts = [[str(name), count] for name, count in self.parts]
        known = {"of": str(self.of), "records": self.records, "among": self.among}
        return {**known, "parts": parts}


@final
@define
class Held:
    """
    How many records of each person a contact holds, and the most of one.

    >>> held = Held()
    >>> held.add("ada", 2)
    >>> held.top, held.counts["bob"]
    (2, 0)
    """

    counts: Counter[Hashable] = Factory(Counter)
    top: int = 0

    def add(self, person: Hashable, count: int) -> None:
        """Add records of a person."""
        self.counts[person] += count
        self.top = max(self.top, self.counts[person])

    def joined(self, other: Held) -> Held:
        """Pour the smaller into the larger, so that each count moves seldom."""
        small, large = sorted((self, other), key=lambda each: len(each.counts))
        for person, number in small.counts.items():
            large.add(person, number)
        return large


@final
@frozen
class Scores:
    """
    How well records were put together.

    Args:
        records: How many there are.
        persons: How many persons they are truly about.
        contacts: How many contacts they were put into.
        true_pairs: Pairs of records that are about one person.
        assigned_pairs: Pairs of records that are in one contact.
        right_pairs: Pairs of which both holds.
        pairwise: By pairs, so that a contact of n records counts n(n-1)/2 times.
        b_cubed: By records: the mean, over them, of how much of its contact is about
            its person, and of how much of its person is in its contact.
        split: How many persons are in several contacts.
        joined: How many contacts are of several persons.
        splits: The first of the persons that are split.
        joins: The first of the contacts that are joined.

    >>> score([("p", 1), ("p", 1), ("p", 2), ("q", 2)]).right_pairs
    1
    """

    records: int
    persons: int
    contacts: int
    true_pairs: int
    assigned_pairs: int
    right_pairs: int
    pairwise: Measure
    b_cubed: Measure
    split: int
    joined: int
    splits: tuple[Mixture, ...]
    joins: tuple[Mixture, ...]

    def __str__(self) -> str:
        persons = f"{self.records:,} records of {self.persons:,} persons"
        found = [
            f"{persons} in {self.contacts:,} contacts",
            "            precision     recall         F1",
            *(_line(*each) for each in self.measures.items()),
            f"persons split over several contacts: {self.split:,}",
            *(f"  {each}" for each in self.splits),
            f"contacts joined of several persons: {self.joined:,}",
            *(f"  {each}" for each in self.joins),
        ]
        return "\n".join(found)

    @property
    def measures(self) -> dict[str, Measure]:
        """Both measures, by name."""
        return {"pairwise": self.pairwise, "B-cubed": self.b_cubed}

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON can say it; ids become text."""
        return {
            "records": self.records,
            "persons": self.persons,
            "contacts": self.contacts,
            "true_pairs": self.true_pairs,
            "assigned_pairs": self.assigned_pairs,
            "right_pairs": self.right_pairs,
            "pairwise": self.pairwise.to_dict(),
            "b_cubed": self.b_cubed.to_dict(),
            "split": self.split,
            "joined": self.joined,
            "splits": [each.to_dict() for each in self.splits],
            "joins": [each.to_dict() for each in self.joins],
        }


def score(pairs: Iterable[tuple[Hashable, Hashable]]) -> Scores:
    """
    Judge which records were put together.

    Args:
        pairs: For each record whom it is truly about, and where it was put; read
            once.

    Returns:
        The figures. Where nothing was put together, nothing was put together wrongly,
        and precision is 1.0; where nothing belongs together, recall is 1.0.

    Cost:
        Linear in the records; memory for one count per person, contact and both.

    Laws:
        Ids may be renamed and records reordered: the figures stay.

    Source:
        A. Bagga and B. Baldwin, "Entity-Based Cross-Document Coreferencing Using the
        Vector Space Model", 1998, for B-cubed.

    >>> found = score([("ada", 1), ("ada", 1), ("ada", 2), ("bob", 2)])
    >>> print(found)
    4 records of 2 persons in 2 contacts
                precision     recall         F1
    pairwise       0.5000     0.3333     0.4000
    B-cubed        0.7500     0.6667     0.7059
    persons split over several contacts: 1
      ada: 1 (2), 2 (1)
    contacts joined of several persons: 1
      2: ada (1), bob (1)
    """
    cells = Counter(pairs)
    persons: Counter[Hashable] = Counter()
    contacts: Counter[Hashable] = Counter()
    for (person, contact), count in cells.items():
        persons[person] += count
        contacts[contact] += count
    split, splits = _mixtures(cells, persons)
    turned = {(contact, person): n for (person, contact), n in cells.items()}
    joined, joins = _mixtures(turned, contacts)
    true, assigned, right = _pairs(persons), _pairs(contacts), _pairs(cells)
    return Scores(
        cells.total(),
        *(len(persons), len(contacts)),
        *(true, assigned, right),
        measured(true, assigned, right),
        _b_cubed(cells, persons, contacts),
        *(split, joined),
        *(splits, joins),
    )


def measured(true: int, assigned: int, right: int) -> Measure:
    """
    Make the measure of three counts.

    Args:
        true: What belongs together.
        assigned: What was put together.
        right: Of which both holds.

    >>> measured(0, 0, 0), measured(3, 0, 0).precision, measured(3, 0, 0).f1
    (Measure(precision=1.0, recall=1.0, f1=1.0), 1.0, 0.0)
    """
    return Measure(
        right / assigned if assigned else 1.0,
        right / true if true else 1.0,
        2 * right / (true + assigned) if true + assigned else 1.0,
    )


def _pairs(groups: Mapping[Any, int]) -> int:
    return sum(size * (size - 1) // 2 for size in groups.values())


def _b_cubed(
    cells: Cells, persons: Mapping[Hashable, int], contacts: Mapping[Hashable, int]
) -> Measure:
    """Take the means over records: each of a cell of n sees n of its group."""
    records = sum(cells.values())
    if not records:
        return Measure(1.0, 1.0, 1.0)
    # Whole numbers by size of group, so that no order of adding shows in a figure.
    within: Counter[int] = Counter()
    of: Counter[int] = Counter()
    for (person, contact), count in cells.items():
        within[contacts[contact]] += count * count
        of[persons[person]] += count * count
    precision, recall = _mean(within, records), _mean(of, records)
    f1 = 2 * precision * recall / (precision + recall)
    return Measure(precision, recall, f1)


def _mean(squares: Mapping[int, int], records: int) -> float:
    return fsum(total / size for size, total in squares.items()) / records


def _mixtures(
    cells: Cells, sizes: Mapping[Hashable, int]
) -> tuple[int, tuple[Mixture, ...]]:
    """Count the groups on the left that lie over several on the right."""
    among = Counter(left for left, _right in cells)
    mixed = [left for left in sizes if among[left] > 1]
    parts: dict[Hashable, list[tuple[Hashable, int]]] = {
        left: [] for left in mixed[:EXAMPLES]
    }
    for (left, right), count in cells.items():
        if left in parts and len(parts[left]) < EXAMPLES:
            parts[left].append((right, count))
    return len(mixed), tuple(
        [Mixture(of, sizes[of], among[of], tuple(few)) for of, few in parts.items()]
    )


def _line(name: str, measure: Measure) -> str:
    figures = measure.precision, measure.recall, measure.f1
    return f"{name:<10}" + "".join([f"{each:>11.4f}" for each in figures])

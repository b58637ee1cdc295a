"""
Scores: how well records are grouped, compared with their true persons.

Rules:
    Pure: pairs of (true id, assigned id) in, figures out; ids are opaque.
    Pairs of records are counted by groups, never listed, and counts are integers.
    Examples are in the order in which the records came.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from math import fsum
from typing import Any, TypeAlias, final

from attrs import Factory, asdict, define, frozen

__all__ = [
    "EXAMPLES",
    "Measure",
    "Mixture",
    "PersonCounts",
    "Scores",
    "measure_of",
    "score",
]

Cells: TypeAlias = Mapping[tuple[Hashable, Hashable], int]

EXAMPLES = 5
"""The largest number of examples of a kind, and of parts of an example."""


@final
@frozen
class Measure:
    """
    Precision, recall, and their harmonic mean.

    Args:
        precision: The share of what is grouped together that belongs together.
        recall: The share of what belongs together that is grouped together.
        f1: Their harmonic mean; 0.0 if both are.

    >>> str(Measure(1.0, 0.5, 2 / 3))
    '1.0000 0.5000 0.6667'
    """

    precision: float
    recall: float
    f1: float

    def __str__(self) -> str:
        return f"{self.precision:.4f} {self.recall:.4f} {self.f1:.4f}"

    def to_dict(self) -> dict[str, float]:
        """Return the three figures by name."""
        return asdict(self)


@final
@frozen
class Mixture:
    """
    A person over several contacts, or a contact of several persons.

    Args:
        of: The person, or the contact.
        records: The number of its records.
        among: The number of its contacts, or of its persons.
        parts: The first of these, each with its number of records.

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
        """Return JSON values; ids become text."""
        parts = [[str(name), count] for name, count in self.parts]
        known = {"of": str(self.of), "records": self.records, "among": self.among}
        return {**known, "parts": parts}


@final
@define
class PersonCounts:
    """
    The number of records of each person in a contact, and the largest of them.

    >>> counts = PersonCounts()
    >>> counts.add("ada", 2)
    >>> counts.top, counts.counts["bob"]
    (2, 0)
    """

    counts: Counter[Hashable] = Factory(Counter)
    top: int = 0

    def add(self, person: Hashable, count: int) -> None:
        """Add records of a person."""
        self.counts[person] += count
        self.top = max(self.top, self.counts[person])

    def merge(self, other: PersonCounts) -> PersonCounts:
        """Add the smaller to the larger, so that each count moves seldom."""
        small, large = sorted((self, other), key=lambda part: len(part.counts))
        for person, number in small.counts.items():
            large.add(person, number)
        return large


@final
@frozen
class Scores:
    """
    How well records are grouped.

    Args:
        records: The number of records.
        persons: The number of true persons.
        contacts: The number of contacts.
        true_pairs: The number of pairs of records of one person.
        assigned_pairs: The number of pairs of records in one contact.
        right_pairs: The number of pairs that are both.
        pairwise: The measure by pairs: a contact of n records counts n(n-1)/2 times.
        b_cubed: The measure by records: the mean share of a record's contact that is of
            its person, and of its person that is in its contact.
        split: The number of persons in several contacts.
        joined: The number of contacts of several persons.
        splits: The first of the split persons.
        joins: The first of the joined contacts.

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
        lines = [
            f"{persons} in {self.contacts:,} contacts",
            "            precision     recall         F1",
            *(_line(*item) for item in self.measures.items()),
            f"persons split over several contacts: {self.split:,}",
            *(f"  {item}" for item in self.splits),
            f"contacts joined of several persons: {self.joined:,}",
            *(f"  {item}" for item in self.joins),
        ]
        return "\n".join(lines)

    @property
    def measures(self) -> dict[str, Measure]:
        """Both measures, by name."""
        return {"pairwise": self.pairwise, "B-cubed": self.b_cubed}

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values; ids become text."""
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
            "splits": [item.to_dict() for item in self.splits],
            "joins": [item.to_dict() for item in self.joins],
        }


def score(pairs: Iterable[tuple[Hashable, Hashable]]) -> Scores:
    """
    Score a grouping of records.

    Args:
        pairs: The true person and the contact of each record; read once.

    Returns:
        The scores. If no records are grouped together, precision is 1.0; if none
        belong together, recall is 1.0.

    Cost:
        Linear in the records; memory for one count per person, contact and both.

    Laws:
        Renaming ids and reordering records changes no figure.

    Source:
        A. Bagga and B. Baldwin, "Entity-Based Cross-Document Coreferencing Using the
        Vector Space Model", 1998, for B-cubed.

    >>> scores = score([("ada", 1), ("ada", 1), ("ada", 2), ("bob", 2)])
    >>> print(scores)
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
    by_contact = {(contact, person): n for (person, contact), n in cells.items()}
    joined, joins = _mixtures(by_contact, contacts)
    true, assigned, right = _pairs(persons), _pairs(contacts), _pairs(cells)
    return Scores(
        cells.total(),
        *(len(persons), len(contacts)),
        *(true, assigned, right),
        measure_of(true, assigned, right),
        _b_cubed(cells, persons, contacts),
        *(split, joined),
        *(splits, joins),
    )


def measure_of(true: int, assigned: int, right: int) -> Measure:
    """
    Make the measure of three counts.

    Args:
        true: The number of pairs that belong together.
        assigned: The number of pairs that are grouped together.
        right: The number of pairs that are both.

    >>> measure_of(0, 0, 0), measure_of(3, 0, 0).precision, measure_of(3, 0, 0).f1
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
    """Return the means over records; each of a cell of n shares its group with n."""
    records = sum(cells.values())
    if not records:
        return Measure(1.0, 1.0, 1.0)
    # Integers by size of group, so that the order of addition changes no figure.
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
    """Count the groups on the left that are spread over several on the right."""
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
    return f"{name:<10}" + "".join([f"{value:>11.4f}" for value in figures])

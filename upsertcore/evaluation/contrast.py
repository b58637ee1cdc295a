"""
Contrast: the records that two policies put with different records.

Rules:
    Pure: two reports on the same records in, the records on which they differ out.
    What a contact is called does not count, only which records are in it.
    No two records are compared: sizes of groups say whether groups are the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, final

from attrs import frozen

from upsertcore.evaluation.scores import EXAMPLES

if TYPE_CHECKING:
    from upsertcore.evaluation.report import Report

__all__ = ["Contrast", "Parting", "compare"]

Effect: TypeAlias = Literal["better", "worse", "mixed"]
Links: TypeAlias = tuple[int, int]


@final
@frozen
class Parting:
    """
    A record that two policies put with different records.

    Args:
        row: Its place, from 0.
        person: Whom it is truly about.
        mine: With how many other records of its person the one policy puts it, and
            with how many of others.
        theirs: The same under the other.

    >>> print(Parting(3, "ada", (1, 0), (2, 4)))
    row 3, of ada: with 1 right and 0 wrong / 2 right and 4 wrong: mixed
    """

    row: int
    person: Hashable
    mine: Links
    theirs: Links

    @property
    def verdict(self) -> Effect:
        """What the other policy does for it: ``better``, ``worse`` or ``mixed``."""
        (right, wrong), (theirs, astray) = self.mine, self.theirs
        if theirs >= right and astray <= wrong and self.mine != self.theirs:
            return "better"
        if theirs <= right and astray >= wrong and self.mine != self.theirs:
            return "worse"
        return "mixed"

    def __str__(self) -> str:
        sides = [f"{r:,} right and {w:,} wrong" for r, w in (self.mine, self.theirs)]
        told = f"with {' / '.join(sides)}: {self.verdict}"
        return f"row {self.row}, of {self.person}: {told}"

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON can say it; the person becomes text."""
        sides = {"mine": [*self.mine], "theirs": [*self.theirs]}
        known = {"row": self.row, "person": str(self.person)}
        return {**known, **sides, "verdict": self.verdict}


@final
@frozen
class Contrast:
    """
    Where two policies put records differently.

    Args:
        records: How many there are.
        better: How many the other policy puts with more of their own person, or with
            fewer of others, and neither the reverse.
        worse: How many of which the same is true of the one policy.
        mixed: How many differ otherwise: with more of both, or with others as many.
        examples: The first records that differ.

    >>> print(Contrast(10, 2, 1, 0, ()))
    10 records, 3 of them put differently: 2 better, 1 worse, 0 mixed
    """

    records: int
    better: int
    worse: int
    mixed: int
    examples: tuple[Parting, ...]

    @property
    def differ(self) -> int:
        """How many records are in contacts of different records."""
        return self.better + self.worse + self.mixed

    def __str__(self) -> str:
        counts = f"{self.better:,} better, {self.worse:,} worse, {self.mixed:,} mixed"
        head = f"{self.records:,} records, {self.differ:,} of them put differently"
        return "\n".join([f"{head}: {counts}", *[f"  {e}" for e in self.examples]])

    def to_dict(self) -> dict[str, Any]:
        """Give it as JSON can say it."""
        return {
            "records": self.records,
            "differ": self.differ,
            "better": self.better,
            "worse": self.worse,
            "mixed": self.mixed,
            "examples": [each.to_dict() for each in self.examples],
        }


def compare(mine: Report, theirs: Report) -> Contrast:
    """
    Tell on which records two policies differ, and for better or worse.

    Args:
        mine: Of one policy.
        theirs: Of another, on the same rows in the same order.

    Raises:
        ValueError: If the reports are not about the same records.

    Cost:
        Linear in the records.

    >>> from upsertcore import Policy, field, first_match, never, normalize
    >>> from upsertcore.evaluation import evaluate
    >>> lines = {"email": field(key=normalize.email)}
    >>> rows = [{"who": 1, "email": "a@x"}, {"who": 1, "email": "A@x"}]
    >>> one, other = Policy(never(), lines), Policy(first_match("email"), lines)
    >>> print(compare(*[evaluate(p, rows, truth="who") for p in (one, other)]))
    2 records, 2 of them put differently: 2 better, 0 worse, 0 mixed
      row 0, of 1: with 0 right and 0 wrong / 1 right and 0 wrong: better
      row 1, of 1: with 0 right and 0 wrong / 1 right and 0 wrong: better
    """
    if mine.persons != theirs.persons:
        raise ValueError("reports: must be about the same records in the same order")
    both = list(zip(mine.places, theirs.places, strict=True))
    here, there, cells = Counter(mine.places), Counter(theirs.places), Counter(both)
    links = _links(mine), _links(theirs)
    found: Counter[Effect] = Counter()
    examples: list[Parting] = []
    for row, (a, b) in enumerate(both):
        # Two groups are the same where all of each is in what they have in common.
        if here[a] == cells[a, b] == there[b]:
            continue
        parting = Parting(row, mine.persons[row], links[0][row], links[1][row])
        found[parting.verdict] += 1
        if len(examples) < EXAMPLES:
            examples.append(parting)
    counts = found["better"], found["worse"], found["mixed"]
    return Contrast(len(both), *counts, tuple(examples))


def _links(report: Report) -> Sequence[Links]:
    """Count, for each record, with how many of its person and of others it is."""
    contacts = Counter(report.places)
    pairs = list(zip(report.persons, report.places, strict=True))
    cells = Counter(pairs)
    return [(cells[pair] - 1, contacts[pair[1]] - cells[pair]) for pair in pairs]

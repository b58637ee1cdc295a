"""
Compare two reports: the records that two policies group differently.

Rules:
    Pure: two reports on the same records in, the differing records out.
    Ids of contacts do not matter, only which records are in a contact.
    Records are not compared in pairs: sizes of groups show whether groups are equal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, final

from attrs import frozen

from upsertcore.evaluation.scores import EXAMPLES

if TYPE_CHECKING:
    from upsertcore.evaluation.report import Report

__all__ = ["RecordDifference", "ReportComparison", "compare"]

Effect: TypeAlias = Literal["better", "worse", "mixed"]
Links: TypeAlias = tuple[int, int]


@final
@frozen
class RecordDifference:
    """
    A record that two policies group differently.

    Args:
        row: Its place, from 0.
        person: Its true person.
        first: Under the first policy, how many records of its person are in its
            contact, and how many of other persons.
        second: The same under the second policy.

    >>> print(RecordDifference(3, "ada", (1, 0), (2, 4)))
    row 3, of ada: with 1 right and 0 wrong / 2 right and 4 wrong: mixed
    """

    row: int
    person: Hashable
    first: Links
    second: Links

    @property
    def verdict(self) -> Effect:
        """How the second policy compares: ``better``, ``worse`` or ``mixed``."""
        (right, wrong), (right_2, wrong_2) = self.first, self.second
        if right_2 >= right and wrong_2 <= wrong and self.first != self.second:
            return "better"
        if right_2 <= right and wrong_2 >= wrong and self.first != self.second:
            return "worse"
        return "mixed"

    def __str__(self) -> str:
        sides = [f"{r:,} right and {w:,} wrong" for r, w in (self.first, self.second)]
        counts = f"with {' / '.join(sides)}: {self.verdict}"
        return f"row {self.row}, of {self.person}: {counts}"

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values; the person becomes text."""
        sides = {"mine": [*self.first], "theirs": [*self.second]}
        record = {"row": self.row, "person": str(self.person)}
        return {**record, **sides, "verdict": self.verdict}


@final
@frozen
class ReportComparison:
    """
    How two policies group records differently.

    Args:
        records: The number of records.
        better: How many the second policy groups with more records of their person or
            fewer of other persons, and neither the reverse.
        worse: How many the first policy groups better in the same sense.
        mixed: How many differ in another way.
        examples: The first records that differ.

    >>> print(ReportComparison(10, 2, 1, 0, ()))
    10 records, 3 of them put differently: 2 better, 1 worse, 0 mixed
    """

    records: int
    better: int
    worse: int
    mixed: int
    examples: tuple[RecordDifference, ...]

    @property
    def differ(self) -> int:
        """The number of records that are grouped differently."""
        return self.better + self.worse + self.mixed

    def __str__(self) -> str:
        counts = f"{self.better:,} better, {self.worse:,} worse, {self.mixed:,} mixed"
        head = f"{self.records:,} records, {self.differ:,} of them put differently"
        return "\n".join([f"{head}: {counts}", *[f"  {e}" for e in self.examples]])

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "records": self.records,
            "differ": self.differ,
            "better": self.better,
            "worse": self.worse,
            "mixed": self.mixed,
            "examples": [example.to_dict() for example in self.examples],
        }


def compare(first: Report, second: Report) -> ReportComparison:
    """
    Return which records two policies group differently, and which policy is better.

    Args:
        first: The report on one policy.
        second: The report on another, on the same rows in the same order.

    Raises:
        ValueError: If the reports are not about the same records.

    Cost:
        Linear in the records.

    >>> from upsertcore import Policy, field, first_match, never, normalize
    >>> from upsertcore.evaluation import evaluate
    >>> fields = {"email": field(key=normalize.email)}
    >>> rows = [{"who": 1, "email": "a@x"}, {"who": 1, "email": "A@x"}]
    >>> one, other = Policy(never(), fields), Policy(first_match("email"), fields)
    >>> print(compare(*[evaluate(p, rows, truth="who") for p in (one, other)]))
    2 records, 2 of them put differently: 2 better, 0 worse, 0 mixed
      row 0, of 1: with 0 right and 0 wrong / 1 right and 0 wrong: better
      row 1, of 1: with 0 right and 0 wrong / 1 right and 0 wrong: better
    """
    if first.persons != second.persons:
        raise ValueError("reports: must be about the same records in the same order")
    both = list(zip(first.places, second.places, strict=True))
    sizes = Counter(first.places), Counter(second.places)
    common = Counter(both)
    links = _links(first), _links(second)
    verdicts: Counter[Effect] = Counter()
    examples: list[RecordDifference] = []
    for row, (a, b) in enumerate(both):
        # Two groups are equal if both are as large as their intersection.
        if sizes[0][a] == common[a, b] == sizes[1][b]:
            continue
        person = first.persons[row]
        difference = RecordDifference(row, person, links[0][row], links[1][row])
        verdicts[difference.verdict] += 1
        if len(examples) < EXAMPLES:
            examples.append(difference)
    counts = verdicts["better"], verdicts["worse"], verdicts["mixed"]
    return ReportComparison(len(both), *counts, tuple(examples))


def _links(report: Report) -> Sequence[Links]:
    """Count, for each record, the others of its person and of other persons."""
    contacts = Counter(report.places)
    pairs = list(zip(report.persons, report.places, strict=True))
    cells = Counter(pairs)
    return [(cells[pair] - 1, contacts[pair[1]] - cells[pair]) for pair in pairs]

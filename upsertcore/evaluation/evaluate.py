"""
Evaluation: a policy on labelled data, and two policies beside each other.

Rules:
    A judge watches and decides nothing: it is told whom a record is truly about, and
    what was answered.
    Where a record ends up is asked at the end, since contacts are merged on the way.
    A record that was refused stands alone.
    The same rows, policy and seed give the same report.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import partial
from itertools import count
from typing import Any, TypeAlias, final

from attrs import evolve

from upsertcore.book.book import ContactBook
from upsertcore.engine.outcome import Outcome
from upsertcore.engine.patch import check_scope
from upsertcore.errors import Refused, note
from upsertcore.evaluation.contrast import Contrast, Parting, compare
from upsertcore.evaluation.report import (
    Alone,
    Hit,
    KeyScore,
    Measures,
    Refusal,
    Report,
    Spread,
)
from upsertcore.evaluation.scores import EXAMPLES, Held, Scores, score
from upsertcore.policy.policy import Policy
from upsertcore.values import empty, shown

__all__ = [
    "Contrast",
    "Hit",
    "Judge",
    "KeyScore",
    "Parting",
    "RecordResult",
    "Refusal",
    "Report",
    "Side",
    "Spread",
    "begun",
    "compare",
    "evaluate",
    "judged",
    "numbered",
]

RecordResult: TypeAlias = Outcome | Refused | Refusal
"""What a book says to one record."""

Side: TypeAlias = tuple[ContactBook, Callable[[Any], RecordResult]]
"""An empty book, and what sends one record to it and raises no refusal."""

Truth: TypeAlias = str | Callable[[Mapping[str, Any]], Hashable]
Progress: TypeAlias = Callable[[int, int], None]


@final
class Judge:
    """
    One who is told of every record that a book was sent.

    Args:
        book: Asked at the end where the records are; empty at the beginning, and
            nobody deletes of it what it answered.

    Cost:
        Near-linear in the records; memory for two references per record, and for one
        count per person and contact.

    >>> from upsertcore import field, first_match, normalize
    >>> lines = {"email": field(key=normalize.email)}
    >>> judge = Judge(ContactBook(Policy(first_match("email"), lines)))
    >>> for person, email in (("ada", "a@x"), ("ada", "A@x"), ("ada", "b@x")):
    ...     judge.take(person, judge.book.upsert({"email": email}))
    >>> judge.report().keys, judge.scores().right_pairs, judge.scores().true_pairs
    ((KeyScore(key='email', decided=1, right=1),), 1, 3)
    """

    def __init__(self, book: ContactBook) -> None:
        self.book = book
        self._persons: list[Hashable] = []
        self._places: list[str | Alone] = []
        self._scopes: dict[str, str] = {}
        self._held: dict[str, Held] = {}
        self._results: Counter[str] = Counter()
        self._refusals: dict[str, Refusal] = {}
        self._decided: Counter[str] = Counter()
        self._right: Counter[str] = Counter()
        self._several = 0
        self._hits: list[Hit] = []

    def take(self, person: Hashable, answer: RecordResult) -> None:
        """
        Take what was answered to one record.

        Args:
            person: Whom it is truly about.
            answer: Of the book; a refusal of its own is counted by its class.
        """
        row = len(self._persons)
        if isinstance(answer, Outcome):
            self._accept(row, person, answer)
            self._places.append(answer.contact.id)
            self._scopes[answer.contact.id] = answer.contact.scope
        else:
            self._refuse(row, answer)
            self._places.append(Alone(row))
        self._persons.append(person)

    def scores(self) -> Scores:
        """Give the figures for the records so far."""
        return score(zip(self._persons, self._ended(), strict=True))

    def report(self, shuffled: Sequence[Measures] = ()) -> Report:
        """
        Give all that there is to say of the records so far.

        Args:
            shuffled: The measures of the same records in other orders.
        """
        keys = [
            KeyScore(name, self._decided[name], self._right[name])
            for name in self.book.policy.match.keys
        ]
        return Report(
            self.scores(),
            dict(self._results),
            tuple(self._refusals.values()),
            tuple(keys),
            self._several,
            tuple(self._hits),
            tuple(self._persons),
            tuple(self._ended()),
            tuple(shuffled),
        )

    def _ended(self) -> list[str | Alone]:
        get, scopes = self.book.get, self._scopes
        # All are kept until the end: what nobody has is made at each look.
        now = {id: get(id, scope=scope) for id, scope in scopes.items()}
        places = self._places
        return [now[each].id if isinstance(each, str) else each for each in places]

    def _refuse(self, row: int, answer: Refused | Refusal) -> None:
        kind = answer.kind if isinstance(answer, Refusal) else type(answer).__name__
        first = self._refusals.get(kind)
        if first is None:
            # The messages of the others are not made, for they may be long.
            told = answer.example if isinstance(answer, Refusal) else str(answer)
            first = Refusal(kind, told, row, 0)
        self._refusals[kind] = evolve(first, count=first.count + 1)

    def _accept(self, row: int, person: Hashable, outcome: Outcome) -> None:
        self._results[outcome.result] += 1
        id, key = outcome.contact.id, outcome.matched_by
        held = self._held.get(id) or Held()
        if key is not None:
            self._decided[key] += 1
            self._right[key] += held.counts[person] >= held.top
        if outcome.also_matched or outcome.merged:
            merged = [each.id for each in outcome.merged]
            self._hit(row, person, key, (id, *outcome.also_matched, *merged))
            for each in merged:
                held = held.joined(self._held.pop(each, Held()))
        held.add(person, 1)
        self._held[id] = held

    def _hit(
        self, row: int, person: Hashable, key: str | None, ids: tuple[str, ...]
    ) -> None:
        self._several += 1
        if len(self._hits) < EXAMPLES:
            self._hits.append(Hit(row, person, key, len(ids), ids[:EXAMPLES]))


def numbered() -> Callable[[], str]:
    """
    Make ids that are the same at every run.

    >>> ids = numbered()
    >>> ids(), ids()
    ('c-1', 'c-2')
    """
    numbers = count(1)
    return lambda: f"c-{next(numbers)}"


def evaluate(
    policy: Policy,
    rows: Iterable[Mapping[str, Any]],
    *,
    truth: Truth,
    scope: str = "",
    shuffles: int = 0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Report:
    """
    Judge a policy on labelled data.

    Args:
        policy: The table; a book under it begins empty.
        rows: Patches that also say whom they are about; read once, and kept.
        truth: The name of the field that says so, which is taken out of the patch; or
            a function of the row that answers it, and then the row is the patch.
        scope: The tenant.
        shuffles: How many further orders of arrival are tried, each on an empty book.
        seed: What these orders are made of.
        progress: Told now and then how many records are done, and of how many.

    Returns:
        The report on the given order, with the measures of the shuffled ones.

    Raises:
        ValueError: If a row does not say whom it is about (it names the row), or
            *shuffles* is negative.
        Exception: Whatever a host's function raises, but for refusals; a note names
            the row.

    Cost:
        One upsert per record and order; all else is near-linear in the records.

    >>> from upsertcore import field, first_match, normalize
    >>> lines = {"email": field(key=normalize.email)}
    >>> rows = [{"who": 1, "email": "a@x"}, {"who": 1, "email": "A@x"}]
    >>> evaluate(Policy(first_match("email"), lines), rows, truth="who").scores.pairwise
    Measure(precision=1.0, recall=1.0, f1=1.0)
    """
    check_scope(scope)
    labelled = [_labelled(n, row, truth) for n, row in enumerate(rows)]

    begin = partial(begun, policy, scope)
    return judged(begin, labelled, shuffles=shuffles, seed=seed, progress=progress)


def begun(policy: Policy, scope: str = "") -> Side:
    """
    Make an empty book under a policy, and what sends patches to it.

    Args:
        policy: The table.
        scope: The tenant.

    >>> from upsertcore import never
    >>> book, send = begun(Policy(never(), {}, on_not_found="refuse"))
    >>> str(send({}))
    "patch: no contact matches it; to create one, set on_not_found='create'"
    """
    book = ContactBook(policy, ids=numbered())

    def send(patch: Mapping[str, Any]) -> RecordResult:
        try:
            return book.upsert(patch, scope=scope)
        except Refused as refusal:
            return refusal

    return book, send


def judged(
    begin: Callable[[], Side],
    labelled: Sequence[tuple[Hashable, Any]],
    *,
    shuffles: int = 0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Report:
    """
    Judge whatever answers records: a policy, or a profile with its payloads.

    Args:
        begin: Makes an empty book and what sends to it, for each order anew.
        labelled: For each record whom it is about, and what is sent.
        shuffles: As in :func:`evaluate`.
        seed: As in :func:`evaluate`.
        progress: As in :func:`evaluate`.

    >>> from upsertcore import never
    >>> book = ContactBook(Policy(never(), {}))
    >>> judged(lambda: (book, book.create), [("ada", {}), ("ada", {})]).contacts
    2
    """
    if shuffles < 0:
        raise ValueError(f"shuffles: must be 0 or more, not {shuffles}")
    total, chance = len(labelled) * (1 + shuffles), random.Random(seed)  # noqa: S311
    done = count()

    def run(order: Iterable[int]) -> Judge:
        book, send = begin()
        judge = Judge(book)
        for row in order:
            if progress is not None and (number := next(done)) % 500 == 0:
                progress(number, total)
            person, sent = labelled[row]
            try:
                answer = send(sent)
            except Exception as error:
                note(error, f"in row {row}")
                raise
            judge.take(person, answer)
        return judge

    first = run(range(len(labelled)))
    shuffled: list[Measures] = []
    order = list(range(len(labelled)))
    for _ in range(shuffles):
        chance.shuffle(order)
        shuffled.append(run(order).scores().measures)
    if progress is not None:
        progress(total, total)
    return first.report(shuffled)


def _labelled(
    number: int, row: Mapping[str, Any], truth: Truth
) -> tuple[Hashable, Mapping[str, Any]]:
    """Tell a row apart into whom it is about, and its patch."""
    if not isinstance(row, Mapping):
        raise ValueError(f"row {number}: must be a mapping, not {shown(row)}")  # noqa: TRY004
    if not isinstance(truth, str):
        person, patch = truth(row), row
    elif truth in row:
        person = row[truth]
        patch = {name: value for name, value in row.items() if name != truth}
    else:
        raise ValueError(f"row {number}: has no {shown(truth)}, which is the truth")
    if not _names_somebody(person):
        told = f"must say whom it is about, not {shown(person)}"
        raise ValueError(f"row {number}: {told}")
    return person, patch


def _names_somebody(person: Any) -> bool:
    """Tell what can be counted and compared from what stands where nobody is known."""
    try:
        hash(person)
        # NaN, which data frames put where nothing is known, is not equal to itself.
        return not empty(person) and bool(person == person)  # noqa: PLR0124
    except (TypeError, ValueError):
        return False

"""
Evaluation: a policy on labelled data, and two policies beside each other.

Rules:
    An evaluator decides nothing: it takes the true person of each record, and the
    result of its call.
    The contact of a record is looked up at the end, since contacts may be merged.
    A refused record is in no contact, and counts as a group of its own.
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

from upsertcore.book.contact_book import ContactBook
from upsertcore.engine.outcome import Outcome
from upsertcore.engine.patch import check_scope
from upsertcore.errors import Refused, add_note
from upsertcore.evaluation.compare_reports import (
    RecordDifference,
    ReportComparison,
    compare,
)
from upsertcore.evaluation.report import (
    Hit,
    KeyScore,
    Measures,
    Refusal,
    RefusedRecord,
    Report,
    Spread,
)
from upsertcore.evaluation.scores import EXAMPLES, PersonCounts, Scores, score
from upsertcore.policy.policy import Policy, consulted
from upsertcore.values import empty, show_value

__all__ = [
    "Evaluator",
    "Hit",
    "KeyScore",
    "RecordDifference",
    "RecordResult",
    "Refusal",
    "Report",
    "ReportComparison",
    "Side",
    "Spread",
    "compare",
    "evaluate",
    "evaluate_records",
    "new_side",
    "numbered_ids",
]

RecordResult: TypeAlias = Outcome | Refused | Refusal
"""The result of sending one record."""

Side: TypeAlias = tuple[ContactBook, Callable[[Any], RecordResult]]
"""An empty book, and a function that sends one record to it and raises no refusal."""

Truth: TypeAlias = str | Callable[[Mapping[str, Any]], Hashable]
Progress: TypeAlias = Callable[[int, int], None]


@final
class Evaluator:
    """
    Counts how well the records that are sent to a book are grouped.

    Args:
        book: The book, empty at first. Contacts are looked up in it at the end, so none
            may be deleted.

    Cost:
        Near-linear in the records; memory for two references per record, and one
        count per person and contact.

    >>> from upsertcore import field, first_match, normalize
    >>> fields = {"email": field(key=normalize.email)}
    >>> evaluator = Evaluator(ContactBook(Policy(first_match("email"), fields)))
    >>> for person, email in (("ada", "a@x"), ("ada", "A@x"), ("ada", "b@x")):
    ...     evaluator.add(person, evaluator.book.upsert({"email": email}))
    >>> evaluator.report().keys, evaluator.scores().right_pairs
    ((KeyScore(key='email', decided=1, right=1),), 1)
    """

    def __init__(self, book: ContactBook) -> None:
        self.book = book
        self._persons: list[Hashable] = []
        self._places: list[str | RefusedRecord] = []
        self._scopes: dict[str, str] = {}
        self._held: dict[str, PersonCounts] = {}
        self._results: Counter[str] = Counter()
        self._refusals: dict[str, Refusal] = {}
        self._decided: Counter[str] = Counter()
        self._right: Counter[str] = Counter()
        self._several = 0
        self._hits: list[Hit] = []

    def add(self, person: Hashable, result: RecordResult) -> None:
        """
        Add the result of one record.

        Args:
            person: Its true person.
            result: The result of the call; a ``Refused`` is counted by its class.
        """
        row = len(self._persons)
        if isinstance(result, Outcome):
            self._accept(row, person, result)
            self._places.append(result.contact.id)
            self._scopes[result.contact.id] = result.contact.scope
        else:
            self._refuse(row, result)
            self._places.append(RefusedRecord(row))
        self._persons.append(person)

    def scores(self) -> Scores:
        """Return the scores of the records so far."""
        return score(zip(self._persons, self._final_places(), strict=True))

    def report(self, shuffled: Sequence[Measures] = ()) -> Report:
        """
        Return the report on the records so far.

        Args:
            shuffled: The measures of the same records in other orders.
        """
        keys = [
            KeyScore(key.name, self._decided[key.name], self._right[key.name])
            for key in consulted(self.book.policy)
        ]
        return Report(
            self.scores(),
            dict(self._results),
            tuple(self._refusals.values()),
            tuple(keys),
            self._several,
            tuple(self._hits),
            tuple(self._persons),
            tuple(self._final_places()),
            tuple(shuffled),
        )

    def _final_places(self) -> list[str | RefusedRecord]:
        get, scopes = self.book.get, self._scopes
        # Each contact is looked up once, so that it is built only once.
        contacts = {id: get(id, scope=scope) for id, scope in scopes.items()}
        return [
            contacts[place].id if isinstance(place, str) else place
            for place in self._places
        ]

    def _refuse(self, row: int, result: Refused | Refusal) -> None:
        kind = result.kind if isinstance(result, Refusal) else type(result).__name__
        first = self._refusals.get(kind)
        if first is None:
            # Only the first message is formatted, since messages may be long.
            example = result.example if isinstance(result, Refusal) else str(result)
            first = Refusal(kind, example, row, 0)
        self._refusals[kind] = evolve(first, count=first.count + 1)

    def _accept(self, row: int, person: Hashable, outcome: Outcome) -> None:
        self._results[outcome.result] += 1
        id, key = outcome.contact.id, outcome.matched_by
        held = self._held.get(id) or PersonCounts()
        if key is not None:
            self._decided[key] += 1
            self._right[key] += held.counts[person] >= held.top
        if outcome.also_matched or outcome.merged:
            merged = [contact.id for contact in outcome.merged]
            self._add_hit(row, person, key, (id, *outcome.also_matched, *merged))
            for merged_id in merged:
                held = held.merge(self._held.pop(merged_id, PersonCounts()))
        held.add(person, 1)
        self._held[id] = held

    def _add_hit(
        self, row: int, person: Hashable, key: str | None, ids: tuple[str, ...]
    ) -> None:
        self._several += 1
        if len(self._hits) < EXAMPLES:
            self._hits.append(Hit(row, person, key, len(ids), ids[:EXAMPLES]))


def numbered_ids() -> Callable[[], str]:
    """
    Return a function that makes the same ids at every run.

    >>> ids = numbered_ids()
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
    Evaluate a policy on labelled data.

    Args:
        policy: The policy; records are sent to an empty book.
        rows: Patches with the true person of each; read once, and kept.
        truth: The name of the field with the true person, which is removed from the
            patch; or a function from a row to the person, and then the row is the
            patch.
        scope: The tenant.
        shuffles: How many further orders of arrival are tried, each on an empty book.
        seed: The seed of these orders.
        progress: Called at intervals with the number of records sent, and the total.

    Returns:
        The report on the given order, with the measures of the shuffled ones.

    Raises:
        ValueError: If a row has no true person (it names the row), or *shuffles* is
            negative.
        Exception: What a function of the caller raises, except refusals; a note names
            the row.

    Cost:
        One upsert per record and order; the rest is near-linear in the records.

    >>> from upsertcore import field, first_match, normalize
    >>> fields = {"email": field(key=normalize.email)}
    >>> rows = [{"who": 1, "email": "a@x"}, {"who": 1, "email": "A@x"}]
    >>> evaluate(
    ...     Policy(first_match("email"), fields), rows, truth="who"
    ... ).scores.pairwise
    Measure(precision=1.0, recall=1.0, f1=1.0)
    """
    check_scope(scope)
    labelled = [_labelled(n, row, truth) for n, row in enumerate(rows)]

    begin = partial(new_side, policy, scope)
    return evaluate_records(
        begin, labelled, shuffles=shuffles, seed=seed, progress=progress
    )


def new_side(policy: Policy, scope: str = "") -> Side:
    """
    Make an empty book under a policy, and a function that sends patches to it.

    Args:
        policy: The policy.
        scope: The tenant.

    >>> from upsertcore import never
    >>> book, send = new_side(Policy(never(), {}, on_not_found="refuse"))
    >>> str(send({}))
    "patch: no contact matches it; to create one, set on_not_found='create'"
    """
    book = ContactBook(policy, ids=numbered_ids())

    def send(patch: Mapping[str, Any]) -> RecordResult:
        try:
            return book.upsert(patch, scope=scope)
        except Refused as refusal:
            return refusal

    return book, send


def evaluate_records(
    begin: Callable[[], Side],
    labelled: Sequence[tuple[Hashable, Any]],
    *,
    shuffles: int = 0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Report:
    """
    Evaluate any side: a policy, or a profile with its payloads.

    Args:
        begin: Makes a new side for each order.
        labelled: The true person of each record, and what is sent.
        shuffles: As in :func:`evaluate`.
        seed: As in :func:`evaluate`.
        progress: As in :func:`evaluate`.

    >>> from upsertcore import never
    >>> book = ContactBook(Policy(never(), {}))
    >>> report = evaluate_records(lambda: (book, book.create), [("ada", {})] * 2)
    >>> report.contacts
    2
    """
    if shuffles < 0:
        raise ValueError(f"shuffles: must be 0 or more, not {shuffles}")
    total, chance = len(labelled) * (1 + shuffles), random.Random(seed)  # noqa: S311
    done = count()

    def run(order: Iterable[int]) -> Evaluator:
        book, send = begin()
        evaluator = Evaluator(book)
        for row in order:
            if progress is not None and (number := next(done)) % 500 == 0:
                progress(number, total)
            person, sent = labelled[row]
            try:
                result = send(sent)
            except Exception as error:
                add_note(error, f"in row {row}")
                raise
            evaluator.add(person, result)
        return evaluator

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
    """Split a row into its true person and its patch."""
    if not isinstance(row, Mapping):
        raise ValueError(f"row {number}: must be a mapping, not {show_value(row)}")  # noqa: TRY004
    if not isinstance(truth, str):
        person, patch = truth(row), row
    elif truth in row:
        person = row[truth]
        patch = {name: value for name, value in row.items() if name != truth}
    else:
        raise ValueError(
            f"row {number}: has no {show_value(truth)}, which is the truth"
        )
    if not _is_person(person):
        raise ValueError(
            f"row {number}: must have a true person, not {show_value(person)}"
        )
    return person, patch


def _is_person(person: Any) -> bool:
    """Return whether a value identifies a person: hashable, not blank, not NaN."""
    try:
        hash(person)
        # NaN, which data frames use for missing values, is not equal to itself.
        return not empty(person) and bool(person == person)  # noqa: PLR0124
    except (TypeError, ValueError):
        return False

"""
The laws of a log: what holds for a sequence of patches.

Rules:
    Each law is a function of a log: it returns whether it applies to the log, and
    raises ``LawBroken`` if it does not hold.
    Two laws do not hold for every policy: ``log_again`` and ``any_order``. ``claims``
    returns whether a policy claims them.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import groupby, islice, permutations
from typing import Any

from upsertcore.book.book import ContactBook
from upsertcore.book.loading import rows_of
from upsertcore.engine.outcome import Outcome
from upsertcore.errors import ChangesNotRetained, Refused
from upsertcore.laws.books import check_index
from upsertcore.laws.broken import LawBroken, require
from upsertcore.laws.trial import Log, Trial, book_of, is_same_result, try_upsert
from upsertcore.replay import Replayed, SentPatch, StoredContact, components, replay
from upsertcore.values import thaw

__all__ = [
    "any_order",
    "batch_is_fold",
    "by_components",
    "log_again",
    "replay_is_equal",
]

_START = datetime(2024, 1, 2, tzinfo=UTC)
_ORDERS = 24


def batch_is_fold(log: Log) -> bool:
    """A batch equals its calls one by one; an atomic batch does all of them or none."""
    law, refused = "batch_is_fold", any(isinstance(a, Refused) for a in log.results)
    for keep in _KEEPS:
        book = book_of(log.policy, retain_changes=keep)
        every: Any = book.upsert_many(
            log.patches, scope=log.scope, on_refused="collect"
        )
        require(law, _are_alike(log, every), "other answers")
        require(law, tuple(book) == log.after, "other contacts")
        require(
            law, _changes(book, log) == _due(log, keep), f"other changes, of {keep}"
        )
        whole = book_of(log.policy, retain_changes=keep)
        try:
            once: Any = whole.upsert_many(log.patches, scope=log.scope, atomic=True)
        except Refused as error:
            require(law, refused, f"the whole batch is refused: {error}")
            none = not len(whole) and not _changes(whole, Log(log.policy, ()))[0]
            require(law, none, "refused, but something is stored")
            continue
        told = "an atomic batch does something else"
        require(law, not refused and _are_alike(log, once), told)
        require(law, tuple(whole) == log.after, told)
        require(
            law, _changes(whole, log) == _due(log, keep), f"{told}: changes of {keep}"
        )
    return True


_KEEPS = (None, 1, 0)
"""How many changes a book retains: all, the last, and none."""


def _are_alike(log: Log, answers: Any) -> bool:
    """Return whether a batch has the results of its calls."""
    if not isinstance(answers, list) or len(answers) != len(log.results):
        return False
    return all(map(is_same_result, log.results, answers))


def _changes(book: ContactBook, log: Log) -> list[Any]:
    """Return the changes since each number; None if they are not retained."""
    told: list[Any] = []
    for number in range(len(log.changes) + 1):
        try:
            told.append(book.changes_since(number))
        except ChangesNotRetained:
            told.append(None)
    return told


def _due(log: Log, keep: int | None) -> list[Any]:
    """Return the changes since each number that a book with this limit must return."""
    every = log.changes
    left = [every[number:] for number in range(len(every) + 1)]
    return [each if keep is None or len(each) <= keep else None for each in left]


def replay_is_equal(log: Log) -> bool:
    """Replaying the changes gives an equal book; so does loading its rows."""
    law, due, changes = "replay_is_equal", log.after, log.changes
    numbers = [entry.number for entry in changes]
    counted = numbers == [*range(1, len(numbers) + 1)]
    require(law, counted, f"the changes have the numbers {numbers}")
    last, none = _followed(log), book_of(log.policy, retain_changes=0)
    log.send(none)
    for keep, book in ((1, last), (0, none)):
        require(law, tuple(book) == due, f"of {keep} changes kept, it is another book")
        told = f"of {keep} changes kept, others are told"
        require(law, _changes(book, log) == _due(log, keep), told)
    try:
        twin = ContactBook.from_changes(log.policy, changes)
    except ValueError as error:
        raise LawBroken(law, str(error)) from error
    check_index(law, twin)
    require(law, tuple(twin) == due, "done again, it is another book")
    rows = json.loads(json.dumps([*rows_of(due)]))
    loaded = ContactBook.load(log.policy, rows)
    require(law, tuple(loaded) == due, "loaded, it is another book")
    return True


def _followed(log: Log) -> ContactBook:
    """Make a book that retains one change, and read it after each call."""
    book, read = book_of(log.policy, retain_changes=1), list[Any]()
    for patch in log.patches:
        try_upsert(book, patch, log.scope)
        try:
            read += book.changes_since(len(read))
        except ChangesNotRetained as error:
            raise LawBroken("replay_is_equal", str(error)) from error
    require(
        "replay_is_equal", read == [*log.changes], "read one by one, they are others"
    )
    return book


def by_components(log: Log) -> bool:
    """A replay by components has the results and contacts of one book."""
    sent = [
        SentPatch(number, patch, _START + timedelta(seconds=number), log.scope)
        for number, patch in enumerate(log.patches)
    ]
    answers, contacts = _in_one_book(log, sent)
    rows = components(sent, log.policy).rows
    parts = [[*part] for _name, part in groupby(rows, lambda row: row.component)]
    # All orders of up to four components; of more, the first ones.
    for order in islice(permutations(parts), _ORDERS):
        done = [*replay((row for part in order for row in part), log.policy)]
        done.sort(key=lambda each: each.sequence)
        made = [each.contact for each in done if isinstance(each, StoredContact)]
        told = "done component by component, it makes other contacts"
        require("by_components", made == contacts, told)
        given = [repr(each.answer) for each in done if isinstance(each, Replayed)]
        told = "done component by component, it has other answers"
        require("by_components", given == answers, told)
    return len(parts) > 1


def _in_one_book(log: Log, sent: list[SentPatch]) -> tuple[list[str], list[Any]]:
    """Run a log in its order, with the ids and times of a replay."""
    answers: list[str] = []
    book = ContactBook(
        log.policy,
        ids=lambda: str(sent[len(answers)].sequence),
        clock=lambda: sent[len(answers)].at,
    )
    for row in sent:
        answers.append(repr(try_upsert(book, row.patch, row.scope)))  # noqa: PERF401 - counts
    return answers, [*book]


def log_again(log: Log) -> bool:
    """If each patch has one value per key, sending the log again changes nothing."""
    if not _says_one_each(log):
        return False
    book = book_of(log.policy)
    log.send(book)
    once = tuple(book)
    for number, answer in enumerate(log.send(book), start=1):
        if isinstance(answer, Outcome) and not answer.unchanged:
            told = f"sent again, the {number}. of them {answer.result} a contact"
            require("log_again", tuple(book) == once, told)
    return True


def any_order(log: Log) -> bool:
    """If each patch has one value per key, and none is refused, order has no effect."""
    if len(log.patches) < 2 or not _says_one_each(log):
        return False
    ends = []
    for order in permutations(log.patches):
        each = Log(log.policy, order, log.scope)
        if any(isinstance(answer, Refused) for answer in each.results):
            return False
        ends.append(_people(each.after))
    for end in ends:
        require(
            "any_order", end == ends[0], f"{ends[0]} in one order, {end} in another"
        )
    return True


def _says_one_each(log: Log) -> bool:
    """Return whether no patch has two values of one key."""
    for patch in log.patches:
        named = Trial(log.policy, (), patch, log.scope).keys_sent
        if any(len(forms) > 1 for _name, forms in named):
            return False
    return True


def _people(contacts: Any) -> list[str]:
    """Return the fields of contacts, without ids, versions, times or order."""
    return sorted(
        json.dumps(thaw(each.fields), sort_keys=True, ensure_ascii=False)
        for each in contacts
    )

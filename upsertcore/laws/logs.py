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

from upsertcore.book.contact_book import ContactBook
from upsertcore.book.loading import rows_of
from upsertcore.engine.outcome import Outcome
from upsertcore.engine.outcomes import Outcomes
from upsertcore.errors import ChangesNotRetained, Refused
from upsertcore.laws.books import check_index
from upsertcore.laws.errors import LawBroken, require
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
    for limit in _LIMITS:
        changes = f"changes with retain_changes={limit}"
        expected = _expected_changes(log, limit)
        book = book_of(log.policy, retain_changes=limit)
        results: Any = book.upsert_many(
            log.patches, scope=log.scope, on_refused="collect"
        )
        require(law, _are_same_results(log, results), "different results")
        require(law, tuple(book) == log.after, "different contacts")
        require(law, _changes(book, log) == expected, f"different {changes}")
        book = book_of(log.policy, retain_changes=limit)
        try:
            results = book.upsert_many(log.patches, scope=log.scope, atomic=True)
        except Refused as error:
            require(law, refused, f"the atomic batch is refused: {error}")
            is_empty = not len(book) and not _changes(book, Log(log.policy, ()))[0]
            require(law, is_empty, "refused, but something is stored")
            continue
        what = "the atomic batch has a different result"
        require(law, not refused and _are_same_results(log, results), what)
        require(law, tuple(book) == log.after, what)
        require(law, _changes(book, log) == expected, f"{what}: {changes}")
    return True


_LIMITS = (None, 1, 0)
"""How many changes a book retains: all, the last, and none."""


def _are_same_results(log: Log, results: Any) -> bool:
    """Return whether a batch has the results of its calls."""
    if not isinstance(results, Outcomes) or len(results) != len(log.results):
        return False
    return all(map(is_same_result, log.results, results))


def _changes(book: ContactBook, log: Log) -> list[Any]:
    """Return the changes since each number; None if they are not retained."""
    changes: list[Any] = []
    for number in range(len(log.changes) + 1):
        try:
            changes.append(book.changes_since(number))
        except ChangesNotRetained:
            changes.append(None)
    return changes


def _expected_changes(log: Log, limit: int | None) -> list[Any]:
    """Return the changes since each number that a book with this limit must return."""
    count = len(log.changes)
    tails = [log.changes[number:] for number in range(count + 1)]
    return [tail if limit is None or len(tail) <= limit else None for tail in tails]


def replay_is_equal(log: Log) -> bool:
    """Replaying the changes gives an equal book; so does loading its rows."""
    law, expected, changes = "replay_is_equal", log.after, log.changes
    numbers = [entry.number for entry in changes]
    is_counted = numbers == [*range(1, len(numbers) + 1)]
    require(law, is_counted, f"the changes have the numbers {numbers}")
    last_only, none = _read_per_call(log), book_of(log.policy, retain_changes=0)
    log.send(none)
    for limit, book in ((1, last_only), (0, none)):
        what = f"with retain_changes={limit}, the book differs"
        require(law, tuple(book) == expected, what)
        what = f"with retain_changes={limit}, the changes differ"
        require(law, _changes(book, log) == _expected_changes(log, limit), what)
    try:
        replica = ContactBook.from_changes(log.policy, changes)
    except ValueError as error:
        raise LawBroken(law, str(error)) from error
    check_index(law, replica)
    require(law, tuple(replica) == expected, "replayed, the book differs")
    rows = json.loads(json.dumps([*rows_of(expected)]))
    replica = ContactBook.load(log.policy, rows)
    require(law, tuple(replica) == expected, "loaded, the book differs")
    return True


def _read_per_call(log: Log) -> ContactBook:
    """Make a book that retains one change, and read it after each call."""
    book, read = book_of(log.policy, retain_changes=1), list[Any]()
    for patch in log.patches:
        try_upsert(book, patch, log.scope)
        try:
            read += book.changes_since(len(read))
        except ChangesNotRetained as error:
            raise LawBroken("replay_is_equal", str(error)) from error
    require(
        "replay_is_equal",
        read == [*log.changes],
        "read after each call, the changes differ",
    )
    return book


def by_components(log: Log) -> bool:
    """A replay by components has the results and contacts of one book."""
    if log.policy.id_field is not None:
        # The ids that a replay makes are not known before it, and so it takes none.
        return False
    sent = [
        SentPatch(number, patch, _START + timedelta(seconds=number), log.scope)
        for number, patch in enumerate(log.patches)
    ]
    results, contacts = _in_one_book(log, sent)
    rows = components(sent, log.policy).rows
    parts = [[*part] for _name, part in groupby(rows, lambda row: row.component)]
    # All orders of up to four components; of more, the first ones.
    for order in islice(permutations(parts), _ORDERS):
        events = [*replay((row for part in order for row in part), log.policy)]
        events.sort(key=lambda event: event.sequence)
        stored = [event.contact for event in events if isinstance(event, StoredContact)]
        what = "replayed by components, the contacts differ"
        require("by_components", stored == contacts, what)
        patches = [event for event in events if isinstance(event, Replayed)]
        replayed = [repr(event.answer) for event in patches]
        what = "replayed by components, the results differ"
        require("by_components", replayed == results, what)
    return len(parts) > 1


def _in_one_book(log: Log, sent: list[SentPatch]) -> tuple[list[str], list[Any]]:
    """Run a log in its order, with the ids and times of a replay."""
    results: list[str] = []
    book = ContactBook(
        log.policy,
        ids=lambda: str(sent[len(results)].sequence),
        clock=lambda: sent[len(results)].at,
    )
    for row in sent:
        results.append(repr(try_upsert(book, row.patch, row.scope)))  # noqa: PERF401 - counts
    return results, [*book]


def log_again(log: Log) -> bool:
    """If each patch has one value per key, sending the log again changes nothing."""
    if not _has_one_value_per_key(log):
        return False
    book = book_of(log.policy)
    log.send(book)
    after = tuple(book)
    for number, result in enumerate(log.send(book), start=1):
        if isinstance(result, Outcome) and not result.unchanged:
            what = f"sent again, patch {number} {result.result} a contact"
            require("log_again", tuple(book) == after, what)
    return True


def any_order(log: Log) -> bool:
    """If each patch has one value per key, and none is refused, order has no effect."""
    if len(log.patches) < 2 or not _has_one_value_per_key(log):
        return False
    ends = []
    for order in permutations(log.patches):
        other = Log(log.policy, order, log.scope)
        if any(isinstance(result, Refused) for result in other.results):
            return False
        ends.append(_contents(other.after))
    for end in ends:
        require(
            "any_order", end == ends[0], f"{ends[0]} in one order, {end} in another"
        )
    return True


def _has_one_value_per_key(log: Log) -> bool:
    """Return whether no patch has two values of one key."""
    for patch in log.patches:
        named = Trial(log.policy, (), patch, log.scope).keys_sent
        if any(len(forms) > 1 for _name, forms in named):
            return False
    return True


def _contents(contacts: Any) -> list[str]:
    """Return the fields of contacts, without ids, versions, times or order."""
    return sorted(
        json.dumps(thaw(item.fields), sort_keys=True, ensure_ascii=False)
        for item in contacts
    )

"""
The laws of a log: what holds of many patches, one after the other.

Rules:
    Each law is a function of a log: it answers whether it has something to say of
    it, and raises ``LawBroken`` where what it says is not so.
    Two laws do not hold of every policy: ``log_again`` and ``any_order``. Which
    policies claim them is said by ``claims``.
"""

from __future__ import annotations

import json
from itertools import permutations
from typing import Any

from upsertcore.book import ContactBook
from upsertcore.errors import Refused
from upsertcore.laws.broken import see
from upsertcore.laws.trial import Log, book_of
from upsertcore.outcome import Outcome
from upsertcore.values import thaw

__all__ = ["any_order", "batch_is_fold", "log_again", "replay_is_equal"]


def batch_is_fold(log: Log) -> bool:
    """A batch does what its calls do one by one; an atomic one does it or nothing."""
    book = book_of(log.policy)
    every: Any = book.upsert_many(log.patches, scope=log.scope, on_refused="collect")
    see("batch_is_fold", repr([*log.answers]) == repr(every), "other answers")
    see("batch_is_fold", tuple(book) == log.after, "other contacts")
    whole = book_of(log.policy)
    refused = [each for each in log.answers if isinstance(each, Refused)]
    try:
        once: Any = whole.upsert_many(log.patches, scope=log.scope, atomic=True)
    except Refused as error:
        see("batch_is_fold", refused, f"the whole batch is refused: {error}")
        see("batch_is_fold", not len(whole), "refused, but something is stored")
        return True
    told = "an atomic batch does something else"
    see("batch_is_fold", not refused and repr([*log.answers]) == repr(once), told)
    see("batch_is_fold", tuple(whole) == log.after, told)
    return True


def replay_is_equal(log: Log) -> bool:
    """Its changes, done again in an empty book, give the same rows."""
    rows = [contact.to_dict() for contact in log.after]
    twin = ContactBook.replay(log.policy, log.book.changes_since())
    see("replay_is_equal", twin.dump() == rows, "the rows are others")
    return True


def log_again(log: Log) -> bool:
    """The whole log, sent once more over its own result, changes nothing."""
    book = book_of(log.policy)
    log.send(book)
    once = tuple(book)
    for number, answer in enumerate(log.send(book), start=1):
        if isinstance(answer, Outcome) and not answer.unchanged:
            told = f"sent again, the {number}. of them {answer.result} a contact"
            see("log_again", tuple(book) == once, told)
    return True


def any_order(log: Log) -> bool:
    """In whatever order the patches come, the people are the same at the end."""
    due = _people(log.after)
    for order in permutations(log.patches):
        book = book_of(log.policy)
        Log(log.policy, order, log.scope).send(book)
        now = _people(tuple(book))
        see("any_order", now == due, f"{due} in one order, {now} in another")
    return len(log.patches) > 1


def _people(contacts: Any) -> list[str]:
    """Give what is known of each, without id, version, times or order."""
    return sorted(
        json.dumps(thaw(each.fields), sort_keys=True, ensure_ascii=False)
        for each in contacts
    )

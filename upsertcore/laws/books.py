"""
The laws of the book around a call: keys, scopes, plans, undoing, loading, retrying.

Rules:
    As those of one call: functions of a trial that answer whether they speak of it.
    Where a book has no way to be looked into, its index is asked to look at itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from upsertcore.book import ContactBook
from upsertcore.contact import Contact
from upsertcore.errors import (
    CallReused,
    InvalidRows,
    KeyInUse,
    Refused,
    StalePlan,
)
from upsertcore.keyring import held_forms
from upsertcore.laws.broken import LawBroken, see
from upsertcore.laws.trial import Trial, ask, book_of, state_of, told
from upsertcore.outcome import Outcome
from upsertcore.planned import Plan
from upsertcore.values import empty, freeze

if TYPE_CHECKING:
    from upsertcore.keys import Key

__all__ = [
    "create_makes_one",
    "index_follows",
    "plan_is_upsert",
    "retry_is_once",
    "round_trip",
    "scopes_apart",
    "see_its_keys",
    "undo_inverts",
    "unique",
]


def unique(trial: Trial) -> bool:
    """No two contacts of a scope hold the same unique key."""
    holders: dict[tuple[str, str, str], str] = {}
    for contact in trial.after:
        held = trial.held(contact)
        for key, forms in zip(trial.policy.keys, held, strict=True):
            for form in forms if key.unique else ():
                other = holders.setdefault((contact.scope, key.name, form), contact.id)
                words = f"{key.name}: {other} and {contact.id} hold {form}"
                see("unique", other == contact.id, words)
    return True


def index_follows(trial: Trial) -> bool:
    """Keys find who holds them now, or held them, where they remember; nobody else."""
    _ = trial.after
    see_its_keys("index_follows", trial.book)
    for contact, forms in trial.state:
        held = trial.book._index.found(contact.id)[1]  # noqa: SLF001
        for key, was, now in zip(trial.policy.keys, forms, held, strict=True):
            kept = key.remember and not _may_let_go(trial, key)
            lost = {*was}.difference(now) if kept else ()
            words = f"{key.name}: {lost} of {contact.id} is not remembered"
            see("index_follows", not lost, words)
    return True


def _may_let_go(trial: Trial, key: Key) -> bool:
    """Tell whether a patch may clear a field of a key that has a limit."""
    cleared = [n for n in key.fields if n in trial.patch]
    empties = [empty(freeze(trial.patch[name])) for name in cleared]
    return key.limit is not None and any(empties)


def see_its_keys(law: str, book: ContactBook) -> None:
    """
    See that the index of a book is one that is made of its contacts.

    Args:
        law: Of which it is a part.
        book: Any.

    Raises:
        LawBroken: If an entry is missing, left over or out of order.

    >>> from upsertcore import Policy, never
    >>> see_its_keys("index_follows", ContactBook(Policy(never(), {})))
    """
    index = book._index  # noqa: SLF001 - no other way to look inside
    try:
        index.check()
    except AssertionError as error:
        raise LawBroken(law, str(error)) from error
    for contact, forms in state_of(book):
        pairs = zip(book.policy.keys, forms, index.found(contact.id)[1], strict=True)
        for key, due, held in pairs:
            words = f"{contact.id} holds {held} for {key.name}, not {due}"
            see(law, held == due, words)


def scopes_apart(trial: Trial) -> bool:
    """What another scope holds neither counts nor changes."""
    elsewhere = f"{trial.scope}+"
    moved = [
        Contact.from_dict({**c.to_dict(), "scope": elsewhere}) for c in trial.before
    ]
    state = tuple(
        [(c, forms) for c, (_, forms) in zip(moved, trial.state, strict=True)]
    )
    apart, alone = book_of(trial.policy, state), book_of(trial.policy)
    one, other = (
        ask(apart, trial.patch, trial.scope),
        ask(alone, trial.patch, trial.scope),
    )
    see("scopes_apart", repr(one) == repr(other), f"{told(one)}, not {told(other)}")
    see("scopes_apart", [*apart][: len(moved)] == moved, "a contact of it has moved")
    return bool(moved)


def plan_is_upsert(trial: Trial) -> bool:
    """A plan writes nothing; applied, it does what the upsert does, and once."""
    book, plan = trial.anew(), None
    try:
        plan = book.plan(trial.patch, scope=trial.scope)
        see("plan_is_upsert", tuple(book) == trial.before, "planning has written")
        answer: Any = book.apply(plan)
    except Refused as error:
        answer = error
    words = f"{told(answer)}, not {told(trial.first)}"
    see("plan_is_upsert", repr(answer) == repr(trial.first), words)
    see("plan_is_upsert", tuple(book) == trial.after, "the state is another")
    if plan is not None and plan.before is not None and not plan.unchanged:
        see("plan_is_upsert", _is_stale(book, plan), "it could be applied again")
    return True


def _is_stale(book: ContactBook, plan: Plan) -> bool:
    try:
        book.apply(plan)
    except StalePlan:
        return True
    return False


def undo_inverts(trial: Trial) -> bool:
    """What is undone was never done: every contact is as it was, to the version."""
    book = trial.anew()
    answer = ask(book, trial.patch, trial.scope)
    if isinstance(answer, Refused):
        return False
    try:
        book.undo(answer)
    except Refused as error:
        raise LawBroken("undo_inverts", f"{told(answer)}, undone: {error}") from error
    see_its_keys("undo_inverts", book)
    see("undo_inverts", tuple(book) == trial.before, f"{told(answer)}, undone: moved")
    return True


def round_trip(trial: Trial) -> bool:
    """Dumped as JSON and loaded it is the same book; no unique key comes in twice."""
    rows = trial.anew().dump()
    loaded = ContactBook.load(trial.policy, json.loads(json.dumps(rows)))
    see("round_trip", loaded.dump() == rows, "the rows are others")
    see("round_trip", tuple(loaded) == trial.before, "the contacts are others")
    for row in rows if trial.policy.on_clash != "allow" else ():
        held = held_forms(trial.policy, Contact.from_dict(row))
        keys = zip(trial.policy.keys, held, strict=True)
        if any(key.unique and forms for key, forms in keys):
            twin = {**row, "id": f"{row['id']}+", "absorbed": []}
            see("round_trip", _is_refused(trial, [*rows, twin]), f"twin of {row['id']}")
    return True


def _is_refused(trial: Trial, rows: Any) -> bool:
    try:
        ContactBook.load(trial.policy, rows)
    except InvalidRows as error:
        return all(isinstance(each, KeyInUse) for each in error.refusals)
    return False


def create_makes_one(trial: Trial) -> bool:
    """Creating somebody whom a key names, without looking, twice, makes one contact."""
    if not trial.carried:
        return False
    answers, made = _created(trial)
    if answers is None:
        return False
    see("create_makes_one", made < 2, " then ".join(answers))
    return True


def retry_is_once(trial: Trial) -> bool:
    """With an idempotency key a call is made once, and no other call bears it."""
    answers, made = _created(trial, idempotency_key="k-1")
    if answers is not None:
        see("retry_is_once", made == 1 and len({*answers}) == 1, " then ".join(answers))
    book = trial.anew()
    calls = [ask(book, trial.patch, trial.scope, idempotency_key="k") for _ in "ab"]
    if isinstance(calls[0], Outcome):
        again = calls[1] == calls[0] and tuple(book) == trial.after
        again = again and getattr(calls[1], "replayed", False)
        see("retry_is_once", again, " then ".join(map(told, calls)))
        if trial.patch:
            other = ask(book, {}, trial.scope, idempotency_key="k")
            reused = isinstance(other, CallReused)
            see("retry_is_once", reused, f"{{}} with the same key: {told(other)}")
    return answers is not None or isinstance(calls[0], Outcome)


def _created(trial: Trial, **how: Any) -> tuple[list[str] | None, int]:
    """Create twice: what came of each, None if the first is refused, and how many."""
    book = trial.anew()
    answers = [*_creations(book, trial, how)]
    if isinstance(answers[0], Refused):
        return None, 0
    return [*map(told, answers)], len(book) - len(trial.state)


def _creations(
    book: ContactBook, trial: Trial, how: dict[str, Any]
) -> Iterator[Outcome | Refused]:
    for _ in "ab":
        try:
            yield book.create(trial.patch, scope=trial.scope, **how)
        except Refused as error:
            yield error

"""
The laws of the book around a call: keys, scopes, plans, undo, loading, retries.

Rules:
    Each law is a function of a trial; it returns whether it applies to the trial.
    What the public methods of a book do not show is checked by its index.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from upsertcore.book.contact_book import ContactBook
from upsertcore.book.loading import rows_of
from upsertcore.engine.outcome import Outcome
from upsertcore.engine.plan import Plan
from upsertcore.errors import (
    IdempotencyKeyReused,
    InvalidRows,
    KeyInUse,
    Refused,
    StalePlan,
    UnknownContact,
)
from upsertcore.laws.errors import LawBroken, require
from upsertcore.laws.trial import (
    Call,
    Trial,
    TrialResult,
    describe,
    is_same_result,
    state_of,
)
from upsertcore.model.contact import Contact
from upsertcore.policy.held_forms import held_forms
from upsertcore.values import empty, freeze

if TYPE_CHECKING:
    from upsertcore.policy.keys import Key

__all__ = [
    "check_index",
    "create_makes_one",
    "index_follows",
    "one_is_a_list",
    "plan_is_upsert",
    "retry_is_once",
    "round_trip",
    "scopes_apart",
    "undo_inverts",
    "unique",
]


def unique(trial: Trial) -> bool:
    """No two contacts of a scope hold the same unique key."""
    holders: dict[tuple[str, str, str], str] = {}
    for contact in trial.after:
        held = trial.forms_of(contact)
        for key, forms in zip(trial.policy.all_keys, held, strict=True):
            for form in forms if key.unique else ():
                other = holders.setdefault((contact.scope, key.name, form), contact.id)
                words = f"{key.name}: {other} and {contact.id} hold {form}"
                require("unique", other == contact.id, words)
    return True


def index_follows(trial: Trial) -> bool:
    """A key finds the contacts that hold it, or held it if it keeps aliases."""
    _ = trial.after
    check_index("index_follows", trial.book)
    for contact, forms in trial.state:
        held = trial.book._index.get_with_forms(contact.id, contact.scope)[1]  # noqa: SLF001
        for key, before, after in zip(trial.policy.all_keys, forms, held, strict=True):
            is_kept = key.keep_aliases and not _may_let_go(trial, key)
            lost = {*before}.difference(after) if is_kept else ()
            words = f"{key.name}: {lost} of {contact.id} is not remembered"
            require("index_follows", not lost, words)
    return True


def _may_let_go(trial: Trial, key: Key) -> bool:
    """Return whether a patch may clear a field of a key that has a limit."""
    sent = {**dict.fromkeys(key.fields), **trial.patch}
    names = key.fields if trial.clears else trial.patch
    empties = [empty(freeze(sent[n])) for n in key.fields if n in names]
    return key.max_forms is not None and any(empties)


def check_index(law: str, book: ContactBook) -> None:
    """
    Check that the index of a book agrees with its contacts.

    Args:
        law: The law to name in the error.
        book: Any book.

    Raises:
        LawBroken: If an entry is missing, superfluous or out of order.

    >>> from upsertcore import Policy, never
    >>> check_index("index_follows", ContactBook(Policy(never(), {})))
    """
    index = book._index  # noqa: SLF001 - no other way to look inside
    try:
        index.check()
    except AssertionError as error:
        raise LawBroken(law, str(error)) from error
    for contact, forms in state_of(book):
        pairs = zip(
            book.policy.all_keys,
            forms,
            index.get_with_forms(contact.id, contact.scope)[1],
            strict=True,
        )
        for key, expected, held in pairs:
            words = f"{contact.id} holds {held} for {key.name}, not {expected}"
            require(law, held == expected, words)


def scopes_apart(trial: Trial) -> bool:
    """Contacts of another scope have no effect and do not change."""
    law, elsewhere = "scopes_apart", f"{trial.scope}+"
    contacts = [
        Contact.from_dict({**c.to_dict(), "scope": f"{elsewhere}{c.scope}"})
        for c in trial.before
    ]
    state = tuple(
        [(c, forms) for c, (_, forms) in zip(contacts, trial.state, strict=True)]
    )
    book = trial.book_with(state)
    result, expected = trial.send(book), trial.send(trial.book_with())
    require(
        law,
        repr(result) == repr(expected),
        f"{describe(result)}, not {describe(expected)}",
    )
    # Looking up an id does not depend on other contacts, so one contact is enough.
    if isinstance(result, Outcome) and len(contacts) == 1:
        if contacts[0].id not in result.contact.ids:
            _check_unknown(book, result.contact, contacts[0].id)
        _check_calls(trial, elsewhere)
    require(law, [*book][: len(contacts)] == contacts, "a contact of it has moved")
    return bool(contacts)


def _check_unknown(book: ContactBook, contact: Contact, id: str) -> None:
    """Check that the id of a contact of another scope is unknown in this one."""
    verbs: dict[str, Callable[[], Any]] = {
        "get": lambda: book.get(id, scope=contact.scope),
        "update": lambda: book.update(id, {}, scope=contact.scope),
        "delete": lambda: book.delete(id, scope=contact.scope),
        "purge": lambda: book.purge(id, scope=contact.scope),
        "merge": lambda: book.merge(contact.id, id, scope=contact.scope),
    }
    for verb, call in verbs.items():
        try:
            call()
        except UnknownContact:
            continue
        except (Refused, ValueError) as error:
            words = f"{verb} {id}: {type(error).__name__}: {error}"
            raise LawBroken("scopes_apart", words) from error
        raise LawBroken("scopes_apart", f"{verb} finds {id} from another scope")


def _check_calls(trial: Trial, elsewhere: str) -> None:
    """Check that an idempotency key of another scope is unknown in this one."""
    book = trial.book_with()
    for scope in (elsewhere, trial.scope):
        answer = trial.send(book, scope, idempotency_key="k")
        words = f"its idempotency key: {describe(answer)}"
        replayed = isinstance(answer, Outcome) and answer.replayed
        reused = isinstance(answer, IdempotencyKeyReused)
        require("scopes_apart", not (replayed or reused), words)
    answer = trial.call.send(book, {}, f"{elsewhere}+", idempotency_key="k")
    words = f"its idempotency key: {describe(answer)}"
    require("scopes_apart", not isinstance(answer, IdempotencyKeyReused), words)


def one_is_a_list(trial: Trial) -> bool:
    """A single value of a field with many values has the result of a list of one."""
    lists: dict[str, Any] = {}
    for name, raw in trial.patch.items() if isinstance(trial.first, Outcome) else ():
        value, many = freeze(raw), trial.policy.field_options(name).many
        if many and value is not None and type(value) is not tuple:
            lists[name] = [] if empty(value) else [raw]
    if not lists:
        return False
    patch = {**trial.patch, **lists}
    result = trial.call.send(trial.new_book(), patch, trial.scope)
    words = f"{describe(trial.first)}; sent as lists, {describe(result)}"
    require("one_is_a_list", is_same_result(trial.first, result), words)
    return True


def plan_is_upsert(trial: Trial) -> bool:
    """A plan writes nothing; applied, it does what the upsert does, and only once."""
    if trial.call.verb != "upsert":
        return False
    book, plan = trial.new_book(), None
    try:
        plan = trial.call.plan(book, trial.patch, trial.scope)
        require("plan_is_upsert", tuple(book) == trial.before, "planning has written")
        result: Any = book.apply(plan)
    except Refused as error:
        result = error
    words = f"{describe(result)}, not {describe(trial.first)}"
    require("plan_is_upsert", is_same_result(result, trial.first), words)
    require("plan_is_upsert", tuple(book) == trial.after, "the state differs")
    if plan is not None and plan.before is not None and not plan.unchanged:
        require("plan_is_upsert", _is_stale(book, plan), "it could be applied again")
    return True


def _is_stale(book: ContactBook, plan: Plan) -> bool:
    try:
        book.apply(plan)
    except StalePlan:
        return True
    return False


def undo_inverts(trial: Trial) -> bool:
    """Undo restores every contact as it was, versions included."""
    answer, book, expected = trial.first, trial.book, trial.before
    if not isinstance(answer, Outcome):
        return False
    if answer.unchanged:
        # There is nothing to undo, so the trial's own book can be used.
        expected = trial.after_second
    else:
        book = trial.new_book()
        again = trial.send(book)
        answer = again if isinstance(again, Outcome) else answer
    try:
        book.undo(answer)
    except Refused as error:
        raise LawBroken(
            "undo_inverts", f"{describe(answer)}, undone: {error}"
        ) from error
    check_index("undo_inverts", book)
    require(
        "undo_inverts", tuple(book) == expected, f"{describe(answer)}, undone: moved"
    )
    return True


def round_trip(trial: Trial) -> bool:
    """A book dumped as JSON and loaded is equal; a unique key is not loaded twice."""
    rows = trial.new_book().dump()
    for contacts in dict.fromkeys((trial.before, trial.after)):
        dumped = [*rows_of(contacts)]
        loaded = ContactBook.load(trial.policy, json.loads(json.dumps(dumped)))
        require("round_trip", loaded.dump() == dumped, "the rows differ")
        require("round_trip", tuple(loaded) == contacts, "the contacts differ")
    unique = [row for row in rows if _is_unique(trial, row)]
    twins = [{**row, "id": f"{row['id']}+", "merged_ids": []} for row in unique]
    refused = _refused(trial, [*rows, *twins])
    for place, row in enumerate(unique, len(rows)):
        require("round_trip", place in refused, f"twin of {row['id']}")
    return True


def _is_unique(trial: Trial, row: Any) -> bool:
    """Return whether a row holds a form of a unique key."""
    held = held_forms(trial.policy, Contact.from_dict(row))
    keys = zip(trial.policy.all_keys, held, strict=True)
    unique = any(key.unique and forms for key, forms in keys)
    return unique and trial.policy.on_key_in_use != "allow"


def _refused(trial: Trial, rows: Any) -> set[int | None]:
    """Return the places of the rows that hold a key of another one."""
    try:
        ContactBook.load(trial.policy, rows)
    except InvalidRows as error:
        return {each.row for each in error.refusals if isinstance(each, KeyInUse)}
    return set()


def create_makes_one(trial: Trial) -> bool:
    """Calling create twice with a key makes one contact."""
    if not (trial.keys_sent and trial.call.is_plain):
        return False
    results, count = _created(trial)
    if results is None:
        return False
    require("create_makes_one", count < 2, " then ".join(results))
    return True


def retry_is_once(trial: Trial) -> bool:
    """With an idempotency key a call is made once; a retry is marked as replayed."""
    law, book, results = "retry_is_once", trial.new_book(), list[TrialResult]()
    if trial.call.is_plain:
        results += _creations(book, trial, {"idempotency_key": "k-1"})
    created = isinstance([*results, None][0], Outcome)
    if created:
        count = len(book) - len(trial.state)
        once = count == 1 and _is_retry(*results)
        require(law, once, " then ".join(map(_marked, results)))
    book = trial.new_book()
    calls = [trial.send(book, idempotency_key="k") for _ in "ab"]
    if isinstance(calls[0], Outcome):
        is_replayed = tuple(book) == trial.after and _is_retry(*calls)
        require(law, is_replayed, " then ".join(map(_marked, calls)))
        if trial.patch:
            other = trial.call.send(book, {}, trial.scope, idempotency_key="k")
            reused = isinstance(other, IdempotencyKeyReused)
            require(law, reused, f"{{}} with the same key: {describe(other)}")
        if trial.call != Call():
            # Without its ids and options it may be refused for its patch as well.
            other = Call().send(book, trial.patch, trial.scope, idempotency_key="k")
            words = f"{Call()} with the same key: {describe(other)}"
            require(law, not isinstance(other, Outcome), words)
    return created or isinstance(calls[0], Outcome)


def _is_retry(first: TrialResult, second: TrialResult) -> bool:
    """Return whether the second result is the first one, marked as replayed."""
    marks = [
        isinstance(result, Outcome) and result.replayed for result in (first, second)
    ]
    return first == second and marks == [False, True]


def _marked(result: TrialResult) -> str:
    replayed = isinstance(result, Outcome) and result.replayed
    return f"{describe(result)}{' (replayed)' if replayed else ''}"


def _created(trial: Trial) -> tuple[list[str] | None, int]:
    """Create twice; return the results, None if refused, and how many were created."""
    book = trial.new_book()
    results = [*_creations(book, trial, {})]
    if isinstance(results[0], Refused):
        return None, 0
    return [*map(describe, results)], len(book) - len(trial.state)


def _creations(
    book: ContactBook, trial: Trial, how: dict[str, Any]
) -> Iterator[Outcome | Refused]:
    for _ in "ab":
        try:
            yield book.create(trial.patch, scope=trial.scope, **how)
        except Refused as error:
            yield error

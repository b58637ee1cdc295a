"""The verbs over a store of another make: the results are those of a book in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.book.dict_store import DictStore
from tests.strategies import (
    SCOPES,
    Case,
    Host,
    batches,
    cases,
    patches,
)
from upsertcore import (
    ContactBook,
    Policy,
    errors,
    field,
    first_match,
    merge_all,
    normalize,
)
from upsertcore.book.book import Book

START = datetime(2024, 1, 2, tzinfo=UTC)
Call = Callable[[Book], object]


def sources() -> tuple[Callable[[], str], Callable[[], datetime]]:
    """Return ids and a clock that are the same each time."""
    hours = count()
    return Host().ids, lambda: START + timedelta(hours=next(hours))


MakeBook = Callable[[Policy, Callable[[], str], Callable[[], datetime]], Book]


def over_dicts(
    policy: Policy, ids: Callable[[], str], clock: Callable[[], datetime]
) -> Book:
    """Make a book over dicts."""
    return Book(policy, DictStore([key.name for key in policy.all_keys], ids, clock))


def result_of(call: Call, book: Book) -> str:
    """Make a call; return its result or its refusal as text."""
    try:
        return repr(call(book))
    except (errors.Refused, errors.UnknownContact) as error:
        return repr(error)


def state_of(book: Book) -> tuple[str, str]:
    """Return contacts and changes as text."""
    return json.dumps(book.dump()), repr(book.changes_since())


def check_equal(
    policy: Policy, calls: list[Call], make: MakeBook = over_dicts
) -> list[str]:
    """
    Check that calls have the same results and effects as on a book in memory.

    Returns the results.
    """
    ids, clock = sources()
    memory = ContactBook(policy, ids=ids, clock=clock, retain_changes=None)
    other = make(policy, *sources())
    results = []
    for call in calls:
        results.append(result_of(call, memory))
        assert results[-1] == result_of(call, other)
        assert state_of(memory) == state_of(other)
        other._store.read(lambda view: view.check())
    return results


def picked(book: Book, number: int) -> Any:
    """Return the id and the scope of a contact, if there is one."""
    pairs = [(id, contact.scope) for contact in book for id in contact.ids]
    return pairs[number % len(pairs)] if pairs else ("c-0", "")


def merge(numbers: list[int], patch: Any, *, planned: bool) -> Call:
    def call(book: Book) -> object:
        ids = [picked(book, number)[0] for number in numbers]
        scope = picked(book, numbers[0])[1]
        how: Any = {"scope": scope, "on_itself": "ignore", "patch": patch}
        if planned:
            return book.apply(book.plan_merge(*ids, **how))
        return book.merge(*ids, **how)

    return call


def undo(number: int) -> Call:
    def call(book: Book) -> object:
        entries = book.changes_since()
        outcome = entries[-1 - number % len(entries)].outcome if entries else None
        return outcome and book.undo(outcome)

    return call


def by_id(verb: str, number: int) -> Call:
    def call(book: Book) -> object:
        id, scope = picked(book, number)
        return getattr(book, verb)(id, scope=scope)

    return call


def apply(patch: dict[str, Any], scope: str, between: dict[str, Any]) -> Call:
    def call(book: Book) -> object:
        plan = book.plan(patch, scope=scope)
        result_of(lambda _book: book.upsert(between, scope=scope), book)
        return plan.trace, plan.expects, book.apply(plan)

    return call


def find(patch: dict[str, Any], scope: str) -> Call:
    def call(book: Book) -> object:
        names = {key.name: key for key in book.policy.all_keys}
        return [
            book.find(name, value, scope=scope)
            for name, value in patch.items()
            if name in names and not names[name].composite
        ]

    return call


def report(number: int, limit: int | None) -> Call:
    def call(book: Book) -> object:
        id, scope = picked(book, number)
        groups = book.duplicates(of=id, scope=scope)
        rest = book.scan(scope=scope, after=id, limit=limit)
        return groups, rest, book.scan({"name": "Ada"}, scope=scope, limit=limit)

    return call


NUMBERS = st.integers(0, 9)
SCOPE = st.sampled_from((*SCOPES[:1] * 3, *SCOPES[1:]))
PATCH = patches()


def batch_call(patches: Any, scope: str, how: dict[str, Any]) -> Call:
    return lambda book: [*book.upsert_many(patches, scope=scope, **how)]


HOW = st.sampled_from(
    [
        {"atomic": atomic, "on_refused": on_refused, "on_duplicates": on_duplicates}
        for atomic, on_refused in (
            (True, "raise"),
            (False, "raise"),
            (False, "collect"),
        )
        for on_duplicates in ("fold", "refuse_later", "refuse_all")
    ]
)
CALLS: st.SearchStrategy[Call] = st.one_of(
    st.builds(lambda p, s: lambda book: book.create(p, scope=s), PATCH, SCOPE),
    st.builds(
        lambda p, s, key: lambda book: book.upsert(p, scope=s, idempotency_key=key),
        PATCH,
        SCOPE,
        st.sampled_from((None, "k-1", "k-2")),
    ),
    st.builds(
        merge,
        st.lists(NUMBERS, min_size=2, max_size=3),
        st.none() | PATCH,
        planned=st.booleans(),
    ),
    st.builds(undo, NUMBERS),
    st.builds(by_id, st.sampled_from(("get", "delete", "purge")), NUMBERS),
    st.builds(apply, PATCH, SCOPE, PATCH),
    st.builds(find, PATCH, SCOPE),
    st.builds(batch_call, batches(), SCOPE, HOW),
    st.builds(lambda blank: lambda book: book.duplicates(blank=blank), st.booleans()),
    st.builds(report, NUMBERS, st.sampled_from((None, 0, 2))),
    st.builds(
        lambda keep: lambda book: book.dedupe(keep=keep, on_refused="collect"),
        st.sampled_from(("oldest", "newest")),
    ),
)


HISTORIES = st.one_of(cases(), cases(wanted=merge_all)), st.lists(CALLS, max_size=8)


def check_history(case: Case, calls: list[Call], make: MakeBook = over_dicts) -> None:
    """Check the calls of a case, and then further ones."""
    first: list[Call] = [
        (lambda book, patch=patch, scope=scope: book.upsert(patch, scope=scope))  # type: ignore[misc]
        for patch, scope in case.calls
    ]
    check_equal(case.policy, [*first, *calls], make)


@given(*HISTORIES)
def test_drawn_histories_have_the_same_results(case: Case, calls: list[Call]) -> None:
    check_history(case, calls)


def test_each_verb_has_the_same_result() -> None:
    check_each_verb(over_dicts)


def check_each_verb(make: MakeBook) -> None:
    """Check creation, batches, merges, undos, deletions, purges, and what reads."""
    fields = {
        "email": field(key=normalize.email, keep_aliases=True),
        "phone": field(key=normalize.phone),
        "name": field(),
    }
    policy = Policy(first_match("email", "phone"), fields, on_deleted="restore")
    ada = {"email": "ada@x.org", "phone": "+15550001111", "name": "Ada"}
    rows: list[dict[str, Any]] = [{"email": "bob@x.org"}, {"email": "cy@x.org"}]
    refused: list[dict[str, Any]] = [*rows, {"name": "Eve"}]
    calls: list[Call] = [
        lambda book: book.upsert(ada),
        lambda book: book.upsert({"email": "new@x.org", "phone": "+15550001111"}),
        lambda book: book.create({**ada, "name": "Eve"}, idempotency_key="k-1"),
        lambda book: book.create({**ada, "name": "Eve"}, idempotency_key="k-1"),
        lambda book: book.create(ada, idempotency_key="k-1"),
        lambda book: [*book.upsert_many(refused, atomic=True)],
        lambda book: [*book.upsert_many(rows, atomic=True)],
        lambda book: [*book.upsert_many(rows * 2, on_duplicates="refuse_later")],
        lambda book: (book.duplicates(), book.find("email", "ADA@x.org")),
        lambda book: book.dedupe(),
        lambda book: (book.get("c-2").id, "c-2" in book, len(book)),
        lambda book: book.merge("c-1", "c-5", patch={"name": "Ada"}, if_version=3),
        lambda book: book.undo(changes(book)[-1]),
        lambda book: book.undo(changes(book)[-2]),
        lambda book: book.undo(changes(book)[-3]),
        lambda book: book.delete("c-5"),
        lambda book: book.undo(changes(book)[-1]),
        lambda book: book.apply(book.plan({"email": "new@x.org", "name": "Ada King"})),
        lambda book: book.purge("c-2"),
        lambda book: book.purge("c-9"),
    ]

    results = check_equal(policy, calls, make)
    assert [result.split("(")[0] for result in results] == [
        *["Outcome"] * 4,
        "IdempotencyKeyReused",
        "NoMatchKey",
        "[Outcome",
        "DuplicatePatch",
        *["", "[Outcome", ""],
        *["Outcome"] * 2,
        "StaleOutcome",
        *["Outcome", "Contact", "Outcome", "Outcome"],
        "6",
        "UnknownContact",
    ]


def changes(book: Book) -> list[Any]:
    """Return the outcomes of the changes."""
    return [entry.outcome for entry in book.changes_since()]

"""The rules of behaviour, each as a law over drawn policies, books and patches."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from tests.strategies import (
    FAULTS,
    FUSE,
    KEYS,
    RULES,
    Boom,
    Case,
    Host,
    cases,
    cleaned,
    fed,
    last,
    patches,
    tidy,
    tried,
)
from upsertcore import (
    ContactBook,
    Outcome,
    Policy,
    errors,
    field,
    first_match,
    immutable,
    normalize,
    remove,
    replace,
)
from upsertcore.values import freeze, same, thaw

Patch = dict[str, Any]
MANY = st.lists(patches(), max_size=6)


def bytes_of(book: ContactBook) -> str:
    return json.dumps(book.dump())


@given(cases(strict=True))
def test_1_twice_is_once(case: Case) -> None:
    """The second call is unchanged, says the same contact, and moves nothing."""
    book = fed(case)
    first = tried(book, case.patch, case.scope)
    before = bytes_of(book)
    second = tried(book, case.patch, case.scope)

    assert before == bytes_of(book)
    if isinstance(first, Outcome):
        assert isinstance(second, Outcome)
        assert second.result == "unchanged"
        assert second.contact is first.contact
        assert second.before is first.contact
        assert second.changes == ()


@given(cases())
def test_1_version_and_time_move_with_a_field(case: Case) -> None:
    """A version moves by one, with its time, exactly where a field moves."""
    outcome = last(case)
    if outcome is None or outcome.before is None:
        return
    before, after = outcome.before, outcome.contact
    moved = not same(before.fields, after.fields)

    assert outcome.updated == moved
    assert bool(outcome.changes) == moved
    assert before.version + moved == after.version
    assert (before.updated_at != after.updated_at) == moved
    assert before.created_at == after.created_at
    assert (before.id, before.scope) == (after.id, after.scope)


@given(cases())
def test_2_omitted_is_unchanged(case: Case) -> None:
    """An omitted field is as it was; at creation it has its default or is absent."""
    outcome = last(case)
    if outcome is None:
        return
    for name in {*RULES, *outcome.contact} - {*case.patch}:
        default = case.policy.fields[name].default if outcome.created else None
        was = freeze(default) if outcome.before is None else outcome.before.get(name)
        assert same(was, outcome.contact.get(name))


SILENT = Policy(
    first_match("email"),
    {
        "email": field(key=normalize.email),
        "tags": field(merge=remove),
        "name": field(merge=immutable),
    },
)
ADA = {"email": "ada@x.org"}


@example(Case(SILENT, [({**ADA, "name": ""}, "")], {**ADA, "name": None}, ""))
@given(cases())
def test_3_nothing_is_dropped_silently(case: Case) -> None:
    """Each sent field is stored, withheld or ignored, and then named with a reason."""
    outcome = last(case)
    if outcome is None:
        return
    withheld = {each.field: each for each in outcome.withheld}

    assert {*outcome.ignored, *withheld} <= {*case.patch}
    for name, raw in case.patch.items():
        if name in outcome.ignored:
            assert outcome.ignored[name]
        elif name in withheld:
            assert withheld[name].holder not in (outcome.contact.id, "")
        else:
            sent = cleaned(case.policy, name, raw)
            line = case.policy.fields.get(name)
            rule = line.merge.name if line else str(case.policy.others)
            stored = outcome.contact.get(name)
            assert stores(rule, stored, sent), (name, stored)


def stores(rule: str, stored: Any, sent: Any) -> bool:
    """Tell whether a stored value shows what was sent, by what its rule is for."""
    if sent is None or rule not in ("union", "remove", "deep", "items_by('id')"):
        return same(stored, sent)
    if rule == "union":
        return all(any(same(i, s) for s in stored) for i in sent)
    if rule == "remove":
        return not any(same(i, s) for s in stored or () for i in sent)
    if rule == "deep":
        return all(shows(stored.get(n), v) for n, v in sent.items())
    return all(any(laid(i, s) for s in stored) for i in sent)


def shows(stored: Any, sent: Any) -> bool:
    nested = isinstance(thaw(sent), dict) and isinstance(thaw(stored), dict)
    return stores("deep" if nested else "replace", stored, sent)


def laid(item: Any, stored: Any) -> bool:
    return all(n in stored and same(stored[n], v) for n, v in item.items())


@given(cases(), st.sampled_from(FAULTS), st.integers(1, 4))
def test_6_all_or_nothing(case: Case, kind: str, number: int) -> None:
    """A refusal, or an exception in a host's callable: the book is as before."""
    host = Host()
    book = ContactBook(case.policy, ids=host.ids, clock=host.clock)
    before = bytes_of(fed(case, book))
    FUSE.light(kind, number)
    try:
        failed = isinstance(tried(book, case.patch, case.scope), errors.Refused)
    except Boom:
        failed = True
    finally:
        FUSE.light("", 0)

    book._index.check()
    assert not failed or before == bytes_of(book)


@given(case=cases(), batch=st.lists(patches(), max_size=5), go_on=st.booleans())
def test_7_a_batch_is_the_fold_of_its_calls(
    case: Case, batch: list[Patch], *, go_on: bool
) -> None:
    """Sending together is sending one by one, up to the first refusal or past it."""
    one, other = fed(case), fed(case)
    singly: list[Any] = []
    for patch in batch:
        singly.append(tried(other, patch))
        if isinstance(singly[-1], errors.Refused) and not go_on:
            break
    try:
        together: list[Any] = one.upsert_many(
            batch, on_refused="collect" if go_on else "raise"
        )
    except errors.Refused as error:
        together = [*singly[:-1], error]

    assert list(map(repr, singly)) == list(map(repr, together))
    assert bytes_of(other) == bytes_of(one)


@given(MANY, patches(extra=False))
def test_8_what_is_stored_is_clean(calls: Any, patch: Patch) -> None:
    """The raw payload stores what ``clean`` makes of it, and replays as unchanged."""
    lines = {n: field(clean=tidy, key=KEYS.get(n, (None,))[0]) for n in RULES}
    policy = Policy(first_match(*KEYS), lines, others=replace, on_many="oldest")
    book = fed(Case(policy, [(each, "") for each in calls], patch, ""))
    outcome = tried(book, patch)
    if not isinstance(outcome, Outcome):
        return
    clean = {name: outcome.contact.get(name) for name in patch}

    for name, raw in patch.items():
        assert same(cleaned(policy, name, raw), clean[name])
    assert book.upsert(patch).unchanged
    assert book.upsert(clean).unchanged


@given(cases())
def test_10_the_same_calls_make_the_same_bytes(case: Case) -> None:
    """Same policy, calls, ids and clock: same bytes; and loading them changes none."""
    first = bytes_of(fed(case))

    assert first == bytes_of(fed(case))
    if case.policy.on_clash != "allow":
        assert first == bytes_of(ContactBook.load(case.policy, json.loads(first)))


@given(cases())
def test_a_plan_says_what_upsert_does(case: Case) -> None:
    """Planning moves nothing; applying at once does what upsert would have done."""
    book, twin = fed(case), fed(case)
    before = bytes_of(book)
    try:
        plan = book.plan(case.patch, scope=case.scope)
        assert before == bytes_of(book)
        answer: Any = book.apply(plan)
        assert (plan.result, plan.changes) == (answer.result, answer.changes)
    except errors.Refused as error:
        answer = error

    assert repr(tried(twin, case.patch, case.scope)) == repr(answer)
    assert bytes_of(twin) == bytes_of(book)

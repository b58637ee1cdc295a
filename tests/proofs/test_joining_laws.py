"""Laws of the verbs on contacts among themselves, and of undoing and of batches."""

from __future__ import annotations

import json
import pickle
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.field_options import merging
from tests.oracle.keys import composite
from tests.oracle.keys import held as naive_held
from tests.oracle.merging import earlier_alike, repeats_of
from tests.strategies import (
    FAULTS,
    FUSE,
    SCOPES,
    Boom,
    Case,
    Host,
    batches,
    books,
    cases,
    fed,
    scopes,
    tried,
)
from upsertcore import (
    Contact,
    ContactBook,
    Outcome,
    Policy,
    errors,
    field,
    first_match,
    merge_all,
    normalize,
)
from upsertcore.policy.policy import compiled
from upsertcore.rules import union
from upsertcore.values import same

CASES = st.one_of(cases(), cases(wanted=merge_all))
PICKS = st.lists(st.integers(0, 9), min_size=2, max_size=4)


def bytes_of(book: ContactBook) -> str:
    return json.dumps(book.dump())


def picked(book: ContactBook, picks: list[int]) -> list[str]:
    """Pick contacts of the first one's scope."""
    if not len(book):
        return []
    first = list(book)[picks[0] % len(book)]
    near = [each.id for each in book if each.scope == first.scope]
    return [first.id, *[near[pick % len(near)] for pick in picks[1:]]]


def merged(book: ContactBook, ids: list[str]) -> Outcome | None:
    """Merge contacts, a refusal being None."""
    scope = scope_of(book, ids[0]) if ids else ""
    try:
        return book.merge(*ids, scope=scope, on_itself="ignore") if ids else None
    except errors.Refused:
        return None


def scope_of(book: ContactBook, id: str) -> str:
    """Give the scope in which an id leads to a contact."""
    return next(each.scope for each in book if id in each.ids)


@given(CASES)
def test_undo_inverts_an_upsert(case: Case) -> None:
    """After a call and its undoing the book is as it was, byte by byte."""
    book = fed(case)
    before, found = bytes_of(book), finds(book)
    outcome = tried(book, case.patch, case.scope, **case.how)
    if isinstance(outcome, Outcome):
        undone(book, outcome, before)
        assert found == finds(book)


@given(CASES, PICKS)
def test_undo_inverts_a_merge(case: Case, picks: list[int]) -> None:
    """Who was merged by id is apart again, each in the old place."""
    book = fed(case)
    before, found, order = bytes_of(book), finds(book), list(book)
    outcome = merged(book, picked(book, picks))
    if outcome is None:
        assert before == bytes_of(book)
        return
    undone(book, outcome, before)
    assert found == finds(book)
    assert all(old is now for old, now in zip(order, book, strict=True))


def undone(book: ContactBook, outcome: Outcome, before: str) -> None:
    """Undo, and see that all is as before, and that it can be done but once."""
    answer = book.undo(outcome)

    book._index.check()
    assert before == bytes_of(book)
    if outcome.unchanged:
        assert answer is outcome
        return
    assert answer.result == "undone"
    assert answer.before == outcome.contact
    assert answer.contact == (outcome.before or outcome.contact)
    scope = outcome.contact.scope
    assert ((scope, outcome.contact.id) in book) == (outcome.before is not None)
    for each in outcome.merged:
        assert book.get(each.id, scope=scope) is each
    for again in (outcome, answer):
        with pytest.raises(errors.StaleOutcome):
            book.undo(again)
    assert before == bytes_of(book)


def finds(book: ContactBook) -> list[tuple[str, str, list[str]]]:
    """List who is found by each form that anybody holds, in order."""
    forms = {
        (key.name, form, contact.scope): None
        for key in book.policy.all_keys
        for contact in book
        for form in naive_held(book.policy, key, contact.to_dict())
    }
    return [
        (name, form, [*book._index.holders(name, form, scope)])
        for name, form, scope in forms
    ]


@given(CASES, st.lists(PICKS, max_size=3), batches())
def test_undoing_in_reverse_order_restores_the_empty_book(
    case: Case, picks: Any, batch: Any
) -> None:
    """All that was ever done can be undone, the last first, down to nothing."""
    book, dumps = books(case.policy), ["[]"]
    outcomes: list[Outcome] = []

    def done(outcome: Outcome | errors.Refused | None) -> None:
        if isinstance(outcome, Outcome):
            outcomes.append(outcome)
            dumps.append(bytes_of(book))

    for patch, scope in case.calls:
        done(tried(book, patch, scope))
    for pick in picks:
        done(merged(book, picked(book, pick)))
    for patch in batch:
        done(tried(book, patch))
    given = {outcome.contact.id for outcome in outcomes}

    for outcome in reversed(outcomes):
        assert dumps.pop() == bytes_of(book)
        book.undo(pickle.loads(pickle.dumps(outcome)))  # noqa: S301 - made here
        book._index.check()
    assert dumps == ["[]"]
    assert not any((scope, id) in book for id in given for scope in SCOPES)


@given(CASES, batches())
def test_an_outcome_overtaken_is_stale(case: Case, between: list[Any]) -> None:
    """Undoing goes on only while the contact is the one that the outcome tells of."""
    book = fed(case)
    outcome = tried(book, case.patch, case.scope, **case.how)
    for patch in between:
        tried(book, patch, case.scope)
    if not isinstance(outcome, Outcome) or outcome.unchanged:
        return
    before = bytes_of(book)
    ids = [contact.id for contact in book]
    id, scope = outcome.contact.id, outcome.contact.scope
    now = book.get(id, scope=scope) if id in ids else None
    try:
        book.undo(outcome)
    except errors.StaleOutcome:
        assert before == bytes_of(book)
        holds = any(key.unique for key in case.policy.all_keys)
        assert now != outcome.contact or (holds and outcome.before)
    else:
        assert now == outcome.contact
    book._index.check()


@pytest.mark.parametrize("on_key_in_use", ["refuse", "withhold", "allow"])
def test_what_another_has_taken_since_does_not_come_back(on_key_in_use: Any) -> None:
    """A unique key that was let go stays with whoever took it, unless all may."""
    lines = {
        "code": field(key=normalize.exact),
        "email": field(key=normalize.email, unique=True),
    }
    book = books(Policy(first_match("code"), lines, on_key_in_use=on_key_in_use))
    book.upsert({"code": 1, "email": "a@x.org"})
    moved = book.upsert({"code": 1, "email": "b@x.org"})
    taker = book.upsert({"code": 2, "email": "A@x.org"})
    before = bytes_of(book)
    if on_key_in_use == "allow":
        assert moved.before == book.undo(moved).contact
        assert [moved.contact.id, taker.contact.id] == [
            each.id for each in book.find("email", "a@x.org")
        ]
    else:
        with pytest.raises(errors.StaleOutcome):
            book.undo(moved)
        assert before == bytes_of(book)
        book.undo(taker)
        assert moved.before == book.undo(moved).contact
    book._index.check()


@given(CASES, st.lists(PICKS, min_size=1, max_size=3))
def test_old_ids_lead_to_who_has_them(case: Case, picks: Any) -> None:
    """After merges each id that there was leads to one contact, which names it."""
    book = fed(case)
    ids = {id: each.scope for each in book for id in (each.id, *each.merged_ids)}
    for pick in picks:
        merged(book, picked(book, pick))
    for id, scope in ids.items():
        contact = book.get(id, scope=scope)
        assert scope == contact.scope
        assert id in (contact.id, *contact.merged_ids)
    every = [id for each in book for id in (each.id, *each.merged_ids)]
    assert sorted(ids) == sorted(every)
    loaded = [*book.dump()]
    if case.policy.on_key_in_use != "allow":
        twin = ContactBook.load(case.policy, loaded)
        assert all(
            book.get(id, scope=scope) == twin.get(id, scope=scope)
            for id, scope in ids.items()
        )


@given(CASES, PICKS)
def test_by_any_id_is_by_its_own(case: Case, picks: list[int]) -> None:
    """An old id in a merge means the contact that it leads to."""
    book, twin = fed(case), fed(case)
    ids = picked(book, picks)
    one = merged(book, ids[:2])
    merged(twin, ids[:2])
    if one is not None and one.merged:
        old = one.contact.merged_ids[-1]
        rest = [id for id in ids[2:] if (one.contact.scope, id) in book]
        by_old, by_own = (
            merged(book, [old, *rest]),
            merged(twin, [one.contact.id, *rest]),
        )
        assert repr(by_own) == repr(by_old)
        assert bytes_of(twin) == bytes_of(book)


@given(CASES, PICKS, st.sampled_from(FAULTS), st.integers(1, 4))
def test_a_merge_is_all_or_nothing(
    case: Case, picks: list[int], kind: str, number: int
) -> None:
    """A refusal, or an exception in a host's callable: the book is as before."""
    host = Host()
    book = fed(case, ContactBook(case.policy, ids=host.ids, clock=host.clock))
    before, ids = bytes_of(book), picked(book, picks)
    FUSE.light(kind, number)
    try:
        failed = merged(book, ids) is None
    except Boom:
        failed = True
    finally:
        FUSE.light("", 0)
    book._index.check()
    assert not failed or before == bytes_of(book)


@given(CASES, st.data(), st.sampled_from((None, "", "east")))
def test_duplicates_are_the_transitive_groups(
    case: Case, data: st.DataObject, scope: str | None
) -> None:
    """Everybody compared with everybody, until nothing moves: the same groups."""
    book = fed(case)
    tried(book, case.patch, case.scope, **case.how)
    keys = data.draw(
        st.lists(st.sampled_from([*compiled(case.policy).by_name]), max_size=3)
    )
    people = [each for each in book if scope in (None, each.scope)]
    group = {each.id: place for place, each in enumerate(people)}
    for _ in people:
        for one in people:
            for other in people:
                if shares(case.policy, keys, one, other):
                    group[one.id] = group[other.id] = min(
                        group[one.id], group[other.id]
                    )
    every = [
        [p for p in people if group[p.id] == number] for number in range(len(people))
    ]
    expected = tuple(tuple(each) for each in every if len(each) > 1)

    assert expected == book.duplicates(*keys, scope=scope)


def shares(policy: Policy, keys: list[str], one: Contact, other: Contact) -> bool:
    """Tell whether two contacts of a scope hold a common form."""
    rows = one.to_dict(), other.to_dict()
    return one.scope == other.scope and any(
        {*naive_held(policy, key, rows[0])} & {*naive_held(policy, key, rows[1])}
        for key in policy.all_keys
        if key.name in keys or not keys
    )


KEEPING = Policy(
    first_match("email", "phone"),
    merging(
        {
            "email": field(key=normalize.email, keep_aliases=True),
            "phone": field(key=normalize.phone, rule=union),
            "code": field(key=normalize.exact, keep_aliases=True),
            "name": field(),
        },
        {"phone": union},
    ),
    on_ambiguous="oldest",
)


def listed(patch: dict[str, Any]) -> dict[str, Any]:
    """Make a patch of fields that the policy has, its phones a list."""
    own = {name: value for name, value in patch.items() if name in KEEPING.fields}
    phone = own.get("phone")
    return own | {"phone": phone if isinstance(phone, list) else [phone]}


@given(st.lists(st.tuples(batches(), scopes()), min_size=1, max_size=4))
def test_dedupe_leaves_no_duplicates(calls: list[Any]) -> None:
    """Where no key is lost: one contact of each group, the oldest, and nothing more."""
    book = books(KEEPING)
    for batch, scope in calls:
        for patch in batch:
            book.create(listed(patch), scope=scope)
    before, groups = list(book), book.duplicates()
    outcomes = book.dedupe()

    told = [(o.contact.id, o.merged) for o in outcomes if isinstance(o, Outcome)]
    assert [(each[0].id, each[1:]) for each in groups] == told
    gone = {each.id for group in groups for each in group[1:]}
    assert [c.id for c in before if c.id not in gone] == [c.id for c in book]
    assert book.duplicates() == ()
    for old, key in ((old, key) for old in before for key in KEEPING.all_keys):
        forms = naive_held(KEEPING, key, old.to_dict())
        contact = book.get(old.id, scope=old.scope)
        now = naive_held(KEEPING, key, contact.to_dict())
        assert {*forms} <= {*now}
    after = bytes_of(book)
    assert book.dedupe() == []
    assert after == bytes_of(book)
    book._index.check()


@given(CASES)
def test_dedupe_merges_each_group_or_says_why(case: Case) -> None:
    """One answer per group, each what merging it by hand would have said."""
    book, twin = fed(case), fed(case)
    groups = book.duplicates()
    singly: list[Any] = []
    for group in groups:
        try:
            ids = [each.id for each in group]
            singly.append(twin.merge(*ids, scope=group[0].scope))
        except errors.Refused as error:
            singly.append(error)
    answers = book.dedupe(on_refused="collect")

    assert list(map(repr, singly)) == list(map(repr, answers))
    assert bytes_of(twin) == bytes_of(book)
    plain = not any(composite(key) for key in case.policy.all_keys)
    if plain and all(key.keep_aliases for key in case.policy.all_keys):
        left = [len(g) for g, a in zip(groups, answers, strict=True) if is_refused(a)]
        assert (
            left == []
            or any(line.on_merge for line in case.policy.fields.values())
            or any_limit(case)
        )


def is_refused(answer: Any) -> bool:
    return isinstance(answer, errors.Refused)


def any_limit(case: Case) -> bool:
    """Tell whether a policy knows another reason to refuse a merge."""
    return case.policy.on_found == "refuse" or any(
        key.max_forms for key in case.policy.all_keys
    )


@given(CASES, batches(), st.sampled_from(("", "", *FAULTS)), st.integers(1, 5))
def test_an_atomic_batch_is_the_fold_or_nothing(
    case: Case, batch: list[Any], kind: str, number: int
) -> None:
    """All is done as it would be one by one; or the book is as it was before."""
    book, twin = fed(case), fed(case)
    before = bytes_of(book)
    singly = [tried(twin, patch, case.scope) for patch in batch]
    refused = [each for each in singly if is_refused(each)]
    FUSE.light(kind, number)
    try:
        answers = book.upsert_many(batch, scope=case.scope, atomic=True)
    except Boom:
        assert before == bytes_of(book)
    except errors.Refused:
        assert refused
        assert before == bytes_of(book)
    else:
        assert list(map(repr, singly)) == list(map(repr, answers))
        assert bytes_of(twin) == bytes_of(book)
    finally:
        FUSE.light("", 0)
    book._index.check()


@given(CASES, batches())
def test_an_atomic_batch_is_undone_from_its_end(case: Case, batch: Any) -> None:
    """The outcomes of a batch are as good as any: undone in turn, nothing is left."""
    book = fed(case)
    before = bytes_of(book)
    try:
        outcomes = book.upsert_many(batch, scope=case.scope, atomic=True)
    except errors.Refused:
        return
    for outcome in reversed(outcomes):
        book.undo(outcome)
    assert before == bytes_of(book)
    book._index.check()


@given(CASES, batches(), st.sampled_from(("refuse_later", "refuse_all")))
def test_repeats_are_refused(case: Case, batch: Any, on_duplicates: Any) -> None:
    """Who shares a key is refused and names the others; the rest is the fold."""
    book, twin = fed(case), fed(case)
    alike = repeats_of(case.policy, batch)
    answers: list[Any] = book.upsert_many(
        batch, scope=case.scope, on_refused="collect", on_duplicates=on_duplicates
    )

    assert len(batch) == len(answers)
    for row, (patch, answer) in enumerate(zip(batch, answers, strict=True)):
        others = alike.get(row, [])
        if on_duplicates == "refuse_later":
            others = earlier_alike(case.policy, batch, answers, row)
        if others:
            assert isinstance(answer, errors.DuplicatePatch)
            assert (row, tuple(others)) == (answer.row, answer.others)
        else:
            assert repr(tried(twin, patch, case.scope)) == repr(answer)
    assert bytes_of(twin) == bytes_of(book)
    strict, before = fed(case), bytes_of(fed(case))
    refused = [row for row, each in enumerate(answers) if isinstance(each, Exception)]
    if refused:
        with pytest.raises(errors.Refused) as caught:
            strict.upsert_many(
                batch, scope=case.scope, atomic=True, on_duplicates=on_duplicates
            )
        assert caught.value.row in refused
        assert caught.value.outcomes == ()
        assert before == bytes_of(strict)


CLEARED = Case(KEEPING, [({"email": "a@x", "name": "\n"}, "")], {"email": "A@x"}, "")


@example(CLEARED, [0, 1])
@given(CASES, PICKS)
def test_what_is_told_names_every_field(case: Case, picks: list[int]) -> None:
    """Explaining never fails; who moved, was withheld or ignored stands on a line."""
    book = fed(case)
    try:
        explained(book.plan(case.patch, scope=case.scope, **case.how))
    except errors.Refused:
        pass
    outcome = tried(book, case.patch, case.scope, **case.how)
    joined = merged(book, picked(book, picks))
    for each in (outcome, joined):
        if not isinstance(each, Outcome):
            continue
        explained(each)
        packed = pickle.loads(pickle.dumps(each))  # noqa: S301 - made here
        assert each == packed
        assert repr(each) == repr(packed)
        explained(packed)
    if joined is not None:
        explained(book.undo(joined))


def explained(told: Any) -> None:
    """See that each field of an answer has a line, which says what became of it."""
    lines = told.explain().split("\n")
    assert lines[0].split(",")[0].split()[0] == told.result
    for each in told.changes:
        assert any(line.startswith(f"  {each.field}: ") for line in lines[1:])
    for each in told.withheld:
        start = f"  {each.field}: "
        assert any(
            line.startswith(start) and "withheld" in line and each.holder in line
            for line in lines[1:]
        )
    for name in told.ignored:
        assert any(line.startswith(f"  {name}: not stored: ") for line in lines[1:])
    for one, other in pairwise([*lines, "  end"]):
        assert one
        assert other.startswith("  ")


@given(CASES, st.integers(0, 9))
def test_an_id_is_free_once_its_contact_is_out(case: Case, pick: int) -> None:
    """Deleted for good or undone it can be used again; while it leads to one, not."""
    host = Host()
    book = fed(case, ContactBook(case.policy, ids=host.ids, clock=host.clock))
    outcome = tried(book, case.patch, case.scope, **case.how)
    if isinstance(outcome, Outcome) and outcome.created and pick % 2:
        book.undo(outcome)
    elif len(book):
        someone = list(book)[pick % len(book)]
        book.delete(someone.id, scope=someone.scope)
    if not isinstance(outcome, Outcome):
        return
    id, before = outcome.contact.id, bytes_of(book)
    taken = any(id in contact.ids for contact in book)
    host.number = int(id.removeprefix("c-")) - 1
    eve = {"email": "eve@x.org", "name": "Eve", "at": 1}
    if taken:
        with pytest.raises((ValueError, errors.Refused)):
            book.create(eve, scope="north")
        assert before == bytes_of(book)
    elif isinstance(answer := tried(book, eve, "north"), Outcome):
        assert (id, "north") == (answer.contact.id, answer.contact.scope)
    book._index.check()


@given(CASES, batches())
def test_a_plan_does_not_outlive_an_undone_call(case: Case, between: Any) -> None:
    """A version that comes again is not taken for the contact that had it before."""
    book = fed(case)
    first = tried(book, case.patch, case.scope, **case.how)
    if not isinstance(first, Outcome) or first.unchanged:
        return
    try:
        plan = book.plan(case.patch | {"name": "Zed"}, scope=case.scope)
    except errors.Refused:
        return
    book.undo(first)
    for patch in between:
        tried(book, patch, case.scope)
    now = {contact.id: contact for contact in book}
    before = bytes_of(book)
    try:
        book.apply(plan)
    except errors.StalePlan:
        assert before == bytes_of(book)
    else:
        was = plan.before
        assert was is None or same(was.fields, now[was.id].fields)
        assert was is None or was == now[was.id]

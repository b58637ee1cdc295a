"""Laws of merges, undoing and batches."""

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
from tests.oracle.keys import held_forms as naive_held
from tests.oracle.merging import duplicates_of, earlier_duplicates
from tests.strategies import (
    FAULTS,
    FUSE,
    SCOPES,
    Boom,
    Case,
    Host,
    batches,
    book_after_calls,
    books,
    cases,
    scopes,
    upsert_or_refusal,
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


def picked_ids(book: ContactBook, picks: list[int]) -> list[str]:
    """Pick ids of contacts in the scope of the first one."""
    if not len(book):
        return []
    first = list(book)[picks[0] % len(book)]
    near = [contact.id for contact in book if contact.scope == first.scope]
    return [first.id, *[near[pick % len(near)] for pick in picks[1:]]]


def try_merge(book: ContactBook, ids: list[str]) -> Outcome | None:
    """Merge contacts; return None if that is refused."""
    scope = scope_of(book, ids[0]) if ids else ""
    try:
        return book.merge(*ids, scope=scope, on_itself="ignore") if ids else None
    except errors.Refused:
        return None


def scope_of(book: ContactBook, id: str) -> str:
    """Return the scope in which an id leads to a contact."""
    return next(contact.scope for contact in book if id in contact.ids)


@given(CASES)
def test_undo_of_an_upsert_restores_the_bytes(case: Case) -> None:
    book = book_after_calls(case)
    before, holders = bytes_of(book), holders_of_forms(book)
    outcome = upsert_or_refusal(book, case.patch, case.scope, **case.options)
    if isinstance(outcome, Outcome):
        check_undo(book, outcome, before)
        assert holders == holders_of_forms(book)


@given(CASES, PICKS)
def test_undo_of_a_merge_restores_contacts_and_places(
    case: Case, picks: list[int]
) -> None:
    book = book_after_calls(case)
    before, holders, order = bytes_of(book), holders_of_forms(book), list(book)
    outcome = try_merge(book, picked_ids(book, picks))
    if outcome is None:
        assert before == bytes_of(book)
        return
    check_undo(book, outcome, before)
    assert holders == holders_of_forms(book)
    assert all(old is restored for old, restored in zip(order, book, strict=True))


def check_undo(book: ContactBook, outcome: Outcome, before: str) -> None:
    """Undo; check that all is as before, and that undoing again is refused."""
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
    for absorbed in outcome.merged:
        assert book.get(absorbed.id, scope=scope) is absorbed
    for repeated in (outcome, answer):
        with pytest.raises(errors.StaleOutcome):
            book.undo(repeated)
    assert before == bytes_of(book)


def holders_of_forms(book: ContactBook) -> list[tuple[str, str, list[str]]]:
    """List the holders of every form that is held, in order."""
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
def test_undo_in_reverse_order_empties_the_book(
    case: Case, picks: Any, batch: Any
) -> None:
    """Every outcome is undone, the last first."""
    book, dumps = books(case.policy), ["[]"]
    outcomes: list[Outcome] = []

    def note(outcome: Outcome | errors.Refused | None) -> None:
        if isinstance(outcome, Outcome):
            outcomes.append(outcome)
            dumps.append(bytes_of(book))

    for patch, scope in case.calls:
        note(upsert_or_refusal(book, patch, scope))
    for pick in picks:
        note(try_merge(book, picked_ids(book, pick)))
    for patch in batch:
        note(upsert_or_refusal(book, patch))
    ids = {outcome.contact.id for outcome in outcomes}

    for outcome in reversed(outcomes):
        assert dumps.pop() == bytes_of(book)
        book.undo(pickle.loads(pickle.dumps(outcome)))  # noqa: S301 - made here
        book._index.check()
    assert dumps == ["[]"]
    assert not any((scope, id) in book for id in ids for scope in SCOPES)


@given(CASES, batches())
def test_overtaken_outcome_is_stale(case: Case, between: list[Any]) -> None:
    """Undo works only while the contact is the one of the outcome."""
    book = book_after_calls(case)
    outcome = upsert_or_refusal(book, case.patch, case.scope, **case.options)
    for patch in between:
        upsert_or_refusal(book, patch, case.scope)
    if not isinstance(outcome, Outcome) or outcome.unchanged:
        return
    before = bytes_of(book)
    ids = [contact.id for contact in book]
    id, scope = outcome.contact.id, outcome.contact.scope
    current = book.get(id, scope=scope) if id in ids else None
    try:
        book.undo(outcome)
    except errors.StaleOutcome:
        assert before == bytes_of(book)
        holds = any(key.unique for key in case.policy.all_keys)
        assert current != outcome.contact or (holds and outcome.before)
    else:
        assert current == outcome.contact
    book._index.check()


@pytest.mark.parametrize("on_key_in_use", ["refuse", "withhold", "allow"])
def test_undo_of_a_key_that_another_has_taken_is_stale(on_key_in_use: Any) -> None:
    """Under "allow" both hold it."""
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
            contact.id for contact in book.find("email", "a@x.org")
        ]
    else:
        with pytest.raises(errors.StaleOutcome):
            book.undo(moved)
        assert before == bytes_of(book)
        book.undo(taker)
        assert moved.before == book.undo(moved).contact
    book._index.check()


@given(CASES, st.lists(PICKS, min_size=1, max_size=3))
def test_id_of_before_a_merge_leads_to_one_contact(case: Case, picks: Any) -> None:
    """That contact names it."""
    book = book_after_calls(case)
    ids = {
        id: contact.scope
        for contact in book
        for id in (contact.id, *contact.merged_ids)
    }
    for pick in picks:
        try_merge(book, picked_ids(book, pick))
    for id, scope in ids.items():
        contact = book.get(id, scope=scope)
        assert scope == contact.scope
        assert id in (contact.id, *contact.merged_ids)
    final_ids = [id for contact in book for id in (contact.id, *contact.merged_ids)]
    assert sorted(ids) == sorted(final_ids)
    loaded = [*book.dump()]
    if case.policy.on_key_in_use != "allow":
        twin = ContactBook.load(case.policy, loaded)
        assert all(
            book.get(id, scope=scope) == twin.get(id, scope=scope)
            for id, scope in ids.items()
        )


@given(CASES, PICKS)
def test_old_id_in_a_merge_means_its_contact(case: Case, picks: list[int]) -> None:
    book, twin = book_after_calls(case), book_after_calls(case)
    ids = picked_ids(book, picks)
    outcome = try_merge(book, ids[:2])
    try_merge(twin, ids[:2])
    if outcome is not None and outcome.merged:
        old = outcome.contact.merged_ids[-1]
        rest = [id for id in ids[2:] if (outcome.contact.scope, id) in book]
        by_old, by_own = (
            try_merge(book, [old, *rest]),
            try_merge(twin, [outcome.contact.id, *rest]),
        )
        assert repr(by_own) == repr(by_old)
        assert bytes_of(twin) == bytes_of(book)


@given(CASES, PICKS, st.sampled_from(FAULTS), st.integers(1, 4))
def test_failed_merge_leaves_the_book_unchanged(
    case: Case, picks: list[int], kind: str, number: int
) -> None:
    """After a refusal, or an exception in a function of the host."""
    host = Host()
    book = book_after_calls(
        case, ContactBook(case.policy, ids=host.ids, clock=host.clock)
    )
    before, ids = bytes_of(book), picked_ids(book, picks)
    FUSE.light(kind, number)
    try:
        failed = try_merge(book, ids) is None
    except Boom:
        failed = True
    finally:
        FUSE.light("", 0)
    book._index.check()
    assert not failed or before == bytes_of(book)


@given(CASES, st.data(), st.sampled_from((None, "", "east")))
def test_duplicates_are_the_transitive_groups_of_a_naive_search(
    case: Case, data: st.DataObject, scope: str | None
) -> None:
    """The naive way compares all pairs until no group changes."""
    book = book_after_calls(case)
    upsert_or_refusal(book, case.patch, case.scope, **case.options)
    keys = data.draw(
        st.lists(st.sampled_from([*compiled(case.policy).by_name]), max_size=3)
    )
    people = [person for person in book if scope in (None, person.scope)]
    group = {person.id: place for place, person in enumerate(people)}
    for _ in people:
        for one in people:
            for other in people:
                if shares(case.policy, keys, one, other):
                    group[one.id] = group[other.id] = min(
                        group[one.id], group[other.id]
                    )
    groups = [
        [p for p in people if group[p.id] == number] for number in range(len(people))
    ]
    expected = tuple(tuple(members) for members in groups if len(members) > 1)

    assert expected == book.duplicates(*keys, scope=scope)


def shares(policy: Policy, keys: list[str], one: Contact, other: Contact) -> bool:
    """Return whether two contacts of a scope hold a common form."""
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


def with_phone_list(patch: dict[str, Any]) -> dict[str, Any]:
    """Make a patch of fields that the policy has, with a list of phones."""
    own = {name: value for name, value in patch.items() if name in KEEPING.fields}
    phone = own.get("phone")
    return own | {"phone": phone if isinstance(phone, list) else [phone]}


@given(st.lists(st.tuples(batches(), scopes()), min_size=1, max_size=4))
def test_dedupe_keeps_the_oldest_of_each_group(calls: list[Any]) -> None:
    """Under a policy that loses no key, no duplicates are left."""
    book = books(KEEPING)
    for batch, scope in calls:
        for patch in batch:
            book.create(with_phone_list(patch), scope=scope)
    before, groups = list(book), book.duplicates()
    outcomes = book.dedupe()

    answered = [
        (outcome.contact.id, outcome.merged)
        for outcome in outcomes
        if isinstance(outcome, Outcome)
    ]
    assert [(group[0].id, group[1:]) for group in groups] == answered
    absorbed = {member.id for group in groups for member in group[1:]}
    assert [contact.id for contact in before if contact.id not in absorbed] == [
        contact.id for contact in book
    ]
    assert book.duplicates() == ()
    for old, key in ((old, key) for old in before for key in KEEPING.all_keys):
        forms = naive_held(KEEPING, key, old.to_dict())
        contact = book.get(old.id, scope=old.scope)
        kept = naive_held(KEEPING, key, contact.to_dict())
        assert {*forms} <= {*kept}
    after = bytes_of(book)
    assert book.dedupe() == []
    assert after == bytes_of(book)
    book._index.check()


@given(CASES)
def test_dedupe_answers_as_a_merge_of_each_group(case: Case) -> None:
    """One answer for each group."""
    book, twin = book_after_calls(case), book_after_calls(case)
    groups = book.duplicates()
    singly: list[Any] = []
    for group in groups:
        try:
            ids = [contact.id for contact in group]
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
            or may_refuse_merges(case)
        )


def is_refused(answer: Any) -> bool:
    return isinstance(answer, errors.Refused)


def may_refuse_merges(case: Case) -> bool:
    """Return whether a policy has another reason to refuse a merge."""
    return case.policy.on_found == "refuse" or any(
        key.max_forms for key in case.policy.all_keys
    )


@given(CASES, batches(), st.sampled_from(("", "", *FAULTS)), st.integers(1, 5))
def test_atomic_batch_is_the_fold_or_changes_nothing(
    case: Case, batch: list[Any], kind: str, number: int
) -> None:
    book, twin = book_after_calls(case), book_after_calls(case)
    before = bytes_of(book)
    singly = [upsert_or_refusal(twin, patch, case.scope) for patch in batch]
    refused = [answer for answer in singly if is_refused(answer)]
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
def test_atomic_batch_is_undone_in_reverse_order(case: Case, batch: Any) -> None:
    book = book_after_calls(case)
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
def test_duplicate_patches_are_refused_with_the_others_named(
    case: Case, batch: Any, on_duplicates: Any
) -> None:
    """The other patches are the fold."""
    book, twin = book_after_calls(case), book_after_calls(case)
    duplicates = duplicates_of(case.policy, batch)
    answers: Any = book.upsert_many(
        batch, scope=case.scope, on_refused="collect", on_duplicates=on_duplicates
    )

    assert len(batch) == len(answers)
    for row, (patch, answer) in enumerate(zip(batch, answers, strict=True)):
        others = duplicates.get(row, [])
        if on_duplicates == "refuse_later":
            others = earlier_duplicates(case.policy, batch, answers, row)
        if others:
            assert isinstance(answer, errors.DuplicatePatch)
            assert (row, tuple(others)) == (answer.row, answer.others)
        else:
            assert repr(upsert_or_refusal(twin, patch, case.scope)) == repr(answer)
    assert bytes_of(twin) == bytes_of(book)
    strict, before = book_after_calls(case), bytes_of(book_after_calls(case))
    refused = [
        row for row, answer in enumerate(answers) if isinstance(answer, Exception)
    ]
    if refused:
        with pytest.raises(errors.Refused) as error:
            strict.upsert_many(
                batch, scope=case.scope, atomic=True, on_duplicates=on_duplicates
            )
        assert error.value.row in refused
        assert error.value.outcomes == ()
        assert before == bytes_of(strict)


CLEARED = Case(KEEPING, [({"email": "a@x", "name": "\n"}, "")], {"email": "A@x"}, "")


@example(CLEARED, [0, 1])
@given(CASES, PICKS)
def test_explanation_names_every_field(case: Case, picks: list[int]) -> None:
    """Changed, withheld and ignored fields have a line each."""
    book = book_after_calls(case)
    try:
        check_explanation(book.plan(case.patch, scope=case.scope, **case.options))
    except errors.Refused:
        pass
    outcome = upsert_or_refusal(book, case.patch, case.scope, **case.options)
    merge_outcome = try_merge(book, picked_ids(book, picks))
    for answer in (outcome, merge_outcome):
        if not isinstance(answer, Outcome):
            continue
        check_explanation(answer)
        packed = pickle.loads(pickle.dumps(answer))  # noqa: S301 - made here
        assert answer == packed
        assert repr(answer) == repr(packed)
        check_explanation(packed)
    if merge_outcome is not None:
        check_explanation(book.undo(merge_outcome))


def check_explanation(answer: Any) -> None:
    """Check that each field of an answer has a line, which says what happened to it."""
    lines = answer.explain().split("\n")
    assert lines[0].split(",")[0].split()[0] == answer.result
    for item in answer.changes:
        assert any(line.startswith(f"  {item.field}: ") for line in lines[1:])
    for item in answer.withheld:
        start = f"  {item.field}: "
        assert any(
            line.startswith(start) and "withheld" in line and item.holder in line
            for line in lines[1:]
        )
    for name in answer.ignored:
        assert any(line.startswith(f"  {name}: not stored: ") for line in lines[1:])
    for one, other in pairwise([*lines, "  end"]):
        assert one
        assert other.startswith("  ")


@given(CASES, st.integers(0, 9))
def test_id_is_free_after_its_contact_is_deleted_or_undone(
    case: Case, pick: int
) -> None:
    """While it leads to a contact of the scope, it is refused."""
    host = Host()
    book = book_after_calls(
        case, ContactBook(case.policy, ids=host.ids, clock=host.clock)
    )
    outcome = upsert_or_refusal(book, case.patch, case.scope, **case.options)
    if isinstance(outcome, Outcome) and outcome.created and pick % 2:
        book.undo(outcome)
    elif len(book):
        contact = list(book)[pick % len(book)]
        book.delete(contact.id, scope=contact.scope)
    if not isinstance(outcome, Outcome):
        return
    id, before = outcome.contact.id, bytes_of(book)
    taken = any(id in one.ids for one in book if one.scope == "north")
    host.number = int(id.removeprefix("c-")) - 1
    eve = {"email": "eve@x.org", "name": "Eve", "at": 1}
    if taken:
        with pytest.raises((ValueError, errors.Refused)):
            book.create(eve, scope="north")
        assert before == bytes_of(book)
    elif isinstance(answer := upsert_or_refusal(book, eve, "north"), Outcome):
        assert (id, "north") == (answer.contact.id, answer.contact.scope)
    book._index.check()


@given(CASES, batches())
def test_plan_made_before_an_undo_is_stale_or_still_right(
    case: Case, between: Any
) -> None:
    """A version that comes again is not taken for the contact of the plan."""
    book = book_after_calls(case)
    first = upsert_or_refusal(book, case.patch, case.scope, **case.options)
    if not isinstance(first, Outcome) or first.unchanged:
        return
    try:
        plan = book.plan(case.patch | {"name": "Zed"}, scope=case.scope)
    except errors.Refused:
        return
    book.undo(first)
    for patch in between:
        upsert_or_refusal(book, patch, case.scope)
    current = {contact.id: contact for contact in book}
    before = bytes_of(book)
    try:
        book.apply(plan)
    except errors.StalePlan:
        assert before == bytes_of(book)
    else:
        before_plan = plan.before
        assert before_plan is None or same(
            before_plan.fields, current[before_plan.id].fields
        )
        assert before_plan is None or before_plan == current[before_plan.id]

"""The rules of behaviour, each as a law over drawn policies, books and patches."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.oracle.keys import forms
from tests.oracle.values import absent
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
    scopes,
    tidy,
    trial,
    tried,
)
from upsertcore import (
    ContactBook,
    Outcome,
    Policy,
    errors,
    field,
    first_match,
    merge_all,
    normalize,
)
from upsertcore.laws import CALLS, Trial, check_log, claims
from upsertcore.rules import immutable, remove, replace
from upsertcore.values import empty, freeze, same, thaw

Patch = dict[str, Any]
MANY = st.lists(patches(), max_size=6)


def bytes_of(book: ContactBook) -> str:
    return json.dumps(book.dump())


def held(case: Case, *, but: tuple[str, ...] = ()) -> Trial:
    """See that the last call of a case keeps every law that its policy claims."""
    tried_once = trial(case)
    # A plan is made under a book's own table, and not under that of one call.
    left = (*but, *(["plan_is_upsert"] if case.how else []))
    carries = bool(tried_once.keys_sent)
    for name, law in CALLS.items():
        if name not in left and claims(tried_once.policy, name, carries=carries):
            law(tried_once)
    return tried_once


@given(st.one_of(cases(), cases(wanted=merge_all)))
def test_every_law_of_a_call_is_kept(case: Case) -> None:
    """Whatever the policy; idempotence only where no host's rule is what finds."""
    held(case, but=("idempotent", "finds_again"))


@given(st.one_of(cases(), cases(wanted=merge_all)))
def test_every_law_of_a_log_is_kept(case: Case) -> None:
    """The first calls of a case, sent to an empty book in one scope."""
    check_log(case.policy, [*[patch for patch, _ in case.calls[:3]], case.patch])


@given(cases(strict=True))
def test_1_twice_is_once(case: Case) -> None:
    """The second call is unchanged, says the same contact, and moves nothing."""
    twice(case)


@given(cases(strict=True, wanted=first_match))
def test_1_guarded_twice_is_once(case: Case) -> None:
    """Nor does a guard, or what it leaves out of the patch, tell the calls apart."""
    twice(case)


@given(cases(strict=True, wanted=merge_all))
def test_1_merging_twice_is_merging_once(case: Case) -> None:
    """Who was absorbed is not absorbed again: merged, and then unchanged."""
    twice(case)


def twice(case: Case) -> None:
    """See that every law is kept, and that the very same contact is told again."""
    done = held(case)
    first, second = done.first, done.second
    if isinstance(first, Outcome):
        assert isinstance(second, Outcome)
        assert second.contact is first.contact
        assert second.before is first.contact
        assert (second.changes, second.merged) == ((), ())
        assert repr(done.after) == repr(done.after_second)


@given(st.one_of(cases(), cases(wanted=merge_all)))
def test_1_what_is_told_agrees_with_what_moved(case: Case) -> None:
    """Updated is a field or a clock that moved, merged is somebody absorbed."""
    outcome = last(case)
    if outcome is None or outcome.before is None:
        return
    before, after = outcome.before, outcome.contact
    written = not same(before.fields, after.fields)
    ticked = not same(before.clocks, after.clocks)
    back = before.deleted_at is not None

    assert outcome.updated == ((written or ticked or back) and not outcome.merged)
    assert (outcome.result == "merged") == bool(outcome.merged)
    assert bool(outcome.changes) == written
    assert same(before.aliases, after.aliases) or written or outcome.merged


@given(cases())
def test_2_omitted_has_its_default_or_is_absent(case: Case) -> None:
    """At creation; a contact that is there keeps it, which is a law of the kit."""
    outcome = last(case)
    if outcome is None or not outcome.created:
        return
    for name in {*RULES, *outcome.contact} - {*case.patch} - {*joined(case, outcome)}:
        line = case.policy.fields[name]
        assert same(freeze(line.default), outcome.contact.get(name))


def joined(case: Case, outcome: Outcome) -> list[str]:
    """List the fields that a sent value may join though they are not sent."""
    joins = [key for key in case.policy.all_keys if key.append_new]
    return [
        key.fields[-1]
        for key in joins
        if outcome.ignored.get(key.fields[0]) == "additional"
    ]


def merged_by_rule(case: Case) -> list[str]:
    lines = case.policy.fields.items()
    return [name for name, line in lines if line.on_merge is not None]


@given(cases(wanted=merge_all))
def test_2_omitted_is_what_the_merged_contacts_had(case: Case) -> None:
    """What is not sent is filled from those absorbed, unless the policy says how."""
    outcome = last(case)
    if outcome is None or not outcome.merged or outcome.before is None:
        return
    withheld = {each.field for each in outcome.withheld}
    apart = {*case.patch, *merged_by_rule(case), *joined(case, outcome), *withheld}
    rows = (outcome.before, *outcome.merged)
    for name in {*RULES, *outcome.contact} - apart:
        line = case.policy.fields.get(name)
        every: Any = line or case.policy.extra_fields
        rule = every and every.rule
        if rule is None or rule.by is None:
            held = [row[name] for row in rows if name in row]
            default = None if line is None else line.default
            full = [value for value in held if not absent(thaw(value), default)]
            expected = (*full[:1], *held[:1], None)[0]
            assert same(expected, outcome.contact.get(name)), (name, held)


SILENT = Policy(
    first_match("email"),
    {
        "email": field(key=normalize.email),
        "tags": field(rule=remove),
        "name": field(rule=immutable),
    },
)
ADA = {"email": "ada@x.org"}


@example(Case(SILENT, [({**ADA, "name": ""}, "")], {**ADA, "name": None}, ""))
@given(st.one_of(cases(), cases(wanted=merge_all)))
def test_3_nothing_is_dropped_silently(case: Case) -> None:
    """Each sent field is stored, withheld or ignored, and then named with a reason."""
    outcome = last(case)
    if outcome is None:
        return
    withheld = {each.field: each for each in outcome.withheld}

    assert {*outcome.ignored} <= {*case.patch}
    assert {*withheld} <= {*case.patch, *joined(case, outcome)} or outcome.merged
    for each in outcome.withheld:
        assert each.holder not in (outcome.contact.id, "")
    for name, raw in case.patch.items():
        if name in outcome.ignored:
            explained(case, outcome, name)
        elif name not in withheld:
            sent = cleaned(case.policy, name, raw, **case.how)
            stored = outcome.contact.get(name)
            assert stores(rule_of(case, name), outcome, name, sent), (name, stored)


def rule_of(case: Case, name: str) -> str:
    line: Any = case.policy.fields.get(name) or case.policy.extra_fields
    own = case.how.get("rules", {}).get(name)
    return str(own or (line and line.rule))


REASONS = (
    *("null", "blank", "blocked", "guard", "limit", "on_found", "additional"),
    "composite",
)


def explained(case: Case, outcome: Outcome, name: str) -> None:
    """See that a reason is one, and that it is true where that is to be seen."""
    reason = outcome.ignored[name]
    assert reason in (*REASONS, rule_of(case, name))
    sent = cleaned(case.policy, name, case.patch[name], **case.how)
    if reason in ("null", "blank"):
        assert empty(freeze(case.patch[name])) or empty(sent)
    if reason == "update":
        assert outcome.unchanged
        assert case.policy.on_found == "ignore"
    if reason == "additional":
        key = next(k for k in case.policy.all_keys if k.any_of and k.fields[0] == name)
        blank = [each.field for each in outcome.withheld]
        rest = {n: v for n, v in thaw(outcome.contact.fields).items() if n != name}
        there = forms(case.policy, key, rest)
        assert {*forms(case.policy, key, {name: thaw(sent)})} <= {*there} or blank


def stores(rule: str, outcome: Outcome, name: str, sent: Any) -> bool:
    """Tell whether a stored value shows what was sent, by what its rule is for."""
    stored = outcome.contact.get(name)
    if rule == "unset" or (
        sent is None and rule in (*JOINING, "append", "add_or_remove")
    ):
        return stored is None
    if rule in JOINING:
        return shows(rule, stored, sent)
    if rule == "append":
        return bool(stored[len(stored) - len(sent) :] == sent)
    if rule == "add_or_remove":
        last = {word.removeprefix("-"): not word.startswith("-") for word in sent}
        return all((word in (stored or ())) == there for word, there in last.items())
    if rule == "add":
        was = outcome.before and not outcome.merged and outcome.before.get(name)
        return bool(outcome.merged or empty(sent) or stored == (was or 0) + sent)
    return same(stored, sent)


JOINING = ("union", "remove", "deep", "deep_keep", "items_by('id')")


def shows(rule: str, stored: Any, sent: Any) -> bool:
    if rule == "union":
        return all(any(same(i, s) for s in stored) for i in sent)
    if rule == "remove":
        return not any(same(i, s) for s in stored or () for i in sent)
    if rule == "items_by('id')":
        return all(any(laid(i, s) for s in stored) for i in sent)
    if not (isinstance(thaw(sent), dict) and isinstance(thaw(stored), dict)):
        return same(stored, sent)
    return all(shows("deep", stored.get(n), v) for n, v in sent.items())


def laid(item: Any, stored: Any) -> bool:
    return all(n in stored and same(stored[n], v) for n, v in item.items())


@given(
    st.one_of(cases(), cases(wanted=merge_all)),
    st.sampled_from(FAULTS),
    st.integers(1, 4),
)
def test_6_all_or_nothing(case: Case, kind: str, number: int) -> None:
    """A refusal, or an exception in a host's callable: the book is as before."""
    host = Host()
    book = ContactBook(case.policy, ids=host.ids, clock=host.clock)
    before = bytes_of(fed(case, book))
    FUSE.light(kind, number)
    try:
        answer = tried(book, case.patch, case.scope, **case.how)
        failed = isinstance(answer, errors.Refused)
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
    own = {name: each[0] for name, each in KEYS.items()}
    lines = {n: field(clean=tidy, key=own.get(n)) for n in RULES}
    policy = Policy(
        first_match(*KEYS),
        lines,
        extra_fields=field(rule=replace),
        on_ambiguous="oldest",
    )
    book = fed(Case(policy, [(each, "") for each in calls], patch, ""))
    outcome = tried(book, patch)
    if not isinstance(outcome, Outcome):
        return
    clean = {name: outcome.contact.get(name) for name in patch}

    for name, raw in patch.items():
        assert same(cleaned(policy, name, raw), clean[name])
    assert book.upsert(patch).unchanged
    assert book.upsert(clean).unchanged


@given(st.one_of(cases(), cases(wanted=merge_all)))
def test_10_the_same_calls_make_the_same_bytes(case: Case) -> None:
    """Same policy, calls, ids and clock: same bytes; loaded, old ids lead as before."""
    book = fed(case)
    tried(book, case.patch, case.scope, **case.how)
    again = fed(case)
    tried(again, case.patch, case.scope, **case.how)
    first = bytes_of(book)

    assert first == bytes_of(again)
    if case.policy.on_key_in_use != "allow":
        loaded = ContactBook.load(case.policy, json.loads(first))
        for contact in book:
            for old in contact.merged_ids:
                assert loaded.get(old, scope=contact.scope) == contact


@given(st.one_of(cases(), cases(wanted=merge_all)))
def test_a_plan_says_what_upsert_does(case: Case) -> None:
    """Planning moves nothing; applying at once does what upsert would have done."""
    book, twin = fed(case), fed(case)
    before = bytes_of(book)
    try:
        plan = book.plan(case.patch, scope=case.scope, **case.how)
        assert before == bytes_of(book)
        answer: Any = book.apply(plan)
        assert (plan.result, plan.changes) == (answer.result, answer.changes)
    except errors.Refused as error:
        answer = error

    assert repr(tried(twin, case.patch, case.scope, **case.how)) == repr(answer)
    assert bytes_of(twin) == bytes_of(book)


@given(
    st.one_of(cases(), cases(wanted=merge_all)),
    st.lists(st.tuples(patches(), scopes()), min_size=1, max_size=3),
)
def test_a_plan_overtaken_is_stale_or_still_right(case: Case, between: Any) -> None:
    """After other calls a plan is refused, or does what upsert would do now."""
    book, twin = fed(case), fed(case)
    try:
        plan = book.plan(case.patch, scope=case.scope, **case.how)
    except errors.Refused:
        return
    for patch, scope in between:
        tried(book, patch, scope)
        tried(twin, patch, scope)
    before = bytes_of(book)
    try:
        answer = book.apply(plan)
    except errors.StalePlan:
        assert before == bytes_of(book)
        assert plan.before is not None or len(book)
    else:
        assert repr(tried(twin, case.patch, case.scope, **case.how)) == repr(answer)
        assert bytes_of(twin) == bytes_of(book)


@given(cases(wanted=merge_all))
def test_who_was_absorbed_leads_to_who_absorbed(case: Case) -> None:
    """The id of an absorbed contact gives the survivor, and is no contact itself."""
    book = fed(case)
    outcome = tried(book, case.patch, case.scope, **case.how)
    if not isinstance(outcome, Outcome) or outcome.before is None:
        return
    old = (i for each in outcome.merged for i in (each.id, *each.merged_ids))
    expected = dict.fromkeys((*outcome.before.merged_ids, *old))

    assert tuple(expected) == outcome.contact.merged_ids
    for id in outcome.contact.merged_ids:
        assert (case.scope, id) in book
        assert book.get(id, scope=case.scope) is outcome.contact
        assert id not in [contact.id for contact in book]
        with pytest.raises(errors.UnknownContact):
            book.delete(id, scope=case.scope)
    deleted = book.delete(outcome.contact.id, scope=case.scope)
    stays = case.policy.on_deleted != "forget"
    for id in (outcome.contact.id, *expected):
        assert ((case.scope, id) in book) == stays
        assert not stays or book.get(id, scope=case.scope) is deleted

"""Laws of upserts over drawn policies, books and patches."""

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
    book_after_calls,
    cases,
    cleaned,
    last_outcome,
    patches,
    scopes,
    tidy,
    trial,
    upsert_or_refusal,
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


def check_laws(case: Case, *, but: tuple[str, ...] = ()) -> Trial:
    """Check the claimed laws on the last call of a case; return the trial."""
    checked = trial(case)
    carries = bool(checked.keys_sent)
    for name, law in CALLS.items():
        if name not in but and claims(checked.policy, name, carries=carries):
            law(checked)
    return checked


@given(st.one_of(cases(), cases(wanted=merge_all)))
def test_call_keeps_every_claimed_law(case: Case) -> None:
    """Idempotence is left out: it holds only where no host's rule changes a key."""
    check_laws(case, but=("idempotent", "finds_again"))


@given(st.one_of(cases(), cases(wanted=merge_all)))
def test_log_keeps_every_claimed_law(case: Case) -> None:
    """The first calls of a case are sent to an empty book in one scope."""
    check_log(case.policy, [*[patch for patch, _ in case.calls[:3]], case.patch])


@given(cases(strict=True))
def test_repeated_upsert_is_unchanged(case: Case) -> None:
    """The second call gives the same contact and changes nothing."""
    check_repeated_call(case)


@given(cases(strict=True, wanted=first_match))
def test_repeated_guarded_upsert_is_unchanged(case: Case) -> None:
    """Neither a guard, nor a key that it leaves out, makes a difference."""
    check_repeated_call(case)


@given(cases(strict=True, wanted=merge_all))
def test_repeated_merging_upsert_is_unchanged(case: Case) -> None:
    """The first call merges; no contact is absorbed again."""
    check_repeated_call(case)


def check_repeated_call(case: Case) -> None:
    """Check the claimed laws, and that both calls give the same contact object."""
    checked = check_laws(case)
    first, second = checked.first, checked.second
    if isinstance(first, Outcome):
        assert isinstance(second, Outcome)
        assert second.contact is first.contact
        assert second.before is first.contact
        assert (second.changes, second.merged) == ((), ())
        assert repr(checked.after) == repr(checked.after_second)


@given(st.one_of(cases(), cases(wanted=merge_all)))
def test_result_agrees_with_the_changes(case: Case) -> None:
    """Updated means a field or clock changed; merged means a contact was absorbed."""
    outcome = last_outcome(case)
    if outcome is None or outcome.before is None:
        return
    before, after = outcome.before, outcome.contact
    fields_changed = not same(before.fields, after.fields)
    clocks_changed = not same(before.clocks, after.clocks)
    restored = before.deleted_at is not None

    assert outcome.updated == (
        (fields_changed or clocks_changed or restored) and not outcome.merged
    )
    assert (outcome.result == "merged") == bool(outcome.merged)
    assert bool(outcome.changes) == fields_changed
    assert same(before.aliases, after.aliases) or fields_changed or outcome.merged


@given(cases())
def test_omitted_field_of_a_new_contact_has_its_default(case: Case) -> None:
    """Without a default it is absent. A law of the kit covers existing contacts."""
    outcome = last_outcome(case)
    if outcome is None or not outcome.created:
        return
    for name in (
        {*RULES, *outcome.contact} - {*case.patch} - {*fields_joined(case, outcome)}
    ):
        line = case.policy.fields[name]
        assert same(freeze(line.default), outcome.contact.get(name))


def fields_joined(case: Case, outcome: Outcome) -> list[str]:
    """List the fields that a sent value of another field may join."""
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
def test_omitted_field_of_a_merge_is_filled_from_the_absorbed(case: Case) -> None:
    """Unless the policy has a rule for merging it, or the call clears it."""
    case.options.pop("omitted", None)
    outcome = last_outcome(case)
    if outcome is None or not outcome.merged or outcome.before is None:
        return
    withheld = {item.field for item in outcome.withheld}
    excluded = {
        *case.patch,
        *merged_by_rule(case),
        *fields_joined(case, outcome),
        *withheld,
    }
    rows = (outcome.before, *outcome.merged)
    for name in {*RULES, *outcome.contact} - excluded:
        line = case.policy.fields.get(name)
        line_or_extra: Any = line or case.policy.extra_fields
        rule = line_or_extra and line_or_extra.rule
        if rule is None or rule.by is None:
            values = [row[name] for row in rows if name in row]
            default = None if line is None else line.default
            not_absent = [value for value in values if not absent(thaw(value), default)]
            expected = (*not_absent[:1], *values[:1], None)[0]
            assert same(expected, outcome.contact.get(name)), (name, values)


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
def test_sent_field_is_stored_withheld_or_ignored_with_a_reason(case: Case) -> None:
    outcome = last_outcome(case)
    if outcome is None:
        return
    withheld = {item.field: item for item in outcome.withheld}

    assert {*outcome.ignored} <= {*case.patch}
    assert {*withheld} <= {*case.patch, *fields_joined(case, outcome)} or outcome.merged
    for item in outcome.withheld:
        assert item.holder not in (outcome.contact.id, "")
    for name, raw in case.patch.items():
        if name in outcome.ignored:
            check_reason(case, outcome, name)
        elif name not in withheld:
            sent = cleaned(case.policy, name, raw, **case.options)
            stored = outcome.contact.get(name)
            assert shows_sent_value(rule_of(case, name), outcome, name, sent), (
                name,
                stored,
            )


def rule_of(case: Case, name: str) -> str:
    line: Any = case.policy.fields.get(name) or case.policy.extra_fields
    of_call = case.options.get("rules", {}).get(name)
    return str(of_call or (line and line.rule))


REASONS = (
    *("null", "blank", "blocked", "guard", "limit", "on_found", "additional"),
    "composite",
)


def check_reason(case: Case, outcome: Outcome, name: str) -> None:
    """Check that the reason for ignoring a field is known and true."""
    reason = outcome.ignored[name]
    assert reason in (*REASONS, rule_of(case, name))
    sent = cleaned(case.policy, name, case.patch[name], **case.options)
    if reason in ("null", "blank"):
        assert empty(freeze(case.patch[name])) or empty(sent)
    if reason == "update":
        assert outcome.unchanged
        assert case.policy.on_found == "ignore"
    if reason == "additional":
        key = next(k for k in case.policy.all_keys if k.any_of and k.fields[0] == name)
        withheld = [item.field for item in outcome.withheld]
        others = {n: v for n, v in thaw(outcome.contact.fields).items() if n != name}
        additional = forms(case.policy, key, others)
        assert {*forms(case.policy, key, {name: thaw(sent)})} <= {
            *additional
        } or withheld


def shows_sent_value(rule: str, outcome: Outcome, name: str, sent: Any) -> bool:
    """Return whether a stored value shows the sent one, by the purpose of its rule."""
    stored = outcome.contact.get(name)
    if rule == "unset" or (
        sent is None and rule in (*JOINING, "append", "add_or_remove")
    ):
        return stored is None
    if rule in JOINING:
        return contains(rule, stored, sent)
    if rule == "append":
        return bool(stored[len(stored) - len(sent) :] == sent)
    if rule == "add_or_remove":
        wanted = {word.removeprefix("-"): not word.startswith("-") for word in sent}
        return all(
            (word in (stored or ())) == expected for word, expected in wanted.items()
        )
    if rule == "add":
        before = outcome.before and not outcome.merged and outcome.before.get(name)
        return bool(outcome.merged or empty(sent) or stored == (before or 0) + sent)
    return same(stored, sent)


JOINING = ("union", "remove", "deep", "deep_keep", "items_by('id')")


def contains(rule: str, stored: Any, sent: Any) -> bool:
    if rule == "union":
        return all(any(same(i, s) for s in stored) for i in sent)
    if rule == "remove":
        return not any(same(i, s) for s in stored or () for i in sent)
    if rule == "items_by('id')":
        return all(any(is_laid_over(i, s) for s in stored) for i in sent)
    if not (isinstance(thaw(sent), dict) and isinstance(thaw(stored), dict)):
        return same(stored, sent)
    return all(contains("deep", stored.get(n), v) for n, v in sent.items())


def is_laid_over(item: Any, stored: Any) -> bool:
    return all(n in stored and same(stored[n], v) for n, v in item.items())


@given(
    st.one_of(cases(), cases(wanted=merge_all)),
    st.sampled_from(FAULTS),
    st.integers(1, 4),
)
def test_failed_upsert_leaves_the_book_unchanged(
    case: Case, kind: str, number: int
) -> None:
    """After a refusal, or an exception in a function of the host."""
    host = Host()
    book = ContactBook(case.policy, ids=host.ids, clock=host.clock)
    before = bytes_of(book_after_calls(case, book))
    FUSE.light(kind, number)
    try:
        answer = upsert_or_refusal(book, case.patch, case.scope, **case.options)
        failed = isinstance(answer, errors.Refused)
    except Boom:
        failed = True
    finally:
        FUSE.light("", 0)

    book._index.check()
    assert not failed or before == bytes_of(book)


@given(case=cases(), batch=st.lists(patches(), max_size=5), go_on=st.booleans())
def test_batch_is_the_fold_of_its_calls(
    case: Case, batch: list[Patch], *, go_on: bool
) -> None:
    """Up to the first refusal, or past it."""
    book, twin = book_after_calls(case), book_after_calls(case)
    singly: list[Any] = []
    for patch in batch:
        singly.append(upsert_or_refusal(twin, patch))
        if isinstance(singly[-1], errors.Refused) and not go_on:
            break
    try:
        how: Any = "collect" if go_on else "raise"
        together: list[Any] = [*book.upsert_many(batch, on_refused=how)]
    except errors.Refused as error:
        together = [*singly[:-1], error]

    assert list(map(repr, singly)) == list(map(repr, together))
    assert bytes_of(twin) == bytes_of(book)


@given(MANY, patches(extra=False))
def test_cleaned_value_is_stored_and_unchanged_when_sent_again(
    calls: Any, patch: Patch
) -> None:
    """The raw patch is unchanged when sent again, and so is the cleaned one."""
    normalisers = {name: item[0] for name, item in KEYS.items()}
    lines = {n: field(clean=tidy, key=normalisers.get(n)) for n in RULES}
    policy = Policy(
        first_match(*KEYS),
        lines,
        extra_fields=field(rule=replace),
        on_ambiguous="oldest",
    )
    book = book_after_calls(Case(policy, [(item, "") for item in calls], patch, ""))
    outcome = upsert_or_refusal(book, patch)
    if not isinstance(outcome, Outcome):
        return
    clean = {name: outcome.contact.get(name) for name in patch}

    for name, raw in patch.items():
        assert same(cleaned(policy, name, raw), clean[name])
    assert book.upsert(patch).unchanged
    assert book.upsert(clean).unchanged


@given(st.one_of(cases(), cases(wanted=merge_all)))
def test_same_calls_make_the_same_bytes(case: Case) -> None:
    """With the same policy, ids and clock; loaded, old ids give the same contacts."""
    book = book_after_calls(case)
    upsert_or_refusal(book, case.patch, case.scope, **case.options)
    twin = book_after_calls(case)
    upsert_or_refusal(twin, case.patch, case.scope, **case.options)
    first = bytes_of(book)

    assert first == bytes_of(twin)
    if case.policy.on_key_in_use != "allow":
        loaded = ContactBook.load(case.policy, json.loads(first))
        for contact in book:
            for old in contact.merged_ids:
                assert loaded.get(old, scope=contact.scope) == contact


@given(st.one_of(cases(), cases(wanted=merge_all)))
def test_applied_plan_does_what_upsert_does(case: Case) -> None:
    """Planning changes nothing."""
    book, twin = book_after_calls(case), book_after_calls(case)
    before = bytes_of(book)
    try:
        plan = book.plan(case.patch, scope=case.scope, **case.options)
        assert before == bytes_of(book)
        answer: Any = book.apply(plan)
        assert (plan.result, plan.changes) == (answer.result, answer.changes)
    except errors.Refused as error:
        answer = error

    assert repr(
        upsert_or_refusal(twin, case.patch, case.scope, **case.options)
    ) == repr(answer)
    assert bytes_of(twin) == bytes_of(book)


@given(
    st.one_of(cases(), cases(wanted=merge_all)),
    st.lists(st.tuples(patches(), scopes()), min_size=1, max_size=3),
)
def test_overtaken_plan_is_stale_or_does_what_upsert_does(
    case: Case, between: Any
) -> None:
    book, twin = book_after_calls(case), book_after_calls(case)
    try:
        plan = book.plan(case.patch, scope=case.scope, **case.options)
    except errors.Refused:
        return
    for patch, scope in between:
        upsert_or_refusal(book, patch, scope)
        upsert_or_refusal(twin, patch, scope)
    before = bytes_of(book)
    try:
        answer = book.apply(plan)
    except errors.StalePlan:
        assert before == bytes_of(book)
        assert plan.before is not None or len(book)
    else:
        assert repr(
            upsert_or_refusal(twin, case.patch, case.scope, **case.options)
        ) == repr(answer)
        assert bytes_of(twin) == bytes_of(book)


@given(cases(wanted=merge_all))
def test_id_of_an_absorbed_contact_gives_the_survivor(case: Case) -> None:
    """It is the id of no other contact, and cannot be deleted."""
    book = book_after_calls(case)
    outcome = upsert_or_refusal(book, case.patch, case.scope, **case.options)
    if not isinstance(outcome, Outcome) or outcome.before is None:
        return
    old = (
        i for absorbed in outcome.merged for i in (absorbed.id, *absorbed.merged_ids)
    )
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

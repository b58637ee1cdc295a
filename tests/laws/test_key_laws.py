"""The rules of behaviour on keys: who is matched, what is unique, who is first."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.naive import BLANK
from tests.strategies import (
    KEYS,
    MISSING,
    SCOPES,
    Case,
    books,
    cases,
    cleaned,
    fed,
    patches,
    policies,
    tried,
)
from upsertcore import (
    ContactBook,
    Outcome,
    Policy,
    all_agree,
    errors,
    field,
    first_match,
    first_present,
    normalize,
    replace,
)
from upsertcore.values import empty, same, thaw

Patch = dict[str, Any]
MANY = st.lists(patches(), max_size=6)


@pytest.mark.parametrize("make", [first_match, first_present, all_agree])
@given(st.lists(st.sampled_from([*MISSING, [None, ""], "nope", " "]), max_size=2), MANY)
def test_4_blank_and_null_keys_match_nobody(make: Any, sent: Any, calls: Any) -> None:
    """A patch whose keys are null, blank or none finds nobody, whoever is there."""
    lines = {name: field(key=KEYS[name][0]) for name in ("email", "phone")}
    book = books(Policy(make(*lines), lines, others=replace))
    for patch in calls:
        book.create(patch)
    patch = dict(zip(lines, sent, strict=False))

    with pytest.raises(errors.NoMatchKey) as caught:
        book.upsert(patch)
    assert tuple(lines) == caught.value.tried
    for name, value in patch.items():
        assert book.find(name, value) == ()


@given(cases(on_clash=("refuse", "withhold")), st.sets(st.integers(1, 6)))
def test_5_unique_stays_unique(case: Case, gone: set[int]) -> None:
    """No two contacts of a scope hold one unique key, whatever was called."""
    book = books(case.policy)
    for number, (patch, scope) in enumerate(case.calls):
        tried(book, patch, scope)
        try:
            book.create(patch, scope=scope)
        except errors.Refused:
            pass
        if number in gone and f"c-{number}" in book:
            book.delete(f"c-{number}")
    held = [
        (contact.scope, name, form)
        for contact in book
        for name in case.policy.fields
        for form in unique_forms(case.policy, name, contact.get(name))
    ]

    assert len({*held}) == len(held)
    assert book.dump() == ContactBook.load(case.policy, book.dump()).dump()


def unique_forms(policy: Policy, name: str, value: Any) -> set[str]:
    line, items = policy.fields[name], value if type(value) is tuple else (value,)
    if not line.unique or line.key is None:
        return set()
    made = {line.key(item) for item in items if thaw(item) not in (None, *BLANK)}
    return {form for form in made if form is not None}


@given(cases())
def test_5_a_clash_names_the_holder(case: Case) -> None:
    """What is withheld stays as it was, and the holder is there under that key."""
    book = fed(case)
    outcome = tried(book, case.patch, case.scope)
    if isinstance(outcome, errors.KeyInUse):
        holder = book.get(outcome.holder)
        assert case.scope == holder.scope
        assert unique_forms(case.policy, outcome.field, holder[outcome.field])
    for each in outcome.withheld if isinstance(outcome, Outcome) else ():
        assert isinstance(outcome, Outcome)
        was = None if outcome.before is None else outcome.before.get(each.field)
        held = unique_forms(case.policy, each.field, book.get(each.holder)[each.field])
        assert same(was, outcome.contact.get(each.field))
        assert held & unique_forms(case.policy, each.field, each.value)


def test_5_a_needed_key_is_not_withheld_from_a_new_contact() -> None:
    """Without it nobody could be created, so the clash is refused, and named."""
    email = field(key=normalize.email, unique=True, required=True)
    lines = {"code": field(key=normalize.exact), "email": email}
    book = books(Policy(first_match("code"), lines, on_clash="withhold"))
    book.upsert({"code": 1, "email": "ada@x.org"})
    book.upsert({"code": 2, "email": "bob@x.org"})

    with pytest.raises(errors.KeyInUse) as caught:
        book.upsert({"code": 3, "email": "ADA@x.org"})
    assert caught.value.args == ("email", "ADA@x.org", "c-1")
    outcome = book.upsert({"code": 2, "email": "ADA@x.org"})
    assert outcome.unchanged
    assert [("email", "c-1")] == [(w.field, w.holder) for w in outcome.withheld]


@pytest.mark.parametrize("on_many", ["oldest", "newest", "refuse"])
@given(
    st.integers(2, 4),
    st.lists(
        st.tuples(st.integers(1, 4), st.sampled_from(["ada@x.org", "x@y.org", None])),
        max_size=8,
    ),
)
def test_9_ties_are_broken_by_creation(on_many: Any, size: int, moves: Any) -> None:
    """Whoever was created first is first, whatever was updated since."""
    lines = {"code": field(key=normalize.exact), "email": field(key=normalize.email)}
    book = books(Policy(first_match("code", "email"), lines, on_many=on_many))
    for number in range(1, size + 1):
        book.create({"code": number, "email": "ada@x.org"})
    for number, email in moves:
        if number <= size:
            book.upsert({"code": number, "email": email})
    holders = [c.id for c in book if c.get("email") == "ada@x.org"]

    assert sorted(holders) == holders
    assert holders == [c.id for c in book.find("email", "ADA@x.org")]
    answer = tried(book, {"email": "ada@x.org"})
    if on_many == "refuse" and len(holders) > 1:
        assert isinstance(answer, errors.AmbiguousMatch)
        assert ("email", tuple(holders)) == (answer.key, answer.ids)
    elif holders:
        assert isinstance(answer, Outcome)
        chosen = holders.pop(-1 if on_many == "newest" else 0)
        assert (chosen, tuple(holders)) == (answer.contact.id, answer.others)


@pytest.mark.parametrize(
    ("order", "ids"),
    [(("ada", "bob"), ("c-1", "c-2")), (("bob", "ada"), ("c-2", "c-1"))],
    ids=["ada", "bob"],
)
def test_disagreeing_keys_name_their_contacts(order: Any, ids: Any) -> None:
    """``AmbiguousMatch.ids`` stands in the order in which the keys found them."""
    lines = {"email": field(key=normalize.email), "code": field(key=normalize.exact)}
    book = books(Policy(all_agree("email", "code"), lines))
    book.create({"email": "ada@x.org", "code": "ada"})
    book.create({"email": "bob@x.org", "code": "bob"})

    with pytest.raises(errors.AmbiguousMatch) as caught:
        book.upsert({"email": f"{order[0]}@x.org", "code": order[1]})
    assert ids == caught.value.ids


@given(policies(), MANY, MANY)
def test_nothing_crosses_scopes(policy: Policy, here: Any, there: Any) -> None:
    """What is said in one scope is neither seen nor changed in another."""
    mine, theirs = SCOPES
    alone, mixed = books(policy), books(policy)
    for number in range(max(len(here), len(there))):
        for patch in there[number : number + 1]:
            tried(mixed, patch, theirs)
        for patch in here[number : number + 1]:
            once, again = tried(alone, patch, mine), tried(mixed, patch, mine)
            assert type(once) is type(again)
            if isinstance(again, Outcome):
                assert {mixed.get(id).scope for id in again.others} <= {mine}
    ours = [contact.fields for contact in mixed if contact.scope == mine]

    assert [contact.fields for contact in alone] == ours


@given(cases(strict=True, on_clash=("refuse",)))
def test_keys_that_replace_are_found_again(case: Case) -> None:
    """A contact is found afterwards by each key that was sent and that replaces."""
    book = fed(case)
    outcome = tried(book, case.patch, case.scope)
    if isinstance(outcome, errors.Refused):
        return
    for name in (KEYS.keys() & case.patch.keys()) - {*outcome.ignored}:
        value, rule = case.patch[name], case.policy.fields[name].merge
        if rule is replace and not isinstance(value, list):
            found = book.find(name, value, scope=case.scope)
            assert (outcome.contact in found) == bool(key_of(case, name))


def key_of(case: Case, name: str) -> str | None:
    line, value = case.policy.fields[name], cleaned(case.policy, name, case.patch[name])
    return None if empty(value) or line.key is None else line.key(value)

"""The rules of behaviour on keys: who is matched, what is unique, who is first."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.field_options import blocking
from tests.oracle.keys import composite, forms, held, key_named
from tests.proofs.test_upsert_laws import joined
from tests.strategies import (
    ABSENT_VALUES,
    KEYS,
    SCOPES,
    Case,
    books,
    cases,
    cleaned,
    fed,
    last,
    patches,
    policies,
    tried,
)
from upsertcore import (
    Contact,
    ContactBook,
    Outcome,
    Policy,
    all_agree,
    errors,
    field,
    first_match,
    first_present,
    key,
    merge_all,
    normalize,
)
from upsertcore.rules import replace
from upsertcore.values import same, thaw

Patch = dict[str, Any]
MANY = st.lists(patches(), max_size=6)


@pytest.mark.parametrize("make", [first_match, first_present, all_agree, merge_all])
@given(
    st.lists(st.sampled_from([*ABSENT_VALUES, [None, ""], "nope", " "]), max_size=2),
    MANY,
)
def test_4_blank_and_null_keys_match_nobody(make: Any, sent: Any, calls: Any) -> None:
    """A patch whose keys are null, blank or none finds nobody, whoever is there."""
    lines = {name: field(key=KEYS[name][0]) for name in ("email", "phone")}
    book = books(Policy(make(*lines), lines, extra_fields=field(rule=replace)))
    for patch in calls:
        book.create(patch)
    patch = dict(zip(lines, sent, strict=False))

    with pytest.raises(errors.NoMatchKey) as caught:
        book.upsert(patch)
    assert tuple(lines) == caught.value.tried
    for name, value in patch.items():
        assert book.find(name, value) == ()


@pytest.mark.parametrize("make", [first_match, first_present, all_agree, merge_all])
@given(st.lists(st.sampled_from(["email", "more", "name", "code"]), max_size=3), MANY)
def test_4_what_is_blocked_or_not_whole_matches_nobody(
    make: Any, names: list[str], calls: Any
) -> None:
    """Nor does a blocked value, in any field, or a key of which a part is missing."""
    lines = {name: field() for name in ("email", "more", "name", "code")}
    two = (normalize.text, normalize.exact)
    keys = {
        "mails": key("email", "more", normalize=normalize.email, any_of=True),
        "person": key("name", "code", normalize=two),
    }
    blocked = {"mails": ("*@X.org", "no*"), "person": ("*|7",)}
    policy = Policy(
        make(*keys),
        lines,
        keys=blocking(keys, blocked),
        extra_fields=field(rule=replace),
    )
    book = books(policy)
    sent = {"email": "ada@x.org", "more": ["BOB@x.org"], "name": "Ada", "code": 7}
    for patch in calls:
        book.create({**patch, **sent})

    with pytest.raises(errors.NoMatchKey) as caught:
        book.upsert({name: sent[name] for name in names})
    assert ("mails", "person") == caught.value.tried
    assert book.find("mails", "ada@x.org") == ()
    assert book.find("person", {"name": "Ada", "code": 7}) == ()
    assert book.find("person", {"name": "Ada", "code": None}) == ()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a|", "b"), ("a", "|b")),
        (("a\\", "|b"), ("a", "\\|b")),
        (("a", "b|c"), ("a|b", "c")),
    ],
)
def test_4_parts_of_a_key_do_not_run_together(one: Any, other: Any) -> None:
    """Two pairs of parts that look alike when written in a row are two keys."""
    pair = key("name", "code", normalize=normalize.exact, unique=True)
    lines = {"name": field(), "code": field()}
    book = books(Policy(first_match("pair"), lines, keys={"pair": pair}))
    for name, code in (one, other):
        assert book.upsert({"name": name, "code": code}).created
        assert book.upsert({"name": name, "code": code}).unchanged


@given(
    st.one_of(
        cases(on_key_in_use=("refuse", "withhold")),
        cases(on_key_in_use=("refuse", "withhold"), wanted=merge_all),
    ),
    st.sets(st.integers(1, 6)),
)
def test_5_unique_stays_unique(case: Case, gone: set[int]) -> None:
    """No two contacts hold one unique form, aliases included, whatever was called."""
    book = books(case.policy)
    for number, (patch, scope) in enumerate([*case.calls, (case.patch, case.scope)]):
        tried(book, patch, scope, **case.how)
        try:
            book.create(patch, scope=scope)
        except errors.Refused:
            pass
        known = {contact.id: contact.scope for contact in book}
        if number in gone and f"c-{number}" in known:
            book.delete(f"c-{number}", scope=known[f"c-{number}"])
    forms = [
        (contact.scope, each.name, form)
        for contact in book
        for each in case.policy.all_keys
        for form in held(case.policy, each, contact.to_dict())
        if each.unique
    ]

    assert len({*forms}) == len(forms)
    assert book.dump() == ContactBook.load(case.policy, book.dump()).dump()


@given(st.one_of(cases(), cases(wanted=merge_all)))
def test_5_a_clash_names_the_holder(case: Case) -> None:
    """What is withheld stays as it was, and the holder is there under that key."""
    book = fed(case)
    outcome = tried(book, case.patch, case.scope, **case.how)
    if isinstance(outcome, errors.KeyInUse):
        holder = book.get(outcome.holder)
        assert case.scope == holder.scope
        assert unique_forms(case.policy, outcome.field, holder)
    for each in outcome.withheld if isinstance(outcome, Outcome) else ():
        assert isinstance(outcome, Outcome)
        was = None if outcome.before is None else outcome.before.get(each.field)
        filled = outcome.merged or each.field in joined(case, outcome)
        assert same(was, outcome.contact.get(each.field)) or filled
        whole = key_named(case.policy, each.key)
        theirs = held(case.policy, whole, book.get(each.holder).to_dict())
        carried = forms(case.policy, whole, {each.field: thaw(each.value)})
        alone = each.field in whole.fields and not composite(whole)
        assert whole.unique
        assert {*theirs} & {*carried} if alone else theirs


def unique_forms(policy: Policy, name: str, contact: Contact) -> set[str]:
    """List what a contact holds of the unique keys that are, or have, a field."""
    return {
        form
        for each in policy.all_keys
        for form in held(policy, each, contact.to_dict())
        if each.unique and name in (each.name, *each.fields)
    }


@given(st.one_of(cases(), cases(wanted=merge_all)))
def test_what_is_remembered_finds_its_contact(case: Case) -> None:
    """A form held before finds the contact still; one let go finds it no more."""
    book = fed(case)
    before = {contact.id: contact.to_dict() for contact in book}
    outcome = tried(book, case.patch, case.scope, **case.how)
    if not isinstance(outcome, Outcome) or outcome.created:
        return
    was = [before[c.id] for c in (outcome.before, *outcome.merged) if c is not None]
    for each in case.policy.all_keys:
        earlier = [form for row in was for form in held(case.policy, each, row)]
        now = outcome.contact.to_dict()
        current = forms(case.policy, each, now["fields"])
        aliases = outcome.contact.aliases.get(each.name, ())

        assert each.keep_aliases or aliases == ()
        assert not {*aliases} & {*current}
        assert {*aliases} == ({*earlier} - {*current} if each.keep_aliases else set())
        assert [*aliases] == [f for f in dict.fromkeys(earlier) if f in aliases]
        for form in aliases if each.name in ("email", "phone") else ():
            found = book.find(each.name, form, scope=case.scope)
            assert outcome.contact in found


@given(cases())
def test_no_contact_grows_beyond_a_limit(case: Case) -> None:
    """It holds more forms of a key than the limit only if it held them before."""
    outcome = last(case)
    if outcome is None:
        return
    for each in case.policy.all_keys:
        now = held(case.policy, each, outcome.contact.to_dict())
        was = outcome.before and held(case.policy, each, outcome.before.to_dict())
        assert len(now) <= (each.max_forms or 99) or {*now} <= {*(was or ())}


def test_5_a_needed_key_is_not_withheld_from_a_new_contact() -> None:
    """Without it nobody could be created, so the clash is refused, and named."""
    email = field(key=normalize.email, unique=True, required=True)
    lines = {"code": field(key=normalize.exact), "email": email}
    book = books(Policy(first_match("code"), lines, on_key_in_use="withhold"))
    book.upsert({"code": 1, "email": "ada@x.org"})
    book.upsert({"code": 2, "email": "bob@x.org"})

    with pytest.raises(errors.KeyInUse) as caught:
        book.upsert({"code": 3, "email": "ADA@x.org"})
    assert caught.value.args == ("email", "ADA@x.org", "c-1")
    outcome = book.upsert({"code": 2, "email": "ADA@x.org"})
    assert outcome.unchanged
    assert [("email", "c-1")] == [(w.field, w.holder) for w in outcome.withheld]


@pytest.mark.parametrize("on_ambiguous", ["oldest", "newest", "refuse"])
@given(
    st.integers(2, 4),
    st.lists(
        st.tuples(st.integers(1, 4), st.sampled_from(["ada@x.org", "x@y.org", None])),
        max_size=8,
    ),
)
def test_9_ties_are_broken_by_creation(
    on_ambiguous: Any, size: int, moves: Any
) -> None:
    """Whoever was created first is first, whatever was updated since."""
    lines = {"code": field(key=normalize.exact), "email": field(key=normalize.email)}
    book = books(Policy(first_match("code", "email"), lines, on_ambiguous=on_ambiguous))
    for number in range(1, size + 1):
        book.create({"code": number, "email": "ada@x.org"})
    for number, email in moves:
        if number <= size:
            book.upsert({"code": number, "email": email})
    holders = [c.id for c in book if c.get("email") == "ada@x.org"]

    assert sorted(holders) == holders
    assert holders == [c.id for c in book.find("email", "ADA@x.org")]
    answer = tried(book, {"email": "ada@x.org"})
    if on_ambiguous == "refuse" and len(holders) > 1:
        assert isinstance(answer, errors.AmbiguousMatch)
        assert ("email", tuple(holders)) == (answer.key, answer.ids)
    elif holders:
        assert isinstance(answer, Outcome)
        chosen = holders.pop(-1 if on_ambiguous == "newest" else 0)
        assert (chosen, tuple(holders)) == (answer.contact.id, answer.also_matched)


@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.sampled_from(["ada@x.org", "x@y.org", None])),
        max_size=8,
    ),
    st.permutations([1, 2, 3, 4]),
)
def test_9_the_first_created_survives(moves: Any, order: list[int]) -> None:
    """Of those that hold the first form that is held; the rest as they are found."""
    lines = {"email": field(key=normalize.email), "code": field(key=normalize.exact)}
    book = books(Policy(merge_all("email", "code"), lines))
    for number in (1, 2, 3, 4):
        book.create({"code": number, "email": "ada@x.org"})
    for number, email in moves:
        id = book.find("code", number)[0].id
        row = next(row for row in book.dump() if row["id"] == id)
        fields = {"code": number} | ({"email": email} if email else {})
        book = replaced(book, row | {"fields": fields})
    found = [each.id for each in book.find("email", "ada@x.org")]
    by = "email" if found else "code"
    found += [f"c-{number}" for number in order if f"c-{number}" not in found]

    outcome = book.upsert({"email": "ada@x.org", "code": order})
    assert outcome.merged
    assert found[0] == outcome.contact.id
    assert tuple(found[1:]) == outcome.contact.merged_ids
    assert [each.id for each in outcome.merged] == found[1:]
    assert by == outcome.matched_by


def replaced(book: ContactBook, row: dict[str, Any]) -> ContactBook:
    """Give a book in which one contact is another, at its place."""
    rows = [row if each["id"] == row["id"] else each for each in book.dump()]
    return ContactBook.load(book.policy, rows)


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
    assert ("code", ids) == (caught.value.key, caught.value.ids)


def test_all_candidates_that_disagree_are_named() -> None:
    """``AmbiguousMatch`` names every pick, and the key that was first to disagree."""
    lines = {name: field(key=normalize.exact) for name in ("a", "b", "c")}
    book = books(Policy(all_agree("a", "b", "c"), lines))
    for name, value in (("c", 3), ("a", 1), ("b", 2)):
        book.create({name: value})

    with pytest.raises(errors.AmbiguousMatch) as caught:
        book.upsert({"a": 1, "b": 2, "c": 3})
    assert ("b", ("c-2", "c-3", "c-1")) == (caught.value.key, caught.value.ids)


@given(st.one_of(policies(), policies(wanted=merge_all)), MANY, MANY)
def test_nothing_crosses_scopes(policy: Policy, here: Any, there: Any) -> None:
    """What is said in one scope is neither seen, absorbed nor changed in another."""
    mine, theirs = SCOPES
    alone, mixed = books(policy), books(policy)
    for number in range(max(len(here), len(there))):
        for patch in there[number : number + 1]:
            tried(mixed, patch, theirs)
        for patch in here[number : number + 1]:
            once, again = tried(alone, patch, mine), tried(mixed, patch, mine)
            assert type(once) is type(again)
            if isinstance(once, Outcome) and isinstance(again, Outcome):
                assert {mixed.get(id).scope for id in again.also_matched} <= {mine}
                assert {each.scope for each in again.merged} <= {mine}
                assert len(once.merged) == len(again.merged)
    ours = [contact for contact in mixed if contact.scope == mine]

    assert [contact.fields for contact in alone] == [each.fields for each in ours]
    assert [contact.aliases for contact in alone] == [each.aliases for each in ours]
    assert [contact.clocks for contact in alone] == [each.clocks for each in ours]
    assert {mixed.get(id) for each in ours for id in each.merged_ids} <= {*ours}


@given(cases(strict=True, on_key_in_use=("refuse",)))
def test_keys_that_replace_are_found_again(case: Case) -> None:
    """A contact is found afterwards by each key that was sent and that replaces."""
    book = fed(case)
    outcome = tried(book, case.patch, case.scope)
    if isinstance(outcome, errors.Refused):
        return
    for name in (KEYS.keys() & case.patch.keys()) - {*outcome.ignored}:
        line, value = case.policy.fields[name], case.patch[name]
        if line.key and line.rule is replace and not isinstance(value, list):
            clean = thaw(cleaned(case.policy, name, value))
            whole = key_named(case.policy, name)
            carried = forms(case.policy, whole, {name: clean})
            found = book.find(name, value, scope=case.scope)
            assert (outcome.contact in found) == bool(carried)

"""Laws of keys: matching, uniqueness and order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.field_options import blocking
from tests.oracle.keys import composite, forms, held_forms, key_named
from tests.proofs.test_upsert_laws import fields_joined
from tests.strategies import (
    ABSENT_VALUES,
    KEYS,
    SCOPES,
    Case,
    book_after_calls,
    books,
    cases,
    cleaned,
    last_outcome,
    patches,
    policies,
    upsert_or_refusal,
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
def test_null_or_blank_key_matches_no_contact(
    make: Any, values: Any, calls: Any
) -> None:
    """Whatever is stored."""
    lines = {name: field(key=KEYS[name][0]) for name in ("email", "phone")}
    book = books(Policy(make(*lines), lines, extra_fields=field(rule=replace)))
    for patch in calls:
        book.create(patch)
    patch = dict(zip(lines, values, strict=False))

    with pytest.raises(errors.NoMatchKey) as error:
        book.upsert(patch)
    assert tuple(lines) == error.value.tried
    for name, value in patch.items():
        assert book.find(name, value) == ()


@pytest.mark.parametrize("make", [first_match, first_present, all_agree, merge_all])
@given(st.lists(st.sampled_from(["email", "more", "name", "code"]), max_size=3), MANY)
def test_blocked_or_incomplete_key_matches_no_contact(
    make: Any, names: list[str], calls: Any
) -> None:
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

    with pytest.raises(errors.NoMatchKey) as error:
        book.upsert({name: sent[name] for name in names})
    assert ("mails", "person") == error.value.tried
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
def test_parts_of_a_key_are_escaped(one: Any, other: Any) -> None:
    """Two pairs of parts with the same text in a row are two keys."""
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
def test_unique_form_has_one_holder(case: Case, deleted: set[int]) -> None:
    """Aliases are included, whatever the calls."""
    book = books(case.policy)
    for number, (patch, scope) in enumerate([*case.calls, (case.patch, case.scope)]):
        upsert_or_refusal(book, patch, scope, **case.options)
        try:
            book.create(patch, scope=scope)
        except errors.Refused:
            pass
        known = {contact.id: contact.scope for contact in book}
        if number in deleted and f"c-{number}" in known:
            book.delete(f"c-{number}", scope=known[f"c-{number}"])
    scoped_forms = [
        (contact.scope, policy_key.name, form)
        for contact in book
        for policy_key in case.policy.all_keys
        for form in held_forms(case.policy, policy_key, contact.to_dict())
        if policy_key.unique
    ]

    assert len({*scoped_forms}) == len(scoped_forms)
    assert book.dump() == ContactBook.load(case.policy, book.dump()).dump()


@given(st.one_of(cases(), cases(wanted=merge_all)))
def test_clash_names_the_holder_and_keeps_the_value(case: Case) -> None:
    """The holder has the form of that key."""
    book = book_after_calls(case)
    outcome = upsert_or_refusal(book, case.patch, case.scope, **case.options)
    if isinstance(outcome, errors.KeyInUse):
        holder = book.get(outcome.holder, scope=case.scope)
        assert case.scope == holder.scope
        assert unique_forms(case.policy, outcome.field, holder)
    for item in outcome.withheld if isinstance(outcome, Outcome) else ():
        assert isinstance(outcome, Outcome)
        before = None if outcome.before is None else outcome.before.get(item.field)
        filled = outcome.merged or item.field in fields_joined(case, outcome)
        assert same(before, outcome.contact.get(item.field)) or filled
        declared = key_named(case.policy, item.key)
        holder = book.get(item.holder, scope=case.scope)
        theirs = held_forms(case.policy, declared, holder.to_dict())
        carried = forms(case.policy, declared, {item.field: thaw(item.value)})
        alone = item.field in declared.fields and not composite(declared)
        assert declared.unique
        assert {*theirs} & {*carried} if alone else theirs


def unique_forms(policy: Policy, name: str, contact: Contact) -> set[str]:
    """List the forms that a contact holds of the unique keys of a name or field."""
    return {
        form
        for policy_key in policy.all_keys
        for form in held_forms(policy, policy_key, contact.to_dict())
        if policy_key.unique and name in (policy_key.name, *policy_key.fields)
    }


@given(st.one_of(cases(), cases(wanted=merge_all)))
def test_alias_finds_its_contact(case: Case) -> None:
    """A form that was let go finds it no more."""
    book = book_after_calls(case)
    before = {contact.id: contact.to_dict() for contact in book}
    outcome = upsert_or_refusal(book, case.patch, case.scope, **case.options)
    if not isinstance(outcome, Outcome) or outcome.created:
        return
    rows = [before[c.id] for c in (outcome.before, *outcome.merged) if c is not None]
    for policy_key in case.policy.all_keys:
        earlier = [
            form for row in rows for form in held_forms(case.policy, policy_key, row)
        ]
        after = outcome.contact.to_dict()
        current = forms(case.policy, policy_key, after["fields"])
        aliases = outcome.contact.aliases.get(policy_key.name, ())

        assert policy_key.keep_aliases or aliases == ()
        assert not {*aliases} & {*current}
        assert {*aliases} == (
            {*earlier} - {*current} if policy_key.keep_aliases else set()
        )
        assert [*aliases] == [f for f in dict.fromkeys(earlier) if f in aliases]
        for form in aliases if policy_key.name in ("email", "phone") else ():
            found = book.find(policy_key.name, form, scope=case.scope)
            assert outcome.contact in found


@given(cases())
def test_contact_exceeds_a_limit_only_with_earlier_forms(case: Case) -> None:
    outcome = last_outcome(case)
    if outcome is None:
        return
    for policy_key in case.policy.all_keys:
        after = held_forms(case.policy, policy_key, outcome.contact.to_dict())
        before = outcome.before and held_forms(
            case.policy, policy_key, outcome.before.to_dict()
        )
        assert len(after) <= (policy_key.max_forms or 99) or {*after} <= {
            *(before or ())
        }


def test_clash_of_a_required_key_is_refused_at_creation() -> None:
    """On update it is withheld."""
    email = field(key=normalize.email, unique=True, required=True)
    lines = {"code": field(key=normalize.exact), "email": email}
    book = books(Policy(first_match("code"), lines, on_key_in_use="withhold"))
    book.upsert({"code": 1, "email": "ada@x.org"})
    book.upsert({"code": 2, "email": "bob@x.org"})

    with pytest.raises(errors.KeyInUse) as error:
        book.upsert({"code": 3, "email": "ADA@x.org"})
    assert error.value.args == ("email", "ADA@x.org", "c-1")
    outcome = book.upsert({"code": 2, "email": "ADA@x.org"})
    assert outcome.unchanged
    assert [("email", "c-1")] == [
        (item.field, item.holder) for item in outcome.withheld
    ]


@pytest.mark.parametrize("on_ambiguous", ["oldest", "newest", "refuse"])
@given(
    st.integers(2, 4),
    st.lists(
        st.tuples(st.integers(1, 4), st.sampled_from(["ada@x.org", "x@y.org", None])),
        max_size=8,
    ),
)
def test_tie_is_broken_by_creation(on_ambiguous: Any, size: int, moves: Any) -> None:
    """Later updates do not count."""
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
    answer = upsert_or_refusal(book, {"email": "ada@x.org"})
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
def test_first_created_holder_of_the_first_key_survives(
    moves: Any, order: list[int]
) -> None:
    """The others are absorbed in the order in which they are found."""
    lines = {"email": field(key=normalize.email), "code": field(key=normalize.exact)}
    book = books(Policy(merge_all("email", "code"), lines))
    for number in (1, 2, 3, 4):
        book.create({"code": number, "email": "ada@x.org"})
    for number, email in moves:
        id = book.find("code", number)[0].id
        row = next(row for row in book.dump() if row["id"] == id)
        fields = {"code": number} | ({"email": email} if email else {})
        book = with_row(book, row | {"fields": fields})
    expected = [contact.id for contact in book.find("email", "ada@x.org")]
    by = "email" if expected else "code"
    expected += [f"c-{number}" for number in order if f"c-{number}" not in expected]

    outcome = book.upsert({"email": "ada@x.org", "code": order})
    assert outcome.merged
    assert expected[0] == outcome.contact.id
    assert tuple(expected[1:]) == outcome.contact.merged_ids
    assert [contact.id for contact in outcome.merged] == expected[1:]
    assert by == outcome.matched_by


def with_row(book: ContactBook, row: dict[str, Any]) -> ContactBook:
    """Return a book in which one contact is replaced, at its place."""
    rows = [row if old["id"] == row["id"] else old for old in book.dump()]
    return ContactBook.load(book.policy, rows)


@pytest.mark.parametrize(
    ("order", "ids"),
    [(("ada", "bob"), ("c-1", "c-2")), (("bob", "ada"), ("c-2", "c-1"))],
    ids=["ada", "bob"],
)
def test_disagreeing_keys_name_their_contacts_in_order(order: Any, ids: Any) -> None:
    """In the order in which the keys found them."""
    lines = {"email": field(key=normalize.email), "code": field(key=normalize.exact)}
    book = books(Policy(all_agree("email", "code"), lines))
    book.create({"email": "ada@x.org", "code": "ada"})
    book.create({"email": "bob@x.org", "code": "bob"})

    with pytest.raises(errors.KeysDisagree) as error:
        book.upsert({"email": f"{order[0]}@x.org", "code": order[1]})
    assert (("email", ids[:1]), ("code", ids[1:])) == error.value.hits


def test_disagreement_names_every_key_and_candidate() -> None:
    lines = {name: field(key=normalize.exact) for name in ("a", "b", "c")}
    book = books(Policy(all_agree("a", "b", "c"), lines))
    for name, value in (("c", 3), ("a", 1), ("b", 2)):
        book.create({name: value})

    with pytest.raises(errors.KeysDisagree) as error:
        book.upsert({"a": 1, "b": 2, "c": 3})
    assert ("a", "b", "c") == error.value.keys
    assert ("c-2", "c-3", "c-1") == error.value.ids


@given(st.one_of(policies(), policies(wanted=merge_all)), MANY, MANY)
def test_scopes_do_not_affect_each_other(
    policy: Policy, own_patches: Any, other_patches: Any
) -> None:
    """A call in one scope finds, absorbs and changes no contact of another."""
    mine, theirs = SCOPES
    alone, mixed = books(policy), books(policy)
    for number in range(max(len(own_patches), len(other_patches))):
        for patch in other_patches[number : number + 1]:
            upsert_or_refusal(mixed, patch, theirs)
        for patch in own_patches[number : number + 1]:
            expected, actual = (
                upsert_or_refusal(alone, patch, mine),
                upsert_or_refusal(mixed, patch, mine),
            )
            assert type(expected) is type(actual)
            if isinstance(expected, Outcome) and isinstance(actual, Outcome):
                assert {mixed.get(id).scope for id in actual.also_matched} <= {mine}
                assert {contact.scope for contact in actual.merged} <= {mine}
                assert len(expected.merged) == len(actual.merged)
    ours = [contact for contact in mixed if contact.scope == mine]

    assert [contact.fields for contact in alone] == [contact.fields for contact in ours]
    assert [contact.aliases for contact in alone] == [
        contact.aliases for contact in ours
    ]
    assert [contact.clocks for contact in alone] == [contact.clocks for contact in ours]
    assert {mixed.get(id) for contact in ours for id in contact.merged_ids} <= {*ours}


@given(cases(strict=True, on_key_in_use=("refuse",)))
def test_replaced_key_finds_its_contact(case: Case) -> None:
    book = book_after_calls(case)
    outcome = upsert_or_refusal(book, case.patch, case.scope)
    if isinstance(outcome, errors.Refused):
        return
    for name in (KEYS.keys() & case.patch.keys()) - {*outcome.ignored}:
        line, value = case.policy.fields[name], case.patch[name]
        if line.key and line.rule is replace and not isinstance(value, list):
            clean = thaw(cleaned(case.policy, name, value))
            declared = key_named(case.policy, name)
            carried = forms(case.policy, declared, {name: clean})
            holders = book.find(name, value, scope=case.scope)
            assert (outcome.contact in holders) == bool(carried)

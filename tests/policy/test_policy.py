"""The policy: invalid combinations are refused when it is made."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from tests.field_options import blocking, merging
from upsertcore import (
    ContactBook,
    Policy,
    field,
    first_match,
    key,
    merge_all,
    normalize,
)
from upsertcore.errors import InvalidPolicy, UnknownField
from upsertcore.policy.policy import compiled
from upsertcore.rules import (
    append,
    custom,
    ignore,
    immutable,
    items_by,
    keep,
    last_updated,
    latest,
    on_create,
    remove,
    replace,
    union,
)
from upsertcore.store.contact_index import ContactIndex

EMAIL = field(key=normalize.email)
WRONG: Any = 1


def refuse(value: Any) -> Any:
    """Refuse any value."""
    raise ValueError("must be nothing")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Policy(first_match("phone"), {"email": EMAIL}), "unknown key 'phone'"),
        (
            lambda: Policy(first_match("email"), {"email": field()}),
            "field 'email' has no key",
        ),
        (lambda: table(email=field(unique=True)), "email: unique needs a key"),
        (
            lambda: table(id=field(key=str, unique=True, default="a")),
            "id: a default would",
        ),
        (lambda: table(a=field(required=True, rule=ignore)), "a: is required, but"),
        (lambda: table(a=field(required=True, rule=remove)), "never stores it"),
        (lambda: table(a=field(null="drop")), "a: null: must be one of 'clear'"),  # type: ignore[arg-type]
        (lambda: table(a=field(blank="drop")), "a: blank: must be one of"),  # type: ignore[arg-type]
        (lambda: table(a=field(key="email")), "a: key: must be a function"),  # type: ignore[arg-type]
        (lambda: table(a=field(clean="strip")), "a: clean: must be a function"),  # type: ignore[arg-type]
        (lambda: table(a=field(rule=max)), "a: rule: must be a rule"),  # type: ignore[arg-type]
        (lambda: table(a=field(default={1})), "a: default: must be text"),
        (lambda: table(a=field(default="x", clean=refuse)), "default: must be nothing"),
        (lambda: table(a=1), "a: must be field"),
        (lambda: table(on_ambiguous="first"), "on_ambiguous: must be one of"),
        (lambda: table(on_key_in_use="merge"), "on_key_in_use: must be one of"),
        (lambda: table(on_no_key="x"), "on_no_key: must be one of"),
        (lambda: table(extra_fields=replace), r"extra_fields: must be field\(...\) or"),
        (lambda: table(extra_fields=field), "^extra_fields: field makes"),
        (
            lambda: Policy(first_match("a"), merging({"a": EMAIL}, {"a": latest})),
            "^a: on_merge: latest makes a rule",
        ),
        (
            lambda: table(on_not_found="refuse", on_found="refuse"),
            "on_found: must be 'update' where on_not_found='refuse'",
        ),
        (
            lambda: Policy(first_match, {"email": EMAIL}),  # type: ignore[arg-type]
            "match: first_match makes",
        ),
        (lambda: Policy(first_match("email"), ["email"]), "fields: must be a mapping"),  # type: ignore[arg-type]
        (
            lambda: Policy(first_match("a"), {"a": EMAIL, 1: EMAIL}),  # type: ignore[dict-item]
            "fields: names must be str",
        ),
        (
            lambda: Policy(first_match("a"), {"a": EMAIL, "": EMAIL}),
            "fields: names must be str",
        ),
        (
            lambda: Policy(
                first_match("a"), {"a": field(key=normalize.exact, rule=ignore)}
            ),
            "a: identifies contacts, but its rule ignore never stores it",
        ),
    ],
    ids=map(str, range(26)),
)
def test_invalid_policy_is_refused(make: Any, words: str) -> None:
    """The message names the field or option and says what is needed."""
    with pytest.raises(InvalidPolicy, match=words):
        make()


def table(**lines: Any) -> Policy:
    """Make a policy that matches by email, with further fields or options."""
    options = {
        name: lines.pop(name)
        for name in (
            "on_ambiguous",
            "on_key_in_use",
            "on_no_key",
            "extra_fields",
            "on_found",
            "on_not_found",
        )
        if name in lines
    }
    return Policy(first_match("email"), {"email": EMAIL, **lines}, **options)


def test_fields_of_a_policy_are_frozen() -> None:
    """Later changes of the given mapping do not matter."""
    fields = {"email": EMAIL}
    policy = Policy(first_match("email"), fields)
    fields["phone"] = EMAIL

    assert ["email"] == list(policy.fields)
    with pytest.raises(TypeError):
        policy.fields["phone"] = EMAIL  # type: ignore[index]


def test_field_options_are_its_own_or_the_extra_ones() -> None:
    """Without extra ones, an undeclared field is refused."""
    policy = table(extra_fields=field(rule=keep))

    assert policy.field_options("email") is EMAIL
    assert policy.field_options("city").rule is keep
    with pytest.raises(UnknownField):
        policy.field_options(7)
    with pytest.raises(UnknownField, match="city: unknown field"):
        table().field_options("city")


def test_default_is_cleaned_and_frozen() -> None:
    lower = field(default="ACTIVE", clean=str.lower)
    policy = table(status=lower, tags=field(default=["a"]))

    assert dict(compiled(policy).defaults) == {"status": "active", "tags": ("a",)}


def test_index_with_other_keys_is_refused() -> None:
    with pytest.raises(InvalidPolicy, match="index: must have the keys"):
        ContactBook(table(), index=ContactIndex(["phone"]))


LAST = {"first": field(), "last": field(), "more": field()}
PAIR = key("first", "last", normalize=normalize.text)
ANY_OF = key("first", "more", normalize=normalize.text, any_of=True)


def key_policy(match: Any = None, **options: Any) -> Policy:
    """Make a policy of an email and three further fields, with named keys."""
    lines = {"email": EMAIL, **LAST, **options.pop("lines", {})}
    keys = options.pop("keys", {"pair": PAIR})
    return Policy(match or first_match("email"), lines, keys=keys, **options)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: key_policy(keys=["pair"]), "keys: must be a mapping of names, not"),
        (lambda: key_policy(keys={"": PAIR}), "keys: names must be str, got ''"),
        (lambda: key_policy(keys={7: PAIR}), "keys: names must be str, got 7"),
        (lambda: key_policy(keys={"pair": EMAIL}), r"keys: pair: must be key\(...\)"),
        (lambda: key_policy(keys={"email": PAIR}), "email: duplicate key name"),
        (
            lambda: key_policy(keys={"k": key("x", normalize=str)}),
            "k: unknown field 'x'",
        ),
        (
            lambda: key_policy(
                keys={"k": key("first", "x", normalize=str)},
                extra_fields=field(rule=keep),
            ),
            "k: unknown field 'x'; this policy has",
        ),
        (
            lambda: key_policy(keys={"a": ANY_OF, "b": ANY_OF}),
            "first: is the primary of two keys",
        ),
        (
            lambda: key_policy(
                lines={"more": field(rule=remove)},
                keys={
                    "k": key(
                        "first", "more", normalize=str, any_of=True, append_new=True
                    )
                },
            ),
            "more: must have the rule replace, keep or union",
        ),
        (
            lambda: key_policy(
                lines={"last": field(default="King")},
                keys={"k": key("first", "last", normalize=str, unique=True)},
            ),
            "last: a default would give",
        ),
        (
            lambda: key_policy(
                lines={"more": field(default=["King"])},
                keys={
                    "k": key("first", "more", normalize=str, any_of=True, unique=True)
                },
            ),
            "more: a default would give",
        ),
        (
            lambda: key_policy(first_match("pair"), lines={"last": field(rule=ignore)}),
            "last: identifies contacts, but its rule ignore never stores it",
        ),
        (
            lambda: key_policy(first_match("person")),
            "unknown key 'person'; this policy has: email",
        ),
        (
            lambda: key_policy(lines={"last": field(blocked=("x",))}),
            "last: blocked needs a key",
        ),
        (
            lambda: key_policy(lines={"last": field(key=str, blocked="x")}),
            "last: blocked must be a tuple",
        ),
        (
            lambda: key_policy(lines={"last": field(key=str, blocked=7)}),  # type: ignore[arg-type]
            "last: blocked must be a tuple",
        ),
        (
            lambda: key_policy(lines={"last": field(key=str, blocked=(7,))}),  # type: ignore[arg-type]
            "last: blocked must be text or a compiled pattern",
        ),
        (
            lambda: key_policy(
                keys={"pair": attrs.evolve(PAIR, blocked=("x",))}, on_blocked="ignore"
            ),
            "pair: blocks combinations of values, so no single field",
        ),
        (lambda: key_policy(on_blocked="drop"), "on_blocked: must be one of 'store'"),
        (
            lambda: key_policy(on_limit="ignore"),
            "on_limit: must be one of 'refuse', 'drop'",
        ),
        (
            lambda: key_policy(on_limit="drop"),
            "on_limit: 'drop' needs the strategy merge",
        ),
        (
            lambda: key_policy(merge_all("email", "pair"), on_limit="drop"),
            "pair: cannot be dropped alone",
        ),
        (
            lambda: key_policy(
                merge_all("email", "more"),
                lines={"more": field(key=normalize.text)},
                keys={"each": ANY_OF},
                on_limit="drop",
            ),
            "more: cannot be dropped alone: other keys share its fields",
        ),
        (
            lambda: key_policy(
                first_match("email", "pair", guard="strict", on_contradiction="drop")
            ),
            "pair: cannot be dropped alone",
        ),
        (
            lambda: key_policy(
                merge_all("email"),
                lines={"last": field(key=normalize.text, max_forms=2)},
                on_limit="drop",
            ),
            "last: its max_forms needs keep_aliases=True, for",
        ),
        (
            lambda: key_policy(on_found="drop"),
            "on_found: must be one of 'update', 'ignore'",
        ),
        (
            lambda: key_policy(on_not_found=0),
            "on_not_found: must be one of 'create', 'ref",
        ),
        (
            lambda: key_policy(on_not_found="refuse", on_found="ignore"),
            "on_found: must be 'update' where on_not_found='refuse'",
        ),
        (lambda: key_policy(on_merge="keep"), "on_merge: must be a rule, not 'keep'"),
        (
            lambda: key_policy(lines={"last": field(on_merge="keep")}),  # type: ignore[arg-type]
            "last: on_merge: must be a rule, not 'keep'",
        ),
        (
            lambda: key_policy(extra_fields=keep),
            r"extra_fields: must be field\(...\) or",
        ),
        (lambda: key_policy(extra_fields=field), "extra_fields: field makes"),
        (
            lambda: key_policy(extra_fields=field(key=str)),
            "extra_fields: key is for a declared field",
        ),
        (
            lambda: key_policy(extra_fields=field(default=0)),
            "extra_fields: default is for a declared field",
        ),
        (
            lambda: key_policy(lines={"last": field(rule=latest(by="at"))}),
            "last: its rule .* needs the field at; declare",
        ),
        (
            lambda: key_policy(lines={"last": field(rule=last_updated)}),
            "last: the rule last_updated compares the updated_at of two contacts",
        ),
        (
            lambda: key_policy(extra_fields=field(rule=last_updated)),
            "extra_fields: the rule last_updated compares the updated_at",
        ),
    ],
    ids=map(str, range(39)),
)
def test_invalid_policy_with_keys_is_refused(make: Any, words: str) -> None:
    """Keys, blocked patterns, limits, modes and merge rules."""
    with pytest.raises(InvalidPolicy, match=words):
        make()


def test_clock_may_be_undeclared_with_an_extra_rule() -> None:
    policy = key_policy(
        extra_fields=field(rule=latest(by="at")),
        lines={"last": field(rule=latest("when"))},
    )

    assert policy.field_options("city").rule.by == "at"


def test_keys_of_fields_come_before_named_keys() -> None:
    """Both in the order of the policy."""
    policy = key_policy(
        keys={"pair": PAIR, "each": ANY_OF, "last": key("last", normalize=str)},
        lines={"more": field(key=normalize.exact)},
    )

    assert ["email", "more", "pair", "each", "last"] == [
        key_of_policy.name for key_of_policy in policy.all_keys
    ]
    assert list(compiled(policy).by_name) == [
        key_of_policy.name for key_of_policy in policy.all_keys
    ]
    assert compiled(policy).no_forms == ((),) * 5


def test_one_key_may_have_two_names() -> None:
    """The given key is not changed."""
    policy = key_policy(keys={"one": PAIR, "two": PAIR})

    assert ["email", "one", "two"] == [key.name for key in policy.all_keys]
    assert PAIR.name == ""


def test_first_guarded_key_may_be_a_composite() -> None:
    """The first key is never dropped."""
    guarded = first_match("pair", "email", guard="if_set", on_contradiction="drop")

    assert key_policy(guarded).match is guarded
    assert key_policy(merge_all("email"), on_limit="drop").on_limit == "drop"


def test_field_may_be_named_star() -> None:
    """It is no wildcard."""
    policy = key_policy(lines={"*": field(on_merge=last_updated)})

    assert policy.merge_rule("*") == last_updated
    assert policy.merge_rule("last") == keep
    assert [*policy.update_time_fields()] == ["*"]


def test_on_merge_applies_to_fields_without_their_own() -> None:
    """Undeclared ones included."""
    extra = field(rule=keep, on_merge=replace)
    policy = key_policy(extra_fields=extra, on_merge=last_updated)

    assert policy.merge_rule("city") is replace
    assert policy.merge_rule("last") is last_updated
    assert [*policy.update_time_fields({"city": 1})] == [
        "email",
        "first",
        "last",
        "more",
    ]
    policy = key_policy(extra_fields=field(), on_merge=last_updated)
    assert [*policy.update_time_fields({"city": 1, "last": 2})][3:] == ["more", "city"]


def test_keys_of_a_policy_are_frozen() -> None:
    """Later changes of the given mapping do not matter."""
    keys = {"pair": PAIR}
    policy = key_policy(keys=keys)
    keys.clear()

    assert "pair" in compiled(policy).by_name
    with pytest.raises(TypeError):
        compiled(policy).by_name["x"] = PAIR  # type: ignore[index]


def test_evolved_policy_is_checked() -> None:
    """Its keys are derived anew."""
    policy = key_policy()

    assert [key.name for key in attrs.evolve(policy, keys={}).all_keys] == ["email"]
    with pytest.raises(InvalidPolicy, match="on_key_in_use"):
        attrs.evolve(policy, on_key_in_use="merge")  # type: ignore[arg-type]


def appending_policy(rule: Any, first: Any = replace) -> Policy:
    """Make a policy in which a primary is appended to a list with this rule."""
    keys = {"k": key("first", "more", normalize=str, any_of=True, append_new=True)}
    lines = {"first": field(rule=first), "more": field(rule=rule)}
    return key_policy(lines=lines, keys=keys)


@pytest.mark.parametrize(
    "rule",
    [remove, ignore, on_create, immutable, latest(by="first"), append, custom(max)],
    ids=str,
)
def test_append_new_needs_a_rule_that_keeps_appended_values(rule: Any) -> None:
    """Otherwise the second call would not be unchanged."""
    for good in (replace, keep, union):
        assert appending_policy(good).all_keys
    with pytest.raises(
        InvalidPolicy, match=f"more: must have the rule .*{rule.name[:6]}"
    ):
        appending_policy(rule)


@pytest.mark.parametrize("rule", [on_create, ignore], ids=str)
def test_part_that_no_update_stores_cannot_be_withheld(rule: Any) -> None:
    keys = {"k": key("first", "last", normalize=str, unique=True)}
    lines = {"last": field(rule=rule)}
    assert key_policy(lines=lines, keys=keys).all_keys
    assert key_policy(lines=lines, on_key_in_use="withhold").all_keys
    with pytest.raises(
        InvalidPolicy, match="last: is part of key k: with on_key_in_use"
    ):
        key_policy(lines=lines, keys=keys, on_key_in_use="withhold")


@pytest.mark.parametrize("limit", [0, -1, True, 1.0, "2"], ids="abcde")
def test_max_forms_that_is_no_positive_integer_is_refused(limit: Any) -> None:
    """For keys of one field and of several."""
    good = {"one": key("first", "last", normalize=str, max_forms=1)}
    assert key_policy(keys=good).all_keys
    for options in (
        {"lines": {"one": field(key=str, max_forms=limit)}},
        {"keys": {"one": key("first", "last", normalize=str, max_forms=limit)}},
    ):
        with pytest.raises(
            InvalidPolicy, match="one: max_forms must be a whole number"
        ):
            key_policy(**options)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: table(a=field(key=str, unique=WRONG)), "a: unique must be True or"),
        (lambda: table(a=field(required=WRONG)), "a: required must be True or False"),
        (
            lambda: key_policy(
                keys={"k": key("first", normalize=str, keep_aliases=WRONG)}
            ),
            "k: ",
        ),
        (lambda: items_by(WRONG), "items_by: needs the names that"),
        (lambda: items_by("id", ""), "items_by: needs the names that"),
        (
            lambda: appending_policy(union, first=ignore),
            "first: is not stored at creation",
        ),
    ],
    ids=map(str, range(6)),
)
def test_option_of_the_wrong_type_is_refused(make: Any, words: str) -> None:
    with pytest.raises(InvalidPolicy, match=words):
        make()


def test_patterns_of_a_generator_are_kept() -> None:
    """The policy can be evolved."""
    line = field(key=normalize.email)
    policy = Policy(
        first_match("a"), blocking({"a": line}, {"a": (p for p in ("x@*", "y@*"))})
    )

    assert policy.fields["a"].blocked == ("x@*", "y@*")
    assert attrs.evolve(policy).all_keys[0].forms({"a": "y@z"}) == ()


def test_merge_rule_with_a_clock_of_an_undeclared_field_is_refused() -> None:
    email = field(key=normalize.email)
    expected = "its rule latest\\(by='at'\\) needs the field at; declare it"
    lines = {"email": email, "name": field(on_merge=latest(by="at"))}
    with pytest.raises(InvalidPolicy, match=f"name: {expected}"):
        Policy(first_match("email"), lines)
    with pytest.raises(InvalidPolicy, match=f"email: {expected}"):
        Policy(first_match("email"), {"email": email}, on_merge=latest(by="at"))


def test_default_with_a_nested_bad_value_names_its_path() -> None:
    with pytest.raises(InvalidPolicy) as refusal:
        Policy(first_match("id"), {"id": field(default=[1, {2}])})

    assert str(refusal.value).startswith("id: default[1]")
    assert str(refusal.value).endswith("use sorted(value)")

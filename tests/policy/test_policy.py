"""The policy: a table that cannot work is refused when it is made."""

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
def test_an_unworkable_table(make: Any, words: str) -> None:
    """Each names the line of the table and says what would be right."""
    with pytest.raises(InvalidPolicy, match=words):
        make()


def table(**lines: Any) -> Policy:
    """Make a policy that matches by email, with further lines or options."""
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


def test_it_is_frozen() -> None:
    """What it was made of can change; the policy does not."""
    fields = {"email": EMAIL}
    policy = Policy(first_match("email"), fields)
    fields["phone"] = EMAIL

    assert ["email"] == list(policy.fields)
    with pytest.raises(TypeError):
        policy.fields["phone"] = EMAIL  # type: ignore[index]


def test_its_lines() -> None:
    """A field has its own line, or the one for others, or none."""
    policy = table(extra_fields=field(rule=keep))

    assert policy.field_options("email") is EMAIL
    assert policy.field_options("city").rule is keep
    with pytest.raises(UnknownField):
        policy.field_options(7)
    with pytest.raises(UnknownField, match="city: unknown field"):
        table().field_options("city")


def test_a_default_is_cleaned_and_frozen() -> None:
    """What is stored by default is what would be stored if it were sent."""
    lower = field(default="ACTIVE", clean=str.lower)
    policy = table(status=lower, tags=field(default=["a"]))

    assert dict(compiled(policy).defaults) == {"status": "active", "tags": ("a",)}


def test_an_index_must_fit() -> None:
    """A book refuses an index that was made for other keys."""
    with pytest.raises(InvalidPolicy, match="index: must have the keys"):
        ContactBook(table(), index=ContactIndex(["phone"]))


LAST = {"first": field(), "last": field(), "more": field()}
PAIR = key("first", "last", normalize=normalize.text)
EACH = key("first", "more", normalize=normalize.text, any_of=True)


def keyed(match: Any = None, **options: Any) -> Policy:
    """Make a policy over an email and three further fields, with named keys."""
    lines = {"email": EMAIL, **LAST, **options.pop("lines", {})}
    keys = options.pop("keys", {"pair": PAIR})
    return Policy(match or first_match("email"), lines, keys=keys, **options)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: keyed(keys=["pair"]), "keys: must be a mapping of names, not"),
        (lambda: keyed(keys={"": PAIR}), "keys: names must be str, got ''"),
        (lambda: keyed(keys={7: PAIR}), "keys: names must be str, got 7"),
        (lambda: keyed(keys={"pair": EMAIL}), r"keys: pair: must be key\(...\)"),
        (lambda: keyed(keys={"email": PAIR}), "email: duplicate key name"),
        (lambda: keyed(keys={"k": key("x", normalize=str)}), "k: unknown field 'x'"),
        (
            lambda: keyed(
                keys={"k": key("first", "x", normalize=str)},
                extra_fields=field(rule=keep),
            ),
            "k: unknown field 'x'; this policy has",
        ),
        (
            lambda: keyed(keys={"a": EACH, "b": EACH}),
            "first: is the primary of two keys",
        ),
        (
            lambda: keyed(
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
            lambda: keyed(
                lines={"last": field(default="King")},
                keys={"k": key("first", "last", normalize=str, unique=True)},
            ),
            "last: a default would give",
        ),
        (
            lambda: keyed(
                lines={"more": field(default=["King"])},
                keys={
                    "k": key("first", "more", normalize=str, any_of=True, unique=True)
                },
            ),
            "more: a default would give",
        ),
        (
            lambda: keyed(first_match("pair"), lines={"last": field(rule=ignore)}),
            "last: identifies contacts, but its rule ignore never stores it",
        ),
        (
            lambda: keyed(first_match("person")),
            "unknown key 'person'; this policy has: email",
        ),
        (
            lambda: keyed(lines={"last": field(blocked=("x",))}),
            "last: blocked needs a key",
        ),
        (
            lambda: keyed(lines={"last": field(key=str, blocked="x")}),
            "last: blocked must be a tuple",
        ),
        (
            lambda: keyed(lines={"last": field(key=str, blocked=7)}),  # type: ignore[arg-type]
            "last: blocked must be a tuple",
        ),
        (
            lambda: keyed(lines={"last": field(key=str, blocked=(7,))}),  # type: ignore[arg-type]
            "last: blocked must be text or a compiled pattern",
        ),
        (
            lambda: keyed(
                keys={"pair": attrs.evolve(PAIR, blocked=("x",))}, on_blocked="ignore"
            ),
            "pair: blocks combinations of values, so no single field",
        ),
        (lambda: keyed(on_blocked="drop"), "on_blocked: must be one of 'store'"),
        (lambda: keyed(on_limit="ignore"), "on_limit: must be one of 'refuse', 'drop'"),
        (lambda: keyed(on_limit="drop"), "on_limit: 'drop' needs the strategy merge"),
        (
            lambda: keyed(merge_all("email", "pair"), on_limit="drop"),
            "pair: cannot be dropped alone",
        ),
        (
            lambda: keyed(
                merge_all("email", "more"),
                lines={"more": field(key=normalize.text)},
                keys={"each": EACH},
                on_limit="drop",
            ),
            "more: cannot be dropped alone: other keys share its fields",
        ),
        (
            lambda: keyed(
                first_match("email", "pair", guard="strict", on_contradiction="drop")
            ),
            "pair: cannot be dropped alone",
        ),
        (
            lambda: keyed(
                merge_all("email"),
                lines={"last": field(key=normalize.text, max_forms=2)},
                on_limit="drop",
            ),
            "last: its max_forms needs keep_aliases=True, for",
        ),
        (lambda: keyed(on_found="drop"), "on_found: must be one of 'update', 'ignore'"),
        (lambda: keyed(on_not_found=0), "on_not_found: must be one of 'create', 'ref"),
        (
            lambda: keyed(on_not_found="refuse", on_found="ignore"),
            "on_found: must be 'update' where on_not_found='refuse'",
        ),
        (lambda: keyed(on_merge="keep"), "on_merge: must be a rule, not 'keep'"),
        (
            lambda: keyed(lines={"last": field(on_merge="keep")}),  # type: ignore[arg-type]
            "last: on_merge: must be a rule, not 'keep'",
        ),
        (lambda: keyed(extra_fields=keep), r"extra_fields: must be field\(...\) or"),
        (lambda: keyed(extra_fields=field), "extra_fields: field makes"),
        (
            lambda: keyed(extra_fields=field(key=str)),
            "extra_fields: key is for a declared field",
        ),
        (
            lambda: keyed(extra_fields=field(default=0)),
            "extra_fields: default is for a declared field",
        ),
        (
            lambda: keyed(lines={"last": field(rule=latest(by="at"))}),
            "last: its rule .* needs the field at; declare",
        ),
        (
            lambda: keyed(lines={"last": field(rule=last_updated)}),
            "last: the rule last_updated compares the updated_at of two contacts",
        ),
        (
            lambda: keyed(extra_fields=field(rule=last_updated)),
            "extra_fields: the rule last_updated compares the updated_at",
        ),
    ],
    ids=map(str, range(39)),
)
def test_an_unworkable_table_of_keys(make: Any, words: str) -> None:
    """Keys, what blocks them, limits, modes and absorption are looked at too."""
    with pytest.raises(InvalidPolicy, match=words):
        make()


def test_the_clock_of_others_is_a_field_of_others() -> None:
    """Where undeclared fields have a rule, a clock may be undeclared itself."""
    policy = keyed(
        extra_fields=field(rule=latest(by="at")),
        lines={"last": field(rule=latest("when"))},
    )

    assert policy.field_options("city").rule.by == "at"


def test_the_order_of_keys() -> None:
    """Keys of fields in the order of the table, then the named ones in theirs."""
    policy = keyed(
        keys={"pair": PAIR, "each": EACH, "last": key("last", normalize=str)},
        lines={"more": field(key=normalize.exact)},
    )

    assert ["email", "more", "pair", "each", "last"] == [
        k.name for k in policy.all_keys
    ]
    assert list(compiled(policy).by_name) == [k.name for k in policy.all_keys]
    assert compiled(policy).no_forms == ((),) * 5


def test_one_key_may_serve_two_names() -> None:
    """A key takes its name from the policy, and stays as it was made."""
    policy = keyed(keys={"one": PAIR, "two": PAIR})

    assert ["email", "one", "two"] == [key.name for key in policy.all_keys]
    assert PAIR.name == ""


def test_keys_that_can_be_dropped() -> None:
    """The first key of a guarded strategy is never dropped, so it may be any."""
    guarded = first_match("pair", "email", guard="if_set", on_contradiction="drop")

    assert keyed(guarded).match is guarded
    assert keyed(merge_all("email"), on_limit="drop").on_limit == "drop"


def test_a_field_may_be_called_so() -> None:
    """Then it is what it is called, and no other field is meant."""
    policy = keyed(lines={"*": field(on_merge=last_updated)})

    assert policy.merge_rule("*") == last_updated
    assert policy.merge_rule("last") == keep
    assert [*policy.update_time_fields()] == ["*"]


def test_a_default_rule_for_merges() -> None:
    """It is for each field without its own, undeclared ones among them."""
    extra = field(rule=keep, on_merge=replace)
    policy = keyed(extra_fields=extra, on_merge=last_updated)

    assert policy.merge_rule("city") is replace
    assert policy.merge_rule("last") is last_updated
    assert [*policy.update_time_fields({"city": 1})] == [
        "email",
        "first",
        "last",
        "more",
    ]
    policy = keyed(extra_fields=field(), on_merge=last_updated)
    assert [*policy.update_time_fields({"city": 1, "last": 2})][3:] == ["more", "city"]


def test_named_tables_are_frozen() -> None:
    """What a policy was made of can change; the policy does not."""
    keys = {"pair": PAIR}
    policy = keyed(keys=keys)
    keys.clear()

    assert "pair" in compiled(policy).by_name
    with pytest.raises(TypeError):
        compiled(policy).by_name["x"] = PAIR  # type: ignore[index]


def test_a_policy_can_be_varied() -> None:
    """A variant is checked, and derives its keys anew."""
    policy = keyed()

    assert [key.name for key in attrs.evolve(policy, keys={}).all_keys] == ["email"]
    with pytest.raises(InvalidPolicy, match="on_key_in_use"):
        attrs.evolve(policy, on_key_in_use="merge")  # type: ignore[arg-type]


def joined(rule: Any, first: Any = replace) -> Policy:
    """Make a policy in which a key joins a list that has this rule."""
    keys = {"k": key("first", "more", normalize=str, any_of=True, append_new=True)}
    lines = {"first": field(rule=first), "more": field(rule=rule)}
    return keyed(lines=lines, keys=keys)


@pytest.mark.parametrize(
    "rule",
    [remove, ignore, on_create, immutable, latest(by="first"), append, custom(max)],
    ids=str,
)
def test_a_list_that_is_joined(rule: Any) -> None:
    """Its own rule must take again what joined, or twice would not be once."""
    for good in (replace, keep, union):
        assert joined(good).all_keys
    with pytest.raises(
        InvalidPolicy, match=f"more: must have the rule .*{rule.name[:6]}"
    ):
        joined(rule)


@pytest.mark.parametrize("rule", [on_create, ignore], ids=str)
def test_a_part_that_is_withheld(rule: Any) -> None:
    """A part that no update takes cannot be withheld with the others."""
    keys = {"k": key("first", "last", normalize=str, unique=True)}
    lines = {"last": field(rule=rule)}
    assert keyed(lines=lines, keys=keys).all_keys
    assert keyed(lines=lines, on_key_in_use="withhold").all_keys
    with pytest.raises(
        InvalidPolicy, match="last: is part of key k: with on_key_in_use"
    ):
        keyed(lines=lines, keys=keys, on_key_in_use="withhold")


@pytest.mark.parametrize("limit", [0, -1, True, 1.0, "2"], ids="abcde")
def test_a_limit_is_a_whole_number_from_1(limit: Any) -> None:
    """Of a key of one field and of several; the key is named."""
    good = {"one": key("first", "last", normalize=str, max_forms=1)}
    assert keyed(keys=good).all_keys
    for options in (
        {"lines": {"one": field(key=str, max_forms=limit)}},
        {"keys": {"one": key("first", "last", normalize=str, max_forms=limit)}},
    ):
        with pytest.raises(
            InvalidPolicy, match="one: max_forms must be a whole number"
        ):
            keyed(**options)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: table(a=field(key=str, unique=WRONG)), "a: unique must be True or"),
        (lambda: table(a=field(required=WRONG)), "a: required must be True or False"),
        (
            lambda: keyed(keys={"k": key("first", normalize=str, keep_aliases=WRONG)}),
            "k: ",
        ),
        (lambda: items_by(WRONG), "items_by: needs the names that"),
        (lambda: items_by("id", ""), "items_by: needs the names that"),
        (lambda: joined(union, first=ignore), "first: is not stored at creation"),
    ],
    ids=map(str, range(6)),
)
def test_an_option_of_the_wrong_type(make: Any, words: str) -> None:
    """What only looks true is refused, and so is what could not be repeated."""
    with pytest.raises(InvalidPolicy, match=words):
        make()


def test_patterns_may_come_from_a_generator() -> None:
    """They are kept, so that the policy can be made again of its parts."""
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

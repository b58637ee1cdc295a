"""A policy as TOML: every word, the same policy back, and the line of a mistake."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from tests.strategies import policies
from upsertcore import (
    Policy,
    field,
    first_match,
    key,
    never,
    normalize,
    rules,
)
from upsertcore.errors import InvalidPolicy
from upsertcore.matching import strategies
from upsertcore.matching.protocol import Match, Strategy
from upsertcore.normalize import Normalizer, phonetic
from upsertcore.policy.overrides import with_overrides
from upsertcore.profiles import BY_NAME
from upsertcore.rules.rule import Rule


def tidy(value: Any) -> Any:
    """Clean a value, as an application might."""
    return value.strip()


def shortened(length: int, *, at_end: bool) -> Normalizer:
    """Make a function that shortens a value, as an application might."""
    return lambda value: value[-length:] if at_end else value[:length]


def longer(stored: Any, sent: Any) -> Any:
    """Combine two values, as an application might."""
    return max(stored or "", sent or "", key=len)


LONGEST = rules.custom(longer, name="longest", laws=("idempotent", "associative"))
OWN_STRATEGY = Strategy("first_match", ("email",), lambda *_: Match())
HERE = "tests.policy.test_toml_text"

FULL = Policy(
    first_match("email", "person", guard="if_set"),
    {
        "email": field(
            key=normalize.email,
            unique=True,
            keep_aliases=True,
            max_forms=3,
            blocked=normalize.PLACEHOLDERS,
            required=True,
            null="reject",
            blank="ignore",
        ),
        "name": field(clean=tidy, rule=LONGEST),
        "born": field(rule=rules.latest(by="at"), on_merge=rules.last_updated),
        "at": field(),
        "e.mail \U0001f600": field(
            default=["new", {"a b": 1.0, "c": True, "d": "\x7f"}]
        ),
        "nested": field(default={"gone": None}),
    },
    keys={
        "person": key(
            "name",
            "born",
            normalize=(normalize.nicknames({"Robert": ["Bob"]}), normalize.year),
            blocked=("|", re.compile("(?i)x.*", re.DOTALL), *normalize.PLACEHOLDERS),
        ),
        "mails": key("at", "name", normalize=normalize.text, any_of=True),
    },
    extra_fields=field(rule=rules.items_by("id", "key")),
    on_merge=rules.replace,
    on_ambiguous="oldest",
)
FULL_TEXT = """\
match = { first_match = ["email", "person"], guard = "if_set" }
on_merge = "replace"
on_ambiguous = "oldest"

[extra_fields]
rule = { items_by = ["id", "key"] }

[fields.email]
key = "email"
unique = true
keep_aliases = true
max_forms = 3
blocked = "PLACEHOLDERS"
required = true
null = "reject"
blank = "ignore"

[fields.name]
clean = "tests.policy.test_toml_text:tidy"
rule = { custom = "tests.policy.test_toml_text:longer", name = "longest", \
laws = ["associative", "idempotent"] }

[fields.born]
rule = { latest = "at" }
on_merge = "last_updated"

[fields.at]

[fields."e.mail \U0001f600"]
default = ["new", { "a b" = 1.0, c = true, d = "\\u007f" }]

[fields.nested]
default_json = "{\\"gone\\": null}"

[keys.person]
fields = ["name", "born"]
normalize = [{ nicknames = { Robert = ["Bob"] } }, "year"]
blocked = [
    "|",
    { regex = "(?i)x.*", flags = ["IGNORECASE", "DOTALL"] },
    { list = "PLACEHOLDERS" },
]

[keys.mails]
fields = ["at", "name"]
normalize = "text"
any_of = true
"""


def email_policy(**options: Any) -> Policy:
    """Make a policy with one key and a field with these options."""
    fields = {"email": field(key=normalize.email), "more": field(**options)}
    return Policy(first_match("email"), fields)


def assert_round_trip(policy: Policy, *, allow_imports: bool = False) -> None:
    """Check that a policy is read from its own text, which is stable."""
    text = policy.to_toml()
    again = Policy.from_toml(text, allow_imports=allow_imports)

    assert again == policy
    assert again.to_toml() == text


def test_text_of_a_policy_has_what_differs_from_the_defaults() -> None:
    """Every option of fields and keys is among them."""
    assert FULL.to_toml() == FULL_TEXT
    assert_round_trip(FULL, allow_imports=True)


def test_text_is_read_in_any_form_of_toml() -> None:
    """Windows line ends, inline tables and dotted keys among them."""
    text = (
        'match.first_match = ["email"]\r\n'
        "fields = { email.key = 'email', more = { rule = \"union\" } }\r\n"
    )

    assert Policy.from_toml(text) == email_policy(rule=rules.union)


RULES: dict[str, Rule] = {
    "custom": LONGEST,
    "constant": rules.constant(2.5),
    "items_by": rules.items_by("id", "key"),
    "latest": rules.latest(by="email"),
    "refuse_if": rules.refuse_if("customer"),
    "sticky": rules.sticky({"out": [True, 1.5]}),
}


@pytest.mark.parametrize("name", rules.__all__)
def test_every_rule_has_a_word(name: str) -> None:
    """Those that a function makes with its arguments."""
    rule = RULES.get(name, getattr(rules, name))
    policy = email_policy(on_merge=rule)

    assert name in policy.to_toml().partition("[fields.more]")[2]
    assert_round_trip(policy, allow_imports=name == "custom")


NORMALISERS: dict[str, Any] = {
    "chain": normalize.chain(normalize.compact, normalize.prefix(3), phonetic.soundex),
    "date": normalize.date("dmy"),
    "nicknames": normalize.nicknames({"Robert": ["Bob", "Rob"], "Zo\u00eb": []}),
    "phone_in": normalize.phone_in("US"),
    "prefix": normalize.prefix(3),
    "phonetic.nysiis": phonetic.nysiis,
    "phonetic.soundex": phonetic.soundex,
}


@pytest.mark.parametrize(
    "name",
    [
        *(name for name in normalize.__all__ if name.islower()),
        *(f"phonetic.{name}" for name in phonetic.__all__),
    ],
)
def test_every_normaliser_has_a_word(name: str) -> None:
    """As key, as clean and in a key of several fields."""
    normaliser = NORMALISERS.get(name) or getattr(normalize, name)
    fields = {"email": field(key=normaliser, clean=normaliser), "more": field()}
    keys = {"both": key("email", "more", normalize=(normaliser, normalize.exact))}
    policy = Policy(first_match("email"), fields, keys=keys)

    assert policy.to_toml().count(name) >= 3
    assert_round_trip(policy)


def test_normaliser_with_an_argument_that_may_be_left_out_is_a_name() -> None:
    policy = Policy(first_match("email"), {"email": field(key=normalize.date())})

    assert 'key = "date"\n' in policy.to_toml()
    assert_round_trip(policy)


def test_normalisers_of_a_chain_are_words() -> None:
    """Those of the application are imported."""
    chain = normalize.chain(normalize.email_idna, tidy, normalize.date("mdy"))
    policy = Policy(first_match("email"), {"email": field(key=chain)})
    words = f'["email_idna", "{HERE}:tidy", {{ date = "mdy" }}]'

    assert f"key = {{ chain = {words} }}\n" in policy.to_toml()
    assert_round_trip(policy, allow_imports=True)


STRATEGIES: dict[str, tuple[Strategy, ...]] = {
    "first_match": (
        first_match("email"),
        first_match("email", guard="strict"),
        first_match("email", guard="if_set", on_contradiction="drop"),
    ),
    "never": (never(),),
}


@pytest.mark.parametrize("name", [n for n in strategies.__all__ if n.islower()])
def test_every_strategy_has_a_word(name: str) -> None:
    """With its guards."""
    makes = getattr(strategies, name)
    for match in STRATEGIES.get(name) or (makes("email"),):
        assert_round_trip(Policy(match, email_policy().fields))


def test_policy_without_fields_is_read() -> None:
    assert_round_trip(Policy(never(), {}))
    assert_round_trip(Policy(never(), {}, extra_fields=field()))


@given(policies())
def test_drawn_policy_is_read_from_its_text(policy: Policy) -> None:
    """The functions of the tests are at the top level of modules."""
    assert_round_trip(policy, allow_imports=True)


PROFILES: list[tuple[str, dict[str, Any]]] = [
    *[(name, {}) for name in BY_NAME],
    *[(name, {"placeholders": True}) for name in BY_NAME],
    ("LeadConnector", {"region": "US", "priority": ("phone",)}),
    ("LeadConnector", {"allow_duplicates": True, "lower_case_tags": True}),
    ("SalesforceIQ", {"region": "DE"}),
    ("SegMetrics", {"match_email": True, "ordered": True}),
    ("SegMetrics", {"custom_fields": True, "default_status": "active"}),
]


@pytest.mark.parametrize(("name", "options"), PROFILES, ids=map(str, PROFILES))
def test_policy_of_a_profile_is_read_from_its_text(
    name: str, options: dict[str, Any]
) -> None:
    """Its functions are those of a module, or are made by those."""
    policy = BY_NAME[name](**options).policy

    assert_round_trip(policy, allow_imports=True)
    assert policy == BY_NAME[name](**options).policy
    assert policy == pickle.loads(pickle.dumps(policy))  # noqa: S301 - pickled here


def test_policies_of_regions_differ() -> None:
    for name in ("LeadConnector", "SalesforceIQ"):
        profiles = [BY_NAME[name](region=region) for region in (None, "US", "DE")]
        one, two, three = [profile.policy.fields["phone"] for profile in profiles]

        assert one != two != three != one


def test_function_of_an_application_makes_a_value() -> None:
    """Its annotation says so; the text is imported only where that is allowed."""
    text = f"{NAMED}clean = {{ '{HERE}:shortened' = 3, at_end = true }}"
    policy = Policy.from_toml(text, allow_imports=True)

    assert policy.fields["email"].clean is not None
    assert policy.fields["email"].clean("abcdef") == "def"
    with pytest.raises(
        InvalidPolicy, match=r"line 5: fields\.email\.clean: .*imported"
    ):
        Policy.from_toml(text)
    with pytest.raises(
        InvalidPolicy, match=r"unknown argument of .*'at_ned'; use at_e"
    ):
        Policy.from_toml(text.replace("at_end", "at_ned"), allow_imports=True)
    with pytest.raises(InvalidPolicy, match=r"clean: .*missing 1 required keyword"):
        Policy.from_toml(text.replace(", at_end = true", ""), allow_imports=True)
    message = "tidy is not annotated as a function that makes a normaliser; annotate"
    with pytest.raises(InvalidPolicy, match=message):
        Policy.from_toml(text.replace("shortened", "tidy"), allow_imports=True)


class Tidy:
    """A callable without a name of its own."""

    def __call__(self, value: Any) -> Any:
        """Clean a value."""
        return value


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (
            email_policy(clean=lambda value: value),
            "more: clean: the function <lambda> has no name in a text; define it at",
        ),
        (email_policy(clean=Tidy()), "more: clean: <.*Tidy.* has no name in a text"),
        (
            email_policy(rule=rules.custom(lambda a, _b: a)),
            "more: rule: the function <lambda> has no name in a text",
        ),
        (
            email_policy(on_merge=Rule("latest(by='x')", longer)),
            r"more: on_merge: latest\(by='x'\) has no name in a text; use one that a",
        ),
        (
            email_policy(rule=Rule("a b", longer)),
            "more: rule: a b has no name in a text",
        ),
        (
            email_policy(rule=Rule("keep", longer)),
            "more: rule: keep has no name in a text",
        ),
        (
            email_policy(rule=Rule("longest", LONGEST.combine)),
            "more: rule: longest has no name in a text",
        ),
        (
            Policy(OWN_STRATEGY, email_policy().fields),
            r"^match: first_match\('email'\) has no name in a text",
        ),
        (
            Policy(
                never(),
                {"a": field(), "b": field()},
                keys={"pair": key("a", "b", normalize=lambda value: value)},
            ),
            "^pair: normalize: the function <lambda> has no",
        ),
        (
            Policy(never(), {}, extra_fields=field(clean=lambda value: value)),
            "^extra_fields: clean: the function <lambda> has no",
        ),
        (
            email_policy(rule=rules.sticky({"a": None})),
            "^more: rule: sticky.* has null inside, and TOML has none; use another",
        ),
    ],
    ids=map(str, range(11)),
)
def test_private_callable_is_named_by_the_error(policy: Policy, message: str) -> None:
    """With the field, or the option."""
    with pytest.raises(InvalidPolicy, match=message):
        policy.to_toml()


def test_overridden_policy_is_written_with_its_overrides() -> None:
    policy = with_overrides(email_policy(), {"more": rules.union})

    assert Policy.from_toml(policy.to_toml()) == email_policy(rule=rules.union)


NAMED = """
match = { first_match = ["email"] }
[fields.email]
key = "email"
"""


def mistakes() -> list[dict[str, Any]]:
    """Read the cases: the lines of a text, and the message."""
    path = Path(__file__).parent.parent / "cases" / "policy_texts.json"
    return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


@pytest.mark.parametrize("case", mistakes(), ids=map(str, range(len(mistakes()))))
def test_mistake_is_refused_with_its_line(case: dict[str, Any]) -> None:
    """And with the field or the option."""
    with pytest.raises(InvalidPolicy) as error:
        Policy.from_toml("\n".join(case["text"]))

    assert str(error.value) == case["message"]


@pytest.mark.parametrize("text", ["match = [", "[a]\n[a]"])
def test_text_that_is_no_toml_is_refused(text: str) -> None:
    """With the line and the column, by tomllib."""
    with pytest.raises(InvalidPolicy, match=r"^text: is not valid TOML: .* \(at .*; c"):
        Policy.from_toml(text)


def test_deep_text_is_refused() -> None:
    with pytest.raises(InvalidPolicy, match="text: nests too deep; write it flat"):
        Policy.from_toml("match = " + "[" * 100_000)


def test_text_of_another_type_is_refused() -> None:
    text: Any = b"match = 'never'"
    with pytest.raises(InvalidPolicy, match=r"^text: must be str, not b"):
        Policy.from_toml(text)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no.such.module:clean", "No module named 'no'"),
        (f"{HERE}:nothing", "has no attribute 'nothing'"),
        (":clean", "must be module:attribute, not ':clean'"),
    ],
)
def test_name_that_cannot_be_imported_is_refused(name: str, message: str) -> None:
    with pytest.raises(InvalidPolicy, match=message) as error:
        Policy.from_toml(f"{NAMED}clean = '{name}'", allow_imports=True)

    assert "line 5: fields.email.clean: " in str(error.value)


def test_imported_rule_and_strategy_are_taken() -> None:
    """Wherever a word may be; what is no rule is refused by the policy."""
    text = NAMED.replace('{ first_match = ["email"] }', f'"{HERE}:OWN_STRATEGY"')
    policy = Policy.from_toml(f"{text}rule = '{HERE}:LONGEST'", allow_imports=True)

    assert policy.match is OWN_STRATEGY
    assert policy.fields["email"].rule is LONGEST
    with pytest.raises(InvalidPolicy, match="line 3: email: rule: must be a rule"):
        Policy.from_toml(f"{NAMED}rule = '{HERE}:tidy'", allow_imports=True)
    text = NAMED.replace('{ first_match = ["email"] }', f'"{HERE}:tidy"')
    with pytest.raises(InvalidPolicy, match="line 2: match: must be a match strategy"):
        Policy.from_toml(text, allow_imports=True)


def test_nothing_is_imported_unless_it_is_allowed() -> None:
    """Not even a module that is loaded."""
    text = email_policy(clean=tidy).to_toml()
    with pytest.raises(InvalidPolicy, match=r"line 7: fields\.more\.clean: .*imported"):
        Policy.from_toml(text)


@pytest.mark.parametrize(
    ("blocked", "text"),
    [
        (("x@*",), '["x@*"]'),
        (normalize.PLACEHOLDERS, '"PLACEHOLDERS"'),
        ((re.compile("0+"), "x"), '[{ regex = "0+" }, "x"]'),
        ((*normalize.PLACEHOLDERS, "x"), '[{ list = "PLACEHOLDERS" }, "x"]'),
    ],
    ids=map(str, range(4)),
)
def test_blocked_patterns_are_written_as_words(blocked: Any, text: str) -> None:
    fields = {"email": field(key=normalize.email, blocked=blocked)}
    policy = Policy(first_match("email"), fields)

    assert f"blocked = {text}\n" in policy.to_toml()
    assert_round_trip(policy)


def test_blocked_parts_of_a_key_are_a_table() -> None:
    parts = {"born": ("1900*", re.compile("0+")), "name": normalize.PLACEHOLDERS}
    keys = {"who": key("name", "born", normalize=normalize.exact, blocked=parts)}
    fields = {"name": field(), "born": field()}
    policy = Policy(first_match("who"), fields, keys=keys)
    words = '{ born = ["1900*", { regex = "0+" }], name = "PLACEHOLDERS" }'

    assert f"blocked = {words}\n" in policy.to_toml()
    assert_round_trip(policy)


def test_custom_rule_with_the_usual_name_and_laws_is_short() -> None:
    policy = email_policy(rule=rules.custom(longer))

    assert f'rule = {{ custom = "{HERE}:longer" }}\n' in policy.to_toml()
    assert_round_trip(policy, allow_imports=True)

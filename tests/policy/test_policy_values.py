"""A policy is a value: equal by its options, copied as itself, pickled by them."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import attrs
import pytest
from hypothesis import given

from tests.strategies import policies
from upsertcore import Policy, field, first_match, key, normalize, rules
from upsertcore.policy.overrides import with_overrides

FIELDS: dict[str, Any] = {
    "email": field(key=normalize.email, blocked=normalize.PLACEHOLDERS),
    "phone": field(key=normalize.phone_in("US"), clean=normalize.phone_in("US")),
    "tags": field(rule=rules.items_by("id"), default=[{"id": 1}]),
    "city": field(rule=rules.latest(by="at"), on_merge=rules.last_updated),
    "at": field(),
}
KEYS = {"pair": key("city", "at", normalize=(normalize.text, normalize.prefix(3)))}


def make_policy(
    match: Any = None, fields: Any = None, keys: Any = None, **options: Any
) -> Policy:
    """Make a policy of the words above, or of others."""
    return Policy(
        match or first_match("email", "phone", guard="strict"),
        FIELDS if fields is None else fields,
        keys=KEYS if keys is None else keys,
        **options,
    )


def unpickled(value: Any) -> Any:
    """Return a value after pickling."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - pickled here


def test_policies_with_equal_options_are_equal() -> None:
    """Their hashes are equal, too."""
    fields = {
        **FIELDS,
        "phone": field(key=normalize.phone_in("US"), clean=normalize.phone_in("US")),
        "tags": field(rule=rules.items_by("id"), default=({"id": 1},)),
    }
    keys = {"pair": key("city", "at", normalize=(normalize.text, normalize.prefix(3)))}
    one, two = make_policy(), make_policy(None, fields, keys)

    assert one == two
    assert hash(one) == hash(two)


@pytest.mark.parametrize(
    "other",
    [
        make_policy(first_match("email", "phone")),
        make_policy(fields={**FIELDS, "tags": field(default=[{"id": True}])}),
        make_policy(fields={**FIELDS, "tags": field(default=[{"id": 1.0}])}),
        make_policy(fields={**FIELDS, "email": field(key=normalize.email)}),
        make_policy(fields=dict(reversed(FIELDS.items()))),
        make_policy(keys={}),
        make_policy(on_key_in_use="withhold"),
        make_policy(extra_fields=field()),
        with_overrides(make_policy(), {"city": rules.keep}),
        with_overrides(make_policy(), {"city": FIELDS["city"].rule}),
    ],
    ids=map(str, range(10)),
)
def test_policies_with_other_options_differ(other: Policy) -> None:
    """The order of the fields and the types of defaults count, and overrides, too."""
    assert make_policy() != other


def test_invalid_default_compares_as_it_is() -> None:
    """Such options fit no policy."""
    invalid = {1}

    assert field(default=invalid) == field(default=invalid)
    assert field(default=invalid) != field(default={2})


@pytest.mark.parametrize(
    "overrides", [{}, {"null": "ignore"}, {"on_found": "refuse"}], ids=str
)
def test_pickled_policy_is_equal(overrides: Any) -> None:
    """With the overrides of a call, too."""
    policy = with_overrides(make_policy(extra_fields=field()), **overrides)
    loaded = unpickled(policy)

    assert loaded == policy
    assert loaded.base == policy.base
    assert loaded.on_found == policy.on_found
    assert loaded.all_keys == policy.all_keys
    assert loaded.fields["at"].rule is rules.replace


def test_copied_policy_is_itself() -> None:
    policy = make_policy()

    assert copy.copy(policy) is copy.deepcopy(policy) is policy
    assert attrs.evolve(policy, on_found="ignore") != policy


@given(policies())
def test_drawn_policy_equals_its_pickle(policy: Policy) -> None:
    loaded = unpickled(policy)

    assert loaded == policy
    assert hash(loaded) == hash(policy)


def test_function_without_a_name_is_named_by_the_error() -> None:
    fields = {"email": field(key=normalize.email, clean=lambda value: value)}
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(make_policy(first_match("email"), fields, {}))

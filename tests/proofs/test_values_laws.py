"""Laws of values: freezing, thawing, JSON, and equality of types."""

from __future__ import annotations

import json
import pickle
from itertools import product
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.strategies import json_values
from upsertcore.rules.same_item import token
from upsertcore.values import FrozenMap, empty, freeze, same, thaw

NO_VALUES = (
    float("nan"),
    float("inf"),
    "\ud800",
    {1: "a"},
    {"\ud800": 1},
    [b"bytes"],
    {1, 2},
    object(),
    10**5_000,
)
WRAPS: dict[str, Any] = {
    "alone": lambda v: v,
    "in a list": lambda v: [v],
    "in a mapping": lambda v: {"a": [v]},
}
SCALARS = (None, True, False, 0, 1, -0.0, 0.0, 1.0, "", "1", "true")


@given(json_values())
def test_frozen_value_is_frozen_as_itself(value: Any) -> None:
    frozen = freeze(value)

    assert frozen is freeze(frozen)


def with_positive_zeros(value: Any) -> Any:
    """Write -0.0 as the 0.0 that it equals, at any depth."""
    if isinstance(value, list):
        return [with_positive_zeros(item) for item in value]
    if isinstance(value, dict):
        return {name: with_positive_zeros(item) for name, item in value.items()}
    return 0.0 if type(value) is float and not value else value


@example(-0.0)
@given(json_values())
def test_thawed_value_freezes_to_the_same_value(value: Any) -> None:
    """Thawing loses only the sign of zero, and shares nothing mutable."""
    frozen = freeze(value)
    first, second = thaw(frozen), thaw(frozen)

    assert as_json(with_positive_zeros(value)) == as_json(first)
    assert same(frozen, freeze(first))
    assert not isinstance(first, list | dict) or first is not second


@given(json_values())
def test_value_survives_json_and_pickle(value: Any) -> None:
    """The JSON is UTF-8."""
    frozen = freeze(value)
    text = json.dumps(thaw(frozen), ensure_ascii=False).encode()

    assert same(frozen, freeze(json.loads(text)))
    assert same(frozen, pickle.loads(pickle.dumps(frozen)))  # noqa: S301 - our own bytes


@given(json_values(), json_values())
def test_same_values_have_the_same_json(a: Any, b: Any) -> None:
    one, other = freeze(a), freeze(b)

    assert (as_json(a) == as_json(b)) == same(one, other)
    assert same(one, freeze(a))
    assert (token(one) == token(other)) == same(one, other)


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_values_of_different_types_differ_at_any_depth(wrap: Any) -> None:
    """1, 1.0 and true are three values."""
    for a, b in product(SCALARS, repeat=2):
        equal = type(a) is type(b) and a == b

        assert equal == same(freeze(wrap(a)), freeze(wrap(b))), (a, b)


@given(json_values())
def test_only_null_blank_text_and_empty_containers_are_empty(value: Any) -> None:
    no_text = isinstance(value, str) and not value.strip()
    assert (value in (None, [], {}) or no_text) == empty(freeze(value))


@pytest.mark.parametrize("value", NO_VALUES, ids=range(len(NO_VALUES)))
def test_value_that_json_cannot_write_is_refused(value: Any) -> None:
    """At any depth."""
    for nested in (value, [value], {"a": value}):
        with pytest.raises(ValueError, match="must"):
            freeze(nested)


@given(st.dictionaries(st.text("ab", max_size=2), st.integers(0, 2), max_size=3))
def test_frozen_map_equals_its_dict_and_hashes_in_any_order(
    items: dict[str, int],
) -> None:
    back = dict(reversed(items.items()))

    assert FrozenMap(items) == items
    assert hash(FrozenMap(items)) == hash(FrozenMap(back))


def as_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)

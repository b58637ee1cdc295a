"""Laws of values: freezing, thawing, JSON, and equality that tells types apart."""

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
def test_freezing_twice_is_freezing_once(value: Any) -> None:
    """What is frozen is handed back as the same object."""
    frozen = freeze(value)

    assert frozen is freeze(frozen)


def one_zero(value: Any) -> Any:
    """Write -0.0 as the 0.0 that it equals, all the way down."""
    if isinstance(value, list):
        return [one_zero(item) for item in value]
    if isinstance(value, dict):
        return {name: one_zero(item) for name, item in value.items()}
    return 0.0 if type(value) is float and not value else value


@example(-0.0)
@given(json_values())
def test_thaw_then_freeze_is_the_value(value: Any) -> None:
    """Thawing loses nothing but the sign of zero, and shares nothing mutable."""
    frozen = freeze(value)
    first, second = thaw(frozen), thaw(frozen)

    assert written(one_zero(value)) == written(first)
    assert same(frozen, freeze(first))
    assert not isinstance(first, list | dict) or first is not second


@given(json_values())
def test_every_value_survives_json_and_pickle(value: Any) -> None:
    """Each value can be written as UTF-8 JSON, and pickled, and read back the same."""
    frozen = freeze(value)
    text = json.dumps(thaw(frozen), ensure_ascii=False).encode()

    assert same(frozen, freeze(json.loads(text)))
    assert same(frozen, pickle.loads(pickle.dumps(frozen)))  # noqa: S301 - our own bytes


@given(json_values(), json_values())
def test_same_is_equality_of_what_json_writes(a: Any, b: Any) -> None:
    """Two values are the same exactly where JSON tells them apart nowhere."""
    one, other = freeze(a), freeze(b)

    assert (written(a) == written(b)) == same(one, other)
    assert same(one, freeze(a))
    assert (token(one) == token(other)) == same(one, other)


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_types_count_at_any_depth(wrap: Any) -> None:
    """1, 1.0 and true are three values, alone, in a list and in a mapping."""
    for a, b in product(SCALARS, repeat=2):
        equal = type(a) is type(b) and a == b

        assert equal == same(freeze(wrap(a)), freeze(wrap(b))), (a, b)


@given(json_values())
def test_blank_is_no_content(value: Any) -> None:
    """Null, white space alone, no items and no names are empty; nothing else is."""
    no_text = isinstance(value, str) and not value.strip()
    assert (value in (None, [], {}) or no_text) == empty(freeze(value))


@pytest.mark.parametrize("value", NO_VALUES, ids=range(len(NO_VALUES)))
def test_what_json_cannot_write_is_no_value(value: Any) -> None:
    """Whatever could not be written and read back is refused, at any depth."""
    for nested in (value, [value], {"a": value}):
        with pytest.raises(ValueError, match="must"):
            freeze(nested)


@given(st.dictionaries(st.text("ab", max_size=2), st.integers(0, 2), max_size=3))
def test_a_frozen_map_is_a_mapping_that_hashes(items: dict[str, int]) -> None:
    """It equals its dict, and hashes alike whatever the order of its names."""
    back = dict(reversed(items.items()))

    assert FrozenMap(items) == items
    assert hash(FrozenMap(items)) == hash(FrozenMap(back))


def written(value: Any) -> str:
    return json.dumps(value, sort_keys=True)

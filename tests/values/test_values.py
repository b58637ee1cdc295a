"""Values: frozen at any depth, or refused with the reason."""

from __future__ import annotations

import copy
import math
import pickle
from collections import OrderedDict
from enum import IntEnum, StrEnum
from typing import Any

import pytest

from upsertcore.rules.same_item import token
from upsertcore.values import (
    MAX_DEPTH,
    MAX_TEXT,
    MAX_VALUES,
    Budget,
    FrozenMap,
    empty,
    freeze,
    same,
    thaw,
)


class Colour(StrEnum):
    """A text enumeration."""

    RED = "red"


class Size(IntEnum):
    """An integer enumeration."""

    BIG = 3


class Row(tuple[Any, ...]):
    """A subclass of tuple."""

    __slots__ = ()


class Ratio(float):
    """A subclass of float."""


class TestFreeze:
    """The values that can be frozen, and their frozen form."""

    @pytest.mark.parametrize(
        ("raw", "expected"),
        [
            ("é", "é"),
            (["a", ["b"]], ("a", ("b",))),
            ({"a": [1]}, FrozenMap({"a": (1,)})),
            (Colour.RED, "red"),
            (Size.BIG, 3),
            (Ratio(0.5), 0.5),
            (OrderedDict(a=[1]), FrozenMap({"a": (1,)})),
            (Row(("a", ["b"])), ("a", ("b",))),
        ],
    )
    def test_value_of_a_subclass_becomes_plain(self, raw: Any, expected: Any) -> None:
        """As JSON would write it."""
        frozen = freeze(raw)

        assert expected == frozen
        assert type(expected) is type(frozen)

    def test_frozen_value_is_returned_itself(self) -> None:
        for value in ("a", ("a", ("b",)), freeze({"a": {"b": []}})):
            assert freeze(value) is value

    @pytest.mark.parametrize(
        ("raw", "words"),
        [
            (float("nan"), "finite"),
            (float("inf"), "finite"),
            (10**5_000, "4 200 digits"),
            ("\ud800", "lone surrogates"),
            ({"\ud800": 1}, "lone surrogates"),
            ({1: "a"}, "text as names"),
            ({"a", "b"}, "send sorted"),
            (b"a", "send value.decode"),
            (object(), "send str"),
        ],
        ids=map(str, range(9)),
    )
    def test_value_that_json_cannot_hold_is_refused(self, raw: Any, words: str) -> None:
        with pytest.raises(ValueError, match=words):
            freeze(raw)

    @pytest.mark.parametrize(
        "wrap", [lambda v: [v], lambda v: {"a": v}], ids=["lists", "mappings"]
    )
    def test_too_deep_or_recursive_value_is_refused(self, wrap: Any) -> None:
        deep: Any = "x"
        for _ in range(MAX_DEPTH):
            deep = wrap(deep)
        assert same(freeze(deep), freeze(thaw(freeze(deep))))
        for _ in range(10_000):
            deep = wrap(deep)
        with pytest.raises(ValueError, match="nest deeper"):
            freeze(deep)
        recursive: list[Any] = []
        recursive.append(recursive)
        with pytest.raises(ValueError, match="nest deeper"):
            freeze(recursive)

    def test_depth_of_frozen_values_counts(self) -> None:
        deep: Any = freeze({"a": ("x",)})
        for _ in range(MAX_DEPTH - 2):
            deep = freeze({"previous": deep})
        with pytest.raises(ValueError, match="nest deeper"):
            freeze({"previous": deep})


class TestSize:
    """How many values and characters a value may hold, at any depth."""

    @staticmethod
    def doubled(wrap: Any, times: int = 40) -> Any:
        """Make a value that holds the previous one twice, several times over."""
        value: Any = "x"
        for _ in range(times):
            value = wrap(value)
        return value

    @pytest.mark.parametrize(
        "wrap",
        [
            lambda v: [v, v],
            lambda v: (v, v),
            lambda v: {"a": v, "b": v},
            lambda v: OrderedDict(a=v, b=v),
            lambda v: Row((v, v)),
            lambda v: FrozenMap.trusted({"a": v, "b": v}),
        ],
        ids=["list", "tuple", "dict", "mapping", "row", "frozen"],
    )
    def test_shared_value_counts_each_time(self, wrap: Any) -> None:
        """Forty nested lists with a trillion values are refused at once."""
        assert freeze(self.doubled(wrap, 10)) is not None
        with pytest.raises(ValueError, match="at most 100000 values, nested ones"):
            freeze(self.doubled(wrap))

    def test_more_values_than_the_limit_are_refused(self) -> None:
        """As many as the limit are accepted."""
        assert len(freeze(["x"] * MAX_VALUES)) == MAX_VALUES
        assert len(freeze([["x"] * 9_999] * 9 + [1] * 9_000)) == 9_009
        for values in (["x"] * (MAX_VALUES + 1), [["x"] * 9_999] * 11, [1] * 100_001):
            with pytest.raises(ValueError, match="at most 100000 values"):
                freeze(values)
        with pytest.raises(ValueError, match="at most 100000 values"):
            freeze({str(n): n for n in range(MAX_VALUES + 1)})

    @pytest.mark.parametrize(
        "wrap",
        [
            lambda text: [text] * 3,
            lambda text: [text, 1, [text, [text]]],
            lambda text: {"a": text, "b": [text, text]},
            lambda text: {text: 1, "a": [text, text]},
            lambda text: FrozenMap.trusted({"a": text, "b": (text, text, 1)}),
        ],
        ids=["text", "mixed", "mapping", "names", "frozen"],
    )
    def test_shared_text_counts_each_time(self, wrap: Any) -> None:
        """The written value must not be much larger than the sent one."""
        assert freeze(wrap("x" * (MAX_TEXT // 3 - 1))) is not None
        with pytest.raises(ValueError, match="at most 10000000 characters, nested"):
            freeze(wrap("x" * (MAX_TEXT // 3 + 1)))

    def test_values_frozen_with_one_budget_share_the_limit(self) -> None:
        """The fields of a patch have one limit."""
        budget, half = Budget(), ["x"] * (MAX_VALUES // 2)
        for _ in range(2):
            freeze(half, budget)
        assert freeze("x", budget) == "x"
        with pytest.raises(ValueError, match="at most"):
            freeze(["x"], budget)

    def test_list_with_unicode_text_is_checked_for_surrogates(self) -> None:
        assert freeze(["é", "x"]) == ("é", "x")
        with pytest.raises(ValueError, match="lone surrogates"):
            freeze(["x", "\ud800"])


class KeepsOther(dict[str, Any]):
    """A mapping that keeps the object it is compared with."""

    compared: Any = None

    def __eq__(self, other: object) -> bool:
        type(self).compared = other
        return True

    __hash__ = None


class TestFrozenMap:
    """A read-only mapping."""

    def test_comparison_does_not_expose_the_data(self) -> None:
        """The other object gets a copy."""
        frozen = FrozenMap({"a": 1})
        assert frozen == KeepsOther()
        KeepsOther.compared["a"] = 2

        assert frozen["a"] == 1

    def test_frozen_map_is_a_mapping(self) -> None:
        """It reads, compares, hashes, copies and pickles by value."""
        frozen = FrozenMap({"a": [1]})

        assert "a" in frozen
        assert ["a"] == list(frozen)
        assert frozen == {"a": (1,)}
        assert frozen != {"a": (2,)}
        assert frozen != 1
        assert hash(frozen) == hash(FrozenMap({"a": (1,)}))
        assert frozen is copy.deepcopy(frozen)
        assert frozen is copy.copy(frozen)
        assert frozen == pickle.loads(pickle.dumps(frozen))  # noqa: S301
        assert repr(frozen) == "FrozenMap({'a': (1,)})"
        assert len(FrozenMap()) == 0

    def test_frozen_map_cannot_be_changed(self) -> None:
        """Neither items nor attributes."""
        frozen: Any = FrozenMap({"a": 1})
        with pytest.raises(TypeError):
            frozen["a"] = 2
        with pytest.raises(TypeError):
            frozen.proxy["a"] = 2
        with pytest.raises(AttributeError, match="read-only"):
            frozen.proxy = {}
        with pytest.raises(AttributeError, match="read-only"):
            del frozen.proxy


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("a", "a", True),
        (1, True, False),
        (1, 1.0, False),
        ((1,), (True,), False),
        (freeze({"a": 1}), freeze({"a": True}), False),
        (freeze({"a": {"b": ()}}), freeze({"a": {"b": []}}), True),
        (None, "", False),
    ],
)
def test_same_compares_values_and_types(a: Any, b: Any, expected: bool) -> None:  # noqa: FBT001
    assert expected == same(a, b)
    assert expected == (token(a) == token(b))


def test_empty_is_null_blank_or_white_space() -> None:
    assert all(map(empty, (None, "", " ", "\t\r\n", "\u00a0\u2003", (), FrozenMap())))
    assert not any(map(empty, (0, False, " a", "\u200b", (None,), ("",), (" ",))))


def test_number_subclass_is_read_by_its_plain_value() -> None:
    """It cannot pass a number that is not finite or too long."""

    class NanFloat(float):
        def __float__(self) -> float:
            return math.nan

    class ShortInt(int):
        def bit_length(self) -> int:
            return 1

        def __int__(self) -> int:
            return 10**9000

    assert (freeze(NanFloat(1.5)), freeze(ShortInt(7))) == (1.5, 7)
    assert type(freeze(NanFloat(1.5))) is float
    with pytest.raises(ValueError, match="digits"):
        freeze(ShortInt(10**9000))


def test_negative_zero_is_stored_as_zero() -> None:
    assert math.copysign(1, freeze(-0.0)) == 1
    assert freeze(freeze(-0.0)) is freeze(-0.0)

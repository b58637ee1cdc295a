"""Values: frozen all the way down, or refused in words that say why."""

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
    """Text with a name."""

    RED = "red"


class Size(IntEnum):
    """A number with a name."""

    BIG = 3


class Row(tuple[Any, ...]):
    """A list of a class of its own."""

    __slots__ = ()


class Ratio(float):
    """A number of a class of its own."""


class TestFreeze:
    """What may be a value, and what it becomes."""

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
    def test_it_becomes_plain_and_frozen(self, raw: Any, expected: Any) -> None:
        """Subclasses become what JSON would make of them."""
        frozen = freeze(raw)

        assert expected == frozen
        assert type(expected) is type(frozen)

    def test_what_is_frozen_stays_the_same_object(self) -> None:
        """Freezing twice costs nothing and makes nothing."""
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
    def test_it_is_refused(self, raw: Any, words: str) -> None:
        """What JSON cannot say and read back equal is no value."""
        with pytest.raises(ValueError, match=words):
            freeze(raw)

    @pytest.mark.parametrize(
        "wrap", [lambda v: [v], lambda v: {"a": v}], ids=["lists", "mappings"]
    )
    def test_nesting_has_an_end(self, wrap: Any) -> None:
        """Ten thousand levels are refused, and so is a list that holds itself."""
        deep: Any = "x"
        for _ in range(MAX_DEPTH):
            deep = wrap(deep)
        assert same(freeze(deep), freeze(thaw(freeze(deep))))
        for _ in range(10_000):
            deep = wrap(deep)
        with pytest.raises(ValueError, match="nest deeper"):
            freeze(deep)
        ring: list[Any] = []
        ring.append(ring)
        with pytest.raises(ValueError, match="nest deeper"):
            freeze(ring)

    def test_what_is_frozen_has_a_depth_too(self) -> None:
        """A value that was stored does not hide how deep it is."""
        deep: Any = freeze({"a": ("x",)})
        for _ in range(MAX_DEPTH - 2):
            deep = freeze({"previous": deep})
        with pytest.raises(ValueError, match="nest deeper"):
            freeze({"previous": deep})


class TestSize:
    """How much a value may hold, all the way down."""

    @staticmethod
    def doubled(wrap: Any, times: int = 40) -> Any:
        """Make a value that holds itself twice, so many times over."""
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
    def test_a_shared_value_counts_wherever_it_stands(self, wrap: Any) -> None:
        """Forty lists that hold a trillion values are refused at once."""
        assert freeze(self.doubled(wrap, 10)) is not None
        with pytest.raises(ValueError, match="at most 100000 values, nested ones"):
            freeze(self.doubled(wrap))

    def test_so_many_values_and_no_more(self) -> None:
        """The limit itself is taken; names and text beside it do not count."""
        assert len(freeze(["x"] * MAX_VALUES)) == MAX_VALUES
        assert len(freeze([["x"] * 9_999] * 9 + [1] * 9_000)) == 9_009
        for many in (["x"] * (MAX_VALUES + 1), [["x"] * 9_999] * 11, [1] * 100_001):
            with pytest.raises(ValueError, match="at most 100000 values"):
                freeze(many)
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
    def test_text_counts_wherever_it_stands(self, wrap: Any) -> None:
        """So that what is written out is not a thousand times what was sent."""
        assert freeze(wrap("x" * (MAX_TEXT // 3 - 1))) is not None
        with pytest.raises(ValueError, match="at most 10000000 characters, nested"):
            freeze(wrap("x" * (MAX_TEXT // 3 + 1)))

    def test_what_is_frozen_together_has_one_budget(self) -> None:
        """A patch of many fields has the limit of one."""
        budget, half = Budget(), ["x"] * (MAX_VALUES // 2)
        for _ in range(2):
            freeze(half, budget)
        assert freeze("x", budget) == "x"
        with pytest.raises(ValueError, match="at most"):
            freeze(["x"], budget)

    def test_text_outside_ascii_counts_too(self) -> None:
        """A list of text is looked at as a whole, whatever is in it."""
        assert freeze(["é", "x"]) == ("é", "x")
        with pytest.raises(ValueError, match="lone surrogates"):
            freeze(["x", "\ud800"])


class Thief(dict[str, Any]):
    """A mapping that takes hold of what it is compared with."""

    taken: Any = None

    def __eq__(self, other: object) -> bool:
        type(self).taken = other
        return True

    __hash__ = None


class TestFrozenMap:
    """A mapping that nobody can change."""

    def test_comparing_hands_nothing_out(self) -> None:
        """Whatever it is compared with gets a copy."""
        found = FrozenMap({"a": 1})
        assert found == Thief()
        Thief.taken["a"] = 2

        assert found["a"] == 1

    def test_it_is_a_mapping(self) -> None:
        """It reads, compares, hashes, copies and pickles as a value does."""
        found = FrozenMap({"a": [1]})

        assert "a" in found
        assert ["a"] == list(found)
        assert found == {"a": (1,)}
        assert found != {"a": (2,)}
        assert found != 1
        assert hash(found) == hash(FrozenMap({"a": (1,)}))
        assert found is copy.deepcopy(found)
        assert found is copy.copy(found)
        assert found == pickle.loads(pickle.dumps(found))  # noqa: S301
        assert repr(found) == "FrozenMap({'a': (1,)})"
        assert len(FrozenMap()) == 0

    def test_it_cannot_be_changed(self) -> None:
        """Neither its names nor its slots."""
        found: Any = FrozenMap({"a": 1})
        with pytest.raises(TypeError):
            found["a"] = 2
        with pytest.raises(TypeError):
            found.proxy["a"] = 2
        with pytest.raises(AttributeError, match="read-only"):
            found.proxy = {}
        with pytest.raises(AttributeError, match="read-only"):
            del found.proxy


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
def test_values_are_compared_with_their_types(a: Any, b: Any, expected: bool) -> None:  # noqa: FBT001
    """1, 1.0 and true are three values."""
    assert expected == same(a, b)
    assert expected == (token(a) == token(b))


def test_what_is_empty() -> None:
    """Null, blank and white space alone are empty; zero, false and items are not."""
    assert all(map(empty, (None, "", " ", "\t\r\n", "\u00a0\u2003", (), FrozenMap())))
    assert not any(map(empty, (0, False, " a", "\u200b", (None,), ("",), (" ",))))


def test_a_number_is_what_it_says_it_is() -> None:
    """A subclass cannot smuggle in what is no finite number, or too long a one."""

    class Sly(float):
        def __float__(self) -> float:
            return math.nan

    class Short(int):
        def bit_length(self) -> int:
            return 1

        def __int__(self) -> int:
            return 10**9000

    assert (freeze(Sly(1.5)), freeze(Short(7))) == (1.5, 7)
    assert type(freeze(Sly(1.5))) is float
    with pytest.raises(ValueError, match="digits"):
        freeze(Short(10**9000))


def test_there_is_one_zero() -> None:
    """-0.0 equals 0.0, and is stored as it, whichever came first."""
    assert math.copysign(1, freeze(-0.0)) == 1
    assert freeze(freeze(-0.0)) is freeze(-0.0)

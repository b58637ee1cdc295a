"""Merge rules: each with null, blank, same, different and first values."""

from __future__ import annotations

from typing import Any

import pytest

from upsertcore import (
    custom,
    deep,
    ignore,
    immutable,
    items_by,
    keep,
    on_create,
    remove,
    replace,
    union,
)
from upsertcore.errors import InvalidPolicy
from upsertcore.merge import Rule
from upsertcore.values import FrozenMap, freeze, same

ERROR = "refused"


def combined(rule: Rule, stored: Any, sent: Any) -> Any:
    """Merge two values, or say that the rule refuses."""
    try:
        return rule.combine(freeze(stored), freeze(sent))
    except ValueError:
        return ERROR


@pytest.mark.parametrize(
    ("rule", "stored", "sent", "expected"),
    [
        (replace, "a", "b", "b"),
        (replace, "a", "a", "a"),
        (replace, "a", "", ""),
        (replace, "a", None, None),
        (replace, None, "b", "b"),
        (replace, ["a"], [], []),
        (keep, "a", "b", "a"),
        (keep, "a", "", "a"),
        (keep, "a", None, "a"),
        (keep, None, "b", "b"),
        (keep, "", "b", "b"),
        (keep, "", None, ""),
        (keep, 0, 1, 0),
        (keep, None, None, None),
        (on_create, None, "b", "b"),
        (immutable, None, "b", "b"),
        (immutable, "", "b", "b"),
        (immutable, "a", "a", "a"),
        (immutable, "a", "b", ERROR),
        (immutable, "a", "", ERROR),
        (immutable, "a", None, ERROR),
        (immutable, 1, True, ERROR),
        (ignore, "a", "b", "a"),
        (ignore, None, "b", None),
        (union, ["a", "b"], ["c", "a", "c"], ["a", "b", "c"]),
        (union, None, ["a", "a"], ["a"]),
        (union, ["a"], [], ["a"]),
        (union, ["a"], None, None),
        (union, [1], [True, 1.0], [1, True, 1.0]),
        (union, "a", ["b"], ERROR),
        (union, ["a"], "b", ERROR),
        (remove, ["a", "b", "a"], ["a", "x"], ["b"]),
        (remove, ["a"], ["a"], []),
        (remove, None, ["a"], None),
        (remove, ["a"], None, None),
        (remove, ["a"], [], ["a"]),
        (remove, [1, True], [1], [True]),
        (remove, ["a"], "a", ERROR),
        (deep, {"a": 1, "b": 2}, {"b": 3, "c": 4}, {"a": 1, "b": 3, "c": 4}),
        (deep, {"a": {"x": 1, "y": 2}}, {"a": {"x": None}}, {"a": {"y": 2}}),
        (deep, {"a": "x"}, {"a": {"b": 1, "c": None}}, {"a": {"b": 1}}),
        (deep, None, {"a": None, "b": {"c": None}}, {"b": {}}),
        (deep, {"a": 1}, {}, {"a": 1}),
        (deep, {"a": 1}, None, None),
        (deep, "x", {"a": 1}, ERROR),
        (deep, {"a": 1}, "x", ERROR),
    ],
    ids=map(str, range(46)),
)
def test_a_rule(rule: Rule, stored: Any, sent: Any, expected: Any) -> None:
    """What stored and sent make; None is not there, null, and cleared."""
    assert same(freeze(expected), combined(rule, stored, sent))


def items(*pairs: str) -> list[dict[str, str]]:
    """Write items short: ``"1x"`` is id 1 with value x, ``"-kx"`` has key k alone."""
    return [
        {"key": p[1], "v": p[2:]} if p[0] == "-" else {"id": p[0], "v": p[1:]}
        for p in pairs
    ]


class TestItemsBy:
    """A list of mappings, merged item by item."""

    RULE = items_by("id", "key")

    @pytest.mark.parametrize(
        ("stored", "sent", "expected"),
        [
            (None, items("1x"), items("1x")),
            (items("1x", "2y"), items("2z", "3w"), items("1x", "2z", "3w")),
            (items("1x"), items("1y", "1z"), items("1z")),
            (items("1x", "-kx"), items("-ky"), items("1x", "-ky")),
            (
                [{"id": "1", "key": "k", "v": "x"}],
                items("-ky", "1z"),
                [{"id": "1", "key": "k", "v": "z"}],
            ),
            (
                items("-kx"),
                [{"id": "1", "key": "k", "note": "n"}],
                [{"key": "k", "v": "x", "id": "1", "note": "n"}],
            ),
            (
                [{"id": "1", "key": "k"}],
                [{"id": "1", "key": ""}],
                [{"id": "1", "key": "k"}],
            ),
            (["odd", {"v": "x"}], items("1x"), ["odd", {"v": "x"}, *items("1x")]),
            (items("1x"), [], items("1x")),
            (items("1x"), None, None),
        ],
        ids=map(str, range(10)),
    )
    def test_it_merges(self, stored: Any, sent: Any, expected: Any) -> None:
        """Sent over stored, new ones at the end, the rest as it was."""
        assert freeze(expected) == combined(self.RULE, stored, sent)

    def test_what_an_item_omits_stays(self) -> None:
        """Omitted is unchanged inside an item too."""
        stored = [{"id": "1", "v": "x", "note": "n"}]

        assert combined(self.RULE, stored, [{"id": "1", "v": "y"}]) == freeze(
            [{"id": "1", "v": "y", "note": "n"}]
        )

    @pytest.mark.parametrize(
        "sent", [["x"], [{"v": "x"}], [{"id": ""}], {"id": "1"}], ids="abcd"
    )
    def test_an_item_is_called_something(self, sent: Any) -> None:
        """What is no mapping, or has no name, is refused."""
        assert combined(self.RULE, None, sent) == ERROR

    @pytest.mark.parametrize(
        ("stored", "sent"),
        [
            (items("1x", "-kx"), [{"id": "1", "key": "k"}]),
            ([{"id": "1", "key": "k"}], [{"id": "2", "key": "k"}]),
        ],
        ids=["two", "another"],
    )
    def test_nothing_is_joined_that_was_apart(self, stored: Any, sent: Any) -> None:
        """An item that finds two, or would rename one, is refused."""
        assert combined(self.RULE, stored, sent) == ERROR

    def test_it_needs_a_name(self) -> None:
        """A rule that could tell no items apart is refused."""
        with pytest.raises(InvalidPolicy):
            items_by()

    def test_it_shows_its_names(self) -> None:
        """A rule is shown as it is written."""
        assert repr(self.RULE) == "items_by('id', 'key')"


class TestCustom:
    """A rule of the host's own."""

    def test_what_it_answers_is_frozen(self) -> None:
        """A list that the function keeps does not come to be stored."""
        mine = ["a"]
        rule = custom(lambda _stored, _sent: mine)
        merged = rule.combine(None, "x")
        mine.append("b")

        assert merged == ("a",)

    def test_it_declares_its_laws(self) -> None:
        """Idempotent unless it says otherwise, and free to drop a value."""
        rule = custom(max, name="largest", laws=("idempotent", "commutative"))

        assert rule.laws == {"idempotent", "commutative"}
        assert rule.drops
        assert repr(rule) == "largest"

    def test_it_is_a_function(self) -> None:
        """Anything else is refused when the rule is made."""
        wrong: Any = "max"
        with pytest.raises(InvalidPolicy, match="must be a function"):
            custom(wrong)


def test_a_merged_mapping_is_frozen() -> None:
    """``deep`` answers a value like any other."""
    assert isinstance(combined(deep, {"a": {"b": 1}}, {"a": {"c": 1}})["a"], FrozenMap)

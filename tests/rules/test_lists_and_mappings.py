"""Rules inside lists and mappings: order, blanks, and gathered merges."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import permutations, product
from typing import Any

import pytest

from tests.field_options import merging
from upsertcore import ContactBook, Policy, field, first_match, normalize
from upsertcore.errors import InvalidField
from upsertcore.rules import (
    add_or_remove,
    append,
    deep,
    deep_keep,
    items,
    items_by,
    largest,
    latest,
    lists,
    mappings,
    remove,
    union,
)
from upsertcore.rules.gatherer import Gatherer
from upsertcore.rules.rule import Rule
from upsertcore.rules.same_item import token
from upsertcore.values import MAX_VALUES, FrozenMap, freeze, same, thaw


@pytest.mark.parametrize(
    ("new", "sent", "expected"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1, "b": 2}, {"a": 2}, False),
        ({"a": 1}, {"a": 1.0}, False),
        ({"a": 1}, {"b": 1}, False),
        ({"a": 1}, {"b": None}, True),
        ({"a": 1}, {"a": None}, False),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, True),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, False),
        ({"a": {"b": 1}}, {"a": "x"}, False),
        ({"a": "x"}, {"a": {"b": None}}, False),
        ({"a": {}}, {"a": {"b": None}}, True),
        ({"a": {"b": 1}}, {"a": {}}, False),
        ({"a": 1}, {}, False),
        ({}, {}, True),
        ({"a": 1}, None, False),
        (None, None, True),
    ],
    ids=map(str, range(16)),
)
def test_contains_is_true_if_all_sent_values_are_stored(
    new: Any,
    sent: Any,
    expected: bool,  # noqa: FBT001
) -> None:
    """A sent null is contained if the name is absent."""
    assert expected == mappings.contains(freeze(new), freeze(sent))


def test_value_that_deep_keep_ignores_is_not_contained() -> None:
    new = deep_keep.combine(freeze({"a": 1}), freeze({"a": 2, "b": 3}))

    assert thaw(new) == {"a": 1, "b": 3}
    assert deep_keep.contains is mappings.contains
    assert not mappings.contains(new, freeze({"a": 2, "b": 3}))
    assert mappings.contains(new, freeze({"b": 3}))


@pytest.mark.parametrize("merge", [mappings.deep, mappings.deep_keep])
def test_merged_mapping_is_frozen_at_any_depth(merge: Any) -> None:
    """The merged values themselves do not change."""
    stored, sent = freeze({"a": {"b": 1}}), freeze({"a": {"c": {"d": 2}}, "e": {}})
    new = merge(stored, sent)

    assert new is freeze(new)
    assert isinstance(new["a"]["c"], FrozenMap)
    assert thaw(stored) == {"a": {"b": 1}}
    assert thaw(sent) == {"a": {"c": {"d": 2}}, "e": {}}


def test_added_items_are_in_the_order_of_first_mention() -> None:
    """An item removed and added again keeps its first place."""
    assert lists.add_or_remove(None, ("a", "b", "c", "-a", "a", "-b")) == ("a", "c")
    assert lists.add_or_remove(("a", "b"), ("c", "b", "-c", "a", "c")) == (
        "a",
        "b",
        "c",
    )


def test_blank_name_of_an_item_counts_as_omitted() -> None:
    """Stored as well as sent."""
    stored = freeze([{"id": "", "key": "k"}])
    sent = freeze([{"id": 5, "key": "k"}])

    assert items.items(stored, sent, ("id", "key")) == sent


LISTS = [("a",), ("b", "a"), (1, True, 1.0, 1), (("a",),), ("-a", "c"), "a"]
MAPPINGS = [
    {"a": 1},
    {"a": {"b": 1, "c": ""}, "d": [1]},
    {"a": {"b": {"x": 1}, "c": 2}, "d": ""},
    {"a": {}, "e": None},
    {"a": "z"},
    ["a"],
]
NAMED = [[{"id": 1, "v": "a"}], [{"id": 2}, {"id": 1, "w": ""}], [{"v": 1}], ["a"]]


@pytest.mark.parametrize(
    ("rule", "values"),
    [
        *((rule, LISTS) for rule in (union, append, remove, add_or_remove)),
        *((rule, MAPPINGS) for rule in (deep, deep_keep)),
        (items_by("id"), NAMED),
    ],
    ids=str,
)
def test_gathered_merge_equals_merges_one_by_one(rule: Rule, values: list[Any]) -> None:
    """For every four of some small values: equal result, or equal refusal."""
    frozen = [freeze(value) for value in values]
    for own, *others in product(frozen, repeat=4):
        assert rule.gather is not None
        gathered = rule.gather(own, None)
        if gathered is None:
            assert type(own) is str or type(own) is not type(frozen[0])
            continue
        after = own
        for other in others:
            before = after
            reason, after = (
                _add_reason(gathered, other),
                _merge_result(rule, after, other),
            )
            if reason is not None:
                assert reason == after
                break
            assert same(gathered.result(), after)
            assert gathered.moved == (not same(before, after))
            assert [gathered.equals(value) for value in (*frozen, after)] == [
                same(value, after) for value in (*frozen, after)
            ]
            if not after:
                break


def _add_reason(gathered: Gatherer, value: Any) -> str | None:
    try:
        gathered.add(value)
    except ValueError as error:
        return str(error)
    return None


def _merge_result(rule: Rule, own: Any, other: Any) -> Any:
    try:
        if rule.merge is not None:
            return rule.merge(own, other, None)
        return rule.combine(own, other)
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("rule", [union, append, add_or_remove], ids=str)
def test_gathered_value_equal_to_the_default_counts_as_absent(rule: Rule) -> None:
    """One merge of four contacts equals three merges of two."""
    tags = field(default=["a", "b"], on_merge=rule)
    policy = Policy(first_match("id"), {"id": field(key=normalize.exact), "tags": tags})
    dumps = []
    for at_once in (True, False):
        ids = iter("pqrs")
        book = ContactBook(policy, ids=ids.__next__, clock=lambda: datetime.now(UTC))
        for tags_sent in (["a"], ["b"], ["c"], ["d"]):
            book.create({"id": len(book), "tags": tags_sent})
        for others in ["qrs"] if at_once else "qrs":
            book.merge("p", *others)
        dumps.append(dict(book.get("p").fields))

    assert dumps == [{"id": 0, "tags": ("c", "d")}] * 2


@pytest.mark.parametrize("rule", [union, append, remove, deep, deep_keep], ids=str)
def test_gathered_value_has_its_clock(rule: Rule) -> None:
    """One merge of four contacts equals three merges of two, clocks included."""
    own = latest(by="at")
    lines = {
        "id": field(key=normalize.exact),
        "at": field(),
        "v": field(rule=own, on_merge=rule),
    }
    policy = Policy(first_match("id"), lines)
    values: list[Any] = [["a"], ["a", "b"], ["b"], ["a"]]
    if rule in (deep, deep_keep):
        values = [{"a": 1}, {"a": 2, "b": 1}, {"b": 1}, {"a": 1}]
    for order in permutations(range(4)):
        states = []
        for at_once in (True, False):
            book = ContactBook(policy, ids=iter("pqrs").__next__)
            for place, clock in enumerate(order):
                book.create({"id": place, "at": clock, "v": values[place]})
            for others in ["qrs"] if at_once else "qrs":
                book.merge("p", *others)
            contact = book.get("p")
            states.append((contact["v"], dict(contact.clocks)))

        assert states[0] == states[1]


def test_gathered_value_has_the_limits_of_a_value() -> None:
    """Replaced and removed values do not count."""
    half = freeze({"a": ["x"] * (MAX_VALUES // 2)})
    assert deep.gather is not None
    gathered = deep.gather(half, None)
    assert gathered is not None
    gathered.add(half)
    gathered.add(freeze({"b": 1}))
    with pytest.raises(ValueError, match="must hold at most 100000 values"):
        gathered.add(freeze({"b": ["x"] * (MAX_VALUES // 2)}))


def test_merge_with_a_value_that_is_no_list_names_its_contact() -> None:
    lines = {"id": field(key=normalize.exact), "tags": field()}
    policy = Policy(first_match("id"), merging(lines, {"tags": union}))
    book = ContactBook(policy, ids=iter("abc").__next__)
    for tags in (["x"], ["y"], "z"):
        book.create({"tags": tags})
    with pytest.raises(InvalidField) as caught:
        book.merge("a", "b", "c")

    assert (caught.value.field, caught.value.holder) == ("tags", "c")
    assert len(book) == 3


def test_merge_into_a_value_that_is_no_list_is_refused() -> None:
    lines = {"id": field(key=normalize.exact), "tags": field()}
    policy = Policy(first_match("id"), merging(lines, {"tags": union}))
    book = ContactBook(policy, ids=iter("ab").__next__)
    book.create({"tags": "z"})
    book.create({"tags": ["x"]})
    with pytest.raises(InvalidField, match="tags: needs a stored list"):
        book.merge("a", "b")


def test_merge_of_known_items_is_no_change() -> None:
    lines = {"id": field(key=normalize.exact), "tags": field()}
    policy = Policy(first_match("id"), merging(lines, {"tags": union}))
    book = ContactBook(policy, ids=iter("ab").__next__)
    book.create({"id": 1, "tags": ["x", "y"]})
    book.create({"id": 2, "tags": ["y"]})
    outcome = book.merge("a", "b")

    assert (outcome.result, outcome.changes) == ("merged", ())


def test_merge_raises_the_first_of_several_refusals() -> None:
    """In the order of contacts and fields, also for gathered values."""
    lines = {"id": field(key=normalize.exact), "tags": field(), "code": field()}
    absorb = {"tags": union, "code": largest}
    book = ContactBook(
        Policy(first_match("id"), merging(lines, absorb)), ids=iter("ab").__next__
    )
    book.create({"tags": ["x"], "code": 1})
    book.create({"tags": "y", "code": "one"})
    with pytest.raises(InvalidField) as caught:
        book.merge("a", "b")

    assert (caught.value.field, caught.value.holder) == ("tags", "b")


GROWING: list[tuple[Any, Any, Any]] = [
    (union, [str(n) for n in range(60_000)], [str(-n) for n in range(60_000)]),
    (append, ["x"] * 60_000, ["x"] * 60_000),
    (add_or_remove, [str(n) for n in range(60_000)], [f"x{n}" for n in range(60_000)]),
    (
        items_by("id"),
        [{"id": n} for n in range(30_000)],
        [{"id": -n} for n in range(1, 30_000)],
    ),
    (deep, {str(n): n for n in range(60_000)}, {str(-n): n for n in range(60_000)}),
    (
        deep_keep,
        {str(n): n for n in range(60_000)},
        {str(-n): n for n in range(60_000)},
    ),
]


@pytest.mark.parametrize(("rule", "stored", "sent"), GROWING, ids=map(str, range(6)))
def test_result_larger_than_a_value_may_be_is_refused(
    rule: Any, stored: Any, sent: Any
) -> None:
    """No patch could send it again."""
    with pytest.raises(ValueError, match="must hold at most 100000 values"):
        rule.combine(freeze(stored), freeze(sent))


@pytest.mark.parametrize(
    "make",
    [
        lambda n: n * (2**61 - 1),
        lambda n: -n * (2**61 - 1) - 1,
        lambda n: n << 61,
        lambda n: (n * (2**61 - 1), 1),
        lambda n: freeze({"a": n * (2**61 - 1)}),
        lambda n: freeze([[n * (2**61 - 1)], {"a": [n << 61]}]),
        lambda n: 2.0 ** (n - 500),
    ],
    ids=map(str, range(7)),
)
def test_tokens_of_numbers_with_equal_hash_differ(make: Any) -> None:
    values = tuple([make(n) for n in range(1_000)])

    assert len({hash(token(value)) for value in values}) > 60
    assert len({token(value) for value in values}) == 1_000
    assert lists.union(values[:1], values) == values
    assert lists.remove(values, values[1:]) == values[:1]


def test_many_sent_parts_of_one_item_are_merged() -> None:
    """The item is copied once."""
    stored = freeze([{"id": 1, "v": 0}])
    sent = freeze([{"id": 1, f"f{n}": n} for n in range(20_000)])
    (item,) = items_by("id").combine(stored, sent)

    assert item["v"] == 0
    assert len(item) == 20_002
    assert thaw(stored) == [{"id": 1, "v": 0}]

"""Laws of merge rules: each rule declares exactly the laws that hold."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from tests.oracle.values import RULES as TWINS
from tests.strategies import longest
from upsertcore.laws.rules import (
    absorbing,
    associative,
    declares_what_it_has,
    idempotent,
    rule_laws,
)
from upsertcore.rules import (
    add,
    add_or_remove,
    append,
    custom,
    deep,
    deep_keep,
    ignore,
    immutable,
    items_by,
    keep,
    largest,
    last_updated,
    latest,
    mappings,
    on_create,
    remove,
    replace,
    smallest,
    union,
    unset,
)
from upsertcore.rules.rule import Rule
from upsertcore.values import FrozenMap, empty, freeze, same, thaw

REFUSED = ("refused",)
SCALARS: tuple[Any, ...] = (None, "", " ", [], "a", "b", 1, True)
LISTS: tuple[Any, ...] = (
    *(None, "", " ", {}),
    "a",
    [],
    ["a"],
    ["b"],
    ["b", "a"],
    [1],
    [True],
    ["a", "a"],
    [["a"]],
)
MAPS: tuple[Any, ...] = (
    *(None, "", " ", []),
    *("a", {}, {"a": 1}, {"a": True}, {"a": None}, {"b": 2}, {"a": {"b": 1}}),
    *({"a": {"b": None}}, {"a": {"c": {}}}, {"a": {}}, {"a": [{"b": None}]}),
)
BLANKS_INSIDE: tuple[Any, ...] = (
    *({"a": ""}, {"a": " "}, {"a": []}, {"a": {"b": ""}}, {"a": {"b": 1, "c": 2}}),
    {"a": {"b": {"c": None}}},
)
WORDS: tuple[Any, ...] = (
    *(None, "", " ", {}),
    *("a", [], ["a"], ["-a"], ["a", "-a"], ["-a", "a"], ["b", "a"], ["b", "-a"]),
    *(["a", "a"], ["--a"], ["-"], ["", "a"], [1], ["a", 1]),
)
ORDERED: tuple[Any, ...] = (
    *(None, "", " ", [], {}, 0, -1, 1, 1.0, -0.0, 1.5, 2**53 + 1, 2.0**53, True),
    *("1", "a", "Z", "\u00e9", "\uffff", "\U00010000", ["a"], {"a": 1}),
)
SUMS: tuple[Any, ...] = (
    *(None, "", " ", [], {}, 0, 1, -1, 1.0, 0.1, 0.2, 0.3, 1e308, -1e308, True),
    *("1", ["a"]),
)
CLOCKED: tuple[Any, ...] = tuple(
    [clock, value]
    for clock in (None, 1, 1.0, 2, "1", "2")
    for value in (None, "", "a", 1, {"b": [1], "a": 2})
)
ITEMS: tuple[Any, ...] = (
    *(None, "", " ", {}),
    *("a", [], ["a"], [{}], [{"id": ""}], [{"id": " "}], [{"id": 1}], [{"id": True}]),
    *([{"id": 1, "v": 1}], [{"id": 1, "v": 2}], [{"id": 1, "v": None}], [{"id": 2}]),
    *([{"id": 2}, {"id": 1}], [{"id": 1, "v": 1}, {"id": 1, "w": 2}], [{"k": 1}]),
    *([{"id": 1, "k": 1}], [{"id": "", "k": 1}]),
)
WORLDS: dict[Rule, tuple[Any, ...]] = {
    replace: SCALARS,
    keep: SCALARS,
    on_create: SCALARS,
    immutable: SCALARS,
    ignore: SCALARS,
    union: LISTS,
    remove: LISTS,
    deep: MAPS,
    items_by("id"): ITEMS,
    items_by("id", "k"): ITEMS,
    unset: SCALARS,
    append: LISTS,
    add_or_remove: WORDS,
    deep_keep: MAPS + BLANKS_INSIDE,
    largest: ORDERED,
    smallest: ORDERED,
    add: SUMS,
    latest(by="at"): CLOCKED,
    last_updated: CLOCKED,
}
every_rule = pytest.mark.parametrize("rule", WORLDS, ids=repr)


def combine(rule: Rule, stored: Any, sent: Any) -> Any:
    """Merge; return a refusal as an answer."""
    try:
        return rule.combine(stored, sent)
    except ValueError:
        return REFUSED


@every_rule
def test_rule_declares_exactly_the_laws_that_hold(rule: Rule) -> None:
    """A law that it does not declare has a counterexample."""
    declares_what_it_has(rule, WORLDS[rule])


LAWS: dict[Rule, str] = {
    replace: "idempotent associative",
    keep: "idempotent associative absorbing",
    on_create: "idempotent associative",
    ignore: "idempotent associative commutative absorbing",
    remove: "idempotent absorbing",
    deep_keep: "idempotent absorbing",
    unset: "idempotent associative commutative absorbing",
    append: "",
    largest: "idempotent associative commutative absorbing",
    smallest: "idempotent associative commutative absorbing",
    add: "",
    latest(by="at"): "idempotent associative commutative absorbing",
    last_updated: "idempotent associative commutative absorbing",
}
"""The laws of the catalogue by hand; other rules are idempotent alone."""


@every_rule
def test_rule_has_the_laws_listed_by_hand(rule: Rule) -> None:
    assert set(LAWS.get(rule, "idempotent").split()) == rule_laws(rule, WORLDS[rule])


def test_absorbed_value_without_a_clock_keeps_the_laws() -> None:
    """A contact may have a value without a clock, which fills an absent one."""
    for rule, values in product(
        (latest(by="at"), last_updated), product(map(freeze, CLOCKED), repeat=3)
    ):
        stored, first, second = values
        idempotent(rule, stored, first)
        associative(rule, stored, first, second)
        absorbing(rule, stored, first, second)


@every_rule
def test_rule_equals_its_naive_twin(rule: Rule) -> None:
    """On every pair of values."""
    twin = TWINS.get(rule.name)
    if twin is None:
        assert rule.name in ("items_by('id', 'k')", "last_updated")
        return
    for stored, sent in product(WORLDS[rule], repeat=2):
        try:
            expected = freeze(twin(thaw(freeze(stored)), thaw(freeze(sent))))
        except ValueError:
            expected = REFUSED
        actual = combine(rule, freeze(stored), freeze(sent))

        assert same(expected, actual), (stored, sent)


@every_rule
def test_rule_changes_no_argument(rule: Rule) -> None:
    for a, b in product(WORLDS[rule], repeat=2):
        stored, sent = freeze(a), freeze(b)
        combine(rule, stored, sent)

        assert same(freeze(a), stored)
        assert same(freeze(b), sent)


@every_rule
def test_rule_returns_a_frozen_value(rule: Rule) -> None:
    for a, b in product(WORLDS[rule], repeat=2):
        answer = combine(rule, freeze(a), freeze(b))

        assert answer is freeze(answer)


@every_rule
def test_rule_that_drops_nothing_includes_the_sent_value(rule: Rule) -> None:
    """Where the stored value stays, it has the sent one, or that is null."""
    for a, b in product(WORLDS[rule], repeat=2):
        stored, sent = freeze(a), freeze(b)
        unchanged = same(stored, combine(rule, stored, sent)) and not rule.drops

        assert not unchanged or includes(rule, stored, sent), (a, b)


def includes(rule: Rule, stored: Any, sent: Any) -> bool:
    """Return whether a stored value has all of the sent one."""
    if sent is None or rule in (replace, immutable):
        return stored is None or same(stored, sent)
    if rule is unset:
        return stored is None
    if empty(sent):
        # A rule of lists or mappings takes a blank as no change.
        return True
    stored = freeze({}) if empty(stored) else stored
    if rule is add_or_remove:
        bare = {v[v[:1] == "-" :]: v for v in sent}
        return all((v in (stored or ())) == (v == w) for v, w in bare.items())
    if rule in (union, append):
        return all(any(same(i, s) for s in stored) for i in sent)
    if rule is remove:
        return not any(same(i, s) for s in stored or () for i in sent)
    if rule is deep:
        return all(includes_entry(stored, n, v) for n, v in sent.items())
    return all(any(entries_of(i) <= entries_of(s) for s in stored) for i in sent)


def entries_of(item: Any) -> set[tuple[str, str]]:
    blank = [name for name in ("id", "k") if empty(item.get(name))]
    return {(name, repr(value)) for name, value in item.items() if name not in blank}


def includes_entry(stored: Any, name: str, value: Any) -> bool:
    below = stored.get(name)
    if value is None:
        return name not in stored
    if type(value) is type(freeze({})):
        return type(below) is type(value) and includes(deep, below, value)
    return same(below, value)


def test_rules_that_may_drop_a_value_declare_it() -> None:
    dropping = [rule for rule in (*WORLDS, longest) if rule.drops]

    assert [
        *(keep, on_create, immutable, ignore, deep_keep),
        *(largest, smallest, add, latest(by="at"), last_updated, longest),
    ] == dropping


def test_mapping_contains_another_by_its_leaves() -> None:
    """Each leaf of the sent value is at its place."""
    for new, sent in product(map(freeze, WORLDS[deep_keep]), repeat=2):
        leaf_equal = [same(freeze(value_at(thaw(new), p)), v) for p, v in leaves(sent)]

        assert all(leaf_equal) == mappings.contains(new, sent), (new, sent)


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, FrozenMap) and value:
        for name, below in value.items():
            yield from leaves(below, (*path, name))
    else:
        yield path, value


def value_at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else "no mapping"
    return value


@pytest.mark.parametrize(
    "rule", [r for r in (*WORLDS, longest) if not r.stores], ids=repr
)
def test_rule_that_never_stores_gives_no_first_value(rule: Rule) -> None:
    """``stores=False`` means that a sent value is never stored."""
    for value in map(freeze, WORLDS[rule]):
        assert combine(rule, None, value) in (None, REFUSED)


def test_custom_rule_declares_idempotence_by_default() -> None:
    assert custom(longest.combine).laws == {"idempotent"}
    assert custom(longest.combine, laws=()).laws == set()

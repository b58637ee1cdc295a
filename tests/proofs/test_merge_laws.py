"""Laws of merge rules: each declares exactly what holds, over every small value."""

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
every = pytest.mark.parametrize("rule", WORLDS, ids=repr)


def step(rule: Rule, stored: Any, sent: Any) -> Any:
    """Merge, a refusal being an answer."""
    try:
        return rule.combine(stored, sent)
    except ValueError:
        return REFUSED


@every
def test_a_rule_declares_exactly_what_holds(rule: Rule) -> None:
    """What it declares has no counterexample; what it does not declare has one."""
    declares_what_it_has(rule, WORLDS[rule])


HELD: dict[Rule, str] = {
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
"""The laws of the catalogue by hand; of a rule that is not here, idempotence alone."""


@every
def test_the_laws_that_hold_are_these(rule: Rule) -> None:
    """The promise that a host reads in the source is the one that was found."""
    assert set(HELD.get(rule, "idempotent").split()) == rule_laws(rule, WORLDS[rule])


def test_between_contacts_no_clock_is_older_than_any() -> None:
    """Values without a clock may be absorbed: then one fills what is not there."""
    for rule, values in product(
        (latest(by="at"), last_updated), product(map(freeze, CLOCKED), repeat=3)
    ):
        stored, first, second = values
        idempotent(rule, stored, first)
        associative(rule, stored, first, second)
        absorbing(rule, stored, first, second)


@every
def test_a_rule_does_what_its_naive_twin_does(rule: Rule) -> None:
    """Exhaustively, on every pair of values, for each rule with a twin."""
    twin = TWINS.get(rule.name)
    if twin is None:
        assert rule.name in ("items_by('id', 'k')", "last_updated")
        return
    for stored, sent in product(WORLDS[rule], repeat=2):
        try:
            expected = freeze(twin(thaw(freeze(stored)), thaw(freeze(sent))))
        except ValueError:
            expected = REFUSED
        actual = step(rule, freeze(stored), freeze(sent))

        assert same(expected, actual), (stored, sent)


@every
def test_a_rule_changes_none_of_its_arguments(rule: Rule) -> None:
    """Merging leaves what is stored and what is sent as they were."""
    for a, b in product(WORLDS[rule], repeat=2):
        stored, sent = freeze(a), freeze(b)
        step(rule, stored, sent)

        assert same(freeze(a), stored)
        assert same(freeze(b), sent)


@every
def test_a_rule_answers_a_frozen_value(rule: Rule) -> None:
    """What a rule answers can be stored as it is."""
    for a, b in product(WORLDS[rule], repeat=2):
        answer = step(rule, freeze(a), freeze(b))

        assert answer is freeze(answer)


@every
def test_a_rule_that_does_not_drop_takes_every_value_into_account(rule: Rule) -> None:
    """Where a sent value leaves the stored one as it is, it is in it, or is null."""
    for a, b in product(WORLDS[rule], repeat=2):
        stored, sent = freeze(a), freeze(b)
        quiet = same(stored, step(rule, stored, sent)) and not rule.drops

        assert not quiet or held(rule, stored, sent), (a, b)


def held(rule: Rule, stored: Any, sent: Any) -> bool:
    """Tell whether a stored value has all that the sent one says."""
    if sent is None or rule in (replace, immutable):
        return stored is None or same(stored, sent)
    if rule is unset:
        return stored is None
    if empty(sent):
        # To a rule of lists or mappings a blank says that nothing is to change.
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
        return all(inside(stored, n, v) for n, v in sent.items())
    return all(any(set_of(i) <= set_of(s) for s in stored) for i in sent)


def set_of(item: Any) -> set[tuple[str, str]]:
    blank = [name for name in ("id", "k") if empty(item.get(name))]
    return {(name, repr(value)) for name, value in item.items() if name not in blank}


def inside(stored: Any, name: str, value: Any) -> bool:
    below = stored.get(name)
    if value is None:
        return name not in stored
    if type(value) is type(freeze({})):
        return type(below) is type(value) and held(deep, below, value)
    return same(below, value)


def test_the_rules_that_may_leave_a_value_out_say_so() -> None:
    """What may leave a sent value out says so."""
    dropping = [rule for rule in (*WORLDS, longest) if rule.drops]

    assert [
        *(keep, on_create, immutable, ignore, deep_keep),
        *(largest, smallest, add, latest(by="at"), last_updated, longest),
    ] == dropping


def test_what_shows_stands_there_leaf_by_leaf() -> None:
    """All that was sent shows where each leaf of it stands at its place."""
    for new, sent in product(map(freeze, WORLDS[deep_keep]), repeat=2):
        each = [same(freeze(at(thaw(new), p)), v) for p, v in leaves(sent)]

        assert all(each) == mappings.contains(new, sent), (new, sent)


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, FrozenMap) and value:
        for name, below in value.items():
            yield from leaves(below, (*path, name))
    else:
        yield path, value


def at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else "no mapping"
    return value


@pytest.mark.parametrize(
    "rule", [r for r in (*WORLDS, longest) if not r.stores], ids=repr
)
def test_a_rule_that_never_stores_makes_no_contact_of_nothing(rule: Rule) -> None:
    """``stores=False`` means that no sent value is there afterwards."""
    for value in map(freeze, WORLDS[rule]):
        assert step(rule, None, value) in (None, REFUSED)


def test_custom_promises_idempotence_unless_told() -> None:
    """The default promise is rule 1's, and it can be taken back."""
    assert custom(longest.combine).laws == {"idempotent"}
    assert custom(longest.combine, laws=()).laws == set()

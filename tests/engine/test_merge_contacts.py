"""Contacts that are merged: what counts as absent, and which clock stays."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count, permutations, product
from typing import Any, TypeAlias

import pytest

from tests.field_options import merging
from upsertcore import (
    ContactBook,
    Policy,
    errors,
    field,
    first_match,
    merge_all,
    normalize,
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
    on_create,
    remove,
    replace,
    smallest,
    union,
    unset,
)
from upsertcore.rules.rule import Rule
from upsertcore.values import freeze, same, thaw

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
BLANKS: tuple[Any, ...] = ("", " \n", [], {})
NONE = object()
"""Stands for a field that a contact does not have."""


def book(
    policy: Policy, *values: Any, clocks: Any = (), hours: Any = ()
) -> ContactBook:
    """Load contacts a, b, c, ... whose field v has these values, an hour apart."""
    rows = []
    for place, value in enumerate(values):
        hour = hours[place] if hours else place
        row: dict[str, Any] = {"id": "abcdef"[place], "scope": "", "version": 1}
        row |= {"created_at": NOON.isoformat(), "fields": {}}
        row["updated_at"] = (NOON + timedelta(hours=hour)).isoformat()
        if value is not NONE:
            row["fields"] = {"v": value}
        if clocks and clocks[place] is not None:
            row["clocks"] = {"v": clocks[place]}
        rows.append(row)
    days = count(1)
    return ContactBook.load(
        policy, rows, clock=lambda: NOON + timedelta(days=next(days))
    )


def table(rule: Rule, default: Any = None, own: Rule = replace) -> Policy:
    """Make a policy whose field v is merged by a rule."""
    lines = {
        "id": field(key=normalize.exact),
        "at": field(),
        "v": field(default=default, rule=own),
        "phone": field(),
    }
    return Policy(first_match("id"), merging(lines, {"v": rule}))


def merged(policy: Policy, *values: Any) -> Any:
    """Merge contacts with these values into the first; give what it has then."""
    made = book(policy, *values)
    made.merge(*"abcdef"[: len(values)])
    return thaw(made.get("a").get("v", NONE))


CATALOGUE: dict[Rule, tuple[Any, Any]] = {
    replace: ("x", "y"),
    keep: ("x", "y"),
    immutable: ("x", "x"),
    union: (["x"], ["y"]),
    remove: (["x", "y"], ["y"]),
    append: (["x"], ["y"]),
    add_or_remove: (["x"], ["y", "-x"]),
    deep: ({"a": "x", "c": "x"}, {"b": "y", "c": "y"}),
    deep_keep: ({"a": "x", "c": "x"}, {"b": "y", "c": "y"}),
    items_by("id"): ([{"id": 1, "n": "x"}], [{"id": 1, "n": "y"}, {"id": 2}]),
    largest: (1, 2),
    smallest: (2, 1),
    add: (1, 2),
    unset: ("x", "y"),
    ignore: ("x", "y"),
    on_create: ("x", "y"),
    last_updated: ("x", "y"),
    latest(by="at"): ("x", "y"),
    custom(lambda a, b: f"{a}{b}", name="both"): ("x", "y"),
}
"""A rule, what the survivor has, and what the other contact has."""

rules = pytest.mark.parametrize("rule", CATALOGUE, ids=str)


def alone(rule: Rule, other: Any) -> Any:
    """Say what a rule makes of the other contact's value where there is no other."""
    if rule.name in ("ignore", "on_create"):
        return NONE
    if rule.by is not None:
        return other
    made = thaw(rule.combine(None, freeze(other)))
    return NONE if made is None else made


class TestAbsent:
    """Blank, and what equals the default, count as absent on either side."""

    @rules
    @pytest.mark.parametrize("blank", BLANKS, ids=repr)
    def test_the_others_blank_says_nothing(self, rule: Rule, blank: Any) -> None:
        """What the survivor has stays; what it lacks altogether it takes as it is."""
        own, _other = CATALOGUE[rule]

        assert merged(table(rule), own, blank) == own
        assert merged(table(rule), NONE, blank) == alone(rule, blank)

    @rules
    @pytest.mark.parametrize("blank", BLANKS, ids=repr)
    def test_the_survivors_blank_is_filled(self, rule: Rule, blank: Any) -> None:
        """As what is not there is; what both lack stays as the survivor has it."""
        _own, other = CATALOGUE[rule]
        made = alone(rule, other)

        assert merged(table(rule), NONE, other) == made
        stays = made is NONE and rule is not unset
        assert merged(table(rule), blank, other) == (blank if stays else made)
        for each in BLANKS:
            assert merged(table(rule), blank, each) == blank

    @rules
    def test_the_others_default_says_nothing(self, rule: Rule) -> None:
        """The value that every new contact has tells nothing of the person."""
        own, other = CATALOGUE[rule]
        policy = table(rule, default=other)

        assert merged(policy, own, other) == own
        assert merged(policy, NONE, other) == alone(rule, other)
        for blank in BLANKS:
            assert merged(policy, blank, other) == blank

    @pytest.mark.parametrize(
        ("rule", "value", "expected"),
        [(remove, ["a"], "new"), (union, ["a"], ["a"]), (add, 2, 2), (deep, {}, "new")],
        ids=str,
    )
    def test_a_default_that_its_rule_refuses_is_not_there(
        self, rule: Rule, value: Any, expected: Any
    ) -> None:
        """On neither side is it a value that refuses the merge."""
        policy = table(rule, default="new")

        assert merged(policy, "new", value) == expected
        assert merged(policy, value, "new") == value
        assert merged(policy, NONE, "new") is NONE

    @rules
    def test_the_survivors_default_gives_way(self, rule: Rule) -> None:
        """Inside a mapping name by name, so that what both lack stays."""
        own, other = CATALOGUE[rule]
        policy, made = table(rule, default=own), alone(rule, other)
        if rule in (deep, deep_keep):
            made = {**own, **other}
        if rule is immutable:
            other = made = "y"
        stays = made is NONE or rule in (remove, unset)

        expected = NONE if rule is unset else own if stays else made
        assert merged(policy, own, other) == expected
        for blank in (own, *BLANKS):
            assert merged(policy, own, blank) == own

    @pytest.mark.parametrize(
        ("rule", "own", "other", "default", "expected"),
        [
            (deep, {"city": "Boston"}, {"city": ""}, None, {"city": "Boston"}),
            (deep, {"city": "Boston"}, {"city": None}, None, {"city": "Boston"}),
            (deep, {"a": 1}, {"b": " ", "c": None}, None, {"a": 1, "b": " "}),
            (
                deep,
                {"a": ""},
                {"a": " ", "b": {"c": ""}},
                None,
                {"a": "", "b": {"c": ""}},
            ),
            (deep, {"a": {"b": ""}}, {"a": "x"}, None, {"a": "x"}),
            (deep, {"city": ""}, {"city": "Rome"}, None, {"city": "Rome"}),
            (deep, {"city": ""}, {"city": []}, None, {"city": ""}),
            (
                deep,
                {"a": {"b": 1}},
                {"a": {"b": "", "c": 2}},
                None,
                {"a": {"b": 1, "c": 2}},
            ),
            (deep, {"a": {"b": 1}}, {"a": {"b": {}}}, None, {"a": {"b": 1}}),
            (deep, {"a": 1}, {"a": 0, "b": False}, None, {"a": 0, "b": False}),
            (deep, {"a": "x"}, {"a": {"b": ""}}, None, {"a": "x"}),
            (
                deep,
                {"l": "de", "a": 1},
                {"l": "en", "a": 2},
                {"l": "en"},
                {"l": "de", "a": 2},
            ),
            (deep, {"l": "en"}, {"l": "de"}, {"l": "en"}, {"l": "de"}),
            (deep, {"l": "en"}, {"a": 1}, {"l": "en"}, {"l": "en", "a": 1}),
            (
                deep,
                {"a": {"l": "de"}},
                {"a": {"l": "en"}},
                {"a": {"l": "en"}},
                {"a": {"l": "de"}},
            ),
            (deep, "none", {"a": 1}, "none", {"a": 1}),
            (deep, {"a": 1}, "none", "none", {"a": 1}),
            (deep_keep, {"city": ""}, {"city": "Rome"}, None, {"city": "Rome"}),
            (
                deep_keep,
                {"city": "x"},
                {"city": "Rome", "zip": ""},
                None,
                {"city": "x", "zip": ""},
            ),
            (deep_keep, {"a": ""}, {"a": [], "b": {}}, None, {"a": "", "b": {}}),
            (
                deep_keep,
                {"a": {"b": ""}},
                {"a": {"b": 1, "c": ""}},
                None,
                {"a": {"b": 1, "c": ""}},
            ),
            (deep_keep, {"a": {"b": ""}}, {"a": "x"}, None, {"a": "x"}),
            (
                deep_keep,
                {"a": {"b": "", "d": ""}},
                {"a": {"b": 1}},
                None,
                {"a": {"b": 1, "d": ""}},
            ),
            (deep_keep, {"a": 0}, {"a": 1}, None, {"a": 0}),
            (
                deep_keep,
                {"l": "en", "a": 1},
                {"l": "de", "a": 2},
                {"l": "en"},
                {"l": "de", "a": 1},
            ),
            (deep_keep, {"l": "de"}, {"l": "en"}, {"l": "en"}, {"l": "de"}),
            (
                deep_keep,
                {"a": {"l": "en"}},
                {"a": {"l": "de"}},
                {"a": {"l": "en"}},
                {"a": {"l": "de"}},
            ),
            (deep_keep, {"l": "en"}, {"l": "en"}, {"l": "en"}, {"l": "en"}),
            (deep_keep, "none", {"a": 1}, "none", {"a": 1}),
            (
                items_by("id"),
                [{"id": 1, "n": "x"}],
                [{"id": 1, "n": ""}],
                None,
                [{"id": 1, "n": "x"}],
            ),
            (
                items_by("id"),
                [{"id": 1, "n": ""}],
                [{"id": 1, "n": "y"}],
                None,
                [{"id": 1, "n": "y"}],
            ),
            (
                items_by("id"),
                [{"id": 1}],
                [{"id": 1, "n": " "}, {"id": 2, "n": ""}, {"id": 2, "n": "x", "m": []}],
                None,
                [{"id": 1, "n": " "}, {"id": 2, "n": "x", "m": []}],
            ),
        ],
        ids=map(str, range(32)),
    )
    def test_inside_a_value(
        self, rule: Rule, own: Any, other: Any, default: Any, expected: Any
    ) -> None:
        """Name by name, all the way down."""
        assert same(freeze(merged(table(rule, default), own, other)), freeze(expected))

    @pytest.mark.parametrize(
        ("rule", "own", "other", "reason"),
        [
            (immutable, "x", "secret", "must not change once it is set"),
            (union, ["x"], "secret", "must be a list"),
            (
                union,
                "secret",
                ["x"],
                "needs a stored list; the stored value is text",
            ),
            (
                append,
                "secret",
                ["x"],
                "needs a stored list; the stored value is text",
            ),
            (deep, {"a": 1}, "secret", "must be a mapping"),
            (deep_keep, {"a": 1}, "secret", "must be a mapping"),
            (
                deep_keep,
                "secret",
                {"a": 1},
                "needs a stored mapping; the stored value is text",
            ),
            (
                items_by("id"),
                [{"id": 1}],
                ["secret"],
                "must be a list of mappings with id",
            ),
            (
                largest,
                1,
                "secret",
                "must be comparable with the stored value, which is a number",
            ),
            (
                add,
                "secret",
                1,
                "needs a stored number; the stored value is text",
            ),
        ],
        ids=map(str, range(10)),
    )
    def test_a_refusal_shows_no_value(
        self, rule: Rule, own: Any, other: Any, reason: str
    ) -> None:
        """Whoever sends a patch that merges contacts may not see what they hold."""
        made = book(table(rule), own, other)
        before = made.dump()
        with pytest.raises(errors.InvalidField) as caught:
            made.merge("a", "b")

        what, semicolon, rest = reason.partition("; ")
        held = f"v: {what}, and contact b holds another value{semicolon}{rest}"
        assert str(caught.value) == held
        assert made.dump() == before


class TestTime:
    """``version`` moves with the contact, ``updated_at`` with a field or a clock."""

    def test_a_merge_in_which_no_field_moves(self) -> None:
        """The version moves, and the time does not."""
        made = book(table(keep), "x", "y")
        before = made.get("a")
        outcome = made.merge("a", "b")

        assert (outcome.result, outcome.changes) == ("merged", ())
        assert (outcome.contact.version, outcome.contact.merged_ids) == (2, ("b",))
        assert outcome.contact.updated_at == before.updated_at
        assert made.undo(outcome).contact == before

    @pytest.mark.parametrize(
        ("policy", "values", "clocks"),
        [
            (table(keep), (NONE, "y"), ()),
            (table(latest(by="at"), own=latest(by="at")), ("x", "x"), (1, 2)),
        ],
        ids=["field", "clock"],
    )
    def test_a_merge_in_which_something_moves(
        self, policy: Policy, values: Any, clocks: Any
    ) -> None:
        """A field, or its clock alone."""
        made = book(policy, *values, clocks=clocks)

        assert made.merge("a", "b").contact.updated_at == NOON + timedelta(days=1)

    def test_a_deleted_contact_comes_back(self) -> None:
        """That moves the time, whatever else moves."""
        lines = {"id": field(key=normalize.exact), "v": field()}
        policy = Policy(merge_all("id"), lines, on_deleted="restore")
        made = ContactBook(policy, ids=iter("ab").__next__)
        made.create({"id": 1})
        made.create({"id": 2})
        deleted = made.delete("a")
        merged = made.merge("a", "b").contact

        assert deleted.deleted_at is not None
        assert merged.deleted_at is None
        assert merged.updated_at > deleted.updated_at

    def test_a_patch_that_merges_and_moves(self) -> None:
        """It is one call, and its time is the contact's."""
        lines = {"id": field(key=normalize.exact), "ref": field(key=normalize.exact)}
        policy = Policy(merge_all("id", "ref"), {**lines, "v": field()})
        times = iter([NOON + timedelta(days=day) for day in range(9)])
        made = ContactBook(policy, ids=iter("abc").__next__, clock=times.__next__)
        made.create({"id": 1})
        made.create({"ref": 1})
        outcome = made.upsert({"id": 1, "ref": 1, "v": "x"})

        assert outcome.contact.updated_at == NOON + timedelta(days=2)


class TestNewest:
    """A field keeps as its clock when the contact that supplied it was updated."""

    def test_three_at_once_or_one_by_one(self) -> None:
        """Oslo of January, nothing of February, Rome of March."""
        for first in (("b", "c"), ("b",), ("c",)):
            made = book(table(last_updated), "Oslo", NONE, "Rome")
            made.merge("a", *first)
            made.merge("a", *{"b", "c"} - {*first}, on_itself="ignore")

            assert made.get("a")["v"] == "Rome"

    def test_another_field_that_moves_does_not_make_it_newer(self) -> None:
        """The contact is updated, and the field is as old as it was."""
        rows = book(table(last_updated), "Oslo", NONE, "Rome").dump()
        rows[1]["fields"]["phone"] = "+1"
        made = ContactBook.load(table(last_updated), rows)
        outcome = made.merge("a", "b")

        assert outcome.contact["phone"] == "+1"
        assert outcome.contact.updated_at > outcome.before.updated_at  # type: ignore[union-attr]
        assert outcome.contact.clocks == {"v": "2024-01-01T12:00:00.000000+00:00"}
        assert made.merge("a", "c").contact["v"] == "Rome"

    def test_the_clock_stays_until_the_field_is_updated(self) -> None:
        """The same value leaves it, another field too; a new value lets it go."""
        lines = {"id": field(key=normalize.exact), "v": field(), "phone": field()}
        policy = Policy(first_match("id"), merging(lines, {"v": last_updated}))
        days = count()
        made = ContactBook(
            policy,
            ids=iter("abc").__next__,
            clock=lambda: NOON + timedelta(days=next(days)),
        )
        made.upsert({"id": 1, "v": "x"})
        made.upsert({"id": 2, "v": "y", "phone": "1"})
        kept = {"v": "2024-01-02T12:00:00.000000+00:00"}
        assert made.merge("a", "b").contact.clocks == kept

        assert made.upsert({"id": 1, "v": "y"}).unchanged
        assert made.upsert({"id": 1, "phone": "2"}).contact.clocks == kept
        assert made.upsert({"id": 1, "v": "z"}).contact.clocks == {}
        assert made.upsert({"id": 1, "v": "z"}).unchanged

    def test_a_field_that_is_cleared_lets_the_clock_go(self) -> None:
        """Nothing is there that could be older or newer."""
        made = book(table(last_updated), NONE, "x")
        assert made.merge("a", "b").contact.clocks != {}
        rows = made.dump()
        rows[0]["fields"]["id"] = 1
        made = ContactBook.load(made.policy, rows)

        assert made.upsert({"id": 1, "v": None}).contact.clocks == {}

    def test_a_patch_that_merges_may_update_the_field(self) -> None:
        """Then it is as new as the call."""
        lines = {"id": field(key=normalize.exact), "ref": field(key=normalize.exact)}
        policy = Policy(
            merge_all("id", "ref"),
            merging({**lines, "v": field()}, {"v": last_updated}),
        )
        for value, kept in (("z", False), ("y", True), (None, False)):
            made = ContactBook(policy, ids=iter("ab").__next__)
            made.create({"id": 1, "v": "x"})
            made.create({"ref": 1, "v": "y"})
            patch = {"id": 1, "ref": 1, "v": value}
            outcome = made.upsert(patch)

            assert outcome.contact.get("v") == value
            assert ("v" in outcome.contact.clocks) == kept
            assert made.upsert(patch).unchanged

    def test_a_clock_that_is_no_time_is_not_taken_for_one(self) -> None:
        """A row may bring a number from a policy that had another rule."""
        made = book(table(last_updated), "x", "y", clocks=(7, None))

        assert made.merge("a", "b").contact["v"] == "y"

    def test_a_call_has_no_other_clock_for_it(self) -> None:
        """One field has one clock."""
        made = book(table(last_updated), "x")
        with pytest.raises(errors.InvalidPolicy, match=r"v: rule .* has a clock"):
            made.upsert({"id": 1, "v": "y", "at": 1}, rules={"v": latest(by="at")})


Tree: TypeAlias = Any


def trees(names: tuple[str, ...]) -> Iterator[Tree]:
    """Give every way to merge contacts, two at a time, in an order."""
    if len(names) == 1:
        yield names[0]
    for cut in range(1, len(names)):
        yield from product(trees(names[:cut]), trees(names[cut:]))


def grow(made: ContactBook, tree: Tree) -> str:
    """Merge as a tree says; give who is left."""
    if isinstance(tree, str):
        return tree
    survivor, other = grow(made, tree[0]), grow(made, tree[1])
    made.merge(survivor, other)
    return survivor


def state(made: ContactBook, id: str) -> Any:
    contact = made.get(id)
    return freeze({"v": contact.get("v"), "clocks": contact.clocks.get("v")})


POOLS: dict[Rule, tuple[Any, ...]] = {
    replace: ("x", NONE, "", "y"),
    keep: ("", NONE, "x", "y"),
    union: (["x"], ["y", "x"], [], ["z"]),
    append: (["x"], NONE, ["y"], ["x"]),
    deep: ({"a": 1}, {"a": "", "b": 2}, {"a": 3}, {"c": {"d": 1}}),
    deep_keep: ({"a": ""}, {"a": 1, "b": {"c": ""}}, {"b": {"c": 2}}, {"a": 3}),
    items_by("id"): ([{"id": 1, "n": ""}], [{"id": 1, "n": 2}], [{"id": 2}], []),
    largest: (1, 3, "", 2),
    smallest: (3, 1, NONE, 2),
    add: (1, 2, "", 3),
    last_updated: ("x", NONE, "y", "x"),
    latest(by="at"): ("x", "", "y", None),
}


@pytest.mark.parametrize("rule", POOLS, ids=str)
@pytest.mark.parametrize("own", [replace, latest(by="at")], ids=["plain", "clocked"])
@pytest.mark.parametrize("default", [None, "x", {"a": 1}, ["x"], 1], ids=repr)
def test_one_merge_is_as_many_merges_of_two(
    rule: Rule, own: Rule, default: Any
) -> None:
    """Whatever the rule, the default, and whether the field has a clock."""
    for order in permutations(range(4)):
        values = [POOLS[rule][place] for place in order]
        values = [NONE if value is None else value for value in values]
        clocks = [(3, 1, 4, 2)[place] for place in order] if own.by else ()
        hours = [(3, 1, 4, 2)[place] for place in order]
        policy = table(rule, default, own)
        books = [book(policy, *values, clocks=clocks, hours=hours) for _ in "abc"]
        books[0].merge("a", "b", "c", "d")
        for other in "bcd":
            books[1].merge("a", other)
        books[2].merge("a", "b", "c")
        books[2].merge("a", "d")

        states = [state(each, "a") for each in books]
        assert same(states[0]["v"], states[1]["v"])
        assert states[0] == states[1] == states[2], (values, clocks)


@pytest.mark.parametrize(
    "rule", [replace, keep, union, largest, smallest, last_updated], ids=str
)
def test_any_grouping_makes_the_same(rule: Rule) -> None:
    """Two by two, in every tree of one order."""
    for order in permutations(range(4)):
        values = [POOLS[rule][place] for place in order]
        hours = [(3, 1, 4, 2)[place] for place in order]
        states = []
        for tree in trees(("a", "b", "c", "d")):
            made = book(table(rule), *values, hours=hours)
            states.append(state(made, grow(made, tree)))
        assert all(same(each["v"], states[0]["v"]) for each in states), values


@pytest.mark.parametrize(
    ("rule", "own"),
    [
        (last_updated, replace),
        (last_updated, latest(by="at")),
        (latest(by="at"), latest(by="at")),
    ],
    ids=["newest", "own clock", "latest"],
)
@pytest.mark.parametrize(
    "values",
    [("x", NONE, "y", "z"), ("x", "x", "y", "y"), ("", "y", "x", "y")],
    ids=str,
)
def test_what_is_newest_does_not_depend_on_who_survives(
    rule: Rule, own: Rule, values: Any
) -> None:
    """Every order and every tree leads to one value, and to its clock."""
    ends = set()
    for order in permutations(range(4)):
        for tree in trees(("a", "b", "c", "d")):
            hours = [(3, 1, 4, 4)[place] for place in order]
            clocks = hours if own.by else ()
            made = book(
                table(rule, None, own),
                *[values[place] for place in order],
                clocks=clocks,
                hours=hours,
            )
            end = made.get(grow(made, tree))
            kept = end.clocks.get("v")
            if kept is None:
                kept = end.updated_at.isoformat(timespec="microseconds")
            ends.add((end.get("v"), kept))

    assert len(ends) == 1


@pytest.mark.parametrize("rule", [latest(by="at"), last_updated], ids=str)
def test_clocks_that_do_not_compare_refuse_the_merge(rule: Rule) -> None:
    """A number and a text, of a field that has a clock; no value is shown."""
    policy = table(rule, own=latest(by="at"))
    made = book(policy, "x", "secret", clocks=(1, "2024"))
    with pytest.raises(errors.InvalidField) as caught:
        made.merge("a", "b")

    reason = "must have a clock comparable with the stored one, which is a number"
    assert str(caught.value) == f"v: {reason}, and contact b holds another value"

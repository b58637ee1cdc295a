"""Merging contacts: what counts as absent, and which clock is kept."""

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
    refuse_if,
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
ABSENT = object()
"""Stands for an absent field."""


def make_book(
    policy: Policy, *values: Any, clocks: Any = (), hours: Any = ()
) -> ContactBook:
    """Make a book of contacts a, b, c, ... with values of v, an hour apart."""
    rows = []
    for place, value in enumerate(values):
        hour = hours[place] if hours else place
        row: dict[str, Any] = {"id": "abcdef"[place], "scope": "", "version": 1}
        row |= {"created_at": NOON.isoformat(), "fields": {}}
        row["updated_at"] = (NOON + timedelta(hours=hour)).isoformat()
        if value is not ABSENT:
            row["fields"] = {"v": value}
        if clocks and clocks[place] is not None:
            row["clocks"] = {"v": clocks[place]}
        rows.append(row)
    days = count(1)
    return ContactBook.load(
        policy, rows, clock=lambda: NOON + timedelta(days=next(days))
    )


def table(rule: Rule, default: Any = None, own: Rule = replace) -> Policy:
    """Make a policy whose field v has a merge rule."""
    lines = {
        "id": field(key=normalize.exact),
        "at": field(),
        "v": field(default=default, rule=own),
        "phone": field(),
    }
    return Policy(first_match("id"), merging(lines, {"v": rule}))


def merge_values(policy: Policy, *values: Any) -> Any:
    """Merge contacts with these values into the first; return its value."""
    book = make_book(policy, *values)
    book.merge(*"abcdef"[: len(values)])
    return thaw(book.get("a").get("v", ABSENT))


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
    refuse_if("z"): ("x", "y"),
    latest(by="at"): ("x", "y"),
    custom(lambda a, b: f"{a}{b}", name="both"): ("x", "y"),
}
"""A rule -> the values of the survivor and of the other contact."""

rules = pytest.mark.parametrize("rule", CATALOGUE, ids=str)


def value_alone(rule: Rule, other: Any) -> Any:
    """Return what a rule makes of the other value if the survivor has none."""
    if rule.name in ("ignore", "on_create"):
        return ABSENT
    if rule.by is not None:
        return other
    value = thaw(rule.combine(None, freeze(other)))
    return ABSENT if value is None else value


class TestAbsent:
    """Blank values and the default count as absent on either side."""

    @rules
    @pytest.mark.parametrize("blank", BLANKS, ids=repr)
    def test_blank_of_the_other_does_not_replace_a_value(
        self, rule: Rule, blank: Any
    ) -> None:
        """A survivor without the field takes it as it is."""
        own, _other = CATALOGUE[rule]

        assert merge_values(table(rule), own, blank) == own
        assert merge_values(table(rule), ABSENT, blank) == value_alone(rule, blank)

    @rules
    @pytest.mark.parametrize("blank", BLANKS, ids=repr)
    def test_blank_of_the_survivor_is_filled(self, rule: Rule, blank: Any) -> None:
        """If both are blank, the survivor keeps its own."""
        _own, other = CATALOGUE[rule]
        filled = value_alone(rule, other)

        assert merge_values(table(rule), ABSENT, other) == filled
        stays = filled is ABSENT and rule is not unset
        assert merge_values(table(rule), blank, other) == (blank if stays else filled)
        for other_blank in BLANKS:
            assert merge_values(table(rule), blank, other_blank) == blank

    @rules
    def test_default_of_the_other_does_not_replace_a_value(self, rule: Rule) -> None:
        """Every new contact has it, so it is no information."""
        own, other = CATALOGUE[rule]
        policy = table(rule, default=other)

        assert merge_values(policy, own, other) == own
        assert merge_values(policy, ABSENT, other) == value_alone(rule, other)
        for blank in BLANKS:
            assert merge_values(policy, blank, other) == blank

    @pytest.mark.parametrize(
        ("rule", "value", "expected"),
        [(remove, ["a"], "new"), (union, ["a"], ["a"]), (add, 2, 2), (deep, {}, "new")],
        ids=str,
    )
    def test_default_unfit_for_the_merge_rule_is_absent(
        self, rule: Rule, value: Any, expected: Any
    ) -> None:
        """It does not refuse the merge on either side."""
        policy = table(rule, default="new")

        assert merge_values(policy, "new", value) == expected
        assert merge_values(policy, value, "new") == value
        assert merge_values(policy, ABSENT, "new") is ABSENT

    @rules
    def test_default_of_the_survivor_is_replaced(self, rule: Rule) -> None:
        """Inside a mapping name by name."""
        own, other = CATALOGUE[rule]
        policy, replaced = table(rule, default=own), value_alone(rule, other)
        if rule in (deep, deep_keep):
            replaced = {**own, **other}
        if rule is immutable:
            other = replaced = "y"
        stays = replaced is ABSENT or rule in (remove, unset)

        expected = ABSENT if rule is unset else own if stays else replaced
        assert merge_values(policy, own, other) == expected
        for blank in (own, *BLANKS):
            assert merge_values(policy, own, blank) == own

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
    def test_absent_is_decided_inside_a_value(
        self, rule: Rule, own: Any, other: Any, default: Any, expected: Any
    ) -> None:
        """Name by name, at any depth."""
        assert same(
            freeze(merge_values(table(rule, default), own, other)), freeze(expected)
        )

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
    def test_refused_merge_shows_no_value(
        self, rule: Rule, own: Any, other: Any, reason: str
    ) -> None:
        """The sender of a patch may not see values of the contacts it merges."""
        book = make_book(table(rule), own, other)
        before = book.dump()
        with pytest.raises(errors.InvalidField) as caught:
            book.merge("a", "b")

        start, semicolon, rest = reason.partition("; ")
        message = f"v: {start}, and contact b holds another value{semicolon}{rest}"
        assert str(caught.value) == message
        assert book.dump() == before


class TestTime:
    """``version`` counts every merge; ``updated_at`` moves with fields and clocks."""

    def test_merge_without_changes_keeps_updated_at(self) -> None:
        """The version is new."""
        book = make_book(table(keep), "x", "y")
        before = book.get("a")
        outcome = book.merge("a", "b")

        assert (outcome.result, outcome.changes) == ("merged", ())
        assert (outcome.contact.version, outcome.contact.merged_ids) == (2, ("b",))
        assert outcome.contact.updated_at == before.updated_at
        assert book.undo(outcome).contact == before

    @pytest.mark.parametrize(
        ("policy", "values", "clocks"),
        [
            (table(keep), (ABSENT, "y"), ()),
            (table(latest(by="at"), own=latest(by="at")), ("x", "x"), (1, 2)),
        ],
        ids=["field", "clock"],
    )
    def test_merge_with_changes_sets_updated_at(
        self, policy: Policy, values: Any, clocks: Any
    ) -> None:
        """A field, or its clock alone."""
        book = make_book(policy, *values, clocks=clocks)

        assert book.merge("a", "b").contact.updated_at == NOON + timedelta(days=1)

    def test_merge_that_restores_sets_updated_at(self) -> None:
        lines = {"id": field(key=normalize.exact), "v": field()}
        policy = Policy(merge_all("id"), lines, on_deleted="restore")
        book = ContactBook(policy, ids=iter("ab").__next__)
        book.create({"id": 1})
        book.create({"id": 2})
        deleted = book.delete("a")
        contact = book.merge("a", "b").contact

        assert deleted.deleted_at is not None
        assert contact.deleted_at is None
        assert contact.updated_at > deleted.updated_at

    def test_patch_that_merges_has_one_time(self) -> None:
        lines = {"id": field(key=normalize.exact), "ref": field(key=normalize.exact)}
        policy = Policy(merge_all("id", "ref"), {**lines, "v": field()})
        times = iter([NOON + timedelta(days=day) for day in range(9)])
        book = ContactBook(policy, ids=iter("abc").__next__, clock=times.__next__)
        book.create({"id": 1})
        book.create({"ref": 1})
        outcome = book.upsert({"id": 1, "ref": 1, "v": "x"})

        assert outcome.contact.updated_at == NOON + timedelta(days=2)


class TestLastUpdated:
    """The clock of a merged field is when its contact was last updated."""

    def test_newest_of_three_wins_in_any_grouping(self) -> None:
        """The values are Oslo, absent, and Rome, an hour apart."""
        for first in (("b", "c"), ("b",), ("c",)):
            book = make_book(table(last_updated), "Oslo", ABSENT, "Rome")
            book.merge("a", *first)
            book.merge("a", *{"b", "c"} - {*first}, on_itself="ignore")

            assert book.get("a")["v"] == "Rome"

    def test_change_of_another_field_keeps_the_clock(self) -> None:
        rows = make_book(table(last_updated), "Oslo", ABSENT, "Rome").dump()
        rows[1]["fields"]["phone"] = "+1"
        book = ContactBook.load(table(last_updated), rows)
        outcome = book.merge("a", "b")

        assert outcome.contact["phone"] == "+1"
        assert outcome.contact.updated_at > outcome.before.updated_at  # type: ignore[union-attr]
        assert outcome.contact.clocks == {"v": "2024-01-01T12:00:00.000000+00:00"}
        assert book.merge("a", "c").contact["v"] == "Rome"

    def test_clock_is_removed_when_the_field_is_updated(self) -> None:
        """The same value, or a change of another field, keeps it."""
        lines = {"id": field(key=normalize.exact), "v": field(), "phone": field()}
        policy = Policy(first_match("id"), merging(lines, {"v": last_updated}))
        days = count()
        book = ContactBook(
            policy,
            ids=iter("abc").__next__,
            clock=lambda: NOON + timedelta(days=next(days)),
        )
        book.upsert({"id": 1, "v": "x"})
        book.upsert({"id": 2, "v": "y", "phone": "1"})
        merged_clocks = {"v": "2024-01-02T12:00:00.000000+00:00"}
        assert book.merge("a", "b").contact.clocks == merged_clocks

        assert book.upsert({"id": 1, "v": "y"}).unchanged
        assert book.upsert({"id": 1, "phone": "2"}).contact.clocks == merged_clocks
        assert book.upsert({"id": 1, "v": "z"}).contact.clocks == {}
        assert book.upsert({"id": 1, "v": "z"}).unchanged

    def test_cleared_field_has_no_clock(self) -> None:
        book = make_book(table(last_updated), ABSENT, "x")
        assert book.merge("a", "b").contact.clocks != {}
        rows = book.dump()
        rows[0]["fields"]["id"] = 1
        book = ContactBook.load(book.policy, rows)

        assert book.upsert({"id": 1, "v": None}).contact.clocks == {}

    def test_patch_that_merges_and_sets_the_field_removes_its_clock(self) -> None:
        """The field is as new as the call."""
        lines = {"id": field(key=normalize.exact), "ref": field(key=normalize.exact)}
        policy = Policy(
            merge_all("id", "ref"),
            merging({**lines, "v": field()}, {"v": last_updated}),
        )
        for value, keeps_clock in (("z", False), ("y", True), (None, False)):
            book = ContactBook(policy, ids=iter("ab").__next__)
            book.create({"id": 1, "v": "x"})
            book.create({"ref": 1, "v": "y"})
            patch = {"id": 1, "ref": 1, "v": value}
            outcome = book.upsert(patch)

            assert outcome.contact.get("v") == value
            assert ("v" in outcome.contact.clocks) == keeps_clock
            assert book.upsert(patch).unchanged

    def test_clock_that_is_no_time_is_ignored(self) -> None:
        """A row may have a number from a policy with another rule."""
        book = make_book(table(last_updated), "x", "y", clocks=(7, None))

        assert book.merge("a", "b").contact["v"] == "y"

    def test_rule_of_a_call_with_another_clock_is_refused(self) -> None:
        """A field has one clock."""
        book = make_book(table(last_updated), "x")
        with pytest.raises(errors.InvalidPolicy, match=r"v: rule .* has a clock"):
            book.upsert({"id": 1, "v": "y", "at": 1}, rules={"v": latest(by="at")})


Tree: TypeAlias = Any


def trees(names: tuple[str, ...]) -> Iterator[Tree]:
    """Yield every way to merge contacts in this order, two at a time."""
    if len(names) == 1:
        yield names[0]
    for position in range(1, len(names)):
        yield from product(trees(names[:position]), trees(names[position:]))


def merge_tree(book: ContactBook, tree: Tree) -> str:
    """Merge as the tree describes; return the survivor."""
    if isinstance(tree, str):
        return tree
    survivor, other = merge_tree(book, tree[0]), merge_tree(book, tree[1])
    book.merge(survivor, other)
    return survivor


def state_of(book: ContactBook, id: str) -> Any:
    contact = book.get(id)
    return freeze({"v": contact.get("v"), "clocks": contact.clocks.get("v")})


POOLS: dict[Rule, tuple[Any, ...]] = {
    replace: ("x", ABSENT, "", "y"),
    keep: ("", ABSENT, "x", "y"),
    union: (["x"], ["y", "x"], [], ["z"]),
    append: (["x"], ABSENT, ["y"], ["x"]),
    deep: ({"a": 1}, {"a": "", "b": 2}, {"a": 3}, {"c": {"d": 1}}),
    deep_keep: ({"a": ""}, {"a": 1, "b": {"c": ""}}, {"b": {"c": 2}}, {"a": 3}),
    items_by("id"): ([{"id": 1, "n": ""}], [{"id": 1, "n": 2}], [{"id": 2}], []),
    largest: (1, 3, "", 2),
    smallest: (3, 1, ABSENT, 2),
    add: (1, 2, "", 3),
    last_updated: ("x", ABSENT, "y", "x"),
    latest(by="at"): ("x", "", "y", None),
}


@pytest.mark.parametrize("rule", POOLS, ids=str)
@pytest.mark.parametrize("own", [replace, latest(by="at")], ids=["plain", "clocked"])
@pytest.mark.parametrize("default", [None, "x", {"a": 1}, ["x"], 1], ids=repr)
def test_one_merge_equals_merges_in_pairs(rule: Rule, own: Rule, default: Any) -> None:
    """For any rule and default, with or without a clock."""
    for order in permutations(range(4)):
        values = [POOLS[rule][place] for place in order]
        values = [ABSENT if value is None else value for value in values]
        clocks = [(3, 1, 4, 2)[place] for place in order] if own.by else ()
        hours = [(3, 1, 4, 2)[place] for place in order]
        policy = table(rule, default, own)
        books = [make_book(policy, *values, clocks=clocks, hours=hours) for _ in "abc"]
        books[0].merge("a", "b", "c", "d")
        for other in "bcd":
            books[1].merge("a", other)
        books[2].merge("a", "b", "c")
        books[2].merge("a", "d")

        states = [state_of(book, "a") for book in books]
        assert same(states[0]["v"], states[1]["v"])
        assert states[0] == states[1] == states[2], (values, clocks)


@pytest.mark.parametrize(
    "rule", [replace, keep, union, largest, smallest, last_updated], ids=str
)
def test_every_grouping_of_one_order_ends_equal(rule: Rule) -> None:
    for order in permutations(range(4)):
        values = [POOLS[rule][place] for place in order]
        hours = [(3, 1, 4, 2)[place] for place in order]
        states = []
        for tree in trees(("a", "b", "c", "d")):
            book = make_book(table(rule), *values, hours=hours)
            states.append(state_of(book, merge_tree(book, tree)))
        assert all(same(state["v"], states[0]["v"]) for state in states), values


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
    [("x", ABSENT, "y", "z"), ("x", "x", "y", "y"), ("", "y", "x", "y")],
    ids=str,
)
def test_newest_value_does_not_depend_on_the_survivor(
    rule: Rule, own: Rule, values: Any
) -> None:
    """Every order and tree ends with the same value and clock."""
    results = set()
    for order in permutations(range(4)):
        for tree in trees(("a", "b", "c", "d")):
            hours = [(3, 1, 4, 4)[place] for place in order]
            clocks = hours if own.by else ()
            book = make_book(
                table(rule, None, own),
                *[values[place] for place in order],
                clocks=clocks,
                hours=hours,
            )
            contact = book.get(merge_tree(book, tree))
            clock = contact.clocks.get("v")
            if clock is None:
                clock = contact.updated_at.isoformat(timespec="microseconds")
            results.add((contact.get("v"), clock))

    assert len(results) == 1


@pytest.mark.parametrize("rule", [latest(by="at"), last_updated], ids=str)
def test_merge_with_clocks_that_do_not_compare_is_refused(rule: Rule) -> None:
    """A number and a text; no value is shown."""
    policy = table(rule, own=latest(by="at"))
    book = make_book(policy, "x", "secret", clocks=(1, "2024"))
    with pytest.raises(errors.InvalidField) as caught:
        book.merge("a", "b")

    reason = "must have a clock comparable with the stored one, which is a number"
    assert str(caught.value) == f"v: {reason}, and contact b holds another value"

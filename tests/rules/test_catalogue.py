"""Rules of the catalogue with null, blank, equal, different and first values."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

import upsertcore.rules
from upsertcore.errors import InvalidPolicy
from upsertcore.rules import (
    add,
    add_or_remove,
    append,
    constant,
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
    sticky,
    union,
    unset,
)
from upsertcore.rules.rule import Rule
from upsertcore.values import FrozenMap, freeze, same

ERROR = "refused"


def combined(rule: Rule, stored: Any, sent: Any) -> Any:
    """Merge two values, or return that the rule refuses."""
    try:
        return rule.combine(freeze(stored), freeze(sent))
    except ValueError:
        return ERROR


CASES: list[tuple[Rule, Any, Any, Any]] = [
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
    (keep, " ", "b", "b"),
    (keep, "a", " ", "a"),
    (keep, "", [], ""),
    (keep, None, "", ""),
    (immutable, " ", "b", "b"),
    (immutable, "", " ", ""),
    (immutable, "a", " ", ERROR),
    (keep, 0, 1, 0),
    (keep, None, None, None),
    (on_create, None, "b", "b"),
    (immutable, None, "b", "b"),
    (immutable, "", "b", "b"),
    (immutable, "", None, ""),
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
    (deep_keep, {"a": 1, "b": 2}, {"b": 3, "c": 4}, {"a": 1, "b": 2, "c": 4}),
    (deep_keep, {"a": {"x": 1}}, {"a": {"x": 2, "y": 3}}, {"a": {"x": 1, "y": 3}}),
    (deep_keep, {"a": "", "b": None}, {"a": 1, "b": 2}, {"a": 1, "b": 2}),
    (deep_keep, {"a": []}, {"a": {"b": 1, "c": None}}, {"a": {"b": 1}}),
    (deep_keep, {"a": "x"}, {"a": {"b": 1}}, {"a": "x"}),
    (deep_keep, {"a": {"b": 1}}, {"a": "x"}, {"a": {"b": 1}}),
    (deep_keep, {"a": 1}, {"a": None, "b": None}, {"a": 1}),
    (deep_keep, None, {"a": {"b": None}}, {"a": {}}),
    (deep_keep, "", {"a": 1}, {"a": 1}),
    (deep_keep, {"a": 1}, {}, {"a": 1}),
    (deep_keep, {"a": 1}, None, {"a": 1}),
    (deep_keep, None, {}, None),
    (deep_keep, "x", None, "x"),
    (deep_keep, "x", {"a": 1}, ERROR),
    (deep_keep, None, "x", ERROR),
    (append, ["a"], ["b", "a"], ["a", "b", "a"]),
    (append, None, ["a", "a"], ["a", "a"]),
    (append, ["a"], [], ["a"]),
    (append, ["a"], None, None),
    (append, "a", ["b"], ERROR),
    (append, ["a"], "b", ERROR),
    (add_or_remove, ["a", "b"], ["-a", "c", "b"], ["b", "c"]),
    (add_or_remove, ["a", "b", "a"], ["-a"], ["b"]),
    (add_or_remove, ["a", "b"], ["-a", "a"], ["a", "b"]),
    (add_or_remove, ["a", "b"], ["a", "-a"], ["b"]),
    (add_or_remove, None, ["a", "b", "-a", "a"], ["a", "b"]),
    (add_or_remove, None, ["a", "a"], ["a"]),
    (add_or_remove, ["-a", 1], ["--a", "b"], [1, "b"]),
    (add_or_remove, ["a"], ["-a"], []),
    (add_or_remove, None, ["-a"], None),
    (add_or_remove, ["a"], [], ["a"]),
    (add_or_remove, ["a"], None, None),
    (add_or_remove, ["a"], ["-"], ERROR),
    (add_or_remove, ["a"], ["b", 1], ERROR),
    (add_or_remove, ["a"], "a", ERROR),
    (add_or_remove, "a", ["a"], ERROR),
    (unset, "a", "b", None),
    (unset, "a", "", None),
    (unset, "a", None, None),
    (unset, None, "b", None),
    (largest, 1, 2, 2),
    (largest, 2, 1, 2),
    (largest, 1, 1.0, 1.0),
    (largest, 1.0, 1, 1.0),
    (largest, "a", "b", "b"),
    (largest, "a", "B", "a"),
    (largest, "10", "9", "9"),
    (largest, "\uffff", "\U00010000", "\U00010000"),
    (largest, 2**53 + 1, 2.0**53, 2**53 + 1),
    (largest, None, 1, 1),
    (largest, "", 1, 1),
    (largest, 1, None, 1),
    (largest, 1, "", 1),
    (largest, 1, "2", ERROR),
    (largest, 1, True, ERROR),
    (largest, None, True, ERROR),
    (largest, True, 1, ERROR),
    (largest, None, ["a"], ERROR),
    (smallest, 1, 2, 1),
    (smallest, 2, 1, 1),
    (smallest, 1, 1.0, 1),
    (smallest, 1.0, 1, 1),
    (smallest, "b", "a", "a"),
    (smallest, None, 1, 1),
    (smallest, [], "a", "a"),
    (smallest, 1, None, 1),
    (smallest, 1, {}, 1),
    (smallest, "a", 1, ERROR),
    (add, 1, 2, 3),
    (add, 1, 0.5, 1.5),
    (add, 1, -1, 0),
    (add, None, 2, 2),
    (add, "", 2, 2),
    (add, 1, None, 1),
    (add, 1, "", 1),
    (add, None, None, None),
    (add, 1, "2", ERROR),
    (add, None, True, ERROR),
    (add, "1", 2, ERROR),
    (add, True, 2, ERROR),
    (add, 1e308, 1e308, ERROR),
    (add, 10**400, 0.5, ERROR),
    (add, 2**14_000 - 1, 1, ERROR),
    (latest("t"), [1, "a"], [2, "b"], [2, "b"]),
    (latest("t"), [2, "a"], [1, "b"], [2, "a"]),
    (latest("t"), ["a", "x"], ["b", "y"], ["b", "y"]),
    (latest("t"), [1, "a"], [2, "a"], [2, "a"]),
    (latest("t"), [1, "a"], [2, None], [2, None]),
    (latest("t"), [2, None], [1, "a"], [2, None]),
    (latest("t"), [1, "a"], [2, ""], [2, ""]),
    (latest("t"), [None, "a"], [1, "b"], [1, "b"]),
    (latest("t"), [None, None], [1, "b"], [1, "b"]),
    (latest("t"), [1, "a"], [None, "b"], [1, "a"]),
    (latest("t"), [None, "a"], [None, "b"], [None, "a"]),
    (latest("t"), [None, None], [None, "b"], [None, "b"]),
    (latest("t"), [1, "a"], [1, "b"], [1, "b"]),
    (latest("t"), [1, "b"], [1, "a"], [1, "b"]),
    (latest("t"), [1, {"b": 1, "a": 2}], [1, {"a": 1, "b": 2}], [1, {"a": 2, "b": 1}]),
    (latest("t"), [1, {"b": 2, "a": 1}], [1, {"a": 2, "b": 1}], [1, {"a": 2, "b": 1}]),
    (latest("t"), [1, "a"], [1.0, "A"], [1.0, "A"]),
    (latest("t"), [1.0, "A"], [1, "a"], [1.0, "A"]),
    (latest("t"), [1, "a"], ["2", "b"], ERROR),
    (latest("t"), ["2", "a"], [3, "b"], ERROR),
]


@pytest.mark.parametrize(
    ("rule", "stored", "sent", "expected"),
    CASES,
    ids=[f"{number}-{case[0]}" for number, case in enumerate(CASES)],
)
def test_rule_combines_stored_and_sent(
    rule: Rule, stored: Any, sent: Any, expected: Any
) -> None:
    """None stands for absent, null and cleared."""
    assert same(freeze(expected), combined(rule, stored, sent))


BLANKS: tuple[Any, ...] = ("", " \t", [], {})
"""One blank value of each kind."""

BLANK_CASES: list[tuple[Rule, Any, Any]] = [
    (union, ["a"], []),
    (append, ["a"], []),
    (add_or_remove, ["a"], None),
    (remove, ["a"], None),
    (items_by("id"), [{"id": 1}], []),
    (deep, {"a": 1}, {}),
    (deep_keep, {"a": 1}, None),
]
"""A rule of lists or mappings, a value, and the result for a first blank."""


@pytest.mark.parametrize("blank", BLANKS, ids=repr)
@pytest.mark.parametrize(
    ("rule", "value", "first"), BLANK_CASES, ids=map(str, range(7))
)
def test_blank_of_any_kind_counts_as_absent(
    rule: Rule, value: Any, first: Any, blank: Any
) -> None:
    """A sent blank changes nothing; a stored one is replaced."""
    first_value = combined(rule, None, value)

    assert same(combined(rule, value, blank), freeze(value))
    assert same(combined(rule, None, blank), freeze(first))
    assert same(
        combined(rule, blank, value),
        freeze(blank) if first_value is None else first_value,
    )
    for other in BLANKS:
        assert same(combined(rule, blank, other), freeze(blank))
    for stored, sent in ((value, "a"), (value, 1), ("a", value), (1, value)):
        assert combined(rule, stored, sent) == ERROR


IDEMPOTENT = ("idempotent",)
ASSOCIATIVE = ("associative", "idempotent")
ABSORBING = ("absorbing", *ASSOCIATIVE)
ALL = ("absorbing", "associative", "commutative", "idempotent")


@pytest.mark.parametrize(
    ("rule", "laws", "expected"),
    [
        (replace, ASSOCIATIVE, {"stores"}),
        (keep, ABSORBING, {"stores", "drops"}),
        (on_create, ASSOCIATIVE, {"stores", "drops", "not on_update"}),
        (immutable, IDEMPOTENT, {"stores", "drops"}),
        (ignore, ALL, {"drops", "not on_create", "not on_update"}),
        (unset, ALL, set()),
        (largest, ALL, {"stores", "drops"}),
        (smallest, ALL, {"stores", "drops"}),
        (add, (), {"stores", "drops", "shows"}),
        (union, IDEMPOTENT, {"stores", "gathers"}),
        (append, (), {"stores", "gathers"}),
        (remove, ("absorbing", "idempotent"), {"gathers"}),
        (add_or_remove, IDEMPOTENT, {"stores", "gathers"}),
        (deep, IDEMPOTENT, {"stores", "gathers"}),
        (
            deep_keep,
            ("absorbing", "idempotent"),
            {"stores", "drops", "shows", "gathers"},
        ),
        (last_updated, ALL, {"stores", "drops"}),
    ],
    ids=map(str, range(16)),
)
def test_rule_declares_laws_and_flags(
    rule: Rule, laws: tuple[str, ...], expected: set[str]
) -> None:
    flags = {
        "drops": rule.drops,
        "gathers": rule.gather is not None,
        "not on_create": not rule.on_create,
        "not on_update": not rule.on_update,
        "shows": rule.contains is not None,
        "stores": rule.stores,
    }

    assert getattr(upsertcore.rules, repr(rule)) is rule
    assert laws == tuple(sorted(rule.laws))
    assert expected == {name for name, flag in flags.items() if flag}


def items(*pairs: str) -> list[dict[str, str]]:
    """Make items: ``"1x"`` is id 1 with value x, ``"-kx"`` has only key k."""
    return [
        {"key": p[1], "v": p[2:]} if p[0] == "-" else {"id": p[0], "v": p[1:]}
        for p in pairs
    ]


@pytest.mark.parametrize(
    ("rule", "stored", "sent", "reason"),
    [
        (
            largest,
            5,
            "a",
            "must be comparable with the stored value, which is a number",
        ),
        (smallest, "a", 5, "must be comparable with the stored value, which is text"),
        (
            largest,
            True,
            5,
            "must be comparable with the stored value, which is true or false",
        ),
        (largest, 5, True, "must be a number or text"),
        (add, "a", 5, "needs a stored number; the stored value is text"),
        (add, 5, "a", "must be a number"),
        (add, 1e308, 1e308, "must not make the sum too large"),
        (append, ["a"], "a", "must be a list"),
        (union, "a", ["a"], "needs a stored list; the stored value is text"),
        (
            remove,
            {"a": 1},
            ["a"],
            "needs a stored list; the stored value is a mapping",
        ),
        (
            deep,
            ["a"],
            {"a": 1},
            "needs a stored mapping; the stored value is a list",
        ),
        (
            add_or_remove,
            [],
            ["-"],
            'must be a list of text: "x" adds, "-x" removes',
        ),
        (deep_keep, {}, "a", "must be a mapping"),
        (
            *(latest("t"), [5, "a"], ["6", "b"]),
            "must have a clock comparable with the stored one, which is a number",
        ),
    ],
    ids=map(str, range(14)),
)
def test_refusal_says_what_is_needed(
    rule: Rule, stored: Any, sent: Any, reason: str
) -> None:
    """The reason follows the name of the field."""
    with pytest.raises(ValueError, match=r"must|needs") as refusal:
        rule.combine(freeze(stored), freeze(sent))

    assert reason == str(refusal.value)


class TestLatest:
    """The rule with a clock."""

    def test_latest_names_its_clock(self) -> None:
        rule = latest(by="t")

        assert rule.by == "t"
        assert rule.laws == {*ALL}
        assert rule.drops
        assert repr(rule) == "latest(by='t')"
        assert rule == latest("t") != latest("u")

    @pytest.mark.parametrize("by", ["", " ", None, 1, ["t"]], ids=repr)
    def test_latest_by_no_field_name_is_refused(self, by: Any) -> None:
        with pytest.raises(InvalidPolicy) as caught:
            latest(by=by)

        words = f"latest: by must be the name of a field, not {by!r}; name the field"
        assert str(caught.value).startswith(words)

    def test_other_rules_have_no_clock(self) -> None:
        assert [keep.by, items_by("id").by, custom(max).by] == [None] * 3

    def test_latest_returns_the_stored_pair_itself(self) -> None:
        stored = (1, "a")

        for sent in ([1, "a"], [0, "b"], [None, "c"]):
            assert latest("t").combine(stored, tuple(sent)) is stored


class TestItemsBy:
    """The rule of lists of mappings, merged item by item."""

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
    def test_items_are_merged_by_their_names(
        self, stored: Any, sent: Any, expected: Any
    ) -> None:
        """New items come last; the others keep their places."""
        assert freeze(expected) == combined(self.RULE, stored, sent)

    def test_omitted_name_of_an_item_is_kept(self) -> None:
        stored = [{"id": "1", "v": "x", "note": "n"}]

        assert combined(self.RULE, stored, [{"id": "1", "v": "y"}]) == freeze(
            [{"id": "1", "v": "y", "note": "n"}]
        )

    @pytest.mark.parametrize(
        "sent", [["x"], [{"v": "x"}], [{"id": ""}], {"id": "1"}], ids="abcd"
    )
    def test_item_without_name_is_refused(self, sent: Any) -> None:
        assert combined(self.RULE, None, sent) == ERROR

    @pytest.mark.parametrize(
        ("stored", "sent"),
        [
            (items("1x", "-kx"), [{"id": "1", "key": "k"}]),
            ([{"id": "1", "key": "k"}], [{"id": "2", "key": "k"}]),
        ],
        ids=["two", "another"],
    )
    def test_item_that_matches_two_or_renames_one_is_refused(
        self, stored: Any, sent: Any
    ) -> None:
        assert combined(self.RULE, stored, sent) == ERROR

    def test_items_by_without_names_is_refused(self) -> None:
        with pytest.raises(InvalidPolicy) as caught:
            items_by()

        assert str(caught.value).startswith("items_by: needs the names that")

    def test_items_by_shows_its_names(self) -> None:
        rule = items_by("id", "key")

        assert repr(rule) == "items_by('id', 'key')"
        assert rule.laws == {"idempotent"}
        assert not rule.drops


class TestSticky:
    """A value that stays."""

    @pytest.mark.parametrize(
        ("stored", "sent", "after"),
        [
            ("out", "in", "out"),
            ("out", None, "out"),
            ("out", "", "out"),
            ("out", "out", "out"),
            ("in", "out", "out"),
            ("in", "new", "new"),
            ("in", None, None),
            ("in", "", ""),
            ("", "in", "in"),
            (None, "out", "out"),
            (None, "in", "in"),
            (None, None, None),
        ],
    )
    def test_sticky_replaces_every_value_but_its_own(
        self, stored: Any, sent: Any, after: Any
    ) -> None:
        assert after == sticky("out").combine(stored, sent)

    @pytest.mark.parametrize(
        ("own", "other", "after"),
        [
            ("out", "in", "out"),
            ("in", "out", "out"),
            ("new", "out", "out"),
            ("in", "in2", "in"),
            ("", "in", "in"),
            ("new", "in", "in"),
            ("", "out", "out"),
        ],
    )
    def test_sticky_value_of_either_contact_wins_in_a_merge(
        self, own: Any, other: Any, after: Any
    ) -> None:
        """Otherwise the survivor's, unless it is blank or the default."""
        merge: Any = sticky("out").merge

        assert after == merge(own, other, "new")

    @pytest.mark.parametrize("value", [None, "", " ", [], {}, {1}, float("nan")])
    def test_value_that_is_absent_or_cannot_be_stored_is_refused(
        self, value: Any
    ) -> None:
        with pytest.raises(InvalidPolicy, match=r"sticky: value must .*; pass the val"):
            sticky(value)

    def test_sticky_declares_its_laws_and_its_value(self) -> None:
        rule = sticky(["a"])

        assert rule.laws == {"associative", "idempotent"}
        assert (rule.sticky, rule.value) == (True, ("a",))
        assert repr(rule) == "sticky(['a'])"
        assert (rule.drops, rule.stores) == (True, True)


class TestCustom:
    """A rule with a function of the application."""

    def test_result_of_a_custom_rule_is_frozen(self) -> None:
        """The function may keep and change its list."""
        items_kept = ["a"]
        rule = custom(lambda _stored, _sent: items_kept)
        merged = rule.combine(None, "x")
        items_kept.append("b")

        assert merged == ("a",)

    def test_custom_rule_has_the_declared_laws(self) -> None:
        rule = custom(max, name="largest", laws=("idempotent", "commutative"))

        assert rule.laws == {"idempotent", "commutative"}
        assert rule.drops
        assert repr(rule) == "largest"

    @pytest.mark.parametrize(
        "laws", [("idempotence",), ("idempotent", ""), (["associative"],), "idempotent"]
    )
    def test_custom_rule_with_unknown_law_is_refused(self, laws: Any) -> None:
        with pytest.raises(InvalidPolicy, match="laws must be some of 'idempotent', "):
            custom(max, laws=laws)

    def test_custom_without_function_is_refused(self) -> None:
        wrong: Any = "max"
        with pytest.raises(InvalidPolicy) as caught:
            custom(wrong)

        words = "custom: must be a function, not 'max'; it takes the stored and"
        assert str(caught.value).startswith(words)


def test_deep_returns_a_frozen_mapping() -> None:
    assert isinstance(combined(deep, {"a": {"b": 1}}, {"a": {"c": 1}})["a"], FrozenMap)


CATALOGUE = [getattr(upsertcore.rules, name) for name in upsertcore.rules.__all__]
RULES = [rule for rule in CATALOGUE if isinstance(rule, Rule)]
RULES += [latest("at"), items_by("id", "key"), custom(max), custom(min, name="least")]
RULES += [sticky("a"), sticky([{"a": 1}]), constant(1), refuse_if({"a": [1]})]


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_rule_can_be_copied_and_pickled(rule: Rule) -> None:
    """``replace`` stays the same object."""
    copies = copy.copy(rule), copy.deepcopy(rule), pickle.loads(pickle.dumps(rule))  # noqa: S301

    assert [rule] * 3 == [*copies]
    assert [rule is replace] * 3 == [copied is replace for copied in copies]


def test_rules_compare_and_hash_by_value() -> None:
    makes: list[Any] = [
        lambda: latest(by="at"),
        lambda: latest(by="time"),
        lambda: items_by("id"),
        lambda: items_by("id", "key"),
        lambda: custom(max),
        lambda: custom(min),
        lambda: custom(max, name="most"),
        lambda: custom(max, laws=()),
        lambda: sticky(1),
        lambda: sticky(1.0),
        lambda: sticky(["a"]),
        lambda: constant(1),
        lambda: constant(1.0),
        lambda: refuse_if(1),
    ]
    for make in makes:
        assert make() == make()
        assert hash(make()) == hash(make())
    assert len({make() for make in makes}) == len(makes)


class Unhashable:
    """A callable that compares by value, and does not hash."""

    def __call__(self, _stored: Any, sent: Any) -> Any:
        return sent

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unhashable)

    __hash__ = None  # type: ignore[assignment]


def test_rule_of_an_unhashable_function_hashes() -> None:
    assert custom(Unhashable()) == custom(Unhashable())
    assert hash(custom(Unhashable())) == hash(custom(Unhashable()))
    assert custom(Unhashable()).combine("a", "b") == "b"


def test_result_of_a_custom_rule_with_a_nested_bad_value_names_its_path() -> None:
    rule = custom(lambda _stored, sent: [sent, {"a": {1}}], name="pair")

    with pytest.raises(ValueError, match=r"must not become set at \[1\].a through"):
        rule.combine(None, 1)

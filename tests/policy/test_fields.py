"""The options of one field: defaults, and combinations that are refused."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from upsertcore import field, normalize
from upsertcore.errors import InvalidPolicy
from upsertcore.policy.fields import (
    Blank,
    Null,
    check_choice,
    check_field,
    check_rule,
    default_value,
)
from upsertcore.rules import (
    constant,
    ignore,
    keep,
    refuse_if,
    remove,
    replace,
    sticky,
    unset,
)


def refuse(value: Any) -> Any:
    """Refuse any value."""
    raise ValueError("must be nothing")


def test_field_without_options_has_the_defaults() -> None:
    line = field()

    assert (line.key, line.unique, line.keep_aliases, line.max_forms) == (
        *(None, False, False),
        None,
    )
    assert (line.required, line.clean, line.default) == (False, None, None)
    assert (line.rule, line.null, line.blank) == (replace, "clear", "store")
    assert line.many is False
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        line.unique = True  # type: ignore[misc]


def test_field_has_the_given_options() -> None:
    line = field(
        key=normalize.email,
        unique=True,
        keep_aliases=True,
        max_forms=3,
        required=True,
        clean=str.strip,
        rule=keep,
        null="reject",
        blank="clear",
        default="x",
        many=True,
    )
    check_field("email", line)

    assert (line.key, line.unique, line.keep_aliases) == (normalize.email, True, True)
    assert (line.max_forms, line.required, line.clean) == (3, True, str.strip)
    assert (line.rule, line.null, line.blank) == (keep, "reject", "clear")
    assert line.default == "x"
    assert line.many is True


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (field(key="email"), "f: key: must be a function, not 'email'"),  # type: ignore[arg-type]
        (field(clean=1), "f: clean: must be a function, not 1"),  # type: ignore[arg-type]
        (field(rule=max), "f: rule: must be a rule, not"),  # type: ignore[arg-type]
        (field(null="store"), "f: null: must be one of 'clear', 'ignore', 'reject'"),  # type: ignore[arg-type]
        (field(blank="keep"), "f: blank: must be one of 'store', 'ignore', 'clear'"),  # type: ignore[arg-type]
        (field(unique=True), "f: unique needs a key; add key=normalize.email"),
        (field(keep_aliases=True), "f: keep_aliases needs a key"),
        (field(max_forms=1), "f: max_forms needs a key"),
        (field(max_forms=0), "f: max_forms needs a key"),
        (field(unique=True, keep_aliases=True, max_forms=1), "f: unique needs a key"),
        (field(required=True, rule=ignore), "its rule ignore never stores it"),
        (field(required=True, rule=remove), "its rule remove never stores it"),
        (field(required=True, rule=unset), "its rule unset never stores it"),
        (field(many=1), "f: many must be True or False, not 1"),  # type: ignore[arg-type]
        (field(many=True, rule=sticky("a")), r"use sticky\(\['a'\]\)"),
        (field(rule=sticky("A"), clean=str.lower), "the field stores as 'a'; use st"),
        (field(rule=sticky("A"), clean=refuse), r"f: sticky\('A'\): must be nothing"),
        (field(on_merge=sticky("A"), clean=str.lower), "its rule sticky.'A'. has"),
        (field(rule=sticky("a"), default="a"), "its default is the value of sticky"),
        (field(rule=constant(1)), "f: the rule constant.1. applies only to contacts"),
        (field(on_merge=constant("A"), clean=str.lower), r"use constant\('a'\)"),
        (field(on_merge=refuse_if(1), many=True), r"use refuse_if\(\[1\]\)"),
        (field(on_merge=refuse_if(1), default=1), "default is the value of refuse_if"),
    ],
    ids=map(str, range(23)),
)
def test_invalid_field_is_refused_by_name(line: Any, words: str) -> None:
    with pytest.raises(InvalidPolicy, match=words):
        check_field("f", line)


@pytest.mark.parametrize("rule", [None, "keep", max, field()], ids="abcd")
def test_value_that_is_no_rule_is_refused(rule: Any) -> None:
    check_rule("x", keep)
    with pytest.raises(InvalidPolicy, match="x: must be a rule, not"):
        check_rule("x", rule)


@pytest.mark.parametrize(
    ("value", "choices"),
    [("drop", Null), ("store", Null), (None, Blank), (["clear"], Null), ("", Blank)],
    ids=map(str, range(5)),
)
def test_unknown_choice_is_refused_with_the_known_ones(
    value: Any, choices: Any
) -> None:
    check_choice("null", "ignore", Null)
    with pytest.raises(InvalidPolicy, match="x: must be one of '"):
        check_choice("x", value, choices)


@pytest.mark.parametrize(
    ("line", "stored"),
    [
        (field(default=["a"]), ("a",)),
        (field(default=" A ", clean=str.strip), "A"),
        (field(default="ab", clean=list), ("a", "b")),
        (field(default=0), 0),
        (field(default="a", many=True), ("a",)),
        (field(default=["a"], many=True), ("a",)),
        (field(default="", many=True), ()),
        (field(default="A", many=True, clean=lambda items: items[0].lower()), ("a",)),
    ],
    ids=map(str, range(8)),
)
def test_default_is_cleaned_and_frozen(line: Any, stored: Any) -> None:
    assert stored == default_value("f", line)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (field(default={1}), "f: default: must be text"),
        (field(default="x", clean=refuse), "f: default: must be nothing, not 'x'"),
        (field(default="x", clean=lambda _value: {1}), "f: default: must be text"),
        (field(default="12", clean=normalize.phone), "f: default: must be a val"),
    ],
    ids="abcd",
)
def test_default_that_cannot_be_stored_is_refused(line: Any, words: str) -> None:
    """Its own clean function may refuse it."""
    with pytest.raises(InvalidPolicy, match=words):
        default_value("f", line)

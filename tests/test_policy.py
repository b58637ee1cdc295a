"""The policy: a table that cannot work is refused when it is made."""

from __future__ import annotations

from typing import Any

import pytest

from upsertcore import (
    ContactBook,
    ContactIndex,
    Policy,
    field,
    first_match,
    ignore,
    keep,
    normalize,
    remove,
)
from upsertcore.errors import InvalidPolicy, UnknownField

EMAIL = field(key=normalize.email)


def refuse(value: Any) -> Any:
    """Refuse any value."""
    raise ValueError("must be nothing")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Policy(first_match("phone"), {"email": EMAIL}), "phone is no key"),
        (lambda: Policy(first_match("email"), {"email": field()}), "no field has one"),
        (lambda: table(email=field(unique=True)), "email: unique needs a key"),
        (lambda: table(id=field(key=str, unique=True, default="a")), "id: a unique"),
        (lambda: table(a=field(required=True, merge=ignore)), "a: required, but"),
        (lambda: table(a=field(required=True, merge=remove)), "never stores it"),
        (lambda: table(a=field(null="drop")), "a: null: must be one of 'clear'"),  # type: ignore[arg-type]
        (lambda: table(a=field(blank="drop")), "a: blank: must be one of"),  # type: ignore[arg-type]
        (lambda: table(a=field(key="email")), "a: key is a function"),  # type: ignore[arg-type]
        (lambda: table(a=field(clean="strip")), "a: clean is a function"),  # type: ignore[arg-type]
        (lambda: table(a=field(merge=max)), "a: merge must be a merge rule"),  # type: ignore[arg-type]
        (lambda: table(a=field(default={1})), "a: default must be text"),
        (lambda: table(a=field(default="x", clean=refuse)), "default must be nothing"),
        (lambda: table(a=1), "a: must be a field"),
        (lambda: table(on_many="first"), "on_many: must be one of"),
        (lambda: table(on_clash="merge"), "on_clash: must be one of"),
        (lambda: table(on_absent_key="x"), "on_absent_key: must be one of"),
        (lambda: table(others=field()), "others: must be a merge rule"),
        (lambda: table(create=False, update=False), "one of them must be allowed"),
        (lambda: Policy(first_match, {"email": EMAIL}), "match: must be a match"),  # type: ignore[arg-type]
        (lambda: Policy(first_match("email"), ["email"]), "fields: must be a mapping"),  # type: ignore[arg-type]
        (lambda: Policy(first_match("a"), {"a": EMAIL, 1: EMAIL}), "a name is text"),  # type: ignore[dict-item]
        (lambda: Policy(first_match("a"), {"a": EMAIL, "": EMAIL}), "a name is text"),
        (
            lambda: Policy(
                first_match("a"), {"a": field(key=normalize.exact, merge=ignore)}
            ),
            "a: identifies contacts, but its rule ignore never stores it",
        ),
    ],
    ids=map(str, range(24)),
)
def test_an_unworkable_table(make: Any, words: str) -> None:
    """Each names the line of the table and says what would be right."""
    with pytest.raises(InvalidPolicy, match=words):
        make()


def table(**lines: Any) -> Policy:
    """Make a policy that matches by email, with further lines or options."""
    options = {
        name: lines.pop(name)
        for name in (
            "on_many",
            "on_clash",
            "on_absent_key",
            "others",
            "create",
            "update",
        )
        if name in lines
    }
    return Policy(first_match("email"), {"email": EMAIL, **lines}, **options)


def test_it_is_frozen() -> None:
    """What it was made of can change; the policy does not."""
    fields = {"email": EMAIL}
    policy = Policy(first_match("email"), fields)
    fields["phone"] = EMAIL

    assert ["email"] == list(policy.fields)
    with pytest.raises(TypeError):
        policy.fields["phone"] = EMAIL  # type: ignore[index]


def test_its_lines() -> None:
    """A field has its own line, or the one for others, or none."""
    policy = table(others=keep)

    assert policy.line("email") is EMAIL
    assert policy.line("city").merge is keep
    with pytest.raises(UnknownField):
        policy.line(7)
    with pytest.raises(UnknownField, match="'city': not a field of this policy"):
        table().line("city")


def test_a_default_is_cleaned_and_frozen() -> None:
    """What is stored by default is what would be stored if it were sent."""
    lower = field(default="ACTIVE", clean=str.lower)
    policy = table(status=lower, tags=field(default=["a"]))

    assert dict(policy.defaults) == {"status": "active", "tags": ("a",)}


def test_an_index_must_fit() -> None:
    """A book refuses an index that was made for other keys."""
    with pytest.raises(InvalidPolicy, match="index: must have the keys"):
        ContactBook(table(), index=ContactIndex(["phone"]))

"""The hot path and the plain path do the same, under drawn policies and logs."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from upsertcore import (
    ContactBook,
    Policy,
    all_agree,
    errors,
    field,
    first_match,
    normalize,
)
from upsertcore.testing import new_book

KEYS: dict[str, Any] = {
    "email": normalize.email,
    "phone": normalize.phone,
    "code": normalize.exact,
}
POOL: dict[str, tuple[Any, ...]] = {
    "email": ("ada@x.org", " ADA@x.org", "bob@x.org", "\u00e5sa@x", "nobody", ""),
    "phone": ("+15550001111", "+1 (555) 000-1111", "0015550002222", "12", None),
    "code": ("a", "b", " ", 7, "7"),
    "name": ("Ada", "Bo", "Ada", "Zo\u00eb", "", None, 1, ["a"]),
    "city": ("Oslo", "Bergen", "\ud800"),
}


@st.composite
def tables(draw: st.DrawFn) -> Policy:
    """Draw a policy of the plainest kind, which has a hot path."""
    order = draw(st.permutations([*KEYS]).map(lambda names: names[: len(names)]))
    consulted = order[: draw(st.integers(1, 3))]
    make = draw(st.sampled_from((first_match, first_match, all_agree)))
    lines: dict[str, Any] = {
        name: field(key=normal, unique=draw(st.booleans()))
        for name, normal in KEYS.items()
    }
    lines["name"] = field(
        required=draw(st.sampled_from((False, False, True))),
        null=draw(st.sampled_from(("clear", "ignore"))),
    )
    lines["city"] = field(default=draw(st.sampled_from((None, None, "Rome"))))
    how: dict[str, Any] = {
        "on_many": draw(st.sampled_from(("refuse", "oldest", "newest"))),
        "on_clash": draw(st.sampled_from(("refuse", "withhold", "allow"))),
        "on_absent_key": draw(st.sampled_from(("refuse", "create"))),
        "on_deleted": draw(st.sampled_from(("forget", "restore", "refuse"))),
        "update": draw(st.sampled_from((True, True, True, False, "ignore"))),
    }
    return Policy(make(*consulted), lines, **how)


PATCHES = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from(values * 2) for name, values in POOL.items()}
)
CALLS = st.lists(
    st.tuples(
        st.sampled_from(("upsert",) * 6 + ("create", "delete")),
        PATCHES,
        st.sampled_from(("", "", "east")),
    ),
    max_size=8,
)


def told(book: ContactBook, call: tuple[str, Any, str]) -> str:
    """Make a call; say what came of it, a refusal too."""
    verb, patch, scope = call
    try:
        if verb == "delete":
            return repr(book.delete(next(iter(book)).id) if len(book) else None)
        return repr(getattr(book, verb)(patch, scope=scope))
    except errors.Refused as error:
        return f"{type(error).__name__}: {error}"


@given(policy=tables(), calls=CALLS)
def test_the_hot_path_does_what_the_plain_path_does(policy: Policy, calls: Any) -> None:
    """Answers, rows, forms, changes and the index: the same, to the byte."""
    hot, plain = [new_book(policy, keep_changes=None) for _ in "ab"]
    assert hot._quick is not None
    plain._quick = plain._quick_many = None
    for call in calls:
        assert told(plain, call) == told(hot, call)

    hot._index.check()
    assert plain.dump() == hot.dump()
    assert repr(plain.changes_since()) == repr(hot.changes_since())
    for contact in plain:
        assert plain._index.forms(contact.id) == hot._index.forms(contact.id)

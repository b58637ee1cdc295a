"""Reading a book: who stands there twice, by which keys, in which scope."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from tests.field_options import blocking
from upsertcore import (
    ContactBook,
    Policy,
    errors,
    field,
    key,
    merge_all,
    never,
    normalize,
)

LINES: dict[str, Any] = {
    "email": field(key=normalize.email, keep_aliases=True),
    "phone": field(key=normalize.phone),
    "first": field(),
    "last": field(),
}
PERSON = key("first", "last", normalize=normalize.text)
POLICY = Policy(
    merge_all("phone"),
    blocking(LINES, {"email": ("noreply@*",)}),
    keys={"person": PERSON},
)


def book(*patches: dict[str, Any], policy: Policy = POLICY) -> ContactBook:
    """Make a book of contacts c-1, c-2, ..., each created without matching."""
    ids = count(1)
    made = ContactBook(policy, ids=lambda: f"c-{next(ids)}")
    for patch in patches:
        made.create(patch)
    return made


def found(made: ContactBook, *keys: str, scope: str | None = None) -> list[list[int]]:
    """Give the groups of duplicates by the numbers in their ids."""
    return [
        [int(each.id.removeprefix("c-")) for each in group]
        for group in made.duplicates(*keys, scope=scope)
    ]


CHAIN: list[dict[str, Any]] = [
    {"email": "x@x"},
    {"email": "a@x", "phone": "+15550001"},
    {"email": ["X@x", "y@x"]},
    {"phone": "+15550001", "first": "Ada", "last": "King"},
    {"first": "ADA", "last": "king"},
    {"first": "Ada"},
    {"email": "Y@x"},
]


def test_groups_are_transitive() -> None:
    """Two that share nothing are of one group where a third shares with both."""
    assert found(book(*CHAIN)) == [[1, 3, 7], [2, 4, 5]]


@pytest.mark.parametrize(
    ("keys", "groups"),
    [
        (("email",), [[1, 3, 7]]),
        (("phone",), [[2, 4]]),
        (("person",), [[4, 5]]),
        (("person", "phone"), [[2, 4, 5]]),
        (("phone", "email", "phone"), [[1, 3, 7], [2, 4]]),
    ],
)
def test_only_the_keys_that_are_named_count(keys: Any, groups: Any) -> None:
    """In any order, also those that the strategy does not ask for."""
    assert found(book(*CHAIN), *keys) == groups


def test_the_contacts_are_those_that_are_stored() -> None:
    """A group holds contacts, and finding it changes nothing."""
    made = book(*CHAIN)
    before = made.dump()
    for group in made.duplicates():
        for contact in group:
            assert made.get(contact.id) is contact

    assert made.dump() == before


def test_scopes_are_apart() -> None:
    """Nothing is shared across scopes, and one scope can be asked alone."""
    made = book({"email": "a@x"}, {"email": "a@x"})
    for scope in ("s", "s", "t"):
        made.create({"email": "a@x"}, scope=scope)

    assert found(made) == [[1, 2], [3, 4]]
    assert found(made, scope="") == [[1, 2]]
    assert found(made, "email", scope="s") == [[3, 4]]
    assert found(made, scope="t") == []
    assert found(made, scope="nobody's") == []


def test_former_keys_count() -> None:
    """An alias still finds, so whoever holds it now is the same."""
    made = book({"email": "old@x", "phone": "+15550001"})
    made.upsert({"phone": "+15550001", "email": None})
    made.create({"email": "OLD@x"})

    assert made.get("c-1").get("email") is None
    assert found(made) == [[1, 2]]


def test_what_identifies_nobody_is_shared_by_nobody() -> None:
    """Blocked, null and blank are no keys."""
    blank: dict[str, Any] = {"email": "", "phone": None, "first": "Ada", "last": ""}

    assert found(book(*[{"email": "noreply@x"}] * 2, blank, blank)) == []


def test_who_was_merged_deleted_or_put_back() -> None:
    """Groups are of those who are there now, by creation whatever came since."""
    made = book(*[{"email": "a@x"}] * 4)
    outcome = made.merge("c-3", "c-1")
    assert found(made) == [[2, 3, 4]]
    made.delete("c-4")
    made.undo(outcome)
    assert found(made) == [[1, 2, 3]]

    made.delete("c-1")
    made.delete("c-2")
    assert found(made) == []


def test_a_book_without_keys() -> None:
    """Nobody stands there twice where nothing tells them apart."""
    made = book({"a": 1}, {"a": 1}, policy=Policy(never(), {"a": field()}))

    assert made.duplicates() == ()
    with pytest.raises(errors.InvalidField, match="key: 'a' is unknown; name a key"):
        made.duplicates("a")


def test_find_by_a_stored_list_gives_the_holders_of_each_item_once() -> None:
    """A list stands for any of its items; the contacts stand by creation."""
    made = book(
        {"email": ["a@x", "b@x"]},
        {"email": "c@x", "first": "Ada", "last": ["King", "Byron"]},
        {"email": ["b@x", "d@x"]},
    )

    for contact in made:
        assert contact in made.find("email", contact["email"])
    wanted = ["d@x", "b@x", "", "x", "c@x"]
    assert [each.id for each in made.find("email", wanted)] == ["c-1", "c-2", "c-3"]
    assert [each.id for each in made.find("email", ["d@x", "D@x"])] == ["c-3"]
    assert made.find("email", []) == made.find("email", ["n@x"]) == ()
    person = {"first": "ADA", "last": ["Lovelace", "Byron"]}
    assert [each.id for each in made.find("person", person)] == ["c-2"]
    assert made.find("email", ["a@x"], scope="other") == ()


@pytest.mark.parametrize("name", ["first", "", 7, None, ("email",), ["email"]])
def test_no_key(name: Any) -> None:
    """A name that is no key of the policy is refused before anything is read."""
    with pytest.raises(errors.InvalidField, match="key: must be one of email, phone"):
        book().duplicates("email", name)


@pytest.mark.parametrize("scope", [7, b"s", "\ud800"])
def test_no_scope(scope: Any) -> None:
    """A scope is text, or None for all."""
    with pytest.raises(errors.InvalidField, match="scope"):
        book().duplicates(scope=scope)

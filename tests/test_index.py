"""The index: contacts by id and by key, in the order of their creation."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from upsertcore import Contact, ContactIndex
from upsertcore.errors import UnknownContact

NOW = datetime(2024, 1, 2, tzinfo=UTC)


def contact(id: str, scope: str = "", **fields: Any) -> Contact:
    """Make a contact."""
    return Contact(id, scope, fields, 1, NOW, NOW)


def filled() -> ContactIndex:
    """Make an index in which three share a phone and one has a key of its own."""
    index = ContactIndex(["email", "phone"])
    for id in ("a", "b", "c"):
        index.put(contact(id), [[f"{id}@x"], ["+1"]])
    index.put(contact("d", "s"), [["a@x"], []])
    return index


def test_it_finds() -> None:
    """By id, by key, within a scope."""
    index = filled()

    assert len(index) == 4
    assert ["a", "b", "c", "d"] == [each.id for each in index]
    assert index.get("b") == contact("b")
    assert index.forms("d") == (("a@x",), ())
    assert index.holders("email", "a@x") == ("a",)
    assert index.holders("email", "a@x", "s") == ("d",)
    assert index.holders("email", "a@x", "other") == ()
    assert index.holders("phone", "+1") == ("a", "b", "c")
    assert index.holders("phone", "+2") == ()
    assert "a" in index
    assert "x" not in index
    index.check()


def test_a_contact_keeps_its_place() -> None:
    """An update, or a key that comes late, does not change the order of creation."""
    index = filled()
    index.put(contact("a"), [["a@x"], []])
    index.put(contact("c"), [["c@x"], ["+2"]])
    index.put(contact("a", city="Oslo"), [["a2@x", "a3@x"], ["+1", "+2"]])

    assert ["a", "b", "c", "d"] == [each.id for each in index]
    assert index.holders("phone", "+1") == ("a", "b")
    assert index.holders("phone", "+2") == ("a", "c")
    assert index.holders("email", "a@x") == ()
    assert index.holders("email", "a3@x") == ("a",)
    index.check()


@pytest.mark.parametrize("order", ["abc", "bca", "cab"])
def test_what_is_removed_leaves_nothing(order: str) -> None:
    """Whoever goes first, the keys of the others stay and nothing is left over."""
    index = filled()
    for done, id in enumerate(order, 1):
        assert index.remove(id) == contact(id)
        assert id not in index
        assert set(index.holders("phone", "+1")) == set(order[done:])
        index.check()
    index.remove("d")

    assert len(index) == 0
    assert index._holders == {"email": {}, "phone": {}}


@pytest.mark.parametrize("id", ["x", None, []], ids=["text", "null", "list"])
def test_nobody_has_this_id(id: Any) -> None:
    """Whatever the id is, the error is the same."""
    for ask in (filled().get, filled().forms, filled().remove):
        with pytest.raises(UnknownContact):
            ask(id)


@pytest.mark.parametrize(
    ("stored", "forms", "words"),
    [
        (contact("a"), [["a@x"]], "must be 2 lists, not 1"),
        (contact("a", "s"), [[], []], "contact a must stay in its scope"),
    ],
    ids=["forms", "scope"],
)
def test_a_write_that_cannot_be(stored: Contact, forms: Any, words: str) -> None:
    """It is refused, and nothing has changed."""
    index = filled()
    with pytest.raises(ValueError, match=words):
        index.put(stored, forms)

    index.check()
    assert index.forms("a") == (("a@x",), ("+1",))


def test_an_unknown_key_is_a_fault() -> None:
    """A key that the index does not have finds nobody, and says so."""
    with pytest.raises(KeyError):
        filled().holders("city", "Oslo")


def test_the_check_sees_what_is_wrong() -> None:
    """An entry left over, missing or out of order does not pass."""
    faults: tuple[Callable[[ContactIndex], Any], ...] = (
        lambda index: index._holders["email"][""].pop("a@x"),
        lambda index: index._holders["email"][""].update({"z@x": 0}),
        lambda index: index._holders["phone"][""].update({"+1": [2, 1, 0]}),
        lambda index: index._numbers.pop("a"),
    )
    for fault in faults:
        index = filled()
        fault(index)
        with pytest.raises(AssertionError):
            index.check()

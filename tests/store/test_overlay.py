"""The overlay: read as the index would be, and nothing below is written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from upsertcore import Contact
from upsertcore.errors import UnknownContact
from upsertcore.store.contact_index import ContactIndex
from upsertcore.store.overlay import Overlay

NOW = datetime(2024, 1, 2, tzinfo=UTC)


def contact(id: str, version: int = 1, *merged_ids: str, scope: str = "") -> Contact:
    """Make a contact."""
    return Contact(id, scope, {"v": version}, version, NOW, NOW, merged_ids=merged_ids)


def below() -> ContactIndex:
    """Make an index in which a and b share a phone, and c has one of its own."""
    index = ContactIndex(["email", "phone"])
    for id, phone in (("a", "+1"), ("b", "+1"), ("c", "+3")):
        index.put(contact(id), [[f"{id}@x"], [phone]])
    return index


def test_it_reads_what_stands_below() -> None:
    """Where nothing was put, it answers as the index does."""
    index = below()
    laid = Overlay(index)

    assert laid.get("a") is index.get("a")
    assert laid.get_with_forms("b")[1] == (("b@x",), ("+1",))
    assert laid.holders("phone", "+1", "") == ("a", "b")
    assert laid.holders("phone", "+1", "s") == ()
    assert (laid.has_id("c"), laid.has_id("d")) == (True, False)
    assert laid.puts == []
    with pytest.raises(UnknownContact):
        laid.get("d")
    with pytest.raises(KeyError):
        laid.holders("name", "ada", "")


def test_what_is_put_is_read_and_not_written() -> None:
    """A new contact, and another version of one that is known."""
    index = below()
    laid = Overlay(index)
    new, moved = contact("d"), contact("a", 2)
    laid.put(new, (("d@x",), ("+3",)))
    laid.put(moved, (("a2@x",), ("+3",)))

    assert laid.get("d") is new
    assert laid.get("a") is moved
    assert laid.get_with_forms("d")[1] == (("d@x",), ("+3",))
    assert laid.get_with_forms("a")[1] == (("a2@x",), ("+3",))
    assert laid.holders("email", "a@x", "") == ()
    assert laid.holders("email", "a2@x", "") == ("a",)
    assert laid.holders("phone", "+1", "") == ("b",)
    assert laid.puts == [(new, (("d@x",), ("+3",))), (moved, (("a2@x",), ("+3",)))]
    assert laid.has_id("d")
    assert index.get("a") == contact("a")
    assert "d" not in index
    assert index.holders("phone", "+1") == ("a", "b")
    index.check()


def test_holders_stand_by_creation() -> None:
    """Those below first, whenever they were put; new ones as they were put."""
    laid = Overlay(below())
    for id, version in (("z", 1), ("b", 2), ("y", 1), ("a", 2), ("c", 2)):
        laid.put(contact(id, version), ((), ("+1",)))

    assert laid.holders("phone", "+1", "") == ("a", "b", "c", "z", "y")
    assert laid.holders("phone", "+3", "") == ()


def test_scopes_are_apart() -> None:
    """A form of one scope is not held in another."""
    laid = Overlay(below())
    laid.put(contact("d", scope="s"), (("a@x",), ("+1",)))

    assert laid.holders("email", "a@x", "s") == ("d",)
    assert laid.holders("email", "a@x", "") == ("a",)


def test_who_was_absorbed_leads_to_the_survivor() -> None:
    """One from below, and one that was put here, by every id that led to them."""
    index = below()
    index.put(contact("b", 2, "b0"), [["b@x"], ["+1"]])
    laid = Overlay(index)
    laid.put(contact("d"), (("d@x",), ()))
    survivor = contact("a", 2, "b", "b0", "d")
    laid.put(survivor, (("a@x",), ("+1", "+2")))

    for id in ("a", "b", "b0", "d"):
        assert laid.get(id) is survivor
        assert laid.get_with_forms(id)[1] == (("a@x",), ("+1", "+2"))
        assert laid.has_id(id)
    assert laid.holders("phone", "+1", "") == ("a",)
    assert laid.holders("email", "b@x", "") == ()
    assert laid.holders("email", "d@x", "") == ()
    assert index.get("b0").id == "b"


def test_an_id_that_led_to_who_is_put() -> None:
    """It is followed below first, and from there to what was laid over."""
    index = below()
    index.put(contact("b", 2, "b0"), [["b@x"], ["+1"]])
    laid = Overlay(index)
    newer = contact("b", 3, "b0")
    laid.put(newer, (("b3@x",), ()))

    assert laid.get("b0") is newer
    assert laid.get_with_forms("b0")[1] == (("b3@x",), ())


def test_ids_of_contacts_below_are_in_use() -> None:
    """As they are in the index, until one is removed."""
    index = below()
    assert Overlay(index).has_id("c")
    index.remove("c")

    assert not Overlay(index).has_id("c")


READS: Any = {
    "a contact": lambda laid: laid.get("a"),
    "its forms": lambda laid: laid.get_with_forms("a")[1],
    "a key": lambda laid: laid.holders("phone", "+1", ""),
    "a free key": lambda laid: laid.holders("phone", "+9", ""),
}
WRITES: Any = {
    "moved": lambda index: index.put(contact("a", 2), [["a@x"], ["+1"]]),
    "gone": lambda index: index.remove("a"),
    "merged": lambda index: index.put(contact("b", 2, "a"), [["b@x"], ["+1"]]),
    "taken": lambda index: index.put(contact("d"), [[], ["+9", "+1"]]),
    "else": lambda index: index.put(contact("c", 2), [["c@x"], ["+4"]]),
    "equal": lambda index: index.put(contact("a"), [["a@x"], ["+1"]]),
}


@pytest.mark.parametrize(
    ("read", "write", "reason"),
    [
        ("a contact", "moved", "contact a is at version 2, not 1"),
        ("its forms", "moved", "contact a is at version 2, not 1"),
        ("a contact", "gone", "contact a is gone"),
        ("a contact", "merged", "contact a was merged into b"),
        ("a contact", "taken", None),
        ("a contact", "equal", None),
        ("a key", "moved", None),
        ("a key", "gone", "the contacts that hold its phone have changed"),
        ("a key", "merged", "the contacts that hold its phone have changed"),
        ("a key", "taken", "the contacts that hold its phone have changed"),
        ("a free key", "taken", "the contacts that hold its phone have changed"),
        ("a free key", "gone", None),
        ("a key", "else", None),
    ],
)
def test_it_says_whether_what_was_read_still_holds(
    read: str, write: str, reason: str | None
) -> None:
    """What was not read does not matter."""
    index = below()
    laid = Overlay(index)
    READS[read](laid)
    assert laid.stale_reason(index) is None
    WRITES[write](index)

    assert laid.stale_reason(index) == reason


def test_what_it_put_itself_is_never_stale() -> None:
    """Only what was read from below rests on what stands below."""
    index = below()
    laid = Overlay(index)
    laid.put(contact("d"), (("d@x",), ()))
    laid.get("d")
    index.remove("a")

    assert laid.stale_reason(index) is None


def test_a_form_is_asked_for_below_once() -> None:
    """What was read first counts, until it is said to be stale."""
    index = below()
    laid = Overlay(index)
    laid.holders("phone", "+3", "")
    index.remove("c")

    assert laid.holders("phone", "+3", "") == ("c",)
    assert laid.stale_reason(index) is not None


def test_what_was_read_below_is_read_once() -> None:
    """A decision never rests on two states, of which only the later one is seen."""
    index = below()
    laid = Overlay(index)
    first = laid.get_with_forms("a")
    index.put(contact("a", 2), (("a2@x",), ("+1",)))

    assert first == (contact("a"), (("a@x",), ("+1",)))
    assert first == laid.get_with_forms("a")
    assert laid.get("a") is first[0]
    assert laid.stale_reason(index) == "contact a is at version 2, not 1"


def test_who_is_absorbed_while_places_are_looked_at_is_told() -> None:
    """What came and went in between was seen half, though it is as it was again."""
    index = below()
    laid = Overlay(index)
    laid.holders("phone", "+1", "")
    laid.put(contact("c", 2), ((), ("+1",)))
    (before, forms), back = index.get_with_forms("a"), index.get_with_forms("b")
    index.put(contact("a", 2, "b"), (("a@x", "b@x"), ("+1",)))
    laid.holders("phone", "+1", "")
    index.split(before, forms, [back])

    assert (
        laid.stale_reason(index)
        == "contact b has changed its place in the order of creation"
    )

"""The overlay: it reads as the index would, and never writes to it."""

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


def make_index() -> ContactIndex:
    """Make an index in which a and b share a phone, and c has its own."""
    index = ContactIndex(["email", "phone"])
    for id, phone in (("a", "+1"), ("b", "+1"), ("c", "+3")):
        index.put(contact(id), [[f"{id}@x"], [phone]])
    return index


def test_empty_overlay_reads_from_the_index() -> None:
    index = make_index()
    overlay = Overlay(index)

    assert overlay.get("a") is index.get("a")
    assert overlay.get_with_forms("b")[1] == (("b@x",), ("+1",))
    assert overlay.holders("phone", "+1", "") == ("a", "b")
    assert overlay.holders("phone", "+1", "s") == ()
    assert (overlay.has_id("c"), overlay.has_id("d")) == (True, False)
    assert overlay.puts == []
    with pytest.raises(UnknownContact):
        overlay.get("d")
    with pytest.raises(KeyError):
        overlay.holders("name", "ada", "")


def test_put_contact_is_read_and_not_written() -> None:
    """A new contact, and a new version of a stored one."""
    index = make_index()
    overlay = Overlay(index)
    created_contact, updated_contact = contact("d"), contact("a", 2)
    overlay.put(created_contact, (("d@x",), ("+3",)))
    overlay.put(updated_contact, (("a2@x",), ("+3",)))

    assert overlay.get("d") is created_contact
    assert overlay.get("a") is updated_contact
    assert overlay.get_with_forms("d")[1] == (("d@x",), ("+3",))
    assert overlay.get_with_forms("a")[1] == (("a2@x",), ("+3",))
    assert overlay.holders("email", "a@x", "") == ()
    assert overlay.holders("email", "a2@x", "") == ("a",)
    assert overlay.holders("phone", "+1", "") == ("b",)
    assert overlay.puts == [
        (created_contact, (("d@x",), ("+3",))),
        (updated_contact, (("a2@x",), ("+3",))),
    ]
    assert overlay.has_id("d")
    assert index.get("a") == contact("a")
    assert not index.has_id("d")
    assert index.holders("phone", "+1") == ("a", "b")
    index.check()


def test_holders_are_in_order_of_creation() -> None:
    """Stored contacts first, then new ones in the order of their puts."""
    overlay = Overlay(make_index())
    for id, version in (("z", 1), ("b", 2), ("y", 1), ("a", 2), ("c", 2)):
        overlay.put(contact(id, version), ((), ("+1",)))

    assert overlay.holders("phone", "+1", "") == ("a", "b", "c", "z", "y")
    assert overlay.holders("phone", "+3", "") == ()


def test_form_of_another_scope_is_not_held() -> None:
    overlay = Overlay(make_index())
    overlay.put(contact("d", scope="s"), (("a@x",), ("+1",)))

    assert overlay.holders("email", "a@x", "s") == ("d",)
    assert overlay.holders("email", "a@x", "") == ("a",)


def test_ids_of_absorbed_contacts_lead_to_the_survivor() -> None:
    """A stored contact and one of the overlay, with their merged ids."""
    index = make_index()
    index.put(contact("b", 2, "b0"), [["b@x"], ["+1"]])
    overlay = Overlay(index)
    overlay.put(contact("d"), (("d@x",), ()))
    survivor = contact("a", 2, "b", "b0", "d")
    overlay.put(survivor, (("a@x",), ("+1", "+2")))

    for id in ("a", "b", "b0", "d"):
        assert overlay.get(id) is survivor
        assert overlay.get_with_forms(id)[1] == (("a@x",), ("+1", "+2"))
        assert overlay.has_id(id)
    assert overlay.holders("phone", "+1", "") == ("a",)
    assert overlay.holders("email", "b@x", "") == ()
    assert overlay.holders("email", "d@x", "") == ()
    assert index.get("b0").id == "b"


def test_merged_id_of_the_index_leads_to_the_put_version() -> None:
    index = make_index()
    index.put(contact("b", 2, "b0"), [["b@x"], ["+1"]])
    overlay = Overlay(index)
    updated_contact = contact("b", 3, "b0")
    overlay.put(updated_contact, (("b3@x",), ()))

    assert overlay.get("b0") is updated_contact
    assert overlay.get_with_forms("b0")[1] == (("b3@x",), ())


def test_ids_of_the_index_are_in_use() -> None:
    """Until their contact is removed."""
    index = make_index()
    assert Overlay(index).has_id("c")
    index.remove("c")

    assert not Overlay(index).has_id("c")


READS: Any = {
    "a contact": lambda overlay: overlay.get("a"),
    "its forms": lambda overlay: overlay.get_with_forms("a")[1],
    "a key": lambda overlay: overlay.holders("phone", "+1", ""),
    "a free key": lambda overlay: overlay.holders("phone", "+9", ""),
}
WRITES: Any = {
    "updated": lambda index: index.put(contact("a", 2), [["a@x"], ["+1"]]),
    "removed": lambda index: index.remove("a"),
    "merged": lambda index: index.put(contact("b", 2, "a"), [["b@x"], ["+1"]]),
    "key added": lambda index: index.put(contact("d"), [[], ["+9", "+1"]]),
    "unrelated": lambda index: index.put(contact("c", 2), [["c@x"], ["+4"]]),
    "equal": lambda index: index.put(contact("a"), [["a@x"], ["+1"]]),
}


@pytest.mark.parametrize(
    ("read", "write", "reason"),
    [
        ("a contact", "updated", "contact a is at version 2, not 1"),
        ("its forms", "updated", "contact a is at version 2, not 1"),
        ("a contact", "removed", "contact a is gone"),
        ("a contact", "merged", "contact a was merged into b"),
        ("a contact", "key added", None),
        ("a contact", "equal", None),
        ("a key", "updated", None),
        ("a key", "removed", "the contacts that hold its phone have changed"),
        ("a key", "merged", "the contacts that hold its phone have changed"),
        ("a key", "key added", "the contacts that hold its phone have changed"),
        ("a free key", "key added", "the contacts that hold its phone have changed"),
        ("a free key", "removed", None),
        ("a key", "unrelated", None),
    ],
)
def test_stale_reason_depends_on_what_was_read(
    read: str, write: str, reason: str | None
) -> None:
    index = make_index()
    overlay = Overlay(index)
    READS[read](overlay)
    assert overlay.stale_reason(index) is None
    WRITES[write](index)

    assert overlay.stale_reason(index) == reason


def test_put_contact_is_never_stale() -> None:
    index = make_index()
    overlay = Overlay(index)
    overlay.put(contact("d"), (("d@x",), ()))
    overlay.get("d")
    index.remove("a")

    assert overlay.stale_reason(index) is None


def test_holders_are_read_from_the_index_once() -> None:
    index = make_index()
    overlay = Overlay(index)
    overlay.holders("phone", "+3", "")
    index.remove("c")

    assert overlay.holders("phone", "+3", "") == ("c",)
    assert overlay.stale_reason(index) is not None


def test_contact_is_read_from_the_index_once() -> None:
    """So a decision rests on one state."""
    index = make_index()
    overlay = Overlay(index)
    first = overlay.get_with_forms("a")
    index.put(contact("a", 2), (("a2@x",), ("+1",)))

    assert first == (contact("a"), (("a@x",), ("+1",)))
    assert first == overlay.get_with_forms("a")
    assert overlay.get("a") is first[0]
    assert overlay.stale_reason(index) == "contact a is at version 2, not 1"


def test_place_read_during_a_merge_and_its_undo_is_stale() -> None:
    """The index is as before, but some places were read in between."""
    index = make_index()
    overlay = Overlay(index)
    overlay.holders("phone", "+1", "")
    overlay.put(contact("c", 2), ((), ("+1",)))
    (before, forms), restored_contact = (
        index.get_with_forms("a"),
        index.get_with_forms("b"),
    )
    index.put(contact("a", 2, "b"), (("a@x", "b@x"), ("+1",)))
    overlay.holders("phone", "+1", "")
    index.split(before, forms, [restored_contact])

    assert (
        overlay.stale_reason(index)
        == "contact b has changed its place in the order of creation"
    )

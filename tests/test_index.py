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


def survivor(id: str, *absorbed: str, scope: str = "") -> Contact:
    """Make a contact that has absorbed others."""
    return Contact(id, scope, {}, 2, NOW, NOW, absorbed=absorbed)


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


class TestAbsorbed:
    """A contact that was absorbed is gone, and its id leads to the survivor."""

    def merged(self) -> ContactIndex:
        """Make an index in which b has absorbed a, and then c."""
        index = filled()
        index.put(survivor("b", "a"), [["b@x", "a@x"], ["+1"]])
        index.put(survivor("b", "a", "c"), [["b@x", "a@x", "c@x"], ["+1"]])
        return index

    def test_its_id_leads_to_the_survivor(self) -> None:
        """It is in the index, is no contact of it, and holds no key any more."""
        index = self.merged()
        b = survivor("b", "a", "c")

        assert [b, b, b] == [index.get(id) for id in "abc"]
        assert index.forms("a") == index.forms("b")
        assert all(id in index for id in "abc")
        assert (["b", "d"], 2) == ([each.id for each in index], len(index))
        assert index.holders("email", "a@x") == ("b",)
        assert index.holders("phone", "+1") == ("b",)
        index.check()

    def test_the_survivor_keeps_its_place(self) -> None:
        """A contact that absorbs an older one stays as young as it is."""
        index = filled()
        index.put(survivor("c", "a"), [["c@x"], ["+1"]])

        assert ["b", "c", "d"] == [each.id for each in index]
        assert index.holders("phone", "+1") == ("b", "c")
        index.check()

    def test_a_survivor_may_be_absorbed(self) -> None:
        """All ids lead to the last one."""
        index = self.merged()
        index.put(contact("e"), [[], []])
        index.put(survivor("e", "b", "a", "c"), [["b@x"], []])

        assert {"e"} == {index.get(id).id for id in "abce"}
        assert index.holders("email", "a@x") == ()
        index.check()

    def test_ids_that_are_not_handed_on_lead_nowhere(self) -> None:
        """A survivor that is absorbed without them takes them along."""
        index = self.merged()
        index.put(survivor("e", "b", "c"), [["e@x"], []])

        assert [False, True, True] == [id in index for id in "abc"]
        with pytest.raises(UnknownContact):
            index.get("a")
        index.check()

    def test_a_new_contact_may_have_absorbed_somebody(self) -> None:
        """A row from outside brings the ids that lead to it."""
        index = filled()
        index.put(survivor("e", "x", "y"), [["e@x"], []])

        assert (index.get("x").id, index.get("y").id) == ("e", "e")
        index.check()

    def test_only_the_survivor_can_be_removed(self) -> None:
        """Under its own id; then the ids that led to it are free."""
        index = self.merged()
        with pytest.raises(UnknownContact) as caught:
            index.remove("a")
        assert caught.value.id == "a"
        assert index.remove("b") == survivor("b", "a", "c")

        assert [False] * 3 == [id in index for id in "abc"]
        assert index._holders == {"email": {"s": {"a@x": 3}}, "phone": {}}
        index.check()

    def test_what_is_no_longer_absorbed_leads_nowhere(self) -> None:
        """A contact may take the place of its twin that has absorbed more."""
        index = self.merged()
        index.put(survivor("b", "c"), [["b@x"], []])
        assert ("a" in index, index.get("c").id) == (False, "b")
        index.check()
        index.put(contact("b"), [["b@x"], []])
        index.remove("b")
        with pytest.raises(UnknownContact):
            index.get("c")

        index.check()

    @pytest.mark.parametrize(
        ("stored", "words"),
        [
            (survivor("e", "c"), "id: e must not lead away from b"),
            (contact("a"), "id: a must not lead away from b"),
            (survivor("b", "a", "c", "d"), "contact d must stay in its scope"),
            (survivor("b", "a", "c", "b"), "contact b must not absorb itself"),
            (survivor("e", "e"), "contact e must not absorb itself"),
        ],
        ids=["another's", "taken", "scope", "itself", "itself, new"],
    )
    def test_a_merge_that_cannot_be(self, stored: Contact, words: str) -> None:
        """It is refused, and nothing has changed."""
        index = self.merged()
        with pytest.raises(ValueError, match=words):
            index.put(stored, [[], []])

        assert index.get("a") == survivor("b", "a", "c")
        assert index.forms("b") == (("b@x", "a@x", "c@x"), ("+1",))
        assert len(index) == 2
        index.check()

    def test_the_check_sees_an_id_that_leads_astray(self) -> None:
        """One left over, one that is missing, and one that two contacts claim."""
        faults: tuple[Callable[[ContactIndex], Any], ...] = (
            lambda index: index._numbers.pop("a"),
            lambda index: index._numbers.update({"z": 1}),
            lambda index: index._numbers.update({"a": 3}),
            lambda index: index._rows.update({3: (survivor("d", "a"), ((), ()))}),
        )
        for fault in faults:
            index = self.merged()
            fault(index)
            with pytest.raises(AssertionError):
                index.check()


class Kept(dict[str, int]):
    """Numbers of which none may go, not even for a moment."""

    def __delitem__(self, id: str) -> None:
        raise AssertionError(id)


class TestReaders:
    """Readers need no lock: what stays is there all the time."""

    def test_beside_an_update(self) -> None:
        """The ids of a contact lead to it while it is replaced."""
        index = filled()
        index.put(survivor("b", "a"), [["b@x"], []])
        index._numbers = Kept(index._numbers)
        index.put(survivor("b", "a", "x"), [["b@x"], ["+1"]])
        index.put(contact("c"), [["c@x"], ["+2"]])

        assert index.get("a").id == "b"
        index.check()

    def test_beside_a_removal(self) -> None:
        """A number whose row has just gone is passed over, or leads to nobody."""
        index = filled()
        del index._rows[1]

        assert index.holders("phone", "+1") == ("a", "c")
        for ask in (index.get, index.forms):
            with pytest.raises(UnknownContact):
                ask("b")

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
        (contact("a"), [["a@x"], [], []], "must be 2 lists, not 3"),
        (contact("a", "s"), [[], []], "contact a must stay in its scope"),
    ],
    ids=["one list", "three lists", "scope"],
)
def test_a_write_that_cannot_be(stored: Contact, forms: Any, words: str) -> None:
    """It is refused, and nothing has changed."""
    index = filled()
    with pytest.raises(ValueError, match=words):
        index.put(stored, forms)

    index.check()
    assert index.forms("a") == (("a@x",), ("+1",))


def test_a_scope_is_what_it_says() -> None:
    """The same text, made twice, is one scope."""
    index = ContactIndex(["email"])
    one, again = ("-".join("st") for _ in range(2))
    index.put(contact("a", one), [["a@x"]])
    index.put(contact("a", again), [["b@x"]])

    assert one is not again
    assert index.holders("email", "b@x", "s-t") == ("a",)
    index.check()


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
        with pytest.raises(AssertionError, match=r"^expected .*, found .*, ids "):
            index.check()


def test_a_row_without_its_lists_is_seen() -> None:
    """A contact has as many lists as there are keys: reading and writing rely on it."""
    index = filled()
    index._rows[3] = contact("d", "s"), (("a@x",),)

    with pytest.raises(ValueError, match="shorter"):
        index.check()
    with pytest.raises(ValueError, match="shorter"):
        index.put(contact("d", "s"), [["a@x"], ["+1"]])


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

    def test_the_check_sees_an_id_of_two_contacts(self) -> None:
        """Even where it leads to one of them, and all else is whole."""
        index = self.merged()
        index._rows[3] = survivor("d", "a", scope="s"), (("a@x",), ())
        index._numbers["a"] = 3
        with pytest.raises(AssertionError):
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


class TestSplit:
    """What was absorbed is given back, each in its old place."""

    def merged(self) -> ContactIndex:
        """Make an index in which c has absorbed a and b."""
        index = filled()
        index.put(survivor("c", "a", "b"), [["c@x", "a@x"], ["+1"]])
        index.check()
        return index

    def back(self, *ids: str) -> list[Any]:
        """Give contacts with the forms that they held."""
        return [(contact(id), ((f"{id}@x",), ("+1",))) for id in ids]

    @pytest.mark.parametrize("ids", ["ab", "ba"])
    def test_all_is_as_it_was(self, ids: str) -> None:
        """Order of creation, holders and ids, in whatever order they are given."""
        index, before = self.merged(), filled()
        index.split(contact("c"), (("c@x",), ("+1",)), self.back(*ids))
        index.check()

        assert list(index) == list(before)
        assert [index.get(id).id for id in "abcd"] == [*"abcd"]
        assert index.holders("phone", "+1") == ("a", "b", "c")
        assert index.holders("email", "a@x") == ("a",)
        index.put(contact("e"), [["e@x"], ["+1"]])
        assert index.holders("phone", "+1") == ("a", "b", "c", "e")
        assert ["a", "b", "c", "d", "e"] == [each.id for each in index]

    def test_one_of_them(self) -> None:
        """The other stays where it is."""
        index = self.merged()
        held = (("c@x", "a@x"), ("+1",))
        index.split(survivor("c", "a"), held, self.back("b"))
        index.check()

        assert [index.get(id).id for id in "abc"] == ["c", "b", "c"]
        assert ["b", "c", "d"] == [each.id for each in index]

    def test_what_it_had_absorbed_goes_with_it(self) -> None:
        """And can be given back in turn."""
        index = filled()
        index.put(survivor("b", "a"), [["b@x"], ["+1"]])
        index.put(survivor("c", "b", "a"), [["c@x"], ["+1"]])
        again = [(survivor("b", "a"), (("b@x",), ("+1",)))]
        index.split(contact("c"), (("c@x",), ("+1",)), again)
        index.check()
        assert [index.get(id).id for id in "abc"] == ["b", "b", "c"]

        index.split(contact("b"), (("b@x",), ("+1",)), self.back("a"))
        index.check()
        assert list(index) == list(filled())

    def test_it_can_be_absorbed_again(self) -> None:
        """Its place is kept a second time."""
        index = self.merged()
        for _ in range(2):
            index.split(contact("c"), (("c@x",), ("+1",)), self.back("a", "b"))
            index.put(survivor("c", "a", "b"), [["c@x", "a@x"], ["+1"]])
            index.check()

        assert list(index) == list(self.merged())

    @pytest.mark.parametrize("held", [(("c@x",),), (("c@x",), (), ())], ids=len)
    def test_other_lists_than_keys(self, held: Any) -> None:
        """Of the one, or of whoever comes back: refused, and nothing changes."""
        index = self.merged()
        before = list(index)
        fits = ("c@x",), ("+1",)
        for forms, back in ((held, self.back("a")), (fits, [(contact("a"), held)])):
            with pytest.raises(ValueError, match="forms: must be 2 lists"):
                index.split(contact("c"), forms, back)

        assert list(index) == before
        index.check()

    @pytest.mark.parametrize("ids", ["d", "x", "ad", "c", "aa"])
    def test_who_was_not_absorbed_here(self, ids: str) -> None:
        """Somebody else, or nobody, cannot be given back; nothing changes then."""
        index = self.merged()
        before = list(index)
        with pytest.raises(ValueError, match="was not absorbed here"):
            index.split(contact("c"), (("c@x",), ("+1",)), self.back(*ids))

        assert list(index) == before
        index.check()

    @pytest.mark.parametrize(("id", "other"), [("b", "c"), ("e", "a")])
    def test_who_was_absorbed_elsewhere(self, id: str, other: str) -> None:
        """An older survivor, or a younger one, has that place to give back."""
        index = filled()
        index.put(contact("e"), [["e@x"], []])
        index.put(survivor("b", "a"), [["b@x"], []])
        index.put(survivor("e", "c"), [["e@x"], []])
        with pytest.raises(ValueError, match=f"{other} was not absorbed here"):
            index.split(contact(id), ((f"{id}@x",), ()), self.back(other))

        index.check()

    def test_a_contact_that_was_loaded_with_their_ids(self) -> None:
        """They never stood here, so there is no place to give back."""
        index = ContactIndex(["email", "phone"])
        index.put(survivor("c", "a"), [["c@x"], []])
        with pytest.raises(ValueError, match="back: contact a was not absorbed here"):
            index.split(contact("c"), (("c@x",), ()), self.back("a"))

        index.check()

    def test_a_survivor_that_was_removed_gives_nobody_back(self) -> None:
        """The places of those whom it had absorbed are gone with it."""
        index = self.merged()
        index.remove("c")
        index.put(survivor("e", "a"), [["e@x"], []])
        with pytest.raises(ValueError, match="back: contact a was not absorbed here"):
            index.split(contact("e"), (("e@x",), ()), self.back("a"))

        index.check()

    def test_places(self) -> None:
        """By creation; of ids that lead to a contact, that of the contact."""
        index = self.merged()

        assert [index.place(id) for id in "abcdx"] == [2, 2, 2, 3, None]

    def test_spent_ids(self) -> None:
        """In use, absorbed, or taken out; not those that were never given."""
        index = self.merged()
        assert [index.is_spent(id) for id in "abcdx"] == [True] * 4 + [False]
        index.remove("c")

        assert [index.is_spent(id) for id in "abcdx"] == [True] * 4 + [False]
        assert [id in index for id in "abcdx"] == [False] * 3 + [True, False]


class TestShared:
    """Forms that several hold, by the numbers of those who do."""

    def shared(self, index: ContactIndex, *place: Any) -> list[list[str]]:
        """Give the ids of those who share a form."""
        found = index.shared(*place)
        return sorted([index.numbered(n).id for n in each] for each in found)

    def test_who_shares_something(self) -> None:
        """Of one key, in one scope or in all, never across them."""
        index = filled()
        for id in ("e", "f"):
            index.put(contact(id, "s"), [["a@x"], []])

        assert self.shared(index, "phone") == [["a", "b", "c"]]
        assert self.shared(index, "email") == [["d", "e", "f"]]
        assert self.shared(index, "email", "s") == [["d", "e", "f"]]
        assert self.shared(index, "email", "") == []
        assert self.shared(index, "email", "other") == []

    def test_who_shares_nothing_any_more(self) -> None:
        """One holder that is left is no group."""
        index = filled()
        index.remove("a")
        assert self.shared(index, "phone") == [["b", "c"]]
        index.put(contact("b"), [["b@x"], []])

        assert self.shared(index, "phone") == []

    def test_an_unknown_key(self) -> None:
        """A policy would know; the index does not make one up."""
        with pytest.raises(KeyError):
            self.shared(filled(), "name")


class Counted(str):
    """An id that counts how often it is compared."""

    __slots__ = ()
    calls: list[None] = []  # noqa: RUF012

    def __hash__(self) -> int:
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        self.calls.append(None)
        return super().__eq__(other)


def test_a_merge_compares_ids_a_few_times_each() -> None:
    """Twice as many that are absorbed: twice as many comparisons, not four times."""
    counts = []
    for size in (100, 200, 400):
        index = ContactIndex(["email"])
        ids = [Counted(number) for number in range(size)]
        for id in ids:
            index.put(contact(id), [["a@x"]])
        Counted.calls.clear()
        index.put(survivor(ids[0], *map(Counted, ids[1:])), [["a@x"]])
        counts.append(len(Counted.calls))
        index.check()

    one, two, four = counts
    assert two <= 2.2 * one
    assert four <= 2.2 * two

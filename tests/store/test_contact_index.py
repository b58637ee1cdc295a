"""The index: contacts by id and by key, in the order of their creation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from upsertcore import Contact
from upsertcore.errors import UnknownContact
from upsertcore.model.packed_row import MAX_NAMES, NAMES, Row, row_of
from upsertcore.store.contact_index import ContactIndex

NOW = datetime(2024, 1, 2, tzinfo=UTC)
B = ("b@x", "a@x", "c@x"), ("+1",)


def contact(id: str, scope: str = "", **fields: Any) -> Contact:
    """Make a contact."""
    return Contact(id, scope, fields, 1, NOW, NOW)


def survivor(id: str, *merged_ids: str, scope: str = "") -> Contact:
    """Make a contact that has absorbed others."""
    return Contact(id, scope, {}, 2, NOW, NOW, merged_ids=merged_ids)


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
    assert index.get_with_forms("d")[1] == (("a@x",), ())
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
    for ask in (filled().get, filled().get_with_forms, filled().remove):
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
    assert index.get_with_forms("a")[1] == (("a@x",), ("+1",))


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
        lambda index: index._holders["email"][""].update({"z@x": "a"}),
        lambda index: index._holders["phone"][""].update({"+1": ["c", "b", "a"]}),
        lambda index: index.rows.pop("a"),
        lambda index: index.redirects.update({"z": "a"}),
        lambda index: index.rows.update({"z": index.rows.pop("a")}),
    )
    for fault in faults:
        index = filled()
        fault(index)
        with pytest.raises(AssertionError, match=r"^expected .*, found .*, ids "):
            index.check()


def test_a_row_without_its_lists_is_seen() -> None:
    """A contact has as many lists as there are keys: reading and writing rely on it."""
    index = filled()
    index.rows["d"] = row_of(contact("d", "s"), (), 3, (("a@x",),))

    with pytest.raises(ValueError, match="shorter"):
        index.check()
    with pytest.raises(IndexError):
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
        assert index.get_with_forms("a")[1] == index.get_with_forms("b")[1]
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
        assert index._holders == {"email": {"s": {"a@x": "d"}}, "phone": {}}
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
            (survivor("e", "c"), "id: e already resolves to contact b"),
            (contact("a"), "id: a already resolves to contact b"),
            (survivor("b", "a", "c", "d"), "contact d must stay in its scope"),
            (survivor("b", "a", "c", "b"), "must not contain b"),
            (survivor("e", "e"), "must not contain e"),
        ],
        ids=["another's", "taken", "scope", "itself", "itself, new"],
    )
    def test_a_merge_that_cannot_be(self, stored: Contact, words: str) -> None:
        """It is refused, and nothing has changed."""
        index = self.merged()
        with pytest.raises(ValueError, match=words):
            index.put(stored, [[], []])

        assert index.get("a") == survivor("b", "a", "c")
        assert index.get_with_forms("b")[1] == (("b@x", "a@x", "c@x"), ("+1",))
        assert len(index) == 2
        index.check()

    def claiming(self) -> Row:
        """Make a row of d, which claims to have absorbed a too."""
        return row_of(survivor("d", "a", scope="s"), (), 3, (("a@x",), ()))

    def test_the_check_sees_an_id_of_two_contacts(self) -> None:
        """Even where it leads to one of them, and all else is whole."""
        index = self.merged()
        index.rows["d"] = self.claiming()
        index.redirects["a"] = "d"
        with pytest.raises(AssertionError):
            index.check()

    def test_the_check_sees_an_id_that_leads_astray(self) -> None:
        """One left over, one that is missing, and one that two contacts claim."""
        faults: tuple[Callable[[ContactIndex], Any], ...] = (
            lambda index: index.redirects.pop("a"),
            lambda index: index.redirects.update({"z": "b"}),
            lambda index: index.redirects.update({"a": "d"}),
            lambda index: index.rows.update({"d": self.claiming()}),
            lambda index: index.rows.update({"b": row_of(contact("b"), (), 1, B)}),
        )
        for fault in faults:
            index = self.merged()
            fault(index)
            with pytest.raises(AssertionError):
                index.check()


class Kept(dict[str, Any]):
    """Rows, or leads, of which none may go, not even for a moment."""

    def __delitem__(self, id: str) -> None:
        raise AssertionError(id)

    def pop(self, id: str, *default: Any) -> Any:
        """Give the default, for it is not there."""
        assert id not in self
        return super().pop(id, *default)


class Seen(dict[str, Any]):
    """Rows, or leads, at which a reader looks after each change."""

    def __init__(self, rows: Mapping[str, Any], look: Callable[[], None]) -> None:
        super().__init__(rows)
        self.look = look

    def __setitem__(self, id: str, row: Any) -> None:
        super().__setitem__(id, row)
        self.look()

    def __delitem__(self, id: str) -> None:
        super().__delitem__(id)
        self.look()

    def pop(self, id: str, *default: Any) -> Any:
        """Look."""
        popped = super().pop(id, *default)
        self.look()
        return popped


class TestReaders:
    """Readers need no lock: what stays is there all the time."""

    def read(self, index: ContactIndex, ids: str) -> list[None]:
        """Let a reader look at each change for ids and holders; give the looks."""
        looks: list[None] = []

        def look() -> None:
            looks.append(None)
            for id in (*ids, *index.holders("phone", "+1")):
                assert id in index
                assert index.get(id).id in ids
                index.get_with_forms(id)[1]

        index.rows = Seen(index.rows, look)
        index.redirects = Seen(index.redirects, look)
        return looks

    def test_beside_an_update(self) -> None:
        """The ids of a contact lead to it while it is replaced."""
        index = filled()
        index.put(survivor("b", "a"), [["b@x"], []])
        index.rows, index.redirects = Kept(index.rows), Kept(index.redirects)
        index.put(survivor("b", "a", "x"), [["b@x"], ["+1"]])
        index.put(contact("c"), [["c@x"], ["+2"]])

        assert index.get("a").id == "b"
        index.check()

    def test_beside_a_merge(self) -> None:
        """An id leads to its contact, or to the one that has absorbed it."""
        index = filled()
        index.put(contact("e"), [[], []])
        looks = self.read(index, "abce")
        index.put(survivor("b", "a"), [["b@x", "a@x"], ["+1"]])
        index.put(survivor("c", "b", "a"), [["c@x"], ["+1"]])
        index.put(survivor("a", "c", "b"), [["a@x"], ["+1"]])
        index.put(survivor("e", "a", "c", "b"), [["a@x"], ["+1"]])

        assert [*"eeee"] == [index.get(id).id for id in "abce"]
        assert len(looks) > 8
        index.check()

    def test_beside_what_is_given_back(self) -> None:
        """An id leads to the one that had absorbed it until its contact is there."""
        index = filled()
        index.put(survivor("b", "a"), [["b@x"], ["+1"]])
        index.put(survivor("c", "b", "a"), [["c@x"], ["+1"]])
        looks = self.read(index, "abc")
        again = [(survivor("b", "a"), (("b@x",), ("+1",)))]
        index.split(contact("c"), (("c@x",), ("+1",)), again)
        index.split(contact("b"), (("b@x",), ("+1",)), [(contact("a"), ((), ()))])

        assert [*"abc"] == [index.get(id).id for id in "abc"]
        assert len(looks) > 4
        index.check()

    def test_beside_a_removal(self) -> None:
        """Who is found by a key is there: its keys go before it does."""
        index = filled()
        looks = self.read(index, "acd")
        index.remove("b")

        assert len(looks) == 1
        index.check()

    def test_an_id_whose_row_has_just_gone(self) -> None:
        """It leads to nobody."""
        index = filled()
        del index.rows["b"]

        for ask in (index.get, index.get_with_forms):
            with pytest.raises(UnknownContact):
                ask("b")


class Slow(dict[str, Any]):
    """Rows in which one id is looked for slowly: something happens meanwhile."""

    meanwhile: Callable[[], Any] | None = None

    def get(self, id: Any, default: Any = None) -> Any:
        """Look, and let happen what is to happen."""
        return self._after(super().get(id, default))

    def __contains__(self, id: object) -> bool:
        return bool(self._after(super().__contains__(id)))

    def _after(self, found: Any) -> Any:
        happen, self.meanwhile = self.meanwhile, None
        if happen is not None:
            happen()
        return found


@pytest.mark.parametrize("ask", ["get", "get_with_forms", "__contains__", "find_place"])
def test_who_comes_back_while_looked_for_is_found(ask: str) -> None:
    """Its id leads to a contact all the time, first to another and then to itself."""
    index = filled()
    index.put(survivor("b", "a"), [["b@x", "a@x"], ["+1"]])
    rows = index.rows = Slow(index.rows)
    back = [(contact("a"), (("a@x",), ("+1",)))]
    rows.meanwhile = lambda: index.split(contact("b"), (("b@x",), ("+1",)), back)

    answer = getattr(index, ask)("a")
    assert answer == getattr(index, ask)("a")
    assert rows.meanwhile is None


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
        with pytest.raises(ValueError, match="was not merged here"):
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
        with pytest.raises(ValueError, match=f"{other} was not merged here"):
            index.split(contact(id), ((f"{id}@x",), ()), self.back(other))

        index.check()

    def test_a_contact_that_was_loaded_with_their_ids(self) -> None:
        """They never stood here, so there is no place to give back."""
        index = ContactIndex(["email", "phone"])
        index.put(survivor("c", "a"), [["c@x"], []])
        with pytest.raises(ValueError, match="back: contact a was not merged here"):
            index.split(contact("c"), (("c@x",), ()), self.back("a"))

        index.check()

    def test_a_survivor_that_was_removed_gives_nobody_back(self) -> None:
        """The places of those whom it had absorbed are gone with it."""
        index = self.merged()
        index.remove("c")
        index.put(survivor("e", "a"), [["e@x"], []])
        with pytest.raises(ValueError, match="back: contact a was not merged here"):
            index.split(contact("e"), (("e@x",), ()), self.back("a"))

        index.check()

    def test_places(self) -> None:
        """By creation; of ids that lead to a contact, that of the contact."""
        index = self.merged()

        assert [index.find_place(id) for id in "abcdx"] == [2, 2, 2, 3, None]

    def test_ids_in_use(self) -> None:
        """Those of contacts and of absorbed ones, until their contact is removed."""
        index = self.merged()
        assert [id in index for id in "abcdx"] == [True] * 4 + [False]
        index.remove("c")

        assert [id in index for id in "abcdx"] == [False] * 3 + [True, False]


class TestShared:
    """Forms that several hold, by the ids of those who do."""

    def shared(self, index: ContactIndex, *place: Any) -> list[list[str]]:
        """Give the ids of those who share a form."""
        return sorted(map(list, index.shared_forms(*place)))

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


def test_rows_share_their_names() -> None:
    """Those with the same names in the same order; beyond so many, each has its own."""
    index = ContactIndex()
    index.put(contact("a", city="Oslo", name="Ada"), [])
    index.put(contact("b", city="Bonn", name="Bob"), [])
    index.put(contact("c", name="Cy", city="Kyoto"), [])
    for number in range(MAX_NAMES):
        index.names.share([f"{number}"])
    for id in ("d", "e"):
        index.put(contact(id, free="x"), [])
    index.put(contact("a", name="Ada", city="Rome"), [])
    a, b, c, d, e = (index.rows[id][NAMES] for id in "abcde")

    assert (("name", "city"), ("city", "name")) == (a, b)
    assert a is c
    assert d == e == ("free",)
    assert d is not e
    assert [True, True, False] == [index.names.has(each) for each in (a, b, d)]
    assert contact("e", free="x") == index.get("e")
    index.check()


class TestRows:
    """The fast path makes rows itself, and the index stores them."""

    def row(self, id: str, place: int, *forms: tuple[str, ...]) -> Row:
        """Make a row of a contact, in its old place or a new one."""
        return row_of(contact(id), (), place, forms)

    @pytest.mark.parametrize(
        "forms",
        [(("b@x",), ("+1",)), (("new@x",), ()), ((), ("+1", "+2"))],
        ids=["the same", "another", "several"],
    )
    def test_in_place_of_one(self, forms: Any) -> None:
        """It holds what the row says, as it does where it is put."""
        index, put = filled(), filled()
        index.store_row(index.rows["b"], self.row("b", 1, *forms))
        put.put(contact("b"), forms)

        assert index.rows == put.rows
        assert index._holders == put._holders
        index.check()

    def test_a_new_one(self) -> None:
        """What it holds leads to it, whoever held that before."""
        index, put = filled(), filled()
        row = self.row("e", 4, ("a@x", "e@x"), ())
        for _again in "ab":
            index.store_row(None, row)
        put.put(contact("e"), [["a@x", "e@x"], []])

        assert ("a", "e") == index.holders("email", "a@x")
        assert index.rows == put.rows
        assert index._holders == put._holders
        index.check()

    def test_seats(self) -> None:
        """By creation, of contacts alone; the one that is next comes after all."""
        index = filled()
        index.put(survivor("c", "a"), [["c@x"], []])

        assert [1, 2, 3] == [index.place_of(id) for id in "bcd"]
        assert 4 == index.next
        with pytest.raises(KeyError):
            index.place_of("a")

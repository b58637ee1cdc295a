"""The contact index: contacts by id and by key, in the order of creation."""

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
FORMS_OF_B = ("b@x", "a@x", "c@x"), ("+1",)


def make_contact(id: str, scope: str = "", **fields: Any) -> Contact:
    """Make a contact."""
    return Contact(id, scope, fields, 1, NOW, NOW)


def make_survivor(id: str, *merged_ids: str, scope: str = "") -> Contact:
    """Make a contact that has absorbed others."""
    return Contact(id, scope, {}, 2, NOW, NOW, merged_ids=merged_ids)


def make_index() -> ContactIndex:
    """Make an index in which a, b and c share a phone, and d is of another scope."""
    index = ContactIndex(["email", "phone"])
    for id in ("a", "b", "c"):
        index.put(make_contact(id), [[f"{id}@x"], ["+1"]])
    index.put(make_contact("d", "s"), [["a@x"], []])
    return index


def test_index_finds_by_id_and_by_key_within_a_scope() -> None:
    index = make_index()

    assert len(index) == 4
    assert ["a", "b", "c", "d"] == [contact.id for contact in index]
    assert index.get("b") == make_contact("b")
    assert index.get_with_forms("d", "s")[1] == (("a@x",), ())
    assert index.holders("email", "a@x") == ("a",)
    assert index.holders("email", "a@x", "s") == ("d",)
    assert index.holders("email", "a@x", "other") == ()
    assert index.holders("phone", "+1") == ("a", "b", "c")
    assert index.holders("phone", "+2") == ()
    assert index.has_id("a")
    assert not index.has_id("x")
    assert (index.has_id("d"), index.has_id("d", "s")) == (False, True)
    index.check()


def test_one_id_in_two_scopes_names_two_contacts() -> None:
    """Merged ids too; the contacts of all scopes are in the order of creation."""
    index = make_index()
    index.put(make_contact("a", "s", name="Eve"), [["e@x"], ["+1"]])
    index.put(make_survivor("b", "a"), [["b@x", "a@x"], ["+1"]])
    index.put(make_contact("e"), [[], []])

    assert [index.get("a", scope).id for scope in ("", "s")] == ["b", "a"]
    assert [one.id for one in index] == ["b", "c", "d", "a", "e"]
    assert [one.id for one in index.created_after("d", "s")] == ["a", "e"]
    assert index.holders("phone", "+1", "s") == ("a",)
    index.check()
    index.remove("a", "s")
    assert index.get("a").id == "b"
    with pytest.raises(UnknownContact):
        index.get("a", "s")
    index.check()


def test_updated_contact_keeps_its_place() -> None:
    """Among the holders of a new key too."""
    index = make_index()
    index.put(make_contact("a"), [["a@x"], []])
    index.put(make_contact("c"), [["c@x"], ["+2"]])
    index.put(make_contact("a", city="Oslo"), [["a2@x", "a3@x"], ["+1", "+2"]])

    assert ["a", "b", "c", "d"] == [contact.id for contact in index]
    assert index.holders("phone", "+1") == ("a", "b")
    assert index.holders("phone", "+2") == ("a", "c")
    assert index.holders("email", "a@x") == ()
    assert index.holders("email", "a3@x") == ("a",)
    index.check()


@pytest.mark.parametrize("order", ["abc", "bca", "cab"])
def test_removed_contact_leaves_no_entry(order: str) -> None:
    """In any order of removal; the entries of the others stay."""
    index = make_index()
    for removed_count, id in enumerate(order, 1):
        assert index.remove(id) == make_contact(id)
        assert not index.has_id(id)
        assert set(index.holders("phone", "+1")) == set(order[removed_count:])
        index.check()
    index.remove("d", "s")

    assert (len(index), [*index]) == (0, [])
    assert index._holders == {"email": {}, "phone": {}}


@pytest.mark.parametrize("id", ["x", None, []], ids=["text", "null", "list"])
def test_unknown_id_is_an_error(id: Any) -> None:
    """Of any type."""
    for read in (make_index().get, make_index().get_with_forms, make_index().remove):
        with pytest.raises(UnknownContact):
            read(id)


@pytest.mark.parametrize(
    ("stored", "forms", "words"),
    [
        (make_contact("a"), [["a@x"]], "must be 2 lists, not 1"),
        (make_contact("a"), [["a@x"], [], []], "must be 2 lists, not 3"),
    ],
    ids=["one list", "three lists"],
)
def test_invalid_put_changes_nothing(stored: Contact, forms: Any, words: str) -> None:
    index = make_index()
    with pytest.raises(ValueError, match=words):
        index.put(stored, forms)

    index.check()
    assert index.get_with_forms("a")[1] == (("a@x",), ("+1",))


def test_equal_scopes_are_one_scope() -> None:
    """Two str objects of equal text."""
    index = ContactIndex(["email"])
    first, second = ("-".join("st") for _ in range(2))
    index.put(make_contact("a", first), [["a@x"]])
    index.put(make_contact("a", second), [["b@x"]])

    assert first is not second
    assert index.holders("email", "b@x", "s-t") == ("a",)
    index.check()


def test_holders_of_an_unknown_key_is_an_error() -> None:
    with pytest.raises(KeyError):
        make_index().holders("city", "Oslo")


def test_check_fails_on_a_corrupt_entry() -> None:
    """A superfluous, a missing and an unordered entry."""
    faults: tuple[Callable[[ContactIndex], Any], ...] = (
        lambda index: index._holders["email"][""].pop("a@x"),
        lambda index: index._holders["email"][""].update({"z@x": "a"}),
        lambda index: index._holders["phone"][""].update({"+1": ["c", "b", "a"]}),
        lambda index: index.rows[""].pop("a"),
        lambda index: index.redirects.update({("", "z"): "a"}),
        lambda index: index.rows[""].update({"z": index.rows[""].pop("a")}),
    )
    for fault in faults:
        index = make_index()
        fault(index)
        with pytest.raises(AssertionError, match=r"^expected .*, found .*, ids "):
            index.check()


def test_check_fails_on_a_row_with_missing_forms() -> None:
    """Reading and writing need one list of forms per key."""
    index = make_index()
    index.rows["s"]["d"] = row_of(make_contact("d", "s"), (), 3, (("a@x",),))

    with pytest.raises(ValueError, match="shorter"):
        index.check()
    with pytest.raises(IndexError):
        index.put(make_contact("d", "s"), [["a@x"], ["+1"]])


class TestAbsorbedContacts:
    """An absorbed contact is removed, and its id leads to the survivor."""

    def merged_index(self) -> ContactIndex:
        """Make an index in which b has absorbed a, and then c."""
        index = make_index()
        index.put(make_survivor("b", "a"), [["b@x", "a@x"], ["+1"]])
        index.put(make_survivor("b", "a", "c"), [["b@x", "a@x", "c@x"], ["+1"]])
        return index

    def test_merged_id_leads_to_the_survivor(self) -> None:
        """The index contains the id, but not the contact."""
        index = self.merged_index()
        b = make_survivor("b", "a", "c")

        assert [b, b, b] == [index.get(id) for id in "abc"]
        assert index.get_with_forms("a")[1] == index.get_with_forms("b")[1]
        assert all(index.has_id(id) for id in "abc")
        assert (["b", "d"], 2) == ([contact.id for contact in index], len(index))
        assert index.holders("email", "a@x") == ("b",)
        assert index.holders("phone", "+1") == ("b",)
        index.check()

    def test_survivor_keeps_its_place(self) -> None:
        """Though it absorbs an older contact."""
        index = make_index()
        index.put(make_survivor("c", "a"), [["c@x"], ["+1"]])

        assert ["b", "c", "d"] == [contact.id for contact in index]
        assert index.holders("phone", "+1") == ("b", "c")
        index.check()

    def test_ids_of_an_absorbed_survivor_lead_to_the_last_survivor(self) -> None:
        index = self.merged_index()
        index.put(make_contact("e"), [[], []])
        index.put(make_survivor("e", "b", "a", "c"), [["b@x"], []])

        assert {"e"} == {index.get(id).id for id in "abce"}
        assert index.holders("email", "a@x") == ()
        index.check()

    def test_merged_id_missing_from_the_new_survivor_is_unknown(self) -> None:
        index = self.merged_index()
        index.put(make_survivor("e", "b", "c"), [["e@x"], []])

        assert [False, True, True] == [index.has_id(id) for id in "abc"]
        with pytest.raises(UnknownContact):
            index.get("a")
        index.check()

    def test_new_contact_may_have_merged_ids(self) -> None:
        """A loaded row brings them."""
        index = make_index()
        index.put(make_survivor("e", "x", "y"), [["e@x"], []])

        assert (index.get("x").id, index.get("y").id) == ("e", "e")
        index.check()

    def test_remove_takes_the_survivors_own_id_only(self) -> None:
        """Its merged ids are free then."""
        index = self.merged_index()
        with pytest.raises(UnknownContact) as caught:
            index.remove("a")
        assert caught.value.id == "a"
        assert index.remove("b") == make_survivor("b", "a", "c")

        assert [False] * 3 == [index.has_id(id) for id in "abc"]
        assert index._holders == {"email": {"s": {"a@x": "d"}}, "phone": {}}
        index.check()

    def test_merged_id_missing_from_an_update_is_unknown(self) -> None:
        index = self.merged_index()
        index.put(make_survivor("b", "c"), [["b@x"], []])
        assert (index.has_id("a"), index.get("c").id) == (False, "b")
        index.check()
        index.put(make_contact("b"), [["b@x"], []])
        index.remove("b")
        with pytest.raises(UnknownContact):
            index.get("c")

        index.check()

    @pytest.mark.parametrize(
        ("stored", "words"),
        [
            (make_survivor("e", "c"), "id: e already resolves to contact b"),
            (make_contact("a"), "id: a already resolves to contact b"),
            (make_survivor("b", "a", "c", "b"), "must not contain b"),
            (make_survivor("e", "e"), "must not contain e"),
        ],
        ids=["merged id", "id", "own id", "new own id"],
    )
    def test_invalid_merge_changes_nothing(self, stored: Contact, words: str) -> None:
        index = self.merged_index()
        with pytest.raises(ValueError, match=words):
            index.put(stored, [[], []])

        assert index.get("a") == make_survivor("b", "a", "c")
        assert index.get_with_forms("b")[1] == (("b@x", "a@x", "c@x"), ("+1",))
        assert len(index) == 2
        index.check()

    def row_that_claims_a(self) -> Row:
        """Make a row of f that lists a as a merged id too."""
        return row_of(make_survivor("f", "a"), (), 4, (("a@x",), ()))

    def test_check_fails_on_a_merged_id_of_two_contacts(self) -> None:
        """Though it leads to one of them."""
        index = self.merged_index()
        index.rows[""]["f"] = self.row_that_claims_a()
        index.redirects["", "a"] = "f"
        with pytest.raises(AssertionError):
            index.check()

    def test_check_fails_on_a_wrong_redirect(self) -> None:
        """Superfluous, missing, or claimed by two contacts."""
        faults: tuple[Callable[[ContactIndex], Any], ...] = (
            lambda index: index.redirects.pop(("", "a")),
            lambda index: index.redirects.update({("", "z"): "b"}),
            lambda index: index.redirects.update({("", "a"): "f"}),
            lambda index: index.rows[""].update({"f": self.row_that_claims_a()}),
            lambda index: index.rows[""].update(
                {"b": row_of(make_contact("b"), (), 1, FORMS_OF_B)}
            ),
        )
        for fault in faults:
            index = self.merged_index()
            fault(index)
            with pytest.raises(AssertionError):
                index.check()


class NoRemoval(dict[Any, Any]):
    """Rows or redirects without removal, even for a moment."""

    def __delitem__(self, id: Any) -> None:
        raise AssertionError(id)

    def pop(self, id: Any, *default: Any) -> Any:
        """Return the default; the id must be missing."""
        assert id not in self
        return super().pop(id, *default)


class Observed(dict[Any, Any]):
    """Rows or redirects that are read after each change."""

    def __init__(self, rows: Mapping[Any, Any], observer: Callable[[], None]) -> None:
        super().__init__(rows)
        self.observer = observer

    def __setitem__(self, id: Any, row: Any) -> None:
        super().__setitem__(id, row)
        self.observer()

    def __delitem__(self, id: Any) -> None:
        super().__delitem__(id)
        self.observer()

    def pop(self, id: Any, *default: Any) -> Any:
        """Pop, and read."""
        value = super().pop(id, *default)
        self.observer()
        return value


class TestReadersWithoutLock:
    """Readers need no lock: what is not removed is found at any time."""

    def observe(self, index: ContactIndex, ids: str) -> list[None]:
        """Read ids and holders after each change; return one entry per read."""
        reads: list[None] = []

        def observer() -> None:
            reads.append(None)
            for id in (*ids, *index.holders("phone", "+1")):
                assert index.has_id(id)
                assert index.get(id).id in ids
                index.get_with_forms(id)

        index.rows[""] = Observed(index.rows[""], observer)
        index.redirects = Observed(index.redirects, observer)
        return reads

    def test_reader_finds_a_contact_during_its_update(self) -> None:
        """By its own id and its merged ids."""
        index = make_index()
        index.put(make_survivor("b", "a"), [["b@x"], []])
        index.rows[""] = NoRemoval(index.rows[""])
        index.redirects = NoRemoval(index.redirects)
        index.put(make_survivor("b", "a", "x"), [["b@x"], ["+1"]])
        index.put(make_contact("c"), [["c@x"], ["+2"]])

        assert index.get("a").id == "b"
        index.check()

    def test_reader_finds_contact_or_survivor_during_a_merge(self) -> None:
        index = make_index()
        index.put(make_contact("e"), [[], []])
        reads = self.observe(index, "abce")
        index.put(make_survivor("b", "a"), [["b@x", "a@x"], ["+1"]])
        index.put(make_survivor("c", "b", "a"), [["c@x"], ["+1"]])
        index.put(make_survivor("a", "c", "b"), [["a@x"], ["+1"]])
        index.put(make_survivor("e", "a", "c", "b"), [["a@x"], ["+1"]])

        assert [*"eeee"] == [index.get(id).id for id in "abce"]
        assert len(reads) > 8
        index.check()

    def test_reader_finds_contact_or_survivor_during_a_split(self) -> None:
        index = make_index()
        index.put(make_survivor("b", "a"), [["b@x"], ["+1"]])
        index.put(make_survivor("c", "b", "a"), [["c@x"], ["+1"]])
        reads = self.observe(index, "abc")
        restored_contacts = [(make_survivor("b", "a"), (("b@x",), ("+1",)))]
        index.split(make_contact("c"), (("c@x",), ("+1",)), restored_contacts)
        index.split(
            make_contact("b"), (("b@x",), ("+1",)), [(make_contact("a"), ((), ()))]
        )

        assert [*"abc"] == [index.get(id).id for id in "abc"]
        assert len(reads) > 4
        index.check()

    def test_reader_finds_no_removed_contact_by_its_key(self) -> None:
        """Its keys are removed first."""
        index = make_index()
        reads = self.observe(index, "ac")
        index.remove("b")

        assert len(reads) == 1
        index.check()

    def test_id_of_a_removed_row_is_unknown(self) -> None:
        index = make_index()
        del index.rows[""]["b"]

        for read in (index.get, index.get_with_forms):
            with pytest.raises(UnknownContact):
                read("b")


class RowsWithCallback(dict[Any, Any]):
    """Rows that run a callback after the next lookup."""

    callback: Callable[[], Any] | None = None

    def get(self, id: Any, default: Any = None) -> Any:
        """Look up, and run the callback."""
        return self._run_callback(super().get(id, default))

    def __contains__(self, id: object) -> bool:
        return bool(self._run_callback(super().__contains__(id)))

    def _run_callback(self, result: Any) -> Any:
        callback, self.callback = self.callback, None
        if callback is not None:
            callback()
        return result


@pytest.mark.parametrize("method", ["get", "get_with_forms", "has_id", "find_place"])
def test_contact_restored_during_its_lookup_is_found(method: str) -> None:
    """Its id leads first to the survivor and then to itself."""
    index = make_index()
    index.put(make_survivor("b", "a"), [["b@x", "a@x"], ["+1"]])
    rows = index.rows[""] = RowsWithCallback(index.rows[""])
    restored_contacts = [(make_contact("a"), (("a@x",), ("+1",)))]
    rows.callback = lambda: index.split(
        make_contact("b"), (("b@x",), ("+1",)), restored_contacts
    )

    result = getattr(index, method)("a")
    assert result == getattr(index, method)("a")
    assert rows.callback is None


class TestSplit:
    """Absorbed contacts are restored, each in its old place."""

    def merged_index(self) -> ContactIndex:
        """Make an index in which c has absorbed a and b."""
        index = make_index()
        index.put(make_survivor("c", "a", "b"), [["c@x", "a@x"], ["+1"]])
        index.check()
        return index

    def absorbed_contacts(self, *ids: str) -> list[Any]:
        """Return contacts with their former forms."""
        return [(make_contact(id), ((f"{id}@x",), ("+1",))) for id in ids]

    @pytest.mark.parametrize("ids", ["ab", "ba"])
    def test_split_restores_order_holders_and_ids(self, ids: str) -> None:
        """In any order of the restored contacts."""
        index, before = self.merged_index(), make_index()
        index.split(
            make_contact("c"), (("c@x",), ("+1",)), self.absorbed_contacts(*ids)
        )
        index.check()

        assert list(index) == list(before)
        assert [index.get(id).id for id in "abc"] == [*"abc"]
        assert index.holders("phone", "+1") == ("a", "b", "c")
        assert index.holders("email", "a@x") == ("a",)
        index.put(make_contact("e"), [["e@x"], ["+1"]])
        assert index.holders("phone", "+1") == ("a", "b", "c", "e")
        assert ["a", "b", "c", "d", "e"] == [contact.id for contact in index]

    def test_split_of_one_contact_leaves_the_other_absorbed(self) -> None:
        index = self.merged_index()
        forms = (("c@x", "a@x"), ("+1",))
        index.split(make_survivor("c", "a"), forms, self.absorbed_contacts("b"))
        index.check()

        assert [index.get(id).id for id in "abc"] == ["c", "b", "c"]
        assert ["b", "c", "d"] == [contact.id for contact in index]

    def test_split_restores_a_survivor_with_its_merged_ids(self) -> None:
        """Which can be split in turn."""
        index = make_index()
        index.put(make_survivor("b", "a"), [["b@x"], ["+1"]])
        index.put(make_survivor("c", "b", "a"), [["c@x"], ["+1"]])
        restored_contacts = [(make_survivor("b", "a"), (("b@x",), ("+1",)))]
        index.split(make_contact("c"), (("c@x",), ("+1",)), restored_contacts)
        index.check()
        assert [index.get(id).id for id in "abc"] == ["b", "b", "c"]

        index.split(make_contact("b"), (("b@x",), ("+1",)), self.absorbed_contacts("a"))
        index.check()
        assert list(index) == list(make_index())

    def test_split_contact_can_be_absorbed_again(self) -> None:
        """Its place is stored again."""
        index = self.merged_index()
        for _ in range(2):
            index.split(
                make_contact("c"), (("c@x",), ("+1",)), self.absorbed_contacts("a", "b")
            )
            index.put(make_survivor("c", "a", "b"), [["c@x", "a@x"], ["+1"]])
            index.check()

        assert list(index) == list(self.merged_index())

    @pytest.mark.parametrize("wrong_forms", [(("c@x",),), (("c@x",), (), ())], ids=len)
    def test_split_with_a_wrong_number_of_forms_changes_nothing(
        self, wrong_forms: Any
    ) -> None:
        """Of the survivor or of a restored contact."""
        index = self.merged_index()
        before = list(index)
        valid_forms = ("c@x",), ("+1",)
        for forms, restored_contacts in (
            (wrong_forms, self.absorbed_contacts("a")),
            (valid_forms, [(make_contact("a"), wrong_forms)]),
        ):
            with pytest.raises(ValueError, match="forms: must be 2 lists"):
                index.split(make_contact("c"), forms, restored_contacts)

        assert list(index) == before
        index.check()

    @pytest.mark.parametrize("ids", ["d", "x", "ad", "c", "aa"])
    def test_split_of_a_contact_not_absorbed_changes_nothing(self, ids: str) -> None:
        index = self.merged_index()
        before = list(index)
        with pytest.raises(ValueError, match="was not merged here"):
            index.split(
                make_contact("c"), (("c@x",), ("+1",)), self.absorbed_contacts(*ids)
            )

        assert list(index) == before
        index.check()

    @pytest.mark.parametrize(("id", "other"), [("b", "c"), ("e", "a")])
    def test_split_of_a_contact_absorbed_by_another_is_refused(
        self, id: str, other: str
    ) -> None:
        index = make_index()
        index.put(make_contact("e"), [["e@x"], []])
        index.put(make_survivor("b", "a"), [["b@x"], []])
        index.put(make_survivor("e", "c"), [["e@x"], []])
        with pytest.raises(ValueError, match=f"{other} was not merged here"):
            index.split(
                make_contact(id), ((f"{id}@x",), ()), self.absorbed_contacts(other)
            )

        index.check()

    def test_split_of_a_loaded_survivor_is_refused(self) -> None:
        """The places of its absorbed contacts are unknown."""
        index = ContactIndex(["email", "phone"])
        index.put(make_survivor("c", "a"), [["c@x"], []])
        with pytest.raises(ValueError, match="back: contact a was not merged here"):
            index.split(make_contact("c"), (("c@x",), ()), self.absorbed_contacts("a"))

        index.check()

    def test_split_of_a_contact_of_a_removed_survivor_is_refused(self) -> None:
        """Its places were removed with the survivor."""
        index = self.merged_index()
        index.remove("c")
        index.put(make_survivor("e", "a"), [["e@x"], []])
        with pytest.raises(ValueError, match="back: contact a was not merged here"):
            index.split(make_contact("e"), (("e@x",), ()), self.absorbed_contacts("a"))

        index.check()

    def test_find_place_of_a_merged_id_is_that_of_the_survivor(self) -> None:
        index = self.merged_index()

        assert [index.find_place(id) for id in "abcdx"] == [2, 2, 2, None, None]
        assert index.find_place("d", "s") == 3

    def test_ids_of_contacts_and_merged_ids_are_in_use(self) -> None:
        """Until the contact is removed."""
        index = self.merged_index()
        assert [index.has_id(id) for id in "abcx"] == [True] * 3 + [False]
        index.remove("c")

        assert not any(index.has_id(id) for id in "abcx")


class TestSharedForms:
    """Forms with several holders."""

    def shared_forms(self, index: ContactIndex, *place: Any) -> list[list[str]]:
        """Return the ids of the holders of each shared form."""
        return sorted([*ids] for _scope, ids in index.shared_forms(*place))

    def test_shared_forms_of_one_key_within_scopes(self) -> None:
        """Of one scope, or of all."""
        index = make_index()
        for id in ("e", "f"):
            index.put(make_contact(id, "s"), [["a@x"], []])

        assert self.shared_forms(index, "phone") == [["a", "b", "c"]]
        assert self.shared_forms(index, "email") == [["d", "e", "f"]]
        assert self.shared_forms(index, "email", "s") == [["d", "e", "f"]]
        assert self.shared_forms(index, "email", "") == []
        assert self.shared_forms(index, "email", "other") == []

    def test_form_of_one_remaining_holder_is_not_shared(self) -> None:
        index = make_index()
        index.remove("a")
        assert self.shared_forms(index, "phone") == [["b", "c"]]
        index.put(make_contact("b"), [["b@x"], []])

        assert self.shared_forms(index, "phone") == []

    def test_shared_forms_of_an_unknown_key_is_an_error(self) -> None:
        with pytest.raises(KeyError):
            self.shared_forms(make_index(), "name")


class CountedId(str):
    """An id that counts its comparisons."""

    __slots__ = ()
    calls: list[None] = []  # noqa: RUF012

    def __hash__(self) -> int:
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        self.calls.append(None)
        return super().__eq__(other)


def test_comparisons_of_a_merge_grow_linearly() -> None:
    """Twice as many absorbed contacts make at most 2.2 times as many comparisons."""
    counts = []
    for size in (100, 200, 400):
        index = ContactIndex(["email"])
        ids = [CountedId(number) for number in range(size)]
        for id in ids:
            index.put(make_contact(id), [["a@x"]])
        CountedId.calls.clear()
        index.put(make_survivor(ids[0], *map(CountedId, ids[1:])), [["a@x"]])
        counts.append(len(CountedId.calls))
        index.check()

    first, second, third = counts
    assert second <= 2.2 * first
    assert third <= 2.2 * second


def test_rows_share_their_tuples_of_names() -> None:
    """Declared fields have one order; others follow, up to a limit of sequences."""
    index = ContactIndex((), ["name", "city"])
    index.put(make_contact("a", city="Oslo", name="Ada"), [])
    index.put(make_contact("b", city="Bonn", free="x"), [])
    index.put(make_contact("c", free="y"), [])
    for number in range(MAX_NAMES):
        index.names.of([f"{number}"])
    for id in ("d", "e"):
        index.put(make_contact(id, late="x"), [])
    a, b, c, d, e = (index.rows[""][id][NAMES] for id in "abcde")

    assert a is index.names.declared == ("name", "city")
    assert b is c
    assert b == ("name", "city", "free")
    assert d == e == ("name", "city", "late")
    assert d is not e
    assert {"late": "x"} == dict(index.get("e").fields)
    index.check()


def test_contact_has_its_fields_in_the_order_of_the_index() -> None:
    """Also while a contact in another order is referenced."""
    index = ContactIndex((), ["name", "city"])
    stored = make_contact("a", free="x", city="Oslo", name="Ada")
    index.put(stored, [])

    assert stored == index.get("a")
    assert ["name", "city", "free"] == [*index.get("a")]


class TestRows:
    """Rows that the fast path makes and stores."""

    def make_row(self, id: str, place: int, *forms: tuple[str, ...]) -> Row:
        """Make a row of a contact at this place."""
        return row_of(make_contact(id), (), place, forms)

    @pytest.mark.parametrize(
        "forms",
        [(("b@x",), ("+1",)), (("new@x",), ()), ((), ("+1", "+2"))],
        ids=["same forms", "other forms", "several forms"],
    )
    def test_stored_row_equals_a_put_contact(self, forms: Any) -> None:
        index, expected = make_index(), make_index()
        index.store_row(index.rows[""]["b"], self.make_row("b", 1, *forms))
        expected.put(make_contact("b"), forms)

        assert index.rows == expected.rows
        assert index._holders == expected._holders
        index.check()

    def test_stored_row_of_a_new_contact_equals_a_put_contact(self) -> None:
        """Stored twice, it is the same."""
        index, expected = make_index(), make_index()
        row = self.make_row("e", 4, ("a@x", "e@x"), ())
        for _ in "ab":
            index.store_row(None, row)
        expected.put(make_contact("e"), [["a@x", "e@x"], []])

        assert ("a", "e") == index.holders("email", "a@x")
        assert index.next == expected.next
        assert index.rows == expected.rows
        assert index._holders == expected._holders
        index.check()

    def test_contacts_by_their_own_ids_are_in_order_of_creation(self) -> None:
        """A merged id is not one of them."""
        index = make_index()
        index.put(make_survivor("c", "a"), [["c@x"], []])

        found = index.contacts([("s", "d"), ("", "b"), ("", "c")])
        assert ["b", "c", "d"] == [contact.id for contact in found]
        assert 4 == index.next
        with pytest.raises(KeyError):
            index.contacts([("", "a")])

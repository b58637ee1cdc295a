"""Rows: a contact as an index keeps it, and the contact made of it again."""

from __future__ import annotations

import gc
import sys
from datetime import UTC, datetime
from functools import partial
from typing import Any
from weakref import ref

import attrs
import pytest

from upsertcore import Contact, ContactBook, Policy, field, first_match, normalize
from upsertcore.model import packed_row as row
from upsertcore.model.packed_row import (
    FORMS,
    HISTORY,
    ID,
    MAX_NAMES,
    PLACE,
    Names,
    contact_from_row,
    forms_from_row,
    ids_from_row,
    row_of,
)
from upsertcore.store.contact_index import ContactIndex

NOW = datetime(2024, 1, 2, tzinfo=UTC)
ADA = {"email": "Ada@x.org", "name": "Ada"}


def new_contact(id: str = "c-1", version: int = 1, **parts: Any) -> Contact:
    """Make a contact of text alone, and of the given parts of a history."""
    return Contact(id, "", ADA, version, NOW, NOW, **parts)


def row_for(contact: Contact, place: int = 0, *forms: tuple[str, ...]) -> row.Row:
    """Make the row of a contact."""
    return row_of(contact, tuple(contact), place, forms)


HISTORIES: dict[str, dict[str, Any]] = {
    "none": {},
    "aliases": {"aliases": {"email": ["old@x.org"]}},
    "clocks": {"clocks": {"name": 3}},
    "merged_ids": {"merged_ids": ["c-2", "c-3"]},
    "deleted": {"deleted_at": NOW},
    "all": {
        "aliases": {"email": ["old@x.org"]},
        "clocks": {"name": 3},
        "merged_ids": ["c-2"],
        "deleted_at": NOW,
    },
}
FORM_LISTS: list[tuple[tuple[str, ...], ...]] = [
    (),
    ((),),
    (("a",),),
    (("a", "b"),),
    ((), ("a",), ("b", "a", "c"), ()),
]


class TestContact:
    """The contact of a row is one object while it is referenced."""

    def test_dropped_contact_runs_no_python_code(self) -> None:
        """Else what a signal handler raises there would be printed, and lost."""
        contact = contact_from_row(row_for(new_contact()))
        events: list[str] = []

        sys.setprofile(lambda _frame, event, _arg: events.append(event))
        del contact
        sys.setprofile(None)

        assert "call" not in events

    @pytest.mark.parametrize("history", HISTORIES)
    def test_contact_of_a_row_equals_the_stored_contact(self, history: str) -> None:
        """In every part, with a history and without."""
        stored = new_contact(**HISTORIES[history])
        kept, expected = row_for(stored), stored.to_dict()
        del stored
        returned = contact_from_row(kept)

        assert new_contact(**HISTORIES[history]) == returned
        assert expected == returned.to_dict()
        assert [*ADA] == [*returned]
        assert (kept[HISTORY] is None) == (history == "none")
        for attribute in attrs.fields(Contact):
            part = getattr(new_contact(**HISTORIES[history]), attribute.name)
            assert type(part) is type(getattr(returned, attribute.name))

    def test_contact_of_a_row_is_the_stored_object_while_referenced(self) -> None:
        stored = new_contact()
        kept = row_for(stored)

        assert stored is contact_from_row(kept)
        gc.collect()
        assert stored is contact_from_row(kept)

    def test_contact_of_a_row_is_made_once_while_referenced(self) -> None:
        """Later an equal one is made."""
        kept = row_for(new_contact())
        one = contact_from_row(kept)
        gc.collect()
        assert one is contact_from_row(kept)
        held = one
        del one
        gc.collect()
        assert held is contact_from_row(kept)
        del held
        gc.collect()

        assert new_contact() == contact_from_row(kept)

    def test_row_keeps_no_contact_alive(self) -> None:
        """A contact that is collected leaves no entry."""
        kept = row_for(new_contact())
        gc.collect()

        assert id(kept) not in row._contacts

    def test_contact_keeps_its_row_alive(self) -> None:
        """So no other row can have its identity while the contact lives."""
        contact = new_contact()
        identity = id(row_for(contact))
        others = [row_for(new_contact(f"c-{number}")) for number in range(1000)]

        assert identity == id(contact._row)
        assert identity not in map(id, others)

    def test_row_is_no_part_of_the_value_of_a_contact(self) -> None:
        contact, twin = new_contact(), new_contact()
        row_for(contact, 7, ("a@x",))

        assert twin == contact
        assert hash(twin) == hash(contact)
        assert repr(twin) == repr(contact)


class TestStale:
    """A reused identity gives no contact of another row."""

    def test_entry_of_an_older_row_is_ignored_at_its_reused_identity(self) -> None:
        contact = new_contact("c-1")
        row_for(contact)
        newer = row_for(contact)
        other = row_for(new_contact("c-2"))
        forget = partial(row._contacts.pop, id(other))
        row._contacts[id(other)] = ref(contact, forget)
        found = contact_from_row(other)

        assert newer is contact._row
        assert new_contact("c-2") == found
        assert found is contact_from_row(other)
        assert contact is contact_from_row(newer)

    def test_rows_at_freed_addresses_give_their_own_contacts(self) -> None:
        contacts = [new_contact(f"c-{number}") for number in range(100)]
        patterns = [row_for(new_contact(f"d-{number}")) for number in range(200)]
        listed = {id(row_for(item)) for item in contacts}
        newer = [row_for(item, 1) for item in contacts]
        others = [(*item,) for item in patterns]

        assert not listed.isdisjoint(map(id, others))
        assert [f"d-{number}" for number in range(200)] == [
            contact_from_row(item).id for item in others
        ]
        assert contacts == [contact_from_row(item) for item in newer]

    def test_collected_contact_leaves_the_entry_of_another_row(self) -> None:
        """The identity of its older row is reused by then."""
        contact = new_contact("c-1")
        row_for(contact)
        newer = row_for(contact)
        other = (*row_for(new_contact("c-2")),)
        forget = partial(row._contacts.pop, id(other))
        row._contacts[id(other)] = ref(contact, forget)
        found = contact_from_row(other)
        del contact
        gc.collect()

        assert found is contact_from_row(other)
        assert new_contact("c-1") == contact_from_row(newer)

    def test_contact_that_is_put_twice_has_the_newer_row(self) -> None:
        index = ContactIndex(["email"])
        contact = new_contact("c-1")
        index.put(contact, [["a@x"]])
        index.put(contact, [["b@x"]])
        for number in range(2, 100):
            index.put(new_contact(f"c-{number}"), [[]])

        assert contact is index.get("c-1")
        assert [f"c-{number}" for number in range(1, 100)] == [c.id for c in index]
        index.check()

    def test_contact_of_two_indexes_is_equal_in_both(self) -> None:
        one, two, contact = ContactIndex(), ContactIndex(), new_contact()
        one.put(contact, [])
        two.put(contact, [])

        assert contact is two.get("c-1")
        assert contact == one.get("c-1")

    def test_undo_stores_the_contact_object_of_before(self) -> None:
        lines = {"email": field(key=normalize.email), "name": field()}
        book = ContactBook(Policy(first_match("email"), lines))
        before = book.upsert(ADA).contact
        outcome = book.upsert({**ADA, "name": "Bob"})
        held = outcome.before
        book.undo(outcome)

        assert held is before
        assert before is book.get(before.id)
        assert ("Bob", "Ada") == (outcome.contact["name"], before["name"])


class TestParts:
    """Parts of a row that are read without making a contact."""

    @pytest.mark.parametrize("forms", FORM_LISTS, ids=str)
    def test_forms_of_a_row_are_those_of_each_key(
        self, forms: tuple[tuple[str, ...], ...]
    ) -> None:
        """A key has none, one or several; a single form is stored by itself."""
        kept = row_for(new_contact(), 0, *forms)

        assert forms == forms_from_row(kept)
        assert len(forms) == len(kept) - FORMS - len(ADA)

    @pytest.mark.parametrize("history", HISTORIES)
    def test_ids_of_a_row_are_its_own_and_the_absorbed_ones(self, history: str) -> None:
        contact = new_contact(**HISTORIES[history])

        assert contact.ids == ids_from_row(row_for(contact))

    def test_row_has_its_place_and_id(self) -> None:
        kept = row_for(new_contact("c-7"), 12)

        assert ("c-7", 12) == (kept[ID], kept[PLACE])


class TestGarbageCollector:
    """The garbage collector does not track rows without a history."""

    def test_row_of_text_is_untracked_after_two_collections(self) -> None:
        """The first collection untracks its parts."""
        kept = row_for(new_contact(), 0, ("ada@x.org",), (), ("+1", "+2"))
        gc.collect()
        assert [False] * len(kept) == [gc.is_tracked(part) for part in kept]
        gc.collect()

        assert not gc.is_tracked(kept)

    @pytest.mark.parametrize("options", [{}, {"null": "clear"}], ids=len)
    def test_rows_of_a_book_are_untracked(self, options: dict[str, Any]) -> None:
        """Whichever path an upsert takes."""
        lines = {"email": field(key=normalize.email), "name": field()}
        book = ContactBook(Policy(first_match("email"), lines))
        for email, name in (("a@x", "Ada"), ("b@x", "Bob"), ("b@x", "Bo")):
            book.upsert({"email": email, "name": name}, **options)
        for _ in range(2):
            gc.collect()

        kept = book._index.rows[""].values()
        assert [False, False] == [gc.is_tracked(kept_row) for kept_row in kept]

    def test_new_row_leaves_the_other_rows_in_the_old_generation(self) -> None:
        """Else each young collection would walk all rows while a book grows."""
        book = ContactBook(
            Policy(first_match("id"), {"id": field(key=normalize.exact)})
        )
        book.upsert({"id": "1"})
        for _ in range(2):
            gc.collect()
        book.upsert({"id": "2"})

        young = [*gc.get_objects(generation=0), *gc.get_objects(generation=1)]
        assert not [item for item in young if item is book._index.rows[""]]

    def test_book_survives_gc_freeze(self) -> None:
        """Rows that are stored after it are untracked too."""
        book = ContactBook(
            Policy(first_match("id"), {"id": field(key=normalize.exact)})
        )
        book.upsert({"id": "0"})
        gc.freeze()
        try:
            for id in "1234":
                book.upsert({"id": id})
                gc.collect()
            tracked = gc.get_objects()
        finally:
            gc.unfreeze()

        assert not [item for item in tracked if item is book._index.rows[""]]


class TestNames:
    """Rows with the same names share one tuple of them, up to a limit."""

    def test_declared_names_come_first_whatever_the_contact_has(self) -> None:
        names = Names(["name", "city"])

        assert ("name", "city") == names.declared
        for fields in ([], ["city"], ["city", "name"], {"name": 1}):
            assert names.of(fields) is names.declared
        assert ("name", "city", "b", "a") == names.of(["b", "name", "a"])

    def test_equal_names_share_one_tuple(self) -> None:
        """Their order counts."""
        names = Names()
        shared = names.of(["city", "name"])

        assert ("city", "name") == shared
        assert shared is names.of({"city": 1, "name": 2})
        assert ("name", "city") == names.of(["name", "city"])
        assert () == names.of([])

    def test_names_beyond_the_limit_are_not_shared(self) -> None:
        names = Names()
        for number in range(MAX_NAMES):
            names.of([f"{number}"])
        last, beyond = [f"{MAX_NAMES - 1}"], [f"{MAX_NAMES}"]

        assert names.of(last) is names.of(last)
        assert (f"{MAX_NAMES}",) == names.of(beyond)
        assert names.of(beyond) is not names.of(beyond)


def test_field_that_a_contact_lacks_is_none_in_its_row() -> None:
    contact = new_contact()
    made = row_of(contact, ("first", *contact, "last"), 0, ())

    assert (None, *contact.fields.values(), None) == made[FORMS:]
    del contact
    assert new_contact() == contact_from_row(made)

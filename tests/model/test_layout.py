"""Rows: a contact as an index keeps it, and the contact that is made of it again."""

from __future__ import annotations

import gc
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from upsertcore import Contact, ContactBook, Policy, field, first_match, normalize
from upsertcore.model import layout as row
from upsertcore.model.layout import (
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
from upsertcore.store.index import ContactIndex

NOW = datetime(2024, 1, 2, tzinfo=UTC)
ADA = {"email": "Ada@x.org", "name": "Ada"}


def contact(id: str = "c-1", version: int = 1, **parts: Any) -> Contact:
    """Make a contact with text alone, and with what history is given."""
    return Contact(id, "", ADA, version, NOW, NOW, **parts)


def in_row(made: Contact, place: int = 0, *forms: tuple[str, ...]) -> row.Row:
    """Make the row of a contact."""
    return row_of(made, tuple(made), place, forms)


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
    """A contact is made of its row again, and it is one object while it is held."""

    @pytest.mark.parametrize("history", HISTORIES)
    def test_it_is_equal(self, history: str) -> None:
        """In every part, with its history and without."""
        made = contact(**HISTORIES[history])
        kept, expected = in_row(made), made.to_dict()
        del made
        again = contact_from_row(kept)

        assert contact(**HISTORIES[history]) == again
        assert expected == again.to_dict()
        assert [*ADA] == [*again]
        assert (kept[HISTORY] is None) == (history == "none")
        for each in attrs.fields(Contact):
            part = getattr(contact(**HISTORIES[history]), each.name)
            assert type(part) is type(getattr(again, each.name))

    def test_it_is_the_one_that_was_stored(self) -> None:
        """As long as whoever stored it has it."""
        made = contact()
        kept = in_row(made)

        assert made is contact_from_row(kept)
        gc.collect()
        assert made is contact_from_row(kept)

    def test_it_is_the_one_that_was_made(self) -> None:
        """As long as whoever asked has it; whoever asks later has an equal one."""
        kept = in_row(contact())
        one = contact_from_row(kept)
        gc.collect()
        assert one is contact_from_row(kept)
        held = one
        del one
        gc.collect()
        assert held is contact_from_row(kept)
        del held
        gc.collect()

        assert contact() == contact_from_row(kept)

    def test_nobody_has_it(self) -> None:
        """A row keeps no contact alive, and a contact that goes leaves no entry."""
        kept = in_row(contact())
        gc.collect()

        assert id(kept) not in row._contacts

    def test_a_contact_keeps_its_row(self) -> None:
        """So that no other row can have its identity while the contact lives."""
        made = contact()
        identity = id(in_row(made))
        others = [in_row(contact(f"c-{number}")) for number in range(1000)]

        assert identity == id(made._row)
        assert identity not in map(id, others)

    def test_it_counts_as_nothing_else(self) -> None:
        """Where it stands is no part of a contact's value."""
        made, twin = contact(), contact()
        in_row(made, 7, ("a@x",))

        assert twin == made
        assert hash(twin) == hash(made)
        assert repr(twin) == repr(made)


class TestStale:
    """An identity that was given anew leads to nobody else's contact."""

    def test_a_contact_that_is_tied_to_a_newer_row(self) -> None:
        """Its older row's entry is still listed, and another row may stand there."""
        made = contact("c-1")
        in_row(made)
        newer = in_row(made)
        other = in_row(contact("c-2"))
        row._contacts[id(other)] = made
        found = contact_from_row(other)

        assert newer is made._row
        assert contact("c-2") == found
        assert found is contact_from_row(other)
        assert made is contact_from_row(newer)

    def test_rows_that_were_freed(self) -> None:
        """Whatever stands at their addresses now, each row gives its own contact."""
        made = [contact(f"c-{number}") for number in range(100)]
        patterns = [in_row(contact(f"d-{number}")) for number in range(200)]
        listed = {id(in_row(each)) for each in made}
        newer = [in_row(each, 1) for each in made]
        others = [(*each,) for each in patterns]

        assert not listed.isdisjoint(map(id, others))
        assert [f"d-{number}" for number in range(200)] == [
            contact_from_row(each).id for each in others
        ]
        assert made == [contact_from_row(each) for each in newer]

    def test_a_contact_that_goes(self) -> None:
        """Its older row's entry is another's by then, and stays."""
        gone = contact("c-1")
        in_row(gone)
        newer = in_row(gone)
        other = (*in_row(contact("c-2")),)
        row._contacts[id(other)] = gone
        found = contact_from_row(other)
        del gone
        gc.collect()

        assert found is contact_from_row(other)
        assert contact("c-1") == contact_from_row(newer)

    def test_in_an_index(self) -> None:
        """A contact that is put twice is tied to the row that is there."""
        index = ContactIndex(["email"])
        made = contact("c-1")
        index.put(made, [["a@x"]])
        index.put(made, [["b@x"]])
        for number in range(2, 100):
            index.put(contact(f"c-{number}"), [[]])

        assert made is index.get("c-1")
        assert [f"c-{number}" for number in range(1, 100)] == [c.id for c in index]
        index.check()

    def test_a_contact_of_two_indexes(self) -> None:
        """Each gives one that is equal, whichever row it is tied to."""
        one, two, made = ContactIndex(), ContactIndex(), contact()
        one.put(made, [])
        two.put(made, [])

        assert made is two.get("c-1")
        assert made == one.get("c-1")

    def test_the_contact_of_a_plan_that_is_stored_again(self) -> None:
        """Taking back puts a contact that was there before."""
        lines = {"email": field(key=normalize.email), "name": field()}
        made = ContactBook(Policy(first_match("email"), lines))
        before = made.upsert(ADA).contact
        outcome = made.upsert({**ADA, "name": "Bob"})
        held = outcome.before
        made.undo(outcome)

        assert held is before
        assert before is made.get(before.id)
        assert ("Bob", "Ada") == (outcome.contact["name"], before["name"])


class TestParts:
    """What a row tells without a contact being made of it."""

    @pytest.mark.parametrize("forms", FORM_LISTS, ids=str)
    def test_forms(self, forms: tuple[tuple[str, ...], ...]) -> None:
        """Of each key none, one or several; one of them stands alone."""
        kept = in_row(contact(), 0, *forms)

        assert forms == forms_from_row(kept)
        assert len(forms) == len(kept) - FORMS - len(ADA)

    @pytest.mark.parametrize("history", HISTORIES)
    def test_ids(self, history: str) -> None:
        """Its own, and those that it absorbed."""
        made = contact(**HISTORIES[history])

        assert made.ids == ids_from_row(in_row(made))

    def test_place_and_id(self) -> None:
        """As they were given."""
        kept = in_row(contact("c-7"), 12)

        assert ("c-7", 12) == (kept[ID], kept[PLACE])


class TestCollector:
    """The collector of garbage does not walk rows without a history."""

    def test_of_a_contact_with_text_alone(self) -> None:
        """Nor its parts: they are dropped at the first look, and it at the next."""
        kept = in_row(contact(), 0, ("ada@x.org",), (), ("+1", "+2"))
        gc.collect()
        assert [False] * len(kept) == [gc.is_tracked(part) for part in kept]
        gc.collect()

        assert not gc.is_tracked(kept)

    @pytest.mark.parametrize("how", [{}, {"null": "clear"}], ids=len)
    def test_in_a_book(self, how: dict[str, Any]) -> None:
        """Whichever path an upsert takes."""
        lines = {"email": field(key=normalize.email), "name": field()}
        made = ContactBook(Policy(first_match("email"), lines))
        for email, name in (("a@x", "Ada"), ("b@x", "Bob"), ("b@x", "Bo")):
            made.upsert({"email": email, "name": name}, **how)
        for _ in range(2):
            gc.collect()

        kept = made._index.rows.values()
        assert [False, False] == [gc.is_tracked(each) for each in kept]

    def test_a_new_row_does_not_make_all_rows_young(self) -> None:
        """Else the collector would walk them at each young look, while a book grows."""
        made = ContactBook(
            Policy(first_match("id"), {"id": field(key=normalize.exact)})
        )
        made.upsert({"id": "1"})
        for _ in range(2):
            gc.collect()
        made.upsert({"id": "2"})

        young = [*gc.get_objects(generation=0), *gc.get_objects(generation=1)]
        assert not [each for each in young if each is made._index.rows]

    def test_what_is_frozen_is_left_alone(self) -> None:
        """A book that was made before, and whatever comes into it after."""
        made = ContactBook(
            Policy(first_match("id"), {"id": field(key=normalize.exact)})
        )
        gc.freeze()
        try:
            for id in "1234":
                made.upsert({"id": id})
                gc.collect()
            seen = gc.get_objects()
        finally:
            gc.unfreeze()

        assert not [each for each in seen if each is made._index.rows]


class TestNames:
    """Rows with the same names share one tuple of them, up to a number of tuples."""

    def test_one_tuple(self) -> None:
        """In their order, and whatever gives them."""
        names = Names()
        shared = names.share(["city", "name"])

        assert ("city", "name") == shared
        assert shared is names.share(iter(["city", "name"]))
        assert shared is names.share({"city": 1, "name": 2})
        assert ("name", "city") == names.share(["name", "city"])
        assert () == names.share([])

    def test_who_has_it(self) -> None:
        """An equal tuple is not the one, and names that nobody has are none."""
        names = Names()
        shared = names.share(["city", "name"])

        assert [True, False, False] == [
            names.has(each) for each in (shared, (*shared,), ("name",))
        ]

    def test_as_many_as_may_be(self) -> None:
        """The last of them is shared; what comes after it stands by itself."""
        names = Names()
        for number in range(MAX_NAMES):
            names.share([f"{number}"])
        last, beyond = [f"{MAX_NAMES - 1}"], [f"{MAX_NAMES}"]

        assert names.share(last) is names.share(last)
        assert names.has(names.share(last))
        assert (f"{MAX_NAMES}",) == names.share(beyond)
        assert names.share(beyond) is not names.share(beyond)
        assert not names.has(names.share(beyond))

"""Loading: each row is looked at, with its aliases and the ids that lead to it."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime, timedelta, timezone
from itertools import permutations
from typing import Any

import pytest

from tests.field_options import blocking
from upsertcore import (
    Contact,
    ContactBook,
    Policy,
    field,
    first_match,
    key,
    merge_all,
    normalize,
)
from upsertcore.book.loading import admitted_forms, load_rows, rows_of
from upsertcore.errors import InvalidField, InvalidRows, KeyInUse, UnknownField
from upsertcore.store.contact_index import ContactIndex

NOW = datetime(2024, 1, 2, tzinfo=UTC)
LINES = {
    "email": field(key=normalize.email, unique=True, keep_aliases=True),
    "phone": field(key=normalize.phone),
    "name": field(),
}
POLICY = Policy(merge_all("email", "phone"), LINES)


def row(id: str, *, scope: str = "", history: Any = None, **fields: Any) -> Any:
    """Make a row as a book dumps it."""
    made = Contact(id, scope, fields, 1, NOW, NOW).to_dict()
    return {**made, **(history or {})}


def load(*rows: Any, policy: Policy = POLICY) -> ContactBook:
    """Make a book of rows, whose index is whole."""
    book = ContactBook.load(policy, rows)
    book._index.check()
    return book


def refusals(*rows: Any, policy: Policy = POLICY) -> Any:
    """Load rows of which some are refused; return these refusals."""
    with pytest.raises(InvalidRows) as caught:
        load(*rows, policy=policy)
    assert caught.value.count == len(rows)
    return caught.value.refusals


def refusal(*rows: Any, policy: Policy = POLICY) -> Any:
    """Load rows of which one is refused; return its refusal."""
    (one,) = refusals(*rows, policy=policy)
    return one


ADA = row("c-1", email="a@x", history={"aliases": {"email": ["old@x"]}})


def test_an_alias_finds_and_is_held() -> None:
    """What a row remembers counts as it did in the book that dumped it."""
    book = load(ADA)

    assert book.find("email", "OLD@x") == (book.get("c-1"),)
    assert book._index.get_with_forms("c-1")[1] == (("a@x", "old@x"), ())
    assert book.upsert({"email": "old@x"}).contact.aliases == {"email": ("a@x",)}


def test_an_alias_that_is_a_form_of_the_fields_is_held_once() -> None:
    """A row may say so twice; the index does not."""
    twice = row("c-1", email="a@x", history={"aliases": {"email": ["a@x", "old@x"]}})

    assert load(twice)._index.get_with_forms("c-1")[1] == (("a@x", "old@x"), ())


@pytest.mark.parametrize(
    ("rows", "field", "value"),
    [
        ((ADA, row("c-2", email="OLD@x")), "email", "OLD@x"),
        ((row("c-2", email="a@x"), ADA), "email", "a@x"),
        (
            (ADA, row("c-2", email="z@x", history={"aliases": {"email": ["old@x"]}})),
            *("email", "old@x"),
        ),
    ],
    ids=["field, alias", "fields", "alias, alias"],
)
def test_a_key_that_two_rows_hold(rows: Any, field: str, value: str) -> None:
    """An alias is unique as the key is; the error shows what is held already."""
    error = refusal(*rows)

    assert isinstance(error, KeyInUse)
    assert (field, value) == (error.field, error.value)
    assert (error.holder, error.row) == (rows[0]["id"], 1)


def test_other_scopes_hold_what_they_like() -> None:
    """Unique is within a scope, for aliases too."""
    other = row("c-2", scope="s", email="old@x")

    assert len(load(ADA, other)) == 2


def test_clashes_that_are_allowed() -> None:
    """A policy that allows them loads aliases that two contacts hold."""
    policy = Policy(merge_all("email"), LINES, on_key_in_use="allow")
    book = load(ADA, row("c-2", email="old@x"), policy=policy)

    assert [each.id for each in book.find("email", "old@x")] == ["c-1", "c-2"]


def test_aliases_need_their_key() -> None:
    """A key that the policy lacks cannot be held, so it is refused by name."""
    former = row("c-1", email="a@x", history={"aliases": {"name": ["ada"]}})
    error = refusal(former)

    assert isinstance(error, InvalidField)
    assert (error.field, error.value) == ("aliases", "name")
    words = (
        "aliases: must be of a key of the policy, not 'name'; its keys: email, phone"
    )
    assert str(error) == words


def test_aliases_stay_where_nothing_is_remembered_any_more() -> None:
    """A policy that no longer remembers lets no earlier alias go."""
    policy = Policy(first_match("email"), {**LINES, "email": field(key=str)})
    outcome = load(ADA, policy=policy).upsert({"email": "a@x", "name": "Ada"})

    assert outcome.contact.aliases == {"email": ("old@x",)}


def test_a_key_of_several_fields_is_made_anew() -> None:
    """Rows hold fields, and a new policy may make other keys of them."""
    person = key("email", "name", normalize=normalize.text, unique=True)
    policy = Policy(first_match("p"), LINES, keys={"p": person})
    book = load(row("c-1", email="a@x", name="Ada"), policy=policy)
    assert book.find("p", {"email": "A@x", "name": "ADA"}) == (book.get("c-1"),)

    loose = {name: field() for name in ("email", "name")}
    policy = Policy(first_match("p"), loose, keys={"p": person})
    rows = [row(f"c-{n}", email="a@x", name="Ada") for n in (1, 2)]
    error = refusal(*rows, policy=policy)
    assert isinstance(error, KeyInUse)
    assert (error.field, error.value) == ("p", {"email": "a@x", "name": "Ada"})


def test_blocked_forms_are_no_keys_of_a_row() -> None:
    """Two rows may hold what identifies nobody."""
    policy = Policy(first_match("email"), blocking(LINES, {"email": ("noreply@*",)}))
    book = load(*(row(f"c-{n}", email="noreply@x") for n in (1, 2)), policy=policy)

    assert book.find("email", "noreply@x") == ()


def test_a_clock_is_of_a_field() -> None:
    """A clock of a field that the policy does not know is refused as the field is."""
    load(row("c-1", email="a@x", history={"clocks": {"name": 7}}))
    error = refusal(row("c-1", email="a@x", history={"clocks": {"city": 7}}))
    assert isinstance(error, UnknownField)
    assert error.field == "city"


def test_ids_of_absorbed_contacts_lead_to_the_survivor() -> None:
    """Rows bring them along, and they stay theirs."""
    book = load(ADA, row("c-2", phone="+15550001", history={"merged_ids": ["c-3"]}))

    assert book.get("c-3") == book.get("c-2")
    assert "c-3" in book
    assert len(book) == 2
    assert book.dump() == load(*book.dump()).dump()


@pytest.mark.parametrize(
    ("rows", "id"),
    [
        ((row("c-1"), row("c-1")), "c-1"),
        ((row("c-1"), row("c-2", history={"merged_ids": ["c-1"]})), "c-1"),
        ((row("c-2", history={"merged_ids": ["c-1"]}), row("c-1")), "c-1"),
        (
            (
                row("c-2", history={"merged_ids": ["c-1"]}),
                row("c-3", history={"merged_ids": ["c-1"]}),
            ),
            "c-1",
        ),
        ((row("c-1", history={"merged_ids": ["c-1"]}),), "c-1"),
    ],
    ids=["id, id", "id, absorbed", "absorbed, id", "absorbed twice", "itself"],
)
def test_an_id_leads_to_one_contact(rows: Any, id: str) -> None:
    """An id that two rows have is refused by name."""
    error = refusal(*rows)

    assert (error.field, error.value) == ("id", id)
    words = f"id: {id!r} is a duplicate contact id; keep one of the rows"
    assert (str(error), error.row) == (words, len(rows) - 1)


def test_the_index_is_as_it_was_before_the_row_that_is_refused() -> None:
    """Rows are taken one by one, and looking at one changes nothing."""
    index = ContactIndex(["email", "phone"])
    with pytest.raises(InvalidRows):
        load_rows(index, POLICY, [ADA, row("c-2", email="a@x")])

    assert [each.id for each in index] == ["c-1"]
    ada = Contact.from_dict(row("c-9", email="z@x"))
    assert admitted_forms(POLICY, index, ada) == (("z@x",), ())
    assert "c-9" not in index
    index.check()


class TestOrder:
    """Rows are loaded by creation, whatever order they come in."""

    TIES = Policy(first_match("phone"), LINES, on_ambiguous="oldest")

    def book(self) -> ContactBook:
        """Make a book whose contacts share a phone, and whose clock goes back."""
        ids, hours = iter("dacb"), iter((3, 1, 2, 2))
        made = ContactBook(
            self.TIES,
            ids=lambda: next(ids),
            clock=lambda: NOW + timedelta(hours=next(hours)),
        )
        for number in range(4):
            made.create({"phone": "+15550001", "email": f"{number}@x"})
        return made

    def test_a_row_of_a_dump_has_its_place(self) -> None:
        """Places count from 0 by creation, and loading gives them anew."""
        made = self.book()
        rows = made.dump()

        assert [(each["place"], each["id"]) for each in rows] == [*enumerate("dacb")]
        assert rows == [*rows_of(made)]
        left = ContactBook.load(self.TIES, rows[1:]).dump()
        assert [(each["place"], each["id"]) for each in left] == [*enumerate("acb")]

    def test_places_decide_whatever_the_order_of_the_rows(self) -> None:
        """Nor does the time of creation matter, where rows have a place."""
        rows = self.book().dump()
        for some in permutations(rows):
            loaded = load(*json.loads(json.dumps(some)), policy=self.TIES)
            assert loaded.dump() == rows
            assert loaded.upsert({"phone": "+15550001"}).contact.id == "d"

    def test_rows_without_a_place_are_loaded_by_created_at(self) -> None:
        """Of equal times, in the order given; offsets from UTC count."""
        rows = [each.to_dict() for each in self.book()]
        assert [each.id for each in load(*rows)] == ["a", "c", "b", "d"]
        assert [each.id for each in load(*rows[::-1])] == ["a", "b", "c", "d"]
        early = datetime(2024, 1, 2, 1, 30, tzinfo=timezone(timedelta(hours=2)))
        rows[3]["created_at"] = early.isoformat()
        assert [each.id for each in load(*rows)] == ["b", "a", "c", "d"]

    def test_of_equal_places_the_time_of_creation_decides(self) -> None:
        """Rows of two dumps can be loaded into one book."""
        first, second = row("c-1", email="a@x"), row("c-2", email="b@x", scope="s")
        first["created_at"] = (NOW + timedelta(hours=1)).isoformat()
        rows = [{"place": 0, **first}, {"place": 0, **second}]

        assert [each.id for each in load(*rows)] == ["c-2", "c-1"]

    def test_the_holder_of_a_key_is_the_contact_created_first(self) -> None:
        """Of two rows with one key the later contact is refused, not the later row."""
        later, first = row("c-1", email="a@x"), row("c-2", email="A@x")
        first["created_at"] = (NOW - timedelta(hours=1)).isoformat()
        error = refusal(later, first)

        assert (error.row, error.holder) == (0, "c-2")

    @pytest.mark.parametrize("place", [-1, True, 1.0, "1", None, []])
    def test_a_place_is_a_number_from_0(self, place: Any) -> None:
        """Anything else is refused by name."""
        error = refusal({"place": place, **ADA})

        assert str(error) == f"place: must be a whole number from 0, not {place!r}"

    def test_all_rows_have_a_place_or_none_has(self) -> None:
        """There is no order between those that have one and the others."""
        one, two, three = (row(f"c-{n}", email=f"{n}@x") for n in range(3))
        errors = refusals(one, {"place": 7, **two}, three)

        assert [each.row for each in errors] == [0, 2]
        words = "place: must not be missing; give every row its place, or none of them"
        assert {str(each) for each in errors} == {words}


class TestReport:
    """Every row that cannot be loaded is reported."""

    BAD = (
        ADA,
        {"id": "c-2", "email": "b@x"},
        row("c-3", email="a@x"),
        row("c-1", email="c@x"),
        row("c-4", city="Oslo"),
        row("c-5", email="d@x"),
        "c-6",
        row("c-7", email="D@x"),
        {**row("c-8"), "version": 0},
    )

    def test_each_conflict_names_its_row(self) -> None:
        """Whatever is wrong with it; the rest of the rows is checked all the same."""
        errors = refusals(*self.BAD)

        assert [(each.row, type(each).__name__) for each in errors] == [
            (1, "InvalidField"),
            (2, "KeyInUse"),
            (3, "InvalidField"),
            (4, "UnknownField"),
            (6, "InvalidField"),
            (7, "KeyInUse"),
            (8, "InvalidField"),
        ]
        assert all(each.__notes__ == [f"row {each.row}"] for each in errors)

    def test_the_message_names_the_first_rows_and_counts_them(self) -> None:
        """Five of them; all are in the error, which pickles."""
        with pytest.raises(InvalidRows) as caught:
            load(*self.BAD)
        error = caught.value
        first, *lines, last = str(error).splitlines()

        assert first == "rows: 7 of 9 cannot be loaded; correct or remove"
        assert lines == [f"  row {each.row}: {each}" for each in error.refusals[:5]]
        assert last == "  and 2 more, in refusals of this error"
        assert error.row == 1
        twin = pickle.loads(pickle.dumps(error))  # noqa: S301
        assert str(twin) == str(error)
        assert [each.row for each in twin.refusals] == [1, 2, 3, 4, 6, 7, 8]

    def test_a_row_of_another_table_is_refused_with_an_example(self) -> None:
        """Fields beside the id, or parts that are missing; the example is a row."""
        for bad, words in (
            ({"id": "c-2", "email": "b@x"}, 'email: must not be outside "fields"'),
            ({7: 1}, '7: must not be outside "fields"'),
            ({"\x1b": 1}, r"'\x1b': must not be outside"),
            ({"id": "c-2"}, "scope: must not be missing"),
            ({"id": "c-2", "scope": "", "fields": {}}, "version: must not be missing"),
        ):
            text = str(refusal(bad))
            assert text.startswith(words)
            example = text.partition("; a row is ")[2]
            assert len(load(json.loads(example))) == 1

    def test_a_contact_is_no_row(self) -> None:
        """A book is iterable too, and its contacts are not rows."""
        text = str(refusal(*load(ADA)))

        assert text.startswith("contact: must be a mapping, not Contact(")
        assert text.endswith(
            "; pass rows as book.dump() and contact.to_dict() return them"
        )

    @pytest.mark.parametrize("rows", [ADA, "c-1", b"c", None, 7])
    def test_rows_are_several(self, rows: Any) -> None:
        """One row is a mapping, which is no list of rows."""
        with pytest.raises(TypeError, match="rows: must be a list of mappings"):
            ContactBook.load(POLICY, rows)

    def test_a_function_that_raises_is_named_by_its_row(self) -> None:
        """What a normaliser raises ends loading, with a note."""

        def fail(value: Any) -> str:
            if value == "boom":
                raise ArithmeticError(value)
            return str(value)

        policy = Policy(first_match("email"), {**LINES, "email": field(key=fail)})
        rows = [row("c-1", email="a"), row("c-2", email="boom"), row("c-3", email="b")]
        with pytest.raises(ArithmeticError) as caught:
            load(*rows, policy=policy)

        assert caught.value.__notes__[-1] == "row 1"

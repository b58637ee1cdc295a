"""Loading of rows, with their aliases, merged ids and places."""

from __future__ import annotations

import json
import pickle
from collections import defaultdict
from datetime import UTC, datetime, timedelta, timezone
from itertools import permutations
from types import MappingProxyType
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
from upsertcore.book.loading import load_rows, rows_of
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
    """Make a row as a dump has it."""
    contact_row = Contact(id, scope, fields, 1, NOW, NOW).to_dict()
    return {**contact_row, **(history or {})}


def load(*rows: Any, policy: Policy = POLICY) -> ContactBook:
    """Load rows, and check the index."""
    book = ContactBook.load(policy, rows)
    book._index.check()
    return book


def refusals(*rows: Any, policy: Policy = POLICY) -> Any:
    """Load rows of which some are refused; return the refusals."""
    with pytest.raises(InvalidRows) as caught:
        load(*rows, policy=policy)
    assert caught.value.count == len(rows)
    return caught.value.refusals


def refusal(*rows: Any, policy: Policy = POLICY) -> Any:
    """Load rows of which one is refused; return the refusal."""
    (error,) = refusals(*rows, policy=policy)
    return error


ADA = row("c-1", email="a@x", history={"aliases": {"email": ["old@x"]}})


def test_alias_of_a_row_finds_its_contact() -> None:
    """The index holds it as in the dumped book."""
    book = load(ADA)

    assert book.find("email", "OLD@x") == (book.get("c-1"),)
    assert book._index.get_with_forms("c-1")[1] == (("a@x", "old@x"), ())
    assert book.upsert({"email": "old@x"}).contact.aliases == {"email": ("a@x",)}


def test_alias_equal_to_a_form_of_the_fields_is_held_once() -> None:
    loaded_row = row(
        "c-1", email="a@x", history={"aliases": {"email": ["a@x", "old@x"]}}
    )

    assert load(loaded_row)._index.get_with_forms("c-1")[1] == (("a@x", "old@x"), ())


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
def test_unique_key_of_two_rows_is_refused(rows: Any, field: str, value: str) -> None:
    """As a field or as an alias; the refusal shows the value."""
    error = refusal(*rows)

    assert isinstance(error, KeyInUse)
    assert (field, value) == (error.field, error.value)
    assert (error.holder, error.row) == (rows[0]["id"], 1)


def test_value_without_a_form_is_loaded_as_no_key() -> None:
    book = load(row("c-1", email="not an email"), row("c-2", email="not an email"))

    assert book.find("email", "not an email") == ()
    assert book.dump() == load(*book.dump()).dump()


def test_rows_may_be_other_mappings_than_dicts() -> None:
    """Their fields as well; a default of the mapping is not a part of the row."""
    whole = {**ADA, "fields": MappingProxyType(ADA["fields"])}
    assert load(MappingProxyType(whole)).dump() == load(ADA).dump()

    incomplete = defaultdict(str, {"id": "c-1"})
    assert str(refusal(incomplete)).startswith("scope: must not be missing")
    assert incomplete == {"id": "c-1"}


def test_alias_is_unique_within_its_scope_only() -> None:
    other = row("c-2", scope="s", email="old@x")

    assert len(load(ADA, other)) == 2


def test_alias_of_two_rows_is_loaded_under_allow() -> None:
    policy = Policy(merge_all("email"), LINES, on_key_in_use="allow")
    book = load(ADA, row("c-2", email="old@x"), policy=policy)

    assert [contact.id for contact in book.find("email", "old@x")] == ["c-1", "c-2"]


def test_alias_of_an_unknown_key_is_refused() -> None:
    with_alias = row("c-1", email="a@x", history={"aliases": {"name": ["ada"]}})
    error = refusal(with_alias)

    assert isinstance(error, InvalidField)
    assert (error.field, error.value) == ("aliases", "name")
    words = (
        "aliases: must be of a key of the policy, not 'name'; its keys: email, phone"
    )
    assert str(error) == words


def test_aliases_stay_under_a_policy_without_keep_aliases() -> None:
    policy = Policy(first_match("email"), {**LINES, "email": field(key=str)})
    outcome = load(ADA, policy=policy).upsert({"email": "a@x", "name": "Ada"})

    assert outcome.contact.aliases == {"email": ("old@x",)}


def test_composite_key_is_computed_from_the_fields() -> None:
    """Under the keys of the new policy."""
    person = key("email", "name", normalize=normalize.text, unique=True)
    policy = Policy(first_match("p"), LINES, keys={"p": person})
    book = load(row("c-1", email="a@x", name="Ada"), policy=policy)
    assert book.find("p", {"email": "A@x", "name": "ADA"}) == (book.get("c-1"),)

    lines = {name: field() for name in ("email", "name")}
    policy = Policy(first_match("p"), lines, keys={"p": person})
    rows = [row(f"c-{n}", email="a@x", name="Ada") for n in (1, 2)]
    error = refusal(*rows, policy=policy)
    assert isinstance(error, KeyInUse)
    assert (error.field, error.value) == ("p", {"email": "a@x", "name": "Ada"})


def test_blocked_value_of_two_rows_is_loaded() -> None:
    policy = Policy(first_match("email"), blocking(LINES, {"email": ("noreply@*",)}))
    book = load(*(row(f"c-{n}", email="noreply@x") for n in (1, 2)), policy=policy)

    assert book.find("email", "noreply@x") == ()


def test_clock_of_an_unknown_field_is_refused() -> None:
    load(row("c-1", email="a@x", history={"clocks": {"name": 7}}))
    error = refusal(row("c-1", email="a@x", history={"clocks": {"city": 7}}))
    assert isinstance(error, UnknownField)
    assert error.field == "city"


def test_merged_ids_of_a_row_lead_to_its_contact() -> None:
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
    ids=["id, id", "id, merged", "merged, id", "merged twice", "own id"],
)
def test_id_of_two_rows_is_refused(rows: Any, id: str) -> None:
    """As their own id or as a merged one."""
    error = refusal(*rows)

    assert (error.field, error.value) == ("id", id)
    words = f"id: {id!r} is a duplicate contact id; keep one of the rows"
    assert (str(error), error.row) == (words, len(rows) - 1)


def test_refused_row_leaves_the_index_unchanged() -> None:
    index = ContactIndex(["email", "phone"])
    with pytest.raises(InvalidRows):
        load_rows(index, POLICY, [ADA, row("c-2", email="a@x")])

    assert [contact.id for contact in index] == ["c-1"]
    index.check()


class TestOrder:
    """Rows are loaded in the order of creation, given in any order."""

    TIES = Policy(first_match("phone"), LINES, on_ambiguous="oldest")

    def make_book(self) -> ContactBook:
        """Make a book of four contacts of one phone; its clock is not monotonic."""
        ids, hours = iter("dacb"), iter((3, 1, 2, 2))
        book = ContactBook(
            self.TIES,
            ids=lambda: next(ids),
            clock=lambda: NOW + timedelta(hours=next(hours)),
        )
        for number in range(4):
            book.create({"phone": "+15550001", "email": f"{number}@x"})
        return book

    def test_row_of_a_dump_has_its_place(self) -> None:
        """Places count from 0; loading numbers them again."""
        book = self.make_book()
        rows = book.dump()

        assert [(loaded_row["place"], loaded_row["id"]) for loaded_row in rows] == [
            *enumerate("dacb")
        ]
        assert rows == [*rows_of(book)]
        loaded_rows = ContactBook.load(self.TIES, rows[1:]).dump()
        assert [
            (loaded_row["place"], loaded_row["id"]) for loaded_row in loaded_rows
        ] == [*enumerate("acb")]

    def test_places_decide_the_order_of_loading(self) -> None:
        """Neither the order of the rows nor ``created_at`` matters."""
        rows = self.make_book().dump()
        for shuffled_rows in permutations(rows):
            loaded_book = load(*json.loads(json.dumps(shuffled_rows)), policy=self.TIES)
            assert loaded_book.dump() == rows
            assert loaded_book.upsert({"phone": "+15550001"}).contact.id == "d"

    def test_rows_without_a_place_are_loaded_by_created_at(self) -> None:
        """Of equal times, in the order given; offsets from UTC are considered."""
        rows = [contact.to_dict() for contact in self.make_book()]
        assert [contact.id for contact in load(*rows)] == ["a", "c", "b", "d"]
        assert [contact.id for contact in load(*rows[::-1])] == ["a", "b", "c", "d"]
        earlier_time = datetime(2024, 1, 2, 1, 30, tzinfo=timezone(timedelta(hours=2)))
        rows[3]["created_at"] = earlier_time.isoformat()
        assert [contact.id for contact in load(*rows)] == ["b", "a", "c", "d"]

    def test_created_at_decides_between_equal_places(self) -> None:
        """Rows of two dumps can be loaded into one book."""
        first, second = row("c-1", email="a@x"), row("c-2", email="b@x", scope="s")
        first["created_at"] = (NOW + timedelta(hours=1)).isoformat()
        rows = [{"place": 0, **first}, {"place": 0, **second}]

        assert [contact.id for contact in load(*rows)] == ["c-2", "c-1"]

    def test_unique_key_belongs_to_the_contact_created_first(self) -> None:
        """The later contact is refused, not the later row."""
        younger, older = row("c-1", email="a@x"), row("c-2", email="A@x")
        older["created_at"] = (NOW - timedelta(hours=1)).isoformat()
        error = refusal(younger, older)

        assert (error.row, error.holder) == (0, "c-2")

    @pytest.mark.parametrize("place", [-1, True, 1.0, "1", None, []])
    def test_place_that_is_no_number_from_0_is_refused(self, place: Any) -> None:
        error = refusal({"place": place, **ADA})

        assert str(error) == f"place: must be a whole number from 0, not {place!r}"

    def test_missing_place_beside_a_given_one_is_refused(self) -> None:
        first, second, third = (row(f"c-{n}", email=f"{n}@x") for n in range(3))
        errors = refusals(first, {"place": 7, **second}, third)

        assert [error.row for error in errors] == [0, 2]
        words = "place: must not be missing; give every row its place, or none of them"
        assert {str(error) for error in errors} == {words}


class TestReport:
    """All rows that cannot be loaded are reported."""

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

    def test_every_invalid_row_is_reported_by_number(self) -> None:
        errors = refusals(*self.BAD)

        assert [(error.row, type(error).__name__) for error in errors] == [
            (1, "InvalidField"),
            (2, "KeyInUse"),
            (3, "InvalidField"),
            (4, "UnknownField"),
            (6, "InvalidField"),
            (7, "KeyInUse"),
            (8, "InvalidField"),
        ]
        assert all(error.__notes__ == [f"row {error.row}"] for error in errors)

    def test_message_shows_the_first_five_refusals_and_the_count(self) -> None:
        """The error has all of them, and pickles."""
        with pytest.raises(InvalidRows) as caught:
            load(*self.BAD)
        error = caught.value
        first, *lines, last = str(error).splitlines()

        assert first == "rows: 7 of 9 cannot be loaded; correct or remove"
        assert lines == [
            f"  row {refusal.row}: {refusal}" for refusal in error.refusals[:5]
        ]
        assert last == "  and 2 more, in refusals of this error"
        assert error.row == 1
        error_copy = pickle.loads(pickle.dumps(error))  # noqa: S301
        assert str(error_copy) == str(error)
        assert [refusal.row for refusal in error_copy.refusals] == [1, 2, 3, 4, 6, 7, 8]

    def test_row_of_another_form_is_refused_with_an_example(self) -> None:
        """The example can be loaded."""
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

    def test_contact_instead_of_a_row_is_refused(self) -> None:
        """A book is iterable, but over contacts."""
        text = str(refusal(*load(ADA)))

        assert text.startswith("contact: must be a mapping, not Contact(")
        assert text.endswith(
            "; pass rows as book.dump() and contact.to_dict() return them"
        )

    @pytest.mark.parametrize("rows", [ADA, "c-1", b"c", None, 7])
    def test_rows_that_are_no_list_are_refused(self, rows: Any) -> None:
        with pytest.raises(TypeError, match="rows: must be a list of mappings"):
            ContactBook.load(POLICY, rows)

    def test_exception_of_a_normaliser_has_its_row(self) -> None:
        """The exception ends loading."""

        def fail(value: Any) -> str:
            if value == "boom":
                raise ArithmeticError(value)
            return str(value)

        policy = Policy(first_match("email"), {**LINES, "email": field(key=fail)})
        rows = [row("c-1", email="a"), row("c-2", email="boom"), row("c-3", email="b")]
        with pytest.raises(ArithmeticError) as caught:
            load(*rows, policy=policy)

        assert caught.value.__notes__[-1] == "row 1"

"""Loading: each row is looked at, with its aliases and the ids that lead to it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from upsertcore import (
    Contact,
    ContactBook,
    ContactIndex,
    Policy,
    field,
    first_match,
    key,
    merge_all,
    normalize,
)
from upsertcore.errors import InvalidField, KeyInUse, UnknownField
from upsertcore.loading import admit, fill

NOW = datetime(2024, 1, 2, tzinfo=UTC)
LINES = {
    "email": field(key=normalize.email, unique=True, remember=True),
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


ADA = row("c-1", email="a@x", history={"aliases": {"email": ["old@x"]}})


def test_an_alias_finds_and_is_held() -> None:
    """What a row remembers counts as it did in the book that dumped it."""
    book = load(ADA)

    assert book.find("email", "OLD@x") == (book.get("c-1"),)
    assert book._index.found("c-1")[1] == (("a@x", "old@x"), ())
    assert book.upsert({"email": "old@x"}).contact.aliases == {"email": ("a@x",)}


def test_an_alias_that_is_a_form_of_the_fields_is_held_once() -> None:
    """A row may say so twice; the index does not."""
    twice = row("c-1", email="a@x", history={"aliases": {"email": ["a@x", "old@x"]}})

    assert load(twice)._index.found("c-1")[1] == (("a@x", "old@x"), ())


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
    with pytest.raises(KeyInUse) as caught:
        load(*rows)

    assert (field, value) == (caught.value.field, caught.value.value)
    assert caught.value.holder == rows[0]["id"]


def test_other_scopes_hold_what_they_like() -> None:
    """Unique is within a scope, for aliases too."""
    other = row("c-2", scope="s", email="old@x")

    assert len(load(ADA, other)) == 2


def test_clashes_that_are_allowed() -> None:
    """A policy that allows them loads aliases that two contacts hold."""
    policy = Policy(merge_all("email"), LINES, on_clash="allow")
    book = load(ADA, row("c-2", email="old@x"), policy=policy)

    assert [each.id for each in book.find("email", "old@x")] == ["c-1", "c-2"]


def test_aliases_need_their_key() -> None:
    """A key that the policy lacks cannot be held, so it is refused by name."""
    former = row("c-1", email="a@x", history={"aliases": {"name": ["ada"]}})
    with pytest.raises(InvalidField) as caught:
        load(former)

    assert (caught.value.field, caught.value.value) == ("aliases", "name")
    assert "must be of a key, one of email, phone" in str(caught.value)


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
    with pytest.raises(KeyInUse) as caught:
        load(*rows, policy=policy)
    assert (caught.value.field, caught.value.value) == (
        "p",
        {"email": "a@x", "name": "Ada"},
    )


def test_blocked_forms_are_no_keys_of_a_row() -> None:
    """Two rows may hold what identifies nobody."""
    policy = Policy(first_match("email"), LINES, blocked={"email": ("noreply@*",)})
    book = load(*(row(f"c-{n}", email="noreply@x") for n in (1, 2)), policy=policy)

    assert book.find("email", "noreply@x") == ()


def test_a_clock_is_of_a_field() -> None:
    """A clock of a field that the policy does not know is refused as the field is."""
    load(row("c-1", email="a@x", history={"clocks": {"name": 7}}))
    with pytest.raises(UnknownField, match="'city'"):
        load(row("c-1", email="a@x", history={"clocks": {"city": 7}}))


def test_ids_of_absorbed_contacts_lead_to_the_survivor() -> None:
    """Rows bring them along, and they stay theirs."""
    book = load(ADA, row("c-2", phone="+15550001", history={"absorbed": ["c-3"]}))

    assert book.get("c-3") == book.get("c-2")
    assert "c-3" in book
    assert len(book) == 2
    assert book.dump() == load(*book.dump()).dump()


@pytest.mark.parametrize(
    ("rows", "id"),
    [
        ((row("c-1"), row("c-1")), "c-1"),
        ((row("c-1"), row("c-2", history={"absorbed": ["c-1"]})), "c-1"),
        ((row("c-2", history={"absorbed": ["c-1"]}), row("c-1")), "c-1"),
        (
            (
                row("c-2", history={"absorbed": ["c-1"]}),
                row("c-3", history={"absorbed": ["c-1"]}),
            ),
            "c-1",
        ),
        ((row("c-1", history={"absorbed": ["c-1"]}),), "c-1"),
    ],
    ids=["id, id", "id, absorbed", "absorbed, id", "absorbed twice", "itself"],
)
def test_an_id_leads_to_one_contact(rows: Any, id: str) -> None:
    """One that stands in two places is refused by name."""
    with pytest.raises(InvalidField, match="id: must stand in one row alone") as caught:
        load(*rows)

    assert id == caught.value.value


def test_the_index_is_as_it_was_before_the_row_that_is_refused() -> None:
    """Rows are taken one by one, and looking at one changes nothing."""
    index = ContactIndex(["email", "phone"])
    with pytest.raises(KeyInUse):
        fill(index, POLICY, [ADA, row("c-2", email="a@x")])

    assert [each.id for each in index] == ["c-1"]
    ada = Contact.from_dict(row("c-9", email="z@x"))
    assert admit(POLICY, index, ada) == (("z@x",), ())
    assert "c-9" not in index
    index.check()

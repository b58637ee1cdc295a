"""Unique keys: conflicts with other contacts, and the withheld values."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.books import ADA, ID, PARTS, make_book
from tests.field_options import merging
from upsertcore import (
    ContactBook,
    Policy,
    Withheld,
    field,
    first_match,
    first_present,
    key,
    merge_all,
    normalize,
)
from upsertcore.engine.uniqueness import KeyHoldings
from upsertcore.errors import InvalidField, KeyInUse
from upsertcore.rules import ignore, union
from upsertcore.values import NOTHING

PERSON = key("first", "last", normalize=normalize.text, unique=True)
MAIL = key("main", "more", normalize=normalize.email, any_of=True, unique=True)


def book_of_several(*patches: dict[str, Any], **options: Any) -> ContactBook:
    """Make a book with a unique composite and a unique key of each of two fields."""
    lines = {"id": ID, **PARTS, **options.pop("lines", {})}
    keys = {"person": PERSON, "mail": MAIL}
    return make_book(Policy(first_match("id"), lines, keys=keys, **options), *patches)


def appending_book(*patches: dict[str, Any], refuse: bool = False) -> ContactBook:
    """Make a book with a unique key of a primary and the list it is appended to."""
    mail = key(
        *("main", "more"),
        normalize=normalize.email,
        any_of=True,
        append_new=True,
        unique=True,
    )
    policy = Policy(
        first_match("id"),
        {"id": ID, **PARTS},
        keys={"mail": mail},
        on_key_in_use="refuse" if refuse else "withhold",
    )
    return make_book(policy, *patches)


BOB: dict[str, Any] = {"id": 2, "first": "Bob", "last": "King", "more": ["b@x"]}


class TestComposite:
    """A unique key of several fields that another contact holds."""

    def test_composite_in_use_under_refuse_names_the_key(self) -> None:
        """The refusal shows the sent parts and no stored one."""
        book = book_of_several(ADA, BOB)
        before = book.dump()
        with pytest.raises(KeyInUse) as caught:
            book.upsert({"id": 2, "first": "ADA"})

        assert (caught.value.field, caught.value.holder) == ("person", "1")
        assert caught.value.value == {"first": "ADA"}
        assert "person: {'first': 'ADA'} is held by contact 1;" in str(caught.value)
        assert book.dump() == before

    def test_composite_in_use_under_withhold_keeps_the_moved_parts(self) -> None:
        """Other fields of the patch are stored."""
        book = book_of_several(ADA, BOB, on_key_in_use="withhold")
        sent = {"id": 2, "first": "ADA", "last": "KING", "city": "Oslo"}
        outcome = book.upsert(sent)

        assert outcome.withheld == (
            Withheld("first", "ADA", "1", "person"),
            Withheld("last", "KING", "1", "person"),
        )
        assert outcome.contact.fields == {**BOB, "more": ("b@x",), "city": "Oslo"}
        assert book.upsert(sent).unchanged
        one = book.upsert({"id": 2, "first": "Ada"})
        assert one.withheld == (Withheld("first", "Ada", "1", "person"),)

    def test_part_of_a_composite_is_not_unique(self) -> None:
        book = book_of_several(ADA)

        assert book.upsert({"id": 3, "first": "Ada", "last": "Byron"}).created
        assert book.upsert({"id": 4, "first": "Ada"}).created

    def test_new_contact_under_withhold_lacks_all_parts(self) -> None:
        """A contact that requires a part is refused."""
        book = book_of_several(ADA, on_key_in_use="withhold")
        outcome = book.upsert({"id": 3, "first": "Ada", "last": "King"})
        assert [item.field for item in outcome.withheld] == ["first", "last"]
        assert outcome.contact.fields == {"id": 3}

        lines = {"last": field(required=True)}
        book = book_of_several(ADA, on_key_in_use="withhold", lines=lines)
        with pytest.raises(KeyInUse) as caught:
            book.upsert({"id": 3, "first": "Ada", "last": "King"})
        assert caught.value.field == "person"

    def test_composite_in_use_under_allow_is_stored(self) -> None:
        """The holder is named among the contacts that also matched."""
        book = book_of_several(ADA, BOB, on_key_in_use="allow")
        outcome = book.upsert({"id": 2, "first": "Ada"})

        assert (outcome.contact["first"], outcome.also_matched) == ("Ada", ("1",))
        assert len(book.find("person", {"first": "ada", "last": "king"})) == 2

    def test_withheld_field_has_its_former_forms_in_all_keys(self) -> None:
        """A field may be part of two keys."""
        lines = {"id": ID, "first": field(key=normalize.text), "last": field()}
        keys = {"person": PERSON}
        policy = Policy(first_match("id"), lines, keys=keys, on_key_in_use="withhold")
        book = make_book(
            policy, {"id": 1, "first": "A", "last": "K"}, {"id": 2, "last": "K"}
        )
        book.upsert({"id": 2, "first": "A"})

        assert [item.id for item in book.find("first", "A")] == ["1"]
        book._index.check()

    def test_conflicts_are_handled_in_key_order(self) -> None:
        """Withholding for the first key may settle the next one."""
        book = book_of_several(ADA, BOB, on_key_in_use="withhold")
        sent = {"id": 2, "main": "a@x", "last": "King", "first": "Ada"}
        outcome = book.upsert(sent)

        fields = [(item.field, item.holder) for item in outcome.withheld]
        assert fields == [("first", "1"), ("main", "1")]
        book._index.check()


class TestAnyOf:
    """A unique key of each of several fields that another contact holds."""

    @pytest.mark.parametrize(
        ("sent", "expected"),
        [
            ({"main": "b@x"}, ("main", "b@x", "2")),
            ({"more": ["b@x"]}, ("more", ("b@x",), "2")),
            ({"main": "c@x", "more": ["d@x", "B@x"]}, ("more", ("d@x", "B@x"), "2")),
            ({"more": ["b@x"], "main": "B@x"}, ("more", ("b@x",), "2")),
        ],
        ids=map(str, range(4)),
    )
    def test_form_in_use_under_refuse_names_the_first_field(
        self, sent: Any, expected: Any
    ) -> None:
        """The fields are in the order of the key; the sent value is shown."""
        book = book_of_several(ADA, BOB)
        with pytest.raises(KeyInUse) as caught:
            book.upsert({"id": 1, **sent})

        assert expected == (caught.value.field, caught.value.value, caught.value.holder)

    def test_new_contact_with_form_in_use_names_the_first_field(self) -> None:
        with pytest.raises(KeyInUse) as caught:
            book_of_several(ADA, BOB).create({"id": 9, "more": ["b@x"], "main": "B@x"})

        assert (caught.value.field, caught.value.value) == ("main", "B@x")

    def test_form_in_use_under_withhold_keeps_its_field_only(self) -> None:
        """Another field of the key is stored."""
        book = book_of_several(ADA, BOB, on_key_in_use="withhold")
        sent = {"id": 1, "main": "c@x", "more": ["b@x", "d@x"]}
        outcome = book.upsert(sent)

        assert outcome.withheld == (Withheld("more", ("b@x", "d@x"), "2", "mail"),)
        assert outcome.contact["main"] == "c@x"
        assert "more" not in outcome.contact
        assert book.upsert(sent).unchanged

    def test_two_fields_in_use_name_their_holders(self) -> None:
        book = book_of_several(
            ADA, BOB, {"id": 3, "main": "c@x"}, on_key_in_use="withhold"
        )
        outcome = book.upsert({"id": 1, "main": "c@x", "more": ["b@x"]})

        assert outcome.withheld == (
            Withheld("main", "c@x", "3", "mail"),
            Withheld("more", ("b@x",), "2", "mail"),
        )
        assert outcome.unchanged

    def test_primary_in_use_is_not_appended(self) -> None:
        """It is withheld as it was sent."""
        book = appending_book({**ADA, "more": ["n@x"]}, {"id": 2, "main": "b@x"})
        outcome = book.upsert({"id": 1, "main": "b@x"})

        assert outcome.withheld == (Withheld("main", "b@x", "2", "mail"),)
        assert outcome.ignored == {}
        assert outcome.contact is book.get("1")

    @pytest.mark.parametrize(
        ("sent", "withheld", "more"),
        [
            (
                {"main": "b@x", "more": ["f@x"]},
                [Withheld("main", "b@x", "2", "mail")],
                ("f@x",),
            ),
            (
                {"main": "f@x", "more": ["d@x"]},
                [Withheld("more", ("d@x",), "3", "mail")],
                ("n@x", "f@x"),
            ),
            (
                {"main": "b@x", "more": ["f@x", "d@x"]},
                [
                    Withheld("main", "b@x", "2", "mail"),
                    Withheld("more", ("f@x", "d@x"), "3", "mail"),
                ],
                ("n@x",),
            ),
            (
                {"main": "d@x", "more": ["D@x"]},
                [
                    Withheld("more", ("D@x",), "3", "mail"),
                    Withheld("main", "d@x", "3", "mail"),
                ],
                ("n@x",),
            ),
        ],
        ids=["free list", "free primary", "both", "the same"],
    )
    def test_primary_and_list_are_withheld_one_by_one(
        self, sent: Any, withheld: Any, more: Any
    ) -> None:
        """A value that is free is stored."""
        book = appending_book(
            {**ADA, "more": ["n@x"]}, {"id": 2, "main": "b@x"}, {"id": 3, "main": "d@x"}
        )
        outcome = book.upsert({"id": 1, **sent})

        assert [*outcome.withheld] == withheld
        assert (outcome.contact["main"], outcome.contact["more"]) == ("a@x", more)
        assert book.upsert({"id": 1, **sent}).unchanged
        book._index.check()

    def test_primary_in_use_under_refuse_is_named(self) -> None:
        """The refusal names the sent field, not the list."""
        book = appending_book(
            {**ADA, "more": ["n@x"]}, {"id": 2, "main": "b@x"}, refuse=True
        )
        with pytest.raises(KeyInUse) as caught:
            book.upsert({"id": 1, "main": "b@x"})

        error = caught.value
        assert (error.field, error.value, error.holder) == ("main", "b@x", "2")

    def test_own_form_may_move_to_another_field(self) -> None:
        book = book_of_several(ADA, BOB)
        outcome = book.upsert({"id": 2, "main": "b@x", "more": ["b@x"]})

        assert outcome.contact["main"] == "b@x"

    def test_form_in_use_that_no_moved_field_has_is_refused(self) -> None:
        """That happens if the index of a host lacks keys of a new policy."""
        book = book_of_several(ADA, BOB)
        book._index.put(book.get("1"), [["1"], ["ada|king"], []])
        book._index.put(book.get("2"), [["2"], ["bob|king"], ["b@x", "a@x"]])
        with pytest.raises(KeyInUse) as caught:
            book.upsert({"id": 1, "more": ["c@x"]})

        assert (caught.value.field, caught.value.holder) == ("main", "2")
        words = "main: would make a key that contact 2 holds; merge the contacts"
        assert str(caught.value).startswith(words)


class TestMerge:
    """Unique keys of contacts that are merged."""

    def policy(self, *, keep_aliases: bool, **options: Any) -> Policy:
        """Make a policy that merges by email and device."""
        email = field(key=normalize.email, unique=True, keep_aliases=keep_aliases)
        lines = {
            "email": email,
            "device": field(key=normalize.exact, unique=True, keep_aliases=True),
            "city": field(),
            **options.pop("lines", {}),
        }
        lines = merging(lines, options.pop("merging", {}))
        return Policy(merge_all("email", "device"), lines, **options)

    SENT: dict[str, Any] = {"email": "a@x", "device": 2}  # noqa: RUF012

    def test_survivor_has_the_aliases_of_the_absorbed(self) -> None:
        """In the order in which they were held."""
        book = make_book(
            self.policy(keep_aliases=True),
            {"email": "a@x"},
            {"email": "b@x", "device": 2},
        )
        book.upsert({"device": 2, "email": "c@x"})
        outcome = book.upsert(self.SENT)

        assert outcome.contact.fields == {"email": "a@x", "device": 2}
        assert outcome.contact.aliases == {"email": ("c@x", "b@x")}
        assert book.find("email", "b@x") == (outcome.contact,)
        assert book.upsert({"email": "b@x"}).contact.id == "1"
        book._index.check()

    def test_merge_without_keep_aliases_keeps_earlier_aliases_only(self) -> None:
        """Forms of the absorbed contact are free again."""
        book = make_book(
            self.policy(keep_aliases=False),
            {"email": "a@x"},
            {"email": "b@x", "device": 2},
        )
        rows = book.dump()
        rows[0]["aliases"], rows[1]["aliases"] = (
            {"email": ["x@x"]},
            {"email": ["y@x", "x2@x"]},
        )
        book = ContactBook.load(book.policy, rows)
        outcome = book.upsert(self.SENT)

        assert outcome.contact.aliases == {"email": ("x@x", "y@x", "x2@x")}
        assert book.find("email", "b@x") == ()
        assert book.create({"email": "b@x"}).created

    def test_forms_of_the_absorbed_are_free_for_the_survivor(self) -> None:
        book = make_book(
            self.policy(keep_aliases=False),
            {"email": "a@x"},
            {"email": "b@x", "device": 2},
        )
        rule = {"email": field(key=normalize.email, unique=True, rule=union)}
        policy = self.policy(keep_aliases=False, lines=rule, merging={"email": union})
        rows = book.dump()
        for row in rows:
            row["fields"]["email"] = [row["fields"]["email"]]
        book = ContactBook.load(policy, rows)
        outcome = book.upsert({"email": ["a@x"], "device": 2})

        assert outcome.contact["email"] == ("a@x", "b@x")
        assert book._index.get_with_forms("1")[1] == (("a@x", "b@x"), ("2",))

    def test_sent_value_in_use_is_withheld_in_a_merge(self) -> None:
        """Values of the absorbed contact are not withheld."""
        book = make_book(
            self.policy(keep_aliases=True, on_key_in_use="withhold"),
            {"email": "a@x", "device": 1},
            {"email": "b@x", "device": 2},
        )
        phone = {"phone": field(key=normalize.phone, unique=True)}
        policy = self.policy(keep_aliases=True, on_key_in_use="withhold", lines=phone)
        book = ContactBook.load(policy, book.dump())
        book.create({"email": "z@x", "phone": "+15550003"})
        outcome = book.upsert({**self.SENT, "phone": "+15550003"})

        assert (outcome.result, outcome.contact.id) == ("merged", "1")
        assert [item.field for item in outcome.withheld] == ["phone"]
        assert outcome.contact.fields == {"email": "a@x", "device": 2}
        assert outcome.contact.aliases == {"email": ("b@x",), "device": ("1",)}

    def test_withheld_field_keeps_the_merged_value(self) -> None:
        """It is the value after the merge, not that of the survivor before."""
        phone = field(key=normalize.phone, unique=True)
        policy = self.policy(
            keep_aliases=True, on_key_in_use="withhold", lines={"phone": phone}
        )
        book = make_book(
            policy,
            {"email": "a@x"},
            {"device": 2, "phone": "+15550002"},
            {"email": "z@x", "phone": "+15550003"},
        )
        sent = {**self.SENT, "phone": "+15550003"}
        outcome = book.upsert(sent)

        assert outcome.contact["phone"] == "+15550002"
        assert outcome.withheld == (Withheld("phone", "+15550003", "3"),)
        assert book.upsert(sent).unchanged

    def test_sent_parts_only_are_withheld_in_a_merge(self) -> None:
        """Parts of the absorbed contact are kept."""
        lines = {"first": field(), "last": field()}
        options: Any = {"keys": {"person": PERSON}, "on_key_in_use": "withhold"}
        book = make_book(
            self.policy(keep_aliases=True, lines=lines, **options),
            {"email": "a@x"},
            {"device": 2, "first": "Ada"},
            {"email": "z@x", "first": "Ada", "last": "King"},
        )
        outcome = book.upsert({**self.SENT, "last": "King"})

        assert (outcome.contact.get("first"), outcome.contact.get("last")) == (
            "Ada",
            None,
        )
        assert outcome.withheld == (Withheld("last", "King", "3", "person"),)
        assert book.upsert({**self.SENT, "last": "King"}).unchanged

    def test_merge_that_makes_a_key_in_use_is_refused(self) -> None:
        """No sent value can be withheld."""
        lines = {"first": field(), "last": field()}
        options: Any = {"keys": {"person": PERSON}, "on_key_in_use": "withhold"}
        book = make_book(
            self.policy(keep_aliases=True, lines=lines, **options),
            {"email": "a@x", "last": "King"},
            {"device": 2, "first": "Ada"},
            {"email": "z@x", "first": "Ada", "last": "King"},
        )
        before = book.dump()
        with pytest.raises(KeyInUse) as caught:
            book.upsert(self.SENT)

        assert (caught.value.field, caught.value.holder) == ("person", "3")
        assert book.dump() == before

    def test_merge_over_the_limit_of_forms_is_refused(self) -> None:
        """Forms of the absorbed contact are new to the survivor."""
        lines = {"email": field(key=normalize.email, keep_aliases=True, max_forms=1)}
        policy = self.policy(keep_aliases=True, lines=lines)
        book = make_book(policy, {"email": "a@x"}, {"email": "b@x", "device": 2})
        with pytest.raises(InvalidField) as caught:
            book.upsert(self.SENT)

        assert (caught.value.field, caught.value.value) == ("email", 2)
        assert len(book) == 2

    def test_value_under_ignore_claims_no_key(self) -> None:
        lines = {"tag": field(key=normalize.exact, rule=ignore)}
        policy = self.policy(keep_aliases=True, lines=lines)
        book = make_book(policy, {"email": "a@x"}, {"device": 2})

        assert book.upsert({**self.SENT, "tag": "t"}).ignored == {"tag": "ignore"}
        assert book.find("tag", "t") == ()


def test_create_checks_unique_keys_without_matching() -> None:
    """A key that is not unique may be held by two contacts."""
    book = book_of_several(ADA)
    with pytest.raises(KeyInUse) as caught:
        book.create({"id": 9, "more": ["A@x"]})
    assert (caught.value.field, caught.value.holder) == ("more", "1")

    lines = {"id": ID, **PARTS}
    policy = Policy(first_present("mail"), lines, keys={"mail": MAIL})
    book = make_book(policy, ADA)
    assert book.upsert({"more": ["a@x", "n@x"]}).contact["more"] == ("a@x", "n@x")


def test_holdings_compare_by_value() -> None:
    assert KeyHoldings(((),), NOTHING) == KeyHoldings(((),), NOTHING, (), ())

"""``max_forms``: the limit of forms per key, and what is done with more."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.books import ADA, ID, PARTS, make_book
from tests.field_options import merging
from upsertcore import (
    ContactBook,
    Policy,
    field,
    first_match,
    key,
    merge_all,
    normalize,
)
from upsertcore.engine.max_forms import check_max_forms
from upsertcore.errors import InvalidField, KeyInUse, MissingField
from upsertcore.rules import union


def limited_book(
    *patches: dict[str, Any], match: Any = None, **options: Any
) -> ContactBook:
    """Make a book with at most two emails and one phone per contact."""
    lines = {
        "email": field(
            key=normalize.email, max_forms=2, rule=union, unique=True, keep_aliases=True
        ),
        "phone": field(key=normalize.phone, max_forms=1, keep_aliases=True),
        "device": field(key=normalize.exact, rule=union),
        "city": field(),
        **options.pop("lines", {}),
    }
    lines = merging(lines, options.pop("merging", {}))
    keys = ("email", "phone", "device")
    return make_book(Policy(match or first_match(*keys), lines, **options), *patches)


class TestLimit:
    """No contact gets more forms of a key than its limit."""

    def test_forms_over_the_limit_are_refused(self) -> None:
        """The key and the number of forms are named; nothing is stored."""
        book = limited_book({"email": ["a@x"]})
        book.upsert({"email": ["a@x", "b@x"]})
        before = book.dump()
        with pytest.raises(InvalidField) as caught:
            book.upsert({"email": ["b@x", "c@x"]})

        assert (caught.value.field, caught.value.value) == (
            "email",
            3,
        )
        assert "must have at most 2 keys per contact, not 3" in str(caught.value)
        assert book.dump() == before

    def test_new_contact_over_the_limit_is_refused(self) -> None:
        book = limited_book()
        with pytest.raises(InvalidField, match="email: must have at most 2 keys"):
            book.upsert({"email": ["a@x", "b@x", "c@x"]})

        assert book.upsert({"email": ["a@x", "b@x", "A@x"]}).created

    def test_aliases_count_as_forms(self) -> None:
        book = limited_book({"email": ["a@x"], "phone": "+15550001"})
        with pytest.raises(InvalidField) as caught:
            book.upsert({"email": ["a@x"], "phone": "+15550002"})
        assert (caught.value.field, caught.value.value) == (
            "phone",
            2,
        )
        assert "must have one key per contact, not " in str(caught.value)

        assert book.upsert({"email": ["a@x"], "phone": None}).updated
        assert book.upsert({"email": ["a@x"], "phone": "+15550001"}).updated

    @pytest.mark.parametrize("on_limit", ["refuse", "drop"])
    def test_form_cleared_by_null_does_not_count(self, on_limit: Any) -> None:
        """It does not match any more, and another form may replace it."""
        book = limited_book(
            {"device": [1], "phone": "+15550001"},
            match=merge_all("device", "phone"),
            on_limit=on_limit,
        )
        cleared = book.upsert({"device": [1], "phone": None})
        assert (cleared.result, dict(cleared.contact.aliases)) == ("updated", {})
        assert book.find("phone", "+15550001") == ()
        assert book.upsert({"device": [1], "phone": None}).unchanged

        outcome = book.upsert({"device": [1], "phone": "+15550002"})
        assert (outcome.contact["phone"], dict(outcome.ignored)) == ("+15550002", {})
        book._index.check()

    def test_forms_of_several_fields_cleared_by_null_do_not_count(self) -> None:
        """For a composite the whole form, for an any-of key those of the field."""
        options: Any = {"keep_aliases": True, "max_forms": 2}
        keys = {
            "person": key("first", "last", normalize=normalize.text, **options),
            "mail": key(
                "main", "more", normalize=normalize.email, any_of=True, **options
            ),
        }
        policy = Policy(first_match("id"), {"id": ID, **PARTS}, keys=keys)
        book = make_book(policy, {**ADA, "more": ["b@x"]})
        outcome = book.upsert({"id": 1, "main": None, "first": None})
        assert dict(outcome.contact.aliases) == {}
        outcome = book.upsert({"id": 1, "more": ["c@x"], "first": "Bo"})
        assert dict(outcome.contact.aliases) == {"mail": ("b@x",)}
        outcome = book.upsert({"id": 1, "last": "Day"})
        assert outcome.contact.aliases["person"] == ("bo|king",)

    def test_null_in_a_merge_clears_the_forms_of_all_contacts(self) -> None:
        """Forms of other fields become aliases."""
        book = limited_book(
            {"device": [1]},
            {"device": [2], "phone": "+15550002", "email": ["b@x"]},
            match=merge_all("device"),
            merging={"device": union},
        )
        outcome = book.upsert({"device": [1, 2], "phone": None})

        assert (outcome.result, dict(outcome.contact.aliases)) == ("merged", {})
        assert book.find("phone", "+15550002") == ()
        assert book.find("email", "b@x") == (outcome.contact,)

    def test_stored_forms_over_the_limit_are_accepted(self) -> None:
        """A new form is refused."""
        book = limited_book({"email": ["a@x", "b@x"]})
        wide = {"email": field(key=normalize.email, rule=union, max_forms=1)}
        book = ContactBook.load(limited_book(lines=wide).policy, book.dump())

        assert book.upsert({"email": ["A@x"], "city": "Oslo"}).updated
        with pytest.raises(InvalidField, match="email: must have one key"):
            book.upsert({"email": ["a@x", "c@x"]})

    def test_withheld_values_do_not_count(self) -> None:
        book = limited_book(
            {"email": ["a@x", "b@x"]}, {"email": ["c@x"]}, on_key_in_use="withhold"
        )
        outcome = book.upsert({"email": ["a@x", "c@x"], "city": "Oslo"})

        assert outcome.updated
        assert [item.field for item in outcome.withheld] == ["email"]

    def test_key_in_use_is_refused_before_the_limit(self) -> None:
        book = limited_book({"email": ["a@x", "b@x"]}, {"email": ["c@x"]})
        with pytest.raises(KeyInUse):
            book.upsert({"email": ["a@x", "c@x"]})

    def test_first_key_over_its_limit_is_named(self) -> None:
        """In the order of the policy."""
        book = limited_book({"email": ["a@x", "b@x"], "phone": "+15550001"})
        with pytest.raises(InvalidField) as caught:
            book.upsert({"phone": ["+15550001", "+15550002"], "email": ["c@x"]})

        assert caught.value.field == "email"

    def test_forms_of_all_fields_of_a_key_count(self) -> None:
        mail = key("main", "more", normalize=normalize.email, any_of=True, max_forms=2)
        policy = Policy(first_match("id"), {"id": ID, **PARTS}, keys={"mail": mail})
        book = make_book(policy, {"id": 1, "main": "a@x", "more": ["b@x", "a@x"]})
        with pytest.raises(InvalidField) as caught:
            book.upsert({"id": 1, "main": "c@x"})

        assert caught.value.field == "mail"
        assert caught.value.value == 3


MERGES = merge_all("email", "phone", "device")


class TestDrop:
    """The lowest key of a patch may be dropped instead."""

    def test_lowest_key_is_dropped(self) -> None:
        """Its field is named, and the contact it matched is not merged."""
        book = limited_book(
            {"email": ["a@x"], "device": [1]},
            {"email": ["b@x", "c@x"], "device": [2]},
            match=MERGES,
            on_limit="drop",
            merging={"email": union},
        )
        sent = {"email": ["a@x"], "device": [2], "city": "Oslo"}
        outcome = book.upsert(sent)

        assert (outcome.result, outcome.contact.id) == ("updated", "1")
        assert outcome.ignored == {"device": "limit"}
        assert outcome.contact.fields == {
            "email": ("a@x",),
            "device": (1,),
            "city": "Oslo",
        }
        assert (outcome.also_matched, outcome.merged) == ((), ())
        assert book.upsert(sent).unchanged
        book._index.check()

    def test_keys_are_dropped_until_the_limit_holds(self) -> None:
        book = limited_book(
            {"email": ["a@x", "b@x"]},
            {"email": ["c@x"], "phone": "+15550001"},
            {"email": ["d@x"], "device": [3]},
            match=MERGES,
            on_limit="drop",
            merging={"email": union},
        )
        sent = {"device": [3], "phone": "+15550001", "email": ["a@x"]}
        outcome = book.upsert(sent)

        assert outcome.contact.id == "1"
        assert outcome.unchanged
        assert outcome.ignored == {"device": "limit", "phone": "limit"}
        assert len(book) == 3

    def test_last_key_is_not_dropped(self) -> None:
        """The patch is refused instead."""
        book = limited_book({"email": ["a@x", "b@x"]}, match=MERGES, on_limit="drop")
        for more in ({}, {"device": [1]}):
            with pytest.raises(InvalidField) as caught:
                book.upsert({"email": ["a@x", "c@x"], **more})
            assert caught.value.field == "email"

        assert len(book) == 1

    def test_lowest_key_is_dropped_for_another_key(self) -> None:
        """The patch is refused if the other key still exceeds its limit."""
        book = limited_book(match=MERGES, on_limit="drop")
        with pytest.raises(InvalidField) as caught:
            book.upsert({"email": ["a@x", "b@x", "c@x"], "device": [1]})

        assert caught.value.field == "email"

    def test_dropped_key_counts_as_omitted(self) -> None:
        """A new contact has its default, or is refused if it is required."""
        lines = {
            "device": field(
                key=normalize.exact, max_forms=1, default=[0], keep_aliases=True
            )
        }
        book = limited_book(match=MERGES, on_limit="drop", lines=lines)
        outcome = book.upsert({"email": ["a@x"], "device": [1, 2]})
        assert outcome.contact["device"] == (0,)
        assert outcome.ignored == {"device": "limit"}

        lines = {
            "device": field(
                key=normalize.exact, max_forms=1, required=True, keep_aliases=True
            )
        }
        book = limited_book(match=MERGES, on_limit="drop", lines=lines)
        with pytest.raises(MissingField, match="device"):
            book.upsert({"email": ["a@x"], "device": [1, 2]})

    def test_keys_are_dropped_before_contacts_are_merged(self) -> None:
        """The merge that does not happen cannot refuse."""
        book = limited_book(
            {"email": ["b@x", "c@x"], "device": [2], "city": "Oslo"},
            match=MERGES,
            on_limit="drop",
            merging={"city": union},
        )
        sent = {"email": ["a@x"], "device": [2]}

        assert book.upsert(sent).created
        assert book.upsert(sent).unchanged

    def test_forms_of_all_matched_contacts_count(self) -> None:
        """With their aliases, and the forms of the patch."""
        book = limited_book(
            {"email": ["a@x"]}, {"device": [2]}, match=MERGES, on_limit="drop"
        )
        book.upsert({"device": [2], "email": ["b@x"]})
        book.upsert({"device": [2], "email": []})
        assert book.get("2").aliases == {}
        rows = book.dump()
        rows[1]["aliases"] = {"email": ["b@x", "c@x"]}
        rows[1]["fields"].pop("email")
        book = ContactBook.load(book.policy, rows)
        outcome = book.upsert({"email": ["a@x"], "device": [2]})

        assert outcome.ignored == {"device": "limit"}
        assert (outcome.contact.id, outcome.result) == ("1", "unchanged")
        assert book.upsert({"device": [2], "city": "Oslo"}).contact.id == "2"

    def test_expected_version_is_that_of_the_remaining_match(self) -> None:
        book = limited_book(
            {"email": ["a@x"]},
            {"email": ["b@x", "c@x"], "device": [2]},
            match=merge_all("device", "email"),
            on_limit="drop",
            merging={"email": union},
        )
        book.upsert({"email": ["b@x"], "city": "Rome"})
        sent = {"device": [2], "email": ["a@x"]}

        assert book.upsert(sent, if_version=2).contact.id == "2"

    def test_dropping_the_matching_key_creates(self) -> None:
        """The second call is unchanged."""
        book = limited_book(
            {"email": ["b@x", "c@x"], "device": [2]}, match=MERGES, on_limit="drop"
        )
        sent = {"email": ["a@x"], "device": [2]}
        outcome = book.upsert(sent)

        assert (outcome.result, outcome.matched_by) == ("created", None)
        assert outcome.contact.fields == {"email": ("a@x",)}
        assert book.upsert(sent).unchanged


class TestCheck:
    """The check of the forms that a contact would hold."""

    POLICY = Policy(
        first_match("a"),
        {"a": field(key=str, max_forms=2), "b": field(key=str)},
    )

    @pytest.mark.parametrize(
        ("forms", "held", "over"),
        [
            ((("1", "2"), ()), ((), ()), False),
            ((("1", "2", "3"), ()), (("1", "2"), ()), True),
            ((("1", "2", "3"), ()), (("3", "2", "1", "4"), ()), False),
            (((), ("1", "2", "3")), ((), ()), False),
        ],
        ids=map(str, range(4)),
    )
    def test_new_forms_over_the_limit_are_refused(
        self,
        forms: Any,
        held: Any,
        over: bool,  # noqa: FBT001
    ) -> None:
        """The key and the number are named."""
        if over:
            with pytest.raises(InvalidField) as caught:
                check_max_forms(self.POLICY, forms, held)

            assert (caught.value.field, caught.value.value) == ("a", 3)
        else:
            check_max_forms(self.POLICY, forms, held)

"""Aliases: a former form still matches its contact."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.books import ADA, ID, PARTS, make_book
from upsertcore import (
    ContactBook,
    Policy,
    Withheld,
    field,
    first_match,
    key,
    normalize,
)
from upsertcore.errors import KeyInUse
from upsertcore.rules import keep


def alias_book(*patches: dict[str, Any], **options: Any) -> ContactBook:
    """Make a book that keeps aliases of emails."""
    email = field(key=normalize.email, keep_aliases=True, unique=True)
    lines = {"id": ID, "email": email, "city": field(), **options.pop("lines", {})}
    match = options.pop("match", None) or first_match("id", "email")
    return make_book(Policy(match, lines, **options), *patches)


class TestKeepAliases:
    """A replaced or cleared form still matches the contact."""

    def test_replaced_forms_match(self) -> None:
        """The current form comes first."""
        book = alias_book({"id": 1, "email": "a@x"})
        book.upsert({"id": 1, "email": "B@x"})
        outcome = book.upsert({"id": 1, "email": "c@x"})

        assert outcome.contact.aliases == {"email": ("b@x", "a@x")}
        assert book._index.get_with_forms("1")[1] == (("1",), ("c@x", "b@x", "a@x"))
        assert book.find("email", "A@X") == (outcome.contact,)
        assert book.upsert({"email": "c@x"}).unchanged
        book._index.check()

    def test_patch_with_an_alias_restores_the_former_value(self) -> None:
        """The later value becomes the alias."""
        book = alias_book({"id": 1, "email": "a@x"})
        book.upsert({"id": 1, "email": "b@x"})
        outcome = book.upsert({"email": "a@x", "city": "Oslo"})

        assert (outcome.contact.id, outcome.matched_by) == ("1", "email")
        assert outcome.contact["email"] == "a@x"
        assert outcome.contact.aliases == {"email": ("b@x",)}
        assert book.upsert({"email": "a@x", "city": "Oslo"}).unchanged

    def test_cleared_form_matches(self) -> None:
        book = alias_book({"id": 1, "email": "a@x"})
        outcome = book.upsert({"id": 1, "email": None})

        assert "email" not in outcome.contact
        assert outcome.contact.aliases == {"email": ("a@x",)}
        assert book.find("email", "a@x") == (outcome.contact,)
        assert book.upsert({"id": 1, "email": None}).unchanged

    def test_another_spelling_makes_no_alias(self) -> None:
        """The form of the value is the same."""
        book = alias_book({"id": 1, "email": "a@x"})

        assert book.upsert({"id": 1, "email": "A@x"}).contact.aliases == {}

    def test_change_of_another_field_keeps_aliases(self) -> None:
        book = alias_book({"id": 1, "email": "a@x"})
        book.upsert({"id": 1, "email": "b@x"})
        outcome = book.upsert({"id": 1, "city": "Oslo"})

        assert outcome.contact.aliases == {"email": ("a@x",)}
        assert book._index.get_with_forms("1")[1][1] == ("b@x", "a@x")

    def test_alias_of_a_unique_key_is_in_use(self) -> None:
        """No other contact can take the form."""
        book = alias_book({"id": 1, "email": "a@x"}, {"id": 2, "email": "z@x"})
        book.upsert({"id": 1, "email": "b@x"})
        for call in (book.upsert, book.create):
            with pytest.raises(KeyInUse) as caught:
                call({"id": 3 if call == book.create else 2, "email": "A@x"})
            assert (caught.value.value, caught.value.holder) == ("A@x", "1")

    def test_deleted_contact_has_no_aliases(self) -> None:
        book = alias_book({"id": 1, "email": "a@x"})
        book.upsert({"id": 1, "email": "b@x"})
        book.delete("1")

        assert book.upsert({"id": 2, "email": "a@x"}).created

    def test_replaced_form_without_keep_aliases_is_free(self) -> None:
        lines = {"email": field(key=normalize.email, unique=True)}
        book = alias_book({"id": 1, "email": "a@x"}, lines=lines)
        outcome = book.upsert({"id": 1, "email": "b@x"})

        assert outcome.contact.aliases == {}
        assert book.find("email", "a@x") == ()
        assert book.upsert({"email": "a@x"}).created

    def test_items_removed_from_a_list_become_aliases(self) -> None:
        """Items that are added again are none."""
        lines = {"email": field(key=normalize.email, keep_aliases=True)}
        book = alias_book({"id": 1, "email": ["a@x", "b@x", "c@x"]}, lines=lines)
        book.upsert({"id": 1, "email": ["b@x"]})
        assert book.get("1").aliases == {"email": ("a@x", "c@x")}

        book.upsert({"id": 1, "email": ["c@x", "d@x"]})
        assert book.get("1").aliases == {"email": ("b@x", "a@x")}

    def test_keys_of_several_fields_keep_aliases(self) -> None:
        """The form of a composite, and the single values of an any-of key."""
        keys = {
            "person": key("first", "last", normalize=normalize.text, keep_aliases=True),
            "mail": key(
                *("main", "more"),
                normalize=normalize.email,
                any_of=True,
                keep_aliases=True,
            ),
        }
        policy = Policy(first_match("id"), {"id": ID, **PARTS}, keys=keys)
        book = make_book(policy, ADA)
        outcome = book.upsert({"id": 1, "last": "Byron", "main": "c@x"})

        assert outcome.contact.aliases == {"person": ("ada|king",), "mail": ("a@x",)}
        assert book.find("person", {"first": "ADA", "last": "KING"})
        assert book.find("mail", "a@x") == (outcome.contact,)
        book.upsert({"id": 1, "more": ["a@x"]})
        assert book.get("1").aliases == {"person": ("ada|king",)}

    def test_withheld_value_makes_no_alias(self) -> None:
        book = alias_book(
            {"id": 1, "email": "a@x"},
            {"id": 2, "email": "b@x"},
            on_key_in_use="withhold",
        )
        outcome = book.upsert({"id": 1, "email": "b@x", "city": "Oslo"})

        assert outcome.withheld == (Withheld("email", "b@x", "2"),)
        assert outcome.contact["email"] == "a@x"
        assert outcome.contact.aliases == {}

    def test_aliases_are_dumped_and_loaded(self) -> None:
        book = alias_book({"id": 1, "email": "a@x"})
        book.upsert({"id": 1, "email": "b@x"})
        loaded = ContactBook.load(book.policy, book.dump())

        assert loaded.dump() == book.dump()
        assert loaded.find("email", "a@x") == book.find("email", "a@x")

    def test_patch_that_matches_by_alias_only_is_accepted(self) -> None:
        """A rule may keep another value if the alias still matches."""
        lines = {"email": field(key=normalize.email, keep_aliases=True, rule=keep)}
        book = alias_book(lines=lines, match=first_match("email"))
        book._index.put(book.create({"email": "a@x"}).contact, [[], ["a@x", "b@x"]])
        book.upsert({"email": "b@x", "id": 1})

        assert book.upsert({"email": "b@x", "id": 1}).unchanged

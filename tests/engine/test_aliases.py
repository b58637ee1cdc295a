"""Aliases: a former form still finds its contact."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.books import ADA, ID, PARTS, book
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


def remembering(*patches: dict[str, Any], **options: Any) -> ContactBook:
    """Make a book whose emails are remembered."""
    email = field(key=normalize.email, keep_aliases=True, unique=True)
    lines = {"id": ID, "email": email, "city": field(), **options.pop("lines", {})}
    match = options.pop("match", None) or first_match("id", "email")
    return book(Policy(match, lines, **options), *patches)


class TestRemember:
    """A form that was replaced or cleared still finds the contact, as an alias."""

    def test_a_replaced_key_finds(self) -> None:
        """Under every form that it ever held, those of its fields standing first."""
        made = remembering({"id": 1, "email": "a@x"})
        made.upsert({"id": 1, "email": "B@x"})
        outcome = made.upsert({"id": 1, "email": "c@x"})

        assert outcome.contact.aliases == {"email": ("b@x", "a@x")}
        assert made._index.get_with_forms("1")[1] == (("1",), ("c@x", "b@x", "a@x"))
        assert made.find("email", "A@X") == (outcome.contact,)
        assert made.upsert({"email": "c@x"}).unchanged
        made._index.check()

    def test_a_patch_that_is_found_by_an_alias(self) -> None:
        """It puts the former value in its place again, and the later one aside."""
        made = remembering({"id": 1, "email": "a@x"})
        made.upsert({"id": 1, "email": "b@x"})
        back = made.upsert({"email": "a@x", "city": "Oslo"})

        assert (back.contact.id, back.matched_by) == ("1", "email")
        assert back.contact["email"] == "a@x"
        assert back.contact.aliases == {"email": ("b@x",)}
        assert made.upsert({"email": "a@x", "city": "Oslo"}).unchanged

    def test_a_key_that_was_cleared(self) -> None:
        """The contact has no email any more, and is found by it."""
        made = remembering({"id": 1, "email": "a@x"})
        outcome = made.upsert({"id": 1, "email": None})

        assert "email" not in outcome.contact
        assert outcome.contact.aliases == {"email": ("a@x",)}
        assert made.find("email", "a@x") == (outcome.contact,)
        assert made.upsert({"id": 1, "email": None}).unchanged

    def test_another_spelling_is_no_other_form(self) -> None:
        """A value that moves and whose form does not leaves no alias."""
        made = remembering({"id": 1, "email": "a@x"})

        assert made.upsert({"id": 1, "email": "A@x"}).contact.aliases == {}

    def test_other_fields_move_no_alias(self) -> None:
        """They stay where the email does."""
        made = remembering({"id": 1, "email": "a@x"})
        made.upsert({"id": 1, "email": "b@x"})
        outcome = made.upsert({"id": 1, "city": "Oslo"})

        assert outcome.contact.aliases == {"email": ("a@x",)}
        assert made._index.get_with_forms("1")[1][1] == ("b@x", "a@x")

    def test_an_alias_is_unique(self) -> None:
        """As the key is: nobody else can take what a contact gave up."""
        made = remembering({"id": 1, "email": "a@x"}, {"id": 2, "email": "z@x"})
        made.upsert({"id": 1, "email": "b@x"})
        for call in (made.upsert, made.create):
            with pytest.raises(KeyInUse) as caught:
                call({"id": 3 if call == made.create else 2, "email": "A@x"})
            assert (caught.value.value, caught.value.holder) == ("A@x", "1")

    def test_what_is_deleted_is_forgotten(self) -> None:
        """The aliases of a contact go with it."""
        made = remembering({"id": 1, "email": "a@x"})
        made.upsert({"id": 1, "email": "b@x"})
        made.delete("1")

        assert made.upsert({"id": 2, "email": "a@x"}).created

    def test_without_remember_it_is_let_go(self) -> None:
        """A replaced form finds nobody, and is free."""
        lines = {"email": field(key=normalize.email, unique=True)}
        made = remembering({"id": 1, "email": "a@x"}, lines=lines)
        outcome = made.upsert({"id": 1, "email": "b@x"})

        assert outcome.contact.aliases == {}
        assert made.find("email", "a@x") == ()
        assert made.upsert({"email": "a@x"}).created

    def test_a_list_forgets_nothing(self) -> None:
        """Items that leave it are aliases, those that come back are none."""
        lines = {"email": field(key=normalize.email, keep_aliases=True)}
        made = remembering({"id": 1, "email": ["a@x", "b@x", "c@x"]}, lines=lines)
        made.upsert({"id": 1, "email": ["b@x"]})
        assert made.get("1").aliases == {"email": ("a@x", "c@x")}

        made.upsert({"id": 1, "email": ["c@x", "d@x"]})
        assert made.get("1").aliases == {"email": ("b@x", "a@x")}

    def test_keys_of_several_fields_are_remembered_too(self) -> None:
        """A composite leaves its combined form behind, an each-key its values."""
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
        made = book(policy, ADA)
        outcome = made.upsert({"id": 1, "last": "Byron", "main": "c@x"})

        assert outcome.contact.aliases == {"person": ("ada|king",), "mail": ("a@x",)}
        assert made.find("person", {"first": "ADA", "last": "KING"})
        assert made.find("mail", "a@x") == (outcome.contact,)
        made.upsert({"id": 1, "more": ["a@x"]})
        assert made.get("1").aliases == {"person": ("ada|king",)}

    def test_what_was_withheld_leaves_no_alias(self) -> None:
        """The field stays as it was, and so do its forms."""
        made = remembering(
            {"id": 1, "email": "a@x"},
            {"id": 2, "email": "b@x"},
            on_key_in_use="withhold",
        )
        outcome = made.upsert({"id": 1, "email": "b@x", "city": "Oslo"})

        assert outcome.withheld == (Withheld("email", "b@x", "2"),)
        assert outcome.contact["email"] == "a@x"
        assert outcome.contact.aliases == {}

    def test_it_survives_a_dump(self) -> None:
        """A book that is loaded finds by the same aliases."""
        made = remembering({"id": 1, "email": "a@x"})
        made.upsert({"id": 1, "email": "b@x"})
        twin = ContactBook.load(made.policy, made.dump())

        assert twin.dump() == made.dump()
        assert twin.find("email", "a@x") == made.find("email", "a@x")

    def test_an_alias_is_enough_to_be_found_again(self) -> None:
        """A rule may keep a value that the patch does not find, if it is remembered."""
        lines = {"email": field(key=normalize.email, keep_aliases=True, rule=keep)}
        made = remembering(lines=lines, match=first_match("email"))
        made._index.put(made.create({"email": "a@x"}).contact, [[], ["a@x", "b@x"]])
        made.upsert({"email": "b@x", "id": 1})

        assert made.upsert({"email": "b@x", "id": 1}).unchanged

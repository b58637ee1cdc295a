"""The claims: keys that clash, forms that are remembered, and how many are too many."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest

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
from upsertcore.engine.uniqueness import KeyHoldings, Target
from upsertcore.errors import InvalidField, KeyInUse, MissingField
from upsertcore.rules import ignore, keep, union
from upsertcore.values import NOTHING

NOW = datetime(2024, 1, 2, tzinfo=UTC)
ID = field(key=normalize.exact, unique=True)
PERSON = key("first", "last", normalize=normalize.text, unique=True)
MAIL = key("main", "more", normalize=normalize.email, any_of=True, unique=True)
PARTS: dict[str, Any] = {
    name: field() for name in ("first", "last", "main", "more", "city")
}


def book(policy: Policy, *patches: dict[str, Any]) -> ContactBook:
    """Make a book that has created these; its contacts are called 1, 2, ..."""
    numbers = count(1)
    made = ContactBook(policy, ids=lambda: f"{next(numbers)}", clock=lambda: NOW)
    for patch in patches:
        made.create(patch)
    return made


def several(*patches: dict[str, Any], **options: Any) -> ContactBook:
    """Make a book with a unique composite and a unique key of each of two fields."""
    lines = {"id": ID, **PARTS, **options.pop("lines", {})}
    keys = {"person": PERSON, "mail": MAIL}
    return book(Policy(first_match("id"), lines, keys=keys, **options), *patches)


def joining(*patches: dict[str, Any], refuse: bool = False) -> ContactBook:
    """Make a book with a unique key of a primary and of a list that it joins."""
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
    return book(policy, *patches)


ADA: dict[str, Any] = {"id": 1, "first": "Ada", "last": "King", "main": "a@x"}
BOB: dict[str, Any] = {"id": 2, "first": "Bob", "last": "King", "more": ["b@x"]}


class TestComposite:
    """A unique key of several fields that another contact holds."""

    def test_refuse(self) -> None:
        """The key is named, with the parts that were sent, and no stored one."""
        made = several(ADA, BOB)
        before = made.dump()
        with pytest.raises(KeyInUse) as caught:
            made.upsert({"id": 2, "first": "ADA"})

        assert (caught.value.field, caught.value.holder) == ("person", "1")
        assert caught.value.value == {"first": "ADA"}
        assert "person: {'first': 'ADA'} is held by contact 1;" in str(caught.value)
        assert made.dump() == before

    def test_withhold_what_moved(self) -> None:
        """Each part that moved goes back, the others were not sent; the rest stays."""
        made = several(ADA, BOB, on_key_in_use="withhold")
        sent = {"id": 2, "first": "ADA", "last": "KING", "city": "Oslo"}
        outcome = made.upsert(sent)

        assert outcome.withheld == (
            Withheld("first", "ADA", "1", "person"),
            Withheld("last", "KING", "1", "person"),
        )
        assert outcome.contact.fields == {**BOB, "more": ("b@x",), "city": "Oslo"}
        assert made.upsert(sent).unchanged
        one = made.upsert({"id": 2, "first": "Ada"})
        assert one.withheld == (Withheld("first", "Ada", "1", "person"),)

    def test_a_part_alone_is_free(self) -> None:
        """Only the whole is a key."""
        made = several(ADA)

        assert made.upsert({"id": 3, "first": "Ada", "last": "Byron"}).created
        assert made.upsert({"id": 4, "first": "Ada"}).created

    def test_withhold_at_creation(self) -> None:
        """A contact is created without all parts; one that needs a part is refused."""
        made = several(ADA, on_key_in_use="withhold")
        outcome = made.upsert({"id": 3, "first": "Ada", "last": "King"})
        assert [each.field for each in outcome.withheld] == ["first", "last"]
        assert outcome.contact.fields == {"id": 3}

        lines = {"last": field(required=True)}
        made = several(ADA, on_key_in_use="withhold", lines=lines)
        with pytest.raises(KeyInUse) as caught:
            made.upsert({"id": 3, "first": "Ada", "last": "King"})
        assert caught.value.field == "person"

    def test_allow(self) -> None:
        """The value is stored, and the holder is told of."""
        made = several(ADA, BOB, on_key_in_use="allow")
        outcome = made.upsert({"id": 2, "first": "Ada"})

        assert (outcome.contact["first"], outcome.also_matched) == ("Ada", ("1",))
        assert len(made.find("person", {"first": "ada", "last": "king"})) == 2

    def test_what_is_put_back_takes_its_other_keys_along(self) -> None:
        """A field of two keys goes back for one, and what it made of the other too."""
        lines = {"id": ID, "first": field(key=normalize.text), "last": field()}
        keys = {"person": PERSON}
        policy = Policy(first_match("id"), lines, keys=keys, on_key_in_use="withhold")
        made = book(
            policy, {"id": 1, "first": "A", "last": "K"}, {"id": 2, "last": "K"}
        )
        made.upsert({"id": 2, "first": "A"})

        assert [each.id for each in made.find("first", "A")] == ["1"]
        made._index.check()

    def test_the_first_key_that_clashes_comes_first(self) -> None:
        """What goes back for it may settle the next one too."""
        made = several(ADA, BOB, on_key_in_use="withhold")
        sent = {"id": 2, "main": "a@x", "last": "King", "first": "Ada"}
        outcome = made.upsert(sent)

        fields = [(each.field, each.holder) for each in outcome.withheld]
        assert fields == [("first", "1"), ("main", "1")]
        made._index.check()


class TestEach:
    """A unique key of each of several fields that another contact holds."""

    @pytest.mark.parametrize(
        ("sent", "told"),
        [
            ({"main": "b@x"}, ("main", "b@x", "2")),
            ({"more": ["b@x"]}, ("more", ("b@x",), "2")),
            ({"main": "c@x", "more": ["d@x", "B@x"]}, ("more", ("d@x", "B@x"), "2")),
            ({"more": ["b@x"], "main": "B@x"}, ("more", ("b@x",), "2")),
        ],
        ids=map(str, range(4)),
    )
    def test_refuse(self, sent: Any, told: Any) -> None:
        """The first field, in the order of the key, that carries what is held."""
        made = several(ADA, BOB)
        with pytest.raises(KeyInUse) as caught:
            made.upsert({"id": 1, **sent})

        assert told == (caught.value.field, caught.value.value, caught.value.holder)

    def test_refuse_at_creation(self) -> None:
        """Where several fields carry it, the first one of the key is told."""
        with pytest.raises(KeyInUse) as caught:
            several(ADA, BOB).create({"id": 9, "more": ["b@x"], "main": "B@x"})

        assert (caught.value.field, caught.value.value) == ("main", "B@x")

    def test_withhold_the_field_that_carries_it(self) -> None:
        """Another field of the key that moved is stored."""
        made = several(ADA, BOB, on_key_in_use="withhold")
        sent = {"id": 1, "main": "c@x", "more": ["b@x", "d@x"]}
        outcome = made.upsert(sent)

        assert outcome.withheld == (Withheld("more", ("b@x", "d@x"), "2", "mail"),)
        assert outcome.contact["main"] == "c@x"
        assert "more" not in outcome.contact
        assert made.upsert(sent).unchanged

    def test_withhold_both(self) -> None:
        """Where both carry what others hold, both go back, each with its holder."""
        made = several(ADA, BOB, {"id": 3, "main": "c@x"}, on_key_in_use="withhold")
        outcome = made.upsert({"id": 1, "main": "c@x", "more": ["b@x"]})

        assert outcome.withheld == (
            Withheld("main", "c@x", "3", "mail"),
            Withheld("more", ("b@x",), "2", "mail"),
        )
        assert outcome.unchanged

    def test_what_would_have_joined(self) -> None:
        """It does not, and is told as it was sent; the list stays as it is."""
        made = joining({**ADA, "more": ["n@x"]}, {"id": 2, "main": "b@x"})
        outcome = made.upsert({"id": 1, "main": "b@x"})

        assert outcome.withheld == (Withheld("main", "b@x", "2", "mail"),)
        assert outcome.ignored == {}
        assert outcome.contact is made.get("1")

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
    def test_what_is_free_joins_and_what_is_in_use_does_not(
        self, sent: Any, withheld: Any, more: Any
    ) -> None:
        """A primary and the list that it joins are looked at one by one."""
        made = joining(
            {**ADA, "more": ["n@x"]}, {"id": 2, "main": "b@x"}, {"id": 3, "main": "d@x"}
        )
        outcome = made.upsert({"id": 1, **sent})

        assert [*outcome.withheld] == withheld
        assert (outcome.contact["main"], outcome.contact["more"]) == ("a@x", more)
        assert made.upsert({"id": 1, **sent}).unchanged
        made._index.check()

    def test_what_would_have_joined_is_refused_as_it_was_sent(self) -> None:
        """Where the policy refuses, the primary is told, for it was sent."""
        made = joining({**ADA, "more": ["n@x"]}, {"id": 2, "main": "b@x"}, refuse=True)
        with pytest.raises(KeyInUse) as caught:
            made.upsert({"id": 1, "main": "b@x"})

        told = caught.value
        assert (told.field, told.value, told.holder) == ("main", "b@x", "2")

    def test_a_form_may_move_from_field_to_field(self) -> None:
        """What the contact holds in one field is its own in another."""
        made = several(ADA, BOB)
        outcome = made.upsert({"id": 2, "main": "b@x", "more": ["b@x"]})

        assert outcome.contact["main"] == "b@x"

    def test_a_form_that_no_moved_field_carries(self) -> None:
        """Under keys that an index of the host's does not hold yet, it is refused."""
        made = several(ADA, BOB)
        made._index.put(made.get("1"), [["1"], ["ada|king"], []])
        made._index.put(made.get("2"), [["2"], ["bob|king"], ["b@x", "a@x"]])
        with pytest.raises(KeyInUse) as caught:
            made.upsert({"id": 1, "more": ["c@x"]})

        assert (caught.value.field, caught.value.holder) == ("main", "2")
        words = "main: would make a key that contact 2 holds; merge the contacts"
        assert str(caught.value).startswith(words)


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


def limited(*patches: dict[str, Any], match: Any = None, **options: Any) -> ContactBook:
    """Make a book in which nobody has more than two emails, and one phone."""
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
    return book(Policy(match or first_match(*keys), lines, **options), *patches)


class TestLimit:
    """No contact holds more forms of a key than its limit."""

    def test_refuse(self) -> None:
        """The key is named, and how many it would hold; nothing is stored."""
        made = limited({"email": ["a@x"]})
        made.upsert({"email": ["a@x", "b@x"]})
        before = made.dump()
        with pytest.raises(InvalidField) as caught:
            made.upsert({"email": ["b@x", "c@x"]})

        assert (caught.value.field, caught.value.value) == (
            "email",
            3,
        )
        assert "must have at most 2 keys per contact, not 3" in str(caught.value)
        assert made.dump() == before

    def test_at_creation(self) -> None:
        """A new contact has a limit too."""
        made = limited()
        with pytest.raises(InvalidField, match="email: must have at most 2 keys"):
            made.upsert({"email": ["a@x", "b@x", "c@x"]})

        assert made.upsert({"email": ["a@x", "b@x", "A@x"]}).created

    def test_aliases_count(self) -> None:
        """What a contact held once is one of its keys."""
        made = limited({"email": ["a@x"], "phone": "+15550001"})
        with pytest.raises(InvalidField) as caught:
            made.upsert({"email": ["a@x"], "phone": "+15550002"})
        assert (caught.value.field, caught.value.value) == (
            "phone",
            2,
        )
        assert "must have one key per contact, not " in str(caught.value)

        assert made.upsert({"email": ["a@x"], "phone": None}).updated
        assert made.upsert({"email": ["a@x"], "phone": "+15550001"}).updated

    @pytest.mark.parametrize("on_limit", ["refuse", "drop"])
    def test_what_null_clears_counts_no_more(self, on_limit: Any) -> None:
        """The form is let go: it finds nobody, and another one may take its place."""
        made = limited(
            {"device": [1], "phone": "+15550001"},
            match=merge_all("device", "phone"),
            on_limit=on_limit,
        )
        cleared = made.upsert({"device": [1], "phone": None})
        assert (cleared.result, dict(cleared.contact.aliases)) == ("updated", {})
        assert made.find("phone", "+15550001") == ()
        assert made.upsert({"device": [1], "phone": None}).unchanged

        outcome = made.upsert({"device": [1], "phone": "+15550002"})
        assert (outcome.contact["phone"], dict(outcome.ignored)) == ("+15550002", {})
        made._index.check()

    def test_what_null_clears_of_several_fields_counts_no_more(self) -> None:
        """Of a key of each field those of that field, of a composite the whole."""
        options: Any = {"keep_aliases": True, "max_forms": 2}
        keys = {
            "person": key("first", "last", normalize=normalize.text, **options),
            "mail": key(
                "main", "more", normalize=normalize.email, any_of=True, **options
            ),
        }
        policy = Policy(first_match("id"), {"id": ID, **PARTS}, keys=keys)
        made = book(policy, {**ADA, "more": ["b@x"]})
        outcome = made.upsert({"id": 1, "main": None, "first": None})
        assert dict(outcome.contact.aliases) == {}
        outcome = made.upsert({"id": 1, "more": ["c@x"], "first": "Bo"})
        assert dict(outcome.contact.aliases) == {"mail": ("b@x",)}
        outcome = made.upsert({"id": 1, "last": "Day"})
        assert outcome.contact.aliases["person"] == ("bo|king",)

    def test_what_is_cleared_after_a_merge_is_let_go_with_it(self) -> None:
        """Null clears what the contacts have together; what it does not is an alias."""
        made = limited(
            {"device": [1]},
            {"device": [2], "phone": "+15550002", "email": ["b@x"]},
            match=merge_all("device"),
            merging={"device": union},
        )
        outcome = made.upsert({"device": [1, 2], "phone": None})

        assert (outcome.result, dict(outcome.contact.aliases)) == ("merged", {})
        assert made.find("phone", "+15550002") == ()
        assert made.find("email", "b@x") == (outcome.contact,)

    def test_only_what_is_new_is_too_much(self) -> None:
        """A contact that holds more already may stay so, and may lose some."""
        made = limited({"email": ["a@x", "b@x"]})
        wide = {"email": field(key=normalize.email, rule=union, max_forms=1)}
        made = ContactBook.load(limited(lines=wide).policy, made.dump())

        assert made.upsert({"email": ["A@x"], "city": "Oslo"}).updated
        with pytest.raises(InvalidField, match="email: must have one key"):
            made.upsert({"email": ["a@x", "c@x"]})

    def test_a_clash_is_settled_first(self) -> None:
        """What is withheld counts for no limit."""
        made = limited(
            {"email": ["a@x", "b@x"]}, {"email": ["c@x"]}, on_key_in_use="withhold"
        )
        outcome = made.upsert({"email": ["a@x", "c@x"], "city": "Oslo"})

        assert outcome.updated
        assert [each.field for each in outcome.withheld] == ["email"]

    def test_a_clash_that_refuses_comes_first(self) -> None:
        """The key that somebody holds is told, and not that there are too many."""
        made = limited({"email": ["a@x", "b@x"]}, {"email": ["c@x"]})
        with pytest.raises(KeyInUse):
            made.upsert({"email": ["a@x", "c@x"]})

    def test_the_first_key_of_the_policy_is_told(self) -> None:
        """Where two are too many."""
        made = limited({"email": ["a@x", "b@x"], "phone": "+15550001"})
        with pytest.raises(InvalidField) as caught:
            made.upsert({"phone": ["+15550001", "+15550002"], "email": ["c@x"]})

        assert caught.value.field == "email"

    def test_of_several_fields(self) -> None:
        """All forms count that the fields of a key make."""
        mail = key("main", "more", normalize=normalize.email, any_of=True, max_forms=2)
        policy = Policy(first_match("id"), {"id": ID, **PARTS}, keys={"mail": mail})
        made = book(policy, {"id": 1, "main": "a@x", "more": ["b@x", "a@x"]})
        with pytest.raises(InvalidField) as caught:
            made.upsert({"id": 1, "main": "c@x"})

        assert caught.value.field == "mail"
        assert caught.value.value == 3


MERGES = merge_all("email", "phone", "device")


class TestLimitDrop:
    """The lowest key that a patch carries may be left out of it instead."""

    def test_the_lowest_key_is_left_out(self) -> None:
        """Its field is named, and what it would have merged stays apart."""
        made = limited(
            {"email": ["a@x"], "device": [1]},
            {"email": ["b@x", "c@x"], "device": [2]},
            match=MERGES,
            on_limit="drop",
            merging={"email": union},
        )
        sent = {"email": ["a@x"], "device": [2], "city": "Oslo"}
        outcome = made.upsert(sent)

        assert (outcome.result, outcome.contact.id) == ("updated", "1")
        assert outcome.ignored == {"device": "limit"}
        assert outcome.contact.fields == {
            "email": ("a@x",),
            "device": (1,),
            "city": "Oslo",
        }
        assert (outcome.also_matched, outcome.merged) == ((), ())
        assert made.upsert(sent).unchanged
        made._index.check()

    def test_one_after_the_other(self) -> None:
        """Until what is left is not too much."""
        made = limited(
            {"email": ["a@x", "b@x"]},
            {"email": ["c@x"], "phone": "+15550001"},
            {"email": ["d@x"], "device": [3]},
            match=MERGES,
            on_limit="drop",
            merging={"email": union},
        )
        sent = {"device": [3], "phone": "+15550001", "email": ["a@x"]}
        outcome = made.upsert(sent)

        assert outcome.contact.id == "1"
        assert outcome.unchanged
        assert outcome.ignored == {"device": "limit", "phone": "limit"}
        assert len(made) == 3

    def test_the_last_key_refuses(self) -> None:
        """A patch is not left without any."""
        made = limited({"email": ["a@x", "b@x"]}, match=MERGES, on_limit="drop")
        for more in ({}, {"device": [1]}):
            with pytest.raises(InvalidField) as caught:
                made.upsert({"email": ["a@x", "c@x"], **more})
            assert caught.value.field == "email"

        assert len(made) == 1

    def test_what_is_too_much_may_be_another_key(self) -> None:
        """The lowest is left out, and not the one that is too much."""
        made = limited(match=MERGES, on_limit="drop")
        with pytest.raises(InvalidField) as caught:
            made.upsert({"email": ["a@x", "b@x", "c@x"], "device": [1]})

        assert caught.value.field == "email"

    def test_what_is_left_out_counts_as_omitted(self) -> None:
        """A new contact has the default of it, or lacks what it needs."""
        lines = {
            "device": field(
                key=normalize.exact, max_forms=1, default=[0], keep_aliases=True
            )
        }
        made = limited(match=MERGES, on_limit="drop", lines=lines)
        outcome = made.upsert({"email": ["a@x"], "device": [1, 2]})
        assert outcome.contact["device"] == (0,)
        assert outcome.ignored == {"device": "limit"}

        lines = {
            "device": field(
                key=normalize.exact, max_forms=1, required=True, keep_aliases=True
            )
        }
        made = limited(match=MERGES, on_limit="drop", lines=lines)
        with pytest.raises(MissingField, match="device"):
            made.upsert({"email": ["a@x"], "device": [1, 2]})

    def test_it_is_settled_before_anything_is_merged(self) -> None:
        """What would be refused in the merge that does not happen refuses nothing."""
        made = limited(
            {"email": ["b@x", "c@x"], "device": [2], "city": "Oslo"},
            match=MERGES,
            on_limit="drop",
            merging={"city": union},
        )
        sent = {"email": ["a@x"], "device": [2]}

        assert made.upsert(sent).created
        assert made.upsert(sent).unchanged

    def test_forms_of_all_that_are_found_count(self) -> None:
        """Those of the absorbed, aliases too, and those that the patch carries."""
        made = limited(
            {"email": ["a@x"]}, {"device": [2]}, match=MERGES, on_limit="drop"
        )
        made.upsert({"device": [2], "email": ["b@x"]})
        made.upsert({"device": [2], "email": []})
        assert made.get("2").aliases == {}
        rows = made.dump()
        rows[1]["aliases"] = {"email": ["b@x", "c@x"]}
        rows[1]["fields"].pop("email")
        made = ContactBook.load(made.policy, rows)
        outcome = made.upsert({"email": ["a@x"], "device": [2]})

        assert outcome.ignored == {"device": "limit"}
        assert (outcome.contact.id, outcome.result) == ("1", "unchanged")
        assert made.upsert({"device": [2], "city": "Oslo"}).contact.id == "2"

    def test_the_version_is_that_of_whom_the_rest_finds(self) -> None:
        """The shorter patch is decided from the match on."""
        made = limited(
            {"email": ["a@x"]},
            {"email": ["b@x", "c@x"], "device": [2]},
            match=merge_all("device", "email"),
            on_limit="drop",
            merging={"email": union},
        )
        made.upsert({"email": ["b@x"], "city": "Rome"})
        sent = {"device": [2], "email": ["a@x"]}

        assert made.upsert(sent, if_version=2).contact.id == "2"

    def test_the_key_that_found_somebody_may_be_left_out(self) -> None:
        """What is left finds nobody then, and creates; and twice is once."""
        made = limited(
            {"email": ["b@x", "c@x"], "device": [2]}, match=MERGES, on_limit="drop"
        )
        sent = {"email": ["a@x"], "device": [2]}
        outcome = made.upsert(sent)

        assert (outcome.result, outcome.matched_by) == ("created", None)
        assert outcome.contact.fields == {"email": ("a@x",)}
        assert made.upsert(sent).unchanged


class TestClaim:
    """What a draft would hold, as a value."""

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
    def test_what_is_too_much(self, forms: Any, held: Any, over: bool) -> None:  # noqa: FBT001
        """More forms than the limit, one of them new; and the key says so."""
        found = KeyHoldings(forms, NOTHING).over_limit(self.POLICY, held)

        assert over == (found is not None)
        assert found is None or (found[0].name, found[1]) == ("a", forms[0])

    def test_they_are_values(self) -> None:
        """Compared by what they hold."""
        assert Target(None, ((),)) == Target(None, ((),), ())
        assert KeyHoldings(((),), NOTHING) == KeyHoldings(((),), NOTHING, (), ())


class TestMerged:
    """Keys of contacts that become one."""

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

    def test_what_is_remembered_passes_on(self) -> None:
        """All forms that the absorbed contacts held, in the order held."""
        made = book(
            self.policy(keep_aliases=True),
            {"email": "a@x"},
            {"email": "b@x", "device": 2},
        )
        made.upsert({"device": 2, "email": "c@x"})
        outcome = made.upsert(self.SENT)

        assert outcome.contact.fields == {"email": "a@x", "device": 2}
        assert outcome.contact.aliases == {"email": ("c@x", "b@x")}
        assert made.find("email", "b@x") == (outcome.contact,)
        assert made.upsert({"email": "b@x"}).contact.id == "1"
        made._index.check()

    def test_what_is_not_remembered_is_let_go(self) -> None:
        """Only aliases from earlier pass on."""
        made = book(
            self.policy(keep_aliases=False),
            {"email": "a@x"},
            {"email": "b@x", "device": 2},
        )
        rows = made.dump()
        rows[0]["aliases"], rows[1]["aliases"] = (
            {"email": ["x@x"]},
            {"email": ["y@x", "x2@x"]},
        )
        made = ContactBook.load(made.policy, rows)
        outcome = made.upsert(self.SENT)

        assert outcome.contact.aliases == {"email": ("x@x", "y@x", "x2@x")}
        assert made.find("email", "b@x") == ()
        assert made.create({"email": "b@x"}).created

    def test_forms_of_the_absorbed_are_no_clash(self) -> None:
        """What they held is the survivor's to take."""
        made = book(
            self.policy(keep_aliases=False),
            {"email": "a@x"},
            {"email": "b@x", "device": 2},
        )
        rule = {"email": field(key=normalize.email, unique=True, rule=union)}
        policy = self.policy(keep_aliases=False, lines=rule, merging={"email": union})
        rows = made.dump()
        for row in rows:
            row["fields"]["email"] = [row["fields"]["email"]]
        made = ContactBook.load(policy, rows)
        outcome = made.upsert({"email": ["a@x"], "device": 2})

        assert outcome.contact["email"] == ("a@x", "b@x")
        assert made._index.get_with_forms("1")[1] == (("a@x", "b@x"), ("2",))

    def test_what_somebody_else_holds_is_one(self) -> None:
        """What was sent is withheld; what was absorbed is not."""
        made = book(
            self.policy(keep_aliases=True, on_key_in_use="withhold"),
            {"email": "a@x", "device": 1},
            {"email": "b@x", "device": 2},
        )
        phone = {"phone": field(key=normalize.phone, unique=True)}
        policy = self.policy(keep_aliases=True, on_key_in_use="withhold", lines=phone)
        made = ContactBook.load(policy, made.dump())
        made.create({"email": "z@x", "phone": "+15550003"})
        outcome = made.upsert({**self.SENT, "phone": "+15550003"})

        assert (outcome.result, outcome.contact.id) == ("merged", "1")
        assert [each.field for each in outcome.withheld] == ["phone"]
        assert outcome.contact.fields == {"email": "a@x", "device": 2}
        assert outcome.contact.aliases == {"email": ("b@x",), "device": ("1",)}

    def test_what_was_absorbed_stays_where_a_sent_value_is_withheld(self) -> None:
        """Back to what the merge made of the field, not to what the survivor had."""
        phone = field(key=normalize.phone, unique=True)
        policy = self.policy(
            keep_aliases=True, on_key_in_use="withhold", lines={"phone": phone}
        )
        made = book(
            policy,
            {"email": "a@x"},
            {"device": 2, "phone": "+15550002"},
            {"email": "z@x", "phone": "+15550003"},
        )
        sent = {**self.SENT, "phone": "+15550003"}
        outcome = made.upsert(sent)

        assert outcome.contact["phone"] == "+15550002"
        assert outcome.withheld == (Withheld("phone", "+15550003", "3"),)
        assert made.upsert(sent).unchanged

    def test_a_part_that_was_absorbed_is_not_withheld(self) -> None:
        """Of a composite that clashes only what the patch sent goes back."""
        lines = {"first": field(), "last": field()}
        options: Any = {"keys": {"person": PERSON}, "on_key_in_use": "withhold"}
        made = book(
            self.policy(keep_aliases=True, lines=lines, **options),
            {"email": "a@x"},
            {"device": 2, "first": "Ada"},
            {"email": "z@x", "first": "Ada", "last": "King"},
        )
        outcome = made.upsert({**self.SENT, "last": "King"})

        assert (outcome.contact.get("first"), outcome.contact.get("last")) == (
            "Ada",
            None,
        )
        assert outcome.withheld == (Withheld("last", "King", "3", "person"),)
        assert made.upsert({**self.SENT, "last": "King"}).unchanged

    def test_an_absorbed_value_that_clashes_refuses_the_merge(self) -> None:
        """It was not sent, so it cannot be withheld."""
        lines = {"first": field(), "last": field()}
        options: Any = {"keys": {"person": PERSON}, "on_key_in_use": "withhold"}
        made = book(
            self.policy(keep_aliases=True, lines=lines, **options),
            {"email": "a@x", "last": "King"},
            {"device": 2, "first": "Ada"},
            {"email": "z@x", "first": "Ada", "last": "King"},
        )
        before = made.dump()
        with pytest.raises(KeyInUse) as caught:
            made.upsert(self.SENT)

        assert (caught.value.field, caught.value.holder) == ("person", "3")
        assert made.dump() == before

    def test_too_many_after_a_merge(self) -> None:
        """Forms that an absorbed contact passes on are new to the survivor."""
        lines = {"email": field(key=normalize.email, keep_aliases=True, max_forms=1)}
        policy = self.policy(keep_aliases=True, lines=lines)
        made = book(policy, {"email": "a@x"}, {"email": "b@x", "device": 2})
        with pytest.raises(InvalidField) as caught:
            made.upsert(self.SENT)

        assert (caught.value.field, caught.value.value) == ("email", 2)
        assert len(made) == 2

    def test_a_field_that_the_patch_may_not_set(self) -> None:
        """Its key is held by whom it was, and by nobody new."""
        lines = {"tag": field(key=normalize.exact, rule=ignore)}
        policy = self.policy(keep_aliases=True, lines=lines)
        made = book(policy, {"email": "a@x"}, {"device": 2})

        assert made.upsert({**self.SENT, "tag": "t"}).ignored == {"tag": "ignore"}
        assert made.find("tag", "t") == ()


def test_a_new_contact_that_clashes_needs_no_strategy() -> None:
    """Created without looking, unique keys of several fields hold all the same."""
    made = several(ADA)
    with pytest.raises(KeyInUse) as caught:
        made.create({"id": 9, "more": ["A@x"]})
    assert (caught.value.field, caught.value.holder) == ("more", "1")

    lines = {"id": ID, **PARTS}
    policy = Policy(first_present("mail"), lines, keys={"mail": MAIL})
    made = book(policy, ADA)
    assert made.upsert({"more": ["a@x", "n@x"]}).contact["more"] == ("a@x", "n@x")

"""Unique keys: those that clash, and what becomes of what was sent."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.books import ADA, ID, PARTS, book
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


def test_holdings_are_values() -> None:
    """Compared by what they hold."""
    assert KeyHoldings(((),), NOTHING) == KeyHoldings(((),), NOTHING, (), ())

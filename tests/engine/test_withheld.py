"""Leaving out: what identifies together is left out together, with its holder named."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.engine.withheld_cases import (
    answers,
    book_of,
    cases,
    drawn,
    mixtures,
    people,
    policy_of,
    told,
)
from upsertcore import (
    ContactBook,
    Outcome,
    Policy,
    Withheld,
    field,
    first_match,
    key,
    merge_all,
    normalize,
)
from upsertcore.errors import InvalidField, InvalidPolicy, KeyInUse
from upsertcore.policy.policy import compiled
from upsertcore.rules import ignore, on_create, union

CASES = json.loads(
    (Path(__file__).parents[1] / "cases" / "left_out.json").read_text(encoding="utf-8")
)
ID = field(key=normalize.exact, unique=True)
NAMES = ("email", "first", "surname", "dob", "city")


def part_of(*fields: str, unique: bool = False, **how: Any) -> Any:
    """Make a key of several fields, as text."""
    return key(*fields, normalize=normalize.text, unique=unique, **how)


SURNAME = part_of("surname", "dob", unique=True)
FIRST = part_of("first", "dob")


def book(
    *patches: dict[str, Any],
    keys: Any = None,
    lines: Any = None,
    match: Any = None,
    **options: Any,
) -> ContactBook:
    """Make a book that has created these; its contacts are called 1, 2, ..."""
    numbers = count(1)
    every = {"id": ID, **{name: field() for name in NAMES}, **(lines or {})}
    several = {"sd": SURNAME, "fd": FIRST} if keys is None else keys
    how = {"on_key_in_use": "withhold", "on_ambiguous": "oldest", **options}
    policy = Policy(match or first_match("id", *several), every, keys=several, **how)
    made = ContactBook(policy, ids=lambda: f"{next(numbers)}")
    for patch in patches:
        made.create(patch)
    return made


XENIA = {"first": "Xenia", "surname": "Page", "dob": "1990"}
ANN = {"id": 2, "first": "Ann", "surname": "Lee", "dob": "1970"}
EMAIL = {"email": field(key=normalize.email, unique=True)}
BLOCKED = {
    "email": field(key=normalize.email, unique=True, blocked=("noreply@*",)),
}


class TestTogether:
    """Fields of composite keys are left out with each other."""

    def test_a_part_in_use_leaves_out_what_identifies_with_it(self) -> None:
        """Nobody comes to be the mixture that a third person would match."""
        made = book(XENIA, ANN)
        sent = {"id": 2, **XENIA, "city": "Oslo"}
        outcome = made.upsert(sent)

        assert outcome.withheld == (
            Withheld("surname", "Page", "1", "sd"),
            Withheld("dob", "1990", "1", "sd"),
            Withheld("first", "Xenia", "1", "sd"),
        )
        assert outcome.contact.fields == {**ANN, "city": "Oslo"}
        assert made.upsert(sent).unchanged
        third = made.upsert({"first": "Xenia", "surname": "Moe", "dob": "1970"})
        assert (third.result, third.contact.id) == ("created", "3")

    def test_it_goes_on_to_what_identifies_with_those(self) -> None:
        """Whatever is linked by composite keys, however far, is one group."""
        lines = {name: field() for name in "abcde"}
        pairs = {"ab": part_of("a", "b", unique=True), "cd": part_of("c", "d")}
        keys = {**pairs, "bc": part_of("b", "c")}
        made = book({"a": "1", "b": "1"}, {"id": 2}, keys=keys, lines=lines)
        sent = {"a": "1", "b": "1", "c": "2", "d": "2", "e": "2"}
        outcome = made.upsert({"id": 2, **sent})

        assert [each.field for each in outcome.withheld] == ["a", "b", "c", "d"]
        assert {each.key for each in outcome.withheld} == {"ab"}
        assert outcome.contact.fields == {"id": 2, "e": "2"}
        assert compiled(made.policy).groups["d"] == ("a", "b", "c", "d")
        assert "e" not in compiled(made.policy).groups

    def test_what_does_not_move_stays_and_is_not_named(self) -> None:
        """A part that is stored as it is sent is nothing that is left out."""
        made = book({**XENIA, "dob": "1970"}, ANN)
        outcome = made.upsert({"id": 2, "surname": "Page", "dob": "1970"})
        assert outcome.withheld == (Withheld("surname", "Page", "1", "sd"),)

        outcome = made.upsert({"id": 2, "first": "Ann", "surname": "Page"})
        assert outcome.withheld == (Withheld("surname", "Page", "1", "sd"),)
        assert made.upsert({"id": 2, "first": "Anna"}).updated

    def test_a_part_that_would_be_cleared_is_kept(self) -> None:
        """Null is a value that is sent, and what is stored is of the same person."""
        made = book(XENIA, ANN)
        outcome = made.upsert({"id": 2, **XENIA, "first": None})

        assert outcome.withheld[-1] == Withheld("first", None, "1", "sd")
        assert outcome.unchanged

    def test_a_key_of_one_field_takes_its_partners_along(self) -> None:
        """The address of somebody else comes with the name of somebody else."""
        keys = {"who": part_of("email", "first"), "fd": FIRST}
        made = book({"email": "e@x"}, ANN, keys=keys, lines=EMAIL)
        outcome = made.upsert({"id": 2, "email": "E@x", "first": "Eve", "city": "Rome"})

        assert outcome.withheld == (
            Withheld("email", "E@x", "1"),
            Withheld("first", "Eve", "1", "email"),
        )
        assert outcome.contact.fields == {**ANN, "city": "Rome"}

    def test_each_key_in_use_names_its_own_holder(self) -> None:
        """Of several holders each field has the one that holds its key."""
        keys = {"who": part_of("email", "first"), "sd": SURNAME, "fd": FIRST}
        made = book({"email": "e@x"}, XENIA, ANN | {"id": 3}, keys=keys, lines=EMAIL)
        outcome = made.upsert({"id": 3, **XENIA, "email": "e@x"})

        assert outcome.withheld == (
            Withheld("email", "e@x", "1"),
            Withheld("first", "Xenia", "1", "email"),
            Withheld("surname", "Page", "2", "sd"),
            Withheld("dob", "1990", "2", "sd"),
        )

    def test_what_two_keys_share_is_told_once(self) -> None:
        """A field that two keys in use have is named by the first of them."""
        keys = {"sd": SURNAME, "fd": part_of("first", "dob", unique=True)}
        made = book(XENIA, {"first": "Eve", "dob": "1990"}, ANN | {"id": 3}, keys=keys)
        outcome = made.upsert({"id": 3, **XENIA, "first": "Eve"})

        assert outcome.withheld == (
            Withheld("surname", "Page", "1", "sd"),
            Withheld("dob", "1990", "1", "sd"),
            Withheld("first", "Eve", "2", "fd"),
        )

    def test_a_new_contact_has_no_default_of_what_is_left_out(self) -> None:
        """What is made up would identify it, and stand in the way later."""
        lines = {"first": field(default="?"), "city": field(default="Oslo")}
        made = book(XENIA, lines=lines, match=first_match("id"))
        outcome = made.upsert({"id": 3, **XENIA})
        assert outcome.contact.fields == {"id": 3, "city": "Oslo"}
        assert made.upsert({"id": 3, **XENIA}).unchanged

        outcome = made.upsert({"id": 4, "surname": "Page", "dob": "1990"})
        assert outcome.contact.fields == {"id": 4, "first": "?", "city": "Oslo"}

    def test_what_is_never_stored_at_creation_is_not_left_out(self) -> None:
        """Its rule leaves it out, and says so; a default of it stays."""
        lines = {"first": field(rule=ignore, default="?")}
        made = book(XENIA, lines=lines, match=first_match("id"))
        outcome = made.upsert({"id": 3, **XENIA})

        assert [each.field for each in outcome.withheld] == ["surname", "dob"]
        assert outcome.ignored == {"first": "ignore"}
        assert outcome.contact.fields == {"id": 3, "first": "?"}
        assert made.upsert({"id": 3, **XENIA}).unchanged

    def test_what_was_absorbed_stays(self) -> None:
        """A merge keeps what it joined; of the patch nothing of the group is taken."""
        match = merge_all("id", "email")
        made = book(
            XENIA, ANN, {"email": "e@x", "city": "Rome"}, match=match, lines=EMAIL
        )
        outcome = made.upsert({**XENIA, "id": 2, "email": "e@x"})

        assert (outcome.result, outcome.contact.id) == ("merged", "2")
        assert outcome.contact.fields == {**ANN, "email": "e@x", "city": "Rome"}
        assert [each.field for each in outcome.withheld] == ["surname", "dob", "first"]


class TestJoined:
    """A primary that would join a list which is a part of a composite key."""

    def book(self, *patches: dict[str, Any], **lines: Any) -> ContactBook:
        """Make a book of primaries, lists, and keys of a list and a city."""
        mail = key(
            *("email", "more"),
            normalize=normalize.email,
            any_of=True,
            append_new=True,
            unique=True,
        )
        keys = {"mail": mail, "place": part_of("more", "city", unique=True)}
        every = {"more": field(), **lines}
        return book(*patches, keys=keys, lines=every, match=first_match("id"))

    def test_a_primary_in_use_takes_along_what_its_list_identifies_with(self) -> None:
        """It would have moved the list, and so a part of that key."""
        made = self.book({"email": "e@x"}, {"id": 2, "email": "b@x", "city": "Rome"})
        sent = {"id": 2, "email": "e@x", "city": "Oslo", "first": "Ann"}
        outcome = made.upsert(sent)

        assert outcome.withheld == (
            Withheld("email", "e@x", "1", "mail"),
            Withheld("city", "Oslo", "1", "mail"),
        )
        assert outcome.contact.get("first") == "Ann"
        assert made.upsert(sent).unchanged

    def test_a_list_that_is_left_out_is_joined_by_nothing(self) -> None:
        """What would join it is left out too, with the key that it is a part of."""
        made = self.book(
            {"more": ["m@x"], "city": "Oslo"}, {"id": 2, "email": "b@x", "city": "Rome"}
        )
        made._index.put(made.get("1"), [[], [], ["m@x|oslo", "n@x|oslo"]])
        sent = {"id": 2, "email": "n@x", "city": "Oslo"}
        outcome = made.upsert(sent)

        assert outcome.withheld == (
            Withheld("city", "Oslo", "1", "place"),
            Withheld("email", "n@x", "1", "place"),
        )
        assert "more" not in outcome.contact
        assert not outcome.ignored
        assert made.upsert(sent).unchanged

    def test_two_primaries_that_would_bring_the_same_are_both_told(self) -> None:
        """Whichever comes first; without it the other one would have joined."""
        keys = {
            name: key(
                *(name, "more"),
                normalize=normalize.email,
                any_of=True,
                append_new=True,
                unique=name == "email",
            )
            for name in ("email", "other")
        }
        lines = {"more": field(), "other": field()}
        stored = {"id": 2, "email": "b@x", "other": "o@x", "more": ["m@x"]}
        sent = {"id": 2, "other": "e@x", "email": "E@x"}
        how: Any = {"keys": keys, "lines": lines, "match": first_match("id")}
        made = book({"email": "e@x"}, stored, **how)
        outcome = made.upsert(sent)

        assert outcome.withheld == (
            Withheld("email", "E@x", "1", "email"),
            Withheld("other", "e@x", "1", "email"),
        )
        assert outcome.unchanged
        free = made.upsert({"id": 2, "other": "f@x", "email": "F@x"})
        assert free.contact["more"] == ("m@x", "f@x")
        assert made.upsert({"id": 2, "other": "m@x", "email": "M@x"}).unchanged

        made = book({"email": "e@x"}, stored, **how, on_key_in_use="refuse")
        with pytest.raises(KeyInUse) as caught:
            made.upsert(sent)
        assert (caught.value.field, caught.value.value) == ("email", "E@x")

    def test_what_is_cleaned_into_a_form_in_use_does_not_join(self) -> None:
        """The list's own cleaning may make another address of what joins it."""

        def plain(values: Any) -> Any:
            return [each.replace("+ad", "") for each in values]

        more = field(clean=plain)
        made = self.book({"email": "e@x"}, {"id": 2, "email": "b@x"}, more=more)
        sent = {"id": 2, "email": "e+ad@x"}

        assert made.upsert(sent).withheld == (Withheld("email", "e+ad@x", "1", "mail"),)
        assert made.upsert(sent).unchanged


class TestRefused:
    """A contact that could not be created, or not be found again."""

    def test_a_needed_field_that_is_left_out(self) -> None:
        """The key in use is told, though another field is missed."""
        keys = {"who": part_of("email", "first"), "fd": FIRST}
        lines = {**EMAIL, "first": field(required=True)}
        made = book({"email": "e@x", "first": "Eve"}, keys=keys, lines=lines)
        with pytest.raises(KeyInUse) as caught:
            made.upsert({"id": 2, "email": "E@x", "first": "Ann"})

        told = caught.value
        assert (told.field, told.value, told.holder) == ("email", "E@x", "1")
        assert made.upsert({"id": 2, "first": "Ann"}).created
        assert made.upsert({"id": 2, "email": "E@x", "first": "Anna"}).unchanged

    def test_a_needed_part_of_the_key_in_use(self) -> None:
        """The key is told by its name, with all its parts as they were sent."""
        lines = {"first": field(required=True)}
        made = book(XENIA, lines=lines, match=first_match("id"))
        with pytest.raises(KeyInUse) as caught:
            made.upsert({"id": 2, **XENIA, "first": "Eve"})

        told = caught.value
        assert (told.field, told.holder) == ("sd", "1")
        assert told.value == {"surname": "Page", "dob": "1990"}

    def test_a_key_that_the_contact_would_not_be_found_by(self) -> None:
        """Each call would make one more contact; the key in use is told."""
        keys = {"who": part_of("email", "first"), "fd": FIRST}
        match = first_match("fd", "who")
        made = book({"email": "e@x"}, keys=keys, lines=EMAIL, match=match)
        with pytest.raises(KeyInUse) as caught:
            made.upsert({"email": "e@x", "first": "Ann", "dob": "1970"})

        assert (caught.value.field, caught.value.holder) == ("email", "1")
        assert len(made) == 1

    def test_a_part_that_no_update_takes(self) -> None:
        """Withheld at creation it would be dropped later, and its partners taken."""
        lines = {"email": field(key=normalize.email, unique=True, rule=on_create)}
        keys = {"who": part_of("email", "first")}
        match = first_match("id")
        with pytest.raises(InvalidPolicy, match="email: is part of key who: with"):
            book(keys=keys, lines=lines, match=match)
        book(keys=keys, lines=lines, match=match, on_key_in_use="refuse")
        book(keys={}, lines=lines, match=match)
        lines = {"email": field(key=normalize.email, unique=True, rule=ignore)}
        book(keys=keys, lines=lines, match=match)


class TestBlocked:
    """A blocked value is left out, and what identifies with it."""

    def book(self, *patches: dict[str, Any], **options: Any) -> ContactBook:
        """Make a book in which an address and a name identify together."""
        keys = {"who": part_of("email", "first"), "fd": FIRST}
        how = {
            "match": first_match("id"),
            "lines": BLOCKED,
            "on_blocked": "ignore",
            **options,
        }
        return book(*patches, keys=keys, **how)

    def test_it_takes_along_what_would_move(self) -> None:
        """The name of whoever sends from there is not that of the contact."""
        made = self.book({**ANN, "email": "a@x"})
        sent = {"id": 2, "email": "noreply@x", "first": "Shop", "city": "Oslo"}
        outcome = made.upsert(sent)

        assert outcome.ignored == {"email": "blocked", "first": "composite"}
        assert outcome.contact.fields == {**ANN, "email": "a@x", "city": "Oslo"}
        assert made.upsert(sent).unchanged
        line = "first: not stored: it shares a key with a blocked value"
        assert line in outcome.explain()

    def test_a_list_that_is_left_in_part_takes_nothing_along(self) -> None:
        """What is left of it was carried with the rest by the same patch."""
        lines = {
            "email": field(key=normalize.email, rule=union, blocked=("noreply@*",))
        }
        made = self.book({"id": 2}, lines=lines)
        outcome = made.upsert({"id": 2, "email": ["noreply@x", "a@x"], "first": "Ann"})

        assert outcome.ignored == {"email": "blocked"}
        assert outcome.contact.fields == {"id": 2, "email": ("a@x",), "first": "Ann"}

    def test_where_blocked_values_are_stored_nothing_is_left_out(self) -> None:
        """They are no keys, and that is all."""
        made = self.book(ANN, on_blocked="store")
        sent = {"id": 2, "email": "noreply@x", "first": "Shop"}

        assert made.upsert(sent).contact["first"] == "Shop"

    def test_beside_a_key_in_use(self) -> None:
        """Both are named, and what goes with both goes with what was blocked."""
        made = self.book({"id": 1}, ANN)
        sent = {"id": 2, "email": "noreply@x", "first": "Shop", "dob": "1"}
        outcome = made.upsert(sent)
        assert outcome.ignored == {
            "email": "blocked",
            "first": "composite",
            "dob": "composite",
        }

        phone = {"phone": field(key=normalize.text, unique=True)}
        made = self.book({"phone": "1"}, ANN, lines={**BLOCKED, **phone})
        outcome = made.upsert({**sent, "phone": "1"})
        assert outcome.withheld == (Withheld("phone", "1", "1"),)
        assert outcome.ignored["first"] == "composite"
        assert outcome.unchanged

    def test_a_needed_field_is_not_left_out_of_a_new_contact(self) -> None:
        """There is no holder to tell of, so the field is told."""
        made = self.book(lines={**BLOCKED, "first": field(required=True)})
        with pytest.raises(
            InvalidField, match="first: 'Ann' is needed, but left out with"
        ):
            made.upsert({"id": 2, "email": "noreply@x", "first": "Ann"})

    def test_a_key_that_the_contact_would_not_be_found_by(self) -> None:
        """What is left out beside a blocked value cannot find anybody."""
        made = self.book(match=first_match("fd"))
        with pytest.raises(
            InvalidField, match="first: 'Ann' is needed, but left out with"
        ):
            made.upsert({"email": "noreply@x", "first": "Ann", "dob": "1970"})
        assert len(made) == 0


@pytest.mark.parametrize("case", CASES, ids=map(str, range(len(CASES))))
def test_a_kept_history(case: Any) -> None:
    """Each call does what is written there, which the rules say and no engine."""
    policy = policy_of(case["policy"])
    made = book_of(policy)
    for patch, due in zip(case["calls"], case["expected"], strict=True):
        [answer] = answers(made, [patch])
        assert due == told(answer)
        if isinstance(answer, Outcome):
            assert not mixtures(policy, patch, answer)
    made._index.check()


def test_the_kept_histories_are_those_that_the_oracle_tells() -> None:
    """Drawn anew, they are the same; a few of each kind, for all take a while."""
    kinds = [CASES[number : number + 90] for number in range(0, 360, 90)]
    assert len(CASES) == 360
    assert [case for kind in kinds for case in kind[:5]] == cases(5)


def test_no_call_makes_a_mixture_and_each_is_idempotent() -> None:
    """
    Drawn from fixed numbers: what is left out never leaves parts of two people.

    A mixture is a contact whose values of a group of fields that identify together
    no single patch, and no contact, ever carried as a whole.
    """
    left_out = 0
    for number in range(400):
        history = drawn(number, "whole")
        assert history is not None
        spec, patches = history
        policy = policy_of(spec)
        made = book_of(policy)
        for patch in patches:
            first, again = answers(made, [patch, patch])
            if isinstance(first, Outcome):
                assert not mixtures(policy, patch, first)
                assert isinstance(again, Outcome)
                assert again.unchanged
                assert again.contact is first.contact
                left_out += bool(first.withheld)
            else:
                assert type(again) is type(first)
        assert people(policy, patches, made) == []

    assert left_out > 100

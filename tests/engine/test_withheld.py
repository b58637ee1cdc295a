"""Fields of a composite key are withheld together, with the holder named."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.engine.withheld_cases import (
    answer_data,
    answers,
    book_of,
    cases,
    history_of,
    mixtures,
    people,
    policy_of,
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


def text_key(*fields: str, unique: bool = False, **options: Any) -> Any:
    """Make a key of several fields, as text."""
    return key(*fields, normalize=normalize.text, unique=unique, **options)


SURNAME = text_key("surname", "dob", unique=True)
FIRST = text_key("first", "dob")


def make_book(
    *patches: dict[str, Any],
    keys: Any = None,
    lines: Any = None,
    match: Any = None,
    **options: Any,
) -> ContactBook:
    """Make a book with a contact per patch; the ids are 1, 2, ..."""
    numbers = count(1)
    fields = {"id": ID, **{name: field() for name in NAMES}, **(lines or {})}
    all_keys = {"sd": SURNAME, "fd": FIRST} if keys is None else keys
    policy_options = {"on_key_in_use": "withhold", "on_ambiguous": "oldest", **options}
    policy = Policy(
        match or first_match("id", *all_keys), fields, keys=all_keys, **policy_options
    )
    book = ContactBook(policy, ids=lambda: f"{next(numbers)}")
    for patch in patches:
        book.create(patch)
    return book


XENIA = {"first": "Xenia", "surname": "Page", "dob": "1990"}
ANN = {"id": 2, "first": "Ann", "surname": "Lee", "dob": "1970"}
EMAIL = {"email": field(key=normalize.email, unique=True)}
BLOCKED = {
    "email": field(key=normalize.email, unique=True, blocked=("noreply@*",)),
}


class TestCompositeKeys:
    """Fields that composite keys join are withheld together."""

    def test_key_in_use_withholds_the_fields_of_its_composites(self) -> None:
        """Otherwise the contact would match a third person."""
        book = make_book(XENIA, ANN)
        sent = {"id": 2, **XENIA, "city": "Oslo"}
        outcome = book.upsert(sent)

        assert outcome.withheld == (
            Withheld("surname", "Page", "1", "sd"),
            Withheld("dob", "1990", "1", "sd"),
            Withheld("first", "Xenia", "1", "sd"),
        )
        assert outcome.contact.fields == {**ANN, "city": "Oslo"}
        assert book.upsert(sent).unchanged
        third = book.upsert({"first": "Xenia", "surname": "Moe", "dob": "1970"})
        assert (third.result, third.contact.id) == ("created", "3")

    def test_withheld_group_spans_linked_composite_keys(self) -> None:
        lines = {name: field() for name in "abcde"}
        pairs = {"ab": text_key("a", "b", unique=True), "cd": text_key("c", "d")}
        keys = {**pairs, "bc": text_key("b", "c")}
        book = make_book({"a": "1", "b": "1"}, {"id": 2}, keys=keys, lines=lines)
        sent = {"a": "1", "b": "1", "c": "2", "d": "2", "e": "2"}
        outcome = book.upsert({"id": 2, **sent})

        assert [item.field for item in outcome.withheld] == ["a", "b", "c", "d"]
        assert {item.key for item in outcome.withheld} == {"ab"}
        assert outcome.contact.fields == {"id": 2, "e": "2"}
        assert compiled(book.policy).groups["d"] == ("a", "b", "c", "d")
        assert "e" not in compiled(book.policy).groups

    def test_field_that_does_not_change_is_not_withheld(self) -> None:
        book = make_book({**XENIA, "dob": "1970"}, ANN)
        outcome = book.upsert({"id": 2, "surname": "Page", "dob": "1970"})
        assert outcome.withheld == (Withheld("surname", "Page", "1", "sd"),)

        outcome = book.upsert({"id": 2, "first": "Ann", "surname": "Page"})
        assert outcome.withheld == (Withheld("surname", "Page", "1", "sd"),)
        assert book.upsert({"id": 2, "first": "Anna"}).updated

    def test_null_is_withheld_and_keeps_the_value(self) -> None:
        book = make_book(XENIA, ANN)
        outcome = book.upsert({"id": 2, **XENIA, "first": None})

        assert outcome.withheld[-1] == Withheld("first", None, "1", "sd")
        assert outcome.unchanged

    def test_key_of_one_field_in_use_withholds_its_composite(self) -> None:
        """The email of another person comes with the name of that person."""
        keys = {"who": text_key("email", "first"), "fd": FIRST}
        book = make_book({"email": "e@x"}, ANN, keys=keys, lines=EMAIL)
        outcome = book.upsert({"id": 2, "email": "E@x", "first": "Eve", "city": "Rome"})

        assert outcome.withheld == (
            Withheld("email", "E@x", "1"),
            Withheld("first", "Eve", "1", "email"),
        )
        assert outcome.contact.fields == {**ANN, "city": "Rome"}

    def test_two_keys_in_use_name_their_holders(self) -> None:
        keys = {"who": text_key("email", "first"), "sd": SURNAME, "fd": FIRST}
        book = make_book(
            {"email": "e@x"}, XENIA, ANN | {"id": 3}, keys=keys, lines=EMAIL
        )
        outcome = book.upsert({"id": 3, **XENIA, "email": "e@x"})

        assert outcome.withheld == (
            Withheld("email", "e@x", "1"),
            Withheld("first", "Xenia", "1", "email"),
            Withheld("surname", "Page", "2", "sd"),
            Withheld("dob", "1990", "2", "sd"),
        )

    def test_shared_field_is_named_for_the_first_key(self) -> None:
        keys = {"sd": SURNAME, "fd": text_key("first", "dob", unique=True)}
        book = make_book(
            XENIA, {"first": "Eve", "dob": "1990"}, ANN | {"id": 3}, keys=keys
        )
        outcome = book.upsert({"id": 3, **XENIA, "first": "Eve"})

        assert outcome.withheld == (
            Withheld("surname", "Page", "1", "sd"),
            Withheld("dob", "1990", "1", "sd"),
            Withheld("first", "Eve", "2", "fd"),
        )

    def test_withheld_field_of_a_new_contact_has_no_default(self) -> None:
        """The default would become part of its keys."""
        lines = {"first": field(default="?"), "city": field(default="Oslo")}
        book = make_book(XENIA, lines=lines, match=first_match("id"))
        outcome = book.upsert({"id": 3, **XENIA})
        assert outcome.contact.fields == {"id": 3, "city": "Oslo"}
        assert book.upsert({"id": 3, **XENIA}).unchanged

        outcome = book.upsert({"id": 4, "surname": "Page", "dob": "1990"})
        assert outcome.contact.fields == {"id": 4, "first": "?", "city": "Oslo"}

    def test_field_under_ignore_is_not_withheld_at_creation(self) -> None:
        """Its rule is the reason; its default is stored."""
        lines = {"first": field(rule=ignore, default="?")}
        book = make_book(XENIA, lines=lines, match=first_match("id"))
        outcome = book.upsert({"id": 3, **XENIA})

        assert [item.field for item in outcome.withheld] == ["surname", "dob"]
        assert outcome.ignored == {"first": "ignore"}
        assert outcome.contact.fields == {"id": 3, "first": "?"}
        assert book.upsert({"id": 3, **XENIA}).unchanged

    def test_merged_values_are_kept_when_the_patch_is_withheld(self) -> None:
        match = merge_all("id", "email")
        book = make_book(
            XENIA, ANN, {"email": "e@x", "city": "Rome"}, match=match, lines=EMAIL
        )
        outcome = book.upsert({**XENIA, "id": 2, "email": "e@x"})

        assert (outcome.result, outcome.contact.id) == ("merged", "2")
        assert outcome.contact.fields == {**ANN, "email": "e@x", "city": "Rome"}
        assert [item.field for item in outcome.withheld] == ["surname", "dob", "first"]


class TestAppendedPrimary:
    """A primary appended to a list that is part of a composite key."""

    def make_book(self, *patches: dict[str, Any], **lines: Any) -> ContactBook:
        """Make a book of primaries, lists, and keys of a list and a city."""
        mail = key(
            *("email", "more"),
            normalize=normalize.email,
            any_of=True,
            append_new=True,
            unique=True,
        )
        keys = {"mail": mail, "place": text_key("more", "city", unique=True)}
        fields = {"more": field(), **lines}
        return make_book(*patches, keys=keys, lines=fields, match=first_match("id"))

    def test_primary_in_use_withholds_the_composite_of_its_list(self) -> None:
        """Appending it would have changed that composite key."""
        book = self.make_book(
            {"email": "e@x"}, {"id": 2, "email": "b@x", "city": "Rome"}
        )
        sent = {"id": 2, "email": "e@x", "city": "Oslo", "first": "Ann"}
        outcome = book.upsert(sent)

        assert outcome.withheld == (
            Withheld("email", "e@x", "1", "mail"),
            Withheld("city", "Oslo", "1", "mail"),
        )
        assert outcome.contact.get("first") == "Ann"
        assert book.upsert(sent).unchanged

    def test_primary_is_withheld_with_its_list(self) -> None:
        """Nothing is appended to a list that is withheld."""
        book = self.make_book(
            {"more": ["m@x"], "city": "Oslo"}, {"id": 2, "email": "b@x", "city": "Rome"}
        )
        book._index.put(book.get("1"), [[], [], ["m@x|oslo", "n@x|oslo"]])
        sent = {"id": 2, "email": "n@x", "city": "Oslo"}
        outcome = book.upsert(sent)

        assert outcome.withheld == (
            Withheld("city", "Oslo", "1", "place"),
            Withheld("email", "n@x", "1", "place"),
        )
        assert "more" not in outcome.contact
        assert not outcome.ignored
        assert book.upsert(sent).unchanged

    def test_two_primaries_with_one_form_in_use_are_both_withheld(self) -> None:
        """In either order; without the first, the second would be appended."""
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
        options: Any = {"keys": keys, "lines": lines, "match": first_match("id")}
        book = make_book({"email": "e@x"}, stored, **options)
        outcome = book.upsert(sent)

        assert outcome.withheld == (
            Withheld("email", "E@x", "1", "email"),
            Withheld("other", "e@x", "1", "email"),
        )
        assert outcome.unchanged
        free = book.upsert({"id": 2, "other": "f@x", "email": "F@x"})
        assert free.contact["more"] == ("m@x", "f@x")
        assert book.upsert({"id": 2, "other": "m@x", "email": "M@x"}).unchanged

        book = make_book({"email": "e@x"}, stored, **options, on_key_in_use="refuse")
        with pytest.raises(KeyInUse) as caught:
            book.upsert(sent)
        assert (caught.value.field, caught.value.value) == ("email", "E@x")

    def test_primary_cleaned_to_a_form_in_use_is_withheld(self) -> None:
        """The clean function of the list may make another address of it."""

        def remove_tags(values: Any) -> Any:
            return [value.replace("+ad", "") for value in values]

        more = field(clean=remove_tags)
        book = self.make_book({"email": "e@x"}, {"id": 2, "email": "b@x"}, more=more)
        sent = {"id": 2, "email": "e+ad@x"}

        assert book.upsert(sent).withheld == (Withheld("email", "e+ad@x", "1", "mail"),)
        assert book.upsert(sent).unchanged


class TestRefused:
    """A contact that could not be created, or not be matched again."""

    def test_withheld_required_field_is_refused_with_the_key_in_use(self) -> None:
        keys = {"who": text_key("email", "first"), "fd": FIRST}
        lines = {**EMAIL, "first": field(required=True)}
        book = make_book({"email": "e@x", "first": "Eve"}, keys=keys, lines=lines)
        with pytest.raises(KeyInUse) as caught:
            book.upsert({"id": 2, "email": "E@x", "first": "Ann"})

        error = caught.value
        assert (error.field, error.value, error.holder) == ("email", "E@x", "1")
        assert book.upsert({"id": 2, "first": "Ann"}).created
        assert book.upsert({"id": 2, "email": "E@x", "first": "Anna"}).unchanged

    def test_withheld_required_part_is_refused_with_the_composite(self) -> None:
        """The refusal shows all parts as they were sent."""
        lines = {"first": field(required=True)}
        book = make_book(XENIA, lines=lines, match=first_match("id"))
        with pytest.raises(KeyInUse) as caught:
            book.upsert({"id": 2, **XENIA, "first": "Eve"})

        error = caught.value
        assert (error.field, error.holder) == ("sd", "1")
        assert error.value == {"surname": "Page", "dob": "1990"}

    def test_withheld_matching_key_is_refused_with_the_key_in_use(self) -> None:
        """Otherwise each call would create a contact."""
        keys = {"who": text_key("email", "first"), "fd": FIRST}
        match = first_match("fd", "who")
        book = make_book({"email": "e@x"}, keys=keys, lines=EMAIL, match=match)
        with pytest.raises(KeyInUse) as caught:
            book.upsert({"email": "e@x", "first": "Ann", "dob": "1970"})

        assert (caught.value.field, caught.value.holder) == ("email", "1")
        assert len(book) == 1

    def test_composite_part_under_on_create_is_an_invalid_policy(self) -> None:
        """Withheld at creation, it could never be stored with the other parts."""
        lines = {"email": field(key=normalize.email, unique=True, rule=on_create)}
        keys = {"who": text_key("email", "first")}
        match = first_match("id")
        with pytest.raises(InvalidPolicy, match="email: is part of key who: with"):
            make_book(keys=keys, lines=lines, match=match)
        make_book(keys=keys, lines=lines, match=match, on_key_in_use="refuse")
        make_book(keys={}, lines=lines, match=match)
        lines = {"email": field(key=normalize.email, unique=True, rule=ignore)}
        make_book(keys=keys, lines=lines, match=match)


class TestBlocked:
    """A blocked value is left out with the fields of its composite keys."""

    def make_book(self, *patches: dict[str, Any], **options: Any) -> ContactBook:
        """Make a book in which an address and a name identify together."""
        keys = {"who": text_key("email", "first"), "fd": FIRST}
        book_options = {
            "match": first_match("id"),
            "lines": BLOCKED,
            "on_blocked": "ignore",
            **options,
        }
        return make_book(*patches, keys=keys, **book_options)

    def test_blocked_value_leaves_out_changed_fields_of_its_keys(self) -> None:
        book = self.make_book({**ANN, "email": "a@x"})
        sent = {"id": 2, "email": "noreply@x", "first": "Shop", "city": "Oslo"}
        outcome = book.upsert(sent)

        assert outcome.ignored == {"email": "blocked", "first": "composite"}
        assert outcome.contact.fields == {**ANN, "email": "a@x", "city": "Oslo"}
        assert book.upsert(sent).unchanged
        line = "first: not stored: it shares a key with a blocked value"
        assert line in outcome.explain()

    def test_partly_blocked_list_leaves_out_no_other_field(self) -> None:
        lines = {
            "email": field(key=normalize.email, rule=union, blocked=("noreply@*",))
        }
        book = self.make_book({"id": 2}, lines=lines)
        outcome = book.upsert({"id": 2, "email": ["noreply@x", "a@x"], "first": "Ann"})

        assert outcome.ignored == {"email": "blocked"}
        assert outcome.contact.fields == {"id": 2, "email": ("a@x",), "first": "Ann"}

    def test_stored_blocked_value_leaves_out_nothing(self) -> None:
        book = self.make_book(ANN, on_blocked="store")
        sent = {"id": 2, "email": "noreply@x", "first": "Shop"}

        assert book.upsert(sent).contact["first"] == "Shop"

    def test_block_is_the_reason_beside_a_key_in_use(self) -> None:
        """For a field that both leave out."""
        book = self.make_book({"id": 1}, ANN)
        sent = {"id": 2, "email": "noreply@x", "first": "Shop", "dob": "1"}
        outcome = book.upsert(sent)
        assert outcome.ignored == {
            "email": "blocked",
            "first": "composite",
            "dob": "composite",
        }

        phone = {"phone": field(key=normalize.text, unique=True)}
        book = self.make_book({"phone": "1"}, ANN, lines={**BLOCKED, **phone})
        outcome = book.upsert({**sent, "phone": "1"})
        assert outcome.withheld == (Withheld("phone", "1", "1"),)
        assert outcome.ignored["first"] == "composite"
        assert outcome.unchanged

    def test_blocked_value_with_a_required_field_is_refused(self) -> None:
        """There is no holder, so the field is named."""
        book = self.make_book(lines={**BLOCKED, "first": field(required=True)})
        with pytest.raises(
            InvalidField, match="first: 'Ann' is needed, but left out with"
        ):
            book.upsert({"id": 2, "email": "noreply@x", "first": "Ann"})

    def test_blocked_value_that_leaves_out_the_matching_key_is_refused(self) -> None:
        book = self.make_book(match=first_match("fd"))
        with pytest.raises(
            InvalidField, match="first: 'Ann' is needed, but left out with"
        ):
            book.upsert({"email": "noreply@x", "first": "Ann", "dob": "1970"})
        assert len(book) == 0


@pytest.mark.parametrize("case", CASES, ids=map(str, range(len(CASES))))
def test_recorded_history_has_the_expected_answers(case: Any) -> None:
    """The expected answers are those of the oracle."""
    policy = policy_of(case["policy"])
    book = book_of(policy)
    for patch, expected in zip(case["calls"], case["expected"], strict=True):
        [answer] = answers(book, [patch])
        assert expected == answer_data(answer)
        if isinstance(answer, Outcome):
            assert not mixtures(policy, patch, answer)
    book._index.check()


def test_recorded_histories_equal_those_of_the_oracle() -> None:
    """Five of each kind are drawn anew; all of them take too long."""
    kinds = [CASES[number : number + 90] for number in range(0, 360, 90)]
    assert len(CASES) == 360
    assert [case for kind in kinds for case in kind[:5]] == cases(5)


def test_calls_make_no_mixture_and_are_idempotent() -> None:
    """
    Withheld fields never leave a contact with values of two people.

    A mixture is a contact whose values of a group of identifying fields no single
    patch and no contact ever had as a whole.
    """
    left_out = 0
    for number in range(400):
        history = history_of(number, "whole")
        assert history is not None
        spec, patches = history
        policy = policy_of(spec)
        book = book_of(policy)
        for patch in patches:
            first, second = answers(book, [patch, patch])
            if isinstance(first, Outcome):
                assert not mixtures(policy, patch, first)
                assert isinstance(second, Outcome)
                assert second.unchanged
                assert second.contact is first.contact
                left_out += bool(first.withheld)
            else:
                assert type(second) is type(first)
        assert people(policy, patches, book) == []

    assert left_out > 100

"""Keys: the normal forms of one field, of composites, and of any-of keys."""

from __future__ import annotations

import pickle
import re
from typing import Any

import attrs
import pytest

from upsertcore import ContactBook, Policy, field, first_match, key, normalize
from upsertcore.errors import InvalidField, InvalidPolicy, KeyInUse
from upsertcore.policy.keys import MAX_FORMS, Key, compile_patterns
from upsertcore.rules import union
from upsertcore.values import freeze

NUMBERED: Any = {1: ["0"]}
NOT_TEXT: Any = {"b": [0]}
PERSON = key("first", "last", normalize=normalize.text)
MAIL = key("main", "more", normalize=normalize.email, any_of=True)


def named_key(unnamed: Key, name: str, *blocked: str) -> Key:
    """Return the key with a name and blocked patterns, as in a policy."""
    options = (
        unnamed.unique,
        unnamed.keep_aliases,
        unnamed.max_forms,
        unnamed.any_of,
        unnamed.append_new,
    )
    return Key(name, unnamed.fields, unnamed.normalize, *options, blocked)


class TestOneField:
    """The normal forms of one field."""

    EMAIL = Key("email", ("email",), (normalize.email,))

    @pytest.mark.parametrize(
        ("fields", "forms"),
        [
            ({}, ()),
            ({"email": None}, ()),
            ({"email": ""}, ()),
            ({"email": ()}, ()),
            ({"email": "x"}, ()),
            ({"email": "A@x"}, ("a@x",)),
            ({"email": ("B@x", "", None, "b@X", "A@x")}, ("b@x", "a@x")),
        ],
    )
    def test_forms_of_a_list_are_those_of_its_items(
        self, fields: Any, forms: Any
    ) -> None:
        """Each once, in order."""
        assert forms == self.EMAIL.forms(fields)

    def test_blank_form_is_no_form(self) -> None:
        assert Key("a", ("a",), (lambda _value: "",)).forms({"a": "x"}) == ()

    @pytest.mark.parametrize("value", ["x", ("y", "x")], ids=["one", "list"])
    def test_exception_of_a_normaliser_has_a_note(self, value: Any) -> None:
        """The note names the field and the kind of the value."""

        def fail(value: Any) -> str:
            if value == "x":
                raise ZeroDivisionError
            return "y"

        people = Key("people", ("a", "b"), (str, fail), any_of=True)
        with pytest.raises(ZeroDivisionError) as caught:
            people.forms({"a": "x", "b": value})

        assert caught.value.__notes__ == ["b: normaliser fail raised this for text"]

    def test_form_that_is_no_text_is_an_error(self) -> None:
        wrong: Any = len
        with pytest.raises(TypeError, match="len must return str or None, not int"):
            Key("a", ("a",), (wrong,)).forms({"a": "x"})

    @pytest.mark.parametrize(
        ("value", "forms"),
        [
            ("A@x", ("a@x",)),
            ("x", ()),
            (None, ()),
            ("", ()),
            ((), ()),
            (("a@x",), ("a@x",)),
            (("a@x", None, "x", "b@x", "A@X"), ("a@x", "b@x")),
        ],
        ids=map(str, range(7)),
    )
    def test_lookup_forms_of_a_value_or_list(self, value: Any, forms: Any) -> None:
        """Each form once."""
        assert forms == self.EMAIL.lookup_forms(value)

    def test_error_subject_is_the_field_and_its_value(self) -> None:
        assert self.EMAIL.error_subject({"email": "A@x", "city": "Oslo"}) == (
            "email",
            "A@x",
        )
        assert self.EMAIL.error_subject({}) == ("email", None)


class TestComposite:
    """Several fields that make one form together."""

    @pytest.mark.parametrize(
        ("fields", "forms"),
        [
            ({"first": "Ada", "last": "KING"}, ("ada|king",)),
            ({"first": "Ada"}, ()),
            ({"first": "Ada", "last": None}, ()),
            ({"first": "Ada", "last": ""}, ()),
            ({"first": "Ada", "last": ()}, ()),
            ({"first": "Ada", "last": " "}, ()),
            ({"first": "Ada", "last": 7}, ()),
            ({"first": "", "last": "King"}, ()),
        ],
        ids=map(str, range(8)),
    )
    def test_composite_without_all_parts_has_no_form(
        self, fields: Any, forms: Any
    ) -> None:
        """A part may be omitted, null, blank or without normal form."""
        assert forms == PERSON.forms(fields)
        assert PERSON.composite

    def test_separator_in_a_part_is_escaped(self) -> None:
        """Different parts never make the same form."""
        parts = ["a", "a|", "|a", "a\\", "\\a", "|", "\\", "\\|", "a|b"]
        forms = [PERSON.forms({"first": a, "last": b}) for a in parts for b in parts]

        assert len({*forms}) == len(parts) ** 2
        assert PERSON.forms({"first": "a|b", "last": "c\\"}) == ("a\\|b|c\\\\",)

    def test_lists_make_a_form_per_combination(self) -> None:
        """The first part varies slowest; each form once."""
        fields = {"first": ("B", "", "a", "b"), "last": ("x", None, "y")}

        assert ("b|x", "b|y", "a|x", "a|y") == PERSON.forms(fields)
        assert PERSON.forms({"first": ("",), "last": "x"}) == ()

    def test_each_part_has_its_normaliser(self) -> None:
        born = key("first", "born", normalize=(normalize.text, normalize.exact))

        assert born.forms({"first": "Ada", "born": 1815}) == ("ada|1815",)
        assert born.forms({"first": 1815, "born": "Ada"}) == ()

    def test_blocked_pattern_applies_to_the_whole_form(self) -> None:
        blocked = named_key(PERSON, "person", "test|*")

        assert blocked.forms({"first": "Test", "last": ("a", "b")}) == ()
        assert blocked.forms({"first": "a", "last": "Test"}) == ("a|test",)
        assert blocked.blocks({"first": "Test", "last": "a"})
        assert not blocked.blocks({"first": "Test"})
        assert named_key(PERSON, "person", "test").forms({"first": "Test", "last": "a"})

    def test_blocked_part_makes_no_form(self) -> None:
        """Of a list the other items make theirs; white space does not count."""
        who = key("n", "b", normalize=normalize.exact, blocked={"b": ["0", "1900*"]})

        assert who.forms({"n": "a", "b": "1990"}) == ("a|1990",)
        assert who.forms({"n": "0", "b": ("1900-01-01", "1990", "0 ")}) == ("0|1990",)
        assert who.forms({"n": "a", "b": "1900-01-01"}) == ()
        assert not who.blocks({"n": "a", "b": "0"})
        assert who.lookup_forms(freeze({"n": "a", "b": "0"})) == ()
        assert who.unusable_values({"n": "a", "b": ("0", "1")}) == [
            ("b", "0", "blocked")
        ]
        assert who.blocked_parts == {"b": ("0", "1900*")}
        assert PERSON.blocked_parts == {}
        assert [who.without_blocked(v, 1) for v in ("0", "1", ("0", "1"), ("0",))] == [
            *(None, "1"),
            ("1",),
            None,
        ]
        assert who.without_blocked("0", 0) == "0"

    def test_keys_with_blocked_parts_compare_and_pickle(self) -> None:
        makes = [
            key("n", "b", normalize=normalize.exact, blocked={"b": patterns})
            for patterns in (["0"], ("0",), [re.compile("0")], ["1"])
        ]

        assert [makes[0] == each for each in makes] == [True, True, False, False]
        for each in makes:
            copied = pickle.loads(pickle.dumps(each))  # noqa: S301 - pickled here
            assert copied == each
            assert copied.forms({"n": "a", "b": "0"}) == each.forms(
                {"n": "a", "b": "0"}
            )

    @pytest.mark.parametrize(
        ("make", "words"),
        [
            (
                lambda: key(
                    "n", "born", normalize=normalize.text, blocked={"bron": ["0"]}
                ),
                "key: blocked: unknown part 'bron'; this policy has: n, born",
            ),
            (
                lambda: key("n", "b", normalize=normalize.text, blocked=NUMBERED),
                "key: blocked: unknown part 1",
            ),
            (
                lambda: key(
                    "a",
                    "b",
                    normalize=normalize.text,
                    any_of=True,
                    blocked={"a": ["0"]},
                ),
                "key: blocked: patterns of parts are for a key of several fields",
            ),
            (
                lambda: key("a", normalize=normalize.text, blocked={"a": ["0"]}),
                "key: blocked: patterns of parts are for a key of several fields",
            ),
            (
                lambda: key("n", "b", normalize=normalize.text, blocked={"b": "0"}),
                "key: blocked must be a tuple of patterns, not '0'",
            ),
            (
                lambda: key("n", "b", normalize=normalize.text, blocked=NOT_TEXT),
                "key: blocked must be text or a compiled pattern of text, not 0",
            ),
        ],
        ids=map(str, range(6)),
    )
    def test_blocked_parts_that_cannot_work_are_refused(
        self, make: Any, words: str
    ) -> None:
        with pytest.raises(InvalidPolicy, match=words):
            make()

    @pytest.mark.parametrize(
        ("value", "forms"),
        [
            ({"first": "Ada", "last": "King"}, ("ada|king",)),
            ({"first": "Ada", "last": ["King", "KING"]}, ("ada|king",)),
            ({"first": "A", "last": ["B", "C"]}, ("a|b", "a|c")),
            ({"first": "Ada"}, ()),
            ({"first": "Ada", "last": None}, ()),
            ({}, ()),
        ],
        ids=map(str, range(6)),
    )
    def test_lookup_of_a_composite_takes_a_mapping(
        self, value: Any, forms: Any
    ) -> None:
        """Without all parts it has no form."""
        assert forms == PERSON.lookup_forms(freeze(value))

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ("Ada King", "value: must be a mapping of first, last"),
            (None, "value: must be a mapping of first, last"),
            (["Ada", "King"], "value: must be a mapping of first, last"),
            ({"first": "A", "last": "B", "city": "C"}, "must be a mapping of first"),
        ],
        ids=map(str, range(4)),
    )
    def test_lookup_of_a_composite_by_another_value_is_refused(
        self, value: Any, words: str
    ) -> None:
        """The refusal names the fields."""
        with pytest.raises(InvalidField, match=words):
            PERSON.lookup_forms(freeze(value))

    def test_error_subject_is_the_key_and_the_present_parts(self) -> None:
        person = named_key(PERSON, "person")

        assert person.error_subject({"first": "Ada", "city": "Oslo"}) == (
            "person",
            freeze({"first": "Ada"}),
        )

    def test_stored_part_does_not_complete_a_sent_one(self) -> None:
        lines = {"id": field(key=normalize.exact), "first": field(), "last": field()}
        policy = Policy(first_match("person", "id"), lines, keys={"person": PERSON})
        book = ContactBook(policy)
        ada = book.upsert({"id": 1, "first": "Ada", "last": "King"}).contact

        assert book.upsert({"first": "ADA", "last": "King"}).contact.id == ada.id
        assert book.upsert({"id": 2, "last": "King"}).created
        assert book.find("person", {"first": "ada", "last": "king"})[0].id == ada.id


class TestAnyOf:
    """Several fields that each make forms."""

    @pytest.mark.parametrize(
        ("fields", "forms"),
        [
            ({"main": "A@x", "more": ("b@x", "a@x")}, ("a@x", "b@x")),
            ({"more": ("b@x", "a@x"), "main": "A@x"}, ("a@x", "b@x")),
            ({"more": "b@x"}, ("b@x",)),
            ({"main": "none", "more": ("", "b@x")}, ("b@x",)),
            ({"main": None}, ()),
        ],
        ids=map(str, range(5)),
    )
    def test_forms_are_those_of_all_fields(self, fields: Any, forms: Any) -> None:
        """In the order of the fields, each once."""
        assert forms == MAIL.forms(fields)
        assert not MAIL.composite

    def test_error_subject_is_the_first_field_with_a_form(self) -> None:
        assert MAIL.error_subject({"main": "none", "more": ("b@x",)}) == (
            "more",
            ("b@x",),
        )
        assert MAIL.error_subject({}) == ("main", None)

    def test_lookup_of_an_any_of_key_takes_one_value(self) -> None:
        """Or a list of values."""
        assert MAIL.lookup_forms("B@x") == ("b@x",)
        assert MAIL.lookup_forms(("B@x", "c@x")) == ("b@x", "c@x")
        assert named_key(MAIL, "mail", "noreply@*").lookup_forms(
            ("noreply@x", "c@x")
        ) == ("c@x",)

    def test_blocked_value_of_any_field_has_no_form(self) -> None:
        mail = named_key(MAIL, "mail", "noreply@*")

        assert mail.forms({"main": "NoReply@x", "more": ("b@x", "noreply@y")}) == (
            "b@x",
        )


class TestLists:
    """A key of a list field."""

    POLICY = Policy(
        first_match("mails"),
        {"mails": field(key=normalize.email, unique=True, rule=union)},
    )

    def test_any_item_matches_the_contact(self) -> None:
        book = ContactBook(self.POLICY)
        ada = book.upsert({"mails": ["a@x", "b@x"]}).contact
        outcome = book.upsert({"mails": ["B@x", "c@x"]})

        assert outcome.contact["mails"] == ("a@x", "b@x", "B@x", "c@x")
        assert book.find("mails", "c@x") == (outcome.contact,)
        assert outcome.contact.id == ada.id
        assert book.upsert({"mails": ["B@x", "c@x"]}).unchanged

    def test_item_of_another_contact_is_in_use(self) -> None:
        book = ContactBook(self.POLICY)
        book.upsert({"mails": ["a@x"]})
        other = book.upsert({"mails": ["b@x"]}).contact
        with pytest.raises(KeyInUse) as caught:
            book.upsert({"mails": ["a@x", "B@x"]})

        assert (caught.value.field, caught.value.holder) == ("mails", other.id)
        assert caught.value.value == ("a@x", "B@x")


class TestBlockedPatterns:
    """Patterns of blocked forms."""

    @pytest.mark.parametrize(
        ("pattern", "form", "blocks"),
        [
            ("noreply@*", "noreply@x.org", True),
            ("noreply@*", "NOREPLY@x.org", True),
            ("NoReply@*", "noreply@x.org", True),
            ("noreply@*", "my-noreply@x.org", False),
            ("*@test.x", "a@test.x", True),
            ("*@test.x", "a@testyx", False),
            ("*", "a\nb", True),
            ("a*b*c", "a--b--c", True),
            ("a", "aa", False),
            ("[0-9]", "7", False),
            (re.compile("0+"), "000", True),
            (re.compile("0+"), "0001", False),
            (re.compile("A"), "a", False),
        ],
        ids=map(str, range(13)),
    )
    def test_pattern_matches_the_whole_form(
        self,
        pattern: Any,
        form: str,
        blocks: bool,  # noqa: FBT001
    ) -> None:
        """In text, a star stands for any characters, and case does not count."""
        blocking_key = Key("a", ("a",), (str,), blocked=(pattern,))

        assert (() if blocks else (form,)) == blocking_key.forms({"a": form})
        assert (None if blocks else form) == blocking_key.form(form)

    @pytest.mark.parametrize(
        ("value", "remaining"),
        [
            ("a@x", "a@x"),
            ("noreply@x", None),
            ("none", "none"),
            (("a@x", "noreply@x", "none", ""), ("a@x", "none", "")),
            (("noreply@x", "NOREPLY@y"), None),
        ],
        ids=map(str, range(5)),
    )
    def test_blocked_items_are_removed_from_a_list(
        self, value: Any, remaining: Any
    ) -> None:
        """An item without normal form is not blocked."""
        mail = Key("m", ("m",), (normalize.email,), blocked=["noreply@*"])

        assert remaining == mail.without_blocked(value)

    def test_value_without_blocked_items_is_returned_itself(self) -> None:
        value = ("a@x", "b@x")
        open_key, blocking_key = (
            Key("m", ("m",), (normalize.email,), blocked=blocked)
            for blocked in ((), ("noreply@*",))
        )

        assert open_key.without_blocked(value) is value
        assert blocking_key.without_blocked(value) is value

    @pytest.mark.parametrize("bad", ["noreply@*", re.compile("0"), 7, None], ids="abcd")
    def test_patterns_without_collection_are_refused(self, bad: Any) -> None:
        """A text would be read as many patterns."""
        with pytest.raises(InvalidPolicy, match="email: blocked must be a tuple"):
            compile_patterns("email", bad)

    @pytest.mark.parametrize("bad", ["", 7, None, re.compile(b"0")], ids="abcd")
    def test_blank_or_bytes_pattern_is_refused(self, bad: Any) -> None:
        with pytest.raises(
            InvalidPolicy, match="email: blocked must be text or a compiled pattern of"
        ):
            compile_patterns("email", ("a", bad))

    @pytest.mark.parametrize(
        ("normalizer", "value"),
        [
            (normalize.exact, "anonymous"),
            (normalize.exact, "Null"),
            (normalize.exact, "undefined"),
            (normalize.text, " NONE "),
            (normalize.exact, "NaN"),
            (normalize.exact, 0),
            (normalize.exact, "000"),
            (normalize.exact, -1),
            (normalize.exact, "+0000"),
            (normalize.email, "NoReply@x.org"),
            (normalize.email, "unknown@x.org"),
        ],
        ids=map(str, range(11)),
    )
    def test_placeholder_has_no_form(self, normalizer: Any, value: Any) -> None:
        """Exports write placeholders for missing values."""
        blocked = normalize.PLACEHOLDERS
        assert Key("k", ("k",), (normalizer,)).form(value) is not None
        assert Key("k", ("k",), (normalizer,), blocked=blocked).form(value) is None

    @pytest.mark.parametrize("value", ["1000", "0x", "nano", "noreply", "-10", "00 1"])
    def test_form_that_contains_a_placeholder_is_a_key(self, value: str) -> None:
        blocked = normalize.PLACEHOLDERS

        assert Key("k", ("k",), (normalize.exact,), blocked=blocked).form(value)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: key(normalize=str), "key: needs at least one field"),
        (lambda: key("a", 1, normalize=str), "field names must be str, got"),  # type: ignore[arg-type]
        (lambda: key("a", "", normalize=str), "field names must be str, got"),
        (lambda: key("a", "b", "a", normalize=str), "duplicate field 'a'"),
        (
            lambda: key("a", "b", normalize="text"),  # type: ignore[arg-type]
            "normalize: must be a function, not 't",
        ),
        (lambda: key("a", "b", normalize=(str, None)), "must be a function, not None"),  # type: ignore[arg-type]
        (lambda: key("a", "b", "c", normalize=(str, str)), "one function or 3, not 2"),
        (lambda: key("a", normalize=(str, str)), "one function or 1, not 2"),
        (lambda: key("a", "b", normalize=()), "one function or 2, not 0"),
        (
            lambda: key("a", normalize=str, any_of=True),
            "any_of needs two fields or more",
        ),
        (
            lambda: key("a", "b", normalize=(str, str), any_of=True),
            "and one normaliser",
        ),
        (
            lambda: key("a", "b", normalize=str, append_new=True),
            "append_new needs a primary",
        ),
    ],
    ids=map(str, range(12)),
)
def test_invalid_key_is_refused(make: Any, words: str) -> None:
    with pytest.raises(InvalidPolicy, match=words):
        make()


def test_key_has_the_given_options() -> None:
    """One normaliser serves all fields."""
    pair = key("a", "b", normalize=str, unique=True, keep_aliases=True, max_forms=2)

    assert (pair.fields, pair.normalize) == (("a", "b"), (str, str))
    assert (pair.unique, pair.keep_aliases, pair.max_forms) == (True, True, 2)
    assert (pair.any_of, pair.append_new, pair.name) == (False, False, "")


def test_composite_with_too_many_combinations_is_refused() -> None:
    """A thousand are accepted."""
    pair = attrs.evolve(key("a", "b", normalize=normalize.exact), name="pair")
    first_values, second_values = tuple(map(str, range(40))), tuple(map(str, range(25)))
    assert len(pair.forms({"a": first_values, "b": second_values})) == MAX_FORMS

    with pytest.raises(InvalidField) as caught:
        pair.forms({"a": first_values, "b": (*second_values, "x")})
    assert caught.value.field == "pair"
    assert "at most 1000 combinations" in caught.value.reason


def test_form_of_a_text_subclass_is_plain_text() -> None:
    """A form with surrogates is an error."""

    class Text(str):
        __slots__ = ()

    assert type(key("a", normalize=Text).form("\u00e9")) is str
    assert type(key("a", normalize=Text).form("e")) is str
    with pytest.raises(TypeError, match="surrogates"):
        key("a", normalize=lambda v: f"\ud800{v}").form("a")

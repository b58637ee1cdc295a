"""Keys: the normal forms of one field, of several together, and of each of several."""

from __future__ import annotations

import re
from typing import Any

import attrs
import pytest

from upsertcore import ContactBook, Policy, field, first_match, key, normalize
from upsertcore.errors import InvalidField, InvalidPolicy, KeyInUse
from upsertcore.policy.keys import MAX_FORMS, Key, compile_patterns
from upsertcore.rules import union
from upsertcore.values import freeze

PERSON = key("first", "last", normalize=normalize.text)
MAIL = key("main", "more", normalize=normalize.email, any_of=True)


def called(made: Key, name: str, *blocked: str) -> Key:
    """Give a key its name and what it blocks, as a policy does."""
    options = (
        made.unique,
        made.keep_aliases,
        made.max_forms,
        made.any_of,
        made.append_new,
    )
    return Key(name, made.fields, made.normalize, *options, blocked)


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
    def test_forms(self, fields: Any, forms: Any) -> None:
        """One form per item of a list, each once, in order."""
        assert forms == self.EMAIL.forms(fields)

    def test_a_blank_form_is_none(self) -> None:
        """A normaliser that answers blank text has made no key."""
        assert Key("a", ("a",), (lambda _value: "",)).forms({"a": "x"}) == ()

    @pytest.mark.parametrize("value", ["x", ("y", "x")], ids=["one", "list"])
    def test_a_normaliser_that_raises_is_named(self, value: Any) -> None:
        """With its field and the kind of the value, which may be a stored one."""

        def fail(value: Any) -> str:
            if value == "x":
                raise ZeroDivisionError
            return "y"

        made = Key("people", ("a", "b"), (str, fail), any_of=True)
        with pytest.raises(ZeroDivisionError) as caught:
            made.forms({"a": "x", "b": value})

        assert caught.value.__notes__ == ["b: normaliser fail raised this for text"]

    def test_a_form_is_text(self) -> None:
        """A normaliser that answers anything else is a fault of the host's."""
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
    def test_what_is_sought(self, value: Any, forms: Any) -> None:
        """A value, or each item of a list, each form once."""
        assert forms == self.EMAIL.lookup_forms(value)

    def test_what_is_told(self) -> None:
        """An error about it names the field and shows its value."""
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
    def test_every_part_is_needed(self, fields: Any, forms: Any) -> None:
        """What is omitted, null, blank or has no normal form makes no key at all."""
        assert forms == PERSON.forms(fields)
        assert PERSON.composite

    def test_the_joint_is_escaped(self) -> None:
        """Different parts never make the same form, whatever stands in them."""
        parts = ["a", "a|", "|a", "a\\", "\\a", "|", "\\", "\\|", "a|b"]
        forms = [PERSON.forms({"first": a, "last": b}) for a in parts for b in parts]

        assert len({*forms}) == len(parts) ** 2
        assert PERSON.forms({"first": "a|b", "last": "c\\"}) == ("a\\|b|c\\\\",)

    def test_parts_that_are_lists(self) -> None:
        """Each item goes with each, the first part slowest, and each form once."""
        fields = {"first": ("B", "", "a", "b"), "last": ("x", None, "y")}

        assert ("b|x", "b|y", "a|x", "a|y") == PERSON.forms(fields)
        assert PERSON.forms({"first": ("",), "last": "x"}) == ()

    def test_one_normaliser_per_field(self) -> None:
        """Each part has its own, in the order of the fields."""
        born = key("first", "born", normalize=(normalize.text, normalize.exact))

        assert born.forms({"first": "Ada", "born": 1815}) == ("ada|1815",)
        assert born.forms({"first": 1815, "born": "Ada"}) == ()

    def test_a_blocked_form_is_the_whole(self) -> None:
        """A pattern sees the parts as they are joined, and no part alone."""
        blocked = called(PERSON, "person", "test|*")

        assert blocked.forms({"first": "Test", "last": ("a", "b")}) == ()
        assert blocked.forms({"first": "a", "last": "Test"}) == ("a|test",)
        assert blocked.blocks({"first": "Test", "last": "a"})
        assert not blocked.blocks({"first": "Test"})
        assert called(PERSON, "person", "test").forms({"first": "Test", "last": "a"})

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
    def test_it_is_sought_by_a_mapping(self, value: Any, forms: Any) -> None:
        """Of its fields to values; what lacks a part finds nobody."""
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
    def test_it_is_not_sought_by_anything_else(self, value: Any, words: str) -> None:
        """What is no such mapping is refused, in words that name its fields."""
        with pytest.raises(InvalidField, match=words):
            PERSON.lookup_forms(freeze(value))

    def test_what_is_told(self) -> None:
        """An error about it names the key and shows the parts that there are."""
        person = called(PERSON, "person")

        assert person.error_subject({"first": "Ada", "city": "Oslo"}) == (
            "person",
            freeze({"first": "Ada"}),
        )

    def test_a_patch_carries_it_whole_or_not_at_all(self) -> None:
        """A part that is stored does not complete one that is sent."""
        lines = {"id": field(key=normalize.exact), "first": field(), "last": field()}
        policy = Policy(first_match("person", "id"), lines, keys={"person": PERSON})
        book = ContactBook(policy)
        ada = book.upsert({"id": 1, "first": "Ada", "last": "King"}).contact

        assert book.upsert({"first": "ADA", "last": "King"}).contact.id == ada.id
        assert book.upsert({"id": 2, "last": "King"}).created
        assert book.find("person", {"first": "ada", "last": "king"})[0].id == ada.id


class TestEach:
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
    def test_forms(self, fields: Any, forms: Any) -> None:
        """In the order of the fields, each once; none is needed for another."""
        assert forms == MAIL.forms(fields)
        assert not MAIL.composite

    def test_what_is_told(self) -> None:
        """An error about it names the first field that carries a form."""
        assert MAIL.error_subject({"main": "none", "more": ("b@x",)}) == (
            "more",
            ("b@x",),
        )
        assert MAIL.error_subject({}) == ("main", None)

    def test_it_is_sought_by_one_value(self) -> None:
        """Whichever field holds it."""
        assert MAIL.lookup_forms("B@x") == ("b@x",)
        assert MAIL.lookup_forms(("B@x", "c@x")) == ("b@x", "c@x")
        assert called(MAIL, "mail", "noreply@*").lookup_forms(("noreply@x", "c@x")) == (
            "c@x",
        )

    def test_blocked_forms_are_none(self) -> None:
        """In each of its fields."""
        mail = called(MAIL, "mail", "noreply@*")

        assert mail.forms({"main": "NoReply@x", "more": ("b@x", "noreply@y")}) == (
            "b@x",
        )


class TestLists:
    """A key of a list field: one form per item."""

    POLICY = Policy(
        first_match("mails"),
        {"mails": field(key=normalize.email, unique=True, rule=union)},
    )

    def test_any_item_finds(self) -> None:
        """Items join those that the contact has, and each of them finds it."""
        book = ContactBook(self.POLICY)
        ada = book.upsert({"mails": ["a@x", "b@x"]}).contact
        outcome = book.upsert({"mails": ["B@x", "c@x"]})

        assert outcome.contact["mails"] == ("a@x", "b@x", "B@x", "c@x")
        assert book.find("mails", "c@x") == (outcome.contact,)
        assert outcome.contact.id == ada.id
        assert book.upsert({"mails": ["B@x", "c@x"]}).unchanged

    def test_another_contacts_item_is_refused(self) -> None:
        """An item that would join, and that another contact holds, clashes."""
        book = ContactBook(self.POLICY)
        book.upsert({"mails": ["a@x"]})
        two = book.upsert({"mails": ["b@x"]}).contact
        with pytest.raises(KeyInUse) as caught:
            book.upsert({"mails": ["a@x", "B@x"]})

        assert (caught.value.field, caught.value.holder) == ("mails", two.id)
        assert caught.value.value == ("a@x", "B@x")


class TestBlocked:
    """What identifies nobody."""

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
    def test_a_pattern(self, pattern: Any, form: str, blocks: bool) -> None:  # noqa: FBT001
        """The whole form; in text, a star is anything and case does not count."""
        made = Key("a", ("a",), (str,), blocked=(pattern,))

        assert (() if blocks else (form,)) == made.forms({"a": form})
        assert (None if blocks else form) == made.form(form)

    @pytest.mark.parametrize(
        ("value", "left"),
        [
            ("a@x", "a@x"),
            ("noreply@x", None),
            ("none", "none"),
            (("a@x", "noreply@x", "none", ""), ("a@x", "none", "")),
            (("noreply@x", "NOREPLY@y"), None),
        ],
        ids=map(str, range(5)),
    )
    def test_what_is_left_of_a_value(self, value: Any, left: Any) -> None:
        """Blocked items leave a list; what has no form at all is not blocked."""
        made = Key("m", ("m",), (normalize.email,), blocked=["noreply@*"])

        assert left == made.without_blocked(value)

    def test_nothing_is_taken_from_a_value_without_a_blocked_one(self) -> None:
        """The value itself comes back."""
        value = ("a@x", "b@x")
        open_, made = (
            Key("m", ("m",), (normalize.email,), blocked=blocked)
            for blocked in ((), ("noreply@*",))
        )

        assert open_.without_blocked(value) is value
        assert made.without_blocked(value) is value

    @pytest.mark.parametrize("bad", ["noreply@*", re.compile("0"), 7, None], ids="abcd")
    def test_patterns_stand_in_a_collection(self, bad: Any) -> None:
        """One pattern alone would be read as many, or not at all."""
        with pytest.raises(InvalidPolicy, match="email: blocked must be a tuple"):
            compile_patterns("email", bad)

    @pytest.mark.parametrize("bad", ["", 7, None, re.compile(b"0")], ids="abcd")
    def test_a_pattern_is_of_text(self, bad: Any) -> None:
        """Blank would block nothing, and bytes match no text."""
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
    def test_placeholders(self, normalizer: Any, value: Any) -> None:
        """What exports write where they know nobody finds nobody."""
        blocked = normalize.PLACEHOLDERS
        assert Key("k", ("k",), (normalizer,)).form(value) is not None
        assert Key("k", ("k",), (normalizer,), blocked=blocked).form(value) is None

    @pytest.mark.parametrize("value", ["1000", "0x", "nano", "noreply", "-10", "00 1"])
    def test_what_merely_looks_like_a_placeholder(self, value: str) -> None:
        """A form that only contains one is a key."""
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
def test_an_unworkable_key(make: Any, words: str) -> None:
    """It is refused where it is made, and the words say what would be right."""
    with pytest.raises(InvalidPolicy, match=words):
        make()


def test_a_key_says_what_it_was_told() -> None:
    """One normaliser serves every field, and each option stands in the key."""
    made = key("a", "b", normalize=str, unique=True, keep_aliases=True, max_forms=2)

    assert (made.fields, made.normalize) == (("a", "b"), (str, str))
    assert (made.unique, made.keep_aliases, made.max_forms) == (True, True, 2)
    assert (made.any_of, made.append_new, made.name) == (False, False, "")


def test_a_composite_of_long_lists_has_an_end() -> None:
    """A thousand combinations; a patch that would make more is refused by name."""
    pair = attrs.evolve(key("a", "b", normalize=normalize.exact), name="pair")
    forty, many = tuple(map(str, range(40))), tuple(map(str, range(25)))
    assert len(pair.forms({"a": forty, "b": many})) == MAX_FORMS

    with pytest.raises(InvalidField) as caught:
        pair.forms({"a": forty, "b": (*many, "x")})
    assert caught.value.field == "pair"
    assert "at most 1000 combinations" in caught.value.reason


def test_a_form_is_plain_unicode_text() -> None:
    """Whatever a host's normaliser answers: it must be written and read back."""

    class Text(str):
        __slots__ = ()

    assert type(key("a", normalize=Text).form("\u00e9")) is str
    assert type(key("a", normalize=Text).form("e")) is str
    with pytest.raises(TypeError, match="surrogates"):
        key("a", normalize=lambda v: f"\ud800{v}").form("a")

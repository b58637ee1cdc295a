"""The patch: what is sent, what is left out of it, and which keys it carries."""

from __future__ import annotations

import pickle
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.field_options import blocking
from upsertcore import (
    Contact,
    ContactBook,
    Policy,
    field,
    first_match,
    first_present,
    key,
    normalize,
)
from upsertcore.engine.patch import Request, check_scope, freeze_field, read_patch
from upsertcore.errors import InvalidField, MissingField, UnknownField
from upsertcore.policy.policy import compiled
from upsertcore.rules import keep, replace
from upsertcore.store.contact_index import ContactIndex
from upsertcore.values import MAX_FIELDS, MAX_TEXT, MAX_VALUES

NOW = datetime(2024, 1, 2, tzinfo=UTC)
EMAIL = field(key=normalize.email)
LINES: dict[str, Any] = {
    "id": field(key=normalize.exact, unique=True),
    "email": EMAIL,
    "first": field(),
    "last": field(),
    "main": field(),
    "more": field(),
}
KEYS = {
    "person": key("first", "last", normalize=normalize.text),
    "mail": key("main", "more", normalize=normalize.email, any_of=True),
}
BLOCKED: Any = {
    "email": ("noreply@*",),
    "mail": ("noreply@*", re.compile(r"test@x\d")),
}


def table(on_blocked: Any, *, composite: bool = False, **lines: Any) -> Policy:
    """Make a policy that blocks some mails, and perhaps a person."""
    mails: Any = {"mail": BLOCKED["mail"]}
    blocked = {**mails, "person": ("test|*",)} if composite else mails
    return Policy(
        first_match("id", "email", "mail"),
        blocking({**LINES, **lines}, {"email": BLOCKED["email"]}),
        keys=blocking(KEYS, blocked),
        on_blocked=on_blocked,
    )


class TestStore:
    """What is blocked is stored, and identifies nobody."""

    def test_it_finds_nobody(self) -> None:
        """Two contacts may hold it, and neither is found."""
        book = ContactBook(table("store"))
        for number in (1, 2):
            mails = ["test@x1", f"{number}@x"]
            outcome = book.upsert({"id": number, "email": "NoReply@x", "more": mails})
            assert outcome.created
            assert outcome.ignored == {}
            assert outcome.contact["email"] == "NoReply@x"
            assert outcome.contact["more"] == tuple(mails)

        assert book.find("email", "noreply@x") == ()
        assert book.find("mail", "test@x1") == ()
        assert len(book.find("mail", "2@x")) == 1

    def test_it_is_no_key_of_a_patch(self) -> None:
        """A patch that carries nothing else carries no key."""
        policy = Policy(
            first_match("email"),
            blocking(LINES, {"email": normalize.PLACEHOLDERS}),
            on_no_key="create",
        )
        book = ContactBook(policy)

        assert book.upsert({"email": "unknown@x"}).created
        assert book.upsert({"email": "unknown@x"}).created

    def test_it_is_unique_for_nobody(self) -> None:
        """A unique key holds what identifies, and blocked forms do not."""
        lines = {"id": field(key=normalize.exact, unique=True), "first": field()}
        policy = Policy(
            first_match("id"),
            {**lines, "last": field()},
            keys={
                "p": key(
                    *("first", "last"),
                    normalize=normalize.text,
                    unique=True,
                    blocked=("test|*",),
                )
            },
        )
        book = ContactBook(policy)
        for number in (1, 2):
            assert book.upsert({"id": number, "first": "Test", "last": "A"}).created

    def test_no_limit_counts_it(self) -> None:
        """A contact may hold any number of them."""
        line = field(key=normalize.email, max_forms=1)
        policy = Policy(first_match("m"), blocking({"m": line}, {"m": ("noreply@*",)}))
        sent = {"m": ["noreply@x", "noreply@y", "a@x"]}

        assert ContactBook(policy).upsert(sent).contact["m"] == tuple(sent["m"])


class TestIgnore:
    """What is blocked is left out, and named."""

    @pytest.mark.parametrize(
        ("sent", "stored", "ignored"),
        [
            ({"email": "noreply@x"}, {}, {"email"}),
            ({"email": ["noreply@x", "a@x"]}, {"email": ("a@x",)}, {"email"}),
            ({"email": ["noreply@x", "noreply@y"]}, {}, {"email"}),
            ({"email": ["a@x"]}, {"email": ("a@x",)}, set()),
            ({"email": ["noreply@x", ""]}, {"email": ("",)}, {"email"}),
            ({"email": []}, {"email": ()}, set()),
            ({"email": "none"}, {"email": "none"}, set()),
            ({"main": "test@x1"}, {}, {"main"}),
            ({"main": "test@x"}, {"main": "test@x"}, set()),
            ({"more": ["TEST@X2", "a@x"]}, {"more": ("a@x",)}, {"more"}),
            ({"first": "noreply@x"}, {"first": "noreply@x"}, set()),
        ],
        ids=map(str, range(11)),
    )
    def test_it_is_left_out(self, sent: Any, stored: Any, ignored: set[str]) -> None:
        """Items leave a list; what is left with nothing counts as omitted."""
        book = ContactBook(table("ignore"))
        outcome = book.upsert({"id": 1, **sent})

        assert outcome.contact.fields == {"id": 1, **stored}
        assert outcome.ignored == dict.fromkeys(ignored, "blocked")
        assert book.upsert({"id": 1, **sent}).unchanged

    def test_a_known_value_stays(self) -> None:
        """As with any field that is omitted."""
        book = ContactBook(table("ignore"))
        book.upsert({"id": 1, "email": "a@x"})
        outcome = book.upsert({"id": 1, "email": "noreply@x"})

        assert outcome.unchanged
        assert outcome.ignored == {"email": "blocked"}

    def test_a_new_contact_has_the_default(self) -> None:
        """Or lacks what it needs."""
        line = field(key=normalize.email, default="a@x")
        book = ContactBook(table("ignore", email=line))
        assert book.upsert({"id": 1, "email": "noreply@x"}).contact["email"] == "a@x"

        line = field(key=normalize.email, required=True)
        with pytest.raises(MissingField, match="email"):
            ContactBook(table("ignore", email=line)).upsert(
                {"id": 1, "email": "noreply@x"}
            )

    def test_it_is_looked_for_in_what_was_cleaned(self) -> None:
        """And after null and blank were."""
        line = field(key=normalize.email, clean=lambda v: v + "@x", null="ignore")
        policy = table("ignore", email=line)

        assert read_patch(policy, {"email": "noreply"}) == ({}, {"email": "blocked"})
        assert read_patch(policy, {"email": None}) == ({}, {"email": "null"})
        assert read_patch(policy, {"email": "a"}) == ({"email": "a@x"}, {})

    def test_each_key_of_a_field_blocks(self) -> None:
        """A field of two keys loses what either of them blocks."""
        lines = {"m": field(key=normalize.email), "n": field()}
        policy = Policy(
            first_match("m"),
            blocking(lines, {"m": ("a@*",)}),
            keys={
                "k": key(
                    *("m", "n"),
                    normalize=normalize.email,
                    any_of=True,
                    blocked=("b@*",),
                )
            },
            on_blocked="ignore",
        )

        assert read_patch(
            policy, {"m": ["a@x", "b@x", "c@x"], "n": ["a@x", "b@x"]}
        ) == (
            {"m": ("c@x",), "n": ("a@x",)},
            {"m": "blocked", "n": "blocked"},
        )
        assert read_patch(policy, {"m": "a@x"}) == ({}, {"m": "blocked"})

    def test_a_reason_that_is_there_stays(self) -> None:
        """A contact that takes no update has left out what was blocked before."""
        policy = Policy(
            first_match("id"),
            blocking(LINES, {"email": ("noreply@*",)}),
            on_blocked="ignore",
            on_found="ignore",
        )
        book = ContactBook(policy)
        book.upsert({"id": 1, "email": ["a@x"]})
        outcome = book.upsert({"id": 1, "email": ["b@x", "noreply@x"], "main": "c"})

        assert outcome.ignored == {"email": "blocked", "main": "on_found"}


class TestRefuse:
    """What is blocked is refused."""

    @pytest.mark.parametrize(
        "sent",
        [
            {"email": " NoReply@x"},
            {"email": ["a@x", "noreply@x"]},
            {"main": "test@x1"},
            {"more": ["a@x", "noreply@y"]},
        ],
        ids=map(str, range(4)),
    )
    def test_a_value(self, sent: Any) -> None:
        """The field is named, and the value is shown as it was sent."""
        ((name, value),) = sent.items()
        book = ContactBook(table("refuse"))
        with pytest.raises(InvalidField, match="is a blocked value") as caught:
            book.upsert({"id": 1, **sent})

        assert (name, value) == (caught.value.field, caught.value.value)
        assert len(book) == 0

    def test_it_shows_what_was_sent_and_not_what_was_cleaned(self) -> None:
        """The sender knows that value."""
        policy = table("refuse", email=field(key=str, clean=lambda v: v + "@x"))
        with pytest.raises(InvalidField) as caught:
            read_patch(policy, {"email": "noreply"})

        assert caught.value.value == "noreply"

    def test_several_fields_together(self) -> None:
        """The key is named with all its parts, once all fields were read."""
        policy = table("refuse", composite=True)
        sent = {"first": "TEST", "last": ["A", "B"], "id": 1}
        with pytest.raises(InvalidField, match="is a blocked value") as caught:
            read_patch(policy, sent)
        assert caught.value.field == "person"
        assert caught.value.value == {"first": "TEST", "last": ("A", "B")}

        assert read_patch(policy, {"first": "TEST"}) == ({"first": "TEST"}, {})
        with pytest.raises(UnknownField, match="city"):
            read_patch(policy, {**sent, "city": "Oslo"})

    def test_null_and_blank_are_not_blocked(self) -> None:
        """They identify nobody as it is."""
        policy = table("refuse", composite=True)
        sent: dict[str, Any] = {
            "email": None,
            "main": "",
            "more": [],
            "first": "Test",
            "last": "",
        }

        assert read_patch(policy, sent) == ({**sent, "more": ()}, {})


class TestRead:
    """What becomes of a patch before anybody is looked for."""

    def test_fields_are_read_in_the_order_of_the_patch(self) -> None:
        """The first that is refused is told."""
        policy = table("refuse", last=field(null="reject"))
        with pytest.raises(InvalidField) as caught:
            read_patch(policy, {"email": "noreply@x", "last": None})
        assert caught.value.field == "email"
        with pytest.raises(InvalidField) as caught:
            read_patch(policy, {"last": None, "email": "noreply@x"})
        assert caught.value.field == "last"

    @pytest.mark.parametrize("scope", [None, 7, b"s", ["s"]], ids="abcd")
    def test_a_scope_is_text(self, scope: Any) -> None:
        """Anything else is refused, and text that cannot be written too."""
        check_scope("")
        with pytest.raises(InvalidField, match="scope: must be text"):
            check_scope(scope)
        with pytest.raises(InvalidField, match="surrogates"):
            check_scope("\ud800")

    @pytest.mark.parametrize(
        ("value", "item", "message"),
        [
            ({1}, {1}, "f: must be {}, not {{1}}; send sorted(value)"),
            (["a", {1}], {1}, "f[1]: must be {}, not {{1}}; send sorted(value)"),
            (
                {"a": {"b c": [{1}]}},
                {1},
                "f.a['b c'][0]: must be {}, not {{1}}; send sorted(value)",
            ),
            (
                {"a": {7: "x"}},
                {7: "x"},
                "f.a: must have text as names, not {{7: 'x'}}; use str(name)",
            ),
            (["a", "\ud800"], "\ud800", None),
            ([[]] * 100_001, [[]] * 100_001, None),
        ],
        ids=["itself", "list", "mapping", "names", "text", "size"],
    )
    def test_a_value_that_is_none(self, value: Any, item: Any, message: Any) -> None:
        """The path names the innermost item that cannot be stored, and shows it."""
        with pytest.raises(InvalidField) as caught:
            freeze_field("f", value)
        assert (caught.value.field, caught.value.value) == ("f", item)
        kinds = "text, a number, true, false, null, a list or a mapping"
        if message is not None:
            assert str(caught.value) == message.format(kinds)
        twin = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
        assert str(twin) == str(caught.value)

    def test_a_value_that_nests_too_deep_is_named_as_a_whole(self) -> None:
        """The path would be longer than it helps."""
        value: Any = []
        for _ in range(100):
            value = [value]
        with pytest.raises(InvalidField, match=r"^f: must not nest deeper than 64"):
            freeze_field("f", value)

    def test_a_value_that_clean_returns(self) -> None:
        """The function is named, and what it returned is shown."""
        line = field(clean=lambda value: {value})
        with pytest.raises(InvalidField, match="let clean return sorted") as caught:
            read_patch(table("store", last=line), {"last": 7})
        assert caught.value.value == {7}


def asked(sent: dict[str, Any], index: Any = None) -> Request:
    """Make what a decision asks with."""
    policy = table("store")
    if index is None:
        index = ContactIndex([key.name for key in policy.all_keys])
    return Request(compiled(policy).by_name, (sent, {}), index, "", policy.match)


class TestAsked:
    """What is asked, and answered, in one decision."""

    def filled(self) -> ContactIndex:
        """Make an index of one contact with an id and an email."""
        index = ContactIndex([key.name for key in table("store").all_keys])
        ada = Contact("1", "", {"id": 1, "email": "a@x"}, 1, NOW, NOW)
        index.put(ada, [["1"], ["a@x", "old@x"], [], []])
        return index

    def test_what_a_contact_holds(self) -> None:
        """Per key, aliases among them."""
        probe = asked({}, self.filled())

        assert probe.held_forms("1", "email") == ("a@x", "old@x")
        assert probe.held_forms("1", "id") == ("1",)
        assert probe.held_forms("1", "mail") == ()

    def test_it_remembers_what_it_was_told(self) -> None:
        """Each form and each contact is asked for once."""
        index = self.filled()
        probe = asked({"id": 1}, index)
        hits, (ada, _forms) = probe("id"), probe.get("1")
        index.remove("1")

        assert (hits, ada.id) == ((("1", ("1",)),), "1")
        assert probe("id") is hits
        assert probe.get("1")[0] is ada
        assert probe.holders("id", "1") == ("1",)

    def test_forms_of_merged_fields(self) -> None:
        """Those of the patch where the fields are what was sent, else made anew."""
        calls: list[Any] = []

        def counting(value: Any) -> str | None:
            calls.append(value)
            return normalize.text(value)

        policy = Policy(first_match("k"), {"k": field(key=counting)})
        sent = {"k": "v" * 3}
        probe = Request(
            compiled(policy).by_name, (sent, {}), ContactIndex(["k"]), "", policy.match
        )
        probe("k")

        assert probe.forms(probe.key("k"), {"k": sent["k"]}) == ("vvv",)
        assert calls == ["vvv"]
        assert probe.forms(probe.key("k"), {"k": "w"}) == ("w",)
        assert calls == ["vvv", "w"]

    def test_without_some_keys(self) -> None:
        """Their fields leave the patch, with a reason; answers are kept."""
        probe = asked({"id": 1, "email": "a@x", "main": "m@x"}, self.filled())
        for name in ("id", "email", "mail"):
            probe(name)
        shorter = probe.without(["email", "mail"], "limit")

        assert shorter.sent == {"id": 1}
        assert shorter.ignored == {"email": "limit", "main": "limit"}
        assert list(shorter.dropped_keys) == ["email", "mail"]
        assert shorter("email") == ()
        assert shorter("id") == probe("id")
        assert probe.sent == {"id": 1, "email": "a@x", "main": "m@x"}
        assert shorter.without(["id"], "guard").ignored == {
            "email": "limit",
            "main": "limit",
            "id": "guard",
        }

    def test_nothing_is_stale_where_nothing_moved(self) -> None:
        """What was answered is what would be answered."""
        index = self.filled()
        probe = asked({"id": 1}, index)
        probe("id")
        probe.get("1")
        assert probe.stale_reason(index) is None
        twin = Contact("1", "", {"id": 1, "email": "a@x"}, 1, NOW, NOW)
        index.put(twin, index.get_with_forms("1")[1])

        assert probe.stale_reason(index) is None

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            (lambda i: i.remove("1"), "contact 1 is gone"),
            (
                lambda i: i.put(
                    Contact("1", "", {}, 2, NOW, NOW), i.get_with_forms("1")[1]
                ),
                "contact 1 is at version 2, not 1",
            ),
            (
                lambda i: i.put(
                    Contact("1", "", {}, 1, NOW, NOW), i.get_with_forms("1")[1]
                ),
                "contact 1 has changed since it was read",
            ),
            (
                lambda i: i.put(
                    Contact("2", "", {}, 1, NOW, NOW, merged_ids=("1",)), [[]] * 4
                ),
                "contact 1 was merged into 2",
            ),
            (
                lambda i: i.put(Contact("2", "", {}, 1, NOW, NOW), [["7"], [], [], []]),
                "the contacts that hold its id have changed",
            ),
        ],
        ids=["gone", "version", "another", "merged", "held"],
    )
    def test_what_makes_it_stale(self, change: Any, reason: str) -> None:
        """The first thing that is not as it was is told."""
        index = self.filled()
        probe = asked({"id": 7}, index)
        probe("id")
        probe.get("1")
        change(index)

        assert reason == probe.stale_reason(index)


def test_a_blocked_key_does_not_end_the_search() -> None:
    """The first key that is carried decides, and a blocked one is not."""
    policy = Policy(
        first_present("email", "id"),
        blocking(
            {**LINES, "email": field(key=normalize.email, rule=keep)},
            {"email": ("noreply@*",)},
        ),
    )
    book = ContactBook(policy)
    book.upsert({"id": 1, "email": "a@x"})

    assert book.upsert({"id": 1, "email": "noreply@x"}).matched_by == "id"


class TestLimits:
    """How large one patch may be; on every path it is refused in the same words."""

    OPEN = Policy(
        first_match("email"), {"email": EMAIL}, extra_fields=field(rule=replace)
    )

    @staticmethod
    def refused(patch: Any) -> str:
        """Say why a patch is refused, by a plan and by an upsert alike."""
        book = ContactBook(TestLimits.OPEN)
        words = set()
        for call in (book.upsert, book.plan, book.create):
            with pytest.raises(InvalidField) as caught:
                call(patch)
            words.add(str(caught.value)[:75])
        assert len(book) == 0
        return words.pop() if len(words) == 1 else repr(words)

    def test_fields(self) -> None:
        """As many as no system has."""
        patch = {"email": "a@x"} | {f"f{n}": "x" for n in range(MAX_FIELDS - 1)}
        assert ContactBook(self.OPEN).upsert(patch).created

        for name in ("more", "m\u00f6re"):
            words = "patch: must name at most 10000 fields, not 10001; send fewer"
            assert self.refused({**patch, name: "x"}) == words

    @pytest.mark.parametrize("letter", ["x", "\u00e9"], ids=["ascii", "unicode"])
    @pytest.mark.parametrize("more", [{}, {"n": 1}, {"n": "y"}], ids=repr)
    def test_text(self, letter: str, more: Any) -> None:
        """The field is named, and its text is shown in part."""
        book = ContactBook(self.OPEN)
        patch = {"email": "a@x", "note": letter * MAX_TEXT, **more}
        assert len(book.upsert(patch).contact["note"]) == MAX_TEXT

        patch = {"email": "a@x", "note": letter * (MAX_TEXT + 1), **more}
        words = self.refused(patch)
        assert words.startswith("note: must have at most 10000000 characters, not '")

    def test_values_of_all_fields_together(self) -> None:
        """One list that stands in many fields counts in each of them."""
        half = ["x"] * (MAX_VALUES // 2)
        patch = {"email": "a@x", "a": half, "b": half}
        assert ContactBook(self.OPEN).upsert(patch).created

        words = self.refused({**patch, "c": ["x"]})
        assert words.startswith(
            "c: must hold at most 100000 values, nested ones included"
        )

    def test_a_list_that_holds_itself_over_and_over(self) -> None:
        """It is refused before it is written out."""
        value: Any = "x"
        for _ in range(60):
            value = [value, value]

        words = self.refused({"email": "a@x", "v": value})
        assert words.startswith("v: must hold at most 100000 values")

"""The patch: reading its fields, leaving out values, and finding its keys."""

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
    """Make a policy that blocks some emails, and on request a person."""
    mails: Any = {"mail": BLOCKED["mail"]}
    blocked = {**mails, "person": ("test|*",)} if composite else mails
    return Policy(
        first_match("id", "email", "mail"),
        blocking({**LINES, **lines}, {"email": BLOCKED["email"]}),
        keys=blocking(KEYS, blocked),
        on_blocked=on_blocked,
    )


class TestStore:
    """Blocked values are stored, and are no keys."""

    def test_blocked_value_matches_no_contact(self) -> None:
        """Two contacts may hold it."""
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

    def test_patch_of_blocked_keys_has_no_key(self) -> None:
        policy = Policy(
            first_match("email"),
            blocking(LINES, {"email": normalize.PLACEHOLDERS}),
            on_no_key="create",
        )
        book = ContactBook(policy)

        assert book.upsert({"email": "unknown@x"}).created
        assert book.upsert({"email": "unknown@x"}).created

    def test_blocked_form_of_a_unique_key_is_free(self) -> None:
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

    def test_blocked_forms_do_not_count_for_a_limit(self) -> None:
        line = field(key=normalize.email, max_forms=1)
        policy = Policy(first_match("m"), blocking({"m": line}, {"m": ("noreply@*",)}))
        sent = {"m": ["noreply@x", "noreply@y", "a@x"]}

        assert ContactBook(policy).upsert(sent).contact["m"] == tuple(sent["m"])


class TestIgnore:
    """Blocked values are left out, and the fields named."""

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
    def test_blocked_value_or_item_is_left_out(
        self, sent: Any, stored: Any, ignored: set[str]
    ) -> None:
        """A list without remaining items counts as omitted."""
        book = ContactBook(table("ignore"))
        outcome = book.upsert({"id": 1, **sent})

        assert outcome.contact.fields == {"id": 1, **stored}
        assert outcome.ignored == dict.fromkeys(ignored, "blocked")
        assert book.upsert({"id": 1, **sent}).unchanged

    def test_blocked_value_keeps_the_stored_one(self) -> None:
        book = ContactBook(table("ignore"))
        book.upsert({"id": 1, "email": "a@x"})
        outcome = book.upsert({"id": 1, "email": "noreply@x"})

        assert outcome.unchanged
        assert outcome.ignored == {"email": "blocked"}

    def test_blocked_value_counts_as_omitted_at_creation(self) -> None:
        """The field has its default, or is missing if required."""
        line = field(key=normalize.email, default="a@x")
        book = ContactBook(table("ignore", email=line))
        assert book.upsert({"id": 1, "email": "noreply@x"}).contact["email"] == "a@x"

        line = field(key=normalize.email, required=True)
        with pytest.raises(MissingField, match="email"):
            ContactBook(table("ignore", email=line)).upsert(
                {"id": 1, "email": "noreply@x"}
            )

    def test_cleaned_value_is_checked_for_blocks(self) -> None:
        """After null and blank."""
        line = field(key=normalize.email, clean=lambda v: v + "@x", null="ignore")
        policy = table("ignore", email=line)

        assert read_patch(policy, {"email": "noreply"}) == ({}, {"email": "blocked"})
        assert read_patch(policy, {"email": None}) == ({}, {"email": "null"})
        assert read_patch(policy, {"email": "a"}) == ({"email": "a@x"}, {})

    def test_blocks_of_all_keys_of_a_field_apply(self) -> None:
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

    def test_block_is_the_reason_under_on_found_ignore(self) -> None:
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
    """Blocked values are refused."""

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
    def test_blocked_value_is_refused_as_sent(self, sent: Any) -> None:
        """The refusal names the field and shows the sent value."""
        ((name, value),) = sent.items()
        book = ContactBook(table("refuse"))
        with pytest.raises(InvalidField, match="is a blocked value") as caught:
            book.upsert({"id": 1, **sent})

        assert (name, value) == (caught.value.field, caught.value.value)
        assert len(book) == 0

    def test_refusal_shows_the_value_before_cleaning(self) -> None:
        """The sender knows that value."""
        policy = table("refuse", email=field(key=str, clean=lambda v: v + "@x"))
        with pytest.raises(InvalidField) as caught:
            read_patch(policy, {"email": "noreply"})

        assert caught.value.value == "noreply"

    def test_blocked_composite_is_refused_by_its_name(self) -> None:
        """After all fields were read; all parts are shown."""
        policy = table("refuse", composite=True)
        sent = {"first": "TEST", "last": ["A", "B"], "id": 1}
        with pytest.raises(InvalidField, match="is a blocked value") as caught:
            read_patch(policy, sent)
        assert caught.value.field == "person"
        assert caught.value.value == {"first": "TEST", "last": ("A", "B")}

        assert read_patch(policy, {"first": "TEST"}) == ({"first": "TEST"}, {})
        with pytest.raises(UnknownField, match="city"):
            read_patch(policy, {**sent, "city": "Oslo"})

    def test_null_and_blank_are_not_refused(self) -> None:
        """They are no keys."""
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
    """Reading a patch, before any contact is matched."""

    def test_first_invalid_field_of_the_patch_is_refused(self) -> None:
        policy = table("refuse", last=field(null="reject"))
        with pytest.raises(InvalidField) as caught:
            read_patch(policy, {"email": "noreply@x", "last": None})
        assert caught.value.field == "email"
        with pytest.raises(InvalidField) as caught:
            read_patch(policy, {"last": None, "email": "noreply@x"})
        assert caught.value.field == "last"

    @pytest.mark.parametrize("scope", [None, 7, b"s", ["s"]], ids="abcd")
    def test_scope_that_is_no_text_is_refused(self, scope: Any) -> None:
        """Text with surrogates is refused, too."""
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
    def test_unstorable_value_is_refused_with_its_path(
        self, value: Any, item: Any, message: Any
    ) -> None:
        """The path leads to the innermost item that cannot be stored."""
        with pytest.raises(InvalidField) as caught:
            freeze_field("f", value)
        assert (caught.value.field, caught.value.value) == ("f", item)
        kinds = "text, a number, true, false, null, a list or a mapping"
        if message is not None:
            assert str(caught.value) == message.format(kinds)
        copied = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
        assert str(copied) == str(caught.value)

    def test_too_deep_value_is_refused_without_path(self) -> None:
        value: Any = []
        for _ in range(100):
            value = [value]
        with pytest.raises(InvalidField, match=r"^f: must not nest deeper than 64"):
            freeze_field("f", value)

    def test_unstorable_value_from_clean_is_refused(self) -> None:
        """The refusal names the function and shows the returned value."""
        line = field(clean=lambda value: {value})
        with pytest.raises(InvalidField, match="let clean return sorted") as caught:
            read_patch(table("store", last=line), {"last": 7})
        assert caught.value.value == {7}


def make_request(sent: dict[str, Any], index: Any = None) -> Request:
    """Make the request of a decision."""
    policy = table("store")
    if index is None:
        index = ContactIndex([key.name for key in policy.all_keys])
    return Request(compiled(policy).by_name, (sent, {}), index, "", policy.match)


class TestRequest:
    """Lookups and answers of one decision."""

    def filled_index(self) -> ContactIndex:
        """Make an index of one contact with an id and an email."""
        index = ContactIndex([key.name for key in table("store").all_keys])
        ada = Contact("1", "", {"id": 1, "email": "a@x"}, 1, NOW, NOW)
        index.put(ada, [["1"], ["a@x", "old@x"], [], []])
        return index

    def test_held_forms_include_aliases(self) -> None:
        request = make_request({}, self.filled_index())

        assert request.held_forms("1", "email") == ("a@x", "old@x")
        assert request.held_forms("1", "id") == ("1",)
        assert request.held_forms("1", "mail") == ()

    def test_lookups_are_kept(self) -> None:
        """Each form and contact is looked up once."""
        index = self.filled_index()
        request = make_request({"id": 1}, index)
        hits, (ada, _forms) = request("id"), request.get("1")
        index.remove("1")

        assert (hits, ada.id) == ((("1", ("1",)),), "1")
        assert request("id") is hits
        assert request.get("1")[0] is ada
        assert request.holders("id", "1") == ("1",)

    def test_forms_are_computed_for_changed_values_only(self) -> None:
        """For sent values the forms of the patch are used."""
        calls: list[Any] = []

        def counting(value: Any) -> str | None:
            calls.append(value)
            return normalize.text(value)

        policy = Policy(first_match("k"), {"k": field(key=counting)})
        sent = {"k": "v" * 3}
        request = Request(
            compiled(policy).by_name, (sent, {}), ContactIndex(["k"]), "", policy.match
        )
        request("k")

        assert request.forms(request.key("k"), {"k": sent["k"]}) == ("vvv",)
        assert calls == ["vvv"]
        assert request.forms(request.key("k"), {"k": "w"}) == ("w",)
        assert calls == ["vvv", "w"]

    def test_without_removes_the_fields_of_keys(self) -> None:
        """With a reason; answers to other keys are kept."""
        request = make_request(
            {"id": 1, "email": "a@x", "main": "m@x"}, self.filled_index()
        )
        for name in ("id", "email", "mail"):
            request(name)
        shorter = request.without(["email", "mail"], "limit")

        assert shorter.sent == {"id": 1}
        assert shorter.ignored == {"email": "limit", "main": "limit"}
        assert list(shorter.dropped_keys) == ["email", "mail"]
        assert shorter("email") == ()
        assert shorter("id") == request("id")
        assert request.sent == {"id": 1, "email": "a@x", "main": "m@x"}
        assert shorter.without(["id"], "guard").ignored == {
            "email": "limit",
            "main": "limit",
            "id": "guard",
        }

    def test_unchanged_index_is_not_stale(self) -> None:
        index = self.filled_index()
        request = make_request({"id": 1}, index)
        request("id")
        request.get("1")
        assert request.stale_reason(index) is None
        equal = Contact("1", "", {"id": 1, "email": "a@x"}, 1, NOW, NOW)
        index.put(equal, index.get_with_forms("1")[1])

        assert request.stale_reason(index) is None

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
    def test_first_stale_reason_is_returned(self, change: Any, reason: str) -> None:
        index = self.filled_index()
        request = make_request({"id": 7}, index)
        request("id")
        request.get("1")
        change(index)

        assert reason == request.stale_reason(index)


def test_blocked_key_is_not_present_for_first_present() -> None:
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
    """The limits of one patch; every verb refuses in the same words."""

    OPEN = Policy(
        first_match("email"), {"email": EMAIL}, extra_fields=field(rule=replace)
    )

    @staticmethod
    def refusal_text(patch: Any) -> str:
        """Return the refusal of a patch by all verbs that create."""
        book = ContactBook(TestLimits.OPEN)
        texts = set()
        for call in (book.upsert, book.plan, book.create):
            with pytest.raises(InvalidField) as caught:
                call(patch)
            texts.add(str(caught.value)[:75])
        assert len(book) == 0
        return texts.pop() if len(texts) == 1 else repr(texts)

    def test_too_many_fields_are_refused(self) -> None:
        patch = {"email": "a@x"} | {f"f{n}": "x" for n in range(MAX_FIELDS - 1)}
        assert ContactBook(self.OPEN).upsert(patch).created

        for name in ("more", "m\u00f6re"):
            message = "patch: must name at most 10000 fields, not 10001; send fewer"
            assert self.refusal_text({**patch, name: "x"}) == message

    @pytest.mark.parametrize("letter", ["x", "\u00e9"], ids=["ascii", "unicode"])
    @pytest.mark.parametrize("more", [{}, {"n": 1}, {"n": "y"}], ids=repr)
    def test_too_long_text_is_refused_and_cut(self, letter: str, more: Any) -> None:
        book = ContactBook(self.OPEN)
        patch = {"email": "a@x", "note": letter * MAX_TEXT, **more}
        assert len(book.upsert(patch).contact["note"]) == MAX_TEXT

        patch = {"email": "a@x", "note": letter * (MAX_TEXT + 1), **more}
        message = self.refusal_text(patch)
        assert message.startswith("note: must have at most 10000000 characters, not '")

    def test_values_of_all_fields_count(self) -> None:
        """A list in several fields counts in each of them."""
        half = ["x"] * (MAX_VALUES // 2)
        patch = {"email": "a@x", "a": half, "b": half}
        assert ContactBook(self.OPEN).upsert(patch).created

        message = self.refusal_text({**patch, "c": ["x"]})
        assert message.startswith(
            "c: must hold at most 100000 values, nested ones included"
        )

    def test_list_with_exponential_size_is_refused(self) -> None:
        """Before it is written out."""
        value: Any = "x"
        for _ in range(60):
            value = [value, value]

        message = self.refusal_text({"email": "a@x", "v": value})
        assert message.startswith("v: must hold at most 100000 values")

"""The decision: the plan of a patch, its trace, and the conditions it depends on."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NoReturn

import attrs
import pytest

from tests.field_options import merging
from upsertcore import (
    Change,
    Contact,
    ContactBook,
    Policy,
    Withheld,
    all_agree,
    field,
    first_match,
    first_present,
    key,
    merge_all,
    never,
    normalize,
)
from upsertcore.engine.decide import decide
from upsertcore.errors import (
    CreateRefused,
    InvalidField,
    KeyInUse,
    KeysDisagree,
    MissingField,
    NoMatchKey,
    StaleVersion,
    UnknownContact,
    UnknownField,
    UpdateRefused,
)
from upsertcore.matching.protocol import Strategy
from upsertcore.rules import (
    add,
    add_or_remove,
    append,
    custom,
    deep,
    deep_keep,
    ignore,
    immutable,
    items_by,
    keep,
    largest,
    latest,
    on_create,
    remove,
    replace,
    union,
    unset,
)
from upsertcore.store.contact_index import ContactIndex

NOW = datetime(2024, 1, 2, tzinfo=UTC)
KEYS = {
    "email": field(key=normalize.email, unique=True),
    "phone": field(key=normalize.phone, unique=True),
}


def make_book(policy: Policy, *patches: dict[str, Any]) -> ContactBook:
    """Make a book with a contact per patch; the ids are 1, 2, ..."""
    ids = iter("123456789")
    book = ContactBook(policy, ids=ids.__next__, clock=lambda: NOW)
    for patch in patches:
        book.create(patch)
    return book


def strip_hyphens(value: str) -> str:
    """Remove hyphens from both ends of a text."""
    return value.strip("-")


def table(match: Strategy | None = None, **lines: Any) -> Policy:
    """Make a policy of two unique keys, with further fields and options."""
    names = {*inspect.signature(Policy).parameters}
    options = {name: lines.pop(name) for name in names if name in lines}
    match = match or first_match("email", "phone")
    return Policy(match, {**KEYS, **lines}, **options)


TWO = ({"email": "a@x", "phone": "+15550001"}, {"email": "b@x", "phone": "+15550002"})


class TestNullAndBlank:
    """What null and blank values do, field by field."""

    @pytest.mark.parametrize(
        ("line", "sent", "stored", "ignored"),
        [
            (field(), None, None, {}),
            (field(null="ignore"), None, "old", {"f": "null"}),
            (field(), "", "", {}),
            (field(blank="clear"), "", None, {}),
            (field(blank="ignore"), "", "old", {"f": "blank"}),
            (field(blank="ignore"), [], "old", {"f": "blank"}),
            (field(blank="ignore"), {}, "old", {"f": "blank"}),
            (field(), " \n", " \n", {}),
            (field(blank="clear"), "\t", None, {}),
            (field(blank="ignore"), "\u00a0", "old", {"f": "blank"}),
            (field(blank="ignore", clean=int), "  ", "old", {"f": "blank"}),
            (field(blank="ignore", clean=strip_hyphens), "--", "old", {"f": "blank"}),
            (field(blank="clear", clean=strip_hyphens), "--", None, {}),
            (field(rule=keep), "new", "old", {"f": "keep"}),
            (field(rule=keep), "old", "old", {}),
            (field(rule=on_create), "new", "old", {"f": "on_create"}),
            (field(rule=custom(max)), "a", "old", {"f": "custom"}),
            (field(rule=custom(max)), "z", "z", {}),
        ],
        ids=map(str, range(18)),
    )
    def test_null_or_blank_on_update_follows_the_field(
        self, line: Any, sent: Any, stored: Any, ignored: dict[str, str]
    ) -> None:
        """A value that is not stored is named with the reason."""
        book = make_book(table(f=line))
        book._index.put(
            Contact("1", "", {"email": "a@x", "f": "old"}, 1, NOW, NOW),
            [["a@x"], []],
        )
        outcome = book.upsert({"email": "a@x", "f": sent})

        assert stored == outcome.contact.get("f")
        assert ignored == outcome.ignored
        assert book.upsert({"email": "a@x", "f": sent}).unchanged

    @pytest.mark.parametrize(
        ("line", "sent", "words"),
        [
            (field(null="reject"), None, "f: must not be null$"),
            (field(clean=lambda _value: None), "x", "f: must be a value that its cle"),
            (
                field(clean=normalize.phone),
                "12",
                "clean function accepts, not '12'",
            ),
            (field(blank="reject"), "", "f: must not be blank"),
            (field(blank="reject"), " ", "f: must not be blank"),
            (field(blank="reject", clean=strip_hyphens), "-", "f: must not be blank"),
            (field(clean=int), "x", "f: invalid literal"),
            (field(clean=lambda _value: {1}), "x", "f: must be text, a number"),
            (field(rule=union), "x", "f: must be a list"),
            (
                field(rule=custom(lambda _a, _b: {1})),
                "x",
                "f: must not become set through its rule",
            ),
            (field(), float("nan"), "f: must be a finite number, not nan"),
        ],
        ids=map(str, range(11)),
    )
    def test_unusable_value_is_refused_by_field(
        self, line: Any, sent: Any, words: str
    ) -> None:
        """No contact is created."""
        book = make_book(table(f=line))
        with pytest.raises(InvalidField, match=words):
            book.upsert({"email": "a@x", "f": sent})

        assert len(book) == 0


class TestCreating:
    """Defaults and required fields of new contacts."""

    @pytest.mark.parametrize(
        ("sent", "stored"),
        [({}, "new"), ({"s": "x"}, "x"), ({"s": None}, None), ({"s": ""}, "")],
        ids=map(str, range(4)),
    )
    def test_default_applies_to_omitted_fields_only(
        self, sent: Any, stored: Any
    ) -> None:
        """A sent null or blank is stored as such; the second call is unchanged."""
        book = make_book(table(s=field(default="new")))

        assert stored == book.upsert({"email": "a@x", **sent}).contact.get("s")
        assert book.upsert({"email": "a@x", **sent}).unchanged

    @pytest.mark.parametrize(
        ("line", "sent"),
        [
            (field(default="new", null="ignore"), None),
            (field(default="new", blank="ignore"), ""),
        ],
        ids=["null", "blank"],
    )
    def test_default_applies_to_ignored_null_or_blank(
        self, line: Any, sent: Any
    ) -> None:
        """The field is named as ignored."""
        outcome = make_book(table(s=line)).upsert({"email": "a@x", "s": sent})

        assert outcome.contact["s"] == "new"
        assert "s" in outcome.ignored

    @pytest.mark.parametrize(
        "sent", [{}, {"n": None}, {"n": ""}, {"n": " \n"}, {"n": []}], ids="abcde"
    )
    def test_required_field_is_needed_to_create_only(self, sent: Any) -> None:
        """Omitted, null and blank count as missing."""
        book = make_book(table(n=field(required=True)))
        with pytest.raises(MissingField, match="n: is required"):
            book.upsert({"email": "a@x", **sent})
        book.upsert({"email": "a@x", "n": "Ada"})

        assert book.upsert({"email": "a@x"}).unchanged

    @pytest.mark.parametrize(
        ("rule", "sent"),
        [
            (deep, {"a": None}),
            (deep, {"a": None, "b": None}),
            (deep, {}),
            (deep, " "),
            (deep_keep, {"a": None}),
            (union, []),
            (union, ""),
            (add_or_remove, ["-a"]),
            (append, " "),
            (items_by("id"), []),
            (largest, " "),
            (add, ""),
            (keep, "\t"),
            (replace, " "),
            (custom(lambda _a, _b: ""), "x"),
            (custom(lambda _a, _b: None), "x"),
            (latest(by="at"), " "),
        ],
        ids=map(str, range(17)),
    )
    def test_required_field_that_its_rule_leaves_blank_is_missing(
        self, rule: Any, sent: Any
    ) -> None:
        """Every verb that creates refuses it, and nothing is stored."""
        lines: Any = {"t": field(rule=rule, required=True), "at": field()}
        book = make_book(table(**lines))
        patch = {"email": "a@x", "at": 1, "t": sent}
        calls: list[Any] = [book.upsert, book.plan, book.create]
        calls.append(lambda row: book.upsert_many([row]))
        calls.append(lambda row: book.upsert_many([row], atomic=True))
        for call in calls:
            with pytest.raises(MissingField, match="t: "):
                call(patch)

        assert len(book) == 0


class TestKeyInUse:
    """A unique key that another contact holds."""

    SENT: dict[str, Any] = {"email": "a@x", "phone": "+1 5550002", "city": "Oslo"}  # noqa: RUF012

    def test_key_in_use_under_refuse_names_the_holder(self) -> None:
        book = make_book(table(city=field()), *TWO)
        with pytest.raises(KeyInUse) as caught:
            book.upsert(self.SENT)

        assert ("phone", "+1 5550002", "2") == (
            caught.value.field,
            caught.value.value,
            caught.value.holder,
        )

    def test_key_in_use_under_withhold_keeps_the_field(self) -> None:
        """The other fields are stored."""
        book = make_book(table(city=field(), on_key_in_use="withhold"), *TWO)
        outcome = book.upsert(self.SENT)

        assert outcome.changes == (Change("city", None, "Oslo"),)
        assert outcome.withheld == (Withheld("phone", "+1 5550002", "2"),)
        assert outcome.also_matched == ("2",)
        assert outcome.contact["phone"] == "+15550001"
        assert book.upsert(self.SENT).unchanged

    def test_patch_of_withheld_fields_only_is_unchanged(self) -> None:
        book = make_book(table(on_key_in_use="withhold"), *TWO)
        before = book.get("1")
        outcome = book.upsert({"email": "a@x", "phone": "+15550002"})

        assert outcome.unchanged
        assert outcome.contact is before

    def test_new_contact_under_withhold_lacks_the_field(self) -> None:
        """A required field is refused instead."""
        match = first_present("id")
        id = field(key=normalize.exact, unique=True)
        book = make_book(table(match, id=id, on_key_in_use="withhold"), *TWO)
        outcome = book.upsert({"id": "7", "email": "A@x"})
        assert outcome.withheld == (Withheld("email", "A@x", "1"),)
        assert "email" not in outcome.contact

        needed = field(key=normalize.email, unique=True, required=True)
        book = make_book(
            table(match, id=id, email=needed, on_key_in_use="withhold"), *TWO
        )
        with pytest.raises(KeyInUse):
            book.upsert({"id": "7", "email": "A@x"})

    def test_key_in_use_under_allow_is_stored(self) -> None:
        """The holder is named among the contacts that also matched."""
        book = make_book(table(on_key_in_use="allow"), *TWO)
        outcome = book.upsert({"email": "a@x", "phone": "+15550002"})

        assert outcome.contact["phone"] == "+15550002"
        assert outcome.also_matched == ("2",)
        assert book.upsert({"email": "a@x", "phone": "+15550002"}).unchanged

    def test_list_item_held_already_is_not_in_conflict(self) -> None:
        """Only a new item can be in use by another contact."""
        line = field(key=normalize.email, unique=True, rule=union)
        book = make_book(
            Policy(first_match("m"), {"m": line}), {"m": ["a@x"]}, {"m": ["b@x"]}
        )
        outcome = book.upsert({"m": ["A@x", "c@x"]})
        assert outcome.contact["m"] == ("a@x", "A@x", "c@x")

        with pytest.raises(KeyInUse, match="held by contact 2"):
            book.upsert({"m": ["c@x", "b@x"]})
        book._index.check()


class TestSpecialCases:
    """Cases that an option of the policy decides."""

    def test_patch_without_key_is_refused_or_creates(self) -> None:
        """Under "create" each call creates a contact."""
        with pytest.raises(NoMatchKey):
            make_book(table(city=field())).upsert(
                {"city": "Oslo", "email": None, "phone": ""}
            )
        book = make_book(table(city=field(), on_no_key="create"))

        assert book.upsert({"city": "Oslo"}).created
        assert book.upsert({"city": "Oslo"}).created

    def test_keys_of_two_contacts_are_refused_under_all_agree(self) -> None:
        book = make_book(table(all_agree("email", "phone")), *TWO)
        with pytest.raises(KeysDisagree):
            book.upsert({"email": "a@x", "phone": "+15550002"})

    def test_create_only_and_update_only_refuse_the_other(self) -> None:
        """A patch that changes nothing is not refused."""
        with pytest.raises(CreateRefused):
            make_book(table(on_not_found="refuse")).upsert({"email": "a@x"})
        book = make_book(table(on_found="refuse", city=field()), TWO[0])
        with pytest.raises(UpdateRefused):
            book.upsert({"email": "a@x", "city": "Oslo"})

        assert book.upsert({"email": "a@x"}).unchanged

    def test_undeclared_field_is_refused_or_has_the_extra_rule(self) -> None:
        """A name that is not text, or has surrogates, is refused in any case."""
        with pytest.raises(UnknownField, match="city: unknown"):
            make_book(table()).upsert({"email": "a@x", "city": "Oslo"})
        book = make_book(table(extra_fields=field(rule=replace)))
        wrong: Any = {"email": "a@x", 7: "Oslo"}
        with pytest.raises(UnknownField, match="7"):
            book.upsert(wrong)
        with pytest.raises(InvalidField, match="lone surrogates"):
            book.upsert({"email": "a@x", "\ud800": "Oslo"})

        assert book.upsert({"email": "a@x", "city": "Oslo"}).contact["city"] == "Oslo"

    @pytest.mark.parametrize("patch", [None, [], "email", 7], ids="abcd")
    def test_patch_that_is_no_mapping_is_refused(self, patch: Any) -> None:
        with pytest.raises(InvalidField, match="patch: must be a mapping"):
            make_book(table()).upsert(patch)

    def test_scope_that_is_no_text_is_refused(self) -> None:
        wrong: Any = None
        with pytest.raises(InvalidField, match="scope: must be text"):
            make_book(table()).upsert({"email": "a@x"}, scope=wrong)

    def test_immutable_field_refuses_another_value(self) -> None:
        """The same value is accepted."""
        book = make_book(table(ref=field(rule=immutable)), {"email": "a@x", "ref": "r"})
        assert book.upsert({"email": "a@x", "ref": "r"}).unchanged

        with pytest.raises(InvalidField, match="ref: must not change once"):
            book.upsert({"email": "a@x", "ref": "s"})


class TestLostKey:
    """A decision after which the patch would not match its contact is refused."""

    @pytest.mark.parametrize(
        ("line", "sent"),
        [
            (
                field(
                    key=normalize.exact,
                    rule=custom(lambda _old, new: new and new.upper()),
                ),
                "a",
            ),
            (field(key=normalize.exact, rule=custom(lambda old, _new: old)), "a"),
            (
                field(key=lambda item: item.get("v"), rule=items_by("id")),
                [{"id": 1, "v": "a"}, {"id": 1, "v": None}],
            ),
        ],
        ids=["custom", "nothing", "items"],
    )
    def test_rule_that_drops_the_only_key_is_refused(
        self, line: Any, sent: Any
    ) -> None:
        """Stored as it is, the patch would create a contact each time."""
        book = make_book(Policy(first_match("k"), {"k": line}))
        with pytest.raises(InvalidField, match="is a key that its rule"):
            book.upsert({"k": sent})

        assert len(book) == 0

    def test_one_stored_key_is_enough(self) -> None:
        """Another key may be dropped by its rule."""
        line = field(key=normalize.email, rule=keep)
        book = make_book(table(email=line), TWO[0])
        patch = {"email": "new@x", "phone": "+15550001"}

        assert book.upsert({**patch, "phone": "+1 5550001"}).updated
        assert book.upsert({**patch, "phone": "+1 5550001"}).unchanged

    def test_field_under_ignore_has_its_default(self) -> None:
        """Whether or not the patch names the field."""
        book = make_book(table(s=field(rule=ignore, default="new")))

        assert book.upsert({"email": "a@x", "s": "old"}).contact["s"] == "new"

    def test_withheld_required_field_does_not_refuse_an_update(self) -> None:
        """A known contact without the field can be updated."""
        line = field(key=normalize.email, unique=True, required=True)
        policy = table(
            first_match("phone"), email=line, city=field(), on_key_in_use="withhold"
        )
        book = make_book(policy, TWO[0])
        book._index.put(
            Contact("2", "", {"phone": "+15550002"}, 1, NOW, NOW), [[], ["+15550002"]]
        )
        outcome = book.upsert({"phone": "+15550002", "email": "a@x", "city": "Oslo"})

        assert outcome.updated
        assert [item.field for item in outcome.withheld] == ["email"]


class FieldName(StrEnum):
    """Field names as an enumeration of text."""

    EMAIL = "email"


class DuplicateNames(Mapping[str, Any]):
    """A mapping that yields a name twice, as a multi-dict does."""

    def __getitem__(self, name: str) -> Any:
        return name

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[str]:
        return iter(("email", "email"))


class TestFieldNames:
    """Field names of a patch."""

    def test_name_of_a_text_subclass_is_stored_as_text(self) -> None:
        outcome = make_book(table()).upsert({FieldName.EMAIL: "a@x"})

        assert [type(name) for name in outcome.contact] == [str]

    def test_duplicate_name_is_refused(self) -> None:
        """A multi-dict would lose one of the values."""
        with pytest.raises(InvalidField, match="email: must not be sent twice"):
            make_book(table()).upsert(DuplicateNames())


class TestPlan:
    """The decision as a value."""

    def test_plan_changes_nothing(self) -> None:
        book = make_book(table(tags=field(rule=union), meta=field(rule=deep)), *TWO)
        plan = book.plan({"email": "A@x", "tags": ["t"], "meta": {"a": 1}})

        assert plan.updated
        assert not plan.created
        assert [item.field for item in plan.changes] == ["email", "tags", "meta"]
        assert plan.forms == (("a@x",), ("+15550001",))
        assert plan.expects.versions == {"1": 1}
        assert book.get("1").version == 1

    def test_unchanged_plan_returns_the_stored_fields(self) -> None:
        """The mapping is not copied."""
        book = make_book(table(), *TWO)

        assert book.plan({"email": "a@x"}).after is book.get("1").fields

    @pytest.mark.parametrize(
        ("match", "patch", "notes"),
        [
            (
                first_match("email", "phone"),
                {"email": "b@x", "phone": "+15550001"},
                ["decides", "matches another contact, but an earlier key has decided"],
            ),
            (
                first_match("email", "phone"),
                {"email": "a@x", "phone": "+15550001"},
                ["decides", "agrees"],
            ),
            (
                first_match("email", "phone"),
                {"email": "c@x", "phone": "+15550001"},
                ["no match", "decides"],
            ),
            (
                first_present("email", "phone"),
                {"email": "a@x", "phone": "+15550001"},
                ["decides", "not consulted: another key decides alone"],
            ),
            (
                first_match("email", "phone"),
                {"phone": "+15550009"},
                ["omitted: no key", "no match"],
            ),
            (
                first_match("email", "phone"),
                {"email": "a@x", "phone": None},
                ["decides", "null: no key"],
            ),
            (
                first_match("email", "phone"),
                {"email": "a@x", "phone": ""},
                ["decides", "blank: no key"],
            ),
            (
                first_match("email", "phone"),
                {"email": "nobody", "phone": "+15550001"},
                ["no usable form: not a key", "decides"],
            ),
        ],
        ids=map(str, range(8)),
    )
    def test_trace_has_a_step_per_key(
        self, match: Strategy, patch: Any, notes: list[str]
    ) -> None:
        """The note gives the reason in words."""
        book = make_book(table(match, on_key_in_use="allow"), *TWO)

        assert notes == [step.note for step in book.plan(patch).trace]

    def test_plan_expects_the_lookups_of_all_keys(self) -> None:
        """Lookups of the uniqueness check are included."""
        book = make_book(table(first_present("email", "phone")), *TWO)
        plan = book.plan({"email": "a@x", "phone": "+1 5550003"})

        assert plan.expects.keys == (
            ("email", "a@x", ("1",)),
            ("phone", "+15550003", ()),
        )

    def test_decide_needs_policy_patch_and_index_only(self) -> None:
        index = ContactIndex(["email", "phone"])
        plan = decide(table(), {"email": "a@x"}, index, scope="s")

        assert (plan.result, plan.scope, plan.before) == ("created", "s", None)
        assert decide(table(), {"email": "a@x"}, index).scope == ""
        assert len(index) == 0

    def test_given_strategy_replaces_the_policy_strategy(self) -> None:
        book = make_book(table(on_key_in_use="allow"), *TWO)
        policy, index = book.policy, book._index

        assert decide(policy, TWO[0], index).unchanged
        assert decide(policy, TWO[0], index, match=never()).created

    def test_plan_expects_versions_of_all_contacts_read(self) -> None:
        """A guard reads the holders of lower keys, a merge all contacts it merges."""
        match = first_match("email", "phone", guard="if_set")
        book = make_book(table(match, on_key_in_use="allow"), *TWO)
        plan = book.plan({"email": "c@x", "phone": "+15550002"})
        assert (plan.result, plan.also_matched) == ("created", ("2",))
        assert plan.expects.versions == {"2": 1}

        book = make_book(table(merge_all("email", "phone")), *TWO)
        plan = book.plan({"email": "a@x", "phone": "+15550002"})
        assert plan.expects.versions == {"1": 1, "2": 1}
        assert plan.expects.keys == (
            ("email", "a@x", ("1",)),
            ("phone", "+15550002", ("2",)),
        )

    def test_plan_expects_the_lookup_of_a_dropped_key(self) -> None:
        match = first_match("email", "phone", guard="strict", on_contradiction="drop")
        plan = make_book(table(match), *TWO).plan(
            {"email": "c@x", "phone": "+15550002"}
        )

        assert plan.ignored == {"phone": "guard"}
        assert plan.after == {"email": "c@x"}
        assert ("phone", "+15550002", ("2",)) in plan.expects.keys


class TestOnFoundIgnore:
    """A policy that creates contacts and does not update known ones."""

    def test_different_fields_are_named_as_ignored(self) -> None:
        """No rule runs, so none refuses; equal fields are not named."""
        lines: Any = {"ref": field(rule=immutable), "city": field(), "tags": field()}
        book = make_book(
            table(on_found="ignore", **lines),
            {"email": "a@x", "ref": "r", "tags": ["t"]},
        )
        sent = {"email": "A@x", "ref": "s", "city": None, "tags": ["t"], "phone": ""}
        outcome = book.upsert(sent)

        assert outcome.unchanged
        assert outcome.contact is book.get("1")
        assert outcome.matched_by == "email"
        assert outcome.ignored == dict.fromkeys(("email", "ref", "phone"), "on_found")

    @pytest.mark.parametrize(
        ("rule", "stored", "sent", "named"),
        [
            (union, ["a", "b"], ["a"], False),
            (union, ["a", "b"], [], False),
            (union, ["a", "b"], ["c"], True),
            (union, ["a"], None, True),
            (union, ["a"], "a", True),
            (remove, ["a", "b"], ["a", "b"], True),
            (remove, ["a", "b"], ["c"], False),
            (remove, None, ["a"], False),
            (append, ["a"], ["a"], True),
            (append, ["a"], [], False),
            (add_or_remove, ["a"], ["-b"], False),
            (add_or_remove, ["a"], ["-a"], True),
            (add, 2, 2, True),
            (add, 2, None, True),
            (unset, "a", "a", True),
            (unset, None, "a", False),
            (unset, None, None, False),
            (keep, "a", "a", False),
            (keep, "a", "b", True),
            (keep, "a", None, True),
            (immutable, "a", "a", False),
            (immutable, "a", "b", True),
            (on_create, "a", "b", True),
            (on_create, "a", "a", False),
            (ignore, None, "b", True),
            (largest, 2, 1, True),
            (largest, 2, 3, True),
            (largest, 2, 2, False),
            (largest, 2, "x", True),
            (deep, {"a": 1, "b": 2}, {"a": 1}, False),
            (deep, {"a": 1}, {"b": None}, False),
            (deep, {"a": 1}, {"a": None}, True),
            (deep_keep, {"a": 1}, {"a": 1}, False),
            (deep_keep, {"a": 1}, {"a": 2}, True),
            (items_by("id"), [{"id": 1, "n": 1}], [{"id": 1}], False),
            (items_by("id"), [{"id": 1}], [{"id": 1, "n": 1}], True),
            (replace, "a", "a", False),
            (replace, None, None, False),
            (replace, 1, 1.0, True),
            (custom(lambda a, _b: a), "a", "b", True),
            (latest(by="at"), "a", "a", True),
            (latest(by="when"), "a", "a", True),
        ],
        ids=map(str, range(42)),
    )
    def test_field_is_named_if_its_rule_would_act(
        self, rule: Any, stored: Any, sent: Any, *, named: bool
    ) -> None:
        """Whether the rule would store, ignore or refuse the value."""
        lines: Any = {"f": field(rule=rule), "at": field(), "when": field()}
        book = make_book(table(on_found="ignore", **lines), {"email": "a@x", "at": 2})
        row = book.dump()[0]
        row["fields"] |= {} if stored is None else {"f": stored}
        book = ContactBook.load(book.policy, [row])
        patch = {"email": "a@x", "at": 2, "f": sent}
        ignored = {"f": "on_found"} if named else {}

        assert book.plan(patch).ignored == ignored
        assert book.upsert(patch).ignored == ignored
        assert book.upsert_many([patch])[0].ignored == ignored

    def test_primary_that_would_be_appended_is_named(self) -> None:
        """The additional fields are not changed."""
        mail = key("m", "more", normalize=normalize.email, any_of=True, append_new=True)
        lines = {"id": field(key=normalize.exact), "m": field(), "more": field()}
        policy = Policy(
            first_match("id"), lines, keys={"mail": mail}, on_found="ignore"
        )
        book = make_book(policy, {"id": 1, "m": "a@x", "more": ["b@x"]})

        for sent, named in (("c@x", True), ("b@x", True), ("a@x", False)):
            outcome = book.upsert({"id": 1, "m": sent})
            assert outcome.ignored == ({"m": "on_found"} if named else {})
            assert outcome.contact["more"] == ("b@x",)

    def test_plan_describes_the_stored_contact(self) -> None:
        """Its fields, forms, aliases, clocks and scope, and the lookups."""
        lines: Any = {"name": field(rule=latest(by="at")), "at": field()}
        lines["phone"] = field(key=normalize.phone, keep_aliases=True)
        book = make_book(table(**lines))
        book.upsert({**TWO[0], "name": "A", "at": 1}, scope="s")
        book.upsert({"email": "a@x", "phone": None}, scope="s")
        policy = attrs.evolve(book.policy, on_found="ignore")
        plan = decide(policy, {"email": "A@x", "at": 2}, book._index, scope="s")

        assert (plan.result, plan.scope) == ("unchanged", "s")
        assert plan.before is book.get("1", scope="s")
        assert plan.after is book.get("1", scope="s").fields
        assert plan.forms == (("a@x",), ("+15550001",))
        assert plan.aliases == {"phone": ("+15550001",)}
        assert plan.clocks == {"name": 1}
        assert plan.policy is policy
        assert plan.expects.keys == (("email", "a@x", ("1",)),)

    def test_earlier_reason_is_kept(self) -> None:
        """A null or blank that counts as omitted keeps that reason."""
        line = field(null="ignore", blank="ignore")
        book = make_book(table(on_found="ignore", city=line, name=line), TWO[0])
        outcome = book.upsert({"email": "a@x", "city": None, "name": ""})

        assert outcome.ignored == {"city": "null", "name": "blank"}

    def test_unknown_contact_is_created(self) -> None:
        book = make_book(table(on_found="ignore"), TWO[0])

        assert book.upsert({"email": "n@x"}).created
        assert book.create({"phone": "+15550009"}).created
        with pytest.raises(KeyInUse):
            book.create({"email": "A@x"})

    def test_key_in_use_is_not_refused(self) -> None:
        """Nothing is stored, so no key is claimed."""
        book = make_book(table(on_found="ignore"), *TWO)
        outcome = book.upsert({"email": "a@x", "phone": "+15550002"})

        assert (outcome.result, outcome.also_matched) == ("unchanged", ("2",))
        assert outcome.ignored == {"phone": "on_found"}

    def test_contacts_are_not_merged(self) -> None:
        """The other contact is named among those that also matched."""
        book = make_book(table(merge_all("email", "phone"), on_found="ignore"), *TWO)
        outcome = book.upsert({"email": "a@x", "phone": "+15550002"})

        assert (outcome.result, outcome.merged) == ("unchanged", ())
        assert outcome.also_matched == ("2",)
        assert len(book) == 2

    def test_stale_version_is_refused(self) -> None:
        book = make_book(table(on_found="ignore"), TWO[0])
        assert book.upsert({"email": "a@x"}, if_version=1).unchanged
        with pytest.raises(StaleVersion):
            book.upsert({"email": "a@x"}, if_version=2)

    def test_clock_is_kept(self) -> None:
        """Clocks move with rules, and no rule runs."""
        lines: Any = {"name": field(rule=latest(by="at")), "at": field()}
        book = make_book(
            table(on_found="ignore", **lines), {"email": "a@x", "name": "A", "at": 1}
        )
        outcome = book.upsert({"email": "a@x", "name": "B", "at": 2})

        assert outcome.contact.clocks == {"name": 1}
        assert book.upsert({"email": "a@x", "name": "B"}).ignored == {
            "name": "on_found"
        }


def merge_policy(**lines: Any) -> Policy:
    """Make a policy that merges by two unique keys."""
    return table(merge_all("email", "phone"), **lines)


BOTH = {"email": "a@x", "phone": "+15550002"}


class TestMerge:
    """Contacts that a patch merges."""

    def test_merge_outcome_names_survivor_and_absorbed(self) -> None:
        book = make_book(
            merge_policy(city=field()), {"email": "a@x"}, {**TWO[1], "city": "Oslo"}
        )
        one, two = book
        plan = book.plan(BOTH)
        assert (plan.result, plan.updated) == ("merged", False)
        assert (plan.before, plan.merged, plan.matched_by) == (
            one,
            (two,),
            "email",
        )
        assert plan.after == {**BOTH, "city": "Oslo"}
        assert len(book) == 2

        outcome = book.apply(plan)
        assert (outcome.result, outcome.created, outcome.unchanged) == (
            *("merged", False),
            False,
        )
        assert (outcome.before, outcome.merged, outcome.also_matched) == (
            one,
            (two,),
            (),
        )
        assert [item.field for item in outcome.changes] == ["phone", "city"]
        assert (outcome.contact.id, outcome.contact.version) == ("1", 2)
        assert outcome.contact.merged_ids == ("2",)
        assert book.upsert(BOTH).unchanged

    def test_merge_without_changes_has_a_new_version(self) -> None:
        book = make_book(merge_policy(), *TWO)
        outcome = book.upsert({**BOTH, "phone": "+15550001", "email": "a@x"})
        assert outcome.unchanged

        book = make_book(table(merge_all("email", "phone"), phone=field(key=str)), *TWO)
        book._index.put(book.get("2"), [["b@x"], ["+15550001"]])
        outcome = book.upsert(TWO[0])
        assert (outcome.result, outcome.changes) == ("merged", ())
        assert outcome.contact.version == 2

    def test_survivor_is_the_first_holder_of_the_first_key(self) -> None:
        phone = field(key=normalize.phone)
        book = make_book(
            merge_policy(phone=phone),
            {"phone": "+15550001"},
            {"phone": "+15550001"},
            {"email": "a@x"},
        )
        outcome = book.upsert({"phone": "+15550001", "email": "a@x"})

        assert outcome.contact.id == "3"
        assert [contact.id for contact in outcome.merged] == ["1", "2"]
        assert outcome.contact.merged_ids == ("1", "2")
        assert outcome.contact.created_at == NOW

    def test_merged_ids_include_those_of_the_absorbed(self) -> None:
        """Each id once: that of the absorbed contact, then its own merged ids."""
        lines = {"id": field(key=normalize.exact)}
        match = merge_all("id", "email", "phone")
        book = make_book(table(match, **lines), *TWO, {"id": 7})
        book.upsert({"email": "b@x", "phone": "+15550001"})
        outcome = book.upsert({"id": 7, "email": "b@x"})

        assert outcome.contact.merged_ids == ("2", "1")
        assert {"3"} == {book.get(id).id for id in "123"}
        book._index.check()

    def test_merge_counts_as_an_update(self) -> None:
        """A policy that refuses updates refuses it."""
        book = make_book(table(merge_all("email", "phone"), on_found="refuse"), *TWO)
        with pytest.raises(UpdateRefused) as caught:
            book.upsert(BOTH)
        assert (caught.value.id, len(book)) == ("1", 2)

        policy = table(merge_all("email", "phone"), on_not_found="refuse")
        book = ContactBook.load(policy, book.dump())
        with pytest.raises(CreateRefused):
            book.upsert({"email": "n@x"})
        assert book.upsert(BOTH).merged

    def test_expected_version_is_that_of_the_survivor(self) -> None:
        book = make_book(merge_policy(city=field()), *TWO)
        book.upsert({"phone": "+15550002", "city": "Oslo"})
        with pytest.raises(StaleVersion) as caught:
            book.upsert(BOTH, if_version=2)
        versions = (caught.value.id, caught.value.expected, caught.value.actual)
        assert versions == ("1", 2, 1)

        assert book.upsert(BOTH, if_version=1).merged

    def test_versions_are_compared_by_value(self) -> None:
        """A large integer made at run time is another object."""
        book = make_book(merge_policy(), TWO[0])
        book._index.put(attrs.evolve(book.get("1"), version=1000), [["a@x"], []])

        assert book.upsert({"email": "a@x"}, if_version=int("1000")).unchanged

    @pytest.mark.parametrize(("one", "other"), [("s-t", "s-u"), ("s-u", "s-t")])
    def test_merge_across_scopes_is_refused(self, one: str, other: str) -> None:
        """Whichever scope is named."""
        book = make_book(merge_policy())
        for scope, row in zip((one, other), TWO, strict=True):
            book.create(row, scope=scope)
        with pytest.raises(UnknownContact) as caught:
            book.merge("1", "2", scope=one)

        assert caught.value.id == "2"

    def test_scopes_are_compared_by_value(self) -> None:
        """The same text made twice is one scope."""
        book = make_book(merge_policy())
        for row in TWO:
            book.create(row, scope="-".join("st"))

        assert book.merge("1", "2", scope="s-t").merged

    def test_stale_version_without_contact_has_no_id(self) -> None:
        with pytest.raises(StaleVersion) as caught:
            make_book(table()).upsert(BOTH, if_version=3)

        assert (caught.value.id, caught.value.expected) == (None, 3)
        assert caught.value.actual is None

    def test_limit_under_drop_drops_the_lowest_key(self) -> None:
        """Higher keys are kept if the rest is within the limit."""
        lines = {
            "email": field(
                key=normalize.email, rule=union, max_forms=1, keep_aliases=True
            ),
            "id": field(key=normalize.exact),
        }
        policy = attrs.evolve(
            table(merge_all("email", "phone", "id"), **lines),
            fields=merging(
                table(merge_all("email", "phone", "id"), **lines).fields,
                {"email": union},
            ),
            on_limit="drop",
        )
        book = make_book(policy, {"email": ["a@x"]}, {"email": ["b@x"], "id": 7})
        outcome = book.upsert({"email": ["a@x"], "phone": "+15550001", "id": 7})

        assert outcome.ignored == {"id": "limit"}
        assert outcome.contact["phone"] == "+15550001"

    def test_create_over_the_limit_is_refused_under_drop(self) -> None:
        """No key is matched, so none is dropped."""
        email = field(key=normalize.email, max_forms=1, keep_aliases=True)
        policy = table(merge_all("email", "phone"), email=email)
        book = make_book(attrs.evolve(policy, on_limit="drop"))
        with pytest.raises(InvalidField, match="email: must have one key"):
            book.create({"email": ["a@x", "b@x"]})

    def test_forms_over_the_limit_already_stored_are_accepted(self) -> None:
        """Only new forms count as too many."""
        email = field(key=normalize.email, rule=union, max_forms=2, keep_aliases=True)
        match = merge_all("email", "phone")
        sent = {"email": ["a@x", "b@x"], "phone": "+15550001"}
        book = make_book(table(match, email=email, on_key_in_use="allow"), sent)
        lines = {**book.policy.fields, "email": attrs.evolve(email, max_forms=1)}
        policy = attrs.evolve(book.policy, fields=lines, on_limit="drop")
        outcome = ContactBook.load(policy, book.dump()).upsert(sent)

        assert outcome.unchanged
        assert outcome.ignored == {}


@pytest.mark.parametrize("on_deleted", ["forget", "restore"])
def test_deleted_contact_is_restored_unless_refused(on_deleted: Any) -> None:
    book = make_book(attrs.evolve(table(), on_deleted="restore"), TWO[0])
    book.delete("1")
    policy = attrs.evolve(table(), on_deleted=on_deleted)
    outcome = ContactBook.load(policy, book.dump()).upsert(TWO[0])

    assert outcome.updated
    assert outcome.contact.deleted_at is None


class TestOrderOfRefusals:
    """Of two reasons to refuse a patch, the first in a fixed order is raised."""

    POLICY = table(
        first_match("id"),
        id=field(key=normalize.exact, unique=True, max_forms=1),
        ref=field(rule=immutable),
        need=field(required=True),
        on_ambiguous="refuse",
    )

    @pytest.mark.parametrize(
        ("policy", "patch", "options", "error"),
        [
            ({}, {"id": 1, "x": 1, "phone": float("nan")}, {}, UnknownField),
            ({}, {"phone": float("nan"), "x": 1}, {}, InvalidField),
            ({}, {"phone": "+15550002"}, {"if_version": 9}, NoMatchKey),
            ({}, {"id": 1, "ref": "s"}, {"if_version": 9}, StaleVersion),
            ({"on_not_found": "refuse"}, {"id": 9}, {"if_version": 9}, StaleVersion),
            ({"on_not_found": "refuse"}, {"id": 9}, {}, CreateRefused),
            ({}, {"id": 9, "email": "a@x"}, {}, MissingField),
            ({}, {"id": 1, "phone": "+15550002", "ref": "s"}, {}, InvalidField),
            ({}, {"id": [1, 3], "phone": "+15550002"}, {}, KeyInUse),
            ({"on_found": "refuse"}, {"id": [1, 3]}, {}, InvalidField),
            ({"on_found": "refuse"}, {"id": 1, "phone": "+15550002"}, {}, KeyInUse),
            ({"on_found": "refuse"}, {"id": 1, "ref": "s"}, {}, InvalidField),
            ({"on_found": "refuse"}, {"id": 1, "email": "n@x"}, {}, UpdateRefused),
        ],
        ids=map(str, range(13)),
    )
    def test_first_reason_is_raised(
        self, policy: Any, patch: Any, options: Any, error: type[Exception]
    ) -> None:
        """Order: reading, match, version, creation, merge, keys, limit, update."""
        stored = [
            {"id": 1, "need": 1, "ref": "r", **TWO[0]},
            {"id": 2, "need": 1, **TWO[1]},
        ]
        rows = make_book(self.POLICY, *stored).dump()
        changed = attrs.evolve(self.POLICY, **policy)
        book = ContactBook.load(changed, rows)
        with pytest.raises(error) as caught:
            book.upsert(patch, **options)

        assert error is type(caught.value)
        assert book.dump() == rows

    def test_additional_field_is_refused_before_its_primary(self) -> None:
        lines = {"main": field(rule=immutable), "more": field(rule=union)}
        keys = {"m": key("main", "more", normalize=normalize.email, any_of=True)}
        policy = Policy(first_match("email"), {**KEYS, **lines}, keys=keys)
        book = make_book(policy, {"email": "a@x", "main": "m@x"})
        with pytest.raises(InvalidField, match="more: must be a list"):
            book.upsert({"email": "a@x", "main": "n@x", "more": "x"})

    def test_merge_is_refused_before_the_patch(self) -> None:
        """The refusal names the contact to be absorbed."""
        lines = {"ref": field(), "n": field(rule=immutable)}
        policy = attrs.evolve(
            merge_policy(**lines),
            fields=merging(merge_policy(**lines).fields, {"ref": immutable}),
        )
        book = make_book(
            policy, {**TWO[0], "n": 1, "ref": "r"}, {**TWO[1], "n": 2, "ref": "s"}
        )
        with pytest.raises(InvalidField) as caught:
            book.upsert({**BOTH, "n": 3})

        assert (caught.value.field, caught.value.holder) == ("ref", "2")


class TestNoMatchKey:
    """The refusal of a patch without a key gives a reason for each key."""

    def refusal(
        self, patch: dict[str, Any], blocked: tuple[str, ...] = (), **options: Any
    ) -> NoMatchKey:
        """Return the refusal of a patch."""
        lines = {
            "email": field(key=normalize.email),
            "phone": field(key=normalize.phone),
            **{name: field() for name in ("first", "last")},
        }
        keys = {"who": key("first", "last", normalize=normalize.text, blocked=blocked)}
        match = first_match("email", "phone", "who")
        book = ContactBook(Policy(match, lines, keys=keys, **options))
        with pytest.raises(NoMatchKey) as caught:
            book.upsert(patch)
        assert caught.value.tried == ("email", "phone", "who")
        return caught.value

    def test_reasons_show_the_sent_values(self) -> None:
        """The advice comes last, and covers national numbers."""
        refusal = self.refusal({"email": "nope", "phone": "555-0105", "first": "Ada"})

        assert refusal.reasons == (
            ("email", "no usable form", "nope"),
            ("phone", "national number", "555-0105"),
            ("who", "partly omitted", None),
        )
        assert str(refusal) == (
            "patch: has no key to match by (email 'nope' has no usable form, phone "
            "'555-0105' is a national number, who is partly omitted); send a usable "
            "value for email or phone or who, or use normalize.phone_in as the key"
        )
        copied = pickle.loads(pickle.dumps(refusal))  # noqa: S301 - pickled here
        assert str(copied) == str(refusal)

    def test_null_blank_and_blocked_are_reasons(self) -> None:
        """Whether or not the policy stores blocked values."""
        patch = {"email": None, "phone": "", "first": "Test", "last": "Test"}
        refusal = self.refusal(patch, blocked=("test|test",))
        assert [reason for _, reason, _ in refusal.reasons] == [
            *("null", "blank", "blocked"),
        ]
        text = "who {'first': 'Test', 'last': 'Test'} is blocked"
        assert text in str(refusal)
        assert "phone_in" not in str(refusal)

        line = field(key=normalize.email, blocked=("noreply@*",))
        book = ContactBook(Policy(first_match("email"), {"email": line}))
        with pytest.raises(NoMatchKey) as caught:
            book.upsert({"email": "noreply@x"})
        assert caught.value.reasons[0] == ("email", "blocked", "noreply@x")
        book = ContactBook(attrs.evolve(book.policy, on_blocked="ignore"))
        with pytest.raises(NoMatchKey, match="email is blocked") as caught:
            book.upsert({"email": "noreply@x"})
        assert caught.value.reasons[0] == ("email", "blocked", None)

    def test_key_unknown_to_the_policy_has_no_reason(self) -> None:
        """A strategy of the application may name such a key."""

        def refuse(_keys: Any, _probe: Any, _pick: Any) -> NoReturn:
            raise NoMatchKey(("email", "badge"))

        lines = {"email": field(key=normalize.email)}
        policy = Policy(Strategy("mine", ("email",), refuse), lines)
        with pytest.raises(NoMatchKey) as caught:
            ContactBook(policy).upsert({})
        assert caught.value.reasons == (("email", "omitted", None),)


class TestPartialKeys:
    """A patch with only a part of a composite key has no key."""

    PARTS = {"first": field(), "last": field(), "city": field()}  # noqa: RUF012
    PAIR = {"pair": key("first", "last", normalize=normalize.text)}  # noqa: RUF012

    @pytest.mark.parametrize(
        "patch",
        [
            {"first": "Ada"},
            {"first": "Ada", "last": None},
            {"first": "Ada", "last": ""},
            {"first": "Ada", "last": []},
        ],
        ids=["omitted", "null", "blank", "list"],
    )
    def test_partial_key_is_refused_or_creates(self, patch: Any) -> None:
        """Under "create" each call creates a contact."""
        policy = Policy(first_match("pair"), self.PARTS, keys=self.PAIR)
        with pytest.raises(NoMatchKey) as caught:
            make_book(policy, {"first": "Ada", "last": "King"}).upsert(patch)
        assert caught.value.tried == ("pair",)

        book = make_book(attrs.evolve(policy, on_no_key="create"))
        assert [book.upsert(patch).created for _ in range(2)] == [True, True]

    def test_required_field_is_not_needed_to_match(self) -> None:
        lines = {**self.PARTS, "city": field(required=True)}
        book = make_book(Policy(first_match("pair"), lines, keys=self.PAIR))
        patch = {"first": "Ada", "last": "King"}
        with pytest.raises(MissingField, match="city"):
            book.upsert(patch)
        book.upsert({**patch, "city": "Oslo"})

        assert book.upsert(patch).unchanged


class TestLostKeyOfSeveralFields:
    """Keys of several fields that would be lost."""

    def test_lost_composite_key_is_refused_by_its_name(self) -> None:
        """With the sent parts and the rules of its fields."""
        lines = {"first": field(rule=custom(lambda _a, b: b[::-1])), "last": field()}
        keys = {"p": key("first", "last", normalize=normalize.text)}
        book = make_book(Policy(first_match("p"), lines, keys=keys))
        with pytest.raises(
            InvalidField, match="its rule custom, replace would drop"
        ) as caught:
            book.upsert({"first": "Grace", "last": "Hopper"})

        assert caught.value.field == "p"
        assert caught.value.value == {"first": "Grace", "last": "Hopper"}
        assert len(book) == 0

    def test_lost_form_is_refused_by_the_field_that_has_it(self) -> None:
        lines = {"main": field(), "more": field(rule=custom(lambda _a, _b: None))}
        keys = {"m": key("main", "more", normalize=normalize.email, any_of=True)}
        book = make_book(Policy(first_match("m"), lines, keys=keys))
        with pytest.raises(InvalidField) as caught:
            book.upsert({"main": "none", "more": "a@x"})

        assert (caught.value.field, caught.value.value) == ("more", "a@x")

    MAILS = key("main", "more", normalize=normalize.email, any_of=True)

    @pytest.mark.parametrize(
        ("match", "patch"),
        [
            (
                first_match("m", "phone", guard="strict"),
                {"main": "b@x", "more": [], "phone": "+15550001"},
            ),
            (
                first_match("m", "phone"),
                {"main": ["b@x", "c@x"], "more": [], "phone": "+15550001"},
            ),
            (
                merge_all("m", "phone"),
                {"main": ["b@x", "d@x"], "more": [], "phone": "+15550001"},
            ),
        ],
        ids=["on_contradiction", "another first", "no contact left"],
    )
    def test_patch_that_would_match_another_contact_is_refused(
        self, match: Strategy, patch: Any
    ) -> None:
        """Even if the contact still holds one of the keys."""
        lines = {"main": field(rule=on_create), "more": field(), "city": field()}
        policy = Policy(
            match, {**KEYS, **lines}, keys={"m": self.MAILS}, on_ambiguous="oldest"
        )
        book = make_book(
            policy,
            {"main": "z@x", "more": ["b@x"], "phone": "+15550001"},
            {"more": ["c@x"], "phone": "+15550002"},
        )
        before = book.dump()
        try:
            book.upsert(patch)
        except InvalidField as refusal:
            assert "would drop" in refusal.reason  # noqa: PT017
            assert book.dump() == before
        else:
            assert book.upsert(patch).unchanged

    def test_rule_that_stores_another_form_is_refused(self) -> None:
        """The stored form would contradict the key that matched."""
        rule = custom(lambda stored, _sent: stored or "other@x")
        email = field(key=normalize.email, rule=rule)
        match = first_match("email", "phone", guard="if_set")
        book = make_book(table(match, email=email), {"phone": "+15550001"})
        book._index.put(
            Contact("1", "", {"phone": "+15550001"}, 1, NOW, NOW), [[], ["+15550001"]]
        )
        with pytest.raises(InvalidField, match="is a key that its rule"):
            book.upsert({"email": "b@x", "phone": "+15550001"})
        with pytest.raises(InvalidField, match="is a key that its rule"):
            book.upsert({"email": "b@x", "phone": "+15550009"})
        assert len(book) == 1

    def test_withheld_part_of_the_matching_key_is_refused(self) -> None:
        """Otherwise the guard would fail, and each call create a contact."""
        lines = {"ref": field(key=normalize.exact)}
        keys = {"p": key("phone", "ref", normalize=normalize.text)}
        match = first_match("p", "ref", guard="strict")
        policy = Policy(match, {**KEYS, **lines}, keys=keys, on_key_in_use="withhold")
        book = make_book(policy, {"phone": "+15550001"})
        with pytest.raises(KeyInUse) as caught:
            book.upsert({"phone": "+15550001", "ref": "r"})

        error = caught.value
        assert (error.field, error.value, error.holder) == ("phone", "+15550001", "1")
        assert len(book) == 1

    def test_dropped_key_need_not_match_again(self) -> None:
        match = first_match("email", "phone", guard="strict", on_contradiction="drop")
        book = make_book(table(match, on_key_in_use="withhold"), *TWO)
        sent = {"email": "a@x", "phone": "+15550002"}
        outcome = book.upsert(sent)

        assert (outcome.result, outcome.also_matched) == ("unchanged", ("2",))
        assert outcome.ignored == {"phone": "guard"}
        assert outcome.withheld == ()
        assert book.upsert(sent).unchanged

    def test_dropped_key_counts_as_omitted(self) -> None:
        """A new contact has its default, or is refused if it is required."""
        match = first_match("email", "phone", guard="strict", on_contradiction="drop")
        sent = {"email": "c@x", "phone": "+15550002"}
        line = field(key=normalize.phone, default="+15550009")
        outcome = make_book(table(match, phone=line), *TWO).upsert(sent)
        assert outcome.contact.fields == {"email": "c@x", "phone": "+15550009"}
        assert outcome.ignored == {"phone": "guard"}

        line = field(key=normalize.phone, required=True)
        with pytest.raises(MissingField, match="phone"):
            make_book(table(match, phone=line), *TWO).upsert(sent)

    def test_alias_contradicts_as_a_value_does(self) -> None:
        """A contact whose email was cleared still has an alias."""
        email = field(key=normalize.email, keep_aliases=True)
        match = first_match("email", "phone", guard="if_set")
        book = make_book(table(match, email=email, on_key_in_use="allow"), *TWO)
        book.upsert({"phone": "+15550002", "email": None})
        assert book.get("2").aliases == {"email": ("b@x",)}

        assert book.upsert({"email": "B@x", "phone": "+15550002"}).contact.id == "2"
        book.upsert({"phone": "+15550002", "email": None})
        outcome = book.upsert({"email": "c@x", "phone": "+15550002"})
        assert (outcome.result, outcome.also_matched) == ("created", ("2",))

    def test_contradicted_key_that_is_kept_may_be_in_use(self) -> None:
        match = first_match("email", "phone", guard="strict")
        book = make_book(table(match, on_key_in_use="withhold"), *TWO)
        outcome = book.upsert({"email": "c@x", "phone": "+15550002"})

        assert (outcome.result, outcome.also_matched) == ("created", ("2",))
        assert [item.field for item in outcome.withheld] == ["phone"]
        with pytest.raises(KeyInUse):
            make_book(table(match), *TWO).upsert({"email": "c@x", "phone": "+15550002"})

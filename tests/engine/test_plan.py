"""The decision: what a patch would do, why, and what must still hold."""

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
    AmbiguousMatch,
    CreateRefused,
    InvalidField,
    KeyInUse,
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


def book(policy: Policy, *patches: dict[str, Any]) -> ContactBook:
    """Make a book that has taken these patches, its contacts called 1, 2, ..."""
    ids = iter("123456789")
    made = ContactBook(policy, ids=ids.__next__, clock=lambda: NOW)
    for patch in patches:
        made.create(patch)
    return made


def minus(value: str) -> str:
    """Clean text of its hyphens."""
    return value.strip("-")


def table(match: Strategy | None = None, **lines: Any) -> Policy:
    """Make a policy of two unique keys, further lines and options."""
    names = {*inspect.signature(Policy).parameters}
    options = {name: lines.pop(name) for name in names if name in lines}
    match = match or first_match("email", "phone")
    return Policy(match, {**KEYS, **lines}, **options)


TWO = ({"email": "a@x", "phone": "+15550001"}, {"email": "b@x", "phone": "+15550002"})


class TestNullAndBlank:
    """What null and blank do, field by field."""

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
            (field(blank="ignore", clean=minus), "--", "old", {"f": "blank"}),
            (field(blank="clear", clean=minus), "--", None, {}),
            (field(rule=keep), "new", "old", {"f": "keep"}),
            (field(rule=keep), "old", "old", {}),
            (field(rule=on_create), "new", "old", {"f": "on_create"}),
            (field(rule=custom(max)), "a", "old", {"f": "custom"}),
            (field(rule=custom(max)), "z", "z", {}),
        ],
        ids=map(str, range(18)),
    )
    def test_on_update(
        self, line: Any, sent: Any, stored: Any, ignored: dict[str, str]
    ) -> None:
        """What is left out is named, with the reason."""
        made = book(table(f=line))
        made._index.put(
            Contact("1", "", {"email": "a@x", "f": "old"}, 1, NOW, NOW),
            [["a@x"], []],
        )
        outcome = made.upsert({"email": "a@x", "f": sent})

        assert stored == outcome.contact.get("f")
        assert ignored == outcome.ignored
        assert made.upsert({"email": "a@x", "f": sent}).unchanged

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
            (field(blank="reject", clean=minus), "-", "f: must not be blank"),
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
    def test_refused(self, line: Any, sent: Any, words: str) -> None:
        """The field is named, and nobody is created."""
        made = book(table(f=line))
        with pytest.raises(InvalidField, match=words):
            made.upsert({"email": "a@x", "f": sent})

        assert len(made) == 0


class TestCreating:
    """Defaults, and what is needed."""

    @pytest.mark.parametrize(
        ("sent", "stored"),
        [({}, "new"), ({"s": "x"}, "x"), ({"s": None}, None), ({"s": ""}, "")],
        ids=map(str, range(4)),
    )
    def test_a_default_is_for_what_is_omitted(self, sent: Any, stored: Any) -> None:
        """Null and blank were said, and stand; and the second call is unchanged."""
        made = book(table(s=field(default="new")))

        assert stored == made.upsert({"email": "a@x", **sent}).contact.get("s")
        assert made.upsert({"email": "a@x", **sent}).unchanged

    @pytest.mark.parametrize(
        ("line", "sent"),
        [
            (field(default="new", null="ignore"), None),
            (field(default="new", blank="ignore"), ""),
        ],
        ids=["null", "blank"],
    )
    def test_what_counts_as_omitted_has_the_default(self, line: Any, sent: Any) -> None:
        """And it is told that it was left out."""
        outcome = book(table(s=line)).upsert({"email": "a@x", "s": sent})

        assert outcome.contact["s"] == "new"
        assert "s" in outcome.ignored

    @pytest.mark.parametrize(
        "sent", [{}, {"n": None}, {"n": ""}, {"n": " \n"}, {"n": []}], ids="abcde"
    )
    def test_what_is_needed(self, sent: Any) -> None:
        """Omitted, null or blank: missing; and needed to create alone."""
        made = book(table(n=field(required=True)))
        with pytest.raises(MissingField, match="n: is required"):
            made.upsert({"email": "a@x", **sent})
        made.upsert({"email": "a@x", "n": "Ada"})

        assert made.upsert({"email": "a@x"}).unchanged

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
    def test_what_a_rule_leaves_blank_is_missing(self, rule: Any, sent: Any) -> None:
        """Whatever verb creates; nothing is stored."""
        lines: Any = {"t": field(rule=rule, required=True), "at": field()}
        made = book(table(**lines))
        patch = {"email": "a@x", "at": 1, "t": sent}
        calls: list[Any] = [made.upsert, made.plan, made.create]
        calls.append(lambda each: made.upsert_many([each]))
        calls.append(lambda each: made.upsert_many([each], atomic=True))
        for call in calls:
            with pytest.raises(MissingField, match="t: "):
                call(patch)

        assert len(made) == 0


class TestClash:
    """A unique key that another contact holds."""

    SENT: dict[str, Any] = {"email": "a@x", "phone": "+1 5550002", "city": "Oslo"}  # noqa: RUF012

    def test_refuse(self) -> None:
        """The holder is named, and nothing is stored."""
        made = book(table(city=field()), *TWO)
        with pytest.raises(KeyInUse) as caught:
            made.upsert(self.SENT)

        assert ("phone", "+1 5550002", "2") == (
            caught.value.field,
            caught.value.value,
            caught.value.holder,
        )

    def test_withhold(self) -> None:
        """That field stays as it was, and the rest is stored."""
        made = book(table(city=field(), on_key_in_use="withhold"), *TWO)
        outcome = made.upsert(self.SENT)

        assert outcome.changes == (Change("city", None, "Oslo"),)
        assert outcome.withheld == (Withheld("phone", "+1 5550002", "2"),)
        assert outcome.also_matched == ("2",)
        assert outcome.contact["phone"] == "+15550001"
        assert made.upsert(self.SENT).unchanged

    def test_withhold_leaves_nothing(self) -> None:
        """Where all that would move is withheld, nothing moves."""
        made = book(table(on_key_in_use="withhold"), *TWO)
        before = made.get("1")
        outcome = made.upsert({"email": "a@x", "phone": "+15550002"})

        assert outcome.unchanged
        assert outcome.contact is before

    def test_withhold_at_creation(self) -> None:
        """A contact is created without the field; a needed one refuses."""
        match = first_present("id")
        id = field(key=normalize.exact, unique=True)
        made = book(table(match, id=id, on_key_in_use="withhold"), *TWO)
        outcome = made.upsert({"id": "7", "email": "A@x"})
        assert outcome.withheld == (Withheld("email", "A@x", "1"),)
        assert "email" not in outcome.contact

        needed = field(key=normalize.email, unique=True, required=True)
        made = book(table(match, id=id, email=needed, on_key_in_use="withhold"), *TWO)
        with pytest.raises(KeyInUse):
            made.upsert({"id": "7", "email": "A@x"})

    def test_allow(self) -> None:
        """The value is stored, and the holder is told of."""
        made = book(table(on_key_in_use="allow"), *TWO)
        outcome = made.upsert({"email": "a@x", "phone": "+15550002"})

        assert outcome.contact["phone"] == "+15550002"
        assert outcome.also_matched == ("2",)
        assert made.upsert({"email": "a@x", "phone": "+15550002"}).unchanged

    def test_only_what_is_new_can_clash(self) -> None:
        """An item of a list that the contact holds already is its own."""
        line = field(key=normalize.email, unique=True, rule=union)
        made = book(
            Policy(first_match("m"), {"m": line}), {"m": ["a@x"]}, {"m": ["b@x"]}
        )
        outcome = made.upsert({"m": ["A@x", "c@x"]})
        assert outcome.contact["m"] == ("a@x", "A@x", "c@x")

        with pytest.raises(KeyInUse, match="held by contact 2"):
            made.upsert({"m": ["c@x", "b@x"]})
        made._index.check()


class TestHardCases:
    """What a policy says of them."""

    def test_no_key(self) -> None:
        """Refused; or created, if the policy says so, and twice by two calls."""
        with pytest.raises(NoMatchKey):
            book(table(city=field())).upsert(
                {"city": "Oslo", "email": None, "phone": ""}
            )
        made = book(table(city=field(), on_no_key="create"))

        assert made.upsert({"city": "Oslo"}).created
        assert made.upsert({"city": "Oslo"}).created

    def test_two_contacts(self) -> None:
        """Keys that find two contacts are refused where all must agree."""
        made = book(table(all_agree("email", "phone")), *TWO)
        with pytest.raises(AmbiguousMatch):
            made.upsert({"email": "a@x", "phone": "+15550002"})

    def test_create_only_and_update_only(self) -> None:
        """A patch that would do what the policy does not do is refused."""
        with pytest.raises(CreateRefused):
            book(table(on_not_found="refuse")).upsert({"email": "a@x"})
        made = book(table(on_found="refuse", city=field()), TWO[0])
        with pytest.raises(UpdateRefused):
            made.upsert({"email": "a@x", "city": "Oslo"})

        assert made.upsert({"email": "a@x"}).unchanged

    def test_undeclared_fields(self) -> None:
        """Refused by name, or merged by the rule for others."""
        with pytest.raises(UnknownField, match="city: unknown"):
            book(table()).upsert({"email": "a@x", "city": "Oslo"})
        made = book(table(extra_fields=field(rule=replace)))
        wrong: Any = {"email": "a@x", 7: "Oslo"}
        with pytest.raises(UnknownField, match="7"):
            made.upsert(wrong)
        with pytest.raises(InvalidField, match="lone surrogates"):
            made.upsert({"email": "a@x", "\ud800": "Oslo"})

        assert made.upsert({"email": "a@x", "city": "Oslo"}).contact["city"] == "Oslo"

    @pytest.mark.parametrize("patch", [None, [], "email", 7], ids="abcd")
    def test_a_patch_is_a_mapping(self, patch: Any) -> None:
        """Anything else is refused."""
        with pytest.raises(InvalidField, match="patch: must be a mapping"):
            book(table()).upsert(patch)

    def test_a_scope_is_text(self) -> None:
        """Anything else is refused."""
        wrong: Any = None
        with pytest.raises(InvalidField, match="scope: must be text"):
            book(table()).upsert({"email": "a@x"}, scope=wrong)

    def test_a_set_value_stays(self) -> None:
        """An immutable field takes the same value and refuses another."""
        made = book(table(ref=field(rule=immutable)), {"email": "a@x", "ref": "r"})
        assert made.upsert({"email": "a@x", "ref": "r"}).unchanged

        with pytest.raises(InvalidField, match="ref: must not change once"):
            made.upsert({"email": "a@x", "ref": "s"})


class TestFoundAgain:
    """A merge after which the patch would find nobody would create twice."""

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
    def test_it_is_refused(self, line: Any, sent: Any) -> None:
        """The field and the rule are named, and nobody is created."""
        made = book(Policy(first_match("k"), {"k": line}))
        with pytest.raises(InvalidField, match="is a key that its rule"):
            made.upsert({"k": sent})

        assert len(made) == 0

    def test_one_key_is_enough(self) -> None:
        """A key that is kept as it was does no harm where another one is held."""
        line = field(key=normalize.email, rule=keep)
        made = book(table(email=line), TWO[0])
        patch = {"email": "new@x", "phone": "+15550001"}

        assert made.upsert({**patch, "phone": "+1 5550001"}).updated
        assert made.upsert({**patch, "phone": "+1 5550001"}).unchanged

    def test_a_rule_may_forbid_what_a_default_gives(self) -> None:
        """A field that no patch sets has its default, whether or not it is sent."""
        made = book(table(s=field(rule=ignore, default="new")))

        assert made.upsert({"email": "a@x", "s": "old"}).contact["s"] == "new"

    def test_a_withheld_field_is_needed_to_create_alone(self) -> None:
        """A known contact that lacks it can be updated all the same."""
        line = field(key=normalize.email, unique=True, required=True)
        policy = table(
            first_match("phone"), email=line, city=field(), on_key_in_use="withhold"
        )
        made = book(policy, TWO[0])
        made._index.put(
            Contact("2", "", {"phone": "+15550002"}, 1, NOW, NOW), [[], ["+15550002"]]
        )
        outcome = made.upsert({"phone": "+15550002", "email": "a@x", "city": "Oslo"})

        assert outcome.updated
        assert [each.field for each in outcome.withheld] == ["email"]


class Name(StrEnum):
    """Names of fields."""

    EMAIL = "email"


class Twice(Mapping[str, Any]):
    """A mapping that gives a name twice, as a multi-dict does."""

    def __getitem__(self, name: str) -> Any:
        return name

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[str]:
        return iter(("email", "email"))


class TestNames:
    """The names of a patch are text, each once."""

    def test_a_name_is_plain_text(self) -> None:
        """A name of a class of its own is stored as text."""
        outcome = book(table()).upsert({Name.EMAIL: "a@x"})

        assert [type(name) for name in outcome.contact] == [str]

    def test_a_name_stands_there_once(self) -> None:
        """What a multi-dict would lose is refused."""
        with pytest.raises(InvalidField, match="email: must not be sent twice"):
            book(table()).upsert(Twice())


class TestPlan:
    """The decision as a value."""

    def test_it_is_pure(self) -> None:
        """It tells what would move and moves nothing."""
        made = book(table(tags=field(rule=union), meta=field(rule=deep)), *TWO)
        found = made.plan({"email": "A@x", "tags": ["t"], "meta": {"a": 1}})

        assert found.updated
        assert not found.created
        assert [each.field for each in found.changes] == ["email", "tags", "meta"]
        assert found.forms == (("a@x",), ("+15550001",))
        assert found.expects.versions == {"1": 1}
        assert made.get("1").version == 1

    def test_an_unchanged_plan_hands_the_stored_fields_back(self) -> None:
        """Nothing is copied where nothing moves."""
        made = book(table(), *TWO)

        assert made.plan({"email": "a@x"}).after is made.get("1").fields

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
    def test_its_trace(self, match: Strategy, patch: Any, notes: list[str]) -> None:
        """One step per key of the strategy, with the reason in words."""
        made = book(table(match, on_key_in_use="allow"), *TWO)

        assert notes == [step.note for step in made.plan(patch).trace]

    def test_what_it_expects(self) -> None:
        """Every look-up that it rests on, those of the claim among them."""
        made = book(table(first_present("email", "phone")), *TWO)
        found = made.plan({"email": "a@x", "phone": "+1 5550003"})

        assert found.expects.keys == (
            ("email", "a@x", ("1",)),
            ("phone", "+15550003", ()),
        )

    def test_it_needs_no_book(self) -> None:
        """A policy, a patch and an index are enough."""
        index = ContactIndex(["email", "phone"])
        found = decide(table(), {"email": "a@x"}, index, scope="s")

        assert (found.result, found.scope, found.before) == ("created", "s", None)
        assert decide(table(), {"email": "a@x"}, index).scope == ""
        assert len(index) == 0

    def test_another_strategy(self) -> None:
        """One that is given stands in for the policy's."""
        made = book(table(on_key_in_use="allow"), *TWO)
        policy, index = made.policy, made._index

        assert decide(policy, TWO[0], index).unchanged
        assert decide(policy, TWO[0], index, match=never()).created

    def test_what_it_expects_of_whom_it_has_read(self) -> None:
        """A guard reads the holders of lower keys, a merge all that it merges."""
        match = first_match("email", "phone", guard="if_set")
        made = book(table(match, on_key_in_use="allow"), *TWO)
        found = made.plan({"email": "c@x", "phone": "+15550002"})
        assert (found.result, found.also_matched) == ("created", ("2",))
        assert found.expects.versions == {"2": 1}

        made = book(table(merge_all("email", "phone")), *TWO)
        found = made.plan({"email": "a@x", "phone": "+15550002"})
        assert found.expects.versions == {"1": 1, "2": 1}
        assert found.expects.keys == (
            ("email", "a@x", ("1",)),
            ("phone", "+15550002", ("2",)),
        )

    def test_what_it_expects_after_a_key_was_left_out(self) -> None:
        """What was asked for that key is still what the decision rests on."""
        match = first_match("email", "phone", guard="strict", on_contradiction="drop")
        found = book(table(match), *TWO).plan({"email": "c@x", "phone": "+15550002"})

        assert found.ignored == {"phone": "guard"}
        assert found.after == {"email": "c@x"}
        assert ("phone", "+15550002", ("2",)) in found.expects.keys


class TestLeftAlone:
    """A policy that creates, and leaves a known contact as it is."""

    def test_what_differs_is_named(self) -> None:
        """No rule runs, so none refuses; and what is the same is not named."""
        lines: Any = {"ref": field(rule=immutable), "city": field(), "tags": field()}
        made = book(
            table(on_found="ignore", **lines),
            {"email": "a@x", "ref": "r", "tags": ["t"]},
        )
        sent = {"email": "A@x", "ref": "s", "city": None, "tags": ["t"], "phone": ""}
        outcome = made.upsert(sent)

        assert outcome.unchanged
        assert outcome.contact is made.get("1")
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
    def test_what_its_rule_would_do_is_named(
        self, rule: Any, stored: Any, sent: Any, *, named: bool
    ) -> None:
        """Moved, left out or refused: named; by upsert and by plan alike."""
        lines: Any = {"f": field(rule=rule), "at": field(), "when": field()}
        made = book(table(on_found="ignore", **lines), {"email": "a@x", "at": 2})
        row = made.dump()[0]
        row["fields"] |= {} if stored is None else {"f": stored}
        made = ContactBook.load(made.policy, [row])
        patch = {"email": "a@x", "at": 2, "f": sent}
        ignored = {"f": "on_found"} if named else {}

        assert made.plan(patch).ignored == ignored
        assert made.upsert(patch).ignored == ignored
        assert made.upsert_many([patch])[0].ignored == ignored

    def test_a_primary_that_would_join_others_is_named(self) -> None:
        """It is left to the additional fields, and they are not written."""
        mail = key("m", "more", normalize=normalize.email, any_of=True, append_new=True)
        lines = {"id": field(key=normalize.exact), "m": field(), "more": field()}
        policy = Policy(
            first_match("id"), lines, keys={"mail": mail}, on_found="ignore"
        )
        made = book(policy, {"id": 1, "m": "a@x", "more": ["b@x"]})

        for sent, named in (("c@x", True), ("b@x", True), ("a@x", False)):
            outcome = made.upsert({"id": 1, "m": sent})
            assert outcome.ignored == ({"m": "on_found"} if named else {})
            assert outcome.contact["more"] == ("b@x",)

    def test_its_plan_is_that_of_what_stays(self) -> None:
        """All that the contact is, in its scope, and what the decision rests on."""
        lines: Any = {"name": field(rule=latest(by="at")), "at": field()}
        lines["phone"] = field(key=normalize.phone, keep_aliases=True)
        made = book(table(**lines))
        made.upsert({**TWO[0], "name": "A", "at": 1}, scope="s")
        made.upsert({"email": "a@x", "phone": None}, scope="s")
        policy = attrs.evolve(made.policy, on_found="ignore")
        found = decide(policy, {"email": "A@x", "at": 2}, made._index, scope="s")

        assert (found.result, found.scope) == ("unchanged", "s")
        assert found.before is made.get("1", scope="s")
        assert found.after is made.get("1", scope="s").fields
        assert found.forms == (("a@x",), ("+15550001",))
        assert found.aliases == {"phone": ("+15550001",)}
        assert found.clocks == {"name": 1}
        assert found.policy is policy
        assert found.expects.keys == (("email", "a@x", ("1",)),)

    def test_a_reason_that_is_there_stays(self) -> None:
        """What counted as omitted was left out before."""
        line = field(null="ignore", blank="ignore")
        made = book(table(on_found="ignore", city=line, name=line), TWO[0])
        outcome = made.upsert({"email": "a@x", "city": None, "name": ""})

        assert outcome.ignored == {"city": "null", "name": "blank"}

    def test_it_creates(self) -> None:
        """Whom it does not know, as any policy does."""
        made = book(table(on_found="ignore"), TWO[0])

        assert made.upsert({"email": "n@x"}).created
        assert made.create({"phone": "+15550009"}).created
        with pytest.raises(KeyInUse):
            made.create({"email": "A@x"})

    def test_what_clashes_does_not_matter(self) -> None:
        """Nothing is claimed, so nobody is asked."""
        made = book(table(on_found="ignore"), *TWO)
        outcome = made.upsert({"email": "a@x", "phone": "+15550002"})

        assert (outcome.result, outcome.also_matched) == ("unchanged", ("2",))
        assert outcome.ignored == {"phone": "on_found"}

    def test_nothing_is_absorbed(self) -> None:
        """Whoever would have been stands among the others."""
        made = book(table(merge_all("email", "phone"), on_found="ignore"), *TWO)
        outcome = made.upsert({"email": "a@x", "phone": "+15550002"})

        assert (outcome.result, outcome.merged) == ("unchanged", ())
        assert outcome.also_matched == ("2",)
        assert len(made) == 2

    def test_a_version_is_looked_at(self) -> None:
        """Before the contact is left alone."""
        made = book(table(on_found="ignore"), TWO[0])
        assert made.upsert({"email": "a@x"}, if_version=1).unchanged
        with pytest.raises(StaleVersion):
            made.upsert({"email": "a@x"}, if_version=2)

    def test_a_clock_stays(self) -> None:
        """No clock runs where no rule does."""
        lines: Any = {"name": field(rule=latest(by="at")), "at": field()}
        made = book(
            table(on_found="ignore", **lines), {"email": "a@x", "name": "A", "at": 1}
        )
        outcome = made.upsert({"email": "a@x", "name": "B", "at": 2})

        assert outcome.contact.clocks == {"name": 1}
        assert made.upsert({"email": "a@x", "name": "B"}).ignored == {
            "name": "on_found"
        }


def merges(**lines: Any) -> Policy:
    """Make a policy that merges by two unique keys."""
    return table(merge_all("email", "phone"), **lines)


BOTH = {"email": "a@x", "phone": "+15550002"}


class TestMerged:
    """Contacts that become one."""

    def test_what_is_told(self) -> None:
        """The survivor afterwards and before, whom it absorbed, and what moved."""
        made = book(merges(city=field()), {"email": "a@x"}, {**TWO[1], "city": "Oslo"})
        one, two = made
        found = made.plan(BOTH)
        assert (found.result, found.updated) == ("merged", False)
        assert (found.before, found.merged, found.matched_by) == (
            one,
            (two,),
            "email",
        )
        assert found.after == {**BOTH, "city": "Oslo"}
        assert len(made) == 2

        outcome = made.apply(found)
        assert (outcome.result, outcome.created, outcome.unchanged) == (
            *("merged", False),
            False,
        )
        assert (outcome.before, outcome.merged, outcome.also_matched) == (
            one,
            (two,),
            (),
        )
        assert [each.field for each in outcome.changes] == ["phone", "city"]
        assert (outcome.contact.id, outcome.contact.version) == ("1", 2)
        assert outcome.contact.merged_ids == ("2",)
        assert made.upsert(BOTH).unchanged

    def test_it_is_one_even_if_no_field_moves(self) -> None:
        """The contact has a new version, for it has absorbed another."""
        made = book(merges(), *TWO)
        outcome = made.upsert({**BOTH, "phone": "+15550001", "email": "a@x"})
        assert outcome.unchanged

        made = book(table(merge_all("email", "phone"), phone=field(key=str)), *TWO)
        made._index.put(made.get("2"), [["b@x"], ["+15550001"]])
        outcome = made.upsert(TWO[0])
        assert (outcome.result, outcome.changes) == ("merged", ())
        assert outcome.contact.version == 2

    def test_the_order_of_survivors(self) -> None:
        """The first holder of the first form of the first key that finds one."""
        phone = field(key=normalize.phone)
        made = book(
            merges(phone=phone),
            {"phone": "+15550001"},
            {"phone": "+15550001"},
            {"email": "a@x"},
        )
        outcome = made.upsert({"phone": "+15550001", "email": "a@x"})

        assert outcome.contact.id == "3"
        assert [each.id for each in outcome.merged] == ["1", "2"]
        assert outcome.contact.merged_ids == ("1", "2")
        assert outcome.contact.created_at == NOW

    def test_who_was_absorbed_brings_along_whom_it_had(self) -> None:
        """Each id once: its own, then those that led to it."""
        lines = {"id": field(key=normalize.exact)}
        match = merge_all("id", "email", "phone")
        made = book(table(match, **lines), *TWO, {"id": 7})
        made.upsert({"email": "b@x", "phone": "+15550001"})
        outcome = made.upsert({"id": 7, "email": "b@x"})

        assert outcome.contact.merged_ids == ("2", "1")
        assert {"3"} == {made.get(id).id for id in "123"}
        made._index.check()

    def test_update_only_and_create_only(self) -> None:
        """A merge is an update: refused where there is none."""
        made = book(table(merge_all("email", "phone"), on_found="refuse"), *TWO)
        with pytest.raises(UpdateRefused) as caught:
            made.upsert(BOTH)
        assert (caught.value.id, len(made)) == ("1", 2)

        policy = table(merge_all("email", "phone"), on_not_found="refuse")
        made = ContactBook.load(policy, made.dump())
        with pytest.raises(CreateRefused):
            made.upsert({"email": "n@x"})
        assert made.upsert(BOTH).merged

    def test_the_version_is_the_survivors(self) -> None:
        """That of whom it absorbs does not matter."""
        made = book(merges(city=field()), *TWO)
        made.upsert({"phone": "+15550002", "city": "Oslo"})
        with pytest.raises(StaleVersion) as caught:
            made.upsert(BOTH, if_version=2)
        told = (caught.value.id, caught.value.expected, caught.value.actual)
        assert told == ("1", 2, 1)

        assert made.upsert(BOTH, if_version=1).merged

    def test_a_version_is_a_number(self) -> None:
        """However large, and wherever it comes from."""
        made = book(merges(), TWO[0])
        made._index.put(attrs.evolve(made.get("1"), version=1000), [["a@x"], []])

        assert made.upsert({"email": "a@x"}, if_version=int("1000")).unchanged

    @pytest.mark.parametrize(("one", "other"), [("s-t", "s-u"), ("s-u", "s-t")])
    def test_scopes_stay_apart(self, one: str, other: str) -> None:
        """A contact of another scope is unknown, whichever is named first."""
        made = book(merges())
        for scope, row in zip((one, other), TWO, strict=True):
            made.create(row, scope=scope)
        with pytest.raises(UnknownContact) as caught:
            made.merge("1", "2", scope=one)

        assert caught.value.id == "2"

    def test_a_scope_is_what_it_says(self) -> None:
        """Contacts whose scope is the same text, made twice, may be merged."""
        made = book(merges())
        for row in TWO:
            made.create(row, scope="-".join("st"))

        assert made.merge("1", "2", scope="s-t").merged

    def test_nobody_has_a_version(self) -> None:
        """The version that was named is told, and that no contact answers."""
        with pytest.raises(StaleVersion) as caught:
            book(table()).upsert(BOTH, if_version=3)

        assert (caught.value.id, caught.value.expected) == (None, 3)
        assert caught.value.actual is None

    def test_the_lowest_key_is_left_out_first(self) -> None:
        """And no other, where the rest is not too much."""
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
        made = book(policy, {"email": ["a@x"]}, {"email": ["b@x"], "id": 7})
        outcome = made.upsert({"email": ["a@x"], "phone": "+15550001", "id": 7})

        assert outcome.ignored == {"id": "limit"}
        assert outcome.contact["phone"] == "+15550001"

    def test_no_key_is_left_out_where_none_is_asked(self) -> None:
        """Creating without matching refuses what is too much."""
        email = field(key=normalize.email, max_forms=1, keep_aliases=True)
        policy = table(merge_all("email", "phone"), email=email)
        made = book(attrs.evolve(policy, on_limit="drop"))
        with pytest.raises(InvalidField, match="email: must have one key"):
            made.create({"email": ["a@x", "b@x"]})

    def test_what_is_too_much_already_may_stay(self) -> None:
        """A key is left out for what would be new alone."""
        email = field(key=normalize.email, rule=union, max_forms=2, keep_aliases=True)
        match = merge_all("email", "phone")
        sent = {"email": ["a@x", "b@x"], "phone": "+15550001"}
        made = book(table(match, email=email, on_key_in_use="allow"), sent)
        lines = {**made.policy.fields, "email": attrs.evolve(email, max_forms=1)}
        policy = attrs.evolve(made.policy, fields=lines, on_limit="drop")
        outcome = ContactBook.load(policy, made.dump()).upsert(sent)

        assert outcome.unchanged
        assert outcome.ignored == {}


@pytest.mark.parametrize("on_deleted", ["forget", "restore"])
def test_a_deleted_contact_is_refused_by_one_policy_alone(on_deleted: Any) -> None:
    """Under the others the patch that finds it brings it back."""
    made = book(attrs.evolve(table(), on_deleted="restore"), TWO[0])
    made.delete("1")
    policy = attrs.evolve(table(), on_deleted=on_deleted)
    outcome = ContactBook.load(policy, made.dump()).upsert(TWO[0])

    assert outcome.updated
    assert outcome.contact.deleted_at is None


class TestOrderOfRefusals:
    """Where a patch is wrong in two ways, the first way is told."""

    POLICY = table(
        first_match("id"),
        id=field(key=normalize.exact, unique=True, max_forms=1),
        ref=field(rule=immutable),
        need=field(required=True),
        on_ambiguous="refuse",
    )

    @pytest.mark.parametrize(
        ("policy", "patch", "how", "error"),
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
    def test_it_is_told(
        self, policy: Any, patch: Any, how: Any, error: type[Exception]
    ) -> None:
        """Reading, match, version, creation, merge, claim, limit, update."""
        stored = [
            {"id": 1, "need": 1, "ref": "r", **TWO[0]},
            {"id": 2, "need": 1, **TWO[1]},
        ]
        rows = book(self.POLICY, *stored).dump()
        changed = attrs.evolve(self.POLICY, **policy)
        made = ContactBook.load(changed, rows)
        with pytest.raises(error) as caught:
            made.upsert(patch, **how)

        assert error is type(caught.value)
        assert made.dump() == rows

    def test_primaries_come_last(self) -> None:
        """Where two fields are refused, the additional one is told."""
        lines = {"main": field(rule=immutable), "more": field(rule=union)}
        keys = {"m": key("main", "more", normalize=normalize.email, any_of=True)}
        policy = Policy(first_match("email"), {**KEYS, **lines}, keys=keys)
        made = book(policy, {"email": "a@x", "main": "m@x"})
        with pytest.raises(InvalidField, match="more: must be a list"):
            made.upsert({"email": "a@x", "main": "n@x", "more": "x"})

    def test_what_is_absorbed_comes_before_the_patch(self) -> None:
        """And a refusal names the contact that was to be absorbed."""
        lines = {"ref": field(), "n": field(rule=immutable)}
        policy = attrs.evolve(
            merges(**lines),
            fields=merging(merges(**lines).fields, {"ref": immutable}),
        )
        made = book(
            policy, {**TWO[0], "n": 1, "ref": "r"}, {**TWO[1], "n": 2, "ref": "s"}
        )
        with pytest.raises(InvalidField) as caught:
            made.upsert({**BOTH, "n": 3})

        assert (caught.value.field, caught.value.holder) == ("ref", "2")


class TestNoMatchKey:
    """A patch without a key is told why each key of the strategy is none."""

    def refused(
        self, patch: dict[str, Any], blocked: tuple[str, ...] = (), **options: Any
    ) -> NoMatchKey:
        """Give the refusal of a patch."""
        lines = {
            "email": field(key=normalize.email),
            "phone": field(key=normalize.phone),
            **{name: field() for name in ("first", "last")},
        }
        keys = {"who": key("first", "last", normalize=normalize.text, blocked=blocked)}
        match = first_match("email", "phone", "who")
        made = ContactBook(Policy(match, lines, keys=keys, **options))
        with pytest.raises(NoMatchKey) as caught:
            made.upsert(patch)
        assert caught.value.tried == ("email", "phone", "who")
        return caught.value

    def test_each_reason_is_told_with_the_sent_value(self) -> None:
        """What to do comes last, for a national number too."""
        refusal = self.refused({"email": "nope", "phone": "555-0105", "first": "Ada"})

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
        copied = pickle.loads(pickle.dumps(refusal))  # noqa: S301 - made here
        assert str(copied) == str(refusal)

    def test_null_blank_and_blocked_are_told_as_such(self) -> None:
        """Whether the policy takes them or not."""
        patch = {"email": None, "phone": "", "first": "Test", "last": "Test"}
        refusal = self.refused(patch, blocked=("test|test",))
        assert [reason for _, reason, _ in refusal.reasons] == [
            *("null", "blank", "blocked"),
        ]
        told = "who {'first': 'Test', 'last': 'Test'} is blocked"
        assert told in str(refusal)
        assert "phone_in" not in str(refusal)

        line = field(key=normalize.email, blocked=("noreply@*",))
        made = ContactBook(Policy(first_match("email"), {"email": line}))
        with pytest.raises(NoMatchKey) as caught:
            made.upsert({"email": "noreply@x"})
        assert caught.value.reasons[0] == ("email", "blocked", "noreply@x")
        made = ContactBook(attrs.evolve(made.policy, on_blocked="ignore"))
        with pytest.raises(NoMatchKey, match="email is blocked") as caught:
            made.upsert({"email": "noreply@x"})
        assert caught.value.reasons[0] == ("email", "blocked", None)

    def test_a_strategy_of_the_application_may_name_other_keys(self) -> None:
        """Of what is no key of the policy there is nothing to tell."""

        def none(_keys: Any, _probe: Any, _pick: Any) -> NoReturn:
            raise NoMatchKey(("email", "badge"))

        lines = {"email": field(key=normalize.email)}
        policy = Policy(Strategy("mine", ("email",), none), lines)
        with pytest.raises(NoMatchKey) as caught:
            ContactBook(policy).upsert({})
        assert caught.value.reasons == (("email", "omitted", None),)


class TestAbsentKeys:
    """A patch that carries a key in part carries none."""

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
    def test_in_part(self, patch: Any) -> None:
        """Refused, with the names of the keys; or created, each time anew."""
        policy = Policy(first_match("pair"), self.PARTS, keys=self.PAIR)
        with pytest.raises(NoMatchKey) as caught:
            book(policy, {"first": "Ada", "last": "King"}).upsert(patch)
        assert caught.value.tried == ("pair",)

        made = book(attrs.evolve(policy, on_no_key="create"))
        assert [made.upsert(patch).created for _ in range(2)] == [True, True]

    def test_what_is_needed_of_a_key(self) -> None:
        """A part may be needed to create, and not to be found."""
        lines = {**self.PARTS, "city": field(required=True)}
        made = book(Policy(first_match("pair"), lines, keys=self.PAIR))
        patch = {"first": "Ada", "last": "King"}
        with pytest.raises(MissingField, match="city"):
            made.upsert(patch)
        made.upsert({**patch, "city": "Oslo"})

        assert made.upsert(patch).unchanged


class TestFoundAgainByMore:
    """Keys of several fields must be found again too."""

    def test_a_composite(self) -> None:
        """The key is named with what was sent, and the rules of its fields."""
        lines = {"first": field(rule=custom(lambda _a, b: b[::-1])), "last": field()}
        keys = {"p": key("first", "last", normalize=normalize.text)}
        made = book(Policy(first_match("p"), lines, keys=keys))
        with pytest.raises(
            InvalidField, match="its rule custom, replace would drop"
        ) as caught:
            made.upsert({"first": "Grace", "last": "Hopper"})

        assert caught.value.field == "p"
        assert caught.value.value == {"first": "Grace", "last": "Hopper"}
        assert len(made) == 0

    def test_each_of_several_fields(self) -> None:
        """The field that carries a form is named."""
        lines = {"main": field(), "more": field(rule=custom(lambda _a, _b: None))}
        keys = {"m": key("main", "more", normalize=normalize.email, any_of=True)}
        made = book(Policy(first_match("m"), lines, keys=keys))
        with pytest.raises(InvalidField) as caught:
            made.upsert({"main": "none", "more": "a@x"})

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
        ids=["on_contradiction", "another first", "nobody is left"],
    )
    def test_somebody_else_would_be_found(self, match: Strategy, patch: Any) -> None:
        """One key that is still held is not enough, where the strategy would differ."""
        lines = {"main": field(rule=on_create), "more": field(), "city": field()}
        policy = Policy(
            match, {**KEYS, **lines}, keys={"m": self.MAILS}, on_ambiguous="oldest"
        )
        made = book(
            policy,
            {"main": "z@x", "more": ["b@x"], "phone": "+15550001"},
            {"more": ["c@x"], "phone": "+15550002"},
        )
        before = made.dump()
        try:
            made.upsert(patch)
        except InvalidField as refusal:
            assert "would drop" in refusal.reason  # noqa: PT017
            assert made.dump() == before
        else:
            assert made.upsert(patch).unchanged

    def test_a_rule_that_stores_another_form(self) -> None:
        """What it stores would contradict the key that found the contact."""
        rule = custom(lambda stored, _sent: stored or "other@x")
        email = field(key=normalize.email, rule=rule)
        match = first_match("email", "phone", guard="if_set")
        made = book(table(match, email=email), {"phone": "+15550001"})
        made._index.put(
            Contact("1", "", {"phone": "+15550001"}, 1, NOW, NOW), [[], ["+15550001"]]
        )
        with pytest.raises(InvalidField, match="is a key that its rule"):
            made.upsert({"email": "b@x", "phone": "+15550001"})
        with pytest.raises(InvalidField, match="is a key that its rule"):
            made.upsert({"email": "b@x", "phone": "+15550009"})
        assert len(made) == 1

    def test_a_composite_whose_part_is_withheld(self) -> None:
        """A guard would contradict for ever, and each call make one more contact."""
        lines = {"ref": field(key=normalize.exact)}
        keys = {"p": key("phone", "ref", normalize=normalize.text)}
        match = first_match("p", "ref", guard="strict")
        policy = Policy(match, {**KEYS, **lines}, keys=keys, on_key_in_use="withhold")
        made = book(policy, {"phone": "+15550001"})
        with pytest.raises(KeyInUse) as caught:
            made.upsert({"phone": "+15550001", "ref": "r"})

        told = caught.value
        assert (told.field, told.value, told.holder) == ("phone", "+15550001", "1")
        assert len(made) == 1

    def test_a_key_that_was_left_out_is_not_looked_for(self) -> None:
        """What the patch does not carry any more need not find the contact."""
        match = first_match("email", "phone", guard="strict", on_contradiction="drop")
        made = book(table(match, on_key_in_use="withhold"), *TWO)
        sent = {"email": "a@x", "phone": "+15550002"}
        outcome = made.upsert(sent)

        assert (outcome.result, outcome.also_matched) == ("unchanged", ("2",))
        assert outcome.ignored == {"phone": "guard"}
        assert outcome.withheld == ()
        assert made.upsert(sent).unchanged

    def test_a_key_that_was_left_out_counts_as_omitted(self) -> None:
        """A new contact has the default of it, or lacks what it needs."""
        match = first_match("email", "phone", guard="strict", on_contradiction="drop")
        sent = {"email": "c@x", "phone": "+15550002"}
        line = field(key=normalize.phone, default="+15550009")
        outcome = book(table(match, phone=line), *TWO).upsert(sent)
        assert outcome.contact.fields == {"email": "c@x", "phone": "+15550009"}
        assert outcome.ignored == {"phone": "guard"}

        line = field(key=normalize.phone, required=True)
        with pytest.raises(MissingField, match="phone"):
            book(table(match, phone=line), *TWO).upsert(sent)

    def test_an_alias_guards_as_a_value_does(self) -> None:
        """A contact whose email was cleared still has one that says otherwise."""
        email = field(key=normalize.email, keep_aliases=True)
        match = first_match("email", "phone", guard="if_set")
        made = book(table(match, email=email, on_key_in_use="allow"), *TWO)
        made.upsert({"phone": "+15550002", "email": None})
        assert made.get("2").aliases == {"email": ("b@x",)}

        assert made.upsert({"email": "B@x", "phone": "+15550002"}).contact.id == "2"
        made.upsert({"phone": "+15550002", "email": None})
        outcome = made.upsert({"email": "c@x", "phone": "+15550002"})
        assert (outcome.result, outcome.also_matched) == ("created", ("2",))

    def test_a_key_that_is_kept_may_clash(self) -> None:
        """Kept in the patch, a contradicted key is stored if nobody else holds it."""
        match = first_match("email", "phone", guard="strict")
        made = book(table(match, on_key_in_use="withhold"), *TWO)
        outcome = made.upsert({"email": "c@x", "phone": "+15550002"})

        assert (outcome.result, outcome.also_matched) == ("created", ("2",))
        assert [each.field for each in outcome.withheld] == ["phone"]
        with pytest.raises(KeyInUse):
            book(table(match), *TWO).upsert({"email": "c@x", "phone": "+15550002"})

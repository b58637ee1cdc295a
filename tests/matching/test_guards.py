"""Guards: matches of a lower key that a higher key contradicts."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from tests.matching.probes import BOTH, LATER, NO_HOLDERS, Held, Request, decide
from upsertcore import (
    ContactBook,
    Policy,
    field,
    first_match,
    first_present,
    merge_all,
    normalize,
)
from upsertcore.errors import AmbiguousMatch, InvalidPolicy, KeyInUse, NoMatchKey
from upsertcore.matching.ambiguity import PICKS
from upsertcore.matching.protocol import Match


class TestGuard:
    """A guard rejects the match of a key that a higher key contradicts."""

    OTHER: Held = {"id": {"9": ("c-2",)}}  # noqa: RUF012
    SENT: Held = {"id": {"1": ()}, "email": {"a@x": ("c-2",)}}  # noqa: RUF012

    @pytest.mark.parametrize(
        ("guard", "more", "expected"),
        [
            (None, OTHER, Match("c-2", "email")),
            ("if_set", OTHER, Match(None, None, ("c-2",))),
            ("strict", OTHER, Match(None, None, ("c-2",))),
            ("if_set", {}, Match("c-2", "email")),
            ("strict", {}, Match(None, None, ("c-2",))),
            ("if_set", {"id": {"1": ("c-2",)}}, Match("c-2", "email")),
        ],
        ids=map(str, range(6)),
    )
    def test_other_value_or_missing_value_contradicts(
        self, guard: Any, more: Held, expected: Match
    ) -> None:
        """A missing value under "strict" only; the holder is reported."""
        match = first_match("id", "email", guard=guard)

        assert expected == decide(match, self.SENT, more=more)

    @pytest.mark.parametrize("guard", ["if_set", "strict"])
    def test_one_common_form_satisfies_the_guard(self, guard: Any) -> None:
        sent: Held = {"id": {"1": (), "2": ("c-2",)}, "email": {"a@x": ("c-2",)}}
        match = first_match("id", "email", guard=guard)

        assert decide(match, sent, more=self.OTHER) == Match("c-2", "id")

    @pytest.mark.parametrize("guard", ["if_set", "strict"])
    def test_key_that_is_not_sent_contradicts_nothing(self, guard: Any) -> None:
        match = first_match("id", "email", guard=guard)
        sent: Held = {"email": {"a@x": ("c-2",)}}

        assert decide(match, sent, more=self.OTHER) == Match("c-2", "email")

    def test_contradicted_holders_are_not_ambiguous(self) -> None:
        """They are reported among the others."""
        sent: Held = {"id": {"1": ()}, "email": {"a@x": ("c-1", "c-2", "c-3")}}
        match = first_match("id", "email", guard="if_set")
        more: Held = {"id": {"8": ("c-1",), "9": ("c-3",)}}

        assert decide(match, sent, more=more) == Match("c-2", "email", ("c-1", "c-3"))
        with pytest.raises(AmbiguousMatch) as caught:
            decide(match, sent, more=self.OTHER)
        assert (caught.value.key, caught.value.ids) == ("email", ("c-1", "c-3"))

    def test_contact_matched_by_an_earlier_key_is_not_contradicted(self) -> None:
        drop = first_match("a", "b", "c", guard="strict", on_contradiction="drop")
        sent: Held = {"a": {"1": ("x",)}, "b": {"1": ()}, "c": {"1": ("x", "y")}}

        assert decide(drop, sent) == Match("x", "a", ("y",))

    def test_ids_of_guarded_keys_are_compared_by_value(self) -> None:
        """The same text made twice is one id."""
        drop = first_match("a", "b", "c", guard="strict", on_contradiction="drop")
        one, other = ("-".join("cd") for _ in range(2))
        sent: Held = {"a": {"1": (one,)}, "b": {"1": ()}, "c": {"1": (other,)}}

        assert decide(drop, sent) == Match("c-d", "a")

    def test_all_higher_keys_are_checked(self) -> None:
        match = first_match("a", "b", "c", guard="if_set")
        sent: Held = {"a": {"1": ()}, "b": {"1": ("x",)}, "c": {"1": ("x", "y")}}
        more: Held = {"a": {"2": ("x",)}, "b": {"2": ("z",)}}

        assert decide(match, sent, more=more) == Match("y", "c", ("x",))

    def test_strict_guard_matches_as_first_present(self) -> None:
        """It reports other holders, too."""
        match = first_match("email", "phone", guard="strict")
        phone: Held = {"phone": {"+1": ("c-2",)}}
        for sent in (BOTH, LATER, NO_HOLDERS, phone):
            strict = decide(match, sent)
            present = decide(first_present("email", "phone"), sent)
            assert (present.id, present.key) == (strict.id, strict.key)
        assert decide(match, LATER).also_matched == ("c-2",)

    def test_patch_without_key_is_refused(self) -> None:
        with pytest.raises(NoMatchKey) as caught:
            decide(first_match("email", "phone", guard="strict"), {"email": {}})
        assert caught.value.tried == ("email", "phone")


class TestDrop:
    """A key whose matches are all contradicted may be dropped."""

    @pytest.mark.parametrize(
        ("sent", "more", "expected"),
        [
            (
                {"a": {"1": ()}, "b": {"1": ("x",)}},
                {},
                Match(None, None, ("x",), dropped=("b",)),
            ),
            (
                {"a": {"1": ("y",)}, "b": {"1": ("x",)}},
                {},
                Match("y", "a", ("x",), dropped=("b",)),
            ),
            ({"a": {"1": ("x",)}, "b": {"1": ("x", "y")}}, {}, Match("x", "a", ("y",))),
            ({"a": {"1": ("y",)}, "b": {"1": ()}}, {}, Match("y", "a")),
            ({"b": {"1": ("x",)}}, {"a": {"1": ("x",)}}, Match("x", "b")),
            (
                {"a": {"1": ()}, "b": {"1": ("x",)}, "c": {"1": ("x",)}},
                {},
                Match(None, None, ("x",), dropped=("b", "c")),
            ),
        ],
        ids=["no match", "other match", "in part", "free", "alone", "two"],
    )
    def test_key_without_remaining_match_is_dropped(
        self, sent: Held, more: Held, expected: Match
    ) -> None:
        """Only if it had matches; these are reported."""
        match = first_match("a", "b", "c", guard="strict", on_contradiction="drop")

        assert expected == decide(match, sent, more=more)

    def test_dropped_key_contradicts_nothing(self) -> None:
        sent: Held = {"a": {"1": ()}, "b": {"1": ("x",)}, "c": {"1": ("y",)}}
        more: Held = {"a": {"2": ("x",)}, "b": {"2": ("y",)}}
        drop = first_match("a", "b", "c", guard="if_set", on_contradiction="drop")
        keep = first_match("a", "b", "c", guard="if_set")

        assert decide(drop, sent, more=more) == Match("y", "c", ("x",), (), ("b",))
        assert decide(keep, sent, more=more) == Match(None, None, ("x", "y"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"guard": "loose"}, "guard: must be 'if_set' or 'strict', not 'loose'"),
        ({"guard": True}, "guard: must be 'if_set' or 'strict', not True"),
        (
            {"guard": "strict", "on_contradiction": "refuse"},
            "on_contradiction: must be 'keep' or 'drop', not 'refuse'",
        ),
        (
            {"guard": "strict", "on_contradiction": None},
            "on_contradiction: must be 'keep' or 'drop', not None",
        ),
        ({"on_contradiction": "drop"}, "on_contradiction: needs a guard"),
    ],
    ids=map(str, range(5)),
)
def test_unknown_guard_option_is_refused(options: Any, words: str) -> None:
    with pytest.raises(InvalidPolicy) as caught:
        first_match("a", "b", **options)

    assert str(caught.value).startswith(words)


def test_guard_looks_up_each_holder_once() -> None:
    class CountingRequest(Request):
        """Counts the lookups of held forms."""

        count = 0

        def held_forms(self, id: str, name: str) -> tuple[str, ...]:
            self.count += 1
            return super().held_forms(id, name)

    ids = tuple(f"c-{number}" for number in range(20))
    forms = {f"+{number}": ids for number in range(10)}
    request = CountingRequest({"id": {"1": ()}, "phone": forms}, {"id": {"2": ids}})
    match = first_match("id", "phone", guard="if_set")
    match_found = match.resolve(match.keys, request, PICKS["refuse"])

    assert (match_found.id, match_found.also_matched, request.count) == (None, ids, 20)


class TestMergeAllGuard:
    """Under a guard ``merge_all`` merges what agrees, and reports the others."""

    KEYS = ("email", "phone", "device")

    @pytest.mark.parametrize(
        ("guard", "sent", "more", "expected"),
        [
            # The holder of the phone has no email.
            ("if_set", BOTH, {}, Match("c-1", "email", (), ("c-2",))),
            ("strict", BOTH, {}, Match("c-1", "email", ("c-2",))),
            # It has another email; or the survivor has another phone.
            (
                "if_set",
                BOTH,
                {"email": {"z@x": ("c-2",)}},
                Match("c-1", "email", ("c-2",)),
            ),
            (
                *("if_set", BOTH, {"phone": {"+9": ("c-1",)}}),
                Match("c-1", "email", ("c-2",), apart=("phone",)),
            ),
            # A contact that is merged by one key stays merged.
            (
                *("if_set", {**BOTH, "device": {"d": ("c-2", "c-3")}}, {}),
                Match("c-1", "email", (), ("c-2", "c-3")),
            ),
            # The oldest holder of the first form survives, whatever on_ambiguous is.
            (
                *("if_set", {"email": {"a@x": ("c-2", "c-3")}}, {}),
                Match("c-2", "email", (), ("c-3",)),
            ),
            ("if_set", {"email": {"a@x": ()}}, {}, Match()),
        ],
        ids=map(str, range(7)),
    )
    def test_contacts_that_agree_are_merged(
        self, guard: Any, sent: Held, more: Held, expected: Match
    ) -> None:
        match = merge_all(*self.KEYS, guard=guard)

        assert decide(match, sent, more=more) == expected

    @pytest.mark.parametrize(
        "more", [{"email": {"z@x": ("c-2",)}}, {"phone": {"+9": ("c-1",)}}]
    )
    def test_key_of_another_contact_is_dropped(self, more: Held) -> None:
        match = merge_all(*self.KEYS, guard="if_set", on_contradiction="drop")

        found = decide(match, BOTH, more=more)
        assert evolve(found, apart=()) == Match(
            "c-1", "email", ("c-2",), dropped=("phone",)
        )

    @pytest.mark.parametrize("on_key_in_use", ["refuse", "withhold"])
    def test_key_of_a_contact_that_stays_apart_is_in_use(
        self, on_key_in_use: Any
    ) -> None:
        """Unique or not: the match would agree with that contact the next time."""
        fields = {name: field(key=normalize.exact) for name in self.KEYS}
        match = merge_all(*self.KEYS, guard="if_set")
        policy = Policy(match, fields, on_key_in_use=on_key_in_use)
        book = ContactBook(policy, ids=iter(["c-1", "c-2"]).__next__)
        book.create({"email": "a@x", "phone": "1"})
        book.create({"phone": "2"})
        patch = {"email": "a@x", "phone": "2"}
        if on_key_in_use == "refuse":
            with pytest.raises(KeyInUse):
                book.upsert(patch)
            return
        for _ in range(2):
            outcome = book.upsert(patch)
            assert (outcome.result, outcome.also_matched) == ("unchanged", ("c-2",))
            assert [(one.field, one.holder) for one in outcome.withheld] == [
                ("phone", "c-2")
            ]

    def test_limit_that_drops_keys_is_refused(self) -> None:
        fields = {
            name: field(key=normalize.exact, keep_aliases=True, max_forms=2)
            for name in self.KEYS
        }
        match = merge_all(*self.KEYS, guard="if_set")
        with pytest.raises(InvalidPolicy, match="needs a strategy without a guard"):
            Policy(match, fields, on_limit="drop")

    def test_dropped_key_makes_no_conflict_of_the_merged_contact(self) -> None:
        """Whichever path the call takes."""
        fields = {name: field(key=normalize.exact) for name in self.KEYS}
        fields["phone"] = field(key=normalize.exact, unique=True)
        match = merge_all(*self.KEYS, guard="if_set", on_contradiction="drop")
        book = ContactBook(Policy(match, fields, on_no_key="create"))
        book.create({"email": "z@x", "phone": "1", "device": "d"})
        book.create({"device": "d"})
        book.create({"email": "a@x"})
        patch = {"email": "a@x", "device": "d", "phone": "1"}
        outcome = book.upsert(patch)

        assert outcome.result == "merged"
        assert outcome.ignored == {"phone": "guard"}
        assert book.upsert(patch).unchanged

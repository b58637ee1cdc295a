"""Guards: when a match by a lower key does not count."""

from __future__ import annotations

from typing import Any

import pytest

from tests.matching.probes import BOTH, LATER, NOBODY, Held, Request, decide
from upsertcore import first_match, first_present
from upsertcore.errors import AmbiguousMatch, InvalidPolicy, NoMatchKey
from upsertcore.matching.ambiguity import PICKS
from upsertcore.matching.protocol import Match


class TestGuard:
    """A hit by a lower key does not count where a higher key says otherwise."""

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
    def test_it_is_contradicted(self, guard: Any, more: Held, expected: Match) -> None:
        """By another value, or, where it is strict, by none; and the holder is told."""
        match = first_match("id", "email", guard=guard)

        assert expected == decide(match, self.SENT, more=more)

    @pytest.mark.parametrize("guard", ["if_set", "strict"])
    def test_one_common_form_is_enough(self, guard: Any) -> None:
        """Of a key with several forms, sent and held, one has to be the same."""
        sent: Held = {"id": {"1": (), "2": ("c-2",)}, "email": {"a@x": ("c-2",)}}
        match = first_match("id", "email", guard=guard)

        assert decide(match, sent, more=self.OTHER) == Match("c-2", "id")

    @pytest.mark.parametrize("guard", ["if_set", "strict"])
    def test_a_key_that_is_not_carried_guards_nothing(self, guard: Any) -> None:
        """Nothing was said of it, so nothing contradicts."""
        match = first_match("id", "email", guard=guard)
        sent: Held = {"email": {"a@x": ("c-2",)}}

        assert decide(match, sent, more=self.OTHER) == Match("c-2", "email")

    def test_on_ambiguous_chooses_among_those_that_count(self) -> None:
        """Holders that are contradicted are not guessed among, but told."""
        sent: Held = {"id": {"1": ()}, "email": {"a@x": ("c-1", "c-2", "c-3")}}
        match = first_match("id", "email", guard="if_set")
        more: Held = {"id": {"8": ("c-1",), "9": ("c-3",)}}

        assert decide(match, sent, more=more) == Match("c-2", "email", ("c-1", "c-3"))
        with pytest.raises(AmbiguousMatch) as caught:
            decide(match, sent, more=self.OTHER)
        assert (caught.value.key, caught.value.ids) == ("email", ("c-1", "c-3"))

    def test_whom_an_earlier_key_has_found_is_not_contradicted(self) -> None:
        """A hit on that very contact agrees, whatever else it holds."""
        drop = first_match("a", "b", "c", guard="strict", on_contradiction="drop")
        sent: Held = {"a": {"1": ("x",)}, "b": {"1": ()}, "c": {"1": ("x", "y")}}

        assert decide(drop, sent) == Match("x", "a", ("y",))

    def test_who_was_found_is_told_by_what_the_id_says(self) -> None:
        """The same text, made twice, is the contact that an earlier key has found."""
        drop = first_match("a", "b", "c", guard="strict", on_contradiction="drop")
        one, again = ("-".join("cd") for _ in range(2))
        sent: Held = {"a": {"1": (one,)}, "b": {"1": ()}, "c": {"1": (again,)}}

        assert decide(drop, sent) == Match("c-d", "a")

    def test_every_higher_key_guards(self) -> None:
        """A hit passes where none of them contradicts it."""
        match = first_match("a", "b", "c", guard="if_set")
        sent: Held = {"a": {"1": ()}, "b": {"1": ("x",)}, "c": {"1": ("x", "y")}}
        more: Held = {"a": {"2": ("x",)}, "b": {"2": ("z",)}}

        assert decide(match, sent, more=more) == Match("y", "c", ("x",))

    def test_strict_finds_whom_first_present_finds(self) -> None:
        """And reports the others, which the latter does not look for."""
        match = first_match("email", "phone", guard="strict")
        phone: Held = {"phone": {"+1": ("c-2",)}}
        for carried in (BOTH, LATER, NOBODY, phone):
            strict = decide(match, carried)
            present = decide(first_present("email", "phone"), carried)
            assert (present.id, present.key) == (strict.id, strict.key)
        assert decide(match, LATER).also_matched == ("c-2",)

    def test_no_key(self) -> None:
        """A patch without a key is refused, as without a guard."""
        with pytest.raises(NoMatchKey) as caught:
            decide(first_match("email", "phone", guard="strict"), {"email": {}})
        assert caught.value.tried == ("email", "phone")


class TestContradicted:
    """A key all of whose hits are contradicted may be left out of the patch."""

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
        ids=["nobody", "somebody", "in part", "free", "alone", "two"],
    )
    def test_it_is_dropped(self, sent: Held, more: Held, expected: Match) -> None:
        """Only where it has hits, and none of them counts; and they are told."""
        match = first_match("a", "b", "c", guard="strict", on_contradiction="drop")

        assert expected == decide(match, sent, more=more)

    def test_a_dropped_key_guards_nothing(self) -> None:
        """It counts as not carried for the keys below it."""
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
def test_a_guard_that_is_none(options: Any, words: str) -> None:
    """What is no choice is refused when the strategy is made."""
    with pytest.raises(InvalidPolicy) as caught:
        first_match("a", "b", **options)

    assert str(caught.value).startswith(words)


def test_a_guard_asks_once_for_each_holder() -> None:
    """However many forms of a key a contact holds, and however many hold one."""

    class Counting(Request):
        """Counts what it is asked for."""

        count = 0

        def held_forms(self, id: str, name: str) -> tuple[str, ...]:
            self.count += 1
            return super().held_forms(id, name)

    ids = tuple(f"c-{number}" for number in range(20))
    forms = {f"+{number}": ids for number in range(10)}
    asked = Counting({"id": {"1": ()}, "phone": forms}, {"id": {"2": ids}})
    match = first_match("id", "phone", guard="if_set")
    found = match.resolve(match.keys, asked, PICKS["refuse"])

    assert (found.id, found.also_matched, asked.count) == (None, ids, 20)

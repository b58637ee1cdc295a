"""Match strategies: which key decides, and what is said of the others."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from tests.matching.probes import BOTH, LATER, MANY, NOBODY, Held, decide
from upsertcore import all_agree, first_match, first_present, merge_all, never
from upsertcore.errors import AmbiguousMatch, InvalidPolicy, NoMatchKey
from upsertcore.matching.ambiguity import OnAmbiguous
from upsertcore.matching.protocol import Match, Strategy
from upsertcore.matching.strategies import ALL_AGREE, FIRST_MATCH, FIRST_PRESENT


class TestFirstMatch:
    """The first key that finds somebody decides."""

    @pytest.mark.parametrize(
        ("carried", "expected"),
        [
            (BOTH, Match("c-1", "email", ("c-2",))),
            (LATER, Match("c-2", "phone")),
            (NOBODY, Match()),
            ({"phone": {"+1": ("c-2",)}}, Match("c-2", "phone")),
            (
                {"email": {"a": (), "b": ("c-2",), "c": ("c-1",)}},
                Match("c-2", "email", ("c-1",)),
            ),
        ],
    )
    def test_it_decides(self, carried: Held, expected: Match) -> None:
        """Keys in order, forms in order; who else is hit is told."""
        assert expected == decide(first_match("email", "phone"), carried)

    def test_the_order_is_the_strategys(self) -> None:
        """The same patch finds another contact under another order."""
        assert decide(first_match("phone", "email"), BOTH).id == "c-2"

    @pytest.mark.parametrize(
        ("on_ambiguous", "expected"),
        [
            ("oldest", Match("c-1", "email", ("c-2", "c-3"))),
            ("newest", Match("c-3", "email", ("c-1", "c-2"))),
        ],
    )
    def test_several_holders(self, on_ambiguous: OnAmbiguous, expected: Match) -> None:
        """One key, several holders: by creation, as the policy says."""
        assert expected == decide(first_match("email"), MANY, on_ambiguous)

    def test_several_holders_refused(self) -> None:
        """Nobody is guessed at; the candidates are named."""
        with pytest.raises(AmbiguousMatch) as caught:
            decide(first_match("email"), MANY)
        assert (caught.value.key, caught.value.ids) == ("email", ("c-1", "c-2", "c-3"))

    def test_no_key(self) -> None:
        """A patch without a key is refused, and the keys are named."""
        with pytest.raises(NoMatchKey) as caught:
            decide(first_match("email", "phone"), {})
        assert caught.value.tried == ("email", "phone")


class TestFirstPresent:
    """The first key that the patch carries decides alone."""

    @pytest.mark.parametrize(
        ("carried", "expected"),
        [
            (BOTH, Match("c-1", "email")),
            (LATER, Match()),
            ({"phone": {"+1": ("c-2",)}}, Match("c-2", "phone")),
        ],
    )
    def test_it_decides(self, carried: Held, expected: Match) -> None:
        """A key that is carried and finds nobody ends the search."""
        assert expected == decide(first_present("email", "phone"), carried)

    def test_no_key(self) -> None:
        """A patch without a key is refused, and the keys are named."""
        with pytest.raises(NoMatchKey) as caught:
            decide(first_present("email", "phone"), {})
        assert caught.value.tried == ("email", "phone")


class TestAllAgree:
    """Hits on different contacts refuse."""

    @pytest.mark.parametrize(
        ("carried", "expected"),
        [
            (LATER, Match("c-2", "phone")),
            (NOBODY, Match()),
            (
                {"email": {"a": ("c-1",)}, "phone": {"+1": ("c-1",)}},
                Match("c-1", "email"),
            ),
        ],
    )
    def test_it_agrees(self, carried: Held, expected: Match) -> None:
        """A key that finds nobody does not disagree."""
        assert expected == decide(all_agree("email", "phone"), carried)

    def test_it_disagrees(self) -> None:
        """Both candidates are named."""
        with pytest.raises(AmbiguousMatch) as caught:
            decide(all_agree("email", "phone"), BOTH)
        assert (caught.value.key, caught.value.ids) == ("phone", ("c-1", "c-2"))

    @pytest.mark.parametrize(
        ("carried", "key", "ids"),
        [
            (
                {"a": {"1": ("c-3",)}, "b": {"2": ("c-1",)}, "c": {"3": ("c-2",)}},
                "b",
                ("c-3", "c-1", "c-2"),
            ),
            (
                {"a": {"1": ("c-1",)}, "b": {"2": ("c-1",)}, "c": {"3": ("c-2",)}},
                "c",
                ("c-1", "c-2"),
            ),
            ({"b": {"1": ("c-2",), "2": ("c-1",), "3": ()}}, "b", ("c-2", "c-1")),
        ],
        ids=["three", "the last", "one key"],
    )
    def test_every_candidate_is_named(
        self, carried: Held, key: str, ids: tuple[str, ...]
    ) -> None:
        """Each once, in the order found, with the key that disagreed first."""
        with pytest.raises(AmbiguousMatch) as caught:
            decide(all_agree("a", "b", "c"), carried)
        assert (key, ids) == (caught.value.key, caught.value.ids)

    @pytest.mark.parametrize(
        ("on_ambiguous", "ids"),
        [("oldest", ("c-1", "c-2")), ("newest", ("c-3", "c-2"))],
    )
    def test_the_candidates_are_the_picks(
        self, on_ambiguous: OnAmbiguous, ids: tuple[str, ...]
    ) -> None:
        """Of several holders of a form the one that is meant has to agree."""
        carried: Held = {"a": {"1": ("c-1", "c-3")}, "b": {"2": ("c-2",)}}
        with pytest.raises(AmbiguousMatch) as caught:
            decide(all_agree("a", "b"), carried, on_ambiguous)
        assert ids == caught.value.ids

    def test_several_holders_come_before_disagreement(self) -> None:
        """Where nobody is guessed at, the key with several holders is told first."""
        carried: Held = {
            "a": {"1": ("c-1",)},
            "b": {"2": ("c-2",)},
            "c": {"3": ("c-3", "c-4")},
        }
        with pytest.raises(AmbiguousMatch) as caught:
            decide(all_agree("a", "b", "c"), carried)
        assert (caught.value.key, caught.value.ids) == ("c", ("c-3", "c-4"))

    def test_holders_that_are_not_picked_are_told(self) -> None:
        """They do not disagree, and stand among the others."""
        carried: Held = {"a": {"1": ("c-1", "c-2")}, "b": {"2": ("c-1", "c-3")}}

        assert decide(all_agree("a", "b"), carried, "oldest") == Match(
            "c-1", "a", ("c-2", "c-3")
        )


@pytest.mark.parametrize(
    "strategy",
    [
        first_match("a", "b"),
        first_match("a", "b", guard="strict"),
        all_agree("a", "b"),
        merge_all("a", "b"),
    ],
    ids=str,
)
def test_an_id_is_what_it_says(strategy: Strategy) -> None:
    """Two keys that answer the same text, made twice, have found one contact."""
    one, again = ("-".join("cd") for _ in range(2))
    carried: Held = {"a": {"1": (one,)}, "b": {"2": (again,)}}

    assert one is not again
    assert decide(strategy, carried) == Match("c-d", "a")


def test_never_asks_for_nothing() -> None:
    """It finds nobody and needs no key."""
    assert Match() == decide(never(), BOTH)


class TestMergeAll:
    """All contacts that the keys hit become one."""

    @pytest.mark.parametrize(
        ("carried", "expected"),
        [
            (BOTH, Match("c-1", "email", (), ("c-2",))),
            (LATER, Match("c-2", "phone")),
            (NOBODY, Match()),
            (MANY, Match("c-1", "email", (), ("c-2", "c-3"))),
            (
                {
                    "email": {"a": (), "b": ("c-4", "c-5"), "c": ("c-2",)},
                    "phone": {"+1": ("c-1", "c-2", "c-4")},
                },
                Match("c-4", "email", (), ("c-5", "c-2", "c-1")),
            ),
        ],
        ids=map(str, range(5)),
    )
    def test_who_survives(self, carried: Held, expected: Match) -> None:
        """The oldest holder of the first form that hits; the rest as they are found."""
        assert expected == decide(merge_all("email", "phone"), carried)

    @pytest.mark.parametrize("on_ambiguous", ["refuse", "oldest", "newest"])
    def test_on_ambiguous_is_not_asked(self, on_ambiguous: OnAmbiguous) -> None:
        """Several holders are what it is for."""
        assert decide(merge_all("email"), MANY, on_ambiguous).id == "c-1"

    def test_no_key(self) -> None:
        """A patch without a key is refused."""
        with pytest.raises(NoMatchKey):
            decide(merge_all("email", "phone"), {})


MAKERS: list[Any] = [
    lambda: first_match("a", "b"),
    lambda: first_match("a", "b", guard="if_set"),
    lambda: first_match("a", "b", guard="strict"),
    lambda: first_match("a", "b", guard="strict", on_contradiction="drop"),
    lambda: first_match("b", "a", guard="strict"),
    lambda: first_present("a", "b"),
    lambda: all_agree("a", "b"),
    lambda: merge_all("a", "b"),
    never,
]


@pytest.mark.parametrize("make", MAKERS, ids=map(str, range(len(MAKERS))))
def test_a_strategy_equals_its_like_and_pickles(make: Any) -> None:
    """Made again, copied or pickled it is the same one, and equals no other."""
    one = make()

    assert one == make()
    assert hash(one) == hash(make())
    assert pickle.loads(pickle.dumps(one)) == one  # noqa: S301 - its own bytes
    assert [other() for other in MAKERS].count(one) == 1


def test_the_strategies_of_the_library_are_recognised_by_what_decides() -> None:
    """A strategy of the application may bear the same name, and is another one."""
    assert first_match("a").resolve is FIRST_MATCH
    assert first_present("a").resolve is FIRST_PRESENT
    assert all_agree("a").resolve is ALL_AGREE
    mine = Strategy("first_match", ("a",), lambda _keys, _probe, _pick: Match("c-9"))
    assert mine.resolve is not FIRST_MATCH
    assert mine != first_match("a")
    guarded = first_match("a", "b", guard="strict").resolve
    assert guarded not in (FIRST_MATCH, FIRST_PRESENT, ALL_AGREE)


def test_a_strategy_shows_what_it_was_told() -> None:
    """Its keys, and its guard where it has one."""
    drop = first_match("a", "b", guard="if_set", on_contradiction="drop")

    assert (
        repr(drop) == "first_match('a', 'b', guard='if_set', on_contradiction='drop')"
    )
    assert repr(first_match("a", guard="strict")) == "first_match('a', guard='strict')"
    assert repr(first_match("a", "b")) == "first_match('a', 'b')"
    assert repr(merge_all("a", "b")) == "merge_all('a', 'b')"
    assert merge_all("a").merges
    assert not first_match("a").merges


@pytest.mark.parametrize("make", [first_match, first_present, all_agree, merge_all])
@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ((), "needs at least one key"),
        (("a", "a"), "duplicate key 'a'"),
        ((1,), "keys must be str, got 1"),
    ],
    ids=["none", "twice", "number"],
)
def test_a_strategy_names_its_keys(make: Any, keys: Any, words: str) -> None:
    """None, one twice, or what is no name: refused when it is made."""
    with pytest.raises(InvalidPolicy) as caught:
        make(*keys)

    text = str(caught.value)
    assert text.startswith(f"{make.__name__}: {words}; name ")

"""Match strategies: which key decides, and which contacts are reported."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from tests.matching.probes import BOTH, LATER, MANY, NO_HOLDERS, Held, decide
from upsertcore import all_agree, first_match, first_present, merge_all, never
from upsertcore.errors import AmbiguousMatch, InvalidPolicy, KeysDisagree, NoMatchKey
from upsertcore.matching.ambiguity import OnAmbiguous
from upsertcore.matching.protocol import Match, Strategy
from upsertcore.matching.strategies import ALL_AGREE, FIRST_MATCH, FIRST_PRESENT


class TestFirstMatch:
    """The first key that matches a contact decides."""

    @pytest.mark.parametrize(
        ("sent", "expected"),
        [
            (BOTH, Match("c-1", "email", ("c-2",))),
            (LATER, Match("c-2", "phone")),
            (NO_HOLDERS, Match()),
            ({"phone": {"+1": ("c-2",)}}, Match("c-2", "phone")),
            (
                {"email": {"a": (), "b": ("c-2",), "c": ("c-1",)}},
                Match("c-2", "email", ("c-1",)),
            ),
        ],
    )
    def test_first_key_that_matches_decides(self, sent: Held, expected: Match) -> None:
        """Keys in order, forms in order; other matches are reported."""
        assert expected == decide(first_match("email", "phone"), sent)

    def test_order_of_the_strategy_decides(self) -> None:
        assert decide(first_match("phone", "email"), BOTH).id == "c-2"

    @pytest.mark.parametrize(
        ("on_ambiguous", "expected"),
        [
            ("oldest", Match("c-1", "email", ("c-2", "c-3"))),
            ("newest", Match("c-3", "email", ("c-1", "c-2"))),
        ],
    )
    def test_ambiguous_key_matches_oldest_or_newest(
        self, on_ambiguous: OnAmbiguous, expected: Match
    ) -> None:
        assert expected == decide(first_match("email"), MANY, on_ambiguous)

    def test_ambiguous_key_is_refused_with_the_candidates(self) -> None:
        with pytest.raises(AmbiguousMatch) as caught:
            decide(first_match("email"), MANY)
        assert (caught.value.key, caught.value.ids) == ("email", ("c-1", "c-2", "c-3"))

    def test_patch_without_key_is_refused(self) -> None:
        with pytest.raises(NoMatchKey) as caught:
            decide(first_match("email", "phone"), {})
        assert caught.value.tried == ("email", "phone")


class TestFirstPresent:
    """The first key of the patch decides alone."""

    @pytest.mark.parametrize(
        ("sent", "expected"),
        [
            (BOTH, Match("c-1", "email")),
            (LATER, Match()),
            ({"phone": {"+1": ("c-2",)}}, Match("c-2", "phone")),
        ],
    )
    def test_first_sent_key_decides(self, sent: Held, expected: Match) -> None:
        """Even if it matches no contact."""
        assert expected == decide(first_present("email", "phone"), sent)

    def test_patch_without_key_is_refused(self) -> None:
        with pytest.raises(NoMatchKey) as caught:
            decide(first_present("email", "phone"), {})
        assert caught.value.tried == ("email", "phone")


class TestAllAgree:
    """Matches of different contacts are refused."""

    @pytest.mark.parametrize(
        ("sent", "expected"),
        [
            (LATER, Match("c-2", "phone")),
            (NO_HOLDERS, Match()),
            (
                {"email": {"a": ("c-1",)}, "phone": {"+1": ("c-1",)}},
                Match("c-1", "email"),
            ),
        ],
    )
    def test_keys_of_one_contact_agree(self, sent: Held, expected: Match) -> None:
        """A key without a match does not disagree."""
        assert expected == decide(all_agree("email", "phone"), sent)

    def test_keys_of_two_contacts_are_refused(self) -> None:
        """That is no ambiguous match: ``on_ambiguous`` does not apply."""
        with pytest.raises(KeysDisagree) as caught:
            decide(all_agree("email", "phone"), BOTH)
        assert not isinstance(caught.value, AmbiguousMatch)
        assert caught.value.hits == (("email", ("c-1",)), ("phone", ("c-2",)))

    @pytest.mark.parametrize(
        ("sent", "keys", "ids"),
        [
            (
                {"a": {"1": ("c-3",)}, "b": {"2": ("c-1",)}, "c": {"3": ("c-2",)}},
                ("a", "b", "c"),
                ("c-3", "c-1", "c-2"),
            ),
            (
                {"a": {"1": ("c-1",)}, "b": {"2": ("c-1",)}, "c": {"3": ("c-2",)}},
                ("a", "b", "c"),
                ("c-1", "c-2"),
            ),
            ({"b": {"1": ("c-2",), "2": ("c-1",), "3": ()}}, ("b",), ("c-2", "c-1")),
        ],
        ids=["three", "the last", "one key"],
    )
    def test_refusal_names_every_candidate_once(
        self, sent: Held, keys: tuple[str, ...], ids: tuple[str, ...]
    ) -> None:
        """In the order found, with the keys that match any contact."""
        with pytest.raises(KeysDisagree) as caught:
            decide(all_agree("a", "b", "c"), sent)
        assert (keys, ids) == (caught.value.keys, caught.value.ids)

    @pytest.mark.parametrize(
        ("on_ambiguous", "ids"),
        [("oldest", ("c-1", "c-2")), ("newest", ("c-3", "c-2"))],
    )
    def test_candidates_are_the_chosen_holders(
        self, on_ambiguous: OnAmbiguous, ids: tuple[str, ...]
    ) -> None:
        sent: Held = {"a": {"1": ("c-1", "c-3")}, "b": {"2": ("c-2",)}}
        with pytest.raises(KeysDisagree) as caught:
            decide(all_agree("a", "b"), sent, on_ambiguous)
        assert ids == caught.value.ids

    def test_ambiguous_key_is_refused_before_disagreement(self) -> None:
        sent: Held = {
            "a": {"1": ("c-1",)},
            "b": {"2": ("c-2",)},
            "c": {"3": ("c-3", "c-4")},
        }
        with pytest.raises(AmbiguousMatch) as caught:
            decide(all_agree("a", "b", "c"), sent)
        assert (caught.value.key, caught.value.ids) == ("c", ("c-3", "c-4"))

    def test_holders_not_chosen_are_reported(self) -> None:
        """They do not disagree."""
        sent: Held = {"a": {"1": ("c-1", "c-2")}, "b": {"2": ("c-1", "c-3")}}

        assert decide(all_agree("a", "b"), sent, "oldest") == Match(
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
def test_ids_are_compared_by_value(strategy: Strategy) -> None:
    """The same text made twice is one id."""
    one, other = ("-".join("cd") for _ in range(2))
    sent: Held = {"a": {"1": (one,)}, "b": {"2": (other,)}}

    assert one is not other
    assert decide(strategy, sent) == Match("c-d", "a")


def test_never_matches_no_contact() -> None:
    """It needs no key."""
    assert Match() == decide(never(), BOTH)


class TestMergeAll:
    """All contacts that the keys match are merged."""

    @pytest.mark.parametrize(
        ("sent", "expected"),
        [
            (BOTH, Match("c-1", "email", (), ("c-2",))),
            (LATER, Match("c-2", "phone")),
            (NO_HOLDERS, Match()),
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
    def test_oldest_holder_of_the_first_form_survives(
        self, sent: Held, expected: Match
    ) -> None:
        """The others follow in the order found."""
        assert expected == decide(merge_all("email", "phone"), sent)

    @pytest.mark.parametrize("on_ambiguous", ["refuse", "oldest", "newest"])
    def test_on_ambiguous_does_not_matter_for_merge_all(
        self, on_ambiguous: OnAmbiguous
    ) -> None:
        assert decide(merge_all("email"), MANY, on_ambiguous).id == "c-1"

    def test_patch_without_key_is_refused(self) -> None:
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
def test_strategies_compare_by_value_and_pickle(make: Any) -> None:
    one = make()

    assert one == make()
    assert hash(one) == hash(make())
    assert pickle.loads(pickle.dumps(one)) == one  # noqa: S301 - pickled here
    assert [other() for other in MAKERS].count(one) == 1


def test_library_strategy_is_known_by_its_function() -> None:
    """A strategy of the application may have the same name."""
    assert first_match("a").resolve is FIRST_MATCH
    assert first_present("a").resolve is FIRST_PRESENT
    assert all_agree("a").resolve is ALL_AGREE
    own = Strategy("first_match", ("a",), lambda _keys, _probe, _pick: Match("c-9"))
    assert own.resolve is not FIRST_MATCH
    assert own != first_match("a")
    guarded = first_match("a", "b", guard="strict").resolve
    assert guarded not in (FIRST_MATCH, FIRST_PRESENT, ALL_AGREE)


def test_strategy_shows_keys_and_guard() -> None:
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
def test_strategy_with_invalid_keys_is_refused(
    make: Any, keys: Any, words: str
) -> None:
    with pytest.raises(InvalidPolicy) as caught:
        make(*keys)

    text = str(caught.value)
    assert text.startswith(f"{make.__name__}: {words}; name ")

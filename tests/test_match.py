"""Match strategies: which key decides, and what is said of the others."""

from __future__ import annotations

from typing import Any

import pytest

from upsertcore import all_agree, first_match, first_present, never, normalize
from upsertcore.errors import AmbiguousMatch, InvalidPolicy, NoMatchKey
from upsertcore.keys import Key
from upsertcore.match import PICKS, Hits, Match, OnMany, Strategy

Held = dict[str, dict[str, tuple[str, ...]]]


class Asked:
    """Answers for an index: who holds what a patch carries, and nothing else."""

    def __init__(self, carried: Held) -> None:
        self.carried = carried

    def __call__(self, name: str) -> Hits:
        return tuple(self.carried.get(name, {}).items())

    def held(self, id: str, name: str) -> tuple[str, ...]:
        return tuple(form for form, ids in self(name) if id in ids)


def decide(strategy: Strategy, carried: Held, on_many: OnMany = "refuse") -> Match:
    """Ask a strategy about a patch that carries these forms with these holders."""

    return strategy.decide(strategy.keys, Asked(carried), PICKS[on_many])


BOTH: Held = {"email": {"a@x": ("c-1",)}, "phone": {"+1": ("c-2",)}}
NOBODY: Held = {"email": {"a@x": ()}, "phone": {"+1": ()}}
LATER: Held = {"email": {"a@x": ()}, "phone": {"+1": ("c-2",)}}
MANY: Held = {"email": {"a@x": ("c-1", "c-2", "c-3")}}


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
        ("on_many", "expected"),
        [
            ("oldest", Match("c-1", "email", ("c-2", "c-3"))),
            ("newest", Match("c-3", "email", ("c-1", "c-2"))),
        ],
    )
    def test_several_holders(self, on_many: OnMany, expected: Match) -> None:
        """One key, several holders: by creation, as the policy says."""
        assert expected == decide(first_match("email"), MANY, on_many)

    def test_several_holders_refused(self) -> None:
        """Nobody is guessed at; the candidates are named."""
        with pytest.raises(AmbiguousMatch) as caught:
            decide(first_match("email"), MANY)
        assert caught.value.ids == ("c-1", "c-2", "c-3")

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
        """A patch without a key is refused."""
        with pytest.raises(NoMatchKey):
            decide(first_present("email", "phone"), {})


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


def test_never_asks_for_nothing() -> None:
    """It finds nobody and needs no key."""
    assert Match() == decide(never(), BOTH)


@pytest.mark.parametrize("make", [first_match, first_present, all_agree])
@pytest.mark.parametrize(
    "keys", [(), ("a", "a"), (1,)], ids=["none", "twice", "number"]
)
def test_a_strategy_names_its_keys(make: Any, keys: Any) -> None:
    """None, one twice, or what is no name: refused when it is made."""
    with pytest.raises(InvalidPolicy, match=make.__name__):
        make(*keys)


class TestKey:
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

    def test_a_form_is_text(self) -> None:
        """A normaliser that answers anything else is a fault of the host's."""
        wrong: Any = len
        with pytest.raises(TypeError, match="answers text or None, not 1"):
            Key("a", ("a",), (wrong,)).forms({"a": "x"})

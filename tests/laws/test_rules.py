"""The laws of rules and normalisers, as a host uses them and as it may misuse them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from itertools import count
from typing import Any, get_args
from unicodedata import normalize

import pytest

from upsertcore.laws.errors import LawBroken
from upsertcore.laws.normalisers import (
    check_normaliser,
    idempotent_form,
    one_number,
    pure,
    texts,
    total,
)
from upsertcore.laws.rules import (
    absorbing,
    associative,
    commutative,
    declares_what_it_has,
    idempotent,
    rule_laws,
)
from upsertcore.normalize import email
from upsertcore.rules import add, append, custom, immutable, keep, latest, replace
from upsertcore.rules.rule import Law, Rule
from upsertcore.values import freeze, same

WORDS = [None, "", "Al", "Bo", "Robert"]
EVERY = frozenset(get_args(Law))


def said(check: Callable[..., None], *values: Any) -> str:
    """Give what is said of a law that does not hold."""
    with pytest.raises(LawBroken) as caught:
        check(*values)
    return str(caught.value)


def longest(*laws: Law) -> Rule:
    return custom(lambda a, b: max(a or "", b or "", key=len), name="long", laws=laws)


class TestBroken:
    """What is raised."""

    def test_it_is_an_assertion_that_pickles_and_copies(self) -> None:
        """It passes between processes with all that it says."""
        error = LawBroken("total", "for 1 it raises")
        for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301
            assert isinstance(twin, LawBroken)
            assert isinstance(twin, AssertionError)
            assert ("total", "for 1 it raises") == (twin.law, twin.reason)
            assert str(error) == str(twin)


class TestLaws:
    """One law of one rule, for some values."""

    @pytest.mark.parametrize("law", [idempotent, associative, commutative, absorbing])
    def test_a_law_that_holds_says_nothing(self, law: Callable[..., None]) -> None:
        """Values are given plain, as they are sent."""
        more = () if law is idempotent else (["c"],)

        law(custom(lambda _stored, _sent: ["x"]), ["a"], ["b"], *more)

    @pytest.mark.parametrize(
        ("law", "rule", "values", "expected"),
        [
            (idempotent, append, ([], [1]), "to [], [1] once makes [1]; twice, [1, 1]"),
            (
                associative,
                custom(lambda a, b: (b or 0) - (a or 0), name="less"),
                (3, 2, 1),
                "to 3, 2 then 1 makes 2; -1, which 1 makes of 2, makes -4",
            ),
            (
                commutative,
                keep,
                (None, ["a"], True),
                "to None, ['a'] then True makes ['a']; True then ['a'] makes True",
            ),
            (
                absorbing,
                replace,
                (None, 1, 1.0),
                "to None, 1 then 1.0 makes 1.0; 1 again, 1",
            ),
        ],
    )
    def test_one_that_does_not_shows_the_values_and_both_answers(
        self, law: Callable[..., None], rule: Rule, values: Any, expected: str
    ) -> None:
        """The message is enough to try it again, types told apart."""
        name = getattr(law, "__name__", "")

        assert f"{name}: {rule.name}: {expected}" == said(law, rule, *values)

    def test_a_refusal_is_an_answer_that_stays_one(self) -> None:
        """What is merged into a refusal is refused."""
        idempotent(immutable, "a", "b")
        expected = "to None, None then 1 makes 1; None again, a refusal"

        assert f"absorbing: immutable: {expected}" == said(
            absorbing, immutable, None, None, 1
        )

    def test_what_a_function_raises_passes_on_with_the_values(self) -> None:
        """A defect of the host's function is no refusal."""
        rule = custom(max, name="most")
        with pytest.raises(TypeError) as caught:
            idempotent(rule, None, "a")

        assert ["most: of None and 'a'"] == caught.value.__notes__

    def test_a_value_that_no_field_may_hold_is_refused(self) -> None:
        """As the library would refuse it, which is no law broken."""
        with pytest.raises(ValueError, match="finite"):
            idempotent(replace, None, float("nan"))

    @pytest.mark.parametrize("value", [None, "ab", [1], [1, 2, 3], {"a": 1, "b": 2}])
    def test_a_value_with_a_clock_is_a_pair(self, value: Any) -> None:
        """Anything else is said to be none."""
        with pytest.raises(ValueError, match=r"must be a pair \[clock, value\], not "):
            idempotent(latest(by="at"), [1, "a"], value)

    def test_a_very_long_value_is_shown_in_part(self) -> None:
        """A message is for reading."""
        assert len(said(idempotent, append, [], ["a" * 9_000])) < 500


class TestRuleLaws:
    """All the laws of a rule, over some values."""

    def test_they_are_those_that_no_value_breaks(self) -> None:
        """What is found does not hang on what is declared."""
        for rule in (longest(), longest(*get_args(Law))):
            assert EVERY - {"commutative"} == rule_laws(rule, WORDS)

    def test_values_may_come_one_by_one(self) -> None:
        """What is iterated once is enough."""
        assert rule_laws(replace, WORDS) == rule_laws(replace, iter(WORDS))

    def test_without_a_clock_a_value_is_stored_and_never_sent(self) -> None:
        """Two values of no time would depend on their order."""
        values = [[None, "a"], [None, "b"], [1, "a"], [1, "b"], [2, "a"]]

        assert EVERY == rule_laws(latest(by="at"), values)
        assert "commutative: latest" in said(
            commutative, latest(by="at"), [None, None], [None, "a"], [None, "b"]
        )

    @pytest.mark.parametrize(
        ("rule", "values"), [(replace, []), (latest(by="at"), [[None, "a"]])]
    )
    @pytest.mark.parametrize("check", [rule_laws, declares_what_it_has])
    def test_over_nothing_nothing_is_shown(
        self, check: Callable[..., Any], rule: Rule, values: Any
    ) -> None:
        """A check of no values is a mistake, not a success."""
        with pytest.raises(ValueError, match="give some values to send"):
            check(rule, values)


class TestDeclares:
    """What a rule declares and what it has."""

    def test_all_of_them_and_no_other(self) -> None:
        """A rule that says what it has passes, with laws or without."""
        declares_what_it_has(longest("absorbing", "associative", "idempotent"), WORDS)
        declares_what_it_has(add, [None, 0, 1, 0.1, 0.2, 1e308, -1e308, "1"])

    def test_a_law_too_many_is_named_with_the_smallest_counterexample(self) -> None:
        """Wherever it stands among the values."""
        rule = longest(*get_args(Law))
        expected = "long: to None, 'A' then 'B' makes 'A'; 'B' then 'A' makes 'B'"

        assert f"commutative: {expected}" == said(
            declares_what_it_has, rule, ["Robert", "Al", "Bo", "A", "B", None]
        )

    @pytest.mark.parametrize("law", sorted(EVERY - {"commutative"}))
    def test_a_law_too_few_is_named(self, law: Law) -> None:
        """Then the rule promises less than it has, or the values show too little."""
        rule = longest(*(EVERY - {"commutative", law}))
        expected = f"{law}: long does not declare it, and none of 5 values breaks it"

        assert said(declares_what_it_has, rule, WORDS).startswith(expected)

    def test_too_few_values_are_told_of(self) -> None:
        """Over one value even a rule that takes the last word commutes."""
        assert "or give a value that does" in said(declares_what_it_has, replace, ["a"])


class TestNormalisers:
    """A normaliser of the host's."""

    def test_one_that_keeps_all_three_laws_passes(self) -> None:
        """Over the pool, and over values of the host's own."""
        check_normaliser(email)
        check_normaliser(lambda _value: None)
        check_normaliser(str.lower, ["Ada", "\u00df"])

    @pytest.mark.parametrize(
        ("normaliser", "value", "expected"),
        [
            (
                str.lower,
                1,
                "for 1 it raises TypeError; return None for a value",
            ),
            (str.strip, "", "for '' it returns '', and blank text is no form"),
            (str, " ", "for ' ' it returns ' ', and blank text is no form"),
            (len, "a", "for 'a' it returns 1, and a form is text or None"),
            (dict, {"a": 1}, "for {'a': 1} it returns {'a': 1}, and a form is text"),
        ],
    )
    def test_one_that_is_not_total_is_told_of(
        self, normaliser: Any, value: Any, expected: str
    ) -> None:
        """By each of the three, for none of them holds without an answer."""
        for law in (total, pure, idempotent_form):
            assert f"total: {expected}" in said(law, normaliser, value)

    def test_what_it_raised_is_the_cause(self) -> None:
        """The host finds the line."""
        with pytest.raises(LawBroken) as caught:
            total(str.lower, 1)

        assert isinstance(caught.value.__cause__, TypeError)

    def test_one_that_remembers_is_not_pure(self) -> None:
        """The first answer and the second are shown."""
        ticks = count()

        assert said(pure, lambda _value: str(next(ticks)), "a") == (
            "pure: for 'a' it returns '0', and then '1'"
        )

    def test_one_whose_form_has_another_form_is_told_of(self) -> None:
        """Also where its form has none at all."""
        assert said(idempotent_form, {"a": "b"}.get, "a") == (
            "idempotent: for 'a' it returns 'b', and for that None"
        )
        assert said(idempotent_form, {"a": "b"}.__getitem__, "a") == (
            "total: for 'b' it raises KeyError; return None for a value without a form"
        )

    @pytest.mark.parametrize("value", [7, 7.0, -7, 0])
    def test_one_that_tells_a_float_from_its_whole_number_is_told_of(
        self, value: Any
    ) -> None:
        """From either kind; what has no float of its own is not asked about."""
        number = int(value)

        assert said(one_number, str, value) == (
            f"one_number: for {number} it returns '{number}', "
            f"and for {float(number)} '{float(number)}'"
        )
        assert said(one_number, lambda each: str(each) if each == 7 else None, 7)
        assert said(check_normaliser, lambda each: str(each).strip() or None, [value])
        for other in ("7", None, True, 7.5, 2**53, 10**40, ["7"]):
            one_number(str, other)

    def test_a_field_holds_frozen_values(self) -> None:
        """So it is asked about those; lone surrogates are text that may be asked."""
        asked: list[Any] = []
        check_normaliser(asked.append, [["a"], "\ud800"])
        with pytest.raises(ValueError, match="finite"):
            total(email, float("inf"))

        assert (("a",), "\ud800") == (asked[0], asked[-1])

    @pytest.mark.parametrize(
        "naive",
        [
            lambda v: v.encode().decode(),
            lambda v: str(int(v)) if v.isdigit() else v,
            lambda v: str(int(v)) if v.isdecimal() else v,
            lambda v: v.removeprefix("00"),
            lambda v: v.removeprefix("mailto:"),
            lambda v: v.replace("  ", " "),
            lambda v: normalize("NFC", v).lower(),
            lambda v: normalize("NFC", v).casefold(),
            lambda v: normalize("NFKC", v.lower()),
            lambda v: normalize("NFKC", v.strip()),
            lambda v: v.upper().lower(),
            str.title,
            str.capitalize,
        ],
        ids=map(str, range(13)),
    )
    def test_the_pool_finds_what_is_forgotten(self, naive: Callable[..., str]) -> None:
        """What looks right and has been written often breaks a law for some text."""

        def normaliser(value: Any) -> str | None:
            form = naive(value) if isinstance(value, str) else ""
            return form if form.strip() else None

        with pytest.raises(LawBroken):
            check_normaliser(normaliser)

    def test_a_patch_may_send_what_is_no_text(self) -> None:
        """So it is asked about that too, unless the host gives the values."""
        naive: Callable[[Any], str | None] = lambda v: v.strip() or None  # noqa: E731
        check_normaliser(naive, texts())

        assert said(check_normaliser, naive).startswith("total: for None it raises ")


def test_the_pool_is_fixed_and_each_text_stands_there_once() -> None:
    """The same check twice is the same check."""
    pool = list(texts())

    assert pool == list(texts())
    assert len(pool) == len(set(pool)) <= 150
    assert max(map(len, pool)) == 50_000


def test_what_is_checked_is_not_changed() -> None:
    """The kit gives a rule frozen copies."""
    values = [["a"], ["b"]]
    rule_laws(append, values)

    assert same(freeze(values), freeze([["a"], ["b"]]))

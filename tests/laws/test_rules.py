"""The laws of rules and normalisers, in correct and in wrong use."""

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
ALL_LAWS = frozenset(get_args(Law))


def broken_text(check: Callable[..., None], *values: Any) -> str:
    """Return the message of the law that is broken."""
    with pytest.raises(LawBroken) as caught:
        check(*values)
    return str(caught.value)


def longest_rule(*laws: Law) -> Rule:
    return custom(lambda a, b: max(a or "", b or "", key=len), name="long", laws=laws)


class TestLawBroken:
    """The exception of a broken law."""

    def test_law_broken_is_an_assertion_and_pickles(self) -> None:
        error = LawBroken("total", "for 1 it raises")
        for copied in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301
            assert isinstance(copied, LawBroken)
            assert isinstance(copied, AssertionError)
            assert ("total", "for 1 it raises") == (copied.law, copied.reason)
            assert str(error) == str(copied)


class TestLaws:
    """One law of one rule, for some values."""

    @pytest.mark.parametrize("law", [idempotent, associative, commutative, absorbing])
    def test_law_that_holds_raises_nothing(self, law: Callable[..., None]) -> None:
        """The values are given as they are sent."""
        further = () if law is idempotent else (["c"],)

        law(custom(lambda _stored, _sent: ["x"]), ["a"], ["b"], *further)

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
    def test_broken_law_shows_values_and_both_results(
        self, law: Callable[..., None], rule: Rule, values: Any, expected: str
    ) -> None:
        name = getattr(law, "__name__", "")

        assert f"{name}: {rule.name}: {expected}" == broken_text(law, rule, *values)

    def test_refusal_counts_as_a_result(self) -> None:
        """Merging into a refusal is a refusal."""
        idempotent(immutable, "a", "b")
        expected = "to None, None then 1 makes 1; None again, a refusal"

        assert f"absorbing: immutable: {expected}" == broken_text(
            absorbing, immutable, None, None, 1
        )

    def test_exception_of_a_rule_has_a_note_with_the_values(self) -> None:
        rule = custom(max, name="most")
        with pytest.raises(TypeError) as caught:
            idempotent(rule, None, "a")

        assert ["most: of None and 'a'"] == caught.value.__notes__

    def test_value_that_cannot_be_stored_is_an_error(self) -> None:
        """It does not break a law."""
        with pytest.raises(ValueError, match="finite"):
            idempotent(replace, None, float("nan"))

    @pytest.mark.parametrize("value", [None, "ab", [1], [1, 2, 3], {"a": 1, "b": 2}])
    def test_value_with_a_clock_must_be_a_pair(self, value: Any) -> None:
        with pytest.raises(ValueError, match=r"must be a pair \[clock, value\], not "):
            idempotent(latest(by="at"), [1, "a"], value)

    def test_long_value_is_cut_in_the_message(self) -> None:
        assert len(broken_text(idempotent, append, [], ["a" * 9_000])) < 500


class TestRuleLaws:
    """The laws that a rule has for some values."""

    def test_rule_laws_do_not_depend_on_declared_laws(self) -> None:
        for rule in (longest_rule(), longest_rule(*get_args(Law))):
            assert ALL_LAWS - {"commutative"} == rule_laws(rule, WORDS)

    def test_values_may_be_an_iterator(self) -> None:
        assert rule_laws(replace, WORDS) == rule_laws(replace, iter(WORDS))

    def test_value_without_clock_is_never_the_sent_one(self) -> None:
        """Two values without a clock would depend on their order."""
        values = [[None, "a"], [None, "b"], [1, "a"], [1, "b"], [2, "a"]]

        assert ALL_LAWS == rule_laws(latest(by="at"), values)
        assert "commutative: latest" in broken_text(
            commutative, latest(by="at"), [None, None], [None, "a"], [None, "b"]
        )

    @pytest.mark.parametrize(
        ("rule", "values"), [(replace, []), (latest(by="at"), [[None, "a"]])]
    )
    @pytest.mark.parametrize("check", [rule_laws, declares_what_it_has])
    def test_check_without_values_is_an_error(
        self, check: Callable[..., Any], rule: Rule, values: Any
    ) -> None:
        with pytest.raises(ValueError, match="give some values to send"):
            check(rule, values)


class TestDeclaredLaws:
    """The declared laws of a rule and those it has."""

    def test_rule_with_exactly_its_laws_passes(self) -> None:
        declares_what_it_has(
            longest_rule("absorbing", "associative", "idempotent"), WORDS
        )
        declares_what_it_has(add, [None, 0, 1, 0.1, 0.2, 1e308, -1e308, "1"])

    def test_wrongly_declared_law_has_the_smallest_counterexample(self) -> None:
        rule = longest_rule(*get_args(Law))
        expected = "long: to None, 'A' then 'B' makes 'A'; 'B' then 'A' makes 'B'"

        assert f"commutative: {expected}" == broken_text(
            declares_what_it_has, rule, ["Robert", "Al", "Bo", "A", "B", None]
        )

    @pytest.mark.parametrize("law", sorted(ALL_LAWS - {"commutative"}))
    def test_undeclared_law_is_named(self, law: Law) -> None:
        """The rule has it, or the values are too few to break it."""
        rule = longest_rule(*(ALL_LAWS - {"commutative", law}))
        expected = f"{law}: long does not declare it, and none of 5 values breaks it"

        assert broken_text(declares_what_it_has, rule, WORDS).startswith(expected)

    def test_message_advises_to_give_more_values(self) -> None:
        """With one value, any rule commutes."""
        assert "or give a value that does" in broken_text(
            declares_what_it_has, replace, ["a"]
        )


class TestNormalisers:
    """Normalisers of an application."""

    def test_normaliser_with_all_laws_passes(self) -> None:
        """For the pool of values, and for given ones."""
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
    def test_normaliser_that_is_not_total_breaks_all_three_laws(
        self, normaliser: Any, value: Any, expected: str
    ) -> None:
        for law in (total, pure, idempotent_form):
            assert f"total: {expected}" in broken_text(law, normaliser, value)

    def test_exception_of_a_normaliser_is_the_cause(self) -> None:
        with pytest.raises(LawBroken) as caught:
            total(str.lower, 1)

        assert isinstance(caught.value.__cause__, TypeError)

    def test_normaliser_with_state_is_not_pure(self) -> None:
        """The message shows both results."""
        ticks = count()

        assert broken_text(pure, lambda _value: str(next(ticks)), "a") == (
            "pure: for 'a' it returns '0', and then '1'"
        )

    def test_form_with_another_form_is_not_idempotent(self) -> None:
        """Also a form without a form."""
        assert broken_text(idempotent_form, {"a": "b"}.get, "a") == (
            "idempotent: for 'a' it returns 'b', and for that None"
        )
        assert broken_text(idempotent_form, {"a": "b"}.__getitem__, "a") == (
            "total: for 'b' it raises KeyError; return None for a value without a form"
        )

    @pytest.mark.parametrize("value", [7, 7.0, -7, 0])
    def test_integer_and_equal_float_must_have_one_form(self, value: Any) -> None:
        """Values without an exact float are not tested."""
        integer = int(value)

        assert broken_text(one_number, str, value) == (
            f"one_number: for {integer} it returns '{integer}', "
            f"and for {float(integer)} '{float(integer)}'"
        )
        assert broken_text(
            one_number, lambda number: str(number) if number == 7 else None, 7
        )
        assert broken_text(
            check_normaliser, lambda number: str(number).strip() or None, [value]
        )
        for other in ("7", None, True, 7.5, 2**53, 10**40, ["7"]):
            one_number(str, other)

    def test_normaliser_is_tested_with_frozen_values(self) -> None:
        """Lone surrogates are tested, too."""
        tested: list[Any] = []
        check_normaliser(tested.append, [["a"], "\ud800"])
        with pytest.raises(ValueError, match="finite"):
            total(email, float("inf"))

        assert (("a",), "\ud800") == (tested[0], tested[-1])

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
    def test_pool_breaks_common_faulty_normalisers(
        self, naive: Callable[..., str]
    ) -> None:
        def normaliser(value: Any) -> str | None:
            form = naive(value) if isinstance(value, str) else ""
            return form if form.strip() else None

        with pytest.raises(LawBroken):
            check_normaliser(normaliser)

    def test_pool_has_values_that_are_no_text(self) -> None:
        """Given values replace the pool."""
        naive: Callable[[Any], str | None] = lambda v: v.strip() or None  # noqa: E731
        check_normaliser(naive, texts())

        assert broken_text(check_normaliser, naive).startswith(
            "total: for None it raises "
        )


def test_pool_is_fixed_and_without_duplicates() -> None:
    pool = list(texts())

    assert pool == list(texts())
    assert len(pool) == len(set(pool)) <= 150
    assert max(map(len, pool)) == 50_000


def test_check_does_not_change_the_values() -> None:
    values = [["a"], ["b"]]
    rule_laws(append, values)

    assert same(freeze(values), freeze([["a"], ["b"]]))

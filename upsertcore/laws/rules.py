"""
Laws of rules: a rule has exactly the laws that it declares, over given values.

Rules:
    Each law is a function that returns None if it holds, and raises ``LawBroken`` with
    the values and both results if it does not.
    A refusal (``ValueError``) is a result, and any step after it has the same result;
    other exceptions propagate.
    Values are frozen; None is an absent value. For a rule with a clock each value is a
    pair [clock, value].

A custom rule is checked in two lines:

>>> from upsertcore.rules import custom
>>> longest = custom(
...     lambda stored, sent: max(stored or "", sent or "", key=len),
...     name="longest",
...     laws=("idempotent", "associative", "absorbing"),
... )
>>> declares_what_it_has(longest, [None, "", "Al", "Bo", "Robert"])

A law that the rule does not have fails:

>>> commutative(longest, None, "Al", "Bo")
Traceback (most recent call last):
    ...
upsertcore.laws.errors.LawBroken: commutative: longest: to None, 'Al' then 'Bo' makes \
'Al'; 'Bo' then 'Al' makes 'Bo'
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import Any, get_args

from upsertcore.errors import add_note
from upsertcore.laws.errors import LawBroken
from upsertcore.rules.rule import Law, Rule
from upsertcore.values import freeze, same, show_value, thaw

__all__ = [
    "absorbing",
    "associative",
    "commutative",
    "declares_what_it_has",
    "idempotent",
    "rule_laws",
]

_LAWS: tuple[Law, ...] = get_args(Law)
_LONG = 200


class _Refusal:
    """The result of a rule that refused."""

    def __repr__(self) -> str:
        return "a refusal"


_REFUSED = _Refusal()


def idempotent(rule: Rule, stored: Any, sent: Any) -> None:
    """
    Assert that sending a value twice has the effect of sending it once.

    Args:
        rule: The rule.
        stored: The stored value, None if absent.
        sent: The sent value, None for null.

    Raises:
        LawBroken: If it does not hold for these values.
        ValueError: If a value is invalid, or not a pair for a rule with a clock.

    >>> from upsertcore.rules import add, replace
    >>> idempotent(replace, "a", "b")
    >>> idempotent(add, 1, 2)
    Traceback (most recent call last):
        ...
    upsertcore.laws.errors.LawBroken: idempotent: add: to 1, 2 once makes 3; twice, 5
    """
    _assert("idempotent", rule, stored, sent)


def associative(rule: Rule, stored: Any, first: Any, second: Any) -> None:
    """
    Assert that sending b, then c, equals sending the combination of b and c.

    Args:
        rule: The rule.
        stored: The stored value, None if absent.
        first: The first sent value, None for null.
        second: The second sent value.

    Raises:
        LawBroken: If it does not hold for these values.
        ValueError: As :func:`idempotent`.

    >>> from upsertcore.rules import remove
    >>> associative(remove, ["a"], [], ["a"])
    Traceback (most recent call last):
        ...
    upsertcore.laws.errors.LawBroken: associative: remove: to ['a'], [] then ['a'] \
makes []; [], which ['a'] makes of [], makes ['a']
    """
    _assert("associative", rule, stored, first, second)


def commutative(rule: Rule, stored: Any, first: Any, second: Any) -> None:
    """
    Assert that sending b, then c, equals sending c, then b.

    Args:
        rule: The rule.
        stored: The stored value, None if absent.
        first: One sent value, None for null.
        second: The other sent value.

    Raises:
        LawBroken: If it does not hold for these values.
        ValueError: As :func:`idempotent`.

    >>> from upsertcore.rules import largest, replace
    >>> commutative(largest, 1, 2, 3)
    >>> commutative(replace, 1, 2, 3)
    Traceback (most recent call last):
        ...
    upsertcore.laws.errors.LawBroken: commutative: replace: to 1, 2 then 3 makes 3; \
3 then 2 makes 2
    """
    _assert("commutative", rule, stored, first, second)


def absorbing(rule: Rule, stored: Any, first: Any, second: Any) -> None:
    """
    Assert that sending b, then c, then b again equals sending b, then c.

    Args:
        rule: The rule.
        stored: The stored value, None if absent.
        first: The value that is sent first and again at the end, None for null.
        second: The value that is sent between.

    Raises:
        LawBroken: If it does not hold for these values.
        ValueError: As :func:`idempotent`.

    >>> from upsertcore.rules import keep, replace
    >>> absorbing(keep, None, "a", "b")
    >>> absorbing(replace, None, "a", "b")
    Traceback (most recent call last):
        ...
    upsertcore.laws.errors.LawBroken: absorbing: replace: to None, 'a' then 'b' makes \
'b'; 'a' again, 'a'
    """
    _assert("absorbing", rule, stored, first, second)


def rule_laws(rule: Rule, values: Iterable[Any]) -> frozenset[Law]:
    """
    Find which laws hold over every stored and every sent value.

    Args:
        rule: The rule.
        values: The values to store and to send, with None. For a rule with a clock,
            pairs [clock, value]; those without a clock are stored, and not sent.

    Returns:
        The laws that none of these values breaks.

    Raises:
        ValueError: If a value is invalid, or not a pair for a rule with a clock, or if
            there is no value to send.

    Cost:
        Cubic in the number of values, for a law that holds.

    >>> from upsertcore.rules import replace
    >>> sorted(rule_laws(replace, [None, "", "a", "b"]))
    ['associative', 'idempotent']
    """
    world = _world(rule, values)
    return frozenset(
        law for law in _LAWS if next(_broken(law, rule, world), None) is None
    )


def declares_what_it_has(rule: Rule, values: Iterable[Any]) -> None:
    """
    Assert that a rule declares exactly the laws that hold.

    Args:
        rule: The rule.
        values: As in :func:`rule_laws`; varied enough to break each law that the rule
            does not declare.

    Raises:
        LawBroken: If a declared law does not hold, with the smallest values that break
            it, or a law holds that is not declared.
        ValueError: As :func:`rule_laws`.

    >>> from upsertcore.rules import custom
    >>> declares_what_it_has(custom(lambda a, b: (a or 0) + (b or 0)), [None, 12, 3])
    Traceback (most recent call last):
        ...
    upsertcore.laws.errors.LawBroken: idempotent: custom: to None, 3 once makes 3; \
twice, 6
    """
    world = _world(rule, values)
    for law in _LAWS:
        broken = _broken(law, rule, world)
        if law in rule.laws:
            smallest = min(broken, key=_size, default=None)
            if smallest is not None:
                _assert(law, rule, *smallest)
        elif next(broken, None) is None:
            raise LawBroken(
                law,
                f"{rule.name} does not declare it, and none of {len(world[0])} values "
                "breaks it: declare it, or give a value that does",
            )


_World = tuple[list[Any], list[Any]]


def _world(rule: Rule, values: Iterable[Any]) -> _World:
    """Return the values to store and the values to send."""
    stored = [_frozen(rule, value) for value in values]
    sent = [v for v in stored if rule.by is None or v[0] is not None]
    if not sent:
        raise ValueError("give some values to send: over none, every law would hold")
    return stored, sent


def _frozen(rule: Rule, value: Any) -> Any:
    frozen = freeze(value)
    if rule.by is not None and not (type(frozen) is tuple and len(frozen) == 2):
        raise ValueError(
            f"{rule.name}: must be a pair [clock, value], not {_shown(frozen)}"
        )
    return frozen


def _broken(law: Law, rule: Rule, world: _World) -> Iterator[tuple[Any, ...]]:
    """Yield the values, the stored one first, that break a law."""
    stored, sent = world
    for values in product(stored, *[sent] * (1 if law == "idempotent" else 2)):
        if not same(*_ANSWERS[law](rule, *values)):
            yield values


def _assert(law: Law, rule: Rule, *values: Any) -> None:
    frozen = [_frozen(rule, value) for value in values]
    answers = _ANSWERS[law](rule, *frozen)
    if not same(*answers):
        shown_values = [_shown(value) for value in (*frozen, *answers)]
        if law == "associative":
            shown_values.append(_shown(_step(rule, frozen[1], frozen[2])))
        raise LawBroken(law, f"{rule.name}: {_REASONS[law].format(*shown_values)}")


def _step(rule: Rule, stored: Any, sent: Any) -> Any:
    """Combine two values; a refusal is a result that stays."""
    if stored is _REFUSED or sent is _REFUSED:
        return _REFUSED
    try:
        return rule.combine(stored, sent)
    except ValueError:
        return _REFUSED
    except Exception as error:
        add_note(error, f"{rule.name}: of {_shown(stored)} and {_shown(sent)}")
        raise


def _twice(rule: Rule, a: Any, b: Any) -> tuple[Any, Any]:
    once = _step(rule, a, b)
    return once, _step(rule, once, b)


def _grouped(rule: Rule, a: Any, b: Any, c: Any) -> tuple[Any, Any]:
    one_by_one = _step(rule, _step(rule, a, b), c)
    return one_by_one, _step(rule, a, _step(rule, b, c))


def _swapped(rule: Rule, a: Any, b: Any, c: Any) -> tuple[Any, Any]:
    return _step(rule, _step(rule, a, b), c), _step(rule, _step(rule, a, c), b)


def _again(rule: Rule, a: Any, b: Any, c: Any) -> tuple[Any, Any]:
    both = _step(rule, _step(rule, a, b), c)
    return both, _step(rule, both, b)


_ANSWERS: dict[Law, Callable[..., tuple[Any, Any]]] = {
    "idempotent": _twice,
    "associative": _grouped,
    "commutative": _swapped,
    "absorbing": _again,
}
"""For each law, the function that computes the two results that must be equal."""

_REASONS: dict[Law, str] = {
    "idempotent": "to {0}, {1} once makes {2}; twice, {3}",
    "associative": "to {0}, {1} then {2} makes {3}; "
    "{5}, which {2} makes of {1}, makes {4}",
    "commutative": "to {0}, {1} then {2} makes {3}; {2} then {1} makes {4}",
    "absorbing": "to {0}, {1} then {2} makes {3}; {1} again, {4}",
}


def _size(values: tuple[Any, ...]) -> int:
    """Return the length of values as JSON; absent values count as 0."""
    return sum(len(json.dumps(thaw(v))) for v in values if v is not None)


def _shown(value: Any) -> str:
    """Format a value in full, so that it can be tried again, unless it is very long."""
    text = repr(thaw(value))
    return text if len(text) <= _LONG else show_value(value)

"""
Checks of the functions that are passed to a policy.

Rules:
    A factory of the library that was passed without being called, such as
    ``phone_in``, is recognised by its return annotation.
    A message says what to write instead.
"""

from __future__ import annotations

import inspect
from typing import Any

from upsertcore.errors import InvalidPolicy
from upsertcore.values import callable_name, describe

__all__ = ["check_function", "check_normaliser", "check_not_factory", "factory_noun"]

_NOUNS = {
    "Callable": "a normaliser",
    "Normalizer": "a normaliser",
    "Rule": "a rule",
    "Strategy": "a match strategy",
    "Field": "a field",
    "Key": "a key",
}


def check_not_factory(name: str, value: object) -> None:
    """
    Check that an argument is not a factory that the caller forgot to call.

    Args:
        name: The name of the argument.
        value: What the caller passed.

    Raises:
        InvalidPolicy: If it is one.

    >>> from upsertcore import normalize
    >>> check_not_factory("phone: key", normalize.phone_in)
    Traceback (most recent call last):
    ...
    upsertcore.errors.InvalidPolicy: phone: key: phone_in makes a normaliser and is ...
    """
    noun = factory_noun(value)
    if noun is not None:
        function = callable_name(value)
        what = f"{function} makes {noun} and is not one itself"
        raise InvalidPolicy(f"{name}: {what}; call it, as in {function}(...)")


def factory_noun(value: object) -> str | None:
    """
    Return what a factory of the library makes; None for any other value.

    >>> from upsertcore import normalize
    >>> factory_noun(normalize.phone_in), factory_noun(normalize.phone)
    ('a normaliser', None)
    """
    if not callable(value) or isinstance(value, type):
        return None
    returns = getattr(value, "__annotations__", {}).get("return")
    returns = returns if isinstance(returns, str) else callable_name(returns)
    return _NOUNS.get(returns.partition("[")[0])


def check_function(name: str, function: object, advice: str) -> None:
    """
    Check that an argument is a function of one value.

    Args:
        name: The name of the argument.
        function: What the caller passed.
        advice: What to use instead.

    Raises:
        InvalidPolicy: If it is not.

    >>> check_function("born: clean", lambda: None, "take the value")
    Traceback (most recent call last):
    ...
    upsertcore.errors.InvalidPolicy: born: clean: <lambda> must take one value; take ...
    """
    if not callable(function):
        what = f"must be a function, not {describe(function)}"
        raise InvalidPolicy(f"{name}: {what}; {advice}")
    check_not_factory(name, function)
    if not _takes_one(function):
        what = f"{callable_name(function)} must take one value"
        raise InvalidPolicy(f"{name}: {what}; {advice}")


def check_normaliser(name: str, function: object) -> None:
    """
    Check that an argument can be a normaliser: a function of one value.

    Raises:
        InvalidPolicy: If it is not.

    >>> check_normaliser("email: key", str.lower)
    """
    check_function(name, function, "use a normaliser, such as normalize.email")


def _takes_one(function: Any) -> bool:
    """Return whether a function takes one value; True where that is not known."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(None)
    except TypeError:
        return False
    return True

"""
Strategies for text and JSON values: input of normalisers, rules and ``clean``.

Rules:
    Nothing here depends on a policy.
    Text covers all of Unicode, lone surrogates included; JSON values can be serialised.
"""

from __future__ import annotations

import string
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from upsertcore.laws.normalisers import check_normaliser
from upsertcore.normalize import Normalizer

__all__ = ["json_values", "rich_text", "sample_normaliser"]

# Characters that change length or script when lower-cased or in NFC, and marks.
_MARKS = (
    "\u0130\u0131\u017f\u1e9e\u00df\u212a\u037e\u1fef\u0345\u0301\u0308\x1f\ud800@.+"
)


def rich_text() -> st.SearchStrategy[str]:
    """
    Draw any text: all of Unicode, lone surrogates included, and near misses.

    >>> from hypothesis import find
    >>> find(rich_text(), lambda text: text.startswith("+"))
    '+'
    """
    anything = st.text(st.characters(), max_size=40)
    marks = st.text(
        _MARKS + string.ascii_letters,
        max_size=20,
    )
    address = st.builds("{}@{}".format, anything, marks)
    digits = st.text("0123456789+()-. \u2010\u0660\uff11/x", max_size=24)
    return st.one_of(anything, marks, address, digits)


def json_values() -> st.SearchStrategy[Any]:
    """
    Draw any JSON value, mostly small and often nearly equal.

    >>> from hypothesis import find
    >>> find(json_values(), lambda value: isinstance(value, list))
    []
    """
    constants = st.sampled_from((None, True, False, 0, 1, 1.0, 0.5, "", "a", "1"))
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
    number = st.floats(allow_nan=False, allow_infinity=False)
    scalar = st.one_of(constants, constants, text, st.integers(), number)
    names = st.one_of(st.sampled_from(("a", "b")), text)
    return st.recursive(
        scalar,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)
        ),
        max_leaves=8,
    )


def sample_normaliser(
    normaliser: Normalizer, values: st.SearchStrategy[Any] | None = None
) -> None:
    """
    Assert that a normaliser is total, pure and idempotent, over drawn values.

    Args:
        normaliser: A function from a value to its normal form or None.
        values: The values to test; by default, the fixed pool of
            ``laws.normalisers``, then rich text and JSON values.

    Raises:
        LawBroken: With a value that breaks a law.

    Cost:
        Up to nine values for each example that Hypothesis draws.

    >>> from upsertcore import normalize
    >>> sample_normaliser(normalize.email)
    >>> try:
    ...     sample_normaliser(lambda text: text.removeprefix("+"), st.just("++1"))
    ... except AssertionError as error:
    ...     print(error)
    idempotent: for '++1' it returns '+1', and for that '1'
    """
    if values is None:
        check_normaliser(normaliser)
        values = st.one_of(rich_text(), json_values())

    @given(st.lists(values, min_size=1, max_size=9))
    def holds(sample: list[Any]) -> None:
        check_normaliser(normaliser, sample)

    holds()

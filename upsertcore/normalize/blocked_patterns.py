"""
Patterns of blocked values: forms that identify no contact.

Rules:
    A pattern matches a whole form. In text patterns, ``*`` matches anything, and case
    is ignored.
    Matching is linear in the form, whatever the number of stars.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol, TypeAlias

from upsertcore.errors import InvalidPolicy
from upsertcore.values import show_value

__all__ = ["Matcher", "Pattern", "as_tuple", "compile_patterns", "is_blocked"]

Pattern: TypeAlias = "str | re.Pattern[str]"
"""Text in which ``*`` matches anything, or a compiled pattern."""


class Matcher(Protocol):
    """A compiled pattern of this module or of ``re``."""

    def fullmatch(self, form: str, /) -> object:
        """Return a true value if the whole form matches."""
        ...


class _Texts(NamedTuple):
    """
    All text patterns of a key, matched together.

    Args:
        whole: Patterns without a star.
        beginnings: Patterns whose only star is the last character, without it.
        others: All other patterns, split at the stars.
    """

    whole: frozenset[str]
    beginnings: tuple[str, ...]
    others: tuple[tuple[str, ...], ...]

    def fullmatch(self, form: str, /) -> bool:
        folded = form.casefold()
        return (
            folded in self.whole
            or folded.startswith(self.beginnings)
            or any(_fits(parts, folded) for parts in self.others)
        )


def _fits(parts: tuple[str, ...], form: str) -> bool:
    """Match the parts in order; the leftmost position of each is sufficient."""
    first, *inner, last = parts
    start, end = len(first), len(form) - len(last)
    if start > end or not form.startswith(first) or not form.endswith(last):
        return False
    for part in inner:
        position = form.find(part, start, end)
        if position < 0:
            return False
        start = position + len(part)
    return True


def as_tuple(blocked: Any) -> Any:
    """
    Copy an iterable into a tuple; return any other value as it is.

    Args:
        blocked: Patterns, or a mapping of names to patterns, which becomes pairs.

    >>> as_tuple({"born": ["1900*"]})
    (('born', ('1900*',)),)
    >>> as_tuple(pattern for pattern in ("x@*", "y@*")), as_tuple("x@*")
    (('x@*', 'y@*'), 'x@*')
    """
    if isinstance(blocked, (str, re.Pattern)) or not isinstance(blocked, Iterable):
        return blocked
    if isinstance(blocked, Mapping):
        return tuple([(name, as_tuple(each)) for name, each in blocked.items()])
    return tuple(blocked)


def compile_patterns(name: str, blocked: Iterable[Pattern]) -> tuple[Matcher, ...]:
    """
    Compile the patterns of blocked values.

    Args:
        name: The name of the key.
        blocked: Text, in which ``*`` matches anything and case is ignored, or compiled
            patterns; each has to match a whole form.

    Raises:
        InvalidPolicy: If it is not a collection of patterns.

    Cost:
        Matching text patterns is linear in the length of the form. The cost of a
        compiled pattern depends on the pattern.

    >>> [
    ...     p.fullmatch("NoReply@x.org")
    ...     for p in compile_patterns("email", ("noreply@*",))
    ... ]
    [True]
    """
    if isinstance(blocked, (str, re.Pattern)) or not isinstance(blocked, Iterable):
        what = f"must be a tuple of patterns, not {show_value(blocked)}"
        raise InvalidPolicy(f"{name}: blocked {what}; put one pattern into a tuple")
    texts, compiled = [], []
    for pattern in blocked:
        if isinstance(pattern, re.Pattern) and isinstance(pattern.pattern, str):
            compiled.append(pattern)
        else:
            texts.append(_check_text(name, pattern))
    return (*([_texts(texts)] if texts else ()), *compiled)


def _check_text(name: str, pattern: Any) -> str:
    if not isinstance(pattern, str) or not pattern:
        what = f"must be text or a compiled pattern of text, not {show_value(pattern)}"
        raise InvalidPolicy(f"{name}: blocked {what}; use text, or re.compile")
    return pattern


def _texts(texts: list[str]) -> _Texts:
    split = [tuple(text.casefold().split("*")) for text in dict.fromkeys(texts)]
    beginnings = [parts[0] for parts in split if len(parts) == 2 and not parts[1]]
    return _Texts(
        frozenset(parts[0] for parts in split if len(parts) == 1),
        tuple(beginnings),
        tuple(
            parts for parts in split if len(parts) > 1 and (len(parts) > 2 or parts[1])
        ),
    )


def is_blocked(patterns: Iterable[Matcher], *forms: str) -> bool:
    """
    Return whether a form identifies no contact, because a pattern matches it.

    Args:
        patterns: As :func:`compile_patterns` returns them.
        forms: The form as it is, and without the white space around it or its parts.

    >>> is_blocked(compile_patterns("email", ("n/a",)), " N/A ", "N/A")
    True
    """
    distinct = dict.fromkeys(forms)
    return any(pattern.fullmatch(form) for form in distinct for pattern in patterns)

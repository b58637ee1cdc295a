"""
Patterns of forms that identify no contact.

Rules:
    A pattern stands for a whole form. In text, a star stands for anything, and case
    does not count.
    Matching is linear in the form, whatever the pattern has of stars.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol, TypeAlias

from upsertcore.errors import InvalidPolicy
from upsertcore.values import shown

__all__ = ["PLACEHOLDERS", "Matcher", "Pattern", "as_tuple", "compile_patterns"]

Pattern: TypeAlias = "str | re.Pattern[str]"
"""Text in which ``*`` stands for anything, or a compiled pattern."""

PLACEHOLDERS: tuple[Pattern, ...] = (
    # What programs write for a missing value.
    *("null", "(null)", "<null>", "[null]", "#null!", "nil", "<nil>", "none", "<none>"),
    *("(none)", "[none]", "undefined", "[undefined]", "nan", "<nan>", "<na>"),
    *("\\N", "-1", "#n/a", "#na", "#value!", "#ref!", "#name?", "#num!", "#div/0!"),
    *("[object object]",),
    # What people write.
    *("n/a", "n.a.", "n.a", "na", "(n/a)", "<n/a>", "n\\a", "not available"),
    *("not applicable", "not provided", "not specified", "not given", "not known"),
    *("unknown", "(unknown)", "anonymous", "(blank)", "(empty)", "tbd", "tba"),
    *("no email", "noemail", "no-email", "no phone", "nophone", "no name", "noname"),
    # Punctuation alone; zeros, another digit six times or more, with or without a
    # country code, and the digits in order.
    re.compile(
        r"[-_.?*#~=/\s\u2010-\u2015\u2026]+"
        r"|\+?0+|\+?([0-9])\1{5,}|\+[0-9]{1,3}([0-9])\2{8,}"
        r"|(?:\+1?|0)?1234567890?"
    ),
    # Addresses that nobody reads, and domains that cannot exist (RFC 2606).
    *("noreply@*", "no-reply@*", "no_reply@*", "no.reply@*", "donotreply@*"),
    *("do-not-reply@*", "do_not_reply@*", "noemail@*", "no-email@*", "no_email@*"),
    *("no.email@*", "nomail@*", "no-mail@*", "none@*", "null@*", "undefined@*"),
    *("unknown@*", "anonymous@*", "nobody@*", "n/a@*", "nan@*", "notprovided@*"),
    *("not-provided@*", "test@test.*", "test@example.*", "email@email.*"),
    *("*@*.invalid", "*@invalid"),
)
"""What forms and exports write where they know no value: ``field(blocked=...)``."""


class Matcher(Protocol):
    """What a pattern becomes: a compiled one is its own."""

    def fullmatch(self, form: str, /) -> object:
        """Return something true where the whole form is of the pattern."""
        ...


class _Texts(NamedTuple):
    """
    Patterns of text, all at once.

    Args:
        whole: Those without a star.
        beginnings: Those whose only star is the last character, without it.
        others: The rest, cut at the stars.
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
    """Find the parts in a form, one behind the other: the first place is the best."""
    first, *inner, last = parts
    start, end = len(first), len(form) - len(last)
    if start > end or not form.startswith(first) or not form.endswith(last):
        return False
    for part in inner:
        found = form.find(part, start, end)
        if found < 0:
            return False
        start = found + len(part)
    return True


def as_tuple(blocked: Any) -> Any:
    """
    Keep patterns that can be read only once; what is no collection stays as it is.

    >>> as_tuple(each for each in ("x@*", "y@*")), as_tuple("x@*")
    (('x@*', 'y@*'), 'x@*')
    """
    if isinstance(blocked, (str, re.Pattern)) or not isinstance(blocked, Iterable):
        return blocked
    return tuple(blocked)


def compile_patterns(name: str, blocked: Iterable[Pattern]) -> tuple[Matcher, ...]:
    """
    Compile what identifies no contact.

    Args:
        name: The name of the key.
        blocked: Text, in which ``*`` stands for anything and case does not count,
            or compiled patterns; each stands for a whole normal form.

    Raises:
        InvalidPolicy: If it is no collection of them.

    Cost:
        A match is linear in the length of the form, for patterns of text. What a
        compiled pattern takes is its author's to see to.

    >>> [
    ...     p.fullmatch("NoReply@x.org")
    ...     for p in compile_patterns("email", ("noreply@*",))
    ... ]
    [True]
    """
    if isinstance(blocked, (str, re.Pattern)) or not isinstance(blocked, Iterable):
        what = f"must be a tuple of patterns, not {shown(blocked)}"
        raise InvalidPolicy(f"{name}: blocked {what}; put one pattern into a tuple")
    texts, compiled = [], []
    for each in blocked:
        if isinstance(each, re.Pattern) and isinstance(each.pattern, str):
            compiled.append(each)
        else:
            texts.append(_checked(name, each))
    return (*([_texts(texts)] if texts else ()), *compiled)


def _checked(name: str, pattern: Any) -> str:
    if not isinstance(pattern, str) or not pattern:
        what = f"must be text or a compiled pattern of text, not {shown(pattern)}"
        raise InvalidPolicy(f"{name}: blocked {what}; use text, or re.compile")
    return pattern


def _texts(texts: list[str]) -> _Texts:
    cut = [tuple(each.casefold().split("*")) for each in dict.fromkeys(texts)]
    beginnings = [parts[0] for parts in cut if len(parts) == 2 and not parts[1]]
    return _Texts(
        frozenset(parts[0] for parts in cut if len(parts) == 1),
        tuple(beginnings),
        tuple(
            parts for parts in cut if len(parts) > 1 and (len(parts) > 2 or parts[1])
        ),
    )

"""
What the profiles share: an answer, a rejection, and the reading of a payload.

Rules:
    No system is named here; each has its own file beside this one.
    Bad input is answered in the system's own shape and never raised out of upsert;
    what a function of the application raises is not bad input, and passes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeVar, final

from attrs import frozen

from upsertcore.book.book import ContactBook
from upsertcore.engine.outcome import Outcome
from upsertcore.engine.plan import Plan
from upsertcore.errors import InvalidPolicy, Refused
from upsertcore.normalize import PLACEHOLDERS, email
from upsertcore.normalize.patterns import Pattern
from upsertcore.policy.policy import Policy
from upsertcore.values import freeze, shown

__all__ = [
    "Profile",
    "Rejected",
    "Response",
    "answer",
    "blocked_values",
    "described",
    "email_address",
    "flag",
    "named",
    "need",
    "summary",
    "text_of",
    "through",
]


T = TypeVar("T")


@final
@frozen
class Response:
    """
    What the system would answer.

    Args:
        status: The HTTP status.
        body: The JSON body, plain and the caller's own.
        outcome: What happened, None where the payload was rejected.
        reason: Why it was rejected, in words without the values that were sent, so
            that rejections can be counted; blank otherwise.

    >>> Response(400, {"message": "no"}, reason="no").outcome is None
    True
    """

    status: int
    body: dict[str, Any]
    outcome: Outcome | None = None
    reason: str = ""


class Rejected(Refused):
    """
    A payload that a system does not take, with the answer that it would give.

    Args:
        status: The HTTP status.
        body: The JSON body.
        reason: Why, in words without the values that were sent.

    >>> str(Rejected(400, {}, "email: must be an email address"))
    '400 email: must be an email address'
    """

    def __init__(self, status: int, body: dict[str, Any], reason: str) -> None:
        super().__init__(status, body, reason)
        self.status, self.body, self.reason = status, body, reason

    def __str__(self) -> str:
        return f"{self.status} {self.reason}"


class Profile(Protocol):
    """One real system, as the command line or an application with several sees it."""

    @property
    def policy(self) -> Policy:
        """The table."""
        ...

    @property
    def book(self) -> ContactBook:
        """The contacts."""
        ...

    @property
    def path(self) -> tuple[str, ...]:
        """The names of the path and query parameters that ``upsert`` takes."""
        ...

    @property
    def options(self) -> Mapping[str, Callable[[str], Any]]:
        """Constructor options that can be said in a word: name -> reader of text."""
        ...

    @property
    def upsert(self) -> Callable[..., Response]:
        """(payload, **path): do what the system does, and answer as it does."""
        ...

    @property
    def plan(self) -> Callable[..., Plan]:
        """(payload, **path): decide what ``upsert`` would do; raises ``Rejected``."""
        ...

    def parse(self, payload: Any) -> dict[str, Any]:
        """Make a patch of a payload; raises ``Rejected``."""
        ...

    def render(self, outcome: Outcome) -> dict[str, Any]:
        """Make the body of the answer to an accepted payload."""
        ...

    def from_row(self, cells: Mapping[str, str]) -> dict[str, Any]:
        """Make a payload of one row of text cells, none of them blank."""
        ...


def answer(
    decide: Callable[[], Outcome],
    render: Callable[[Outcome], dict[str, Any]],
    reject: Callable[[Refused], Rejected],
    status: int = 200,
) -> Response:
    """
    Decide and render, or answer why not.

    Args:
        decide: Parses and upserts; raises ``Rejected`` or another ``Refused``.
        render: Makes the body of the outcome.
        reject: Says a refusal of the core in the system's own words.
        status: The status of a good answer.

    >>> def decide():
    ...     raise Rejected(400, {"message": "no"}, "no")
    >>> answer(decide, dict, lambda refusal: refusal).status
    400
    """
    try:
        outcome = through(reject, decide)
    except Rejected as rejected:
        return Response(rejected.status, rejected.body, reason=rejected.reason)
    return Response(status, render(outcome), outcome)


def through(reject: Callable[[Refused], Rejected], decide: Callable[[], T]) -> T:
    """
    Decide, and say a refusal of the core in the system's own words.

    Raises:
        Rejected: In place of any other ``Refused``.

    >>> through(lambda refusal: Rejected(400, {}, str(refusal)), lambda: 1)
    1
    """
    try:
        return decide()
    except Rejected:
        raise
    except Refused as refusal:
        raise reject(refusal) from refusal


def named(name: object) -> str:
    """
    Name a field of a payload in a message, whatever it is.

    >>> named("email"), named(7)
    ('email', '7')
    """
    if isinstance(name, str) and name.isprintable() and 0 < len(name) <= 60:
        return name
    return shown(name)


def summary(messages: Iterable[str]) -> str:
    """
    Join what is wrong with a payload into one reason: each once, ten at most.

    >>> summary(["a: is bad", "b: is bad", "a: is bad"])
    'a: is bad; b: is bad'
    >>> summary(map(str, range(12)))
    '0; 1; 2; 3; 4; 5; 6; 7; 8; 9; and 2 more'
    """
    once = list(dict.fromkeys(messages))
    more = [f"and {len(once) - 10} more"] if len(once) > 10 else []
    return "; ".join(once[:10] + more)


def need(holds: object, what: str) -> None:
    """
    Check that something holds of a value.

    Raises:
        ValueError: If it does not, in words that follow the field's name.

    >>> need([1], "must not be blank")
    """
    if not holds:
        raise ValueError(what)


def text_of(value: object) -> str | None:
    r"""
    Return text as plain ``str``, and None for a value that is no Unicode text.

    >>> text_of("firm-1"), text_of(7), text_of("\ud800")
    ('firm-1', None, None)
    """
    if not isinstance(value, str):
        return None
    try:
        return freeze(value)  # type: ignore[no-any-return]
    except ValueError:
        return None


def described(payload: Mapping[Any, Any]) -> tuple[dict[str, Any], list[Any]]:
    """
    Split a payload into its fields and the names that are no field's.

    Args:
        payload: Any mapping; its names may be anything that Python can hold.

    Returns:
        Plain name to value, and the names that are no text or occur twice.

    >>> described({"email": "ada@x.org", 7: "x"})
    ({'email': 'ada@x.org'}, [7])
    """
    fields: dict[str, Any] = {}
    odd: list[Any] = []
    for name, value in payload.items():
        plain = text_of(name)
        if plain is None or plain in fields:
            odd.append(name)
        else:
            fields[plain] = value
    return fields, odd


def blocked_values(*, placeholders: bool) -> tuple[Pattern, ...]:
    """
    Return what a key of a profile does not count as a value.

    Args:
        placeholders: False where placeholders are values like any other.

    Raises:
        InvalidPolicy: If the option is neither true nor false.

    >>> len(blocked_values(placeholders=True)) > 20, blocked_values(placeholders=False)
    (True, ())
    """
    return PLACEHOLDERS if flag("placeholders", placeholders) else ()


def flag(name: str, value: object) -> bool:
    """
    Return an option that is true or false.

    Raises:
        InvalidPolicy: If it is neither.

    >>> flag("ordered", True)
    True
    """
    if not isinstance(value, bool):
        raise InvalidPolicy(f"{name}: must be True or False, not {shown(value)}")
    return value


_UNSAFE = r"@\s\x00-\x1f\x7f-\x9f\"<>,;:"
_ADDRESS = re.compile(rf"[^{_UNSAFE}]{{1,64}}@[^{_UNSAFE}.']+(?:\.[^{_UNSAFE}.']+)+")


def email_address(value: Any) -> str:
    """
    Take what looks like an address of one mailbox, without white space around it.

    Raises:
        ValueError: If it does not; in words that follow the field's name.

    Laws:
        What is taken has a form under ``normalize.email``.

    Source:
        RFC 5321, 4.5.3.1: 64 characters before the ``@``, 254 in all. What is on
        either side is not judged further.

    >>> email_address(" Ada@x.org ")
    'Ada@x.org'
    """
    address = value.strip() if isinstance(value, str) else ""
    shaped = len(address) <= 254 and _ADDRESS.fullmatch(address)
    if not shaped or email(address) is None:
        raise ValueError("must be an email address such as ada@example.org")
    return address

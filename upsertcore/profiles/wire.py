"""
Responses, rejections and payload parsing, shared by all profiles.

Rules:
    Nothing here is specific to a system; each has its own module.
    ``upsert`` returns bad input as a response in the system's own format and never
    raises it; exceptions of the application's functions propagate.
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
from upsertcore.values import freeze, show_value

__all__ = [
    "Profile",
    "Rejected",
    "Response",
    "blocked_values",
    "check_bool",
    "display_name",
    "email_address",
    "join_messages",
    "plain_text",
    "require",
    "respond",
    "split_fields",
    "translate_refusals",
]


T = TypeVar("T")


@final
@frozen
class Response:
    """
    The response of a system.

    Args:
        status: The HTTP status.
        body: The JSON body, of plain values that are not shared.
        outcome: The outcome, None if the payload was rejected.
        reason: The reason of a rejection, without values of the payload, so that
            rejections can be counted; blank otherwise.

    >>> Response(400, {"message": "no"}, reason="no").outcome is None
    True
    """

    status: int
    body: dict[str, Any]
    outcome: Outcome | None = None
    reason: str = ""


class Rejected(Refused):
    """
    A payload that a system refuses, with its response.

    Args:
        status: The HTTP status.
        body: The JSON body.
        reason: The reason, without values of the payload.

    >>> str(Rejected(400, {}, "email: must be an email address"))
    '400 email: must be an email address'
    """

    def __init__(self, status: int, body: dict[str, Any], reason: str) -> None:
        super().__init__(status, body, reason)
        self.status, self.body, self.reason = status, body, reason

    def __str__(self) -> str:
        return f"{self.status} {self.reason}"


class Profile(Protocol):
    """The interface of all profiles."""

    @property
    def policy(self) -> Policy:
        """The policy."""
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
        """Constructor options that can be given as text: name -> parser."""
        ...

    @property
    def upsert(self) -> Callable[..., Response]:
        """(payload, **path): upsert, and return the response of the system."""
        ...

    @property
    def plan(self) -> Callable[..., Plan]:
        """(payload, **path): return the plan of an upsert; raises ``Rejected``."""
        ...

    def parse(self, payload: Any) -> dict[str, Any]:
        """Return the patch of a payload; raises ``Rejected``."""
        ...

    def render(self, outcome: Outcome) -> dict[str, Any]:
        """Return the body of the response to an accepted payload."""
        ...

    def from_row(self, cells: Mapping[str, str]) -> dict[str, Any]:
        """Return the payload of a row of text cells, without blank cells."""
        ...


def respond(
    decide: Callable[[], Outcome],
    render: Callable[[Outcome], dict[str, Any]],
    reject: Callable[[Refused], Rejected],
    status: int = 200,
) -> Response:
    """
    Return the response of an upsert.

    Args:
        decide: Parses and upserts; raises ``Rejected`` or another ``Refused``.
        render: Returns the body of an outcome.
        reject: Translates a refusal of the library to the system's own response.
        status: The status of an accepted payload.

    >>> def decide():
    ...     raise Rejected(400, {"message": "no"}, "no")
    >>> respond(decide, dict, lambda refusal: refusal).status
    400
    """
    try:
        outcome = translate_refusals(reject, decide)
    except Rejected as rejected:
        return Response(rejected.status, rejected.body, reason=rejected.reason)
    return Response(status, render(outcome), outcome)


def translate_refusals(
    reject: Callable[[Refused], Rejected], decide: Callable[[], T]
) -> T:
    """
    Call a function and translate refusals of the library to the system's own.

    Raises:
        Rejected: In place of any other ``Refused``.

    >>> translate_refusals(lambda refusal: Rejected(400, {}, str(refusal)), lambda: 1)
    1
    """
    try:
        return decide()
    except Rejected:
        raise
    except Refused as refusal:
        raise reject(refusal) from refusal


def display_name(name: object) -> str:
    """
    Return a field name of a payload, of any type, for a message.

    >>> display_name("email"), display_name(7)
    ('email', '7')
    """
    if isinstance(name, str) and name.isprintable() and 0 < len(name) <= 60:
        return name
    return show_value(name)


def join_messages(messages: Iterable[str]) -> str:
    """
    Join messages into one reason, without duplicates and at most ten of them.

    >>> join_messages(["a: is bad", "b: is bad", "a: is bad"])
    'a: is bad; b: is bad'
    >>> join_messages(map(str, range(12)))
    '0; 1; 2; 3; 4; 5; 6; 7; 8; 9; and 2 more'
    """
    unique = list(dict.fromkeys(messages))
    suffix = [f"and {len(unique) - 10} more"] if len(unique) > 10 else []
    return "; ".join(unique[:10] + suffix)


def require(condition: object, message: str) -> None:
    """
    Raise an error unless a condition holds.

    Args:
        condition: The condition.
        message: The message, which follows the name of a field.

    Raises:
        ValueError: If the condition is false.

    >>> require([1], "must not be blank")
    """
    if not condition:
        raise ValueError(message)


def plain_text(value: object) -> str | None:
    r"""
    Return text as plain ``str``, or None for a value that is not Unicode text.

    >>> plain_text("firm-1"), plain_text(7), plain_text("\ud800")
    ('firm-1', None, None)
    """
    if not isinstance(value, str):
        return None
    try:
        return freeze(value)  # type: ignore[no-any-return]
    except ValueError:
        return None


def split_fields(payload: Mapping[Any, Any]) -> tuple[dict[str, Any], list[Any]]:
    """
    Split a payload into its fields and its invalid names.

    Args:
        payload: Any mapping; its names may be of any type.

    Returns:
        Plain name to value, and the names that are not text or are duplicates.

    >>> split_fields({"email": "ada@x.org", 7: "x"})
    ({'email': 'ada@x.org'}, [7])
    """
    fields: dict[str, Any] = {}
    invalid: list[Any] = []
    for name, value in payload.items():
        plain = plain_text(name)
        if plain is None or plain in fields:
            invalid.append(name)
        else:
            fields[plain] = value
    return fields, invalid


def blocked_values(*, placeholders: bool) -> tuple[Pattern, ...]:
    """
    Return the blocked values of a key of a profile.

    Args:
        placeholders: True to block placeholders.

    Raises:
        InvalidPolicy: If the option is not a bool.

    >>> len(blocked_values(placeholders=True)) > 20, blocked_values(placeholders=False)
    (True, ())
    """
    return PLACEHOLDERS if check_bool("placeholders", placeholders) else ()


def check_bool(name: str, value: object) -> bool:
    """
    Return the value of a Boolean option.

    Raises:
        InvalidPolicy: If it is not a bool.

    >>> check_bool("ordered", True)
    True
    """
    if not isinstance(value, bool):
        raise InvalidPolicy(f"{name}: must be True or False, not {show_value(value)}")
    return value


_UNSAFE = r"@\s\x00-\x1f\x7f-\x9f\"<>,;:"
_ADDRESS = re.compile(rf"[^{_UNSAFE}]{{1,64}}@[^{_UNSAFE}.']+(?:\.[^{_UNSAFE}.']+)+")


def email_address(value: Any) -> str:
    """
    Return the address of one mailbox, stripped.

    Raises:
        ValueError: If the value is not one; the message follows the field's name.

    Laws:
        The result has a form under ``normalize.email``.

    Source:
        RFC 5321, 4.5.3.1: 64 characters before the ``@``, 254 in all. The
        two parts are not checked further.

    >>> email_address(" Ada@x.org ")
    'Ada@x.org'
    """
    address = value.strip() if isinstance(value, str) else ""
    has_form = len(address) <= 254 and _ADDRESS.fullmatch(address)
    if not has_form or email(address) is None:
        raise ValueError("must be an email address such as ada@example.org")
    return address

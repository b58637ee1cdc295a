"""
What the profiles share: an answer, a rejection, and the reading of text and lists.

Rules:
    No system is named here; each has its own file beside this one.
    Bad input is answered in the system's own shape and never raised out of upsert;
    what a host's own function raises is not bad input, and passes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar, final

from attrs import frozen

from upsertcore.book import ContactBook
from upsertcore.errors import Refused
from upsertcore.outcome import Outcome
from upsertcore.planned import Plan
from upsertcore.policy import Policy
from upsertcore.showing import shown
from upsertcore.values import freeze

__all__ = [
    "Profile",
    "Rejected",
    "Response",
    "answer",
    "email_address",
    "is_text",
    "named",
    "need",
    "through",
    "words",
    "yes_or_no",
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
    """One real system: what the command line, or a host of several, can rely on."""

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


def need(holds: object, what: str) -> None:
    """
    See that something holds of a value.

    Raises:
        ValueError: If it does not, in words that follow the field's name.

    >>> need([1], "must not be blank")
    """
    if not holds:
        raise ValueError(what)


def is_text(value: object) -> bool:
    r"""
    Tell text that UTF-8 can write from everything else.

    >>> is_text("firm-1"), is_text(7), is_text("\ud800")
    (True, False, False)
    """
    try:
        return isinstance(freeze(value), str)
    except ValueError:
        return False


def yes_or_no(word: str) -> bool:
    """
    Read an option that is said in a word.

    Raises:
        ValueError: If it is neither ``true`` nor ``false``.

    >>> yes_or_no("true"), yes_or_no("false")
    (True, False)
    """
    if word not in {"true", "false"}:
        raise ValueError(f"must be true or false, not {shown(word)}")
    return word == "true"


# Whatever passes here has a normal form under normalize.email too.
_UNSAFE = r"@\s\x00-\x1f\x7f-\x9f"
_ADDRESS = re.compile(rf"[^{_UNSAFE}]{{1,64}}@[^{_UNSAFE}.]+(?:\.[^{_UNSAFE}.]+)+")


def email_address(value: Any) -> str:
    """
    Take what looks like an address of a mailbox, without white space around it.

    Raises:
        ValueError: If it does not; in words that follow the field's name.

    Source:
        RFC 5321, 4.5.3.1: 64 characters before the ``@``, 254 in all. What stands
        on either side is not judged further.

    >>> email_address(" Ada@x.org ")
    'Ada@x.org'
    """
    address = value.strip() if isinstance(value, str) else ""
    if len(address) > 254 or not _ADDRESS.fullmatch(address):
        raise ValueError("must be an email address such as ada@example.org")
    return address


def words(cell: str) -> list[str]:
    """
    Read a cell that lists words: separated by semicolons, or by commas.

    >>> words("lead; vip"), words("lead,vip"), words(";")
    (['lead', 'vip'], ['lead', 'vip'], [])
    """
    parts = cell.split(";" if ";" in cell else ",")
    return [part.strip() for part in parts if part.strip()]

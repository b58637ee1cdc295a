"""
A profile: its interface, its responses and rejections.

Rules:
    Nothing here is specific to a system; each has its own module.
    ``upsert`` returns bad input as a response in the system's own format and never
    raises it; exceptions of the application's functions propagate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar, final

from attrs import frozen

from upsertcore.book.book import Book
from upsertcore.engine.outcome import Outcome
from upsertcore.engine.plan import Plan
from upsertcore.errors import CreateRefused, Refused, UpdateRefused
from upsertcore.policy.policy import Policy
from upsertcore.profiles.target import Cell, Target

__all__ = ["Profile", "Rejected", "Response", "respond", "translate_refusals"]

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
    def book(self) -> Book:
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

    @property
    def target(self) -> Target:
        """The fields that rows of cells are for."""
        ...

    def from_row(self, cells: Mapping[str, Cell]) -> dict[str, Any]:
        """
        Return the payload of a row of cells, without blank cells.

        Args:
            cells: Field to text; to a list, which holds the values of a field that
                takes several; or to None, which is null in the payload.
        """
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

    No system refuses to create or to update. Where the application has set its book to
    do so, the response is a 409 that says so.

    Raises:
        Rejected: In place of any other ``Refused``.

    >>> translate_refusals(lambda refusal: Rejected(400, {}, str(refusal)), lambda: 1)
    1
    """
    try:
        return decide()
    except Rejected:
        raise
    except (CreateRefused, UpdateRefused) as refusal:
        creates = isinstance(refusal, CreateRefused)
        reason = "no contact matches it" if creates else "would change a contact"
        raise Rejected(409, {"message": reason}, f"patch: {reason}") from refusal
    except Refused as refusal:
        raise reject(refusal) from refusal

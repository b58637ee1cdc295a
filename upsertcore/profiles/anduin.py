"""
Anduin: contacts of a firm's investors, by tracking ID, else by email.

Rules:
    The seed is the vendor's page "Upsert contact" of the investor data management
    API; sentences in quotation marks are its own.
    What that page does not say is refused, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, final

from upsertcore import normalize
from upsertcore.book.book import ContactBook
from upsertcore.engine.outcome import Outcome
from upsertcore.engine.plan import Plan
from upsertcore.errors import (
    InvalidField,
    KeyInUse,
    MissingField,
    NoMatchKey,
    Refused,
)
from upsertcore.matching.strategies import first_present
from upsertcore.policy.fields import field
from upsertcore.policy.policy import Policy
from upsertcore.profiles.cells import yes_or_no
from upsertcore.profiles.wire import (
    Rejected,
    Response,
    answer,
    blocked_values,
    described,
    email_address,
    named,
    text_of,
    through,
)
from upsertcore.rules import ignore, on_create
from upsertcore.values import thaw

__all__ = ["Anduin"]

_OPTIONAL = (
    *("phone", "company", "title", "country", "numberAndStreet", "city", "state"),
    *("zipCode", "prefix", "suffix", "note"),
)


def _tracking_id(value: Any) -> Any:
    # What makes no key would be stored and never be found.
    if normalize.exact(value) is None:
        raise ValueError("must be text or a whole number")
    return value


def _policy(*, placeholders: bool) -> Policy:
    blocked = blocked_values(placeholders=placeholders)
    return Policy(
        # "If both are provided, only the trackingId is used to locate the Contact."
        match=first_present("trackingId", "email"),
        fields={
            # Null and blank are alike: "If trackingId is not provided".
            "trackingId": field(
                key=normalize.exact,
                blocked=blocked,
                unique=True,
                rule=on_create,
                clean=_tracking_id,
                null="ignore",
                blank="ignore",
            ),
            # "Not updatable": the email of a known contact stays.
            "email": field(
                key=normalize.email,
                blocked=blocked,
                unique=True,
                required=True,
                rule=on_create,
                clean=email_address,
                blank="ignore",
            ),
            "firstName": field(required=True, blank="reject"),
            "lastName": field(required=True, blank="reject"),
            **{name: field() for name in _OPTIONAL},
        },
        # "Client and Investment Entity assignments are not affected by upsert":
        # whatever else the application keeps on a contact survives.
        extra_fields=field(rule=ignore),
        on_blocked="ignore",
    )


@final
class Anduin:
    """
    Upsert contacts as Anduin's investor data management does.

    Args:
        placeholders: True where a placeholder (``normalize.PLACEHOLDERS``) that is
            sent as trackingId or email counts as not provided, and the outcome
            names it.
        rows: Contacts to begin with, as ``book.dump()`` gives them; they may hold
            fields beside the documented ones, which no upsert touches.
        ids: As :class:`upsertcore.ContactBook`.
        clock: As :class:`upsertcore.ContactBook`.

    Source:
        "Upsert contact", Anduin API reference.

    >>> anduin = Anduin(ids=iter(["c-1"]).__next__)
    >>> ada = {"email": "ada@x.org", "firstName": "Ada", "lastName": "King"}
    >>> anduin.upsert(ada, firm_id="f1").body["result"]
    'created'
    >>> anduin.upsert({"email": "ADA@x.org", "note": "met"}, firm_id="f1").body
    ... # doctest: +NORMALIZE_WHITESPACE
    {'id': 'c-1', 'email': 'ada@x.org', 'firstName': 'Ada', 'lastName': 'King',
     'note': 'met', 'result': 'updated'}
    """

    path = ("firm_id",)
    options: Mapping[str, Callable[[str], Any]] = {"placeholders": yes_or_no}

    def __init__(
        self,
        *,
        placeholders: bool = False,
        rows: Iterable[Mapping[str, Any]] = (),
        ids: Callable[[], str] | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        table = _policy(placeholders=placeholders)
        self.book = ContactBook.load(table, rows, ids=ids, clock=clock)

    @property
    def policy(self) -> Policy:
        """The table; that of the book."""
        return self.book.policy

    def upsert(self, payload: Any, *, firm_id: Any) -> Response:
        """
        Create or update a contact of a firm.

        Args:
            payload: The JSON body.
            firm_id: The firm, which is the scope.

        Returns:
            200 and the contact with ``result``, or 400 and the offending field.

        Laws:
            Twice is once; the second answer says ``updated`` too.
        """

        def decide() -> Outcome:
            scope = _scope(firm_id)
            return self.book.upsert(self.parse(payload), scope=scope)

        return answer(decide, self.render, _reject)

    def plan(self, payload: Any, *, firm_id: Any) -> Plan:
        """
        Decide what :meth:`upsert` would do.

        Raises:
            Rejected: With the answer that it would give.
        """

        def decide() -> Plan:
            scope = _scope(firm_id)
            return self.book.plan(self.parse(payload), scope=scope)

        return through(_reject, decide)

    def parse(self, payload: Any) -> dict[str, Any]:
        """
        Make a patch of a payload: text fields, and none but the documented ones.

        A trackingId that is null or blank is not provided; the outcome names it.

        Raises:
            Rejected: With the answer that :meth:`upsert` would give.
        """
        if not isinstance(payload, Mapping):
            raise _rejected("body", "must be a JSON object")
        fields, odd = described(payload)
        unknown = [name for name in fields if name not in self.policy.fields] + odd
        if unknown:
            raise _rejected(named(unknown[0]), "is no field of a contact")
        return {name: _said(name, value) for name, value in fields.items()}

    def render(self, outcome: Outcome) -> dict[str, Any]:
        """Return "the full Contact object plus a result field"."""
        id, fields = outcome.contact.id, thaw(outcome.contact.fields)
        result = "created" if outcome.created else "updated"
        # No field that the application keeps hides these two.
        return {"id": id, **fields} | {"id": id, "result": result}

    def from_row(self, cells: Mapping[str, str]) -> dict[str, Any]:
        """Make a payload of a row: every field is text already."""
        return dict(cells)


def _scope(firm_id: Any) -> str:
    scope = text_of(firm_id)
    if scope is None or not scope.strip():
        raise _rejected("firm_id", "must be the ID of a firm")
    return scope


def _said(name: str, value: Any) -> Any:
    if value is None and name == "trackingId":
        return None
    if not isinstance(value, str):
        raise _rejected(name, "must be a string; omit it to leave it unchanged")
    return value


def _rejected(name: str, what: str) -> Rejected:
    message = f"{name}: {what}"
    return Rejected(400, {"field": name, "message": message}, message)


def _reject(refusal: Refused) -> Rejected:
    match refusal:
        case NoMatchKey():
            return _rejected("email", "send an email or a trackingId to match by")
        case KeyInUse():
            return _rejected(refusal.field, "is in use by another contact")
        case InvalidField():
            return _rejected(refusal.field, refusal.reason)
        case MissingField():
            return _rejected(refusal.field, "is required to create a contact")
        case _:
            return _rejected("body", "is refused")

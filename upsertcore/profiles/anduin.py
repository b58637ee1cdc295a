"""
Anduin: contacts of a firm's investors, matched by tracking ID, otherwise by email.

Rules:
    The seed is the vendor's page "Upsert contact" of the investor data management
    API; sentences in quotation marks are quoted from it.
    Input that the page does not describe is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, final

from upsertcore import normalize
from upsertcore.book.contact_book import ContactBook
from upsertcore.engine.outcome import Outcome
from upsertcore.engine.plan import Plan
from upsertcore.errors import InvalidField, KeyInUse, MissingField, NoMatchKey, Refused
from upsertcore.matching.strategies import first_present
from upsertcore.policy.fields import field
from upsertcore.policy.policy import Policy
from upsertcore.profiles.payload import (
    blocked_values,
    display_name,
    email_address,
    is_mapping,
    plain_text,
    split_fields,
)
from upsertcore.profiles.profile import Rejected, Response, respond, translate_refusals
from upsertcore.profiles.target import Cell, Target
from upsertcore.profiles.text_cells import parse_bool
from upsertcore.rules import ignore, on_create
from upsertcore.values import thaw

__all__ = ["Anduin"]

_OPTIONAL = (
    *("phone", "company", "title", "country", "numberAndStreet", "city", "state"),
    *("zipCode", "prefix", "suffix", "note"),
)


def _tracking_id(value: Any) -> Any:
    # A value without a form would be stored but never match.
    if normalize.exact(value) is None:
        raise ValueError("must be text or a whole number")
    return value


def _policy(*, placeholders: bool) -> Policy:
    blocked = blocked_values(placeholders=placeholders)
    return Policy(
        # "If both are provided, only the trackingId is used to locate the Contact."
        match=first_present("trackingId", "email"),
        fields={
            # Null and blank mean the same: "If trackingId is not provided".
            "trackingId": field(
                key=normalize.exact,
                blocked=blocked,
                unique=True,
                rule=on_create,
                clean=_tracking_id,
                null="ignore",
                blank="ignore",
            ),
            # "Not updatable": the email of an existing contact stays.
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
        # other fields that the application stores on a contact are kept.
        extra_fields=field(rule=ignore),
        on_blocked="ignore",
    )


@final
class Anduin:
    """
    Upserts contacts as Anduin's investor data management does.

    Args:
        placeholders: True to treat a placeholder (``normalize.PLACEHOLDERS``) in
            trackingId or email as not provided; the outcome reports it.
        rows: Initial contacts, as ``book.dump()`` returns them; they may hold
            fields beyond the documented ones, which no upsert changes.
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
    options: Mapping[str, Callable[[str], Any]] = {"placeholders": parse_bool}

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
        """The policy of the book."""
        return self.book.policy

    def upsert(self, payload: Any, *, firm_id: Any) -> Response:
        """
        Create or update a contact of a firm.

        Args:
            payload: The JSON body.
            firm_id: The firm; it is the scope.

        Returns:
            200 with the contact and ``result``, or 400 with the invalid field.

        Laws:
            Idempotent; the second response has ``updated`` as well.
        """

        def decide() -> Outcome:
            scope = _scope(firm_id)
            return self.book.upsert(self.parse(payload), scope=scope)

        return respond(decide, self.render, _reject)

    def plan(self, payload: Any, *, firm_id: Any) -> Plan:
        """
        Return the plan of an :meth:`upsert`.

        Raises:
            Rejected: With the response that :meth:`upsert` would return.
        """

        def decide() -> Plan:
            scope = _scope(firm_id)
            return self.book.plan(self.parse(payload), scope=scope)

        return translate_refusals(_reject, decide)

    def parse(self, payload: Any) -> dict[str, Any]:
        """
        Return the patch of a payload, which may have documented text fields only.

        A null or blank trackingId counts as not provided; the outcome reports it.

        Raises:
            Rejected: With the response that :meth:`upsert` would return.
        """
        if not is_mapping(payload):
            raise _rejected("body", "must be a JSON object")
        fields, odd = split_fields(payload)
        unknown = [name for name in fields if name not in self.policy.fields] + odd
        if unknown:
            raise _rejected(display_name(unknown[0]), "is no field of a contact")
        return {name: _field_value(name, value) for name, value in fields.items()}

    def render(self, outcome: Outcome) -> dict[str, Any]:
        """Return "the full Contact object plus a result field"."""
        id, fields = outcome.contact.id, thaw(outcome.contact.fields)
        result = "created" if outcome.created else "updated"
        # Extra fields of the application do not override these two.
        return {"id": id, **fields} | {"id": id, "result": result}

    @property
    def target(self) -> Target:
        """The fields that rows are for."""
        return Target("Anduin", tuple(self.policy.fields), aliases={"id": None})

    def from_row(self, cells: Mapping[str, Cell]) -> dict[str, Any]:
        """Return the payload of a row; all fields are text."""
        return dict(cells)


def _scope(firm_id: Any) -> str:
    scope = plain_text(firm_id)
    if scope is None or not scope.strip():
        raise _rejected("firm_id", "must be the ID of a firm")
    return scope


def _field_value(name: str, value: Any) -> Any:
    if value is None and name == "trackingId":
        return None
    if not isinstance(value, str):
        raise _rejected(name, "must be a string; omit it to leave it unchanged")
    return value


def _rejected(name: str, problem: str) -> Rejected:
    message = f"{name}: {problem}"
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

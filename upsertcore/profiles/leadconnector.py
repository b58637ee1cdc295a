"""
LeadConnector: contacts of a location, by email and phone in the location's order.

Rules:
    The seeds are the vendor's page "Upsert Contact", in two editions; sentences in
    quotation marks are theirs.
    A payload is looked at as a whole before anything is decided: the answer 422 lists
    all that is wrong with it, and 400 comes only after that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, final

from upsertcore import normalize
from upsertcore.book import ContactBook
from upsertcore.draw import fresh_ids
from upsertcore.errors import CallReused, InvalidField, InvalidPolicy, Refused
from upsertcore.index import ContactIndex
from upsertcore.line import Null, field
from upsertcore.match import first_match, never
from upsertcore.merge import deep, ignore, items_by
from upsertcore.outcome import Outcome
from upsertcore.plan import plan as decision
from upsertcore.planned import Plan
from upsertcore.policy import Policy
from upsertcore.profiles._leadconnector_fields import (
    FLAG,
    NULLABLE,
    READERS,
    TEXT,
    custom_fields,
    read,
    row,
)
from upsertcore.profiles._leadconnector_forms import (
    answered,
    birth_date,
    e164,
    lower_tags,
    mailbox,
    shaped,
    split_name,
)
from upsertcore.profiles.wire import (
    Rejected,
    Response,
    answer,
    named,
    through,
    words,
    yes_or_no,
)
from upsertcore.showing import shown
from upsertcore.values import NOTHING, freeze

__all__ = ["LeadConnector"]

_KEYS = ("email", "phone")
_NO_KEY = "Pass at least one of number, email query parameter"
_PLACE = re.compile(r"(?<=customFields\.)[0-9]+")


def _policy(
    priority: tuple[str, ...], region: str | None, *, allow_duplicates: bool
) -> Policy:
    unique = {name: not allow_duplicates and name in priority for name in _KEYS}
    number = normalize.phone if region is None else normalize.phone_in(region)
    return Policy(
        # "the API matches on the first field in the configured priority sequence"
        match=first_match(*priority),
        fields={
            **{name: field(null=_null(name)) for name in (*TEXT, "dnd")},
            # Stored as its two parts; one that was not used stays to be reported.
            "name": field(merge=ignore, null="ignore", blank="ignore"),
            "email": field(
                key=normalize.email,
                unique=unique["email"],
                clean=mailbox,
                blank="ignore",
            ),
            "phone": field(
                key=number,
                unique=unique["phone"],
                clean=e164(number, region),
                blank="ignore",
            ),
            # "This field will overwrite all current tags associated with the contact."
            "tags": field(clean=lower_tags, null="reject"),
            "dateOfBirth": field(clean=birth_date, blank="reject"),
            "customFields": field(merge=items_by("id", "key"), null="reject"),
            "dndSettings": field(merge=deep, null="reject"),
            "inboundDndSettings": field(merge=deep, null="reject"),
        },
        others=ignore,
        on_many="oldest",
        # "ignores the second to prevent duplication"
        on_clash="withhold",
    )


def _null(name: str) -> Null:
    return "clear" if name in NULLABLE else "reject"


@final
class LeadConnector:
    """
    Upsert contacts as LeadConnector's API does, version 2021-07-28.

    Args:
        priority: The location's "Allow Duplicate Contact" order: email, phone, or
            both. A field that is not in it neither matches nor is kept unique.
        allow_duplicates: True where the location lets contacts share an email or a
            phone; only then is ``createNewIfDuplicateAllowed`` obeyed.
        region: The location's country, ISO 3166-1 alpha-2, in capitals; its national
            telephone numbers are then read too.
        custom_fields: The location's keys of custom fields -> their ids. A field sent
            by a key that is not here is known by its key, until it comes with an id.
        rows: Contacts to begin with, as ``book.dump()`` gives them; they may hold
            fields beside the documented ones, which no upsert touches.
        ids: As :class:`upsertcore.ContactBook`.
        clock: As :class:`upsertcore.ContactBook`.
        trace_ids: Answers the ``traceId`` of each answer; opaque and unique if None.

    Raises:
        InvalidPolicy: If the priority, the permission of duplicates or the catalogue
            of custom fields is none.

    Source:
        "Upsert Contact", LeadConnector and HighLevel API reference, and the OpenAPI
        description of contacts that the vendor publishes.

    >>> crm = LeadConnector(ids=iter(["c-1"]).__next__)
    >>> ada = {"locationId": "l1", "email": "ada@x.org", "tags": ["Lead"]}
    >>> crm.upsert(ada).body["new"]
    True
    >>> again = crm.upsert({"locationId": "l1", "email": "ADA@x.org", "tags": ["VIP"]})
    >>> again.body["new"], again.body["contact"]["id"], again.body["contact"]["tags"]
    (False, 'c-1', ['vip'])
    """

    path: tuple[str, ...] = ()
    options: Mapping[str, Callable[[str], Any]] = {
        "priority": lambda names: tuple(words(names)),
        "allow_duplicates": yes_or_no,
        "region": str,
    }

    def __init__(
        self,
        priority: Iterable[str] = _KEYS,
        *,
        allow_duplicates: bool = False,
        region: str | None = None,
        custom_fields: Mapping[str, str] = NOTHING,
        rows: Iterable[Mapping[str, Any]] = (),
        ids: Callable[[], str] | None = None,
        clock: Callable[[], datetime] | None = None,
        trace_ids: Callable[[], str] | None = None,
    ) -> None:
        self.priority = _order(priority)
        if not isinstance(allow_duplicates, bool):
            raise InvalidPolicy(
                f"allow_duplicates: must be true or false, not {allow_duplicates!r}"
            )
        self.allow_duplicates = allow_duplicates
        self.policy = _policy(self.priority, region, allow_duplicates=allow_duplicates)
        stored = map(shaped, rows)
        self.book = ContactBook.load(self.policy, stored, ids=ids, clock=clock)
        self._readers = {**READERS, "customFields": _reader(custom_fields)}
        self._trace_ids = fresh_ids() if trace_ids is None else trace_ids

    def upsert(self, payload: Any, *, idempotency_key: str | None = None) -> Response:
        """
        Create or update a contact of a location.

        ``createNewIfDuplicateAllowed`` is an instruction and no field: where
        duplicates are allowed, true creates without looking; elsewhere it is
        ignored. ``new`` in the answer says what was done.

        Args:
            payload: The JSON body; its ``locationId`` is the scope.
            idempotency_key: As ``ContactBook.upsert``; it is not the vendor's.

        Returns:
            200 and ``new``, ``contact`` and ``traceId``; 422 and the list of all that
            is wrong; 400 where there is no usable email or phone; 409 for an
            idempotency key of another call.

        Laws:
            Twice is once, but for the ``traceId`` and what a keyless call duplicates.
        """
        trace, once = self._trace(), idempotency_key

        def decide() -> Outcome:
            patch = self.parse(payload)
            scope = freeze(payload["locationId"])
            if self._creates(payload):
                return self.book.create(patch, scope=scope, idempotency_key=once)
            return self.book.upsert(patch, scope=scope, idempotency_key=once)

        return answer(decide, lambda outcome: _body(outcome, trace), _reject)

    def plan(self, payload: Any) -> Plan:
        """
        Decide what :meth:`upsert` would do.

        Where it would create without looking, the plan is made against an empty
        index: duplicates are allowed, so no key is unique, and what is stored
        already has no part in the decision. ``book.apply`` takes it as any other.

        Raises:
            Rejected: With the answer that it would give.
        """

        def decide() -> Plan:
            patch = self.parse(payload)
            scope = freeze(payload["locationId"])
            if self._creates(payload):
                nobody = ContactIndex(self.policy.by_name)
                return decision(self.policy, patch, nobody, scope=scope, match=never())
            return self.book.plan(patch, scope=scope)

        return through(_reject, decide)

    def parse(self, payload: Any) -> dict[str, Any]:
        """
        Make a patch of a payload, without ``locationId`` and what is no field.

        Returns:
            Field name to value; a ``name`` is split, custom fields are ``{id, value}``
            or ``{key, value}``.

        Raises:
            Rejected: With the answer that :meth:`upsert` would give; a phone that is
                none is refused only there.
        """
        if not isinstance(payload, Mapping):
            raise _unprocessable(["body must be an object"])
        problems: list[str] = []
        _location(payload.get("locationId"), problems)
        patch: dict[str, Any] = {}
        for name, value in payload.items():
            reader = self._readers.get(name)
            if reader is not None:
                patch[name] = read(reader, name, value, problems)
            elif name != "locationId":
                problems.append(f"property {named(name)} should not exist")
        if problems:
            raise _unprocessable(problems)
        if not any((patch.get(name) or "").strip() for name in self.priority):
            raise _bad_request(_NO_KEY)
        patch.pop(FLAG, None)
        return split_name(patch)

    def render(self, outcome: Outcome) -> dict[str, Any]:
        """
        Make the answer to an accepted payload.

        Returns:
            ``new``, ``contact`` and a fresh ``traceId``. In the contact, the names in
            lower case, the full name and the dates are derived. A custom field's value
            is text, as the vendor's schema has it: what is no text is answered as its
            JSON, and one that null has cleared is left out.
        """
        return _body(outcome, self._trace())

    def from_row(self, cells: Mapping[str, str]) -> dict[str, Any]:
        """
        Make a payload of a row of text cells.

        Args:
            cells: Column to text. ``tags`` lists words; ``customFields`` and the two
                settings are JSON; ``customField.<key>`` is one custom field. A cell
                that cannot be read so stays text, and is refused as such.

        >>> LeadConnector().from_row({"email": "ada@x.org", "dnd": "yes"})
        {'email': 'ada@x.org', 'dnd': True}
        """
        return row(cells)

    def _creates(self, payload: Mapping[str, Any]) -> bool:
        """Tell whether to create "immediately without checking for duplicates"."""
        return self.allow_duplicates and payload.get(FLAG) is True

    def _trace(self) -> str:
        drawn: Any = self._trace_ids()
        if not isinstance(drawn, str):
            raise TypeError(f"trace_ids: must answer text, not {drawn!r}")
        return drawn


def _order(priority: object) -> tuple[str, ...]:
    names = tuple(priority) if isinstance(priority, (list, tuple)) else ()
    if names not in (_KEYS, _KEYS[::-1], _KEYS[:1], _KEYS[1:]):
        raise InvalidPolicy(
            f"priority: must be email, phone or both, each once, not {shown(priority)}"
        )
    return names


def _reader(catalogue: Any) -> Any:
    pairs = catalogue.items() if isinstance(catalogue, Mapping) else [(catalogue, "")]
    for pair in pairs:
        if not all(isinstance(part, str) and part.strip() for part in pair):
            reason = f"must be keys to ids, both text, and not have {shown(pair)}"
            raise InvalidPolicy(f"custom_fields: {reason}")
    return custom_fields(dict(pairs))


def _location(value: Any, problems: list[str]) -> None:
    location = read(READERS["source"], "locationId", value, problems)
    if isinstance(location, str) and not location.strip():
        problems.append("locationId should not be empty")


def _body(outcome: Outcome, trace: str) -> dict[str, Any]:
    contact = answered(outcome.contact)
    return {"new": outcome.created, "contact": contact, "traceId": trace}


def _unprocessable(messages: list[str]) -> Rejected:
    # Where in the list an item stands says nothing about why: counted, it is noise.
    reasons = dict.fromkeys(_PLACE.sub("*", message) for message in messages)
    error = "Unprocessable Entity"
    body = {"statusCode": 422, "message": messages, "error": error}
    return Rejected(422, body, "; ".join(reasons))


def _bad_request(
    message: str, status: int = 400, error: str = "Bad Request"
) -> Rejected:
    body = {"statusCode": status, "message": message, "error": error}
    return Rejected(status, body, message)


def _reject(refusal: Refused) -> Rejected:
    match refusal:
        case InvalidField(field="phone"):
            return _bad_request(f"phone {refusal.reason}")
        case InvalidField():
            return _unprocessable([f"{refusal.field} {refusal.reason}"])
        case CallReused():
            return _bad_request(str(refusal), 409, "Conflict")
        case _:
            return _bad_request(_NO_KEY)

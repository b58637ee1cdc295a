"""
LeadConnector: contacts of a location, matched by email and phone.

Rules:
    The seeds are the vendor's page "Upsert Contact", in two editions; sentences in
    quotation marks are quoted from them.
    The whole payload is validated first: a 422 response lists all of its problems,
    and 400 is returned only for a valid payload.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, final

from upsertcore.book.contact_book import ContactBook
from upsertcore.engine.decide import decide as decision
from upsertcore.engine.outcome import Outcome
from upsertcore.engine.plan import Plan
from upsertcore.errors import InvalidPolicy
from upsertcore.matching.strategies import never
from upsertcore.policy.policy import Policy, compiled
from upsertcore.profiles._leadconnector_fields import (
    CUSTOM_PREFIX,
    FLAG,
    READERS,
    custom_fields,
    payload_from_cells,
    read_field,
)
from upsertcore.profiles._leadconnector_policy import KEYS, policy
from upsertcore.profiles._leadconnector_response import (
    NO_KEY,
    bad_request,
    check_stored,
    reject,
    render_contact,
    unprocessable,
)
from upsertcore.profiles._leadconnector_values import split_name
from upsertcore.profiles.payload import (
    check_bool,
    display_name,
    is_mapping,
    split_fields,
)
from upsertcore.profiles.profile import Response, respond, translate_refusals
from upsertcore.profiles.target import Cell, Target
from upsertcore.profiles.text_cells import parse_bool, parse_list, split_words
from upsertcore.store.contact_index import ContactIndex
from upsertcore.store.ids import fresh_ids
from upsertcore.values import NOTHING, show_value

__all__ = ["LeadConnector"]


@final
class LeadConnector:
    """
    Upserts contacts as LeadConnector's API does, version 2021-07-28.

    Args:
        priority: The location's "Allow Duplicate Contact" order: email, phone, or
            both. A field that is not in it does not match and is not unique.
        allow_duplicates: True if the location lets contacts share an email or a
            phone; otherwise ``createNewIfDuplicateAllowed`` is ignored.
        region: The location's country, ISO 3166-1 alpha-2, in upper case; its national
            telephone numbers are then accepted as well.
        custom_fields: The ids of the location's custom fields by key. A field with an
            unknown key is identified by its key until it is sent with an id.
        custom_field_text: True to return the value of a custom field as text, as the
            vendor's published schema has it: a value of another type as JSON text.
            By default it is returned as stored, a list or a number as such.
        lower_case_tags: True to store tags in lower case and without duplicates, as
            the real system is observed to do. By default they are stored as sent.
        placeholders: True to ignore a placeholder (``normalize.PLACEHOLDERS``) in
            email or phone; the outcome reports it.
        rows: Initial contacts, as ``book.dump()`` returns them; they may hold
            fields beyond the documented ones, which no upsert changes.
        ids: As :class:`upsertcore.ContactBook`.
        clock: As :class:`upsertcore.ContactBook`.
        trace_ids: Returns the ``traceId`` of a response; by default, opaque ids that
            are unique across processes.

    Raises:
        InvalidPolicy: If an option is invalid.

    Source:
        "Upsert Contact", LeadConnector and HighLevel API reference, and the OpenAPI
        description of contacts that the vendor publishes.

    >>> crm = LeadConnector(ids=iter(["c-1"]).__next__)
    >>> ada = {"locationId": "l1", "email": "ada@x.org", "tags": ["Lead"]}
    >>> crm.upsert(ada).body["new"]
    True
    >>> ada = {"locationId": "l1", "email": "ADA@x.org", "tags": ["VIP"]}
    >>> body = crm.upsert(ada).body
    >>> body["new"], body["contact"]["id"], body["contact"]["tags"]
    (False, 'c-1', ['VIP'])
    """

    path: tuple[str, ...] = ()
    options: Mapping[str, Callable[[str], Any]] = {
        "priority": lambda names: tuple(split_words(names)),
        "allow_duplicates": parse_bool,
        "region": str,
        "custom_field_text": parse_bool,
        "lower_case_tags": parse_bool,
        "placeholders": parse_bool,
    }

    def __init__(
        self,
        priority: Iterable[str] = KEYS,
        *,
        allow_duplicates: bool = False,
        region: str | None = None,
        custom_fields: Mapping[str, str] = NOTHING,
        custom_field_text: bool = False,
        lower_case_tags: bool = False,
        placeholders: bool = False,
        rows: Iterable[Mapping[str, Any]] = (),
        ids: Callable[[], str] | None = None,
        clock: Callable[[], datetime] | None = None,
        trace_ids: Callable[[], str] | None = None,
    ) -> None:
        self.priority = _order(priority)
        self.allow_duplicates = check_bool("allow_duplicates", allow_duplicates)
        self._as_text = check_bool("custom_field_text", custom_field_text)
        policy_ = policy(
            self.priority,
            region,
            allow_duplicates=self.allow_duplicates,
            lower_case_tags=check_bool("lower_case_tags", lower_case_tags),
            placeholders=placeholders,
        )
        stored = map(check_stored, rows)
        self.book = ContactBook.load(policy_, stored, ids=ids, clock=clock)
        self._readers = {**READERS, "customFields": _reader(custom_fields)}
        self._trace_ids = fresh_ids() if trace_ids is None else trace_ids

    @property
    def policy(self) -> Policy:
        """The policy of the book."""
        return self.book.policy

    def upsert(self, payload: Any, *, idempotency_key: str | None = None) -> Response:
        """
        Create or update a contact of a location.

        ``createNewIfDuplicateAllowed`` is an instruction, not a field: with
        ``allow_duplicates``, true creates a contact without matching; otherwise it is
        ignored. ``new`` in the response is true if a contact was created.

        Args:
            payload: The JSON body; its ``locationId`` is the scope.
            idempotency_key: As ``ContactBook.upsert``; not part of the vendor's API.

        Returns:
            200 with ``new``, ``contact`` and ``traceId``; 422 with the list of all
            problems; 400 without a usable email or phone; 409 for an idempotency key
            of another call.

        Laws:
            Idempotent, except for the ``traceId`` and calls that create duplicates.
        """
        trace = self._trace()

        def decide() -> Outcome:
            patch, scope, creates = self._read(payload)
            if creates:
                self._plan_create(patch, scope)
                return self.book.create(
                    patch, scope=scope, idempotency_key=idempotency_key
                )
            return self.book.upsert(patch, scope=scope, idempotency_key=idempotency_key)

        return respond(decide, lambda outcome: self._body(outcome, trace), reject)

    def plan(self, payload: Any) -> Plan:
        """
        Return the plan of an :meth:`upsert`.

        A plan that creates without matching is made against an empty index: duplicates
        are allowed, so no key is unique, and stored contacts do not affect the
        decision. ``book.apply`` accepts it like any other plan.

        Raises:
            Rejected: With the response that :meth:`upsert` would return.
        """

        def decide() -> Plan:
            patch, scope, creates = self._read(payload)
            if creates:
                return self._plan_create(patch, scope)
            return self.book.plan(patch, scope=scope)

        return translate_refusals(reject, decide)

    def parse(self, payload: Any) -> dict[str, Any]:
        """
        Return the patch of a payload, without ``locationId`` and the instruction.

        Returns:
            Field name to value; a ``name`` is split, custom fields are ``{id, value}``
            or ``{key, value}``.

        Raises:
            Rejected: With the response that :meth:`upsert` would return; an invalid
                phone is refused only there.
        """
        patch, _scope, _creates = self._read(payload)
        return patch

    def render(self, outcome: Outcome) -> dict[str, Any]:
        """
        Return the body of the response to an accepted payload.

        Returns:
            ``new``, ``contact`` and a fresh ``traceId``. The contact also has the
            names in lower case, the full name and the dates. The value of a custom
            field is the stored one, or its text under ``custom_field_text``; a field
            cleared by null is omitted.
        """
        return self._body(outcome, self._trace())

    @property
    def target(self) -> Target:
        """The fields that rows are for; ``country`` takes a code, not a name."""
        return Target(
            "LeadConnector",
            ("locationId", *self._readers),
            many={"tags": parse_list},
            prefixes=(CUSTOM_PREFIX,),
            aliases={"country": None, "country_code": "country", "opted_out": "dnd"},
        )

    def from_row(self, cells: Mapping[str, Cell]) -> dict[str, Any]:
        """
        Return the payload of a row of text cells.

        Args:
            cells: Column to text. ``tags`` is a list of words; ``customFields`` and
                the two settings are JSON; ``customField.<key>`` is one custom field.
                A cell that cannot be parsed stays text, and ``upsert`` refuses it.

        >>> LeadConnector().from_row({"email": "ada@x.org", "dnd": "yes"})
        {'email': 'ada@x.org', 'dnd': True}
        """
        return payload_from_cells(cells)

    def _read(self, payload: Any) -> tuple[dict[str, Any], str, bool]:
        """Return the patch, the scope, and whether to create without matching."""
        if not is_mapping(payload):
            raise unprocessable(["body must be an object"])
        fields, invalid = split_fields(payload)
        problems: list[str] = []
        scope = _location(fields.pop("locationId", None), problems)
        patch: dict[str, Any] = {}
        for name, value in fields.items():
            reader = self._readers.get(name)
            if reader is None:
                problems.append(f"property {display_name(name)} should not exist")
            else:
                patch[name] = read_field(reader, name, value, problems)
        problems += [
            f"property {display_name(name)} should not exist" for name in invalid
        ]
        if problems:
            raise unprocessable(problems)
        if not any((patch.get(name) or "").strip() for name in self.priority):
            raise bad_request(NO_KEY)
        creates = patch.pop(FLAG, False) and self.allow_duplicates
        return split_name(patch), scope, creates

    def _plan_create(self, patch: dict[str, Any], scope: str) -> Plan:
        """
        Return a plan to create "immediately without checking for duplicates".

        Raises:
            Rejected: If no later payload could match the contact.
        """
        empty = ContactIndex(compiled(self.policy).by_name)
        plan = decision(self.policy, patch, empty, scope=scope, match=never())
        keys = zip(self.policy.all_keys, plan.forms, strict=True)
        if not any(forms and key.name in self.priority for key, forms in keys):
            raise bad_request(NO_KEY)
        return plan

    def _body(self, outcome: Outcome, trace: str) -> dict[str, Any]:
        contact = render_contact(outcome.contact, as_text=self._as_text)
        return {"new": outcome.created, "contact": contact, "traceId": trace}

    def _trace(self) -> str:
        trace_id: Any = self._trace_ids()
        if not isinstance(trace_id, str):
            raise TypeError(f"trace_ids: must return text, not {show_value(trace_id)}")
        return trace_id


def _order(priority: object) -> tuple[str, ...]:
    names = tuple(priority) if isinstance(priority, (list, tuple)) else ()
    if names not in (KEYS, KEYS[::-1], KEYS[:1], KEYS[1:]):
        what = f"must be email, phone or both, each once, not {show_value(priority)}"
        raise InvalidPolicy(f"priority: {what}")
    return names


def _reader(catalogue: Any) -> Any:
    pairs = catalogue.items() if isinstance(catalogue, Mapping) else [(catalogue, "")]
    for pair in pairs:
        if not all(isinstance(part, str) and part.strip() for part in pair):
            reason = f"must be keys to ids, both text, and not have {show_value(pair)}"
            raise InvalidPolicy(f"custom_fields: {reason}")
    return custom_fields(dict(pairs))


def _location(value: Any, problems: list[str]) -> str:
    location = read_field(READERS["source"], "locationId", value, problems)
    if isinstance(location, str) and not location.strip():
        problems.append("locationId should not be empty")
    return location  # type: ignore[no-any-return]

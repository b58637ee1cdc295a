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

from upsertcore.book.book import ContactBook
from upsertcore.engine.decide import decide as decision
from upsertcore.engine.outcome import Outcome
from upsertcore.engine.plan import Plan
from upsertcore.errors import IdempotencyKeyReused, InvalidField, InvalidPolicy, Refused
from upsertcore.matching.strategies import never
from upsertcore.policy.policy import Policy, compiled
from upsertcore.profiles._leadconnector_answer import answered, shaped
from upsertcore.profiles._leadconnector_fields import (
    FLAG,
    READERS,
    custom_fields,
    read,
    row,
)
from upsertcore.profiles._leadconnector_forms import split_name
from upsertcore.profiles._leadconnector_policy import KEYS, policy
from upsertcore.profiles.cells import words, yes_or_no
from upsertcore.profiles.wire import (
    Rejected,
    Response,
    answer,
    described,
    flag,
    named,
    summary,
    through,
)
from upsertcore.store.ids import fresh_ids
from upsertcore.store.index import ContactIndex
from upsertcore.values import NOTHING, shown

__all__ = ["LeadConnector"]

_NO_KEY = "Pass at least one of number, email query parameter"
_PLACE = re.compile(r"(?<=customFields\.)[0-9]+")


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
        custom_field_text: True where the value of a custom field is answered as
            text, as the vendor's published schema has it: what is no text, as its
            JSON. Otherwise it is answered as it is stored: a list, a number.
        lower_case_tags: True where tags are stored in lower case and each once, as
            the real system is seen to do. Otherwise they are stored as they are sent.
        placeholders: True where a placeholder (``normalize.PLACEHOLDERS``) that is
            sent as email or phone is left out, and the outcome names it.
        rows: Contacts to begin with, as ``book.dump()`` gives them; they may hold
            fields beside the documented ones, which no upsert touches.
        ids: As :class:`upsertcore.ContactBook`.
        clock: As :class:`upsertcore.ContactBook`.
        trace_ids: Returns the ``traceId`` of each response; if None, they are opaque
            and repeat in no other process.

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
    (False, 'c-1', ['VIP'])
    """

    path: tuple[str, ...] = ()
    options: Mapping[str, Callable[[str], Any]] = {
        "priority": lambda names: tuple(words(names)),
        "allow_duplicates": yes_or_no,
        "region": str,
        "custom_field_text": yes_or_no,
        "lower_case_tags": yes_or_no,
        "placeholders": yes_or_no,
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
        self.allow_duplicates = flag("allow_duplicates", allow_duplicates)
        self._as_text = flag("custom_field_text", custom_field_text)
        table = policy(
            self.priority,
            region,
            allow_duplicates=self.allow_duplicates,
            lower_case_tags=flag("lower_case_tags", lower_case_tags),
            placeholders=placeholders,
        )
        stored = map(shaped, rows)
        self.book = ContactBook.load(table, stored, ids=ids, clock=clock)
        self._readers = {**READERS, "customFields": _reader(custom_fields)}
        self._trace_ids = fresh_ids() if trace_ids is None else trace_ids

    @property
    def policy(self) -> Policy:
        """The table; that of the book."""
        return self.book.policy

    def upsert(self, payload: Any, *, idempotency_key: str | None = None) -> Response:
        """
        Create or update a contact of a location.

        ``createNewIfDuplicateAllowed`` is an instruction and no field: where
        duplicates are allowed, true creates without looking; elsewhere it is
        ignored. ``new`` in the response reports what was done.

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
            patch, scope, creates = self._read(payload)
            if creates:
                self._unmatched(patch, scope)
                return self.book.create(patch, scope=scope, idempotency_key=once)
            return self.book.upsert(patch, scope=scope, idempotency_key=once)

        return answer(decide, lambda outcome: self._body(outcome, trace), _reject)

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
            patch, scope, creates = self._read(payload)
            if creates:
                return self._unmatched(patch, scope)
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
        patch, _scope, _creates = self._read(payload)
        return patch

    def render(self, outcome: Outcome) -> dict[str, Any]:
        """
        Make the answer to an accepted payload.

        Returns:
            ``new``, ``contact`` and a fresh ``traceId``. In the contact, the names in
            lower case, the full name and the dates are derived. A custom field's value
            is the one that is stored, a list or a number as such, or its text under
            ``custom_field_text``; one that null has cleared is left out.
        """
        return self._body(outcome, self._trace())

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

    def _read(self, payload: Any) -> tuple[dict[str, Any], str, bool]:
        """Return the patch, the scope, and whether to create without looking."""
        if not isinstance(payload, Mapping):
            raise _unprocessable(["body must be an object"])
        fields, odd = described(payload)
        problems: list[str] = []
        scope = _location(fields.pop("locationId", None), problems)
        patch: dict[str, Any] = {}
        for name, value in fields.items():
            reader = self._readers.get(name)
            if reader is None:
                problems.append(f"property {named(name)} should not exist")
            else:
                patch[name] = read(reader, name, value, problems)
        problems += [f"property {named(name)} should not exist" for name in odd]
        if problems:
            raise _unprocessable(problems)
        if not any((patch.get(name) or "").strip() for name in self.priority):
            raise _bad_request(_NO_KEY)
        creates = patch.pop(FLAG, False) and self.allow_duplicates
        return split_name(patch), scope, creates

    def _unmatched(self, patch: dict[str, Any], scope: str) -> Plan:
        """
        Decide to create "immediately without checking for duplicates".

        Raises:
            Rejected: If no later payload could find the contact.
        """
        empty = ContactIndex(compiled(self.policy).by_name)
        plan = decision(self.policy, patch, empty, scope=scope, match=never())
        keys = zip(self.policy.all_keys, plan.forms, strict=True)
        if not any(forms and key.name in self.priority for key, forms in keys):
            raise _bad_request(_NO_KEY)
        return plan

    def _body(self, outcome: Outcome, trace: str) -> dict[str, Any]:
        contact = answered(outcome.contact, as_text=self._as_text)
        return {"new": outcome.created, "contact": contact, "traceId": trace}

    def _trace(self) -> str:
        drawn: Any = self._trace_ids()
        if not isinstance(drawn, str):
            raise TypeError(f"trace_ids: must return text, not {shown(drawn)}")
        return drawn


def _order(priority: object) -> tuple[str, ...]:
    names = tuple(priority) if isinstance(priority, (list, tuple)) else ()
    if names not in (KEYS, KEYS[::-1], KEYS[:1], KEYS[1:]):
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


def _location(value: Any, problems: list[str]) -> str:
    location = read(READERS["source"], "locationId", value, problems)
    if isinstance(location, str) and not location.strip():
        problems.append("locationId should not be empty")
    return location  # type: ignore[no-any-return]


def _unprocessable(messages: list[str]) -> Rejected:
    error = "Unprocessable Entity"
    body = {"statusCode": 422, "message": messages, "error": error}
    # The place of an item is no reason: reasons are counted.
    return Rejected(422, body, summary(_PLACE.sub("*", each) for each in messages))


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
        case IdempotencyKeyReused():
            return _bad_request(str(refusal), 409, "Conflict")
        case _:
            return _bad_request(_NO_KEY)

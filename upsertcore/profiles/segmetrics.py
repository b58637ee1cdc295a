"""
SegMetrics: contacts of an account's integration, matched by contact_id.

Rules:
    The seed is the vendor's section "Add or Update Contact"; behaviour beyond it is
    an option, off by default.
    All invalid fields are reported, not only the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, final
from urllib.parse import quote

import attrs

from upsertcore.book.contact_book import ContactBook
from upsertcore.engine.outcome import Outcome
from upsertcore.engine.plan import Plan
from upsertcore.errors import (
    InvalidField,
    InvalidPolicy,
    MissingField,
    NoMatchKey,
    Refused,
    StalePlan,
)
from upsertcore.model.contact import Contact
from upsertcore.policy.policy import Policy, compiled
from upsertcore.profiles._segmetrics_fields import KEYS, field_problem, policy, readers
from upsertcore.profiles.payload import (
    check_bool,
    display_name,
    is_mapping,
    join_messages,
    plain_text,
    split_fields,
)
from upsertcore.profiles.profile import Rejected, Response, respond, translate_refusals
from upsertcore.profiles.target import Cell, Target
from upsertcore.profiles.text_cells import parse_bool, parse_json_cell, parse_list
from upsertcore.values import FrozenMap, show_value, thaw

__all__ = ["SegMetrics"]

_MAX_ATTEMPTS = 100
_CUSTOM_PREFIX = "custom_fields."


@final
class SegMetrics:
    """
    Upserts contacts as SegMetrics does.

    Args:
        match_email: The vendor's later rule: contact_id or email suffices, to match
            and to create; contact_id is matched first, and a new contact_id with the
            email of an existing contact replaces the contact_id of that contact.
        ordered: True to ignore a payload whose ``last_updated`` is older than the
            stored one; a payload without it is applied. Not the vendor's rule.
        custom_fields: True to accept ``custom_fields``, from the vendor's later pages:
            an object, merged by name, in which null removes a name.
        default_status: The ``status`` of a contact created without one, also from the
            later pages, which use ``"active"``; None if ``status`` is not a field.
        placeholders: True to ignore a placeholder (``normalize.PLACEHOLDERS``) in
            contact_id or email; the outcome reports it.
        rows: Initial contacts, as ``book.dump()`` returns them.
        ids: As :class:`upsertcore.ContactBook`.
        clock: As :class:`upsertcore.ContactBook`.

    Source:
        "Add or Update Contact", SegMetrics import API.

    >>> segmetrics = SegMetrics()
    >>> place = {"account_id": "a1", "integration_id": "i1"}
    >>> segmetrics.upsert({"contact_id": 249, "email": "joey@x.org"}, **place).body
    {'status': 'success', 'contact': {'contact_id': 249, 'email': 'joey@x.org'}}
    >>> segmetrics.upsert({"email": "joey"}, **place).body["errors"]
    ... # doctest: +NORMALIZE_WHITESPACE
    ['contact_id: is required',
     'email: must be an email address such as ada@example.org']
    """

    path = ("account_id", "integration_id")
    options: Mapping[str, Callable[[str], Any]] = {
        "match_email": parse_bool,
        "ordered": parse_bool,
        "custom_fields": parse_bool,
        "default_status": str,
        "placeholders": parse_bool,
    }

    def __init__(
        self,
        *,
        match_email: bool = False,
        ordered: bool = False,
        custom_fields: bool = False,
        default_status: str | None = None,
        placeholders: bool = False,
        rows: Iterable[Mapping[str, Any]] = (),
        ids: Callable[[], str] | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        if (
            default_status is not None
            and not (plain_text(default_status) or "").strip()
        ):
            problem = "must be text that is not blank, or None"
            raise InvalidPolicy(
                f"default_status: {problem}, not {show_value(default_status)}"
            )
        self._read = readers(
            custom_fields=check_bool("custom_fields", custom_fields),
            default_status=default_status,
        )
        policy_ = policy(
            KEYS if check_bool("match_email", match_email) else KEYS[:1],
            self._read,
            default_status=default_status,
            placeholders=placeholders,
        )
        self.book = ContactBook.load(policy_, rows, ids=ids, clock=clock)
        self._ordered = check_bool("ordered", ordered)

    @property
    def policy(self) -> Policy:
        """The policy of the book."""
        return self.book.policy

    def upsert(self, payload: Any, *, account_id: Any, integration_id: Any) -> Response:
        """
        Create or update a contact of an integration.

        Args:
            payload: The JSON body.
            account_id: The account; the scope is account and integration.
            integration_id: The integration.

        Returns:
            200 with the contact, or 400 with a message for each invalid field. The
            response to a stale payload has the unchanged contact; in the outcome,
            every field of the payload is ignored as ``stale``.

        Raises:
            RuntimeError: With ``ordered``, if ``ids`` or ``clock`` change the contact
                each time that they are called.

        Laws:
            Idempotent: the second call returns an equal response.
        """

        def decide() -> Outcome:
            scope = _scope(account_id=account_id, integration_id=integration_id)
            patch = self.parse(payload)
            if self._ordered:
                return self._upsert_ordered(patch, scope)
            return self.book.upsert(patch, scope=scope)

        return respond(decide, self.render, _reject)

    def plan(self, payload: Any, *, account_id: Any, integration_id: Any) -> Plan:
        """
        Return the plan of an :meth:`upsert`.

        Raises:
            Rejected: With the response that :meth:`upsert` would return.
        """

        def decide() -> Plan:
            scope = _scope(account_id=account_id, integration_id=integration_id)
            return self._plan(self.parse(payload), scope)

        return translate_refusals(_reject, decide)

    def parse(self, payload: Any) -> dict[str, Any]:
        """
        Return the patch of a payload: the documented fields, validated.

        Raises:
            Rejected: With the response that :meth:`upsert` would return.
        """
        if not is_mapping(payload):
            raise _rejected(["body: must be a JSON object"])
        fields, invalid = split_fields(payload)
        errors = [*self._missing(fields)]
        for name, value in fields.items():
            problem = field_problem(self._read, name, value)
            if problem:
                errors.append(f"{display_name(name)}: {problem}")
        errors += [
            f"{display_name(name)}: is no field of a contact" for name in invalid
        ]
        if errors:
            raise _rejected(errors)
        return fields

    def render(self, outcome: Outcome) -> dict[str, Any]:
        """Return the contact with all of its stored fields."""
        return {"status": "success", "contact": thaw(outcome.contact.fields)}

    @property
    def target(self) -> Target:
        """The fields that rows are for."""
        custom = "custom_fields" in self.policy.fields
        return Target(
            "SegMetrics",
            tuple(self.policy.fields),
            many={"tags": parse_list},
            prefixes=(_CUSTOM_PREFIX,) if custom else (),
            aliases={"id": "contact_id"},
        )

    def from_row(self, cells: Mapping[str, Cell]) -> dict[str, Any]:
        """
        Return the payload of a row.

        Tags are a JSON list or words; custom fields are a JSON object, columns such as
        ``custom_fields.plan``, or both.
        """
        payload: dict[str, Any] = {}
        columns: dict[str, Any] = {}
        for name, cell in cells.items():
            custom_name = name.removeprefix(_CUSTOM_PREFIX)
            if custom_name not in ("", name):
                columns[custom_name] = cell
            elif not isinstance(cell, str):
                payload[name] = cell
            elif name == "tags":
                payload[name] = parse_list(cell)
            elif name == "custom_fields":
                custom = parse_json_cell(cell)
                payload[name] = custom if isinstance(custom, dict) else cell
            else:
                payload[name] = cell
        custom = payload.get("custom_fields", {})
        if columns and isinstance(custom, dict):
            payload["custom_fields"] = {**custom, **columns}
        return payload

    def _missing(self, payload: Mapping[str, Any]) -> Iterable[str]:
        required = compiled(self.policy).required
        yield from (f"{name}: is required" for name in required if name not in payload)
        if not required and not any(name in payload for name in KEYS):
            yield "contact_id: is required where there is no email"
            yield "email: is required where there is no contact_id"

    def _plan(self, patch: dict[str, Any], scope: str) -> Plan:
        plan = self.book.plan(patch, scope=scope)
        before = plan.before
        if self._ordered and before is not None and _older(patch, before):
            return _stale(plan, before, patch)
        return plan

    def _upsert_ordered(self, patch: dict[str, Any], scope: str) -> Outcome:
        """Plan and apply until the plan is not stale."""
        for _ in range(_MAX_ATTEMPTS):
            try:
                return self.book.apply(self._plan(patch, scope))
            except StalePlan:
                continue
        raise RuntimeError(
            f"the contact changed {_MAX_ATTEMPTS} times during one call; "
            "check that ids and clock do not write to the book"
        )


def _older(patch: Mapping[str, Any], before: Contact) -> bool:
    # One format and one time zone: text order is time order.
    update, stored = patch.get("last_updated"), before.get("last_updated")
    return isinstance(update, str) and isinstance(stored, str) and update < stored


def _stale(plan: Plan, before: Contact, patch: Mapping[str, Any]) -> Plan:
    """Return a plan that leaves the contact unchanged, with the reason."""
    return attrs.evolve(
        plan,
        result="unchanged",
        after=before.fields,
        withheld=(),
        ignored=FrozenMap(dict.fromkeys(patch, "stale")),
        forms=tuple(key.forms(before.fields) for key in plan.policy.all_keys),
    )


def _scope(**path: Any) -> str:
    parts = {name: plain_text(part) or "" for name, part in path.items()}
    blank = [name for name, part in parts.items() if not part.strip()]
    if blank:
        raise _rejected([f"{name}: must be text that is not blank" for name in blank])
    # Percent-encoding leaves no "/" in a part, so two pairs never share a scope.
    return "/".join([_encoded(part) for part in parts.values()])


def _encoded(part: str) -> str:
    return part if part.isascii() and part.isalnum() else quote(part, safe="")


def _rejected(errors: list[str]) -> Rejected:
    body = {"status": "error", "errors": errors}
    return Rejected(400, body, join_messages(errors))


def _reject(refusal: Refused) -> Rejected:
    # After parse, a placeholder may have been ignored, and a loaded row may have a
    # value that is not compatible with the patch.
    match refusal:
        case InvalidField():
            return _rejected([f"{refusal.field}: {refusal.reason}"])
        case MissingField():
            return _rejected(
                [f"{refusal.field}: is required; send a value that is no placeholder"]
            )
        case NoMatchKey():
            problem = "must identify a contact; it is missing or a placeholder"
            return _rejected([f"{name}: {problem}" for name in refusal.tried])
        case _:
            return _rejected(["contact: is refused"])

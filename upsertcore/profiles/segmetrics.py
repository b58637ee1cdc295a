"""
SegMetrics: contacts of an account's integration, by contact_id.

Rules:
    The seed is the vendor's section "Add or Update Contact"; what is not its rule is
    an option, off by default.
    Every offending field is reported, not the first one alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, final
from urllib.parse import quote

import attrs

from upsertcore.book.book import ContactBook
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
from upsertcore.profiles._segmetrics_fields import KEYS, complaint, policy, readers
from upsertcore.profiles.cells import as_json, listed, yes_or_no
from upsertcore.profiles.wire import (
    Rejected,
    Response,
    answer,
    described,
    flag,
    named,
    summary,
    text_of,
    through,
)
from upsertcore.values import FrozenMap, shown, thaw

__all__ = ["SegMetrics"]

_ATTEMPTS = 100


@final
class SegMetrics:
    """
    Upsert contacts as SegMetrics does.

    Args:
        match_email: The vendor's later rule: contact_id or email suffices, to match
            and to create; contact_id is asked first, and a known email with a new
            contact_id gives that contact the new one.
        ordered: A payload whose ``last_updated`` is older than the stored one
            changes nothing; one without it is applied. Not the vendor's rule.
        custom_fields: True where ``custom_fields``, of the vendor's later pages, is a
            field: an object, merged name by name, in which null removes a name.
        default_status: The ``status`` of a contact that is created without one, also
            of the later pages, which have ``"active"``; None where it is no field.
        placeholders: True where a placeholder (``normalize.PLACEHOLDERS``) that is
            sent as contact_id or email is left out, and the outcome names it.
        rows: Contacts to begin with, as ``book.dump()`` gives them.
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
        "match_email": yes_or_no,
        "ordered": yes_or_no,
        "custom_fields": yes_or_no,
        "default_status": str,
        "placeholders": yes_or_no,
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
        if default_status is not None and not (text_of(default_status) or "").strip():
            what = "must be text that is not blank, or None"
            raise InvalidPolicy(f"default_status: {what}, not {shown(default_status)}")
        self._read = readers(
            custom_fields=flag("custom_fields", custom_fields),
            default_status=default_status,
        )
        table = policy(
            KEYS if flag("match_email", match_email) else KEYS[:1],
            self._read,
            default_status=default_status,
            placeholders=placeholders,
        )
        self.book = ContactBook.load(table, rows, ids=ids, clock=clock)
        self._ordered = flag("ordered", ordered)

    @property
    def policy(self) -> Policy:
        """The table; that of the book."""
        return self.book.policy

    def upsert(self, payload: Any, *, account_id: Any, integration_id: Any) -> Response:
        """
        Create or update a contact of an integration.

        Args:
            payload: The JSON body.
            account_id: With the integration, the scope.
            integration_id: With the account, the scope.

        Returns:
            200 and the contact, or 400 and a line for each offending field. A stale
            payload is answered with the contact as it is; in the outcome every field
            that it sent is ignored as ``stale``.

        Raises:
            RuntimeError: If the application's ids or clock write to the contact each
                time that they are called, under ``ordered``.

        Laws:
            Twice is once, and the answers are equal.
        """

        def decide() -> Outcome:
            scope = _scope(account_id=account_id, integration_id=integration_id)
            patch = self.parse(payload)
            if self._ordered:
                return self._in_order(patch, scope)
            return self.book.upsert(patch, scope=scope)

        return answer(decide, self.render, _reject)

    def plan(self, payload: Any, *, account_id: Any, integration_id: Any) -> Plan:
        """
        Decide what :meth:`upsert` would do.

        Raises:
            Rejected: With the answer that it would give.
        """

        def decide() -> Plan:
            scope = _scope(account_id=account_id, integration_id=integration_id)
            return self._plan(self.parse(payload), scope)

        return through(_reject, decide)

    def parse(self, payload: Any) -> dict[str, Any]:
        """
        Make a patch of a payload: the documented fields, each looked at.

        Raises:
            Rejected: With the answer that :meth:`upsert` would give.
        """
        if not isinstance(payload, Mapping):
            raise _rejected(["body: must be a JSON object"])
        fields, odd = described(payload)
        errors = [*self._missing(fields)]
        for name, value in fields.items():
            what = complaint(self._read, name, value)
            if what:
                errors.append(f"{named(name)}: {what}")
        errors += [f"{named(name)}: is no field of a contact" for name in odd]
        if errors:
            raise _rejected(errors)
        return fields

    def render(self, outcome: Outcome) -> dict[str, Any]:
        """Return the contact with all of its stored fields."""
        return {"status": "success", "contact": thaw(outcome.contact.fields)}

    def from_row(self, cells: Mapping[str, str]) -> dict[str, Any]:
        """
        Make a payload of a row.

        Tags are a JSON list or words; custom fields, where they are taken, are a
        JSON object, columns such as ``custom_fields.plan``, or both.
        """
        payload: dict[str, Any] = {}
        columns: dict[str, Any] = {}
        for name, cell in cells.items():
            custom_name = name.removeprefix("custom_fields.")
            if custom_name not in ("", name):
                columns[custom_name] = cell
            elif name == "tags":
                payload[name] = listed(cell)
            elif name == "custom_fields":
                whole = as_json(cell)
                payload[name] = whole if isinstance(whole, dict) else cell
            else:
                payload[name] = cell
        whole = payload.get("custom_fields", {})
        if columns and isinstance(whole, dict):
            payload["custom_fields"] = {**whole, **columns}
        return payload

    def _missing(self, payload: Mapping[str, Any]) -> Iterable[str]:
        needed = compiled(self.policy).required
        yield from (f"{name}: is required" for name in needed if name not in payload)
        if not needed and not any(name in payload for name in KEYS):
            yield "contact_id: is required where there is no email"
            yield "email: is required where there is no contact_id"

    def _plan(self, patch: dict[str, Any], scope: str) -> Plan:
        plan = self.book.plan(patch, scope=scope)
        before = plan.before
        if self._ordered and before is not None and _older(patch, before):
            return _stale(plan, before, patch)
        return plan

    def _in_order(self, patch: dict[str, Any], scope: str) -> Outcome:
        """Apply a plan that still holds: no newer payload came after it was made."""
        for _ in range(_ATTEMPTS):
            try:
                return self.book.apply(self._plan(patch, scope))
            except StalePlan:
                continue
        raise RuntimeError(
            f"the contact changed {_ATTEMPTS} times during one call; "
            "do its ids or clock write to it?"
        )


def _older(patch: Mapping[str, Any], before: Contact) -> bool:
    # One layout and one zone: the order of the text is that of the times.
    sent, stored = patch.get("last_updated"), before.get("last_updated")
    return isinstance(sent, str) and isinstance(stored, str) and sent < stored


def _stale(plan: Plan, before: Contact, patch: Mapping[str, Any]) -> Plan:
    """Return a plan that leaves the contact as it is, with the reason."""
    return attrs.evolve(
        plan,
        result="unchanged",
        after=before.fields,
        withheld=(),
        ignored=FrozenMap(dict.fromkeys(patch, "stale")),
        forms=tuple(key.forms(before.fields) for key in plan.policy.all_keys),
    )


def _scope(**path: Any) -> str:
    parts = {name: text_of(part) or "" for name, part in path.items()}
    blank = [name for name, part in parts.items() if not part.strip()]
    if blank:
        raise _rejected([f"{name}: must be text that is not blank" for name in blank])
    # Percent-encoding leaves no "/" within a part, so no two pairs are one scope.
    return "/".join(quote(part, safe="") for part in parts.values())


def _rejected(errors: list[str]) -> Rejected:
    body = {"status": "error", "errors": errors}
    return Rejected(400, body, summary(errors))


def _reject(refusal: Refused) -> Rejected:
    # Past parse a placeholder may have been left out, and a value of a loaded row may
    # not take what is sent.
    match refusal:
        case InvalidField():
            return _rejected([f"{refusal.field}: {refusal.reason}"])
        case MissingField():
            return _rejected(
                [f"{refusal.field}: is required; send a value that is no placeholder"]
            )
        case NoMatchKey():
            what = "must identify a contact; it is missing or a placeholder"
            return _rejected([f"{name}: {what}" for name in refusal.tried])
        case _:
            return _rejected(["contact: is refused"])

"""
SalesforceIQ: contacts of an organisation, by any of their email addresses.

Rules:
    The seed is the vendor's section "Upsert an Contact"; where its curl line and its
    table of parameters disagree, the table wins.
    A property is a list of items, ``{"value": text, "metadata": {name: text}}``, and
    the set of properties is open; ``parse`` alone looks at the shape of items.
    422 is for a contact of the wrong shape, 400 for all else that is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, final

from upsertcore import normalize
from upsertcore.book.book import ContactBook
from upsertcore.engine.outcome import Outcome
from upsertcore.engine.plan import Plan
from upsertcore.errors import InvalidField, Refused
from upsertcore.matching.strategies import first_match
from upsertcore.normalize import Normalizer
from upsertcore.policy.fields import field
from upsertcore.policy.policy import Policy
from upsertcore.profiles.cells import yes_or_no
from upsertcore.profiles.wire import (
    Rejected,
    Response,
    answer,
    blocked_values,
    described,
    named,
    need,
    text_of,
    through,
)
from upsertcore.rules import ignore, replace
from upsertcore.values import freeze, thaw

__all__ = ["SalesforceIQ"]

_SAYS = {
    400: "The request cannot be understood.",
    422: "The contact does not have the right shape.",
}


def _policy(phone: Normalizer, *, placeholders: bool) -> Policy:
    blocked = blocked_values(placeholders=placeholders)
    return Policy(
        match=first_match("email"),
        fields={
            # The body's id is read-only: the query says that email decides.
            "id": field(rule=ignore),
            "email": field(key=_mailbox, blocked=blocked),
            "phone": field(clean=_canonical(phone)),
        },
        extra_fields=field(rule=replace),
        on_ambiguous="oldest",
        on_blocked="ignore",
    )


@final
class SalesforceIQ:
    """
    Upsert contacts as SalesforceIQ does.

    Args:
        region: Reads national telephone numbers too, as those of this region (ISO
            3166-1, ``"US"``); without it they are stored as typed.
        placeholders: True where an address that is a placeholder
            (``normalize.PLACEHOLDERS``) is left out, and the outcome names it.
        rows: Contacts to begin with, as ``book.dump()`` gives them.
        ids: As :class:`upsertcore.ContactBook`.
        clock: As :class:`upsertcore.ContactBook`.

    Raises:
        ModuleNotFoundError: If there is a region and no package ``phonenumbers``.
        ValueError: If the region is unknown.

    Source:
        "Upsert an Contact", SalesforceIQ API reference, version 2.

    >>> salesforceiq = SalesforceIQ(ids=iter(["56e9"]).__next__)
    >>> mail, call = [{"value": "ray@x.org"}], [{"value": "+1 415-487-3698"}]
    >>> payload = {"properties": {"email": mail, "phone": call}}
    >>> salesforceiq.upsert(payload).body  # doctest: +NORMALIZE_WHITESPACE
    {'id': '56e9',
     'properties': {'email': [{'value': 'ray@x.org', 'metadata': {}}],
                    'phone': [{'value': '+14154873698',
                               'metadata': {'raw_val': '+1 415-487-3698'}}]}}
    """

    path = ("_upsert", "organisation")
    column_prefix = "properties."
    options: Mapping[str, Callable[[str], Any]] = {
        "region": str,
        "placeholders": yes_or_no,
    }

    def __init__(
        self,
        *,
        region: str | None = None,
        placeholders: bool = False,
        rows: Iterable[Mapping[str, Any]] = (),
        ids: Callable[[], str] | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        phone = normalize.phone if region is None else normalize.phone_in(region)
        table = _policy(phone, placeholders=placeholders)
        self.book = ContactBook.load(table, rows, ids=ids, clock=clock)

    @property
    def policy(self) -> Policy:
        """The table; that of the book."""
        return self.book.policy

    def upsert(
        self, payload: Any, *, _upsert: Any = "email", organisation: Any = ""
    ) -> Response:
        """
        Create or update a contact of an organisation.

        Args:
            payload: The JSON body.
            _upsert: "The only value this parameter may have is "email"." The page's
                own curl line has an address here; its table of parameters counts.
            organisation: Whose contacts they are: the scope.

        Returns:
            200 and the contact, 400 for a query or body that cannot be understood
            and for a contact without an email address, 422 for a wrong shape.

        Laws:
            Twice is once, and the answers are equal.
        """

        def decide() -> Outcome:
            scope = _scope(_upsert, organisation)
            return self.book.upsert(self.parse(payload), scope=scope)

        return answer(decide, self.render, _reject)

    def plan(
        self, payload: Any, *, _upsert: Any = "email", organisation: Any = ""
    ) -> Plan:
        """
        Decide what :meth:`upsert` would do.

        Raises:
            Rejected: With the answer that it would give.
        """

        def decide() -> Plan:
            scope = _scope(_upsert, organisation)
            return self.book.plan(self.parse(payload), scope=scope)

        return through(_reject, decide)

    def parse(self, payload: Any) -> dict[str, Any]:
        """
        Make a patch of a payload: its properties and, to be ignored, its ``id``.

        Returns:
            Property name to items, null for an empty list, which clears. A property
            that is called ``id`` is refused, because it has the name of the id.

        Raises:
            Rejected: With the answer that :meth:`upsert` would give.
        """
        if not isinstance(payload, Mapping):
            raise _rejected(400, "body", "must be a JSON object")
        fields, odd = described(payload)
        unknown = [name for name in fields if name not in ("id", "properties")] + odd
        if unknown:
            what = "is no part of a contact, which has id and properties"
            raise _rejected(422, named(unknown[0]), what)
        patch = {"id": _id(fields["id"])} if "id" in fields else {}
        properties = fields.get("properties")
        if not isinstance(properties, Mapping):
            what = "must be an object of names and lists of items"
            raise _rejected(422, "properties", what)
        lists, odd = described(properties)
        if odd or not all(name.strip() for name in lists):
            raise _rejected(422, "properties", "must have names that are not blank")
        for name, value in lists.items():
            patch[name] = _property(name, value)
        return patch

    def render(self, outcome: Outcome) -> dict[str, Any]:
        """Return the contact as the seed shows it: ``id`` and ``properties``."""
        contact = outcome.contact
        return {"id": contact.id, "properties": thaw(contact.fields)}

    def from_row(self, cells: Mapping[str, str]) -> dict[str, Any]:
        """
        Make a payload of a row.

        A cell may hold several emails, separated by ``;`` or ``,``, and several
        phones, separated by ``;``. The column ``properties.organisation`` is the
        property ``organisation``.
        """
        properties: dict[str, list[Any]] = {}
        for column, cell in cells.items():
            name = column.removeprefix(self.column_prefix)
            if column != "id":
                values = [{"value": value} for value in _values(name, cell)]
                properties[name] = properties.get(name, []) + values
        body: dict[str, Any] = {"id": cells["id"]} if "id" in cells else {}
        return {**body, "properties": properties}


# No address holds a comma, and a comma in a number means a pause.
_SEPARATORS = {"email": re.compile("[;,]"), "phone": re.compile(";")}


def _values(name: str, cell: str) -> list[str]:
    separator = _SEPARATORS.get(name)
    if separator is None:
        return [cell]
    return [value.strip() for value in separator.split(cell) if value.strip()]


def _scope(_upsert: Any, organisation: Any) -> str:
    if text_of(_upsert) != "email":
        what = "must be the word email; send the addresses in the body"
        raise _rejected(400, "_upsert", what)
    scope = text_of(organisation)
    if scope is None:
        raise _rejected(400, "organisation", "must be text")
    return scope


def _id(value: Any) -> Any:
    if value is not None and text_of(value) is None:
        raise _rejected(422, "id", "must be a string")
    return value


def _property(name: str, value: Any) -> list[dict[str, Any]] | None:
    if name == "id":
        what = "must not be a property; send it beside properties"
        raise _rejected(422, "properties.id", what)
    try:
        items = _items(value)
        if name == "email":
            # A contact of two addresses has two items in the seed; one value with
            # both would be found by neither.
            one = all(item["value"].count("@") <= 1 for item in items)
            need(one, "must have one address in the value of each item")
    except ValueError as error:
        raise _rejected(422, f"properties.{named(name)}", str(error)) from error
    return items or None


def _items(value: Any) -> list[dict[str, Any]]:
    need(isinstance(value, (list, tuple)), "must be an array")
    return [_item(item) for item in value]


def _item(item: Any) -> dict[str, Any]:
    need(isinstance(item, Mapping), "must be an array of objects")
    parts, odd = described(item)
    alone = not odd and parts.keys() <= {"value", "metadata"}
    need(alone, "must be an array of objects of value and metadata alone")
    value, metadata = parts.get("value"), parts.get("metadata", {})
    need(isinstance(value, str), "must have a string for the value of each item")
    need(isinstance(metadata, Mapping), "must have an object for the metadata")
    words, odd = described(metadata)
    need(not odd, "must have text for the names of metadata")
    texts = {name: _word(word) for name, word in words.items()}
    return {"value": freeze(value), "metadata": texts}


def _word(value: Any) -> str:
    """Return a value of metadata as text: true is ``"true"``."""
    frozen = freeze(value) if isinstance(value, (str, int, float)) else None
    # True and false are whole numbers here.
    need(frozen is not None, "must have text, numbers, true or false for metadata")
    return frozen if isinstance(frozen, str) else json.dumps(frozen)


def _mailbox(item: Any) -> str | None:
    """Compare items by their address; plain text too, for ``book.find``."""
    return normalize.email(item.get("value") if isinstance(item, Mapping) else item)


def _canonical(phone: Normalizer) -> Callable[[Any], list[dict[str, Any]]]:
    """Make what stores numbers canonical and keeps the typed form beside them."""

    def clean(items: Any) -> list[dict[str, Any]]:
        return [number(**item) for item in _items(items)]

    def number(value: str, metadata: dict[str, str]) -> dict[str, Any]:
        form = phone(value)
        if form is None or form == value:
            return {"value": value, "metadata": metadata}
        return {"value": form, "metadata": {"raw_val": value, **metadata}}

    return clean


def _rejected(status: int, name: str, what: str) -> Rejected:
    reason = f"{name}: {what}"
    body = {
        "statusCode": status,
        "userMessage": _SAYS[status],
        "errorMessage": reason,
    }
    return Rejected(status, body, reason)


def _reject(refusal: Refused) -> Rejected:
    # Past parse the policy refuses what no field can hold, and a contact without
    # an address that could be looked up.
    if isinstance(refusal, InvalidField):
        return _rejected(422, f"properties.{named(refusal.field)}", refusal.reason)
    what = "send an email address: the contact is matched by it"
    return _rejected(400, "properties.email", what)

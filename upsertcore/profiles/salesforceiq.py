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
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, final

from upsertcore import normalize
from upsertcore.book import ContactBook
from upsertcore.errors import InvalidField, Refused
from upsertcore.line import field
from upsertcore.match import first_match
from upsertcore.merge import ignore, replace
from upsertcore.normalize import Normalizer
from upsertcore.outcome import Outcome
from upsertcore.planned import Plan
from upsertcore.policy import Policy
from upsertcore.profiles.wire import (
    Rejected,
    Response,
    answer,
    is_text,
    named,
    need,
    through,
)
from upsertcore.values import freeze, thaw

__all__ = ["SalesforceIQ"]

_SAYS = {
    400: "The request cannot be understood.",
    422: "The contact does not have the right shape.",
}


def _policy(phone: Normalizer) -> Policy:
    return Policy(
        match=first_match("email"),
        fields={
            # The body's id names nobody: the query says that email decides.
            "id": field(merge=ignore),
            "email": field(key=_mailbox),
            "phone": field(clean=_canonical(phone)),
        },
        others=replace,
        on_many="oldest",
    )


@final
class SalesforceIQ:
    """
    Upsert contacts as SalesforceIQ does.

    Args:
        region: Reads national telephone numbers too, as those of this region (ISO
            3166-1, ``"US"``); without it they are stored as typed.
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
    options: Mapping[str, Callable[[str], Any]] = {"region": str}

    def __init__(
        self,
        *,
        region: str | None = None,
        rows: Iterable[Mapping[str, Any]] = (),
        ids: Callable[[], str] | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        phone = normalize.phone if region is None else normalize.phone_in(region)
        self.policy = _policy(phone)
        self.book = ContactBook.load(self.policy, rows, ids=ids, clock=clock)

    def upsert(
        self, payload: Any, *, _upsert: Any = "email", organisation: Any = ""
    ) -> Response:
        """
        Create or update a contact of an organisation.

        Args:
            payload: The JSON body.
            _upsert: "The only value this parameter may have is "email"."
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
            that is called ``id`` is refused, for it could not be told from the id.

        Raises:
            Rejected: With the answer that :meth:`upsert` would give.
        """
        if not isinstance(payload, Mapping):
            raise _rejected(400, "body", "must be a JSON object")
        for name in payload:
            if name not in ("id", "properties"):
                what = "is no part of a contact, which has id and properties"
                raise _rejected(422, named(name), what)
        patch = {"id": _id(payload["id"])} if "id" in payload else {}
        properties = payload.get("properties")
        if not isinstance(properties, Mapping):
            what = "must be an object of names and lists of items"
            raise _rejected(422, "properties", what)
        for name, value in properties.items():
            patch[_name(name)] = _property(name, value)
        return patch

    def render(self, outcome: Outcome) -> dict[str, Any]:
        """Give the contact as the seed shows it: ``id`` and ``properties``."""
        contact = outcome.contact
        return {"id": contact.id, "properties": thaw(contact.fields)}

    def from_row(self, cells: Mapping[str, str]) -> dict[str, Any]:
        """Make a payload of a row; ``;`` parts several emails or phones of a cell."""
        properties = {
            name: [{"value": value} for value in _values(name, cell)]
            for name, cell in cells.items()
            if name != "id"
        }
        body: dict[str, Any] = {"id": cells["id"]} if "id" in cells else {}
        return {**body, "properties": properties}


def _values(name: str, cell: str) -> list[str]:
    if name not in ("email", "phone"):
        return [cell]
    return [value.strip() for value in cell.split(";") if value.strip()]


def _scope(_upsert: Any, organisation: Any) -> str:
    if _upsert != "email":
        what = "must be the word email; the addresses stand in the body"
        raise _rejected(400, "_upsert", what)
    if not is_text(organisation):
        raise _rejected(400, "organisation", "must be text")
    return str(organisation)


def _id(value: Any) -> Any:
    if value is not None and not is_text(value):
        raise _rejected(422, "id", "must be a string")
    return value


def _name(name: Any) -> str:
    if not is_text(name) or not name.strip():
        raise _rejected(422, "properties", "must have names that are not blank")
    if name == "id":
        what = "is no property; the id stands beside the properties"
        raise _rejected(422, "properties.id", what)
    return str(name)


def _property(name: str, value: Any) -> list[dict[str, Any]] | None:
    try:
        return _items(value) or None
    except ValueError as error:
        raise _rejected(422, f"properties.{named(name)}", str(error)) from error


def _items(value: Any) -> list[dict[str, Any]]:
    need(isinstance(value, (list, tuple)), "must be an array")
    return [_item(item) for item in value]


def _item(item: Any) -> dict[str, Any]:
    need(isinstance(item, Mapping), "must be an array of objects")
    alone = all(part in ("value", "metadata") for part in item)
    need(alone, "must be an array of objects of value and metadata alone")
    value, metadata = item.get("value"), item.get("metadata", {})
    need(isinstance(value, str), "must have a string for the value of each item")
    need(isinstance(metadata, Mapping), "must have an object for the metadata")
    return {"value": value, "metadata": dict(map(_word, metadata.items()))}


def _word(pair: tuple[Any, Any]) -> tuple[str, str]:
    """Say a value of metadata as text: true is ``"true"``."""
    name, value = pair
    need(isinstance(name, str), "must have text for the names of metadata")
    if isinstance(value, str):
        return name, value
    number = isinstance(value, (int, float))  # true and false are ints
    need(number, "must have text, numbers, true or false for metadata")
    return name, json.dumps(freeze(value))


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

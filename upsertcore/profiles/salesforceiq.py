"""
SalesforceIQ: contacts of an organisation, matched by any of their email addresses.

Rules:
    The seed is the vendor's section "Upsert an Contact"; where its curl line and its
    table of parameters disagree, the table applies.
    A property is a list of items, ``{"value": text, "metadata": {name: text}}``, and
    the set of properties is open; only ``parse`` validates the items.
    422 is returned for a malformed contact, 400 for every other refusal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from operator import is_
from typing import Any, final

from upsertcore import normalize
from upsertcore.book.contact_book import ContactBook
from upsertcore.engine.outcome import Outcome
from upsertcore.engine.plan import Plan
from upsertcore.errors import InvalidField, Refused
from upsertcore.matching.strategies import first_match
from upsertcore.normalize import Normalizer
from upsertcore.normalize.normalizer import ParameterNormalizer
from upsertcore.policy.fields import field
from upsertcore.policy.policy import Policy
from upsertcore.profiles.payload import (
    blocked_values,
    display_name,
    is_mapping,
    plain_text,
    require,
    split_fields,
)
from upsertcore.profiles.profile import Rejected, Response, respond, translate_refusals
from upsertcore.profiles.target import Cell, Target
from upsertcore.profiles.text_cells import parse_bool
from upsertcore.rules import ignore, replace
from upsertcore.values import FrozenMap, freeze, is_unicode, thaw

__all__ = ["SalesforceIQ"]

_USER_MESSAGES = {
    400: "The request cannot be understood.",
    422: "The contact does not have the right shape.",
}


def _policy(region: str | None, *, placeholders: bool) -> Policy:
    blocked = blocked_values(placeholders=placeholders)
    return Policy(
        match=first_match("email"),
        fields={
            # The body's id is read-only: the query parameter says that email decides.
            "id": field(rule=ignore),
            "email": field(key=_mailbox, blocked=blocked),
            "phone": field(
                clean=_canonical if region is None else _canonical_in(region)
            ),
        },
        extra_fields=field(rule=replace),
        on_ambiguous="oldest",
        on_blocked="ignore",
    )


@final
class SalesforceIQ:
    """
    Upserts contacts as SalesforceIQ does.

    Args:
        region: The region (ISO 3166-1, ``"US"``) whose national telephone numbers are
            converted; without it they are stored as typed.
        placeholders: True to ignore an address that is a placeholder
            (``normalize.PLACEHOLDERS``); the outcome reports it.
        rows: Initial contacts, as ``book.dump()`` returns them.
        ids: As :class:`upsertcore.ContactBook`.
        clock: As :class:`upsertcore.ContactBook`.

    Raises:
        ModuleNotFoundError: If a region is given and the package
            ``phonenumbers`` is not installed.
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
        "placeholders": parse_bool,
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
        policy = _policy(region, placeholders=placeholders)
        self.book = ContactBook.load(policy, rows, ids=ids, clock=clock)

    @property
    def policy(self) -> Policy:
        """The policy of the book."""
        return self.book.policy

    def upsert(
        self, payload: Any, *, _upsert: Any = "email", organisation: Any = ""
    ) -> Response:
        """
        Create or update a contact of an organisation.

        Args:
            payload: The JSON body.
            _upsert: "The only value this parameter may have is "email"." The page's
                curl line has an address here; its table of parameters applies.
            organisation: The organisation; it is the scope.

        Returns:
            200 with the contact, 400 for an invalid query or body and for a contact
            without an email address, 422 for a malformed contact.

        Laws:
            Idempotent: the second call returns an equal response.
        """

        def decide() -> Outcome:
            scope = _scope(_upsert, organisation)
            return self.book.upsert(self.parse(payload), scope=scope)

        return respond(decide, self.render, _reject)

    def plan(
        self, payload: Any, *, _upsert: Any = "email", organisation: Any = ""
    ) -> Plan:
        """
        Return the plan of an :meth:`upsert`.

        Raises:
            Rejected: With the response that :meth:`upsert` would return.
        """

        def decide() -> Plan:
            scope = _scope(_upsert, organisation)
            return self.book.plan(self.parse(payload), scope=scope)

        return translate_refusals(_reject, decide)

    def parse(self, payload: Any) -> dict[str, Any]:
        """
        Return the patch of a payload: its properties and its ``id``, which is ignored.

        Returns:
            Property name to items; null, which clears, for an empty list. A property
            with the name ``id`` is refused.

        Raises:
            Rejected: With the response that :meth:`upsert` would return.
        """
        if not is_mapping(payload):
            raise _rejected(400, "body", "must be a JSON object")
        fields, invalid = split_fields(payload)
        unknown = [
            name for name in fields if name not in ("id", "properties")
        ] + invalid
        if unknown:
            problem = "is no part of a contact, which has id and properties"
            raise _rejected(422, display_name(unknown[0]), problem)
        patch = {"id": _id(fields["id"])} if "id" in fields else {}
        properties = fields.get("properties")
        if not is_mapping(properties):
            problem = "must be an object of names and lists of items"
            raise _rejected(422, "properties", problem)
        lists, invalid = split_fields(properties)
        if invalid or not all(name.strip() for name in lists):
            raise _rejected(422, "properties", "must have names that are not blank")
        for name, value in lists.items():
            patch[name] = _property(name, value)
        return patch

    def render(self, outcome: Outcome) -> dict[str, Any]:
        """Return the contact as the seed shows it: ``id`` and ``properties``."""
        contact = outcome.contact
        return {"id": contact.id, "properties": thaw(contact.fields)}

    @property
    def target(self) -> Target:
        """The fields that rows are for: any property, each of several values."""
        return Target(
            "SalesforceIQ",
            ("id", "email", "phone"),
            many={name: partial(_values, name) for name in _SEPARATORS},
            many_others=partial(_values, ""),
            open_fields=True,
            prefixes=(self.column_prefix,),
            aliases={"id": None},
        )

    def from_row(self, cells: Mapping[str, Cell]) -> dict[str, Any]:
        """
        Return the payload of a row.

        A cell may contain several emails, separated by ``;`` or ``,``, and several
        phones, separated by ``;``. The column ``properties.organisation`` is the
        property ``organisation``.
        """
        properties: dict[str, list[Any]] = {}
        for column, cell in cells.items():
            name = column.removeprefix(self.column_prefix)
            if column != "id":
                texts = _values(name, cell) if isinstance(cell, str) else cell or []
                values = [{"value": value} for value in texts]
                properties[name] = properties.get(name, []) + values
        body: dict[str, Any] = {"id": cells["id"]} if "id" in cells else {}
        return {**body, "properties": properties}


# An address has no comma, and a comma in a number is a pause.
_SEPARATORS = {"email": re.compile("[;,]"), "phone": re.compile(";")}


def _values(name: str, cell: str) -> list[str]:
    separator = _SEPARATORS.get(name)
    if separator is None:
        return [cell]
    return [value.strip() for value in separator.split(cell) if value.strip()]


def _scope(_upsert: Any, organisation: Any) -> str:
    if plain_text(_upsert) != "email":
        problem = "must be the word email; send the addresses in the body"
        raise _rejected(400, "_upsert", problem)
    scope = plain_text(organisation)
    if scope is None:
        raise _rejected(400, "organisation", "must be text")
    return scope


def _id(value: Any) -> Any:
    if value is not None and plain_text(value) is None:
        raise _rejected(422, "id", "must be a string")
    return value


def _property(name: str, value: Any) -> list[dict[str, Any]] | None:
    if name == "id":
        problem = "must not be a property; send it beside properties"
        raise _rejected(422, "properties.id", problem)
    try:
        items = _items(value)
        if name == "email":
            # A contact with two addresses has two items in the seed; one value with
            # both addresses would match neither.
            is_single = all(item["value"].count("@") <= 1 for item in items)
            require(is_single, "must have one address in the value of each item")
    except ValueError as error:
        raise _rejected(422, f"properties.{display_name(name)}", str(error)) from error
    return items or None


_OBJECTS = frozenset({dict, FrozenMap})


def _items(value: Any) -> list[Any]:
    require(isinstance(value, (list, tuple)), "must be an array")
    return [item if _is_complete(item) else _item(item) for item in value]


def _is_complete(item: Any) -> bool:
    """Return whether an item is text with empty metadata, which is stored as sent."""
    if type(item) not in _OBJECTS:
        return False
    parts = item.proxy if type(item) is FrozenMap else item
    if [*map(type, parts)] != [str, str]:
        return False
    value, metadata = parts.get("value"), parts.get("metadata")
    is_bare = type(metadata) in _OBJECTS and not metadata
    return is_bare and type(value) is str and is_unicode(value)


def _item(item: Any) -> dict[str, Any]:
    require(is_mapping(item), "must be an array of objects")
    parts, odd = split_fields(item)
    is_exact = not odd and parts.keys() <= {"value", "metadata"}
    require(is_exact, "must be an array of objects of value and metadata alone")
    value, metadata = parts.get("value"), parts.get("metadata", {})
    require(isinstance(value, str), "must have a string for the value of each item")
    require(is_mapping(metadata), "must have an object for the metadata")
    metadata_fields, odd = split_fields(metadata)
    require(not odd, "must have text for the names of metadata")
    texts = {name: _word(word) for name, word in metadata_fields.items()}
    return {"value": freeze(value), "metadata": texts}


def _word(value: Any) -> str:
    """Return a metadata value as text; true is ``"true"``."""
    frozen = freeze(value) if isinstance(value, (str, int, float)) else None
    # bool is a subclass of int.
    require(frozen is not None, "must have text, numbers, true or false for metadata")
    return frozen if isinstance(frozen, str) else json.dumps(frozen)


def _mailbox(item: Any) -> str | None:
    """Return the address of an item, or of plain text, for ``book.find``."""
    return normalize.email(item.get("value") if is_mapping(item) else item)


def _canonical(items: Any, phone: Normalizer = normalize.phone) -> Any:
    """Return items with canonical numbers; the metadata have the typed form."""
    converted = [_convert(item, phone) for item in _items(items)]
    # Frozen items that stay the same objects need not be frozen again.
    return items if all(map(is_, converted, items)) else converted


def _canonical_in(region: str) -> Normalizer:
    """Return :func:`_canonical` for the national numbers of a region too."""
    clean = partial(_canonical, phone=normalize.phone_in(region))
    return ParameterNormalizer(_canonical_in, clean, region)


def _convert(item: Any, phone: Normalizer) -> Any:
    value, form = item["value"], phone(item["value"])
    if form is None or form == value:
        return item
    return {"value": form, "metadata": {"raw_val": value, **item["metadata"]}}


def _rejected(status: int, name: str, problem: str) -> Rejected:
    reason = f"{name}: {problem}"
    body = {
        "statusCode": status,
        "userMessage": _USER_MESSAGES[status],
        "errorMessage": reason,
    }
    return Rejected(status, body, reason)


def _reject(refusal: Refused) -> Rejected:
    # After parse, the policy refuses values that cannot be stored, and a contact
    # without a usable address.
    if isinstance(refusal, InvalidField):
        return _rejected(
            422, f"properties.{display_name(refusal.field)}", refusal.reason
        )
    problem = "send an email address: the contact is matched by it"
    return _rejected(400, "properties.email", problem)

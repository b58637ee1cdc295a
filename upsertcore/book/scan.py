"""
A scan: contacts by the values that they hold, by creation.

Rules:
    Values are compared as they are stored; no normaliser takes part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from upsertcore.engine.patch import freeze_field
from upsertcore.errors import InvalidField, UnknownContact
from upsertcore.values import same

if TYPE_CHECKING:
    from upsertcore.model.contact import Contact
    from upsertcore.model.view import BookView
    from upsertcore.policy.policy import Policy

__all__ = ["contacts_after", "has_values", "wanted_values"]


def wanted_values(policy: Policy, fields: Any) -> dict[str, Any]:
    """
    Return the values that a caller looks for, frozen.

    Raises:
        InvalidField: If *fields* is not a mapping, or a value is not one that a field
            can hold.
        UnknownField: If the policy does not accept a field.

    >>> from upsertcore import Policy, field, never
    >>> wanted_values(Policy(never(), {"tags": field()}), {"tags": ["a"]})
    {'tags': ('a',)}
    """
    if not isinstance(fields, Mapping):
        reason = "must be a mapping of field names to values"
        advice = 'pass a dict, such as {"city": "Oslo"}'
        raise InvalidField("fields", fields, f"{reason}; {advice}")
    wanted = {}
    for name, value in fields.items():
        policy.field_options(name)
        wanted[freeze_field("fields", name)] = freeze_field(name, value)
    return wanted


def has_values(contact: Contact, wanted: Mapping[str, Any]) -> bool:
    """Return whether a contact holds exactly these values; None where it holds none."""
    return all(same(contact.get(name), value) for name, value in wanted.items())


def contacts_after(view: BookView, scope: str, id: str) -> Iterator[Contact]:
    """
    Return the contacts that were created after one.

    Args:
        view: The contacts.
        scope: The tenant of the one contact; the others may be of any.
        id: Its own id.

    Raises:
        UnknownContact: If no contact of the tenant has this id as its own. The place of
            a merged contact is not that of its survivor.
    """
    if view.get(id, scope).id != id:
        raise UnknownContact(id)
    return view.created_after(id, scope)

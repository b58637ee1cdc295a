"""
Loading: contacts from outside, into an index, under a policy.

Rules:
    Each row is looked at: its parts, its fields, its aliases, its unique keys.
    No two rows lead to one id, the ids of absorbed contacts among them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from upsertcore.contact import Contact
from upsertcore.errors import InvalidField, KeyInUse
from upsertcore.keyring import held_forms

if TYPE_CHECKING:
    from upsertcore.index import ContactIndex
    from upsertcore.policy import Policy
    from upsertcore.view import Forms, View

__all__ = ["admit", "fill"]


def fill(
    index: ContactIndex, policy: Policy, rows: Iterable[Mapping[str, Any]]
) -> None:
    """
    Put rows into an index.

    Args:
        index: Made with the policy's key names.
        policy: The table; it need not be the one that the rows were made under.
        rows: As ``Contact.to_dict`` makes them, those created first in front.

    Raises:
        InvalidField: If a row is of the wrong form, or an id stands there twice.
        UnknownField: As :func:`admit`.
        KeyInUse: As :func:`admit`.

    >>> from upsertcore import ContactIndex, Policy, field, first_match, normalize
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> fill(ContactIndex(["email"]), policy, [])
    """
    for row in rows:
        contact = Contact.from_dict(row)
        for id in contact.ids:
            if id in index or contact.id in contact.absorbed:
                raise InvalidField("id", id, "must stand in one row alone")
        index.put(contact, admit(policy, index, contact))


def admit(policy: Policy, index: View, contact: Contact) -> Forms:
    """
    See that a stored contact can live in an index under a policy.

    Args:
        policy: The table.
        index: What lives there already. Not changed.
        contact: From outside.

    Returns:
        The normal forms that it holds, per key of the policy, aliases last.

    Raises:
        UnknownField: If the policy has neither a line nor a rule for a field.
        InvalidField: If it has aliases of a key that the policy lacks.
        KeyInUse: If another contact of its scope holds one of its unique keys.

    >>> from datetime import datetime, timezone
    >>> from upsertcore import Contact, ContactIndex, Policy, field, first_match
    >>> from upsertcore import normalize
    >>> policy = Policy(first_match("email"), {"email": field(key=normalize.email)})
    >>> now = datetime(2024, 1, 2, tzinfo=timezone.utc)
    >>> ada = Contact("c-1", "", {"email": "ADA@x.org"}, 1, now, now)
    >>> admit(policy, ContactIndex(["email"]), ada)
    (('ada@x.org',),)
    """
    for name in (*contact, *contact.clocks):
        policy.line(name)
    for name in contact.aliases:
        if name not in policy.by_name:
            names = ", ".join(policy.by_name)
            raise InvalidField("aliases", name, f"must be of a key, one of {names}")
    every = held_forms(policy, contact)
    for key, forms in zip(policy.keys, every, strict=True):
        for form in forms if key.unique and policy.on_clash != "allow" else ():
            for holder in index.holders(key.name, form, contact.scope):
                made = form in key.forms(contact.fields)
                told = key.told(contact.fields) if made else (key.name, form)
                raise KeyInUse(told[0], told[1], holder)
    return every

"""The forms that a contact holds under a policy."""

from __future__ import annotations

from upsertcore.model.contact import Contact
from upsertcore.policy.policy import Policy

__all__ = ["held_forms"]


def held_forms(policy: Policy, contact: Contact) -> tuple[tuple[str, ...], ...]:
    """
    Give the normal forms that a contact holds, per key, aliases last.

    Args:
        policy: Whose keys are made.
        contact: Any contact.

    >>> from upsertcore import Policy, never
    >>> held_forms(Policy(never(), {}), None)
    ()
    """
    every = []
    for key in policy.all_keys:
        made = key.forms(contact.fields)
        current = {*made}
        former = [f for f in contact.aliases.get(key.name, ()) if f not in current]
        every.append((*made, *former))
    return tuple(every)

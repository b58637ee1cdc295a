"""The forms that a contact holds under a policy."""

from __future__ import annotations

from upsertcore.model.contact import Contact
from upsertcore.policy.policy import Policy

__all__ = ["held_forms"]


def held_forms(policy: Policy, contact: Contact) -> tuple[tuple[str, ...], ...]:
    """
    Return the normal forms that a contact holds, per key, aliases last.

    Args:
        policy: The policy whose keys are computed.
        contact: A contact; its aliases are those of this policy.

    >>> from upsertcore import Policy, never
    >>> held_forms(Policy(never(), {}), None)
    ()
    """
    forms_by_key = []
    for key in policy.all_keys:
        forms = key.forms(contact.fields)
        current = {*forms}
        former = [f for f in contact.aliases.get(key.name, ()) if f not in current]
        forms_by_key.append((*forms, *former))
    return tuple(forms_by_key)

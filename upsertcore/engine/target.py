"""
The target: the contact that a patch matched, and those that are merged into it.

Rules:
    A new contact has a target without contacts and forms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from attrs import define

from upsertcore.errors import ContactDeleted
from upsertcore.policy.policy import compiled

if TYPE_CHECKING:
    from upsertcore.engine.patch import Request
    from upsertcore.matching.protocol import Match
    from upsertcore.model.contact import Contact
    from upsertcore.model.view import Forms
    from upsertcore.policy.policy import Policy

__all__ = ["Target", "check_not_deleted", "target_of"]


@final
@define
class Target:
    """
    The contacts that a draft is made of.

    Args:
        before: The matched contact, None for a new one.
        forms: The forms that it holds, per key of the policy.
        merged: The contacts that are merged into it, each with its forms.
        apart: As in ``Match``.
    """

    before: Contact | None
    forms: Forms
    merged: tuple[tuple[Contact, Forms], ...] = ()
    apart: tuple[str, ...] = ()


def target_of(policy: Policy, request: Request, match: Match) -> Target:
    """
    Return the contacts of a match, as the view has them.

    Args:
        policy: The policy.
        request: The patch, and the view to look contacts up in.
        match: The ids of these contacts.

    Raises:
        UnknownContact: If an id has no contact.
    """
    if match.id is None:
        return Target(None, compiled(policy).no_forms)
    before, forms = request.get(match.id)
    merged = tuple([request.get(id) for id in match.merged]) if match.merged else ()
    return Target(before, forms, merged, match.apart)


def check_not_deleted(target: Target) -> None:
    """
    Check that no contact of a target is marked as deleted.

    Raises:
        ContactDeleted: If one is; it names the first.

    >>> check_not_deleted(Target(None, ()))
    """
    if target.before is None:
        return
    for contact in (target.before, *[contact for contact, _forms in target.merged]):
        if contact.deleted_at is not None:
            raise ContactDeleted(contact.id)

"""
Whether what was read from a view still holds, and if not, what has changed.

Rules:
    A contact that was replaced by an equal one still holds.
    A reason names contacts and keys, and shows none of their values.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeAlias

from upsertcore.errors import UnknownContact

if TYPE_CHECKING:
    from upsertcore.model.contact import Contact
    from upsertcore.model.view import View

__all__ = ["contact_stale_reason", "stale_reason"]

Observed: TypeAlias = Iterable[tuple[str, "Contact"]]
"""An id, and the contact that it resolved to."""

Lookups: TypeAlias = Iterable[tuple[tuple[str, str, str], tuple[str, ...]]]
"""A key, a form and a scope that were looked up, and the ids of the holders."""


def stale_reason(view: View, contacts: Observed, lookups: Lookups) -> str | None:
    """
    Return what has changed since these look-ups; None where all still hold.

    Args:
        view: The current view.
        contacts: Each id that was read, and its contact.
        lookups: Each form that was looked up, and its holders.

    Cost:
        One look-up for each of them, up to the first that has changed.

    >>> from upsertcore.store.contact_index import ContactIndex
    >>> lookup = "email", "a@x.org", ""
    >>> stale_reason(ContactIndex(["email"]), (), [(lookup, ("c-1",))])
    'the contacts that hold its email have changed'
    """
    for id, contact in contacts:
        reason = contact_stale_reason(view, id, contact)
        if reason is not None:
            return reason
    for (key, form, scope), ids in lookups:
        if view.holders(key, form, scope) != ids:
            return f"the contacts that hold its {key} have changed"
    return None


def contact_stale_reason(view: View, id: str, former: Contact) -> str | None:
    """
    Return how a contact has changed; None where it is the same.

    Args:
        view: The current view.
        id: The id by which it was read.
        former: The contact as it was read.

    >>> from datetime import datetime, timezone
    >>> from upsertcore import Contact
    >>> from upsertcore.store.contact_index import ContactIndex
    >>> now = datetime(2024, 1, 2, tzinfo=timezone.utc)
    >>> contact_stale_reason(ContactIndex(), "c-1", Contact("c-1", "", {}, 1, now, now))
    'contact c-1 is gone'
    """
    try:
        current = view.get(id, former.scope)
    except UnknownContact:
        return f"contact {id} is gone"
    if current is former or current == former:
        return None
    if current.id != former.id:
        return f"contact {former.id} was merged into {current.id}"
    if current.version == former.version:
        return f"contact {former.id} has changed since it was read"
    return f"contact {former.id} is at version {current.version}, not {former.version}"

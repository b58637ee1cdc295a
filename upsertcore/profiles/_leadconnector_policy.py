"""
The policy of LeadConnector.

Rules:
    Sentences in quotation marks are quoted from the vendor.
"""

from __future__ import annotations

from upsertcore import normalize
from upsertcore.matching.strategies import first_match
from upsertcore.normalize.blocked_patterns import Pattern
from upsertcore.policy.fields import Field, Null, field
from upsertcore.policy.policy import Policy
from upsertcore.profiles._leadconnector_fields import NULLABLE, TEXT
from upsertcore.profiles._leadconnector_values import (
    birth_date,
    country,
    e164,
    e164_in,
    lower_tags,
    mailbox,
    tags,
    timezone,
)
from upsertcore.profiles.payload import blocked_values
from upsertcore.rules import deep, ignore, items_by

__all__ = ["KEYS", "policy"]

KEYS = ("email", "phone")
"""The fields that identify a contact."""


def policy(
    priority: tuple[str, ...],
    region: str | None,
    *,
    allow_duplicates: bool = False,
    lower_case_tags: bool = False,
    placeholders: bool = False,
) -> Policy:
    """
    Return the policy.

    Args:
        priority: The keys to match by, in order.
        region: The region whose national telephone numbers are accepted, or None.
        allow_duplicates: True to let contacts share an email or a phone.
        lower_case_tags: True to store tags in lower case and without duplicates.
        placeholders: True to ignore a placeholder in email and phone.

    >>> policy(("email",), None).match.keys
    ('email',)
    """
    blocked = blocked_values(placeholders=placeholders)
    return Policy(
        # "the API matches on the first field in the configured priority sequence"
        match=first_match(*priority),
        fields={
            **{name: field(null=_null(name)) for name in (*TEXT, "dnd")},
            # Stored as first and last name; an unused name is kept to be reported.
            "name": field(rule=ignore, null="ignore", blank="ignore"),
            **_keys(() if allow_duplicates else priority, region, blocked),
            "country": field(clean=country, null="reject", blank="reject"),
            # "This field will overwrite all current tags associated with the contact."
            "tags": field(clean=lower_tags if lower_case_tags else tags, null="reject"),
            "dateOfBirth": field(clean=birth_date, blank="reject"),
            "timezone": field(clean=timezone, blank="reject"),
            "customFields": field(rule=items_by("id", "key"), null="reject"),
            "dndSettings": field(rule=deep, null="reject"),
            "inboundDndSettings": field(rule=deep, null="reject"),
        },
        extra_fields=field(rule=ignore),
        on_ambiguous="oldest",
        # "ignores the second to prevent duplication"
        on_key_in_use="withhold",
        on_blocked="ignore",
    )


def _keys(
    unique: tuple[str, ...], region: str | None, blocked: tuple[Pattern, ...]
) -> dict[str, Field]:
    return {
        "email": field(
            key=normalize.email,
            unique="email" in unique,
            blocked=blocked,
            clean=mailbox,
            blank="ignore",
        ),
        "phone": field(
            key=normalize.phone if region is None else normalize.phone_in(region),
            unique="phone" in unique,
            blocked=blocked,
            clean=e164 if region is None else e164_in(region),
            blank="ignore",
        ),
    }


def _null(name: str) -> Null:
    return "clear" if name in NULLABLE else "reject"

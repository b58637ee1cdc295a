"""Profiles of four real systems: each has a policy, its payloads and its responses."""

from typing import Any

from upsertcore.profiles.anduin import Anduin
from upsertcore.profiles.leadconnector import LeadConnector
from upsertcore.profiles.profile import Profile, Rejected, Response
from upsertcore.profiles.salesforceiq import SalesforceIQ
from upsertcore.profiles.segmetrics import SegMetrics

__all__ = [
    "BY_NAME",
    "Anduin",
    "LeadConnector",
    "Profile",
    "Rejected",
    "Response",
    "SalesforceIQ",
    "SegMetrics",
]

BY_NAME: dict[str, Any] = {
    profile.__name__: profile
    for profile in (SalesforceIQ, LeadConnector, SegMetrics, Anduin)
}
"""The profiles by name."""

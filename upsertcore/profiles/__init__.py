"""
The profiles: four real systems, each with its policy, its payloads and its answers.

This module hands on the public names and defines none but the list of the systems.
"""

from typing import Any

from upsertcore.profiles.anduin import Anduin
from upsertcore.profiles.leadconnector import LeadConnector
from upsertcore.profiles.salesforceiq import SalesforceIQ
from upsertcore.profiles.segmetrics import SegMetrics
from upsertcore.profiles.wire import Profile, Rejected, Response

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
    system.__name__: system
    for system in (SalesforceIQ, LeadConnector, SegMetrics, Anduin)
}
"""The systems by name."""
